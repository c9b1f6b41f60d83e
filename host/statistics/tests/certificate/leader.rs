//! The Leader's gap.

use slhf_random::SplitMix64;
use slhf_statistics::{CertificateError, LeaderCertificate, LeaderPrompt, Level, UpperEnd, leader_certificate};

use crate::games::{Game, Setting, drawn};

const PROMPTS: usize = 8;

fn certified(setting: Setting, samples: usize, draws: &mut SplitMix64) -> (LeaderCertificate, f64) {
    let mut truth = 0.0;
    let prompts: Vec<LeaderPrompt> = (0..PROMPTS)
        .map(|_| {
            let game = Game::new(setting, draws);
            truth += game.leader_gap(setting) / PROMPTS as f64;
            let mut of = |many: usize, answer: &dyn Fn(&mut SplitMix64) -> usize| -> Vec<Vec<f64>> {
                (0..many)
                    .map(|_| {
                        let y = answer(draws);
                        game.of_reference(y, samples, draws)
                    })
                    .collect()
            };
            LeaderPrompt {
                reference: of(samples, &|draws| game.leader_answer_of_reference(draws)),
                own: of(4, &|draws| drawn(&game.leader, draws)),
                divergences: vec![game.leader_divergence()],
            }
        })
        .collect();
    let found = leader_certificate(&prompts, setting.tau_follower, setting.tau_leader, Level::PERCENT_95);
    (found.expect("samples"), truth)
}

#[test]
fn the_gap_is_held_where_it_is_bounded() {
    for setting in [
        Setting { tau_follower: 1.0, tau_leader: 1.0, strays: 1.0 },
        Setting { tau_follower: 0.5, tau_leader: 0.5, strays: 1.0 },
    ] {
        let mut draws = SplitMix64::new(53);
        let (trials, mut held, mut bounded) = (100, 0, 0);
        for _ in 0..trials {
            let (found, truth) = certified(setting, 30, &mut draws);
            let high = match found.high {
                UpperEnd::At(high) => high,
                UpperEnd::NotBounded { .. } => f64::INFINITY,
            };
            held += u32::from(found.low <= truth && truth <= high);
            bounded += u32::from(high.is_finite());
        }
        println!("{setting:?}: {held} of {trials} held, {bounded} bounded from above");
        assert!(held >= 93, "{setting:?}: {held}");
        assert!(bounded > 0, "{setting:?}");
    }
}

/// A low temperature makes one answer that nobody saw worth more than all that was seen: the number that would do is named, and does.
#[test]
fn what_is_not_bounded_says_what_would_do() {
    let setting = Setting { tau_follower: 0.5, tau_leader: 0.12, strays: 1.0 };
    let (found, _) = certified(setting, 20, &mut SplitMix64::new(59));
    let UpperEnd::NotBounded { samples_needed } = found.high else { panic!("{found:?}") };
    let least = |samples: f64| 1.0 - setting.tau_leader * (samples / 3.7).ln();
    assert!(least(samples_needed) < found.value_estimate && least(samples_needed - 1.0) >= found.value_estimate - 1e-9);
    let (found, truth) = certified(setting, samples_needed as usize + 40, &mut SplitMix64::new(59));
    let UpperEnd::At(high) = found.high else { panic!("{found:?}") };
    assert!(found.low <= truth && truth <= high, "{found:?} {truth}");
    assert_eq!(leader_certificate(&[], 1.0, 1.0, Level::PERCENT_95), Err(CertificateError::TooFew { prompts: 0 }));
}
