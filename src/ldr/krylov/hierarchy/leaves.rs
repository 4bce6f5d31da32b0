//! The leaves: places that are so few that their lags are taken one by one.
//!
//! What a leaf of L places does to itself, on the way inside or around the cycle, is what a cycle of L places would do whose first weight is
//! that of its first place times the product of all weights outside. So the Krylov vectors of that cycle are kept,
//! `c_iℓ = (A'^ℓ g)_i` for ℓ < L. Their lags are ℓ, or `ℓ + N − L` for i < ℓ.

use std::ops::Range;

use super::Lane;
use super::factors::{flush, times};
use super::plan::{CHILDREN, LONGEST, Plan, W, take_whole, whole};
use crate::transform::isa::{Isa, Kernel, Kernels, lanes, lanes_mut};

/// Sums that registers are added to in turn, so that no addition waits for the last one.
const CHAINS: usize = 2;

/// Columns that loops over parts of rows are rounded to, so that few lengths occur.
const STEP: usize = 4;

/// What leaves are multiplied by, in lanes, leaf by leaf.
#[derive(Debug, Clone, Copy)]
pub(super) struct Leaves<'a> {
    pub plan: &'a Plan,
    /// The weights of their cycles.
    pub weights: &'a [f64],
    /// The numbers `c_iℓ` of one generator, ℓ fastest.
    pub vectors: &'a [f64],
}

/// Numbers for one generator.
pub(super) fn len(plan: &Plan) -> usize {
    plan.places * plan.leaf
}

/// Writes the weights of the cycles of leaves.
pub(super) fn close(plan: &Plan, places: &[f64], outsides: &[Lane], weights: &mut [f64]) {
    weights.copy_from_slice(places);
    for (weights, outside) in lanes_mut::<f64>(weights).chunks_exact_mut(plan.leaf).zip(outsides) {
        weights[0] = std::array::from_fn(|l| flush(weights[0][l] * outside[l]));
    }
}

/// Writes the Krylov vectors of a generator.
pub(super) fn plant(plan: &Plan, weights: &[f64], generator: &[f64], vectors: &mut [f64]) {
    f64::run(Plant { leaf: plan.leaf, weights, generator, vectors });
}

struct Plant<'a> {
    leaf: usize,
    weights: &'a [f64],
    generator: &'a [f64],
    vectors: &'a mut [f64],
}

impl Kernel<f64> for Plant<'_> {
    #[inline(always)]
    fn run<I: Isa<f64>>(self, _: I) {
        let Self { leaf, weights, generator, vectors } = self;
        let parts = lanes::<f64>(weights).chunks_exact(leaf).zip(lanes::<f64>(generator).chunks_exact(leaf));
        for ((w, g), vectors) in parts.zip(lanes_mut::<f64>(vectors).chunks_exact_mut(leaf * leaf)) {
            // Row i from row i − 1: once around the cycle for what is inside, with ℓ ≤ i, and once more for the rest.
            vectors[(leaf - 1) * leaf..].fill([0.0; W]);
            for _ in 0..2 {
                let (first, last) = vectors.split_at_mut((leaf - 1) * leaf);
                follow(g[0], w[0], last, &mut first[..leaf]);
                for i in 1..leaf {
                    let (before, row) = vectors[(i - 1) * leaf..][..2 * leaf].split_at_mut(leaf);
                    follow(g[i], w[i], before, row);
                }
            }
        }
    }
}

/// A row from the one before.
#[inline(always)]
fn follow(g: Lane, w: Lane, before: &[Lane], row: &mut [Lane]) {
    row[0] = g;
    row[1..].iter_mut().zip(before).for_each(|(to, from)| *to = times(w, *from));
}

impl Leaves<'_> {
    /// Where the lag ℓ is among the padded ones, inside and around the cycle.
    fn lags(&self, lag: usize) -> [usize; 2] {
        [self.plan.first_lag() + lag, self.plan.places - self.plan.leaf + lag]
    }

    /// The coefficients that the numbers `c_iℓ` are multiplied by.
    pub fn table(&self, lags: &[f64], table: &mut [f64]) {
        let leaf = self.plan.leaf;
        let [inside, around] = self.lags(0).map(|at| &lags[at..at + leaf]);
        for (i, row) in table.chunks_exact_mut(leaf).enumerate() {
            row[..=i].copy_from_slice(&inside[..=i]);
            row[i + 1..].copy_from_slice(&around[i + 1..]);
        }
    }

    /// Leaves that are taken together: all, or four at a time.
    fn together(&self) -> usize {
        if self.plan.levels.len() == 1 { 1 } else { CHILDREN }
    }

    /// Adds the products with a [table](Leaves::table).
    pub fn combine(&self, table: &[f64], z: &mut [f64]) {
        f64::run(Combine { leaf: self.plan.leaf, together: self.together(), vectors: self.vectors, table, z });
    }

    /// Numbers of scratch for [`Leaves::expand`].
    pub fn scratch_len(plan: &Plan) -> usize {
        whole(plan.leaf * plan.leaf * W) + 2 * whole(plan.leaf * W)
    }

    /// Adds the transposed products to the padded lags.
    pub fn expand(&self, y: &[f64], lags: &mut [f64], mut scratch: &mut [f64]) {
        let leaf = self.plan.leaf;
        let sums = take_whole(&mut scratch, leaf * leaf * W);
        let [inside, around] = [(); 2].map(|()| take_whole(&mut scratch, leaf * W));
        let both = [&mut *inside, &mut *around];
        f64::run(Expand { leaf, together: self.together(), vectors: self.vectors, y, sums, both });
        for (lag, (inside, around)) in inside.chunks_exact(W).zip(around.chunks_exact(W)).enumerate() {
            for (at, sum) in self.lags(lag).into_iter().zip([inside, around]) {
                lags[at] += sum.iter().sum::<f64>();
            }
        }
    }

    /// Adds the gradient in the numbers `c_iℓ` of some examples, or sets it.
    pub fn correlate<const E: usize>(&self, examples: [Example<'_>; E], add: bool, sums: &mut [f64]) {
        f64::run(Correlate { leaf: self.plan.leaf, examples, add, sums });
    }

    /// Adds the gradient in the generator and in the weights of the cycles, given that in the numbers `c_iℓ`.
    pub fn finish(&self, rows: Rows<'_>, d_generator: &mut [f64], d_weights: &mut [f64]) {
        let Self { plan, weights, vectors } = *self;
        f64::run(Finish { leaf: plan.leaf, weights, vectors, rows, d_generator, d_weights });
    }
}

/// What the gradient of an example in the numbers `c_iℓ` is the product of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Example<'a> {
    pub y: &'a [f64],
    pub table: &'a [f64],
}

/// The gradient in the numbers `c_iℓ`: one example's, or summed up.
#[derive(Debug, Clone, Copy)]
pub(super) enum Rows<'a> {
    Single(Example<'a>),
    Summed(&'a [f64]),
}

/// Rows i of F leaves.
#[inline(always)]
fn rows<const F: usize>(leaves: &[Lane], leaf: usize, i: usize) -> [&[Lane]; F] {
    let mut rows = [&[][..]; F];
    for (f, row) in rows.iter_mut().enumerate() {
        *row = &leaves[(f * leaf + i) * leaf..][..leaf];
    }
    rows
}

struct Combine<'a> {
    leaf: usize,
    together: usize,
    vectors: &'a [f64],
    table: &'a [f64],
    z: &'a mut [f64],
}

impl Kernel<f64> for Combine<'_> {
    #[inline(always)]
    fn run<I: Isa<f64>>(self, isa: I) {
        if self.together == 1 { self.each::<I, 1>(isa) } else { self.each::<I, CHILDREN>(isa) }
    }
}

impl Combine<'_> {
    #[inline(always)]
    fn each<I: Isa<f64>, const F: usize>(self, isa: I) {
        let Self { leaf, vectors, table, z, .. } = self;
        let vectors = lanes::<f64>(vectors).chunks_exact(F * leaf * leaf);
        for (vectors, z) in vectors.zip(lanes_mut::<f64>(z).chunks_exact_mut(F * leaf)) {
            for (i, t) in table.chunks_exact(leaf).enumerate() {
                let t = t.as_chunks::<CHAINS>().0;
                let mut c = [&[][..]; F];
                for (c, row) in c.iter_mut().zip(rows::<F>(vectors, leaf, i)) {
                    *c = &row.as_chunks::<CHAINS>().0[..t.len()];
                }
                let mut sums = [[isa.splat(0.0); CHAINS]; F];
                for k in 0..t.len() {
                    for x in 0..CHAINS {
                        let t = isa.splat(t[k][x]);
                        for f in 0..F {
                            sums[f][x] = isa.mul_add(isa.load(&c[f][k][x]), t, sums[f][x]);
                        }
                    }
                }
                for f in 0..F {
                    let z = &mut z[f * leaf + i];
                    let sum = isa.add(isa.add(sums[f][0], sums[f][1]), isa.load(z));
                    isa.store(z, sum);
                }
            }
        }
    }
}

struct Expand<'a> {
    leaf: usize,
    together: usize,
    vectors: &'a [f64],
    y: &'a [f64],
    /// The products of each `c_iℓ` summed over leaves, and of those summed over i, inside and around the cycle.
    sums: &'a mut [f64],
    both: [&'a mut [f64]; 2],
}

impl Kernel<f64> for Expand<'_> {
    #[inline(always)]
    fn run<I: Isa<f64>>(self, isa: I) {
        if self.together == 1 { self.each::<I, 1>(isa) } else { self.each::<I, CHILDREN>(isa) }
    }
}

impl Expand<'_> {
    #[inline(always)]
    fn each<I: Isa<f64>, const F: usize>(self, isa: I) {
        let Self { leaf, vectors, y, sums, both, .. } = self;
        let sums = lanes_mut::<f64>(sums);
        let vectors = lanes::<f64>(vectors).chunks_exact(F * leaf * leaf);
        for (at, (vectors, y)) in vectors.zip(lanes::<f64>(y).chunks_exact(F * leaf)).enumerate() {
            for (i, sums) in sums.chunks_exact_mut(leaf).enumerate() {
                let c = rows::<F>(vectors, leaf, i);
                let mut here = [isa.splat(0.0); F];
                for f in 0..F {
                    here[f] = isa.load(&y[f * leaf + i]);
                }
                for (lag, sum) in sums[..leaf].iter_mut().enumerate() {
                    let mut total = if at == 0 { isa.splat(0.0) } else { isa.load(sum) };
                    for f in 0..F {
                        total = isa.mul_add(isa.load(&c[f][lag]), here[f], total);
                    }
                    isa.store(sum, total);
                }
            }
        }
        let [inside, around] = both.map(lanes_mut::<f64>);
        inside.fill([0.0; W]);
        around.fill([0.0; W]);
        for (i, row) in sums.chunks_exact(leaf).enumerate() {
            add(isa, &row[..=i], &mut inside[..=i]);
            add(isa, &row[i + 1..], &mut around[i + 1..]);
        }
    }
}

#[inline(always)]
fn add<I: Isa<f64>>(isa: I, row: &[Lane], sums: &mut [Lane]) {
    for (sum, x) in sums.iter_mut().zip(row) {
        let total = isa.add(isa.load(sum), isa.load(x));
        isa.store(sum, total);
    }
}

struct Correlate<'a, const E: usize> {
    leaf: usize,
    examples: [Example<'a>; E],
    add: bool,
    sums: &'a mut [f64],
}

impl<const E: usize> Kernel<f64> for Correlate<'_, E> {
    #[inline(always)]
    fn run<I: Isa<f64>>(self, isa: I) {
        let Self { leaf, examples, add, sums } = self;
        for (at, sums) in lanes_mut::<f64>(sums).chunks_exact_mut(leaf).enumerate() {
            let mut y = [isa.splat(0.0); E];
            let mut t = [&[][..]; E];
            for (e, example) in examples.iter().enumerate() {
                y[e] = isa.load(&lanes::<f64>(example.y)[at]);
                t[e] = &example.table[at % leaf * leaf..][..leaf];
            }
            for lag in 0..leaf {
                let mut sum = if add { isa.load(&sums[lag]) } else { isa.splat(0.0) };
                for e in 0..E {
                    sum = isa.mul_add(y[e], isa.splat(t[e][lag]), sum);
                }
                isa.store(&mut sums[lag], sum);
            }
        }
    }
}

struct Finish<'a> {
    leaf: usize,
    weights: &'a [f64],
    vectors: &'a [f64],
    rows: Rows<'a>,
    d_generator: &'a mut [f64],
    d_weights: &'a mut [f64],
}

impl Kernel<f64> for Finish<'_> {
    #[inline(always)]
    fn run<I: Isa<f64>>(self, isa: I) {
        let Self { leaf, weights, vectors, rows, d_generator, d_weights } = self;
        let given = lanes::<f64>(weights).chunks_exact(leaf).zip(lanes::<f64>(vectors).chunks_exact(leaf * leaf));
        let d_weights = lanes_mut::<f64>(d_weights).chunks_exact_mut(leaf);
        let found = lanes_mut::<f64>(d_generator).chunks_exact_mut(leaf).zip(d_weights);
        let mut whole = [[0.0; W]; LONGEST * LONGEST];
        let d = &mut whole[..leaf * leaf];
        for (at, ((w, c), (dg, dw))) in given.zip(found).enumerate() {
            // The gradient in row i, from that in row i + 1: first what goes on around the cycle, with ℓ > i, and then the rest. Columns are
            // taken from a multiple of four on, or up to one: what is not wanted yet is written again before it is read.
            for i in (0..leaf - 1).rev() {
                let (row, next) = d[i * leaf..][..2 * leaf].split_at_mut(leaf);
                descend(isa, w[i + 1], rows, at * leaf + i, (i + 1) / STEP * STEP..leaf, next, row);
            }
            let (first, rest) = d.split_at_mut(leaf);
            let last = leaf - 1;
            descend(isa, w[0], rows, at * leaf + last, 0..leaf, first, &mut rest[(last - 1) * leaf..]);
            for i in (0..last).rev() {
                let (row, next) = d[i * leaf..][..2 * leaf].split_at_mut(leaf);
                let end = (i + 1).next_multiple_of(STEP).min(leaf);
                descend(isa, w[i + 1], rows, at * leaf + i, 0..end, next, row);
            }
            for (i, row) in d.chunks_exact(leaf).enumerate() {
                let before = if i == 0 { last } else { i - 1 };
                let sum = inner(isa, &c[before * leaf..][..last], &row[1..]);
                let total = isa.add(isa.load(&dw[i]), sum);
                isa.store(&mut dw[i], total);
                let total = isa.add(isa.load(&dg[i]), isa.load(&row[0]));
                isa.store(&mut dg[i], total);
            }
        }
    }
}

/// The gradient in some columns of row i from that in row i + 1: to what it is itself comes `w next_{ℓ+1}`.
#[inline(always)]
fn descend<I: Isa<f64>>(
    isa: I,
    w: Lane,
    rows: Rows<'_>,
    at: usize,
    columns: Range<usize>,
    next: &[Lane],
    row: &mut [Lane],
) {
    let (w, leaf) = (isa.load(&w), row.len());
    // Nothing follows the last column.
    let inner = columns.start..columns.end.min(leaf - 1);
    let both = row[inner.clone()].iter_mut().zip(&next[inner.start + 1..]);
    match rows {
        Rows::Summed(sums) => {
            let sums = &lanes::<f64>(sums)[at * leaf..][..leaf];
            for ((row, next), sum) in both.zip(&sums[inner]) {
                isa.store(row, isa.mul_add(w, isa.load(next), isa.load(sum)));
            }
            row[leaf - 1] = sums[leaf - 1];
        }
        Rows::Single(Example { y, table }) => {
            let (y, table) = (isa.load(&lanes::<f64>(y)[at]), &table[at % leaf * leaf..][..leaf]);
            for ((row, next), t) in both.zip(&table[inner]) {
                isa.store(row, isa.mul_add(w, isa.load(next), isa.mul(y, isa.splat(*t))));
            }
            isa.store(&mut row[leaf - 1], isa.mul(y, isa.splat(table[leaf - 1])));
        }
    }
}

/// `Σ_k a_k b_k`, lane by lane.
#[inline(always)]
fn inner<I: Isa<f64>>(isa: I, a: &[Lane], b: &[Lane]) -> I::V {
    let mut sums = [isa.splat(0.0); CHAINS];
    let ((a, a_last), (b, b_last)) = (a.as_chunks::<CHAINS>(), b.as_chunks::<CHAINS>());
    for (a, b) in a.iter().zip(b) {
        for x in 0..CHAINS {
            sums[x] = isa.mul_add(isa.load(&a[x]), isa.load(&b[x]), sums[x]);
        }
    }
    for (a, b) in a_last.iter().zip(b_last) {
        sums[0] = isa.mul_add(isa.load(a), isa.load(b), sums[0]);
    }
    isa.add(sums[0], sums[1])
}
