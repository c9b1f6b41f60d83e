//! What is written over what is there already: exports and pages replace their own kind, whole or not at all, and nothing else.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use slhf_tests::{Lab, lab_binary};

const GAME: &str = "kind = \"game\"\nseeds = [1]\n[game]\nactions = [\"a\", \"b\"]\npreferences = [[0.5, 0.9], [0.1, 0.5]]\n\
                    [method]\nname = \"stackelberg-gda\"\nsteps = 3\n[device]\nname = \"cpu\"\nthreads = 1\n";

fn finished() -> Lab {
    let lab = Lab::new();
    lab.write("game.toml", GAME);
    let _ = lab.run(&["run", "game.toml"]).success();
    lab
}

#[test]
fn an_export_never_replaces_its_own_record_whatever_it_is_called() {
    let lab = finished();
    fs::create_dir(lab.path("folder")).expect("made");
    symlink("lab.db", lab.path("link.db")).expect("linked");
    fs::hard_link(lab.path("lab.db"), lab.path("hard.db")).expect("linked");
    for to in ["lab.db", "./lab.db", "folder/../lab.db", "link.db", "hard.db"] {
        let outcome = lab.run(&["db", "export", "game", "--to", to]);
        assert_eq!(outcome.code, Some(2), "{to}: {outcome}");
        let said =
            format!("error: {to} is the record itself, which an export would replace: name another file with --to\n");
        assert_eq!(outcome.stderr, said);
    }
    assert_eq!(lab.run(&["query", "SELECT status FROM runs", "--format", "json"]).json()[0]["status"], "finished");
    assert!(lab.path("link.db").is_symlink());
}

#[test]
fn an_export_replaces_an_export_and_nothing_else() {
    let lab = finished();
    for (name, content) in [("notes.txt", "mine"), ("notes.db.gz", "mine"), ("empty.db", "")] {
        lab.write(name, content);
    }
    fs::create_dir(lab.path("folder.db")).expect("made");
    let _ = lab.run(&["run", "game.toml", "--db", "other.db"]).success();
    let other = fs::read(lab.path("other.db")).expect("there");
    for to in ["notes.txt", "notes.db.gz", "empty.db", "folder.db", "other.db"] {
        let outcome = lab.run(&["db", "export", "game", "--to", to]);
        assert_eq!(outcome.code, Some(2), "{to}: {outcome}");
        let said = format!(
            "error: {to} is there already and is no export of a record: name another file with --to, or move it away\n"
        );
        assert_eq!(outcome.stderr, said);
    }
    assert_eq!(lab.read("notes.txt"), "mine");
    assert_eq!(fs::read(lab.path("other.db")).expect("there"), other);
    for to in ["export.db", "export.db.gz"] {
        let _ = lab.run(&["db", "export", "game", "--to", to]).success();
        let first = fs::read(lab.path(to)).expect("there");
        let _ = lab.run(&["db", "export", "game", "--to", to]).success();
        assert!(fs::read(lab.path(to)).expect("there") == first, "{to}: the same record, the same bytes");
    }
}

#[test]
fn on_a_full_disk_the_earlier_export_survives() {
    let lab = finished();
    let _ = lab.run(&["db", "export", "game", "--to", "export.db"]).success();
    let before = fs::read(lab.path("export.db")).expect("there");
    // No file may grow beyond 64 KiB, and the process is told so by an error instead of a signal.
    let script = "ulimit -f 64; trap '' XFSZ; exec \"$0\" db export game --to export.db";
    let mut command = Command::new("bash");
    command.args(["-c", script]).arg(lab_binary()).current_dir(lab.folder());
    let outcome = lab.outcome(&mut command);
    assert_eq!(outcome.code, Some(1), "{outcome}");
    assert!(outcome.stderr.starts_with("error: "), "{outcome}");
    assert!(fs::read(lab.path("export.db")).expect("there") == before);
    let left: Vec<_> = fs::read_dir(lab.folder()).expect("listed").flatten().map(|entry| entry.file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().contains("partial")), "{left:?}");
}

#[test]
fn every_experiment_has_a_page_of_its_own() {
    let lab = Lab::new();
    for name in ["a b", "a_b", "README"] {
        lab.write(format!("{name}.toml"), format!("question = \"Of {name}?\"\n{GAME}"));
        let _ = lab.run(&["run", &format!("{name}.toml")]).success();
    }
    let _ = lab.run(&["report", "--out", "pages"]).success();
    let index = lab.read("pages/README.md");
    assert!(index.starts_with("# Results"), "{index}");
    let pages: Vec<String> = fs::read_dir(lab.path("pages"))
        .expect("listed")
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| std::path::Path::new(name).extension().is_some_and(|end| end == "md") && name != "README.md")
        .collect();
    assert_eq!(pages.len(), 3, "{pages:?}");
    for name in ["a b", "a_b", "README"] {
        assert!(
            pages.iter().any(|page| lab.read(format!("pages/{page}")).contains(&format!("**Asked:** Of {name}?"))),
            "{name}"
        );
    }
}

#[test]
fn a_report_replaces_its_own_pages_and_nothing_else() {
    let lab = Lab::new();
    lab.write("game.toml", format!("{GAME}[[ablation]]\nkey = \"schedule.kappa\"\nvalues = [1, 5]\n"));
    let _ = lab.run(&["run", "game.toml"]).success();
    lab.write("README.md", "# My project\n");
    let outcome = lab.run(&["report", "--out", "."]);
    assert_eq!(outcome.code, Some(2), "{outcome}");
    assert!(
        outcome.stderr.contains("README.md is there already and was not written by `slhf-lab report`"),
        "{outcome}"
    );
    assert_eq!(lab.read("README.md"), "# My project\n");
    assert!(!lab.path("game.md").exists(), "all are looked at before the first is written");
    // Pages of an experiment alone need no list.
    let _ = lab.run(&["report", "game", "--out", "."]).success();
    let _ = lab.run(&["report", "--out", "pages"]).success();
    let first = lab.read("pages/README.md");
    lab.write("pages/game.md", lab.read("pages/game.md").replace("3 steps", "many steps"));
    let _ = lab.run(&["report", "--out", "pages"]).success();
    assert_eq!(lab.read("pages/README.md"), first);
    let figure = fs::read_dir(lab.path("pages")).expect("listed").flatten().map(|entry| entry.path());
    let figure = figure.into_iter().find(|path| path.extension().is_some_and(|end| end == "svg")).expect("a figure");
    fs::write(&figure, "<svg xmlns=\"mine\"/>").expect("written");
    let outcome = lab.run(&["report", "--out", "pages"]);
    assert_eq!(outcome.code, Some(2), "{outcome}");
    assert_eq!(fs::read_to_string(&figure).expect("there"), "<svg xmlns=\"mine\"/>");
}
