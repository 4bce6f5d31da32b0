//! The leaves: places that are so few that their lags are taken one by one.
//!
//! What a leaf of L places does to itself, on the way inside or around the cycle, is what a cycle of L places would do whose first weight is
//! that of its first place times the product of all weights outside. So the Krylov vectors of that cycle are kept,
//! `c_ℓ = A'^ℓ g` for ℓ < L. The lag of number i of `c_ℓ` is ℓ, or `ℓ + N − L` for i < ℓ.

use super::Lane;
use super::factors::flush;
use super::plan::{Plan, W, take_whole, whole};
use crate::transform::isa::{Isa, Kernel, Kernels, lanes, lanes_mut};

/// What leaves are multiplied by, in lanes, leaf by leaf.
#[derive(Debug, Clone, Copy)]
pub(super) struct Leaves<'a> {
    pub plan: &'a Plan,
    /// The weights of their cycles.
    pub weights: &'a [f64],
    /// The numbers `c_ℓi` of one generator, i fastest.
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
        vectors[..leaf].copy_from_slice(g);
        for lag in 1..leaf {
            let (from, to) = vectors[(lag - 1) * leaf..][..2 * leaf].split_at_mut(leaf);
            for i in 0..leaf {
                let before = from[if i == 0 { leaf - 1 } else { i - 1 }];
                to[i] = std::array::from_fn(|l| flush(w[i][l] * before[l]));
            }
        }
    }
}

impl Leaves<'_> {
    /// Where the lag ℓ is among the padded ones, inside and around the cycle.
    fn lags(&self, lag: usize) -> [usize; 2] {
        [self.plan.first_lag() + lag, self.plan.places - self.plan.leaf + lag]
    }

    /// The coefficients that the numbers `c_ℓi` are multiplied by.
    pub fn table(&self, lags: &[f64], table: &mut [f64]) {
        for (lag, row) in table.chunks_exact_mut(self.plan.leaf).enumerate() {
            let [inside, around] = self.lags(lag).map(|at| lags[at]);
            row[..lag].fill(around);
            row[lag..].fill(inside);
        }
    }

    /// Adds the products with a [table](Leaves::table).
    pub fn combine(&self, table: &[f64], z: &mut [f64]) {
        f64::run(Combine { leaf: self.plan.leaf, vectors: self.vectors, table, z });
    }

    /// Numbers of scratch for [`Leaves::expand`].
    pub fn scratch_len(plan: &Plan) -> usize {
        2 * whole(plan.leaf * W)
    }

    /// Adds the transposed products to the padded lags.
    pub fn expand(&self, y: &[f64], lags: &mut [f64], mut scratch: &mut [f64]) {
        let leaf = self.plan.leaf;
        let [inside, around] = [(); 2].map(|()| take_whole(&mut scratch, leaf * W));
        f64::run(Expand { leaf, vectors: self.vectors, y, inside, around });
        for (lag, (inside, around)) in inside.chunks_exact(W).zip(around.chunks_exact(W)).enumerate() {
            for (at, sum) in self.lags(lag).into_iter().zip([inside, around]) {
                lags[at] += sum.iter().sum::<f64>();
            }
        }
    }

    /// Adds the gradient in the numbers `c_ℓi`.
    pub fn correlate(&self, table: &[f64], y: &[f64], sums: &mut [f64]) {
        f64::run(Correlate { leaf: self.plan.leaf, table, y, sums });
    }

    /// Adds the gradient in the generator and in the weights of the cycles that [`Leaves::correlate`] has summed up; the sums are used up.
    pub fn finish(&self, sums: &mut [f64], d_generator: &mut [f64], d_weights: &mut [f64]) {
        let Self { plan, weights, vectors } = *self;
        f64::run(Finish { leaf: plan.leaf, weights, vectors, sums, d_generator, d_weights });
    }
}

struct Combine<'a> {
    leaf: usize,
    vectors: &'a [f64],
    table: &'a [f64],
    z: &'a mut [f64],
}

impl Kernel<f64> for Combine<'_> {
    #[inline(always)]
    fn run<I: Isa<f64>>(self, isa: I) {
        let Self { leaf, vectors, table, z } = self;
        let vectors = lanes::<f64>(vectors).chunks_exact(leaf * leaf);
        for (vectors, z) in vectors.zip(lanes_mut::<f64>(z).chunks_exact_mut(leaf)) {
            for i in (0..leaf).step_by(2) {
                // Four sums, so that no addition waits for the last one.
                let mut sums = [[isa.load(&z[i]), isa.load(&z[i + 1])], [isa.splat(0.0); 2]];
                let rows = vectors.chunks_exact(2 * leaf).zip(table.chunks_exact(2 * leaf));
                for (c, t) in rows {
                    for (odd, at) in [i, leaf + i].into_iter().enumerate() {
                        let (c, t) = (&c[at..at + 2], &t[at..at + 2]);
                        for x in 0..2 {
                            sums[odd][x] = isa.mul_add(isa.load(&c[x]), isa.splat(t[x]), sums[odd][x]);
                        }
                    }
                }
                for x in 0..2 {
                    isa.store(&mut z[i + x], isa.add(sums[0][x], sums[1][x]));
                }
            }
        }
    }
}

struct Expand<'a> {
    leaf: usize,
    vectors: &'a [f64],
    y: &'a [f64],
    inside: &'a mut [f64],
    around: &'a mut [f64],
}

impl Kernel<f64> for Expand<'_> {
    #[inline(always)]
    fn run<I: Isa<f64>>(self, isa: I) {
        let Self { leaf, vectors, y, inside, around } = self;
        let (inside, around) = (lanes_mut::<f64>(inside), lanes_mut::<f64>(around));
        inside.fill([0.0; W]);
        around.fill([0.0; W]);
        let vectors = lanes::<f64>(vectors).chunks_exact(leaf * leaf);
        for (vectors, y) in vectors.zip(lanes::<f64>(y).chunks_exact(leaf)) {
            for (lag, c) in vectors.chunks_exact(leaf).enumerate() {
                let (c, y) = (c.split_at(lag), y.split_at(lag));
                add_inner(isa, c.0, y.0, &mut around[lag]);
                add_inner(isa, c.1, y.1, &mut inside[lag]);
            }
        }
    }
}

/// `sum += Σ_i a_i b_i`, lane by lane.
#[inline(always)]
fn add_inner<I: Isa<f64>>(isa: I, a: &[Lane], b: &[Lane], sum: &mut Lane) {
    let mut sums = [isa.load(sum), isa.splat(0.0)];
    let ((a, a_last), (b, b_last)) = (a.as_chunks::<2>(), b.as_chunks::<2>());
    for (a, b) in a.iter().zip(b) {
        for x in 0..2 {
            sums[x] = isa.mul_add(isa.load(&a[x]), isa.load(&b[x]), sums[x]);
        }
    }
    for (a, b) in a_last.iter().zip(b_last) {
        sums[0] = isa.mul_add(isa.load(a), isa.load(b), sums[0]);
    }
    isa.store(sum, isa.add(sums[0], sums[1]));
}

struct Correlate<'a> {
    leaf: usize,
    table: &'a [f64],
    y: &'a [f64],
    sums: &'a mut [f64],
}

impl Kernel<f64> for Correlate<'_> {
    #[inline(always)]
    fn run<I: Isa<f64>>(self, isa: I) {
        let Self { leaf, table, y, sums } = self;
        let y = lanes::<f64>(y).chunks_exact(leaf);
        for (y, sums) in y.zip(lanes_mut::<f64>(sums).chunks_exact_mut(leaf * leaf)) {
            for (t, sums) in table.chunks_exact(leaf).zip(sums.chunks_exact_mut(leaf)) {
                for ((t, y), sum) in t.iter().zip(y).zip(sums) {
                    let total = isa.mul_add(isa.load(y), isa.splat(*t), isa.load(sum));
                    isa.store(sum, total);
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
            for lag in (1..leaf).rev() {
                let c = &c[(lag - 1) * leaf..][..leaf];
                let (before, here) = sums[(lag - 1) * leaf..][..2 * leaf].split_at_mut(leaf);
                let mut step = |i: usize, from: usize| {
                    let d = isa.load(&here[i]);
                    let total = isa.mul_add(d, isa.load(&c[from]), isa.load(&dw[i]));
                    isa.store(&mut dw[i], total);
                    let total = isa.mul_add(d, isa.load(&w[i]), isa.load(&before[from]));
                    isa.store(&mut before[from], total);
                };
                step(0, leaf - 1);
                (1..leaf).for_each(|i| step(i, i - 1));
            }
            for (dg, d) in dg.iter_mut().zip(&sums[..leaf]) {
                let total = isa.add(isa.load(dg), isa.load(d));
                isa.store(dg, total);
            }
        }
    }
}
