//! Sampling with a cache.

use slhf_plan::{ModelPrecision, Sampling};
use slhf_policy::{Agent, Engine, EngineSettings, Generated, Player, ReferenceShare};
use slhf_torch_shim::time_operators;

use crate::support::{FAMILIES, contexts, engine, lora, row, said, sampling, settings, trained};

/// The likeliest next token, by reading everything anew.
fn likeliest(engine: &mut Engine, context: &[u32]) -> u32 {
    let vocabulary = engine.config().vocabulary_size as u32;
    let candidates: Vec<[u32; 1]> = (0..vocabulary).map(|token| [token]).collect();
    let answers: Vec<(&[u32], &[u32])> = candidates.iter().map(|token| (context, token.as_slice())).collect();
    let found = engine.log_probabilities(Player::Leader, &answers).unwrap();
    (0..vocabulary).max_by(|a, b| found[*a as usize][0].total_cmp(&found[*b as usize][0])).unwrap()
}

#[test]
fn a_cached_step_gives_what_reading_everything_anew_gives() {
    for name in FAMILIES {
        let mut engine = trained(name, settings(Some(lora(0.0)), &[Agent::Shared]));
        let contexts = contexts();
        let rows: Vec<_> = contexts.iter().map(|context| row(0, context)).collect();
        let greedy = Sampling { max_new_tokens: 4, ..sampling(0.0) };
        let (answers, _) = engine.generate(Player::Leader, &rows, 1, &greedy).unwrap();
        for (context, answer) in contexts.iter().zip(answers) {
            let mut text = context.clone();
            for token in answer.tokens {
                assert_eq!(token, likeliest(&mut engine, &text), "{name}, after {} tokens", text.len());
                text.push(token);
            }
        }
    }
}

/// On a GPU each of these operators would make this process wait for the device. Tokens are read by a copy, which is none of them.
#[test]
fn a_step_waits_for_nothing_but_its_tokens() {
    const WAITS: [&str; 4] = ["aten::_local_scalar_dense", "aten::item", "aten::is_nonzero", "aten::nonzero"];
    for name in FAMILIES {
        // On a CPU bf16 takes the operators that a GPU takes.
        let in_bf16 = EngineSettings { precision: ModelPrecision::Bf16, ..settings(Some(lora(0.0)), &[Agent::Shared]) };
        let mut engine = trained(name, in_bf16);
        engine.set_end_tokens(vec![]);
        let contexts = contexts();
        let rows: Vec<_> = contexts.iter().map(|context| row(0, context)).collect();
        let mut waits = |new: u32| {
            engine.forget();
            let asked = Sampling { max_new_tokens: new, ..sampling(1.0) };
            let (answers, times) =
                time_operators(|| engine.generate(Player::Leader, &rows, 1, &asked)).expect("operators are timed");
            assert!(answers.unwrap().0.iter().all(|answer| answer.tokens.len() == new as usize), "{name}");
            assert!(times.iter().any(|time| time.name == "aten::searchsorted"), "{name}: {times:?}");
            let waiting = times.iter().filter(|time| WAITS.contains(&time.name.as_str()));
            waiting.map(|time| time.calls).sum::<u64>()
        };
        assert_eq!(waits(2), waits(6), "{name}");
    }
}

/// Contexts of one token, and caches that lack one: the new tokens are as many as in a step of sampling.
#[test]
fn one_new_token_a_row_is_read_as_several_are() {
    for name in FAMILIES {
        let mut engine = trained(name, settings(Some(lora(0.0)), &[Agent::Shared]));
        let greedy = Sampling { max_new_tokens: 3, ..sampling(0.0) };
        let mut texts = [vec![7], vec![9]];
        for call in 0..2 {
            let rows: Vec<_> = texts.iter().map(|context| row(0, context)).collect();
            let (answers, counts) = engine.generate(Player::Leader, &rows, 1, &greedy).unwrap();
            assert_eq!(counts.prefilled, 2, "{name}: the call reads one token a row");
            assert_eq!(counts.reused > 0, call == 1, "{name}");
            let mut ended = false;
            for (text, answer) in texts.iter_mut().zip(answers) {
                ended |= answer.finished;
                for token in answer.tokens {
                    assert_eq!(token, likeliest(&mut engine, text), "{name}, call {call}, after {} tokens", text.len());
                    text.push(token);
                }
            }
            if ended {
                break;
            }
        }
    }
}

#[test]
fn a_row_is_answered_alike_alone_and_among_others() {
    for name in FAMILIES {
        let mut engine = trained(name, settings(Some(lora(0.0)), &[Agent::Shared]));
        let rows: Vec<_> = contexts().iter().enumerate().map(|(i, context)| row(i as u32, context)).collect();
        let (together, _) = engine.generate(Player::Leader, &rows, 11, &sampling(1.0)).unwrap();
        for (index, expected) in together.iter().enumerate() {
            engine.forget();
            let (alone, _) = engine.generate(Player::Leader, &rows[index..=index], 11, &sampling(1.0)).unwrap();
            assert_eq!(said(&alone), said(std::slice::from_ref(expected)), "{name}, row {index}");
        }
    }
}

/// Another model whose end tokens are those that it samples often.
fn ending(engine: &mut Engine) -> Vec<Generated> {
    let rows: Vec<_> = contexts().iter().enumerate().map(|(i, context)| row(i as u32, context)).collect();
    engine.generate(Player::Leader, &rows, 11, &sampling(1.0)).unwrap().0
}

#[test]
fn rows_that_end_leave_the_batch_and_change_nothing_for_the_others() {
    let free = ending(&mut engine("qwen2", settings(None, &[])));
    // Each of these tokens ends one row somewhere on its way.
    let ends: Vec<u32> = free.iter().enumerate().map(|(index, answer)| answer.tokens[1 + 2 * index]).collect();
    let mut engine = engine("qwen2", settings(None, &[]));
    engine.set_end_tokens(ends.clone());
    for (cut, whole) in ending(&mut engine).iter().zip(free) {
        let end = whole.tokens.iter().position(|token| ends.contains(token)).unwrap();
        assert_eq!(cut.tokens, whole.tokens[..=end]);
        assert!(cut.finished);
    }
}

#[test]
fn an_end_token_in_the_prompt_ends_no_answer() {
    let mut engine = engine("llama-tied", settings(None, &[]));
    let context = [9, 8, 7, 6];
    let (free, _) = engine.generate(Player::Leader, &[row(0, &context)], 1, &sampling(1.0)).unwrap();
    let unused = (0..4).map(|at| context[at]).filter(|token| !free[0].tokens.contains(token)).collect::<Vec<_>>();
    assert!(!unused.is_empty());
    engine.set_end_tokens(unused);
    engine.forget();
    let (answers, _) = engine.generate(Player::Leader, &[row(0, &context)], 1, &sampling(1.0)).unwrap();
    assert_eq!(said(&answers), said(&free));
    assert!(!answers[0].finished);
}

#[test]
fn the_follower_goes_on_from_the_leaders_cache() {
    for (name, agents, reuses) in [
        ("llama-tied", vec![Agent::Shared], true),
        ("qwen3", vec![Agent::Shared], true),
        ("gemma3", vec![Agent::Shared], true),
        ("qwen2", vec![Agent::Leader, Agent::Follower], false),
    ] {
        let mut engine = trained(name, settings(Some(lora(0.0)), &agents));
        let firsts: Vec<_> = contexts().iter().enumerate().map(|(i, context)| row(i as u32, context)).collect();
        let (answers, counts) = engine.generate(Player::Leader, &firsts, 11, &sampling(1.0)).unwrap();
        assert_eq!((counts.prefilled, counts.reused), (3 + 7 + 11 + 15, 0));
        // In another order, and the instruction has another length in each row.
        let instruction = [40, 41, 42, 43, 44, 45];
        let seconds: Vec<_> = [2, 0, 3, 1]
            .map(|index: usize| {
                let context = [&firsts[index].context, &answers[index].tokens, &instruction[..index + 3]].concat();
                row(100 + index as u32, &context)
            })
            .to_vec();
        let (continued, counts) = engine.generate(Player::Follower, &seconds, 12, &sampling(1.0)).unwrap();
        engine.forget();
        let (fresh, fresh_counts) = engine.generate(Player::Follower, &seconds, 12, &sampling(1.0)).unwrap();
        assert_eq!(said(&continued), said(&fresh), "{name}");
        let all: u64 = seconds.iter().map(|row| row.context.len() as u64).sum();
        assert_eq!((fresh_counts.prefilled, fresh_counts.reused), (all, 0));
        assert_eq!(counts.prefilled + counts.reused, all);
        // The instruction and the last token of each answer, which was sampled but never read.
        let new: u64 = (0..4).map(|index| index + 3 + 1).sum();
        assert_eq!(counts.prefilled, if reuses { new } else { all }, "{name}");
    }
}

#[test]
fn nothing_is_reused_once_the_weights_have_changed() {
    let mut engine = trained("llama-tied", settings(Some(lora(0.0)), &[Agent::Shared]));
    let (answers, _) = engine.generate(Player::Leader, &[row(0, &[5, 6, 7])], 1, &sampling(1.0)).unwrap();
    let next = [vec![5, 6, 7], answers[0].tokens.clone(), vec![9]].concat();
    let before = engine.version();
    for parameter in engine.parameters_mut().unwrap() {
        let doubled = parameter.tensor.detach() * 2.0;
        parameter.assign(&doubled).unwrap();
    }
    engine.parameters_changed();
    assert_eq!(engine.version(), before + 1);
    let (_, counts) = engine.generate(Player::Leader, &[row(0, &next)], 1, &sampling(1.0)).unwrap();
    assert_eq!((counts.prefilled, counts.reused), (next.len() as u64, 0));
    let (_, counts) = engine.generate(Player::Reference, &[row(0, &next)], 1, &sampling(1.0)).unwrap();
    assert_eq!(counts.reused, 0, "the reference has other weights");
}

#[test]
fn samples_of_one_prompt_read_it_once() {
    let mut engine = engine("qwen3", settings(None, &[]));
    let rows: Vec<_> = [[5, 6, 7], [8, 9, 10], [5, 6, 7]]
        .iter()
        .enumerate()
        .map(|(index, context)| row(index as u32, context))
        .collect();
    let (answers, counts) = engine.generate(Player::Leader, &rows, 3, &sampling(1.0)).unwrap();
    assert_eq!(counts.prefilled, 6);
    assert_ne!(answers[0], answers[2], "their streams differ");
    engine.forget();
    let (alone, _) = engine.generate(Player::Leader, &rows[2..], 3, &sampling(1.0)).unwrap();
    assert_eq!(said(&alone), said(&answers[2..3]));
}

/// The likeliest next token of a mixture, by reading everything anew.
fn likeliest_of_mixture(engine: &mut Engine, share: f64, context: &[u32]) -> u32 {
    let vocabulary = engine.config().vocabulary_size as u32;
    let candidates: Vec<[u32; 1]> = (0..vocabulary).map(|token| [token]).collect();
    let answers: Vec<(&[u32], &[u32])> = candidates.iter().map(|token| (context, token.as_slice())).collect();
    let own = engine.log_probabilities(Player::Leader, &answers).unwrap();
    let reference = engine.log_probabilities(Player::Reference, &answers).unwrap();
    let mixed = |token: u32| (1.0 - share) * own[token as usize][0] + share * reference[token as usize][0];
    (0..vocabulary).max_by(|a, b| mixed(*a).total_cmp(&mixed(*b))).unwrap()
}

#[test]
fn a_mixture_is_the_weighted_sum_of_both_logits_at_every_token() {
    for name in FAMILIES {
        let mut engine = trained(name, settings(Some(lora(0.0)), &[Agent::Shared]));
        let rows: Vec<_> = contexts().iter().map(|context| row(0, context)).collect();
        let greedy = Sampling { max_new_tokens: 4, ..sampling(0.0) };
        let share = ReferenceShare::new(0.3).unwrap();
        let (answers, counts) = engine
            .generate_mixture((Player::Leader, share), &rows, &Engine::mixture_layout(&rows), (1, &greedy))
            .unwrap();
        // Each model reads each context once, and then one token a step: nothing is read again.
        let read_once: usize = contexts().iter().map(Vec::len).sum();
        assert_eq!((counts.prefilled, counts.steps, counts.sampled), (2 * read_once as u64, 3, 16), "{name}");
        for (mut text, answer) in contexts().into_iter().zip(answers) {
            for token in answer.tokens {
                assert_eq!(token, likeliest_of_mixture(&mut engine, 0.3, &text), "{name}, after {}", text.len());
                text.push(token);
            }
        }
    }
}

#[test]
fn a_mixture_without_a_reference_is_the_policy_and_of_nothing_else_the_reference() {
    // Rows that end leave the batch: both caches must drop the same ones.
    let mut engine = trained("qwen2", settings(Some(lora(0.0)), &[Agent::Shared]));
    let rows: Vec<_> = contexts().iter().enumerate().map(|(i, context)| row(i as u32, context)).collect();
    let free = engine.generate(Player::Leader, &rows, 11, &sampling(1.0)).unwrap().0;
    engine.set_end_tokens(free.iter().enumerate().map(|(index, answer)| answer.tokens[1 + 2 * index]).collect());
    for (share, player) in [(0.0, Player::Leader), (1.0, Player::Reference)] {
        let expected = engine.generate(player, &rows, 11, &sampling(1.0)).unwrap().0;
        let share = ReferenceShare::new(share).unwrap();
        let (found, _) = engine
            .generate_mixture((Player::Leader, share), &rows, &Engine::mixture_layout(&rows), (11, &sampling(1.0)))
            .unwrap();
        assert_eq!(said(&found), said(&expected), "{player:?}");
    }
    let both = engine.generate(Player::Leader, &rows, 11, &sampling(1.0)).unwrap().0;
    assert_ne!(both, engine.generate(Player::Reference, &rows, 11, &sampling(1.0)).unwrap().0);
}

#[test]
fn a_share_lies_between_nothing_and_all() {
    for share in [-0.1, 1.1, f64::NAN] {
        assert_eq!(ReferenceShare::new(share), None);
    }
}
