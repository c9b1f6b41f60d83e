"""Run with `python3 -m unittest`."""

import unittest

import slhf
from judge import Judge
from slhf import Choice, Comparison, Failure


class LikesTheFirst(slhf.Models):
    """A model that says A whatever stands there, and cannot read a question about stones."""

    def granted(self):
        return ["critic"]

    def choose(self, model, items, frequency_of=0):
        assert model == "critic"
        return [
            Failure("no stones") if "stone" in messages[0].content else Choice([-0.1, -2.0])
            for messages, letters, draw in items
        ]


class Tests(unittest.TestCase):
    def test_a_preference_for_a_place_cancels(self):
        judge = Judge()
        judge.models = LikesTheFirst()
        verdict, failure = judge.compare_all([Comparison("Say hello", "a", "b"), Comparison("stone", "a", "b")])
        self.assertEqual(verdict.probability, 0.5)
        self.assertGreater(verdict.attributes[0].value, 0.8)
        self.assertIsInstance(failure, Failure)
