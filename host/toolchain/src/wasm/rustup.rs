//! The first route: rustup adds the target to the active toolchain, a tenth of what Debian's compiler takes.

use super::compiler::{Source, TARGET, WasmCompiler, active_rustc, has_standard_library, target_library};
use crate::environment::{Task, run};
use crate::{Environment, Say};

/// rustup's own variable; at 0 rustup is to fetch nothing that was not asked for by name.
const AUTO_INSTALL: &str = "RUSTUP_AUTO_INSTALL";

/// Runs `rustup target add`. The error says, as half a sentence, why this route is closed.
pub(super) fn add_target(environment: &Environment, say: Say<'_>) -> Result<WasmCompiler, String> {
    let Some(rustup) = environment.program("rustup") else {
        return Err("there is no rustup".to_owned());
    };
    if environment.get(AUTO_INSTALL).is_some_and(|value| value == "0") {
        return Err(format!("{AUTO_INSTALL}=0 lets rustup fetch nothing"));
    }
    say(&format!(
        "a compiler for {TARGET} guests: `rustup target add {TARGET}` downloads about 25 MB into the active toolchain"
    ));
    let task = Task { doing: "`rustup target add wasm32-unknown-unknown`", mend: "" };
    run(environment.command(rustup).args(["target", "add", TARGET]), task)
        .map_err(|error| error.to_string().trim_end_matches([':', ';', ' ']).to_owned())?;
    active_rustc(environment)
        .filter(|rustc| target_library(environment, rustc).is_ok_and(|folder| has_standard_library(&folder)))
        .map(|rustc| WasmCompiler { rustc, source: Source::ActiveToolchain })
        .ok_or_else(|| "rustup added the target, but the rustc on PATH is not rustup's".to_owned())
}
