//! Dense linear systems: LU factors with partial pivoting, in blocks so that a 1,000 × 1,000
//! matrix is worked on from cache.

/// Columns that are factored before the rest of the matrix is updated with them.
const BLOCK: usize = 32;

/// Columns of the rest that are updated at a time: `BLOCK` rows of them stay in cache.
const TILE: usize = 256;

/// `P A = L U` of a square matrix.
#[derive(Debug, Clone)]
pub(crate) struct LuFactors {
    order: usize,
    /// L below the diagonal (its own diagonal is 1), U on and above it; row-major.
    factors: Vec<f64>,
    /// Row `k` was exchanged with row `exchanges[k]`, in this order.
    exchanges: Vec<usize>,
}

impl LuFactors {
    /// Factors a row-major `order × order` matrix; `None` if it is singular to working precision
    /// or holds something that is not finite.
    pub(crate) fn of(matrix: Vec<f64>, order: usize) -> Option<Self> {
        debug_assert_eq!(matrix.len(), order * order, "a square matrix");
        let mut lu = Self { order, factors: matrix, exchanges: vec![0; order] };
        for start in (0..order).step_by(BLOCK) {
            let end = (start + BLOCK).min(order);
            lu.factor_panel(start, end)?;
            lu.solve_panel_rows(start, end);
            lu.update_rest(start, end);
        }
        Some(lu)
    }

    /// Columns `start..end` of the rows from `start` on.
    fn factor_panel(&mut self, start: usize, end: usize) -> Option<()> {
        let order = self.order;
        for column in start..end {
            let pivot_row = self.largest_below(column);
            let pivot = self.factors[pivot_row * order + column];
            if pivot == 0.0 || !pivot.is_finite() {
                return None;
            }
            self.exchanges[column] = pivot_row;
            if pivot_row != column {
                let (upper, lower) = self.factors.split_at_mut(pivot_row * order);
                upper[column * order..(column + 1) * order].swap_with_slice(&mut lower[..order]);
            }
            let (upper, lower) = self.factors.split_at_mut((column + 1) * order);
            let pivot_tail = &upper[column * order + column + 1..column * order + end];
            for row in lower.chunks_exact_mut(order) {
                let multiplier = row[column] / pivot;
                row[column] = multiplier;
                for (entry, above) in row[column + 1..end].iter_mut().zip(pivot_tail) {
                    *entry -= multiplier * above;
                }
            }
        }
        Some(())
    }

    /// The row, from the diagonal down, whose entry in this column is largest.
    fn largest_below(&self, column: usize) -> usize {
        let entry = |row: usize| self.factors[row * self.order + column].abs();
        let mut best = column;
        for row in column + 1..self.order {
            // A NaN wins, so that the caller sees it.
            if entry(row) > entry(best) || entry(row).is_nan() {
                best = row;
            }
        }
        best
    }

    /// Rows `start..end` to the right of the panel: `U₁₂ = L₁₁⁻¹ A₁₂`.
    fn solve_panel_rows(&mut self, start: usize, end: usize) {
        let order = self.order;
        for row in start + 1..end {
            let (upper, lower) = self.factors.split_at_mut(row * order);
            let (multipliers, tail) = lower[..order].split_at_mut(end);
            for above in start..row {
                let source = &upper[above * order + end..(above + 1) * order];
                subtract_scaled(tail, multipliers[above], source);
            }
        }
    }

    /// Everything below and to the right of the panel: `A₂₂ −= L₂₁ U₁₂`.
    fn update_rest(&mut self, start: usize, end: usize) {
        let order = self.order;
        let (upper, lower) = self.factors.split_at_mut(end * order);
        for tile_start in (end..order).step_by(TILE) {
            let tile = tile_start..(tile_start + TILE).min(order);
            let source = |above: usize| &upper[above * order + tile.start..above * order + tile.end];
            for row in lower.chunks_exact_mut(order) {
                let (multipliers, tail) = row.split_at_mut(end);
                let target = &mut tail[tile.start - end..tile.end - end];
                let whole = start + (end - start) / 4 * 4;
                for above in (start..whole).step_by(4) {
                    let sources = [source(above), source(above + 1), source(above + 2), source(above + 3)];
                    subtract_four(target, &multipliers[above..above + 4], sources);
                }
                for (above, &multiplier) in multipliers.iter().enumerate().skip(whole) {
                    subtract_scaled(target, multiplier, source(above));
                }
            }
        }
    }

    /// Replaces `b` with the solution of `A x = b`.
    pub(crate) fn solve(&self, b: &mut [f64]) {
        let order = self.order;
        for (row, &other) in self.exchanges.iter().enumerate() {
            b.swap(row, other);
        }
        for row in 1..order {
            let (known, rest) = b.split_at_mut(row);
            rest[0] -= crate::numeric::dot(&self.factors[row * order..row * order + row], known);
        }
        for row in (0..order).rev() {
            let factors = &self.factors[row * order..(row + 1) * order];
            let (head, known) = b.split_at_mut(row + 1);
            head[row] = (head[row] - crate::numeric::dot(&factors[row + 1..], known)) / factors[row];
        }
    }
}

fn subtract_scaled(target: &mut [f64], factor: f64, source: &[f64]) {
    for (entry, s) in target.iter_mut().zip(source) {
        *entry -= factor * s;
    }
}

/// Four rows at once: the target is read and written a quarter as often.
fn subtract_four(target: &mut [f64], factors: &[f64], sources: [&[f64]; 4]) {
    let [f0, f1, f2, f3] = [factors[0], factors[1], factors[2], factors[3]];
    let [s0, s1, s2, s3] = sources.map(|source| &source[..target.len()]);
    for (column, entry) in target.iter_mut().enumerate() {
        *entry -= f0 * s0[column] + f1 * s1[column] + f2 * s2[column] + f3 * s3[column];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numeric::product;

    /// A deterministic matrix without structure.
    fn pseudo_random(order: usize) -> Vec<f64> {
        let mut state = 1_u64;
        (0..order * order)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 11) as f64 / (1_u64 << 53) as f64 - 0.5
            })
            .collect()
    }

    #[test]
    fn solutions_satisfy_their_systems_at_orders_around_the_block_size() {
        for order in [1, 2, 3, 31, 32, 33, 64, 65, 100, 300] {
            let matrix = pseudo_random(order);
            let expected: Vec<f64> = (0..order).map(|i| 1.0 + i as f64).collect();
            let mut solution = product(&matrix, &expected);
            LuFactors::of(matrix, order).unwrap().solve(&mut solution);
            for (found, expected) in solution.iter().zip(&expected) {
                assert!((found - expected).abs() < 1e-8 * order as f64, "order {order}: {found} for {expected}");
            }
        }
    }

    #[test]
    fn rows_are_exchanged_where_the_diagonal_is_zero() {
        let mut b = vec![2.0, 3.0];
        LuFactors::of(vec![0.0, 1.0, 1.0, 0.0], 2).unwrap().solve(&mut b);
        assert_eq!(b, [3.0, 2.0]);
    }

    #[test]
    fn singular_and_non_finite_matrices_are_refused() {
        assert!(LuFactors::of(vec![1.0, 2.0, 2.0, 4.0], 2).is_none());
        assert!(LuFactors::of(vec![f64::NAN, 2.0, 2.0, 4.0], 2).is_none());
        assert!(LuFactors::of(vec![1.0, 2.0, f64::NAN, 4.0], 2).is_none());
    }
}
