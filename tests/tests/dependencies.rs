//! What we depend on: licenses and versions, by the rules in `deny.toml`; and our own version, where it is repeated.
//!
//! The file is cargo-deny's, and means here what it means there. The rules are checked by this test because building cargo-deny
//! takes longer than all of CI; it also checks advisories, where their database can be had.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;
use slhf_tests::repository;

/// All workspaces whose code is shipped or run by tests.
const WORKSPACES: [&str; 3] = ["Cargo.toml", "plugins/Cargo.toml", "host/judge/tests/guests/Cargo.toml"];

/// A package that some build on this platform needs.
struct Package {
    name: String,
    version: String,
    license: Option<String>,
    is_ours: bool,
}

/// The rules.
struct Rules {
    /// SPDX ids with their exceptions.
    allowed: BTreeSet<String>,
    /// `name@version` that may stand beside another version.
    skipped: BTreeSet<String>,
}

impl Rules {
    fn read() -> Self {
        let text = std::fs::read_to_string(repository().join("deny.toml")).expect("deny.toml");
        let rules: toml::Table = text.parse().expect("TOML");
        let text = |value: &toml::Value| value.as_str().expect("a text").to_owned();
        let list = |section: &str, key: &str| rules[section][key].as_array().expect("a list").clone();
        let skipped = list("bans", "skip");
        assert!(skipped.iter().all(|skip| !text(&skip["reason"]).is_empty()), "every skip says why");
        Self {
            allowed: list("licenses", "allow").iter().map(text).collect(),
            skipped: skipped.iter().map(|skip| text(&skip["crate"])).collect(),
        }
    }

    /// Why a license will not do.
    fn license_problem(&self, license: Option<&str>) -> Option<String> {
        let Some(license) = license else { return Some("names no license".to_owned()) };
        match spdx::Expression::parse_mode(license, spdx::ParseMode::LAX) {
            Err(error) => Some(format!("has the license {license:?}: {}", error.reason)),
            Ok(expression) if expression.evaluate(|wanted| self.allowed.contains(&wanted.to_string())) => None,
            Ok(_) => Some(format!("has the license {license:?}, which deny.toml does not allow")),
        }
    }

    /// Crates of which more than one version remains when those that may be skipped are gone.
    fn duplicates(&self, packages: &[Package]) -> Vec<String> {
        let mut versions: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for package in packages.iter().filter(|package| !package.is_ours) {
            versions.entry(&package.name).or_default().push(format!("{}@{}", package.name, package.version));
        }
        let mut found = Vec::new();
        for mut versions in versions.into_values() {
            versions.retain(|version| !self.skipped.contains(version));
            if versions.len() > 1 {
                found.push(versions.join(", "));
            }
        }
        found
    }
}

/// What cargo would build here, from what lies on this machine.
fn packages(manifest: &str) -> Vec<Package> {
    let output = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()))
        .args(["metadata", "--format-version", "1", "--locked", "--offline"])
        .args(["--filter-platform", "x86_64-unknown-linux-gnu", "--manifest-path"])
        .arg(repository().join(manifest))
        .output()
        .expect("cargo");
    assert!(output.status.success(), "{manifest}: {}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let list = |value: &Value| value.as_array().expect("a list").clone();
    let needed: BTreeSet<String> =
        list(&metadata["resolve"]["nodes"]).iter().map(|node| node["id"].to_string()).collect();
    let text = |value: &Value| value.as_str().map(str::to_owned);
    list(&metadata["packages"])
        .iter()
        .filter(|package| needed.contains(&package["id"].to_string()))
        .map(|package| Package {
            name: text(&package["name"]).expect("a name"),
            version: text(&package["version"]).expect("a version"),
            license: text(&package["license"]),
            is_ours: package["source"].is_null(),
        })
        .collect()
}

#[test]
fn every_license_is_allowed_and_every_duplicate_is_known() {
    let rules = Rules::read();
    let mut problems = Vec::new();
    let (mut skipped, mut used) = (rules.skipped.clone(), BTreeSet::new());
    for manifest in WORKSPACES {
        let packages = packages(manifest);
        assert!(packages.len() > 10, "{manifest}");
        for package in &packages {
            let name = format!("{}@{}", package.name, package.version);
            if let Some(problem) = rules.license_problem(package.license.as_deref()) {
                problems.push(format!("{manifest}: {name} {problem}"));
            }
            skipped.remove(&name);
            let license = package.license.as_deref().unwrap_or_default();
            used.extend(rules.allowed.iter().filter(|allowed| license.contains(allowed.as_str())).cloned());
        }
        let duplicates = rules.duplicates(&packages).into_iter();
        problems.extend(duplicates.map(|versions| {
            format!("{manifest}: {versions}: agree on one version, or say in deny.toml why there are several")
        }));
    }
    problems.extend(skipped.iter().map(|name| format!("deny.toml skips {name}, which nothing needs")));
    let unused = rules.allowed.difference(&used);
    problems.extend(unused.map(|license| format!("deny.toml allows {license}, which nothing has")));
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn a_license_counts_by_its_expression() {
    let rules = Rules { allowed: ["MIT", "Apache-2.0"].map(str::to_owned).into(), skipped: BTreeSet::new() };
    let check = |license: Option<&str>, is_right: bool| {
        assert_eq!(rules.license_problem(license).is_none(), is_right, "{license:?}");
    };
    check(Some("MIT"), true);
    check(Some("MIT/Apache-2.0"), true);
    check(Some("GPL-3.0-only OR MIT"), true);
    check(Some("GPL-3.0-only AND MIT"), false);
    check(Some("GPL-3.0-only"), false);
    check(Some("Apache-2.0 WITH LLVM-exception"), false);
    check(Some("my own"), false);
    check(None, false);
}

#[test]
fn two_versions_are_a_duplicate_unless_one_is_skipped() {
    let package =
        |version: &str| Package { name: "a".to_owned(), version: version.to_owned(), license: None, is_ours: false };
    let rules = Rules { allowed: BTreeSet::new(), skipped: BTreeSet::from(["a@1.0.0".to_owned()]) };
    assert!(rules.duplicates(&[package("1.0.0"), package("2.0.0")]).is_empty());
    assert_eq!(rules.duplicates(&[package("2.0.0"), package("3.0.0")]), ["a@2.0.0, a@3.0.0"]);
}

#[test]
fn what_is_cited_is_this_version_and_the_changelog_has_it() {
    let read = |name: &str| std::fs::read_to_string(repository().join(name)).expect("a file");
    let version = env!("CARGO_PKG_VERSION");
    assert!(read("CITATION.cff").lines().any(|line| line == format!("version: {version}")), "CITATION.cff");
    let changelog = read("CHANGELOG.md");
    assert!(changelog.lines().any(|line| line == format!("## {version}")), "CHANGELOG.md has no section {version}");
}
