// What the lab lends a plugin that wraps a judge: that judge, and a log.
export { default as hostLog } from "slhf:lab/log@0.1.1";
export { default as hostUpstream } from "slhf:lab/upstream-preference@0.1.1";
export const hostModels = null;
