//! Every statement that is written out in the sources prepares against the migrated schema.

use std::fs;
use std::path::Path;

use slhf_record::{OpenMode, Record};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Executor as _, SqlSafeStr as _};

/// String literals of a source file, with Rust's line continuations taken out.
fn literals(source: &str) -> Vec<String> {
    let mut literals = Vec::new();
    for line_joined in source.split('"').skip(1).step_by(2) {
        let mut text = String::new();
        let mut rest = line_joined;
        while let Some((before, after)) = rest.split_once("\\\n") {
            text.push_str(before);
            rest = after.trim_start();
        }
        text.push_str(rest);
        literals.push(text);
    }
    literals
}

/// Statements without a gap to be filled in; those with one are prepared by the tests that use them.
fn statements(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(statements(&path));
        } else {
            let source = fs::read_to_string(&path).unwrap();
            // Test modules come last in a file and hold statements that are wrong on purpose; comments and character
            // literals hold quotation marks.
            let source = source.split("#[cfg(test)]").next().unwrap().replace("'\"'", "' '");
            let code: Vec<&str> = source.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
            found.extend(literals(&code.join("\n")));
        }
    }
    // The temporary table of a read-only connection exists only there (tested with the leases), an attached record and what is
    // temporary only while runs go from one record to another (tested with merges).
    found.retain(|text| !["dead_run", "temp.", "other."].iter().any(|name| text.contains(name)));
    let verbs = ["SELECT ", "INSERT ", "UPDATE ", "DELETE ", "WITH "];
    found.retain(|text| verbs.iter().any(|verb| text.starts_with(verb)) && !text.contains('{'));
    found
}

#[test]
fn every_statement_prepares() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lab.db");
    drop(Record::open(&path, OpenMode::Create).unwrap());
    let statements = statements(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    assert!(statements.len() > 50, "only {} statements were found", statements.len());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let mut connection = SqliteConnectOptions::new().filename(&path).connect().await.unwrap();
        for statement in statements {
            if let Err(error) = connection.prepare(AssertSqlSafe(statement.as_str()).into_sql_str()).await {
                // The beginning of a statement that is put together from parts is none by itself.
                assert!(error.to_string().contains("incomplete input"), "{statement}: {error}");
            }
        }
    });
}
