//! Resamples of data: their moments by formula, the coverage of percentile intervals by simulation.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use slhf_data::{Counted, GroupWeights, PreferenceData, Resampler, Unit, read};
use slhf_random::SplitMix64;

fn counted(data: &PreferenceData) -> Counted {
    let tally = data.tally.clone().expect("counts");
    Counted { tally, ballots: data.ballots.clone(), groups: data.groups.clone() }
}

fn resampler(file: &str, text: &str) -> Resampler {
    let data = read(file, text.as_bytes()).expect("good data");
    Resampler::new(&counted(&data), None, &data.actions).expect("whole counts")
}

/// Mean and covariance of two entries over many draws.
fn moments(resampler: &Resampler, [a, b]: [(usize, usize); 2], seed: u64) -> ([f64; 2], [f64; 3]) {
    const DRAWS: u32 = 20_000;
    let mut random = SplitMix64::new(seed);
    let (mut sums, mut products) = ([0.0; 2], [0.0; 3]);
    for _ in 0..DRAWS {
        let drawn = resampler.draw(&mut random);
        let (x, y) = (drawn[a.0][a.1], drawn[b.0][b.1]);
        assert!((drawn[a.1][a.0] - (1.0 - x)).abs() < 1e-12);
        sums = [sums[0] + x, sums[1] + y];
        products = [products[0] + x * x, products[1] + y * y, products[2] + x * y];
    }
    let n = f64::from(DRAWS);
    let means = sums.map(|sum| sum / n);
    let pairs = [(0, 0), (1, 1), (0, 1)];
    let covariances = [0, 1, 2].map(|at| products[at] / n - means[pairs[at].0] * means[pairs[at].1]);
    (means, covariances)
}

fn near(found: f64, expected: f64, tolerance: f64) {
    assert!((found - expected).abs() < tolerance, "{found} is not {expected}");
}

/// Pairs are drawn by themselves: p(1 − p)/n each, and no covariance.
#[test]
fn counts_are_drawn_pair_by_pair() {
    let votes = resampler("c.csv", "first,second,wins\na,b,30\nb,a,70\nb,c,9\nc,b,1\n");
    assert_eq!(votes.unit(), Unit::Comparisons(110));
    let (means, [first, second, both]) = moments(&votes, [(0, 1), (1, 2)], 1);
    near(means[0], 0.3, 0.002);
    near(means[1], 0.9, 0.004);
    near(first, 0.3 * 0.7 / 100.0, 1e-4);
    near(second, 0.9 * 0.1 / 10.0, 4e-4);
    near(both, 0.0, 1e-4);
    // Never compared: nothing to draw.
    assert_eq!(votes.draw(&mut SplitMix64::new(1))[0][2], 0.5);
}

/// A tie that is known to be one varies less than half a win: ((a + t/4)/n − p²)/n.
#[test]
fn ties_are_an_outcome_of_their_own() {
    let text = "model_a,model_b,winner,count\nx,y,x,20\nx,y,tie,60\nx,y,y,20\n";
    for text in [text, "item_a,item_b,votes_a,votes_b,ties\nx,y,20,20,60\n"] {
        let ([mean, _], [variance, ..]) = moments(&resampler("t.csv", text), [(0, 1), (0, 1)], 2);
        near(mean, 0.5, 0.002);
        near(variance, ((0.2 + 0.6 / 4.0) - 0.25) / 100.0, 5e-5);
    }
    // As halves of wins, ties cannot be told from wins.
    let halves = resampler("t.csv", "first,second,wins\nx,y,50\ny,x,50\n");
    near(moments(&halves, [(0, 1), (0, 1)], 2).1[0], 0.25 / 100.0, 1e-4);
}

/// What one voter says of two pairs stays together.
#[test]
fn ballots_are_drawn_whole() {
    let header = "# NUMBER ALTERNATIVES: 3\n";
    let votes = resampler("v.soc", &format!("{header}30: 1,2,3\n50: 3,2,1\n20: 2,1,3\n"));
    assert_eq!(votes.unit(), Unit::Ballots(100));
    let (means, [first, second, both]) = moments(&votes, [(0, 1), (0, 2)], 3);
    near(means[0], 0.3, 0.002);
    near(means[1], 0.5, 0.002);
    near(first, 0.3 * 0.7 / 100.0, 1e-4);
    near(second, 0.25 / 100.0, 1e-4);
    // 1 above 2 and above 3: the first order alone.
    near(both, (0.3 - 0.3 * 0.5) / 100.0, 1e-4);
}

#[test]
fn weighted_groups_are_drawn_one_by_one() {
    let data = read("g.csv", b"first,second,wins,group\na,b,40,old\nb,a,60,old\na,b,9,young\nb,a,1,young\n").unwrap();
    let weights = BTreeMap::from([("old".to_owned(), 3.0), ("young".to_owned(), 1.0)]);
    let weights = GroupWeights::new(&data.groups, &weights).unwrap();
    assert_eq!(weights.get(), [0.75, 0.25]);
    let groups = Resampler::new(&counted(&data), Some(&weights), &data.actions).unwrap();
    let ([mean, _], [variance, ..]) = moments(&groups, [(0, 1), (0, 1)], 4);
    near(mean, 0.75 * 0.4 + 0.25 * 0.9, 0.002);
    near(variance, 0.5625 * 0.24 / 100.0 + 0.0625 * 0.09 / 10.0, 1e-4);
}

#[test]
fn the_seed_decides() {
    let votes = resampler("c.csv", "first,second,wins\na,b,30\nb,a,70\nb,c,9\nc,b,1\n");
    let draw = |seed| votes.draw(&mut SplitMix64::new(seed));
    assert_eq!(draw(5), draw(5));
    assert_ne!(draw(5), draw(6));
}

#[test]
fn parts_of_comparisons_and_too_many_are_refused() {
    let refused = |file: &str, text: &str| {
        let data = read(file, text.as_bytes()).expect("good data");
        Resampler::new(&counted(&data), None, &data.actions).expect_err("this should be refused").to_string()
    };
    assert_eq!(
        refused("w.csv", "winner,loser,weight\nred,blue,0.25\n"),
        "red and blue were compared 0.25 times, which is no whole number (weights?); a bootstrap draws whole comparisons"
    );
    assert_eq!(
        refused("w.csv", "winner,loser,weight\nred,blue,4e9\n"),
        "red and blue were compared 4000000000 times; a bootstrap draws at most 1000000000, and says nothing about so many"
    );
    assert!(
        refused("v.soc", "# NUMBER ALTERNATIVES: 2\n4000000000: 1,2\n").starts_with("voters voted 4000000000 times")
    );
}

/// 400 samples of a known truth: the 95 % percentile interval of a pair's probability holds it as often as it says, less what a
/// percentile interval of a share is known to miss at this size.
#[test]
fn percentile_intervals_cover_the_truth() {
    let (truth, comparisons, samples, resamples) = (0.6, 150, 400, 200);
    let mut random = SplitMix64::new(11);
    let mut covered = 0;
    for _ in 0..samples {
        let wins = random.binomial(comparisons, truth);
        let mut text = String::from("first,second,wins\n");
        let _ = writeln!(text, "a,b,{wins}\nb,a,{}", comparisons - wins);
        let votes = resampler("c.csv", &text);
        let mut drawn: Vec<f64> = (0..resamples).map(|_| votes.draw(&mut random)[0][1]).collect();
        drawn.sort_by(f64::total_cmp);
        covered += u32::from(drawn[5] <= truth && truth <= drawn[resamples - 6]);
    }
    let share = f64::from(covered) / f64::from(samples);
    assert!((0.91..=0.98).contains(&share), "{share}");
}
