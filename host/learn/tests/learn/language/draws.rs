//! What reward plugins and measures are given as their draw: a function of the seed and of the answer's place in the run.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

use slhf_learn::Cause;
use slhf_learn::language::{Answer, Candidate, Comparison, Evaluators, Measure, Measured, PairJudge, Reward, Verdict};
use slhf_plan::{BestOfN, ControlVariate, LanguageMethod, LanguageRewards};
use slhf_random::{Purpose, Row, Stream};

use super::setup::{Judge, Setup, Told, hashed, rloo_on_rewards};
use super::tabular::{TWO_TOKENS, Tabular};
use crate::support::judge as plugin;

/// The draws of every answer that was scored, with its prompt.
type Log = Rc<RefCell<Vec<(u32, u64)>>>;

/// A reward plugin, or a measure, whose score is its draw.
#[derive(Clone, Default)]
struct Noise(Log);

impl Noise {
    fn scores(&self, candidates: &[Candidate<'_>]) -> Vec<f64> {
        self.0.borrow_mut().extend(candidates.iter().map(|asked| (asked.prompt.id, asked.draw)));
        candidates.iter().map(|asked| asked.draw as f64 / (1_u64 << 53) as f64).collect()
    }

    fn told(&self) -> Vec<(u32, u64)> {
        self.0.borrow().clone()
    }
}

impl PairJudge for Noise {
    fn compare(&mut self, comparisons: &[Comparison<'_>]) -> Result<Vec<Result<Verdict, String>>, Cause> {
        Judge(|prompt, y: &Answer, z: &Answer| Ok(hashed(prompt, y, z))).compare(comparisons)
    }
    fn score(&mut self, candidates: &[Candidate<'_>]) -> Result<Vec<Result<Reward, String>>, Cause> {
        let reward = |value| Ok(Reward { value, attributes: Vec::new() });
        Ok(self.scores(candidates).into_iter().map(reward).collect())
    }
}

impl Measure for Noise {
    fn measure(&mut self, candidates: &[Candidate<'_>]) -> Result<Vec<Result<Measured, String>>, Cause> {
        let measured = |value| Ok(Measured { value, attributes: Vec::new() });
        Ok(self.scores(candidates).into_iter().map(measured).collect())
    }
}

fn rewarded() -> Setup {
    let mut setup = Setup { rival: Some(rloo_on_rewards), held_out: 3, ..Setup::new() };
    setup.training.score_baseline = ControlVariate::LeaveOneOut;
    setup
}

fn model(setup: &Setup) -> Tabular {
    Tabular::new(TWO_TOKENS, setup.prompts + setup.held_out, 0.5)
}

fn all_different(draws: &[(u32, u64)]) -> bool {
    draws.iter().map(|(_, draw)| draw).collect::<BTreeSet<_>>().len() == draws.len()
}

#[test]
fn every_reward_of_a_run_has_a_draw_of_its_own_that_its_place_decides() {
    let setup = rewarded();
    let mut noise = Noise::default();
    let told = setup.train(&mut model(&setup), &mut noise);
    let draws = noise.told();
    // Four steps of two prompts with four answers each.
    assert_eq!(draws.len(), 32);
    assert!(all_different(&draws), "{draws:?}");
    let places =
        (1..=4).flat_map(|step| (0..2).flat_map(move |prompt| (0..4).map(move |sample| (step, prompt, sample))));
    for (step, prompt, sample) in places {
        let row = Row { purpose: Purpose::RewardDraw, prompt, step, stream: Stream::Leader, round: 0, sample };
        assert!(draws.contains(&(prompt, row.draw(setup.seed, 0))), "step {step}, prompt {prompt}, sample {sample}");
    }
    // The mean of the rewards is that of the draws: they reached whoever scores.
    let mean = draws[..8].iter().map(|(_, draw)| *draw as f64 / (1_u64 << 53) as f64).sum::<f64>() / 8.0;
    assert!((told.metric(1, "rewards/mean") - mean).abs() < 1e-12);
}

#[test]
fn a_resumed_run_gives_every_answer_the_draw_that_an_uncut_one_gives() {
    let setup = rewarded();
    let mut uncut = Noise::default();
    setup.train(&mut model(&setup), &mut uncut);
    let uncut = uncut.told();
    for cut in 1..4 {
        let mut first = Told { stop_at: Some(cut), ..Told::default() };
        let mut policies = model(&setup);
        setup.trainer().train(&mut policies, &mut Noise::default(), &mut Evaluators::default(), &mut first).unwrap();
        let mut again = setup.trainer();
        again.restore(&first.checkpoints[0].1, &mut policies).unwrap();
        let mut noise = Noise::default();
        again.train(&mut policies, &mut noise, &mut Evaluators::default(), &mut Told::default()).unwrap();
        assert_eq!(noise.told(), uncut[8 * cut as usize..], "cut after step {cut}");
    }
}

/// As their streams of tokens, and the verdicts' draws, are the same in every evaluation of a run.
#[test]
fn every_measured_answer_has_a_draw_of_its_own_that_no_step_changes() {
    let mut setup = Setup { held_out: 3, evaluation_every: 2, evaluation_rounds: 2, ..Setup::new() };
    setup.measures = vec!["noise"];
    let measured = |setup: &Setup| {
        let noise = Noise::default();
        let evaluators = Evaluators { judges: Vec::new(), measures: vec![Box::new(noise.clone())] };
        setup.train_evaluated_by(&mut model(setup), &mut Noise::default(), evaluators);
        noise.told()
    };
    let draws = measured(&setup);
    // Two of the prompts at steps 0 and 2, of four answerers; all three at the end, of two more for the second round.
    let (at_0, at_2, last) = (&draws[..8], &draws[8..16], &draws[16..]);
    assert_eq!(at_0, at_2);
    assert_eq!(last.len(), 18);
    assert!(all_different(last), "{last:?}");
    assert!(at_0.iter().all(|draw| last.contains(draw)));
    // Not a place in a batch: of fewer prompts the others keep theirs.
    setup.held_out = 2;
    assert!(measured(&setup).iter().all(|draw| last.contains(draw)));
}

#[test]
fn a_reward_plugin_draws_anew_for_each_of_n_answers() {
    let rival = |training| {
        LanguageMethod::BestOfN(BestOfN {
            training,
            rewards: LanguageRewards { reward: Some(plugin().plugin), reward_model: None },
        })
    };
    let mut setup = Setup { rival: Some(rival), held_out: 3, ..Setup::new() };
    setup.training.steps = 0;
    let mut noise = Noise::default();
    setup.train(&mut model(&setup), &mut noise);
    let draws = noise.told();
    assert_eq!(draws.len(), 12);
    assert!(all_different(&draws), "{draws:?}");
}
