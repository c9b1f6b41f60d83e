"""A reward model: how good one response is.

This one counts how many of the prompt's words a response uses. Put your own idea into `score`. As a judge it is used through
the shipped combinator `bradley-terry`.
"""

import slhf
from slhf import Attribute, Score


def words(text):
    return set(text.lower().split())


class Reward(slhf.Reward):
    name = "{{NAME}}"
    version = "0.1.0"
    measures = "how many of the prompt's words a response uses"
    # What an experiment may set under `parameters`.
    parameters = {
        "per_word": {
            "type": "number",
            "default": 1.0,
            "description": "Reward per word of the prompt that the response uses; finite.",
        }
    }

    def __init__(self, per_word=1.0):
        self.per_word = per_word

    def score(self, candidate):
        used = len(words(candidate.response.text) & words(candidate.prompt))
        value = self.per_word * used
        return Score(value, [Attribute("words_of_the_prompt", value, f"{used} words")])
