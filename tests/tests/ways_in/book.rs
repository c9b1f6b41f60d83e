//! `docs/SUMMARY.md`, the book's table of contents, lists every page.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use slhf_tests::repository;

/// The Markdown files below a folder, relative to `docs`.
fn pages(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).expect("docs").flatten() {
        let path = entry.path();
        if path.is_dir() {
            pages(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "md") {
            let name = path.strip_prefix(repository().join("docs")).expect("below docs");
            found.insert(name.display().to_string());
        }
    }
}

#[test]
fn the_summary_lists_every_page_once() {
    let mut expected = BTreeSet::new();
    pages(&repository().join("docs"), &mut expected);
    expected.remove("SUMMARY.md");

    let summary = fs::read_to_string(repository().join("docs/SUMMARY.md")).expect("docs/SUMMARY.md");
    let mut listed = BTreeSet::new();
    for part in summary.split("](").skip(1) {
        let page = part.split(')').next().unwrap_or_default().to_owned();
        assert!(listed.insert(page.clone()), "{page} is listed twice");
    }
    assert_eq!(listed, expected, "docs/SUMMARY.md must list every page under docs/, and no other");
}

#[test]
fn every_file_that_stands_for_an_equation_is_there() {
    let page = fs::read_to_string(repository().join("docs/paper-to-code.md")).expect("docs/paper-to-code.md");
    let mut files = 0;
    for code in page.split('`').skip(1).step_by(2).filter(|code| code.contains('/')) {
        assert!(repository().join(code).is_file(), "{code} is not there");
        files += 1;
    }
    assert!(files > 20, "{files}");
}
