//! `slhf-lab schema`: the input files as JSON Schemas, from the types that read them.

use slhf_tests::Lab;

#[test]
fn the_schemas_are_json_and_describe_every_key() {
    let lab = Lab::new();
    for what in ["experiment", "game"] {
        let schema = lab.run(&["schema", what]).json();
        let properties = schema["properties"].as_object().expect("an object type has properties");
        for (key, property) in properties {
            assert!(property["description"].is_string(), "{what}: {key} has no description");
        }
        assert_eq!(schema["additionalProperties"], false, "{what}");
    }
    insta::assert_snapshot!("game", lab.run(&["schema", "game"]));
}

#[test]
fn another_schema_is_a_usage_error() {
    let outcome = Lab::new().run(&["schema", "language-model"]);
    assert_eq!(outcome.code, Some(2), "{outcome}");
    assert!(outcome.stderr.contains("experiment, game"), "{outcome}");
}
