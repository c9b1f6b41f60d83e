//! `slhf-lab evaluate --annotations`: win rates from annotations, plain and controlled for length.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use slhf_tests::{Lab, repository, shared_data};

/// Expected values by `AlpacaEval`'s own function: `tests/python/length_control.py` made the files and them.
fn fixture(name: &str) -> String {
    repository().join("tests/fixtures/length-control").join(name).display().to_string()
}

fn number(value: &Value, key: &str) -> f64 {
    value[key].as_f64().expect("a number")
}

fn evaluated(lab: &Lab, arguments: &[&str]) -> Value {
    let all = [&["evaluate", "--format", "json", "--annotations"], arguments].concat();
    lab.run(&all).json()
}

#[test]
fn with_the_auxiliary_tables_it_is_the_published_definition() {
    let lab = Lab::new();
    let text = fs::read_to_string(fixture("expected.json")).expect("the fixture");
    let expected: Value = serde_json::from_str(&text).expect("JSON");
    for name in ["first", "second"] {
        let found = evaluated(&lab, &[&fixture(&format!("{name}.csv")), "--auxiliary", &fixture("auxiliary")]);
        let expected = &expected[name];
        for key in ["win_rate", "standard_error", "discrete_win_rate", "n_total"] {
            let (found, expected) = (number(&found, key), number(expected, key));
            assert!((found - expected).abs() < 1e-6, "{name}, {key}: {found} is not {expected}");
        }
        let (rate, of_package) =
            (number(&found, "length_controlled_win_rate"), number(expected, "length_controlled_win_rate"));
        assert!((rate - of_package).abs() < 0.05, "{name}: {rate} is not {of_package}");
        assert_eq!(found["length_control"], "published-definition");
        let [low, high] = [0, 1].map(|end| found["interval"][end].as_f64().expect("a number"));
        assert!(low < rate && rate < high && high - low < 20.0, "{low} {rate} {high}");
    }
}

#[test]
fn without_them_it_is_an_estimate_and_says_so() {
    let lab = Lab::new();
    fs::copy(fixture("first.csv"), lab.folder().join("first.csv")).expect("a copy");
    for format in ["table", "json", "csv", "markdown"] {
        let outcome = lab.run(&["evaluate", "--annotations", "first.csv", "--format", format]);
        insta::assert_snapshot!(format!("estimate_{format}"), outcome);
    }
}

#[test]
fn alpaca_evals_own_json_gives_what_its_lengths_give() {
    let lab = Lab::new();
    let rows =
        [("abc", "äö", json!(1.75)), ("a", "bcdef", json!(0)), ("abcdef", "a", json!(null)), ("ab", "", json!(1))];
    let entries: Vec<Value> = rows
        .iter()
        .map(|(first, second, preference)| json!({"output_1": first, "output_2": second, "preference": preference}))
        .collect();
    lab.write("a.json", Value::from(entries).to_string());
    lab.write("a.csv", "length_1,length_2,preference\n3,2,1.75\n1,5,1.5\n6,1,\n2,0,1\n");
    let (of_json, of_csv) = (evaluated(&lab, &["a.json"]), evaluated(&lab, &["a.csv"]));
    assert_eq!(of_json, of_csv);
    assert_eq!((of_json["n_total"].as_u64(), of_json["n_missing"].as_u64()), (Some(3), Some(1)));
    assert!((number(&of_json, "win_rate") - 125.0 / 3.0).abs() < 1e-12);
    assert!((number(&of_json, "discrete_win_rate") - 50.0).abs() < 1e-12);
}

/// Outputs of one character, but for those that win: the whole of it lies in their lengths.
#[test]
fn a_gamed_entry_is_outside_of_the_model() {
    let lab = Lab::new();
    let (mut table, mut constant) = (vec!["length_1,length_2,preference".to_owned()], Vec::new());
    constant.clone_from(&table);
    for row in 0..200_u32 {
        let first = 400 + (row * 7919) % 2500;
        let wins = row % 20 == 0;
        let (second, preference) = if wins { (first + 300, 1.9) } else { (1 + row % 3, 1.001) };
        table.push(format!("{first},{second},{preference}"));
        constant.push(format!("{first},872,{}", 1.0 + f64::from(row % 10) / 10.0));
    }
    lab.write("gamed.csv", table.join("\n"));
    lab.write("constant.csv", constant.join("\n"));
    for name in ["gamed", "constant"] {
        let file = format!("{name}.csv");
        let outcome = lab.run(&["evaluate", "--annotations", &file, "--format", "json"]);
        insta::assert_snapshot!(format!("outside_{name}"), outcome);
    }
}

#[test]
fn what_cannot_be_read_is_refused_by_row_and_column() {
    let lab = Lab::new();
    lab.write("empty/df_gamed.csv", "index,preference,std_delta_len,instruction_difficulty\n");
    let cases = [
        ("nothing", "nothing.csv", None),
        ("another format", "a.txt", Some("length_1,length_2,preference\n1,2,1.5\n")),
        ("an empty file", "a.csv", Some("")),
        ("only a header", "a.csv", Some("length_1,length_2,preference\n")),
        ("a column that is missing", "a.csv", Some("length_1,preference\n1,1.5\n")),
        ("a preference from 0 to 1", "a.csv", Some("length_1,length_2,preference\n1,2,1.5\n3,4,0.25\n")),
        ("a length that is none", "a.csv", Some("length_1,length_2,preference\n1,two,1.5\n")),
        ("half a character", "a.csv", Some("length_1,length_2,preference\n1,2.5,1.5\n")),
        ("a row that is short", "a.csv", Some("length_1,length_2,preference\n1,2,1.5\n1,2\n")),
        ("no preference at all", "a.csv", Some("length_1,length_2,preference\n1,2,\n3,4,nan\n")),
        ("no list", "a.json", Some("{\"output_1\": \"a\"}")),
        ("no JSON", "a.json", Some("[{\"output_1\": \"a\",\n")),
        ("no text", "a.json", Some("[{\"output_1\": \"a\", \"preference\": 1}]")),
        ("a preference of 3", "a.json", Some("[{\"output_1\": \"a\", \"output_2\": \"b\", \"preference\": 3}]")),
    ];
    let refusal = |arguments: &[&str]| {
        let outcome = lab.run(arguments);
        assert_eq!(outcome.code, Some(2), "{outcome}");
        outcome.normal(&outcome.stderr)
    };
    let mut lines = Vec::new();
    for (name, file, text) in cases {
        if let Some(text) = text {
            lab.write(file, text);
        }
        lines.push(format!("{name}\n    {}", refusal(&["evaluate", "--annotations", file])));
    }
    lab.write("a.csv", "length_1,length_2,preference\n1,2,1.5\n3,1,1.25\n");
    for (name, folder) in [("no tables", "nowhere"), ("tables without rows", "empty")] {
        let arguments = ["evaluate", "--annotations", "a.csv", "--auxiliary", folder];
        lines.push(format!("{name}\n    {}", refusal(&arguments)));
    }
    insta::assert_snapshot!("refusals", lines.join("\n"));
}

#[test]
fn where_nothing_can_be_said_nothing_is() {
    let lab = Lab::new();
    lab.write("same.csv", "length_1,length_2,preference\n5,4,1.5\n3,2,1.25\n");
    lab.write("lost.csv", "length_1,length_2,preference\n5,4,1\n3,1,1\n");
    for (file, reason) in [("same.csv", "differ by the same number"), ("lost.csv", "prefers one side")] {
        let found = evaluated(&lab, &[file]);
        assert_eq!(
            (&found["length_controlled_win_rate"], &found["length_control"]),
            (&Value::Null, &json!("unavailable"))
        );
        assert!(found["reasons"][0].as_str().is_some_and(|found| found.contains(reason)), "{found}");
    }
}

/// On real annotations, where they are at hand: plain win rates are the published ones, and the estimate is near.
#[test]
fn real_annotations_give_the_published_win_rates() {
    let Some(folder) = shared_data().map(|data| data.join("alpaca_eval")) else { return };
    let published = fs::read_to_string(folder.join("leaderboard.csv")).expect("the leaderboard");
    let lab = Lab::new();
    let mut errors = Vec::new();
    for line in published.lines().skip(1) {
        let cells: Vec<&str> = line.split(',').collect();
        let file = folder.join(format!("{}.csv", cells[0]));
        assert!(Path::new(&file).exists(), "{line}");
        let found = evaluated(&lab, &[&file.display().to_string()]);
        let cell = |place: usize| cells[place].parse::<f64>().expect("a number");
        for (key, place) in [("win_rate", 1), ("standard_error", 2), ("n_total", 3), ("discrete_win_rate", 4)] {
            assert!((number(&found, key) - cell(place)).abs() < 1e-6, "{}, {key}", cells[0]);
        }
        assert_eq!(found["length_control"], "estimate", "{}", cells[0]);
        errors.push((number(&found, "length_controlled_win_rate") - cell(6)).abs());
    }
    let mean = errors.iter().sum::<f64>() / errors.len() as f64;
    assert!(errors.len() > 30 && mean < 1.0, "{mean}");
}
