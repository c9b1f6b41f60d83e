"""A control variate: what reward to expect.

This one is the mean of all rewards of earlier batches, one an agent. Put your own expectation into `estimate`.
"""

import json

import slhf
from slhf import Failure


class Baseline(slhf.Baseline):
    name = "{{NAME}}"
    version = "0.1.0"
    measures = "the mean reward of earlier batches, for each agent"

    def __init__(self):
        self.seen = {"leader": [0.0, 0], "follower": [0.0, 0]}

    def estimate(self, samples):
        # A sample's own batch is left out, and with it its own reward.
        estimates = [self.mean(sample.role) for sample in samples]
        for sample in samples:
            total = self.seen[sample.role]
            total[0] += sample.reward
            total[1] += 1
        return estimates

    def mean(self, role):
        total, count = self.seen[role]
        return total / count if count else 0.0

    def save(self):
        return json.dumps(self.seen).encode()

    def restore(self, state):
        try:
            seen = json.loads(state)
            self.seen = {role: [float(seen[role][0]), int(seen[role][1])] for role in ("leader", "follower")}
        except (ValueError, KeyError, TypeError, IndexError) as error:
            raise Failure(f"the state is not one of this plugin: {error!r}")
