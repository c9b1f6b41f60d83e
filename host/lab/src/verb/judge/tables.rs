//! What was found, as one table.

use slhf_statistics::{Agreement, Audit, CyclicPart, Estimate, LengthBias, Noise, Triples};

use super::trial::Trial;
use crate::output::{Cell, Column, Table, number};

/// Characters that a gain is printed for.
pub(super) const CHARACTERS: f64 = 100.0;

/// A row a number.
pub(super) fn of(trial: &Trial) -> Table {
    let mut rows = Rows(Table::new(vec![
        Column::text("part"),
        Column::text("what"),
        Column::number("value"),
        Column::number("low"),
        Column::number("high"),
        Column::number("n"),
        Column::text("finding"),
    ]));
    rows.audit(&trial.audit);
    rows.cost(trial);
    rows.0.without_empty_columns()
}

struct Rows(Table);

impl Rows {
    fn push(&mut self, part: &str, what: impl Into<String>, value: f64) -> &mut Vec<Cell> {
        let what: String = what.into();
        self.0.push(vec![Cell::text(part), Cell::text(what), Cell::Number(value)]);
        let last = self.0.rows.len() - 1;
        &mut self.0.rows[last]
    }

    /// A number with its interval, the pairs or triples behind it, and what it means.
    fn estimate(&mut self, part: &str, what: impl Into<String>, estimate: Estimate, n: usize, finding: &str) {
        let row = self.push(part, what, estimate.value);
        if let Some(interval) = estimate.interval {
            (row[3], row[4]) = (Cell::Number(interval.low), Cell::Number(interval.high));
        }
        row[5] = Cell::count(n);
        if !finding.is_empty() {
            row[6] = Cell::text(finding);
        }
    }

    fn audit(&mut self, audit: &Audit) {
        if let Some(position) = audit.position {
            let finding = by_sign(&position, ["the first place gains", "the second place gains", "none seen"]);
            self.estimate("position", "p(a, b) + p(b, a) - 1", position, audit.pairs, finding);
        }
        if let Some(length) = &audit.length {
            self.length(length, audit.pairs);
        }
        if let Some(noise) = audit.noise {
            self.noise(&noise, audit.pairs);
        }
        if let Some(triples) = audit.triples {
            self.triples(&triples);
        }
        if let Some(part) = audit.cyclic_part {
            self.cyclic_part(&part);
        }
        if let Some(agreement) = &audit.agreement {
            self.agreement(agreement);
        }
    }

    fn length(&mut self, length: &LengthBias, pairs: usize) {
        let gain = scaled(length.gain, CHARACTERS);
        let finding = by_sign(&gain, ["the longer gains", "the shorter gains", "none seen"]);
        self.estimate("length", format!("win per {CHARACTERS} characters more"), gain, pairs, finding);
        for group in &length.groups {
            let what = format!("win rate of the longer, by {} to {} characters", number(group.low), number(group.high));
            self.estimate("length", what, group.longer_wins, group.pairs, "");
        }
    }

    fn noise(&mut self, noise: &Noise, pairs: usize) {
        let finding = if noise.standard_deviation.value > 0.0 { "" } else { "none seen" };
        self.estimate("noise", "standard deviation of a verdict", noise.standard_deviation, pairs, finding);
        self.estimate("noise", "share of flips between two draws", noise.flips, pairs, "");
    }

    fn triples(&mut self, triples: &Triples) {
        self.estimate(
            "cycles",
            "share of intransitive triples",
            triples.share,
            triples.total,
            verdict(triples.is_cyclic()),
        );
        if let Some(of_noise) = triples.of_noise {
            self.push("cycles", "the same of its noise alone", of_noise);
        }
        self.push("cycles", "the same of a fair coin", triples.of_a_coin());
    }

    fn cyclic_part(&mut self, part: &CyclicPart) {
        self.push("cycles", "cyclic part of the log-odds", part.share)[5] = Cell::count(part.prompts);
        if let Some(of_noise) = part.of_noise {
            self.push("cycles", "what its noise gives of it", of_noise);
        }
        if let Some(without) = part.without_noise {
            self.estimate("cycles", "cyclic part without noise", without, part.prompts, verdict(part.is_cyclic()));
        }
        self.push("cycles", "cyclic part of a coin, (n - 2)/n", part.of_a_coin);
    }

    fn agreement(&mut self, agreement: &Agreement) {
        let decided = agreement.labeled - agreement.tied_labels;
        if let Some(accuracy) = agreement.accuracy {
            self.estimate("labels", "accuracy", accuracy, decided, "");
        }
        if let Some(kappa) = agreement.kappa {
            self.estimate("labels", "Cohen's kappa", kappa, agreement.labeled, "");
        }
        let calibration = &agreement.calibration;
        let finding = if calibration.is_miscalibrated() { "miscalibrated" } else { "not more than chance" };
        let row = self.push("labels", "calibration error (ECE)", calibration.error);
        (row[5], row[6]) = (Cell::count(agreement.labeled), Cell::text(finding));
        self.push("labels", "the same if calibrated, mean", calibration.error_if_calibrated);
        self.push("labels", "the same if calibrated, 95 % below", calibration.error_if_calibrated_95);
        for bin in &calibration.bins {
            let what = format!(
                "right at confidence {} to {} (mean {})",
                number(bin.low),
                number(bin.high),
                number(bin.confidence)
            );
            self.push("labels", what, bin.accuracy)[5] = Cell::count(bin.pairs);
        }
    }

    fn cost(&mut self, trial: &Trial) {
        let asked = &trial.asked;
        let failed: usize = asked.failures.iter().map(|(_, many)| many).sum();
        let share = failed as f64 / asked.verdicts.max(1) as f64;
        self.push("failures", "share of verdicts", share)[5] = Cell::count(failed);
        for (kind, many) in &asked.failures {
            self.push("failures", kind.as_str(), *many as f64 / asked.verdicts.max(1) as f64)[5] = Cell::count(*many);
        }
        let per_thousand = |many: f64| many * 1000.0 / asked.verdicts.max(1) as f64;
        for one in &asked.uses {
            let row =
                self.push("cost", format!("{}: items per 1,000 verdicts", one.name), per_thousand(one.items as f64));
            row[5] = Cell::count(asked.verdicts);
            let milliseconds = per_thousand(one.wall_ns as f64 / 1e6);
            self.push("cost", format!("{}: milliseconds per 1,000 verdicts", one.name), milliseconds);
        }
        for ((model, _), usage) in &trial.models {
            let tokens = usage.prompt_tokens + usage.completion_tokens;
            let what = |what: &str| format!("{model}: {what} per 1,000 verdicts");
            self.push("cost", what("items"), per_thousand(usage.items as f64));
            self.push("cost", what("tokens"), per_thousand(tokens as f64));
            self.push("cost", what("milliseconds"), per_thousand(usage.milliseconds as f64));
        }
    }
}

pub(super) fn scaled(estimate: Estimate, by: f64) -> Estimate {
    let interval = estimate.interval.map(|mut interval| {
        (interval.low, interval.high) = (interval.low * by, interval.high * by);
        interval
    });
    Estimate { value: estimate.value * by, interval, ..estimate }
}

fn by_sign<'a>(estimate: &Estimate, [above, below, none]: [&'a str; 3]) -> &'a str {
    match estimate.interval {
        Some(interval) if interval.excludes_zero() => {
            if estimate.value > 0.0 {
                above
            } else {
                below
            }
        }
        Some(_) => none,
        None => "",
    }
}

fn verdict(is_cyclic: Option<bool>) -> &'static str {
    match is_cyclic {
        Some(true) => "cyclic",
        Some(false) => "not more than noise",
        None => "",
    }
}
