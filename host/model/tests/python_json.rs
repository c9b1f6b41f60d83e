//! Configurations as Python's `json` writes them.

use std::fs;
use std::path::{Path, PathBuf};

use slhf_model::ModelConfig;

/// A folder whose `config.json` has `changes` in the place of the good one's fields.
fn folder(name: &str, begin: &str, changes: &[(&str, &str)]) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("slhf-python-json-{}-{name}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder");
    let good = [
        ("model_type", "\"llama\""),
        ("hidden_size", "32"),
        ("intermediate_size", "48"),
        ("num_hidden_layers", "2"),
        ("num_attention_heads", "4"),
        ("num_key_value_heads", "2"),
        ("vocab_size", "300"),
        ("max_position_embeddings", "256"),
        ("rms_norm_eps", "1e-05"),
        ("rope_theta", "10000"),
    ];
    let others = good.iter().filter(|(key, _)| !changes.iter().any(|(changed, _)| changed == key));
    let fields: Vec<String> = others.chain(changes).map(|(key, value)| format!("\"{key}\": {value}")).collect();
    fs::write(folder.join("config.json"), format!("{begin}{{{}}}", fields.join(", "))).expect("written");
    folder
}

fn read(folder: &Path) -> Result<ModelConfig, String> {
    let config = ModelConfig::from_folder(folder).map_err(|error| {
        let source = std::error::Error::source(&error).map_or_else(String::new, |source| format!(": {source}"));
        format!("{error}{source}")
    });
    fs::remove_dir_all(folder).expect("removed");
    config
}

#[test]
fn what_python_writes_means_what_python_reads() {
    let plain = read(&folder("plain", "", &[])).expect("good");
    let other = [
        ("hidden_size", "32.0"),
        ("max_position_embeddings", "256.0"),
        ("rope_theta", "10000.0"),
        ("head_dim", "null"),
        ("summary", "{\"a\": [NaN, Infinity, \"\\ud83d\"]}"),
        ("initializer_range", "-Infinity"),
    ];
    assert_eq!(read(&folder("other", "\u{feff}", &other)).expect("good"), plain);
}

#[test]
fn what_is_read_and_no_number_is_named() {
    let check = |name: &str, changes: &[(&str, &str)], expect: &str| {
        let said = read(&folder(name, "", changes)).expect_err(name);
        assert!(said.contains(expect), "{said}");
    };
    check("theta", &[("rope_theta", "Infinity")], "`rope_theta` is Infinity; expected a number");
    check("size", &[("hidden_size", "NaN")], "`hidden_size` is NaN; expected a whole number");
    check("half", &[("vocab_size", "300.5")], "`vocab_size` is 300.5; expected a whole number");
    check("type", &[("model_type", "NaN")], "`model_type` is NaN; expected a text");
    check("twice", &[("vocab_size", "300, \"vocab_size\": 301")], "the key \"vocab_size\" stands twice in one object");
}
