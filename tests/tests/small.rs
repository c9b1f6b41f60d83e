//! Words and exit codes that were wrong once.

use std::fs;

use slhf_tests::{Lab, tiny_model};

const GAME: &str = "kind = \"game\"\nseeds = [1, 2]\n[game]\nactions = [\"a\", \"b\"]\npreferences = [[0.5, 0.9], [0.1, 0.5]]\n\
                    [method]\nname = \"stackelberg-gda\"\nsteps = 3\n[device]\nname = \"cpu\"\nthreads = 1\n";

#[test]
fn an_error_names_the_line_of_its_own_table() {
    let name = |text: &str| {
        let lab = Lab::new();
        lab.write("e.toml", text);
        let outcome = lab.run(&["check", "e.toml"]);
        assert_eq!(outcome.code, Some(2), "{outcome}");
        outcome.stderr.lines().next().unwrap_or_default().to_owned()
    };
    // Two tables with a key of this name: the wrong one is named by no more than its own line.
    let two = GAME.replace(
        "[device]",
        "[schedule]\nkappa = { kind = \"power\", start = 1.0, exponent = \"x\" }\n\
        learning_rate = { kind = \"power\", start = 1.0, exponent = 0.5 }\n[device]",
    );
    assert!(name(&two).contains("(line 10)"), "{}", name(&two));
    let inline =
        GAME.replace("[device]\nname = \"cpu\"\nthreads = 1", "device = { name = \"cpu\", threads = 1, wrong = 2 }");
    assert!(!name(&inline).contains("(line 7)"), "{}", name(&inline));
    let nested = format!("{GAME}[judge]\nplugin = \"x\"\n[judge.limits]\n\n# a comment\nmemory_mib = \"much\"\n");
    assert!(name(&nested).contains("(line 17)"), "{}", name(&nested));
    let dotted = GAME.replace("[device]\nname = \"cpu\"", "[device]\nname = \"cpu\"\nevaluation.every = 1");
    assert!(name(&dotted).contains("(line 11)"), "{}", name(&dotted));
    // A value of the command line's stands in no line.
    let lab = Lab::new();
    lab.write("e.toml", GAME);
    let outcome = lab.run(&["check", "e.toml", "--set", "method.steps=0"]);
    assert!(!outcome.stderr.contains("(line"), "{outcome}");
}

#[test]
fn a_record_that_fails_is_a_failure_and_one_that_is_named_wrongly_is_bad_input() {
    let lab = Lab::new();
    lab.write("game.toml", GAME);
    let _ = lab.run(&["run", "game.toml"]).success();
    assert_eq!(lab.run(&["ls", "--db", "none.db"]).code, Some(2));
    assert_eq!(lab.run(&["show", "none"]).code, Some(2));
    assert_eq!(lab.run(&["ls", "--db", "game.toml"]).code, Some(2));
    // Pages that are damaged behind a good header.
    let mut bytes = fs::read(lab.path("lab.db")).expect("there");
    let _ = fs::remove_file(lab.path("lab.db-wal"));
    let length = bytes.len();
    bytes[4096..length].fill(0x55);
    lab.write("lab.db", bytes);
    for verb in [vec!["ls"], vec!["show"], vec!["query", "SELECT * FROM runs"], vec!["compare", "game"], vec!["report"]]
    {
        let outcome = lab.run(&verb);
        assert_eq!(outcome.code, Some(1), "{verb:?}: {outcome}");
        assert!(outcome.stderr.contains("damaged"), "{outcome}");
    }
}

#[test]
fn names_that_sqlite_takes_for_something_else_are_refused_and_leave_nothing() {
    for name in [":memory:", "file:x.db?mode=memory"] {
        let lab = Lab::new();
        lab.write("game.toml", GAME);
        let outcome = lab.run(&["run", "game.toml", "--db", name]);
        assert_eq!(outcome.code, Some(2), "{outcome}");
        assert!(outcome.stderr.contains("names no file to SQLite, and a record is a file"), "{outcome}");
        assert_eq!(fs::read_dir(lab.folder()).expect("listed").count(), 1, "only the experiment is there");
    }
}

#[test]
fn a_dry_run_says_what_needed_would_skip() {
    let lab = Lab::new();
    lab.write("game.toml", GAME);
    let none = lab.run(&["run", "game.toml", "--needed", "--dry-run"]);
    assert!(none.stderr.contains("note: game: none of 2 runs is covered yet: --needed skips nothing"), "{none}");
    assert!(!lab.path("lab.db").exists());
    let _ = lab.run(&["run", "game.toml"]).success();
    let some = lab.run(&["run", "game.toml", "--set", "seeds=[1, 2, 3]", "--needed", "--dry-run"]);
    let said = "note: game: 2 of 3 runs are already covered by identical finished runs: --needed skips them";
    assert!(some.stderr.contains(said), "{some}");
}

#[test]
fn a_model_is_named_as_it_comes() {
    let lab = Lab::new();
    tiny_model(&lab, "tiny");
    let by_option = lab.run(&["model", "inspect", "--model", "tiny"]).success();
    assert_eq!(lab.run(&["model", "inspect", "tiny"]).success(), by_option);
    assert_eq!(lab.run(&["model", "inspect"]).code, Some(2));
    assert_eq!(lab.run(&["model", "inspect", "tiny", "--model", "tiny"]).code, Some(2));
}

#[test]
fn help_names_what_verbs_are_for() {
    let lab = Lab::new();
    let help = lab.run(&["--help"]).success();
    assert!(help.contains("Compare or score the policies of an experiment by their responses"), "{help}");
    let help = lab.run(&["report", "--help"]).success();
    assert!(
        help.split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
            .contains("where nothing is named, a README.md or index.html"),
        "{help}"
    );
}
