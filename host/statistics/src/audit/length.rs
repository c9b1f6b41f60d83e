//! What length gains.

use super::jackknife;
use super::prompt::AuditedPrompt;
use crate::ratio::{Estimate, ratio_of_sums};

/// Groups of pairs of about as many pairs each.
const GROUPS: usize = 5;

/// How the win goes with the difference in length.
#[derive(Debug, Clone, PartialEq)]
pub struct LengthBias {
    /// What one unit of length more gains: the regression of win − ½ on the difference through the origin, since a pair has no direction.
    pub gain: Estimate,
    /// Pairs of two lengths in the order of the difference, in groups of about as many.
    pub groups: Vec<LengthGroup>,
}

/// Pairs that differ by about as much.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LengthGroup {
    /// The smallest difference.
    pub low: f64,
    /// The largest.
    pub high: f64,
    /// How many.
    pub pairs: usize,
    /// Win rate of the longer response.
    pub longer_wins: Estimate,
}

/// A pair with the longer response first.
struct Turned {
    prompt: usize,
    longer: f64,
    margin: f64,
}

impl LengthBias {
    /// `None` where no two lengths differ.
    pub(super) fn of(prompts: &[AuditedPrompt]) -> Option<Self> {
        let gain = jackknife::ratio(prompts.iter().map(|prompt| {
            let mut sums = [0.0; 2];
            for pair in prompt.pairs() {
                let longer = prompt.longer(pair);
                sums[0] += longer * pair.margin();
                sums[1] += longer * longer;
            }
            sums
        }))?;
        let mut pairs: Vec<Turned> = Vec::new();
        for (place, prompt) in prompts.iter().enumerate() {
            for pair in prompt.pairs() {
                let longer = prompt.longer(pair);
                if longer != 0.0 {
                    let margin = pair.margin() * longer.signum();
                    pairs.push(Turned { prompt: place, longer: longer.abs(), margin });
                }
            }
        }
        pairs.sort_by(|one, other| one.longer.total_cmp(&other.longer));
        let many = GROUPS.min(pairs.len());
        let of = |group: usize| &pairs[group * pairs.len() / many..(group + 1) * pairs.len() / many];
        let groups = (0..many).filter_map(|group| LengthGroup::of(of(group), prompts.len())).collect();
        Some(Self { gain, groups })
    }
}

impl LengthGroup {
    fn of(pairs: &[Turned], prompts: usize) -> Option<Self> {
        let mut clusters = vec![(0.0, 0.0); prompts];
        for pair in pairs {
            let cluster = &mut clusters[pair.prompt];
            cluster.0 += 0.5 + pair.margin;
            cluster.1 += 1.0;
        }
        clusters.retain(|(_, pairs)| *pairs > 0.0);
        let (low, high) = (pairs.first()?.longer, pairs.last()?.longer);
        Some(Self { low, high, pairs: pairs.len(), longer_wins: ratio_of_sums(&clusters)? })
    }
}
