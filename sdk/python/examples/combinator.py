"""A judge made of another judge: the experiment names that one under `[judge.upstream]`.

This one is an annotator who sometimes guesses. Put your own change of a verdict into `compare_all`.
"""

import slhf
from slhf import Attribute, Failure, Verdict


class Judge(slhf.Judge):
    name = "{{NAME}}"
    version = "0.1.0"
    measures = "the upstream judge, by an annotator who guesses at a given rate"
    complementary = True
    parameters = {
        "guess_rate": {
            "type": "number",
            "minimum": 0,
            "maximum": 1,
            "description": "How often the annotator guesses; within [0, 1].",
        }
    }

    def __init__(self, guess_rate):
        self.guess_rate = guess_rate

    def compare_all(self, comparisons):
        # Asked once, for the whole batch: each question leaves the sandbox.
        return [self.guessed(outcome) for outcome in self.upstream(comparisons)]

    def guessed(self, outcome):
        if isinstance(outcome, Failure):
            return outcome
        probability = 0.5 + (1.0 - self.guess_rate) * (outcome.probability - 0.5)
        return Verdict(probability, [Attribute("upstream", outcome.probability)])
