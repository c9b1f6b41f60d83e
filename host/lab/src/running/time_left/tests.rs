//! Simulated commands: after the first tenth of one the time left is right within a factor of two.

use super::*;

/// What a piece really costs.
#[derive(Clone, Copy, Debug)]
struct Truth {
    start: f64,
    /// Of the first steps, which are slow, and of the others.
    steps: (f64, f64),
    evaluation: f64,
    /// Steps between evaluations; the last one is at the end.
    every: u64,
}

/// A piece: its guess, and what it costs.
type Simulated = (Guess, u64, Truth);

/// Computes pieces one after the other, and looks at every event. `speed` of the machine at a moment.
fn simulate(pieces: &[Simulated], speed: impl Fn(f64) -> f64) -> Vec<(f64, Option<f64>)> {
    let guesses: Vec<Guess> = pieces.iter().map(|(guess, ..)| *guess).collect();
    let mut estimate = TimeLeft::new(&guesses, 1);
    let mut now = 0.0;
    let mut seen = Vec::new();
    for (index, (guess, steps, truth)) in pieces.iter().enumerate() {
        estimate.begin(index, now);
        seen.push((now, estimate.left(now)));
        now += truth.start / speed(now);
        let mut done = Done::default();
        for step in 1..=*steps {
            now += if step <= 3 { truth.steps.0 } else { truth.steps.1 } / speed(now);
            done.steps += 1.0;
            estimate.advance(index, done, now);
            seen.push((now, estimate.left(now)));
            if step % truth.every == 0 || step == *steps {
                now += truth.evaluation / speed(now);
                done.evaluated += guess.evaluation;
                estimate.advance(index, done, now);
                seen.push((now, estimate.left(now)));
            }
        }
        estimate.end(index, Ending::Done, now);
        seen.push((now, estimate.left(now)));
    }
    assert_eq!(estimate.share(now), 1.0);
    seen
}

fn check(what: &str, pieces: &[Simulated], speed: impl Fn(f64) -> f64) {
    check_from(0.1, what, pieces, speed);
}

/// Nothing needs to be said before that part of the time; what is said is right.
fn check_from(part: f64, what: &str, pieces: &[Simulated], speed: impl Fn(f64) -> f64) {
    let seen = simulate(pieces, speed);
    let end = seen.last().expect("an event").0;
    let mut said = 0;
    for (now, left) in &seen {
        let truth = end - now;
        // The last hundredth is over before anybody reads.
        if *now < 0.1 * end || truth < 0.01 * end {
            continue;
        }
        let Some(left) = left else {
            assert!(*now < part * end, "{what}: nothing is said at {now} of {end}");
            continue;
        };
        assert!(*left <= 2.0 * truth && *left >= truth / 2.0, "{what}: at {now} of {end}: {left} said, {truth} true");
        said += 1;
    }
    assert!(said > 0, "{what}");
}

fn guess(steps: u64, every: u64, evaluation: f64) -> Guess {
    let evaluations = evaluation * (steps.div_ceil(every)) as f64;
    Guess { start: 5.0, step: 1.0, steps: steps as f64, evaluation, evaluations }
}

#[test]
fn a_slow_start_is_no_speed() {
    let truth = Truth { start: 60.0, steps: (6.0, 0.5), evaluation: 0.5, every: 100 };
    // Starting and the first steps take more than a quarter of the time: nothing is known before.
    check_from(0.3, "slow start", &[(guess(400, 100, 1.0), 400, truth)], |_| 1.0);
}

#[test]
fn evaluations_that_take_ten_steps_are_told_apart() {
    // The guess says that they take one.
    let truth = Truth { start: 5.0, steps: (1.0, 1.0), evaluation: 10.0, every: 10 };
    check("evaluations", &[(guess(300, 10, 1.0), 300, truth)], |_| 1.0);
    // Seldom, and as guessed.
    let truth = Truth { every: 100, ..truth };
    check("seldom evaluations", &[(guess(300, 100, 10.0), 300, truth)], |_| 1.0);
}

#[test]
fn what_was_done_before_a_resume_is_no_speed() {
    // 60 % of 500 steps were done: 200 are left, and nothing else is known of them.
    let truth = Truth { start: 20.0, steps: (2.0, 2.0), evaluation: 20.0, every: 50 };
    check("resume", &[(guess(200, 50, 10.0), 200, truth)], |_| 1.0);
}

#[test]
fn many_short_runs_are_mostly_starting() {
    let truth = Truth { start: 2.0, steps: (0.01, 0.01), evaluation: 0.01, every: 50 };
    let run = (Guess { start: 0.5, step: 1e-3, steps: 20.0, evaluation: 1e-3, evaluations: 1e-3 }, 20, truth);
    check("many short runs", &vec![run; 200], |_| 1.0);
    // Guessed to be nothing but steps.
    let run = (Guess { start: 0.1, step: 1.0, steps: 20.0, evaluation: 1.0, evaluations: 1.0 }, 20, truth);
    check("many short runs, badly guessed", &vec![run; 200], |_| 1.0);
}

#[test]
fn a_machine_may_become_twice_as_fast_or_slow() {
    let truth = Truth { start: 5.0, steps: (1.0, 1.0), evaluation: 5.0, every: 20 };
    let pieces = [(guess(400, 20, 5.0), 400, truth)];
    check("slower", &pieces, |now| if now < 200.0 { 1.0 } else { 0.55 });
    check("faster", &pieces, |now| if now < 200.0 { 1.0 } else { 1.8 });
    // At `nice`: the machine is ours now and then.
    check("unsteady", &pieces, |now| if ((now / 7.0) as u64).is_multiple_of(3) { 0.4 } else { 1.3 });
}

#[test]
fn cells_of_different_cost_are_weighed() {
    let small = Truth { start: 1.0, steps: (0.1, 0.1), evaluation: 0.5, every: 50 };
    let large = Truth { start: 4.0, steps: (1.0, 1.0), evaluation: 5.0, every: 50 };
    let piece = |scale: f64, truth| {
        let guess = Guess { start: 2.0, step: scale, steps: 100.0, evaluation: 5.0 * scale, evaluations: 10.0 * scale };
        (guess, 100, truth)
    };
    check("different cells", &[piece(0.02, small), piece(0.2, large), piece(0.02, small), piece(0.2, large)], |_| 1.0);
}

#[test]
fn nothing_is_said_before_a_step_is_done() {
    let mut estimate = TimeLeft::new(&[guess(100, 100, 1.0); 3], 2);
    assert_eq!(estimate.left(0.0), None);
    estimate.begin(0, 0.0);
    assert_eq!(estimate.left(1000.0), None);
    for step in 1..=4_u32 {
        let now = 996.0 + f64::from(step);
        estimate.advance(0, Done { steps: f64::from(step) * 2.0, evaluated: 0.0 }, now);
        assert_eq!(estimate.left(now).is_some(), step == 4);
    }
    assert!(estimate.left(1000.0).is_some());
    estimate.end(0, Ending::Broken, 1001.0);
    let left = estimate.left(1001.0).expect("known");
    estimate.begin(1, 1001.0);
    estimate.begin(2, 1001.0);
    assert!((estimate.left(1001.0).expect("known") - left).abs() < 1e-9);
    assert!(estimate.left(1011.0).expect("known") < left, "what is under way has been for a while");
    // What is out of place is no panic.
    estimate.begin(9, 0.0);
    estimate.advance(9, Done::default(), 0.0);
    estimate.end(9, Ending::Done, 0.0);
}
