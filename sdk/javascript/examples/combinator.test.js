// Run with `node --test`.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Judge } from "./judge.js";
import { Failure, comparison } from "./slhf.js";

test("a guess is a coin", () => {
  const judge = new Judge({ guess_rate: 0.5 });
  judge.upstream = () => [{ probability: 1, attributes: [] }, new Failure("unreadable")];
  const [verdict, failure] = judge.compareAll([comparison("p", "a", "b"), comparison("p", "c", "d")]);
  assert.equal(verdict.probability, 0.75);
  assert.ok(failure instanceof Failure);
});
