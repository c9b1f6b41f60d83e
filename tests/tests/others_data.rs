//! Prompts, counts and models as others' programs leave them, from the command line.

use slhf_tests::{Lab, language_lab};

const EXPERIMENT: &str = r#"
kind = "language-model"

[model]
path = "tiny"

[data]
prompts = "prompts.jsonl"
held_out = 2

[judge]
plugin = "brevity"

[device]
name = "cpu"
threads = 1

[method]
name = "stackelberg-gda"
steps = 1
prompts_per_step = 2
max_new_tokens = 4

[evaluation]
prompts = 2

[checkpoint]
every = 1000
"#;

/// Eight good rows among three that cannot be used; a history with an answer that is empty; a number that is none.
fn rows() -> String {
    let good = (0..6).map(|number| format!("{{\"prompt\": \"Count to {number}.\", \"score\": NaN}}\n"));
    let rows: String = good.collect();
    rows + "{\"prompt\": null}\n\
            {\"messages\": [{\"role\": \"system\", \"content\": \"\"}, {\"role\": \"user\", \"content\": \"Hi\"}, {\"role\": \"assistant\", \"content\": \"\"}, {\"role\": \"user\", \"content\": \"Why?\"}]}\n\
            {\"prompt\": \"half\\ud83d\"}\n\
            {\"prompt\": \"cut of\n\
            {\"messages\": [{\"role\": \"assistant\", \"content\": \"I am the last.\"}]}\n"
}

fn lab() -> Lab {
    let lab = language_lab(EXPERIMENT);
    lab.write("prompts.jsonl", rows());
    lab
}

#[track_caller]
fn refusal(lab: &Lab, arguments: &[&str]) -> String {
    let outcome = lab.run(arguments);
    assert_eq!(outcome.code, Some(2), "{outcome}");
    outcome.normal(&outcome.stderr).lines().next().unwrap_or_default().to_owned()
}

#[test]
fn bad_rows_are_refused_by_default_and_else_counted_by_check_in_the_run_and_in_the_record() {
    let lab = lab();
    let refused = refusal(&lab, &["check", "tiny.toml"]);
    assert!(refused.contains("prompts.jsonl, row 7: the row has null under \"prompt\"; expected"), "{refused}");
    let refused = refusal(&lab, &["check", "tiny.toml", "--set", "data.on_bad_row=skipp"]);
    assert!(refused.ends_with("\"skipp\" is not known; did you mean \"skip\"? known are skip, error"), "{refused}");

    let skip = ["--set", "data.on_bad_row=skip"];
    let counted = "3 rows of [FOLDER]/prompts.jsonl cannot be used and are left out (data.on_bad_row); the first: [FOLDER]/prompts.jsonl, row 7: ";
    let checked = lab.run(&["check", "tiny.toml", skip[0], skip[1]]);
    assert_eq!(checked.code, Some(0), "{checked}");
    let said = checked.normal(&checked.stderr);
    assert!(said.contains(counted), "{said}");

    let run = lab.run(&["run", "tiny.toml", "--db", "r.db", skip[0], skip[1]]);
    assert_eq!(run.code, Some(0), "{run}");
    let said = run.normal(&run.stderr);
    assert!(said.contains(counted), "{said}");
    let sql = "SELECT key, value FROM parameters WHERE key IN ('data.on_bad_row', 'data.skipped_rows') ORDER BY key";
    let kept = lab.run(&["query", sql, "--db", "r.db", "--format", "csv"]);
    assert_eq!(kept.stdout, "key,value\ndata.on_bad_row,skip\ndata.skipped_rows,3\n", "{kept}");
    // Whoever reads the file again skips the same rows.
    let evaluated = lab.run(&["evaluate", "tiny", "--db", "r.db", "--judge", "training"]);
    assert!(!evaluated.stderr.contains("no metadata"), "{evaluated}");
    assert_eq!(evaluated.code, Some(0), "{evaluated}");
}

#[test]
fn a_plan_without_bad_rows_says_nothing_of_them() {
    let lab = language_lab(EXPERIMENT);
    let hash = |set: &[&str]| {
        let planned = lab.run(&[&["run", "--dry-run", "tiny.toml"], set].concat());
        assert_eq!(planned.code, Some(0), "{planned}");
        planned.normal(&planned.stderr) + &planned.normal(&planned.stdout)
    };
    assert_eq!(hash(&[]), hash(&["--set", "data.on_bad_row=error"]));
    let skip = hash(&["--set", "data.on_bad_row=skip"]);
    assert!(!skip.contains("cannot be used"), "{skip}");
}

#[test]
fn prompts_and_answers_that_the_model_has_no_positions_for_are_refused_when_planned() {
    let lab = language_lab(EXPERIMENT);
    let prompts = (0..12).map(|length| format!("{{\"prompt\": \"Count{}\"}}\n", " up".repeat(length)));
    lab.write("prompts.jsonl", prompts.collect::<String>());
    let with = |sets: &[&str]| {
        let mut arguments = vec!["check", "tiny.toml"];
        arguments.extend(sets.iter().flat_map(|set| ["--set", set]));
        arguments.into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let check = |sets: &[&str], expect: Option<&str>| {
        let arguments = with(sets);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        match expect {
            None => assert_eq!(lab.run(&arguments).code, Some(0), "{sets:?}: {}", lab.run(&arguments)),
            Some(expect) => {
                let said = refusal(&lab, &arguments);
                assert!(said.contains(expect), "{sets:?}: {said}");
            }
        }
    };
    let refused = |sets: &[&str]| {
        let arguments = with(sets);
        refusal(&lab, &arguments.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let overflows = [
        &["method.max_new_tokens=200"][..],
        &["method.name=rloo", "method.max_new_tokens=210"],
        &["method.name=self-refinement", "method.max_new_tokens=70"],
        &["evaluation.max_new_tokens=150"],
        &["method.max_new_tokens=90", "data.over_long=truncate"],
    ];
    let overflows = overflows.map(|sets| format!("{}\n    {}", sets.join(" "), refused(sets)));
    insta::assert_snapshot!("overflow", overflows.join("\n"));
    // What the refusals say mends them, and one token more does not.
    let largest = |sets: &[&str], key: &str, marker: &str| -> u32 {
        let said = refused(sets);
        let (_, rest) = said.split_once(marker).expect(key);
        rest.split(|sign: char| !sign.is_ascii_digit()).next().expect("a number").parse().expect("a number")
    };
    for method in ["stackelberg-gda", "rloo"] {
        let name = format!("method.name={method}");
        let most = largest(&[&name, "method.max_new_tokens=253"], "method.max_new_tokens", "lower it to at most ");
        check(&[&name, &format!("method.max_new_tokens={most}")], None);
        check(&[&name, &format!("method.max_new_tokens={}", most + 1)], Some("positions, but the model has 256"));
        let answers = format!("method.max_new_tokens={}", most + 1);
        let prompts = largest(&[&name, &answers], "data.max_prompt_tokens", "data.max_prompt_tokens to at most ");
        check(&[&name, &answers, &format!("data.max_prompt_tokens={prompts}")], None);
    }
}

#[test]
fn names_of_the_hub_and_of_others_methods_are_told_what_to_do() {
    let lab = language_lab(EXPERIMENT);
    let asked = |what: &str, arguments: &[&str]| format!("{what}\n    {}", refusal(&lab, arguments));
    let set = |what: &str, set: &str| asked(what, &["check", "tiny.toml", "--set", set]);
    insta::assert_snapshot!(
        "told",
        [
            set("a model of the hub", "model.path=some-org/some-model"),
            set("a path", "model.path=./some-org/some-model"),
            set("a data set of the hub", "data.prompts=some-org/some-data"),
            asked(
                "a model of the hub, asked",
                &["model", "inspect", "--model", "https://huggingface.co/some-org/some-model"]
            ),
            asked(
                "an adapter of the hub",
                &["model", "inspect", "--model", "tiny", "--adapter", "some-org/some-adapter"]
            ),
            set("offline", "method.name=dpo"),
            set("with a value model", "method.name=ppo"),
            set("one answer a row", "method.name=kto"),
            set("a slip", "method.name=nash_md"),
            set("nothing near", "method.name=magic"),
        ]
        .join("\n")
    );
}

#[test]
fn counts_under_a_header_of_others_are_solved() {
    let lab = Lab::new();
    lab.write("first.csv", "first,second,wins\nx,y,7.5\ny,x,2.5\nx,z,2\nz,x,1\ny,z,1\nz,y,1\n");
    lab.write("votes.csv", "item_a,item_b,votes_a,votes_b\nx,y,7.5,2.5\nx,z,2,1\ny,z,1,1\n");
    let solved = |file: &str| lab.run(&["solve", file, "--format", "csv"]);
    assert_eq!(solved("first.csv").code, Some(0), "{}", solved("first.csv"));
    assert_eq!(solved("first.csv").stdout, solved("votes.csv").stdout);
    lab.write("other.csv", "item_a,item_b,result\nx,y,1\n");
    let refused = refusal(&lab, &["solve", "other.csv"]);
    assert!(
        refused.contains(
            "counts are not read under this header; expected first,second,wins; item_a,item_b,votes_a,votes_b"
        ),
        "{refused}"
    );
}
