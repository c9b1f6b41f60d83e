//! `slhf-lab ui` in Chromium. Apart, because it needs one and fetches packages: `cargo xtask test --browser`.

use std::process::Command;

use slhf_tests::{Lab, PageServer, browser_packages, chromium, lab_binary, language_lab, plugins_folder};

/// Prompts and a question that would be markup.
const EXPERIMENT: &str = r#"kind = "language-model"
name = "tiny & <i>"
log_completions_every = 1
question = "Who <img src=x onerror='window.hacked=1'> writes the shortest responses?"
seeds = [1, 2]
[model]
path = "tiny"
[model.adapter]
lora_r = 4
[data]
prompts = "prompts.jsonl"
held_out = 2
[judge]
plugin = "brevity"
[method]
steps = 4
prompts_per_step = 2
max_new_tokens = 6
[device]
name = "cpu"
threads = 1
[evaluation]
every = 2
[[ablation]]
name = "method"
values = [{ label = "slhf", method = { name = "stackelberg-gda" } }, { label = "rloo", method = { name = "rloo" } }]
"#;

const GAME: &str = "kind = \"game\"\nname = \"later\"\nseeds = [1, 2, 3]\n[game]\nactions = [\"a\", \"b\"]\npreferences = [[0.5, 0.7], [0.3, 0.5]]\n\
    [method]\nname = \"nash-md\"\nsteps = 400000\n[device]\nname = \"cpu\"\nthreads = 1\n[evaluation]\nevery = 40000\n";

fn prompts() -> String {
    let prompts = ["Hello", "<script>window.hacked = 1</script>", "Bye", "<img src=x onerror=window.hacked=1>"];
    prompts.map(|prompt| serde_json::json!({ "prompt": prompt }).to_string()).join("\n")
}

#[test]
#[ignore = "needs Chromium, and npm fetches packages: cargo xtask test --browser"]
fn every_view_works_in_a_browser() {
    let lab: Lab = language_lab(EXPERIMENT);
    lab.write("prompts.jsonl", prompts());
    lab.write("later.toml", GAME);
    let _ = lab.run(&["run", "tiny.toml"]).success();
    let server = PageServer::start(&lab, &["--port", "0"]);
    let shots = std::env::var("SLHF_SCREENSHOTS").unwrap_or_else(|_| "-".to_owned());
    let mut node = Command::new("node");
    node.current_dir(browser_packages()).arg("ui.mjs").args([&chromium(), &server.url, "tiny & <i>", "1", &shots]);
    node.arg(lab_binary()).args(["run"]).arg(lab.path("later.toml")).arg("--db").arg(lab.path("lab.db"));
    let status = node.env("SLHF_LAB_PLUGINS", plugins_folder()).status().expect("node starts");
    assert!(status.success(), "a check in the browser failed: its words are above");
}
