//! RLOO and GRPO on a Bradley–Terry model of the judge: where they end, what the fit costs, and how it can fail.

use std::collections::{BTreeMap, BTreeSet};

use slhf_game::{BradleyTerryFit, Distribution, Existence, PairWeights, PreferenceMatrix};
use slhf_learn::Cause;
use slhf_learn::Ended;
use slhf_learn::language::{
    Answer, Candidate, Comparison, Evaluators, ExactKl, Features, Generation, GradientNorms, LanguagePolicies, Pair,
    PairJudge, PolicyName, Prompt, Request, Reward, Update, Verdict,
};
use slhf_plan::{
    ControlVariate, Curve, Grpo, GrpoLossType, GrpoOnLanguageModels, LanguageMethod, LanguageRewards, LanguageTraining,
    PairScores, Passed, RewardModelPlan, Rloo, Sampling, ScaleRewards,
};
use slhf_random::{Purpose, Row, Stream};

use super::rivals_sampled::{BETA, TOLERANCE, setup, won};
use super::setup::{Judge, Setup, Told, hashed, rloo_on_a_reward_model};
use super::tabular::{ONE_TOKEN, TWO_TOKENS, Tabular};

const PAIRS: u32 = 200;
/// So weak that the fit is the maximum of the likelihood.
const L2: f64 = 1e-9;

fn rloo(training: LanguageTraining) -> LanguageMethod {
    let reward_model = Some(RewardModelPlan { pairs: PAIRS, l2: Some(L2) });
    LanguageMethod::Rloo(Rloo { training, rewards: LanguageRewards { reward: None, reward_model } })
}

fn grpo(training: LanguageTraining) -> LanguageMethod {
    LanguageMethod::Grpo(Grpo {
        training,
        rewards: LanguageRewards { reward: None, reward_model: Some(RewardModelPlan { pairs: PAIRS, l2: Some(L2) }) },
        scale_rewards: ScaleRewards::None,
        own: GrpoOnLanguageModels { loss_type: GrpoLossType::DrGrpo, ..GrpoOnLanguageModels::default() },
        epsilon: 0.2,
        epsilon_high: None,
        num_iterations: 1,
    })
}

/// Neither complementary nor of Bradley and Terry's form.
fn judged(prompt: u32, y: &Answer, z: &Answer) -> f64 {
    0.6 * won(prompt, y, z) + 0.4 * hashed(prompt, y, z)
}

/// Trains, and finds the policy at `π_ref exp(r / temperature)`, r the scores of the game whose pairs the judge was shown.
fn check(name: &str, rival: fn(LanguageTraining) -> LanguageMethod, temperature: f64) {
    let mut setup = setup(rival);
    setup.training.score_baseline = ControlVariate::LeaveOneOut;
    setup.schedule.learning_rate = Curve::Power { start: 2.0, exponent: 0.9, offset: 100.0 };
    let mut model = Tabular::new(ONE_TOKEN, setup.prompts, 0.6);
    model.shared = true;
    // How often the judge was shown y before z: by the fit, which alone asks it.
    let mut shown: BTreeMap<(u32, u32, u32), f64> = BTreeMap::new();
    let mut judge = Judge(|prompt, y: &Answer, z: &Answer| {
        *shown.entry((prompt, y.tokens[0], z.tokens[0])).or_default() += 1.0;
        Ok(judged(prompt, y, z))
    });
    let told = setup.train(&mut model, &mut judge);
    assert_eq!(told.ended, Some((setup.training.steps, Ended::Finished)));
    assert_eq!(shown.values().sum::<f64>(), 2.0 * f64::from(PAIRS));
    let answers = model.language.answers();
    for prompt in 0..setup.prompts {
        let square = |of: &dyn Fn(&Answer, &Answer) -> f64| -> Vec<Vec<f64>> {
            answers.iter().map(|y| answers.iter().map(|z| of(y, z)).collect()).collect()
        };
        let same = |y: &Answer, z: &Answer| y.tokens == z.tokens;
        let preferences = square(&|y, z| if same(y, z) { 0.5 } else { judged(prompt, y, z) });
        let counts = square(&|y, z| shown.get(&(prompt, y.tokens[0], z.tokens[0])).copied().unwrap_or(0.0));
        let weights = PairWeights::from_rows(&counts).unwrap();
        let fit = BradleyTerryFit::of(&PreferenceMatrix::from_rows(&preferences).unwrap(), &weights).unwrap();
        assert_eq!(fit.existence, Existence::Finite);
        let reference: Vec<f64> = model.logs(true, prompt, None, &[]).into_iter().map(f64::exp).collect();
        let wanted = fit.log_policy(&Distribution::new(&reference).unwrap(), temperature);
        let found = model.logs(false, prompt, None, &[]);
        let distance = |one: &[f64], other: &[f64]| {
            one.iter().zip(other).map(|(a, b)| 0.5 * (a.exp() - b.exp()).abs()).sum::<f64>()
        };
        assert!(distance(&found, &wanted) < TOLERANCE, "{name}, prompt {prompt}: {}", distance(&found, &wanted));
        let start = model.logs(true, prompt, None, &[]);
        assert!(distance(&start, &wanted) > 5.0 * TOLERANCE, "{name}, prompt {prompt}: it is where it began");
    }
}

#[test]
fn rloo_ends_at_the_rlhf_policy_of_the_bradley_terry_fit() {
    check("rloo", rloo, BETA);
}

#[test]
fn grpo_ends_there_at_the_temperature_of_its_own() {
    // num_generations is 4.
    check("grpo", grpo, BETA * 4.0 / 3.0);
}

#[test]
fn recorded_rewards_are_the_models_less_the_penalty_of_answers_that_did_not_end() {
    let mut setup = small();
    setup.training.steps = 1;
    let mut model = Tabular::new(ONE_TOKEN, setup.prompts, 0.0);
    let told = setup.train(&mut model, &mut Judge(|prompt, y: &Answer, z: &Answer| Ok(won(prompt, y, z))));
    let mean = told.metric(1, "rewards/mean");
    assert!(mean.is_finite() && mean.abs() < 2.0, "{mean}");
    assert!(told.metric(1, "rewards/probabilities").is_nan(), "no verdict is asked for in training");
    setup.training.missing_eos_penalty = 0.25;
    let mut model = Tabular::new(TWO_TOKENS, setup.prompts, 0.0);
    let with = setup.train(&mut model, &mut Judge(|prompt, y: &Answer, z: &Answer| Ok(hashed(prompt, y, z))));
    setup.training.missing_eos_penalty = 0.0;
    let mut model = Tabular::new(TWO_TOKENS, setup.prompts, 0.0);
    let without = setup.train(&mut model, &mut Judge(|prompt, y: &Answer, z: &Answer| Ok(hashed(prompt, y, z))));
    let lost = without.metric(1, "rewards/mean") - with.metric(1, "rewards/mean");
    let open = 1.0 - with.metric(1, "completions/eos_rate");
    assert!((lost - 0.25 * open).abs() < 1e-12 && open > 0.0, "{lost} {open}");
}

fn small() -> Setup {
    let mut setup = Setup { rival: Some(rloo_on_a_reward_model), ..Setup::new() };
    setup.training.score_baseline = ControlVariate::LeaveOneOut;
    setup
}

#[test]
fn the_fit_is_evaluated_and_counted() {
    let mut setup = small();
    setup.prompts = 3;
    let mut model = Tabular::new(TWO_TOKENS, setup.prompts, 0.5);
    let mut told = Told::default();
    let mut trainer = setup.trainer();
    let mut judge = Judge(|prompt, y: &Answer, z: &Answer| Ok(hashed(prompt, y, z)));
    trainer.train(&mut model, &mut judge, &mut Evaluators::default(), &mut told).unwrap();

    let rows: Vec<(String, u64)> = told.evaluations.iter().map(|row| (row.name.to_string(), row.n)).collect();
    let expected = [("reward_model/log_loss", 8), ("reward_model/l2", 8), ("reward_model/accuracy", 7)];
    assert_eq!(rows, expected.map(|(name, n)| (name.to_owned(), n)));
    // Accuracy is of those whose label prefers a side: one is of an answer that was given twice.
    assert!(told.evaluations.iter().all(|row| (row.step, row.subject.as_str()) == (0, "reward model")));
    // Every pair of one prompt is held out at once, and nothing is known of another prompt's answers.
    assert!((told.evaluations[0].value - 2.0_f64.ln()).abs() < 1e-12);

    let counters = trainer.counters();
    assert_eq!((counters.verdicts, counters.verdicts_skipped), (16, 0), "each pair in both orders");
    let trained: u64 = 4 * 8;
    assert_eq!(model.read, 16 + trained);
    // The table counts 2 a sampled token, 6 a trained one, 5 an answer that is read.
    assert_eq!(counters.operations_generating, 2.0 * counters.tokens_generated as f64);
    assert_eq!(counters.operations, 6.0 * counters.tokens_trained as f64 + 5.0 * model.read as f64);
    assert!(counters.tokens_generated >= counters.tokens_trained + 16);
    assert_eq!(told.metric(4, "num_flops"), counters.operations + counters.operations_generating);
}

#[test]
fn pairs_with_failed_verdicts_are_left_out_and_counted() {
    let setup = small();
    let mut calls = 0;
    let mut judge = Judge(|prompt, y: &Answer, z: &Answer| {
        calls += 1;
        if calls == 4 { Err("it cannot read".to_owned()) } else { Ok(hashed(prompt, y, z)) }
    });
    let mut told = Told::default();
    let mut trainer = setup.trainer();
    trainer.train(&mut Tabular::new(TWO_TOKENS, 2, 0.5), &mut judge, &mut Evaluators::default(), &mut told).unwrap();
    assert_eq!(told.evaluations[0].n, 7);
    assert_eq!((trainer.counters().verdicts, trainer.counters().verdicts_skipped), (16, 1));
    let note = "reward model: 1 of 16 verdicts failed, and 1 of 8 pairs are left out; the first: it cannot read";
    assert_eq!(told.notes, [note]);
}

#[test]
fn a_fit_that_cannot_be_made_ends_the_run_in_a_sentence() {
    let failing = |good: usize| {
        let mut calls = 0;
        let mut judge = Judge(|prompt, y: &Answer, z: &Answer| {
            calls += 1;
            if calls > good { Err("no opinion".to_owned()) } else { Ok(hashed(prompt, y, z)) }
        });
        small().train(&mut Tabular::new(TWO_TOKENS, 2, 0.5), &mut judge)
    };
    assert_eq!(
        failing(3).failure(),
        "step 1: 1 of 8 pairs can be used for the reward model, and it needs 2: 13 of 16 verdicts failed, the first because \
         no opinion; mend the judge, or raise method.reward_model.pairs; no step came before it"
    );
    assert!(matches!(failing(4).ended, Some((4, Ended::Finished))), "two pairs are enough");

    let mut model = Tabular::new(TWO_TOKENS, 2, 0.5);
    model.feature = f32::NAN;
    let told = small().train(&mut model, &mut Judge(|prompt, y: &Answer, z: &Answer| Ok(hashed(prompt, y, z))));
    assert!(told.failure().starts_with("step 1: the reward model cannot be fit: feature "), "{}", told.failure());
    assert!(told.checkpoints.is_empty() && told.evaluations.is_empty());
}

#[test]
fn a_judge_without_a_preference_leaves_nothing_to_learn_from() {
    let told = small().train(&mut Tabular::new(TWO_TOKENS, 2, 0.5), &mut Judge(|_, _: &Answer, _: &Answer| Ok(0.7)));
    assert_eq!(told.metric(1, "rewards/mean"), 0.0);
    assert_eq!(told.metric(1, "frac_reward_zero_std"), 1.0);
    assert!(told.evaluations.iter().all(|row| row.name != "reward_model/accuracy"));
    assert!(told.notes[0].starts_with("reward model: the judge prefers neither side of any of the 8 pairs"));
}

#[test]
fn reward_models_that_cannot_be_are_refused() {
    let with = |plan: fn(LanguageTraining) -> LanguageMethod| Setup { rival: Some(plan), ..small() }.refusal();
    let refusal = with(|training| {
        let reward_model = Some(RewardModelPlan { pairs: 1, l2: None });
        LanguageMethod::Rloo(Rloo { training, rewards: LanguageRewards { reward: None, reward_model } })
    });
    assert_eq!(refusal, "run 10: method.reward_model.pairs: 1; expected 2 to 16384");
    let refusal = with(|training| {
        let reward_model = Some(RewardModelPlan { pairs: 5000, l2: None });
        LanguageMethod::Rloo(Rloo { training, rewards: LanguageRewards { reward: None, reward_model } })
    });
    assert!(refusal.contains("more than 4096 responses to one of 2 prompts"), "{refusal}");
    let refusal = with(|training| {
        let reward_model = Some(RewardModelPlan { pairs: 8, l2: Some(0.0) });
        LanguageMethod::Rloo(Rloo { training, rewards: LanguageRewards { reward: None, reward_model } })
    });
    assert_eq!(refusal, "run 10: method.reward_model.l2: 0; expected a finite number above 0");
    let refusal = with(|training| {
        let reward_model = Some(RewardModelPlan { pairs: 8, l2: None });
        let reward = Some(crate::support::judge().plugin);
        LanguageMethod::Rloo(Rloo { training, rewards: LanguageRewards { reward, reward_model } })
    });
    assert_eq!(
        refusal,
        "run 10: method.reward_model: given beside method.reward, which is a reward already: remove one of the two"
    );
}

/// Policies that remember who was asked on which stream.
struct Streams {
    table: Tabular,
    asked: Vec<(PolicyName, Row)>,
}

impl LanguagePolicies for Streams {
    fn generate(&mut self, requests: &[Request<'_>], seed: u64, sampling: &Sampling) -> Result<Generation, Cause> {
        self.asked.extend(requests.iter().map(|request| (request.policy, request.row)));
        self.table.generate(requests, seed, sampling)
    }
    fn pass(
        &mut self,
        pairs: &[Pair<'_>],
        step: u64,
        micro_batch: u32,
        weigh: &mut dyn FnMut(&[PairScores]) -> Result<Vec<slhf_plan::PairWeights>, Cause>,
    ) -> Result<Passed, Cause> {
        self.table.pass(pairs, step, micro_batch, weigh)
    }
    fn score(&mut self, pairs: &[Pair<'_>], exact_kl: ExactKl) -> Result<(Vec<PairScores>, Passed), Cause> {
        self.table.score(pairs, exact_kl)
    }
    fn features(&mut self, answers: &[(&Prompt, &Answer)]) -> Result<Features, Cause> {
        self.table.features(answers)
    }
    fn update(&mut self, update: &Update) -> Result<GradientNorms, Cause> {
        self.table.update(update)
    }
    fn save(&self) -> Result<Vec<u8>, Cause> {
        self.table.save()
    }
    fn restore(&mut self, state: &[u8]) -> Result<(), Cause> {
        self.table.restore(state)
    }
}

/// A judge that remembers its draws.
#[derive(Default)]
struct Draws(Vec<u64>);

impl PairJudge for Draws {
    fn compare(&mut self, comparisons: &[Comparison<'_>]) -> Result<Vec<Result<Verdict, String>>, Cause> {
        self.0.extend(comparisons.iter().map(|comparison| comparison.draw));
        Judge(|prompt, y: &Answer, z: &Answer| Ok(hashed(prompt, y, z))).compare(comparisons)
    }
    fn score(&mut self, _: &[Candidate<'_>]) -> Result<Vec<Result<Reward, String>>, Cause> {
        Err("nobody asks for a score".into())
    }
}

#[test]
fn its_streams_are_nobody_elses() {
    let mut setup = small();
    (setup.prompts, setup.held_out) = (3, 3);
    setup.evaluation_every = 2;
    let play = |setup: &Setup| {
        let table = Tabular::new(TWO_TOKENS, setup.prompts + setup.held_out, 0.5);
        let (mut policies, mut judge) = (Streams { table, asked: Vec::new() }, Draws::default());
        setup.trainer().train(&mut policies, &mut judge, &mut Evaluators::default(), &mut Told::default()).unwrap();
        (policies.asked, judge.0)
    };
    let (asked, draws) = play(&setup);
    let of_training: Vec<Row> =
        asked.iter().map(|(_, row)| *row).filter(|row| row.purpose == Purpose::TrainingTokens).collect();
    assert_eq!(of_training.iter().collect::<std::collections::HashSet<_>>().len(), of_training.len());
    let is_of_fit =
        |(policy, row): &&(PolicyName, Row)| *policy == PolicyName::Reference && row.purpose == Purpose::TrainingTokens;
    assert_eq!(asked.iter().filter(is_of_fit).count(), 16);
    assert!(
        asked
            .iter()
            .filter(is_of_fit)
            .all(|(_, row)| (row.step, row.stream, row.round) == (0, Stream::RewardModelReference, 0))
    );
    // The fit's draws come first, two a pair; what follows are those of evaluations, of a method that asks no verdict else.
    let (of_fit, of_evaluations) = draws.split_at(16);
    let of_fit: BTreeSet<u64> = of_fit.iter().copied().collect();
    assert_eq!(of_fit.len(), 16);
    assert!(!of_evaluations.is_empty() && of_evaluations.iter().all(|draw| !of_fit.contains(draw)));
    // Nor do they meet the draws and streams of a run on verdicts.
    setup.rival = Some(super::setup::rloo_on_verdicts);
    let (other, draws) = play(&setup);
    assert!(draws.iter().all(|draw| !of_fit.contains(draw)));
    assert!(asked.iter().filter(is_of_fit).all(|(_, row)| other.iter().all(|(_, used)| used != row)));
}
