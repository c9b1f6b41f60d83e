//! `slhf-lab solve`: the exact solutions of a finite game, side by side.

mod arguments;
mod bootstrap;
mod concepts;
mod groups;
mod input;
mod results;
mod rules;
mod shown;

pub(crate) use arguments::Arguments;

use crate::failure::Failure;
use crate::output::{self, Format};
use input::Input;
use results::Results;

/// Runs the verb.
pub(crate) fn run(arguments: Arguments) -> Result<(), Failure> {
    let input = Input::read(&arguments)?;
    let results = Results::of(&input, arguments.resampling())?;
    match arguments.format {
        Format::Json => output::print_json(&shown::json_of(&input, &results)),
        format => shown::print(&input, &results, format),
    }
}
