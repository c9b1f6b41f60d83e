// Run with `node --test`.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Judge } from "./judge.js";
import { Choice, Failure, Models, comparison } from "./slhf.js";

/** A model that says A whatever stands there, and cannot read a question about stones. */
class LikesTheFirst extends Models {
  granted() {
    return ["critic"];
  }

  choose(model, items) {
    assert.equal(model, "critic");
    const hasStones = ({ context }) => context[0].content.includes("stone");
    return items.map((item) => (hasStones(item) ? new Failure("no stones") : new Choice([-0.1, -2])));
  }
}

test("a preference for a place cancels", () => {
  const judge = new Judge();
  judge.models = new LikesTheFirst();
  const [verdict, failure] = judge.compareAll([comparison("Say hello", "a", "b"), comparison("stone", "a", "b")]);
  assert.equal(verdict.probability, 0.5);
  assert.ok(verdict.attributes[0].value > 0.8);
  assert.ok(failure instanceof Failure);
});
