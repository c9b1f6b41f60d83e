//! Whatever the bytes, a reader answers or says what is wrong; what it counts is what was written.

use std::fmt::Write as _;

use proptest::prelude::*;
use slhf_data::{PreferenceData, read};

const FILES: [&str; 5] = ["f.csv", "f.soc", "f.soi", "f.toc", "f.toi"];

/// What every answer promises.
fn check_promises(data: &PreferenceData) -> Result<(), TestCaseError> {
    let n = data.actions.len();
    prop_assert!(n >= 2);
    prop_assert!((1..n).all(|i| !data.actions[..i].contains(&data.actions[i])), "names are unique");
    prop_assert!(data.preferences.len() == n && data.preferences.iter().all(|row| row.len() == n));
    prop_assert!(data.preferences.iter().flatten().all(|p| (0.0..=1.0).contains(p)));
    if let Some(tally) = &data.tally {
        prop_assert!(tally.wins.iter().flatten().all(|wins| wins.is_finite() && *wins >= 0.0));
        for (i, row) in data.preferences.iter().enumerate() {
            for (j, p) in row.iter().enumerate() {
                prop_assert!((p + data.preferences[j][i] - 1.0).abs() < 1e-12);
            }
        }
    }
    Ok(())
}

fn is_total(file: &str, bytes: &[u8]) -> Result<(), TestCaseError> {
    match read(file, bytes) {
        Ok(data) => check_promises(&data),
        Err(error) => {
            prop_assert!(error.to_string().starts_with(file) && !error.problem.is_empty());
            Ok(())
        }
    }
}

/// A header that readers accept, so that what follows gets past it.
fn header(file: &str) -> &'static str {
    if file == "f.csv" {
        "first,second,wins\n"
    } else {
        "# NUMBER ALTERNATIVES: 3\n# ALTERNATIVE NAME 1: a\n# ALTERNATIVE NAME 2: b\n# ALTERNATIVE NAME 3: c\n"
    }
}

/// Groups of equally good alternatives, best first: what is not in them is left out.
type Order = Vec<Vec<usize>>;

/// A place (0: left out) for each of `n` alternatives.
fn order(n: usize) -> impl Strategy<Value = Order> {
    prop::collection::vec(0..=n, n).prop_map(move |places| {
        let group = |place| (0..n).filter(|i| places[*i] == place).collect::<Vec<_>>();
        (1..=n).map(group).filter(|group| !group.is_empty()).collect()
    })
}

fn profile(orders: &[(u32, Order)], n: usize) -> String {
    let mut text = format!("# NUMBER ALTERNATIVES: {n}\n");
    for number in 1..=n {
        let _ = writeln!(text, "# ALTERNATIVE NAME {number}: name {number}");
    }
    for (voters, order) in orders {
        let groups = order.iter().map(|group| {
            let numbers: Vec<String> = group.iter().map(|i| (i + 1).to_string()).collect();
            if numbers.len() == 1 { numbers.concat() } else { format!("{{{}}}", numbers.join(",")) }
        });
        let _ = writeln!(text, "{voters}: {}", groups.collect::<Vec<_>>().join(","));
    }
    text
}

/// Of one ballot: 1 for a win, 1/2 for a tie, 0 otherwise; what is left out shares a last place that is no tie.
fn share(order: &Order, i: usize, j: usize) -> f64 {
    let place = |k| order.iter().position(|group| group.contains(&k)).unwrap_or(usize::MAX);
    match (place(i), place(j)) {
        (usize::MAX, _) => 0.0,
        (a, b) if a == b => 0.5,
        (a, b) => f64::from(u8::from(a < b)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        rng_seed: proptest::test_runner::RngSeed::Fixed(1),
        failure_persistence: None,
        ..ProptestConfig::with_cases(256)
    })]

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), file in 0..FILES.len()) {
        is_total(FILES[file], &bytes)?;
    }

    #[test]
    fn arbitrary_text_in_the_formats_own_letters_never_panics(
        text in "[#:,{}\"abcDATYPEN0-9.\\-+einf \n]{0,160}",
        file in 0..FILES.len(),
    ) {
        is_total(FILES[file], text.as_bytes())?;
        is_total(FILES[file], format!("{}{text}", header(FILES[file])).as_bytes())?;
    }

    /// Truncated anywhere, a file is read or refused.
    #[test]
    fn truncated_profiles_never_panic(
        orders in prop::collection::vec((0..9_u32, order(4)), 1..6),
        share in 0.0..1.0_f64,
    ) {
        let text = profile(&orders, 4);
        is_total("f.toi", &text.as_bytes()[..(text.len() as f64 * share) as usize])?;
    }

    /// A CSV of counts in any order, split over repeated rows, is the counts that were written.
    #[test]
    fn counts_survive_the_trip_through_a_table(
        wins in prop::collection::vec((0..5_usize, 1..5_usize, 0..1_000_000_u32), 1..40),
    ) {
        let mut text = header("f.csv").to_owned();
        let mut expected = [[0.0; 5]; 5];
        for &(i, offset, count) in &wins {
            let j = (i + offset) % 5;
            let _ = writeln!(text, "name {i},\"name {j}\",{count}");
            expected[i][j] += f64::from(count);
        }
        match read("f.csv", text.as_bytes()) {
            Ok(data) => {
                check_promises(&data)?;
                let index: Vec<usize> = data.actions.iter().map(|name| name[5..].parse().unwrap()).collect();
                let tally = data.tally.unwrap();
                for (row, i) in tally.wins.iter().zip(&index) {
                    for (found, j) in row.iter().zip(&index) {
                        prop_assert_eq!(*found, expected[*i][*j]);
                    }
                }
            }
            Err(error) => prop_assert!(wins.iter().all(|(_, _, count)| *count == 0), "{}", error),
        }
    }

    /// A profile's tally is what each ballot says of each pair, times its voters.
    #[test]
    fn profiles_count_what_each_ballot_says(orders in prop::collection::vec((0..1000_u32, order(5)), 1..12)) {
        let tally_of = |i, j| -> f64 { orders.iter().map(|(voters, order)| share(order, i, j) * f64::from(*voters)).sum() };
        match read("f.toi", profile(&orders, 5).as_bytes()) {
            Ok(data) => {
                check_promises(&data)?;
                let tally = data.tally.unwrap();
                for i in 0..5 {
                    for j in 0..5 {
                        prop_assert_eq!(tally.wins[i][j], if i == j { 0.0 } else { tally_of(i, j) });
                    }
                }
            }
            Err(error) => prop_assert!((0..5).all(|i| (0..5).all(|j| i == j || tally_of(i, j) == 0.0)), "{}", error),
        }
    }
}

#[test]
fn counts_that_no_matrix_holds_are_refused() {
    let mut text = header("f.csv").to_owned();
    for i in 0..2100 {
        let _ = writeln!(text, "left {i},right {i},1");
    }
    let error = read("f.csv", text.as_bytes()).expect_err("4,200 actions").to_string();
    assert_eq!(error, "f.csv, row 2050: this is action 4097; expected at most 4096");
}

#[test]
fn counts_that_add_up_to_no_number_are_refused() {
    let error = read("f.csv", b"first,second,wins\na,b,1e308\nb,a,1e308\n").expect_err("infinitely many").to_string();
    assert_eq!(error, "f.csv, row 2, column 3 (\"wins\"): 1e308; expected at most 9007199254740992 comparisons");
}
