//! Contexts that are read in blocks: the same numbers as a pass of the whole, and the same bits whatever was read before.

use slhf_policy::{BLOCK_TOKENS, Engine, Player, ReadBlocks, ReadCounts};

use super::support::{FAMILIES, engine, settings};

/// Room for all that a test reads.
const ENOUGH: u64 = 1 << 26;

fn context(length: usize, from: u32) -> Vec<u32> {
    (0..length as u32).map(|at| 3 + (from + at * 29) % 290).collect()
}

fn scores(engine: &mut Engine, blocks: &mut ReadBlocks, context: &[u32]) -> (Vec<Vec<f64>>, ReadCounts) {
    let continuations: [&[u32]; 4] = [&[7], &[8], &[9, 10, 11], &[7, 12]];
    engine.continuations(blocks, context, &continuations).expect("scores")
}

fn bits(scores: &[Vec<f64>]) -> Vec<Vec<u64>> {
    scores.iter().map(|tokens| tokens.iter().map(|value| value.to_bits()).collect()).collect()
}

#[test]
fn they_are_those_of_a_pass_of_the_whole() {
    for family in FAMILIES {
        let mut engine = engine(family, settings(None, &[]));
        let most = engine.config().positions_max().min(2 * BLOCK_TOKENS + 9) - 3;
        for length in
            [1, 2, BLOCK_TOKENS - 1, BLOCK_TOKENS, BLOCK_TOKENS + 1, most].into_iter().filter(|&length| length <= most)
        {
            let context = context(length, 5);
            let (found, counts) = scores(&mut engine, &mut ReadBlocks::new(0), &context);
            assert_eq!((counts.read, counts.reused), (length as u64 + 3, 0), "{family} {length}");
            for (tokens, found) in [&[7_u32][..], &[8], &[9, 10, 11], &[7, 12]].into_iter().zip(&found) {
                let whole = engine.log_probabilities(Player::Reference, &[(&context, tokens)]).expect("scores");
                assert_eq!(found.len(), whole[0].len());
                for (found, whole) in found.iter().zip(&whole[0]) {
                    assert!((found - whole).abs() < 1e-5, "{family} {length}: {found} {whole}");
                }
            }
        }
    }
}

#[test]
fn what_was_read_before_changes_no_bit_and_is_not_read_again() {
    for family in FAMILIES {
        let mut engine = engine(family, settings(None, &[]));
        let length = engine.config().positions_max().min(2 * BLOCK_TOKENS + 9) - 3;
        let whole = (length / BLOCK_TOKENS * BLOCK_TOKENS) as u64;
        let asked = context(length, 5);
        let (cold, first) = scores(&mut engine, &mut ReadBlocks::new(0), &asked);
        assert_eq!(first.reused, 0);
        // Others that have its beginning, or nothing of it, came before.
        let mut blocks = ReadBlocks::new(ENOUGH);
        let mut other = asked.clone();
        other[BLOCK_TOKENS] = 4;
        for before in [context(length, 6), other, asked[..BLOCK_TOKENS].to_vec()] {
            let _ = scores(&mut engine, &mut blocks, &before);
        }
        let (partly, second) = scores(&mut engine, &mut blocks, &asked);
        assert_eq!(second.reused, BLOCK_TOKENS as u64, "{family}");
        let (warm, third) = scores(&mut engine, &mut blocks, &asked);
        assert_eq!((third.reused, third.read), (whole, length as u64 - whole + 3), "{family}");
        assert_eq!(bits(&cold), bits(&partly), "{family}");
        assert_eq!(bits(&cold), bits(&warm), "{family}");
        // One continuation alone is what it is among others.
        let alone = engine.continuations(&mut blocks, &asked, &[&[9, 10, 11]]).expect("scores").0;
        assert_eq!(bits(&alone), bits(&cold[2..3]), "{family}");
    }
}

#[test]
fn the_memory_has_a_bound_and_the_least_used_goes_first() {
    let mut engine = engine("llama-tied", settings(None, &[]));
    let mut blocks = ReadBlocks::new(ENOUGH);
    let [one, other] = [5, 6].map(|from| context(BLOCK_TOKENS, from));
    let _ = scores(&mut engine, &mut blocks, &one);
    let of_a_block = blocks.bytes();
    assert!(of_a_block > 0);
    let mut blocks = ReadBlocks::new(2 * of_a_block);
    for context in [&one, &other, &one] {
        let _ = scores(&mut engine, &mut blocks, context);
    }
    let _ = scores(&mut engine, &mut blocks, &context(BLOCK_TOKENS, 7));
    assert_eq!(blocks.bytes(), 2 * of_a_block);
    assert_eq!(scores(&mut engine, &mut blocks, &one).1.reused, BLOCK_TOKENS as u64);
    assert_eq!(scores(&mut engine, &mut blocks, &other).1.reused, 0);
}

#[test]
fn what_cannot_be_read_is_refused() {
    let mut engine = engine("llama-tied", settings(None, &[]));
    let mut blocks = ReadBlocks::new(ENOUGH);
    let mut refused = |context: &[u32], continuation: &[u32]| {
        engine.continuations(&mut blocks, context, &[continuation]).expect_err("refused").to_string()
    };
    assert!(refused(&[], &[3]).contains("a context has no tokens"));
    assert!(refused(&[3], &[]).contains("continuation 0 has no tokens"));
    assert!(refused(&[1 << 20], &[3]).contains("vocabulary"));
    let most = 4_096;
    assert!(refused(&vec![3; most], &[3]).contains("positions"));
}
