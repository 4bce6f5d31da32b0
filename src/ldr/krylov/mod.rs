//! Products with Krylov matrices `K(A, g) = [g, A g, …, A^{N−1} g]` of cyclic tridiagonal operators, their transposes and
//! gradients, in double precision.
//!
//! Two ways: [`Scatter`], near-linear, wherever the operator's reflections die away; [`Direct`], by the recurrence, everywhere
//! else. Which one it is follows from the parameters and is decided when they change.

mod band;
mod direct;
mod junction;
mod scatter;
mod sweep;
mod tree;

use band::Band;
use direct::Direct;
use scatter::Scatter;
use sweep::{Coefficients, CoefficientsMut, Sweep, transpose_band};
use tree::Tree;

use crate::transform::isa::Kernels;

/// Nanoseconds for each place, step and diagonal or generator of a recurrence.
const STEP: f64 = 0.13;
/// Nanoseconds for each N log2(N), way in and way out, and source of a tree.
const TRANSFORMS: f64 = 0.8;
/// Nanoseconds for a number of a spectrum that comes from memory.
const STREAMED: f64 = 0.3;

/// The largest group of examples that one call takes.
pub(super) const GROUP: usize = 8;

/// What does not depend on parameters: the order N, the number r of generators and the tree.
#[derive(Debug)]
pub(super) struct KrylovPlan {
    tree: Tree,
}

/// An operator with its generators, ready for products.
#[derive(Debug)]
pub(super) struct Krylov {
    entries: Vec<f64>,
    generators: Vec<f64>,
    engine: Engine,
}

/// How an operator is multiplied by.
#[derive(Debug)]
enum Engine {
    Scatter(Scatter),
    /// The diagonals of the operator, those of its transpose and the generators, continued to a whole number of registers.
    Direct(Vec<f64>),
}

/// Examples that are swept one by one; larger groups share their Krylov vectors.
const SWEPT: usize = 2;

/// What products leave for the gradient.
#[derive(Debug)]
pub(super) struct States<'a> {
    /// Left by [`KrylovPlan::forward`].
    pub down: &'a mut [f64],
    /// Left by [`KrylovPlan::transposed`].
    pub up: &'a mut [f64],
}

impl KrylovPlan {
    /// A plan for operators of order N, that are zero on and above the diagonal but for the corner, or tridiagonal with two
    /// corners.
    pub fn new(order: usize, rank: usize, tridiagonal: bool) -> Self {
        Self { tree: Tree::new(order, rank, if tridiagonal { 2 } else { 1 }) }
    }

    fn order(&self) -> usize {
        self.tree.order
    }

    /// Takes up an operator, three diagonals of N numbers, and its generators, N numbers each.
    pub fn prepare(&self, entries: Vec<f64>, generators: Vec<f64>) -> Krylov {
        let engine = match Scatter::new(&self.tree, &entries, &generators) {
            Some(scatter) => Engine::Scatter(scatter),
            None => Engine::Direct(self.padded(&entries, &generators)),
        };
        Krylov { entries, generators, engine }
    }

    /// N rounded up to whole registers.
    fn width(&self) -> usize {
        self.order().next_multiple_of(f64::LANES)
    }

    fn padded(&self, entries: &[f64], generators: &[f64]) -> Vec<f64> {
        let (n, width) = (self.order(), self.width());
        let mut padded = vec![0.0; (6 + self.tree.rank) * width];
        let (band, rest) = padded.split_at_mut(3 * width);
        let (transposed, rest) = rest.split_at_mut(3 * width);
        let rows = entries.chunks_exact(n).chain(generators.chunks_exact(n));
        for (from, to) in rows.zip(band.chunks_exact_mut(width).chain(rest.chunks_exact_mut(width))) {
            to[..n].copy_from_slice(from);
        }
        transpose_band(band, transposed, width, n);
        padded
    }

    fn sweep<'a>(&self, padded: &'a [f64]) -> Sweep<'a> {
        let (entries, rest) = padded.split_at(3 * self.width());
        let (transposed, generators) = rest.split_at(3 * self.width());
        Sweep { entries, transposed, generators, places: self.order(), cyclic: true, ways: 0 }
    }

    /// Estimated nanoseconds for the product with one example, of one side.
    pub fn cost(&self, krylov: Option<&Krylov>) -> f64 {
        let Tree { order, rank, ways, .. } = self.tree;
        let (n, r) = (order as f64, rank as f64);
        match krylov.map(|krylov| &krylov.engine) {
            Some(Engine::Direct(_)) => n * n * (3.0 + r) * STEP,
            _ => {
                let (w, levels) = (ways as f64, self.tree.height() as f64);
                let spectra = 2.0 * w * w * (w + r) * n * levels;
                n * n.max(2.0).log2() * w * w * (1.0 + r) * TRANSFORMS + spectra * STREAMED
            }
        }
    }

    /// Numbers of scratch that any method needs.
    pub fn scratch_len(&self) -> usize {
        let direct = Direct::scratch_len(self.order(), GROUP).max(Sweep::scratch_len(self.width()));
        direct.max(Scatter::scratch_len(&self.tree))
    }

    pub fn down_len(&self) -> usize {
        Scatter::down_len(&self.tree)
    }

    pub fn up_len(&self) -> usize {
        Scatter::up_len(&self.tree)
    }

    /// Numbers in the sums that gradients are gathered in.
    pub fn sums_len(&self) -> usize {
        Scatter::sums_len(&self.tree).max((self.tree.rank + 3) * self.order())
    }

    /// `y = Σ_jk t_jk A^k g_j` for each example of a group; without y, only what the gradient needs. States are kept for it if
    /// asked.
    pub fn forward(
        &self,
        krylov: &Krylov,
        t: &[f64],
        y: Option<&mut [f64]>,
        keep: bool,
        down: &mut [f64],
        scratch: &mut [f64],
    ) {
        let (n, rank) = (self.order(), self.tree.rank);
        match (&krylov.engine, y) {
            (Engine::Scatter(scatter), y) => scatter.forward(&self.tree, t, y, keep, down, scratch),
            (Engine::Direct(_), None) => {}
            (Engine::Direct(_), Some(y)) if y.len() > SWEPT * n => self.direct(krylov).forward(t, y, scratch),
            (Engine::Direct(padded), Some(y)) => {
                for (example, y) in y.chunks_exact_mut(n).enumerate() {
                    let generators = &t[example * rank * n..][..rank * n];
                    let t = Coefficients { ways: &[], ways_stride: 0, generators, generators_stride: n, len: n };
                    self.sweep(padded).combine(t, y, scratch);
                }
            }
        }
    }

    /// `t_jk = ⟨A^k g_j, y⟩` for each example of a group.
    pub fn transposed(
        &self,
        krylov: &Krylov,
        y: &[f64],
        t: &mut [f64],
        keep: bool,
        up: &mut [f64],
        scratch: &mut [f64],
    ) {
        let (n, rank) = (self.order(), self.tree.rank);
        match &krylov.engine {
            Engine::Scatter(scatter) => scatter.transposed(&self.tree, y, t, keep, up, scratch),
            Engine::Direct(_) if y.len() > SWEPT * n => self.direct(krylov).transposed(y, t, scratch),
            Engine::Direct(padded) => {
                for (example, y) in y.chunks_exact(n).enumerate() {
                    let generators = &mut t[example * rank * n..][..rank * n];
                    let t = CoefficientsMut { ways: &mut [], ways_stride: 0, generators, generators_stride: n, len: n };
                    self.sweep(padded).expand(y, t, scratch);
                }
            }
        }
    }

    /// Adds the gradient of `⟨y, Σ_jk t_jk A^k g_j⟩` to the sums.
    pub fn gather(
        &self,
        krylov: &Krylov,
        t: &[f64],
        y: &[f64],
        states: &States<'_>,
        sums: &mut [f64],
        scratch: &mut [f64],
    ) {
        match &krylov.engine {
            Engine::Scatter(scatter) => scatter.correlate(&self.tree, t, y, states.down, states.up, sums, scratch),
            Engine::Direct(_) => {
                let (generators, band) = sums.split_at_mut(self.tree.rank * self.order());
                self.direct(krylov).gradient(t, y, generators, &mut band[..3 * self.order()], scratch);
            }
        }
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
        if let Engine::Scatter(scatter) = &krylov.engine {
            return scatter.finish(&self.tree, sums, generators, entries, scratch);
        }
        let (generator_sums, rest) = sums.split_at(generators.len());
        generators.iter_mut().zip(generator_sums).for_each(|(g, s)| *g += s);
        entries.iter_mut().zip(rest).for_each(|(e, s)| *e += s);
    }

    fn direct<'a>(&self, krylov: &'a Krylov) -> Direct<'a> {
        Direct { order: self.order(), band: Band::of(&krylov.entries), generators: &krylov.generators }
    }
}

impl Krylov {
    /// Whether products take near-linear time.
    pub fn is_fast(&self) -> bool {
        matches!(self.engine, Engine::Scatter(_))
    }
}

/// The Krylov vectors of one generator, N rows of N numbers.
pub(super) fn krylov_rows(entries: &[f64], generator: &[f64]) -> Vec<f64> {
    let n = generator.len();
    let (mut rows, mut next) = (vec![0.0; n * n], vec![0.0; n]);
    Band::of(entries).krylov(generator, &mut rows, &mut next);
    rows
}

/// Adds to the gradients in a generator and in the three diagonals that of a loss with the gradient `rows_gradient` in
/// [`krylov_rows`].
pub(super) fn krylov_rows_backward(
    entries: &[f64],
    rows: &[f64],
    rows_gradient: &mut [f64],
    generator: &mut [f64],
    gradient: &mut [f64],
) {
    let mut dual = vec![0.0; generator.len()];
    let mut gradient = band::BandGradient::of(gradient);
    Band::of(entries).krylov_backward(rows, rows_gradient, &mut dual, &mut gradient);
    generator.iter_mut().zip(dual).for_each(|(g, d)| *g += d);
}
