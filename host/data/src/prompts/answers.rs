//! Closed sets of answers to prompts: one for all, or each row's own `"answers"`.

use serde_json::Value;
use slhf_plan::answer_set_problem;

use super::file::Prompts;
use super::row::PromptRow;
use crate::DataError;
use crate::error::Source;

/// The key of a row.
const KEY: &str = "answers";

impl Prompts {
    /// The answers of every row, in the rows' order: `given` where there are any, else each row's own list of texts.
    ///
    /// Errors: a row without a list of 2 to 12 different texts, by its number and id.
    pub fn answer_sets(&self, given: &[String]) -> Result<Vec<Vec<String>>, DataError> {
        if !given.is_empty() {
            return Ok(vec![given.to_vec(); self.rows.len()]);
        }
        let own = |(index, row): (usize, &PromptRow)| {
            let wrong = |problem: String| {
                let problem = format!("the prompt with id \"{}\": \"{KEY}\" {problem}", row.id);
                Source { file: &self.file }.row(index + 1, problem)
            };
            let answers = answers(row).map_err(wrong)?;
            match answer_set_problem(&answers) {
                Some(problem) => Err(wrong(format!("has {problem}"))),
                None => Ok(answers),
            }
        };
        self.rows.iter().enumerate().map(own).collect()
    }
}

fn answers(row: &PromptRow) -> Result<Vec<String>, String> {
    const EXPECTED: &str = "expected a list of 2 to 12 short texts, or data.answers for all rows";
    let metadata: Value = serde_json::from_str(&row.metadata).unwrap_or_default();
    let Some(found) = metadata.get(KEY) else { return Err(format!("is missing; {EXPECTED}")) };
    let texts =
        |list: &Vec<Value>| list.iter().map(|text| text.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>();
    let list = found.as_array().and_then(texts);
    list.ok_or_else(|| format!("is {}; {EXPECTED}", slhf_json::kind(found)))
}

#[cfg(test)]
mod tests {
    use crate::prompts::parse;

    fn sets(file: &str, given: &[&str]) -> Result<Vec<Vec<String>>, String> {
        let prompts = parse("rows.jsonl", file.as_bytes().to_vec(), None).expect("prompts");
        let given: Vec<String> = given.iter().map(|&answer| answer.to_owned()).collect();
        prompts.answer_sets(&given).map_err(|error| error.to_string())
    }

    #[test]
    fn a_set_is_the_rows_own_or_everybodys() {
        let file = "{\"prompt\": \"a\", \"answers\": [\"x\", \"y\"]}\n{\"prompt\": \"b\", \"answers\": [\"y\", \"z\", \"w\"]}\n";
        assert_eq!(sets(file, &[]).unwrap(), [vec!["x", "y"], vec!["y", "z", "w"]]);
        assert_eq!(sets(file, &["p", "q"]).unwrap(), [["p", "q"], ["p", "q"]]);
    }

    #[test]
    fn what_is_no_set_is_refused_with_its_row() {
        let check = |row: &str, expected: &str| {
            let file = format!("{{\"prompt\": \"a\", \"answers\": [\"x\", \"y\"]}}\n{row}\n");
            let error = sets(&file, &[]).unwrap_err();
            assert!(error.contains("rows.jsonl, row 2: ") && error.contains(expected), "{error}");
        };
        check("{\"prompt\": \"b\"}", "\"answers\" is missing; expected a list of 2 to 12 short texts");
        check("{\"prompt\": \"b\", \"answers\": \"x\"}", "expected a list of 2 to 12 short texts");
        check("{\"prompt\": \"b\", \"answers\": [\"x\", 1]}", "expected a list of 2 to 12 short texts");
        check("{\"prompt\": \"b\", \"answers\": [\"x\"]}", "\"answers\" has 1 responses; expected 2 to 12");
        check("{\"prompt\": \"b\", \"answers\": [\"x\", \"x\"]}", "\"x\" stands there twice");
    }
}
