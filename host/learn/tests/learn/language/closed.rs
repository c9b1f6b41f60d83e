//! Closed answer sets: gradients against central differences of losses written out here, targets, cuts, refusals.

use slhf_learn::Ended;
use slhf_learn::language::{Answer, Evaluators, LanguageTrainer};
use slhf_plan::{
    AnswerReference, AnswerSetsPlan, ControlVariate, Curve, DynamicSampling, Gradient, Grpo, GrpoLossType,
    GrpoOnLanguageModels, ImportanceSamplingLevel, Inpo, Kappa, KlGradient, Labels, LanguageMethod, LanguageRewards,
    LanguageTraining, NashMd, NashMdOnLanguageModels, OnlineDpo, OnlineIpo, OverlongPenalty, Realisation, Regularizer,
    ScaleRewards, Sft, Sppo,
};

use super::setup;
use super::setup::{Judge, Setup, Told, hashed};
use super::tabular::{TWO_TOKENS, Tabular};

pub(super) const BETA: f64 = 0.2;
pub(super) const FOLLOWER_BETA: f64 = 0.3;
pub(super) const ETA: f64 = 0.7;

/// Four of the seven answers of the language, so that the restricted policy is not the open one.
pub(super) fn answers() -> Vec<Answer> {
    [&[0_u32][..], &[1, 0], &[2, 0], &[1, 2]].map(|tokens| TWO_TOKENS.answer(tokens)).to_vec()
}

pub(super) fn one_step(rival: Option<fn(LanguageTraining) -> LanguageMethod>, reference: AnswerReference) -> Setup {
    let mut setup = Setup { rival, held_out: 1, ..Setup::new() };
    setup.training.steps = 1;
    setup.training.micro_batch_size = 4;
    setup.training.kl_gradient = KlGradient::RewardToGo;
    setup.schedule.learning_rate = Curve::Constant { value: 1.0 };
    setup.schedule.kappa = Kappa::Constant { value: 2.0 };
    setup.schedule.realisation = Realisation::LossWeight;
    setup.answers = Some(AnswerSetsPlan { given: Vec::new(), reference, gradient: Gradient::Exact });
    setup.sets = (0..3).map(|prompt| (prompt, answers().into())).collect();
    setup
}

fn left_out(training: LanguageTraining) -> LanguageTraining {
    LanguageTraining { score_baseline: ControlVariate::LeaveOneOut, ..training }
}

fn rloo_on_verdicts(training: LanguageTraining) -> LanguageMethod {
    setup::rloo_on_verdicts(left_out(training))
}

fn rloo_on_rewards(training: LanguageTraining) -> LanguageMethod {
    setup::rloo_on_rewards(left_out(training))
}

fn rloo_on_a_reward_model(training: LanguageTraining) -> LanguageMethod {
    setup::rloo_on_a_reward_model(left_out(training))
}

pub(super) fn table(setup: &Setup) -> Tabular {
    let mut table = Tabular::new(TWO_TOKENS, 3, 0.9);
    table.has_follower = setup.rival.is_none();
    table
}

pub(super) fn judge() -> Judge<impl FnMut(u32, &Answer, &Answer) -> Result<f64, String>> {
    Judge(|prompt, first: &Answer, second: &Answer| Ok(hashed(prompt, first, second)))
}

/// A prompt's set as numbers, made one log-probability at a time.
pub(super) struct Set {
    pub(super) pi: Vec<f64>,
    pub(super) reference: Vec<f64>,
    pub(super) omega: Vec<Vec<f64>>,
    pub(super) omega_reference: Vec<Vec<f64>>,
    pub(super) verdicts: Vec<Vec<f64>>,
}

impl Set {
    pub(super) fn of(table: &Tabular, prompt: u32, reference: AnswerReference) -> Self {
        let answers = answers();
        let restricted = |of_reference: bool, previous: Option<&Answer>| {
            let uniform = of_reference && reference == AnswerReference::Uniform;
            let one =
                |answer: &Answer| if uniform { 1.0 } else { table.log(of_reference, prompt, previous, answer).exp() };
            let weights: Vec<f64> = answers.iter().map(one).collect();
            let sum: f64 = weights.iter().sum();
            weights.into_iter().map(|weight| weight / sum).collect::<Vec<f64>>()
        };
        let rows = |of_reference| answers.iter().map(|answer| restricted(of_reference, Some(answer))).collect();
        let verdict = |a: &Answer| answers.iter().map(|b| hashed(prompt, a, b)).collect();
        Self {
            pi: restricted(false, None),
            reference: restricted(true, None),
            omega: rows(false),
            omega_reference: rows(true),
            verdicts: answers.iter().map(verdict).collect(),
        }
    }

    pub(super) fn label(&self, a: usize, b: usize) -> f64 {
        0.5 * (self.verdicts[a][b] + 1.0 - self.verdicts[b][a])
    }

    pub(super) fn kl(policy: &[f64], reference: &[f64]) -> f64 {
        policy.iter().zip(reference).map(|(p, r)| p * (p / r).ln()).sum()
    }

    pub(super) fn sum(&self, of: impl Fn(usize) -> f64) -> f64 {
        (0..self.pi.len()).map(of).sum()
    }

    /// The objective that the Leader ascends and the Follower descends.
    fn objective(&self) -> f64 {
        let value = |a: usize| {
            let payoff = self.sum(|b| self.omega[a][b] * self.verdicts[a][b]);
            payoff + FOLLOWER_BETA * Self::kl(&self.omega[a], &self.omega_reference[a])
        };
        self.sum(|a| self.pi[a] * value(a)) - BETA * Self::kl(&self.pi, &self.reference)
    }

    /// log π − log `π_ref`, and the difference of two answers'.
    pub(super) fn ratio(&self, a: usize) -> f64 {
        (self.pi[a] / self.reference[a]).ln()
    }

    fn margin(&self, a: usize, b: usize) -> f64 {
        self.ratio(a) - self.ratio(b)
    }

    /// `Σ_ab μ(a) μ(b) f(a, b)`
    pub(super) fn over_pairs(&self, sampled: &[f64], of: impl Fn(usize, usize) -> f64) -> f64 {
        self.sum(|a| self.sum(|b| sampled[a] * sampled[b] * of(a, b)))
    }
}

/// The loss of one prompt; what is sampled from, or played against, is held at `then`.
pub(super) type Loss = fn(now: &Set, then: &Set) -> f64;

/// The gradient of one step at learning rate 1 is what the parameters moved by.
pub(super) fn check(
    name: &str,
    rival: Option<fn(LanguageTraining) -> LanguageMethod>,
    leader: Loss,
    follower: Option<Loss>,
) {
    for reference in [AnswerReference::Uniform, AnswerReference::Model] {
        let setup = one_step(rival, reference);
        let start = table(&setup);
        let mut trained = start.clone();
        let told = setup.train(&mut trained, &mut judge());
        assert_eq!(told.ended, Some((1, Ended::Finished)), "{name}");
        let is_leaders = start.is_leaders();
        let loss = |table: &Tabular, of: Loss| -> f64 {
            (0..2).map(|prompt| 0.5 * of(&Set::of(table, prompt, reference), &Set::of(&start, prompt, reference))).sum()
        };
        let mut largest: f64 = 0.0;
        for (place, &leads) in is_leaders.iter().enumerate() {
            let of = if leads { Some((leader, 1.0)) } else { follower.map(|loss| (loss, 2.0)) };
            let moved = start.parameters[place] - trained.parameters[place];
            let Some((of, kappa)) = of else {
                assert_eq!(moved, 0.0, "{name}");
                continue;
            };
            let step = 1e-5;
            let at = |change: f64| {
                let mut changed = start.clone();
                changed.parameters[place] += change;
                loss(&changed, of)
            };
            let slope = kappa * (at(step) - at(-step)) / (2.0 * step);
            assert!((moved - slope).abs() < 1e-8, "{name}, {reference:?}: parameter {place}: {moved} is not {slope}");
            largest = largest.max(moved.abs());
        }
        assert!(largest > 1e-3, "{name} has no gradient");
    }
}

#[test]
fn leader_and_follower_have_the_gradients_of_the_objective() {
    check("stackelberg-gda", None, |now, _| -now.objective(), Some(|now, _| now.objective()));
}

/// Self-play: the opponent stands still.
fn self_play(now: &Set, opponent: &[f64]) -> f64 {
    BETA * Set::kl(&now.pi, &now.reference) - now.sum(|a| now.pi[a] * now.sum(|b| opponent[b] * now.label(a, b)))
}

fn mixed(set: &Set, m: f64) -> Vec<f64> {
    let weights: Vec<f64> = set.pi.iter().zip(&set.reference).map(|(p, r)| p.powf(1.0 - m) * r.powf(m)).collect();
    let sum: f64 = weights.iter().sum();
    weights.iter().map(|weight| weight / sum).collect()
}

#[test]
fn methods_of_self_play_have_the_gradients_of_their_losses() {
    let nash_md = |training| {
        LanguageMethod::NashMd(NashMd {
            mixture_coef: Curve::Constant { value: 0.25 },
            own: NashMdOnLanguageModels::default(),
            training,
        })
    };
    check("nash-md", Some(nash_md), |now, then| self_play(now, &mixed(then, 0.25)), None);
    check("rloo on verdicts", Some(rloo_on_verdicts), |now, then| self_play(now, &then.pi), None);
}

#[test]
fn closed_sets_refuse_a_forward_divergence() {
    let forward = |training| {
        let own = NashMdOnLanguageModels { regularizer: Regularizer::ForwardKl };
        LanguageMethod::NashMd(NashMd { mixture_coef: Curve::Constant { value: 0.0 }, own, training })
    };
    assert_eq!(
        one_step(Some(forward), AnswerReference::Uniform).refusal(),
        "run 10: method.regularizer: given with closed response sets, whose Nash policies and gaps are of the reverse divergence; remove it"
    );
}

fn grpo(kl_gradient: KlGradient, training: LanguageTraining) -> LanguageMethod {
    let reward = Some(crate::support::judge().plugin);
    LanguageMethod::Grpo(Grpo {
        rewards: LanguageRewards { reward, reward_model: None },
        scale_rewards: ScaleRewards::None,
        own: GrpoOnLanguageModels { loss_type: GrpoLossType::Grpo, ..GrpoOnLanguageModels::default() },
        epsilon: 0.2,
        epsilon_high: None,
        num_iterations: 1,
        training: LanguageTraining { kl_gradient, ..training },
    })
}

#[test]
fn methods_on_rewards_have_the_gradients_of_their_losses() {
    // The judge of these tests scores an answer as it compares it with itself.
    let rewarded: Loss = |now, _| BETA * Set::kl(&now.pi, &now.reference) - now.sum(|a| now.pi[a] * now.verdicts[a][a]);
    check("rloo on rewards", Some(rloo_on_rewards), rewarded, None);
    let reverse = |training| grpo(KlGradient::RewardToGo, training);
    check("grpo", Some(reverse), rewarded, None);
    let forward = |training| grpo(KlGradient::DifferentiatedK3, training);
    let held_forward: Loss = |now, then| {
        // k3 is differentiated, and whoever samples is not.
        let k3 = |a: usize| (-now.ratio(a)).exp() + now.ratio(a) - 1.0;
        now.sum(|a| BETA * then.pi[a] * k3(a) - now.pi[a] * now.verdicts[a][a])
    };
    check("grpo with k3", Some(forward), held_forward, None);
}

/// The second update on the same samples: what the parameters moved by beyond the first, against the loss at the policy between.
#[test]
fn on_closed_sets_epsilon_high_is_the_upper_bound_of_a_whole_responses_ratio() {
    const EPSILON: f64 = 0.001;
    const HIGH: f64 = 0.004;
    fn rival(training: LanguageTraining, num_iterations: u32) -> LanguageMethod {
        let LanguageMethod::Grpo(once) = grpo(KlGradient::RewardToGo, training) else { panic!("no grpo") };
        let epsilon_high = (num_iterations > 1).then_some(HIGH);
        LanguageMethod::Grpo(Grpo { epsilon: EPSILON, epsilon_high, num_iterations, ..once })
    }
    let reference = AnswerReference::Uniform;
    let start = table(&one_step(Some(|training| rival(training, 1)), reference));
    let trained = |of: fn(LanguageTraining) -> LanguageMethod| {
        let mut table = start.clone();
        let mut setup = one_step(Some(of), reference);
        setup.schedule.learning_rate = Curve::Constant { value: 0.1 };
        let told = setup.train(&mut table, &mut judge());
        assert_eq!(told.ended, Some((1, Ended::Finished)));
        table
    };
    let once = trained(|training| rival(training, 1));
    let twice = trained(|training| rival(training, 2));
    let loss = |table: &Tabular, high: f64| -> f64 {
        let of = |prompt: u32| {
            let (now, then) = (Set::of(table, prompt, reference), Set::of(&start, prompt, reference));
            let mean = then.sum(|a| then.pi[a] * then.verdicts[a][a]);
            let surrogate = |a: usize| {
                let (ratio, advantage) = (now.pi[a] / then.pi[a], now.verdicts[a][a] - mean);
                (ratio * advantage).min(ratio.clamp(1.0 - EPSILON, 1.0 + high) * advantage)
            };
            BETA * Set::kl(&now.pi, &now.reference) - now.sum(|a| then.pi[a] * surrogate(a))
        };
        (0..2).map(|prompt| 0.5 * of(prompt)).sum()
    };
    let (step, mut worst, mut from_symmetric) = (1e-7, 0.0_f64, 0.0_f64);
    for (place, leads) in start.is_leaders().into_iter().enumerate() {
        let moved = (once.parameters[place] - twice.parameters[place]) / 0.1;
        let slope = |high: f64| {
            let at = |change: f64| {
                let mut changed = once.clone();
                changed.parameters[place] += change;
                loss(&changed, high)
            };
            (at(step) - at(-step)) / (2.0 * step)
        };
        if leads {
            worst = worst.max((moved - slope(HIGH)).abs());
            from_symmetric = from_symmetric.max((moved - slope(EPSILON)).abs());
        }
    }
    assert!(worst < 1e-6 && from_symmetric > 1e-3, "{worst:e} and {from_symmetric:e}");
}

#[test]
fn closed_sets_refuse_what_is_of_lengths_or_of_some_prompts() {
    fn with(training: LanguageTraining, own: GrpoOnLanguageModels) -> LanguageMethod {
        let LanguageMethod::Grpo(plain) = grpo(KlGradient::RewardToGo, training) else { panic!("no grpo") };
        LanguageMethod::Grpo(Grpo { own, num_iterations: 2, ..plain })
    }
    let refusal =
        |rival: fn(LanguageTraining) -> LanguageMethod| one_step(Some(rival), AnswerReference::Uniform).refusal();
    assert_eq!(
        refusal(|training| {
            let importance_sampling_level = ImportanceSamplingLevel::Sequence;
            with(training, GrpoOnLanguageModels { importance_sampling_level, ..GrpoOnLanguageModels::default() })
        }),
        "run 10: method.importance_sampling_level: \"sequence\" with closed response sets, where a response is one action: its ratio is \
         already that of the whole response, and it has no length to take a root by; remove it"
    );
    assert_eq!(
        refusal(|training| {
            let dynamic_sampling = DynamicSampling::Drop;
            with(training, GrpoOnLanguageModels { dynamic_sampling, ..GrpoOnLanguageModels::default() })
        }),
        "run 10: method.dynamic_sampling: \"drop\" with closed response sets, whose solutions and gaps are means over all prompts, decided \
         or not; remove it"
    );
    assert_eq!(
        refusal(|training| {
            let overlong_penalty = Some(OverlongPenalty { max_tokens: 2, cache_tokens: 1 });
            with(training, GrpoOnLanguageModels { overlong_penalty, ..GrpoOnLanguageModels::default() })
        }),
        "run 10: method.overlong_penalty: given with closed response sets, where a response is one action without a length: remove it, or \
         let the judge or the reward prefer short responses"
    );
}

#[test]
fn methods_on_pairs_have_the_gradients_of_their_published_losses() {
    let dpo = |training| LanguageMethod::OnlineDpo(OnlineDpo { labels: Labels::Soft, training });
    check(
        "online-dpo",
        Some(dpo),
        |now, then| {
            let logistic = |value: f64| 1.0 / (1.0 + (-value).exp());
            now.over_pairs(&then.pi, |a, b| {
                let (label, h) = (now.label(a, b), BETA * now.margin(a, b));
                -label * logistic(h).ln() - (1.0 - label) * logistic(-h).ln()
            })
        },
        None,
    );
    let ipo: Loss = |now, then| {
        now.over_pairs(&then.pi, |a, b| BETA / 4.0 * (now.margin(a, b) - (now.label(a, b) - 0.5) / BETA).powi(2))
    };
    check(
        "online-ipo",
        Some(|training| LanguageMethod::OnlineIpo(OnlineIpo { labels: Labels::Soft, training })),
        ipo,
        None,
    );
    let inpo = |training| LanguageMethod::Inpo(Inpo { eta: ETA, num_iterations: 1, labels: Labels::Soft, training });
    check("inpo", Some(inpo), ipo, None);
    let sppo = |training: LanguageTraining| {
        LanguageMethod::Sppo(Sppo { eta: ETA, num_iterations: 1, training: LanguageTraining { beta: 0.0, ..training } })
    };
    check(
        "sppo",
        Some(sppo),
        |now, then| {
            let won = |a: usize| now.sum(|b| then.pi[b] * now.label(a, b));
            now.sum(|a| {
                let moved = (now.pi[a] / then.pi[a]).ln();
                then.pi[a] * (moved - ETA * (won(a) - 0.5)).powi(2) / (2.0 * ETA)
            })
        },
        None,
    );
    let sft = |training: LanguageTraining| {
        LanguageMethod::Sft(Sft { labels: Labels::Soft, training: LanguageTraining { beta: 0.0, ..training } })
    };
    check(
        "sft",
        Some(sft),
        |now, _| {
            now.over_pairs(&now.reference, |a, b| -now.label(a, b) * now.pi[a].ln() - now.label(b, a) * now.pi[b].ln())
        },
        None,
    );
}

pub(super) fn evaluated(told: &Told, step: u64, name: &str, subject: &str) -> f64 {
    let is_it = |row: &&slhf_plan::EvaluationRow| row.step == step && row.name == name && row.subject == subject;
    told.evaluations.iter().find(is_it).unwrap_or_else(|| panic!("no {name}[{subject}] at step {step}")).value
}

/// A set of the given steps, with an evaluation at its beginning.
pub(super) fn long(rival: Option<fn(LanguageTraining) -> LanguageMethod>, gradient: Gradient, steps: u64) -> Setup {
    let mut setup = one_step(rival, AnswerReference::Uniform);
    setup.training.steps = steps;
    setup.evaluation_every = steps;
    setup.schedule.learning_rate = Curve::Constant { value: 2.0 };
    setup.answers = Some(AnswerSetsPlan { given: Vec::new(), reference: AnswerReference::Uniform, gradient });
    setup
}

#[test]
fn exact_gradients_reach_the_solution_of_every_training_prompt() {
    let setup = long(None, Gradient::Exact, 3000);
    let told = setup.train(&mut table(&setup), &mut judge());
    let start = evaluated(&told, 0, "stackelberg_gap", "train");
    let end = evaluated(&told, 3000, "stackelberg_gap", "train");
    assert!(start > 0.05 && end < 1e-6, "{start} to {end}");
    assert!(evaluated(&told, 3000, "tv_to_stackelberg", "train") < 1e-3);
    assert!(evaluated(&told, 3000, "tv_to_nash", "train") > 1e-3);
    // A table knows nothing of prompts that it was not trained on.
    let held_out = |step| evaluated(&told, step, "stackelberg_gap", "held_out");
    assert_eq!(held_out(0), held_out(3000));
    assert_eq!(told.metric(1, "stackelberg_gap"), start);
}

#[test]
fn one_policy_reaches_its_own_target() {
    let setup = long(Some(rloo_on_verdicts), Gradient::Exact, 3000);
    let told = setup.train(&mut table(&setup), &mut judge());
    assert!(evaluated(&told, 3000, "duality_gap", "train") < 1e-6);
    assert!(evaluated(&told, 3000, "tv_to_nash", "train") < 1e-3);
    let setup = long(Some(rloo_on_a_reward_model), Gradient::Exact, 3000);
    let told = setup.train(&mut table(&setup), &mut judge());
    assert!(evaluated(&told, 3000, "tv_rlhf", "train") < 1e-3);
    assert!(evaluated(&told, 3000, "tv_to_rlhf", "train") < 1e-3);
}

#[test]
fn sampled_gradients_come_near_the_solution() {
    for rival in [None, Some(rloo_on_verdicts as fn(LanguageTraining) -> LanguageMethod)] {
        let mut setup = long(rival, Gradient::Sampled, 2000);
        setup.training.num_generations = 16;
        setup.schedule.learning_rate = Curve::Constant { value: 0.5 };
        let told = setup.train(&mut table(&setup), &mut judge());
        let name = if rival.is_none() { "stackelberg_gap" } else { "duality_gap" };
        let (start, end) = (evaluated(&told, 0, name, "train"), evaluated(&told, 2000, name, "train"));
        assert!(end < 0.01 && end < 0.2 * start, "{name}: {start} to {end}");
    }
}

#[test]
fn a_run_that_was_cut_ends_with_the_bits_of_one_that_was_not() {
    let rivals = [None, Some(super::mnpo::mnpo as fn(LanguageTraining) -> LanguageMethod)];
    for (rival, gradient) in
        rivals.into_iter().flat_map(|rival| [Gradient::Exact, Gradient::Sampled].map(|of| (rival, of)))
    {
        let mut setup = long(rival, gradient, 6);
        setup.checkpoint_every = 2;
        setup.evaluation_every = 2;
        let mut whole = table(&setup);
        let told = setup.train(&mut whole, &mut judge());
        let (step, state) = told.checkpoints[1].clone();
        let mut resumed = table(&setup);
        let mut trainer: LanguageTrainer = setup.trainer();
        trainer.restore(&state, &mut resumed).unwrap();
        let mut rest = Told::default();
        trainer.train(&mut resumed, &mut judge(), &mut Evaluators::default(), &mut rest).unwrap();
        assert_eq!(resumed.parameters, whole.parameters);
        let after: Vec<_> = told.metrics.iter().filter(|(at, _)| *at > step).cloned().collect();
        assert_eq!(rest.metrics, after);
        let rows: Vec<_> = told.evaluations.iter().filter(|row| row.step > step).cloned().collect();
        assert_eq!(rest.evaluations, rows);
        assert_eq!(trainer.counters().verdicts, 3 * 16, "every pair of every prompt once");
    }
}

#[test]
fn what_a_closed_set_cannot_be_is_refused() {
    let check = |change: &dyn Fn(&mut Setup), expected: &str| {
        let mut setup = one_step(None, AnswerReference::Uniform);
        change(&mut setup);
        let refusal = setup.refusal();
        assert!(refusal.contains(expected), "{refusal}");
    };
    check(&|setup| setup.training.missing_eos_penalty = 0.5, "every response of a closed set ends by itself");
    check(&|setup| setup.training.kl_gradient = KlGradient::Paper, "\"paper\" with closed response sets");
    check(&|setup| setup.evaluation_rounds = 2, "evaluation.rounds: given with closed response sets");
    check(&|setup| setup.evaluation_judges = vec!["another"], "evaluation.judges: given with closed response sets");
    check(&|setup| drop(setup.sets.remove(&2)), "every prompt needs a set of responses");
    let given = vec!["a".to_owned()];
    let one = move |setup: &mut Setup| {
        setup.answers.as_mut().unwrap().given.clone_from(&given);
    };
    check(&one, "data.answers: 1 responses; expected 2 to 12");
}

#[test]
fn a_pair_that_is_not_judged_ends_the_run_with_its_answers() {
    let setup = one_step(None, AnswerReference::Uniform);
    let mut judge =
        Judge(
            |_, first: &Answer, second: &Answer| {
                if first.tokens.len() == second.tokens.len() { Ok(0.5) } else { Err("it is at a loss".to_owned()) }
            },
        );
    let told = setup.train(&mut table(&setup), &mut judge);
    let failure = told.failure();
    assert!(
        failure.contains("the judge failed on the responses \"[0]\" and \"[1, 0]\" to prompt 0: it is at a loss"),
        "{failure}"
    );
}
