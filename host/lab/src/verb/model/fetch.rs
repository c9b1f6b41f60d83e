//! `slhf-lab model fetch`.

use clap::Args;
use slhf_toolchain::Environment;

use crate::failure::Failure;
use crate::output;

/// Arguments of `model fetch`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// As an experiment's model.path names it
    #[arg(value_name = "NAME")]
    name: String,
}

/// Runs the verb: prints where the model lies.
pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let environment = Environment::of_process();
    slhf_toolchain::KnownModel::named(&arguments.name).map_err(Failure::bad_input)?;
    let mut say = |line: &str| output::say(output::visible(line));
    let path = slhf_toolchain::fetch_model(&environment, &arguments.name, &mut say).map_err(Failure::failed)?;
    output::print_text(&format!("{}\n", path.display()))
}
