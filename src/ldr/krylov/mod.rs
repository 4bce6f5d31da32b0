//! Products with Krylov matrices `K(A, g) = [g, A g, …, A^{N−1} g]` of cyclic tridiagonal operators, their transposes and
//! gradients, in double precision.
//!
//! Three ways: [`Hierarchy`], near-linear, for subdiagonal operators; [`Scatter`], near-linear too, for tridiagonal ones wherever their
//! reflections die away; the recurrence everywhere else, for one vector ([`Recurrence`]) or for several ([`Direct`]). Which one it is
//! follows from the parameters and is decided when they change.

mod band;
mod dense;
mod direct;
mod hierarchy;
mod junction;
mod powers;
mod recurrence;
mod scatter;
mod segments;
mod skewed;
mod sweep;
mod tree;

use band::Band;
pub(super) use dense::{columns, continued_columns, krylov_rows, krylov_rows_backward};
use direct::Direct;
use hierarchy::Hierarchy;
use recurrence::{Gradient, Recurrence};
use scatter::Scatter;
use segments::Segments;
use tree::Tree;

use std::ops::Range;

/// Nanoseconds for each place, step and diagonal or generator of a recurrence.
const STEP: f64 = 0.044;
/// Nanoseconds for each place and step of a group of examples, and for each example.
const ROWS: [f64; 2] = [0.45, 0.06];
/// Nanoseconds for each N log2(N), way in and way out, and source of a tree.
const TRANSFORMS: f64 = 0.8;
/// Nanoseconds for each N log2(N), vector and source of a hierarchy.
const LEVELS: f64 = 0.7;
/// Nanoseconds for a number of a spectrum that comes from memory.
const STREAMED: f64 = 0.3;

/// Examples that share their Krylov vectors at the most: a chunk of a batch.
const SHARED: usize = 64;

/// Numbers in the rows of a chunk at the most, if that is eight examples or more.
const CHUNK: usize = 1 << 16;

/// Examples from which on it is worth sharing, rather than to sweep one by one.
const WORTH: usize = 5;

/// Orders up to which tridiagonal operators are swept whether their reflections die away or not. A product by a tree would be a
/// third faster at the largest of them, but gradients would take longer, and so would a change of the parameters, by far.
const SWEPT: usize = 1024;

/// Orders up to which subdiagonal operators are swept. A hierarchy would be a third faster at the largest of them for one vector, but take
/// twice as long for batches.
const SHORT: usize = 64;

/// What does not depend on parameters: the order N, the number r of generators and what near-linear products go by.
#[derive(Debug)]
pub(super) struct KrylovPlan {
    order: usize,
    rank: usize,
    fast: Fast,
    segments: Segments,
}

/// Plans for near-linear products.
#[derive(Debug)]
enum Fast {
    /// With subdiagonal operators.
    Hierarchy(hierarchy::Plan),
    /// With tridiagonal ones. A tree with room for all that is taken, whose lengths are an upper bound of those of the other one; and one
    /// with less room, which is tried first.
    Trees { whole: Tree, lean: Option<Tree> },
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
    Hierarchy(Hierarchy),
    /// Where reflections die away; and whether they do it early.
    Tree(Scatter, bool),
    /// Everywhere else.
    Sweep(Recurrence),
}

/// How one example is multiplied by an operator.
#[derive(Debug)]
enum Method<'a> {
    Hierarchy(&'a Hierarchy, &'a hierarchy::Plan),
    Tree(&'a Scatter, &'a Tree),
    Sweep(&'a Recurrence),
}

/// What products leave for the gradient.
#[derive(Debug)]
pub(super) struct States<'a> {
    /// Left by the product with a Krylov matrix.
    pub down: &'a mut [f64],
    /// Left by [`KrylovPlan::transposed`], the product with a transposed one.
    pub up: &'a mut [f64],
}

impl KrylovPlan {
    /// A plan for operators of order N, that are zero on and above the diagonal but for the corner, or tridiagonal with two
    /// corners.
    pub fn new(order: usize, rank: usize, tridiagonal: bool) -> Self {
        let fast = match tridiagonal {
            false => Fast::Hierarchy(hierarchy::Plan::new(order, rank)),
            true => Fast::Trees {
                whole: Tree::new(order, rank, false),
                lean: Tree::is_worth_leaning(order).then(|| Tree::new(order, rank, true)),
            },
        };
        Self { order, rank, fast, segments: Segments::new(order) }
    }

    /// Takes up an operator, three diagonals of N numbers, and its generators, N numbers each.
    pub fn prepare(&self, entries: Vec<f64>, generators: Vec<f64>) -> Krylov {
        let fast = if self.is_short() { None } else { self.fast_engine(&entries, &generators) };
        let engine = fast.unwrap_or_else(|| Engine::Sweep(Recurrence::new(&self.segments, &entries, &generators)));
        Krylov { entries, generators, engine }
    }

    /// Whether the recurrence is taken whatever the parameters are.
    fn is_short(&self) -> bool {
        self.order <= if matches!(self.fast, Fast::Trees { .. }) { SWEPT } else { SHORT }
    }

    /// What multiplies in near-linear time, where these parameters let it.
    fn fast_engine(&self, entries: &[f64], generators: &[f64]) -> Option<Engine> {
        let (whole, lean) = match &self.fast {
            Fast::Hierarchy(plan) => return Hierarchy::new(plan, entries, generators).map(Engine::Hierarchy),
            Fast::Trees { whole, lean } => (whole, lean.as_ref()),
        };
        let scatter = lean.and_then(|tree| Scatter::new(tree, entries, generators));
        let is_lean = scatter.is_some();
        let scatter = scatter.or_else(|| Scatter::new(whole, entries, generators));
        scatter.map(|scatter| Engine::Tree(scatter, is_lean))
    }

    /// Whether there are near-linear products with an operator.
    pub fn is_fast(&self, krylov: &Krylov) -> bool {
        !matches!(krylov.engine, Engine::Sweep(_)) || self.fast_engine(&krylov.entries, &krylov.generators).is_some()
    }

    fn method<'a>(&'a self, krylov: &'a Krylov) -> Option<Method<'a>> {
        match (&krylov.engine, &self.fast) {
            (Engine::Hierarchy(hierarchy), Fast::Hierarchy(plan)) => Some(Method::Hierarchy(hierarchy, plan)),
            (Engine::Tree(scatter, true), Fast::Trees { lean: Some(lean), .. }) => Some(Method::Tree(scatter, lean)),
            (Engine::Tree(scatter, _), Fast::Trees { whole, .. }) => Some(Method::Tree(scatter, whole)),
            (Engine::Sweep(recurrence), _) => Some(Method::Sweep(recurrence)),
            // Engines are made by the plan that they come with.
            (Engine::Hierarchy(_), Fast::Trees { .. }) | (Engine::Tree(..), Fast::Hierarchy(_)) => None,
        }
    }

    /// Rows of a batch that are looked at together: a power of two, up to 64.
    pub fn chunk(&self) -> usize {
        (CHUNK / self.order.next_power_of_two()).clamp(8, SHARED)
    }

    /// Examples that one call takes, of so many: all of a chunk, or one.
    fn group(&self, sides: [&Krylov; 2], examples: usize) -> usize {
        let swept = sides.into_iter().all(|krylov| matches!(krylov.engine, Engine::Sweep(_)));
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

    /// Estimated nanoseconds for the product with one example of a batch, of one side.
    pub fn cost(&self, krylov: Option<&Krylov>, batch: usize) -> f64 {
        let (n, r) = (self.order as f64, self.rank as f64);
        let examples = batch.min(self.chunk());
        match krylov.map_or(self.is_short(), |krylov| matches!(krylov.engine, Engine::Sweep(_))) {
            true if examples >= WORTH => return n * n * r * (ROWS[0] / examples as f64 + ROWS[1]),
            true => return n * n * (3.0 + r) * STEP,
            false => {}
        }
        let logarithm = n.max(2.0).log2();
        match &self.fast {
            Fast::Hierarchy(_) => n * logarithm * (1.0 + r) * LEVELS,
            Fast::Trees { whole, .. } => {
                let spectra = 8.0 * (2.0 + r) * n * whole.height() as f64;
                n * logarithm * 4.0 * (1.0 + r) * TRANSFORMS + spectra * STREAMED
            }
        }
    }

    /// Numbers of scratch that products need.
    pub fn scratch_len(&self) -> usize {
        let direct = Direct::scratch_len(self.order, self.chunk()).max(Recurrence::scratch_len(&self.segments));
        direct.max(match &self.fast {
            Fast::Hierarchy(plan) => Hierarchy::scratch_len(plan),
            Fast::Trees { whole, lean } => {
                [Some(whole), lean.as_ref()].into_iter().flatten().map(Scatter::scratch_len).fold(0, usize::max)
            }
        })
    }

    /// Numbers of scratch that any method needs.
    pub fn gradient_scratch_len(&self) -> usize {
        let finish = match &self.fast {
            Fast::Hierarchy(plan) => Hierarchy::finish_scratch_len(plan),
            Fast::Trees { .. } => 0,
        };
        self.scratch_len().max(Recurrence::gradient_scratch_len(&self.segments, self.rank)).max(finish)
    }

    /// Numbers of states that products need if nothing is kept.
    pub fn states_len(&self) -> usize {
        match &self.fast {
            Fast::Hierarchy(plan) => Hierarchy::states_len(plan, false),
            Fast::Trees { whole, .. } => Scatter::down_len(whole).max(Scatter::up_len(whole)),
        }
    }

    /// Numbers that the gradient needs of [`KrylovPlan::forward_with_gradient`].
    pub fn down_len(&self) -> usize {
        match &self.fast {
            Fast::Hierarchy(_) => 0,
            Fast::Trees { whole, .. } => Scatter::down_len(whole),
        }
    }

    /// Numbers that the gradient needs of [`KrylovPlan::transposed`].
    pub fn up_len(&self) -> usize {
        let fast = match &self.fast {
            Fast::Hierarchy(plan) => Hierarchy::states_len(plan, true),
            Fast::Trees { whole, .. } => Scatter::up_len(whole),
        };
        fast.max(Recurrence::kept_len(&self.segments))
    }

    /// Numbers in the sums that gradients are gathered in.
    pub fn sums_len(&self) -> usize {
        let swept = self.plain_sums_len() + Recurrence::sums_len(&self.segments, self.rank);
        swept.max(match &self.fast {
            Fast::Hierarchy(plan) => Hierarchy::sums_len(plan),
            Fast::Trees { whole, .. } => Scatter::sums_len(whole),
        })
    }

    /// Makes sums ready for use with an operator.
    pub fn clear(&self, krylov: &Krylov, sums: &mut [f64]) {
        match krylov.engine {
            Engine::Hierarchy(_) => Hierarchy::clear(sums),
            Engine::Tree(..) | Engine::Sweep(_) => sums.fill(0.0),
        }
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
        match self.method(krylov) {
            Some(Method::Hierarchy(hierarchy, plan)) => hierarchy.forward(plan, t, Some(y), None, scratch),
            Some(Method::Tree(scatter, tree)) => scatter.forward(tree, t, Some(y), false, states, scratch),
            Some(Method::Sweep(recurrence)) => recurrence.combine(&self.segments, t, y, scratch),
            None => {}
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
        match self.method(krylov) {
            Some(Method::Hierarchy(hierarchy, plan)) => hierarchy.transposed(plan, y, t, keep, states, scratch),
            Some(Method::Tree(scatter, tree)) => scatter.transposed(tree, y, t, keep, states, scratch),
            None => {}
            Some(Method::Sweep(recurrence)) => {
                let kept = if keep { Recurrence::kept_len(&self.segments) } else { 0 };
                recurrence.expand(&self.segments, y, t, &mut states[..kept], scratch);
            }
        }
    }

    /// `z = Σ_jk t_jk A^k g_j`, if asked, for each example of a group; and adds the gradient of `⟨y, z⟩` to the sums, for the y
    /// that `states.up` were left by.
    pub fn forward_with_gradient(
        &self,
        krylov: &Krylov,
        [t, y]: [&[f64]; 2],
        z: Option<&mut [f64]>,
        states: &mut States<'_>,
        sums: &mut [f64],
        scratch: &mut [f64],
    ) {
        let recurrence = match self.method(krylov) {
            None => return,
            Some(Method::Hierarchy(hierarchy, plan)) => {
                let gradient = hierarchy::Gradient { states: states.up, sums };
                return hierarchy.forward(plan, t, z, Some(gradient), scratch);
            }
            Some(Method::Tree(scatter, tree)) => {
                scatter.forward(tree, t, z, true, states.down, scratch);
                let (up, sums) = (&states.up[..Scatter::up_len(tree)], &mut sums[..Scatter::sums_len(tree)]);
                return scatter.correlate(tree, t, y, states.down, up, sums, scratch);
            }
            Some(Method::Sweep(recurrence)) => recurrence,
        };
        let (plain, power_sums) = sums.split_at_mut(self.plain_sums_len());
        if y.len() > self.order {
            if let Some(z) = z {
                self.direct(krylov).forward(t, z, scratch);
            }
            let (generators, entries) = plain.split_at_mut(self.rank * self.order);
            return self.direct(krylov).gradient(t, y, generators, entries, scratch);
        }
        let kept = &mut states.up[..Recurrence::kept_len(&self.segments)];
        recurrence.combine_with_gradient(&self.segments, t, z, kept, power_sums, scratch);
    }

    /// Adds to the gradients in the generators and in the three diagonals what the sums stand for.
    pub fn finish(
        &self,
        krylov: &Krylov,
        sums: &mut [f64],
        generators: &mut [f64],
        entries: &mut [f64],
        scratch: &mut [f64],
    ) {
        match self.method(krylov) {
            Some(Method::Hierarchy(hierarchy, plan)) => {
                return hierarchy.finish(plan, sums, generators, &mut entries[..self.order], scratch);
            }
            Some(Method::Tree(scatter, tree)) => {
                return scatter.finish(tree, &mut sums[..Scatter::sums_len(tree)], generators, entries, scratch);
            }
            Some(Method::Sweep(_)) | None => {}
        }
        let (plain, power_sums) = sums.split_at_mut(self.plain_sums_len());
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

#[cfg(test)]
mod tests {
    use super::*;

    fn random(len: usize, rng: &mut fastrand::Rng) -> Vec<f64> {
        (0..len).map(|_| 2.0 * rng.f64() - 1.0).collect()
    }

    fn assert_near(got: &[f64], expected: &[f64], what: &str) {
        let norm = |v: &mut dyn Iterator<Item = f64>| v.map(|x| x * x).sum::<f64>().sqrt();
        let error = norm(&mut got.iter().zip(expected).map(|(g, e)| g - e));
        let size = norm(&mut expected.iter().copied());
        // All numbers are of the order of one, or vanish.
        assert!(error <= 1e-12 * size.max(0.01), "{what}: {error:e} of {size:e}");
    }

    /// Trees and recurrences do the same.
    fn check(order: usize, rank: usize, lean: bool) {
        let mut rng = fastrand::Rng::with_seed((10 * order + rank) as u64);
        let mut entries: Vec<f64> = random(3 * order, &mut rng).iter().map(|e| 0.03 * e).collect();
        entries[..order].iter_mut().for_each(|lower| *lower += 1.0);
        entries[0] = 0.9;
        let (generators, y) = (random(rank * order, &mut rng), random(order, &mut rng));
        let plan = KrylovPlan::new(order, rank, true);
        let (tree, segments) = (&Tree::new(order, rank, lean), &plan.segments);
        let scatter = Scatter::new(tree, &entries, &generators).unwrap();
        let recurrence = Recurrence::new(segments, &entries, &generators);
        let what = |op: &str| format!("{op}, N = {order}, r = {rank}, lean: {lean}");
        let mut scratch = vec![f64::NAN; plan.gradient_scratch_len()];

        let mut up = vec![f64::NAN; Scatter::up_len(tree)];
        let mut kept = vec![f64::NAN; Recurrence::kept_len(segments)];
        let [mut t, mut expected] = [(); 2].map(|()| vec![f64::NAN; rank * order]);
        scatter.transposed(tree, &y, &mut t, true, &mut up, &mut scratch);
        recurrence.expand(segments, &y, &mut expected, &mut kept, &mut scratch);
        assert_near(&t, &expected, &what("transposed product"));

        let t = random(rank * order, &mut rng);
        let mut down = vec![f64::NAN; Scatter::down_len(tree)];
        let [mut z, mut expected] = [(); 2].map(|()| vec![f64::NAN; order]);
        let (mut sums, mut band) = (vec![0.0; plan.sums_len()], vec![0.0; 3 * order]);
        let mut d_generators = vec![0.0; rank * order];
        let (mut expected_band, mut expected_generators) = (band.clone(), d_generators.clone());
        scatter.forward(tree, &t, Some(&mut z), true, &mut down, &mut scratch);
        let sums = &mut sums[..Scatter::sums_len(tree)];
        scatter.correlate(tree, &t, &y, &down, &up, sums, &mut scratch);
        scatter.finish(tree, sums, &mut d_generators, &mut band, &mut scratch);
        let mut power_sums = vec![0.0; Recurrence::sums_len(segments, rank)];
        recurrence.combine_with_gradient(segments, &t, Some(&mut expected), &mut kept, &mut power_sums, &mut scratch);
        let gradient = Gradient { entries: &mut expected_band, generators: &mut expected_generators };
        Recurrence::finish(segments, [&entries, &generators], &mut power_sums, gradient, &mut scratch);
        assert_near(&z, &expected, &what("product"));
        assert_near(&d_generators, &expected_generators, &what("gradient in the generators"));
        assert_near(&band, &expected_band, &what("gradient in the operator"));
    }

    #[test]
    fn trees_equal_recurrences() {
        for order in [1, 2, 3, 17, 64, 65, 100, 130, 257, 520] {
            for rank in 1..=3.min(order) {
                check(order, rank, false);
            }
        }
    }

    #[test]
    fn so_do_lean_trees() {
        check(1040, 2, true);
        check(2200, 1, true);
    }
}
