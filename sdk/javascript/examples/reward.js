// A reward model: how good one response is.
//
// This one counts how many of the prompt's words a response uses. Put your own idea into `score`. As a judge it is used through
// the shipped combinator `bradley-terry`.

import { Reward as Base, attribute } from "./slhf.js";

const words = (text) => new Set(text.toLowerCase().split(" ").filter((word) => word !== ""));

export class Reward extends Base {
  static pluginName = "{{NAME}}";
  static version = "0.1.0";
  static measures = "how many of the prompt's words a response uses";
  // What an experiment may set under `parameters`.
  static parameters = {
    per_word: {
      type: "number",
      default: 1,
      description: "Reward per word of the prompt that the response uses; finite.",
    },
  };

  constructor({ per_word = 1 } = {}) {
    super();
    this.perWord = per_word;
  }

  score(candidate) {
    const prompt = words(candidate.prompt);
    const used = [...words(candidate.response.text)].filter((word) => prompt.has(word)).length;
    const value = this.perWord * used;
    return { value, attributes: [attribute("words_of_the_prompt", value, `${used} words`)] };
  }
}
