//! The metrics of many runs, by far the most rows: every second run is read ahead by a thread of its own.

use std::collections::HashMap;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;

use slhf_record::{MetricPoint, Record, RecordError};

use crate::ExportError;
use crate::table::Value;
use crate::writer::TableWriter;

/// Values of a run that are read ahead; a run of more is read where it is written.
const AHEAD_MAX: usize = 1 << 20;

/// What was read of a run ahead of its turn; `None`: it has too many values for that.
type Ahead = Result<Option<Vec<MetricPoint>>, RecordError>;

/// Why a thread that reads ahead leaves a run.
enum Left {
    Failed(RecordError),
    TooMany,
}

impl From<RecordError> for Left {
    fn from(error: RecordError) -> Self {
        Self::Failed(error)
    }
}

/// Writes every value of every run, in the order of `runs`.
pub(crate) fn write_metrics(record: &mut Record, runs: &[i64], writer: &mut TableWriter) -> Result<(), ExportError> {
    let names = record.metric_names()?.into_iter().map(|(id, name)| (id, Value::text(name)));
    let names: HashMap<i64, Value> = names.collect();
    let mut write = |run: i64, point: MetricPoint| {
        let name = names.get(&point.key).cloned().unwrap_or(Value::Null);
        writer.row(&[Value::Integer(run), Value::Integer(point.step), name, Value::Number(point.value)])
    };
    let Some(second) = record.second_reader()? else {
        return runs.iter().try_for_each(|run| record.each_metric(*run, |point| write(*run, point)));
    };
    let (send, ahead) = sync_channel::<Ahead>(1);
    thread::scope(|scope| {
        let _ = scope.spawn(move || read_ahead(second, runs, send));
        for pair in runs.chunks(2) {
            record.each_metric(pair[0], |point| write(pair[0], point))?;
            let Some(run) = pair.get(1).copied() else { break };
            match ahead.recv() {
                Ok(Ok(Some(points))) => points.into_iter().try_for_each(|point| write(run, point))?,
                Ok(Err(error)) => return Err(error.into()),
                Ok(Ok(None)) | Err(_) => record.each_metric(run, |point| write(run, point))?,
            }
        }
        // The other thread ends when nobody waits for what it reads.
        drop(ahead);
        Ok(())
    })
}

/// Every second run, until nobody wants more.
fn read_ahead(mut record: Record, runs: &[i64], send: SyncSender<Ahead>) {
    for run in runs.iter().skip(1).step_by(2) {
        let mut points = Vec::new();
        let read = record.each_metric(*run, |point| {
            points.push(point);
            if points.len() > AHEAD_MAX { Err(Left::TooMany) } else { Ok(()) }
        });
        let read = match read {
            Ok(()) => Ok(Some(points)),
            Err(Left::TooMany) => Ok(None),
            Err(Left::Failed(error)) => Err(error),
        };
        if send.send(read).is_err() {
            return;
        }
    }
}
