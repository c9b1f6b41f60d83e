//! `solve --bootstrap`: the game solved again on data that were drawn again. Is this cycle real?

#[cfg(test)]
mod coverage;
mod settings;
mod shown;
mod solved_again;

pub(super) use settings::Settings;
pub(super) use shown::{answer, cells, columns, json_of, pair_table};
pub(super) use solved_again::Bootstrap;
