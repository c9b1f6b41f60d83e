//! What a user says of their cluster: `config.toml`, which no experiment names and no content hash has.

use std::path::PathBuf;

use serde::Deserialize;
use slhf_files::{TOML_BYTES_MAX, read_if_there};
use slhf_launch::SlurmOptions;

use crate::failure::Failure;

/// Names another file.
const VARIABLE: &str = "SLHF_LAB_CONFIG";

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    #[serde(default)]
    launcher: Launchers,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Launchers {
    #[serde(default)]
    slurm: SlurmOptions,
}

/// `[launcher.slurm]`; the cluster's own defaults where there is no file.
pub(super) fn slurm() -> Result<SlurmOptions, Failure> {
    let Some(path) = path() else { return Ok(SlurmOptions::default()) };
    let refused = |what: String| Failure::bad_input(format!("{}: {what}", path.display()));
    let bytes = read_if_there(&path, TOML_BYTES_MAX).map_err(|error| refused(error.to_string()))?;
    let Some(bytes) = bytes else { return Ok(SlurmOptions::default()) };
    let text = String::from_utf8(bytes).map_err(|error| refused(error.to_string()))?;
    read(&text).map_err(refused)
}

fn read(text: &str) -> Result<SlurmOptions, String> {
    let config: Config = toml::from_str(text).map_err(|error| {
        let line = error.span().map(|span| 1 + text[..span.start.min(text.len())].matches('\n').count());
        let place = line.map(|line| format!("line {line}: ")).unwrap_or_default();
        format!("{place}{}", error.message())
    })?;
    Ok(config.launcher.slurm)
}

fn path() -> Option<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    variable(VARIABLE).or_else(|| {
        let folder = variable("XDG_CONFIG_HOME").or_else(|| Some(variable("HOME")?.join(".config")))?;
        Some(folder.join("slhf-lab/config.toml"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_of_a_cluster_are_read_and_slips_are_named() {
        let check = |text: &str, expected: Result<Option<&str>, &str>| {
            let found = read(text).map(|options| options.partition);
            let expected = expected.map(|partition| partition.map(str::to_owned)).map_err(str::to_owned);
            assert_eq!(found, expected, "{text}");
        };
        check("", Ok(None));
        check("[launcher.slurm]\npartition = \"gpu\"\ncpus_per_task = 4\noptions = [\"--exclusive\"]", Ok(Some("gpu")));
        let known = "expected one of `partition`, `account`, `qos`, `time`, `gres`, `cpus_per_task`, `mem`, `constraint`, \
                     `options`, `prologue`";
        check(
            "[launcher.slurm]\ntime = \"1:00:00\"\npartitions = \"gpu\"",
            Err(&format!("line 3: unknown field `partitions`, {known}")),
        );
        check("[launcher.slurm]\ncpus_per_task = -1", Err("line 2: invalid value: integer `-1`, expected u32"));
    }
}
