//! A checkpoint of another record, copied so that it holds the same states under the numbers that its runs have here.
//!
//! Run numbers stand in the header and, in the body, before each state: postcard's list of (run, state), in which a number is a
//! variable-length integer and a state a length with its bytes. The states themselves are copied as they are.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::Path;

use slhf_files::Digest;
use slhf_plan::{CheckpointHeader, CheckpointStart};

use crate::stored_copy::{Failed, discard};
use crate::stored_file::{self, Expected, Unusable};

/// Copies a checkpoint that is what its row says. Returns size and hash of the copy.
pub(crate) fn renumber(
    from: &Path,
    to: &Path,
    expected: &Expected,
    number: &dyn Fn(i64) -> i64,
) -> Result<Digest, Failed> {
    let start = stored_file::verify(from, expected)?;
    let (header, body) = CheckpointStart::read(&start).map_err(Unusable::Header)?;
    let skipped = start.len() - body.len();
    let header = match header {
        CheckpointStart::Unnamed => start[..skipped].to_vec(),
        CheckpointStart::Named(header) => {
            let runs = header.runs.iter().map(|run| number(*run)).collect();
            let renumbered = CheckpointHeader { runs, ..header };
            renumbered.to_bytes().map_err(|error| Unusable::Header(error.to_string()))?
        }
    };
    if let Some(folder) = to.parent() {
        std::fs::create_dir_all(folder).map_err(Failed::Target)?;
    }
    let mut source = BufReader::new(stored_file::open(from, expected.size_bytes)?);
    io::copy(&mut source.by_ref().take(skipped as u64), &mut io::sink()).map_err(Unusable::from)?;
    let target = File::create_new(to).map_err(Failed::Target)?;
    let written = write(source, target, &header, number).and_then(|()| {
        let length = std::fs::symlink_metadata(to).map_err(Failed::Target)?.len();
        slhf_files::digest(stored_file::open(to, length)?).map_err(Failed::Target)
    });
    if written.is_err() {
        discard(to);
    }
    written
}

fn write(mut source: BufReader<File>, target: File, header: &[u8], number: &dyn Fn(i64) -> i64) -> Result<(), Failed> {
    let mut out = BufWriter::new(target);
    out.write_all(header).map_err(Failed::Target)?;
    let states = unsigned(&mut source)?;
    put(&mut out, states)?;
    for _ in 0..states {
        let run = unzigzag(unsigned(&mut source)?);
        put(&mut out, zigzag(number(run)))?;
        let length = unsigned(&mut source)?;
        put(&mut out, length)?;
        let copied = io::copy(&mut source.by_ref().take(length), &mut out).map_err(Failed::Target)?;
        if copied != length {
            return Err(cut_short());
        }
    }
    let file = out.into_inner().map_err(|error| Failed::Target(error.into_error()))?;
    file.sync_all().map_err(Failed::Target)
}

fn cut_short() -> Failed {
    Failed::Source(Unusable::Header("is cut short in the states of its runs".to_owned()))
}

fn put(out: &mut impl Write, mut value: u64) -> Result<(), Failed> {
    let mut bytes = Vec::with_capacity(10);
    loop {
        let low = (value & 0x7f) as u8;
        value >>= 7;
        bytes.push(if value == 0 { low } else { low | 0x80 });
        if value == 0 {
            return out.write_all(&bytes).map_err(Failed::Target);
        }
    }
}

fn unsigned(source: &mut impl Read) -> Result<u64, Failed> {
    let mut value = 0_u64;
    for place in 0..10 {
        let mut byte = [0_u8];
        source.read_exact(&mut byte).map_err(|_| cut_short())?;
        value |= u64::from(byte[0] & 0x7f) << (7 * place);
        if byte[0] & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(cut_short())
}

const fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

const fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -((value & 1).cast_signed())
}

#[cfg(test)]
mod tests {
    use slhf_plan::CheckpointKind;

    use super::*;

    /// As postcard writes a list of (i64, bytes).
    fn file(runs: &[(i64, &[u8])]) -> Vec<u8> {
        let numbers = runs.iter().map(|(run, _)| *run).collect();
        let mut bytes = CheckpointHeader::new(CheckpointKind::GameRuns, numbers, 7).to_bytes().unwrap();
        put(&mut bytes, runs.len() as u64).unwrap();
        for (run, state) in runs {
            put(&mut bytes, zigzag(*run)).unwrap();
            put(&mut bytes, state.len() as u64).unwrap();
            bytes.extend_from_slice(state);
        }
        bytes
    }

    fn expected(bytes: &[u8]) -> Expected {
        Expected { sha256: slhf_files::sha256_hex(bytes), size_bytes: bytes.len() as u64 }
    }

    #[test]
    fn a_checkpoint_holds_the_same_states_under_other_numbers() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("group-9/to"));
        let large = vec![200_u8; 70_000];
        let bytes = file(&[(3, &[1, 2, 3]), (4, &[]), (-5, &large)]);
        std::fs::write(&from, &bytes).unwrap();
        let digest = renumber(&from, &to, &expected(&bytes), &|run| run + 1_000_000).unwrap();
        let found = std::fs::read(&to).unwrap();
        assert_eq!(found, file(&[(1_000_003, &[1, 2, 3]), (1_000_004, &[]), (999_995, &large)]));
        assert_eq!((digest.size_bytes, digest.sha256), (found.len() as u64, slhf_files::sha256_hex(&found)));
        let again = renumber(&from, &to, &expected(&bytes), &|run| run);
        assert!(matches!(again, Err(Failed::Target(_))), "{again:?}");
        assert_eq!(std::fs::read(&to).unwrap(), found, "nothing is written over");
    }

    #[test]
    fn a_file_that_is_cut_short_leaves_no_copy() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        let whole = file(&[(3, &[1, 2, 3])]);
        for bytes in [&whole[..whole.len() - 1], &whole[..whole.len() - 4]] {
            std::fs::write(&from, bytes).unwrap();
            let failed = renumber(&from, &to, &expected(bytes), &|run| run);
            assert!(matches!(&failed, Err(Failed::Source(Unusable::Header(_)))), "{failed:?}");
            assert!(!to.exists());
        }
        std::fs::write(&from, "something else").unwrap();
        assert!(matches!(renumber(&from, &to, &expected(&whole), &|run| run), Err(Failed::Source(_))));
    }

    #[test]
    fn integers_are_postcards() {
        let check = |value: i64, bytes: &[u8]| {
            let mut found = Vec::new();
            put(&mut found, zigzag(value)).unwrap();
            assert_eq!(found, bytes, "{value}");
            assert_eq!(unzigzag(unsigned(&mut &found[..]).unwrap()), value);
        };
        check(0, &[0]);
        check(-1, &[1]);
        check(1, &[2]);
        check(64, &[0x80, 1]);
        check(i64::MIN, &[0xff; 9].into_iter().chain([1]).collect::<Vec<u8>>());
        check(i64::MAX, &[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]);
    }
}
