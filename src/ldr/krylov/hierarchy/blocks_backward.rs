//! Products of blocks together with their gradients.

use super::Hierarchy;
use super::blocks::{
    Block, LeafKernel, add_inner, add_inside, add_scaled, blocks, blocks_mut, convolve, convolve_back,
};
use super::factors::{BEFORE, BETWEEN, SiblingsGradient, between};
use super::leaf::{self, Leaf, load, store};
use super::plan::{CHILDREN, Plan, W};
use super::states::{Sums, of_factors};
use crate::transform::isa::Isa;

/// What the gradient of blocks is gathered in.
#[derive(Debug)]
pub(super) struct BlocksGradient<'a> {
    pub y: &'a [f64],
    /// In heads and in the weights inside leaves.
    pub heads: &'a mut [f64],
    pub weights: &'a mut [f64],
    /// For each generator: in it inside leaves, and in it times tails.
    pub generators: &'a mut [f64],
    /// In the products of weights.
    pub factors: &'a mut [SiblingsGradient],
    /// Whether all that is added to.
    pub add: bool,
}

impl<'a> BlocksGradient<'a> {
    /// The parts of sums.
    pub fn of(at: Sums<'_>, y: &'a [f64], sums: &'a mut [f64], add: bool) -> Self {
        let (vectors, factors) = sums.split_at_mut(at.factors(0).start);
        let (heads, vectors) = vectors[at.heads().start..].split_at_mut(at.heads().len());
        let (weights, vectors) = vectors.split_at_mut(at.weights().len());
        let generators = &mut vectors[..at.generators().len()];
        Self { y, heads, weights, generators, factors: of_factors(&mut factors[..at.factors(0).len()]), add }
    }
}

/// The same, block by block.
struct Parts<'a, const M: usize> {
    y: &'a [Leaf<M>; CHILDREN],
    /// Times heads.
    u: &'a [Leaf<M>; CHILDREN],
    heads: &'a mut [Leaf<M>; CHILDREN],
    weights: &'a mut [Leaf<M>; CHILDREN],
    factors: &'a mut SiblingsGradient,
}

pub(super) struct CombineWithGradient<'a> {
    pub hierarchy: &'a Hierarchy,
    pub plan: &'a Plan,
    pub lags: &'a [f64],
    pub each: usize,
    pub far: &'a mut [f64],
    pub wanted: bool,
    pub gradient: BlocksGradient<'a>,
}

impl LeafKernel for CombineWithGradient<'_> {
    #[inline(always)]
    fn each<I: Isa<f64>, const M: usize>(self, isa: I) {
        let Self { hierarchy, plan, lags, each, far, wanted, gradient } = self;
        let add = gradient.add;
        let [heads, weights] = [gradient.heads, gradient.weights].map(|v| blocks_mut::<M>(v).iter_mut());
        let given = blocks::<M>(gradient.y).iter().zip(blocks_mut::<M>(far));
        let sums = heads.zip(weights).zip(gradient.factors);
        let all = hierarchy.blocks::<M>().zip(given).zip(sums).enumerate();
        for (q, ((block, (y, far)), ((heads, weights), factors))) in all {
            let u = &multiply(isa, y, block.heads);
            let mut parts = Parts { y, u, heads, weights, factors };
            let block = At { hierarchy, plan, block, q, lags, each };
            for c in 0..CHILDREN {
                let sum = block.gather(isa, c, &far[c], &mut parts, add);
                if wanted {
                    store(isa, block.finish(isa, c, sum), &mut far[c]);
                }
                block.inside(isa, c, &mut parts, gradient.generators, add);
            }
            block.near(isa, u, gradient.generators, add);
        }
    }
}

/// Four blocks of some, and what they are multiplied by.
#[derive(Clone, Copy)]
struct At<'a, const M: usize> {
    hierarchy: &'a Hierarchy,
    plan: &'a Plan,
    block: Block<'a, M>,
    q: usize,
    lags: &'a [f64],
    each: usize,
}

impl<const M: usize> At<'_, M> {
    /// What a leaf gets from elsewhere, with the gradients in the products of weights and in heads.
    #[inline(always)]
    fn gather<I: Isa<f64>>(self, isa: I, c: usize, far: &Leaf<M>, parts: &mut Parts<'_, M>, add: bool) -> [I::V; M] {
        let (u, siblings) = (&parts.u[c], self.block.siblings);
        let mut sum = [isa.splat(0.0); M];
        add_inner(isa, u, load(isa, far), &mut parts.factors[BEFORE][c], add);
        add_scaled(isa, &siblings.before[c], load(isa, far), &mut sum);
        let sources = self.hierarchy.sources.iter().zip(self.lags.chunks_exact(self.each));
        for (j, (source, lags)) in sources.enumerate() {
            let add = add || j > 0;
            let s = &blocks::<M>(source.places[0].get())[self.q];
            for source in 0..c {
                let here = convolve(isa, &lags[self.plan.near(c - source)..], &s[source]);
                if c > source + 1 {
                    add_inner(isa, u, here, &mut parts.factors[BETWEEN][between(c, source)], add);
                }
                add_scaled(isa, siblings.between(c, source), here, &mut sum);
            }
        }
        for i in 0..M {
            let d_head = &mut parts.heads[c][i];
            let before = if add { isa.load(d_head) } else { isa.splat(0.0) };
            isa.store(d_head, isa.mul_add(isa.load(&parts.y[c][i]), sum[i], before));
        }
        sum
    }

    /// The product.
    #[inline(always)]
    fn finish<I: Isa<f64>>(self, isa: I, c: usize, sum: [I::V; M]) -> [I::V; M] {
        let mut z = sum;
        for i in 0..M {
            z[i] = isa.mul(sum[i], isa.load(&self.block.heads[c][i]));
        }
        for (source, lags) in self.hierarchy.sources.iter().zip(self.lags.chunks_exact(self.each)) {
            let g = &blocks::<M>(source.generator.get())[self.q][c];
            add_inside(isa, self.plan, [&self.block.weights[c], g], lags, &mut z);
        }
        z
    }

    /// The gradients inside a leaf.
    #[inline(always)]
    fn inside<I: Isa<f64>>(self, isa: I, c: usize, parts: &mut Parts<'_, M>, generators: &mut [f64], add: bool) {
        let mut d_weights = if add { load(isa, &parts.weights[c]) } else { [isa.splat(0.0); M] };
        let sums = generators.chunks_exact_mut(2 * self.plan.places);
        for ((source, lags), sums) in self.hierarchy.sources.iter().zip(self.lags.chunks_exact(self.each)).zip(sums) {
            let g = &blocks::<M>(source.generator.get())[self.q][c];
            let Some(t) = lags[self.plan.first_lag()..].first_chunk() else { continue };
            let d = leaf::backward(isa, [&self.block.weights[c], g], t, &parts.y[c], &mut d_weights);
            add_leaf(isa, d, &mut blocks_mut::<M>(&mut sums[..self.plan.places])[self.q][c], add);
        }
        store(isa, d_weights, &mut parts.weights[c]);
    }

    /// The gradients in generators times tails.
    #[inline(always)]
    fn near<I: Isa<f64>>(self, isa: I, u: &[Leaf<M>; CHILDREN], generators: &mut [f64], add: bool) {
        let sums = generators.chunks_exact_mut(2 * self.plan.places);
        for (lags, sums) in self.lags.chunks_exact(self.each).zip(sums) {
            let sums = &mut blocks_mut::<M>(&mut sums[self.plan.places..])[self.q];
            for source in 0..CHILDREN {
                let mut sum = [isa.splat(0.0); M];
                for target in source + 1..CHILDREN {
                    let near = convolve_back(isa, &lags[self.plan.near(target - source)..], &u[target]);
                    add_scaled(isa, self.block.siblings.between(target, source), near, &mut sum);
                }
                add_leaf(isa, sum, &mut sums[source], add);
            }
        }
    }
}

/// Writes the numbers of a leaf, or adds them.
#[inline(always)]
fn add_leaf<I: Isa<f64>, const M: usize>(isa: I, v: [I::V; M], sums: &mut Leaf<M>, add: bool) {
    for i in 0..M {
        let sum = if add { isa.add(v[i], isa.load(&sums[i])) } else { v[i] };
        isa.store(&mut sums[i], sum);
    }
}

#[inline(always)]
fn multiply<I: Isa<f64>, const M: usize>(
    isa: I,
    a: &[Leaf<M>; CHILDREN],
    b: &[Leaf<M>; CHILDREN],
) -> [Leaf<M>; CHILDREN] {
    let mut products = [[[0.0; W]; M]; CHILDREN];
    for c in 0..CHILDREN {
        for i in 0..M {
            isa.store(&mut products[c][i], isa.mul(isa.load(&a[c][i]), isa.load(&b[c][i])));
        }
    }
    products
}
