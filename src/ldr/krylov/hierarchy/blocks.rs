//! Blocks of four leaves: places that are so few that their lags are taken one by one.
//!
//! From a leaf to another one of its block P_ij has rank one, as between all children, so that these are convolutions
//! of `tail g` with lags. The rest stays inside the leaf: [`leaf`].

use super::blocks_backward::{BlocksGradient, CombineWithGradient};
use super::factors::Siblings;
use super::leaf::{self, Leaf, leaves, leaves_mut, load, store};
use super::plan::{CHILDREN, DISTANCES, Plan};
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

/// Sources, and the padded lags that are the coefficients of their powers, so many numbers each.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sources<'a> {
    pub sources: &'a [Source],
    pub plan: &'a Plan,
    pub lags: &'a [f64],
    pub each: usize,
}

impl<'a> Sources<'a> {
    pub fn len(self) -> usize {
        self.sources.len()
    }

    /// One of them in four blocks.
    #[inline(always)]
    pub fn acting<const M: usize>(self, j: usize, block: usize) -> Acting<'a, M> {
        let (source, lags) = (&self.sources[j], &self.lags[j * self.each..]);
        let mut near = [&[][..]; DISTANCES];
        for (d, near) in near.iter_mut().enumerate() {
            *near = &lags[self.plan.near(d + 1)..][..2 * M - 1];
        }
        let inside = &lags[self.plan.first_lag()..][..M];
        let (generator, places) = (source.generator.get(), source.places[0].get());
        Acting { generator: &blocks::<M>(generator)[block], places: &blocks::<M>(places)[block], inside, near }
    }
}

/// A source in four blocks, and the coefficients of its powers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Acting<'a, const M: usize> {
    pub generator: &'a [Leaf<M>; CHILDREN],
    /// Times tails.
    pub places: &'a [Leaf<M>; CHILDREN],
    /// The coefficients for a leaf, and for leaves so far apart.
    pub inside: &'a [f64],
    pub near: [&'a [f64]; DISTANCES],
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

    /// From what leaves get from far away to the product, in place, for the padded lags of all generators, so many
    /// numbers each.
    pub(super) fn combine_blocks(&self, plan: &Plan, lags: &[f64], each: usize, far: &mut [f64]) {
        let sources = Sources { sources: &self.sources, plan, lags, each };
        f64::run(OfLeaves { leaf: plan.leaf, kernel: Combine { hierarchy: self, sources, far } });
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
        let sources = Sources { sources: &self.sources, plan, lags, each };
        let kernel = CombineWithGradient { hierarchy: self, sources, far, wanted, gradient };
        f64::run(OfLeaves { leaf: plan.leaf, kernel });
    }
}

/// Adds `Σ_j t_{i−j} s_j`.
#[inline(always)]
pub(super) fn convolve<I: Isa<f64>, const M: usize>(isa: I, t: &[f64], s: &Leaf<M>, mut sums: [I::V; M]) -> [I::V; M] {
    let t = &t[..2 * M - 1];
    for j in 0..M {
        let s = isa.load(&s[j]);
        for i in 0..M {
            sums[i] = isa.mul_add(isa.splat(t[M - 1 + i - j]), s, sums[i]);
        }
    }
    sums
}

/// Adds `Σ_i t_{i−j} u_i`.
#[inline(always)]
pub(super) fn convolve_back<I: Isa<f64>, const M: usize>(
    isa: I,
    t: &[f64],
    u: &Leaf<M>,
    mut sums: [I::V; M],
) -> [I::V; M] {
    let t = &t[..2 * M - 1];
    for i in 0..M {
        let u = isa.load(&u[i]);
        for j in 0..M {
            sums[j] = isa.mul_add(isa.splat(t[M - 1 + i - j]), u, sums[j]);
        }
    }
    sums
}

/// `factor a`.
#[inline(always)]
pub(super) fn scaled<I: Isa<f64>, const M: usize>(isa: I, factor: &Lane, mut a: [I::V; M]) -> [I::V; M] {
    let factor = isa.load(factor);
    for i in 0..M {
        a[i] = isa.mul(factor, a[i]);
    }
    a
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

/// Adds `Σ u_i s_j` over the places so far apart, for each i − j: below zero, and from zero on.
#[inline(always)]
fn correlate<I: Isa<f64>, const M: usize>(isa: I, u: [I::V; M], s: [I::V; M], [below, above]: [&mut [I::V; M]; 2]) {
    for i in 0..M {
        for j in 0..M {
            let sum = if i < j { &mut below[M - 1 + i - j] } else { &mut above[i - j] };
            *sum = isa.mul_add(u[i], s[j], *sum);
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
                let (mut u, mut s) = (load(isa, &u[target]), load(isa, &s[target - distance]));
                // All that is not a neighbour goes through one of the two leaves between.
                if distance > 1 && target == distance {
                    s = scaled(isa, &block.siblings.products[1], s);
                }
                if distance > 1 && target == CHILDREN - 1 {
                    u = scaled(isa, &block.siblings.products[2], u);
                }
                correlate(isa, u, s, [&mut below, &mut above]);
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
    sources: Sources<'a>,
    far: &'a mut [f64],
}

impl LeafKernel for Combine<'_> {
    #[inline(always)]
    fn each<I: Isa<f64>, const M: usize>(self, isa: I) {
        let Self { hierarchy, sources, far } = self;
        let blocks_of_far = blocks_mut::<M>(far).iter_mut();
        for (q, (block, far)) in hierarchy.blocks::<M>().zip(blocks_of_far).enumerate() {
            let mut sums = [[isa.splat(0.0); M]; CHILDREN];
            for c in 0..CHILDREN {
                add_scaled(isa, &block.siblings.before[c], load(isa, &far[c]), &mut sums[c]);
            }
            for j in 0..sources.len() {
                block.gather(isa, sources.acting(j, q), &mut sums);
            }
            block.end(isa, sources, q, sums, far);
        }
    }
}

impl<const M: usize> Block<'_, M> {
    /// Adds what leaves get from others; returns what the last of them gets through the leaf before it.
    #[inline(always)]
    pub fn gather<I: Isa<f64>>(
        self,
        isa: I,
        Acting { places, near, .. }: Acting<'_, M>,
        sums: &mut [[I::V; M]; CHILDREN],
    ) -> [I::V; M] {
        let [_, m1, m2, _] = &self.siblings.products;
        for c in 1..CHILDREN {
            sums[c] = convolve(isa, near[0], &places[c - 1], sums[c]);
        }
        let first = &mut [Lane::default(); M];
        store(isa, scaled(isa, m1, load(isa, &places[0])), first);
        sums[2] = convolve(isa, near[1], first, sums[2]);
        let through = convolve(isa, near[1], &places[1], [isa.splat(0.0); M]);
        let through = convolve(isa, near[2], first, through);
        add_scaled(isa, m2, through, &mut sums[3]);
        through
    }

    /// The product, from what leaves get from elsewhere.
    #[inline(always)]
    pub fn end<I: Isa<f64>>(
        self,
        isa: I,
        sources: Sources<'_>,
        q: usize,
        mut sums: [[I::V; M]; CHILDREN],
        z: &mut [Leaf<M>; CHILDREN],
    ) {
        for c in 0..CHILDREN {
            for i in 0..M {
                sums[c][i] = isa.mul(sums[c][i], isa.load(&self.heads[c][i]));
            }
        }
        for j in 0..sources.len() {
            let Acting { generator, inside, .. } = sources.acting(j, q);
            for c in 0..CHILDREN {
                leaf::combine(isa, [&self.weights[c], &generator[c]], inside, &mut sums[c]);
            }
        }
        for c in 0..CHILDREN {
            store(isa, sums[c], &mut z[c]);
        }
    }
}
