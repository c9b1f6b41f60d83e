//! What is looked at before a report is queued: whether it fits together, and whose it is.

use slhf_plan::Report;

use crate::RecordError;

/// Whether the parts of a report agree in number.
pub(super) fn shape(report: &Report) -> Result<(), RecordError> {
    let what = match report {
        Report::Metrics(batch) => {
            let (rows, keys) = (batch.runs.len(), batch.keys.len());
            if batch.steps.len() == rows && rows.checked_mul(keys) == Some(batch.values.len()) {
                return Ok(());
            }
            format!(
                "a batch of metrics has {rows} runs, {} steps, {keys} keys and {} values; runs and steps must \
                 agree and values be runs × keys",
                batch.steps.len(),
                batch.values.len()
            )
        }
        Report::GameJudged(judged) => {
            let n = judged.actions.len();
            if judged.first == 0 && n.checked_mul(n) == Some(judged.verdicts.len()) {
                return Ok(());
            }
            format!("a game of {n} actions has {} verdicts instead of n²", judged.verdicts.len())
        }
        _ => return Ok(()),
    };
    Err(RecordError::Invalid { what })
}

/// The runs whose rows these are. What is true of a run whatever it computes (its end, what it cost, what it ran on, which
/// plugins served it) is nobody's row.
pub(super) fn runs(report: &Report) -> Vec<i64> {
    match report {
        Report::Metrics(batch) => batch.runs.clone(),
        Report::Schedules(rows) => rows.iter().map(|row| row.run).collect(),
        Report::Evaluations(rows) => rows.iter().map(|row| row.run).collect(),
        Report::Completions(rows) => rows.iter().map(|row| row.run).collect(),
        Report::Checkpoint(checkpoint) => checkpoint.runs.clone(),
        Report::GameJudged(judged) => judged.runs.clone(),
        Report::Artefact(artefact) => vec![artefact.run],
        Report::Environment(_)
        | Report::PluginUse(_)
        | Report::ModelUse(_)
        | Report::RunCost(_)
        | Report::RunEnd(_) => Vec::new(),
    }
}
