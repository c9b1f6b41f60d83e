//! What strangers wrote never steers a terminal, marks up a page, or computes in a spreadsheet.

use std::fs;

use slhf_tests::Lab;

/// An escape sequence, a control character of eight bits, one that turns the direction of writing, and markup.
const HOSTILE: &str = "\\u001b[31m\\u009b2J\\u202eevil <img src=x> ![p](http://h/p.png)";

fn is_harmless(text: &str) -> bool {
    !text.chars().any(|c| (c.is_control() && c != '\n' && c != '\t') || ('\u{202a}'..='\u{202e}').contains(&c))
}

fn experiment() -> String {
    format!(
        "kind = \"game\"\nname = \"=1+1\"\nquestion = \"{HOSTILE}\"\nseeds = [1]\n[game]\nactions = [\"{HOSTILE}\", \"b\"]\n\
         preferences = [[0.5, 0.9], [0.1, 0.5]]\n[method]\nsteps = 3\n[device]\nname = \"cpu\"\nthreads = 1\n\
         [[ablation]]\nname = \"cell\"\nvalues = [{{ label = \"@{HOSTILE}\", method = {{ name = \"rlhf\" }} }}]\n"
    )
}

#[test]
fn every_listing_and_page_is_harmless() {
    let lab = Lab::new();
    lab.write("hostile.toml", experiment());
    let outcome = lab.run(&["run", "hostile.toml"]);
    assert!(is_harmless(&outcome.stdout) && is_harmless(&outcome.stderr), "{outcome:?}");
    let _ = outcome.success();
    for verb in [vec!["ls"], vec!["show"], vec!["compare", "=1+1"], vec!["solve", "hostile.toml"]] {
        for format in ["table", "csv", "markdown", "json"] {
            let outcome = lab.run(&[verb.clone(), vec!["--format", format]].concat());
            let said = outcome.clone();
            let text = if verb[0] == "solve" { outcome.stdout + &outcome.stderr } else { outcome.success() };
            assert!(is_harmless(&text), "{verb:?} {format}: {said:?}");
        }
    }
    let _ = lab.run(&["report", "--out", "pages"]).success();
    let _ = lab.run(&["report", "--format", "html", "--out", "html"]).success();
    let _ = lab.run(&["report", "1", "--format", "html", "--out", "html"]).success();
    for entry in fs::read_dir(lab.path("html")).expect("listed").flatten() {
        let text = fs::read_to_string(entry.path()).expect("text");
        assert!(
            is_harmless(&text) && !text.contains("<img") && !text.contains("<script"),
            "{:?}: {text}",
            entry.path()
        );
    }
    for entry in fs::read_dir(lab.path("pages")).expect("listed").flatten() {
        let text = fs::read_to_string(entry.path()).expect("text");
        let name = entry.file_name();
        assert!(is_harmless(&text), "{name:?}");
        // The experiment as it was given stands in a box, where nothing is markup.
        let outside: String = text.split("```").step_by(2).collect();
        let is_page = name.to_string_lossy().ends_with(".md");
        let is_marked_up = outside.contains("<img") || is_page && outside.contains("![p](");
        assert!(!is_marked_up, "{name:?}: {outside}");
    }
}

#[test]
fn a_text_that_a_spreadsheet_would_compute_is_shown_and_raw_only_by_wish() {
    let lab = Lab::new();
    lab.write("hostile.toml", experiment());
    let _ = lab.run(&["run", "hostile.toml"]).success();
    let sql = "SELECT '=1+1' AS formula, char(27) || 'x' AS control, -1.5 AS number, '-2' AS digits";
    let csv = lab.run(&["query", sql, "--format", "csv"]).success();
    assert_eq!(csv, "formula,control,number,digits\n'=1+1,\\u{1b}x,-1.5,-2\n");
    let raw = lab.run(&["query", sql, "--format", "csv", "--raw"]).success();
    assert_eq!(raw, "formula,control,number,digits\n=1+1,\u{1b}x,-1.5,-2\n");
    let json = lab.run(&["query", "SELECT char(155) AS control", "--format", "json"]);
    assert!(is_harmless(&json.stdout), "{json:?}");
    assert_eq!(json.json()[0]["control"], "\u{9b}");
}

#[test]
fn error_lines_are_harmless() {
    let lab = Lab::new();
    let name = "\u{1b}[2J\u{202e}\nerror: nothing.toml";
    lab.write("broken.toml", "kind = \"\\u001b[31m\"\n");
    for arguments in [
        vec!["check", name],
        vec!["check", "broken.toml"],
        vec!["run", name],
        vec!["solve", name],
        vec!["ls", "--db", name],
        vec!["plugin", "inspect", name],
        vec!["model", "inspect", name],
        vec!["query", "--nonsense\u{1b}[2J\u{202e}"],
    ] {
        let outcome = lab.run(&arguments);
        assert_eq!(outcome.code, Some(2), "{arguments:?}: {outcome:?}");
        assert!(is_harmless(&outcome.stderr) && is_harmless(&outcome.stdout), "{arguments:?}: {outcome:?}");
        assert!(!outcome.stderr.contains("\nerror: nothing"), "a line that nobody said: {outcome:?}");
    }
}
