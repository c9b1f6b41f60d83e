//! What a judge preferred in training, as Hugging Face's preference datasets have it: `prompt`, `chosen` and `rejected` as messages.

use std::path::Path;

use serde_json::Value as Json;
use slhf_comparison::training_pairs;
use slhf_export::{Column, Kind, Message, Table, TableFormat, TableWriter, Value};
use slhf_record::{Record, RunSummary};

use crate::failure::Failure;
use crate::output::{say, visible};
use crate::verb::verdicts::pairs_with_both_orders;

fn table() -> Table {
    let column = |name, kind| Column { name, kind };
    let columns = vec![
        column("prompt", Kind::Messages),
        column("chosen", Kind::Messages),
        column("rejected", Kind::Messages),
        column("probability", Kind::Number),
        column("run", Kind::Integer),
        column("step", Kind::Integer),
    ];
    Table { name: "preferences", columns }
}

/// One row a pair that was judged: both orders of presentation together. Ties and pairs whose judgment failed have none.
pub(super) fn write(record: &mut Record, runs: &[RunSummary], to: &Path) -> Result<(), Failure> {
    let is_parquet = to.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("parquet"));
    let format = if is_parquet { TableFormat::Parquet } else { TableFormat::JsonLines };
    let mut all = Vec::with_capacity(runs.len());
    for run in runs {
        let pairs = training_pairs(record, run.run, &mut say)?;
        all.push((run.run, pairs_with_both_orders(&pairs)));
    }
    let mut writer = TableWriter::create(to, &table(), format).map_err(Failure::of_export)?;
    let mut left_out = 0_u64;
    for (run, rows) in all {
        for row in rows {
            match preference(&row, run) {
                Some(row) => writer.row(&row).map_err(Failure::of_export)?,
                None => left_out += 1,
            }
        }
    }
    let rows = writer.finish().map_err(Failure::of_export)?;
    let shown = visible(&to.display().to_string());
    let ties = if left_out == 0 { String::new() } else { format!("; {left_out} ties and failed pairs left out") };
    say(format!("{rows} preferences written to {shown}{ties}"));
    Ok(())
}

/// A row of pairs, as `verdicts export` has it, as a preference; `None`: neither is preferred.
fn preference(row: &Json, run: i64) -> Option<[Value; 6]> {
    let p_second = row["p_second"].as_f64()?;
    let (first, second) = (row["responses"][0].as_str()?, row["responses"][1].as_str()?);
    let (chosen, rejected, probability) = match p_second.partial_cmp(&0.5)? {
        std::cmp::Ordering::Less => (first, second, 1.0 - p_second),
        std::cmp::Ordering::Greater => (second, first, p_second),
        std::cmp::Ordering::Equal => return None,
    };
    let prompt =
        row["messages"].as_array()?.iter().map(|one| Some(message(one["role"].as_str()?, one["content"].as_str()?)));
    Some([
        Value::Messages(prompt.collect::<Option<Vec<Message>>>()?),
        Value::Messages(vec![message("assistant", chosen)]),
        Value::Messages(vec![message("assistant", rejected)]),
        Value::Number(probability),
        Value::Integer(run),
        Value::Integer(row["step"].as_i64()?),
    ])
}

fn message(role: &str, content: &str) -> Message {
    Message { role: role.to_owned().into(), content: content.to_owned().into() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_response_that_won_is_chosen_and_a_tie_is_none() {
        let row = |p_second: Option<f64>| {
            let messages = json!([{"role": "user", "content": "Why?"}]);
            json!({"messages": messages, "responses": ["x", "y"], "p_second": p_second, "step": 3})
        };
        let content = |value: &Value| match value {
            Value::Messages(messages) => messages.iter().map(|one| one.content.to_vec()).collect::<Vec<_>>(),
            _ => Vec::new(),
        };
        for (p_second, chosen, probability) in [(0.25, "x", 0.75), (0.75, "y", 0.75)] {
            let found = preference(&row(Some(p_second)), 7).expect("a preference");
            assert_eq!(content(&found[1]), [chosen.as_bytes()]);
            assert_eq!(found[3..], [Value::Number(probability), Value::Integer(7), Value::Integer(3)]);
        }
        assert!(preference(&row(Some(0.5)), 7).is_none() && preference(&row(None), 7).is_none());
    }
}
