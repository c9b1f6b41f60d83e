//! Bounds that may be looked at after every value: by brute force, by simulation of those who stop when it suits them, and what stopping
//! saves. Draws are seeded, so that a run repeats itself.

mod bounds;
mod coverage;
mod fixed_size;
mod many;
mod savings;
mod seeds;
mod worlds;
