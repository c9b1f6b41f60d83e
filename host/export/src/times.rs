//! When a step was done. The record keeps times of runs, not of steps: a step's time lies between the run's start and end in
//! proportion.

use slhf_record::{Cell, QueryLimits, Record};

use crate::ExportError;

/// The times of a run, in milliseconds since 1970, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Times {
    /// When it began; of a run that never did, when it was planned.
    pub(crate) start: i64,
    /// When it ended; `None`: it has not.
    pub(crate) end: Option<i64>,
    steps: i64,
}

impl Times {
    pub(crate) fn of(record: &mut Record, run: i64) -> Result<Self, ExportError> {
        let ms = |column: &str| format!("CAST(round(unixepoch({column}, 'subsec') * 1000) AS INTEGER)");
        let statement = format!(
            "SELECT {}, {}, steps FROM runs WHERE run = {run}",
            ms("coalesce(started_at, created_at)"),
            ms("finished_at")
        );
        let mut rows = record.query(&statement, QueryLimits::default())?.rows;
        let number = |cell: &Cell| if let Cell::Integer(value) = cell { Some(*value) } else { None };
        let row = rows.pop().unwrap_or_default();
        let at = |place: usize| row.get(place).and_then(number);
        Ok(Self { start: at(0).unwrap_or(0), end: at(1), steps: at(2).unwrap_or(1).max(1) })
    }

    /// When a step was done, about.
    pub(crate) fn at(&self, step: i64) -> i64 {
        let took = self.end.map_or(self.steps, |end| end - self.start).max(0);
        let share = i128::from(took) * i128::from(step.clamp(0, self.steps)) / i128::from(self.steps);
        self.start + i64::try_from(share).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_lie_between_start_and_end() {
        let times = Times { start: 1_000, end: Some(2_000), steps: 100 };
        assert_eq!([0, 50, 100, 200].map(|step| times.at(step)), [1_000, 1_500, 2_000, 2_000]);
        let open = Times { start: 1_000, end: None, steps: 10 };
        assert_eq!(open.at(10), 1_010);
    }
}
