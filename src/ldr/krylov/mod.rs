//! Products with Krylov matrices `K(A, g) = [g, A g, …, A^{N−1} g]` of cyclic tridiagonal operators, their transposes and
//! gradients, in double precision.
//!
//! Two ways: [`Scatter`], near-linear, wherever the operator's reflections die away; the recurrence everywhere else, for one vector
//! ([`Recurrence`]) or for several ([`Direct`]). Which one it is follows from the parameters and is decided when they change.

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

/// What does not depend on parameters: the order N, the number r of generators and the tree.
#[derive(Debug)]
pub(super) struct KrylovPlan {
    /// A tree with room for all that is taken; its lengths are an upper bound of those of the other one.
    tree: Tree,
    /// One with less room, which is tried first.
    lean: Option<Tree>,
    segments: Segments,
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
    /// Where reflections die away; and whether they do it early.
    Tree(Scatter, bool),
    /// Everywhere else.
    Sweep(Recurrence),
}

/// How one example is multiplied by an operator.
#[derive(Debug)]
enum Method<'a> {
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
        let ways = if tridiagonal { 2 } else { 1 };
        Self {
            tree: Tree::new(order, rank, ways, false),
            lean: Tree::is_worth_leaning(order, ways).then(|| Tree::new(order, rank, ways, true)),
            segments: Segments::new(order),
        }
    }

    fn order(&self) -> usize {
        self.tree.order
    }

    /// Takes up an operator, three diagonals of N numbers, and its generators, N numbers each.
    pub fn prepare(&self, entries: Vec<f64>, generators: Vec<f64>) -> Krylov {
        let scatter = if self.is_short() { None } else { self.scatter(&entries, &generators) };
        let engine = match scatter {
            None => Engine::Sweep(Recurrence::new(&self.segments, &entries, &generators)),
            Some((scatter, is_lean)) => Engine::Tree(scatter, is_lean),
        };
        Krylov { entries, generators, engine }
    }

    /// Whether the recurrence is taken whatever the parameters are.
    fn is_short(&self) -> bool {
        self.tree.ways == 2 && self.order() <= SWEPT
    }

    /// A tree, and whether it is lean.
    fn scatter(&self, entries: &[f64], generators: &[f64]) -> Option<(Scatter, bool)> {
        let lean = self.lean.as_ref().and_then(|tree| Scatter::new(tree, entries, generators));
        let is_lean = lean.is_some();
        lean.or_else(|| Scatter::new(&self.tree, entries, generators)).map(|scatter| (scatter, is_lean))
    }

    /// Whether reflections die away, so that there is a tree.
    pub fn is_fast(&self, krylov: &Krylov) -> bool {
        matches!(krylov.engine, Engine::Tree(..)) || self.scatter(&krylov.entries, &krylov.generators).is_some()
    }

    fn method<'a>(&'a self, krylov: &'a Krylov) -> Method<'a> {
        match &krylov.engine {
            Engine::Tree(scatter, true) => Method::Tree(scatter, self.lean.as_ref().unwrap_or(&self.tree)),
            Engine::Tree(scatter, false) => Method::Tree(scatter, &self.tree),
            Engine::Sweep(recurrence) => Method::Sweep(recurrence),
        }
    }

    /// Rows of a batch that are looked at together: a power of two, up to 64.
    pub fn chunk(&self) -> usize {
        (CHUNK / self.order().next_power_of_two()).clamp(8, SHARED)
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
        let Tree { order, rank, ways, .. } = self.tree;
        let (n, r) = (order as f64, rank as f64);
        let examples = batch.min(self.chunk());
        match krylov.map_or(self.is_short(), |krylov| matches!(krylov.engine, Engine::Sweep(_))) {
            true if examples >= WORTH => return n * n * r * (ROWS[0] / examples as f64 + ROWS[1]),
            true => return n * n * (3.0 + r) * STEP,
            false => {}
        }
        let (w, levels) = (ways as f64, self.tree.height() as f64);
        let spectra = 2.0 * w * w * (w + r) * n * levels;
        n * n.max(2.0).log2() * w * w * (1.0 + r) * TRANSFORMS + spectra * STREAMED
    }

    /// Numbers of scratch that products need.
    pub fn scratch_len(&self) -> usize {
        let direct = Direct::scratch_len(self.order(), self.chunk()).max(Recurrence::scratch_len(&self.segments));
        let trees = [Some(&self.tree), self.lean.as_ref()].into_iter().flatten();
        trees.map(Scatter::scratch_len).fold(direct, usize::max)
    }

    /// Numbers of scratch that any method needs.
    pub fn gradient_scratch_len(&self) -> usize {
        self.scratch_len().max(Recurrence::gradient_scratch_len(&self.segments, self.tree.rank))
    }

    /// Numbers of states that products need if nothing is kept.
    pub fn states_len(&self) -> usize {
        Scatter::down_len(&self.tree).max(Scatter::up_len(&self.tree))
    }

    /// Numbers that the gradient needs of [`KrylovPlan::forward_with_gradient`].
    pub fn down_len(&self) -> usize {
        Scatter::down_len(&self.tree)
    }

    /// Numbers that the gradient needs of [`KrylovPlan::transposed`].
    pub fn up_len(&self) -> usize {
        Scatter::up_len(&self.tree).max(Recurrence::kept_len(&self.segments))
    }

    /// Numbers in the sums that gradients are gathered in.
    pub fn sums_len(&self) -> usize {
        let swept = self.plain_sums_len() + Recurrence::sums_len(&self.segments, self.tree.rank);
        Scatter::sums_len(&self.tree).max(swept)
    }

    /// Numbers in the gradients that groups of examples are gathered in, generators first; the sums of single ones follow them.
    fn plain_sums_len(&self) -> usize {
        (self.tree.rank + 3) * self.order()
    }

    /// `y = Σ_jk t_jk A^k g_j` for each example of a group.
    pub fn forward(&self, krylov: &Krylov, t: &[f64], y: &mut [f64], states: &mut [f64], scratch: &mut [f64]) {
        if y.len() > self.order() {
            return self.direct(krylov).forward(t, y, scratch);
        }
        match self.method(krylov) {
            Method::Tree(scatter, tree) => scatter.forward(tree, t, Some(y), false, states, scratch),
            Method::Sweep(recurrence) => recurrence.combine(&self.segments, t, y, scratch),
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
        if y.len() > self.order() {
            return self.direct(krylov).transposed(y, t, scratch);
        }
        match self.method(krylov) {
            Method::Tree(scatter, tree) => scatter.transposed(tree, y, t, keep, states, scratch),
            Method::Sweep(recurrence) => {
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
            Method::Tree(scatter, tree) => {
                scatter.forward(tree, t, z, true, states.down, scratch);
                let (up, sums) = (&states.up[..Scatter::up_len(tree)], &mut sums[..Scatter::sums_len(tree)]);
                return scatter.correlate(tree, t, y, states.down, up, sums, scratch);
            }
            Method::Sweep(recurrence) => recurrence,
        };
        let (plain, power_sums) = sums.split_at_mut(self.plain_sums_len());
        if y.len() > self.order() {
            if let Some(z) = z {
                self.direct(krylov).forward(t, z, scratch);
            }
            let (generators, entries) = plain.split_at_mut(self.tree.rank * self.order());
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
        if let Method::Tree(scatter, tree) = self.method(krylov) {
            return scatter.finish(tree, &mut sums[..Scatter::sums_len(tree)], generators, entries, scratch);
        }
        let (plain, power_sums) = sums.split_at_mut(self.plain_sums_len());
        let (generator_sums, entry_sums) = plain.split_at(generators.len());
        generators.iter_mut().zip(generator_sums).for_each(|(g, s)| *g += s);
        entries.iter_mut().zip(entry_sums).for_each(|(e, s)| *e += s);
        let gradient = Gradient { entries, generators };
        Recurrence::finish(&self.segments, [&krylov.entries, &krylov.generators], power_sums, gradient, scratch);
    }

    fn direct<'a>(&self, krylov: &'a Krylov) -> Direct<'a> {
        Direct { order: self.order(), band: Band::of(&krylov.entries), generators: &krylov.generators }
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

    /// The two engines do the same.
    fn check(order: usize, rank: usize, tridiagonal: bool, lean: bool) {
        let mut rng = fastrand::Rng::with_seed((10 * order + rank) as u64);
        let mut entries: Vec<f64> = random(3 * order, &mut rng).iter().map(|e| 0.03 * e).collect();
        entries[..order].iter_mut().for_each(|lower| *lower += 1.0);
        entries[0] = 0.9;
        if !tridiagonal {
            entries[order..].fill(0.0);
        }
        let (generators, y) = (random(rank * order, &mut rng), random(order, &mut rng));
        let plan = KrylovPlan::new(order, rank, tridiagonal);
        let tree = if lean { plan.lean.as_ref().unwrap() } else { &plan.tree };
        let segments = &plan.segments;
        let scatter = Scatter::new(tree, &entries, &generators).unwrap();
        let recurrence = Recurrence::new(segments, &entries, &generators);
        let what = |op: &str| format!("{op}, N = {order}, r = {rank}, tridiagonal: {tridiagonal}, lean: {lean}");
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
        let entries = if tridiagonal { 3 * order } else { order };
        assert_near(&band[..entries], &expected_band[..entries], &what("gradient in the operator"));
    }

    #[test]
    fn trees_equal_recurrences() {
        for tridiagonal in [false, true] {
            for order in [1, 2, 3, 17, 64, 65, 100, 130, 257, 520] {
                for rank in 1..=3.min(order) {
                    check(order, rank, tridiagonal, false);
                }
            }
        }
    }

    #[test]
    fn so_do_lean_trees() {
        check(1040, 2, true, true);
        check(2200, 1, true, true);
    }
}
