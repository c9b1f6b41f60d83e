//! Certificates of the gaps from samples, against the gaps of a language whose answers can all be enumerated.

use slhf_learn::Cause;
use slhf_learn::language::{Answer, Comparison, LanguagePolicies, PairJudge, PolicyName, Request, Verdict};
use slhf_plan::{
    CertificateFigure, CertificatePlan, ControlVariate, Curve, EvaluationName, EvaluationRow, FollowerReference,
    LanguageMethod, StackelbergGda,
};
use slhf_random::{Purpose, Row, Stream};

use super::setup::{Judge, Setup, Told, hashed, prompt, rloo_on_verdicts};
use super::tabular::{Language, ONE_TOKEN, TWO_TOKENS, Tabular};

fn setup(certificate: CertificatePlan) -> Setup {
    let mut setup = Setup::new();
    setup.training.steps = 1;
    setup.training.prompts_per_step = 1;
    setup.training.num_generations = 2;
    setup.schedule.learning_rate = Curve::Constant { value: 1e-9 };
    (setup.prompts, setup.held_out) = (1, 4);
    setup.certificate = Some(certificate);
    setup
}

fn judge() -> Judge<impl FnMut(u32, &Answer, &Answer) -> Result<f64, String>> {
    Judge(|prompt, first: &Answer, second: &Answer| Ok(hashed(prompt, first, second)))
}

fn certified(told: &Told, figure: CertificateFigure) -> Option<&EvaluationRow> {
    told.evaluations.iter().find(|row| row.name == EvaluationName::Certificate(figure))
}

fn bounds(told: &Told, figure: CertificateFigure) -> (f64, f64) {
    let row = certified(told, figure).unwrap();
    let (low, high) = row.interval.unwrap();
    assert!(low <= row.value && row.value <= high && row.n == 4, "{row:?}");
    (low, high)
}

/// One prompt as a game over all of the language's answers.
struct Truth<'a> {
    model: &'a Tabular,
    setup: &'a Setup,
    prompt: u32,
}

impl Truth<'_> {
    fn sum(&self, of_reference: bool, previous: Option<&Answer>, value: impl Fn(&Answer) -> f64) -> f64 {
        let weight = |z: &Answer| self.model.log(of_reference, self.prompt, previous, z).exp();
        self.model.language.answers().iter().map(|z| weight(z) * value(z)).sum()
    }

    fn divergence(&self, previous: Option<&Answer>) -> f64 {
        let log = |of_reference, z: &Answer| self.model.log(of_reference, self.prompt, previous, z);
        self.sum(false, previous, |z| log(false, z) - log(true, z))
    }

    /// f(y)
    fn value(&self, y: &Answer) -> f64 {
        let tau = self.setup.follower_beta;
        -tau * self.sum(true, Some(y), |z| (-hashed(self.prompt, y, z) / tau).exp()).ln()
    }

    fn follower_gap(&self, y: &Answer) -> f64 {
        let preference = self.sum(false, Some(y), |z| hashed(self.prompt, y, z));
        preference + self.setup.follower_beta * self.divergence(Some(y)) - self.value(y)
    }

    fn leader_gap(&self) -> f64 {
        let tau = self.setup.training.beta;
        let reach = tau * self.sum(true, None, |y| (self.value(y) / tau).exp()).ln();
        reach - self.sum(false, None, |y| self.value(y)) + tau * self.divergence(None)
    }

    /// The Leader's response that the certificate is about.
    fn y(&self) -> Answer {
        let asked = prompt(self.prompt);
        let row = Row {
            purpose: Purpose::CertificateTokens,
            prompt: self.prompt,
            step: 0,
            stream: Stream::Leader,
            round: 0,
            sample: 0,
        };
        let request = Request { policy: PolicyName::Leader, prompt: &asked, previous: None, row };
        let sampling = &self.setup.training.sampling;
        self.model.clone().generate(&[request], self.setup.seed, sampling).unwrap().answers.remove(0)
    }
}

/// The mean over the held-out prompts.
fn truth(model: &Tabular, setup: &Setup, of: impl Fn(&Truth<'_>) -> f64) -> f64 {
    (1..5).map(|prompt| of(&Truth { model, setup, prompt })).sum::<f64>() / 4.0
}

/// How often the gap lies in its bounds, and how wide these are on average.
fn coverage(language: Language, follower_beta: f64, trials: u64) -> (f64, f64) {
    let (mut held, mut width) = (0, 0.0);
    for seed in 0..trials {
        let mut setup = setup(CertificatePlan { samples: 40, confidence: 0.95, leader_samples: 0 });
        (setup.seed, setup.follower_beta) = (seed, follower_beta);
        let mut model = Tabular::new(language, 5, 1.0);
        let told = setup.train(&mut model, &mut judge());
        let gap = truth(&model, &setup, |truth| truth.follower_gap(&truth.y()));
        let (low, high) = bounds(&told, CertificateFigure::FollowerGap);
        held += u64::from(low <= gap && gap <= high);
        width += high - low;
        assert!(certified(&told, CertificateFigure::LeaderGap).is_none(), "{:?}", told.notes);
    }
    (held as f64 / trials as f64, width / trials as f64)
}

#[test]
fn the_followers_gap_is_held() {
    for (language, beta) in [(ONE_TOKEN, 0.3), (TWO_TOKENS, 0.3), (TWO_TOKENS, 1.0)] {
        let (held, width) = coverage(language, beta, 500);
        println!("{language:?}, τ_F {beta}: {held} held, {width} wide");
        assert!(held >= 0.93 && width < 0.5, "{language:?}, τ_F {beta}: {held} held, {width} wide");
    }
}

/// Each part lies around what it is of, and with many samples the gap is known.
#[test]
fn many_samples_know_the_gap_and_its_parts() {
    let setup = setup(CertificatePlan { samples: 4000, confidence: 0.95, leader_samples: 0 });
    let mut model = Tabular::new(TWO_TOKENS, 5, 1.0);
    let told = setup.train(&mut model, &mut judge());
    let of = |of: &dyn Fn(&Truth<'_>, &Answer) -> f64| truth(&model, &setup, |truth| of(truth, &truth.y()));
    let preference = |truth: &Truth<'_>, y: &Answer| truth.sum(false, Some(y), |z| hashed(truth.prompt, y, z));
    for (figure, value) in [
        (CertificateFigure::FollowerGap, of(&|truth, y| truth.follower_gap(y))),
        (CertificateFigure::Preference, of(&preference)),
        (CertificateFigure::FollowerKl, of(&|truth, y| truth.divergence(Some(y)))),
        (CertificateFigure::CommittedValue, of(&|truth, y| truth.value(y))),
    ] {
        let (low, high) = bounds(&told, figure);
        let found = certified(&told, figure).unwrap().value;
        assert!(low <= value && value <= high && high - low < 0.06, "{figure:?}: {value} in {low} to {high}");
        assert!((found - value).abs() < 0.01, "{figure:?}: {found} for {value}");
    }
}

#[test]
fn the_leaders_gap_is_held() {
    let (trials, mut held, mut bounded, mut found) = (60, 0, 0, 0.0);
    for seed in 0..trials {
        let mut setup = setup(CertificatePlan { samples: 30, confidence: 0.95, leader_samples: 30 });
        (setup.seed, setup.training.beta, setup.follower_beta) = (seed, 0.5, 0.5);
        let mut model = Tabular::new(TWO_TOKENS, 5, 1.5);
        let told = setup.train(&mut model, &mut judge());
        let of_leader = |truth: &Truth<'_>| truth.leader_gap();
        let gap = truth(&model, &setup, of_leader);
        let (low, high) = bounds(&told, CertificateFigure::LeaderGap);
        held += u64::from(low <= gap && gap <= high);
        bounded += u64::from(certified(&told, CertificateFigure::LeaderSamplesNeeded).is_none());
        found += (certified(&told, CertificateFigure::LeaderGap).unwrap().value - gap) / trials as f64;
    }
    println!("{held} of {trials} held, {bounded} bounded, off by {found}");
    assert!(
        held as f64 >= 0.93 * trials as f64 && bounded > trials / 2 && found.abs() < 0.1,
        "{held} {bounded} {found}"
    );
}

/// A low temperature asks for more responses of the reference than there are: said, with the number.
#[test]
fn what_bounds_the_leaders_gap_is_said() {
    let mut setup = setup(CertificatePlan { samples: 20, confidence: 0.95, leader_samples: 5 });
    setup.training.beta = 0.2;
    let told = setup.train(&mut Tabular::new(TWO_TOKENS, 5, 1.0), &mut judge());
    let [note] = &told.notes[..] else { panic!("{:?}", told.notes) };
    assert!(note.starts_with("the Leader's gap at step 1 is bounded from below only"), "{note}");
    let needed = certified(&told, CertificateFigure::LeaderSamplesNeeded).unwrap();
    assert!(needed.interval.is_none() && needed.value > 100.0 && needed.value.fract() == 0.0, "{needed:?}");
    assert!(
        note.contains(&format!("leader_samples = {} or so would do", needed.value)) || needed.value > 4096.0,
        "{note}"
    );
}

/// The other numbers of the last evaluation are the same with a certificate.
#[test]
fn a_certificate_changes_nothing_else() {
    let certificate = CertificatePlan { samples: 16, confidence: 0.9, leader_samples: 3 };
    let with = setup(certificate);
    let without = Setup { certificate: None, ..with.clone() };
    let train = |setup: &Setup| setup.train(&mut Tabular::new(TWO_TOKENS, 5, 1.0), &mut judge());
    let (with, without) = (train(&with), train(&without));
    let rest: Vec<&EvaluationRow> =
        with.evaluations.iter().filter(|row| !matches!(row.name, EvaluationName::Certificate(_))).collect();
    assert_eq!(rest, without.evaluations.iter().collect::<Vec<_>>());
    assert_eq!((with.completions, with.metrics), (without.completions, without.metrics));
    // Five figures, and how many would bound the Leader's gap.
    assert_eq!(with.evaluations.len(), rest.len() + 6);
}

/// The Follower's reference that sees the prompt alone is the one that is sampled.
#[test]
fn a_reference_of_the_prompt_alone_is_asked_the_prompt_alone() {
    let mut setup = setup(CertificatePlan { samples: 4000, confidence: 0.95, leader_samples: 0 });
    setup.rival = Some(|training| {
        let LanguageMethod::StackelbergGda(StackelbergGda { mut players, .. }) = Setup::new().method() else {
            unreachable!()
        };
        players.follower_reference = FollowerReference::Prompt;
        LanguageMethod::StackelbergGda(StackelbergGda { training, players })
    });
    let mut model = Tabular::new(ONE_TOKEN, 5, 1.0);
    let told = setup.train(&mut model, &mut judge());
    let value = truth(&model, &setup, |truth| {
        let y = truth.y();
        let tau = setup.follower_beta;
        -tau * truth.sum(true, None, |z| (-hashed(truth.prompt, &y, z) / tau).exp()).ln()
    });
    let found = certified(&told, CertificateFigure::CommittedValue).unwrap().value;
    assert!((found - value).abs() < 0.01, "{found} for {value}");
}

/// A judge whose verdict depends on its draw.
struct Noisy;

impl PairJudge for Noisy {
    fn compare(&mut self, comparisons: &[Comparison<'_>]) -> Result<Vec<Result<Verdict, String>>, Cause> {
        let verdict = |asked: &Comparison<'_>| Verdict {
            probability: (asked.draw % 1000) as f64 / 1000.0,
            attributes: Vec::new(),
        };
        Ok(comparisons.iter().map(|asked| Ok(verdict(asked))).collect())
    }

    fn score(
        &mut self,
        _: &[slhf_learn::language::Candidate<'_>],
    ) -> Result<Vec<Result<slhf_learn::language::Reward, String>>, Cause> {
        Err("nobody asks for a score".into())
    }
}

#[test]
fn a_verdict_that_is_no_function_of_the_pair_certifies_nothing() {
    let setup = setup(CertificatePlan { samples: 16, confidence: 0.9, leader_samples: 0 });
    let told = setup.train(&mut Tabular::new(TWO_TOKENS, 5, 1.0), &mut Noisy);
    assert!(certified(&told, CertificateFigure::FollowerGap).is_none());
    let [note] = &told.notes[..] else { panic!("{:?}", told.notes) };
    assert!(
        note.starts_with("no certificate of the gaps at step 1: the judge gave the same pair of responses"),
        "{note}"
    );

    let mut failing = Judge(
        |prompt, y: &Answer, z: &Answer| {
            if prompt == 3 { Err("no opinion".to_owned()) } else { Ok(hashed(prompt, y, z)) }
        },
    );
    let told = setup.train(&mut Tabular::new(ONE_TOKEN, 5, 1.0), &mut failing);
    assert!(certified(&told, CertificateFigure::FollowerGap).is_none());
    assert!(
        told.notes.iter().any(|note| note.ends_with("a verdict failed, and may not be left out: no opinion")),
        "{:?}",
        told.notes
    );
}

/// A judge that is asked for the second time by equal responses is found out, too: its verdict changes with every call.
#[test]
fn equal_responses_must_have_equal_verdicts() {
    let setup = setup(CertificatePlan { samples: 60, confidence: 0.9, leader_samples: 0 });
    let mut calls = 0;
    // The same for all that is asked within the first calls of a batch, so that asking again finds nothing.
    let mut drifting = Judge(|_, _: &Answer, _: &Answer| {
        calls += 1;
        Ok(if calls % 64 > 40 { 0.9 } else { 0.4 })
    });
    let told = setup.train(&mut Tabular::new(ONE_TOKEN, 5, 1.0), &mut drifting);
    assert!(certified(&told, CertificateFigure::FollowerGap).is_none(), "{:?}", told.notes);
}

#[test]
fn what_has_no_such_gap_is_refused() {
    let certificate = CertificatePlan { samples: 16, confidence: 0.95, leader_samples: 2 };
    let refused = |change: fn(&mut Setup)| {
        let mut setup = setup(certificate);
        change(&mut setup);
        setup.refusal()
    };
    for (refusal, expected) in [
        (
            refused(|setup| {
                setup.rival = Some(rloo_on_verdicts);
                setup.training.score_baseline = ControlVariate::LeaveOneOut;
            }),
            "only stackelberg-gda plays the game whose gaps it bounds",
        ),
        (refused(|setup| setup.training.sampling.top_k = 2), "with method.top_k or method.top_p"),
        (refused(|setup| setup.training.missing_eos_penalty = 1.0), "with method.missing_eos_penalty"),
        (refused(|setup| setup.follower_beta = 0.0), "with method.follower_beta = 0"),
        (refused(|setup| setup.training.beta = 0.0), "evaluation.certificate.leader_samples: 2: with method.beta = 0"),
        (
            refused(|setup| {
                setup.certificate = Some(CertificatePlan { samples: 15, confidence: 0.95, leader_samples: 0 });
            }),
            "evaluation.certificate.samples: 15; expected 16 to 4096",
        ),
        (
            refused(|setup| {
                setup.certificate = Some(CertificatePlan { samples: 16, confidence: 1.0, leader_samples: 0 });
            }),
            "evaluation.certificate.confidence: 1; expected",
        ),
    ] {
        assert!(refusal.contains(expected), "{refusal}");
    }
}
