// What a plugin of slhf-lab is written with, in JavaScript.
//
// A plugin is a plain class: its tests run in Node.js, with no WebAssembly involved. Inside a component `plugin.js` hands it the lab's
// calls.
//
// What cannot be judged throws a `Failure`: an outcome of its own, never a number. Any other error ends the run with its text.
// There is no machine inside a component: no files, network, clock, environment or console: `log` writes a line. `Math.random` gives
// the same numbers each time: the only randomness of a plugin is `draw`, of whose 64 bits a number keeps the upper 53.

/** One sentence: what is wrong, with what. */
export class Failure extends Error {}

const response = (of) =>
  typeof of === "string" ? { text: of, finished: true, tokenCount: 0, metadata: "{}" } : of;

/** Two responses to be compared, as a test writes them: texts, or responses in full. */
export const comparison = (prompt, first, second, rest = {}) =>
  ({ prompt, messages: [], metadata: "{}", first: response(first), second: response(second), draw: 0, ...rest });

/** One response to be scored. */
export const candidate = (prompt, of, rest = {}) =>
  ({ prompt, messages: [], metadata: "{}", response: response(of), draw: 0, ...rest });

/** A criterion's vote, with a reason in words: why, not only what. */
export const attribute = (name, value, reason = "") => ({ name, value, reason });

/**
 * The conversation that ends with a response, of a comparison; of a candidate, with its own: what a reward model is asked about. A
 * prompt that is plain text is one turn of the user's.
 */
export const conversation = (item, of = item.response) => {
  const turns = item.messages.length > 0 ? item.messages : [{ role: "user", content: item.prompt }];
  return [...turns, { role: "assistant", content: of.text }];
};

/** Where `log` writes; inside a component the run's log. */
export const output = { write: (level, text) => console.error(`${level}: ${text}`) };

/** A line in the run's log; `level` is `debug`, `info`, `warn` or `error`. */
export const log = (text, level = "info") => output.write(level, text);

/** What every plugin says of itself. */
export class Plugin {
  static pluginName = "";
  static version = "";
  static measures = "";
  static complementary = false;
  static lengthSensitive = false;
  /** JSON Schema of each parameter. Parameters come as the one argument of the constructor, an object. */
  static parameters = {};
  /** Names of the models that it cannot do without. */
  static requiredModels = [];
  /** The granted models, where it asks some. */
  models = null;
  /** The wrapped judge or reward model, where it wraps one. */
  upstream = null;
}

const one = (call) => {
  try {
    return call();
  } catch (error) {
    if (error instanceof Failure) return error;
    throw error;
  }
};

/**
 * A judge. Write `compare`, or `compareAll` where a whole batch is better: it returns a verdict `{ probability, attributes }` or a
 * `Failure` an item, in order, and no item may depend on the others.
 */
export class Judge extends Plugin {
  compareAll(comparisons) {
    return comparisons.map((comparison) => one(() => this.compare(comparison)));
  }
}

/** A reward model. Write `score`, or `scoreAll`: a score `{ value, attributes }` or a `Failure` an item, in order. */
export class Reward extends Plugin {
  scoreAll(candidates) {
    return candidates.map((candidate) => one(() => this.score(candidate)));
  }
}

/**
 * A control variate. Alone among plugins it keeps a state from batch to batch. Write `estimate(samples)`: a finite baseline a sample,
 * in order, which must not depend on that sample's own reward; `save()`: the whole state as text; `restore(text)`.
 */
export class Baseline extends Plugin {}

/** The log-probability of each continuation, in nats; `sampled` answers where these are frequencies, else 0. */
export class Choice {
  constructor(logProbabilities, sampled = 0) {
    this.logProbabilities = logProbabilities;
    this.sampled = sampled;
  }

  /** Each continuation's share of what all of them have together. */
  shares() {
    const largest = Math.max(...this.logProbabilities);
    const weights = this.logProbabilities.map((value) => Math.exp(value - largest));
    const sum = weights.reduce((one, other) => one + other, 0);
    return weights.map((weight) => weight / sum);
  }
}

/**
 * The granted models. Ask once, for the whole batch. Each outcome is what was asked for or a `Failure`, in order. A context is a list
 * of messages, or a text that is taken as it is.
 *
 * - `granted()`: names, in alphabetical order.
 * - `choose(model, items, frequencyOf = 0)`: `items` are `{ context, continuations, draw }`; outcomes are `Choice`s. With
 *   `frequencyOf`, so many sampled answers do where a model has no log-probabilities.
 * - `complete(model, items, { maxNewTokens, temperature, topP })`: `items` are `{ context, draw }`; outcomes are
 *   `{ text, finished, tokenCount }`.
 * - `score(model, conversations)`: conversations that end with a response; outcomes are objects of the head's named values.
 * - `embed(model, texts)`: outcomes are `{ vector, pooling }`.
 */
export class Models {
  /** The one model that was granted, for a plugin that needs one and leaves its name to the experiment. */
  only() {
    const names = this.granted();
    if (names.length !== 1) {
      throw new Failure(`this plugin asks one model, and ${names.length} were granted: see [judge.models.NAME]`);
    }
    return names[0];
  }
}
