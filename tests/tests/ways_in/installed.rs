//! What `cargo xtask install` places finds each other, wherever it lies.

use std::fs;
use std::process::Command;

use slhf_tests::{Lab, install_program, lab_binary, plugins_folder, worker_binary};

#[test]
fn an_installed_lab_finds_its_worker_and_its_plugins() {
    let lab = Lab::new();
    let program = lab.path("root/bin/slhf-lab");
    install_program(&lab_binary(), &program);
    install_program(&worker_binary(), &lab.path("root/bin/slhf-lab-worker"));
    let plugin = fs::read(plugins_folder().join("table.wasm")).expect("a plugin");
    lab.write("root/share/slhf-lab/plugins/table.wasm", plugin);
    // A matrix that is written out is judged by this plugin. The environment is that of the tests' lab: none of it says where anything is.
    let run = |arguments: &[&str]| {
        let mut command = Command::new(&program);
        command.args(arguments).current_dir(lab.folder()).env_clear();
        for (name, value) in lab.command(["--version"]).get_envs() {
            if let Some(value) = value {
                command.env(name, value);
            }
        }
        lab.outcome(&mut command)
    };
    let plugins = run(&["plugin", "list", "--format", "json"]).success();
    assert!(plugins.contains("table") && !plugins.contains("brevity"), "{plugins}");
    let _ = run(&["new", "--kind", "game"]).success();
    let _ = run(&["run", "game.toml"]).success();
}
