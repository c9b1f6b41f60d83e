//! Agreement with a reference checker's verdicts on real answers, where the data is there.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;

use instruction_checks::{follows, follows_loosely, instructions_of};
use slhf_sdk::Response;
use slhf_sdk::serde_json::{Value, from_str};

/// Verdicts agreed with, and verdicts, strict and loose together.
type Agreement = BTreeMap<String, (u32, u32)>;

/// All but three: two answers in capitals of one or two words, over and over, which the statistical detector of the
/// reference took for another language than English. Of the ids that are not here the reference has no verdicts.
const EXPECTED: [&str; 23] = [
    "change_case:english_capital 23/26",
    "change_case:english_lowercase 36/36",
    "combination:repeat_prompt 40/40",
    "combination:two_responses 26/26",
    "detectable_content:number_placeholders 24/24",
    "detectable_content:postscript 34/34",
    "detectable_format:constrained_response 12/12",
    "detectable_format:json_format 14/14",
    "detectable_format:multiple_sections 18/18",
    "detectable_format:number_bullet_lists 44/44",
    "detectable_format:number_highlighted_sections 54/54",
    "detectable_format:title 48/48",
    "keywords:existence 42/42",
    "keywords:forbidden_words 42/42",
    "keywords:frequency 50/50",
    "keywords:letter_frequency 24/24",
    "language:response_language 32/32",
    "length_constraints:nth_paragraph_first_word 12/12",
    "length_constraints:number_paragraphs 28/28",
    "length_constraints:number_words 58/58",
    "punctuation:no_comma 62/62",
    "startend:end_checker 20/20",
    "startend:quotation 44/44",
];

#[test]
fn the_verdicts_are_those_of_the_reference_checker() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/ifeval");
    if !folder.exists() {
        eprintln!("skipped: there is no folder shared/data/ifeval beside the repository");
        return;
    }
    let mut disagreements = Vec::new();
    let agreement = measure(&folder, &mut disagreements);
    let measured: Vec<String> = agreement.iter().map(|(id, (same, all))| format!("{id} {same}/{all}")).collect();
    assert_eq!(measured, EXPECTED, "{}", disagreements.join("\n"));
}

/// Every verdict of the folder against ours; those that differ are described.
fn measure(folder: &Path, disagreements: &mut Vec<String>) -> Agreement {
    let answers: HashMap<String, String> = rows(&folder.join("responses.jsonl"))
        .iter()
        .map(|row| (text(&row["prompt"]).to_owned(), text(&row["response"]).to_owned()))
        .collect();
    let prompts: HashMap<String, Value> =
        rows(&folder.join("prompts.jsonl")).into_iter().map(|row| (row["key"].to_string(), row)).collect();
    let mut agreement = Agreement::new();
    for row in rows(&folder.join("verdicts.jsonl")) {
        let key = row["key"].to_string();
        let prompt = &prompts[&key];
        let instructions = instructions_of(&prompt.to_string(), &[]).expect("instructions");
        let answer = Response::new(answers[text(&prompt["prompt"])].as_str());
        let verdicts = row["verdicts"].as_array().expect("a list");
        assert_eq!(verdicts.len(), instructions.len(), "{key}");
        for (verdict, instruction) in verdicts.iter().zip(&instructions) {
            let id = text(&verdict["instruction"]);
            let ours = [follows(instruction, &answer), follows_loosely(instruction, &answer)];
            for (strictness, ours) in ["strict", "loose"].into_iter().zip(ours) {
                let Some(theirs) = verdict[strictness].as_bool() else { continue };
                let counts = agreement.entry(id.to_owned()).or_default();
                counts.0 += u32::from(ours == theirs);
                counts.1 += 1;
                if ours != theirs {
                    disagreements.push(format!("{key} {}: {strictness} {ours}, not {theirs}", instruction.label()));
                }
            }
        }
    }
    agreement
}

fn rows(path: &Path) -> Vec<Value> {
    let lines = fs::read_to_string(path).expect("a file");
    lines.lines().map(|line| from_str(line).expect("JSON")).collect()
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}
