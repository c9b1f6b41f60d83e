// A judge that asks a model: the experiment grants it one under `[judge.models.NAME]`.
//
// This one shows the model both responses and takes its probabilities of the letters A and B, in both orders. Put your own words into
// `question`.

import { Failure, Judge as Base, attribute } from "./slhf.js";

const question = (prompt, first, second) => `Which response to the prompt is better?

[Prompt]
${prompt}

[Response A]
${first}

[Response B]
${second}

Reply with the letter A or the letter B, and nothing else.`;

export class Judge extends Base {
  static pluginName = "{{NAME}}";
  static version = "0.1.0";
  static measures = "which response a language model says is better, asked in both orders";
  static complementary = true;

  compareAll(comparisons) {
    // Asked once, for the whole batch: a device and a server work on many questions side by side.
    const items = comparisons.flatMap(({ prompt, first, second, draw }) =>
      [[first.text, second.text], [second.text, first.text]].map(([one, other]) => ({
        context: [{ role: "user", content: question(prompt, one, other) }],
        continuations: ["A", "B"],
        draw,
      })),
    );
    const outcomes = this.models.choose(this.models.only(), items);
    return comparisons.map((_, at) => verdict(outcomes[2 * at], outcomes[2 * at + 1]));
  }
}

function verdict(straight, swapped) {
  const failure = [straight, swapped].find((outcome) => outcome instanceof Failure);
  if (failure) return failure;
  // In the other order the first response has the second letter.
  const [asGiven, inTheOtherOrder] = [straight.shares()[0], swapped.shares()[1]];
  // Exactly complementary in floating point, too.
  const probability = 0.5 + 0.5 * ((asGiven - 0.5) + (inTheOtherOrder - 0.5));
  const attributes = [attribute("as_given", asGiven), attribute("swapped", inTheOtherOrder)];
  return { probability: Math.min(Math.max(probability, 0), 1), attributes };
}
