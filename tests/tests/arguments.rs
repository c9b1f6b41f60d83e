//! What people type: free text that looks like an option, answers whose columns share a name.

use slhf_tests::{Lab, repository};

#[test]
fn free_text_may_begin_with_a_hyphen() {
    let lab = Lab::new();
    let record = repository().join("docs/results/record.db.gz");
    let record = record.to_str().expect("text");
    for words in [
        &["plugin", "try", "brevity", "--prompt", "-5 + 3 = ?", "--first", "- one\n- two", "--second", "--no"][..],
        &["plugin", "bench", "brevity", "--text", "- a list", "--response-bytes", "0", "--pairs", "64"],
        &["query", "-- a comment\nSELECT 1 AS one", "--db", record],
    ] {
        let outcome = lab.run(words);
        assert_eq!(outcome.code, Some(0), "{words:?}: {outcome}");
    }
}

#[test]
fn columns_of_one_name_are_all_there() {
    let lab = Lab::new();
    let record = repository().join("docs/results/record.db.gz");
    let sql = "SELECT a.run, b.run FROM runs a JOIN runs b ON b.run = a.run + 1 ORDER BY a.run LIMIT 1";
    let rows = lab.run(&["query", sql, "--db", record.to_str().expect("text"), "--format", "json"]).json();
    let row = rows[0].as_object().expect("a row");
    assert_eq!(row.len(), 2, "{rows}");
    assert_eq!(row["run_2"].as_i64(), row["run"].as_i64().map(|run| run + 1));
}
