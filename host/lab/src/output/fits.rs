//! Random tables in random places: no line is wider than its place, and no number is broken.

use proptest::prelude::*;

use super::cell::Cell;
use super::column::Column;
use super::format::Format;
use super::look::{Colours, Look};
use super::render::render;
use super::table::Table;
use super::text::Text;
use super::wrap::width;

fn cell() -> impl Strategy<Value = Cell> {
    prop_oneof![
        any::<i32>().prop_map(|value| Cell::Integer(i64::from(value))),
        any::<f64>().prop_map(Cell::Number),
        any::<f64>().prop_map(Cell::Exact),
        (0.0..1.0_f64).prop_map(|mean| Cell::Estimate { mean, interval: Some((mean - 0.1, mean + 0.1)), n: 3 }),
        "[a-z]{1,30}( [a-z]{1,12}){0,5}".prop_map(Cell::Text),
        "[a-z.]{1,20}=-?[0-9]{1,9}(\\.[0-9]{1,6})?(e-[0-9]{1,2})?(, [a-z]{1,9}=[0-9]{1,5}){0,3}".prop_map(Cell::Text),
        "2026-1[0-2]-[0-2][0-9]T12:34:56\\.789Z".prop_map(Cell::Time),
        Just(Cell::Empty),
    ]
}

fn table() -> impl Strategy<Value = Table> {
    (1..8_usize, 0..6_usize).prop_flat_map(|(columns, rows)| {
        let titles = proptest::collection::vec("[a-z_]{1,18}( [a-z]{1,8}){0,2}", columns);
        let row = proptest::collection::vec(cell(), columns);
        (titles, proptest::collection::vec(row, rows), any::<bool>()).prop_map(|(titles, rows, captioned)| {
            let mut table = Table::new(titles.into_iter().map(Column::text).collect());
            for row in rows {
                table.push(row);
            }
            if captioned { table.captioned() } else { table }
        })
    })
}

/// Digits with what may stand within a number.
fn numbers(text: &str) -> Vec<&str> {
    let is_within = |character: char| character.is_ascii_digit() || ".-+e:T".contains(character);
    let words = text.split(|character: char| !is_within(character));
    let bare = words.map(|word| word.trim_matches(|character: char| !character.is_ascii_digit()));
    bare.filter(|word| !word.is_empty()).collect()
}

proptest! {
    #[test]
    fn every_line_fits_and_every_number_is_whole(table in table(), most in 10..200_usize) {
        let look = Look { width_max: Some(most), colours: Colours::None, text: Text::Escaped };
        let shown = render(&table, Format::Table, look);
        for line in shown.lines() {
            prop_assert!(width(line) <= most || line.split_whitespace().count() == 1, "{most}: {line}\n{shown}");
        }
        let whole = render(&table, Format::Table, Look { width_max: None, ..look });
        let known = numbers(&whole);
        for number in numbers(&shown) {
            prop_assert!(known.contains(&number), "{most}: {number}\n{shown}\n{whole}");
        }
    }
}
