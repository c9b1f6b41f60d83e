//! Checks of judges and reward models.

use std::{fmt::Debug, time::Instant};

use super::checks::Checks;
use crate::{
    JudgeError,
    batch::{Answers, Judged},
    types::{Comparison, Verdict},
};

/// Rounding of the two probabilities that add up to 1.
const COMPLEMENTARITY_TOLERANCE: f64 = 1e-12;

/// Items that throughput is measured on.
const THROUGHPUT_ITEMS: usize = 4096;

/// All checks that judges and reward models have in common. Returns whether there were valid answers to check at all.
pub(super) fn check_all<T>(
    checks: &mut Checks,
    items: &[T],
    hard: &[(&'static str, Vec<T>)],
    ask: impl Fn(&[T]) -> Result<Answers<T>, JudgeError>,
) -> bool
where
    T: Judged + Clone,
    T::Answer: Debug,
{
    let ask = |items: &[T]| ask(items).map_err(|error| slhf_words::chain(&error));
    let answers = match ask(items) {
        Ok(answers) => answers,
        Err(fault) => {
            checks.add("range", Err(fault));
            return false;
        }
    };
    let failed: Vec<_> = answers.iter().filter_map(|answer| answer.as_ref().err()).collect();
    let valid = answers.len() - failed.len();
    let first_failure = failed.first().map_or(String::new(), |failure| {
        format!(", {} declared failed (the first: {})", failed.len(), crate::log::harmless(&failure.reason))
    });
    let range = format!("{valid} of {} results are valid{first_failure}", answers.len());
    checks.add("range", if valid == 0 { Err(range) } else { Ok(range) });
    checks.add("determinism", ask(items).and_then(|again| compare(&answers, &again, "asked again")));
    checks.add("split", in_parts(items, &ask).and_then(|parts| compare(&answers, &parts, "asked one by one")));
    checks.add("order", in_reverse(items, &ask).and_then(|turned| compare(&answers, &turned, "asked in reverse")));
    checks.add("empty batch", ask(&[]).map(|_| "no results for no items".to_owned()));
    for (name, items) in hard {
        let survived = ask(items).map(|answers| {
            let failed = answers.iter().filter(|answer| answer.is_err()).count();
            format!("{} succeeded, {failed} declared failed, none trapped", answers.len() - failed)
        });
        checks.add(name, survived);
    }
    match throughput(items, &ask) {
        Ok(per_second) => {
            checks.report("throughput", format!("{per_second:.0} items/s in batches of {THROUGHPUT_ITEMS}"));
        }
        Err(fault) => checks.add("throughput", Err(fault)),
    }
    valid > 0
}

fn in_parts<T: Judged>(items: &[T], ask: &impl Fn(&[T]) -> Result<Answers<T>, String>) -> Result<Answers<T>, String> {
    let mut answers = Vec::new();
    for item in items {
        answers.append(&mut ask(std::slice::from_ref(item))?);
    }
    Ok(answers)
}

fn in_reverse<T: Judged + Clone>(
    items: &[T],
    ask: &impl Fn(&[T]) -> Result<Answers<T>, String>,
) -> Result<Answers<T>, String> {
    let reversed: Vec<T> = items.iter().rev().cloned().collect();
    let mut answers = ask(&reversed)?;
    answers.reverse();
    Ok(answers)
}

/// Bit for bit: the debug form of an `f64` is its shortest exact one, and tells 0 from −0.
fn compare<A: Debug>(expected: &[A], found: &[A], how: &str) -> Result<String, String> {
    let differs = |(index, (expected, found)): (usize, (&A, &A))| {
        let (expected, found) = (format!("{expected:?}"), format!("{found:?}"));
        (expected != found).then(|| format!("item {index} differs when {how}: {found}, not {expected}"))
    };
    match expected.iter().zip(found).enumerate().find_map(differs) {
        Some(difference) => Err(difference),
        None => Ok(format!("{} results have the same bits when {how}", expected.len())),
    }
}

fn throughput<T: Judged + Clone>(
    items: &[T],
    ask: &impl Fn(&[T]) -> Result<Answers<T>, String>,
) -> Result<f64, String> {
    let batch: Vec<T> = items.iter().cycle().take(THROUGHPUT_ITEMS).cloned().collect();
    let began = Instant::now();
    ask(&batch)?;
    Ok(batch.len() as f64 / began.elapsed().as_secs_f64())
}

/// p(a ≻ b) + p(b ≻ a) = 1: reported, and required only of who claims it.
pub(super) fn check_complementarity(
    checks: &mut Checks,
    items: &[Comparison],
    is_claimed: bool,
    ask: impl Fn(&[Comparison]) -> Result<Answers<Comparison>, JudgeError>,
) {
    // The same draw both ways round: noise must not hide behind its own randomness.
    let swapped: Vec<Comparison> = items.iter().map(Comparison::swapped).collect();
    let both = ask(items).and_then(|there| Ok((there, ask(&swapped)?)));
    let (there, back) = match both {
        Ok(both) => both,
        Err(error) => return checks.add("complementarity", Err(slhf_words::chain(&error))),
    };
    let gap = |(there, back): (&Result<Verdict, _>, &Result<Verdict, _>)| match (there, back) {
        (Ok(there), Ok(back)) => Some((there.probability + back.probability - 1.0).abs()),
        _ => None,
    };
    let worst = there
        .iter()
        .zip(&back)
        .map(gap)
        .enumerate()
        .filter_map(|(index, gap)| gap.map(|gap| (index, gap)))
        .max_by(|a, b| a.1.total_cmp(&b.1));
    let Some((index, gap)) = worst else {
        return checks.report("complementarity", "no pair was judged both ways round".to_owned());
    };
    let shown = |text: &str| crate::log::harmless(&text.chars().take(40).collect::<String>());
    let (first, second) = (shown(&items[index].first.text), shown(&items[index].second.text));
    let detail = format!("p(a ≻ b) + p(b ≻ a) is off 1 by at most {gap:.3e}, for a = {first:?}, b = {second:?}");
    match (gap <= COMPLEMENTARITY_TOLERANCE, is_claimed) {
        (true, _) => checks.add("complementarity", Ok(detail)),
        (false, true) => checks.add("complementarity", Err(format!("the manifest claims it, but {detail}"))),
        (false, false) => checks.report("complementarity", format!("{detail}; the manifest does not claim it")),
    }
}
