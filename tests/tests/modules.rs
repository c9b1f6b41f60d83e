//! Each file can be understood with those below it: no two files of a crate need each other, directly or around a corner.
//!
//! What a file needs are the names in its paths (`use`, `crate::…`, `super::…`, and what is in its scope). Each leads to the file that
//! defines the name, so that a `mod.rs` that only passes names on is in nobody's way; it needs what its own code names. Code that is
//! there in tests alone does not count. Methods are called without a path: a file that implements another's type counts by the type.

#[path = "modules/ties.rs"]
mod ties;
#[path = "modules/tree.rs"]
mod tree;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use slhf_tests::repository;
use ties::{Ties, ties};
use tree::Tree;

/// Every `lib.rs` and `main.rs` of the project, with the folder of its crate.
fn roots() -> Vec<(String, PathBuf)> {
    let mut crates: Vec<String> = std::fs::read_dir(repository().join("host"))
        .expect("host")
        .map(|entry| format!("host/{}", entry.expect("an entry").file_name().to_string_lossy()))
        .chain(["sdk".to_owned(), "xtask".to_owned()])
        .collect();
    crates.sort_unstable();
    let root = |name: &String, file| (name.clone(), repository().join(name).join("src").join(file));
    crates
        .iter()
        .flat_map(|name| [root(name, "lib.rs"), root(name, "main.rs")])
        .filter(|(_, root)| root.is_file())
        .collect()
}

/// Groups of files each of which needs all others of its group, with everything that ties them: one text a group.
fn cycles(tree: &Tree) -> Vec<String> {
    let ties = ties(tree);
    let files = tree.files.len();
    // Which file leads to which: few files, so the closure is computed plainly.
    let mut leads = vec![vec![false; files]; files];
    for &(from, to) in ties.keys() {
        leads[from][to] = true;
    }
    for by in 0..files {
        for from in 0..files {
            if leads[from][by] {
                let beyond = leads[by].clone();
                for (reached, more) in leads[from].iter_mut().zip(beyond) {
                    *reached |= more;
                }
            }
        }
    }
    let group = |file: usize| (0..files).filter(|&to| leads[file][to] && leads[to][file]).collect::<Vec<_>>();
    (0..files)
        .map(|file| (file, group(file)))
        .filter(|(file, group)| group.first() == Some(file))
        .map(|(_, group)| described(tree, &ties, &group))
        .collect()
}

fn described(tree: &Tree, ties: &Ties, group: &[usize]) -> String {
    let name = |file: usize| {
        let path = &tree.files[file];
        path.strip_prefix(repository()).unwrap_or(path).display().to_string()
    };
    let mut text = format!("{} files need each other:\n", group.len());
    for ((from, to), names) in ties.iter().filter(|((from, to), _)| group.contains(from) && group.contains(to)) {
        let names = names.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        let _ = writeln!(text, "  {} takes from {}: {names}", name(*from), name(*to));
    }
    text
}

#[test]
fn no_files_of_a_crate_need_each_other() {
    let mut wrong = String::new();
    for (name, root) in roots() {
        let found = cycles(&Tree::read(&root));
        if !found.is_empty() {
            let _ = writeln!(wrong, "{name}\n{}", found.concat());
        }
    }
    assert!(wrong.is_empty(), "{wrong}\nMove a definition to where it belongs: types down, what joins them up.");
}

/// A crate of a few files, and the cycles in it.
fn cycles_of(files: &[(&str, &str)]) -> Vec<String> {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(path, text).expect("written");
    }
    let root = folder.path().join("lib.rs");
    let away = |text: String| text.replace(&format!("{}/", folder.path().display()), "");
    cycles(&Tree::read(Path::new(&root))).into_iter().map(away).collect()
}

#[test]
fn cycles_are_found_through_all_that_passes_a_name_on() {
    let root = ("lib.rs", "mod low; mod high; pub use high::High;");
    let low = |text| ("low.rs", text);
    let high = ("high/mod.rs", "mod parts; pub(crate) use parts::Part; pub struct High(crate::low::Low);");
    let parts = |text| ("high/parts.rs", text);
    let part = "pub(crate) struct Part;";
    let tied = |low_text: &'static str| cycles_of(&[root, low(low_text), high, parts(part)]);

    assert_eq!(tied("pub struct Low;"), [""; 0]);
    // A name that a facade passes on is its own file's; the facade is not on the way.
    assert_eq!(tied("use crate::high::Part; pub struct Low(Part);"), [""; 0]);
    for needs_high in [
        "use crate::High; pub struct Low(Box<High>);",
        "use crate::high; pub struct Low(Box<high::High>);",
        "pub struct Low; fn f() { let _ = vec![super::high::High::new(1)]; }",
        "pub struct Low; fn f() { use crate::*; g(|x: High| x); }",
        "pub struct Low; mod inner { use super::super::High as Other; }",
    ] {
        assert_eq!(
            tied(needs_high),
            ["2 files need each other:\n  low.rs takes from high/mod.rs: High\n  high/mod.rs takes from low.rs: Low\n"],
            "{needs_high}"
        );
    }
    for needs_nothing in [
        "/// As [`crate::High`].\npub struct Low;",
        "pub struct Low; #[cfg(test)] mod tests { use crate::High; }",
        "pub struct Low; impl Low { #[cfg(test)] fn f(_: crate::High) {} }",
        "pub struct Low { pub(in crate::high) field: u8 }",
        "pub struct Low; fn f(x: &Low) { println!(\"{}\", x.High); }",
    ] {
        assert_eq!(tied(needs_nothing), [""; 0], "{needs_nothing}");
    }
    // A file that only passes on what another defines does not need it; one whose code names it does.
    let above = cycles_of(&[root, low("pub struct Low;"), high, parts("pub(crate) struct Part(super::High);")]);
    assert_eq!(above, [""; 0]);
    let high = ("high/mod.rs", "mod parts; pub(crate) use parts::Part; pub struct High(Part);");
    let above = cycles_of(&[root, low("pub struct Low;"), high, parts("pub(crate) struct Part(super::High);")]);
    assert_eq!(above.len(), 1, "{above:?}");
}
