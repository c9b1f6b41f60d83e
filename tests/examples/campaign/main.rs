//! The campaign behind docs/reliability.md: kills, stops, copies, moves and full disks at random moments, until as many were made
//! as were asked for. Started by `cargo xtask campaign`; not part of the tests, which kill at seeded moments and take seconds.
//!
//! A journey is one record with one experiment in it, disturbed again and again while it is run and resumed. After each disturbance
//! the record is whole and every run's state is told right; in the end every run has finished, with the bits of a run that nobody
//! disturbed. The first journey that shows anything else ends the campaign, and its folder stays.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program of its own, whose output is its result")]

mod disturbance;
mod journey;
mod subject;
mod tally;

use std::process::ExitCode;
use std::time::Instant;

use journey::Journey;
use slhf_tests::Random;
use subject::Subject;
use tally::{Goals, Tally};

const USAGE: &str = "campaign [--kills N] [--stops N] [--copies N] [--moves N] [--full-disks N] [--seed N]";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let goals = match Goals::read(&arguments) {
        Ok(goals) => goals,
        Err(why) => {
            eprintln!("error: {why}\nusage: {USAGE}");
            return ExitCode::from(2);
        }
    };
    let start = Instant::now();
    let mut random = Random::new(goals.seed);
    let mut tally = Tally::default();
    let subjects = match Subject::all() {
        Ok(subjects) => subjects,
        Err(why) => {
            eprintln!("error: an experiment that nobody disturbs: {why}");
            return ExitCode::FAILURE;
        }
    };
    let mut number = 0;
    while !tally.reached(&goals) {
        let subject = &subjects[number % subjects.len()];
        let mut journey = Journey::new(subject, random.fork());
        if let Err(why) = journey.travel(&goals, &mut tally) {
            eprintln!("{tally}");
            eprintln!("error: journey {number} ({}): {why}", subject.name);
            eprintln!("its folder stays at {}", journey.keep().display());
            return ExitCode::FAILURE;
        }
        number += 1;
        tally.journeys += 1;
        if number % 10 == 0 {
            eprintln!("{number} journeys in {} s: {}", start.elapsed().as_secs(), tally.line());
        }
    }
    println!(
        "{tally}in {} s, seed {}: nothing lost, every end told right, every finished run equal to the bit",
        start.elapsed().as_secs(),
        goals.seed
    );
    ExitCode::SUCCESS
}
