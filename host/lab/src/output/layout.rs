//! How wide each column of a table may be where the place is narrow.

/// What a column asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extent {
    /// At which nothing is broken.
    pub(super) natural: usize,
    /// At which nothing is cut, but lines are broken at spaces.
    pub(super) broken: usize,
    /// At which words are cut as far as they may be.
    pub(super) least: usize,
}

/// What tabled adds to each column: two spaces and a line; and one line more.
pub(super) const BESIDE_A_COLUMN: usize = 3;

/// Widths that fit a place of `width` columns; `None` where even the least do not. Lines are broken before words are cut, and the
/// widest column gives way first.
pub(super) fn widths(extents: &[Extent], width: usize) -> Option<Vec<usize>> {
    let room = width.checked_sub(BESIDE_A_COLUMN * extents.len() + 1)?;
    let mut widths: Vec<usize> = extents.iter().map(|extent| extent.natural).collect();
    narrow(&mut widths, extents, room, |extent| extent.broken.min(extent.natural));
    narrow(&mut widths, extents, room, |extent| extent.least.min(extent.broken).min(extent.natural));
    (widths.iter().sum::<usize>() <= room).then_some(widths)
}

fn narrow(widths: &mut [usize], extents: &[Extent], room: usize, least: impl Fn(&Extent) -> usize) {
    let mut excess = widths.iter().sum::<usize>().saturating_sub(room);
    while excess > 0 {
        let can_give = |index: &usize| widths[*index] > least(&extents[*index]);
        let Some(widest) = (0..widths.len()).filter(can_give).max_by_key(|index| widths[*index]) else { return };
        widths[widest] -= 1;
        excess -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extent(natural: usize, broken: usize, least: usize) -> Extent {
        Extent { natural, broken, least }
    }

    #[test]
    fn the_widest_gives_way_first_and_words_are_cut_last() {
        let extents = [extent(5, 5, 5), extent(40, 20, 8), extent(30, 25, 8)];
        assert_eq!(widths(&extents, 200), Some(vec![5, 40, 30]));
        assert_eq!(widths(&extents, 75), Some(vec![5, 30, 30]));
        assert_eq!(widths(&extents, 60), Some(vec![5, 20, 25]));
        assert_eq!(widths(&extents, 40), Some(vec![5, 13, 12]));
        assert_eq!(widths(&extents, 31), Some(vec![5, 8, 8]));
        assert_eq!(widths(&extents, 30), None);
        assert_eq!(widths(&extents, 3), None);
    }
}
