//! Panels: one sample of them, and their mean.

use slhf_sdk::{Comparison, Response, draw};

/// How many of a panel's annotators vote for the first response, each with probability `q`.
///
/// Asked the other way round with 1 − q the same people give their complement: luck belongs to the unordered pair.
pub(crate) fn votes_for_first(comparison: &Comparison, q: f64, annotators: u32, seed: u64) -> u32 {
    let (first, second) = (fingerprint(&comparison.first), fingerprint(&comparison.second));
    let luck = [comparison.draw, seed, first.min(second), first.max(second)]
        .into_iter()
        .fold(text(OFFSET, &comparison.prompt), |luck, part| mixed(luck ^ part));
    // The vote is drawn for the response with the smaller fingerprint, whichever comes first.
    let straight = first <= second;
    let q = if straight { q } else { 1.0 - q };
    let votes = (0..annotators).filter(|annotator| draw::uniform(luck, u64::from(*annotator)) < q).count() as u32;
    if straight { votes } else { annotators - votes }
}

/// P(more than half of `annotators` vote 1) + ½ · P(exactly half), every vote being 1 with probability `q`.
pub(crate) fn majority_probability(q: f64, annotators: u32) -> f64 {
    if q > 0.5 {
        // Summed for the smaller side only, so that the two sides are complementary to the last bit.
        return 1.0 - majority_probability(1.0 - q, annotators);
    }
    if q == 0.0 {
        return 0.0;
    }
    // Terms of the binomial from k = 0 on, in logarithms: (1 − q)^1000 may be below the smallest f64.
    let n = f64::from(annotators);
    let odds = q.ln() - (-q).ln_1p();
    let mut term = n * (-q).ln_1p();
    let mut sum = 0.0;
    for k in 0..=annotators {
        if 2 * k > annotators {
            sum += term.exp();
        } else if 2 * k == annotators {
            sum += 0.5 * term.exp();
        }
        term += ((n - f64::from(k)) / (f64::from(k) + 1.0)).ln() + odds;
    }
    sum.clamp(0.0, 0.5)
}

fn fingerprint(response: &Response) -> u64 {
    text(text(OFFSET, &response.text), &response.metadata)
}

const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0100_0000_01b3;

/// FNV-1a, 64 bits, with the text's end marked: "ab", "c" is not "a", "bc".
fn text(hash: u64, text: &str) -> u64 {
    text.bytes().map(u64::from).chain([256]).fold(hash, |hash, byte| (hash ^ byte).wrapping_mul(PRIME))
}

/// Spreads every bit over the word, so that parts which are combined one after another cannot cancel.
fn mixed(hash: u64) -> u64 {
    let hash = (hash ^ (hash >> 32)).wrapping_mul(PRIME | 0x9e37_0000_0000_0000);
    hash ^ (hash >> 29)
}
