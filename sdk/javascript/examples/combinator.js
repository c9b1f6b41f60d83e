// A judge made of another judge: the experiment names that one under `[judge.upstream]`.
//
// This one is an annotator who sometimes guesses. Put your own change of a verdict into `compareAll`.

import { Failure, Judge as Base, attribute } from "./slhf.js";

export class Judge extends Base {
  static pluginName = "{{NAME}}";
  static version = "0.1.0";
  static measures = "the upstream judge, by an annotator who guesses at a given rate";
  static complementary = true;
  static parameters = {
    guess_rate: {
      type: "number",
      minimum: 0,
      maximum: 1,
      description: "How often the annotator guesses; within [0, 1].",
    },
  };

  constructor({ guess_rate }) {
    super();
    this.guessRate = guess_rate;
  }

  compareAll(comparisons) {
    // Asked once, for the whole batch: each question leaves the sandbox.
    return this.upstream(comparisons).map((outcome) => this.guessed(outcome));
  }

  guessed(outcome) {
    if (outcome instanceof Failure) return outcome;
    const probability = 0.5 + (1 - this.guessRate) * (outcome.probability - 0.5);
    return { probability, attributes: [attribute("upstream", outcome.probability)] };
  }
}
