//! The leaves: places that are so few that their lags are taken one by one.
//!
//! What a leaf of L places does to itself, on the way inside or around the cycle, is what a cycle of L places would do whose first weight is
//! that of its first place times the product of all weights outside. So the Krylov vectors of that cycle are kept,
//! `c_iℓ = (A'^ℓ g)_i` for ℓ < L. Their lags are ℓ, or `ℓ + N − L` for i < ℓ.

use super::Lane;
use super::factors::flush;
use super::plan::{CHILDREN, Plan, W, take_whole, whole};
use crate::transform::isa::{Isa, Kernel, Kernels, lanes, lanes_mut};

/// Sums that registers are added to in turn, so that no addition waits for the last one.
const CHAINS: usize = 2;

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
    let leaf = plan.leaf;
    let parts = lanes::<f64>(weights).chunks_exact(leaf).zip(lanes::<f64>(generator).chunks_exact(leaf));
    for ((w, g), vectors) in parts.zip(lanes_mut::<f64>(vectors).chunks_exact_mut(leaf * leaf)) {
        // Row i from row i − 1: first what is inside, with ℓ ≤ i, then what comes around.
        for i in 0..leaf {
            vectors[i * leaf] = g[i];
            for lag in 1..=i {
                vectors[i * leaf + lag] = times(w[i], vectors[(i - 1) * leaf + lag - 1]);
            }
        }
        for i in 0..leaf {
            let before = if i == 0 { leaf - 1 } else { i - 1 };
            for lag in i + 1..leaf {
                vectors[i * leaf + lag] = times(w[i], vectors[before * leaf + lag - 1]);
            }
        }
    }
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

    /// Adds the gradient in the numbers `c_iℓ`, or sets it.
    pub fn correlate(&self, table: &[f64], y: &[f64], add: bool, sums: &mut [f64]) {
        f64::run(Correlate { leaf: self.plan.leaf, table, y, add, sums });
    }

    /// Adds the gradient in the generator and in the weights of the cycles that [`Leaves::correlate`] has summed up; the sums are used up.
    pub fn finish(&self, sums: &mut [f64], d_generator: &mut [f64], d_weights: &mut [f64]) {
        let Self { plan, weights, vectors } = *self;
        f64::run(Finish { leaf: plan.leaf, weights, vectors, sums, d_generator, d_weights });
    }
}

fn times(a: Lane, b: Lane) -> Lane {
    std::array::from_fn(|l| flush(a[l] * b[l]))
}

/// Rows i of F leaves.
#[inline(always)]
fn rows<const F: usize>(leaves: &[Lane], leaf: usize, i: usize) -> [&[Lane]; F] {
    std::array::from_fn(|f| &leaves[(f * leaf + i) * leaf..][..leaf])
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
                let c = rows::<F>(vectors, leaf, i).map(|c| c.as_chunks::<CHAINS>().0);
                let t = t.as_chunks::<CHAINS>().0;
                let c = c.map(|c| &c[..t.len()]);
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
                let y: [I::V; F] = std::array::from_fn(|f| isa.load(&y[f * leaf + i]));
                for (lag, sum) in sums.iter_mut().enumerate() {
                    let mut total = if at == 0 { isa.splat(0.0) } else { isa.load(sum) };
                    for f in 0..F {
                        total = isa.mul_add(isa.load(&c[f][lag]), y[f], total);
                    }
                    isa.store(sum, total);
                }
            }
        }
        let [inside, around] = both.map(|sums| lanes_mut::<f64>(sums));
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

struct Correlate<'a> {
    leaf: usize,
    table: &'a [f64],
    y: &'a [f64],
    add: bool,
    sums: &'a mut [f64],
}

impl Kernel<f64> for Correlate<'_> {
    #[inline(always)]
    fn run<I: Isa<f64>>(self, isa: I) {
        let Self { leaf, table, y, add, sums } = self;
        let y = lanes::<f64>(y).chunks_exact(leaf);
        for (y, sums) in y.zip(lanes_mut::<f64>(sums).chunks_exact_mut(leaf * leaf)) {
            for ((t, y), sums) in table.chunks_exact(leaf).zip(y).zip(sums.chunks_exact_mut(leaf)) {
                let y = isa.load(y);
                for (t, sum) in t.iter().zip(sums) {
                    let old = if add { isa.load(sum) } else { isa.splat(0.0) };
                    isa.store(sum, isa.mul_add(y, isa.splat(*t), old));
                }
            }
        }
    }
}

struct Finish<'a> {
    leaf: usize,
    weights: &'a [f64],
    vectors: &'a [f64],
    sums: &'a mut [f64],
    d_generator: &'a mut [f64],
    d_weights: &'a mut [f64],
}

impl Kernel<f64> for Finish<'_> {
    #[inline(always)]
    fn run<I: Isa<f64>>(self, isa: I) {
        let Self { leaf, weights, vectors, sums, d_generator, d_weights } = self;
        let given = lanes::<f64>(weights).chunks_exact(leaf).zip(lanes::<f64>(vectors).chunks_exact(leaf * leaf));
        let sums = lanes_mut::<f64>(sums).chunks_exact_mut(leaf * leaf);
        let d_weights = lanes_mut::<f64>(d_weights).chunks_exact_mut(leaf);
        let found = lanes_mut::<f64>(d_generator).chunks_exact_mut(leaf).zip(d_weights);
        for (((w, c), sums), (dg, dw)) in given.zip(sums).zip(found) {
            // From row i + 1 to row i: what came around first, which the last row then goes on from.
            for i in (0..leaf - 1).rev() {
                let (row, next) = sums[i * leaf..][..2 * leaf].split_at_mut(leaf);
                add_multiple(isa, w[i + 1], &next[i + 2..], &mut row[i + 1..]);
            }
            let (first, rest) = sums.split_at_mut(leaf);
            add_multiple(isa, w[0], &first[1..], &mut rest[(leaf - 2) * leaf..]);
            for i in (0..leaf - 1).rev() {
                let (row, next) = sums[i * leaf..][..2 * leaf].split_at_mut(leaf);
                add_multiple(isa, w[i + 1], &next[1..i + 2], &mut row[..=i]);
            }
            for (i, row) in sums.chunks_exact(leaf).enumerate() {
                let before = if i == 0 { leaf - 1 } else { i - 1 };
                let sum = inner(isa, &c[before * leaf..][..leaf - 1], &row[1..]);
                let total = isa.add(isa.load(&dw[i]), sum);
                isa.store(&mut dw[i], total);
                let total = isa.add(isa.load(&dg[i]), isa.load(&row[0]));
                isa.store(&mut dg[i], total);
            }
        }
    }
}

/// `sums += factor row`, as far as both go.
#[inline(always)]
fn add_multiple<I: Isa<f64>>(isa: I, factor: Lane, row: &[Lane], sums: &mut [Lane]) {
    let factor = isa.load(&factor);
    for (sum, x) in sums.iter_mut().zip(row) {
        let total = isa.mul_add(factor, isa.load(x), isa.load(sum));
        isa.store(sum, total);
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
