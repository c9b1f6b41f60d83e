//! The shipped plugins that ask models, and the one that looks preferences up, each in `plugin try` and in a run.

use serde_json::Value;
use slhf_tests::{Lab, plugins_folder, reward_model, reward_model_of_four, tiny_model, worker_binary};

/// A lab with a language model as `tiny`, reward models as `rm` and `four`, and prompts whose rows have a reference and preferences.
fn lab() -> Lab {
    let _built = worker_binary();
    let lab = Lab::new();
    tiny_model(&lab, "tiny");
    reward_model(&lab, "rm");
    reward_model_of_four(&lab, "four");
    let row =
        |number: usize| format!("{{\"prompt\": \"Count to {number}.\", \"reference\": \"One, two, {number}.\"}}\n");
    lab.write("prompts.jsonl", (0..12).map(row).collect::<String>());
    lab
}

fn tried(lab: &Lab, arguments: &[&str]) -> Value {
    let question = ["--prompt", "What is better?", "--format", "json"];
    let mut command = lab.command([&["plugin", "try"], arguments, &question[..]].concat());
    lab.outcome(command.env("SLHF_LAB_PLUGINS", plugins_folder())).json()
}

fn number(value: &Value) -> f64 {
    value.as_f64().expect("a number")
}

/// p(a ≻ b) and p(b ≻ a).
fn both(lab: &Lab, arguments: &[&str]) -> [f64; 2] {
    [["--first", "The leader.", "--second", "No."], ["--first", "No.", "--second", "The leader."]]
        .map(|pair| number(&tried(lab, &[arguments, &pair[..]].concat())["probability"]))
}

/// A game of three texts under a judge, run to its end; how many items its models were asked about.
fn game(lab: &Lab, judge: &str) -> i64 {
    lab.write(
        "game.toml",
        format!(
            "kind = \"game\"\n[game]\nprompt = \"What is better?\"\nactions = [\n    {{ name = \"a\", text = \"The leader.\" }},\n    \
             {{ name = \"b\", text = \"No.\" }},\n    {{ name = \"c\", text = \"Both of them.\" }},\n]\n{judge}\n[method]\nname = \
             \"stackelberg-gda\"\nsteps = 20\n"
        ),
    );
    let _ = lab.run(&["run", "game.toml"]).success();
    let used = lab.run(&["query", "SELECT sum(items) AS items FROM model_uses", "--format", "json"]).json();
    used[0]["items"].as_i64().unwrap_or_default()
}

#[test]
fn a_rubric_has_a_vote_for_each_criterion() {
    let lab = lab();
    let parameters = r#"{"criteria": [{"name": "brief", "question": "Prefer the shorter one.", "weight": 3}, {"name": "kind", "question": "Prefer the kinder one."}]}"#;
    let arguments = ["rubric-judge", "--grant", "critic=tiny", "--parameters", parameters];
    let verdict = tried(&lab, &[&arguments[..], &["--first", "The leader.", "--second", "No."]].concat());
    let votes = verdict["attributes"].as_array().expect("attributes");
    let of = |name: &str| {
        let vote = votes.iter().find(|vote| vote["name"] == name);
        number(&vote.unwrap_or_else(|| panic!("{name} is not in {verdict:#}"))["value"])
    };
    let expected = (3.0 * of("brief") + of("kind")) / 4.0;
    assert!((number(&verdict["probability"]) - expected).abs() < 1e-12, "{verdict:#}");
    let [straight, swapped] = both(&lab, &arguments);
    assert!((straight + swapped - 1.0).abs() < 1e-12);
    let asked = game(
        &lab,
        &format!(
            "[judge]\nplugin = \"rubric-judge\"\nparameters = {}\n[judge.models.critic]\npath = \"tiny\"",
            toml(parameters)
        ),
    );
    assert!(asked > 0, "the model was asked nothing");
}

/// JSON as an inline table of TOML, for what this file writes.
fn toml(json: &str) -> String {
    json.replace("\":", "\" =")
}

#[test]
fn a_reward_model_is_a_reward_and_by_bradley_terry_a_judge() {
    let lab = lab();
    let score =
        |response: &str| number(&tried(&lab, &["reward-model", "--grant", "rm=rm", "--first", response])[0]["score"]);
    let (leader, no) = (score("The leader."), score("No."));
    assert!((leader - no).abs() > 1e-6, "the tiny model says the same of both");
    // What the verb for reward models says.
    let said = lab.run(&[
        "model",
        "score",
        "rm",
        "--prompt",
        "What is better?",
        "--response",
        "The leader.",
        "--format",
        "json",
    ]);
    let said = number(&said.json()[0]["values"][0]["value"]);
    assert!((said - leader).abs() < 1e-6, "{said} instead of {leader}");
    let asked = game(
        &lab,
        "[judge]\nplugin = \"bradley-terry\"\n[judge.upstream]\nplugin = \"reward-model\"\n[judge.upstream.models.rm]\npath = \"rm\"",
    );
    assert!(asked > 0, "the model was asked nothing");
    let verdicts =
        lab.run(&["query", "SELECT probability FROM verdicts WHERE first = 'a' AND second = 'b'", "--format", "json"]);
    let expected = 1.0 / (1.0 + (no - leader).exp());
    let found = number(&verdicts.json()[0]["probability"]);
    assert!((found - expected).abs() < 1e-9, "{found} instead of {expected}");
}

#[test]
fn a_committee_counts_its_members() {
    let lab = lab();
    let arguments =
        ["attribute-committee", "--grant", "one=rm", "--grant", "two=rm", "--parameters", r#"{"ties": "half"}"#];
    let [straight, swapped] = both(&lab, &arguments);
    // Both members are one model: they agree.
    assert!([straight, swapped] == [1.0, 0.0] || [straight, swapped] == [0.0, 1.0], "{straight}, {swapped}");
    let asked = game(
        &lab,
        "[judge]\nplugin = \"attribute-committee\"\n[judge.models.one]\npath = \"rm\"\n[judge.models.two]\npath = \"rm\"",
    );
    assert!(asked > 0, "the models were asked nothing");
}

#[test]
fn a_general_preference_head_is_complementary() {
    let lab = lab();
    let [straight, swapped] = both(&lab, &["general-preference", "--grant", "gpm=four"]);
    assert!((straight + swapped - 1.0).abs() < 1e-12, "{straight}, {swapped}");
    assert!((straight - 0.5).abs() > 1e-9, "the head says nothing");
    let asked = game(&lab, "[judge]\nplugin = \"general-preference\"\n[judge.models.gpm]\npath = \"four\"");
    assert!(asked > 0, "the model was asked nothing");
}

/// A language model's experiment, with what stands below `[judge]` and `[method]`.
fn experiment(lab: &Lab, judge: &str, method: &str) {
    lab.write(
        "tiny.toml",
        format!(
            "kind = \"language-model\"\nseeds = [1]\n[model]\npath = \"tiny\"\n[model.adapter]\nlora_r = 4\n[data]\nprompts = \
             \"prompts.jsonl\"\nheld_out = 4\n{judge}\n{method}\nsteps = 2\nprompts_per_step = 2\nmax_new_tokens = 6\n[device]\nname = \
             \"cpu\"\nthreads = 1\n[evaluation]\nevery = 0\n"
        ),
    );
}

#[test]
fn a_reference_is_compared_by_its_embedding() {
    let lab = lab();
    let score = |response: &str| {
        let metadata = r#"{"reference": "The leader."}"#;
        let arguments = ["similarity", "--grant", "encoder=tiny", "--metadata", metadata, "--first", response];
        number(&tried(&lab, &arguments)[0]["score"])
    };
    assert!((score("The leader.") - 1.0).abs() < 1e-6);
    assert!(score("No.") < 0.999_999);
    experiment(
        &lab,
        "[judge]\nplugin = \"bradley-terry\"\n[judge.upstream]\nplugin = \"similarity\"\n[judge.upstream.models.encoder]\npath = \"tiny\"",
        "[method]\nname = \"stackelberg-gda\"",
    );
    let _ = lab.run(&["run", "tiny.toml"]).success();
    let used = lab.run(&["query", "SELECT model, items, refused FROM model_uses", "--format", "json"]).json();
    assert_eq!(used[0]["model"], "tiny", "{used}");
    assert!(used[0]["items"].as_i64() > Some(0) && used[0]["refused"] == 0, "{used}");
}

#[test]
fn what_people_preferred_is_looked_up_and_never_guessed() {
    let lab = lab();
    let metadata = r#"{"chosen": "The leader.", "rejected": "No."}"#;
    let recorded = ["recorded", "--metadata", metadata];
    assert_eq!(both(&lab, &recorded), [1.0, 0.0]);
    let mut command =
        lab.command(["plugin", "try", "recorded", "--metadata", metadata, "--first", "Perhaps.", "--second", "No."]);
    let unknown = lab.outcome(command.env("SLHF_LAB_PLUGINS", plugins_folder()));
    assert_ne!(unknown.code, Some(0), "{unknown}");
    // In a run the policy writes what nobody judged: the run ends with a sentence, and no verdict is made up.
    experiment(&lab, "[judge]\nplugin = \"recorded\"\non_failure = \"skip\"", "[method]\nname = \"stackelberg-gda\"");
    let outcome = lab.run(&["run", "tiny.toml"]);
    let said = format!("{outcome:?}");
    assert_eq!(outcome.code, Some(1), "{said}");
    assert!(said.contains("nobody judged"), "{said}");
    let verdicts = lab.run(&[
        "query",
        "SELECT count(*) AS verdicts FROM training_verdicts WHERE probability IS NOT NULL",
        "--format",
        "json",
    ]);
    assert_eq!(verdicts.json()[0]["verdicts"], 0);
}

/// Neither the hyper-parameters of a cell nor an export say where a model of a reward or a judge lay.
#[test]
fn where_a_reward_model_lies_is_no_parameter() {
    let lab = lab();
    let models = "[judge.models.rm]\npath = \"rm\"";
    lab.write(
        "paid.toml",
        format!(
            "kind = \"language-model\"\n[model]\npath = \"tiny\"\n[data]\nprompts = \"prompts.jsonl\"\nheld_out = 2\n[judge]\nplugin = \
             \"attribute-committee\"\n{models}\n[method]\nname = \"rloo\"\nsteps = 1\nprompts_per_step = 1\nmax_new_tokens = 4\n\
             [method.reward]\nplugin = \"reward-model\"\n[method.reward.models.rm]\npath = \"rm\"\n[device]\nname = \"cpu\"\nthreads = 1\n\
             [evaluation]\nevery = 0\n"
        ),
    );
    let mut run = lab.command(["run", "paid.toml"]);
    let _ = lab.outcome(run.env("SLHF_LAB_PLUGINS", plugins_folder())).success();
    let folder = lab.folder().display().to_string();
    let parameters = lab.run(&["query", "SELECT * FROM parameters", "--format", "json"]).success();
    assert!(parameters.contains("method.reward.models.rm.device.name"), "{parameters}");
    assert!(!parameters.contains(&folder), "{parameters}");
    let _ = lab.run(&["db", "export", "paid", "--to", "export.db"]).success();
    let export = std::fs::read(lab.path("export.db")).expect("an export");
    let is_there = export.windows(folder.len()).any(|bytes| bytes == folder.as_bytes());
    assert!(!is_there, "the export names {folder}");
}
