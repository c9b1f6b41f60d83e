//! `slhf-lab check`: what is wrong with an experiment is one sentence that says where and how to mend it.

use slhf_tests::Lab;

/// A good experiment; cases change one thing.
const GOOD: &str = "kind = \"game\"\n[game]\nactions = [\"a\", \"b\"]\npreferences = [[0.5, 0.9], [0.1, 0.5]]\n\
                    [method]\nname = \"stackelberg-gda\"\n";

/// Checks one TOML; the error's line, without the closing remark.
fn refusal(toml: &str) -> String {
    let lab = Lab::new();
    lab.write("e.toml", toml);
    let outcome = lab.run(&["check", "e.toml"]);
    assert_eq!(outcome.code, Some(2), "{outcome}");
    assert_eq!(outcome.stdout, "");
    outcome.normal(&outcome.stderr).lines().next().unwrap_or_default().to_owned()
}

#[test]
fn a_good_file_is_said_so_and_a_bad_one_beside_it_decides_the_exit_code() {
    let lab = Lab::new();
    lab.write("good.toml", GOOD.to_owned() + "[[ablation]]\nkey = \"schedule.kappa\"\nvalues = [1, 5]\n");
    lab.write("bad.toml", GOOD.replace("[method]", "[method]\nstep = 5"));
    lab.write("counted.csv", "first,second,wins\na,b,3\nb,c,1\n");
    lab.write("counted.toml", "kind = \"game\"\nseeds = [1, 2]\ngame.file = \"counted.csv\"\nmethod.name = \"rlhf\"\n");
    insta::assert_snapshot!("one_bad_of_three", lab.run(&["check", "good.toml", "bad.toml", "counted.toml"]));
    insta::assert_snapshot!("good", lab.run(&["check", "good.toml", "--set", "method.steps=10"]));
}

#[test]
fn every_refusal_names_the_key_and_the_reason() {
    let method = |more: &str| GOOD.to_owned() + more;
    let schedule = |more: &str| GOOD.to_owned() + "[schedule]\n" + more;
    let cases = [
        ("kind missing", "[method]\nname = \"rlhf\"\n".to_owned()),
        ("kind of a later version", GOOD.replace("\"game\"", "\"language-model\"")),
        ("no TOML", "kind = \n".to_owned()),
        ("unknown key", method("step = 5\n")),
        ("the paper's name", method("follower_weight = 5\n")),
        ("another trainer's name", schedule("lr_scheduler_type = \"cosine\"\n")),
        ("wrong type", method("steps = \"many\"\n")),
        ("unknown method", GOOD.replace("stackelberg-gda", "stackelberg")),
        ("no steps", method("steps = 0\n")),
        ("shared parameters", method("parameters = \"shared\"\n")),
        ("another method's field", method("mixture_coef = 0.5\n")),
        ("natural and sampled", method("gradient = \"sampled\"\npreconditioner = \"natural\"\n")),
        ("natural and adam", method("optimizer = \"adam\"\npreconditioner = \"natural\"\n")),
        (
            "leave one out of one",
            method("gradient = \"sampled\"\nnum_generations = 1\nscore_baseline = {kind = \"leave_one_out\"}\n"),
        ),
        ("loss weight under adam", method("optimizer = \"adam\"\n[schedule]\nrealisation = \"loss_weight\"\n")),
        ("part of an update", schedule("realisation = \"updates_per_leader_update\"\nkappa = 2.5\n")),
        ("kappa and its ratio", schedule("kappa = 5\nfollower_learning_rate = 0.5\n")),
        (
            "pair the wrong way round",
            schedule(
                "learning_rate = {kind = \"power\", start = 1, exponent = 0.5}\nfollower_learning_rate = {kind = \"power\", start = 1, exponent = 0.6}\n",
            ),
        ),
        ("kappa of nothing", schedule("kappa = 0\n")),
        ("a field of another curve", schedule("kappa = {kind = \"constant\", value = 1, exponent = 2}\n")),
        ("counts of a matrix", GOOD.replace("stackelberg-gda\"", "rlhf\"\npairs = \"counts\"")),
        (
            "nash without temperature",
            GOOD.replace("stackelberg-gda", "nash-md").replace("[method]", "tau_nash = 0\n[method]"),
        ),
        ("eta of another method", GOOD.replace("stackelberg-gda\"", "rloo\"\neta = 1.0")),
        ("num_iterations of another method", GOOD.replace("stackelberg-gda\"", "sft\"\nnum_iterations = 2")),
        ("rounds of another method", GOOD.replace("stackelberg-gda\"", "best-of-n\"\nrounds = 2")),
        ("eta below tau", GOOD.replace("stackelberg-gda\"", "inpo\"\neta = 0.01")),
        ("no opponent", GOOD.replace("stackelberg-gda\"", "mnpo\"\nopponents = []")),
        ("opponents of no weight", GOOD.replace("stackelberg-gda\"", "mnpo\"\nopponents = [0, 0]")),
        ("opponents of another method", GOOD.replace("stackelberg-gda\"", "inpo\"\nopponents = [1, 1]")),
        ("rewards for other actions", GOOD.replace("stackelberg-gda\"", "grpo\"\nreward = [1.0]")),
        ("unknown reward", GOOD.replace("stackelberg-gda\"", "grpo\"\nreward = \"magic\"")),
        ("natural sft", GOOD.replace("stackelberg-gda\"", "sft\"\npreconditioner = \"natural\"")),
        ("one answer", GOOD.replace("stackelberg-gda\"", "online-dpo\"\ngradient = \"sampled\"\nnum_generations = 1")),
        (
            "best of too many",
            GOOD.replace("stackelberg-gda\"", "best-of-n\"\nreward = \"verdicts\"\nnum_generations = 5000"),
        ),
        ("beta of a language model", GOOD.replace("stackelberg-gda\"", "rloo\"\nbeta = 0.1")),
        ("loss_type of a language model", GOOD.replace("stackelberg-gda\"", "grpo\"\nloss_type = \"grpo\"")),
        ("rlhf without temperature", GOOD.replace("[method]", "tau_rlhf = 0.0\n[method]")),
        ("negative temperature", GOOD.replace("[method]", "tau_leader = -0.1\n[method]")),
        ("cell outside", GOOD.replace("0.9]", "1.9]")),
        ("cell of text", GOOD.replace("0.9]", "\"x\"]")),
        ("ragged", GOOD.replace("[0.1, 0.5]", "[0.1]")),
        ("one action", GOOD.replace("[\"a\", \"b\"]", "[\"a\"]")),
        ("same name", GOOD.replace("[\"a\", \"b\"]", "[\"a\", \"a\"]")),
        ("reference without support", GOOD.replace("[method]", "reference_leader = [1.0, 0.0]\n[method]")),
        ("matrix and judge", GOOD.to_owned() + "[judge]\nplugin = \"attributes\"\n"),
        ("neither matrix nor judge", GOOD.replace("preferences = [[0.5, 0.9], [0.1, 0.5]]\n", "")),
        ("missing data", "kind = \"game\"\ngame.file = \"nothing.csv\"\nmethod.name = \"rlhf\"\n".to_owned()),
        ("seeds twice", "seeds = [1, 2, 1]\n".to_owned() + GOOD),
        ("no seeds", "seeds = []\n".to_owned() + GOOD),
        ("unknown device", GOOD.to_owned() + "[device]\nname = \"gpu\"\n"),
        ("scalar in f32", GOOD.to_owned() + "[device]\npath = \"scalar\"\nprecision = \"f32\"\n"),
        ("unknown ablated key", GOOD.to_owned() + "[[ablation]]\nkey = \"schedule.kapa.value\"\nvalues = [1]\n"),
        ("bad cell of the grid", GOOD.to_owned() + "[[ablation]]\nkey = \"schedule.kappa\"\nvalues = [1, -1]\n"),
    ];
    let lines: Vec<String> = cases.iter().map(|(name, toml)| format!("{name}\n    {}", refusal(toml))).collect();
    insta::assert_snapshot!("refusals", lines.join("\n"));
}

#[test]
fn everything_that_is_wrong_is_told_at_once_with_its_line() {
    let lab = Lab::new();
    let toml = "kind = \"game\"\nseeds = [1, \"x\"]\n[game]\nactions = [\"a\", \"b\"]\npreferences = [[0.5, 0.9], [0.1, 0.5]]\n\
                tau_leader = -1\n[method]\nname = \"rloo\"\nstep = 5\ngradient = \"sampled\"\nnum_generations = 1\n\
                epsilon = 0.1\nlabels = \"soft\"\n[schedule]\nlearning_rate = -0.5\nwarmup_steps = \"none\"\n";
    lab.write("e.toml", toml);
    insta::assert_snapshot!("all_at_once", lab.run(&["check", "e.toml"]));
    insta::assert_snapshot!("all_at_once_run", lab.run(&["run", "e.toml"]));
}

#[test]
fn overrides_apply_before_the_grid_and_not_to_what_it_varies() {
    let lab = Lab::new();
    lab.write("e.toml", GOOD.to_owned() + "[[ablation]]\nkey = \"schedule.kappa.value\"\nvalues = [1, 5]\n[schedule]\nkappa = {kind = \"constant\", value = 1}\n");
    for (name, set) in [
        ("set_ablated", "schedule.kappa.value=2"),
        ("set_around_ablated", "schedule.kappa=2"),
        ("set_unknown", "method.stepps=2"),
        ("set_wrong", "method.steps=-2"),
        ("set_no_assignment", "method.steps"),
    ] {
        insta::assert_snapshot!(name, lab.run(&["check", "e.toml", "--set", set]));
    }
}

#[test]
fn a_judge_is_asked_what_it_is_before_anything_starts() {
    let game = "kind = \"game\"\nmethod.name = \"rlhf\"\n[[game.actions]]\nname = \"a\"\nattributes = {taste = 1}\n[[game.actions]]\nname = \"b\"\nattributes = {taste = 2}\n";
    let judge = |text: &str| refusal(&format!("{game}[judge]\n{text}"));
    let lines = [
        ("no such plugin", judge("plugin = \"atributes\"\n")),
        ("no such file", judge("plugin = \"./mine.wasm\"\n")),
        ("a reward as judge", judge("plugin = \"attribute-sum\"\n")),
        (
            "bad parameter",
            judge("plugin = \"attributes\"\nparameters = {attributes = [{name = \"taste\", weigth = 2}]}\n"),
        ),
        ("a combinator alone", judge("plugin = \"swap-average\"\n")),
        (
            "an upstream too many",
            judge(
                "plugin = \"attributes\"\nparameters = {attributes = [{name = \"taste\"}]}\n[judge.upstream]\nplugin = \"table\"\n",
            ),
        ),
        (
            "an upstream of another world",
            judge("plugin = \"swap-average\"\n[judge.upstream]\nplugin = \"attribute-sum\"\n"),
        ),
    ];
    let lines: Vec<String> = lines.iter().map(|(name, line)| format!("{name}\n    {line}")).collect();
    insta::assert_snapshot!("judges", lines.join("\n"));
}

/// On closed response sets the gap before the first step is known, and shown without a run.
#[test]
fn where_policies_begin_is_shown() {
    let toml = "kind = \"language-model\"\nseeds = [1]\nmodel.path = \"tiny\"\n[data]\nprompts = \"prompts.jsonl\"\nheld_out = 4\n\
                answers = [\"a\", \"b b\", \"c d e\"]\n[answers]\nreference = \"uniform\"\n[judge]\nplugin = \"brevity\"\n\
                [method]\nname = \"stackelberg-gda\"\nsteps = 1\nmax_new_tokens = 8\n[device]\nname = \"cpu\"\nthreads = 1\n\
                [[ablation]]\nkey = \"method.name\"\nvalues = [\"stackelberg-gda\", \"rloo\"]\n";
    let lab = slhf_tests::language_lab(toml);
    let shown = lab.run(&["check", "tiny.toml"]);
    assert_eq!(shown.code, Some(0), "{shown}");
    assert!(shown.stdout.contains("stackelberg_gap") && !shown.stdout.contains("duality"), "{shown}");
    assert!(shown.stderr.contains("the first of 2 cells on closed response sets"), "{shown}");
    let shown = lab.run(&["check", "--start", "tiny.toml"]);
    assert_eq!(shown.code, Some(0), "{shown}");
    assert!(shown.stdout.contains("stackelberg_gap") && shown.stdout.contains("held out at step 0"), "{shown}");
    let open =
        toml.replace("answers = [\"a\", \"b b\", \"c d e\"]\n", "").replace("[answers]\nreference = \"uniform\"\n", "");
    lab.write("open.toml", open);
    let shown = lab.run(&["check", "--start", "open.toml"]);
    assert!(shown.code == Some(0) && shown.stderr.contains("no cell is restricted to closed response sets"), "{shown}");
}
