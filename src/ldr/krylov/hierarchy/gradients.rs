//! From sums over a batch to the gradient in weights and generators: the chain rule through all products of weights.

use super::blocks::{LeafKernel, OfLeaves};
use super::factors::AFTER;
use super::leaf::{leaves, leaves_mut, load, store};
use super::plan::{CHILDREN, DISTANCES, Plan, W, take_whole, whole};
use super::products::Inner;
use super::states::{Sums, of_factors, of_turns};
use super::top::Top;
use super::{Hierarchy, Lane};
use crate::ldr::krylov::segments::{SKIPPED, align};
use crate::transform::isa::{Isa, Kernels};

impl Hierarchy {
    /// Numbers in the sums of gradients.
    pub fn sums_len(plan: &Plan) -> usize {
        Sums(plan).len() + SKIPPED
    }

    /// Numbers of scratch that [`Hierarchy::finish`] needs.
    pub fn finish_scratch_len(plan: &Plan) -> usize {
        3 * whole(plan.places) + SKIPPED
    }

    /// Makes sums ready for use.
    pub fn clear(sums: &mut [f64]) {
        align(sums)[0] = 0.0;
    }

    /// Writes the gradients in the generators and in the weights, N numbers each, that the sums stand for, if there is
    /// anything in them. They are used up.
    pub fn finish(
        &self,
        plan: &Plan,
        sums: &mut [f64],
        generators: &mut [f64],
        weights: &mut [f64],
        scratch: &mut [f64],
    ) {
        let (at, sums, mut scratch) = (Sums(plan), align(sums), align(scratch));
        if !Sums::is_begun(sums) {
            return;
        }
        let [d_places, d_tails] = [(); 2].map(|()| take_whole(&mut scratch, plan.places));
        if generators.is_empty() {
            d_tails.fill(0.0);
        }
        for (j, generator) in generators.chunks_exact_mut(plan.order).enumerate() {
            self.sources_backward(plan, j, sums, [&mut *d_places, &mut *d_tails]);
            plan.collect(d_places, generator, scratch);
        }
        let (vectors, factors) = sums.split_at_mut(at.factors(0).start);
        let (d_heads, d_weights) = vectors.split_at_mut(at.weights().start);
        let turns = of_turns(&mut d_weights[at.turns().start - at.weights().start..]);
        let around = turns.map(|turns| Top::gradient(&plan.levels[plan.top()], turns)).unwrap_or_default();
        let (d_heads, d_weights) = (&mut d_heads[at.heads()], &mut d_weights[..plan.places]);
        self.factors.backward(plan.leaf, of_factors(&mut factors[..at.all_factors().len()]), &around, d_heads);
        let given = [&self.weights, &self.heads, &self.tails].map(|v| v.get());
        f64::run(OfLeaves { leaf: plan.leaf, kernel: Unchain { given, d_heads, d_tails, d_weights } });
        plan.collect(d_weights, weights, scratch);
    }

    /// From the sums of a generator to the gradient in it, from the root down to the leaves; that in tails is written
    /// for the first one, and added for others.
    fn sources_backward(&self, plan: &Plan, j: usize, sums: &mut [f64], [d_places, d_tails]: [&mut [f64]; 2]) {
        let (at, source) = (Sums(plan), &self.sources[j]);
        let (sums, factors) = sums.split_at_mut(at.factors(0).start);
        let mut factors = of_factors(&mut factors[..at.all_factors().len()]);
        for (number, level) in plan.levels.iter().enumerate().skip(1).rev() {
            let (blocks, child) = (&mut sums[at.spectra(number, j)], level.half * W);
            if number == plan.top() {
                level.inverse(blocks, None, d_places);
                continue;
            }
            let (rest, factors_here) = factors.split_at_mut(factors.len() - plan.parents(number));
            factors = rest;
            let parents = d_places.chunks_exact_mut(CHILDREN * child);
            let parents = parents.zip(source.places[number].get().chunks_exact(CHILDREN * child));
            let blocks = blocks.chunks_exact_mut(DISTANCES * level.block()).zip(&self.factors.levels[number]);
            for (((d, s), d_factors), (blocks, siblings)) in parents.zip(factors_here).zip(blocks) {
                // The last child has no siblings behind it.
                let (d, sums) = (&mut d[..DISTANCES * child], &mut d_factors[AFTER][..DISTANCES]);
                f64::run(Inner { child, a: s, b: d, add: j > 0, sums: sums.as_flattened_mut() });
                let children = blocks.chunks_exact_mut(level.block()).zip(d.chunks_exact_mut(child));
                children.zip(&siblings.after).for_each(|((block, d), after)| level.inverse(block, Some(after), d));
            }
        }
        let each = 2 * plan.places;
        let sums = &sums[at.generators()][j * each..][..each];
        let afters = self.factors.levels[0].iter().flat_map(|siblings| &siblings.after);
        let d_afters = factors.iter_mut().flat_map(|d| &mut d[AFTER]);
        let given = [&source.generator, &self.tails].map(|v| v.get());
        let (afters, add) = (afters.zip(d_afters), j > 0);
        let kernel = BlocksBackward { afters, given, sums, add, d_places, d_tails };
        f64::run(OfLeaves { leaf: plan.leaf, kernel });
    }
}

/// From what comes from far away of the gradient in a generator times tails to that in the generator, in place, and in
/// the products of the leaves behind each.
struct BlocksBackward<'a, A> {
    /// These products, and the gradient in them.
    afters: A,
    /// The generator, and tails.
    given: [&'a [f64]; 2],
    /// The sums inside blocks.
    sums: &'a [f64],
    /// Whether the gradients in products and tails are added to.
    add: bool,
    d_places: &'a mut [f64],
    d_tails: &'a mut [f64],
}

impl<'a, A: Iterator<Item = (&'a Lane, &'a mut Lane)>> LeafKernel for BlocksBackward<'a, A> {
    #[inline(always)]
    fn each<I: Isa<f64>, const M: usize>(self, isa: I) {
        let Self { afters, given, sums, add, d_places, d_tails } = self;
        let [generator, tails] = given.map(leaves::<M>);
        let (own, near) = sums.split_at(sums.len() / 2);
        let given = generator.iter().zip(tails).zip(leaves::<M>(own).iter().zip(leaves::<M>(near)));
        let found = leaves_mut::<M>(d_places).iter_mut().zip(leaves_mut::<M>(d_tails));
        for ((((g, tails), (own, near)), (after, d_after)), (d, d_tails)) in given.zip(afters).zip(found) {
            let (after, zero) = (isa.load(after), isa.splat(0.0));
            let mut d_total = if add { isa.load(d_after) } else { zero };
            for i in 0..M {
                let (g, tail, far) = (isa.load(&g[i]), isa.load(&tails[i]), isa.load(&d[i]));
                d_total = isa.mul_add(isa.mul(g, tail), far, d_total);
                let here = isa.mul_add(after, far, isa.load(&near[i]));
                let before = if add { isa.load(&d_tails[i]) } else { zero };
                isa.store(&mut d_tails[i], isa.mul_add(g, here, before));
                isa.store(&mut d[i], isa.mul_add(tail, here, isa.load(&own[i])));
            }
            isa.store(d_after, d_total);
        }
    }
}

/// From heads and tails of leaves to weights.
struct Unchain<'a> {
    /// Weights, heads and tails.
    given: [&'a [f64]; 3],
    d_heads: &'a [f64],
    d_tails: &'a [f64],
    d_weights: &'a mut [f64],
}

impl LeafKernel for Unchain<'_> {
    #[inline(always)]
    fn each<I: Isa<f64>, const M: usize>(self, isa: I) {
        let Self { given, d_heads, d_tails, d_weights } = self;
        let [weights, heads, tails] = given.map(leaves::<M>);
        let given = weights.iter().zip(heads).zip(tails);
        let found = leaves::<M>(d_heads).iter().zip(leaves::<M>(d_tails)).zip(leaves_mut::<M>(d_weights));
        for (((w, heads), tails), ((d_heads, d_tails), d_weights)) in given.zip(found) {
            let (mut sums, mut d_head, mut d_tail) = (load(isa, d_weights), isa.splat(0.0), isa.splat(0.0));
            // One chain goes from the last place to the first, the other against it, both at once.
            for j in 0..M {
                let i = M - 1 - j;
                d_head = isa.add(d_head, isa.load(&d_heads[i]));
                sums[i] = if i == 0 {
                    isa.add(d_head, sums[i])
                } else {
                    isa.mul_add(d_head, isa.load(&heads[i - 1]), sums[i])
                };
                d_head = isa.mul(d_head, isa.load(&w[i]));
                sums[j] = isa.mul_add(d_tail, isa.load(&tails[j]), sums[j]);
                d_tail = isa.mul_add(d_tail, isa.load(&w[j]), isa.load(&d_tails[j]));
            }
            store(isa, sums, d_weights);
        }
    }
}
