"""What a plugin of slhf-lab is written with, in Python.

A plugin is a plain class: its tests run here, with no WebAssembly involved. Inside a component `plugin.py` hands it the lab's calls.

What cannot be judged raises `Failure`: an outcome of its own, never a number. Any other exception ends the run with its text.
There is no machine inside a component: no files, network, clock or environment, and `print` is not possible: `log` is.
`random` gives the same numbers each time: the only randomness of a plugin is `draw`.
"""

import math
import sys
from dataclasses import dataclass, field


class Failure(Exception):
    """One sentence: what is wrong, with what."""


@dataclass
class Message:
    """One turn of a conversation."""

    role: str
    content: str


@dataclass
class Response:
    """One response to a prompt; `metadata` is a JSON object."""

    text: str
    finished: bool = True
    token_count: int = 0
    metadata: str = "{}"


def _response(response):
    return Response(response) if isinstance(response, str) else response


@dataclass
class Comparison:
    """Two responses to be compared; `metadata` is the data row, a JSON object."""

    prompt: str
    first: Response
    second: Response
    messages: list = field(default_factory=list)
    metadata: str = "{}"
    draw: int = 0

    def __post_init__(self):
        self.first, self.second = _response(self.first), _response(self.second)


@dataclass
class Candidate:
    """One response to be scored."""

    prompt: str
    response: Response
    messages: list = field(default_factory=list)
    metadata: str = "{}"
    draw: int = 0

    def __post_init__(self):
        self.response = _response(self.response)


@dataclass
class Sample:
    """A reward that was seen; `role` is `leader` or `follower`."""

    prompt_id: int
    role: str
    step: int
    reward: float


@dataclass
class Attribute:
    """A criterion's vote, with a reason in words: why, not only what."""

    name: str
    value: float
    reason: str = ""


@dataclass
class Verdict:
    """p(first is better), in [0, 1]."""

    probability: float
    attributes: list = field(default_factory=list)


@dataclass
class Score:
    """A finite reward."""

    value: float
    attributes: list = field(default_factory=list)


def conversation(item, response=None):
    """The conversation that ends with a response, of a comparison; of a candidate, with its own: what a reward model is asked about.
    A prompt that is plain text is one turn of the user's."""
    turns = list(item.messages) or [Message("user", item.prompt)]
    return turns + [Message("assistant", (response or item.response).text)]


def log(text, level="info"):
    """A line in the run's log; `level` is `debug`, `info`, `warn` or `error`."""
    print(f"{level}: {text}", file=sys.stderr)


class Plugin:
    """What every plugin says of itself."""

    name = ""
    version = ""
    measures = ""
    complementary = False
    length_sensitive = False
    # JSON Schema of each parameter. Parameters come as named arguments of `__init__`.
    parameters = {}
    # Names of the models that it cannot do without.
    required_models = ()
    # The granted models, where it asks some.
    models = None
    # The wrapped judge or reward model, where it wraps one.
    upstream = None


def _one(function, item):
    try:
        return function(item)
    except Failure as failure:
        return failure


class Judge(Plugin):
    """A judge. Write `compare`, or `compare_all` where a whole batch is better: it returns a verdict or a `Failure` an item, in
    order, and no item may depend on the others."""

    def compare(self, comparison):
        raise NotImplementedError

    def compare_all(self, comparisons):
        return [_one(self.compare, comparison) for comparison in comparisons]


class Reward(Plugin):
    """A reward model. Write `score`, or `score_all`."""

    def score(self, candidate):
        raise NotImplementedError

    def score_all(self, candidates):
        return [_one(self.score, candidate) for candidate in candidates]


class Baseline(Plugin):
    """A control variate. Alone among plugins it keeps a state from batch to batch."""

    def estimate(self, samples):
        """A finite baseline a sample, in order, which must not depend on that sample's own reward."""
        raise NotImplementedError

    def save(self):
        """The whole state, as bytes."""
        raise NotImplementedError

    def restore(self, state):
        raise NotImplementedError


@dataclass
class Choice:
    """The log-probability of each continuation, in nats; `sampled` answers where these are frequencies, else 0."""

    log_probabilities: list
    sampled: int = 0

    def shares(self):
        """Each continuation's share of what all of them have together."""
        largest = max(self.log_probabilities)
        weights = [math.exp(value - largest) for value in self.log_probabilities]
        return [weight / sum(weights) for weight in weights]


@dataclass
class Completion:
    text: str
    finished: bool = True
    token_count: int = 0


@dataclass
class Embedding:
    vector: list
    pooling: str = "mean"


class Models:
    """The granted models. Ask once, for the whole batch. Each outcome is what was asked for or a `Failure`, in order.

    A context is a list of messages, or a text that is taken as it is.
    """

    def granted(self):
        """Names, in alphabetical order."""
        raise NotImplementedError

    def only(self):
        """The one model that was granted, for a plugin that needs one and leaves its name to the experiment."""
        names = self.granted()
        if len(names) != 1:
            raise Failure(f"this plugin asks one model, and {len(names)} were granted: see [judge.models.NAME]")
        return names[0]

    def choose(self, model, items, frequency_of=0):
        """`items`: (context, continuations, draw). With `frequency_of`, so many sampled answers do where a model has no
        log-probabilities. Outcomes: `Choice`."""
        raise NotImplementedError

    def complete(self, model, items, max_new_tokens=256, temperature=0.0, top_p=1.0):
        """`items`: (context, draw). Outcomes: `Completion`."""
        raise NotImplementedError

    def score(self, model, conversations):
        """Conversations that end with a response. Outcomes: a dictionary of the head's named values."""
        raise NotImplementedError

    def embed(self, model, texts):
        """Outcomes: `Embedding`."""
        raise NotImplementedError
