//! Training of reward models on a table of values, where the optimum is known in closed form.

use std::sync::Arc;

use slhf_learn::language::LanguageObserver;
use slhf_learn::reward::{PairSource, PairTarget, RatingTarget, RewardTrainer, TrainedPair, ValueModel};
use slhf_learn::{Cause, Ended, Measurement};
use slhf_plan::{
    AdapterPlan, AttributeLoss, CheckpointKeep, CompletionRow, Curve, EvaluationRow, LogLevel, MetricKey,
    ModelDevicePlan, ModelOptimizer, ModelPlan, ModelPrecision, OnBadRow, OverLong, PROCESS_TIMEOUT_S, PairDataPlan,
    PairLayout, Passed, RewardHeadPlan, RewardTraining, RewardTrainingPlan, SavedModel, ScheduleRow,
};

/// A value a label for each token; a text has the values of its last token.
#[derive(Clone)]
struct Table {
    values: Vec<Vec<f64>>,
    gradient: Vec<Vec<f64>>,
}

impl Table {
    fn new(tokens: usize, labels: usize) -> Self {
        let value = |token: usize, label: usize| 0.1 * ((token * 7 + label * 3) % 5) as f64 - 0.2;
        let values = (0..tokens).map(|token| (0..labels).map(|label| value(token, label)).collect()).collect();
        Self { values, gradient: vec![vec![0.0; labels]; tokens] }
    }

    fn of(&self, text: &[u32]) -> Vec<f64> {
        self.values[text[text.len() - 1] as usize].clone()
    }
}

impl ValueModel for Table {
    fn pass(
        &mut self,
        texts: &[&[u32]],
        _: u64,
        _: u32,
        weigh: &mut dyn FnMut(&[Vec<f64>]) -> Result<Vec<Vec<f64>>, Cause>,
    ) -> Result<Passed, Cause> {
        let values: Vec<Vec<f64>> = texts.iter().map(|text| self.of(text)).collect();
        for (text, row) in texts.iter().zip(weigh(&values)?) {
            let into = &mut self.gradient[text[text.len() - 1] as usize];
            into.iter_mut().zip(row).for_each(|(sum, number)| *sum += number);
        }
        let tokens = texts.iter().map(|text| text.len() as u64).sum();
        Ok(Passed { tokens, operations: 1.0, forward_passes: 1 })
    }

    fn values(&mut self, text: &[u32]) -> Result<Vec<f64>, Cause> {
        Ok(self.of(text))
    }

    fn update(&mut self, learning_rate: f64, _: f64) -> Result<f64, Cause> {
        let mut square = 0.0;
        for (values, gradient) in self.values.iter_mut().zip(&mut self.gradient) {
            for (value, number) in values.iter_mut().zip(gradient.iter_mut()) {
                square += *number * *number;
                *value -= learning_rate * *number;
                *number = 0.0;
            }
        }
        Ok(square.sqrt())
    }

    fn save(&self) -> Result<Vec<u8>, Cause> {
        Ok(self.values.iter().flatten().flat_map(|value| value.to_le_bytes()).collect())
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), Cause> {
        let mut numbers = state.as_chunks::<8>().0.iter().map(|bytes| f64::from_le_bytes(*bytes));
        self.values.iter_mut().flatten().for_each(|value| *value = numbers.next().unwrap());
        Ok(())
    }
}

/// Keeps what it is given, and stops after so many steps.
#[derive(Default)]
struct Kept {
    metrics: Vec<(u64, Measurement)>,
    rows: Vec<EvaluationRow>,
    checkpoint: Option<(u64, Vec<u8>)>,
    ended: Option<Ended>,
    stop_after: Option<u64>,
}

impl LanguageObserver for Kept {
    fn stop_requested(&self) -> bool {
        self.stop_after.is_some_and(|steps| self.metrics.len() as u64 >= steps)
    }
    fn note(&mut self, _: LogLevel, _: &str) -> Result<(), Cause> {
        Ok(())
    }
    fn metrics(&mut self, step: u64, measurement: &Measurement) -> Result<(), Cause> {
        self.metrics.push((step, measurement.clone()));
        Ok(())
    }
    fn schedule(&mut self, _: ScheduleRow) -> Result<(), Cause> {
        Ok(())
    }
    fn completions(&mut self, _: Vec<CompletionRow>) -> Result<(), Cause> {
        Ok(())
    }
    fn evaluations(&mut self, rows: Vec<EvaluationRow>) -> Result<(), Cause> {
        self.rows.extend(rows);
        Ok(())
    }
    fn checkpoint(&mut self, step: u64, state: &[u8]) -> Result<(), Cause> {
        self.checkpoint = Some((step, state.to_vec()));
        Ok(())
    }
    fn progress(&mut self, _: u64) -> Result<(), Cause> {
        Ok(())
    }
    fn ended(&mut self, _: u64, ended: Ended) -> Result<(), Cause> {
        self.ended = Some(ended);
        Ok(())
    }
}

impl Kept {
    fn last(&self, name: &str, subject: &str) -> &EvaluationRow {
        let is_it = |row: &&EvaluationRow| row.name == name && row.subject == subject;
        self.rows.iter().rev().find(is_it).unwrap_or_else(|| panic!("{name} of {subject}"))
    }
}

fn plan(head: RewardHeadPlan, steps: u64) -> RewardTrainingPlan {
    RewardTrainingPlan {
        run: 1,
        seed: 3,
        device: ModelDevicePlan {
            name: "cpu".into(),
            threads: 1,
            precision: ModelPrecision::F32,
            processes: 1,
            process_timeout_s: PROCESS_TIMEOUT_S,
            sampler: None,
        },
        model: ModelPlan {
            name: String::new(),
            path: String::new(),
            sha256: String::new(),
            adapter: AdapterPlan::Full,
            weights: slhf_plan::ModelWeights::F32,
            activation_checkpointing: false,
            thinking: false,
            chat_template: None,
        },
        data: PairDataPlan {
            path: String::new(),
            sha256: String::new(),
            layout: PairLayout::Pairs,
            attribute: None,
            held_out: 1,
            split_seed: 0,
            training_pairs: None,
            max_tokens: 8,
            over_long: OverLong::Drop,
            system: String::new(),
            on_bad_row: OnBadRow::Error,
        },
        head,
        training: RewardTraining {
            steps,
            pairs_per_step: 6,
            micro_batch_size: 4,
            optimizer: ModelOptimizer::Sgd,
            max_grad_norm: 0.0,
            learning_rate: Curve::Constant { value: 1.0 },
            warmup_steps: 0,
        },
        evaluation_every: 0,
        checkpoint_every: 1_000_000,
        checkpoint_keep: CheckpointKeep::default(),
        save: SavedModel::Merged,
    }
}

fn pair(prompt: u32, [first, second]: [u32; 2], label: f64, characters: [u32; 2]) -> TrainedPair {
    let text = |token: u32| -> Arc<[u32]> { Arc::from(vec![9, token]) };
    let target = PairTarget { first_is_better: Some(label), ..PairTarget::default() };
    TrainedPair { prompt, texts: [text(first), text(second)], characters, target }
}

/// Six pairs among three responses whose labels are those of rewards −1, 0.5 and 1.
fn consistent() -> Vec<TrainedPair> {
    let rewards = [-1.0, 0.5, 1.0_f64];
    let label = |a: usize, b: usize| 1.0 / (1.0 + (rewards[b] - rewards[a]).exp());
    let of = |prompt: u32, a: usize, b: usize| pair(prompt, [a as u32, b as u32], label(a, b), [10, 10]);
    vec![of(0, 0, 1), of(1, 1, 2), of(2, 0, 2), of(3, 1, 0), of(4, 2, 1), of(5, 2, 0)]
}

fn trained(plan: &RewardTrainingPlan, source: &PairSource, model: &mut Table) -> Kept {
    let mut observer = Kept::default();
    let mut trainer = RewardTrainer::new(plan, source.clone()).unwrap();
    trainer.train(model, &mut observer).unwrap();
    assert_eq!(observer.ended, Some(Ended::Finished));
    observer
}

#[test]
fn soft_labels_end_at_their_logits_and_centering_fixes_where_zero_is() {
    let source = PairSource { training: consistent(), held_out: consistent() };
    let mut model = Table::new(3, 1);
    let _ = trained(&plan(RewardHeadPlan::BradleyTerry { margin: 0.0, centering: 0.0 }, 3000), &source, &mut model);
    let value = |model: &Table, token: usize| model.values[token][0];
    assert!((value(&model, 1) - value(&model, 0) - 1.5).abs() < 1e-6, "{:?}", model.values);
    assert!((value(&model, 2) - value(&model, 1) - 0.5).abs() < 1e-6, "{:?}", model.values);
    // With a pull, the mean of rewards is 0 and their differences are nearly the same.
    let mut centered = Table::new(3, 1);
    let found =
        trained(&plan(RewardHeadPlan::BradleyTerry { margin: 0.0, centering: 1e-3 }, 3000), &source, &mut centered);
    let mean: f64 = (0..3).map(|token| value(&centered, token)).sum::<f64>() / 3.0;
    assert!(mean.abs() < 1e-6, "{mean}");
    assert!((value(&centered, 1) - value(&centered, 0) - 1.5).abs() < 0.05);
    // At the optimum the log loss is the labels' own entropy, and probabilities are what they say.
    let entropy = |p: f64| -p * p.ln() - (1.0 - p) * (1.0 - p).ln();
    let own: f64 = consistent().iter().map(|pair| entropy(pair.target.first_is_better.unwrap())).sum::<f64>() / 6.0;
    assert!((found.last("reward_model/log_loss", "held-out pairs").value - own).abs() < 1e-4);
    assert!(found.last("reward_model/ece", "held-out pairs").value < 0.02);
    assert!((found.last("reward_model/accuracy", "held-out pairs").value - 1.0).abs() < 1e-12);
    let drift = found.last("reward_model/drift", "reward").value;
    let start: f64 = Table::new(3, 1).values.iter().flatten().sum::<f64>() / 3.0;
    assert!((drift - (mean - start)).abs() < 1e-9, "{drift}");
}

#[test]
fn ratings_are_met_and_a_cycle_is_said_by_a_turning_head_alone() {
    let rating =
        |values: [f64; 2]| RatingTarget { values, first_is_better: f64::from(u8::from(values[0] > values[1])) };
    let mut rated = consistent();
    for pair in &mut rated {
        let of = |side: usize| f64::from(pair.texts[side][1]);
        pair.target = PairTarget { ratings: vec![Some(rating([of(0), of(1)])), None], ..PairTarget::default() };
    }
    let labels = vec!["rated".to_owned(), "unrated".to_owned()];
    let head = RewardHeadPlan::Attributes { labels, loss: AttributeLoss::Regression, centering: 0.0 };
    let mut model = Table::new(3, 2);
    let found = trained(&plan(head, 400), &PairSource { training: rated.clone(), held_out: rated }, &mut model);
    for token in 0..3 {
        assert!((model.values[token][0] - token as f64).abs() < 1e-6, "{:?}", model.values);
        assert!((model.values[token][1] - Table::new(3, 2).values[token][1]).abs() < 1e-15, "nobody rated it");
    }
    assert!(found.last("reward_model/squared_error", "rated").value < 1e-9);

    let cycle = |prompt: u32, a: u32| pair(prompt, [a, (a + 1) % 3], 1.0, [10, 10]);
    let pairs: Vec<TrainedPair> = (0..6).map(|prompt| cycle(prompt, prompt % 3)).collect();
    let source = PairSource { training: pairs.clone(), held_out: pairs };
    let accuracy = |head: RewardHeadPlan, labels: usize| {
        let mut model = Table::new(3, labels);
        trained(&plan(head, 2000), &source, &mut model).last("reward_model/accuracy", "held-out pairs").value
    };
    assert!((accuracy(RewardHeadPlan::GeneralPreference { blocks: 1, tau: 1.0 }, 2) - 1.0).abs() < 1e-12);
    assert!(accuracy(RewardHeadPlan::BradleyTerry { margin: 0.0, centering: 0.0 }, 1) <= 2.0 / 3.0 + 1e-12);
}

#[test]
fn what_lengths_say_is_measured_on_the_same_pairs() {
    // The longer one is better in training; of the held-out pairs in one of three.
    let training = (0..6).map(|prompt| pair(prompt, [0, 1], 1.0, [30, 10])).collect();
    let held_out = vec![
        pair(6, [0, 1], 1.0, [30, 10]),
        pair(7, [0, 1], 1.0, [10, 12]),
        pair(8, [1, 0], 0.0, [90, 20]),
        pair(9, [0, 1], 0.5, [5, 9]),
    ];
    let head = RewardHeadPlan::BradleyTerry { margin: 0.0, centering: 0.0 };
    let found = trained(&plan(head, 10), &PairSource { training, held_out }, &mut Table::new(2, 1));
    let of = |subject: &str| {
        let row = found.last("reward_model/accuracy", subject);
        (row.value, row.n)
    };
    assert_eq!(of("held-out pairs"), (1.0, 3), "a tie does not count");
    assert_eq!(of("length only").1, 3);
    assert!((of("length only").0 - 1.0 / 3.0).abs() < 1e-12);
    assert_eq!(of("random"), (0.5, 3));
    assert_eq!((of("the better one is longer").1, of("the better one is shorter").1), (1, 2));
    assert_eq!(of("length only, the better one is shorter").0, 0.0);
    let parts = found.rows.iter().filter(|row| row.step == 10 && row.subject.ends_with("characters apart"));
    let counted: u64 = parts.filter(|row| !row.subject.starts_with("length only")).map(|row| row.n).sum();
    assert_eq!(counted, 3);
    let interval = found.last("reward_model/accuracy", "length only").interval.unwrap();
    assert!(interval.0 < 0.2 && interval.1 > 0.6, "{interval:?}");
}

#[test]
fn a_run_that_is_cut_anywhere_ends_at_the_same_bits() {
    let source = PairSource { training: consistent(), held_out: consistent() };
    let plan = plan(RewardHeadPlan::BradleyTerry { margin: 0.0, centering: 0.01 }, 12);
    let mut whole = Table::new(3, 1);
    let expected = trained(&plan, &source, &mut whole);
    for cut in 0..12 {
        let mut observer = Kept { stop_after: Some(cut), ..Kept::default() };
        let mut first = Table::new(3, 1);
        RewardTrainer::new(&plan, source.clone()).unwrap().train(&mut first, &mut observer).unwrap();
        assert_eq!(observer.ended, Some(Ended::Interrupted));
        let (step, bytes) = observer.checkpoint.unwrap();
        assert_eq!(step, cut);
        let mut second = Table::new(3, 1);
        let mut trainer = RewardTrainer::new(&plan, source.clone()).unwrap();
        trainer.restore(&bytes, &mut second).unwrap();
        let mut rest = Kept::default();
        trainer.train(&mut second, &mut rest).unwrap();
        assert_eq!(second.values, whole.values, "{cut}");
        observer.rows.extend(rest.rows);
        assert_eq!(observer.rows, expected.rows, "{cut}");
        observer.metrics.extend(rest.metrics);
        let figures = |metrics: &[(u64, Measurement)]| -> Vec<(u64, Vec<u64>)> {
            let own = |measurement: &Measurement| {
                let pairs = measurement.keys.iter().zip(&measurement.values);
                pairs.filter(|(key, _)| !key.is_of_machine()).map(|(_, value)| value.to_bits()).collect()
            };
            metrics.iter().map(|(step, measurement)| (*step, own(measurement))).collect()
        };
        assert_eq!(figures(&observer.metrics), figures(&expected.metrics), "{cut}");
    }
}

#[test]
fn a_loss_that_is_no_number_ends_the_run_in_a_sentence() {
    let source = PairSource { training: consistent(), held_out: consistent() };
    let mut broken = Table::new(3, 1);
    broken.values[1][0] = f64::NAN;
    let mut observer = Kept::default();
    let plan = plan(RewardHeadPlan::BradleyTerry { margin: 0.0, centering: 0.0 }, 3);
    RewardTrainer::new(&plan, source).unwrap().train(&mut broken, &mut observer).unwrap();
    let Some(Ended::Failed(sentence)) = observer.ended else { panic!("{:?}", observer.ended) };
    assert!(sentence.starts_with("step 1: the loss of a pair is NaN; expected a finite number"), "{sentence}");
    assert!(observer.metrics.iter().all(|(_, measurement)| !measurement.keys.contains(&MetricKey::LossLeader)));
    let nothing = PairSource { training: Vec::new(), held_out: Vec::new() };
    let refusal = RewardTrainer::new(&plan, nothing).unwrap_err().to_string();
    assert!(refusal.contains("leaves no pair to train on"), "{refusal}");
}
