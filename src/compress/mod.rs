//! Compression of dense matrices into structured ones.
//!
//! A matrix of a family with a rank is `M = L(G Hᵀ)`, with generators G (m×r) and H (n×r) and a linear bijection L
//! determined by its operators ([`Reconstruction`](crate::Reconstruction)): sums along diagonals for Toeplitz-like and
//! Hankel-like matrices, division by differences of nodes for Cauchy-like, recursive filters for Vandermonde-like, the
//! identity for low rank. Compressing W means to minimise
//!
//! `‖W − L(G Hᵀ)‖_F`, or `‖(W − L(G Hᵀ)) Xᵀ‖_F` for a sample of inputs X, one a row.
//!
//! * **Start:** the truncated singular value decomposition of the displacement `L⁻¹(W)`. It is exact where W has the
//!   displacement rank; otherwise its matrix is often farther from W than the zero matrix is, because L amplifies what
//!   was cut by up to about n/π. So it is first scaled to the best multiple, and compared with other starts: the best
//!   matrices of ranks ⌊r/2⌋ and ⌊r/2⌋ − 1, converted to generators of displacement rank r, and random ones.
//! * **Refinement:** L-BFGS on G and H together, with an exact line search: along a line the squared error is a polynomial of
//!   degree 4. Every step lowers the error, and the result is as good as that of long alternating least squares from several
//!   starting points, each of whose half-steps is a large linear system, ill-conditioned where L amplifies most.
//! * **Cost:** O(mn r) a step. W has mn entries, so no step can be cheaper than reading them; gradients by GEMM and sums along
//!   diagonals are faster here than r fast products with n unit vectors each. Everything is computed in f64, whatever the type
//!   of the resulting matrix.
//! * **Families without a rank** (circulant, Toeplitz, Hankel, their sum) are linear least-squares problems, solved by
//!   preconditioned conjugate gradients.
//! * **Learned operators:** LDR-SD is Toeplitz-like between two diagonal matrices, `S L(G Hᵀ) T`, with A and B the
//!   ratios of neighbouring scales. So the scales of rows and columns are optimised along with the generators, at the
//!   same cost a step; they start at 1, or where they minimise the displacement. A Toeplitz-like matrix with scaled
//!   rows and columns is therefore found as LDR-SD and needs no option of its own; low-rank and Cauchy-like matrices
//!   remain such under scaling anyway.
//! * **Optional,** each at the price of more fits: nodes that move ([`Compression::operators`]), other pairs of shifts
//!   ([`Compression::pairs`]), and reordered rows and columns ([`Compression::permutations`]). Tried together on
//!   trained matrices, they changed nothing in the gates of a recurrent network, and lowered the relative error of a
//!   layer of Fourier filters, 258×256 at a tenth of the parameters, from 0.89 to 0.73, where low rank reaches 0.93.
//!
//! [`Compression::ranking`] tries all families under one budget; [`Model`] spreads a budget over many matrices.
//! Which matrices are compressible this way? Those with something shift-invariant about them. Generic trained layers
//! often are not, and plain low rank wins: look at the ranking before you choose.
//!
//! Sources: Kailath, Kung and Morf (1979) for the displacement; Sindhwani, Sainath and Kumar (2015) for its use in layers;
//! Nocedal (1980) for L-BFGS.
//!
//! ```
//! use displace::compress::{Candidate, Compression, quietly};
//! use displace::Family;
//!
//! // A Toeplitz matrix with a little of a Hankel one.
//! let entry = |i: usize, j: usize| 1.0 / (1.0 + i.abs_diff(j) as f32) + 0.01 * ((i + j) % 7) as f32;
//! let w: Vec<f32> = (0..20 * 20).map(|k| entry(k / 20, k % 20)).collect();
//! let compression = Compression::of(20, 20, &w)?;
//! let ranking = compression.ranking::<f32>(&Candidate::ALL, 4 * 40, &mut quietly)?;
//! assert_eq!(ranking[0].matrix.structure().family(), Family::ToeplitzPlusHankel);
//! assert!(ranking[0].relative_error < 1e-5);
//! # Ok::<(), displace::Error>(())
//! ```

mod candidate;
mod descend;
mod lbfgs;
mod linear;
mod model;
mod operators;
mod order;
mod problem;
mod refine;
mod search;
mod start;

use std::ops::ControlFlow;
use std::sync::Arc;

use crate::error::{all_finite, has_length};
use crate::linalg::norm;
use crate::matrix::{Matrix, Parameters, Structure};
use crate::rank::has_generators;
use crate::shape::Shape;
use crate::{Builder, Error, Family, Result, Scalar};

pub use candidate::Candidate;
pub use model::{Layer, Model, ModelProgress, Share};

use problem::{Sum, Target, Term};
use refine::{Limits, Refined, refine};
use search::Search;

/// How far a compression has come, for a callback.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Progress {
    /// What is being fitted.
    pub candidate: Candidate,
    /// Which of the starting points, from 0; the last, longest descent counts as one more.
    pub start: usize,
    /// Steps of the descent from there.
    pub step: usize,
    /// The relative error after this step, in the norm that is minimised.
    pub relative_error: f64,
}

/// What a callback returns: [`ControlFlow::Break`] ends the descent, and what has been reached so far is the result.
pub type Flow = ControlFlow<()>;

/// A callback that ignores progress and never stops.
pub fn quietly(_: &Progress) -> Flow {
    ControlFlow::Continue(())
}

/// A compressed matrix, and how good it is.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Compressed<T: Scalar> {
    /// The structured matrix.
    pub matrix: Matrix<T>,
    /// What it was fitted as.
    pub candidate: Candidate,
    /// `‖W − M‖_F/‖W‖_F`, with the parameters rounded to T.
    pub relative_error: f64,
    /// `‖(W − M) Xᵀ‖_F/‖W Xᵀ‖_F`, if there is a sample of inputs.
    pub sample_error: Option<f64>,
    /// The relative error, in the norm that is minimised, of the start: the plain projection.
    pub start_error: f64,
    /// Steps of the descent, over all starting points.
    pub steps: usize,
    /// Whether the callback stopped it.
    pub stopped: bool,
}

impl<T: Scalar> Compressed<T> {
    /// The relative error in the norm that was minimised.
    pub fn error(&self) -> f64 {
        self.sample_error.unwrap_or(self.relative_error)
    }
}

/// A dense matrix that is to be compressed, and how hard to try.
#[derive(Debug, Clone)]
pub struct Compression {
    target: Target,
    limits: Limits,
    starts: usize,
    seed: u64,
    search: Search,
}

/// Steps that each starting point gets before one of them is chosen.
const TRIAL: usize = 15;

/// A relative error below which no other starting point is tried.
const EXACT: f64 = 1e-9;

/// Matrices of at most so many entries are cheap: more starting points are tried, and each of them to the end.
const SMALL: usize = 1 << 12;

impl Compression {
    /// A compression of the m×n matrix with the entries `entries`, row by row: up to 300 steps from the better of two starting
    /// points (the best of six, for a small matrix), until ten steps gain less than 1/10,000.
    ///
    /// # Errors
    ///
    /// [`Error::EmptyShape`], [`Error::TooLarge`], [`Error::Length`] or [`Error::NotFinite`]; [`Error::OutOfRange`] where
    /// the sum of the squares over- or underflows in `f64`, as errors could not be told then.
    pub fn of<T: Scalar>(rows: usize, cols: usize, entries: &[T]) -> Result<Self> {
        let shape = Shape::new(rows, cols)?;
        shape.check_dense()?;
        has_length("entries", entries, rows * cols)?;
        all_finite("entries", entries)?;
        let entries: Vec<f64> = entries.iter().map(|e| e.wide()).collect();
        let square: f64 = entries.iter().map(|e| e * e).sum();
        if !square.is_normal() && entries.iter().any(|&e| e != 0.0) {
            return Err(out_of_range("the sum of the squares of the entries", square));
        }
        let limits = Limits { steps: 300, tolerance: 1e-4 };
        Ok(Self {
            target: Target { shape, entries, sample: None },
            limits,
            starts: if rows * cols <= SMALL { 6 } else { 2 },
            seed: 0,
            search: Search::default(),
        })
    }

    /// Minimises the error on these inputs, one of n numbers a row, instead of that of the entries.
    ///
    /// # Errors
    ///
    /// [`Error::RaggedBatch`] or [`Error::NotFinite`]; [`Error::Length`] without any; [`Error::OutOfRange`] where the squares of
    /// the matrix's products with them over- or underflow.
    pub fn inputs<T: Scalar>(mut self, x: &[T]) -> Result<Self> {
        let n = self.target.shape.cols;
        if x.is_empty() {
            return Err(Error::Length { what: "inputs", expected: n, actual: 0 });
        }
        if !x.len().is_multiple_of(n) {
            return Err(Error::RaggedBatch { what: "inputs", row: n, actual: x.len() });
        }
        all_finite("inputs", x)?;
        let wide: Vec<f64> = x.iter().map(|x| x.wide()).collect();
        self.target.set_inputs(&wide);
        let square = self.target.square(&self.target.entries);
        if !square.is_finite() || (!square.is_normal() && !self.target.vanishes_on(&wide)) {
            return Err(out_of_range("the sum of the squares of the products with the inputs", square));
        }
        Ok(self)
    }

    /// At most so many steps from the best starting point; with 0 the result is the projection, scaled.
    #[must_use]
    pub fn steps(mut self, steps: usize) -> Self {
        self.limits.steps = steps;
        self
    }

    /// Stops when ten steps lower the error by less than this fraction.
    #[must_use]
    pub fn tolerance(mut self, tolerance: f64) -> Self {
        self.limits.tolerance = tolerance;
        self
    }

    /// How many starting points are tried (for a few steps each, unless the matrix is small): the nearest of the
    /// projection, low-rank matrices and random ones.
    #[must_use]
    pub fn starts(mut self, starts: usize) -> Self {
        self.starts = starts.max(1);
        self
    }

    /// The seed of random starting points, and of the nodes of families that have them.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Rows m.
    pub fn rows(&self) -> usize {
        self.target.shape.rows
    }

    /// Columns n.
    pub fn cols(&self) -> usize {
        self.target.shape.cols
    }

    /// Compresses into a family at a rank; `None` for families without one.
    ///
    /// Nodes, where the family has them, are those of a fresh [`Builder`] with this seed and stay fixed, unless
    /// [`Compression::operators`] lets them move; for nodes of your own use [`Compression::like`]. The operators of
    /// LDR-SD and LDR-TD always move: they start as shifts, with the Toeplitz-like matrix that was found, or as those
    /// whose displacement is smallest. A step costs O(mnr), for LDR-TD O(r max(m, n)³).
    ///
    /// # Errors
    ///
    /// [`Error::NotCompressible`], what [`Builder::build`] refuses, and [`Error::NotFinite`] for parameters too large for `T`.
    pub fn family<T: Scalar>(
        &self,
        family: Family,
        rank: Option<usize>,
        progress: &mut dyn FnMut(&Progress) -> Flow,
    ) -> Result<Compressed<T>> {
        let found = self.in_order(family, rank, progress)?;
        if self.search.permutations && search::runs_along_diagonals(family) && !found.stopped {
            return self.out_of_order(found, family, rank, progress);
        }
        Ok(found)
    }

    /// The same, with rows and columns as they are.
    fn in_order<T: Scalar>(
        &self,
        family: Family,
        rank: Option<usize>,
        progress: &mut dyn FnMut(&Progress) -> Flow,
    ) -> Result<Compressed<T>> {
        let builder = Builder::new(family, self.rows(), self.cols()).seed(self.seed);
        let builder = rank.iter().fold(builder, |builder, &rank| builder.rank(rank));
        if linear::is_linear(family) {
            let (parameters, steps) = linear::fit(&self.target, &*builder.structure::<f64>()?);
            let rounded = parameters.into_iter().map(T::of).collect();
            let matrix = Matrix::new(builder.structure::<T>()?, rounded)?;
            return self.measured(matrix, Candidate::Family(family), None, steps, false);
        }
        match (family, rank) {
            (Family::LearnedSubdiagonal | Family::LearnedTridiagonal, Some(rank)) => {
                self.learned(family, rank, progress)
            }
            (Family::ToeplitzLike | Family::HankelLike, Some(rank)) if self.search.pairs => {
                self.best_pair(family, rank, progress)
            }
            _ if self.search.operators && search::has_nodes(family) => self.moving(&builder, progress),
            _ => self.fit(Candidate::Family(family), &builder.build::<T>()?, None, progress),
        }
    }

    /// Compresses into the family and with the operators of `template` at a rank: its nodes, its order N.
    ///
    /// # Errors
    ///
    /// [`Error::ShapeMismatch`]; [`Error::NotCompressible`] for a matrix without a [`Reconstruction`](crate::Reconstruction);
    /// [`Error::RankChoice`] for a family without a rank, [`Error::RankTooLarge`], [`Error::TooLarge`] or [`Error::Memory`] for a
    /// rank that there is no room for; [`Error::NotFinite`] for parameters too large for `T`.
    pub fn like<T: Scalar>(
        &self,
        template: &Matrix<T>,
        rank: usize,
        progress: &mut dyn FnMut(&Progress) -> Flow,
    ) -> Result<Compressed<T>> {
        self.fits(template)?;
        let structure = template.structure_at(rank)?;
        let (m, n) = (self.rows(), self.cols());
        let tail = &template.parameters()[template.generated_rank()? * (m + n)..];
        let mut parameters = vec![T::zero(); rank * (m + n)];
        parameters.extend_from_slice(tail);
        let candidate = Candidate::Family(template.structure().family());
        let fresh = Matrix::on_path(structure, parameters, template.path_choice())?;
        self.fit(candidate, &fresh, None, progress)
    }

    /// Refines a matrix that has its parameters already, such as one that was shrunk: descends from there.
    ///
    /// # Errors
    ///
    /// [`Error::ShapeMismatch`]; [`Error::NotCompressible`] for a matrix without a [`Reconstruction`](crate::Reconstruction): of a
    /// family without a rank, which [`Compression::family`] finds the best of, of LDR-TD, or of LDR-SD far from the shift;
    /// [`Error::RankChoice`] for one whose parameters do not begin with generators; [`Error::NotFinite`] for parameters too large
    /// for `T`; [`Error::Memory`].
    pub fn refine<T: Scalar>(
        &self,
        matrix: &Matrix<T>,
        progress: &mut dyn FnMut(&Progress) -> Flow,
    ) -> Result<Compressed<T>> {
        self.fits(matrix)?;
        let (parameters, size) = (matrix.parameters(), self.rows() + self.cols());
        let places = terms(&**matrix.structure(), parameters)?;
        let generators = places.iter().flat_map(|(term, start)| &parameters[*start..][..term.rank * size]);
        let point = generators.map(|p| p.wide()).collect();
        self.fit(Candidate::Family(matrix.structure().family()), matrix, Some(point), progress)
    }

    /// Compresses into a low-rank matrix of rank `low` plus one of a family at a displacement rank, fitted together.
    ///
    /// # Errors
    ///
    /// As for [`Compression::family`], with [`Error::RankChoice`] for a family without a rank.
    pub fn low_rank_plus<T: Scalar>(
        &self,
        low: usize,
        family: Family,
        rank: usize,
        progress: &mut dyn FnMut(&Progress) -> Flow,
    ) -> Result<Compressed<T>> {
        let (m, n) = (self.rows(), self.cols());
        let low = Builder::new(Family::LowRank, m, n).rank(low).structure::<T>()?;
        let other = Builder::new(family, m, n).rank(rank).seed(self.seed).build::<T>()?;
        let mut parameters = vec![T::zero(); low.layout().len()];
        parameters.extend_from_slice(other.parameters());
        let sum = crate::Sum::new(low, Arc::clone(other.structure()))?;
        let template = Matrix::new(Arc::new(sum), parameters)?.into_dyn();
        self.fit(Candidate::LowRankPlus(family), &template, None, progress)
    }

    fn fits<T: Scalar>(&self, matrix: &Matrix<T>) -> Result<()> {
        let (left_rows, left_cols) = (self.rows(), self.cols());
        if (matrix.rows(), matrix.cols()) == (left_rows, left_cols) {
            return Ok(());
        }
        let (right_rows, right_cols) = (matrix.rows(), matrix.cols());
        Err(Error::ShapeMismatch { what: "compression", left_rows, left_cols, right_rows, right_cols })
    }

    /// Fits the generators of a template, whose operators stay, from its own ones or from the usual starting points.
    fn fit<T: Scalar>(
        &self,
        candidate: Candidate,
        template: &Matrix<T>,
        point: Option<Vec<f64>>,
        progress: &mut dyn FnMut(&Progress) -> Flow,
    ) -> Result<Compressed<T>> {
        let mut parameters = template.parameters().to_vec();
        let places = terms(&**template.structure(), &parameters)?;
        let terms: Vec<Term> = places.iter().map(|(term, _)| term.clone()).collect();
        let solution = self.solve(candidate, &terms, point, progress);
        let sum = Sum { shape: self.target.shape, terms: &terms };
        for ((_, part), (_, start)) in sum.parts(&solution.point).zip(&places) {
            parameters[*start..][..part.len()].iter_mut().zip(part).for_each(|(p, &x)| *p = T::of(x));
        }
        let matrix = Matrix::on_path(Arc::clone(template.structure()), parameters, template.path_choice())?;
        let Solution { start_square, steps, stopped, .. } = solution;
        self.measured(matrix, candidate, Some(start_square), steps, stopped)
    }

    /// Descends from each starting point for a while, and then from the best one to the end.
    fn solve(
        &self,
        candidate: Candidate,
        terms: &[Term],
        point: Option<Vec<f64>>,
        progress: &mut dyn FnMut(&Progress) -> Flow,
    ) -> Solution {
        let sum = Sum { shape: self.target.shape, terms };
        let (points, start_square) = self.starting_points(&sum, point);
        let count = points.len();
        // A single starting point needs no trial; what is exact already needs no other.
        let to_the_end = count == 1 || self.target.entries.len() <= SMALL;
        let trial = Limits { steps: TRIAL.min(self.limits.steps), ..self.limits };
        let limits = if to_the_end { self.limits } else { trial };
        let whole = self.target.square(&self.target.entries);
        let exact = EXACT.powi(2) * whole;
        let mut report = |start, step, square| {
            let relative_error = relative(square, whole);
            progress(&Progress { candidate, start, step, relative_error }).is_continue()
        };
        let (best, mut steps) = self.trials(&sum, points, limits, exact, &mut report);
        let Some(mut best) = best else {
            return Solution { point: vec![0.0; sum.len()], start_square, steps, stopped: false };
        };
        let rest = Limits { steps: self.limits.steps.saturating_sub(best.steps), ..self.limits };
        if !to_the_end && !best.stopped && best.square > exact && rest.steps > 0 {
            start::balance(&sum, &mut best.point);
            best = refine(&self.target, &sum, best.point, rest, &mut |step, square| report(count, step, square));
            steps += best.steps;
        }
        Solution { point: best.point, start_square, steps, stopped: best.stopped }
    }

    /// The point that is given or the usual ones to start from, and the squared error of the first of them.
    fn starting_points(&self, sum: &Sum<'_>, point: Option<Vec<f64>>) -> (Vec<Vec<f64>>, f64) {
        let target = &self.target;
        let Some(point) = point else { return start::starts(target, sum.terms, self.starts, self.seed) };
        let mut matrix = vec![0.0; target.entries.len()];
        let mut scratch = matrix.clone();
        sum.matrix(&point, &mut matrix, &mut scratch);
        let square = target.distance(&matrix);
        (vec![point], square)
    }

    /// Descends from each point until it is stopped or the squared error is `exact`: the best end, and the steps taken together.
    /// `report` hears the point, the step and the squared error.
    fn trials(
        &self,
        sum: &Sum<'_>,
        points: Vec<Vec<f64>>,
        limits: Limits,
        exact: f64,
        report: &mut dyn FnMut(usize, usize, f64) -> bool,
    ) -> (Option<Refined>, usize) {
        let (mut best, mut steps): (Option<Refined>, usize) = (None, 0);
        for (start, point) in points.into_iter().enumerate() {
            let refined = refine(&self.target, sum, point, limits, &mut |step, square| report(start, step, square));
            steps += refined.steps;
            let stopped = refined.stopped;
            if best.as_ref().is_none_or(|best| refined.square < best.square) {
                best = Some(refined);
            }
            let Some(best) = &mut best else { continue };
            best.stopped |= stopped;
            if best.stopped || best.square <= exact {
                break;
            }
        }
        (best, steps)
    }

    fn measured<T: Scalar>(
        &self,
        matrix: Matrix<T>,
        candidate: Candidate,
        start_square: Option<f64>,
        steps: usize,
        stopped: bool,
    ) -> Result<Compressed<T>> {
        let rest: Vec<f64> = matrix.to_dense()?.iter().zip(&self.target.entries).map(|(m, w)| m.wide() - w).collect();
        let relative_error = relative(norm(&rest).powi(2), norm(&self.target.entries).powi(2));
        let whole = self.target.square(&self.target.entries);
        let sample_error = self.target.sample.as_ref().map(|_| relative(self.target.square(&rest), whole));
        let reached = sample_error.unwrap_or(relative_error);
        let start_error = start_square.map_or(reached, |square| relative(square, whole));
        Ok(Compressed { matrix, candidate, relative_error, sample_error, start_error, steps, stopped })
    }
}

struct Solution {
    point: Vec<f64>,
    start_square: f64,
    steps: usize,
    stopped: bool,
}

/// The terms that a structure consists of, and where their parameters begin.
fn terms<T: Scalar>(structure: &dyn Structure<T>, parameters: &[T]) -> Result<Vec<(Term, usize)>> {
    if let Some([first, second]) = structure.summands() {
        let at = first.layout().len();
        let mut all = terms(&**first, &parameters[..at])?;
        all.extend(terms(&**second, &parameters[at..])?.into_iter().map(|(term, start)| (term, start + at)));
        return Ok(all);
    }
    let refused = Error::NotCompressible { family: structure.family().name() };
    let map = structure.reconstruction(Parameters(parameters)).ok_or(refused)?;
    let rank = structure.rank().unwrap_or(0);
    has_generators(structure, rank)?;
    Ok(vec![(Term { map, rank }, 0)])
}

/// A sum of squares that `f64` does not hold.
fn out_of_range(what: &'static str, value: f64) -> Error {
    Error::OutOfRange { what, value, range: "the numbers that f64 holds with all their digits" }
}

/// The root of a ratio of squares; infinite for an error relative to zero.
fn relative(square: f64, whole: f64) -> f64 {
    match (square > 0.0, whole > 0.0) {
        (false, _) => 0.0,
        (true, false) => f64::INFINITY,
        (true, true) => (square / whole).sqrt(),
    }
}
