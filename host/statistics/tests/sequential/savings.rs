//! What stopping saves, and where it saves nothing.

use slhf_random::SplitMix64;
use slhf_statistics::{Level, Risk, SequentialFamily, StopAt};

use crate::fixed_size::fixed_size;
use crate::worlds::{World, finite, mean, open};

const PROMPTS: usize = 512;

/// Means over experiments.
struct Asked {
    /// Prompts that were asked.
    prompts: f64,
    /// Those of a plan with a fixed number that had guessed mean and deviation right.
    fixed: f64,
    /// The mean of the prompts that were asked.
    shown: f64,
}

fn asked(world: World, stop: StopAt, trials: usize) -> Asked {
    let mut draws = SplitMix64::new(23);
    let mut counts = Vec::new();
    let (mut fixed, mut shown) = (Vec::new(), Vec::new());
    for _ in 0..trials {
        let values = world.population(PROMPTS, &mut draws);
        let mut seen = open(finite(PROMPTS));
        for group in values.chunks(8) {
            for value in group {
                seen.add(*value).expect("a value");
            }
            let rate = Risk::of(Level::PERCENT_95);
            let alone = SequentialFamily { means: std::slice::from_ref(&seen), is_asked: &[true], rate };
            if !alone.need_more(stop)[0] {
                break;
            }
        }
        counts.push(seen.n() as f64);
        shown.push(mean(&values[..seen.n()]));
        let sample = slhf_statistics::Sample::new(values).expect("values");
        let deviation = sample.standard_deviation().expect("several");
        fixed.push(fixed_size(PROMPTS, sample.mean(), deviation, stop, Level::PERCENT_95) as f64);
    }
    Asked { prompts: mean(&counts), fixed: mean(&fixed), shown: mean(&shown) }
}

/// The share of all prompts that is saved in each world, the win rate that is shown, and a line about each.
fn savings(stop: StopAt, trials: usize, worlds: &[World]) -> (Vec<(f64, f64)>, String) {
    let heading = format!(
        "{stop:?}, {PROMPTS} prompts in groups of 8: asked; saved of all; saved against a fixed plan in hindsight; mean of what was asked"
    );
    let mut lines = vec![heading];
    let mut shares = Vec::new();
    for world in worlds {
        let Asked { prompts, fixed, shown } = asked(*world, stop, trials);
        let saved = 1.0 - prompts / PROMPTS as f64;
        let of_fixed = 100.0 * (1.0 - prompts / fixed);
        lines.push(format!("{world:?}: {prompts:.0}; {:.1} %; {of_fixed:.1} %; {shown:.3}", 100.0 * saved));
        shares.push((saved, shown));
    }
    (shares, lines.join("\n"))
}

const RATES: [World; 8] = [
    World::Bernoulli(0.5),
    World::Bernoulli(0.55),
    World::Bernoulli(0.6),
    World::Bernoulli(0.65),
    World::Bernoulli(0.7),
    World::Bernoulli(0.8),
    World::Bernoulli(0.9),
    // Three trainings and both orders average to a softer verdict.
    World::Halves(0.4, 0.5),
];

/// At win rates of .7 and more far less than 60 % of all prompts are needed to see a difference. At .5 there is nothing to save.
#[test]
fn a_clear_difference_saves_most_prompts_and_none_saves_none() {
    let (found, lines) = savings(StopAt::difference_from(0.5).expect("a mean"), 200, &RATES);
    println!("{lines}");
    let (saved, shown): (Vec<f64>, Vec<f64>) = found.into_iter().unzip();
    assert!(saved[4..].iter().all(|saved| *saved >= 0.4), "{saved:?}");
    assert!((0.0..0.1).contains(&saved[0]), "{saved:?}");
    assert!(saved[..7].windows(2).all(|pair| pair[0] < pair[1]), "{saved:?}");
    // Who stops at a difference shows more of one than there is: up to 6 points.
    for (shown, rate) in shown[1..7].iter().zip([0.55, 0.6, 0.65, 0.7, 0.8, 0.9]) {
        assert!((0.005..0.06).contains(&(shown - rate)), "{shown} of {rate}");
    }
}

/// A width of .1 is hardly less than everything at 512 prompts, but for rates near 1.
#[test]
fn a_width_saves_little() {
    let (found, lines) = savings(StopAt::width(0.1).expect("a width"), 10, &[RATES[0], RATES[4], RATES[6]]);
    println!("{lines}");
    let (saved, _): (Vec<f64>, Vec<f64>) = found.into_iter().unzip();
    assert!(saved.iter().all(|saved| (0.0..1.0).contains(saved)), "{saved:?}");
    assert!(saved[2] > saved[0], "{saved:?}");
}
