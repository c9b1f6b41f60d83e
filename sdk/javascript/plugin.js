// What the component is made of: the lab's calls, handed to {{MODULE}}.js. There is nothing here to change.

import { Choice, Failure, Models, output } from "./slhf.js";
import { hostLog, hostModels, hostUpstream } from "./host.js";
import { {{CLASS}} as Logic } from "./{{MODULE}}.js";

output.write = (level, text) => hostLog.write(level, text);

let logic = null;

/** An error is logged before it ends the call: the lab then shows it. */
function loudly(call) {
  try {
    return call();
  } catch (error) {
    if (error instanceof Failure) throw { reason: error.message };
    const place = String(error?.stack ?? "").trim().split("\n")[0];
    hostLog.write("error", `${error} ${place}`);
    throw error;
  }
}

const outcome = (of) => (of instanceof Failure ? { tag: "err", val: { reason: of.message } } : { tag: "ok", val: of });
const ofHost = (result, of) => (result.tag === "err" ? new Failure(result.val.reason) : of(result.val));

/** Attributes may be left out. */
const withAttributes = (of) => (of instanceof Failure ? of : { attributes: [], ...of });

export const plugin = {
  describe: () =>
    loudly(() => {
      const schema = {
        type: "object",
        properties: Logic.parameters,
        additionalProperties: false,
        required: Object.keys(Logic.parameters).filter((name) => !("default" in Logic.parameters[name])),
      };
      if (Logic.requiredModels.length > 0) schema["x-models"] = Logic.requiredModels;
      return {
        name: Logic.pluginName,
        version: Logic.version,
        measures: Logic.measures,
        claims: { complementary: Logic.complementary, lengthSensitive: Logic.lengthSensitive },
        parametersSchema: JSON.stringify(schema),
      };
    }),
  configure: (parameters) =>
    loudly(() => {
      logic = new Logic(JSON.parse(parameters));
      logic.models = hostModels && new HostModels();
      logic.upstream = hostUpstream && upstream;
    }),
};

export const preference = {
  compare: (batch) => loudly(() => logic.compareAll(batch).map(withAttributes).map(outcome)),
};

export const reward = {
  score: (batch) => loudly(() => logic.scoreAll(batch).map(withAttributes).map(outcome)),
};

export const baseline = {
  estimate: (batch) => loudly(() => logic.estimate(batch)),
  // A component has no TextEncoder.
  save: () => loudly(() => Uint8Array.from(unescape(encodeURIComponent(logic.save())), (one) => one.charCodeAt(0))),
  restore: (state) => loudly(() => logic.restore(text(state))),
};

function text(bytes) {
  try {
    return decodeURIComponent(escape(Array.from(bytes, (one) => String.fromCharCode(one)).join("")));
  } catch {
    throw new Failure("the state is no text");
  }
}

/** Numbers are exact up to 2⁵³: of a draw beyond that its upper 53 bits are passed on. The largest ones come as negative numbers. */
function ofDraw(draw = 0) {
  const whole = draw < 0 ? draw + 2 ** 64 : draw;
  return Number.isSafeInteger(whole) ? whole : Math.min(Math.floor(whole / 2048), Number.MAX_SAFE_INTEGER);
}

const withDraw = (item) => ({ ...item, draw: ofDraw(item.draw) });

/** What the wrapped plugin says of a batch: a verdict or score, or a `Failure`, an item. */
function upstream(batch) {
  let outcomes;
  try {
    outcomes = (hostUpstream.compare ?? hostUpstream.score)(batch.map(withDraw));
  } catch (error) {
    throw typeof error?.reason === "string" ? new Failure(error.reason) : error;
  }
  return outcomes.map((result) => ofHost(result, (value) => value));
}

const ofContext = (context) =>
  typeof context === "string" ? { tag: "raw", val: context } : { tag: "conversation", val: context };

class HostModels extends Models {
  granted() {
    return hostModels.granted();
  }

  choose(model, items, frequencyOf = 0) {
    const questions = items.map(({ context, continuations, draw }) => ({
      context: ofContext(context),
      continuations,
      draw: ofDraw(draw),
    }));
    const evidence = frequencyOf > 0 ? { tag: "frequency-of", val: frequencyOf } : { tag: "log-probabilities" };
    const choice = ({ logProbabilities, sampled }) => new Choice(logProbabilities, sampled);
    return hostModels.choose(model, questions, evidence).map((result) => ofHost(result, choice));
  }

  complete(model, items, { maxNewTokens = 256, temperature = 0, topP = 1 } = {}) {
    const questions = items.map(({ context, draw }) => ({
      context: ofContext(context),
      maxNewTokens,
      temperature,
      topP,
      draw: ofDraw(draw),
    }));
    return hostModels.complete(model, questions).map((result) => ofHost(result, (value) => value));
  }

  score(model, conversations) {
    const values = (named) => Object.fromEntries(named.map(({ name, value }) => [name, value]));
    return hostModels.score(model, conversations).map((result) => ofHost(result, values));
  }

  embed(model, texts) {
    return hostModels.embed(model, texts).map((result) => ofHost(result, (value) => value));
  }
}
