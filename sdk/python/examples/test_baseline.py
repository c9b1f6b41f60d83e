"""Run with `python3 -m unittest`."""

import unittest

from baseline import Baseline
from slhf import Sample


class Tests(unittest.TestCase):
    def test_a_batch_is_expected_from_the_batches_before(self):
        baseline = Baseline()
        batch = [Sample(1, "leader", 0, reward) for reward in (0.25, 0.75)]
        self.assertEqual(baseline.estimate(batch), [0.0, 0.0])
        copy = Baseline()
        copy.restore(baseline.save())
        self.assertEqual(copy.estimate(batch), [0.5, 0.5])
