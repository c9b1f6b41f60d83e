//! `slhf-lab schema`: the input files as JSON Schemas, from the types that read them.

use serde_json::Value as Json;
use slhf_plan::{GameMethodTable, LanguageMethodTable};
use slhf_tests::Lab;

fn describes_every_key(what: &str, schema: &Json) {
    let properties = schema["properties"].as_object().expect("an object type has properties");
    for (key, property) in properties {
        assert!(property["description"].is_string(), "{what}: {key} has no description");
    }
    assert_eq!(schema["additionalProperties"], false, "{what}");
}

#[test]
fn the_schemas_are_json_and_describe_every_key() {
    let lab = Lab::new();
    describes_every_key("game", &lab.run(&["schema", "game"]).json());
    let experiment = lab.run(&["schema", "experiment"]).json();
    assert_eq!(experiment["anyOf"].as_array().map(Vec::len), Some(3), "a game, a language model, or a reward model");
    for name in [
        "ExperimentConfig",
        "LanguageExperimentConfig",
        "ModelConfig",
        "AdapterConfig",
        "DataConfig",
        "LanguageDeviceConfig",
        "LanguageEvaluationConfig",
        "ScheduleConfig",
        "RewardExperimentConfig",
        "PairsConfig",
        "RewardTrainingConfig",
        "RewardScheduleConfig",
        "RewardEvaluationConfig",
    ] {
        describes_every_key(name, &experiment["$defs"][name]);
    }
    let (on_games, on_models) = (GameMethodTable::methods().len(), LanguageMethodTable::methods().len());
    for (name, methods) in [("GameMethod", on_games), ("LanguageMethod", on_models)] {
        let each = experiment["$defs"][name]["oneOf"].as_array().expect("a schema a method");
        assert_eq!(each.len(), methods, "{name}");
        for method in each {
            describes_every_key(&format!("{name} {}", method["properties"]["name"]["const"]), method);
        }
    }
    insta::assert_snapshot!("game", lab.run(&["schema", "game"]));
}

#[test]
fn another_schema_is_a_usage_error() {
    let outcome = Lab::new().run(&["schema", "language-model"]);
    assert_eq!(outcome.code, Some(2), "{outcome}");
    assert!(outcome.stderr.contains("experiment, game"), "{outcome}");
}
