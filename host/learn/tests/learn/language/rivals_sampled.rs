//! The loop with samples of every method with one policy: where training ends, and what stands without training.

use slhf_game::{
    Distribution, FollowerReference, Game, MixtureCoefficient, NashGame, PreferenceMatrix, TemperatureValues,
    Temperatures,
};
use slhf_learn::Ended;
use slhf_learn::language::Answer;
use slhf_plan::{
    BestOfN, ControlVariate, Curve, Grpo, GrpoLossType, GrpoOnLanguageModels, Inpo, Instruction, Labels,
    LanguageMethod, LanguageRewards, LanguageTraining, NashMd, NashMdOnLanguageModels, OnlineDpo, OnlineIpo,
    ScaleRewards, SelfRefinement, Sft, Sppo,
};

use super::setup::{Judge, Setup, rloo_on_verdicts};
use super::tabular::{ONE_TOKEN, Tabular};
use crate::support::judge as plugin;

/// What 1500 steps of 64 sampled answers may leave, at a learning rate that falls as t^−0.9.
pub(crate) const TOLERANCE: f64 = 0.03;
pub(crate) const BETA: f64 = 0.2;
const SHARE: f64 = 0.4;

/// The score of an answer, other for every prompt.
fn score(prompt: u32, y: &Answer) -> f64 {
    f64::from((y.tokens[0] * 5 + prompt * 3 + 1) % 7) / 4.0
}

/// Complementary, and transitive.
pub(crate) fn won(prompt: u32, y: &Answer, z: &Answer) -> f64 {
    1.0 / (1.0 + (score(prompt, z) - score(prompt, y)).exp())
}

pub(crate) fn setup(rival: Rival) -> Setup {
    let mut setup = Setup { rival: Some(rival), ..Setup::new() };
    setup.training.steps = 1500;
    setup.training.prompts_per_step = 16;
    setup.training.micro_batch_size = 64;
    setup.training.beta = BETA;
    setup.training.sampling.max_new_tokens = 1;
    setup.schedule.learning_rate = Curve::Power { start: 4.0, exponent: 0.9, offset: 100.0 };
    setup
}

/// The same where both orders are asked; of one order alone the first answer wins more often, by how much depends on which
/// two they are.
fn lopsided(prompt: u32, y: &Answer, z: &Answer) -> f64 {
    let fair = won(prompt, y, z);
    let place = 0.5 * f64::from((y.tokens[0] + z.tokens[0]) % 3);
    fair + place * fair.min(1.0 - fair)
}

fn train(setup: &Setup) -> Tabular {
    train_by(setup, won)
}

fn train_by(setup: &Setup, judge: fn(u32, &Answer, &Answer) -> f64) -> Tabular {
    let mut model = Tabular::new(ONE_TOKEN, setup.prompts, 0.6);
    model.shared = true;
    let told = setup.train(&mut model, &mut Judge(|prompt, y: &Answer, z: &Answer| Ok(judge(prompt, y, z))));
    assert_eq!(told.ended, Some((setup.training.steps, Ended::Finished)));
    model
}

fn check(name: &str, rival: Rival, target: &dyn Fn(&Tabular, u32) -> Vec<f64>) {
    check_setup(name, &setup(rival), target);
}

fn check_setup(name: &str, setup: &Setup, target: &dyn Fn(&Tabular, u32) -> Vec<f64>) {
    check_model(name, &train(setup), setup, target);
}

fn check_model(name: &str, model: &Tabular, setup: &Setup, target: &dyn Fn(&Tabular, u32) -> Vec<f64>) {
    for prompt in 0..setup.prompts {
        let found = model.logs(false, prompt, None, &[]);
        let wanted = target(model, prompt);
        let distance: f64 = found.iter().zip(&wanted).map(|(a, b)| 0.5 * (a.exp() - b.exp()).abs()).sum();
        assert!(distance < TOLERANCE, "{name}, prompt {prompt}: {distance}");
    }
}

/// A method by its common settings.
type Rival = fn(LanguageTraining) -> LanguageMethod;
/// log π that a run on a prompt ends at.
type Target = fn(&Tabular, u32) -> Vec<f64>;

fn nash(model: &Tabular, prompt: u32) -> NashGame {
    let answers = model.language.answers();
    let entries: Vec<Vec<f64>> = answers.iter().map(|y| answers.iter().map(|z| won(prompt, y, z)).collect()).collect();
    let reference: Vec<f64> = model.logs(true, prompt, None, &[]).into_iter().map(f64::exp).collect();
    let values = TemperatureValues { nash: BETA, ..TemperatureValues::default() };
    let game = Game::new(
        PreferenceMatrix::from_rows(&entries).unwrap(),
        Distribution::new(&reference).unwrap(),
        FollowerReference::from_rows(&vec![reference; answers.len()]).unwrap(),
        Temperatures::new(values).unwrap(),
    );
    NashGame::of(&game.unwrap())
}

fn regularised_nash(model: &Tabular, prompt: u32) -> Vec<f64> {
    nash(model, prompt).solve().log_policy
}

/// ∝ `π_ref` · exp(of(y)).
fn tilted(model: &Tabular, prompt: u32, of: impl Fn(&Answer) -> f64) -> Vec<f64> {
    let logs: Vec<f64> = model.language.answers().iter().map(|y| model.log(true, prompt, None, y) + of(y)).collect();
    let sum: f64 = logs.iter().map(|log| log.exp()).sum();
    logs.into_iter().map(|log| log - sum.ln()).collect()
}

#[test]
fn nash_methods_reach_the_regularised_nash_policy() {
    let ipo = |training| LanguageMethod::OnlineIpo(OnlineIpo { training, labels: Labels::Soft });
    check("online-ipo", ipo, &regularised_nash);
    let inpo = |training| LanguageMethod::Inpo(Inpo { training, eta: 0.4, num_iterations: 2, labels: Labels::Soft });
    check("inpo", inpo, &regularised_nash);
    check("mnpo", super::mnpo::mnpo, &regularised_nash);
    check("nash-md", nash_md, &mixture_fixed_point);
}

fn nash_md(training: LanguageTraining) -> LanguageMethod {
    LanguageMethod::NashMd(NashMd {
        training,
        own: NashMdOnLanguageModels::default(),
        mixture_coef: Curve::Constant { value: SHARE },
    })
}

fn mixture_fixed_point(model: &Tabular, prompt: u32) -> Vec<f64> {
    nash(model, prompt).mixture_fixed_point(MixtureCoefficient::new(SHARE).unwrap()).unwrap().log_policy
}

/// Unscaled, on verdicts. The mean reward of a prompt's answers is ½ whatever they are, so that an advantage is ℓ(y, π) − ½
/// in expectation: self-play again, with nothing lost to the mean.
fn grpo(training: LanguageTraining) -> LanguageMethod {
    LanguageMethod::Grpo(Grpo {
        training,
        rewards: LanguageRewards::default(),
        scale_rewards: ScaleRewards::None,
        own: GrpoOnLanguageModels { loss_type: GrpoLossType::DrGrpo, ..GrpoOnLanguageModels::default() },
        epsilon: 0.2,
        epsilon_high: None,
        num_iterations: 1,
    })
}

#[test]
fn a_judge_that_prefers_a_place_is_asked_in_both_orders() {
    let rloo = |mut training: LanguageTraining| {
        training.score_baseline = ControlVariate::LeaveOneOut;
        rloo_on_verdicts(training)
    };
    let rivals: [(&str, Rival, Target); 3] =
        [("rloo", rloo, regularised_nash), ("grpo", grpo, regularised_nash), ("nash-md", nash_md, mixture_fixed_point)];
    for (name, rival, target) in rivals {
        let setup = setup(rival);
        check_model(name, &train_by(&setup, lopsided), &setup, &target);
    }
}

/// A failed verdict leaves the other order of its pair unused too: it never becomes ½, nor half a label.
#[test]
fn nash_md_leaves_out_an_answer_of_which_one_order_failed() {
    let mut setup = setup(nash_md);
    setup.training.steps = 3;
    let mut model = Tabular::new(ONE_TOKEN, setup.prompts, 0.6);
    model.shared = true;
    // The judge is asked y against y′ and then y′ against y; of every fifth pair the second fails.
    let mut asked = 0;
    let told = setup.train(
        &mut model,
        &mut Judge(|prompt, y: &Answer, z: &Answer| {
            asked += 1;
            if asked % 10 == 0 { Err("no opinion".to_owned()) } else { Ok(lopsided(prompt, y, z)) }
        }),
    );
    assert_eq!(told.ended, Some((3, Ended::Finished)));
    assert_eq!(asked, 3 * 2 * 64);
    let failed: f64 = (1..=3).map(|step| told.metric(step, "verdicts/skipped")).sum();
    assert_eq!(failed, 38.0);
    // One pass an answer that is left.
    assert_eq!(model.told.len(), 3 * 64 - 38);
}

#[test]
fn methods_on_scores_and_labels_reach_their_own_targets() {
    let dpo = |training| LanguageMethod::OnlineDpo(OnlineDpo { training, labels: Labels::Soft });
    // Its derivatives have β as a factor.
    let mut faster = setup(dpo);
    faster.schedule.learning_rate = Curve::Power { start: 8.0, exponent: 0.9, offset: 100.0 };
    check_setup("online-dpo", &faster, &|model, prompt| tilted(model, prompt, |y| score(prompt, y) / BETA));
    let sft = |training| LanguageMethod::Sft(Sft { training, labels: Labels::Soft });
    check("sft", sft, &|model, prompt| {
        let answers = model.language.answers();
        let beaten = |y: &Answer| {
            answers.iter().map(|z| model.log(true, prompt, None, z).exp() * won(prompt, y, z)).sum::<f64>()
        };
        tilted(model, prompt, |y| beaten(y).ln())
    });
    check("grpo", grpo, &regularised_nash);
}

/// SPPO has no reference: it climbs, and here to the answer that beats all others.
#[test]
fn sppo_goes_to_the_winner_of_every_contest() {
    let sppo = |training| LanguageMethod::Sppo(Sppo { training, eta: 5.0, num_iterations: 2 });
    let mut setup = setup(sppo);
    setup.training.beta = 0.0;
    let model = train(&setup);
    for prompt in 0..setup.prompts {
        let answers = model.language.answers();
        let best = answers.iter().max_by(|y, z| score(prompt, y).total_cmp(&score(prompt, z))).unwrap();
        assert!(model.log(false, prompt, None, best) > 0.8_f64.ln());
    }
}

/// The win rate against the reference of a method that trains nothing, with four standard errors of 8,000 prompts.
fn stands(rival: Rival, of: &dyn Fn(&Tabular, &Answer) -> f64) {
    const PROMPTS: u32 = 8000;
    // All prompts are one: the table has a row for each id, and its logits are those of prompt 0.
    let mut setup = setup(rival);
    setup.training.steps = 0;
    setup.held_out = PROMPTS;
    let mut model = Tabular::new(ONE_TOKEN, setup.prompts + PROMPTS, 0.6);
    model.repeat_first_prompt();
    let told = setup.train(&mut model, &mut Judge(|_, y: &Answer, z: &Answer| Ok(won(0, y, z))));
    assert_eq!(told.ended, Some((0, Ended::Finished)));
    let row = told.evaluations.iter().find(|row| row.name == "win_rate").unwrap();
    assert_eq!((row.subject.as_str(), row.n), ("leader/reference", u64::from(PROMPTS)));
    let answers = model.language.answers();
    let log = |y: &Answer| model.log(true, 0, None, y).exp();
    let against = |y: &Answer| answers.iter().map(|z| log(z) * won(0, y, z)).sum::<f64>();
    let expected: f64 = answers.iter().map(|y| of(&model, y) * against(y)).sum();
    assert!((row.value - expected).abs() < 4.0 * 0.3 / f64::from(PROMPTS).sqrt(), "{} {expected}", row.value);
    assert!((expected - 0.5).abs() > 0.02, "{expected}");
}

#[test]
fn best_of_n_wins_as_often_as_the_distribution_of_the_best_says() {
    fn of(model: &Tabular, y: &Answer) -> f64 {
        let answers = model.language.answers();
        let below = |strictly: bool| {
            let counts = |z: &&Answer| if strictly { score(0, z) < score(0, y) } else { score(0, z) <= score(0, y) };
            answers.iter().filter(counts).map(|z| model.log(true, 0, None, z).exp()).sum::<f64>()
        };
        below(false).powi(4) - below(true).powi(4)
    }
    stands(|training| LanguageMethod::BestOfN(BestOfN { training, rewards: LanguageRewards::default() }), &of);
}

#[test]
fn a_reward_plugin_chooses_the_best_of_n_too() {
    // As a reward plugin this judge gives every answer 0.5: the first is taken, which is an answer of the reference.
    let rival = |training| {
        LanguageMethod::BestOfN(BestOfN {
            training,
            rewards: LanguageRewards { reward: Some(plugin().plugin), reward_model: None },
        })
    };
    let mut setup = setup(rival);
    setup.training.steps = 0;
    setup.held_out = 8;
    let mut model = Tabular::new(ONE_TOKEN, setup.prompts + 8, 0.6);
    let told = setup.train(&mut model, &mut Judge(|_, y: &Answer, z: &Answer| Ok(won(0, y, z))));
    assert_eq!(told.evaluations.iter().filter(|row| row.name == "win_rate").count(), 1);
    assert_eq!(told.notes, Vec::<String>::new());
}

#[test]
fn self_refinement_is_the_reference_on_its_own_answer() {
    let of = |model: &Tabular, y: &Answer| {
        let first = model.language.answers();
        first.iter().map(|z| (model.log(true, 0, None, z) + model.log(true, 0, Some(z), y)).exp()).sum()
    };
    let rival = |training| {
        let instruction = "Improve it.".to_owned();
        LanguageMethod::SelfRefinement(SelfRefinement { training, rounds: 1, turn: Instruction { instruction } })
    };
    stands(rival, &of);
}
