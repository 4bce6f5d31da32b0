//! Orders of rows and columns in which a matrix looks like a Toeplitz one.
//!
//! In a Toeplitz matrix each row is the one before it, moved by one place. So where the columns are in order, the row that
//! follows another is the one that it matches best: of all pairs the best ones are linked first, until they form a
//! path. The same then holds for columns, given the rows. Where neither is in order there is a start only if entries
//! fall off from a diagonal: then nearby rows are similar, and the second eigenvector of their similarities puts them in a
//! row (spectral seriation; Atkins, Boman and Hendrickson, 1998). Matching repairs what is out of order.
//!
//! What this cannot find: rows *and* columns in disorder of a matrix whose similar rows are not near one another, such as one
//! of independent diagonals; and orders in which a matrix has a low displacement rank but a large displacement, as
//! Toeplitz-like matrices of rank 3 and more may have.

use crate::linalg::{norm, transpose};
use crate::shape::Shape;
use crate::unstructured::gemm::{dot, gemm_nt};

/// Rounds of matching rows and columns at most.
const ROUNDS: usize = 6;

/// Steps towards the second eigenvector.
const ITERATIONS: usize = 300;

/// An order that lowers the displacement by less than this is not worth a fit.
const WORTHWHILE: f64 = 0.95;

/// Where each row and each column of the sorted matrix is found.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Order {
    pub rows: Vec<usize>,
    pub cols: Vec<usize>,
}

impl Order {
    fn natural(Shape { rows, cols }: Shape) -> Self {
        Self { rows: (0..rows).collect(), cols: (0..cols).collect() }
    }

    /// The entries in this order.
    pub fn sorted(&self, entries: &[f64], cols: usize) -> Vec<f64> {
        let row = |&i: &usize| self.cols.iter().map(move |&j| entries[i * cols + j]);
        self.rows.iter().flat_map(row).collect()
    }
}

/// The square of what is left where each entry takes off the one before it on its diagonal.
fn roughness(entries: &[f64], cols: usize) -> f64 {
    let rows = entries.chunks_exact(cols).zip(entries.chunks_exact(cols).skip(1));
    rows.map(|(a, b)| a.iter().zip(&b[1..]).map(|(a, b)| (b - a).powi(2)).sum::<f64>()).sum()
}

/// The order in which the displacement of a matrix is smallest, of those that were found; `None` where none is much better than
/// the order that it has. O(mn (m + n)).
pub(super) fn order(shape: Shape, entries: &[f64]) -> Option<Order> {
    let natural = Order::natural(shape);
    let Shape { cols: n, .. } = shape;
    let before = roughness(entries, n);
    let columns = transpose(entries, shape.rows, n);
    let by_similarity = Order { rows: seriation(entries, n), cols: seriation(&columns, shape.rows) };
    let mut best = (before, natural.clone());
    for (start, rows_first) in [(natural.clone(), true), (natural, false), (by_similarity, true)] {
        let (reached, found) = matched(shape, entries, start, rows_first);
        if reached < best.0 {
            best = (reached, found);
        }
    }
    (best.0 < WORTHWHILE * before).then_some(best.1)
}

/// Matches rows and columns in turn until that no longer helps.
fn matched(shape: Shape, entries: &[f64], start: Order, rows_first: bool) -> (f64, Order) {
    let Shape { rows: m, cols: n } = shape;
    let mut best = (f64::INFINITY, start);
    let mut by_rows = rows_first;
    for _ in 0..2 * ROUNDS {
        let (before, mut order) = best.clone();
        let sorted = order.sorted(entries, n);
        if by_rows {
            order.rows = path(&sorted, n).iter().map(|&i| order.rows[i]).collect();
        } else {
            order.cols = path(&transpose(&sorted, m, n), m).iter().map(|&j| order.cols[j]).collect();
        }
        let reached = roughness(&order.sorted(entries, n), n);
        if reached < before {
            best = (reached, order);
        } else if by_rows != rows_first {
            break;
        }
        by_rows = !by_rows;
    }
    best
}

/// The rows in an order in which each is matched by the one before it, moved by one place.
fn path(rows: &[f64], len: usize) -> Vec<usize> {
    let count = rows.len() / len;
    let ends = |skip: usize| -> Vec<f64> {
        rows.chunks_exact(len).flat_map(|row| &row[skip..skip + len - 1]).copied().collect()
    };
    let (heads, tails) = (ends(0), ends(1));
    let mut products = vec![0.0; count * count];
    gemm_nt(&heads, &tails, &mut products, [count, len - 1, count]);
    let square = |rows: &[f64], i: usize| {
        let row = &rows[i * (len - 1)..][..len - 1];
        dot(row, row)
    };
    let (before, after): (Vec<f64>, Vec<f64>) = (0..count).map(|i| (square(&heads, i), square(&tails, i))).unzip();
    let cost = |a: usize, b: usize| before[a] + after[b] - 2.0 * products[a * count + b];
    let pairs = (0..count).flat_map(|a| (0..count).filter(move |&b| a != b).map(move |b| (a, b)));
    let mut links: Vec<(f64, usize, usize)> = pairs.map(|(a, b)| (cost(a, b), a, b)).collect();
    links.sort_unstable_by(|x, y| x.0.total_cmp(&y.0).then((x.1, x.2).cmp(&(y.1, y.2))));
    let (mut next, mut is_next) = (vec![None; count], vec![false; count]);
    // The other end of the path that each end belongs to.
    let mut other: Vec<usize> = (0..count).collect();
    for (_, a, b) in links {
        if next[a].is_none() && !is_next[b] && other[a] != b {
            (next[a], is_next[b]) = (Some(b), true);
            let (first, last) = (other[a], other[b]);
            (other[first], other[last]) = (last, first);
        }
    }
    let first = is_next.iter().position(|&is_next| !is_next).unwrap_or(0);
    std::iter::successors(Some(first), |&i| next[i]).collect()
}

/// The rows by the second eigenvector of their similarities, the absolute cosines between them.
fn seriation(rows: &[f64], len: usize) -> Vec<usize> {
    let count = rows.len() / len;
    let lengths: Vec<f64> = rows.chunks_exact(len).map(norm).collect();
    let mut similar = vec![0.0; count * count];
    gemm_nt(rows, rows, &mut similar, [count, len, count]);
    for (i, row) in similar.chunks_exact_mut(count).enumerate() {
        for (s, length) in row.iter_mut().zip(&lengths) {
            let scale = lengths[i] * length;
            *s = if scale > 0.0 { (*s / scale).abs() } else { 0.0 };
        }
    }
    // D^{−½} S D^{−½} has the leading eigenvector D^½ 1.
    let leading: Vec<f64> = similar.chunks_exact(count).map(|row| row.iter().sum::<f64>().max(1e-300).sqrt()).collect();
    for (i, row) in similar.chunks_exact_mut(count).enumerate() {
        row.iter_mut().zip(&leading).for_each(|(s, d)| *s /= leading[i] * d);
    }
    let square = dot(&leading, &leading);
    let mut rng = fastrand::Rng::with_seed(1);
    let mut x: Vec<f64> = (0..count).map(|_| rng.f64() - 0.5).collect();
    for _ in 0..ITERATIONS {
        let along = dot(&x, &leading) / square;
        x.iter_mut().zip(&leading).for_each(|(x, d)| *x -= along * d);
        let mut y = vec![0.0; count];
        gemm_nt(&x, &similar, &mut y, [1, count, count]);
        // Shifted, so that no eigenvalue is negative.
        y.iter_mut().zip(&x).for_each(|(y, x)| *y += x);
        let length = norm(&y);
        if length == 0.0 || !length.is_finite() {
            break;
        }
        x = y.into_iter().map(|y| y / length).collect();
    }
    let mut order: Vec<usize> = (0..count).collect();
    order.sort_by(|&i, &j| (x[i] / leading[i]).total_cmp(&(x[j] / leading[j])));
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shuffled(len: usize, seed: u64) -> Vec<usize> {
        let mut order: Vec<usize> = (0..len).collect();
        fastrand::Rng::with_seed(seed).shuffle(&mut order);
        order
    }

    fn toeplitz(Shape { rows: m, cols: n }: Shape, entry: impl Fn(f64) -> f64) -> Vec<f64> {
        (0..m * n).map(|k| entry((k / n) as f64 - (k % n) as f64)).collect()
    }

    #[test]
    fn rows_or_columns_out_of_order_are_put_back() {
        let shape = Shape { rows: 23, cols: 31 };
        // Nothing falls off, nothing repeats.
        let clean = toeplitz(shape, |k| (k * k * 0.37 + k).sin());
        for (rows, cols) in [(shuffled(23, 1), (0..31).collect()), ((0..23).collect(), shuffled(31, 2))] {
            let entries = Order { rows, cols }.sorted(&clean, 31);
            let found = order(shape, &entries).unwrap();
            assert!(roughness(&found.sorted(&entries, 31), 31) < 1e-20);
        }
        assert_eq!(order(shape, &clean), None);
    }

    #[test]
    fn rows_and_columns_are_put_back_where_entries_fall_off() {
        for shape in [Shape { rows: 40, cols: 40 }, Shape { rows: 30, cols: 45 }] {
            let clean = toeplitz(shape, |k| (-(k - 2.0).powi(2) / 40.0).exp() * (1.0 + 0.3 * (k * 1.3).cos()));
            let disorder = Order { rows: shuffled(shape.rows, 3), cols: shuffled(shape.cols, 4) };
            let entries = disorder.sorted(&clean, shape.cols);
            let found = order(shape, &entries).unwrap();
            let left = roughness(&found.sorted(&entries, shape.cols), shape.cols);
            assert!(left < 1e-2 * roughness(&entries, shape.cols), "{shape:?}: {left}");
        }
    }

    #[test]
    fn a_row_or_a_column_alone_has_no_order_to_find() {
        assert_eq!(order(Shape { rows: 1, cols: 5 }, &[3.0, 1.0, 2.0, 5.0, 4.0]), None);
        assert_eq!(order(Shape { rows: 5, cols: 1 }, &[3.0, 1.0, 2.0, 5.0, 4.0]), None);
        assert_eq!(order(Shape { rows: 3, cols: 3 }, &[0.0; 9]), None);
    }
}
