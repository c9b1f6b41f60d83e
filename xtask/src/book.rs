//! `cargo xtask book`: `docs/` as a book, by mdBook.

use std::fs;
use std::path::{Path, PathBuf};

use crate::failure::Failure;
use crate::project::{Project, output_of, run, say};

/// The version that `book.toml` is written for; a newer one may render otherwise.
const VERSION: &str = "0.5.4";

/// Where the book is written, as `book.toml` says.
const BOOK: &str = "target/book";

/// Makes the book, and looks whether its links lead anywhere.
pub(crate) fn verb(project: &Project) -> Result<(), Failure> {
    let mdbook = find_or_install(project)?;
    run(project.environment.command(mdbook).arg("build").current_dir(&project.root), "the book was not made")?;
    let book = project.root.join(BOOK);
    let broken = broken_links(&book)?;
    if !broken.is_empty() {
        return Err(Failure::Failed(format!("links of the book that lead nowhere:\n  {}", broken.join("\n  "))));
    }
    say(&format!("the book is {}", book.join("index.html").display()));
    Ok(())
}

/// The pinned mdBook: in the project's own target folder, where it is built once, which takes minutes.
fn find_or_install(project: &Project) -> Result<PathBuf, Failure> {
    let root = project.target().join("mdbook");
    let program = root.join("bin/mdbook");
    let found = program
        .is_file()
        .then(|| output_of(project.environment.command(&program).arg("--version"), "mdbook does not say its version"));
    if found.transpose()?.is_some_and(|version| version.trim().trim_start_matches("mdbook v") == VERSION) {
        return Ok(program);
    }
    say(&format!("building mdbook {VERSION} from the registry (some minutes, once)"));
    let mut command = project.cargo(&["install", "mdbook", "--locked", "--force", "--version", VERSION, "--root"]);
    run(command.arg(&root), "mdbook did not build")?;
    Ok(program)
}

/// Links from a page of the book to a page or figure that is not there.
fn broken_links(book: &Path) -> Result<Vec<String>, Failure> {
    let mut pages = Vec::new();
    pages_below(book, &mut pages)?;
    let mut broken = Vec::new();
    for page in pages {
        let html = fs::read_to_string(&page).map_err(Failure::file("read", &page))?;
        let folder = page.parent().unwrap_or(book);
        for target in links(&html) {
            if !folder.join(target).exists() {
                broken.push(format!("{}: {target}", page.strip_prefix(book).unwrap_or(&page).display()));
            }
        }
    }
    Ok(broken)
}

fn pages_below(folder: &Path, pages: &mut Vec<PathBuf>) -> Result<(), Failure> {
    for entry in fs::read_dir(folder).map_err(Failure::file("list", folder))?.flatten() {
        let path = entry.path();
        if path.is_dir() {
            pages_below(&path, pages)?;
        } else if path.extension().is_some_and(|ending| ending == "html") {
            pages.push(path);
        }
    }
    pages.sort();
    Ok(())
}

/// Local targets of `href` and `src`, without what comes behind `#`. Files of the repository outside of `docs` are not the book's.
fn links(html: &str) -> impl Iterator<Item = &str> {
    html.split(" href=\"")
        .skip(1)
        .chain(html.split(" src=\"").skip(1))
        .filter_map(|rest| rest.split('"').next())
        .map(|target| target.split('#').next().unwrap_or_default())
        .filter(|target| Path::new(target).extension().is_some_and(|ending| ending == "html" || ending == "svg"))
        .filter(|target| !target.contains("://"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_that_leads_nowhere_is_found() {
        let folder = tempfile::tempdir().expect("temporary folder");
        fs::create_dir(folder.path().join("below")).expect("folder");
        let page = "<a href=\"../index.html#top\"> <a href=\"gone.html\"> <img src=\"gone.svg\"> \
                    <a href=\"https://example.org/gone.html\"> <a href=\"#here\">";
        fs::write(folder.path().join("index.html"), "<a href=\"below/page.html\">").expect("file");
        fs::write(folder.path().join("below/page.html"), page).expect("file");
        let broken = broken_links(folder.path()).expect("read");
        assert_eq!(broken, ["below/page.html: gone.html", "below/page.html: gone.svg"]);
    }
}
