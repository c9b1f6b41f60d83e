//! Parts of a batch that are computed apart, as several processes do it: the bits of the whole.

use slhf_plan::Sampling;
use slhf_policy::{Agent, Engine, GenerateLayout, GenerateRow, Generated, PassSettings, Player, ReferenceShare};
use tch::Tensor;

use crate::support::{FAMILIES, contexts, lora, packed, pairs, pass_settings, row, sampling, settings, weigh};

const PARTS: [std::ops::Range<usize>; 3] = [0..1, 1..3, 3..4];

fn engine(name: &str) -> Engine {
    packed(name, settings(Some(lora(0.0)), &[Agent::Shared]))
}

fn rows(texts: &[Vec<u32>]) -> Vec<GenerateRow> {
    (0..).zip(texts).map(|(prompt, text)| row(prompt, text)).collect()
}

/// What a Follower reads: the text, what was answered, and a turn whose length is the row's own.
fn continued(texts: &[Vec<u32>], answers: &[Generated]) -> Vec<Vec<u32>> {
    let turn = |index: usize| (0..=2 - index % 3).map(move |at| 40 + (index + at) as u32);
    let whole = |(index, (text, answer)): (usize, (&Vec<u32>, &Generated))| {
        text.iter().copied().chain(answer.tokens.iter().copied()).chain(turn(index)).collect()
    };
    texts.iter().zip(answers).enumerate().map(whole).collect()
}

/// By layouts of their own the parts have other bits in most families: the tokens after a text lie elsewhere.
#[test]
fn rows_sampled_apart_by_one_layout_have_the_bits_of_the_whole() {
    let mut differ_by_own_layouts = 0;
    for name in FAMILIES {
        let mut whole = engine(name);
        let mut apart: Vec<Engine> = PARTS.iter().map(|_| engine(name)).collect();
        let mut texts = contexts();
        // Answers of different lengths, so that caches end at different places.
        let asked = Sampling { max_new_tokens: 6, ..sampling(1.0) };
        for call in 0..3 {
            let rows = rows(&texts);
            let (expected, counts) = whole.generate(Player::Leader, &rows, 9, &asked).unwrap();
            assert_eq!(counts.reused > 0, call > 0, "{name}: the cache is continued");
            let parts = || PARTS.iter().map(|part| &rows[part.clone()]);
            let layouts = apart.iter().zip(parts()).map(|(engine, rows)| engine.layout(Player::Leader, rows));
            let layout = layouts.fold(GenerateLayout::NONE, |all, one| all.with(&one));
            let mut found = Vec::new();
            for (engine, rows) in apart.iter_mut().zip(parts()) {
                found.extend(engine.generate_within(Player::Leader, rows, &layout, (9, &asked)).unwrap().0);
            }
            assert_eq!(found, expected, "{name}, call {call}");
            let mut alone = engine(name);
            differ_by_own_layouts += usize::from(
                alone.generate(Player::Leader, &rows[PARTS[0].clone()], 9, &asked).unwrap().0[..]
                    != expected[PARTS[0].clone()],
            );
            texts = continued(&texts, &expected);
        }
    }
    assert!(differ_by_own_layouts > 0, "the layout decides nothing: it can go");
}

#[test]
fn mixtures_sampled_apart_have_the_bits_of_the_whole() {
    for name in FAMILIES {
        let share = ReferenceShare::new(0.3).unwrap();
        let (rows, asked) = (rows(&contexts()), sampling(1.0));
        let layout = Engine::mixture_layout(&rows);
        let (expected, _) =
            engine(name).generate_mixture((Player::Leader, share), &rows, &layout, (4, &asked)).unwrap();
        let mut found = Vec::new();
        for part in PARTS {
            let mut engine = engine(name);
            found
                .extend(engine.generate_mixture((Player::Leader, share), &rows[part], &layout, (4, &asked)).unwrap().0);
        }
        assert_eq!(found, expected, "{name}");
    }
}

/// Gradients of micro-batches that were taken apart and added in their order are those that accumulate.
#[test]
fn gradients_added_in_order_are_those_that_accumulate() {
    for name in FAMILIES {
        let pairs = pairs(false);
        let pass = |engine: &mut Engine, index: usize| {
            let settings = PassSettings { micro_batch: index as u32, ..pass_settings() };
            let begun = engine.begin_pass(&pairs[index..=index], &settings).unwrap();
            let weights = weigh(begun.scores()).unwrap();
            let _ = engine.end_pass(begun, &weights).unwrap();
        };
        let mut together = engine(name);
        let mut apart = engine(name);
        let mut sum: Option<Tensor> = None;
        for index in 0..pairs.len() {
            pass(&mut together, index);
            pass(&mut apart, index);
            let own = apart.parameters().unwrap().gradients().unwrap();
            apart.parameters_mut().unwrap().clear_gradients().unwrap();
            sum = Some(match sum {
                None => own,
                Some(sum) => sum + own,
            });
        }
        // Of parameters that have no gradient yet, as a rank without a micro-batch has them.
        let mut idle = engine(name);
        let sum = sum.unwrap();
        for engine in [&mut apart, &mut idle] {
            engine.parameters_mut().unwrap().add_gradients(&sum).unwrap();
            let found = engine.parameters().unwrap().gradients().unwrap();
            assert!(found == together.parameters().unwrap().gradients().unwrap(), "{name}");
        }
    }
}
