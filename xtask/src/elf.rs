//! Reads which shared libraries a program asks for when it starts. Written here because `readelf` may be
//! missing, and a check that is skipped is no check.

/// Sizes and tags of 64-bit little-endian ELF (the only kind this project is built for on Linux).
const PROGRAM_HEADER_BYTES: usize = 56;
const SEGMENT_LOAD: u32 = 1;
const SEGMENT_DYNAMIC: u32 = 2;
const TAG_NEEDED: u64 = 1;
const TAG_STRING_TABLE: u64 = 5;

/// A loaded range of the file.
struct Segment {
    offset: u64,
    address: u64,
    bytes: u64,
}

/// The names in the NEEDED entries, in the file's order; an error says what is wrong with the file.
pub(crate) fn needed_libraries(file: &[u8]) -> Result<Vec<String>, &'static str> {
    const CUT: &str = "it is cut short";
    if file.get(..6) != Some(b"\x7fELF\x02\x01") {
        return Err("it is no 64-bit little-endian ELF program");
    }
    let table = word(file, 32).ok_or(CUT)?;
    let count = u64::from(half(file, 56).ok_or(CUT)?);
    let mut loaded = Vec::new();
    let mut dynamic = None;
    for index in 0..count {
        let header = usize::try_from(table)
            .ok()
            .and_then(|table| table.checked_add(usize::try_from(index).ok()? * PROGRAM_HEADER_BYTES));
        let header = header.ok_or(CUT)?;
        let kind = quarter(file, header).ok_or(CUT)?;
        let segment = Segment {
            offset: word(file, header + 8).ok_or(CUT)?,
            address: word(file, header + 16).ok_or(CUT)?,
            bytes: word(file, header + 32).ok_or(CUT)?,
        };
        match kind {
            SEGMENT_LOAD => loaded.push(segment),
            SEGMENT_DYNAMIC => dynamic = Some(segment),
            _ => {}
        }
    }
    let Some(dynamic) = dynamic else { return Ok(Vec::new()) };
    let entries = entries(file, &dynamic).ok_or(CUT)?;
    let strings = entries.iter().find(|(tag, _)| *tag == TAG_STRING_TABLE).ok_or("it has no string table")?.1;
    let strings = offset_of(strings, &loaded).ok_or("its string table is in no segment")?;
    let needed = entries.iter().filter(|(tag, _)| *tag == TAG_NEEDED);
    needed.map(|(_, name)| text(file, strings.checked_add(*name)?).map(str::to_owned)).collect::<Option<_>>().ok_or(CUT)
}

/// The (tag, value) pairs of the dynamic section, up to its end mark.
fn entries(file: &[u8], dynamic: &Segment) -> Option<Vec<(u64, u64)>> {
    let start = usize::try_from(dynamic.offset).ok()?;
    let mut pairs = Vec::new();
    for index in 0..usize::try_from(dynamic.bytes / 16).ok()? {
        let at = start.checked_add(index * 16)?;
        let pair = (word(file, at)?, word(file, at + 8)?);
        if pair.0 == 0 {
            break;
        }
        pairs.push(pair);
    }
    Some(pairs)
}

/// Where in the file a memory address is loaded from.
fn offset_of(address: u64, loaded: &[Segment]) -> Option<u64> {
    loaded.iter().find_map(|segment| {
        let within = address.checked_sub(segment.address)?;
        (within < segment.bytes).then(|| segment.offset.checked_add(within))?
    })
}

fn text(file: &[u8], at: u64) -> Option<&str> {
    let rest = file.get(usize::try_from(at).ok()?..)?;
    let end = rest.iter().position(|byte| *byte == 0)?;
    std::str::from_utf8(&rest[..end]).ok()
}

fn bytes<const N: usize>(file: &[u8], at: usize) -> Option<[u8; N]> {
    file.get(at..at.checked_add(N)?)?.try_into().ok()
}

fn half(file: &[u8], at: usize) -> Option<u16> {
    bytes(file, at).map(u16::from_le_bytes)
}

fn quarter(file: &[u8], at: usize) -> Option<u32> {
    bytes(file, at).map(u32::from_le_bytes)
}

fn word(file: &[u8], at: usize) -> Option<u64> {
    bytes(file, at).map(u64::from_le_bytes)
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
    fn what_is_no_program_is_refused_and_never_a_panic() {
        let program = std::fs::read(std::env::current_exe().expect("known")).expect("readable");
        assert_eq!(needed_libraries(b"#!/bin/sh"), Err("it is no 64-bit little-endian ELF program"));
        assert_eq!(needed_libraries(&program[..40]), Err("it is cut short"));
        // Any length of a cut file ends in an answer.
        for length in (0..program.len().min(8192)).step_by(37) {
            let _ = needed_libraries(&program[..length]);
        }
        // So does a file whose numbers are all at their largest.
        let mut absurd = program[..4096].to_vec();
        absurd[32..40].fill(0xff);
        assert_eq!(needed_libraries(&absurd), Err("it is cut short"));
    }
}
