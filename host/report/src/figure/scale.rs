//! Values on an axis: its range, its ticks, and where a value stands.

pub use slhf_words::ROUNDING_FLOOR as ROUNDING;
use slhf_words::number;

/// An axis that is measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Axis {
    /// What it shows, with the unit: `KL from the reference (nats per response)`.
    pub title: String,
    /// How.
    pub scale: Scale,
}

/// How values are placed on an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// Evenly.
    Linear,
    /// Evenly, and never beyond 0 and 1.
    Share,
    /// By the logarithm. What is at rounding (below [`ROUNDING`]) stands at the lower end, which says so.
    Logarithm,
}

impl Axis {
    /// Evenly.
    #[must_use]
    pub fn linear(title: impl Into<String>) -> Self {
        Self { title: title.into(), scale: Scale::Linear }
    }

    /// Within 0 and 1.
    #[must_use]
    pub fn share(title: impl Into<String>) -> Self {
        Self { title: title.into(), scale: Scale::Share }
    }

    /// By the logarithm.
    #[must_use]
    pub fn logarithm(title: impl Into<String>) -> Self {
        Self { title: title.into(), scale: Scale::Logarithm }
    }
}

/// Whether a value is nothing but rounding on a logarithmic axis.
pub(crate) fn is_rounding(value: f64) -> bool {
    value.abs() < ROUNDING
}

/// An axis with its range.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Ranged {
    scale: Scale,
    low: f64,
    high: f64,
    /// Whether values at rounding have a place below `low`.
    has_rounding: bool,
}

/// Of the length of an axis, for what is at rounding.
const ROUNDING_ROOM: f64 = 0.16;

impl Ranged {
    /// Around the values that the scale can show; `None` where there is none.
    pub(crate) fn around(scale: Scale, values: impl Iterator<Item = f64>) -> Option<Self> {
        let mut has_rounding = false;
        let mut range: Option<(f64, f64)> = None;
        for value in values.filter(|value| value.is_finite()) {
            if scale == Scale::Logarithm && is_rounding(value) {
                has_rounding = true;
                continue;
            }
            let value = if scale == Scale::Logarithm { value.log10() } else { value };
            if value.is_finite() {
                range = Some(range.map_or((value, value), |(low, high)| (low.min(value), high.max(value))));
            }
        }
        let (low, high) = match (range, has_rounding) {
            (Some(range), _) => range,
            (None, true) => (ROUNDING.log10(), ROUNDING.log10() + 1.0),
            (None, false) => return None,
        };
        let margin = if high > low { 0.05 * (high - low) } else { 0.5 * low.abs().max(1e-3) };
        let (low, high) = match scale {
            Scale::Share => ((low - margin).max(0.0), (high + margin).min(1.0)),
            Scale::Logarithm if high - low < 1e-9 => (low - 0.5, high + 0.5),
            Scale::Linear | Scale::Logarithm => (low - margin, high + margin),
        };
        Some(Self { scale, low, high, has_rounding })
    }

    /// For scripts: how values are placed, from where to where, and the share of the axis below that is for rounding.
    pub(crate) fn described(&self) -> String {
        let scale = if self.scale == Scale::Logarithm { "log" } else { "linear" };
        let start = if self.has_rounding { ROUNDING_ROOM } else { 0.0 };
        format!("{scale} {} {} {start}", self.low, self.high)
    }

    /// From 0 at the low end to 1 at the high one; `None` for what the scale cannot show. What lies beyond an end stands at it.
    pub(crate) fn place(&self, value: f64) -> Option<f64> {
        if !value.is_finite() {
            return None;
        }
        let start = if self.has_rounding { ROUNDING_ROOM } else { 0.0 };
        let value = match self.scale {
            Scale::Logarithm if is_rounding(value) => return Some(if self.has_rounding { start / 2.0 } else { 0.0 }),
            Scale::Logarithm if value <= 0.0 => return None,
            Scale::Logarithm => value.log10(),
            Scale::Linear | Scale::Share => value,
        };
        let within = ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0);
        Some(start + (1.0 - start) * within)
    }

    /// Places with what stands at them; about `many`.
    pub(crate) fn ticks(&self, many: usize) -> Vec<(f64, String)> {
        let mut ticks = Vec::new();
        if self.has_rounding {
            ticks.push((ROUNDING_ROOM / 2.0, format!("< {}", number(ROUNDING))));
        }
        let values = match self.scale {
            Scale::Logarithm => self.decades(many),
            Scale::Linear | Scale::Share => even(self.low, self.high, many),
        };
        ticks.extend(values.into_iter().filter_map(|(value, text)| Some((self.place(value)?, text))));
        ticks
    }

    /// Powers of ten; where fewer than two of them lie in the range, even steps.
    fn decades(&self, many: usize) -> Vec<(f64, String)> {
        let (first, last) = (self.low.ceil() as i32, self.high.floor() as i32);
        if last - first < 1 {
            let even = even(10_f64.powf(self.low), 10_f64.powf(self.high), many.min(4));
            return even.into_iter().filter(|(value, _)| *value > 0.0).collect();
        }
        let step = ((last - first) as usize / many.max(1) + 1) as i32;
        (first..=last)
            .filter(|power| (power - first) % step == 0)
            .map(|power| 10_f64.powi(power))
            .map(|value| (value, number(value)))
            .collect()
    }
}

/// Round values with as many decimals as their step has.
fn even(low: f64, high: f64, many: usize) -> Vec<(f64, String)> {
    let rough = (high - low) / many.max(1) as f64;
    if !(rough.is_finite() && rough > 0.0) {
        return vec![(low, number(low))];
    }
    let magnitude = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * magnitude).into_iter().find(|step| *step >= rough * 0.999);
    let step = step.unwrap_or(10.0 * magnitude);
    let decimals = (-step.log10().floor()).max(0.0) as usize;
    let largest = low.abs().max(high.abs());
    let (first, last) = ((low / step - 1e-9).ceil() as i64, (high / step + 1e-9).floor() as i64);
    (first..=last)
        .map(|at| {
            let value = at as f64 * step;
            let text = if at == 0 {
                "0".to_owned()
            } else if decimals > 4 || largest >= 1e6 {
                number(value)
            } else {
                format!("{value:.decimals$}")
            };
            (value, text)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(scale: Scale, values: &[f64]) -> Vec<String> {
        let ranged = Ranged::around(scale, values.iter().copied()).expect("values");
        ranged.ticks(5).into_iter().map(|(_, text)| text).collect()
    }

    #[test]
    fn ticks_are_round_and_alike() {
        for (scale, values, expected) in [
            (Scale::Linear, &[0.0, 10.0][..], &["0", "5", "10"][..]),
            (Scale::Linear, &[-0.3, 0.3], &["-0.2", "0", "0.2"]),
            (Scale::Linear, &[7.0], &["4", "6", "8", "10"]),
            (Scale::Linear, &[0.0], &["-0.0004", "-0.0002", "0", "0.0002", "0.0004"]),
            (Scale::Linear, &[2e7, 4e7], &["20000000", "25000000", "30000000", "35000000", "40000000"]),
            (Scale::Share, &[0.2, 1.0], &["0.2", "0.4", "0.6", "0.8", "1.0"]),
            (Scale::Logarithm, &[1e-3, 1.0], &["0.001", "0.01", "0.1", "1"]),
            (Scale::Logarithm, &[1e-30, 1e-3, 1.0], &["< 1e-15", "0.001", "0.01", "0.1", "1"]),
            (Scale::Logarithm, &[2.0, 4.0], &["2", "3", "4"]),
        ] {
            assert_eq!(labels(scale, values), expected, "{scale:?} {values:?}");
        }
    }

    #[test]
    fn a_share_never_leaves_0_to_1() {
        let ranged = Ranged::around(Scale::Share, [0.0, 0.97, 1.0].into_iter()).expect("values");
        assert_eq!((ranged.low, ranged.high), (0.0, 1.0));
    }

    #[test]
    fn rounding_has_a_place_of_its_own() {
        let ranged = Ranged::around(Scale::Logarithm, [0.0, -3e-17, 1e-3, 0.1].into_iter()).expect("values");
        assert_eq!(ranged.place(0.0), ranged.place(-3e-17));
        assert!(ranged.place(0.0) < ranged.place(1e-3) && ranged.place(1e-3) < ranged.place(0.1));
        assert_eq!((ranged.place(-1.0), ranged.place(f64::NAN)), (None, None));
    }
}
