//! `run --locked RUN`: plugins, models and data must be those that the record holds.

use std::collections::BTreeSet;
use std::error::Error;

use slhf_experiment::Experiment;
use slhf_plan::{Input, InputKind, Work};
use slhf_record::Record;
use thiserror::Error;

use crate::failure::Failure;
use crate::output::visible;

/// An input that is another one than the record's.
#[derive(Debug, Error)]
#[error(
    "{experiment}: {key}: the {kind} \"{name}\" is {identity} now; {before}; bring back what it was, or leave --locked out"
)]
struct Differs {
    experiment: String,
    key: String,
    kind: InputKind,
    name: String,
    identity: String,
    before: String,
}

/// Compares the inputs of every experiment with those of a recorded run and of the runs that were planned with it.
pub(super) fn check(record: &mut Record, locked: &str, experiments: &[Experiment]) -> Result<(), Failure> {
    let run = record.resolve_run(locked).map_err(Failure::of_record)?;
    let name = format!("run {} ({})", run.run, visible(&run.name()));
    let mut recorded = BTreeSet::new();
    for frozen in record.plans_frozen_with(run.run).map_err(Failure::failed)? {
        let work = Work::from_json(&frozen).map_err(|error| {
            Failure::failed(format!("the frozen plan of {name} was written by another version of slhf-lab ({error})"))
        })?;
        recorded.extend(work.inputs());
    }
    if recorded.is_empty() {
        return Err(Failure::bad_input(format!(
            "--locked: {name} has no frozen plan in the record; name a run that was computed"
        )));
    }
    let mut differences: Vec<Box<dyn Error>> = Vec::new();
    for experiment in experiments {
        let inputs: BTreeSet<Input> = experiment.groups.iter().flat_map(|group| group.template.inputs()).collect();
        let different =
            inputs.iter().filter_map(|input| before(input, &recorded, run.run).map(|before| (input, before)));
        differences.extend(different.map(|(input, before)| {
            let experiment = visible(&experiment.path.display().to_string());
            let Input { kind, key, name, identity } = input.clone();
            Box::new(Differs { experiment, key, kind, name: visible(&name), identity, before }).into()
        }));
    }
    if differences.is_empty() { Ok(()) } else { Err(Failure::Several(differences)) }
}

/// What the record has in the place of an input that is another one. An input of a recorded name must be who it was; under a new
/// name it must be one that the record knows.
fn before(input: &Input, recorded: &BTreeSet<Input>, run: i64) -> Option<String> {
    let of_kind = || recorded.iter().filter(|known| known.kind == input.kind);
    let named = || of_kind().filter(|known| known.name == input.name);
    let is_known = |known: &Input| known.identity == input.identity;
    if named().any(is_known) || (named().next().is_none() && of_kind().any(is_known)) {
        return None;
    }
    // Data has the name of its file: under its key stands what was in its place.
    let before = named().chain(of_kind().filter(|known| known.key == input.key)).next();
    Some(before.map_or_else(
        || format!("run {run} has no {} like it", input.kind),
        |known| {
            let name = if known.name == input.name { String::new() } else { format!("\"{}\", ", visible(&known.name)) };
            format!("run {run} has {name}{}", known.identity)
        },
    ))
}
