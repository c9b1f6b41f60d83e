//! Batches: split over threads, each part in a fresh instance, every value checked.

use std::{
    ops::Range,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use wasmtime::component::{Lift, Lower};

use crate::{
    error::{Doing, Expected, Fault, JudgeError},
    guest::Guest,
    log::harmless,
    plugin::Plugin,
    state::{Budget, Upstream},
    types::{Attribute, Candidate, Comparison, ItemFailure, Outcomes, Score, Verdict},
};

/// Fewer items are not worth a thread of their own.
const PART_ITEMS_MIN: usize = 64;
/// What stands in the place of a reason that a run has no more room for.
const LEFT_OUT: &str = "[left out: run_output_mib]";

/// More items are not handed to one instance.
const PART_ITEMS_MAX: usize = 1024;

/// Something that is judged in batches.
pub(crate) trait Judged: Lower + Send + Sync + 'static {
    /// What the plugin answers.
    type Answer: Lift + Lower + Send + 'static;
    /// The function's name.
    const DOING: Doing;
    /// Bytes of its texts.
    fn text_bytes(&self) -> usize;
    /// Checks what came back.
    fn check(answer: &Self::Answer) -> Result<(), Fault>;
    /// The criteria behind it.
    fn attributes(answer: &mut Self::Answer) -> &mut [Attribute];
}

impl Judged for Comparison {
    type Answer = Verdict;
    const DOING: Doing = Doing::Compare;

    fn text_bytes(&self) -> usize {
        let messages: usize = self.messages.iter().map(|message| message.role.len() + message.content.len()).sum();
        let responses = [&self.first, &self.second].map(|response| response.text.len() + response.metadata.len());
        self.prompt.len() + self.metadata.len() + messages + responses[0] + responses[1]
    }

    fn check(verdict: &Verdict) -> Result<(), Fault> {
        check_unit("the probability", verdict.probability)?;
        verdict.attributes.iter().try_for_each(|attribute| check_unit(&of(attribute), attribute.value))
    }

    fn attributes(verdict: &mut Verdict) -> &mut [Attribute] {
        &mut verdict.attributes
    }
}

impl Judged for Candidate {
    type Answer = Score;
    const DOING: Doing = Doing::Score;

    fn text_bytes(&self) -> usize {
        let messages: usize = self.messages.iter().map(|message| message.role.len() + message.content.len()).sum();
        self.prompt.len() + self.metadata.len() + messages + self.response.text.len() + self.response.metadata.len()
    }

    fn check(score: &Score) -> Result<(), Fault> {
        check_finite("the reward", score.value)?;
        score.attributes.iter().try_for_each(|attribute| check_finite(&of(attribute), attribute.value))
    }

    fn attributes(score: &mut Score) -> &mut [Attribute] {
        &mut score.attributes
    }
}

fn of(attribute: &Attribute) -> String {
    format!("the value of attribute `{}`", harmless(&attribute.name))
}

fn check_unit(what: &str, value: f64) -> Result<(), Fault> {
    // NaN is in no range.
    if (0.0..=1.0).contains(&value) {
        return Ok(());
    }
    Err(Fault::BadValue { what: what.into(), value, expected: Expected::UnitInterval })
}

pub(crate) fn check_finite(what: &str, value: f64) -> Result<(), Fault> {
    if value.is_finite() {
        return Ok(());
    }
    Err(Fault::BadValue { what: what.into(), value, expected: Expected::Finite })
}

/// Whether the record gets the attributes of verdicts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attributes {
    /// It does, within the limits of a run.
    Kept,
    /// Whoever asks lets them fall.
    Dropped,
}

/// One outcome per item.
pub(crate) type Answers<T> = Vec<Result<<T as Judged>::Answer, ItemFailure>>;

/// Where a thread leaves what became of a part.
type Slot<T> = Mutex<Option<Result<Answers<T>, JudgeError>>>;

impl Plugin {
    /// Judges one part of a batch in a fresh instance on this thread. `first` is the index of its first item; `rest` what
    /// is left of the budget of a plugin that wraps this one.
    pub(crate) fn judge<T: Judged>(
        &self,
        items: &[T],
        first: usize,
        is_repetition: bool,
        rest: Option<&mut Budget>,
    ) -> Result<Answers<T>, JudgeError> {
        let sandbox = &self.sandbox;
        let mut guest = Guest::start_within(sandbox, is_repetition, rest.as_deref().cloned())?;
        let (outcomes,): (Outcomes<T::Answer>,) = guest
            .call(sandbox, T::DOING, items.len(), &sandbox.compiled.main, (items,))
            .map_err(|error| about(error, first..first + items.len()))?;
        if let (Some(rest), Some(left)) = (rest, guest.inherited()) {
            *rest = left;
        }
        guest.finish(sandbox);
        let error = |fault, range| Err(about(sandbox.error(T::DOING, fault), range));
        let outcomes = match outcomes {
            Ok(outcomes) if outcomes.len() == items.len() => outcomes,
            Ok(outcomes) => {
                let fault = Fault::WrongLength { expected: items.len(), found: outcomes.len() };
                return error(fault, first..first + items.len());
            }
            Err(failure) => {
                return error(Fault::Failed { reason: harmless(&failure.reason) }, first..first + items.len());
            }
        };
        for (index, answer) in outcomes.iter().enumerate() {
            if let Some(fault) = answer.as_ref().ok().and_then(|answer| T::check(answer).err()) {
                return error(fault, first + index..first + index + 1);
            }
        }
        if !is_repetition {
            sandbox.counters.add_call(items.len(), outcomes.iter().filter(|outcome| outcome.is_err()).count());
        }
        Ok(outcomes)
    }

    /// Judges a batch on threads of its own. Of several errors the one of the earliest items is returned, so that the
    /// error does not depend on the threads either.
    pub(crate) fn judge_batch<T: Judged>(&self, items: &[T], attributes: Attributes) -> Result<Answers<T>, JudgeError> {
        let threads = &self.sandbox.host.threads;
        let parts = split(items, threads.count(), self.sandbox.limits.memory_mib);
        let results: Vec<Slot<T>> = parts.iter().map(|_| Mutex::default()).collect();
        let (next, failed) = (AtomicUsize::new(0), AtomicUsize::new(usize::MAX));
        let work = || {
            loop {
                let part = next.fetch_add(1, Ordering::Relaxed);
                // What comes after a failure is of no use to anybody.
                let Some(range) = parts.get(part).filter(|_| part < failed.load(Ordering::Relaxed)) else { break };
                let result = self
                    .judge(&items[range.clone()], range.start, false, None)
                    .map_err(|error| self.find_culprit(items, range.clone(), error));
                if result.is_err() {
                    failed.fetch_min(part, Ordering::Relaxed);
                }
                *results[part].lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
            }
        };
        threads.run(threads.count().min(parts.len()), self.sandbox.stack_bytes(), &work)?;
        let mut answers = Vec::with_capacity(items.len());
        for result in results {
            match result.into_inner().unwrap_or_else(PoisonError::into_inner) {
                Some(result) => answers.append(&mut result?),
                // Skipped after a failure, whose own slot lies before this one.
                None => break,
            }
        }
        if attributes == Attributes::Kept {
            self.limit_output::<T>(&mut answers)?;
        }
        Ok(answers)
    }

    /// Leaves reasons out once a run has more of them than its limit. In the order of the items, so that threads change
    /// nothing.
    fn limit_output<T: Judged>(&self, answers: &mut Answers<T>) -> Result<(), JudgeError> {
        let (sandbox, counters) = (&self.sandbox, &self.sandbox.counters);
        let allowed = sandbox.limits.run_output_bytes();
        for (index, answer) in answers.iter_mut().enumerate() {
            let Ok(answer) = answer else { continue };
            for attribute in T::attributes(answer) {
                let fixed = (attribute.name.len() + size_of::<f64>()) as u64;
                if counters.output_bytes().saturating_add(fixed + attribute.reason.len() as u64) > allowed
                    && attribute.reason.len() > LEFT_OUT.len()
                {
                    if counters.leave_out() {
                        sandbox.host.log.write(sandbox.left_out());
                    }
                    LEFT_OUT.clone_into(&mut attribute.reason);
                }
                let sum = counters.add_output(fixed + attribute.reason.len() as u64);
                if sum > allowed.saturating_mul(2) {
                    let fault = Fault::RunOutput { allowed_mib: allowed.saturating_mul(2) >> 20 };
                    return Err(about(sandbox.error(T::DOING, fault), index..index + 1));
                }
            }
        }
        Ok(())
    }

    /// Where a whole part failed, halves it until the error is about one item, or does not come back.
    fn find_culprit<T: Judged>(&self, items: &[T], mut range: Range<usize>, mut error: JudgeError) -> JudgeError {
        while range.len() > 1 && is_about_a_whole_part(&error) {
            let middle = usize::midpoint(range.start, range.end);
            let halves = [range.start..middle, middle..range.end];
            let worse = halves.into_iter().find_map(|half| {
                let outcome = self.judge(&items[half.clone()], half.start, true, None);
                outcome.err().map(|error| (half, error))
            });
            match worse {
                Some(found) => (range, error) = found,
                // It takes several items at once, memory for instance.
                None => break,
            }
        }
        error
    }
}

impl Upstream for Plugin {
    fn compare(
        &self,
        batch: &[Comparison],
        is_repetition: bool,
        rest: &mut Budget,
    ) -> Result<Answers<Comparison>, JudgeError> {
        self.judge(batch, 0, is_repetition, Some(rest))
    }

    fn score(
        &self,
        batch: &[Candidate],
        is_repetition: bool,
        rest: &mut Budget,
    ) -> Result<Answers<Candidate>, JudgeError> {
        self.judge(batch, 0, is_repetition, Some(rest))
    }
}

fn is_about_a_whole_part(error: &JudgeError) -> bool {
    match error {
        JudgeError::Guest { doing, fault, .. } => {
            !matches!(doing, Doing::Start | Doing::Configure)
                && !matches!(fault, Fault::BadValue { .. } | Fault::WrongLength { .. })
        }
        JudgeError::Upstream { .. } => true,
        _ => false,
    }
}

/// Says which items an error of a call is about.
fn about(mut error: JudgeError, range: Range<usize>) -> JudgeError {
    if let JudgeError::Guest { items, .. } | JudgeError::Upstream { items, .. } = &mut error {
        *items = Some(range);
    }
    error
}

/// Parts of nearly equal size, one a thread where that is worth it, none too large for the guest's memory.
fn split<T: Judged>(items: &[T], threads: usize, memory_mib: u32) -> Vec<Range<usize>> {
    let part_items = items.len().div_ceil(threads).clamp(PART_ITEMS_MIN, PART_ITEMS_MAX);
    // The guest needs room for copies of its own.
    let part_bytes = memory_mib as usize * (1 << 20) / 8;
    let (mut parts, mut start, mut bytes) = (Vec::new(), 0, 0);
    for (index, item) in items.iter().enumerate() {
        let item_bytes = item.text_bytes();
        if index > start && (index - start == part_items || bytes + item_bytes > part_bytes) {
            parts.push(start..index);
            (start, bytes) = (index, 0);
        }
        bytes += item_bytes;
    }
    // An empty batch is one empty part: the plugin is asked all the same, so that `check` can see what it does.
    parts.push(start..items.len());
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_cover_the_batch_in_order() {
        // Where each part ends.
        let check = |count: usize, bytes: usize, threads, expect: &[usize]| {
            let items = vec![Candidate::from_text("", "x".repeat(bytes)); count];
            let parts = split(&items, threads, 1);
            let ends: Vec<usize> = parts.iter().map(|part| part.end).collect();
            assert_eq!(ends, expect, "{count} × {bytes} on {threads}");
            let starts: Vec<usize> = parts.iter().map(|part| part.start).collect();
            assert_eq!(starts[0], 0);
            assert_eq!(starts[1..], ends[..ends.len() - 1]);
        };
        check(0, 0, 4, &[0]);
        check(64, 1, 4, &[64]);
        check(130, 1, 2, &[65, 130]);
        check(1200, 1, 1, &[1024, 1200]);
        check(3, 100_000, 1, &[1, 2, 3]);
        check(2, 10_000_000, 1, &[1, 2]);
    }

    #[test]
    fn probabilities_are_checked() {
        let verdict = |probability| Verdict { probability, attributes: Vec::new() };
        for good in [0.0, 0.5, 1.0, f64::MIN_POSITIVE, -0.0] {
            assert_eq!(Comparison::check(&verdict(good)), Ok(()), "{good}");
        }
        for bad in [f64::NAN, 1.5, -0.1, 1.0 + f64::EPSILON, f64::INFINITY] {
            assert!(Comparison::check(&verdict(bad)).is_err(), "{bad}");
        }
    }
}
