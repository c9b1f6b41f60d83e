//! Certificates of the gaps on closed sets: bounds from samples against gaps that are known.

use slhf_plan::{AnswerReference, CertificateFigure, CertificatePlan, Curve, EvaluationName, EvaluationRow};
use slhf_random::{Purpose, Row, Stream};

use super::closed::{FOLLOWER_BETA, Set, answers, judge, one_step};
use super::setup::{Setup, Told};
use super::tabular::{TWO_TOKENS, Tabular};

const PROMPTS: u32 = 4;

fn setup(seed: u64, certificate: CertificatePlan) -> Setup {
    let mut setup = one_step(None, AnswerReference::Model);
    setup.schedule.learning_rate = Curve::Constant { value: 1e-9 };
    (setup.prompts, setup.held_out, setup.seed) = (1, PROMPTS, seed);
    setup.sets = (0..=PROMPTS).map(|prompt| (prompt, answers().into())).collect();
    setup.certificate = Some(certificate);
    setup
}

fn row<'a>(told: &'a Told, name: &EvaluationName) -> Option<&'a EvaluationRow> {
    told.evaluations.iter().rev().find(|row| row.name == *name && row.subject == "held_out")
}

fn bounds(told: &Told, figure: CertificateFigure) -> (f64, f64) {
    let row = row(told, &EvaluationName::Certificate(figure)).expect("a certificate");
    assert_eq!(row.n, u64::from(PROMPTS));
    row.interval.expect("bounds")
}

/// What the Follower loses after the response that the certificate is about, by the log-partition over the set.
fn follower_gap(set: &Set, seed: u64, prompt: u32) -> f64 {
    let place =
        Row { purpose: Purpose::CertificateTokens, prompt, step: 0, stream: Stream::Leader, round: 0, sample: 0 };
    let mut left = place.uniform(seed, 0);
    let y = set.pi.iter().position(|p| {
        left -= p;
        left < 0.0
    });
    let y = y.expect("a distribution");
    let has = set.sum(|b| set.omega[y][b] * set.verdicts[y][b])
        + FOLLOWER_BETA * Set::kl(&set.omega[y], &set.omega_reference[y]);
    let best = set.sum(|b| set.omega_reference[y][b] * (-set.verdicts[y][b] / FOLLOWER_BETA).exp());
    has + FOLLOWER_BETA * best.ln()
}

/// How often each gap lies in its bounds, and how wide these are on average.
#[test]
fn both_gaps_are_held_where_they_are_known() {
    let trials = 500;
    let (mut followers, mut leaders, mut width) = (0, 0, 0.0);
    for seed in 0..trials {
        let setup = setup(seed, CertificatePlan { samples: 40, confidence: 0.95, leader_samples: 20 });
        let mut policies = Tabular::new(TWO_TOKENS, PROMPTS + 1, 0.9);
        let told = setup.train(&mut policies, &mut judge());
        let gap = (1..=PROMPTS)
            .map(|prompt| follower_gap(&Set::of(&policies, prompt, AnswerReference::Model), seed, prompt))
            .sum::<f64>()
            / f64::from(PROMPTS);
        let (low, high) = bounds(&told, CertificateFigure::FollowerGap);
        followers += u64::from(low <= gap && gap <= high);
        width += (high - low) / trials as f64;
        let exact = row(&told, &EvaluationName::Other("leader_gap".to_owned())).expect("the exact gap").value;
        let (low, high) = bounds(&told, CertificateFigure::LeaderGap);
        leaders += u64::from(low <= exact && exact <= high);
    }
    let share = |held: u64| held as f64 / trials as f64;
    println!("Follower {}, {width} wide; Leader {}", share(followers), share(leaders));
    assert!(share(followers) >= 0.93 && share(leaders) >= 0.93 && width < 0.5, "{followers} {leaders} {width}");
}

/// With many samples the gap and its parts are known.
#[test]
fn many_samples_on_closed_sets_know_the_gap() {
    let setup = setup(1, CertificatePlan { samples: 4000, confidence: 0.95, leader_samples: 0 });
    let mut policies = Tabular::new(TWO_TOKENS, PROMPTS + 1, 0.9);
    let told = setup.train(&mut policies, &mut judge());
    let gap = (1..=PROMPTS)
        .map(|prompt| follower_gap(&Set::of(&policies, prompt, AnswerReference::Model), 1, prompt))
        .sum::<f64>()
        / f64::from(PROMPTS);
    let (low, high) = bounds(&told, CertificateFigure::FollowerGap);
    assert!(low <= gap && gap <= high && high - low < 0.05, "{gap} in {low} to {high}");
    assert!(row(&told, &EvaluationName::Certificate(CertificateFigure::LeaderGap)).is_none());
}
