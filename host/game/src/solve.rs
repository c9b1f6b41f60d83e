//! All three solution concepts on one game, side by side.

use crate::bradley_terry::{BradleyTerrySolution, Existence};
use crate::game::Game;
use crate::nash::{NashGame, NashSolution, Uniqueness};
use crate::note::Note;
use crate::preference::PreferenceMatrix;
use crate::stackelberg::StackelbergSolution;

/// What SLHF, NLHF and RLHF make of one game.
#[derive(Debug, Clone)]
pub struct Solutions {
    /// The action that beats every other strictly, both ways round.
    pub condorcet_winner: Option<usize>,
    /// SLHF, of the matrix as given.
    pub stackelberg: StackelbergSolution,
    /// NLHF, of `(P + 1 − Pᵀ)/2`.
    pub nash: NashSolution,
    /// RLHF, of `(P + 1 − Pᵀ)/2`, every pair weighted equally.
    pub bradley_terry: BradleyTerrySolution,
    /// What was symmetrised, tied or regularised.
    pub notes: Vec<Note>,
}

/// Solves the game; total on every valid game.
pub fn solve(game: &Game) -> Solutions {
    let stackelberg = StackelbergSolution::of(game);
    let nash = NashGame::of(game).solve();
    let bradley_terry = BradleyTerrySolution::of(game);
    let mut notes = Vec::new();
    let worst = game.preferences().worst_asymmetry();
    if worst.amount > PreferenceMatrix::COMPLEMENTARY_TOLERANCE {
        notes.push(Note::Symmetrised(worst));
    }
    if game.temperatures().leader() == 0.0 && stackelberg.leader_support().len() > 1 {
        notes.push(Note::LeaderTied(stackelberg.leader_support().to_vec()));
    }
    if !stackelberg.tied_rows().is_empty() {
        notes.push(Note::FollowerTied(stackelberg.tied_rows().to_vec()));
    }
    if nash.uniqueness == Uniqueness::MaybeNot {
        notes.push(Note::LotteryMayNotBeUnique);
    }
    if !nash.is_precise() {
        notes.push(Note::NashImprecise { residual: nash.residual, duality_gap: nash.duality_gap });
    }
    if bradley_terry.fit.existence == Existence::Regularised {
        notes.push(Note::VirtualWins);
    }
    Solutions { condorcet_winner: game.preferences().condorcet_winner(), stackelberg, nash, bradley_terry, notes }
}
