//! From JSON to a plugin's parameters, with errors a user can act on.

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use crate::Failure;

/// Reads parameters (a JSON object). The failure names the parameter by its path and, where a key is unknown, the
/// nearest one that exists.
pub fn read<T: DeserializeOwned>(json: &str) -> Result<T, Failure> {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let parameters = serde_path_to_error::deserialize(&mut deserializer)
        .map_err(|error| Failure::new(sentence(&error.path().to_string(), &error.into_inner().to_string())))?;
    deserializer.end().map_err(|error| Failure::new(sentence(".", &error.to_string())))?;
    Ok(parameters)
}

/// The JSON Schema of a plugin's parameters.
pub fn schema<T: JsonSchema>() -> String {
    schemars::schema_for!(T).as_value().to_string()
}

/// Likewise, with the names of the models that the plugin needs under `x-models`.
pub fn schema_with_models<T: JsonSchema>(models: &[String]) -> String {
    let mut schema = schemars::schema_for!(T);
    if !models.is_empty() {
        schema.insert("x-models".to_owned(), models.into());
    }
    schema.as_value().to_string()
}

/// One sentence of where (`.` for the parameters as a whole) and what serde said.
fn sentence(path: &str, message: &str) -> String {
    // serde_json ends its messages with a position in a text that the user never saw.
    let message = message.find(" at line ").map_or(message, |end| &message[..end]);
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    if message.starts_with("unknown field") {
        let (unknown, known) = quoted.split_first().map_or(("", &[][..]), |(first, rest)| (*first, rest));
        // The path ends with the unknown key itself.
        let parent = path.strip_suffix(unknown).unwrap_or(path).trim_end_matches('.');
        let place = if parent.is_empty() { String::new() } else { format!(" in '{parent}'") };
        if known.is_empty() {
            return format!("parameter '{unknown}'{place} is unknown: none is taken here");
        }
        let hint = nearest(unknown, known).map_or(String::new(), |key| format!(", did you mean '{key}'?"));
        return format!("parameter '{unknown}'{place} is unknown{hint} (known here: {})", known.join(", "));
    }
    let message = message.replace('`', "'");
    match path {
        "." | "" => format!("the parameters are not right: {message}"),
        path => format!("parameter '{path}' is not right: {message}"),
    }
}

/// The known key nearest to an unknown one, if one is near: at most a third of its characters differ, or two.
fn nearest<'key>(unknown: &str, known: &[&'key str]) -> Option<&'key str> {
    let (distance, key) = known.iter().map(|key| (strsim::levenshtein(unknown, key), *key)).min()?;
    (distance <= (unknown.chars().count() / 3).max(2)).then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    /// A criterion.
    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct Criterion {
        #[expect(dead_code, reason = "only its reading is tested")]
        name: String,
    }

    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct Parameters {
        /// How much.
        weight: f64,
        #[serde(default)]
        #[expect(dead_code, reason = "only its reading is tested")]
        criteria: Vec<Criterion>,
    }

    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct Nothing {}

    #[test]
    fn good_parameters_are_read() {
        assert_eq!(read::<Parameters>(r#"{"weight": 0.1}"#).unwrap().weight, 0.1);
        read::<Nothing>("{}").unwrap();
    }

    #[test]
    fn bad_parameters_are_one_sentence() {
        let check = |json, expected| assert_eq!(read::<Parameters>(json).unwrap_err().reason, expected);
        check(
            r#"{"weihgt": 1}"#,
            "parameter 'weihgt' is unknown, did you mean 'weight'? (known here: weight, criteria)",
        );
        check(r#"{"colour": 1}"#, "parameter 'colour' is unknown (known here: weight, criteria)");
        check(
            r#"{"weight": 1, "criteria": [{"name": "a"}, {"nmae": "b"}]}"#,
            "parameter 'nmae' in 'criteria[1]' is unknown, did you mean 'name'? (known here: name)",
        );
        check("{}", "the parameters are not right: missing field 'weight'");
        check(r#"{"weight": "much"}"#, "parameter 'weight' is not right: invalid type: string \"much\", expected f64");
        check(r#"{"weight": 1} x"#, "the parameters are not right: trailing characters");
        assert_eq!(
            read::<Nothing>(r#"{"weight": 1}"#).unwrap_err().reason,
            "parameter 'weight' is unknown: none is taken here"
        );
    }

    #[test]
    fn the_schema_carries_the_documentation() {
        let schema: serde_json::Value = serde_json::from_str(&schema::<Parameters>()).unwrap();
        assert_eq!(schema["properties"]["weight"]["description"], "How much.");
        assert_eq!(schema["additionalProperties"], false);
    }
}
