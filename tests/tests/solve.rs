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

const VOTES: &str = "first,second,wins\na,b,70\nb,a,30\nb,c,66\nc,b,34\nc,a,58\na,c,42\n";

/// Two groups that want opposite things, and one pair that only one of them compared.
const GROUPS: &str = "first,second,wins,group\na,b,30,old\nb,a,10,old\nb,c,30,old\nc,b,10,old\na,c,20,old\nc,a,20,old\n\
                      a,b,2,young\nb,a,8,young\nc,b,6,young\nb,c,4,young\n";

#[test]
fn rules_above_ten_actions_say_what_they_do_not_compute() {
    let lab = Lab::new();
    let names: Vec<String> = (0..11).map(|number| format!("n{number}")).collect();
    let row = |i: usize| {
        (0..11)
            .map(|j| match i.cmp(&j) {
                std::cmp::Ordering::Equal => "0.5",
                std::cmp::Ordering::Less => "0.9",
                std::cmp::Ordering::Greater => "0.1",
            })
            .collect::<Vec<_>>()
            .join(",")
    };
    let rows: Vec<String> = (0..11).map(row).collect();
    lab.write("eleven.csv", format!("{}\n{}\n", names.join(","), rows.join("\n")));
    let shown = lab.run(&["solve", "eleven.csv"]).success();
    assert!(shown.contains("Kemeny (least disagreement): not computed above 10 actions"), "{shown}");
    let solved = lab.run(&["solve", "eleven.csv", "--format", "json"]).json();
    assert_eq!(solved["social_choice"]["kemeny"]["refused"], "not computed above 10 actions");
    assert_eq!(solved["social_choice"]["smith_set"], serde_json::json!(["n0"]));
}

#[test]
fn the_bootstrap_says_whether_a_cycle_is_real() {
    let lab = Lab::new();
    lab.write("votes.csv", VOTES);
    let arguments = ["solve", "votes.csv", "--tau-nash", "0.1", "--bootstrap", "400", "--seed", "7"];
    insta::assert_snapshot!("bootstrap_table", lab.run(&arguments));
    for format in ["csv", "markdown"] {
        insta::assert_snapshot!(
            format!("bootstrap_{format}"),
            lab.run(&[&arguments[..], &["--format", format]].concat())
        );
    }
    let solve = |seed: &str| {
        let arguments = ["solve", "votes.csv", "--bootstrap", "400", "--seed", seed, "--format", "json"];
        lab.run(&arguments).json()["bootstrap"].clone()
    };
    let found = solve("7");
    assert_eq!(found, solve("7"));
    assert_ne!(found["policies"], solve("8")["policies"]);
    assert_eq!((&found["unit"], &found["units"]), (&Value::from("comparisons"), &Value::from(300)));
    let none = found["no_condorcet_winner"].as_f64().expect("a share");
    assert!((numbers(&found["condorcet_winner"]).iter().sum::<f64>() + none - 1.0).abs() < 1e-12);
    assert!((0.8..1.0).contains(&found["cycle_at_the_top"].as_f64().expect("a share")), "{found}");
    for rule in found["winners"].as_object().expect("rules").values() {
        assert!((numbers(rule).iter().sum::<f64>() - 1.0).abs() < 1e-12);
    }
    // 70 of 100: the normal interval, within a hundredth of a comparison or two.
    let [low, high] = ["low", "high"].map(|end| found["pairs"][0][end].as_f64().expect("a probability"));
    assert!((low - 0.61).abs() < 0.02 && (high - 0.79).abs() < 0.02, "{low} to {high}");
}

#[test]
fn ballots_are_drawn_from_preference_profiles() {
    let lab = Lab::new();
    let header =
        "# NUMBER ALTERNATIVES: 3\n# ALTERNATIVE NAME 1: x\n# ALTERNATIVE NAME 2: y\n# ALTERNATIVE NAME 3: z\n";
    lab.write("votes.soc", format!("{header}40: 1,2,3\n35: 2,3,1\n25: 3,1,2\n"));
    lab.write("game.toml", "[game]\nfile = \"votes.soc\"\n");
    let solve = |file: &str| lab.run(&["solve", file, "--bootstrap", "200", "--format", "json"]).json();
    let solved = solve("votes.soc");
    assert_eq!(
        (&solved["bootstrap"]["unit"], &solved["bootstrap"]["units"]),
        (&Value::from("ballots"), &Value::from(100))
    );
    assert_eq!(solved["bootstrap"], solve("game.toml")["bootstrap"]);
}

#[test]
fn groups_are_weighed_and_every_policy_is_measured_by_group() {
    let lab = Lab::new();
    lab.write("groups.csv", GROUPS);
    let weighed = ["solve", "groups.csv", "--weight", "old=1", "--weight", "young=3"];
    insta::assert_snapshot!("groups_table", lab.run(&weighed));
    let json = |arguments: &[&str]| lab.run(&[arguments, &["--format", "json"]].concat()).json();
    let by_flag = json(&weighed);
    // f of a is its worst pair, against b: a quarter of 3/4 and three quarters of 1/5.
    let f = numbers(&by_flag["stackelberg"]["leader_values"]);
    assert!((f[0] - (0.25 * 0.75 + 0.75 * 0.2)).abs() < 1e-12, "{f:?}");
    assert_eq!(by_flag["groups"]["weights"], serde_json::json!([0.25, 0.75]));
    lab.write("groups.toml", "[game]\nfile = \"groups.csv\"\nweights = { young = 3, old = 1 }\n");
    let by_file = json(&["solve", "groups.toml"]);
    assert_eq!(by_file["social_choice"], by_flag["social_choice"]);
    assert_eq!(by_file["groups"], by_flag["groups"]);
    // Flags replace the file's weights; with all weight on one group its own Nash policy has one half in the worst case.
    let one = json(&["solve", "groups.toml", "--weight", "old=1", "--weight", "young=0"]);
    let worst = numbers(&one["groups"]["welfare"]["maximal_lottery"]["worst_case"]);
    assert!((worst[0] - 0.5).abs() < 1e-12 && worst[1] < 0.5, "{worst:?}");
    // Without weights the column changes nothing but what is shown of groups.
    let rows = GROUPS.lines().map(|line| line.rsplit_once(',').expect("a group").0);
    lab.write("plain.csv", rows.collect::<Vec<_>>().join("\n"));
    let (pooled, plain) = (json(&["solve", "groups.csv"]), json(&["solve", "plain.csv"]));
    for key in ["stackelberg", "nash", "bradley_terry", "social_choice", "condorcet_winner"] {
        assert_eq!(pooled[key], plain[key], "{key}");
    }
    assert_eq!(pooled["groups"]["weights"], Value::Null);
    assert_eq!(plain.get("groups"), None);
    let drawn = json(&[&weighed[..], &["--bootstrap", "200"]].concat());
    assert_eq!(drawn["bootstrap"]["units"], 140);
}

/// Weights are a setting like others: an axis varies them, and the record holds them.
#[test]
fn weights_of_groups_are_ablated() {
    let lab = Lab::new();
    lab.write("groups.csv", GROUPS);
    lab.write(
        "weights.toml",
        "name = \"weights\"\nkind = \"game\"\nseeds = [1]\n[game]\nfile = \"groups.csv\"\nweights = { old = 1, young = 1 }\n\
         [method]\nname = \"rlhf\"\nsteps = 2\n[[ablation]]\nkey = \"game.weights.old\"\nvalues = [0, 1, 3]\n",
    );
    let _ = lab.run(&["run", "weights.toml"]).success();
    let sql = "SELECT value FROM parameters WHERE key = 'game.weights.old' ORDER BY value";
    let found = lab.run(&["query", sql, "--format", "csv"]).success();
    assert_eq!(found.lines().skip(1).collect::<Vec<_>>(), ["0.0", "0.5", "0.75"], "{found}");
    lab.write(
        "whole.toml",
        lab.read("weights.toml")
            .replace("game.weights.old", "game.weights")
            .replace("[0, 1, 3]", "[{ old = 1, young = 2 }, { old = 2, young = 1 }]"),
    );
    let _ = lab.run(&["check", "whole.toml"]).success();
}

#[test]
fn what_cannot_be_drawn_or_weighed_is_named() {
    let lab = Lab::new();
    lab.write("cycle.csv", CYCLE);
    lab.write("votes.csv", VOTES);
    lab.write("groups.csv", GROUPS);
    lab.write("parts.csv", "winner,loser,weight\na,b,0.5\nb,a,0.7\n");
    lab.write("unknown.toml", "[game]\nfile = \"groups.csv\"\nweights = { old = 1, yuong = 1 }\n");
    lab.write(
        "matrix.toml",
        "[game]\nactions = [\"a\", \"b\"]\npreferences = [[0.5, 0.9], [0.1, 0.5]]\nweights = { old = 1 }\n",
    );
    let mut lines = Vec::new();
    for arguments in [
        &["cycle.csv", "--bootstrap", "100"][..],
        &["parts.csv", "--bootstrap", "100"],
        &["votes.csv", "--bootstrap", "10"],
        &["votes.csv", "--seed", "1"],
        &["votes.csv", "--weight", "old=1"],
        &["groups.csv", "--weight", "old=1"],
        &["groups.csv", "--weight", "old=1", "--weight", "old=2"],
        &["groups.csv", "--weight", "old=-1", "--weight", "young=1"],
        &["groups.csv", "--weight", "old=0", "--weight", "young=0"],
        &["groups.csv", "--weight", "old"],
        &["unknown.toml"],
        &["matrix.toml"],
    ] {
        let outcome = lab.run(&[&["solve"], arguments].concat());
        lines.push(format!("{:?} {}", outcome.code, outcome.normal(&outcome.stderr).trim_end()));
    }
    insta::assert_snapshot!("bad_bootstraps_and_weights", lines.join("\n"));
}
