// Run with `node --test`.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Judge } from "./judge.js";
import { comparison } from "./slhf.js";

const probability = (first, second, parameters) =>
  new Judge(parameters).compare(comparison("Say hello", first, second)).probability;

test("words of the prompt win", () => {
  assert.equal(probability("hello", "go away"), 1);
  assert.equal(probability("hello you", "go away"), 0.75);
  assert.equal(probability("hello", "go away", { decisiveness: 0.5 }), 0.75);
});

test("the two orders agree", () => {
  for (const [first, second] of [["hello", "go"], ["say hello", "hello there"], ["", ""]]) {
    assert.equal(probability(first, second) + probability(second, first), 1);
  }
});
