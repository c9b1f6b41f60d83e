//! `slhf-lab model fetch`.

use clap::Args;
use slhf_toolchain::{Consent, Environment, KnownModel};

use crate::failure::Failure;
use crate::output;

/// Arguments of `model fetch`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// As an experiment's model.path names it
    #[arg(value_name = "NAME")]
    name: String,
    /// I accept the terms that the model comes under, which are shown without this option
    #[arg(long)]
    accept_terms: bool,
}

/// Runs the verb: prints where the model lies. Terms that were not accepted yet are printed in its place.
pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let environment = Environment::of_process();
    let model = KnownModel::named(&arguments.name).map_err(Failure::bad_input)?;
    let mut say = |line: &str| output::say(output::visible(line));
    let is_here = model.find(&environment).map_err(Failure::failed)?.is_some();
    if let Some(terms) = model.terms.as_ref().filter(|_| !is_here && !arguments.accept_terms) {
        let text = terms.text(&environment, &mut say).map_err(Failure::failed)?;
        let shown: Vec<String> = text.lines().map(output::visible).collect();
        output::print_text(&format!("{}\n", shown.join("\n")))?;
        return Err(Failure::bad_input(format!(
            "{} comes under the {} above ({}): nothing was fetched; if you accept them, run \
             `slhf-lab model fetch {} --accept-terms` (downloads {})",
            model.name, terms.name, terms.address, model.name, model.download
        )));
    }
    let consent = if arguments.accept_terms { Consent::Accepted } else { Consent::NotAsked };
    let path = model.find_or_fetch(&environment, consent, &mut say).map_err(Failure::failed)?;
    output::print_text(&format!("{}\n", path.display()))
}
