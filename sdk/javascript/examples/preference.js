// A judge: which response is better, and why.
//
// This one prefers the response that shares more of its words with the prompt. Put your own idea into `compare`. What cannot be
// judged is no number: `throw new Failure("one sentence")`.

import { Judge as Base, attribute } from "./slhf.js";

const words = (text) => new Set(text.toLowerCase().split(" ").filter((word) => word !== ""));

export class Judge extends Base {
  static pluginName = "{{NAME}}";
  static version = "0.1.0";
  static measures = "which response shares more of its words with the prompt";
  // `slhf-lab plugin check` holds a judge to what it claims.
  static complementary = true;
  // What an experiment may set under `[judge] parameters`.
  static parameters = {
    decisiveness: {
      type: "number",
      minimum: 0,
      maximum: 1,
      default: 1,
      description: "How decided a judge is: 0 is always in doubt, 1 goes from 0 to 1; within [0, 1].",
    },
  };

  constructor({ decisiveness = 1 } = {}) {
    super();
    this.decisiveness = decisiveness;
  }

  compare(comparison) {
    const prompt = words(comparison.prompt);
    const share = (response) => {
      const said = [...words(response.text)];
      return said.filter((word) => prompt.has(word)).length / Math.max(said.length, 1);
    };
    const [first, second] = [share(comparison.first), share(comparison.second)];
    const probability = 0.5 + 0.5 * this.decisiveness * (first - second);
    const reason = `${first.toFixed(2)} against ${second.toFixed(2)}`;
    return { probability, attributes: [attribute("words_of_the_prompt", probability, reason)] };
  }
}
