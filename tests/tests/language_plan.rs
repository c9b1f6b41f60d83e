//! Experiments on language models before anything starts: what is planned, and what is refused and why.

use std::path::Path;

use insta::assert_snapshot;
use slhf_tests::{Lab, tiny_model};

/// A good experiment; cases change one thing.
const GOOD: &str = r#"
kind = "language-model"
question = "Does it learn?"

[model]
path = "tiny"

[data]
prompts = "prompts.jsonl"
held_out = 4

[judge]
plugin = "attributes"
parameters = { attributes = [{ name = "taste" }] }

[device]
name = "cpu"

[method]
name = "stackelberg-gda"
"#;

fn lab(toml: &str) -> Lab {
    let lab = Lab::new();
    tiny_model(&lab, "tiny");
    let prompts: Vec<String> = (0..12).map(|number| format!("{{\"prompt\": \"Count to {number}.\"}}\n")).collect();
    lab.write("prompts.jsonl", prompts.concat());
    lab.write("damaged.jsonl", "{\"prompt\": \"Count to 1.\"}\n{\"promt\": \"Count to 2.\"}\n");
    lab.write("e.toml", toml);
    lab
}

fn refusal(toml: &str) -> String {
    let outcome = lab(toml).run(&["check", "e.toml"]);
    assert_eq!(outcome.code, Some(2), "{outcome}");
    outcome.normal(&outcome.stderr).lines().next().unwrap_or_default().to_owned()
}

#[test]
fn the_plan_is_printed_with_a_rough_estimate() {
    let grid = "[[ablation]]\nkey = \"schedule.kappa\"\nvalues = [1, 5]\n";
    let lab = lab(&format!("seeds = [1, 2]\n{GOOD}{grid}"));
    assert_snapshot!("dry_run", lab.run(&["run", "--dry-run", "e.toml"]));
    assert_snapshot!("check", lab.run(&["check", "e.toml", "--set", "method.steps=3"]));
    assert!(!lab.path("lab.db").exists());
}

#[test]
fn a_device_that_is_not_here_is_spoken_of_and_refused_before_anything_is_recorded() {
    if Path::new("/proc/driver/nvidia/version").exists() {
        return;
    }
    let lab = lab(&GOOD.replace("name = \"cpu\"", "name = \"cuda\""));
    let checked = lab.run(&["check", "e.toml"]);
    assert_eq!(checked.code, Some(0), "{checked}");
    assert!(
        checked.stderr.contains("the device is cuda:0, and this machine has no NVIDIA driver: `run` refuses it here"),
        "{checked}"
    );
    let ran = lab.run(&["run", "e.toml"]);
    assert_ne!(ran.code, Some(0), "{ran}");
    assert!(ran.stderr.contains("cuda:0"), "{ran}");
    // A plan for another machine has a price here.
    let priced = lab.run(&["run", "--dry-run", "e.toml"]);
    assert_eq!(priced.code, Some(0), "{priced}");
    assert!(!priced.stderr.contains("NVIDIA"), "{priced}");
}

#[test]
fn every_refusal_names_the_key_and_the_reason() {
    let method = |more: &str| GOOD.to_owned() + more;
    let schedule = |more: &str| GOOD.to_owned() + "[schedule]\n" + more;
    let adapter = |more: &str| GOOD.replace("[data]", &format!("[model.adapter]\n{more}\n[data]"));
    let cases = [
        ("no model", GOOD.replace("[model]\npath = \"tiny\"", "")),
        ("a model that is not here", GOOD.replace("\"tiny\"", "\"smollm3-9000b\"")),
        ("a path to nothing", GOOD.replace("\"tiny\"", "\"./models/tiny\"")),
        ("a file that is no model", GOOD.replace("\"tiny\"", "\"prompts.jsonl\"")),
        ("a folder that is no model", GOOD.replace("\"tiny\"", "\".\"")),
        ("no prompts", GOOD.replace("prompts.jsonl", "nothing.jsonl")),
        ("prompts of no known layout", GOOD.replace("prompts.jsonl", "e.toml")),
        ("a game", GOOD.to_owned() + "[game]\nactions = [\"a\"]\n"),
        ("the paper's weight", method("follower_weight = 5\n")),
        ("the paper's frequency", method("leader_update_frequency = 2\n")),
        ("the paper's second model", method("separate_follower_model = true\n")),
        ("a trainer's learning rate", method("learning_rate = 1e-5\n")),
        ("a trainer's curve", schedule("lr_scheduler_type = \"cosine\"\n")),
        ("another rank", adapter("lora_rank = 8")),
        ("a slip", method("promts_per_step = 8\n")),
        ("another method", GOOD.replace("stackelberg-gda", "dpo")),
        ("weight with two adapters", method("parameters = \"separate\"\n[schedule]\nrealisation = \"loss_weight\"\n")),
        ("ratio with one adapter", schedule("realisation = \"learning_rate_ratio\"\n")),
        ("a follower's rate with one adapter", schedule("follower_learning_rate = 1e-4\n")),
        ("part of an update", schedule("realisation = \"updates_per_leader_update\"\nkappa = 2.5\n")),
        ("two whole models", adapter("kind = \"full\"") + "parameters = \"separate\"\n"),
        ("rank of a whole model", adapter("kind = \"full\"\nlora_r = 8")),
        ("no rank", adapter("lora_r = 0")),
        ("an unknown layer", adapter("lora_target_modules = [\"q_proj\", \"query\"]")),
        ("leave one out of one", method("score_baseline = { kind = \"leave_one_out\" }\n")),
        ("rloo of one", GOOD.replace("stackelberg-gda\"", "rloo\"\nnum_generations = 1")),
        ("rloo with a follower", GOOD.replace("stackelberg-gda\"", "rloo\"\nfollower_beta = 0.1")),
        ("a mixture without nash-md", method("mixture_coef = 0.5\n")),
        ("a mixture beyond the reference", GOOD.replace("stackelberg-gda\"", "nash-md\"\nmixture_coef = 1.5")),
        ("labels of a method on scores", GOOD.replace("stackelberg-gda\"", "grpo\"\nlabels = \"hard\"")),
        (
            "a gradient of a term that is not there",
            GOOD.replace("stackelberg-gda\"", "online-ipo\"\nkl_gradient = \"exact\""),
        ),
        ("a reward model of another method", GOOD.replace("stackelberg-gda\"", "online-dpo\"\nreward_model = {}")),
        (
            "a reward model beside a reward",
            GOOD.replace("stackelberg-gda\"", "rloo\"\nreward = { plugin = \"attribute-sum\" }\nreward_model = {}"),
        ),
        ("a reward model of one pair", GOOD.replace("stackelberg-gda\"", "rloo\"\nreward_model = { pairs = 1 }")),
        ("a reward model without a penalty", GOOD.replace("stackelberg-gda\"", "grpo\"\nreward_model = { l2 = 0 }")),
        ("a reward model's slip", GOOD.replace("stackelberg-gda\"", "rloo\"\nreward_model = { pair = 8 }")),
        ("a reference that sppo has not", GOOD.replace("stackelberg-gda\"", "sppo\"\nbeta = 0.1")),
        (
            "an iterate held too loosely",
            GOOD.replace("stackelberg-gda\"", "inpo\"\nbeta = 0.1\neta = 0.05\nnum_iterations = 2"),
        ),
        ("an eta of one update", GOOD.replace("stackelberg-gda\"", "sppo\"\neta = 5")),
        ("inpo's eta of one update", GOOD.replace("stackelberg-gda\"", "inpo\"\neta = 5\nnum_iterations = 1")),
        ("a regression on free text", GOOD.replace("stackelberg-gda\"", "egpo\"")),
        ("a step past the reference", GOOD.replace("stackelberg-gda\"", "omwu\"\nbeta = 0.5\neta = 3.0")),
        ("a share of nothing", method("follower_regularizer = { kind = \"mixed_kl\", forward = 0.0 }\n")),
        ("grpo's divergence", GOOD.replace("stackelberg-gda\"", "rloo\"\nkl_gradient = \"differentiated_k3\"")),
        ("a pair apart", GOOD.replace("stackelberg-gda\"", "online-dpo\"\nmicro_batch_size = 1")),
        ("the best of one", GOOD.replace("stackelberg-gda\"", "best-of-n\"\nnum_generations = 1")),
        ("no round", GOOD.replace("stackelberg-gda\"", "self-refinement\"\nrounds = 0")),
        ("rounds of training", method("rounds = 2\n")),
        ("a range of nothing", GOOD.replace("stackelberg-gda\"", "grpo\"\nepsilon = 0")),
        ("an upper bound of one update", GOOD.replace("stackelberg-gda\"", "grpo\"\nepsilon_high = 0.28")),
        (
            "an upper bound of nothing",
            GOOD.replace("stackelberg-gda\"", "grpo\"\nnum_iterations = 2\nepsilon_high = 0"),
        ),
        (
            "a response's ratio of one update",
            GOOD.replace("stackelberg-gda\"", "grpo\"\nimportance_sampling_level = \"sequence\""),
        ),
        ("a penalty without a cache", GOOD.replace("stackelberg-gda\"", "grpo\"\noverlong_penalty = {}")),
        (
            "a penalty beyond every response",
            GOOD.replace("stackelberg-gda\"", "grpo\"\noverlong_penalty = { cache_tokens = 8, max_tokens = 4096 }"),
        ),
        (
            "a penalty of another method",
            GOOD.replace("stackelberg-gda\"", "rloo\"\noverlong_penalty = { cache_tokens = 1 }"),
        ),
        ("dropping as a switch", GOOD.replace("stackelberg-gda\"", "grpo\"\ndynamic_sampling = true")),
        ("a method of games", GOOD.replace("stackelberg-gda\"", "rlhf\"")),
        ("gspo as a method", GOOD.replace("stackelberg-gda\"", "gspo\"")),
        ("a stage of another method", method("stage_one_steps = 3\n")),
        ("no update", GOOD.replace("stackelberg-gda\"", "sppo\"\nnum_iterations = 0")),
        ("training without chance", method("temperature = 0\n")),
        ("no probability", method("top_p = 0.0\n")),
        ("another part under every mask", adapter("lora_dropout = 0.1") + "top_p = 0.9\n"),
        ("another part in every update", GOOD.replace("stackelberg-gda\"", "grpo\"\ntop_k = 50\nnum_iterations = 2")),
        ("trained on a part of the reference's", GOOD.replace("stackelberg-gda\"", "sft\"\ntop_k = 50")),
        ("an estimate of nothing", method("kl_estimator = \"k3\"\n")),
        ("adam's decay under sgd", method("optimizer = \"sgd\"\nweight_decay = 0.1\n")),
        ("more prompts than are held out", GOOD.to_owned() + "[evaluation]\nprompts = 5\n"),
        ("nothing held out", GOOD.replace("held_out = 4", "held_out = 0")),
        ("all held out", GOOD.replace("held_out = 4", "held_out = 12")),
        ("a damaged prompt", GOOD.replace("prompts.jsonl", "damaged.jsonl")),
        ("a reward as judge", GOOD.replace("plugin = \"attributes\"", "plugin = \"attribute-sum\"")),
        ("unknown device", GOOD.replace("\"cpu\"", "\"gpu\"")),
    ];
    assert_snapshot!("refusals", cases.map(|(name, toml)| format!("{name}\n    {}", refusal(&toml))).join("\n"));
}

#[test]
fn every_method_and_every_realisation_is_planned_where_it_is_valid() {
    let lab = lab(GOOD);
    for sets in [
        &["method.parameters=separate"][..],
        &["method.parameters=separate", "method.optimizer=sgd", "schedule.realisation=loss_weight"],
        &["schedule.realisation=updates_per_leader_update", "schedule.kappa=3"],
        &["method.name=rloo"],
        &["method.name=rloo", "method.reward_model.pairs=8"],
        &["method.name=grpo", "method.reward_model.l2=0.01"],
        &["method.name=nash-md", "method.mixture_coef=0.125", "method.score_baseline=0.4"],
        &["method.name=online-dpo", "method.labels=hard", "method.num_generations=4"],
        &["method.name=online-ipo"],
        &["method.name=sppo", "method.eta=5", "method.beta=0", "method.num_iterations=2"],
        &["method.name=inpo", "method.beta=0.1"],
        &["method.name=mnpo", "method.beta=0.1", "method.opponents=[0.5, 0.3, 0.2]", "method.num_iterations=2"],
        &["method.name=grpo", "method.scale_rewards=none", "method.loss_type=dr_grpo", "method.kl_gradient=exact"],
        &[
            "method.name=grpo",
            "method.num_iterations=4",
            "method.importance_sampling_level=sequence",
            "method.epsilon=3e-4",
        ],
        &[
            "method.name=grpo",
            "method.loss_type=dapo",
            "method.num_iterations=2",
            "method.epsilon_high=0.28",
            "method.dynamic_sampling=drop",
            "method.overlong_penalty.cache_tokens=2",
        ],
        &["method.name=sft", "method.labels=soft"],
        &["method.name=grpo", "method.kl_gradient=reward_to_go"],
        &["method.name=best-of-n", "method.num_generations=8", "method.steps=20", "method.top_p=0.9"],
        &["evaluation.top_p=0.9", "evaluation.top_k=50"],
        &["method.name=self-refinement", "method.rounds=2", "schedule.warmup_steps=3"],
        &["method.name=score", "method.stage_one_steps=0", "method.alpha=1", "method.credit=objective"],
        &["method.name=score", "method.steps=7", "method.stage_one_steps=7", "method.reward_model.pairs=8"],
        &["method.kl_gradient=paper", "method.kl_estimator=k3"],
        &["model.adapter.kind=full"],
    ] {
        let mut arguments = vec!["check", "e.toml"];
        arguments.extend(sets.iter().flat_map(|set| ["--set", set]));
        let outcome = lab.run(&arguments);
        assert_eq!(outcome.code, Some(0), "{sets:?}: {outcome}");
    }
}

#[test]
fn a_language_model_is_no_game_to_solve() {
    assert_snapshot!("solve", lab(GOOD).run(&["solve", "e.toml"]));
}

#[test]
fn verbs_on_models_say_what_is_wrong_before_a_worker_starts() {
    let lab = lab(GOOD);
    lab.write("robot.json", "[{\"role\": \"robot\", \"content\": \"hi\"}]");
    lab.write("empty.json", "[]");
    let cases: [(&str, &[&str]); 14] = [
        ("inspect nothing", &["model", "inspect"]),
        ("inspect an unknown name", &["model", "inspect", "--model", "nobody"]),
        ("inspect a run without a record", &["model", "inspect", "--run", "1"]),
        ("an adapter that is none", &["model", "inspect", "--model", "tiny", "--adapter", "tiny"]),
        ("no prompt", &["model", "logprobs", "--model", "tiny", "--response", "a"]),
        ("no response", &["model", "logprobs", "--model", "tiny", "--prompt", "a", "--response", ""]),
        ("an unknown role", &["model", "logprobs", "--model", "tiny", "--messages", "robot.json", "--response", "a"]),
        ("no message", &["model", "generate", "--model", "tiny", "--messages", "empty.json"]),
        ("no such device", &["model", "inspect", "--model", "tiny", "--device", "gpu"]),
        ("no probability", &["model", "generate", "--model", "tiny", "--prompt", "a", "--top-p", "0"]),
        ("a folder that exists", &["model", "import", "tiny", "tiny"]),
        ("nothing to merge", &["model", "merge", "--model", "tiny", "--out", "merged"]),
        ("refine without a record", &["refine", "hello"]),
        ("refine nothing", &["refine", " "]),
    ];
    let lines: Vec<String> = cases.iter().map(|(name, arguments)| format!("{name}\n{}", lab.run(arguments))).collect();
    assert_snapshot!("verbs", lines.join("\n"));
}
