//! Policies of different cells answer held-out prompts independently of each other; the reference is one policy in all cells.

use serde_json::Value;
use slhf_tests::{Lab, language_lab};

/// Two cells whose policies hardly move: with the same uniforms they would give the same answers.
const TWO_CELLS: &str = r#"
kind = "language-model"
seeds = [1]

[model]
path = "tiny"
[model.adapter]
lora_r = 2

[data]
prompts = "prompts.jsonl"
held_out = 6

[judge]
plugin = "brevity"

[method]
name = "stackelberg-gda"
steps = 1
prompts_per_step = 1
max_new_tokens = 6

[schedule]
learning_rate = 1e-12

[device]
name = "cpu"
threads = 1

[evaluation]
every = 0

[[ablation]]
name = "rate"
values = [
    { label = "one", schedule = { learning_rate = 1e-12 } },
    { label = "two", schedule = { learning_rate = 2e-12 } },
]
"#;

fn answers(lab: &Lab, experiment: &str, cell: &str, who: &str) -> Vec<Value> {
    let sql = format!(
        "SELECT prompt_id, text FROM completions JOIN runs USING (run) \
         WHERE experiment = '{experiment}' AND cell = '{cell}' AND role = 'held-out/{who}' AND step = 1 ORDER BY position"
    );
    lab.run(&["query", &sql, "--format", "json"]).json().as_array().expect("rows").clone()
}

#[test]
fn cells_answer_in_streams_of_their_own_wherever_they_stand() {
    let lab = language_lab(TWO_CELLS);
    let (alone, _) = TWO_CELLS.split_once("[[ablation]]").expect("an axis");
    lab.write("alone.toml", alone.replace("[evaluation]\nevery = 0", "[evaluation]\nevery = 1\nprompts = 2"));
    let _ = lab.run(&["run", "tiny.toml"]).success();
    let _ = lab.run(&["run", "alone.toml"]).success();
    for who in ["leader", "follower(leader)", "follower(reference)"] {
        let [one, two] = ["one", "two"].map(|cell| answers(&lab, "tiny", cell, who));
        assert_eq!(one.len(), 6);
        assert_ne!(one, two, "{who}");
        // Alone, and evaluated more often.
        assert_eq!(answers(&lab, "alone", "base", who), one, "{who}");
    }
    let [one, two] = ["one", "two"].map(|cell| answers(&lab, "tiny", cell, "reference"));
    assert_eq!(one, two);
}
