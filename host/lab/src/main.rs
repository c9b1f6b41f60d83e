//! The program `slhf-lab`: the library beside it, and nothing else.

use std::process::ExitCode;

fn main() -> ExitCode {
    slhf_lab::main()
}
