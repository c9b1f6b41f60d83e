//! Faults that were planted in judges are found at their size, and judges without them show none: many seeded judges each.

use slhf_random::SplitMix64;
use slhf_statistics::{Agreement, Audit, AuditSettings, AuditedPair, AuditedPrompt, Estimate, Repeats, TwoVerdicts};

/// Judges of a kind.
const JUDGES: u64 = 500;
/// 95 %, as far as so many judges tell it.
const COVERAGE_MIN: f64 = 0.95 - 2.0 * 0.009_75;
/// 5 %, likewise.
const FALSE_ALARMS_MAX: f64 = 0.05 + 2.0 * 0.009_75;

/// What a judge is made of.
#[derive(Clone, Copy, Default)]
struct Judge {
    /// What the first place gains in p(a, b) + p(b, a) − 1.
    position: f64,
    /// What a character gains.
    per_character: f64,
    /// Verdicts differ between draws by a uniform number of this standard deviation.
    noise: f64,
    /// Share of prompts whose first three responses beat each other in a ring by .2.
    rings: f64,
    /// Verdicts are 0 or 1, drawn by the probability.
    is_hard: bool,
    /// How far qualities of responses are apart.
    spread: f64,
}

/// How much is asked.
#[derive(Clone, Copy)]
struct Size {
    prompts: usize,
    responses: usize,
    draws: usize,
}

const USUAL: Size = Size { prompts: 60, responses: 3, draws: 3 };

impl Judge {
    fn verdicts(self, size: Size, seed: u64) -> Vec<AuditedPrompt> {
        let mut random = SplitMix64::new(seed.wrapping_mul(0x9E37_79B9).wrapping_add(17));
        (0..size.prompts).map(|prompt| self.prompt(size, prompt, &mut random)).collect()
    }

    fn prompt(self, size: Size, number: usize, random: &mut SplitMix64) -> AuditedPrompt {
        let mut uniform = |low: f64, high: f64| low + (high - low) * random.uniform();
        let lengths: Vec<f64> = (0..size.responses).map(|_| uniform(50.0, 450.0).round()).collect();
        let is_ring = ((number + 1) as f64 * self.rings).floor() > (number as f64 * self.rings).floor();
        let spread = if is_ring { 0.0 } else { self.spread };
        let qualities: Vec<f64> = (0..size.responses).map(|_| uniform(-spread, spread)).collect();
        let mut pairs = Vec::new();
        for first in 0..size.responses {
            for second in first + 1..size.responses {
                let ring = match (is_ring, first, second) {
                    (true, 0, 1) | (true, 1, 2) => 0.2,
                    (true, 0, 2) => -0.2,
                    _ => 0.0,
                };
                let longer = lengths[first] - lengths[second];
                let margin = qualities[first] - qualities[second] + ring + self.per_character * longer;
                let label = f64::from(uniform(0.0, 1.0) < 0.5 + margin);
                let mut verdict = |margin: f64| {
                    let width = self.noise * 3.0_f64.sqrt();
                    let p = 0.5 + margin + self.position / 2.0 + uniform(-width, width);
                    if self.is_hard { f64::from(uniform(0.0, 1.0) < p) } else { p }
                };
                let draws = (0..size.draws).map(|_| [verdict(margin), verdict(-margin)]).collect();
                pairs.push(AuditedPair { first, second, draws, label: Some(label) });
            }
        }
        AuditedPrompt::new(lengths, pairs).expect("verdicts of a judge")
    }

    fn audits(self, size: Size) -> impl Iterator<Item = Audit> {
        let settings = AuditSettings { simulations: 50, ..AuditSettings::default() };
        (0..JUDGES).map(move |seed| Audit::of(&self.verdicts(size, seed), settings))
    }
}

fn share(of: impl Iterator<Item = bool>) -> f64 {
    let all: Vec<bool> = of.collect();
    all.iter().filter(|one| **one).count() as f64 / all.len() as f64
}

fn holds(estimate: &Estimate, value: f64) -> bool {
    let interval = estimate.interval.expect("prompts enough");
    interval.low <= value && value <= interval.high
}

fn at_least(found: f64, least: f64, what: &str) {
    assert!(found >= least, "{what}: {found}, expected at least {least}");
}

fn at_most(found: f64, most: f64, what: &str) {
    assert!(found <= most, "{what}: {found}, expected at most {most}");
}

const SOFT: Judge = Judge { position: 0.0, per_character: 0.0, noise: 0.03, rings: 0.0, is_hard: false, spread: 0.1 };

#[test]
fn a_bias_of_position_is_found_at_its_size() {
    for (name, judge) in [
        ("soft", Judge { position: 0.1, ..SOFT }),
        ("hard", Judge { position: 0.1, noise: 0.0, is_hard: true, ..SOFT }),
        ("against the first", Judge { position: -0.1, noise: 0.1, ..SOFT }),
    ] {
        let found = judge.audits(USUAL).map(|audit| holds(&audit.position.expect("pairs"), judge.position));
        at_least(share(found), COVERAGE_MIN, name);
    }
    let soft = Judge { position: 0.1, ..SOFT };
    let seen = soft.audits(USUAL).map(|audit| audit.position.expect("pairs").interval.expect("many").excludes_zero());
    at_least(share(seen), 0.95, "a planted bias is seen");
}

#[test]
fn what_length_gains_is_found_at_its_size() {
    for (name, judge) in [
        ("soft", Judge { per_character: 0.0004, ..SOFT }),
        ("hard", Judge { per_character: 0.0004, noise: 0.0, is_hard: true, ..SOFT }),
        ("none but quality", Judge { per_character: 0.0, spread: 0.2, ..SOFT }),
    ] {
        let found = judge.audits(USUAL).map(|audit| holds(&audit.length.expect("lengths").gain, judge.per_character));
        at_least(share(found), COVERAGE_MIN, name);
    }
    let judge = Judge { per_character: 0.0004, ..SOFT };
    let audit = judge.audits(USUAL).next().expect("one");
    let wins: Vec<f64> = audit.length.expect("lengths").groups.iter().map(|group| group.longer_wins.value).collect();
    assert!(wins.len() == 5 && wins[4] > wins[0], "{wins:?}");
}

#[test]
fn noise_is_found_at_its_size() {
    for noise in [0.03, 0.1] {
        let judge = Judge { noise, ..SOFT };
        let found = judge.audits(USUAL).map(|audit| holds(&audit.noise.expect("draws").standard_deviation, noise));
        at_least(share(found), COVERAGE_MIN, "standard deviation");
    }
    // A coin flips between half of its draws.
    let coin = Judge { is_hard: true, spread: 0.0, noise: 0.0, ..SOFT };
    let found = coin.audits(USUAL).map(|audit| holds(&audit.noise.expect("draws").flips, 0.5));
    at_least(share(found), COVERAGE_MIN, "flips of a coin");
}

#[test]
fn rings_are_found_at_their_share() {
    let judge = Judge { rings: 0.3, spread: 0.15, noise: 0.01, ..SOFT };
    // Noise decides near-ties, too, in triples without a ring; such triples may go around, rarely.
    let found: Vec<Audit> = judge.audits(USUAL).collect();
    at_least(
        share(found.iter().map(|audit| holds(&audit.triples.expect("triples").share, 0.3))),
        COVERAGE_MIN,
        "share",
    );
    let seen = found.iter().map(|audit| audit.triples.expect("triples").is_cyclic() == Some(true));
    at_least(share(seen), 0.95, "rings are seen");
    let seen = found.iter().map(|audit| audit.cyclic_part.expect("log-odds").is_cyclic() == Some(true));
    at_least(share(seen), 0.95, "a cyclic part is seen");
}

/// Log-odds that are a potential and a ring of known squares, noise beside them.
#[test]
fn the_cyclic_part_is_found_at_its_size() {
    for noise in [0.0, 0.4] {
        let (ring, spread) = (0.4, 1.0);
        // A triple's ring has the square 3 r²; potentials uniform in ± s differ by 2 · s²/3 a pair in the mean of squares.
        let expected = 3.0 * ring * ring / (3.0 * ring * ring + 3.0 * 2.0 * spread * spread / 3.0);
        let found = (0..JUDGES).map(|seed| {
            let mut random = SplitMix64::new(seed + 5);
            let prompts: Vec<AuditedPrompt> =
                (0..80).map(|_| potential_and_ring(&mut random, (ring, spread, noise))).collect();
            let audit = Audit::of(&prompts, AuditSettings { simulations: 1, ..AuditSettings::default() });
            let part = audit.cyclic_part.expect("log-odds");
            assert!((part.of_a_coin - 1.0 / 3.0).abs() < 1e-12);
            holds(&part.without_noise.expect("draws"), expected)
        });
        at_least(share(found), COVERAGE_MIN, "cyclic part");
    }
}

fn potential_and_ring(random: &mut SplitMix64, (ring, spread, noise): (f64, f64, f64)) -> AuditedPrompt {
    let potential: Vec<f64> = (0..3).map(|_| spread * (2.0 * random.uniform() - 1.0)).collect();
    let mut pair = |first: usize, second: usize, ring: f64| {
        let odds = potential[first] - potential[second] + ring;
        let p = |odds: f64| 1.0 / (1.0 + (-odds).exp());
        let width = noise * 3.0_f64.sqrt();
        let draws = (0..3).map(|_| {
            let mut noise = || width * (2.0 * random.uniform() - 1.0);
            [p(odds + noise()), p(-odds + noise())]
        });
        AuditedPair { first, second, draws: draws.collect(), label: None }
    };
    let pairs = vec![pair(0, 1, ring), pair(1, 2, ring), pair(2, 0, ring)];
    AuditedPrompt::new(vec![1.0; 3], pairs).expect("verdicts")
}

#[test]
fn judges_without_faults_show_none() {
    let quiet = Judge { noise: 0.0, ..SOFT };
    for audit in quiet.audits(USUAL).take(50) {
        let position = audit.position.expect("pairs");
        assert!(position.value == 0.0 && !position.interval.expect("many").excludes_zero());
        let noise = audit.noise.expect("draws");
        assert!(noise.standard_deviation.value == 0.0 && noise.flips.value == 0.0);
        let triples = audit.triples.expect("triples");
        assert_eq!((triples.intransitive, triples.of_noise, triples.is_cyclic()), (0, Some(0.0), Some(false)));
    }
    let noisy = Judge { noise: 0.05, ..SOFT };
    let found: Vec<Audit> = noisy.audits(USUAL).collect();
    let position = |audit: &Audit| audit.position.expect("pairs").interval.expect("many").excludes_zero();
    let length = |audit: &Audit| audit.length.as_ref().expect("lengths").gain.interval.expect("many").excludes_zero();
    at_most(share(found.iter().map(position)), FALSE_ALARMS_MAX, "position");
    at_most(share(found.iter().map(length)), FALSE_ALARMS_MAX, "length");
}

#[test]
fn noise_alone_is_no_ring() {
    let hard = Judge { is_hard: true, noise: 0.0, ..SOFT };
    for (name, judge, size) in [
        ("nothing but noise", Judge { spread: 0.0, noise: 0.1, ..SOFT }, USUAL),
        ("a coin", Judge { spread: 0.0, ..hard }, USUAL),
        (
            "a coin, two draws of five responses",
            Judge { spread: 0.0, ..hard },
            Size { prompts: 30, responses: 5, draws: 2 },
        ),
        ("noise beside quality", Judge { spread: 0.1, noise: 0.1, ..SOFT }, USUAL),
        ("verdicts of 0 or 1 by quality", Judge { spread: 0.2, ..hard }, USUAL),
        ("the same of five responses", Judge { spread: 0.2, ..hard }, Size { prompts: 30, responses: 5, draws: 3 }),
    ] {
        let alarms = judge.audits(size).map(|audit| audit.triples.expect("triples").is_cyclic() == Some(true));
        at_most(share(alarms), FALSE_ALARMS_MAX, name);
    }
    let alarms = (0..JUDGES).map(|seed| {
        let mut random = SplitMix64::new(seed + 5);
        let prompts: Vec<AuditedPrompt> = (0..40).map(|_| potential_and_ring(&mut random, (0.0, 0.5, 0.5))).collect();
        let audit = Audit::of(&prompts, AuditSettings { simulations: 1, ..AuditSettings::default() });
        audit.cyclic_part.expect("log-odds").is_cyclic() == Some(true)
    });
    at_most(share(alarms), FALSE_ALARMS_MAX, "log-odds with noise alone beside a potential");
}

#[test]
fn agreement_and_calibration_are_found() {
    // Labels are drawn by the judge's own probabilities: calibrated, and right as often as those say.
    let judge = Judge { noise: 0.0, spread: 0.2, ..SOFT };
    // Mean of ½ + |a − b| with a, b uniform in ± .2.
    let accuracy = 0.5 + 0.4 / 3.0;
    let found: Vec<Audit> = judge.audits(USUAL).collect();
    let agreement = || found.iter().map(|audit| audit.agreement.as_ref().expect("labels"));
    let holds_accuracy = agreement().map(|found| holds(&found.accuracy.expect("labels"), accuracy));
    at_least(share(holds_accuracy), COVERAGE_MIN, "accuracy");
    let holds_kappa = agreement().map(|found| holds(&found.kappa.expect("labels"), 2.0 * accuracy - 1.0));
    at_least(share(holds_kappa), COVERAGE_MIN, "kappa");
    at_most(
        share(agreement().map(|found| found.calibration.is_miscalibrated())),
        FALSE_ALARMS_MAX + 0.02,
        "calibration",
    );
    // The same labels under a judge that is surer than it should be.
    let too_sure = Audit::of(&surer(&judge.verdicts(USUAL, 3)), AuditSettings::default());
    assert!(too_sure.agreement.expect("labels").calibration.is_miscalibrated());
}

fn surer(prompts: &[AuditedPrompt]) -> Vec<AuditedPrompt> {
    let sure = |prompt: &AuditedPrompt| {
        let pairs = prompt.pairs().iter().map(|pair| {
            let p = if pair.draws[0][0] > 0.5 { 0.97 } else { 0.03 };
            AuditedPair { draws: vec![[p, 1.0 - p]], ..pair.clone() }
        });
        AuditedPrompt::new(vec![1.0; 3], pairs.collect()).expect("verdicts")
    };
    prompts.iter().map(sure).collect()
}

#[test]
fn ties_are_told_from_disagreement() {
    let pair = |p: f64, label: f64| AuditedPair { first: 0, second: 1, draws: vec![[p, 1.0 - p]], label: Some(label) };
    let said = [(0.9, 1.0), (0.8, 1.0), (0.5, 1.0), (0.5, 0.5), (0.2, 1.0)];
    let prompts = said.map(|(p, label)| AuditedPrompt::new(vec![1.0, 2.0], vec![pair(p, label)]).expect("a pair"));
    let audit = Audit::of(&prompts, AuditSettings { repeats: Repeats::Steady, ..AuditSettings::default() });
    let agreement = audit.agreement.expect("labels");
    assert_eq!((agreement.labeled, agreement.tied_labels), (5, 1));
    assert!((agreement.accuracy.expect("decided").value - 2.5 / 4.0).abs() < 1e-12);
    // Three of five the same; two of five of the judge's are ties, one of the labels'.
    let chance = 0.6 * 0.8 / 2.0 + 0.4 * 0.2;
    assert!((agreement.kappa.expect("defined").value - (0.6 - chance) / (1.0 - chance)).abs() < 1e-12);
}

/// Prompts differ in how far the two agree, and pairs of a prompt share that.
#[test]
fn agreement_of_two_judges_is_found_at_its_size() {
    let settings = AuditSettings { simulations: 1, ..AuditSettings::default() };
    let agreement = |seed: u64| {
        let mut random = SplitMix64::new(seed.wrapping_mul(0x9E37_79B9).wrapping_add(5));
        let mut prompt = |number: usize| -> Vec<TwoVerdicts> {
            let agree = if number.is_multiple_of(2) { 0.95 } else { 0.55 };
            let mut pair = || {
                let label = if random.uniform() < 0.5 { 0.2 } else { 0.9 };
                let same = random.uniform() < agree;
                TwoVerdicts { probability: if same == (label > 0.5) { 0.7 } else { 0.1 }, label }
            };
            (0..4).map(|_| pair()).collect()
        };
        let prompts: Vec<Vec<TwoVerdicts>> = (0..60).map(&mut prompt).collect();
        Agreement::between(&prompts, settings).unwrap()
    };
    let found: Vec<Agreement> = (0..JUDGES).map(agreement).collect();
    let covered = |of: fn(&Agreement) -> Option<Estimate>, value: f64| {
        share(found.iter().map(|one| holds(&of(one).unwrap(), value)))
    };
    at_least(covered(|one| one.accuracy, 0.75), COVERAGE_MIN, "coverage of the share");
    at_least(covered(|one| one.kappa, 0.5), COVERAGE_MIN, "coverage of kappa");
}

#[test]
fn one_who_says_nothing_but_ties_agrees_with_nobody() {
    let settings = AuditSettings { simulations: 1, ..AuditSettings::default() };
    let pair = |probability, label| TwoVerdicts { probability, label };
    let said = |pairs: Vec<TwoVerdicts>| Agreement::between(&[pairs], settings).unwrap();
    assert_eq!(said(vec![pair(0.5, 0.9), pair(0.5, 0.5)]).kappa, None);
    assert_eq!(said(vec![pair(0.9, 0.5), pair(0.1, 0.5)]).kappa, None);
    assert!(said(vec![pair(0.9, 0.5), pair(0.1, 0.2)]).kappa.is_some());
    assert!(pair(0.9, 0.4).is_flip() && !pair(0.9, 0.5).is_flip() && !pair(0.5 + 1e-15, 0.4).is_flip());
    assert_eq!(Agreement::between(&[], settings), None);
}

#[test]
fn what_is_no_pair_is_refused() {
    let pair = |first, second, p: f64| AuditedPair { first, second, draws: vec![[p, 0.5]], label: None };
    for (pairs, expected) in [
        (vec![pair(0, 0, 0.5)], "pair 1 of the prompt names no two different responses"),
        (vec![pair(0, 1, 0.5), pair(1, 0, 0.5)], "pair 2 of the prompt stands twice"),
        (vec![pair(0, 1, 1.5)], "pair 1 of the prompt needs a verdict in both orders"),
        (vec![pair(0, 2, 0.5)], "pair 1 of the prompt names no two different responses"),
    ] {
        let refused = AuditedPrompt::new(vec![1.0, 2.0], pairs).expect_err(expected).to_string();
        assert!(refused.starts_with(expected), "{refused}");
    }
}
