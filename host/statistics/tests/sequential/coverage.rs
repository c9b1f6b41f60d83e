//! How often the truth is held by somebody who looks after every value and stops when it suits him.

use slhf_random::SplitMix64;
use slhf_statistics::{Horizon, LowerBound, Population, Risk, StopAt};

use crate::worlds::{World, finite, mean, open};

const TRIALS: usize = 1_000;
/// Two standard errors of a share of .05 of so many.
const SLACK: f64 = 0.0138;

fn share(count: usize) -> f64 {
    count as f64 / TRIALS as f64
}

/// The truth of a trial, its values in the order of drawing, and what they are drawn from.
fn trials(world: World, size: Option<usize>, n: usize) -> impl Iterator<Item = (f64, Vec<f64>, Population)> {
    let mut draws = SplitMix64::new(11);
    (0..TRIALS).map(move |_| match size {
        None => (world.mean(), (0..n).map(|_| world.draw(&mut draws)).collect(), Population::Unlimited),
        Some(size) => {
            let values = world.population(size, &mut draws);
            (mean(&values), values, finite(size))
        }
    })
}

/// No moment at all is wrong, in 95 of 100 trials: whoever chooses the moment.
#[test]
fn the_truth_is_held_at_every_moment_at_once() {
    for world in World::ALL {
        for (size, n) in [(None, 400), (Some(128), 128), (Some(400), 400)] {
            let missed = trials(world, size, n).filter(|(truth, values, population)| {
                let mut seen = open(*population);
                for value in values {
                    seen.add(*value).expect("a value");
                }
                // Of all moments: an interval never widens.
                seen.excludes(*truth)
            });
            let coverage = 1.0 - share(missed.count());
            println!("{world:?}, {size:?} of {n}: {coverage:.3} at every moment");
            assert!(coverage >= 0.95 - SLACK, "{world:?} {size:?}: {coverage}");
        }
    }
}

/// Looks at every value and stops at what it hoped for: as soon as ½ is out.
#[test]
fn stopping_when_it_differs_deceives_nobody() {
    for world in World::ALL {
        for (size, n) in [(None, 200), (Some(128), 128)] {
            let mut held = 0;
            for (truth, values, population) in trials(world, size, n) {
                let mut seen = open(population);
                for value in values {
                    seen.add(value).expect("a value");
                    if seen.excludes(0.5) {
                        break;
                    }
                }
                let interval = seen.interval();
                held += usize::from(interval.low <= truth + 1e-9 && truth <= interval.high + 1e-9);
            }
            assert!(share(held) >= 0.95 - SLACK, "{world:?} {size:?}: {}", share(held));
        }
    }
}

/// The same by Student's t, which is made for one look: what this is for.
#[test]
fn stopping_by_an_interval_for_one_look_deceives() {
    let mut draws = SplitMix64::new(5);
    let missed = (0..TRIALS).filter(|_| {
        let mut values = Vec::new();
        (0..400).any(|_| {
            values.push(World::Beta(2, 2).draw(&mut draws));
            let sample = slhf_statistics::Sample::new(values.clone()).expect("values");
            let interval = sample.mean_interval(slhf_statistics::Level::PERCENT_95);
            interval.is_some_and(|interval| interval.low > 0.5 || interval.high < 0.5)
        })
    });
    assert!(share(missed.count()) > 0.25);
}

/// Importance-weighted samples: w = p/q with a heavy tail, so that only their sign and their mean, 1, are known.
#[test]
fn weighted_samples_are_bounded_from_below() {
    for horizon in [Horizon::Open, Horizon::After(300)] {
        let risk = Risk::new(0.05).expect("a risk");
        let mut draws = SplitMix64::new(2);
        let mut bounds = Vec::new();
        let missed = (0..TRIALS).filter(|_| {
            // Exponential of a normal: mean 1, standard deviation 1.3 and no moment-generating function.
            let weights = (0..300).map(|_| (draws.normal() - 0.5).exp());
            let bound = LowerBound::of(weights, risk, Population::Unlimited, horizon).expect("weights");
            bounds.push(bound.bound());
            bound.excludes(1.0)
        });
        let missed = missed.count();
        println!("{horizon:?}: {:.3} missed, mean bound {:.3}", share(missed), mean(&bounds));
        assert!(share(missed) <= 0.05 + SLACK, "{horizon:?}: {}", share(missed));
        assert!(mean(&bounds) > 0.75, "{horizon:?}: {}", mean(&bounds));
    }
}

/// Stopping by the width leaves it that narrow.
#[test]
fn stopping_by_width_leaves_that_width() {
    let stop = StopAt::width(0.2).expect("a width");
    let mut held = 0;
    let trials: Vec<_> = trials(World::Bernoulli(0.7), Some(300), 300).take(200).collect();
    for (truth, values, population) in &trials {
        let mut seen = open(*population);
        for value in values {
            seen.add(*value).expect("a value");
            if stop.is_reached(&seen) {
                break;
            }
        }
        let interval = seen.interval();
        assert!(interval.high - interval.low <= 0.2 && seen.n() < 300, "{interval:?}");
        held += usize::from(interval.low <= *truth && *truth <= interval.high);
    }
    assert!(held as f64 / trials.len() as f64 >= 0.92, "{held}");
}
