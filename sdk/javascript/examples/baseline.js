// A control variate: what reward to expect.
//
// This one is the mean of all rewards of earlier batches, one an agent. Put your own expectation into `estimate`.

import { Baseline as Base, Failure } from "./slhf.js";

export class Baseline extends Base {
  static pluginName = "{{NAME}}";
  static version = "0.1.0";
  static measures = "the mean reward of earlier batches, for each agent";

  seen = { leader: [0, 0], follower: [0, 0] };

  estimate(samples) {
    // A sample's own batch is left out, and with it its own reward.
    const estimates = samples.map(({ role }) => this.mean(role));
    for (const { role, reward } of samples) {
      this.seen[role][0] += reward;
      this.seen[role][1] += 1;
    }
    return estimates;
  }

  mean(role) {
    const [total, count] = this.seen[role];
    return count > 0 ? total / count : 0;
  }

  save() {
    return JSON.stringify(this.seen);
  }

  restore(state) {
    try {
      const { leader, follower } = JSON.parse(state);
      const isPair = (of) => of.length === 2 && of.every(Number.isFinite);
      if (!isPair(leader) || !isPair(follower)) throw new Error("it has other values");
      this.seen = { leader, follower };
    } catch (error) {
      throw new Failure(`the state is not one of this plugin: ${error}`);
    }
  }
}
