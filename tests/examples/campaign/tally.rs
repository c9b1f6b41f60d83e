//! What is to be tried, and what was.

use std::fmt;

use crate::disturbance::Disturbance;

/// How often each at least.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Goals {
    pub(crate) kills: u64,
    pub(crate) stops: u64,
    pub(crate) copies: u64,
    pub(crate) moves: u64,
    pub(crate) full_disks: u64,
    pub(crate) seed: u64,
}

impl Goals {
    /// Of the command line.
    pub(crate) fn read(arguments: &[String]) -> Result<Self, String> {
        let mut goals = Self { kills: 500, stops: 200, copies: 40, moves: 40, full_disks: 40, seed: 1 };
        let mut words = arguments.iter();
        while let Some(word) = words.next() {
            let goal = match word.as_str() {
                "--kills" => &mut goals.kills,
                "--stops" => &mut goals.stops,
                "--copies" => &mut goals.copies,
                "--moves" => &mut goals.moves,
                "--full-disks" => &mut goals.full_disks,
                "--seed" => &mut goals.seed,
                other => return Err(format!("there is no option `{other}`")),
            };
            let value = words.next().ok_or_else(|| format!("{word} wants a number"))?;
            *goal = value.parse().map_err(|_| format!("{word} wants a number, but got `{value}`"))?;
        }
        Ok(goals)
    }
}

/// What was made.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) journeys: u64,
    lab_kills: u64,
    worker_kills: u64,
    reader_kills: u64,
    stops: u64,
    copies: u64,
    moves: u64,
    full_disks: u64,
    /// Records that were looked at, with every run's state.
    pub(crate) checks: u64,
    /// Runs whose every number was held against an undisturbed one's.
    pub(crate) runs_compared: u64,
    /// Files of weights that a killed worker was writing.
    pub(crate) half_written_folders: u64,
}

impl Tally {
    pub(crate) fn count(&mut self, disturbance: Disturbance) {
        let counted = match disturbance {
            Disturbance::KillLab => &mut self.lab_kills,
            Disturbance::KillWorker => &mut self.worker_kills,
            Disturbance::KillReader => &mut self.reader_kills,
            Disturbance::Stop | Disturbance::StopTwice | Disturbance::Terminate => &mut self.stops,
            Disturbance::Copy => &mut self.copies,
            Disturbance::Move => &mut self.moves,
            Disturbance::FullDisk => &mut self.full_disks,
        };
        *counted += 1;
    }

    /// Whether enough of this kind were made.
    pub(crate) fn has_enough(&self, disturbance: Disturbance, goals: &Goals) -> bool {
        match disturbance {
            Disturbance::KillLab | Disturbance::KillWorker | Disturbance::KillReader => self.kills() >= goals.kills,
            Disturbance::Stop | Disturbance::StopTwice | Disturbance::Terminate => self.stops >= goals.stops,
            Disturbance::Copy => self.copies >= goals.copies,
            Disturbance::Move => self.moves >= goals.moves,
            Disturbance::FullDisk => self.full_disks >= goals.full_disks,
        }
    }

    pub(crate) fn reached(&self, goals: &Goals) -> bool {
        Disturbance::ALL.iter().all(|disturbance| self.has_enough(*disturbance, goals))
    }

    fn kills(&self) -> u64 {
        self.lab_kills + self.worker_kills + self.reader_kills
    }

    pub(crate) fn line(&self) -> String {
        format!(
            "{} kills, {} stops, {} copies, {} moves, {} full disks",
            self.kills(),
            self.stops,
            self.copies,
            self.moves,
            self.full_disks
        )
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (what, count) in [
            ("journeys", self.journeys),
            ("SIGKILLs of a lab", self.lab_kills),
            ("SIGKILLs of a worker", self.worker_kills),
            ("SIGKILLs of a reader", self.reader_kills),
            ("stops (SIGINT once or twice, SIGTERM)", self.stops),
            ("copies, resumed or superseded beside the original", self.copies),
            ("moves", self.moves),
            ("full disks", self.full_disks),
            ("records looked at after a disturbance", self.checks),
            ("runs compared with an undisturbed one's numbers", self.runs_compared),
            ("files of half-written folders of weights, beside whole ones", self.half_written_folders),
        ] {
            writeln!(formatter, "{count:>6} {what}")?;
        }
        Ok(())
    }
}
