"""What the component is made of: the lab's calls, handed to {{MODULE}}.py. There is nothing here to change."""

import json

from componentize_py_types import Err, Ok
from wit_world.exports import plugin as exported
from wit_world.imports import log as host_log
from wit_world.imports import types

import slhf


def _log(text, level="info"):
    host_log.write(host_log.Level[level.upper()], text)


slhf.log = _log

from {{MODULE}} import {{CLASS}} as Logic  # noqa: E402

try:
    from wit_world.imports import model as host_models
except ImportError:
    host_models = None

try:
    from wit_world.imports import upstream_preference as host_upstream
except ImportError:
    try:
        from wit_world.imports import upstream_reward as host_upstream
    except ImportError:
        host_upstream = None

_logic = None


def _loudly(function):
    """An exception is logged before it ends the call: the lab then shows it. Source lines are not read, for there are no files."""

    def called(*arguments):
        try:
            return function(*arguments)
        except Err:
            raise
        except slhf.Failure as failure:
            raise Err(types.Failure(str(failure)))
        except Exception as error:
            place = error.__traceback__
            while place.tb_next:
                place = place.tb_next
            file = place.tb_frame.f_code.co_filename.rsplit("/", 1)[-1]
            _log(f"{type(error).__name__}: {error} ({file}, line {place.tb_lineno})", "error")
            raise

    return called


def _outcome(outcome):
    return Err(types.Failure(str(outcome))) if isinstance(outcome, slhf.Failure) else Ok(outcome)


def _of_host(result, of):
    return slhf.Failure(result.value.reason) if isinstance(result, Err) else of(result.value)


class Plugin:
    @_loudly
    def describe(self):
        required = [name for name, schema in Logic.parameters.items() if "default" not in schema]
        schema = {"type": "object", "properties": Logic.parameters, "additionalProperties": False, "required": required}
        if Logic.required_models:
            schema["x-models"] = list(Logic.required_models)
        claims = exported.Claims(Logic.complementary, Logic.length_sensitive)
        return exported.Manifest(Logic.name, Logic.version, Logic.measures, claims, json.dumps(schema))

    @_loudly
    def configure(self, parameters):
        global _logic
        _logic = Logic(**json.loads(parameters))
        _logic.models = _Models() if host_models else None
        _logic.upstream = _upstream if host_upstream else None


class Preference:
    @_loudly
    def compare(self, batch):
        return [_outcome(outcome) for outcome in _logic.compare_all(batch)]


class Reward:
    @_loudly
    def score(self, batch):
        return [_outcome(outcome) for outcome in _logic.score_all(batch)]


class Baseline:
    @_loudly
    def estimate(self, batch):
        return _logic.estimate([
            slhf.Sample(sample.prompt_id, sample.role.name.lower(), sample.step, sample.reward) for sample in batch
        ])

    @_loudly
    def save(self):
        return _logic.save()

    @_loudly
    def restore(self, state):
        _logic.restore(state)


def _upstream(batch):
    """What the wrapped plugin says of a batch: a verdict or score, or a `Failure`, an item."""
    ask = getattr(host_upstream, "compare", None) or host_upstream.score
    try:
        outcomes = ask(batch)
    except Err as error:
        raise slhf.Failure(error.value.reason)
    return [_of_host(outcome, lambda value: value) for outcome in outcomes]


class _Models(slhf.Models):
    def granted(self):
        return host_models.granted()

    def choose(self, model, items, frequency_of=0):
        items = [
            host_models.ChoiceItem(_context(context), list(continuations), draw)
            for context, continuations, draw in items
        ]
        evidence = (
            host_models.Evidence_FrequencyOf(frequency_of) if frequency_of else host_models.Evidence_LogProbabilities()
        )
        choice = lambda value: slhf.Choice(value.log_probabilities, value.sampled)
        return [_of_host(result, choice) for result in host_models.choose(model, items, evidence)]

    def complete(self, model, items, max_new_tokens=256, temperature=0.0, top_p=1.0):
        items = [
            host_models.CompletionItem(_context(context), max_new_tokens, temperature, top_p, draw)
            for context, draw in items
        ]
        completion = lambda value: slhf.Completion(value.text, value.finished, value.token_count)
        return [_of_host(result, completion) for result in host_models.complete(model, items)]

    def score(self, model, conversations):
        conversations = [_messages(conversation) for conversation in conversations]
        values = lambda value: {one.name: one.value for one in value}
        return [_of_host(result, values) for result in host_models.score(model, conversations)]

    def embed(self, model, texts):
        embedding = lambda value: slhf.Embedding(value.vector, value.pooling)
        return [_of_host(result, embedding) for result in host_models.embed(model, list(texts))]


def _messages(conversation):
    return [types.Message(message.role, message.content) for message in conversation]


def _context(context):
    if isinstance(context, str):
        return host_models.Context_Raw(context)
    return host_models.Context_Conversation(_messages(context))
