//! From runs to pages: `evaluate EXPERIMENT`, `compare --at`, `report`, `db export`; and the pages of `docs/results`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use slhf_tests::{Lab, language_lab, repository};

/// Three cells on a tiny model with random weights: nothing here depends on what it says.
const EXPERIMENT: &str = r#"
kind = "language-model"
question = "Who is who?"
seeds = [1, 2]

[model]
path = "tiny"
[model.adapter]
lora_r = 4

[data]
prompts = "prompts.jsonl"
held_out = 4

[judge]
plugin = "brevity"

[method]
steps = 3
prompts_per_step = 2
max_new_tokens = 6

[device]
name = "cpu"
threads = 1

[evaluation]
every = 0
rounds = 2

[[evaluation.judges]]
name = "in both orders"
plugin = "swap-average"
upstream = { plugin = "brevity" }

[[ablation]]
name = "method"
values = [
    { label = "slhf", method = { name = "stackelberg-gda" } },
    { label = "rloo", method = { name = "rloo" } },
    { label = "best", method = { name = "best-of-n", num_generations = 3 } },
]
"#;

fn finished() -> Lab {
    let lab = language_lab(EXPERIMENT);
    let _ = lab.run(&["run", "tiny.toml"]).success();
    lab
}

fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry"));
    let pages = entries.filter(|entry| {
        let name = entry.file_name();
        Path::new(&name).extension().is_some_and(|extension| extension == "md" || extension == "svg")
    });
    pages
        .map(|entry| (entry.file_name().to_string_lossy().into_owned(), fs::read(entry.path()).expect("a file")))
        .collect()
}

#[test]
fn policies_are_compared_under_several_judges_reported_and_exported() {
    let lab = finished();
    // Without a judge: the training judge, and those of [evaluation].
    let found = lab.run(&["evaluate", "tiny", "--format", "json"]).json();
    let found = found.as_array().expect("a list").clone();
    assert_eq!(found.len(), 2);
    assert_eq!((&found[0]["judge"], &found[1]["judge"]), (&"brevity".into(), &"in both orders".into()));
    let asked = lab.run(&["evaluate", "tiny", "--judge", "swap-average over brevity", "--format", "json"]).json();
    assert_eq!(asked[0]["matchups"], found[1]["matchups"]);
    // Runs asked it too, about the same answers.
    let sql = "SELECT count(*) AS n, max(abs(a.value - b.value)) AS apart FROM evaluations a JOIN evaluations b USING (run, step, subject)
        WHERE a.name = 'win_rate' AND b.name = 'win_rate[in both orders]'";
    let both = lab.run(&["query", sql, "--format", "json"]).json();
    assert!(both[0]["n"].as_u64() > Some(0) && both[0]["apart"].as_f64() < Some(1e-12), "{both}");
    assert_eq!((&found[0]["is_training_judge"], &found[1]["is_training_judge"]), (&true.into(), &false.into()));
    for evaluation in &found {
        let names: Vec<&str> = evaluation["policies"]
            .as_array()
            .expect("policies")
            .iter()
            .filter_map(|one| one["name"].as_str())
            .collect();
        // One reference: all cells have the same.
        assert_eq!(names.len(), 8, "{names:?}");
        assert!(names.contains(&"reference") && names.contains(&"slhf/follower(reference)"), "{names:?}");
        let matchups = evaluation["matchups"].as_array().expect("pairs");
        assert_eq!(matchups.len(), 28);
        for matchup in matchups {
            let [rate, low, high, p] =
                ["win_rate", "low", "high", "p_holm"].map(|key| matchup[key].as_f64().expect(key));
            assert!((0.0..=1.0).contains(&p) && low <= rate && rate <= high && matchup["n"] == 8, "{matchup}");
        }
        assert_eq!((&evaluation["cycles"]["triples"], &evaluation["statistics"]), (&56.into(), &2.into()));
        assert_eq!((&evaluation["over"], &evaluation["family"]), (&"seeds and prompts".into(), &"all".into()));
        // A judge that scores answers ranks them.
        let answers = &evaluation["answer_triples"];
        assert!(answers["total"].as_u64() > Some(0) && answers["total"].as_u64() <= Some(8 * 56), "{answers}");
        assert_eq!((&answers["intransitive"], &answers["prompts_with_circle"]), (&0.into(), &0.into()), "{answers}");
    }
    // A judge that knows no place says the same through a plugin that averages places.
    assert_eq!(found[0]["matchups"], found[1]["matchups"]);
    // The training judge's own evaluation of the runs is in agreement.
    let own = lab.run(&["query", "SELECT avg(value) AS rate FROM evaluations JOIN runs USING (run) WHERE name = 'win_rate' AND subject = 'leader/reference' AND cell = 'rloo'", "--format", "json"]).json();
    let matchup = found[0]["matchups"]
        .as_array()
        .expect("pairs")
        .iter()
        .find(|pair| {
            pair["first"] == "reference" && pair["second"] == "rloo/leader"
                || pair["first"] == "rloo/leader" && pair["second"] == "reference"
        })
        .expect("the pair")
        .clone();
    let rate = matchup["win_rate"].as_f64().expect("a rate");
    let rate = if matchup["first"] == "reference" { 1.0 - rate } else { rate };
    assert!((own[0]["rate"].as_f64().expect("a rate") - rate).abs() < 1e-12);
    let kept = lab.run(&["query", "SELECT count(*) AS n FROM policy_matchups", "--format", "json"]).json();
    assert_eq!(kept[0]["n"], 84);

    let _ = lab.run(&["report", "--out", "pages"]).success();
    let pages = files(&lab.path("pages"));
    let page = String::from_utf8(pages["tiny.md"].clone()).expect("text");
    for part in [
        "**Asked:** Who is who?",
        "**Found:** by brevity (training judge), ",
        "**How sure:** 3 cells, 6 finished runs over 2 seeds (1–2), 4 prompts, both orders; by brevity (training judge) ",
        "## On held-out prompts",
        "## Policies against each other, by brevity",
        "Not significant: ",
        "## Judges compared",
        "## Refinement against more samples",
        "## Win rate against divergence",
        "## Learning curves",
        "## The realized schedule",
        "## Cost",
        "## At an equal cost",
        "Without training, and so without a cost of it: best.",
        "differences are significant.**",
        "triples of different responses to one prompt 0 form a cycle (0.00 %, 95 % over seeds and prompts [0.00, ",
        "## Samples",
        "## Provenance",
        "tiny-matrix-1.svg",
    ] {
        assert!(page.contains(part), "{part:?} is missing in\n{page}");
    }
    for name in page.lines().filter_map(|line| line.strip_prefix("![")?.rsplit_once('(')?.1.strip_suffix(')')) {
        assert!(pages.contains_key(name), "{name} is shown and not there");
    }

    // The copy gives the same pages, and names no machine.
    let _ = lab.run(&["db", "export", "tiny", "--to", "copy.db.gz"]).success();
    let _ = lab.run(&["report", "--db", "copy.db.gz", "--out", "again"]).success();
    assert_eq!(pages, files(&lab.path("again")));
    let sql = "SELECT host || working_directory AS place, toml_path FROM executions";
    let rows = lab.run(&["query", "--db", "copy.db.gz", sql, "--format", "json"]).json();
    assert_eq!((&rows[0]["place"], &rows[0]["toml_path"]), (&"".into(), &"tiny.toml".into()));
    // Runs that answer for a later execution come along; the text on the page is that execution's own.
    lab.write("tiny.toml", format!("# Later.\n{EXPERIMENT}"));
    let _ = lab.run(&["run", "tiny.toml", "--needed", "--set", "seeds=[1, 2, 3]"]).success();
    let _ = lab.run(&["db", "export", "tiny", "--to", "later.db"]).success();
    let _ = lab.run(&["report", "--db", "later.db", "--out", "later"]).success();
    let page = lab.read("later/tiny.md");
    assert!(page.contains("3 cells, 9 finished runs over 3 seeds (1–3)") && page.contains("# Later.\n"), "{page}");

    let refused = lab.run(&["run", "tiny.toml", "--db", "copy.db.gz"]);
    assert_eq!(refused.code, Some(2), "{refused}");
}

/// One file that opens offline: nothing is fetched, and no script runs.
#[test]
fn a_page_of_html_holds_all_that_it_shows() {
    let lab = finished();
    let _ = lab.run(&["report", "tiny", "latest", "--format", "html", "--out", "html"]).success();
    let html = lab.read("html/tiny.html");
    for part in ["<!DOCTYPE html>", "default-src 'none'", "Who is who?", "<figure>", "<svg ", "class=\"number\""] {
        assert!(html.contains(part), "{part:?} is missing in the page");
    }
    for page in fs::read_dir(lab.path("html")).expect("listed").flatten() {
        let html = fs::read_to_string(page.path()).expect("text");
        let loads = ["<script", "src=", "@import", "url(", "<link"];
        assert!(loads.iter().all(|part| !html.contains(part)) && html.len() < 5_000_000, "{:?}", page.path());
    }
    assert_eq!(fs::read_dir(lab.path("html")).expect("listed").count(), 2, "an experiment and a run");
}

/// Verdicts by chance go round in circles among the answers, which is said on stderr and on the page.
#[test]
fn circles_among_the_answers_to_one_prompt_are_counted() {
    let lab = finished();
    let judge = r#"noisy-annotators={"error_rate":0.5,"mode":"sampled"} over brevity"#;
    let found = lab.run(&["evaluate", "tiny", "--judge", judge, "--format", "json"]);
    let stderr = found.stderr.clone();
    let answers = &found.json()[0]["answer_triples"];
    let [total, circles, prompts, with] = ["total", "intransitive", "prompts", "prompts_with_circle"]
        .map(|key| answers[key].as_u64().expect("a whole number"));
    assert!(0 < circles && circles < total && 0 < with && with <= prompts && prompts <= 8, "{answers}");
    let [share, low, high] = ["share", "low", "high"].map(|key| answers[key].as_f64().expect("a number"));
    assert!((share - circles as f64 / total as f64).abs() < 1e-12 && low <= share && share <= high, "{answers}");
    let said = format!("of {total} triples of different responses to one prompt {circles} form a cycle (");
    assert!(stderr.contains(&said), "{stderr}");

    let _ = lab.run(&["report", "--out", "pages"]).success();
    assert!(lab.read("pages/tiny.md").contains(&format!("Under this judge, {said}")));
}

/// A copy of a policy is that policy, wherever it is listed: no other number moves, also under a judge that draws.
#[test]
fn a_copy_of_a_policy_changes_no_number() {
    let lab = finished();
    let sql = "SELECT prompt, text FROM completions JOIN runs USING (run) WHERE cell = 'rloo' AND seed = 1 \
        AND role = 'held-out/leader' AND step = (SELECT max(step) FROM completions)";
    let rows = lab.run(&["query", sql, "--format", "json"]).json();
    let lines: Vec<String> = rows
        .as_array()
        .expect("answers")
        .iter()
        .map(|row| serde_json::json!({ "prompt": row["prompt"], "response": row["text"] }).to_string())
        .collect();
    assert!(!lines.is_empty(), "{rows}");
    lab.write("one.jsonl", lines.join("\n"));
    lab.write("copy.jsonl", lines.join("\n"));
    // First in the alphabet, and after its original in the field; and before it.
    let judge = r#"noisy-annotators={"error_rate":0.3,"mode":"sampled"} over brevity"#;
    let evaluate = |responses: &[&str]| {
        let mut arguments = vec!["evaluate", "tiny", "--judge", judge, "--format", "json"];
        arguments.extend(responses.iter().flat_map(|one| ["--responses", one]));
        let found = lab.run(&arguments);
        let stderr = found.stderr.clone();
        (found.json()[0].clone(), stderr)
    };
    let (alone, _) = evaluate(&["one=one.jsonl"]);
    for copies in [["one=one.jsonl", "an=copy.jsonl"], ["an=copy.jsonl", "one=one.jsonl"]] {
        let (both, _) = evaluate(&copies);
        assert_eq!(alone["cycles"]["triples"], both["cycles"]["triples"]);
        let numbers = |found: &serde_json::Value| -> Vec<(f64, f64, f64)> {
            let pairs = found["matchups"].as_array().expect("pairs").iter();
            let number = |pair: &serde_json::Value, key: &str| pair[key].as_f64().expect("a number");
            pairs.map(|pair| (number(pair, "win_rate"), number(pair, "low"), number(pair, "p_value"))).collect()
        };
        assert_eq!(numbers(&alone), numbers(&both), "{copies:?}");
    }
    let (both, said) = evaluate(&["one=one.jsonl", "zwei=copy.jsonl"]);
    assert!(said.contains("zwei gave the same responses as one: they are one policy"), "{said}");
    for key in ["matchups", "cycles", "scale", "answer_triples", "length_correlation", "order_bias"] {
        assert_eq!(alone[key], both[key], "{key}");
    }
    assert_eq!(both["policies"][8]["also"], serde_json::json!(["zwei"]));
    assert_eq!(alone["policies"][8]["elo"], both["policies"][8]["elo"]);

    // One policy alone is nothing to compare.
    let refused = lab.run(&[
        "evaluate",
        "tiny",
        "--responses",
        "one=one.jsonl",
        "--responses",
        "zwei=copy.jsonl",
        "--only",
        "one,zwei",
    ]);
    assert_eq!(refused.code, Some(2), "{refused}");
    assert!(refused.stderr.contains("they are one policy, and a comparison needs two"), "{refused}");
}

/// What an experiment asks about is declared in its TOML, changes no run, and is all that can be significant.
#[test]
fn a_family_is_declared_and_printed() {
    let lab = finished();
    let toml = EXPERIMENT.replacen("[evaluation]", "[evaluation]\nfamily = \"against:reference\"", 1);
    assert_ne!(toml, EXPERIMENT);
    lab.write("tiny.toml", &toml);
    let _ = lab.run(&["run", "tiny.toml", "--needed"]).success();
    let runs = lab.run(&["query", "SELECT count(*) AS n FROM runs", "--format", "json"]).json();
    assert_eq!(runs[0]["n"], 6, "all are answered");
    let found = lab.run(&["evaluate", "tiny", "--format", "json"]);
    assert!(found.stderr.contains("of 7 differences are significant (family \"against:reference\""), "{found}");
    let found = found.json();
    let matchups = found[0]["matchups"].as_array().expect("pairs");
    for matchup in matchups {
        let with_reference = matchup["first"] == "reference" || matchup["second"] == "reference";
        assert_eq!(matchup["p_holm"].is_null(), !with_reference, "{matchup}");
    }
    let _ = lab.run(&["report", "--out", "pages"]).success();
    assert!(lab.read("pages/tiny.md").contains("Family `against:reference`: p is corrected over 7 pairs (Holm)."));
    let refused = lab.run(&["evaluate", "tiny", "--only", "slhf"]);
    assert!(refused.stderr.contains("\"against:reference\", who is not among those compared"), "{refused}");

    lab.write("tiny.toml", toml.replace("against:reference", "against"));
    let refused = lab.run(&["run", "tiny.toml", "--dry-run"]);
    assert_eq!(refused.code, Some(2), "{refused}");
    assert!(refused.stderr.contains("evaluation.family") && refused.stderr.contains("against:reference"), "{refused}");
}

/// What a page says at an equal cost is what `compare --at` says.
#[test]
fn pages_compare_cells_at_an_equal_cost() {
    let lab = finished();
    let _ = lab.run(&["report", "--out", "pages"]).success();
    let page = lab.read("pages/tiny.md");
    let (_, section) = page.split_once("## At an equal cost").expect("the section");
    let (section, _) = section.split_once("\n## ").expect("another section");
    let tables: Vec<&str> = section.split("(`slhf-lab ").skip(1).collect();
    assert!(!tables.is_empty(), "two methods that differ in cost:\n{section}");
    for table in tables {
        let (command, rest) = table.split_once('`').expect("the end of the command");
        let rows: Vec<Vec<&str>> = rest
            .lines()
            .filter_map(|line| Some(line.strip_prefix("| ")?.strip_suffix(" |")?.split(" | ").collect()))
            .collect();
        let [columns, _, cells @ ..] = rows.as_slice() else { panic!("no table in\n{section}") };
        assert_eq!(cells.iter().map(|cell| cell[0]).collect::<Vec<_>>(), ["slhf", "rloo"]);
        let keys = columns[2..].join(",");
        let arguments: Vec<&str> = command.split(' ').chain(["--metrics", keys.as_str(), "--format", "json"]).collect();
        let compared = lab.run(&arguments).json();
        for (cell, of_cell) in cells.iter().zip(compared.as_array().expect("rows")) {
            for (text, key) in cell.iter().zip(columns).skip(2).filter(|(text, _)| !text.is_empty()) {
                let shown: f64 = text.split(' ').next().and_then(|mean| mean.parse().ok()).expect("a mean");
                let mean = of_cell[*key]["mean"].as_f64().expect("a mean");
                assert!(
                    (shown - mean).abs() <= 1e-3 * mean.abs() + 1e-9,
                    "{command}, {}, {key}: {text} {mean}",
                    cell[0]
                );
            }
        }
    }
}

/// A judge that was built anew since the runs is asked all the same, and the difference is told.
#[test]
fn a_judge_that_changed_since_the_runs_is_asked_and_told_of() {
    let lab = finished();
    let sql = "SELECT path FROM plugins WHERE role = 'judge' LIMIT 1";
    let shipped = lab.run(&["query", sql, "--format", "json"]).json();
    let mut bytes = fs::read(shipped[0]["path"].as_str().expect("a path")).expect("a plugin");
    lab.write("own.wasm", &bytes);
    let judge = |plugin: &str| format!("[judge]\nplugin = \"{plugin}\"");
    lab.write("own.toml", EXPERIMENT.replace(&judge("brevity"), &judge("own.wasm")));
    let _ = lab.run(&["run", "own.toml"]).success();
    // An empty custom section: another file, the same program.
    bytes.extend([0, 2, 1, b'x']);
    lab.write("own.wasm", &bytes);
    let found = lab.run(&["evaluate", "own", "--judge", "training"]);
    assert!(found.code == Some(0) && found.stderr.contains("is not the file that the runs were judged by"), "{found}");
}

/// Where the judge itself is ablated, `training` is ambiguous: it is said whose judge was asked.
#[test]
fn cells_that_learnt_from_another_judge_are_named() {
    let lab = finished();
    let (before, _) = EXPERIMENT.split_once("[[ablation]]").expect("an ablation");
    let before = before.replace("[method]", "[method]\nname = \"rloo\"");
    let ablation = r#"[[ablation]]
name = "judge"
values = [
    { label = "as meant", judge = { parameters = { words_target = 5 } } },
    { label = "other budget", judge = { parameters = { words_target = 8 } } },
]
"#;
    lab.write("judged.toml", format!("{before}{ablation}"));
    let _ = lab.run(&["run", "judged.toml"]).success();
    let note = "note: `training` is the first cell's judge; 'other budget' learnt from another";
    let judged = lab.run(&["evaluate", "judged", "--judge", "training"]);
    assert!(judged.code == Some(0) && judged.stderr.contains(note), "{judged}");
    let tiny = lab.run(&["evaluate", "tiny", "--judge", "training"]);
    assert!(tiny.code == Some(0) && !tiny.stderr.contains("learnt from another"), "{tiny}");
}

#[test]
fn responses_of_others_join_and_values_are_read_at_an_equal_cost() {
    let lab = finished();
    let prompts = lab
        .run(&[
            "query",
            "SELECT DISTINCT prompt FROM completions WHERE role = 'held-out/reference'",
            "--format",
            "json",
        ])
        .json();
    let lines: Vec<String> = prompts
        .as_array()
        .expect("rows")
        .iter()
        .map(|row| serde_json::json!({"prompt": row["prompt"], "response": "Yes."}).to_string())
        .collect();
    lab.write("other.jsonl", lines.join("\n"));
    let found = lab.run(&[
        "evaluate",
        "tiny",
        "--responses",
        "other=other.jsonl",
        "--only",
        "other,reference",
        "--judge",
        "training",
        "--format",
        "json",
    ]);
    let found = found.json();
    assert_eq!(found[0]["policies"].as_array().map(Vec::len), Some(4), "{found}");

    for (file, expected) in [
        (format!("{0}\n{0}", lines[0]), "row 2: an earlier line has a response to this prompt already"),
        ("{\"prompt\": \"Count.\"}".to_owned(), "row 1: there is no text under \"response\""),
    ] {
        lab.write("bad.jsonl", file);
        let refused = lab.run(&["evaluate", "tiny", "--responses", "bad=bad.jsonl"]);
        assert!(refused.code == Some(2) && refused.stderr.contains(expected), "{refused}");
    }
    let refused = lab.run(&["evaluate", "tiny", "--responses", "reference=other.jsonl"]);
    assert!(refused.code == Some(2) && refused.stderr.contains("already has a policy 'reference'"), "{refused}");

    let at = |budget: &str, metrics: &str| {
        lab.run(&["compare", "tiny", "--at", budget, "--metrics", metrics, "--format", "json"])
    };
    let rows = at("step=2.5", "num_tokens_generated").json();
    let exact = |step: u32| {
        let sql = format!(
            "SELECT avg(value) AS v FROM metrics JOIN runs USING (run) WHERE key = 'num_tokens_generated' AND step = {step} AND cell = 'slhf'"
        );
        lab.run(&["query", &sql, "--format", "json"]).json()[0]["v"].as_f64().expect("a number")
    };
    let found = rows[0]["num_tokens_generated"]["mean"].as_f64().expect("a mean");
    assert!((found - 0.5 * (exact(2) + exact(3))).abs() < 1e-9, "{rows}");
    let refused = at("tokens=1e9", "num_tokens");
    assert_eq!(refused.code, Some(2));
    assert!(refused.stderr.contains("the most that was spent is"), "{refused}");
}

#[test]
fn curves_are_drawn_in_a_terminal_and_as_pictures() {
    let lab = finished();
    let plot = |more: &[&str]| lab.run(&[&["plot", "tiny"], more].concat());
    let drawn = plot(&["--key", "objective/kl_leader", "--x", "tokens", "--cell", "slhf"]).success();
    let is_braille = |letter: char| ('\u{2801}'..='\u{28ff}').contains(&letter);
    assert!(drawn.chars().any(is_braille) && drawn.contains("slhf: ") && !drawn.contains("rloo: "), "{drawn}");
    assert!(drawn.lines().all(|line| line.chars().count() <= 120), "{drawn}");
    let _ = plot(&["--to", "curve.svg"]).success();
    assert!(lab.read("curve.svg").starts_with("<svg width="), "an SVG");
    let _ = plot(&["--to", "curve.png"]).success();
    assert!(fs::read(lab.path("curve.png")).expect("a picture").starts_with(b"\x89PNG"));
    for (more, expected) in [
        (&["--key", "objective/kl_leadr"][..], "did you mean `objective/kl_leader`?"),
        (&["--to", "curve.gif"], "a picture's name ends in .svg or .png"),
        (&["--smooth", "1"], "expected a number from 0 to below 1"),
    ] {
        let refused = plot(more);
        assert!(refused.code == Some(2) && refused.stderr.contains(expected), "{refused}");
    }
    // Without a terminal a run is told once.
    let told = lab.run(&["watch", "tiny/slhf/1"]).success();
    for part in ["tiny/slhf/1: finished", "step 3 of 3", "rewards/probabilities ", "y (", "prompt: "] {
        assert!(told.contains(part), "{part:?} is missing in {told}");
    }
}

#[test]
fn what_is_wrong_is_said() {
    let lab = Lab::new();
    lab.write("game.toml", "kind = \"game\"\n[game]\nactions = [\"a\", \"b\"]\npreferences = [[0.5, 0.7], [0.3, 0.5]]\n[method]\nname = \"stackelberg-gda\"\nsteps = 2\n");
    let _ = lab.run(&["run", "game.toml"]).success();
    let said = |arguments: &[&str], expected: &str| {
        let outcome = lab.run(arguments);
        assert_eq!(outcome.code, Some(2), "{outcome}");
        assert!(outcome.stderr.contains(expected), "{outcome}");
    };
    said(&["evaluate", "game"], "has no finished run of a language model");
    said(&["evaluate", "nobody"], "holds no experiment `nobody`");
    said(&["evaluate"], "required");
    said(&["report", "nobody"], "holds no experiment `nobody`");
    said(&["db", "export", "nobody", "--to", "x.db"], "holds no experiment `nobody`");
    said(&["compare", "game", "--at", "tokens=1"], "games count steps");
    said(&["compare", "game", "--at", "money=1"], "as in tokens=2e6");
}

/// The learning rate of a grid that needed the fewest gradients, by the seed that needed the most.
#[test]
fn gradients_to_the_target_stand_in_a_table_with_the_best_learning_rate() {
    let lab = Lab::new();
    lab.write(
        "steps.toml",
        "kind = 'game'\nseeds = [1, 2]\n[game]\nactions = ['a', 'b', 'c']\n\
         preferences = [[0.5, 0.2, 0.9], [0.8, 0.5, 0.3], [0.1, 0.7, 0.5]]\n[method]\nname = 'egpo'\nsteps = 120\n\
         [evaluation]\nevery = 120\ntarget_distance = 1e-6\n[[ablation]]\nname = 'method'\n\
         values = [{ label = 'two', method = { name = 'egpo' } }, { label = 'one', method = { name = 'omwu' } },\n\
         { label = 'mirror', game = { tau_nash = 0.001 }, method = { name = 'nash-md' } }]\n\
         [[ablation]]\nkey = 'schedule.learning_rate'\nvalues = [1.0, 2.0, 8.0]\n",
    );
    let _ = lab.run(&["run", "steps.toml", "--quiet"]).success();
    let question = "SELECT cell, value FROM latest_metrics JOIN runs USING (run) WHERE key = 'gradients_to_target'";
    let rows = lab.run(&["query", question, "--format", "json"]).json();
    let rows = rows.as_array().expect("rows");
    let worst = |cell: &str| {
        let own = rows.iter().filter(|row| row["cell"] == cell);
        own.map(|row| row["value"].as_f64().unwrap_or(f64::INFINITY)).fold(0.0, f64::max)
    };
    assert_eq!(rows.len(), 18, "{rows:?}");
    let cells: std::collections::BTreeSet<&str> = rows.iter().filter_map(|row| row["cell"].as_str()).collect();
    let _ = lab.run(&["report", "steps", "--out", "pages"]).success();
    let page = fs::read_to_string(lab.path("pages/steps.md")).expect("a page");
    assert!(page.contains("## Gradients to the target") && page.contains("within a distance of 1e-6"), "{page}");
    for method in ["two", "one"] {
        let of = cells.iter().filter(|cell| cell.starts_with(method)).map(|cell| worst(cell));
        let fewest = of.fold(f64::INFINITY, f64::min);
        assert!(fewest < 120.0 && page.contains(&format!("| {method} | {fewest} at ")), "{fewest}: {page}");
    }
    assert!(page.contains("| mirror | – |"), "{page}");
    let players = [
        "--set",
        "method.name=stackelberg-gda",
        "--set",
        "schedule.realisation=updates_per_leader_update",
        "--set",
        "schedule.kappa=2.0",
    ];
    lab.write("players.toml", lab.read("steps.toml").split("[[ablation]]").next().expect("a part"));
    let refused = lab.run(&[&["run", "players.toml", "--dry-run"], &players[..]].concat());
    assert!(
        refused.code == Some(2) && refused.stderr.contains("players take different numbers of gradients"),
        "{refused}"
    );
    assert_eq!(
        worst(cells.iter().find(|cell| cell.starts_with("two") && cell.contains('8')).expect("a cell")),
        f64::INFINITY
    );
}

/// `docs/results` is what `report` makes of the record beside it, byte by byte.
#[test]
fn the_pages_of_results_are_made_from_the_record_beside_them() {
    let folder = repository().join("docs/results");
    let lab = Lab::new();
    let record = folder.join("record.db.gz").display().to_string();
    let _ = lab.run(&["report", "--db", &record, "--out", "pages"]).success();
    // Of closed response sets, as of games, no more is kept of a history than a curve needs.
    let steps = "SELECT max(n) AS most, count(*) AS runs FROM (SELECT run, count(DISTINCT step) AS n FROM metrics JOIN runs USING (run) \
                 WHERE experiment = 'sampling-noise' GROUP BY run)";
    let steps = lab.run(&["query", "--db", &record, steps, "--format", "json"]).json();
    assert_eq!((&steps[0]["most"], &steps[0]["runs"]), (&25.into(), &120.into()));
    let (made, mut kept) = (files(&lab.path("pages")), files(&folder));
    // Made by `slhf-lab judge`: judge.rs compares it with what that says.
    assert!(kept.remove("judge-audits.md").is_some());
    assert_eq!(made.keys().collect::<Vec<_>>(), kept.keys().collect::<Vec<_>>());
    for (name, bytes) in &made {
        assert!(
            bytes == &kept[name],
            "docs/results/{name} is not what `slhf-lab report --db docs/results/record.db.gz --out docs/results` makes"
        );
    }
}
