//! `slhf-lab completions` and `slhf-lab man`: what shells and `man` know of the command line, from its own definition.

use std::path::PathBuf;

use clap::{Args, Command};
use clap_complete::Shell;

use crate::failure::Failure;
use crate::output;

/// Arguments of `completions`.
#[derive(Debug, Args)]
pub(crate) struct CompletionsArguments {
    /// The shell, as in `slhf-lab completions bash > ~/.local/share/bash-completion/completions/slhf-lab`
    #[arg(value_name = "SHELL", value_enum)]
    shell: Shell,
}

/// Arguments of `man`.
#[derive(Debug, Args)]
pub(crate) struct ManArguments {
    /// The folder that the pages are written to; made where it is missing
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// Prints completions.
pub(crate) fn completions(arguments: &CompletionsArguments, mut command: Command) -> Result<(), Failure> {
    let mut text = Vec::new();
    clap_complete::generate(arguments.shell, &mut command, "slhf-lab", &mut text);
    output::print_raw(&String::from_utf8_lossy(&text))
}

/// Writes `slhf-lab.1`, `slhf-lab-run.1`, `slhf-lab-model-export.1`, ….
pub(crate) fn pages(arguments: &ManArguments, mut command: Command) -> Result<(), Failure> {
    let folder = &arguments.out;
    let failed = |error: std::io::Error| {
        Failure::failed(format!(
            "the pages cannot be written to {}: {error}",
            output::visible(&folder.display().to_string())
        ))
    };
    std::fs::create_dir_all(folder).map_err(failed)?;
    // Subcommands are told how they are called as a whole, and have the options that all share.
    command.build();
    let mut pages = Vec::new();
    render(&command, &mut pages).map_err(failed)?;
    for (name, page) in &pages {
        slhf_files::replace(&folder.join(format!("{name}.1")), page).map_err(failed)?;
    }
    output::say(format!("{} pages are in {}", pages.len(), output::visible(&folder.display().to_string())));
    Ok(())
}

fn render(command: &Command, pages: &mut Vec<(String, Vec<u8>)>) -> std::io::Result<()> {
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone()).render(&mut page)?;
    pages.push((command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned(), page));
    for verb in command.get_subcommands().filter(|verb| !verb.is_hide_set()) {
        render(verb, pages)?;
    }
    Ok(())
}
