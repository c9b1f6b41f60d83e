//! Methods that learn from the pairs of a file: their steps against central differences of the published losses, where they end, what is
//! measured of held-out pairs, and that a run that is cut goes on to the same bits.

use slhf_learn::Ended;
use slhf_learn::language::{Answer, Evaluators, LabeledPair, NobodyJudges, PreferencePairs};
use slhf_plan::{Curve, Dpo, Ipo, Labels, LanguageMethod, LanguageTraining, LogRatio, OnlineDpo, SftChosen};

use super::setup::{Setup, Told, prompt};
use super::tabular::{Language, ONE_TOKEN, TWO_TOKENS, Tabular};

const BETA: f64 = 0.2;
const SMOOTHING: f64 = 0.1;

fn of_dpo(training: LanguageTraining, labels: Labels, log_ratio: LogRatio, label_smoothing: f64) -> LanguageMethod {
    LanguageMethod::Dpo(Dpo { pairs_per_step: PAIRS, labels, log_ratio, label_smoothing, training })
}

/// As many as the files below have: every step sees all of them.
const PAIRS: u32 = 14;

fn dpo(training: LanguageTraining) -> LanguageMethod {
    of_dpo(training, Labels::Soft, LogRatio::Sum, 0.0)
}

fn hard_dpo(training: LanguageTraining) -> LanguageMethod {
    of_dpo(training, Labels::Hard, LogRatio::Sum, 0.0)
}

fn smoothed_dpo_of_means(training: LanguageTraining) -> LanguageMethod {
    of_dpo(training, Labels::Soft, LogRatio::Mean, SMOOTHING)
}

fn ipo(training: LanguageTraining) -> LanguageMethod {
    LanguageMethod::Ipo(Ipo { pairs_per_step: PAIRS, labels: Labels::Soft, log_ratio: LogRatio::Sum, training })
}

fn ipo_of_means(training: LanguageTraining) -> LanguageMethod {
    LanguageMethod::Ipo(Ipo { pairs_per_step: PAIRS, labels: Labels::Soft, log_ratio: LogRatio::Mean, training })
}

fn sft(training: LanguageTraining) -> LanguageMethod {
    LanguageMethod::SftChosen(SftChosen { pairs_per_step: PAIRS, labels: Labels::Soft, training })
}

/// Every pair of a step, and a learning rate; nobody judges.
fn setup(method: fn(LanguageTraining) -> LanguageMethod, pairs: Vec<LabeledPair>) -> Setup {
    let mut setup = Setup::new();
    setup.training.steps = 1;
    setup.training.prompts_per_step = 1;
    setup.training.num_generations = 1;
    setup.training.beta =
        if matches!(method(setup.training.clone()), LanguageMethod::SftChosen(_)) { 0.0 } else { BETA };
    setup.rival = Some(method);
    setup.pairs = PreferencePairs { training: pairs, held_out: Vec::new() };
    setup.is_judged = false;
    setup
}

fn pair(language: Language, (number, first, second): (u32, usize, usize), first_is_better: f64) -> LabeledPair {
    let answers = language.answers();
    LabeledPair {
        prompt: prompt(number),
        responses: [answers[first].clone(), answers[second].clone()],
        first_is_better,
    }
}

/// Pairs of answers of different lengths to two prompts, with sure labels, probabilities and a tie.
fn mixed() -> Vec<LabeledPair> {
    let labels = [1.0, 0.0, 0.3, 0.5, 0.9, 1.0, 0.0];
    let places = [(0, 0, 1), (0, 2, 0), (0, 3, 4), (1, 5, 0), (1, 6, 2), (1, 1, 5), (0, 6, 0)];
    let pairs = places.into_iter().zip(labels).map(|(place, label)| pair(TWO_TOKENS, place, label));
    let pairs: Vec<LabeledPair> = pairs.collect();
    // A row may stand there twice.
    pairs.iter().chain(&pairs).cloned().collect()
}

fn log_sigma(z: f64) -> f64 {
    (1.0 / (1.0 + (-z).exp())).ln()
}

fn logs(model: &Tabular, pair: &LabeledPair) -> [f64; 2] {
    pair.responses.each_ref().map(|answer| model.log(false, pair.prompt.id, None, answer))
}

/// log π − log `π_ref` of both responses.
fn ratios(model: &Tabular, pair: &LabeledPair) -> [f64; 2] {
    let of = |answer: &Answer| {
        model.log(false, pair.prompt.id, None, answer) - model.log(true, pair.prompt.id, None, answer)
    };
    pair.responses.each_ref().map(of)
}

fn mean_ratios(model: &Tabular, pair: &LabeledPair) -> [f64; 2] {
    let [first, second] = ratios(model, pair);
    let [one, other] = pair.responses.each_ref().map(|answer| answer.tokens.len() as f64);
    [first / one, second / other]
}

/// Equation 7 of arXiv 2305.18290, over labels drawn from ℓ.
fn published_dpo([first, second]: [f64; 2], label: f64) -> f64 {
    let h = first - second;
    -label * log_sigma(BETA * h) - (1.0 - label) * log_sigma(-BETA * h)
}

/// Equation 17 of arXiv 2310.12036, over labels drawn from ℓ.
fn published_ipo([first, second]: [f64; 2], label: f64) -> f64 {
    let of = |h: f64| (h - 1.0 / (2.0 * BETA)).powi(2);
    label * of(first - second) + (1.0 - label) * of(second - first)
}

/// −log π of the better response's tokens, as the mean over all of them.
fn likelihood(model: &Tabular, pairs: &[LabeledPair]) -> f64 {
    let (mut loss, mut tokens) = (0.0, 0.0);
    for pair in pairs {
        let label = pair.first_is_better;
        let [first, second] = logs(model, pair);
        loss -= label * first + (1.0 - label) * second;
        let [one, other] = pair.responses.each_ref().map(|answer| answer.tokens.len() as f64);
        tokens += label * one + (1.0 - label) * other;
    }
    loss / tokens
}

type Published = dyn Fn(&Tabular, &[LabeledPair]) -> f64;
type OfTraining = fn(LanguageTraining) -> LanguageMethod;

fn mean_over(of: impl Fn(&Tabular, &LabeledPair) -> f64) -> impl Fn(&Tabular, &[LabeledPair]) -> f64 {
    move |model, pairs| pairs.iter().map(|pair| of(model, pair)).sum::<f64>() / pairs.len() as f64
}

fn smoothed(label: f64) -> f64 {
    (1.0 - SMOOTHING) * label + SMOOTHING * (1.0 - label)
}

#[test]
fn a_step_goes_down_the_gradient_of_the_published_loss() {
    const STEP: f64 = 1e-5;
    let rounded = |label: f64| if label == 0.5 { label } else { label.round() };
    let published: [(&str, OfTraining, Box<Published>); 6] = [
        ("dpo", dpo, Box::new(mean_over(|model, pair| published_dpo(ratios(model, pair), pair.first_is_better)))),
        (
            "dpo, hard",
            hard_dpo,
            Box::new(mean_over(move |model, pair| published_dpo(ratios(model, pair), rounded(pair.first_is_better)))),
        ),
        (
            "dpo, smoothed, of means",
            smoothed_dpo_of_means,
            Box::new(mean_over(|model, pair| published_dpo(mean_ratios(model, pair), smoothed(pair.first_is_better)))),
        ),
        ("ipo", ipo, Box::new(mean_over(|model, pair| published_ipo(ratios(model, pair), pair.first_is_better)))),
        (
            "ipo, of means",
            ipo_of_means,
            Box::new(mean_over(|model, pair| published_ipo(mean_ratios(model, pair), pair.first_is_better))),
        ),
        ("sft-chosen", sft, Box::new(likelihood)),
    ];
    for (name, method, loss) in published {
        let pairs = mixed();
        let mut setup = setup(method, pairs.clone());
        setup.schedule.learning_rate = Curve::Constant { value: 1.0 };
        let before = Tabular::new(TWO_TOKENS, 2, 0.6);
        let mut after = before.clone();
        let told = setup.train(&mut after, &mut NobodyJudges);
        assert_eq!(told.ended, Some((1, Ended::Finished)), "{name}");
        assert!((told.metric(1, "loss/leader") - loss(&before, &pairs)).abs() < 1e-12, "{name}");
        let mut largest: f64 = 0.0;
        for index in 0..before.parameters.len() {
            let at = |distance: f64| {
                let mut moved = before.clone();
                moved.parameters[index] += distance;
                loss(&moved, &pairs)
            };
            let expected = (at(STEP) - at(-STEP)) / (2.0 * STEP);
            let found = before.parameters[index] - after.parameters[index];
            assert!((found - expected).abs() < 1e-8, "{name}, parameter {index}: {found} is not {expected}");
            largest = largest.max(expected.abs());
        }
        assert!(largest > 1e-3, "{name}: a gradient of nothing");
    }
}

/// Rows (better, other) of one-token answers to one prompt, each so many times.
fn rows(counted: &[(usize, usize, usize)]) -> Vec<LabeledPair> {
    let of = |(better, other, count): &(usize, usize, usize)| {
        // Either may stand first.
        let row = |number: usize| {
            if number.is_multiple_of(2) {
                pair(ONE_TOKEN, (0, *better, *other), 1.0)
            } else {
                pair(ONE_TOKEN, (0, *other, *better), 0.0)
            }
        };
        (0..*count).map(row).collect::<Vec<_>>()
    };
    counted.iter().flat_map(of).collect()
}

/// Where descent ends on these rows, at a learning rate that the loss is not too steep for.
fn end(method: fn(LanguageTraining) -> LanguageMethod, pairs: Vec<LabeledPair>, rate: f64) -> Tabular {
    let mut setup = setup(method, pairs);
    setup.training.steps = 4000;
    setup.schedule.learning_rate = Curve::Constant { value: rate };
    let mut model = Tabular::new(ONE_TOKEN, 1, 0.6);
    let told = setup.train(&mut model, &mut NobodyJudges);
    assert_eq!(told.ended, Some((4000, Ended::Finished)));
    model
}

fn assert_policy(model: &Tabular, expected: &[f64], what: &str) {
    let found: Vec<f64> = model.logs(false, 0, None, &[]).into_iter().map(f64::exp).collect();
    let worst = found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(worst < 1e-6, "{what}: {found:?} instead of {expected:?}");
}

/// ∝ `π_ref` exp(of).
fn tilted(model: &Tabular, of: [f64; 3]) -> Vec<f64> {
    let weights: Vec<f64> =
        model.logs(true, 0, None, &[]).iter().zip(of).map(|(log, tilt)| (log + tilt).exp()).collect();
    let sum: f64 = weights.iter().sum();
    weights.into_iter().map(|weight| weight / sum).collect()
}

/// Every pair at the frequencies of a Bradley–Terry model of r = (0, ln 2, ln 6): odds of 2, 3 and 6.
fn bradley_terry() -> Vec<LabeledPair> {
    rows(&[(1, 0, 2), (0, 1, 1), (2, 1, 3), (1, 2, 1), (2, 0, 6), (0, 2, 1)])
}

#[test]
fn dpo_ends_at_the_policy_of_the_rewards_behind_the_pairs() {
    assert_eq!(bradley_terry().len(), PAIRS as usize);
    let found = end(dpo, bradley_terry(), 40.0);
    let rewards = [0.0, 2.0_f64.ln(), 6.0_f64.ln()];
    assert_policy(&found, &tilted(&found, rewards.map(|reward| reward / BETA)), "dpo");
}

/// Every pair 4 times, with ℓ = ¾, ½ and 1.
#[test]
fn ipo_ends_at_the_policy_of_mean_win_rates() {
    fn method(training: LanguageTraining) -> LanguageMethod {
        LanguageMethod::Ipo(Ipo { pairs_per_step: 12, labels: Labels::Soft, log_ratio: LogRatio::Sum, training })
    }
    let pairs = rows(&[(1, 0, 3), (0, 1, 1), (2, 1, 2), (1, 2, 2), (2, 0, 4)]);
    assert_eq!(pairs.len(), 12);
    let found = end(method, pairs, 0.3);
    // Each against all three, itself at ½.
    let win_rates = [(0.5 + 0.25 + 0.0) / 3.0, (0.75 + 0.5 + 0.5) / 3.0, (1.0 + 0.5 + 0.5) / 3.0];
    assert_policy(&found, &tilted(&found, win_rates.map(|rate| rate / BETA)), "ipo");
}

#[test]
fn likelihood_ends_at_the_distribution_of_chosen_responses() {
    let found = end(sft, bradley_terry(), 2.0);
    assert_policy(&found, &[2.0 / 14.0, 3.0 / 14.0, 9.0 / 14.0], "sft-chosen");
}

/// Held-out prompts have the next numbers.
fn measured() -> (Setup, Vec<LabeledPair>) {
    fn method(training: LanguageTraining) -> LanguageMethod {
        LanguageMethod::Dpo(Dpo {
            pairs_per_step: 4,
            labels: Labels::Soft,
            log_ratio: LogRatio::Sum,
            label_smoothing: 0.0,
            training,
        })
    }
    let held_out: Vec<LabeledPair> =
        [((2, 0, 1), 1.0), ((2, 3, 6), 0.0), ((3, 2, 5), 0.25), ((3, 4, 0), 0.5), ((4, 1, 6), 1.0)]
            .map(|(place, label)| pair(TWO_TOKENS, place, label))
            .to_vec();
    let mut setup = setup(method, mixed());
    setup.training.steps = 6;
    setup.training.micro_batch_size = 3;
    setup.held_out = 3;
    setup.pairs.held_out.clone_from(&held_out);
    setup.evaluation_every = 3;
    setup.checkpoint_every = 2;
    (setup, held_out)
}

#[test]
fn held_out_pairs_are_measured_and_nobody_is_asked() {
    let (setup, held_out) = measured();
    let mut model = Tabular::new(TWO_TOKENS, 5, 0.6);
    let before = model.clone();
    let told = setup.train(&mut model, &mut NobodyJudges);
    assert_eq!(told.ended, Some((6, Ended::Finished)));
    let row = |step: u64, name: &str| {
        let of =
            |row: &&slhf_plan::EvaluationRow| row.step == step && row.name == name && row.subject == "held-out pairs";
        told.evaluations.iter().find(of).unwrap_or_else(|| panic!("{name} at {step}"))
    };
    // On the way two held-out prompts are asked, in the end all three.
    for (step, model, asked) in [(0, &before, 4), (6, &model, 5)] {
        let pairs = &held_out[..asked];
        let loss = mean_over(|model, pair| published_dpo(ratios(model, pair), pair.first_is_better))(model, pairs);
        let found = row(step, "loss/leader");
        assert!((found.value - loss).abs() < 1e-12 && found.n == asked as u64, "{found:?}");
        // The tie has no better response.
        let better = |pair: &LabeledPair| {
            let [first, second] = ratios(model, pair);
            (pair.first_is_better != 0.5).then_some((first - second) * (pair.first_is_better - 0.5).signum())
        };
        let margins: Vec<f64> = pairs.iter().filter_map(better).collect();
        let share = margins.iter().filter(|margin| **margin > 0.0).count() as f64 / margins.len() as f64;
        let found = row(step, "rewards/accuracies");
        assert!((found.value - share).abs() < 1e-12 && found.n == asked as u64 - 1, "{found:?}");
        let mean = BETA * margins.iter().sum::<f64>() / margins.len() as f64;
        assert!((row(step, "rewards/margins").value - mean).abs() < 1e-12);
        let difference = row(step, "rewards/chosen").value - row(step, "rewards/rejected").value;
        assert!((difference - mean).abs() < 1e-12);
        assert!(row(step, "logps/chosen").value < 0.0 && row(step, "logps/rejected").value < 0.0);
    }
    assert!(told.evaluations.iter().all(|row| !row.name.to_string().starts_with("win_rate")), "nobody judges");
    assert!(told.evaluations.iter().any(|row| row.name == "mean_length" && row.subject == "leader"));
    let recorded: Vec<&slhf_plan::CompletionRow> =
        told.completions.iter().filter(|row| row.step == 6 && row.role == "held-out/leader").collect();
    let answers = TWO_TOKENS.answers();
    let ratio = |row: &&slhf_plan::CompletionRow| {
        let answer = answers.iter().find(|answer| *answer.text == *row.text).unwrap();
        let number = row.prompt.strip_prefix("question ").unwrap().parse().unwrap();
        model.log(false, number, None, answer) - model.log(true, number, None, answer)
    };
    let divergence = recorded.iter().map(ratio).sum::<f64>() / recorded.len() as f64;
    let of_leader = |row: &&slhf_plan::EvaluationRow| row.step == 6 && row.name == "objective/kl_leader";
    let found = told.evaluations.iter().find(of_leader).unwrap();
    assert!((found.value - divergence).abs() < 1e-12 && found.n == 3, "{found:?}");
    // Responses of the file are in the file; those of held-out prompts are recorded, without a verdict.
    assert!(!told.completions.is_empty() && told.completions.iter().all(|row| row.probability.is_none()));
    assert_eq!(told.metric(1, "epoch"), 4.0 / 14.0);
    for key in ["rewards/chosen", "rewards/rejected", "rewards/margins", "rewards/accuracies", "logps/chosen"] {
        assert!(told.metric(6, key).is_finite(), "{key}");
    }
}

#[test]
fn a_run_that_is_cut_goes_on_to_the_same_bits() {
    let (setup, _) = measured();
    let start = || Tabular::new(TWO_TOKENS, 5, 0.6);
    let mut finished = start();
    let whole = setup.train(&mut finished, &mut NobodyJudges);
    for cut in 1..6 {
        let mut first = Told { stop_at: Some(cut), ..Told::default() };
        setup.trainer().train(&mut start(), &mut NobodyJudges, &mut Evaluators::default(), &mut first).unwrap();
        let (at, bytes) = first.checkpoints.last().unwrap();
        assert_eq!(*at, cut);
        let mut policies = start();
        policies.parameters.fill(9.0);
        let mut again = setup.trainer();
        again.restore(bytes, &mut policies).unwrap();
        let mut second = Told::default();
        again.train(&mut policies, &mut NobodyJudges, &mut Evaluators::default(), &mut second).unwrap();
        let bits = |model: &Tabular| model.parameters.iter().map(|number| number.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&policies), bits(&finished), "cut at {cut}");
        let after = |told: &Told| told.metrics.iter().filter(|(at, _)| *at > cut).cloned().collect::<Vec<_>>();
        assert!(after(&second) == after(&whole), "cut at {cut}");
        let rows = |told: &Told| told.evaluations.iter().filter(|row| row.step > cut).cloned().collect::<Vec<_>>();
        assert_eq!(rows(&second), rows(&whole), "cut at {cut}");
    }
}

#[test]
fn what_does_not_fit_together_is_refused() {
    let (mut setup, _) = measured();
    setup.rival = Some(|training| LanguageMethod::OnlineDpo(OnlineDpo { labels: Labels::Soft, training }));
    setup.training.num_generations = 2;
    let said = setup.refusal();
    assert!(said.contains("data.pairs") && said.contains("use dpo, ipo or sft-chosen"), "{said}");
    setup.pairs = PreferencePairs::default();
    let said = setup.refusal();
    assert!(said.contains("judge") && said.contains("online-dpo needs a [judge] table"), "{said}");

    let (mut setup, held_out) = measured();
    setup.pairs = PreferencePairs::default();
    let said = setup.refusal();
    assert!(said.contains("data.prompts") && said.contains("or use online-dpo"), "{said}");
    // All of its pairs were lost on the way.
    setup.pairs.held_out = held_out;
    let mut told = Told::default();
    let lost = setup.trainer().train(
        &mut Tabular::new(TWO_TOKENS, 5, 0.6),
        &mut NobodyJudges,
        &mut Evaluators::default(),
        &mut told,
    );
    let said = lost.unwrap_err().to_string();
    assert!(said.contains("leaves no pair to train on"), "{said}");
}
