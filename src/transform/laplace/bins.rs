//! Bins of nodes, blocks of coefficients, and the small matrices between them.

use std::f64::consts::{LN_2, PI};

use crate::Scalar;

/// Sizes that depend on the number type; see the module above for what they achieve.
#[derive(Debug, Clone, Copy)]
pub(super) struct Constants {
    /// Terms P of a series, moments of a block: whole registers.
    pub order: usize,
    /// Pairs of coefficients in a block that is summed directly: a multiple of `order`.
    pub step: usize,
    /// Pairs of coefficients in the shortest block that has moments: a multiple of `step`.
    pub leaf: usize,
    /// Terms of the power series for |v| ≤ ½.
    pub head: usize,
    /// What is smaller than `e^−decay` is left out.
    decay: f64,
}

/// The first bin whose blocks have moments: there a leaf is exactly as long as interpolation in s allows.
const FIRST_LEVEL: usize = 6;

impl Constants {
    pub fn of<T: Scalar>() -> Self {
        match T::LANES {
            8 => Self { order: 8, step: 16, leaf: 48, head: 32, decay: 17.0 },
            _ => Self { order: 16, step: 16, leaf: 96, head: 64, decay: 32.0 },
        }
    }
}

/// Matrices that all bins share. A table is stored input by input: the outputs of one input lie together.
#[derive(Debug, Clone)]
pub(super) struct Tables<T> {
    /// Values at a bin's Chebyshev nodes to coefficients of its Chebyshev series.
    pub series: Vec<T>,
    pub series_back: Vec<T>,
    /// Coefficients of a leaf to its moments; the transpose in parts of P outputs.
    pub leaf: Vec<T>,
    pub leaf_back: Vec<T>,
    /// Moments of the two halves of a block to its own; a part each.
    pub merge: Vec<T>,
    pub merge_back: Vec<T>,
}

/// A range of λ, and how the values there come about.
#[derive(Debug, Clone)]
pub(super) struct Bin<T> {
    /// `None` if blocks are summed directly; otherwise the doublings from a leaf to a block.
    pub level: Option<usize>,
    /// Pairs of coefficients in a block.
    pub len: usize,
    /// Blocks that count.
    pub blocks: usize,
    /// From a block (its coefficients of one parity, or its moments) to values at the bin's nodes λ.
    pub table: Vec<T>,
    /// The transpose, in parts of P outputs.
    pub back: Vec<T>,
    /// `e^{−2λ len}`: from one block to the next.
    pub ratio: Vec<T>,
    /// `e^{−λ}`: from even to odd coefficients.
    pub root: Vec<T>,
}

/// Whether n coefficients are so few that power series are as good as bins.
pub(crate) fn is_series<T: Scalar>(n: usize) -> bool {
    n <= 2 * Constants::of::<T>().order
}

/// The bins for n coefficients: none at all if power series are as good.
pub(super) fn plan<T: Scalar>(n: usize, constants: &Constants) -> (Tables<T>, Vec<Bin<T>>) {
    let mut bins = Vec::new();
    if !is_series::<T>(n) {
        while bins.last().is_none_or(|bin: &(usize, bool)| !bin.1) {
            let j = bins.len() + 1;
            bins.push((j, n << FIRST_LEVEL <= (2 * constants.leaf) << j));
        }
    }
    (tables(constants), bins.iter().map(|&(j, last)| bin(n, j, last, constants)).collect())
}

/// The Chebyshev points, cos of these angles, from high to low.
fn angle(order: usize, a: usize) -> f64 {
    (a as f64 + 0.5) * PI / order as f64
}

/// Chebyshev points on [0, 1].
fn points(order: usize) -> Vec<f64> {
    (0..order).map(|a| 0.5 + 0.5 * angle(order, a).cos()).collect()
}

/// The Lagrange polynomials of the Chebyshev points at `s` in [0, 1].
fn lagrange(order: usize, s: f64) -> Vec<f64> {
    let at = (2.0 * s - 1.0).clamp(-1.0, 1.0).acos();
    let value = |a: usize| {
        let sum: f64 = (1..order).map(|k| (k as f64 * angle(order, a)).cos() * (k as f64 * at).cos()).sum();
        (1.0 + 2.0 * sum) / order as f64
    };
    (0..order).map(value).collect()
}

fn tables<T: Scalar>(constants: &Constants) -> Tables<T> {
    let Constants { order, leaf, .. } = *constants;
    let dct = |a: usize| -> Vec<f64> {
        let value = |k: usize| (if k == 0 { 1.0 } else { 2.0 }) / order as f64 * (k as f64 * angle(order, a)).cos();
        (0..order).map(value).collect()
    };
    let series: Vec<f64> = (0..order).flat_map(dct).collect();
    let leaf: Vec<f64> = (0..leaf).flat_map(|s| lagrange(order, s as f64 / leaf as f64)).collect();
    let halves = [0.0, 0.5].map(|from| points(order).into_iter().map(move |s| from + 0.5 * s));
    let merge: Vec<f64> = halves.into_iter().flatten().flat_map(|s| lagrange(order, s)).collect();
    Tables {
        series: round(&series),
        series_back: round(&transposed(&series, order)),
        leaf: round(&leaf),
        leaf_back: round(&transposed(&leaf, order)),
        merge: round(&merge),
        merge_back: round(&transposed(&merge, order)),
    }
}

fn bin<T: Scalar>(n: usize, j: usize, last: bool, constants: &Constants) -> Bin<T> {
    let Constants { order, step, leaf, decay, .. } = *constants;
    let top = LN_2 * 2.0 * (-(j as f64)).exp2();
    let lambda = |s: f64| if last { top * s } else { 0.5 * top * s.exp2() };
    let nodes: Vec<f64> = points(order).into_iter().map(lambda).collect();
    let level = j.checked_sub(FIRST_LEVEL);
    let len = level.map_or(step, |level| leaf << level);
    let pairs = n.div_ceil(2);
    let seen = if last { pairs } else { pairs.min((decay / top).ceil() as usize) };
    let inputs: Vec<f64> = match level {
        None => (0..step).map(|s| s as f64).collect(),
        Some(_) => points(order).into_iter().map(|s| s * len as f64).collect(),
    };
    let table: Vec<f64> =
        inputs.iter().flat_map(|s| nodes.iter().map(move |lambda| (-2.0 * lambda * s).exp())).collect();
    Bin {
        level,
        len,
        blocks: seen.div_ceil(len),
        back: round(&transposed(&table, order)),
        table: round(&table),
        ratio: nodes.iter().map(|lambda| T::of((-2.0 * lambda * len as f64).exp())).collect(),
        root: nodes.iter().map(|lambda| T::of((-lambda).exp())).collect(),
    }
}

/// Transposes a table square by square.
fn transposed(table: &[f64], order: usize) -> Vec<f64> {
    let square =
        |square: &[f64]| -> Vec<f64> { (0..order * order).map(|at| square[at % order * order + at / order]).collect() };
    table.chunks_exact(order * order).flat_map(square).collect()
}

fn round<T: Scalar>(table: &[f64]) -> Vec<T> {
    table.iter().map(|&x| T::of(x)).collect()
}
