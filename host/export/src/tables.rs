//! Which tables are exported, from which views of the record.

use bytes::Bytes;
use slhf_record::{Cell, Record};

use crate::ExportError;
use crate::metrics::write_metrics;
use crate::table::{Column, Kind, Table, Value, number};
use crate::writer::TableWriter;

/// A column, and the SQL that reads it.
type Read = (&'static str, Kind, &'static str);

/// A table, and the view that it is read from.
#[derive(Clone, Copy, Debug)]
pub struct Source {
    /// The name of its file, without an ending.
    pub name: &'static str,
    view: &'static str,
    order: &'static str,
    columns: &'static [Read],
}

use Kind::{Boolean, Integer, Number, Text};

/// What SQLite cannot hold as a number stands beside it by name.
const VALUE: Read = ("value", Number, "coalesce(non_finite, value)");

/// All tables.
pub const TABLES: &[Source] = &[
    Source {
        name: "runs",
        view: "runs",
        order: "run",
        columns: &[
            ("run", Integer, "run"),
            ("experiment", Text, "experiment"),
            ("execution", Integer, "execution"),
            ("cell", Text, "cell"),
            ("seed", Integer, "seed"),
            ("status", Text, "status"),
            ("reason", Text, "reason"),
            ("started_at", Text, "started_at"),
            ("finished_at", Text, "finished_at"),
            ("kind", Text, "kind"),
            ("steps", Integer, "steps"),
            ("steps_done", Integer, "steps_done"),
            ("run_id", Text, "run_id"),
        ],
    },
    Source {
        name: "parameters",
        view: "parameters",
        order: "run, key",
        columns: &[
            ("run", Integer, "run"),
            ("key", Text, "key"),
            (
                "value",
                Text,
                "CASE WHEN type = 'boolean' THEN iif(value, 'true', 'false') WHEN non_finite = 'nan' THEN 'NaN' \
                 WHEN non_finite = 'inf' THEN 'Infinity' WHEN non_finite = '-inf' THEN '-Infinity' ELSE value END",
            ),
            ("type", Text, "type"),
            ("number", Number, "CASE WHEN type IN ('integer', 'float') THEN coalesce(non_finite, value) END"),
        ],
    },
    Source {
        name: "metrics",
        view: "metrics",
        order: "run, step, key",
        columns: &[("run", Integer, "run"), ("step", Integer, "step"), ("key", Text, "key"), VALUE],
    },
    Source {
        name: "schedules",
        view: "schedules",
        order: "run, step",
        columns: &[
            ("run", Integer, "run"),
            ("step", Integer, "step"),
            ("kappa", Number, "kappa"),
            ("leader_learning_rate", Number, "leader_learning_rate"),
            ("follower_learning_rate", Number, "follower_learning_rate"),
            ("leader_updates", Integer, "leader_updates"),
            ("follower_updates", Integer, "follower_updates"),
        ],
    },
    Source {
        name: "evaluations",
        view: "evaluations",
        order: "run, step, name, subject",
        columns: &[
            ("run", Integer, "run"),
            ("step", Integer, "step"),
            ("name", Text, "name"),
            ("subject", Text, "subject"),
            VALUE,
            ("low", Number, "low"),
            ("high", Number, "high"),
            ("n", Integer, "n"),
        ],
    },
    Source {
        name: "completions",
        view: "completions",
        order: "run, step, position, role, round",
        columns: &[
            ("run", Integer, "run"),
            ("step", Integer, "step"),
            ("position", Integer, "position"),
            ("role", Text, "role"),
            ("round", Integer, "round"),
            ("prompt", Text, "prompt"),
            ("text", Text, "text"),
            ("finished", Boolean, "finished"),
            ("tokens", Integer, "tokens"),
            ("probability", Number, "probability"),
            ("prompt_id", Text, "prompt_id"),
            ("reward", Number, "reward"),
        ],
    },
    Source { name: "tags", view: "tags", order: "run, tag", columns: &[("run", Integer, "run"), ("tag", Text, "tag")] },
];

impl Source {
    /// Its columns.
    #[must_use]
    pub fn table(&self) -> Table {
        let columns = self.columns.iter().map(|(name, kind, _)| Column { name, kind: *kind });
        Table { name: self.name, columns: columns.collect() }
    }

    /// Writes the rows of these runs, run by run.
    pub(crate) fn write(&self, record: &mut Record, runs: &[i64], writer: &mut TableWriter) -> Result<(), ExportError> {
        if self.name == "metrics" {
            return write_metrics(record, runs, writer);
        }
        for run in runs {
            self.each(record, *run, |row| writer.row(row))?;
        }
        Ok(())
    }

    /// Visits the rows of a run.
    pub(crate) fn each(
        &self,
        record: &mut Record,
        run: i64,
        mut visit: impl FnMut(&[Value]) -> Result<(), ExportError>,
    ) -> Result<(), ExportError> {
        let columns: Vec<&str> = self.columns.iter().map(|(_, _, sql)| *sql).collect();
        let (columns, view, order) = (columns.join(", "), self.view, self.order);
        let statement = format!("SELECT {columns} FROM {view} WHERE run = {run} ORDER BY {order}");
        record.each_row(&statement, |cells| {
            let values = cells.iter().zip(self.columns).map(|(cell, (_, kind, _))| value(cell, *kind));
            visit(&values.collect::<Vec<Value>>())
        })
    }
}

/// What a view holds, as a column of this kind has it. What does not fit stays what it is, and the writer refuses it.
fn value(cell: &Cell, kind: Kind) -> Value {
    match (kind, cell) {
        (_, Cell::Null) => Value::Null,
        (Number, Cell::Text(word)) => match word.as_str() {
            "nan" => Value::Number(f64::NAN),
            "inf" => Value::Number(f64::INFINITY),
            "-inf" => Value::Number(f64::NEG_INFINITY),
            _ => Value::text(word.as_str()),
        },
        #[expect(
            clippy::cast_precision_loss,
            reason = "a column of numbers holds a whole one as a number; the text beside it is exact"
        )]
        (Number, Cell::Integer(value)) => Value::Number(*value as f64),
        (Boolean, Cell::Integer(value)) => Value::Boolean(*value != 0),
        (Text, Cell::Integer(value)) => Value::text(value.to_string()),
        (Text, Cell::Real(value)) => Value::text(number(*value)),
        (_, Cell::Integer(value)) => Value::Integer(*value),
        (_, Cell::Real(value)) => Value::Number(*value),
        (_, Cell::Text(text)) => Value::text(text.as_str()),
        (_, Cell::Blob(bytes)) => Value::Text(Bytes::from(bytes.clone())),
    }
}
