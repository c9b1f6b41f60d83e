"""StackelbergGDA with exact gradients in NumPy: what `game_training` is compared with.

The same work as one step of `slhf-learn`: 1,000 runs of a game of 10 actions, plain descent, tau = 0.1, kappa = 5,
all runs in arrays [runs, n] and [runs, n, n]. Needs only NumPy: `python3 numpy_baseline.py [STEPS]`.
"""

import sys
import time

import numpy as np

RUNS, ACTIONS, TAU, RATE, KAPPA = 1000, 10, 0.1, 0.5, 5.0


def log_softmax(logits):
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def step(leader, follower, preferences, log_reference):
    log_pi, log_omega = log_softmax(leader), log_softmax(follower)
    pi, omega = np.exp(log_pi), np.exp(log_omega)
    costs = preferences + TAU * (log_omega - log_reference)
    means = (omega * costs).sum(axis=-1)
    values = means - TAU * (log_pi - log_reference)
    advantage = values - (pi * values).sum(axis=-1, keepdims=True)
    leader += RATE * pi * advantage
    follower -= RATE * KAPPA * pi[:, :, None] * omega * (costs - means[:, :, None])


def main():
    steps = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    generator = np.random.default_rng(1)
    upper = np.triu(generator.uniform(0.05, 0.95, (ACTIONS, ACTIONS)), 1)
    preferences = upper + np.tril(1.0 - upper.T, -1) + 0.5 * np.eye(ACTIONS)
    log_reference = -np.log(ACTIONS)
    leader = generator.standard_normal((RUNS, ACTIONS))
    follower = generator.standard_normal((RUNS, ACTIONS, ACTIONS))
    for _ in range(10):
        step(leader, follower, preferences, log_reference)
    started = time.perf_counter()
    for _ in range(steps):
        step(leader, follower, preferences, log_reference)
    seconds = time.perf_counter() - started
    print(f"NumPy {np.__version__}: {RUNS * steps / seconds:,.0f} run-steps/s")


main()
