//! TensorBoard's event files: one a run, with every metric as a scalar of 64 bits and the run's hyper-parameters.

mod framing;
mod message;
mod summary;

use std::fs;
use std::path::{Path, PathBuf};

use slhf_record::{Cell, Record, RunStatus, RunSummary};

use crate::ExportError;
use crate::exported::Exported;
use crate::times::Times;
use framing::EventFile;
use summary::{Parameter, Session, file_version, hyper_parameters, scalar, session_end};

/// Writes `<experiment>#<execution>/<cell>/seed-<seed>/events.out.tfevents.…` below `folder`.
pub(crate) fn write(record: &mut Record, runs: &[RunSummary], folder: &Path) -> Result<Vec<Exported>, ExportError> {
    fs::create_dir(folder).map_err(ExportError::write(folder))?;
    let names: std::collections::HashMap<i64, String> = record.metric_names()?.into_iter().collect();
    let mut written = Vec::with_capacity(runs.len());
    for run in runs {
        let times = Times::of(record, run.run)?;
        let place = folder.join(folder_of(run));
        fs::create_dir_all(&place).map_err(ExportError::write(&place))?;
        let path = place.join(format!("events.out.tfevents.{}.slhf-lab", times.start / 1000));
        let mut file = EventFile::create(&path).map_err(ExportError::write(&path))?;
        let wall = |step: i64| seconds(times.at(step));
        file.put(&file_version(seconds(times.start))).map_err(ExportError::write(&path))?;
        let session =
            Session { name: run.name(), start: seconds(times.start), parameters: parameters(record, run.run)? };
        file.put(&hyper_parameters(&session)).map_err(ExportError::write(&path))?;
        record.each_metric(run.run, |point| {
            let name = names.get(&point.key).map_or("", String::as_str);
            file.put(&scalar(wall(point.step), point.step, name, point.value)).map_err(ExportError::write(&path))
        })?;
        evaluations(record, run.run, |step, name, value| {
            file.put(&scalar(wall(step), step, name, value)).map_err(ExportError::write(&path))
        })?;
        if let Some(end) = times.end {
            let was_good = run.status == RunStatus::Finished;
            file.put(&session_end(seconds(end), was_good)).map_err(ExportError::write(&path))?;
        }
        let rows = file.finish().map_err(ExportError::write(&path))?;
        written.push(Exported { path, rows });
    }
    Ok(written)
}

/// Its parts are names of folders: what no file system has in a name is replaced.
fn folder_of(run: &RunSummary) -> PathBuf {
    let plain = |text: &str| -> String {
        let text: String =
            text.chars().map(|one| if one.is_control() || "/\\:".contains(one) { '_' } else { one }).collect();
        if text.starts_with('.') { format!("_{text}") } else { text }
    };
    let execution = format!("{}#{}", plain(&run.experiment), run.execution);
    PathBuf::from(execution).join(plain(&run.cell)).join(format!("seed-{}", run.seed))
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 are far below 2^53")]
fn seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}

/// Numbers and truth values as such; everything else as text.
fn parameters(record: &mut Record, run: i64) -> Result<Vec<(String, Parameter)>, ExportError> {
    let mut all = Vec::new();
    let statement = format!(
        "SELECT key, type, CASE WHEN non_finite IS NULL THEN value ELSE non_finite END FROM parameters WHERE run = {run} ORDER BY key"
    );
    record.each_row(&statement, |row| {
        let [Cell::Text(key), kind, value] = row else { return Ok::<(), ExportError>(()) };
        let is_boolean = matches!(kind, Cell::Text(kind) if kind == "boolean");
        #[expect(clippy::cast_precision_loss, reason = "TensorBoard has no whole numbers")]
        let parameter = match value {
            Cell::Integer(value) if is_boolean => Parameter::Boolean(*value != 0),
            Cell::Integer(value) => Parameter::Number(*value as f64),
            Cell::Real(value) => Parameter::Number(*value),
            Cell::Text(text) => Parameter::Text(text.clone()),
            Cell::Null | Cell::Blob(_) => return Ok(()),
        };
        all.push((key.clone(), parameter));
        Ok(())
    })?;
    Ok(all)
}

/// `evaluation/<name>/<subject>`
fn evaluations(
    record: &mut Record,
    run: i64,
    mut put: impl FnMut(i64, &str, f64) -> Result<(), ExportError>,
) -> Result<(), ExportError> {
    let statement = format!(
        "SELECT step, name, subject, value, non_finite FROM evaluations WHERE run = {run} ORDER BY step, name, subject"
    );
    record.each_row(&statement, |row| {
        let [Cell::Integer(step), Cell::Text(name), Cell::Text(subject), value, word] = row else { return Ok(()) };
        let value = match (value, word) {
            (Cell::Real(value), _) => *value,
            (_, Cell::Text(word)) if word == "inf" => f64::INFINITY,
            (_, Cell::Text(word)) if word == "-inf" => f64::NEG_INFINITY,
            _ => f64::NAN,
        };
        put(*step, &format!("evaluation/{name}/{subject}"), value)
    })
}
