"""A judge: which response is better, and why.

This one prefers the response that shares more of its words with the prompt. Put your own idea into `compare`. What cannot be judged
is no number: `raise slhf.Failure("one sentence")`.
"""

import slhf
from slhf import Attribute, Verdict


def words(text):
    return set(text.lower().split())


class Judge(slhf.Judge):
    name = "{{NAME}}"
    version = "0.1.0"
    measures = "which response shares more of its words with the prompt"
    # `slhf-lab plugin check` holds a judge to what it claims.
    complementary = True
    # What an experiment may set under `[judge] parameters`.
    parameters = {
        "decisiveness": {
            "type": "number",
            "minimum": 0,
            "maximum": 1,
            "default": 1.0,
            "description": "How decided a judge is: 0 is always in doubt, 1 goes from 0 to 1; within [0, 1].",
        }
    }

    def __init__(self, decisiveness=1.0):
        self.decisiveness = decisiveness

    def compare(self, comparison):
        prompt = words(comparison.prompt)
        first, second = (
            len(words(response.text) & prompt) / max(len(words(response.text)), 1)
            for response in (comparison.first, comparison.second)
        )
        probability = 0.5 + 0.5 * self.decisiveness * (first - second)
        return Verdict(probability, [Attribute("words_of_the_prompt", probability, f"{first:.2f} against {second:.2f}")])
