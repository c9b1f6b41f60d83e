// Run with `node --test`.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Baseline } from "./baseline.js";

test("a batch is expected from the batches before", () => {
  const baseline = new Baseline();
  const batch = [0.25, 0.75].map((reward) => ({ promptId: 1, role: "leader", step: 0, reward }));
  assert.deepEqual(baseline.estimate(batch), [0, 0]);
  const copy = new Baseline();
  copy.restore(baseline.save());
  assert.deepEqual(copy.estimate(batch), [0.5, 0.5]);
});
