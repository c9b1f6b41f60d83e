"""Run with `python3 -m unittest`."""

import unittest

from judge import Judge
from slhf import Comparison


def probability(first, second, **parameters):
    return Judge(**parameters).compare(Comparison("Say hello", first, second)).probability


class Tests(unittest.TestCase):
    def test_words_of_the_prompt_win(self):
        self.assertEqual(probability("hello", "go away"), 1.0)
        self.assertEqual(probability("hello you", "go away"), 0.75)
        self.assertEqual(probability("hello", "go away", decisiveness=0.5), 0.75)

    def test_the_two_orders_agree(self):
        for first, second in [("hello", "go"), ("say hello", "hello there"), ("", "")]:
            self.assertEqual(probability(first, second) + probability(second, first), 1.0)
