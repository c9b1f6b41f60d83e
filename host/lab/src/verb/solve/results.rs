//! Everything that is computed of one game.

use slhf_game::{NashSolution, SocialChoice, Solutions, maximal_lottery};

use super::bootstrap::{Bootstrap, Settings};
use super::groups::Welfare;
use super::input::Input;
use crate::failure::Failure;

/// The three concepts, the rules beside them, and what was asked for.
pub(super) struct Results {
    pub(super) solutions: Solutions,
    pub(super) rules: SocialChoice,
    /// Where the data have groups.
    pub(super) welfare: Option<Welfare>,
    /// Where it was asked for.
    pub(super) bootstrap: Option<Bootstrap>,
}

impl Results {
    pub(super) fn of(input: &Input, resampling: Option<Settings>) -> Result<Self, Failure> {
        let solutions = slhf_game::solve(&input.game);
        let rules = SocialChoice::with_lottery(input.game.preferences(), lottery(input, &solutions));
        let welfare = Welfare::of(input, &solutions, &rules)?;
        let bootstrap = resampling.map(|settings| Bootstrap::of(input, &solutions, &rules, settings)).transpose()?;
        Ok(Self { solutions, rules, welfare, bootstrap })
    }
}

/// NLHF's own policy where it is one already.
fn lottery(input: &Input, solutions: &Solutions) -> NashSolution {
    if input.game.temperatures().nash() == 0.0 {
        solutions.nash.clone()
    } else {
        maximal_lottery(input.game.preferences())
    }
}
