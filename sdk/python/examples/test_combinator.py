"""Run with `python3 -m unittest`."""

import unittest

from judge import Judge
from slhf import Comparison, Failure, Verdict


class Tests(unittest.TestCase):
    def test_a_guess_is_a_coin(self):
        judge = Judge(guess_rate=0.5)
        judge.upstream = lambda comparisons: [Verdict(1.0), Failure("unreadable")]
        verdict, failure = judge.compare_all([Comparison("p", "a", "b"), Comparison("p", "c", "d")])
        self.assertEqual(verdict.probability, 0.75)
        self.assertIsInstance(failure, Failure)
