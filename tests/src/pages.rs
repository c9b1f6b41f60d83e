//! Pages whose commands are executed: their fenced blocks, and a shell as a user has it.

use std::env;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use slhf_toolchain::{Environment, wasm};

use crate::{Lab, lab_binary};

/// A fenced block.
#[derive(Debug)]
pub struct Block {
    /// What stands behind the fence.
    pub info: String,
    /// Its lines.
    pub text: String,
}

/// What the commands of a page may reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// Nothing: cargo takes what lies on this machine.
    Off,
    /// Package registries, by pip and npm as the user set them up.
    Registries,
}

/// The fenced blocks of a page, and what stands outside of them.
///
/// # Panics
/// When a block is not closed.
#[must_use]
pub fn blocks(page: &str) -> (Vec<Block>, String) {
    let (mut blocks, mut prose, mut open) = (Vec::new(), String::new(), None::<Block>);
    for line in page.lines() {
        match (line.strip_prefix("```"), open.take()) {
            (Some(info), None) => open = Some(Block { info: info.to_owned(), text: String::new() }),
            (Some(_), Some(block)) => blocks.push(block),
            (None, Some(mut block)) => {
                block.text.push_str(line);
                block.text.push('\n');
                open = Some(block);
            }
            (None, None) => {
                prose.push_str(line);
                prose.push('\n');
            }
        }
    }
    assert!(open.is_none(), "a block is not closed");
    (blocks, prose)
}

/// A shell that has `slhf-lab` and cargo on its path, as a user's has.
///
/// # Panics
/// Without what `cargo xtask setup` provides.
pub fn shell(lab: &Lab, script: &str, network: Network) -> Command {
    let folder_of = |program: PathBuf| program.parent().map(PathBuf::from).expect("a folder");
    let cargo = PathBuf::from(env::var_os("CARGO").expect("tests are run by cargo"));
    let mut path = vec![folder_of(lab_binary()), folder_of(cargo)];
    path.extend(env::split_paths(&env::var_os("PATH").unwrap_or_default()));
    let home = env::var_os("HOME").map(PathBuf::from).expect("HOME");
    let compiler = wasm::find(&Environment::of_process())
        .expect("looking for a compiler succeeds")
        .expect("a compiler for wasm32-unknown-unknown: run `cargo xtask setup`");
    let mut command = Command::new("sh");
    // What the lab of a test sees, and what cargo needs.
    let clean = lab.command(["--version"]);
    command.env_clear();
    for (name, value) in clean.get_envs() {
        if let Some(value) = value {
            command.env(name, value);
        }
    }
    command
        .args(["-exc", script])
        .current_dir(lab.folder())
        .stdin(Stdio::null())
        .env("PATH", env::join_paths(path).expect("a path"))
        .env("CARGO_HOME", env::var_os("CARGO_HOME").unwrap_or_else(|| home.join(".cargo").into()))
        .env("RUSTUP_HOME", env::var_os("RUSTUP_HOME").unwrap_or_else(|| home.join(".rustup").into()))
        .env("CARGO_NET_OFFLINE", "true")
        .env("CARGO_TERM_QUIET", "true")
        .env(wasm::VARIABLE, compiler.rustc);
    if network == Network::Registries {
        // Where pip and npm find their settings and certificates.
        let is_theirs = |name: &str| {
            let name = name.to_ascii_lowercase();
            ["pip_", "npm_config_", "ssl_", "http_proxy", "https_proxy", "no_proxy", "requests_", "node_extra_"]
                .iter()
                .any(|start| name.starts_with(start))
        };
        command.env("HOME", home).envs(env::vars().filter(|(name, _)| is_theirs(name)));
    }
    command
}
