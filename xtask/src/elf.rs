//! Reads which shared libraries a program asks for when it starts. Read here because `readelf` may be missing, and a check
//! that is skipped is no check.

use object::Endianness;
use object::elf::{DT_NEEDED, FileHeader64};
use object::read::elf::FileHeader as _;

/// The names in the NEEDED entries, in the file's order; an error says what is wrong with the file.
pub(crate) fn needed_libraries(file: &[u8]) -> object::Result<Vec<String>> {
    let header = FileHeader64::<Endianness>::parse(file)?;
    let endian = header.endian()?;
    let table = header.sections(endian, file)?.dynamic_table(endian, file)?;
    let needed = table.iter().filter(|entry| entry.tag == DT_NEEDED);
    needed.map(|entry| table.string(entry).map(|name| String::from_utf8_lossy(name).into_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_very_program_needs_the_c_library_and_no_torch() {
        let program = std::env::current_exe().expect("known");
        let needed = needed_libraries(&std::fs::read(program).expect("readable")).expect("an ELF program");
        assert!(needed.iter().any(|library| library == "libc.so.6"), "{needed:?}");
        assert!(!needed.iter().any(|library| library.contains("torch")), "{needed:?}");
    }

    #[test]
    fn what_is_no_program_is_an_error() {
        let program = std::fs::read(std::env::current_exe().expect("known")).expect("readable");
        for file in [&b"#!/bin/sh"[..], &program[..40], &program[..4096]] {
            needed_libraries(file).expect_err("no whole program");
        }
    }
}
