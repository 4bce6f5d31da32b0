//! Blocks of four leaves: places that are so few that their lags are taken one by one.
//!
//! From a leaf to another one of its block P_ij has rank one, as between all children, so that these are convolutions of `tail g`
//! with lags. The rest stays inside the leaf: [`leaf`].

use super::blocks_backward::{BlocksGradient, CombineWithGradient};
use super::factors::Siblings;
use super::leaf::{self, Leaf, leaves, leaves_mut, load, store};
use super::plan::{CHILDREN, Plan};
use super::{Hierarchy, Lane, Source};
use crate::transform::isa::{Isa, Kernel, Kernels};

/// The leaves of blocks.
#[inline(always)]
pub(super) fn blocks<const M: usize>(numbers: &[f64]) -> &[[Leaf<M>; CHILDREN]] {
    leaves::<M>(numbers).as_chunks().0
}

#[inline(always)]
pub(super) fn blocks_mut<const M: usize>(numbers: &mut [f64]) -> &mut [[Leaf<M>; CHILDREN]] {
    leaves_mut::<M>(numbers).as_chunks_mut().0
}

/// A kernel for leaves of M places.
pub(super) trait LeafKernel {
    fn each<I: Isa<f64>, const M: usize>(self, isa: I);
}

/// A kernel for leaves of any number of places.
pub(super) struct OfLeaves<K> {
    pub leaf: usize,
    pub kernel: K,
}

impl<K: LeafKernel> Kernel<f64> for OfLeaves<K> {
    #[inline(always)]
    fn run<I: Isa<f64>>(self, isa: I) {
        match self.leaf {
            3 => self.kernel.each::<I, 3>(isa),
            4 => self.kernel.each::<I, 4>(isa),
            5 => self.kernel.each::<I, 5>(isa),
            6 => self.kernel.each::<I, 6>(isa),
            7 => self.kernel.each::<I, 7>(isa),
            8 => self.kernel.each::<I, 8>(isa),
            _ => self.kernel.each::<I, 10>(isa),
        }
    }
}

/// Four blocks, one a lane.
#[derive(Debug, Clone, Copy)]
pub(super) struct Block<'a, const M: usize> {
    pub siblings: &'a Siblings,
    pub weights: &'a [Leaf<M>; CHILDREN],
    pub heads: &'a [Leaf<M>; CHILDREN],
}

impl Hierarchy {
    #[inline(always)]
    pub(super) fn blocks<const M: usize>(&self) -> impl Iterator<Item = Block<'_, M>> {
        let leaves = blocks::<M>(self.weights.get()).iter().zip(blocks::<M>(self.heads.get()));
        let parts = self.factors.levels[0].iter().zip(leaves);
        parts.map(|(siblings, (weights, heads))| Block { siblings, weights, heads })
    }

    /// Adds to the padded lags what is inside blocks of `⟨A^k g, y⟩`, given y and y times heads.
    pub(super) fn expand_blocks(&self, plan: &Plan, source: &Source, y: [&[f64]; 2], lags: &mut [f64]) {
        f64::run(OfLeaves { leaf: plan.leaf, kernel: Expand { hierarchy: self, plan, source, y, lags } });
    }

    /// From what leaves get from far away to the product, in place, for the padded lags of all generators, so many numbers each.
    pub(super) fn combine_blocks(&self, plan: &Plan, lags: &[f64], each: usize, far: &mut [f64]) {
        f64::run(OfLeaves { leaf: plan.leaf, kernel: Combine { hierarchy: self, plan, lags, each, far } });
    }

    /// The same, the product only if wanted, and adds its gradient.
    pub(super) fn combine_blocks_with_gradient(
        &self,
        plan: &Plan,
        lags: &[f64],
        each: usize,
        far: &mut [f64],
        wanted: bool,
        gradient: BlocksGradient<'_>,
    ) {
        let kernel = CombineWithGradient { hierarchy: self, plan, lags, each, far, wanted, gradient };
        f64::run(OfLeaves { leaf: plan.leaf, kernel });
    }
}

/// `Σ_j t_{i−j} s_j`.
#[inline(always)]
pub(super) fn convolve<I: Isa<f64>, const M: usize>(isa: I, t: &[f64], s: &Leaf<M>) -> [I::V; M] {
    let (t, mut sums) = (&t[..2 * M - 1], [isa.splat(0.0); M]);
    for j in 0..M {
        let s = isa.load(&s[j]);
        for i in 0..M {
            sums[i] = isa.mul_add(isa.splat(t[M - 1 + i - j]), s, sums[i]);
        }
    }
    sums
}

/// `Σ_i t_{i−j} u_i`.
#[inline(always)]
pub(super) fn convolve_back<I: Isa<f64>, const M: usize>(isa: I, t: &[f64], u: &Leaf<M>) -> [I::V; M] {
    let (t, mut sums) = (&t[..2 * M - 1], [isa.splat(0.0); M]);
    for i in 0..M {
        let u = isa.load(&u[i]);
        for j in 0..M {
            sums[j] = isa.mul_add(isa.splat(t[M - 1 + i - j]), u, sums[j]);
        }
    }
    sums
}

/// `sums += factor a`.
#[inline(always)]
pub(super) fn add_scaled<I: Isa<f64>, const M: usize>(isa: I, factor: &Lane, a: [I::V; M], sums: &mut [I::V; M]) {
    let factor = isa.load(factor);
    for i in 0..M {
        sums[i] = isa.mul_add(factor, a[i], sums[i]);
    }
}

/// `Σ_i a_i b_i`, lane by lane, added or written.
#[inline(always)]
pub(super) fn add_inner<I: Isa<f64>, const M: usize>(isa: I, a: &Leaf<M>, b: [I::V; M], sum: &mut Lane, add: bool) {
    let mut sums = [if add { isa.load(sum) } else { isa.splat(0.0) }, isa.splat(0.0)];
    for i in 0..M {
        sums[i % 2] = isa.mul_add(isa.load(&a[i]), b[i], sums[i % 2]);
    }
    isa.store(sum, isa.add(sums[0], sums[1]));
}

/// Adds `factor Σ u_i s_j` over the places so far apart, for each i − j: below zero, and from zero on.
#[inline(always)]
fn correlate<I: Isa<f64>, const M: usize>(
    isa: I,
    factor: &Lane,
    u: &Leaf<M>,
    s: &Leaf<M>,
    [below, above]: [&mut [I::V; M]; 2],
) {
    let (factor, s) = (isa.load(factor), load(isa, s));
    for i in 0..M {
        let u = isa.mul(factor, isa.load(&u[i]));
        for j in 0..M {
            let sum = if i < j { &mut below[M - 1 + i - j] } else { &mut above[i - j] };
            *sum = isa.mul_add(u, s[j], *sum);
        }
    }
}

/// Adds the sums over the lanes.
#[inline(always)]
fn add_lanes<I: Isa<f64>>(isa: I, sums: &[I::V], lags: &mut [f64]) {
    for (lag, sum) in lags.iter_mut().zip(sums) {
        let mut lane = Lane::default();
        isa.store(&mut lane, *sum);
        *lag += (lane[0] + lane[1]) + (lane[2] + lane[3]);
    }
}

struct Expand<'a> {
    hierarchy: &'a Hierarchy,
    plan: &'a Plan,
    source: &'a Source,
    /// y, and y times heads.
    y: [&'a [f64]; 2],
    lags: &'a mut [f64],
}

impl Expand<'_> {
    /// What is inside leaves.
    #[inline(always)]
    fn leaves<I: Isa<f64>, const M: usize>(&mut self, isa: I) {
        let (g, y) = (blocks::<M>(self.source.generator.get()), blocks::<M>(self.y[0]));
        let mut sums = [isa.splat(0.0); M];
        for ((block, g), y) in self.hierarchy.blocks::<M>().zip(g).zip(y) {
            for c in 0..CHILDREN {
                leaf::expand(isa, [&block.weights[c], &g[c]], &y[c], &mut sums);
            }
        }
        add_lanes(isa, &sums, &mut self.lags[self.plan.first_lag()..]);
    }

    /// What pairs of leaves so far apart have to do with each other.
    #[inline(always)]
    fn apart<I: Isa<f64>, const M: usize>(&mut self, isa: I, distance: usize) {
        let (s, u) = (blocks::<M>(self.source.places[0].get()), blocks::<M>(self.y[1]));
        let (mut below, mut above) = ([isa.splat(0.0); M], [isa.splat(0.0); M]);
        for ((block, s), u) in self.hierarchy.blocks::<M>().zip(s).zip(u) {
            for target in distance..CHILDREN {
                let source = target - distance;
                let factor = block.siblings.between(target, source);
                correlate(isa, factor, &u[target], &s[source], [&mut below, &mut above]);
            }
        }
        let lags = &mut self.lags[self.plan.near(distance)..];
        add_lanes(isa, &below[..M - 1], lags);
        add_lanes(isa, &above, &mut lags[M - 1..]);
    }
}

impl LeafKernel for Expand<'_> {
    #[inline(always)]
    fn each<I: Isa<f64>, const M: usize>(mut self, isa: I) {
        self.leaves::<I, M>(isa);
        for distance in 1..CHILDREN {
            self.apart::<I, M>(isa, distance);
        }
    }
}

struct Combine<'a> {
    hierarchy: &'a Hierarchy,
    plan: &'a Plan,
    lags: &'a [f64],
    each: usize,
    far: &'a mut [f64],
}

impl LeafKernel for Combine<'_> {
    #[inline(always)]
    fn each<I: Isa<f64>, const M: usize>(self, isa: I) {
        let Self { hierarchy, plan, lags, each, far } = self;
        let blocks_of_far = blocks_mut::<M>(far).iter_mut();
        for (q, (block, far)) in hierarchy.blocks::<M>().zip(blocks_of_far).enumerate() {
            for target in 0..CHILDREN {
                let mut sum = [isa.splat(0.0); M];
                add_scaled(isa, &block.siblings.before[target], load(isa, &far[target]), &mut sum);
                for (source, lags) in hierarchy.sources.iter().zip(lags.chunks_exact(each)) {
                    let s = &blocks::<M>(source.places[0].get())[q];
                    for source in 0..target {
                        let here = convolve(isa, &lags[plan.near(target - source)..], &s[source]);
                        add_scaled(isa, block.siblings.between(target, source), here, &mut sum);
                    }
                }
                for i in 0..M {
                    sum[i] = isa.mul(sum[i], isa.load(&block.heads[target][i]));
                }
                for (source, lags) in hierarchy.sources.iter().zip(lags.chunks_exact(each)) {
                    let g = &blocks::<M>(source.generator.get())[q][target];
                    add_inside(isa, plan, [&block.weights[target], g], lags, &mut sum);
                }
                store(isa, sum, &mut far[target]);
            }
        }
    }
}

/// Adds the product inside a leaf.
#[inline(always)]
pub(super) fn add_inside<I: Isa<f64>, const M: usize>(
    isa: I,
    plan: &Plan,
    given: [&Leaf<M>; 2],
    lags: &[f64],
    z: &mut [I::V; M],
) {
    if let Some(t) = lags[plan.first_lag()..].first_chunk() {
        leaf::combine(isa, given, t, z);
    }
}
