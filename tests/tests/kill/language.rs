//! The same of a language model: adapters, both moments of the optimizer, the place in the data, the control variate.

use slhf_tests::{Lab, disturbed_language_model, language_lab};

use crate::watched::{Watched, numbers, statuses};

fn lab() -> Lab {
    language_lab(&disturbed_language_model(30, 4))
}

/// The boundary of its stages in the middle.
fn lab_of_two_turns() -> Lab {
    let experiment = disturbed_language_model(30, 4);
    let method = "name = \"score\"\nstage_one_steps = 15";
    let own = experiment.replace("name = \"stackelberg-gda\"", method);
    language_lab(&own.replace("score_baseline = { kind = \"moving_average\" }\n", ""))
}

#[test]
fn a_language_model_resumes_to_the_bit_however_it_was_killed() {
    resumes_to_the_bit(lab);
}

#[test]
fn two_turns_resume_to_the_bit_however_they_were_killed() {
    resumes_to_the_bit(lab_of_two_turns);
}

fn resumes_to_the_bit(lab: fn() -> Lab) {
    let whole = lab();
    let _ = whole.run(&["run", "tiny.toml"]).success();
    let cut = lab();
    // What one step records is about thirty values.
    for (round, (rows, kill_worker)) in [(40, true), (200, false), (150, true)].into_iter().enumerate() {
        let verb: &[&str] = if round == 0 { &["run", "tiny.toml"] } else { &["resume"] };
        let mut watched = Watched::start(&cut, verb);
        if !watched.wait_for_new_rows(rows) {
            break;
        }
        if kill_worker {
            watched.kill_worker();
        } else {
            watched.kill_lab();
        }
        let _ = watched.wait();
        let statuses = statuses(&cut);
        let (status, reason) = &statuses[0];
        assert!(status == "finished" || (status == "interrupted" && !reason.is_empty()), "{statuses:?}");
    }
    let resumed = cut.run(&["resume"]);
    assert_eq!(resumed.code, Some(0), "{resumed}");
    assert_eq!(statuses(&cut)[0].0, "finished");
    assert_eq!(numbers(&cut), numbers(&whole));
}
