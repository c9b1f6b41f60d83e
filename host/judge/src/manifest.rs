//! What a plugin says of itself once it runs.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use wasmtime::component::{ComponentType, Lift};

use crate::parameters;

/// Longest name or version, in bytes.
const NAME_BYTES_MAX: usize = 128;

/// Identity, claims and parameters of a plugin.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Its own name.
    pub name: String,
    /// Its own version.
    pub version: String,
    /// One sentence: what it measures.
    pub measures: String,
    /// What it promises of its verdicts.
    pub claims: Claims,
    /// JSON Schema of its parameters.
    pub parameters_schema: Value,
}

/// What a plugin promises of its verdicts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ComponentType, Lift)]
#[component(record)]
pub struct Claims {
    /// p(a ≻ b) + p(b ≻ a) = 1 for all a and b.
    pub complementary: bool,
    /// The verdict depends on how long a response is.
    #[component(name = "length-sensitive")]
    pub length_sensitive: bool,
}

/// The manifest as it comes out of the guest: nothing of it is trusted yet.
#[derive(Clone, Debug, ComponentType, Lift)]
#[component(record)]
pub(crate) struct RawManifest {
    name: String,
    version: String,
    measures: String,
    claims: Claims,
    #[component(name = "parameters-schema")]
    parameters_schema: String,
}

impl RawManifest {
    /// Checks every value; the error is the end of the sentence "its manifest is not valid: ".
    pub(crate) fn check(self) -> Result<Manifest, String> {
        for (what, text) in [("name", &self.name), ("version", &self.version)] {
            if text.is_empty() || text.len() > NAME_BYTES_MAX || text.chars().any(char::is_control) {
                return Err(format!(
                    "`{what}` is {text:?}; it must have 1 to {NAME_BYTES_MAX} bytes and no control characters"
                ));
            }
        }
        let parameters_schema: Value = serde_json::from_str(&self.parameters_schema)
            .map_err(|error| format!("`parameters-schema` is not JSON: {error}"))?;
        parameters::check_schema(&parameters_schema).map_err(|fault| format!("`parameters-schema`: {fault}"))?;
        Ok(Manifest {
            name: self.name,
            version: self.version,
            measures: self.measures,
            claims: self.claims,
            parameters_schema,
        })
    }
}

impl Manifest {
    /// Names of the models that it needs: `x-models` of the schema.
    pub fn models(&self) -> impl Iterator<Item = &str> {
        self.parameters_schema["x-models"].as_array().into_iter().flatten().filter_map(Value::as_str)
    }

    /// Checks parameters against the plugin's own schema; the error is one sentence that names the parameter.
    pub fn check_parameters(&self, values: &Value) -> Result<(), String> {
        parameters::check(&self.parameters_schema, values)
    }
}
