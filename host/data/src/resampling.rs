//! The bootstrap's draws: the same data once more, with replacement.
//!
//! Where the file holds orders, ballots are drawn: what one voter says of several pairs stays together. Where it holds counts, each
//! pair's comparisons are drawn by themselves (wins, losses and known ties are multinomial), so that every pair keeps its number of
//! comparisons. Weighted groups are drawn one by one and mixed by the same weights.

use slhf_random::SplitMix64;

use crate::ballot::Ballot;
use crate::group::{CountedGroup, GroupWeights};
use crate::preference_data::Counted;
use crate::tally::Tally;

/// Most comparisons of a pair, and most voters, that are drawn.
const DRAWN_MAX: f64 = 1e9;

/// How far from a whole number a sum of counts may be.
const WHOLE_TOLERANCE: f64 = 1e-6;

/// What is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Voters with their whole order.
    Ballots(u64),
    /// Comparisons, of each pair by itself.
    Comparisons(u64),
}

/// Draws the data again.
#[derive(Clone, Debug)]
pub struct Resampler {
    actions: usize,
    unit: Unit,
    source: Source,
}

#[derive(Clone, Debug)]
enum Source {
    Ballots(Vec<Ballot>),
    Counts(Vec<Pair>),
    Groups(Vec<Vec<Pair>>, GroupWeights),
}

/// A pair that was compared.
#[derive(Clone, Copy, Debug)]
struct Pair {
    first: usize,
    second: usize,
    comparisons: u64,
    /// Of these, the share of ties.
    ties: f64,
    /// Of what is no tie, the share that the first won.
    wins: f64,
}

/// Why data cannot be drawn again.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ResamplingError {
    /// A part of a comparison.
    #[error(
        "{first} and {second} were compared {comparisons} times, which is no whole number (weights?); \
         a bootstrap draws whole comparisons"
    )]
    NotWhole {
        /// An action.
        first: String,
        /// Another one.
        second: String,
        /// How often they were compared.
        comparisons: f64,
    },
    /// One of these, in a group.
    #[error("in the group \"{group}\" {error}")]
    InGroup {
        /// Whose counts they are.
        group: String,
        /// What is wrong with them.
        error: Box<ResamplingError>,
    },
    /// More than are drawn.
    #[error("{what} {number} times; a bootstrap draws at most {DRAWN_MAX}, and says nothing about so many")]
    TooMany {
        /// What is too often there.
        what: String,
        /// How often.
        number: f64,
    },
}

impl Resampler {
    /// Of everything that was counted; with `weights`, of each group by itself.
    pub fn new(counted: &Counted, weights: Option<&GroupWeights>, actions: &[String]) -> Result<Self, ResamplingError> {
        let n = actions.len();
        if let Some(weights) = weights {
            let pairs = |group: &CountedGroup| {
                pairs_of(&group.tally, actions)
                    .map_err(|error| ResamplingError::InGroup { group: group.name.clone(), error: Box::new(error) })
            };
            let (groups, weights) = weights.counting(&counted.groups);
            let groups = groups.into_iter().map(pairs).collect::<Result<Vec<_>, ResamplingError>>()?;
            let comparisons = groups.iter().flatten().map(|pair| pair.comparisons).sum();
            let source = Source::Groups(groups, weights);
            return Ok(Self { actions: n, unit: Unit::Comparisons(comparisons), source });
        }
        if counted.ballots.is_empty() {
            let pairs = pairs_of(&counted.tally, actions)?;
            let comparisons = pairs.iter().map(|pair| pair.comparisons).sum();
            return Ok(Self { actions: n, unit: Unit::Comparisons(comparisons), source: Source::Counts(pairs) });
        }
        let voters: f64 = counted.ballots.iter().map(|ballot| ballot.voters as f64).sum();
        if voters > DRAWN_MAX {
            return Err(ResamplingError::TooMany { what: "voters voted".to_owned(), number: voters });
        }
        let source = Source::Ballots(counted.ballots.clone());
        Ok(Self { actions: n, unit: Unit::Ballots(voters as u64), source })
    }

    /// What is drawn, and how many.
    pub fn unit(&self) -> Unit {
        self.unit
    }

    /// The preference matrix of one resample. A pair that was never compared is 0.5, in ballots also one that no drawn ballot compares.
    pub fn draw(&self, random: &mut SplitMix64) -> Vec<Vec<f64>> {
        match &self.source {
            Source::Ballots(ballots) => self.drawn_ballots(ballots, random),
            Source::Counts(pairs) => self.drawn_pairs(pairs, random),
            Source::Groups(groups, weights) => {
                let matrices: Vec<_> = groups.iter().map(|pairs| self.drawn_pairs(pairs, random)).collect();
                weights.mixed(&matrices)
            }
        }
    }

    /// A multinomial draw over the orders, one binomial after the other.
    fn drawn_ballots(&self, ballots: &[Ballot], random: &mut SplitMix64) -> Vec<Vec<f64>> {
        let mut tally = Tally::new(self.actions);
        let mut voters: u64 = ballots.iter().map(|ballot| ballot.voters).sum();
        let mut left = voters;
        for ballot in ballots.iter().filter(|ballot| ballot.voters > 0) {
            let drawn = random.binomial(left, ballot.voters as f64 / voters as f64);
            ballot.count(drawn, &mut tally);
            voters -= ballot.voters;
            left -= drawn;
        }
        tally.preferences()
    }

    fn drawn_pairs(&self, pairs: &[Pair], random: &mut SplitMix64) -> Vec<Vec<f64>> {
        let mut preferences = vec![vec![0.5; self.actions]; self.actions];
        for pair in pairs {
            let ties = random.binomial(pair.comparisons, pair.ties);
            let wins = random.binomial(pair.comparisons - ties, pair.wins);
            let probability = (wins as f64 + ties as f64 / 2.0) / pair.comparisons as f64;
            preferences[pair.first][pair.second] = probability;
            preferences[pair.second][pair.first] = 1.0 - probability;
        }
        preferences
    }
}

/// Every pair that was compared.
fn pairs_of(tally: &Tally, actions: &[String]) -> Result<Vec<Pair>, ResamplingError> {
    let n = actions.len();
    let mut pairs = Vec::new();
    for (first, second) in (0..n).flat_map(|i| (i + 1..n).map(move |j| (i, j))) {
        let (won, lost) = (tally.wins[first][second], tally.wins[second][first]);
        let comparisons = won + lost;
        if comparisons > 0.0 {
            let whole = whole(comparisons, (&actions[first], &actions[second]))?;
            let ties = tally.ties(first, second).min(comparisons);
            let decided = comparisons - ties;
            let wins = if decided > 0.0 { ((won - ties / 2.0) / decided).clamp(0.0, 1.0) } else { 0.5 };
            pairs.push(Pair { first, second, comparisons: whole, ties: ties / comparisons, wins });
        }
    }
    Ok(pairs)
}

fn whole(comparisons: f64, (first, second): (&str, &str)) -> Result<u64, ResamplingError> {
    if comparisons > DRAWN_MAX {
        let what = format!("{first} and {second} were compared");
        return Err(ResamplingError::TooMany { what, number: comparisons });
    }
    if (comparisons - comparisons.round()).abs() > WHOLE_TOLERANCE || comparisons.round() < 1.0 {
        return Err(ResamplingError::NotWhole { first: first.to_owned(), second: second.to_owned(), comparisons });
    }
    Ok(comparisons.round() as u64)
}
