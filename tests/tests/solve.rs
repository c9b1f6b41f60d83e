//! `slhf-lab solve`: exact solutions of games from every kind of file.

use serde_json::Value;
use slhf_tests::{Lab, repository, shared_data};

const CYCLE: &str = "rock,paper,scissors\n0.5,0.1,0.9\n0.9,0.5,0.1\n0.1,0.9,0.5\n";

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().expect("an array").iter().map(|number| number.as_f64().expect("a number")).collect()
}

#[test]
fn the_cycle_for_people_and_for_programs() {
    let lab = Lab::new();
    lab.write("cycle.csv", CYCLE);
    insta::assert_snapshot!("cycle_table", lab.run(&["solve", "cycle.csv", "--tau-nash", "0.1"]));
    for format in ["json", "csv", "markdown"] {
        insta::assert_snapshot!(format!("cycle_{format}"), lab.run(&["solve", "cycle.csv", "--format", format]));
    }
}

#[test]
fn closed_forms_come_out_in_full_precision() {
    let lab = Lab::new();
    lab.write("cycle.csv", "\u{feff}\"a\",\"b\",\"c\"\r\n,0.9,0.3\r\n0.1,,0.8\r\n0.7,0.2,\r\n");
    let arguments = ["solve", "cycle.csv", "--tau-leader", "0.1", "--tau-follower", "0.2", "--format", "json"];
    let solved = lab.run(&arguments).json();
    let p = [[0.5, 0.9, 0.3], [0.1, 0.5, 0.8], [0.7, 0.2, 0.5]];
    let f = p.map(|row| -0.2 * (row.iter().map(|p: &f64| (-p / 0.2).exp() / 3.0).sum::<f64>()).ln());
    let weights = f.map(|f| (f / 0.1).exp());
    let total: f64 = weights.iter().sum();
    let near = |found: &Value, expected: [f64; 3]| {
        for (found, expected) in numbers(found).iter().zip(expected) {
            assert!((found - expected).abs() < 1e-12, "{found} is not {expected}");
        }
    };
    near(&solved["stackelberg"]["leader_values"], f);
    near(&solved["stackelberg"]["leader"], weights.map(|weight| weight / total));
    assert_eq!(solved["stackelberg"]["leader_support"], serde_json::json!(["a", "b", "c"]));
    assert_eq!(solved["condorcet_winner"], Value::Null);
}

#[test]
fn options_beat_the_file_and_the_file_beats_the_defaults() {
    let lab = Lab::new();
    let game = "actions = [\"a\", \"b\"]\npreferences = [[0.5, 0.9], [0.1, 0.5]]\ntau_leader = 0.1\ntau_rlhf = 2.0\n";
    lab.write("game.toml", game);
    lab.write("nested.toml", format!("[game]\n{game}"));
    lab.write("experiment.toml", format!("kind = \"game\"\nmethod.name = \"rlhf\"\n[game]\n{game}"));
    let solve = |file: &str, more: &[&str]| lab.run(&[&["solve", file, "--format", "json"][..], more].concat()).json();
    let top = solve("game.toml", &[]);
    assert_eq!(top, solve("nested.toml", &[]));
    assert_eq!(top, solve("experiment.toml", &[]));
    assert_eq!(top["stackelberg"]["leader_support"].as_array().map(Vec::len), Some(2));
    let sharp = solve("game.toml", &["--tau-leader", "0"]);
    assert_eq!(sharp["stackelberg"]["leader"], serde_json::json!([1.0, 0.0]));
    // r = logit(0.9), centred; the file's tau_rlhf = 2 halves the log-odds.
    let odds = |value: &Value| {
        (numbers(&value["bradley_terry"]["policy"])[0] / numbers(&value["bradley_terry"]["policy"])[1]).ln()
    };
    assert!((odds(&top) - 9_f64.ln() / 2.0).abs() < 1e-9);
    assert!((odds(&solve("game.toml", &["--tau-rlhf", "1"])) - 9_f64.ln()).abs() < 1e-9);
}

#[test]
fn an_experiments_judge_is_asked() {
    let lab = Lab::new();
    let path = repository().join("experiments/attributes-committee.toml");
    let solved = lab.run(&["solve", path.to_str().expect("a path"), "--format", "json"]).json();
    assert_eq!(solved["actions"], serde_json::json!(["balanced", "precise", "brief", "careless"]));
    assert_eq!(solved["condorcet_winner"], Value::Null);
}

#[test]
fn preference_profiles_are_counted() {
    let lab = Lab::new();
    let header = "# DATA TYPE: toc\n# NUMBER ALTERNATIVES: 2\n# ALTERNATIVE NAME 1: yes\n# ALTERNATIVE NAME 2: no\n";
    lab.write("vote.toc", format!("{header}6: 1,2\n2: {{1,2}}\n2: 2,1\n"));
    let solved = lab.run(&["solve", "vote.toc", "--format", "json"]).json();
    assert_eq!(solved["condorcet_winner"], "yes");
    let values = numbers(&solved["stackelberg"]["leader_values"]);
    assert!((values[0] - 0.5).abs() < 1e-15 && (values[1] - 0.3).abs() < 1e-15, "{values:?}");
}

#[test]
fn the_shipped_counts_are_those_of_the_profiles() {
    let Some(shared) = shared_data() else { return };
    let lab = Lab::new();
    for (profile, csv) in [("debian-2012-leader.toc", "debian-2012-leader.csv"), ("netflix-29.soc", "netflix-29.csv")] {
        let profile = shared.join("preflib").join(profile);
        let csv = repository().join("experiments/data").join(csv);
        let solve =
            |path: &std::path::Path| lab.run(&["solve", path.to_str().expect("a path"), "--format", "json"]).json();
        let (counted, shipped) = (solve(&profile), solve(&csv));
        assert_eq!(counted, shipped);
    }
}

#[test]
fn bad_games_are_named() {
    let lab = Lab::new();
    lab.write("text.csv", "a,b\n0.5,x\n0,0.5\n");
    lab.write("ragged.csv", "a,b\n0.5,1\n0\n");
    lab.write("one.csv", "a\n0.5\n");
    lab.write("twice.csv", "a,a\n0.5,1\n0,0.5\n");
    lab.write("unknown.toml", "actions = [\"a\", \"b\"]\npreference = [[0.5, 1], [0, 0.5]]\n");
    lab.write("game.txt", "a,b\n");
    lab.write("good.csv", "a,b\n0.5,1\n0,0.5\n");
    lab.write(
        "varied.toml",
        "kind = \"game\"\nmethod.name = \"rlhf\"\n[[ablation]]\nkey = \"game.file\"\nvalues = [\"a.csv\"]\n",
    );
    let mut lines = Vec::new();
    for file in
        ["text.csv", "ragged.csv", "one.csv", "twice.csv", "unknown.toml", "game.txt", "nothing.csv", "varied.toml"]
    {
        let outcome = lab.run(&["solve", file]);
        lines.push(format!("{:?} {}", outcome.code, outcome.normal(&outcome.stderr).trim_end()));
    }
    let outcome = lab.run(&["solve", "good.csv", "--tau-rlhf", "0"]);
    lines.push(format!("{:?} {}", outcome.code, outcome.stderr.trim_end()));
    insta::assert_snapshot!("bad_games", lines.join("\n"));
}

/// Wherever notes about data are shown, this one names the file and the line.
#[test]
fn a_file_that_contradicts_itself_is_read_and_the_note_names_file_and_line() {
    let lab = Lab::new();
    lab.write("cut.soc", "# NUMBER ALTERNATIVES: 2\n# NUMBER VOTERS: 9\n3: 1,2\n1: 2,1\n");
    lab.write("game.toml", "[game]\nfile = \"cut.soc\"\n");
    lab.write("run.toml", "kind = \"game\"\n[game]\nfile = \"cut.soc\"\n[method]\nname = \"rlhf\"\nsteps = 1\n");
    let note = "cut.soc: row 2: NUMBER VOTERS is 9, but the orders add up to 4, which counts; is the file complete?";
    for arguments in [&["solve", "cut.soc"][..], &["solve", "game.toml"], &["check", "run.toml"], &["run", "run.toml"]]
    {
        let said = lab.run(arguments);
        assert_eq!(said.code, Some(0), "{said}");
        assert_eq!(said.to_string().matches(note).count(), 1, "{arguments:?}: {said}");
    }
}
