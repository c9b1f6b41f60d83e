//! Finite preference games: closed forms, solvers, gaps.
//!
//! A [`Game`] is a preference matrix, two reference policies and four temperatures, checked when it
//! is made; every function on it is total. [`solve`] gives its Stackelberg (SLHF), Nash (NLHF) and
//! Bradley–Terry (RLHF) solutions; [`StackelbergSolution::gaps`] and [`NashGame::duality_gap`] measure how
//! far a learned policy is from them; [`SocialChoice`] is what rules of social choice make of the matrix. Probabilities are
//! dimensionless, divergences in nats, temperatures in preference per nat.
//!
//! Invariant: this crate imports nothing of the project, does no IO, and knows no tensor. It never learns: it says what learning should
//! arrive at.
//!
//! Begin reading with `game.rs`; each equilibrium is a file: `stackelberg.rs`, `nash/mod.rs`, `bradley_terry.rs`; each rule of social
//! choice one of `social_choice/`.
//!
//! ```
//! use slhf_game::{Game, PreferenceMatrix, Temperatures, TemperatureValues, solve};
//!
//! // Rock beats scissors, scissors beat paper, paper beats rock: nine times of ten.
//! let cycle = PreferenceMatrix::from_rows(&[[0.5, 0.9, 0.1], [0.1, 0.5, 0.9], [0.9, 0.1, 0.5]])?;
//! let temperatures = Temperatures::new(TemperatureValues { nash: 0.1, ..Default::default() })?;
//! let solutions = solve(&Game::with_uniform_references(cycle, temperatures));
//! assert_eq!(solutions.condorcet_winner, None);
//! assert_eq!(solutions.stackelberg.objective(), 0.1); // whoever commits is answered
//! assert!(solutions.nash.policy.iter().all(|p| (p - 1.0 / 3.0).abs() < 1e-12));
//! # Ok::<(), slhf_game::GameError>(())
//! ```

mod bradley_terry;
mod condorcet;
mod error;
mod game;
mod gaps;
mod held;
mod linear;
mod nash;
mod note;
mod numeric;
mod on_policy;
mod preference;
mod reference;
mod social_choice;
mod soft_choice;
mod solve;
mod stackelberg;
mod win_rate;

pub use bradley_terry::{BradleyTerryFit, BradleyTerrySolution, Existence, PairWeights, VIRTUAL_WINS};
pub use error::{GameError, Part};
pub use game::{Game, TemperatureValues, Temperatures};
pub use gaps::StackelbergGaps;
pub use held::Divergence;
pub use nash::{MixtureCoefficient, MixtureFixedPoint, NashGame, NashSolution, Uniqueness};
pub use note::Note;
pub use numeric::{TIE_TOLERANCE, divergence, exponentials, total_variation};
pub use on_policy::OnPolicyFit;
pub use preference::{Asymmetry, PreferenceMatrix};
pub use reference::{Distribution, FollowerReference, SUM_TOLERANCE};
pub use social_choice::{Kemeny, Schulze, Scores, SocialChoice, TooManyActions, maximal_lottery};
pub use solve::{Solutions, solve};
pub use stackelberg::{Held, StackelbergSolution};
