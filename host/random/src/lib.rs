//! Counter-based random numbers: what a run draws depends on its seed and on where it is, never on its neighbors, on the order of the
//! draws, or on whether it was resumed.
//!
//! [`Purpose`] and [`Stream`] say what a number is drawn for, [`Place`] and [`Row`] where in a run; there is no generator state to lose or to
//! save. [`SplitMix64`] is a sequence for resampling, where no place has a name.
//!
//! It never asks the system for randomness and never looks at a clock. Numbers of purposes are append-only: one that changed its meaning would
//! change every recorded run.
//!
//! Generator: Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011), keyed by the seed. Begin reading
//! with [`Purpose`].
//!
//! ```
//! use slhf_random::{Place, Purpose, uniforms};
//!
//! let at = |step| Place { purpose: Purpose::Pairs, step, round: 0 };
//! let drawn = uniforms(7, at(3), 0);
//! assert_eq!(drawn, uniforms(7, at(3), 0)); // the place decides, not what was drawn before
//! assert_ne!(drawn, uniforms(7, at(4), 0));
//! assert!(drawn.iter().all(|u| (0.0..1.0).contains(u)));
//! ```

mod binomial;
mod sequence;

pub use sequence::SplitMix64;

use serde::{Deserialize, Serialize};

/// What a number is drawn for. Append only: a number that changes its meaning changes every recorded run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[repr(u16)]
pub enum Purpose {
    /// Start logits of the Leader.
    LeaderLogits = 1,
    /// Start logits of the Follower.
    FollowerLogits = 2,
    /// The pairs (y, y′) of a sampled gradient.
    Pairs = 3,
    /// Tokens of completions sampled for training.
    TrainingTokens = 4,
    /// Tokens of completions sampled for an evaluation.
    EvaluationTokens = 5,
    /// Tokens of completions that a user asked for (`model generate`, `refine`).
    RequestedTokens = 6,
    /// The order of prompts.
    PromptOrder = 7,
    /// Which prompts are held out.
    PromptSplit = 8,
    /// Start weights of an adapter.
    AdapterWeights = 9,
    /// Seeds of libtorch's own generator, for dropout.
    Dropout = 10,
    /// The `draw` of a comparison.
    Draw = 11,
    /// The `draw` of an answer that a reward plugin scores.
    RewardDraw = 12,
    /// The `draw` of an answer that a measure scores in an evaluation.
    MeasureDraw = 13,
    /// Which of two responses is better that ratings do not tell apart.
    PreferenceTies = 14,
    /// Start weights of a reward model's head.
    HeadWeights = 15,
    /// Tokens of completions sampled for a certificate of the gaps.
    CertificateTokens = 16,
    /// The `draw` of a comparison for a certificate.
    CertificateDraw = 17,
    /// Seeds of the completions to one completion of the Leader's reference, for a certificate.
    CertificateSeeds = 18,
}

/// Where in a run a number is drawn.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// See [`Purpose`].
    pub purpose: Purpose,
    /// The step, below 2⁴⁸.
    pub step: u64,
    /// The update within the step.
    pub round: u32,
}

impl Place {
    fn counter(self, index: u32) -> [u32; 4] {
        let high = ((self.step >> 32) as u32) << 16 | self.purpose as u32;
        [index, self.step as u32, self.round, high]
    }
}

/// Two independent uniforms in [0, 1), with 53 random bits each.
pub fn uniforms(seed: u64, place: Place, index: u32) -> [f64; 2] {
    let [a, b, c, d] = philox4x32_10(place.counter(index), key(seed));
    [unit(a, b), unit(c, d)]
}

/// Fills `values` with independent standard normals (Box–Muller, on `libm`, so that the bits are the same everywhere).
pub fn fill_normal(seed: u64, place: Place, values: &mut [f64]) {
    for (index, pair) in values.chunks_mut(2).enumerate() {
        let [u, v] = uniforms(seed, place, index as u32);
        // 1 − u is in (0, 1]: its logarithm is finite.
        let radius = libm::sqrt(-2.0 * libm::log(1.0 - u));
        let angle = std::f64::consts::TAU * v;
        let normals = [radius * libm::cos(angle), radius * libm::sin(angle)];
        pair.copy_from_slice(&normals[..pair.len()]);
    }
}

/// Whose numbers those of a row are. The numbers are append-only: one that changes its meaning changes every recorded run.
///
/// A stream is told apart from the others of its purpose; two streams of different purposes may share a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Stream {
    /// Tokens of the Leader, or of the one policy; draws of what is compared and rewarded in training.
    Leader,
    /// Tokens of the Follower that improves the Leader's completions.
    Follower,
    /// Tokens of the reference that policies are compared with in evaluations: the same in all cells.
    SharedReference,
    /// Tokens of the opponent of training, a mixture of policy and reference.
    Opponent,
    /// Tokens of the reference's completions that a reward model is fit to.
    RewardModelReference,
    /// Tokens of the Follower that improves the reference's completions.
    FollowerOfReference,
    /// Tokens of the reference as a method that trains nothing uses it: not those that it is compared with.
    OwnReference,
    /// Draws of the pairs that a reward model is fit to.
    RewardModelPairs,
    /// Tokens of the Follower's reference as a certificate samples it.
    FollowersReference,
    /// Tokens of another model; each is a sample.
    OtherModel,
    /// Tokens of the Follower of others' completions; each of the others is a sample.
    FollowerOfOthers,
    /// Draws of `slhf-lab evaluate`.
    LaterEvaluation,
    /// Draws by which a best of N is chosen.
    BestOfN,
    /// Draws of a contest of an evaluation, by its number: contests beyond the eighth differ in their round.
    Contest(u8),
}

impl Stream {
    const fn number(self) -> u8 {
        match self {
            Self::Leader => 0,
            Self::Follower => 1,
            Self::SharedReference | Self::Opponent | Self::RewardModelReference | Self::FollowersReference => 2,
            Self::FollowerOfReference => 3,
            Self::OwnReference => 4,
            Self::OtherModel | Self::RewardModelPairs => 5,
            Self::FollowerOfOthers | Self::LaterEvaluation => 6,
            Self::BestOfN => 7,
            Self::Contest(number) => 8 + number % 8,
        }
    }
}

/// Which row of tokens a number is drawn for. Its stream depends on nothing else: not on the other rows of its batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Row {
    /// See [`Purpose`]: `TrainingTokens`, `EvaluationTokens`, `RequestedTokens`, `Draw`, `RewardDraw`, `MeasureDraw`, or one of the certificate's.
    pub purpose: Purpose,
    /// The prompt's number in its data.
    pub prompt: u32,
    /// The training step; in evaluations the cell's stream, where it has one; 0 otherwise.
    pub step: u32,
    /// Whose numbers they are.
    pub stream: Stream,
    /// Round of refinement (or update within a step), below 256.
    pub round: u8,
    /// Sample of the same prompt, below 4096.
    pub sample: u16,
}

impl Row {
    /// The uniform in [0, 1) that chooses the token at `position` (counted from the first token of the answer).
    pub fn uniform(self, seed: u64, position: u32) -> f64 {
        debug_assert!(self.sample < 4096, "{self:?} would share the numbers of another row");
        let packed = (self.purpose as u32) << 24
            | u32::from(self.stream.number()) << 20
            | u32::from(self.round) << 12
            | u32::from(self.sample & 0xFFF);
        let [a, b, ..] = philox4x32_10([position, self.prompt, self.step, packed], key(seed));
        unit(a, b)
    }

    /// 53 random bits: what a judge or a reward plugin is given as its draw. `index` tells the draws of one row apart.
    pub fn draw(self, seed: u64, index: u32) -> u64 {
        (self.uniform(seed, index) * (1_u64 << 53) as f64) as u64
    }
}

fn key(seed: u64) -> [u32; 2] {
    [seed as u32, (seed >> 32) as u32]
}

/// 53 bits of a pair of words as a number in [0, 1).
fn unit(low: u32, high: u32) -> f64 {
    ((u64::from(high) << 32 | u64::from(low)) >> 11) as f64 * (1.0 / (1_u64 << 53) as f64)
}

fn philox4x32_10(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    const MULTIPLIERS: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
    const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];
    for round in 0..10 {
        if round > 0 {
            key = [key[0].wrapping_add(WEYL[0]), key[1].wrapping_add(WEYL[1])];
        }
        let first = u64::from(MULTIPLIERS[0]) * u64::from(counter[0]);
        let second = u64::from(MULTIPLIERS[1]) * u64::from(counter[2]);
        counter = [
            (second >> 32) as u32 ^ counter[1] ^ key[0],
            second as u32,
            (first >> 32) as u32 ^ counter[3] ^ key[1],
            first as u32,
        ];
    }
    counter
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The known-answer tests of the authors' Random123 library.
    #[test]
    fn philox_gives_the_known_answers() {
        let check = |counter, key, expected| assert_eq!(philox4x32_10(counter, key), expected);
        check([0; 4], [0; 2], [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        check([u32::MAX; 4], [u32::MAX; 2], [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]);
        check(
            [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
            [0xa409_3822, 0x299f_31d0],
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1],
        );
    }

    fn place(purpose: Purpose, step: u64, round: u32) -> Place {
        Place { purpose, step, round }
    }

    #[test]
    fn every_part_of_a_row_changes_its_stream() {
        let row =
            Row { purpose: Purpose::TrainingTokens, prompt: 3, step: 4, stream: Stream::Leader, round: 0, sample: 0 };
        let rows = [
            row,
            Row { purpose: Purpose::EvaluationTokens, ..row },
            Row { prompt: 4, ..row },
            Row { step: 5, ..row },
            Row { stream: Stream::Follower, ..row },
            Row { round: 1, ..row },
            Row { sample: 1, ..row },
        ];
        let mut draws: Vec<f64> = rows.iter().map(|row| row.uniform(1, 0)).collect();
        draws.extend([row.uniform(2, 0), row.uniform(1 << 40, 0), row.uniform(1, 1)]);
        for (i, first) in draws.iter().enumerate() {
            assert!((0.0..1.0).contains(first));
            assert!(draws[..i].iter().all(|second| second != first), "draw {i} repeats another");
        }
    }

    /// Streams that one purpose draws from, and that a row tells apart by nothing else.
    #[test]
    fn the_streams_of_a_purpose_are_told_apart() {
        use Stream::{
            BestOfN, Contest, Follower, FollowerOfOthers, FollowerOfReference, FollowersReference, LaterEvaluation,
            Leader, Opponent, OtherModel, OwnReference, RewardModelPairs, SharedReference,
        };
        let tokens =
            [Leader, Follower, SharedReference, FollowerOfReference, OwnReference, OtherModel, FollowerOfOthers];
        let mut draws = vec![Leader, RewardModelPairs, LaterEvaluation, BestOfN];
        draws.extend((0..8).map(Contest));
        let of_certificates = [Leader, Follower, FollowersReference, OwnReference];
        for streams in [&tokens[..], &draws[..], &[Leader, Follower, Opponent], &of_certificates] {
            let mut numbers: Vec<u8> = streams.iter().map(|stream| stream.number()).collect();
            assert!(numbers.iter().all(|number| *number < 16));
            numbers.sort_unstable();
            numbers.dedup();
            assert_eq!(numbers.len(), streams.len(), "{streams:?}");
        }
    }

    /// What every recorded run was drawn with.
    #[test]
    fn numbers_of_streams_never_change() {
        let numbers = [
            Stream::Leader,
            Stream::Follower,
            Stream::SharedReference,
            Stream::FollowerOfReference,
            Stream::OwnReference,
            Stream::OtherModel,
            Stream::FollowerOfOthers,
            Stream::BestOfN,
            Stream::Contest(0),
            Stream::Contest(9),
        ]
        .map(Stream::number);
        assert_eq!(numbers, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
        let shared = [
            Stream::Opponent,
            Stream::RewardModelReference,
            Stream::RewardModelPairs,
            Stream::LaterEvaluation,
            Stream::FollowersReference,
        ];
        assert_eq!(shared.map(Stream::number), [2, 2, 5, 6, 2]);
    }

    #[test]
    fn every_part_of_the_place_changes_the_draw() {
        let draws = [
            uniforms(1, place(Purpose::Pairs, 5, 0), 0),
            uniforms(2, place(Purpose::Pairs, 5, 0), 0),
            uniforms(1 << 40, place(Purpose::Pairs, 5, 0), 0),
            uniforms(1, place(Purpose::LeaderLogits, 5, 0), 0),
            uniforms(1, place(Purpose::Pairs, 6, 0), 0),
            uniforms(1, place(Purpose::Pairs, 5 + (1 << 33), 0), 0),
            uniforms(1, place(Purpose::Pairs, 5, 1), 0),
            uniforms(1, place(Purpose::Pairs, 5, 0), 1),
        ];
        for (i, first) in draws.iter().enumerate() {
            assert!(first.iter().all(|u| (0.0..1.0).contains(u)));
            assert!(draws[..i].iter().all(|second| second != first), "draw {i} repeats another");
        }
    }

    #[test]
    fn normals_have_mean_zero_and_variance_one_and_a_prefix_is_a_prefix() {
        let mut values = vec![0.0; 100_001];
        fill_normal(7, place(Purpose::LeaderLogits, 0, 0), &mut values);
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let variance = values.iter().map(|z| (z - mean).powi(2)).sum::<f64>() / values.len() as f64;
        // Standard errors: 0.0032 and 0.0045.
        assert!(mean.abs() < 0.013, "{mean}");
        assert!((variance - 1.0).abs() < 0.018, "{variance}");
        let mut prefix = vec![0.0; 3];
        fill_normal(7, place(Purpose::LeaderLogits, 0, 0), &mut prefix);
        assert_eq!(prefix, values[..3]);
    }
}
