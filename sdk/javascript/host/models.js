// What the lab lends a plugin that asks models: they, and a log.
export { default as hostLog } from "slhf:lab/log@0.1.1";
export { default as hostModels } from "slhf:lab/model@0.1.1";
export const hostUpstream = null;
