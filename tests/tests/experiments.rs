//! The shipped experiments are valid, and each says what it asks.

use std::path::PathBuf;

use slhf_tests::{Lab, repository, tiny_model};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Game,
    LanguageModel,
}

fn shipped(kind: Kind) -> Vec<PathBuf> {
    let is_model = |path: &PathBuf| {
        let text = std::fs::read_to_string(path).expect("an experiment");
        text.lines().any(|line| ["kind = \"language-model\"", "kind = \"reward-model\""].contains(&line))
    };
    let folder = std::fs::read_dir(repository().join("experiments")).expect("experiments/");
    let mut files: Vec<_> = folder.flatten().map(|entry| entry.path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    files.retain(|path| is_model(path) == (kind == Kind::LanguageModel));
    files.sort();
    files
}

#[test]
fn every_shipped_experiment_is_valid() {
    let lab = Lab::new();
    let files = shipped(Kind::Game);
    let mut arguments = vec!["check"];
    arguments.extend(files.iter().map(|path| path.to_str().expect("a path")));
    insta::assert_snapshot!("shipped", lab.run(&arguments));
}

/// The model that they name is fetched by those who want it; everything else of the plan is checked with a tiny one.
#[test]
fn every_shipped_experiment_on_a_language_model_is_valid() {
    let lab = Lab::new();
    tiny_model(&lab, "tiny");
    // With as many positions as the model that they name.
    let config = std::fs::read_to_string(lab.path("tiny/config.json")).expect("the configuration");
    let positions = "\"max_position_embeddings\": ";
    assert!(config.contains(&format!("{positions}256")));
    lab.write("tiny/config.json", config.replace(&format!("{positions}256"), &format!("{positions}8192")));
    let model = format!("model.path={}", lab.path("tiny").display());
    let (asks_models, files): (Vec<PathBuf>, Vec<PathBuf>) = shipped(Kind::LanguageModel)
        .into_iter()
        .partition(|path| std::fs::read_to_string(path).is_ok_and(|text| text.contains(".models.")));
    let mut arguments = vec!["check", "--set", &model];
    arguments.extend(files.iter().map(|path| path.to_str().expect("a path")));
    insta::assert_snapshot!("shipped_language_models", lab.run(&arguments));
    let critic = format!("judge.models.critic.path={}", lab.path("tiny").display());
    let mut arguments = vec!["check", "--set", &model, "--set", &critic];
    arguments.extend(asks_models.iter().map(|path| path.to_str().expect("a path")));
    insta::assert_snapshot!("shipped_judges_with_models", lab.run(&arguments));
}

/// Those of the paper (arXiv 2512.16626), in full and in small.
fn of_the_paper() -> (Vec<PathBuf>, Vec<PathBuf>) {
    let folder = std::fs::read_dir(repository().join("experiments/paper")).expect("experiments/paper/");
    let mut files: Vec<_> = folder.flatten().map(|entry| entry.path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    files.sort();
    files.into_iter().partition(|path| !path.to_string_lossy().ends_with("-small.toml"))
}

/// Nobody has their models here: shapes stand for them, and for the judges that other experiments train first.
#[test]
fn the_experiments_of_the_paper_are_valid_and_have_a_price() {
    let lab = Lab::new();
    let (large, small) = of_the_paper();
    tiny_model(&lab, "tiny");
    let model = format!("model.path={}", lab.path("tiny").display());
    for path in &large {
        let twin = path.with_file_name(format!("{}-small.toml", path.file_stem().expect("a name").display()));
        let twin = twin.to_string_lossy().replace("chat-8b-small", "chat-small");
        assert!(small.contains(&PathBuf::from(&twin)), "{twin}");
    }
    let check = |files: &[PathBuf], more: &[&str]| {
        let files = files.iter().map(|path| path.to_str().expect("a path"));
        let arguments: Vec<&str> = ["check"].into_iter().chain(more.iter().copied()).chain(files).collect();
        lab.run(&arguments)
    };
    // A driver is on some machines.
    let shown = check(&large, &[]).to_string();
    let lines: Vec<&str> = shown.lines().filter(|line| !line.contains("NVIDIA driver")).collect();
    insta::assert_snapshot!("paper", lines.join("\n"), "check(&large, &[])");
    // Prompts of a tiny tokenizer are longer than the twins allow.
    insta::assert_snapshot!("paper_in_small", check(&small, &["--set", &model]));
    for path in &large {
        let path = path.to_str().expect("a path");
        let rows = lab.run(&["run", path, "--dry-run", "--format", "json"]).json();
        for row in rows.as_array().expect("rows") {
            let number = |key: &str| row[key].as_f64().expect("a number");
            assert!(number("gpu_hours") > 0.1 && number("operations") > 1e17, "{path}: {row}");
            assert_eq!(number("server_tokens") > 0.0, path.ends_with("chat-8b.toml"), "{path}: {row}");
        }
    }
}

#[test]
fn every_shipped_experiment_says_what_it_asks_and_what_to_look_at() {
    let (large, small) = of_the_paper();
    for path in [shipped(Kind::Game), shipped(Kind::LanguageModel), large, small].concat() {
        let text = std::fs::read_to_string(&path).expect("an experiment");
        let first = text.lines().next().unwrap_or_default();
        assert!(first.starts_with("# ") && first.ends_with('?'), "{}: the first line asks a question", path.display());
        assert!(text.contains("# Look at:"), "{}", path.display());
    }
}

/// What a shipped experiment promises: every run ends, and no run's gap is above its bound.
fn check_gaps(name: &str, bound: f64) {
    let lab = Lab::new();
    let _worker = slhf_tests::worker_binary();
    let file = repository().join("experiments").join(name);
    let _ = lab.run(&["run", file.to_str().expect("a path"), "--quiet"]).success();
    let question = "SELECT runs.cell, runs.seed, key, value FROM latest_metrics JOIN runs USING (run) \
                    WHERE key IN ('stackelberg_gap', 'duality_gap', 'tv_rlhf')";
    let rows = lab.run(&["query", question, "--format", "json"]).json();
    let rows = rows.as_array().expect("rows");
    let runs =
        lab.run(&["query", "SELECT count(*) AS n FROM runs WHERE status = 'finished'", "--format", "json"]).json();
    assert_eq!(Some(rows.len() as u64), runs[0]["n"].as_u64(), "{name}: one gap a run");
    assert!(!rows.is_empty(), "{name} ran");
    for row in rows {
        let gap = row["value"].as_f64().expect("a finite gap");
        assert!((-1e-12..=bound).contains(&gap), "{name}: {row}");
    }
}

#[test]
fn the_asymmetric_cycle_is_learnt_to_a_millionth_with_the_shipped_schedule() {
    check_gaps("condorcet-asymmetric.toml", 1e-6);
}

#[test]
fn every_shipped_game_is_learnt_with_exact_gradients() {
    for path in shipped(Kind::Game) {
        let name = path.file_name().and_then(|name| name.to_str()).expect("a name");
        // A grid of learning rates has too large ones.
        let others = [
            "sampled-gradients.toml",
            "methods-on-games.toml",
            "ablation-timescale-games.toml",
            "gradients-to-equilibrium.toml",
        ];
        if !others.contains(&name) {
            check_gaps(name, 1e-3);
        }
    }
}

/// Every method's own metric, over all games and seeds.
#[test]
fn every_method_reaches_its_own_target_on_every_game() {
    let lab = Lab::new();
    let _worker = slhf_tests::worker_binary();
    let file = repository().join("experiments/methods-on-games.toml");
    let _ = lab.run(&["run", file.to_str().expect("a path"), "--quiet"]).success();
    let targets = [
        ("stackelberg-gda", "stackelberg_gap", 1e-6),
        ("nash-md", "duality_gap", 1e-6),
        ("nash-md, m = 0.5", "tv_fixed_point", 1e-3),
        ("rloo", "tv_rlhf", 1e-6),
        ("grpo", "tv_fixed_point", 1e-3),
        ("grpo, not scaled", "tv_fixed_point", 1e-6),
        ("online-dpo", "tv_fixed_point", 1e-3),
        ("online-ipo", "duality_gap", 1e-6),
        ("sppo", "duality_gap_average", 1e-2),
        ("inpo", "duality_gap", 1e-6),
        ("sft", "tv_fixed_point", 1e-6),
    ];
    for (method, key, bound) in targets {
        let question = format!(
            "SELECT runs.cell, runs.seed, value FROM latest_metrics JOIN runs USING (run) \
             WHERE key = '{key}' AND runs.cell LIKE '%, {method}'"
        );
        let rows = lab.run(&["query", &question, "--format", "json"]).json();
        let rows = rows.as_array().expect("rows");
        // "nash-md" alone is no suffix of "nash-md, m = 0.5".
        assert_eq!(rows.len(), 12, "{method}: four games, three seeds");
        for row in rows {
            assert!(row["value"].as_f64().expect("a number") <= bound, "{method}: {key} of {row}");
        }
    }
}

#[test]
fn sampled_gradients_come_within_a_hundredth_under_every_control_variate() {
    let lab = Lab::new();
    let _worker = slhf_tests::worker_binary();
    let file = repository().join("experiments/sampled-gradients.toml");
    let file = file.to_str().expect("a path");
    let _ =
        lab.run(&["run", file, "--quiet", "--set", "seeds=[1, 2, 3, 4, 5]", "--set", "method.steps=4000"]).success();
    let compared =
        lab.run(&["compare", "sampled-gradients", "--metrics", "stackelberg_gap", "--format", "json"]).json();
    let cells = compared.as_array().expect("cells");
    assert_eq!(cells.len(), 4);
    for cell in cells {
        let gap = &cell["stackelberg_gap"];
        assert_eq!(gap["n"], 5, "{cell}");
        assert!(gap["mean"].as_f64().expect("a mean") <= 1e-2, "{cell}");
        assert!(gap["high"].as_f64().expect("an interval") <= 1e-2, "{cell}");
    }
}

/// What `amortized-equilibrium.toml` says of its kinds. A policy that does not see the kind has a gap of
/// `value_k + τ KL(π ‖ π_ref) + Σ_i π(i) [c_i(ω) − 2 f_k(i)]`, c the Follower's cost at ω; over kinds its mean is least where ω answers the mean
/// of the matrices and `π ∝ exp((2 f̄ − f of that mean) / τ)`, and then is `mean value_k − τ log Σ π_ref exp((2 f̄ − f of that mean) / τ)`.
#[test]
fn policies_that_do_not_see_the_kind_stay_far_from_the_solutions() {
    const TAU: f64 = 0.1;
    let text =
        std::fs::read_to_string(repository().join("experiments/amortized-equilibrium.toml")).expect("an experiment");
    let file: toml::Table = toml::from_str(&text).expect("a TOML");
    let kinds = file["judge"]["parameters"]["kinds"].as_table().expect("kinds");
    let matrix = |kind: &str| -> Vec<f64> {
        let rows = kinds[kind].as_array().expect("rows");
        rows.iter().flat_map(|row| row.as_array().expect("a row")).map(|p| p.as_float().expect("a number")).collect()
    };
    let solved = |entries: Vec<f64>| {
        let temperatures = slhf_game::TemperatureValues { leader: TAU, follower: TAU, nash: TAU, rlhf: TAU };
        let game = slhf_game::Game::with_uniform_references(
            slhf_game::PreferenceMatrix::new(3, entries).expect("probabilities"),
            slhf_game::Temperatures::new(temperatures).expect("temperatures"),
        );
        slhf_game::StackelbergSolution::of(&game)
    };
    let blind = |kinds: &[&str]| {
        let mean = |of: &dyn Fn(&str) -> f64| kinds.iter().map(|kind| of(kind)).sum::<f64>() / kinds.len() as f64;
        let together = solved((0..9).map(|cell| mean(&|kind| matrix(kind)[cell])).collect());
        let values = |action: usize| {
            let own = mean(&|kind| solved(matrix(kind)).leader_values()[action]);
            ((2.0 * own - together.leader_values()[action]) / TAU).exp() / 3.0
        };
        mean(&|kind| solved(matrix(kind)).objective()) - TAU * (0..3).map(values).sum::<f64>().ln()
    };
    let all = blind(&["fruit", "animal", "city", "tool"]);
    assert!((all - 0.22).abs() < 0.005, "{all}");
    let one_direction = blind(&["fruit", "city"]);
    assert!((one_direction - 0.037).abs() < 0.0005, "{one_direction}");
}
