//! The route for machines without Debian's packages: rustup adds the target to the active toolchain.

use super::{Source, TARGET, VARIABLE, WasmCompiler, active_rustc, has_standard_library, target_library};
use crate::environment::{Task, run};
use crate::{Environment, Error, Say};

/// Runs `rustup target add`. `closed` says why the other route is not open.
pub(super) fn add_target(environment: &Environment, closed: &str, say: Say<'_>) -> Result<WasmCompiler, Error> {
    let mend = format!("run `rustup target add {TARGET}`, or set {VARIABLE} to a rustc that has it");
    let Some(rustup) = environment.program("rustup") else {
        return Err(Error::NoWasmCompiler { reason: format!("{closed}, and there is no rustup"), mend });
    };
    say(&format!(
        "a compiler for {TARGET} guests: `rustup target add {TARGET}` downloads about 25 MB into the active toolchain"
    ));
    let task = Task {
        doing: "`rustup target add wasm32-unknown-unknown`",
        mend: "check the network, or set SLHF_LAB_WASM_RUSTC to a rustc that has the target",
    };
    run(environment.command(rustup).args(["target", "add", TARGET]), task)?;
    active_rustc(environment)
        .filter(|rustc| target_library(environment, rustc).is_ok_and(|folder| has_standard_library(&folder)))
        .map(|rustc| WasmCompiler { rustc, source: Source::ActiveToolchain })
        .ok_or_else(|| Error::NoWasmCompiler {
            reason: "rustup added the target, but the rustc on PATH is not rustup's".to_owned(),
            mend: format!("set {VARIABLE} to a rustc that has it"),
        })
}
