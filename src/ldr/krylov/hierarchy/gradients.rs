//! From sums over a batch to the gradient in weights and generators: the chain rule through all products of weights.

use super::factors::AFTER;
use super::plan::{CHILDREN, Plan, W, take_whole, whole};
use super::products::Inner;
use super::states::{Sums, of_factors};
use super::{Hierarchy, Lane};
use crate::ldr::krylov::segments::{SKIPPED, align};
use crate::transform::isa::{Isa, Kernel, Kernels, lanes, lanes_mut};

impl Hierarchy {
    /// Numbers in the sums of gradients.
    pub fn sums_len(plan: &Plan) -> usize {
        Sums(plan).len() + SKIPPED
    }

    /// Numbers of scratch that [`Hierarchy::finish`] needs.
    pub fn finish_scratch_len(plan: &Plan) -> usize {
        5 * whole(plan.places) + SKIPPED
    }

    /// Makes sums ready for use.
    pub fn clear(sums: &mut [f64]) {
        align(sums)[0] = 0.0;
    }

    /// Adds to the gradients in the generators and in the weights, N numbers each, what the sums stand for. They are used up.
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
            add_places(plan, d_places, generator, scratch);
        }
        let (vectors, factors) = sums.split_at_mut(at.factors(0).start);
        let (d_heads, d_weights) = vectors.split_at_mut(at.weights().start);
        let (d_heads, d_weights) = (&mut d_heads[at.heads()], &mut d_weights[..plan.places]);
        self.factors.backward(plan.leaf, of_factors(&mut factors[..at.all_factors().len()]), d_heads);
        let (given, leaf) = ([&self.weights, &self.heads, &self.tails].map(|v| v.get()), plan.leaf);
        f64::run(Unchain { leaf, given, d_heads, d_tails, d_weights });
        add_places(plan, d_weights, weights, scratch);
    }

    /// From the sums of a generator to the gradient in it, from the whole down to the leaves; that in tails is written for the first one, and
    /// added for others.
    fn sources_backward(&self, plan: &Plan, j: usize, sums: &mut [f64], [d_places, d_tails]: [&mut [f64]; 2]) {
        let (at, source) = (Sums(plan), &self.sources[j]);
        let (sums, factors) = sums.split_at_mut(at.factors(0).start);
        let mut factors = of_factors(&mut factors[..at.all_factors().len()]);
        for (number, level) in plan.levels.iter().enumerate().skip(1).rev() {
            let (blocks, child) = (&mut sums[at.spectra(number, j)], level.half * W);
            let (rest, factors_here) = factors.split_at_mut(factors.len() - plan.parents(number));
            factors = rest;
            if number == plan.top() {
                level.inverse(blocks, None, d_places);
                continue;
            }
            let parents = d_places.chunks_exact_mut(CHILDREN * child);
            let parents = parents.zip(source.places[number].get().chunks_exact(CHILDREN * child));
            let blocks = blocks.chunks_exact_mut(2 * CHILDREN * child).zip(&self.factors.levels[number]);
            for (((d, s), d_factors), (blocks, siblings)) in parents.zip(factors_here).zip(blocks) {
                f64::run(Inner { child, a: s, b: d, add: j > 0, sums: d_factors[AFTER].as_flattened_mut() });
                let children = blocks.chunks_exact_mut(2 * child).zip(d.chunks_exact_mut(child));
                children.zip(&siblings.after).for_each(|((block, d), after)| level.inverse(block, Some(after), d));
            }
        }
        let each = 2 * plan.places;
        let sums = &sums[at.generators()][j * each..][..each];
        let afters = self.factors.levels[0].iter().flat_map(|siblings| &siblings.after);
        let d_afters = factors.iter_mut().flat_map(|d| &mut d[AFTER]);
        let given = [&source.generator, &source.places[0], &self.tails].map(|v| v.get());
        let (afters, add) = (afters.zip(d_afters), j > 0);
        f64::run(BlocksBackward { leaf: plan.leaf, afters, given, sums, add, d_places, d_tails });
    }
}

fn add_places(plan: &Plan, places: &[f64], sums: &mut [f64], scratch: &mut [f64]) {
    let (padded, found) = scratch[..2 * plan.places].split_at_mut(plan.places);
    let found = &mut found[..plan.order];
    plan.collect(places, found, padded);
    sums.iter_mut().zip(found).for_each(|(sum, d)| *sum += *d);
}

/// From what comes from far away of the gradient in a generator times tails to that in the generator, in place, and in the products of
/// the leaves behind each.
struct BlocksBackward<'a, A> {
    leaf: usize,
    /// These products, and the gradient in them.
    afters: A,
    /// The generator, that times tails, and tails.
    given: [&'a [f64]; 3],
    /// The sums inside blocks.
    sums: &'a [f64],
    /// Whether the gradients in products and tails are added to.
    add: bool,
    d_places: &'a mut [f64],
    d_tails: &'a mut [f64],
}

impl<'a, A: Iterator<Item = (&'a Lane, &'a mut Lane)>> Kernel<f64> for BlocksBackward<'a, A> {
    #[inline(always)]
    fn run<I: Isa<f64>>(self, isa: I) {
        let Self { leaf, afters, given, sums, add, d_places, d_tails } = self;
        let [generator, places, tails] = given.map(|v| lanes::<f64>(v).chunks_exact(leaf));
        let (own, near) = lanes::<f64>(sums).split_at(sums.len() / W / 2);
        let given = generator.zip(places).zip(tails).zip(own.chunks_exact(leaf).zip(near.chunks_exact(leaf)));
        let found = [d_places, d_tails].map(|v| lanes_mut::<f64>(v).chunks_exact_mut(leaf));
        let [d_places, d_tails] = found;
        for (((((g, s), tails), (own, near)), (after, d_after)), (d, d_tails)) in
            given.zip(afters).zip(d_places.zip(d_tails))
        {
            let (after, zero) = (isa.load(after), isa.splat(0.0));
            let mut d_total = if add { isa.load(d_after) } else { zero };
            for i in 0..leaf {
                let far = isa.load(&d[i]);
                d_total = isa.mul_add(isa.load(&s[i]), far, d_total);
                let here = isa.mul_add(after, far, isa.load(&near[i]));
                let before = if add { isa.load(&d_tails[i]) } else { zero };
                isa.store(&mut d_tails[i], isa.mul_add(isa.load(&g[i]), here, before));
                isa.store(&mut d[i], isa.mul_add(isa.load(&tails[i]), here, isa.load(&own[i])));
            }
            isa.store(d_after, d_total);
        }
    }
}

/// From heads and tails of leaves to weights.
struct Unchain<'a> {
    leaf: usize,
    /// Weights, heads and tails.
    given: [&'a [f64]; 3],
    d_heads: &'a mut [f64],
    d_tails: &'a mut [f64],
    d_weights: &'a mut [f64],
}

impl Kernel<f64> for Unchain<'_> {
    #[inline(always)]
    fn run<I: Isa<f64>>(self, isa: I) {
        let Self { leaf, given, d_heads, d_tails, d_weights } = self;
        let [weights, heads, tails] = given.map(|v| lanes::<f64>(v).chunks_exact(leaf));
        let [d_heads, d_tails, d_weights] =
            [d_heads, d_tails, d_weights].map(|v| lanes_mut::<f64>(v).chunks_exact_mut(leaf));
        let given = weights.zip(heads).zip(tails);
        for (((w, heads), tails), ((d_heads, d_tails), d_weights)) in given.zip(d_heads.zip(d_tails).zip(d_weights)) {
            let (mut d_head, mut d_tail) = (isa.splat(0.0), isa.splat(0.0));
            // One chain goes from the last place to the first, the other against it, both at once.
            for j in 0..leaf {
                let i = leaf - 1 - j;
                d_head = isa.add(d_head, isa.load(&d_heads[i]));
                let before = if i == 0 { isa.splat(1.0) } else { isa.load(&heads[i - 1]) };
                let sum = isa.mul_add(d_head, before, isa.load(&d_weights[i]));
                isa.store(&mut d_weights[i], sum);
                d_head = isa.mul(d_head, isa.load(&w[i]));
                let sum = isa.mul_add(d_tail, isa.load(&tails[j]), isa.load(&d_weights[j]));
                isa.store(&mut d_weights[j], sum);
                d_tail = isa.mul_add(d_tail, isa.load(&w[j]), isa.load(&d_tails[j]));
            }
        }
    }
}
