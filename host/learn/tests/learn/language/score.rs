//! SCoRe: its expected gradient over all samples of a prompt against its objectives by central differences, where it stands still, its
//! stages, and what it asks.

use slhf_game::{Distribution, FollowerReference, Game, NashGame, PreferenceMatrix, TemperatureValues, Temperatures};
use slhf_learn::language::score::{JudgedTurns, ScoreLoss, Stage, TurnLabels, turns_from_labels, turns_from_rewards};
use slhf_learn::language::{Answer, Evaluators, Pair, PairFactors};
use slhf_plan::{KlEstimator, KlGradient, PairScores, PairWeights, TokenWeights, TurnCredit};

use super::setup::{Judge, Setup, Told, hashed, prompt, score_on_rewards, score_on_verdicts};
use super::tabular::{Language, ONE_TOKEN, TWO_TOKENS, Tabular};

const UNBIASED: [KlGradient; 3] = [KlGradient::RewardToGo, KlGradient::Exact, KlGradient::DifferentiatedK2];
const PENALTY: f64 = 0.3;
const STAGES: [Stage; 2] = [Stage::One, Stage::Two];
const CREDITS: [TurnCredit; 2] = [TurnCredit::OwnTurn, TurnCredit::Objective];

#[derive(Clone, Copy, Debug, PartialEq)]
enum Source {
    Rewards,
    Verdicts,
}

fn loss(credit: TurnCredit, gradient: KlGradient) -> ScoreLoss {
    ScoreLoss {
        stage_one_steps: 1,
        alpha: 2.5,
        beta: 0.2,
        first_turn_beta: 0.35,
        credit,
        gradient,
        estimator: KlEstimator::K1,
    }
}

/// A lopsided judge, asked in both orders.
fn label(y: &Answer, z: &Answer) -> f64 {
    0.5 * (hashed(0, y, z) + 1.0 - hashed(0, z, y))
}

fn reward(y: &Answer) -> f64 {
    hashed(0, y, y)
}

fn unfinished(answer: &Answer) -> f64 {
    if answer.finished { 0.0 } else { PENALTY }
}

struct Bench {
    model: Tabular,
    answers: Vec<Answer>,
    source: Source,
    penalty: f64,
}

impl Bench {
    fn new(language: Language, source: Source) -> Self {
        let answers = language.answers();
        Self { model: Tabular::new(language, 1, 0.6), answers, source, penalty: 1.0 }
    }

    fn lost(&self, answer: &Answer) -> f64 {
        self.penalty * unfinished(answer)
    }

    /// (r(y), r(y'), progress), against opponents who are not differentiated.
    fn rewards(&self, opponents: &[f64], y: &Answer, second: &Answer) -> [f64; 3] {
        let against = |one: &Answer| -> f64 {
            opponents.iter().zip(&self.answers).map(|(probability, z)| probability * label(one, z)).sum()
        };
        let lost = [self.lost(y), self.lost(second)];
        match self.source {
            Source::Rewards => {
                let [first, second] = [reward(y) - lost[0], reward(second) - lost[1]];
                [first, second, second - first]
            }
            Source::Verdicts => {
                let progress = label(second, y) - 0.5 - (lost[1] - lost[0]);
                [against(y) - lost[0], against(second) - lost[1], progress]
            }
        }
    }

    fn first_turn(&self) -> Vec<f64> {
        self.answers.iter().map(|y| self.model.log(false, 0, None, y).exp()).collect()
    }

    /// (objective of the first turn alone, of the second alone): what stands in the objective as a whole is their sum, but the
    /// divergence of the second turn counts once.
    fn objectives(&self, loss: &ScoreLoss, stage: Stage, opponents: &[f64]) -> (f64, f64) {
        let (mut first, mut second) = (0.0, 0.0);
        for y in &self.answers {
            let log = self.model.log(false, 0, None, y);
            let held = if stage == Stage::One { loss.first_turn_beta } else { 0.0 };
            first -= (loss.beta + held) * log.exp() * (log - self.model.log(true, 0, None, y));
            for z in &self.answers {
                let answer = self.model.log(false, 0, Some(y), z);
                let ratio = answer - self.model.log(true, 0, Some(y), z);
                let [of_first, of_second, progress] = self.rewards(opponents, y, z);
                let weight = (log + answer).exp();
                let (own, shaped) = match stage {
                    Stage::One => (0.0, of_second),
                    Stage::Two => (of_first, of_second + loss.alpha * progress),
                };
                first += weight * own;
                second += weight * (shaped - loss.beta * ratio);
            }
        }
        (first, second)
    }

    /// −∂/∂θ by central differences: of the whole objective, or of each turn's own with the other turn as it is.
    fn closed_form(&mut self, loss: &ScoreLoss, stage: Stage) -> Vec<f64> {
        const STEP: f64 = 1e-5;
        let leaders = self.model.is_leaders();
        let opponents = self.first_turn();
        let mut gradient = Vec::new();
        for (index, is_leaders) in leaders.into_iter().enumerate() {
            let start = self.model.parameters[index];
            let mut at = |value: f64| {
                self.model.parameters[index] = value;
                let (first, second) = self.objectives(loss, stage, &opponents);
                match (loss.credit, is_leaders) {
                    (TurnCredit::Objective, _) => first + second,
                    (TurnCredit::OwnTurn, true) => first,
                    (TurnCredit::OwnTurn, false) => second,
                }
            };
            let derivative = (at(start + STEP) - at(start - STEP)) / (2.0 * STEP);
            self.model.parameters[index] = start;
            gradient.push(-derivative);
        }
        gradient
    }

    fn turns(&self, chosen: &[(usize, usize)]) -> Vec<JudgedTurns> {
        let of = |&(y, z): &(usize, usize)| (&self.answers[y], &self.answers[z]);
        match self.source {
            Source::Rewards => {
                let rewards: Vec<[f64; 2]> =
                    chosen.iter().map(of).map(|(y, z)| [reward(y) - self.lost(y), reward(z) - self.lost(z)]).collect();
                turns_from_rewards(&rewards)
            }
            Source::Verdicts => {
                let matrix = |second: bool| -> Vec<Option<f64>> {
                    let rows = chosen.iter().map(of).map(|(y, z)| if second { z } else { y });
                    rows.flat_map(|row| chosen.iter().map(of).map(move |(y, _)| Some(label(row, y)))).collect()
                };
                let penalties: Vec<[f64; 2]> =
                    chosen.iter().map(of).map(|(y, z)| [self.lost(y), self.lost(z)]).collect();
                let labels = TurnLabels { first: &matrix(false), second: &matrix(true), penalties: &penalties };
                turns_from_labels(&labels).into_iter().flatten().collect()
            }
        }
    }

    /// The gradient over every k-tuple of samples, each with its probability.
    fn expected(&mut self, loss: &ScoreLoss, stage: Stage, k: usize) -> Vec<f64> {
        let n = self.answers.len();
        let (answers, question) = (self.answers.clone(), prompt(0));
        let pair = |sample: usize| Pair {
            prompt: &question,
            leader: &answers[sample / n],
            follower: Some(&answers[sample % n]),
        };
        let scores: Vec<PairScores> = (0..n * n).map(|sample| self.model.pair_scores(&pair(sample))).collect();
        let sum = |log: &[f64]| log.iter().sum::<f64>();
        let logs: Vec<f64> = scores
            .iter()
            .map(|scores| {
                sum(&scores.leader.policy) + scores.follower.as_ref().map_or(0.0, |second| sum(&second.policy))
            })
            .collect();
        let mut totals: Vec<Option<PairWeights>> = vec![None; n * n];
        for tuple in 0..(n * n).pow(k as u32) {
            let chosen: Vec<usize> = (0..k).map(|place| tuple / (n * n).pow(place as u32) % (n * n)).collect();
            let probability = chosen.iter().map(|sample| logs[*sample]).sum::<f64>().exp();
            let pairs: Vec<(usize, usize)> = chosen.iter().map(|sample| (sample / n, sample % n)).collect();
            for (sample, turns) in chosen.iter().zip(self.turns(&pairs)) {
                let outcome = loss.outcome(stage, &turns);
                let factor = probability / k as f64;
                let factors = PairFactors { leader: factor, follower: factor };
                let weighed = loss.weigh(stage, &pair(*sample), &scores[*sample], (&outcome, factors)).unwrap();
                add(&mut totals[*sample], weighed.weights);
            }
        }
        self.model.gradient.fill(0.0);
        for (sample, weights) in totals.iter().enumerate() {
            self.model.accumulate_pair(&pair(sample), weights.as_ref().unwrap(), 1.0);
        }
        self.model.gradient.clone()
    }

    /// Sets policies of one-token answers: the first turn's, and the second turn's by the first answer.
    fn set(&mut self, first: &[f64], second: &dyn Fn(&Answer) -> Vec<f64>) {
        let answers = self.answers.clone();
        self.model.set(0, None, first);
        for y in &answers {
            self.model.set(0, Some(y), &second(y));
        }
    }

    /// log of ∝ `ω_ref(· | y) exp(of(y'))`, and log of the sum.
    fn tilted(&self, previous: Option<&Answer>, of: &dyn Fn(&Answer) -> f64) -> (Vec<f64>, f64) {
        let logs: Vec<f64> = self.answers.iter().map(|z| self.model.log(true, 0, previous, z) + of(z)).collect();
        let sum = logs.iter().map(|log| log.exp()).sum::<f64>().ln();
        (logs.into_iter().map(|log| log - sum).collect(), sum)
    }
}

fn add(total: &mut Option<PairWeights>, more: PairWeights) {
    let Some(total) = total else {
        *total = Some(more);
        return;
    };
    let plus = |total: &mut TokenWeights, more: TokenWeights| {
        for (sum, value) in total.score.iter_mut().zip(more.score).chain(total.exact_kl.iter_mut().zip(more.exact_kl)) {
            *sum += value;
        }
    };
    plus(&mut total.leader, more.leader);
    plus(total.follower.as_mut().unwrap(), more.follower.unwrap());
}

fn worst(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| (x - y).abs()).fold(0.0, f64::max)
}

fn largest(gradient: &[f64]) -> f64 {
    gradient.iter().fold(0.0, |most, derivative| most.max(derivative.abs()))
}

fn gradients_agree(language: Language, k: usize, gradients: &[KlGradient]) {
    for source in [Source::Rewards, Source::Verdicts] {
        let mut bench = Bench::new(language, source);
        for (stage, credit) in STAGES.into_iter().flat_map(|stage| CREDITS.map(|credit| (stage, credit))) {
            let closed = bench.closed_form(&loss(credit, KlGradient::RewardToGo), stage);
            assert!(largest(&closed) > 1e-2);
            for gradient in gradients {
                let expected = bench.expected(&loss(credit, *gradient), stage, k);
                let distance = worst(&expected, &closed);
                assert!(distance < 1e-8, "{source:?} {stage:?} {credit:?} {gradient:?}, {k}: {distance:.1e}");
            }
        }
    }
}

#[test]
fn it_is_the_gradient_of_the_published_objectives_on_two_tokens() {
    gradients_agree(TWO_TOKENS, 2, &UNBIASED);
}

#[test]
fn it_is_the_gradient_of_the_published_objectives_with_three_samples() {
    gradients_agree(ONE_TOKEN, 3, &UNBIASED);
}

#[test]
fn the_two_credits_and_the_two_stages_differ() {
    let mut bench = Bench::new(ONE_TOKEN, Source::Verdicts);
    let mut seen: Vec<Vec<f64>> = Vec::new();
    for (stage, credit) in STAGES.into_iter().flat_map(|stage| CREDITS.map(|credit| (stage, credit))) {
        let gradient = bench.expected(&loss(credit, KlGradient::RewardToGo), stage, 2);
        assert!(seen.iter().all(|other| worst(other, &gradient) > 1e-3), "{stage:?} {credit:?}");
        seen.push(gradient);
    }
}

/// Where each stage stands still, by its closed form.
#[test]
fn on_rewards_each_stage_ends_at_its_closed_form() {
    let mut bench = Bench::new(ONE_TOKEN, Source::Rewards);
    for (stage, credit) in STAGES.into_iter().flat_map(|stage| CREDITS.map(|credit| (stage, credit))) {
        let loss = loss(credit, KlGradient::RewardToGo);
        let (own, later, held) = match stage {
            Stage::One => (0.0, 1.0, loss.first_turn_beta),
            Stage::Two => (1.0, 1.0 + loss.alpha, 0.0),
        };
        let second = |y: &Answer| bench.tilted(Some(y), &|z| later * reward(z) / loss.beta);
        let worth = |y: &Answer| {
            // α r(y) is taken off where the first turn is credited with progress.
            let bonus = if stage == Stage::Two { loss.alpha * reward(y) } else { 0.0 };
            match credit {
                TurnCredit::OwnTurn => own * reward(y),
                TurnCredit::Objective => own * reward(y) - bonus + loss.beta * second(y).1,
            }
        };
        let (first, _) = bench.tilted(None, &|y| worth(y) / (loss.beta + held));
        let rows: Vec<(Answer, Vec<f64>)> = bench.answers.iter().map(|y| (y.clone(), second(y).0)).collect();
        let mut at_target = Bench::new(ONE_TOKEN, Source::Rewards);
        at_target.set(&first, &|y| rows.iter().find(|(other, _)| other.tokens == y.tokens).unwrap().1.clone());
        let gradient = at_target.expected(&loss, stage, 2);
        assert!(largest(&gradient) < 1e-14, "{stage:?} {credit:?}: {:.1e}", largest(&gradient));
        assert!(largest(&bench.expected(&loss, stage, 2)) > 1e-3);
    }
}

/// By verdicts, each turn with its own reward: the first turn is the regularized Nash policy, and the second one's reply to y is
/// `ω_ref exp([ℓ(y', π) + α (ℓ(y', y) − ½)] / β)`.
#[test]
fn on_verdicts_it_ends_at_nash_and_a_reply_to_it() {
    let mut bench = Bench::new(ONE_TOKEN, Source::Verdicts);
    let loss = loss(TurnCredit::OwnTurn, KlGradient::RewardToGo);
    let entries: Vec<Vec<f64>> =
        bench.answers.iter().map(|y| bench.answers.iter().map(|z| label(y, z)).collect()).collect();
    let reference: Vec<f64> = bench.model.logs(true, 0, None, &[]).into_iter().map(f64::exp).collect();
    let values = TemperatureValues { nash: loss.beta, ..TemperatureValues::default() };
    let game = Game::new(
        PreferenceMatrix::from_rows(&entries).unwrap(),
        Distribution::new(&reference).unwrap(),
        FollowerReference::from_rows(&vec![reference; bench.answers.len()]).unwrap(),
        Temperatures::new(values).unwrap(),
    );
    let nash = NashGame::of(&game.unwrap()).solve().log_policy;
    let probabilities: Vec<f64> = nash.iter().map(|log| log.exp()).collect();
    let rows: Vec<(Answer, Vec<f64>)> = bench
        .answers
        .iter()
        .map(|y| {
            let worth = |z: &Answer| {
                let won: f64 = probabilities.iter().zip(&bench.answers).map(|(p, other)| p * label(z, other)).sum();
                (won + loss.alpha * (label(z, y) - 0.5)) / loss.beta
            };
            (y.clone(), bench.tilted(Some(y), &worth).0)
        })
        .collect();
    bench.set(&nash, &|y| rows.iter().find(|(other, _)| other.tokens == y.tokens).unwrap().1.clone());
    let gradient = bench.expected(&loss, Stage::Two, 2);
    assert!(largest(&gradient) < 1e-12, "{:.1e}", largest(&gradient));
}

fn setup() -> Setup {
    let mut setup = Setup::new();
    setup.held_out = 2;
    setup.rival = Some(score_on_verdicts);
    setup
}

fn judge() -> Judge<impl FnMut(u32, &Answer, &Answer) -> Result<f64, String>> {
    Judge(|prompt, first: &Answer, second: &Answer| Ok(hashed(prompt, first, second)))
}

fn trained(setup: &Setup) -> (Told, Tabular) {
    let mut model = Tabular::new(TWO_TOKENS, setup.prompts + setup.held_out, 0.5);
    let told = setup.train(&mut model, &mut judge());
    (told, model)
}

/// Stage I is two steps long: up to its end a run of it alone has the same bits, and from the next step on it has not.
#[test]
fn stage_two_begins_right_after_stage_one() {
    let (both, of_both) = trained(&setup());
    let mut alone = setup();
    alone.rival = Some(|training| match score_on_verdicts(training) {
        slhf_plan::LanguageMethod::Score(method) => {
            slhf_plan::LanguageMethod::Score(slhf_plan::Score { stage_one_steps: 4, ..method })
        }
        other => other,
    });
    let (alone, of_alone) = trained(&alone);
    assert_eq!(both.metrics.len(), 4);
    assert_eq!(both.metrics[..2], alone.metrics[..2]);
    let passes = of_both.told.len() / 4;
    assert_eq!(of_both.told[..2 * passes], of_alone.told[..2 * passes]);
    assert_eq!(both.metric(3, "rewards/first_turn"), alone.metric(3, "rewards/first_turn"));
    assert_ne!(both.metric(3, "loss/leader"), alone.metric(3, "loss/leader"));
}

/// Two prompts of four samples: 4 · 3 verdicts of first answers, 2 · 4 · 4 of second ones against first ones.
#[test]
fn both_turns_are_judged_evaluated_and_recorded() {
    let mut setup = setup();
    setup.log_completions_every = 1;
    let mut model = Tabular::new(TWO_TOKENS, 4, 0.5);
    let mut trainer = setup.trainer();
    let mut told = Told::default();
    trainer.train(&mut model, &mut judge(), &mut Evaluators::default(), &mut told).unwrap();
    assert_eq!(trainer.counters().verdicts, 4 * 2 * (12 + 32));
    let subjects: Vec<&str> = told.evaluations.iter().map(|row| row.subject.as_str()).collect();
    for subject in ["leader/reference", "follower(reference)/reference", "follower(leader)/leader"] {
        assert!(subjects.contains(&subject), "{subject} not in {subjects:?}");
    }
    let first = &told.completions[0];
    let second = &told.completions[1];
    assert_eq!((first.round, second.round), (0, 1));
    assert_eq!(first.probability.map(|p| 1.0 - p), second.probability);
    assert!(!first.verdicts.is_empty() && !second.verdicts.is_empty());
    let all = told.metrics[0].1.iter().map(|(key, _)| *key).collect::<Vec<_>>();
    assert!(
        all.contains(&"rewards/second_turn") && !all.contains(&"rewards/margins") && !all.contains(&"follower_weight")
    );

    setup.rival = Some(score_on_rewards);
    let (told, _) = trained(&setup);
    let rewards: Vec<bool> =
        told.completions.iter().filter(|row| row.step == 1).map(|row| row.reward.is_some()).collect();
    assert!(rewards.iter().filter(|is_there| **is_there).count() == 16, "{rewards:?}");
}

/// A verdict that failed takes its sample away where it was needed, and no number stands in its place.
#[test]
fn a_sample_without_the_label_of_its_own_pair_is_left_out() {
    let mut failing = Judge(|prompt, first: &Answer, second: &Answer| match hashed(prompt, first, second) {
        p if p > 0.7 => Err("it is too sure".to_owned()),
        p => Ok(p),
    });
    let mut model = Tabular::new(TWO_TOKENS, 4, 0.5);
    let told = setup().train(&mut model, &mut failing);
    assert!(told.metric(1, "verdicts/skipped") > 0.0);
    assert!(model.told.len() < 4 * 8, "{}", model.told.len());
    assert!(model.told.iter().all(|weights| weights.leader.score.iter().all(|score| score.is_finite())));
}

#[test]
fn what_it_cannot_be_is_refused() {
    let refused = |change: fn(&mut slhf_plan::Score<slhf_plan::LanguageTraining>)| {
        let mut setup = setup();
        let mut plan = setup.plan();
        let slhf_plan::LanguageMethod::Score(method) = &mut plan.method else { panic!("another method") };
        change(method);
        setup.held_out = 2;
        slhf_learn::language::LanguageTrainer::new(&plan, setup.source(), None).unwrap_err().to_string()
    };
    assert_eq!(
        refused(|method| method.stage_one_steps = 5),
        "run 10: method.stage_one_steps: 5 of 4 steps; expected no more than the run has"
    );
    assert!(refused(|method| method.alpha = -1.0).starts_with("run 10: method.alpha: -1"));
    assert!(refused(|method| method.first_turn_beta = f64::NAN).starts_with("run 10: method.first_turn_beta: NaN"));
    assert!(refused(|method| method.instruction = " ".to_owned()).starts_with("run 10: method.instruction: empty"));
    assert!(refused(|method| method.training.num_generations = 1).contains("1 with score: it compares the responses"));
}
