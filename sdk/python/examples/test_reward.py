"""Run with `python3 -m unittest`."""

import unittest

from reward import Reward
from slhf import Candidate


class Tests(unittest.TestCase):
    def test_words_of_the_prompt_are_counted_once(self):
        score = lambda text: Reward(per_word=0.5).score(Candidate("Say hello", text)).value
        self.assertEqual([score("Hello hello"), score("say HELLO"), score("")], [0.5, 1.0, 0.0])
