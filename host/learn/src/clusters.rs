//! Means of what is observed several times a prompt, with 95 % intervals over prompts.

use slhf_statistics::ratio_of_sums;

/// A number with the ends of its interval.
pub(crate) type Located = (f64, Option<(f64, f64)>);

/// A share, of sums over the observations of each prompt and how many they are.
pub(crate) fn share(clusters: &[(f64, f64)]) -> Option<Located> {
    let estimate = ratio_of_sums(clusters)?;
    Some((estimate.value, estimate.interval.map(|interval| (interval.low, interval.high))))
}

/// Of numbers that may lie between 0 and 1 and are no shares: moved to where nobody takes them for such, and back.
pub(crate) fn mean(clusters: &[(f64, f64)]) -> Option<Located> {
    let largest =
        clusters.iter().filter(|(_, many)| *many > 0.0).map(|(sum, many)| (sum / many).abs()).fold(0.0, f64::max);
    let shift = largest + 2.0;
    let moved: Vec<(f64, f64)> = clusters.iter().map(|(sum, many)| (sum + shift * many, *many)).collect();
    let (value, interval) = share(&moved)?;
    Some((value - shift, interval.map(|(low, high)| (low - shift, high - shift))))
}
