//! Products and transposed products.

use super::blocks_backward::BlocksGradient;
use super::factors::BEFORE;
use super::plan::{CHILDREN, DISTANCES, Level, Plan, W, take_whole, whole};
use super::states::{States, Sums, of_factors, of_turns};
use super::{Hierarchy, Lane};
use crate::ldr::krylov::segments::{SKIPPED, align, aligned};
use crate::transform::isa::{Isa, Kernel, Kernels, lanes, lanes_mut};

use std::ops::Range;

/// What a product needs to add its gradient.
#[derive(Debug)]
pub(in super::super) struct Gradient<'a> {
    /// Left by the transposed product with y.
    pub states: &'a [f64],
    pub sums: &'a mut [f64],
}

/// The same, aligned, and whether the sums are added to.
#[derive(Debug)]
struct At<'a> {
    states: &'a [f64],
    sums: &'a mut [f64],
    add: bool,
}

/// The parts of these for a level above blocks: y times heads, the spectra of that, the gradients in the spectra of
/// sources, and those in factors: of parents, or of turns for the root.
#[derive(Debug)]
struct AtLevel<'a> {
    places: &'a [f64],
    y: &'a [f64],
    sums: &'a mut [f64],
    factors: &'a mut [f64],
    add: bool,
}

impl At<'_> {
    fn level(&mut self, plan: &Plan, number: usize) -> AtLevel<'_> {
        let (kept, at) = (States { plan, keep: true }, Sums(plan));
        let factors = if number == plan.top() { at.turns() } else { at.factors(number) };
        let (spectra, rest) = self.sums.split_at_mut(factors.start);
        AtLevel {
            places: &self.states[kept.places(number)],
            y: &self.states[kept.spectra(number)],
            sums: &mut spectra[at.spectra(number, 0).start..at.spectra(number, plan.rank).start],
            factors: &mut rest[..factors.len()],
            add: self.add,
        }
    }
}

impl Hierarchy {
    /// Numbers of states that a transposed product needs, or keeps for the gradient.
    pub fn states_len(plan: &Plan, keep: bool) -> usize {
        States { plan, keep }.len() + SKIPPED
    }

    /// Numbers of scratch.
    pub fn scratch_len(plan: &Plan) -> usize {
        let places = whole(plan.places);
        let segments = plan.levels.iter().map(|level| whole(level.segments_len())).max().unwrap_or(0);
        let (block, below) = (plan.levels[plan.top()].blocks_len(), &plan.levels[..plan.top()]);
        let sums = below.iter().map(|level| level.block() + plan.rank * level.sums_len()).max().unwrap_or(0).max(block);
        let lags = plan.rank * whole(plan.lags_len());
        let blocks = plan.blocks_len();
        let forward = places + blocks + plan.rank * segments;
        let transposed = sums.max(blocks).max(places);
        lags + forward.max(transposed) + SKIPPED
    }

    /// `t_jk = ⟨A^k g_j, y⟩`, r×N numbers. States are kept for the gradient if asked.
    pub fn transposed(
        &self,
        plan: &Plan,
        y: &[f64],
        t: &mut [f64],
        keep: bool,
        states: &mut [f64],
        scratch: &mut [f64],
    ) {
        let (states, mut scratch) = (align(states), align(scratch));
        let (each, copied) = plan.lags_each();
        if !copied {
            return self.expand(plan, y, t, States { plan, keep }, states, scratch);
        }
        let lags = take_whole(&mut scratch, plan.rank * each);
        self.expand(plan, y, lags, States { plan, keep }, states, scratch);
        for (t, lags) in t.chunks_exact_mut(plan.order).zip(lags.chunks_exact(each)) {
            t.copy_from_slice(&lags[plan.first_lag()..][..plan.order]);
        }
    }

    /// Writes padded lags.
    fn expand(
        &self,
        plan: &Plan,
        y: &[f64],
        all_lags: &mut [f64],
        at: States<'_>,
        states: &mut [f64],
        scratch: &mut [f64],
    ) {
        let (each, _) = plan.lags_each();
        all_lags.fill(0.0);
        plan.spread(y, &mut states[at.y()], scratch);
        let (given, own) = states.split_at_mut(at.places(0).start);
        f64::run(Multiply { a: &given[at.y()], b: self.heads.get(), out: &mut own[..plan.places] });
        for (source, lags) in self.sources.iter().zip(all_lags.chunks_exact_mut(each)) {
            self.expand_blocks(plan, source, [at.y(), at.places(0)].map(|part| &states[part]), lags);
        }
        for number in 1..plan.top() {
            self.expand_level(plan, number, all_lags, at, states, scratch);
        }
        self.expand_whole(plan, all_lags, at, states, scratch);
    }

    /// Adds what children of a level below the root have to do with each other.
    fn expand_level(
        &self,
        plan: &Plan,
        number: usize,
        all_lags: &mut [f64],
        at: States<'_>,
        states: &mut [f64],
        mut scratch: &mut [f64],
    ) {
        let (level, below) = (&plan.levels[number], &plan.levels[number - 1]);
        let (child, each) = (level.half * W, DISTANCES * level.block());
        let (places, spectra) = states.split_at_mut(at.spectra(1).start);
        let spectra = &mut spectra[at.spectra(number).start - places.len()..];
        let (from, to) = two(places, at.places(number - 1), at.places(number));
        let (block, sums) = (take_whole(&mut scratch, level.block()), take_whole(&mut scratch, plan.rank * each));
        let children = from.chunks_exact(CHILDREN * child).zip(to.chunks_exact_mut(CHILDREN * child));
        let children = children.zip(self.factors.levels[number - 1].chunks_exact(CHILDREN));
        for (q, (parents, ((from, to), siblings))) in self.parents(plan, number).zip(children).enumerate() {
            let factors = siblings.iter().flat_map(|siblings| &siblings.before);
            f64::run(Scale { child: below.half * W, factors, from, to });
            let y = &mut spectra[if at.keep { q * each } else { 0 }..][..each];
            level.forward_three(&to[child..], y);
            for (source, sums) in self.sources.iter().zip(sums.chunks_exact_mut(each)) {
                parents.correlate(&source.spectra(number)[q * each..][..each], y, q > 0, sums);
            }
        }
        let (each_lags, _) = plan.lags_each();
        for (sums, lags) in sums.chunks_exact(each).zip(all_lags.chunks_exact_mut(each_lags)) {
            level.gather(sums, block);
            level.add_segments(block, lags);
        }
    }

    /// Adds what the children of the root have to do with each other.
    fn expand_whole(&self, plan: &Plan, all_lags: &mut [f64], at: States<'_>, states: &mut [f64], scratch: &mut [f64]) {
        let (number, level) = (plan.top(), &plan.levels[plan.top()]);
        let (places, spectra) = states.split_at_mut(at.spectra(1).start);
        let spectra = &mut spectra[at.spectra(number).start - places.len()..][..plan.spectra_len(number)];
        let (from, to) = two(places, at.places(number - 1), at.places(number));
        let before = self.factors.levels[number - 1].iter().flat_map(|siblings| &siblings.before);
        f64::run(Scale { child: plan.levels[number - 1].half * W, factors: before, from, to });
        level.forward(to, spectra);
        let (blocks, (each_lags, _)) = (&mut scratch[..level.blocks_len()], plan.lags_each());
        for (source, lags) in self.sources.iter().zip(all_lags.chunks_exact_mut(each_lags)) {
            self.top.correlate(level, source.spectra(number), spectra, blocks);
            level.add_segments(blocks, lags);
        }
    }

    /// `y = Σ_jk t_jk A^k g_j`, if asked, for t of r×N numbers; and adds the gradient of the product with the y that
    /// states were left by.
    pub fn forward(
        &self,
        plan: &Plan,
        t: &[f64],
        y: Option<&mut [f64]>,
        gradient: Option<Gradient<'_>>,
        scratch: &mut [f64],
    ) {
        let mut scratch = align(scratch);
        let mut gradient = gradient.map(|Gradient { states, sums }| {
            let sums = align(sums);
            let add = Sums(plan).begin(sums);
            At { states: aligned(states), sums, add }
        });
        let (each, copied) = plan.lags_each();
        let all_lags = if copied { take_whole(&mut scratch, plan.rank * each) } else { &mut [] };
        for (t, lags) in t.chunks_exact(plan.order).zip(all_lags.chunks_exact_mut(each)) {
            let (before, rest) = lags.split_at_mut(plan.first_lag());
            before.fill(0.0);
            rest[..plan.order].copy_from_slice(t);
            rest[plan.order..].fill(0.0);
        }
        let all_lags = if copied { all_lags } else { t };
        let far = take_whole(&mut scratch, plan.places);
        for (number, level) in plan.levels.iter().enumerate().skip(1).rev() {
            let (mut scratch, each_spectrum) = (&mut *scratch, whole(level.segments_len()));
            let segments = take_whole(&mut scratch, plan.rank * each_spectrum);
            for (lags, spectra) in all_lags.chunks_exact(each).zip(segments.chunks_exact_mut(each_spectrum)) {
                level.segments(lags, spectra);
            }
            let step = Step { plan, number, segments, each: each_spectrum };
            match number == plan.top() {
                true => self.combine_top(step, gradient.as_mut(), far, scratch),
                false => self.combine(step, gradient.as_mut(), far, scratch),
            }
        }
        self.end(plan, all_lags, far, y, gradient, scratch);
    }

    /// The products between the children of the root.
    fn combine_top(&self, step: Step<'_>, gradient: Option<&mut At<'_>>, far: &mut [f64], scratch: &mut [f64]) {
        let Step { plan, number, .. } = step;
        let level = &plan.levels[number];
        let out = &mut scratch[..level.block()];
        match gradient {
            None => {
                for (j, (source, segments)) in self.sources.iter().zip(step.segments()).enumerate() {
                    self.top.combine(level, source.spectra(number), segments, j > 0, out);
                }
            }
            Some(at) => {
                let AtLevel { y, sums, factors, add, .. } = at.level(plan, number);
                let (Some(turns), len) = (of_turns(factors), plan.spectra_len(number)) else { return };
                let sums = sums.chunks_exact_mut(len);
                for (j, ((source, segments), sums)) in self.sources.iter().zip(step.segments()).zip(sums).enumerate() {
                    let (given, add) = ([source.spectra(number), y], [j > 0, add]);
                    self.top.combine_with_gradient(level, given, segments, add, [&mut *out, sums], turns);
                }
            }
        }
        if self.sources.is_empty() {
            return far.fill(0.0);
        }
        level.inverse(out, None, far);
    }

    /// The products between the children of a level, to which what comes from farther away is added.
    fn combine(&self, step: Step<'_>, gradient: Option<&mut At<'_>>, far: &mut [f64], scratch: &mut [f64]) {
        let Step { plan, number, .. } = step;
        let level = &plan.levels[number];
        let (child, each, len) = (level.half * W, DISTANCES * level.block(), plan.spectra_len(number));
        let mut gradient = gradient.map(|at| at.level(plan, number));
        let out = &mut scratch[..each];
        for (q, (parents, far)) in self.parents(plan, number).zip(far.chunks_exact_mut(CHILDREN * child)).enumerate() {
            let part = q * each..(q + 1) * each;
            for (j, (source, segments)) in self.sources.iter().zip(step.segments()).enumerate() {
                let sources = &source.spectra(number)[part.clone()];
                let Some(AtLevel { y, sums, factors, add, .. }) = &mut gradient else {
                    parents.combine(sources, segments, j > 0, out);
                    continue;
                };
                let (y, sums, factors) = (&y[part.clone()], &mut sums[j * len..][part.clone()], of_factors(factors));
                let (add, found) = ([j > 0, *add, j > 0 || *add], [&mut *out, sums]);
                parents.combine_with_gradient([sources, y], segments, add, found, &mut factors[q]);
            }
            // The first child has no siblings before it.
            let far_behind = &mut far[child..];
            if let Some(AtLevel { places, factors, add, .. }) = &mut gradient {
                let (y, sums) = (&places[q * CHILDREN * child..][child..], &mut of_factors(factors)[q][BEFORE][1..]);
                f64::run(Inner { child, a: y, b: far_behind, add: *add, sums: sums.as_flattened_mut() });
            }
            if self.sources.is_empty() {
                continue;
            }
            // What comes from far away reaches a child through its siblings before it.
            let blocks = out.chunks_exact_mut(level.block()).zip(far_behind.chunks_exact_mut(child));
            for ((out, far), before) in blocks.zip(&parents.siblings.before[1..]) {
                level.inverse(out, Some(before), far);
            }
        }
    }

    /// The blocks.
    fn end(
        &self,
        plan: &Plan,
        all_lags: &[f64],
        far: &mut [f64],
        y: Option<&mut [f64]>,
        gradient: Option<At<'_>>,
        scratch: &mut [f64],
    ) {
        let (each, _) = plan.lags_each();
        match gradient {
            None => self.combine_blocks(plan, all_lags, each, far),
            Some(At { states, sums, add }) => {
                let own = &states[States { plan, keep: true }.y()];
                let gradient = BlocksGradient::of(Sums(plan), own, sums, add);
                self.combine_blocks_with_gradient(plan, all_lags, each, far, y.is_some(), gradient);
            }
        }
        if let Some(y) = y {
            plan.collect(far, y, scratch);
        }
    }
}

/// What a level of a product shares.
#[derive(Debug, Clone, Copy)]
struct Step<'a> {
    plan: &'a Plan,
    number: usize,
    /// The spectra of the segments, so many numbers for each generator.
    segments: &'a [f64],
    each: usize,
}

impl<'a> Step<'a> {
    fn level(self) -> &'a Level {
        &self.plan.levels[self.number]
    }

    fn segments(self) -> impl Iterator<Item = &'a [f64]> {
        let len = self.level().segments_len();
        self.segments.chunks_exact(self.each.max(1)).map(move |spectra| &spectra[..len])
    }
}

/// `out = a b`, number by number.
pub(super) struct Multiply<'a> {
    pub a: &'a [f64],
    pub b: &'a [f64],
    pub out: &'a mut [f64],
}

impl Kernel<f64> for Multiply<'_> {
    #[inline(always)]
    fn run<I: Isa<f64>>(self, isa: I) {
        let factors = lanes::<f64>(self.a).iter().zip(lanes::<f64>(self.b));
        for (out, (a, b)) in lanes_mut::<f64>(self.out).iter_mut().zip(factors) {
            isa.store(out, isa.mul(isa.load(a), isa.load(b)));
        }
    }
}

/// Two parts that do not overlap, the second to be written.
fn two(numbers: &mut [f64], from: Range<usize>, to: Range<usize>) -> (&[f64], &mut [f64]) {
    match from.start < to.start {
        true => {
            let (before, rest) = numbers.split_at_mut(to.start);
            (&before[from], &mut rest[..to.len()])
        }
        false => {
            let (before, rest) = numbers.split_at_mut(from.start);
            (&rest[..from.len()], &mut before[to])
        }
    }
}

/// Multiplies each child by its factors.
struct Scale<'a, F> {
    child: usize,
    factors: F,
    from: &'a [f64],
    to: &'a mut [f64],
}

impl<'a, F: Iterator<Item = &'a Lane>> Kernel<f64> for Scale<'_, F> {
    #[inline(always)]
    fn run<I: Isa<f64>>(self, isa: I) {
        let children = self.from.chunks_exact(self.child).zip(self.to.chunks_exact_mut(self.child));
        for ((from, to), factor) in children.zip(self.factors) {
            let factor = isa.load(factor);
            for (from, to) in lanes::<f64>(from).iter().zip(lanes_mut::<f64>(to)) {
                isa.store(to, isa.mul(factor, isa.load(from)));
            }
        }
    }
}

/// Writes, or adds, inner products of two vectors for each child, lane by lane.
pub(super) struct Inner<'a> {
    pub child: usize,
    pub a: &'a [f64],
    pub b: &'a [f64],
    pub add: bool,
    pub sums: &'a mut [f64],
}

impl Kernel<f64> for Inner<'_> {
    #[inline(always)]
    fn run<I: Isa<f64>>(self, isa: I) {
        let Self { child, a, b, add, sums } = self;
        let children = a.chunks_exact(child).zip(b.chunks_exact(child));
        for ((a, b), sum) in children.zip(lanes_mut::<f64>(sums)) {
            let before = if add { isa.load(sum) } else { isa.splat(0.0) };
            let mut sums = [before, isa.splat(0.0), isa.splat(0.0), isa.splat(0.0)];
            // Children of parents above blocks have a multiple of four places.
            let fours = lanes::<f64>(a).as_chunks::<4>().0.iter().zip(lanes::<f64>(b).as_chunks::<4>().0);
            for (a, b) in fours {
                for x in 0..4 {
                    sums[x] = isa.mul_add(isa.load(&a[x]), isa.load(&b[x]), sums[x]);
                }
            }
            isa.store(sum, isa.add(isa.add(sums[0], sums[1]), isa.add(sums[2], sums[3])));
        }
    }
}

const _: () = assert!(DISTANCES + 1 == CHILDREN && size_of::<Lane>() == W * size_of::<f64>());
