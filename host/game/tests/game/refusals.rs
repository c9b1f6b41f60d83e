//! What constructors refuse, and the sentence each refusal is.

use slhf_game::{
    Distribution, FollowerReference, Game, GameError, MixtureCoefficient, Part, PreferenceMatrix, TemperatureValues,
    Temperatures,
};

use crate::support::{complementary, matrix};

fn sentence<T: std::fmt::Debug>(result: Result<T, GameError>) -> String {
    result.expect_err("must be refused").to_string()
}

#[test]
fn bad_matrices_are_named_by_row_and_column() {
    let check = |rows: &[Vec<f64>], expected: &str| assert_eq!(sentence(PreferenceMatrix::from_rows(rows)), expected);
    check(&[], "a game has between 2 and 4096 actions; this one has 0");
    check(&[vec![0.5]], "a game has between 2 and 4096 actions; this one has 1");
    check(
        &[vec![0.5, 0.5], vec![0.5]],
        "the preference matrix: row 2 has 1 entries; expected 2, as many as there are actions",
    );
    for (value, shown) in [(1.5, "1.5"), (-0.1, "-0.1"), (f64::NAN, "NaN"), (f64::INFINITY, "inf")] {
        check(
            &[vec![0.5, value], vec![0.5, 0.5]],
            &format!("the preference matrix: row 1, column 2 is {shown}; expected a probability in [0, 1]"),
        );
    }
    assert_eq!(
        sentence(PreferenceMatrix::new(2, vec![0.5; 3])),
        "the preference matrix of 2 actions has 4 entries; found 3"
    );
}

#[test]
fn bad_references_are_named_by_entry() {
    assert_eq!(
        sentence(Distribution::named(&[0.5, 0.0, 0.5], Part::ReferenceLeader)),
        "the Leader's reference policy: entry 2 is 0; expected a probability in (0, 1]: a reference policy has full support"
    );
    assert_eq!(
        sentence(Distribution::named(&[0.5, 0.4], Part::ReferenceLeader)),
        "the Leader's reference policy sums to 0.9; expected 1 (within 0.00001)"
    );
    assert_eq!(
        sentence(FollowerReference::from_rows(&[[0.5, 0.5], [1.0, 0.0]])),
        "row 2 of the Follower's reference policy: entry 2 is 0; expected a probability in (0, 1]: a reference policy has full support"
    );
    assert!(Distribution::new(&[0.5, f64::NAN]).is_err());
    assert!(Distribution::new(&[0.333_333, 0.333_333, 0.333_333]).is_ok(), "six decimals are enough");
    let sum: f64 = Distribution::new(&[0.333_333, 0.333_333, 0.333_333]).unwrap().probabilities().iter().sum();
    assert!((sum - 1.0).abs() < 1e-15);
}

#[test]
fn parts_of_different_sizes_make_no_game() {
    let preferences = complementary(3, |_, _| 0.1);
    let game = |leader: usize, follower: usize| {
        Game::new(
            preferences.clone(),
            Distribution::uniform(leader),
            FollowerReference::uniform(follower),
            Temperatures::default(),
        )
    };
    assert_eq!(sentence(game(2, 3)), "the Leader's reference policy has 2 entries; the game has 3 actions");
    assert_eq!(sentence(game(3, 4)), "the Follower's reference policy has 4 entries; the game has 3 actions");
    assert!(game(3, 3).is_ok());
}

#[test]
fn bad_temperatures_are_named() {
    let defaults = TemperatureValues::default();
    let check = |values: TemperatureValues, expected: &str| assert_eq!(sentence(Temperatures::new(values)), expected);
    check(
        TemperatureValues { leader: -0.1, ..defaults },
        "tau_leader is -0.1; expected a finite number that is not negative",
    );
    check(
        TemperatureValues { follower: f64::NAN, ..defaults },
        "tau_follower is NaN; expected a finite number that is not negative",
    );
    check(
        TemperatureValues { nash: f64::INFINITY, ..defaults },
        "tau_nash is inf; expected a finite number that is not negative",
    );
    check(TemperatureValues { rlhf: 0.0, ..defaults }, "tau_rlhf is 0; expected a finite number above 0");
    for value in [-0.01, 1.01, f64::NAN] {
        assert!(MixtureCoefficient::new(value).is_err(), "{value}");
    }
}

#[test]
fn learned_policies_of_the_wrong_length_are_a_programming_error() {
    let solution =
        slhf_game::StackelbergSolution::of(&crate::support::uniform_game(matrix(&[[0.5, 0.6], [0.4, 0.5]]), 0.1));
    let outcome = std::panic::catch_unwind(|| solution.gaps(&[0.0; 3], &[0.0; 9]));
    assert!(outcome.is_err());
}
