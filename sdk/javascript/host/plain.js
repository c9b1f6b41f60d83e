// What the lab lends a plugin that needs nothing: a log.
export { default as hostLog } from "slhf:lab/log@0.1.1";
export const hostModels = null;
export const hostUpstream = null;
