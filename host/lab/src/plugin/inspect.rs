//! `slhf-lab plugin inspect` and `plugin list`: what plugins say of themselves.

use std::fs;
use std::path::PathBuf;

use clap::Args;
use slhf_judge::{Description, Host};
use slhf_plan::Limits;
use thiserror::Error;

use super::asked;
use slhf_experiment::shipped_plugins;
use slhf_words::chain;

use crate::failure::Failure;
use crate::output::{self, Cell, Column, Format, Table};

/// Arguments of `plugin inspect`.
#[derive(Debug, Args)]
pub(crate) struct InspectArguments {
    /// A shipped plugin's name, or the path of a .wasm file
    plugin: String,
    /// How the result is printed
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

/// Arguments of `plugin list`.
#[derive(Debug, Args)]
pub(crate) struct ListArguments {
    /// How the result is printed
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

#[derive(Debug, Error)]
enum ListError {
    #[error("there is no folder of shipped plugins at {}: build them with `cargo xtask guests` in the repository of slhf-lab, or name their folder in SLHF_LAB_PLUGINS", folder.display())]
    NoFolder { folder: PathBuf },
    #[error("{count} of the shipped plugins could not be loaded")]
    Broken { count: usize },
}

/// Prints everything one plugin says of itself.
pub(crate) fn inspect(arguments: &InspectArguments) -> Result<(), Failure> {
    let path = slhf_experiment::named_plugin::path(&arguments.plugin).map_err(Failure::bad_input)?;
    let description =
        asked::plain_host()?.describe(&arguments.plugin, &path, &Limits::default()).map_err(Failure::bad_input)?;
    if arguments.format == Format::Json {
        return output::print_json(&description);
    }
    let mut table = Table::new(vec![Column::text("property"), Column::text("value")]);
    for (property, value) in properties(&description) {
        table.push(vec![Cell::text(property), Cell::Text(value)]);
    }
    output::print_table(&table, arguments.format)
}

fn properties(description: &Description) -> Vec<(&'static str, String)> {
    let Description { inspection, world, manifest } = description;
    let mut properties = vec![
        ("name", manifest.name.clone()),
        ("version", manifest.version.clone()),
        ("measures", manifest.measures.clone()),
        ("world", world.to_string()),
        ("over", over(description)),
        ("contract", inspection.wit_version.clone().unwrap_or_default()),
        ("complementary", claimed(manifest.claims.complementary)),
        ("length-sensitive", claimed(manifest.claims.length_sensitive)),
        ("imports", inspection.imports.join(", ")),
        ("size", format!("{} bytes", inspection.size_bytes)),
        ("sha256", inspection.sha256.clone()),
    ];
    let empty = serde_json::Map::new();
    let schema = &manifest.parameters_schema;
    let required: Vec<&str> =
        schema["required"].as_array().into_iter().flatten().filter_map(serde_json::Value::as_str).collect();
    for (name, parameter) in schema["properties"].as_object().unwrap_or(&empty) {
        let described = parameter["description"].as_str().unwrap_or("(not described)");
        let default = match parameter.get("default") {
            Some(default) => format!(" [default: {default}]"),
            None if required.contains(&name.as_str()) => " [required]".to_owned(),
            None => String::new(),
        };
        properties.push(("parameter", format!("{name}: {described}{default}")));
    }
    properties
}

fn claimed(claim: bool) -> String {
    if claim { "claimed" } else { "not claimed" }.to_owned()
}

/// The worlds of the plugins a combinator wraps.
fn over(description: &Description) -> String {
    let worlds = description.inspection.upstream_worlds();
    worlds.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// Prints the shipped plugins.
pub(crate) fn list(arguments: &ListArguments) -> Result<(), Failure> {
    let folder = shipped_plugins();
    let no_folder = |_| Failure::bad_input(ListError::NoFolder { folder: folder.clone() });
    let entries = fs::read_dir(&folder).map_err(no_folder)?;
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "wasm"));
    paths.sort();
    let host = asked::plain_host()?;
    let mut table = Table::new(
        ["name", "version", "world", "over", "complementary", "measures", "sha256"].map(Column::text).into(),
    );
    let mut broken = 0;
    for path in paths {
        match describe(&host, &path) {
            Ok(row) => table.push(row),
            Err(sentence) => {
                broken += 1;
                output::say(sentence);
            }
        }
    }
    output::print_table(&table, arguments.format)?;
    if broken > 0 { Err(Failure::failed(ListError::Broken { count: broken })) } else { Ok(()) }
}

fn describe(host: &Host, path: &std::path::Path) -> Result<Vec<Cell>, String> {
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let description = host.describe(&name, path, &Limits::default()).map_err(|error| chain(&error))?;
    let Description { inspection, world, manifest } = &description;
    Ok(vec![
        Cell::Text(name),
        Cell::text(manifest.version.as_str()),
        Cell::Text(world.to_string()),
        Cell::Text(over(&description)),
        Cell::Boolean(manifest.claims.complementary),
        Cell::text(manifest.measures.as_str()),
        Cell::text(&inspection.sha256[..12]),
    ])
}
