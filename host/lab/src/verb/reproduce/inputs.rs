//! The inputs of a frozen plan, where they are today: every one must be who it was.

use std::error::Error;
use std::path::Path;

use serde_json::Value;
use slhf_files::digest_file;
use thiserror::Error;

use crate::failure::Failure;
use crate::output::visible;
use crate::running;

/// An input that is not there, or another one.
#[derive(Debug, Error)]
#[error("{path} is {found}; the run used SHA-256 {sha256}; bring back what it was")]
struct Missing {
    path: String,
    sha256: String,
    found: String,
}

/// The plan with every plugin at a path where its component is, and its files of data checked. Models are checked by the worker, which
/// hashes them anyway.
pub(super) fn located(frozen: &str, record_folder: &Path) -> Result<String, Failure> {
    let mut plan: Value = serde_json::from_str(frozen).map_err(Failure::failed)?;
    let mut missing: Vec<Box<dyn Error>> = Vec::new();
    locate(&mut plan, record_folder, &mut missing);
    if missing.is_empty() { Ok(plan.to_string()) } else { Err(Failure::Several(missing)) }
}

fn locate(node: &mut Value, folder: &Path, missing: &mut Vec<Box<dyn Error>>) {
    match node {
        Value::Array(items) => items.iter_mut().for_each(|item| locate(item, folder, missing)),
        Value::Object(fields) => {
            let text = |key: &str| fields.get(key).and_then(Value::as_str).map(str::to_owned);
            let is_plugin = fields.contains_key("parameters") && fields.contains_key("limits");
            if let (Some(path), Some(sha256)) = (text("path"), text("sha256")) {
                if is_plugin {
                    match running::find_component(folder, Path::new(&path), &sha256) {
                        Some(found) => {
                            fields.insert("path".to_owned(), found.to_string_lossy().into_owned().into());
                        }
                        None => missing.push(lost(&path, &sha256)),
                    }
                } else if Path::new(&path).is_file() || !Path::new(&path).exists() {
                    let is_it = digest_file(Path::new(&path)).is_ok_and(|found| found.sha256 == sha256);
                    if !is_it && !is_model(fields) {
                        missing.push(lost(&path, &sha256));
                    }
                }
            }
            fields.values_mut().for_each(|field| locate(field, folder, missing));
        }
        _ => {}
    }
}

/// A model's hash is that of several files.
fn is_model(fields: &serde_json::Map<String, Value>) -> bool {
    fields.contains_key("name") && Path::new(fields.get("path").and_then(Value::as_str).unwrap_or_default()).exists()
}

fn lost(path: &str, sha256: &str) -> Box<dyn Error> {
    let found = match digest_file(Path::new(path)) {
        Ok(found) => format!("SHA-256 {} now", found.sha256),
        Err(error) => format!("not readable ({error})"),
    };
    Box::new(Missing { path: visible(path), sha256: sha256.to_owned(), found })
}
