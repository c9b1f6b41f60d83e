//! `slhf-lab new`: what it writes passes `check`, and runs.

use slhf_tests::{Lab, tiny_model, worker_binary};

#[test]
fn a_game_is_written_checked_and_run() {
    let _built = worker_binary();
    let lab = Lab::new();
    let said = lab.run(&["new", "--kind", "game"]).success();
    assert!(said.contains("wrote game.toml") && said.contains("slhf-lab run game.toml"), "{said}");
    let checked = lab.run(&["check", "game.toml"]).success();
    assert!(checked.contains("game.toml: valid; 3 cells × 3 seeds = 9 runs"), "{checked}");
    let _ = lab.run(&["run", "game.toml"]).success();
    let runs = lab.run(&["query", "SELECT status FROM runs", "--format", "json"]).json();
    let runs = runs.as_array().expect("rows");
    assert!(runs.len() == 9 && runs.iter().all(|run| run["status"] == "finished"), "{runs:?}");
}

#[test]
fn a_game_may_be_a_file_of_comparisons() {
    let lab = Lab::new();
    lab.write("votes.csv", "first,second,wins\na,b,3\nb,a,1\n");
    let _ = lab.run(&["new", "--kind", "game", "voters.toml", "--data", "votes.csv"]).success();
    assert!(
        lab.read("voters.toml").contains("[game]\nfile = \"votes.csv\"\ntau_leader"),
        "{}",
        lab.read("voters.toml")
    );
    let _ = lab.run(&["check", "voters.toml"]).success();
}

#[test]
fn a_language_model_is_written_and_checked_from_any_folder() {
    let lab = Lab::new();
    tiny_model(&lab, "tiny \"one\"");
    lab.write("mine.jsonl", "{\"prompt\": \"a b\"}\n".to_owned() + "{\"prompt\": \"c d\"}\n");
    let new =
        |more: &[&str]| lab.run(&[&["new", "--kind", "language-model", "--model", "tiny \"one\""], more].concat());
    let said = new(&["brief.toml"]).success();
    assert!(said.contains("wrote brief-prompts.jsonl\n") && said.contains("wrote brief.toml\n"), "{said}");
    let checked = lab.run(&["check", "brief.toml"]).success();
    assert!(checked.contains("brief.toml: valid; 1 cell × 1 seed = 1 run"), "{checked}");

    // Below another folder the model and the prompts are still found.
    std::fs::create_dir(lab.path("below")).expect("a folder");
    let _ = new(&["below/mine.toml", "--prompts", "mine.jsonl"]).success();
    let _ = lab.run(&["check", "below/mine.toml", "--set", "data.held_out=1"]).success();
    assert!(!lab.path("below/mine-prompts.jsonl").exists());
}

#[test]
fn a_reward_model_is_written_checked_and_run() {
    let _built = worker_binary();
    let lab = Lab::new();
    tiny_model(&lab, "tiny");
    // Longer than a real tokenizer makes them.
    let config =
        lab.read("tiny/config.json").replace("\"max_position_embeddings\": 256", "\"max_position_embeddings\": 2048");
    lab.write("tiny/config.json", config);
    let said = lab.run(&["new", "--kind", "reward-model", "mine.toml", "--model", "tiny"]).success();
    assert!(said.contains("wrote mine-pairs.jsonl\n") && said.contains("wrote mine.toml\n"), "{said}");
    let checked = lab.run(&["check", "mine.toml"]).success();
    assert!(checked.contains("mine.toml: valid; 1 cell × 1 seed = 1 run"), "{checked}");
    let _ = lab.run(&["run", "mine.toml", "--set", "data.max_tokens=1024"]).success();
    let _ = lab.run(&["new", "--kind", "reward-model", "other.toml", "--data", "mine-pairs.jsonl"]).success();
    assert!(lab.read("other.toml").contains("pairs = \"mine-pairs.jsonl\""), "{}", lab.read("other.toml"));
}

#[test]
fn nothing_is_overwritten_and_refusals_leave_nothing() {
    let lab = Lab::new();
    let refused = |arguments: &[&str], sentence: &str| {
        let outcome = lab.run(&[&["new", "--kind"], arguments].concat());
        assert_eq!(outcome.code, Some(2), "{outcome}");
        assert!(outcome.stderr.contains(sentence), "{outcome}");
    };
    lab.write("game.toml", "mine");
    refused(&["game"], "game.toml is there already: name another file, nothing is overwritten");
    lab.write("brief-prompts.jsonl", "mine");
    refused(&["language-model", "brief.toml"], "brief-prompts.jsonl is there already");
    refused(&["game", "notes.txt"], "expected a file that ends with .toml");
    refused(&["game", "none/game.toml"], "cannot write none/game.toml");
    refused(
        &["language-model", "x.toml", "--prompts", "none.jsonl"],
        "none.jsonl is not there: expected a file for --prompts",
    );
    refused(&["game", "x.toml", "--data", "none.csv"], "none.csv is not there: expected a file for --data");
    refused(
        &["game", "x.toml", "--model", "tiny"],
        "--model is for --kind language-model or reward-model: remove one of the two",
    );
    refused(&["language-model", "x.toml", "--data", "votes.csv"], "--data is for --kind game or reward-model");
    refused(&["reward-model", "x.toml", "--prompts", "p.jsonl"], "--prompts is for --kind language-model");
    assert_eq!((lab.read("game.toml"), lab.read("brief-prompts.jsonl")), ("mine".to_owned(), "mine".to_owned()));
    let left = std::fs::read_dir(lab.folder()).expect("listed").count();
    assert_eq!(left, 2, "only what was there");
}
