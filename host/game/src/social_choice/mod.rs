//! Rules of social choice on one preference matrix, beside the three solution concepts.
//!
//! Every rule sees `(P + 1 − Pᵀ)/2` alone, through the margins `m(i, j) = (P[i][j] − P[j][i])/2`; temperatures and references play
//! no part. `i` beats `j` where `m(i, j) > 1e-12` ([`crate::TIE_TOLERANCE`]); what is nearer is a tie. Each rule is a file.

mod borda;
mod copeland;
mod kemeny;
mod lottery;
mod majority;
mod schulze;
mod scores;
mod smith;
mod uncovered;

pub use kemeny::{Kemeny, TooManyActions};
pub use lottery::maximal_lottery;
pub use schulze::Schulze;
pub use scores::Scores;

use crate::nash::NashSolution;
use crate::preference::PreferenceMatrix;
use majority::Majority;

/// What each rule makes of one matrix.
#[derive(Debug, Clone)]
pub struct SocialChoice {
    /// Mean win probability against the other actions; in [0, 1].
    pub borda: Scores,
    /// Actions beaten, and half of those tied with; 0 to n − 1.
    pub copeland: Scores,
    /// The rankings that disagree least with the preferences; refused above [`Kemeny::ACTIONS_MAX`] actions.
    pub kemeny: Result<Kemeny, TooManyActions>,
    /// Strongest paths of majorities.
    pub schulze: Schulze,
    /// The smallest set whose every member beats every action outside, ascending.
    pub smith: Vec<usize>,
    /// The actions that no other covers, ascending; part of the Smith set.
    pub uncovered: Vec<usize>,
    /// NLHF's policy at τ = 0; its support is part of the Smith set.
    pub lottery: NashSolution,
}

impl SocialChoice {
    /// Applies every rule. Cubic in the actions (Schulze), beside the linear program of the lottery.
    pub fn of(preferences: &PreferenceMatrix) -> Self {
        Self::with_lottery(preferences, maximal_lottery(preferences))
    }

    /// The same with a maximal lottery that was found already: [`crate::NashGame::solve`] at τ = 0.
    pub fn with_lottery(preferences: &PreferenceMatrix, lottery: NashSolution) -> Self {
        let majority = Majority::of(preferences);
        let copeland = copeland::scores(&majority);
        Self {
            borda: borda::scores(&majority),
            kemeny: Kemeny::of(&majority),
            schulze: Schulze::of(&majority),
            smith: smith::set(&majority, &copeland),
            uncovered: uncovered::set(&majority),
            copeland,
            lottery,
        }
    }
}
