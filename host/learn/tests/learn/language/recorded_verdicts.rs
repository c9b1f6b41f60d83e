//! What the judge was asked in training is recorded as it was asked: each order by itself.

use slhf_learn::language::Answer;
use slhf_plan::{
    CompletionRow, ControlVariate, Curve, LanguageMethod, LanguageTraining, NashMd, NashMdOnLanguageModels,
};

use super::setup::{Judge, Setup, Told, rloo_on_rewards, rloo_on_verdicts};
use super::tabular::{TWO_TOKENS, Tabular};

/// By the texts alone, and not complementary: a verdict cannot be taken for another.
fn said(first: &str, second: &str) -> f64 {
    let number = |text: &str| text.bytes().fold(1_u64, |sum, byte| (sum * 31 + u64::from(byte)) % 1009) as f64 / 1010.0;
    (0.7 * number(first) + 0.3 * number(second) * number(second)).clamp(0.0, 1.0)
}

fn trained(rival: Option<fn(LanguageTraining) -> LanguageMethod>, prompts_per_step: u32) -> Told {
    let mut setup = Setup { rival, log_completions_every: 1, prompts: prompts_per_step, ..Setup::new() };
    setup.training.prompts_per_step = prompts_per_step;
    if rival.is_some() {
        setup.training.score_baseline = ControlVariate::LeaveOneOut;
    }
    let mut judge = Judge(|_, y: &Answer, z: &Answer| Ok(said(&y.text, &z.text)));
    setup.train(&mut Tabular::new(TWO_TOKENS, prompts_per_step, 0.5), &mut judge)
}

/// (first, second) of every verdict of a step, each checked to be the one on these two texts.
fn asked(told: &Told, step: u64) -> Vec<(u32, u32)> {
    let rows: Vec<&CompletionRow> = told.completions.iter().filter(|row| row.step == step).collect();
    let mut pairs = Vec::new();
    for first in &rows {
        for verdict in &first.verdicts {
            let second = rows[verdict.second as usize];
            let outcome = verdict.outcome.as_ref().unwrap();
            assert_eq!((second.position, &second.prompt), (verdict.second, &first.prompt));
            assert!((outcome.probability - said(&first.text, &second.text)).abs() < 1e-15);
            assert_eq!(outcome.attributes.len(), 1);
            pairs.push((first.position, verdict.second));
        }
    }
    pairs
}

#[test]
fn answers_of_one_policy_have_both_orders_of_every_pair_and_no_mean() {
    // Of five prompts with four answers each the first four are recorded.
    let told = trained(Some(rloo_on_verdicts), 5);
    for step in 1..=4 {
        let group = |start: u32| (start..start + 4).flat_map(move |i| (start..start + 4).map(move |j| (i, j)));
        let expected: Vec<(u32, u32)> = (0..4).flat_map(|prompt| group(4 * prompt)).filter(|(i, j)| i != j).collect();
        assert_eq!(asked(&told, step), expected, "step {step}");
    }
    assert!(told.completions.iter().all(|row| row.probability.is_none() && row.attributes.is_empty()));
}

#[test]
fn a_pair_of_leader_and_follower_says_why_where_the_first_stands() {
    let told = trained(None, 2);
    for step in 1..=4 {
        assert_eq!(asked(&told, step), (0..8).map(|pair| (2 * pair, 2 * pair + 1)).collect::<Vec<_>>());
    }
    for pair in told.completions.chunks_exact(2) {
        let [leader, follower] = pair else { unreachable!("chunks of two") };
        let probability = leader.verdicts[0].outcome.as_ref().unwrap().probability;
        assert_eq!((leader.probability, follower.probability), (Some(probability), Some(1.0 - probability)));
        assert_eq!((leader.attributes.len(), follower.attributes.len()), (1, 0));
    }
}

#[test]
fn an_opponent_is_a_part_of_its_pair() {
    let nash_md = |training| {
        LanguageMethod::NashMd(NashMd {
            training,
            own: NashMdOnLanguageModels::default(),
            mixture_coef: Curve::Constant { value: 0.4 },
        })
    };
    let told = trained(Some(nash_md), 2);
    let pairs = asked(&told, 1);
    // The order in which the answer stands first, at least, of every pair.
    assert!((0..8).all(|pair| pairs.contains(&(2 * pair, 2 * pair + 1))), "{pairs:?}");
}

#[test]
fn rewards_stand_at_their_answers_with_their_reasons_and_are_no_verdicts() {
    let told = trained(Some(rloo_on_rewards), 2);
    let rows: Vec<_> = told.completions.iter().filter(|row| row.role == "leader").collect();
    assert!(!rows.is_empty());
    for row in rows {
        let reward = said(&row.text, &row.text);
        assert!(row.verdicts.is_empty() && row.probability.is_none());
        assert_eq!(row.reward, Some(Ok(reward)), "{}", row.text);
        let attributes: Vec<_> = row.attributes.iter().map(|said| (said.name.as_str(), said.value)).collect();
        assert_eq!(attributes, [("doubled", 2.0 * reward)]);
    }
}

#[test]
fn a_reward_that_failed_is_recorded_with_its_reason() {
    let mut setup = Setup { rival: Some(rloo_on_rewards), log_completions_every: 1, ..Setup::new() };
    setup.training.score_baseline = ControlVariate::LeaveOneOut;
    setup.training.steps = 1;
    let mut calls = 0;
    let mut judge = Judge(|_, y: &Answer, z: &Answer| {
        calls += 1;
        if calls == 3 { Err("no words".to_owned()) } else { Ok(said(&y.text, &z.text)) }
    });
    let told = setup.train(&mut Tabular::new(TWO_TOKENS, 2, 0.5), &mut judge);
    let failed: Vec<_> = told.completions.iter().filter(|row| row.reward == Some(Err("no words".to_owned()))).collect();
    assert_eq!(failed.iter().map(|row| row.position).collect::<Vec<_>>(), [2]);
}

#[test]
fn a_verdict_that_failed_is_recorded_with_its_reason() {
    let mut setup = Setup { log_completions_every: 1, ..Setup::new() };
    setup.training.steps = 1;
    let mut calls = 0;
    let mut judge = Judge(|_, y: &Answer, z: &Answer| {
        calls += 1;
        if calls == 3 { Err("no opinion".to_owned()) } else { Ok(said(&y.text, &z.text)) }
    });
    let told = setup.train(&mut Tabular::new(TWO_TOKENS, 2, 0.5), &mut judge);
    let failed: Vec<_> =
        told.completions.iter().filter(|row| row.verdicts.iter().any(|said| said.outcome.is_err())).collect();
    assert_eq!(failed.iter().map(|row| row.position).collect::<Vec<_>>(), [4]);
    assert_eq!(failed[0].verdicts[0].outcome, Err("no opinion".to_owned()));
}
