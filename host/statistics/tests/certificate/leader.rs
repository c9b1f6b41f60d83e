//! The Leader's gap.

use slhf_random::SplitMix64;
use slhf_statistics::{CertificateError, LeaderCertificate, LeaderPrompt, Level, UpperEnd, leader_certificate};

use crate::games::{Game, Setting};

const PROMPTS: usize = 8;
/// Answers of the Leader itself, a prompt.
const OWN: usize = 60;

fn certified(setting: Setting, (outer, inner): (usize, usize), draws: &mut SplitMix64) -> (LeaderCertificate, f64) {
    let mut truth = 0.0;
    let prompts: Vec<LeaderPrompt> = (0..PROMPTS)
        .map(|_| {
            let game = Game::new(setting, draws);
            truth += game.leader_gap(setting) / PROMPTS as f64;
            let reference = (0..outer)
                .map(|_| {
                    let y = game.leader_answer_of_reference(draws);
                    game.of_reference(y, inner, draws)
                })
                .collect();
            let own = (0..OWN).map(|_| game.leader_answer(draws)).collect();
            let committed = game.committed(setting.tau_follower);
            LeaderPrompt { reference, own, committed }
        })
        .collect();
    let found = leader_certificate(&prompts, setting.tau_follower, setting.tau_leader, Level::PERCENT_95);
    (found.expect("samples"), truth)
}

#[test]
fn the_gap_is_held_where_it_is_bounded() {
    for setting in [
        Setting { tau_follower: 1.0, tau_leader: 1.0, strays: 1.0, leader_strays: 1.0 },
        Setting { tau_follower: 0.5, tau_leader: 0.5, strays: 1.0, leader_strays: 1.0 },
    ] {
        let mut draws = SplitMix64::new(53);
        let (trials, mut held, mut bounded) = (500, 0, 0);
        for _ in 0..trials {
            let (found, truth) = certified(setting, (12, 20), &mut draws);
            let high = match found.high {
                UpperEnd::At(high) => high,
                UpperEnd::NotBounded { .. } => f64::INFINITY,
            };
            held += u32::from(found.low <= truth && truth <= high);
            bounded += u32::from(high.is_finite());
        }
        println!("{setting:?}: {held} of {trials} held, {bounded} bounded from above");
        assert!(f64::from(held) >= 0.93 * f64::from(trials), "{setting:?}: {held}");
        assert!(bounded > 0, "{setting:?}");
    }
}

/// A low temperature makes one answer that nobody saw worth more than all that was seen: the number that would do is named, and does.
#[test]
fn what_is_not_bounded_says_what_would_do() {
    let setting = Setting { tau_follower: 0.5, tau_leader: 0.12, strays: 1.0, leader_strays: 1.0 };
    let (found, _) = certified(setting, (20, 20), &mut SplitMix64::new(59));
    let UpperEnd::NotBounded { samples_needed } = found.high else { panic!("{found:?}") };
    let gate = |samples: f64| 1.0 - setting.tau_leader * (samples / 3.7).ln();
    assert!(samples_needed > 20.0 && gate(samples_needed) < found.value_estimate, "{found:?}");
    let (found, truth) = certified(setting, (samples_needed as usize, 100), &mut SplitMix64::new(59));
    let UpperEnd::At(high) = found.high else { panic!("{found:?}") };
    assert!(found.low <= truth && truth <= high, "{found:?} {truth}");
    assert_eq!(leader_certificate(&[], 1.0, 1.0, Level::PERCENT_95), Err(CertificateError::TooFew { prompts: 0 }));
}

/// A Leader far from its best answers is known to be so, at a temperature at which nothing bounds its gap from above.
#[test]
fn a_large_gap_is_found_from_below() {
    let setting = Setting { tau_follower: 0.3, tau_leader: 0.1, strays: 0.2, leader_strays: 6.0 };
    let (found, truth) = certified(setting, (200, 1000), &mut SplitMix64::new(61));
    println!("{found:?}, {truth}");
    assert!(0.005 < found.low && found.low <= truth, "{found:?} {truth}");
}
