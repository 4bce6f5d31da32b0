//! Products with Krylov matrices `K(A, g) = [g, A g, …, A^{N−1} g]` of cyclic tridiagonal operators, their transposes and
//! gradients, in double precision.
//!
//! There are four ways, three of them near-linear: [`Hierarchy`] for subdiagonal operators; [`Companion`] for tridiagonal ones
//! near the shift, and [`Scattering`] for others whose reflections die away; the recurrence everywhere else, for one vector
//! ([`Recurrence`]) or for several ([`Direct`]). The choice depends on the parameters and is made when they change.

mod band;
mod companion;
mod dense;
mod direct;
mod hierarchy;
mod loss;
mod powers;
mod recurrence;
mod scattering;
mod segments;
mod skewed;
mod split;
#[cfg(test)]
mod tests;

use band::Band;
use companion::Companion;
pub(super) use dense::{columns, continued_columns, krylov_rows, krylov_rows_backward};
use direct::Direct;
use hierarchy::Hierarchy;
use recurrence::{Gradient, Recurrence};
use scattering::Scattering;
use segments::{Segments, lines};

use std::ops::Range;
use std::sync::Arc;

/// Nanoseconds of a recurrence: of each, for each place and generator, for each place and step, and for each generator
/// of these.
const STEPS: [f64; 4] = [135.0, 10.0, 0.04, 0.135];
/// Nanoseconds of a group of examples for each place, step and generator: of all, and for each example.
const ROWS: [f64; 2] = [0.45, 0.06];
/// Nanoseconds of a group of examples for each generator: of all, for each example, and for each of its places.
const EACH: [f64; 3] = [150.0, 11.0, 0.5];
/// Nanoseconds of a hierarchy for each place and source (and half a source more), those of each doubling, and times as
/// many where the last leaf is not whole: lags that go around the cycle are segments of their own then.
const HIERARCHY: [f64; 3] = [3.4, 0.28, 1.45];
/// Nanoseconds near the shift: of each product, for each N log2(N), vector and source, and for each place and tap.
const NEAR: [f64; 3] = [500.0, 0.32, 0.15];
/// Nanoseconds for each N log2(N) and way through blocks of a tridiagonal operator, and for each generator on top.
const SCATTERED: [f64; 2] = [3.2, 2.2];

/// Examples that share their Krylov vectors at the most: a chunk of a batch.
const SHARED: usize = 64;

/// Numbers in the rows of a chunk at the most, if that is eight examples or more.
const CHUNK: usize = 1 << 16;

/// Examples from which on it is worth sharing, rather than to sweep one by one.
const WORTH: usize = 5;

/// Orders up to which tridiagonal operators are swept, by the ways through blocks that a tree would have. A tree's
/// product would be faster from half of these orders on, but a change of the parameters takes ten times as long with a
/// tree or longer.
const SWEPT: [usize; 2] = [512, 1024];

/// Orders up to which subdiagonal operators, and tridiagonal ones near the shift, are swept. For one vector near-linear
/// products would be faster at the largest of them, by a third or twice, but they take twice as long for batches.
const SHORT: [usize; 2] = [64, 96];

/// Errors of a recurrence were so many times the loss at the most: see [`loss`].
const ERRORS: f64 = 8e-16;

/// Taps of operators that are not known.
const SOME_TAPS: f64 = 16.0;

/// What does not depend on parameters: the order N, the number r of generators and what near-linear products go by.
#[derive(Debug)]
pub(super) struct KrylovPlan {
    order: usize,
    rank: usize,
    limits: Limits,
    fast: Fast,
    segments: Segments,
}

/// How far from the shift near-linear products are taken.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// The largest coefficient of a power series that trees let through: rounding errors grow with it.
    pub growth: f64,
    /// What may be left out behind the last tap of a banded Krylov basis, where e_0 is 1: the inverse basis multiplies it.
    pub tail: f64,
    /// The largest condition number of a Krylov basis that polynomials are taken in.
    pub condition: f64,
    /// The relative error that a product may have.
    pub error: f64,
}

/// Plans for near-linear products.
#[derive(Debug)]
enum Fast {
    /// With subdiagonal operators.
    Hierarchy(Arc<hierarchy::Plan>),
    /// With tridiagonal ones: near the shift, and further away in the order in which they are tried.
    Tridiagonal(Option<Arc<companion::Plan>>, Vec<Arc<scattering::Plan>>),
}

/// An operator with its generators, ready for products.
#[derive(Debug)]
pub(super) struct Krylov {
    entries: Vec<f64>,
    generators: Vec<f64>,
    engine: Engine,
}

/// What an operator is multiplied by.
#[derive(Debug)]
enum Engine {
    /// For subdiagonal operators whose powers are not too large.
    Hierarchy(Box<Hierarchy>, Arc<hierarchy::Plan>),
    /// Near the shift.
    Companion(Box<Companion>, Arc<companion::Plan>),
    /// Where reflections die away.
    Scattering(Box<Scattering>, Arc<scattering::Plan>),
    /// Everywhere else.
    Sweep(Recurrence),
}

/// What products leave for the gradient.
#[derive(Debug, Clone, Copy)]
pub(super) struct Left<'a> {
    /// By [`KrylovPlan::forward_keeping`], the product with a Krylov matrix.
    pub down: &'a [f64],
    /// By [`KrylovPlan::transposed`], the product with a transposed one.
    pub up: &'a [f64],
}

impl Krylov {
    /// Whether products keep vectors in two parts, so that rounding errors are not those of plain double precision.
    pub fn is_refined(&self) -> bool {
        matches!(&self.engine, Engine::Sweep(sweep) if sweep.is_refined())
    }
}

impl KrylovPlan {
    /// A plan for operators of order N, that are zero on and above the diagonal but for the corner, or tridiagonal with two
    /// corners.
    pub fn new(order: usize, rank: usize, tridiagonal: bool, limits: Limits) -> Self {
        let fast = match tridiagonal {
            false => Fast::Hierarchy(Arc::new(hierarchy::Plan::new(order, rank))),
            true => {
                let companion = companion::Plan::new(order, rank, limits).map(Arc::new);
                Fast::Tridiagonal(companion, scattering::plans(order, rank))
            }
        };
        Self { order, rank, limits, fast, segments: Segments::new(order) }
    }

    /// Takes up an operator, three diagonals of N numbers, and its generators, N numbers each; in the memory of one
    /// that is not needed any more.
    pub fn prepare(&self, entries: Vec<f64>, generators: Vec<f64>, used: Option<Krylov>) -> Krylov {
        let engine = if self.is_short() { None } else { self.fast_engine(&entries, &generators, &SWEPT, used) };
        let engine = engine.unwrap_or_else(|| Engine::Sweep(Recurrence::new(&self.segments, &entries, &generators)));
        Krylov { entries, generators, engine }
    }

    /// Takes recurrences to more than double precision where errors of the product of both sides would be too large.
    pub fn refine(&self, mut sides: [&mut Krylov; 2]) {
        let is_swept = |krylov: &Krylov| matches!(krylov.engine, Engine::Sweep(_));
        if self.order <= recurrence::WHOLE || !sides.iter().any(|krylov| is_swept(krylov)) {
            return;
        }
        let losses = loss::losses(&sides[0].entries, &sides[1].entries);
        for (krylov, loss) in sides.iter_mut().zip(losses) {
            let Krylov { entries, generators, engine } = &mut **krylov;
            match engine {
                Engine::Sweep(recurrence) if loss * ERRORS > self.limits.error => {
                    recurrence.refine(&self.segments, entries, generators);
                }
                _ => {}
            }
        }
    }

    /// Whether the recurrence is taken whatever the parameters are.
    fn is_short(&self) -> bool {
        self.order <= SHORT[usize::from(matches!(self.fast, Fast::Tridiagonal(..)))]
    }

    /// What multiplies in near-linear time, where these parameters let it; by trees for orders above these.
    fn fast_engine(
        &self,
        entries: &[f64],
        generators: &[f64],
        above: &[usize; 2],
        used: Option<Krylov>,
    ) -> Option<Engine> {
        match &self.fast {
            Fast::Hierarchy(plan) => {
                let hierarchy = Hierarchy::new(plan, entries, generators)?;
                Some(Engine::Hierarchy(Box::new(hierarchy), plan.clone()))
            }
            Fast::Tridiagonal(near, plans) => {
                let used = used.and_then(|krylov| match krylov.engine {
                    Engine::Companion(companion, _) => Some(*companion),
                    _ => None,
                });
                let near = near.as_ref().and_then(|plan| {
                    let companion = Companion::new(plan, entries, generators, used)?;
                    Some(Engine::Companion(Box::new(companion), plan.clone()))
                });
                if near.is_some() {
                    return near;
                }
                let mut plans = plans.iter().filter(|plan| self.order > above[plan.ports.ways - 1]);
                plans.find_map(|plan| {
                    let scattering = Scattering::new(plan, entries, generators, self.limits.growth)?;
                    Some(Engine::Scattering(Box::new(scattering), plan.clone()))
                })
            }
        }
    }

    /// Whether there are near-linear products with an operator.
    pub fn is_fast(&self, krylov: &Krylov) -> bool {
        !matches!(krylov.engine, Engine::Sweep(_))
            || self.fast_engine(&krylov.entries, &krylov.generators, &[0; 2], None).is_some()
    }

    /// Rows of a batch that are looked at together: a power of two, up to 64.
    pub fn chunk(&self) -> usize {
        (CHUNK / self.order.next_power_of_two()).clamp(8, SHARED)
    }

    /// Examples that one call takes, of so many: all of a chunk, or one.
    fn group(&self, sides: [&Krylov; 2], examples: usize) -> usize {
        let is_swept = |krylov: &Krylov| matches!(krylov.engine, Engine::Sweep(_)) && !krylov.is_refined();
        let swept = sides.into_iter().all(is_swept);
        if swept && examples >= WORTH { examples } else { 1 }
    }

    /// The groups of examples of a batch, one for each call. They do not depend on what is behind a chunk.
    pub fn groups(&self, sides: [&Krylov; 2], batch: usize) -> impl Iterator<Item = Range<usize>> {
        let chunk = self.chunk();
        (0..batch).step_by(chunk).flat_map(move |start| {
            let end = batch.min(start + chunk);
            let group = self.group(sides, end - start);
            (start..end).step_by(group).map(move |first| first..first + group)
        })
    }

    /// Estimated nanoseconds for the product with one example of a batch, of one side. Recurrences in two parts count
    /// as plain ones do: no dense copy, which they would give way to, is made of them.
    pub fn cost(&self, krylov: Option<&Krylov>, batch: usize) -> f64 {
        let (n, r) = (self.order as f64, self.rank as f64);
        let examples = batch.min(self.chunk());
        match krylov.map_or(self.is_short(), |krylov| matches!(krylov.engine, Engine::Sweep(_))) {
            true if examples >= WORTH => {
                let share = (examples as f64).recip();
                return r * (EACH[0] * share + EACH[1] + EACH[2] * n + n * n * (ROWS[0] * share + ROWS[1]));
            }
            true => return STEPS[0] + r * n * STEPS[1] + n * n * (STEPS[2] + STEPS[3] * r),
            false => {}
        }
        let levels = n.max(2.0).log2();
        let width = match krylov.map(|krylov| &krylov.engine) {
            Some(Engine::Scattering(_, plan)) => {
                return n * levels * plan.ports.ways as f64 * (SCATTERED[0] + SCATTERED[1] * r);
            }
            Some(Engine::Companion(companion, _)) => companion.width() as f64,
            _ => SOME_TAPS,
        };
        match &self.fast {
            Fast::Hierarchy(plan) => {
                let (places, around) = (plan.places as f64, if plan.places == self.order { 1.0 } else { HIERARCHY[2] });
                (0.5 + r) * places * around * (HIERARCHY[0] + HIERARCHY[1] * places.log2())
            }
            Fast::Tridiagonal(..) => NEAR[0] + n * (levels * (1.0 + r) * NEAR[1] + width * NEAR[2]),
        }
    }

    /// A number of numbers that near-linear products need.
    fn fast_len(
        &self,
        hierarchy: fn(&hierarchy::Plan) -> usize,
        companion: fn(&companion::Plan) -> usize,
        tree: fn(&scattering::Plan) -> usize,
    ) -> usize {
        match &self.fast {
            Fast::Hierarchy(plan) => hierarchy(plan),
            Fast::Tridiagonal(near, plans) => {
                let trees = plans.iter().map(|plan| tree(plan));
                trees.chain(near.as_ref().map(|plan| companion(plan))).max().unwrap_or(0)
            }
        }
    }

    /// Numbers of scratch that products need.
    pub fn scratch_len(&self) -> usize {
        let direct = Direct::scratch_len(self.order, self.chunk()).max(Recurrence::scratch_len(&self.segments));
        self.fast_len(Hierarchy::scratch_len, Companion::scratch_len, Scattering::scratch_len).max(direct)
    }

    /// Numbers of scratch that any method needs.
    pub fn gradient_scratch_len(&self) -> usize {
        let finish = self.fast_len(Hierarchy::finish_scratch_len, Companion::gradient_scratch_len, |_| 0);
        self.scratch_len().max(Recurrence::gradient_scratch_len(&self.segments, self.rank)).max(finish)
    }

    /// Numbers of states that products need if nothing is kept.
    pub fn states_len(&self) -> usize {
        lines(self.fast_len(
            |plan| Hierarchy::states_len(plan, false),
            Companion::up_len,
            |plan| Scattering::up_len(plan).max(Scattering::down_len(plan)),
        ))
    }

    /// Numbers that the gradient needs of [`KrylovPlan::forward_keeping`].
    pub fn down_len(&self) -> usize {
        lines(self.fast_len(|_| 0, Companion::down_len, Scattering::down_len))
    }

    /// Numbers that the gradient needs of [`KrylovPlan::transposed`].
    pub fn up_len(&self) -> usize {
        let fast = self.fast_len(|plan| Hierarchy::states_len(plan, true), Companion::up_len, Scattering::up_len);
        lines(fast.max(Recurrence::kept_len(&self.segments)))
    }

    /// Numbers that the product of one example with this operator leaves for the gradient, and its transposed product:
    /// see [`Left`].
    pub fn left_len(&self, krylov: &Krylov) -> [usize; 2] {
        let left = match &krylov.engine {
            Engine::Hierarchy(_, plan) => [0, Hierarchy::states_len(plan, true)],
            Engine::Companion(_, plan) => [Companion::down_len(plan), Companion::up_len(plan)],
            Engine::Scattering(_, plan) => [Scattering::down_len(plan), Scattering::up_len(plan)],
            Engine::Sweep(_) => [0, Recurrence::kept_len(&self.segments)],
        };
        left.map(lines)
    }

    /// Numbers in the sums that gradients are gathered in.
    pub fn sums_len(&self) -> usize {
        let fast = self.fast_len(Hierarchy::sums_len, Companion::sums_len, Scattering::sums_len);
        lines(fast.max(self.swept_sums_len()))
    }

    fn swept_sums_len(&self) -> usize {
        self.plain_sums_len() + Recurrence::sums_len(&self.segments, self.rank)
    }

    /// Numbers in the gradients that groups of examples are gathered in, generators first; the sums of single ones follow them.
    fn plain_sums_len(&self) -> usize {
        (self.rank + 3) * self.order
    }

    /// `y = Σ_jk t_jk A^k g_j` for each example of a group.
    pub fn forward(&self, krylov: &Krylov, t: &[f64], y: &mut [f64], states: &mut [f64], scratch: &mut [f64]) {
        if y.len() > self.order {
            return self.direct(krylov).forward(t, y, scratch);
        }
        match &krylov.engine {
            Engine::Hierarchy(hierarchy, plan) => hierarchy.forward(plan, t, Some(y), None, scratch),
            Engine::Companion(companion, plan) => companion.forward(plan, t, y, scratch),
            Engine::Scattering(scattering, plan) => scattering.forward(plan, t, Some(y), false, states, scratch),
            Engine::Sweep(recurrence) => recurrence.combine(&self.segments, t, y, scratch),
        }
    }

    /// `t_jk = ⟨A^k g_j, y⟩` for each example of a group. States are kept for the gradient if asked.
    pub fn transposed(
        &self,
        krylov: &Krylov,
        y: &[f64],
        t: &mut [f64],
        keep: bool,
        states: &mut [f64],
        scratch: &mut [f64],
    ) {
        if y.len() > self.order {
            return self.direct(krylov).transposed(y, t, scratch);
        }
        match &krylov.engine {
            Engine::Hierarchy(hierarchy, plan) => hierarchy.transposed(plan, y, t, keep, states, scratch),
            Engine::Companion(companion, plan) => companion.transposed(plan, y, t, states, scratch),
            Engine::Scattering(scattering, plan) => scattering.transposed(plan, y, t, keep, states, scratch),
            Engine::Sweep(recurrence) => {
                let kept = if keep { Recurrence::kept_len(&self.segments) } else { 0 };
                recurrence.expand(&self.segments, y, t, &mut states[..kept], scratch);
            }
        }
    }

    /// `z = Σ_jk t_jk A^k g_j`, if asked, for one example; and leaves what the gradient needs.
    pub fn forward_keeping(
        &self,
        krylov: &Krylov,
        t: &[f64],
        z: Option<&mut [f64]>,
        down: &mut [f64],
        scratch: &mut [f64],
    ) {
        match (&krylov.engine, z) {
            (Engine::Companion(companion, plan), z) => companion.forward_keeping(plan, t, z, down, scratch),
            (Engine::Scattering(scattering, plan), z) => scattering.forward(plan, t, z, true, down, scratch),
            (Engine::Hierarchy(..) | Engine::Sweep(_), z) => {
                z.into_iter().for_each(|z| self.forward(krylov, t, z, down, scratch))
            }
        }
    }

    /// `z = Σ_jk t_jk A^k g_j`, if asked, for each example of a group; and adds the gradient of `⟨y, z⟩` to the sums, for the y
    /// that `up` was left by. With the first group the sums begin, whatever they were.
    #[expect(clippy::too_many_arguments, reason = "a product, and the gradient that it goes with")]
    pub fn forward_with_gradient(
        &self,
        krylov: &Krylov,
        [t, y]: [&[f64]; 2],
        mut z: Option<&mut [f64]>,
        (down, up): (&mut [f64], &[f64]),
        first: bool,
        sums: &mut [f64],
        scratch: &mut [f64],
    ) {
        if matches!(krylov.engine, Engine::Companion(..) | Engine::Scattering(..)) {
            self.forward_keeping(krylov, t, z.take(), down, scratch);
        }
        self.gradient(krylov, [t, y], z, Left { down, up }, first, sums, scratch);
    }

    /// Adds the gradient of `⟨y, z⟩` to the sums, for `z = Σ_jk t_jk A^k g_j` and what this product and the transposed
    /// one of y left. If z is asked for, the product must be one that leaves nothing.
    #[expect(clippy::too_many_arguments, reason = "a product, and the gradient that it goes with")]
    pub fn gradient(
        &self,
        krylov: &Krylov,
        [t, y]: [&[f64]; 2],
        z: Option<&mut [f64]>,
        Left { down, up }: Left<'_>,
        first: bool,
        sums: &mut [f64],
        scratch: &mut [f64],
    ) {
        if first {
            match krylov.engine {
                Engine::Hierarchy(..) => Hierarchy::clear(sums),
                Engine::Companion(..) | Engine::Scattering(..) => {}
                Engine::Sweep(_) => sums[..self.swept_sums_len()].fill(0.0),
            }
        }
        let recurrence = match &krylov.engine {
            Engine::Hierarchy(hierarchy, plan) => {
                let gradient = hierarchy::Gradient { states: up, sums };
                return hierarchy.forward(plan, t, z, Some(gradient), scratch);
            }
            Engine::Companion(companion, plan) => {
                return companion.gradient(plan, y, companion::Gradient { down, up, first, sums }, scratch);
            }
            Engine::Scattering(scattering, plan) => {
                return scattering.correlate(plan, t, y, down, up, first, sums, scratch);
            }
            Engine::Sweep(recurrence) => recurrence,
        };
        let (plain, power_sums) = sums[..self.swept_sums_len()].split_at_mut(self.plain_sums_len());
        if y.len() > self.order {
            if let Some(z) = z {
                self.direct(krylov).forward(t, z, scratch);
            }
            let (generators, entries) = plain.split_at_mut(self.rank * self.order);
            return self.direct(krylov).gradient(t, y, generators, entries, scratch);
        }
        let kept = &up[..Recurrence::kept_len(&self.segments)];
        recurrence.combine_with_gradient(&self.segments, t, z, kept, power_sums, scratch);
    }

    /// Writes the gradients in the generators and in the three diagonals that the sums stand for.
    pub fn finish(
        &self,
        krylov: &Krylov,
        sums: &mut [f64],
        generators: &mut [f64],
        entries: &mut [f64],
        scratch: &mut [f64],
    ) {
        if let Engine::Companion(companion, plan) = &krylov.engine {
            return companion.finish(plan, sums, generators, entries, scratch);
        }
        generators.fill(0.0);
        entries.fill(0.0);
        match &krylov.engine {
            Engine::Hierarchy(hierarchy, plan) => {
                return hierarchy.finish(plan, sums, generators, &mut entries[..self.order], scratch);
            }
            Engine::Scattering(scattering, plan) => {
                return scattering.finish(plan, sums, generators, entries, scratch);
            }
            Engine::Sweep(_) | Engine::Companion(..) => {}
        }
        let (plain, power_sums) = sums[..self.swept_sums_len()].split_at_mut(self.plain_sums_len());
        let (generator_sums, entry_sums) = plain.split_at(generators.len());
        generators.iter_mut().zip(generator_sums).for_each(|(g, s)| *g += s);
        entries.iter_mut().zip(entry_sums).for_each(|(e, s)| *e += s);
        let gradient = Gradient { entries, generators };
        Recurrence::finish(&self.segments, [&krylov.entries, &krylov.generators], power_sums, gradient, scratch);
    }

    fn direct<'a>(&self, krylov: &'a Krylov) -> Direct<'a> {
        Direct { order: self.order, band: Band::of(&krylov.entries), generators: &krylov.generators }
    }
}
