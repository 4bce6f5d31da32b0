//! Products with one small block of a Cauchy matrix.
//!
//! Right-hand sides come one at a time, and then a register holds rows of the block, or [`width`] of them lie side by
//! side. An entry is computed, multiplied and added by the same operations in the same order either way, so that a batch
//! gives bit for bit what its rows give.

use super::tree::LEAF;
use crate::Scalar;
use crate::transform::isa::{Isa, lanes, lanes_mut};

/// Right-hand sides that lie side by side.
pub(super) const fn width<T: Scalar>() -> usize {
    2 * T::LANES
}

/// The numbers `u_i − a` and `v_j − b`, whose differences the entries are made of. Subtracting the shifts first keeps
/// the differences exact where nodes are close.
#[derive(Clone, Copy)]
pub(super) struct Block<'a, T> {
    pub u: (&'a [T], T),
    pub v: (&'a [T], T),
}

/// The entries of a block.
pub(super) trait Entries<T: Scalar>: Copy {
    /// Whether there is a second result, with the entries squared.
    const SQUARES: bool;
    /// Whether there is a first result, with the entries themselves.
    const ENTRIES: bool;
    /// The numerator of the entries of column j.
    fn numerator(&self, j: usize) -> T;
    /// The factor of row i.
    fn factor(&self, i: usize) -> T;
}

/// `1/(u_i − v_j)`, and, or, its square.
#[derive(Clone, Copy)]
pub(super) struct Plain<const ENTRIES: bool, const SQUARES: bool>;

impl<T: Scalar, const ENTRIES: bool, const SQUARES: bool> Entries<T> for Plain<ENTRIES, SQUARES> {
    const SQUARES: bool = SQUARES;
    const ENTRIES: bool = ENTRIES;

    #[inline(always)]
    fn numerator(&self, _: usize) -> T {
        T::one()
    }
    #[inline(always)]
    fn factor(&self, _: usize) -> T {
        T::one()
    }
}

/// `f_i n_j/(u_i − v_j)`.
#[derive(Clone, Copy)]
pub(super) struct Weighted<'a, T> {
    pub factors: &'a [T],
    pub numerators: &'a [T],
}

impl<T: Scalar> Entries<T> for Weighted<'_, T> {
    const SQUARES: bool = false;
    const ENTRIES: bool = true;

    #[inline(always)]
    fn numerator(&self, j: usize) -> T {
        self.numerators[j]
    }
    #[inline(always)]
    fn factor(&self, i: usize) -> T {
        self.factors[i]
    }
}

/// Adds the block times x to `y[0]`, and times x with the entries squared to `y[1]`.
#[inline(always)]
pub(super) fn add_product<T: Scalar, I: Isa<T>, E: Entries<T>>(
    isa: I,
    wide: bool,
    block: Block<'_, T>,
    entries: E,
    x: &[T],
    y: [&mut [T]; 2],
) {
    if wide { add_wide(isa, block, entries, x, y) } else { add_single(isa, block, entries, x, y) }
}

#[inline(always)]
fn add_single<T: Scalar, I: Isa<T>, E: Entries<T>>(
    isa: I,
    block: Block<'_, T>,
    entries: E,
    x: &[T],
    [y, y2]: [&mut [T]; 2],
) {
    let ((u, a), (v, b)) = (block.u, block.v);
    let (v, x) = (&v[..x.len()], &x[..v.len()]);
    for start in (0..u.len()).step_by(width::<T>()) {
        let rows = (u.len() - start).min(width::<T>());
        // Rows that are not there lie at infinity: their entries are zero.
        let mut e = [T::infinity(); 2 * MAX_LANES];
        for (e, &u) in e.iter_mut().zip(&u[start..start + rows]) {
            *e = u - a;
        }
        let e = lanes(&e);
        let e = [isa.load(&e[0]), isa.load(&e[1])];
        let zero = isa.splat(T::zero());
        let (mut sum, mut sum2) = ([zero; 2], [zero; 2]);
        for j in 0..x.len() {
            let (shift, factor) = (isa.splat(v[j] - b), isa.splat(x[j]));
            let numerator = isa.splat(entries.numerator(j));
            for l in 0..2 {
                let entry = isa.div(numerator, isa.sub(e[l], shift));
                if E::ENTRIES {
                    sum[l] = isa.mul_add(entry, factor, sum[l]);
                }
                if E::SQUARES {
                    sum2[l] = isa.mul_add(isa.mul(entry, entry), factor, sum2[l]);
                }
            }
        }
        if E::ENTRIES {
            flush_single(isa, entries, start, sum, &mut y[start..start + rows]);
        }
        if E::SQUARES {
            flush_single(isa, entries, start, sum2, &mut y2[start..start + rows]);
        }
    }
}

#[inline(always)]
fn flush_single<T: Scalar, I: Isa<T>, E: Entries<T>>(isa: I, entries: E, row: usize, sum: [I::V; 2], y: &mut [T]) {
    let mut sums = [T::zero(); 2 * MAX_LANES];
    let out = lanes_mut(&mut sums);
    isa.store(&mut out[0], sum[0]);
    isa.store(&mut out[1], sum[1]);
    for (i, (y, &sum)) in y.iter_mut().zip(&sums).enumerate() {
        *y += entries.factor(row + i) * sum;
    }
}

/// Numbers in a register, at most.
const MAX_LANES: usize = 8;

/// Rows of a block that a wide product works on at a time.
const ROWS: usize = 3;

#[inline(always)]
fn add_wide<T: Scalar, I: Isa<T>, E: Entries<T>>(isa: I, block: Block<'_, T>, entries: E, x: &[T], y: [&mut [T]; 2]) {
    let ((u, a), (v, b)) = (block.u, block.v);
    let columns = v.len();
    // Columns that are not there lie at infinity.
    let (mut shifts, mut numerators) = ([T::infinity(); LEAF], [T::zero(); LEAF]);
    for j in 0..columns {
        shifts[j] = v[j] - b;
        numerators[j] = entries.numerator(j);
    }
    let [y, y2] = y;
    let mut row = 0;
    let used = columns.div_ceil(T::LANES);
    let mut table = [[T::zero(); LEAF]; ROWS];
    while row < u.len() {
        let rows = (u.len() - row).min(ROWS);
        for (table, &u) in table.iter_mut().zip(&u[row..row + rows]) {
            let e = isa.splat(u - a);
            let known = lanes(&shifts)[..used].iter().zip(&lanes(&numerators)[..used]);
            for (entry, (shift, numerator)) in lanes_mut(table)[..used].iter_mut().zip(known) {
                isa.store(entry, isa.div(isa.load(numerator), isa.sub(e, isa.load(shift))));
            }
        }
        if rows == ROWS {
            add_rows::<T, I, E, ROWS>(isa, &table, columns, entries, row, x, [&mut *y, &mut *y2]);
        } else {
            for r in 0..rows {
                add_rows::<T, I, E, 1>(isa, &[table[r]], columns, entries, row + r, x, [&mut *y, &mut *y2]);
            }
        }
        row += rows;
    }
}

#[inline(always)]
fn add_rows<T: Scalar, I: Isa<T>, E: Entries<T>, const R: usize>(
    isa: I,
    table: &[[T; LEAF]; R],
    columns: usize,
    entries: E,
    row: usize,
    x: &[T],
    [y, y2]: [&mut [T]; 2],
) {
    let zero = isa.splat(T::zero());
    let (mut sum, mut sum2) = ([[zero; 2]; R], [[zero; 2]; R]);
    let columns = columns.min(LEAF);
    for (j, x) in lanes(x).chunks_exact(2).take(columns).enumerate() {
        let x = [isa.load(&x[0]), isa.load(&x[1])];
        for r in 0..R {
            let entry = isa.splat(table[r][j]);
            let square = isa.mul(entry, entry);
            for l in 0..2 {
                if E::ENTRIES {
                    sum[r][l] = isa.mul_add(entry, x[l], sum[r][l]);
                }
                if E::SQUARES {
                    sum2[r][l] = isa.mul_add(square, x[l], sum2[r][l]);
                }
            }
        }
    }
    if E::ENTRIES {
        flush_rows(isa, entries, row, sum, y);
    }
    if E::SQUARES {
        flush_rows(isa, entries, row, sum2, y2);
    }
}

#[inline(always)]
fn flush_rows<T: Scalar, I: Isa<T>, E: Entries<T>, const R: usize>(
    isa: I,
    entries: E,
    row: usize,
    sum: [[I::V; 2]; R],
    y: &mut [T],
) {
    let y = &mut lanes_mut(y)[2 * row..2 * (row + R)];
    for r in 0..R {
        let factor = isa.splat(entries.factor(row + r));
        for l in 0..2 {
            let y = &mut y[2 * r + l];
            isa.store(y, isa.add(isa.load(y), isa.mul(factor, sum[r][l])));
        }
    }
}
