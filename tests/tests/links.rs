//! Links between the pages: every file and every heading that one of them names is there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};
use slhf_tests::repository;

/// Folders that hold no pages of ours.
const SKIPPED: [&str; 3] = ["target", ".git", "shared"];

/// What a page says, as far as links go.
#[derive(Default)]
struct Page {
    /// The names of its headings in addresses, as GitHub makes them.
    anchors: BTreeSet<String>,
    links: Vec<String>,
}

impl Page {
    fn parse(text: &str) -> Self {
        let (mut page, mut heading, mut repeats) = (Self::default(), None::<String>, BTreeMap::new());
        let options = Options::ENABLE_TABLES | Options::ENABLE_FOOTNOTES;
        for event in Parser::new_ext(text, options) {
            match event {
                Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                    page.links.push(dest_url.into_string());
                }
                Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
                Event::Text(text) | Event::Code(text) => {
                    if let Some(heading) = &mut heading {
                        heading.push_str(&text);
                    }
                }
                Event::End(TagEnd::Heading(_)) => {
                    let anchor = anchor(&heading.take().unwrap_or_default());
                    let repeat: &mut u32 = repeats.entry(anchor.clone()).or_insert(0);
                    page.anchors.insert(if *repeat == 0 { anchor } else { format!("{anchor}-{repeat}") });
                    *repeat += 1;
                }
                _ => {}
            }
        }
        page
    }
}

/// A heading in small letters, with hyphens for spaces and without marks.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect::<String>().to_lowercase()
}

/// Every page below a folder.
fn pages(folder: &Path, found: &mut BTreeMap<PathBuf, Page>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() && !path.is_symlink() {
            if !SKIPPED.contains(&name.as_str()) {
                pages(&path, found);
            }
        } else if path.extension().is_some_and(|extension| extension == "md") {
            let page = Page::parse(&fs::read_to_string(&path).expect("a page"));
            found.insert(path, page);
        }
    }
}

/// Without `.` and `..`, without asking the disk.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                plain.pop();
            }
            other => plain.push(other),
        }
    }
    plain
}

/// What is wrong with a link; links to elsewhere are not followed.
fn problem(pages: &BTreeMap<PathBuf, Page>, from: &Path, link: &str) -> Option<&'static str> {
    if link.contains("://") || link.starts_with("mailto:") {
        return None;
    }
    let (file, anchor) = link.split_once('#').map_or((link, None), |(file, anchor)| (file, Some(anchor)));
    let target = if file.is_empty() { from.to_owned() } else { plain(&from.parent()?.join(file)) };
    if !target.exists() {
        return Some("there is no such file");
    }
    match (anchor, pages.get(&target)) {
        (Some(anchor), Some(page)) if !page.anchors.contains(anchor) => Some("the page has no such heading"),
        (Some(_), None) => Some("only pages have headings"),
        _ => None,
    }
}

#[test]
fn every_link_of_a_page_leads_somewhere() {
    let mut found = BTreeMap::new();
    pages(&repository(), &mut found);
    let links = || found.iter().flat_map(|(path, page)| page.links.iter().map(move |link| (path, link)));
    assert!(links().count() > 50, "the pages were not found");
    let broken: Vec<String> = links()
        .filter_map(|(path, link)| {
            let page = path.strip_prefix(repository()).unwrap_or(path).display();
            problem(&found, path, link).map(|problem| format!("{page}: {link}: {problem}"))
        })
        .collect();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn broken_links_are_told_apart() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = |name: &str| folder.path().join(name);
    fs::write(place("a.md"), "# One `two`: 3!\n\n## Twice\n\n## Twice\n").expect("a file");
    fs::write(place("b.svg"), "").expect("a file");
    let mut found = BTreeMap::new();
    pages(folder.path(), &mut found);
    let check = |link: &str, expected: Option<&str>| {
        assert_eq!(problem(&found, &place("a.md"), link), expected, "{link}");
    };
    check("https://example.org/nowhere", None);
    check("b.svg", None);
    check("./a.md#one-two-3", None);
    check("#twice-1", None);
    check("#twice-2", Some("the page has no such heading"));
    check("#One", Some("the page has no such heading"));
    check("c.md", Some("there is no such file"));
    check("b.svg#part", Some("only pages have headings"));
}

/// Every function of our tests.
fn tests_of(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() && !path.is_symlink() && !SKIPPED.contains(&name.as_str()) {
            tests_of(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("a source");
            let functions =
                text.split("#[test]").skip(1).filter_map(|rest| rest.split("fn ").nth(1)?.split('(').next());
            found.extend(functions.map(str::to_owned));
        }
    }
}

#[test]
fn each_promise_of_the_page_on_security_has_tests_that_are_there() {
    let page = fs::read_to_string(repository().join("docs/security.md")).expect("the page");
    let mut known = BTreeSet::new();
    for folder in ["host", "tests"] {
        tests_of(&repository().join(folder), &mut known);
    }
    let mut promises = 0;
    for row in page
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| promise") && !line.starts_with("| ---"))
    {
        let cells: Vec<&str> = row.trim_matches('|').split('|').collect();
        let [promise, tests] = cells[..] else { panic!("{row}") };
        let named: Vec<&str> = tests.split('`').skip(1).step_by(2).collect();
        assert!(!named.is_empty(), "no test holds: {promise}");
        let missing: Vec<&&str> = named.iter().filter(|name| !known.contains(**name)).collect();
        assert!(missing.is_empty(), "no such test: {missing:?}");
        promises += 1;
    }
    assert!(promises > 15, "{promises} promises were found");
}
