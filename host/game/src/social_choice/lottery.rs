//! Maximal lotteries (Kreweras 1965; Fishburn 1984): NLHF at τ = 0.

use crate::game::{Game, Temperatures};
use crate::nash::{NashGame, NashSolution};
use crate::preference::PreferenceMatrix;

/// One maximal lottery of the matrix; [`NashSolution::uniqueness`] says whether there may be others.
pub fn maximal_lottery(preferences: &PreferenceMatrix) -> NashSolution {
    NashGame::of(&Game::with_uniform_references(preferences.clone(), Temperatures::default())).solve()
}
