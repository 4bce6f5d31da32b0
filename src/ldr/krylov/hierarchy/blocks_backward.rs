//! Products of blocks together with their gradients.

use super::blocks::{
    Acting, Block, LeafKernel, Sources, add_inner, add_scaled, blocks, blocks_mut, convolve_back, scaled,
};
use super::factors::{BEFORE, BETWEEN, SiblingsGradient};
use super::leaf::{self, Leaf, load, store};
use super::plan::{CHILDREN, W};
use super::states::{Sums, of_factors};
use super::{Hierarchy, Lane};
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
    block: Block<'a, M>,
    y: &'a [Leaf<M>; CHILDREN],
    /// Times heads.
    u: &'a [Leaf<M>; CHILDREN],
    heads: &'a mut [Leaf<M>; CHILDREN],
    weights: &'a mut [Leaf<M>; CHILDREN],
    factors: &'a mut SiblingsGradient,
}

pub(super) struct CombineWithGradient<'a> {
    pub hierarchy: &'a Hierarchy,
    pub sources: Sources<'a>,
    pub far: &'a mut [f64],
    pub wanted: bool,
    pub gradient: BlocksGradient<'a>,
}

impl LeafKernel for CombineWithGradient<'_> {
    #[inline(always)]
    fn each<I: Isa<f64>, const M: usize>(self, isa: I) {
        let Self { hierarchy, sources, far, wanted, gradient } = self;
        let (add, places) = (gradient.add, sources.plan.places);
        let [heads, weights] = [gradient.heads, gradient.weights].map(|v| blocks_mut::<M>(v).iter_mut());
        let given = blocks::<M>(gradient.y).iter().zip(blocks_mut::<M>(far));
        let sums = heads.zip(weights).zip(gradient.factors);
        let all = hierarchy.blocks::<M>().zip(given).zip(sums).enumerate();
        for (q, ((block, (y, far)), ((heads, weights), factors))) in all {
            let u = &multiply(isa, y, block.heads);
            let mut parts = Parts { block, y, u, heads, weights, factors };
            let mut sums = parts.begin(isa, far, add);
            for j in 0..sources.len() {
                let through = block.gather(isa, sources.acting(j, q), &mut sums);
                add_inner(isa, &u[3], through, &mut parts.factors[BETWEEN][2], add || j > 0);
            }
            parts.heads(isa, &sums, add);
            if wanted {
                block.end(isa, sources, q, sums, far);
            }
            for j in 0..sources.len() {
                let (acting, sums) = (sources.acting(j, q), &mut gradient.generators[2 * j * places..][..2 * places]);
                let (inside, near) = sums.split_at_mut(places);
                let add = [add || j > 0, add];
                parts.inside(isa, acting, add, &mut blocks_mut(inside)[q]);
                parts.near(isa, acting, add, &mut blocks_mut(near)[q]);
            }
        }
    }
}

impl<const M: usize> Parts<'_, M> {
    /// What comes from far away, through the leaves before each, with the gradient in these.
    #[inline(always)]
    fn begin<I: Isa<f64>>(&mut self, isa: I, far: &[Leaf<M>; CHILDREN], add: bool) -> [[I::V; M]; CHILDREN] {
        let mut sums = [[isa.splat(0.0); M]; CHILDREN];
        for c in 0..CHILDREN {
            let far = load(isa, &far[c]);
            if c > 0 {
                add_inner(isa, &self.u[c], far, &mut self.factors[BEFORE][c], add);
            }
            add_scaled(isa, &self.block.siblings.before[c], far, &mut sums[c]);
        }
        sums
    }

    /// The gradient in heads.
    #[inline(always)]
    fn heads<I: Isa<f64>>(&mut self, isa: I, sums: &[[I::V; M]; CHILDREN], add: bool) {
        for c in 0..CHILDREN {
            for i in 0..M {
                let d_head = &mut self.heads[c][i];
                let before = if add { isa.load(d_head) } else { isa.splat(0.0) };
                isa.store(d_head, isa.mul_add(isa.load(&self.y[c][i]), sums[c][i], before));
            }
        }
    }

    /// The gradients inside leaves, to be added to in weights and in the generator.
    #[inline(always)]
    fn inside<I: Isa<f64>>(
        &mut self,
        isa: I,
        acting: Acting<'_, M>,
        [add_weights, add]: [bool; 2],
        sums: &mut [Leaf<M>; CHILDREN],
    ) {
        for c in 0..CHILDREN {
            let mut d_weights = if add_weights { load(isa, &self.weights[c]) } else { [isa.splat(0.0); M] };
            let given = [&self.block.weights[c], &acting.generator[c]];
            let d = leaf::backward(isa, given, acting.inside, &self.y[c], &mut d_weights);
            add_leaf(isa, d, &mut sums[c], add);
            store(isa, d_weights, &mut self.weights[c]);
        }
    }

    /// The gradients in the generator times tails, and in the second leaf as it is between others.
    #[inline(always)]
    fn near<I: Isa<f64>>(
        &mut self,
        isa: I,
        Acting { places, near, .. }: Acting<'_, M>,
        [add_factor, add]: [bool; 2],
        sums: &mut [Leaf<M>; CHILDREN],
    ) {
        let ([_, m1, m2, _], zero) = (&self.block.siblings.products, [isa.splat(0.0); M]);
        let [_, u1, u2, u3] = self.u;
        let last = &mut [Lane::default(); M];
        store(isa, scaled(isa, m2, load(isa, u3)), last);
        let through = convolve_back(isa, near[1], u2, zero);
        let through = convolve_back(isa, near[2], last, through);
        add_inner(isa, &places[0], through, &mut self.factors[BETWEEN][1], add_factor);
        let mut d = convolve_back(isa, near[0], u1, zero);
        add_scaled(isa, m1, through, &mut d);
        add_leaf(isa, d, &mut sums[0], add);
        let d = convolve_back(isa, near[0], u2, zero);
        add_leaf(isa, convolve_back(isa, near[1], last, d), &mut sums[1], add);
        add_leaf(isa, convolve_back(isa, near[0], u3, zero), &mut sums[2], add);
        add_leaf(isa, zero, &mut sums[3], add);
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
