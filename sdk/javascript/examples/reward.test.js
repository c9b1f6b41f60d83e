// Run with `node --test`.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Reward } from "./reward.js";
import { candidate } from "./slhf.js";

test("words of the prompt are counted once", () => {
  const score = (text) => new Reward({ per_word: 0.5 }).score(candidate("Say hello", text)).value;
  assert.deepEqual([score("Hello hello"), score("say HELLO"), score("")], [0.5, 1, 0]);
});
