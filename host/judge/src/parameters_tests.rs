use serde_json::json;

use super::*;

fn schema() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "required": ["votes"],
        "additionalProperties": false,
        "properties": {
            "votes": { "type": "array", "minItems": 1, "items": { "$ref": "#/$defs/Vote" } },
            "temperature": { "type": "number", "exclusiveMinimum": 0, "maximum": 10.0, "default": 1.0 },
            "rounds": { "type": ["integer", "null"], "minimum": 1, "format": "uint32" },
            "ties": { "oneOf": [{ "const": "half", "description": "½" }, { "const": "first" }] },
        },
        "$defs": {
            "Vote": {
                "type": "object",
                "required": ["name"],
                "additionalProperties": false,
                "properties": { "name": { "type": "string", "maxLength": 3 }, "sign": { "enum": [1, -1] } },
            },
        },
    })
}

fn check_ok(parameters: &Value) {
    assert_eq!(check(&schema(), parameters), Ok(()), "{parameters}");
}

fn check_fault(parameters: &Value, expect: &str) {
    assert_eq!(check(&schema(), parameters), Err(expect.to_owned()), "{parameters}");
}

#[test]
fn parameters_that_fit_pass() {
    check_ok(&json!({ "votes": [{ "name": "a" }] }));
    check_ok(&json!({ "votes": [{ "name": "a", "sign": -1 }], "temperature": 0.5, "rounds": null, "ties": "half" }));
    check_ok(&json!({ "votes": [{ "name": "äöü" }], "rounds": 3.0 }));
}

#[test]
fn every_fault_names_its_parameter() {
    check_fault(&json!({}), "parameter `votes` is missing");
    check_fault(&json!([]), "parameters are a list of 0 entries; expected a table of names and values");
    check_fault(&json!({ "votes": [] }), "parameter `votes` has 0 entries; it must have at least 1");
    check_fault(&json!({ "vote": [] }), "parameter `vote` is unknown; did you mean `votes`?");
    check_fault(
        &json!({ "votes": [{ "name": "a" }], "zzz": 1 }),
        "parameter `zzz` is unknown; known are rounds, temperature, ties, votes",
    );
    check_fault(&json!({ "votes": [{ "name": "a" }, {}] }), "parameter `votes[1].name` is missing");
    check_fault(&json!({ "votes": [{ "name": 1 }] }), "parameter `votes[0].name` is 1; expected a string");
    check_fault(
        &json!({ "votes": [{ "name": "long" }] }),
        "parameter `votes[0].name` has 4 characters; it may have at most 3",
    );
    check_fault(&json!({ "votes": [{ "name": "a", "sign": 0 }] }), "parameter `votes[0].sign` is 0; expected 1 or -1");
    let with = |key: &str, value: Value| json!({ "votes": [{ "name": "a" }], key: value });
    check_fault(&with("temperature", json!(0)), "parameter `temperature` is 0; it must be more than 0");
    check_fault(&with("temperature", json!(11)), "parameter `temperature` is 11; it must be at most 10");
    check_fault(&with("temperature", json!("warm")), "parameter `temperature` is \"warm\"; expected a number");
    check_fault(&with("rounds", json!(1.5)), "parameter `rounds` is 1.5; expected an integer or nothing");
    check_fault(&with("ties", json!("never")), "parameter `ties` is \"never\"; expected \"half\" or \"first\"");
}

#[test]
fn of_several_forms_the_one_that_got_furthest_speaks() {
    let schema = json!({
        "properties": { "model": { "anyOf": [
            { "type": "null" },
            { "type": "object", "properties": { "scale": { "type": "number" } }, "additionalProperties": false },
        ] } },
    });
    let fault = check(&schema, &json!({ "model": { "scale": "big" } }));
    assert_eq!(fault, Err("parameter `model.scale` is \"big\"; expected a number".to_owned()));
}

#[test]
fn a_parameter_that_no_schema_mentions_is_a_typing_error() {
    let schema = json!({ "properties": { "weights": {} } });
    assert!(check(&schema, &json!({ "weight": 1 })).is_err());
    assert_eq!(check(&json!({}), &json!({ "anything": 1 })), Ok(()), "a schema without names says nothing");
}

#[test]
fn a_schema_cannot_hang_the_host() {
    let endless = json!({ "$ref": "#" });
    assert!(check(&endless, &json!({})).is_err());
    let mut doubling = json!({ "$ref": "#/$defs/level_0" });
    for level in 0..60 {
        let next = json!({ "$ref": format!("#/$defs/level_{}", level + 1) });
        doubling["$defs"][format!("level_{level}")] = json!({ "allOf": [next.clone(), next] });
    }
    doubling["$defs"]["level_60"] = json!(true);
    assert!(check(&doubling, &json!({})).is_err());
}

#[test]
fn schemas_that_would_go_unchecked_are_refused() {
    assert_eq!(check_schema(&schema()), Ok(()));
    let fault = check_schema(&json!({ "properties": { "name": { "pattern": "^a" } } })).unwrap_err();
    assert!(fault.starts_with("the keyword `pattern` is not one that the host checks"), "{fault}");
    assert!(check_schema(&json!([])).is_err());
    assert!(check_schema(&json!({ "anyOf": [{ "not": {} }] })).is_err());
}
