//! Krylov matrices entry by entry, for dense copies.

use std::borrow::Cow;

use super::band::{Band, BandGradient};

/// The Krylov vectors of one generator, N rows of N numbers.
pub fn krylov_rows(entries: &[f64], generator: &[f64]) -> Vec<f64> {
    let n = generator.len();
    let (mut rows, mut next) = (vec![0.0; n * n], vec![0.0; n]);
    Band::of(entries).krylov(generator, &mut rows, &mut next);
    rows
}

/// Adds to the gradients in a generator and in the three diagonals that of a loss with the gradient `rows_gradient` in
/// [`krylov_rows`].
pub fn krylov_rows_backward(
    entries: &[f64],
    rows: &[f64],
    rows_gradient: &mut [f64],
    generator: &mut [f64],
    gradient: &mut [f64],
) {
    let mut dual = vec![0.0; generator.len()];
    let mut gradient = BandGradient::of(gradient);
    Band::of(entries).krylov_backward(rows, rows_gradient, &mut dual, &mut gradient);
    generator.iter_mut().zip(dual).for_each(|(g, d)| *g += d);
}

/// The first columns of rows of N numbers.
pub fn columns(rows: &[f64], count: usize) -> Cow<'_, [f64]> {
    let n = rows.len().isqrt();
    if count == n {
        return Cow::Borrowed(rows);
    }
    rows.chunks_exact(n).flat_map(|row| &row[..count]).copied().collect()
}

/// Rows continued by zeros to N numbers.
pub fn continued_columns(rows: &[f64], row: usize, n: usize) -> Vec<f64> {
    let mut continued = vec![0.0; n * n];
    for (row, continued) in rows.chunks_exact(row).zip(continued.chunks_exact_mut(n)) {
        continued[..row.len()].copy_from_slice(row);
    }
    continued
}
