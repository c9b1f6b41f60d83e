use super::*;
use slhf_sdk::parameters;

fn table(parameters: &str) -> Result<Table, Failure> {
    parameters::read(parameters).and_then(Table::new)
}

fn probability(table: &Table, first: Response, second: Response) -> Result<f64, String> {
    let verdict = table.compare(&Comparison::new("", first, second));
    verdict.map(|verdict| verdict.probability).map_err(|failure| failure.reason)
}

const CYCLE: &str =
    r#"{"actions": ["a", "b", "c"], "preferences": [[0.5, 0.9, 0.2], [0.1, 0.5, 0.8], [0.8, 0.2, 0.5]]}"#;

#[test]
fn cells_are_looked_up_by_text() {
    let table = table(CYCLE).unwrap();
    let check = |first, second, expected| {
        assert_eq!(probability(&table, Response::new(first), Response::new(second)), Ok(expected), "{first} {second}");
    };
    check("a", "b", 0.9);
    check("b", "a", 0.1);
    check("c", "a", 0.8);
    check("b", "b", 0.5);
}

#[test]
fn metadata_names_an_action_whose_text_is_another() {
    let table = table(CYCLE).unwrap();
    let renamed = Response::new("Take the train.").with_metadata(r#"{"action": "a", "price": 3}"#);
    assert_eq!(probability(&table, renamed, Response::new("b")), Ok(0.9));
}

#[test]
fn a_prompts_kind_chooses_the_matrix() {
    let kinds = r#"{"actions": ["a", "b"], "preferences": [[0.5, 0.6], [0.4, 0.5]],
        "kinds": {"fruit": [[0.5, 0.9], [0.1, 0.5]], "animal": [[0.5, 0.2], [0.8, 0.5]]}}"#;
    let found = |parameters: &str, metadata: &str| {
        let comparison = Comparison::new("", Response::new("a"), Response::new("b")).with_metadata(metadata);
        let verdict = table(parameters).unwrap().compare(&comparison);
        verdict.map(|verdict| verdict.probability).map_err(|failure| failure.reason)
    };
    assert_eq!(found(kinds, r#"{"kind": "fruit"}"#), Ok(0.9));
    assert_eq!(found(kinds, r#"{"kind": "animal", "other": 1}"#), Ok(0.2));
    assert_eq!(found(kinds, "{}"), Ok(0.6));
    let error = found(kinds, r#"{"kind": "city"}"#);
    assert_eq!(error.unwrap_err(), "the prompt's metadata name the kind \"city\", and the table has animal, fruit");
    // A table without kinds never looks at what prompts say of themselves.
    assert_eq!(found(CYCLE, r#"{"kind": 3}"#), Ok(0.9));
    let alone = r#"{"actions": ["a", "b"], "kinds": {"fruit": [[0.5, 0.9], [0.1, 0.5]]}}"#;
    assert_eq!(found(alone, "{}").unwrap_err(), "the prompt's metadata name no kind, and the table has fruit");
}

#[test]
fn a_stranger_is_a_failure() {
    let table = table(CYCLE).unwrap();
    let check = |response, expected: &str| {
        assert_eq!(probability(&table, response, Response::new("b")), Err(expected.to_owned()));
    };
    check(Response::new("d"), "\"d\" is none of the table's 3 actions");
    check(Response::new("d").with_metadata(r#"{"action": "e"}"#), "\"e\" is none of the table's 3 actions");
}

#[test]
fn bad_tables_are_named() {
    let check = |json, expected| assert_eq!(table(json).unwrap_err().reason, expected);
    check(r#"{"actions": [], "preferences": []}"#, "parameter 'actions' is empty: name the actions of the matrix");
    check(
        r#"{"actions": ["a", "a"], "preferences": [[0.5, 1], [0, 0.5]]}"#,
        "parameter 'actions' names \"a\" twice, as entries 0 and 1",
    );
    check(
        r#"{"actions": ["a"]}"#,
        "parameter 'preferences' is missing: give the matrix, or one for each kind of prompt in 'kinds'",
    );
    check(
        r#"{"actions": ["a", "b"], "kinds": {"fruit": [[0.5, 1], [0]]}}"#,
        "parameter 'kinds.fruit[1]' (action \"b\") has 1 cell for 2 actions",
    );
    check(r#"{"actions": ["a", "b"], "preferences": [[0.5, 1]]}"#, "parameter 'preferences' has 1 row for 2 actions");
    check(
        r#"{"actions": ["a", "b"], "preferences": [[0.5, 1], [0]]}"#,
        "parameter 'preferences[1]' (action \"b\") has 1 cell for 2 actions",
    );
    check(
        r#"{"actions": ["a", "b"], "preferences": [[0.5, 1], [1.5, 0.5]]}"#,
        "parameter 'preferences[1][0]' (\"b\" against \"a\") is 1.5, it must be within [0, 1]",
    );
    check(
        r#"{"actions": ["a"], "preferences": 1}"#,
        "parameter 'preferences' is not right: invalid type: integer '1', expected rows of numbers or base64 text",
    );
    check(
        r#"{"actions": ["a"], "preferences": [["x"]]}"#,
        "parameter 'preferences[0][0]' is not right: invalid type: string \"x\", expected f64",
    );
}
