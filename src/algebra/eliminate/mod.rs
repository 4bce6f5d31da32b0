//! Gaussian elimination on the generators of a Cauchy-like matrix, down to those of its inverse.
//!
//! For `C_ij = (g_i · h_j)/(x_i − y_j)`, that is `D(x) C − C D(y) = G Hᵀ`, the Schur complement of a pivot is
//! Cauchy-like with the same nodes, and its generators follow from the pivot's column l, row u and value p in O(rn):
//! `g_i ← g_i − g_pivot l_i/p`, `h_j ← h_j − h_pivot u_j/p` (Gohberg, Kailath, Olshevsky, "Fast Gaussian elimination
//! with partial pivoting for matrices with displacement structure", 1995).
//!
//! What is eliminated here is the first half of `[C I; I 0]`, whose displacement under the nodes (x, y) and (y, x) is
//! still `[G; 0] [H; 0]ᵀ`, of rank r. Its Schur complement is −C⁻¹, so that what the generators end as are those of
//! −C⁻¹: neither triangular factor is ever stored, and whoever has the inverse multiplies with it in near-linear time.
//! (Aricò and Rodriguez, "A fast solver for linear systems with displacement structure", 2010, extend C by an identity
//! in the same way to carry right-hand sides through.) Only the entries of the two identities cannot be had from
//! generators, as their nodes coincide, and they are known: each is 1 until its row or column takes part.
//!
//! A row that has been a pivot makes room for one of the lower identity and a column for one of the right identity, so
//! both sides always hold n generators: 2n steps of O(rn), O(rn) memory.

mod circle;
mod line;
mod side;

pub(super) use circle::Circle;
pub(super) use line::Line;
use side::Side;

use num_complex::Complex64;
use num_traits::{NumAssign, One, Zero};

/// Numbers that generators are made of: real, or complex.
pub(super) trait Number: Copy + NumAssign + std::ops::Neg<Output = Self> {
    /// Real numbers that it takes.
    const PARTS: usize;

    /// The number of these parts; the second is ignored for a real number.
    fn of(parts: [f64; 2]) -> Self;

    /// Its parts.
    fn parts(self) -> [f64; 2];

    /// The square of its absolute value.
    fn square(self) -> f64 {
        let [re, im] = self.parts();
        re * re + im * im
    }
}

impl Number for f64 {
    const PARTS: usize = 1;

    fn of(parts: [f64; 2]) -> Self {
        parts[0]
    }

    fn parts(self) -> [f64; 2] {
        [self, 0.0]
    }
}

impl Number for Complex64 {
    const PARTS: usize = 2;

    fn of([re, im]: [f64; 2]) -> Self {
        Self::new(re, im)
    }

    fn parts(self) -> [f64; 2] {
        [self.re, self.im]
    }
}

/// Where the nodes lie, and what follows from that for arithmetic.
pub(super) trait Nodes {
    /// Generators' numbers.
    type Number: Number;
    /// What stands for a node.
    type Node: Copy;

    /// A node for padding.
    fn padding(&self) -> Self::Node;

    /// Scales the generator of the node `other` such that what is left of the factor `1/(node − other)` of an entry
    /// depends on [`Nodes::weights`] alone.
    fn partner(&self, generator: &mut [Self::Number], other: Self::Node);

    /// The weights of the entries of all nodes with the node `other`. Finite even where the nodes coincide.
    fn weights(&self, nodes: &[Self::Node], other: Self::Node, weights: &mut [f64]);

    /// For each generator g with factor f: `g ← g − f update`, then f becomes the entry of g with the partner.
    fn sweep(side: &mut Side<Self::Node>, update: &[Self::Number], partner: &[Self::Number]);
}

/// What an elimination leaves.
pub(super) struct Eliminated<N> {
    /// The generators of −C⁻¹ under the nodes (y, x), one a row: n×r each.
    pub g: Vec<N>,
    pub h: Vec<N>,
    /// The logarithm of `|det C|`.
    pub log_abs_determinant: f64,
    /// `det C / |det C|`.
    pub phase: N,
}

/// The smallest pivot that an elimination accepts, beside the largest one so far: anything below is rounding.
const SMALLEST: f64 = f64::EPSILON * f64::EPSILON;

/// Eliminates. `g` and `h` hold one generator a row, n×r with r > 0.
///
/// The pivot of each column is its largest entry. Fails with the ratio of the largest pivot so far to the one that
/// vanished.
pub(super) fn eliminate<S: Nodes>(
    nodes: &S,
    x: &[S::Node],
    y: &[S::Node],
    g: &[S::Number],
    h: &[S::Number],
) -> Result<Eliminated<S::Number>, f64> {
    let (n, r) = (x.len(), g.len() / x.len());
    let zeros = vec![S::Number::zero(); r];
    let mut left = Side::new(g, r, x, nodes.padding());
    let mut right = Side::new(h, r, y, nodes.padding());
    let (mut pivots, mut column) = (Vec::with_capacity(n), right.generator::<S::Number>(0));
    let (mut largest, mut log_abs_determinant, mut phase) = (0.0f64, 0.0, S::Number::one());
    // Rows by slots: active ones first, those of the lower identity behind them.
    let mut rows: Vec<usize> = (0..n).collect();
    let mut update = zeros.clone();
    left.entries(nodes, &zeros, &column, y[0]);
    for k in 0..n {
        let active = n - k;
        let slot = left.largest_factor::<S::Number>(active);
        let pivot = left.factor::<S::Number>(slot);
        let size = pivot.square().sqrt();
        if !size.is_finite() || size <= SMALLEST * largest {
            return Err(if size > 0.0 { largest / size } else { f64::INFINITY });
        }
        largest = largest.max(size);
        log_abs_determinant += size.ln();
        phase *= pivot / S::Number::of([size, 0.0]);

        let (row, at) = (left.generator::<S::Number>(slot), left.node(slot));
        let negated: Vec<S::Number> = row.iter().map(|&g| -g).collect();
        right.entries(nodes, &update, &negated, at);
        right.replace(k, at);
        left.swap(slot, active - 1);
        left.replace(active - 1, y[k]);
        rows.swap(slot, active - 1);
        pivots.push(rows[active - 1]);

        update = column.iter().map(|&h| h / pivot).collect();
        let left_update: Vec<S::Number> = row.iter().map(|&g| g / pivot).collect();
        // The last time only to update.
        column = match k + 1 < n {
            true => right.updated(k + 1, &update),
            false => zeros.clone(),
        };
        left.entries(nodes, &left_update, &column, y[(k + 1).min(n - 1)]);
    }
    right.entries(nodes, &update, &zeros, x[0]);
    if is_odd(&pivots) {
        phase = -phase;
    }
    let g = (0..n).flat_map(|k| left.generator(n - 1 - k)).collect();
    let mut at = vec![0; n];
    pivots.iter().enumerate().for_each(|(k, &row)| at[row] = k);
    let h = at.into_iter().flat_map(|k| right.generator(k)).collect();
    Ok(Eliminated { g, h, log_abs_determinant, phase })
}

/// Whether a permutation is odd.
fn is_odd(permutation: &[usize]) -> bool {
    let mut seen = vec![false; permutation.len()];
    let mut swaps = 0;
    for start in 0..permutation.len() {
        let mut at = start;
        while !seen[at] {
            seen[at] = true;
            at = permutation[at];
            swaps += usize::from(at != start);
        }
    }
    swaps % 2 == 1
}
