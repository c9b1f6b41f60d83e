//! The same of a language model: adapters, both moments of the optimizer, the place in the data, the control variate.

use slhf_tests::{Lab, language_lab};

use crate::watched::{Watched, numbers, statuses};

const EXPERIMENT: &str = r#"
kind = "language-model"
log_completions_every = 4

[model]
path = "tiny"
[model.adapter]
lora_r = 4
lora_dropout = 0.1

[data]
prompts = "prompts.jsonl"
held_out = 4

[judge]
plugin = "brevity"

[method]
name = "stackelberg-gda"
steps = 30
prompts_per_step = 3
num_generations = 2
micro_batch_size = 4
max_new_tokens = 8
score_baseline = { kind = "moving_average" }

[schedule]
learning_rate = { kind = "linear", start = 1e-2, end = 1e-3 }

[device]
name = "cpu"
threads = 1

[evaluation]
every = 10
prompts = 2

[checkpoint]
every = 4
"#;

fn lab() -> Lab {
    language_lab(EXPERIMENT)
}

fn completions(lab: &Lab) -> String {
    let sql = "SELECT step, role, round, position, text, finished, tokens, probability, prompt_id FROM completions ORDER BY 1, 2, 3, 4";
    lab.run(&["query", sql, "--format", "csv"]).success()
}

#[test]
fn a_language_model_resumes_to_the_bit_however_it_was_killed() {
    let whole = lab();
    let _ = whole.run(&["run", "tiny.toml"]).success();
    let cut = lab();
    // What one step records is about thirty values.
    for (round, (rows, kill_worker)) in [(40, true), (200, false), (150, true)].into_iter().enumerate() {
        let verb: &[&str] = if round == 0 { &["run", "tiny.toml"] } else { &["resume"] };
        let mut watched = Watched::start(&cut, verb);
        if !watched.wait_for_new_rows(rows) {
            break;
        }
        if kill_worker {
            watched.kill_worker();
        } else {
            watched.kill_lab();
        }
        let _ = watched.wait();
        let statuses = statuses(&cut);
        let (status, reason) = &statuses[0];
        assert!(status == "finished" || (status == "interrupted" && !reason.is_empty()), "{statuses:?}");
    }
    let resumed = cut.run(&["resume"]);
    assert_eq!(resumed.code, Some(0), "{resumed}");
    assert_eq!(statuses(&cut)[0].0, "finished");
    assert_eq!(numbers(&cut), numbers(&whole));
    assert_eq!(completions(&cut), completions(&whole));
}
