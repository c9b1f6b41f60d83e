//! Many pairs at once.

use slhf_random::SplitMix64;
use slhf_statistics::{Risk, SequentialFamily, SequentialMean, StopAt};

use crate::worlds::{finite, open};

const PAIRS: usize = 20;
/// So many of them do not differ at all.
const EQUAL: usize = 14;
const PROMPTS: usize = 200;

/// Values of all pairs, in the order of drawing. They share one opponent: how hard a prompt is for it moves all pairs together.
fn populations(draws: &mut SplitMix64) -> Vec<Vec<f64>> {
    let common: Vec<f64> = (0..PROMPTS).map(|_| draws.uniform()).collect();
    let of = |pair: usize| {
        let rate = if pair < EQUAL { 0.5 } else { 0.75 };
        let mut value = |common: &f64| {
            let own = if draws.uniform() < 0.7 { *common } else { draws.uniform() };
            f64::from(u8::from(own < rate))
        };
        let values: Vec<f64> = common.iter().map(&mut value).collect();
        // Exactly half of an equal pair's prompts: the hypothesis is true of this population.
        if pair < EQUAL { balanced(values, draws) } else { values }
    };
    (0..PAIRS).map(of).collect()
}

/// Of everything that is said to differ, so much does not: on average at most 5 %, though all pairs depend on each other and each stops as
/// soon as it is said to.
#[test]
fn false_discoveries_are_rare_however_pairs_depend_on_each_other() {
    let rate = Risk::new(0.05).expect("a rate");
    let stop = StopAt::difference_from(0.5).expect("a mean");
    let trials = 200;
    let mut draws = SplitMix64::new(17);
    let (mut false_share, mut found, mut asked) = (0.0, 0, 0);
    for _ in 0..trials {
        let populations = populations(&mut draws);
        let mut means: Vec<SequentialMean> = (0..PAIRS).map(|_| open(finite(PROMPTS))).collect();
        let of = |means: &[SequentialMean]| SequentialFamily { means, is_asked: &[true; PAIRS], rate }.need_more(stop);
        // One prompt is left: with it all would be known.
        for _ in 1..PROMPTS {
            for (pair, needs) in of(&means).into_iter().enumerate() {
                if needs {
                    let next = populations[pair][means[pair].n()];
                    means[pair].add(next).expect("a value");
                }
            }
        }
        let claimed: Vec<bool> = of(&means).into_iter().map(|needs| !needs).collect();
        let count = |claims: &[bool]| claims.iter().filter(|claim| **claim).count();
        let (wrong, right) = (count(&claimed[..EQUAL]), count(&claimed[EQUAL..]));
        false_share += wrong as f64 / (wrong + right).max(1) as f64;
        found += right;
        asked += means[EQUAL..].iter().map(SequentialMean::n).sum::<usize>();
    }
    let share = |count: usize, of: usize| count as f64 / (trials * (PAIRS - EQUAL) * of) as f64;
    let (fdr, power) = (false_share / trials as f64, share(found, 1));
    println!(
        "false discovery rate {fdr:.4}, found {power:.3}, of whose prompts {:.3} were asked",
        share(asked, PROMPTS)
    );
    // e-BH promises 5 % and is careful; a rate taken four times as high by mistake would have .046 here.
    assert!(fdr <= 0.03, "{fdr}");
    assert!(power >= 0.9 && share(asked, PROMPTS) < 0.6, "{power} {}", share(asked, PROMPTS));
}

/// As many ones as zeros, turned at random places.
fn balanced(mut values: Vec<f64>, draws: &mut SplitMix64) -> Vec<f64> {
    loop {
        let ones = values.iter().filter(|value| **value > 0.5).count();
        if ones * 2 == values.len() {
            return values;
        }
        let surplus = f64::from(u8::from(ones * 2 > values.len()));
        let at = draws.below(values.len());
        if (values[at] - surplus).abs() < 0.5 {
            values[at] = 1.0 - surplus;
        }
    }
}

/// A pair that nobody asked about stops by its own interval, and changes nothing for the others.
#[test]
fn only_those_that_are_asked_about_are_judged_together() {
    let rate = Risk::new(0.05).expect("a rate");
    let means: Vec<SequentialMean> = [7, 7, 30]
        .map(|wins| {
            let mut seen = open(finite(100));
            (0..wins).for_each(|_| seen.add(1.0).expect("a value"));
            seen
        })
        .to_vec();
    let family = |is_asked| SequentialFamily { means: &means, is_asked, rate };
    let e_value = means[0].e_value(0.5);
    assert!((20.0..60.0).contains(&e_value), "{e_value}");
    // Alone each is a claim; beside one whose evidence is large as well.
    assert_eq!(family(&[true, false, false]).differ_from(0.5), [Some(true), None, None]);
    assert_eq!(family(&[true; 3]).differ_from(0.5), [Some(true); 3]);
    let stop = StopAt::difference_from(0.5).expect("a mean");
    assert_eq!(family(&[true, false, true]).need_more(stop), [false, false, false]);
    let width = StopAt::width(0.3).expect("a width");
    assert_eq!(family(&[true; 3]).need_more(width), [true, true, false]);
}
