//! What else may change besides the generators: nodes and learned operators, pairs of shifts, orders of rows and columns.

use std::sync::Arc;

use super::descend::{Model, descend};
use super::operators::{Parameters, Scaled, scales};
use super::order::order;
use super::problem::{Target, Term};
use super::{Candidate, Compressed, Compression, Flow, Progress, SMALL, TRIAL, relative};
use crate::displacement::{ShiftOperator, ShiftPair};
use crate::ldr::ToeplitzLike;
use crate::matrix::{self, Family, Matrix, Permuted, Structure};
use crate::{Builder, Error, Result, Scalar};

/// What the search tries, beside the families as they are.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Search {
    pub operators: bool,
    pub pairs: bool,
    pub permutations: bool,
}

/// The corners (f, e) of pairs (Z_f, Z_eᵀ) that are tried beside (1, −1): the displacement of a matrix has another
/// rank, by up to 2, under each.
const CORNERS: [[f64; 2]; 5] = [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [-1.0, 1.0], [-1.0, 0.0]];

/// Whether a family's matrices have nodes among their parameters.
pub(super) fn has_nodes(family: Family) -> bool {
    matches!(family, Family::VandermondeLike | Family::CircleVandermondeLike | Family::CauchyLike)
}

/// Whether the order of rows and columns matters to a family, and shifts along diagonals are what it is about.
pub(super) fn runs_along_diagonals(family: Family) -> bool {
    use Family::{Circulant, FCirculant, Hankel, HankelLike, ShiftLike, SkewCirculant, Toeplitz, ToeplitzLike};
    use Family::{LearnedSubdiagonal, LearnedTridiagonal, ToeplitzPlusHankel};
    let plain = matches!(family, Circulant | SkewCirculant | FCirculant(_) | Toeplitz | Hankel | ToeplitzPlusHankel);
    let like = matches!(family, ToeplitzLike | HankelLike | ShiftLike(_) | LearnedSubdiagonal | LearnedTridiagonal);
    plain || like
}

/// Whether what repeats runs along antidiagonals.
fn is_reversed(family: Family) -> bool {
    match family {
        Family::Hankel | Family::HankelLike => true,
        Family::ShiftLike(pair) => {
            matches!(pair.a(), ShiftOperator::Plain(_)) == matches!(pair.b(), ShiftOperator::Plain(_))
        }
        _ => false,
    }
}

impl Compression {
    /// Lets the nodes of Vandermonde-like, circle Vandermonde-like and Cauchy-like matrices move along with the
    /// generators, by a second descent from the best matrix of fixed nodes; off by default. They are parameters of
    /// these families in any case.
    #[must_use]
    pub fn operators(mut self, moving: bool) -> Self {
        self.search.operators = moving;
        self
    }

    /// Tries other pairs of shifts for Toeplitz-like and Hankel-like matrices, a few steps each, and fits the best one to
    /// the end; off by default. The result is then a [`ShiftLike`](crate::ldr::ShiftLike) matrix, if another pair is better.
    #[must_use]
    pub fn pairs(mut self, several: bool) -> Self {
        self.search.pairs = several;
        self
    }

    /// Searches for orders of rows and columns in which the displacement is small, for families under shifts, and fits the
    /// matrix in that order too; off by default. The result is then a [`Permuted`] matrix, if that is nearer: with the same
    /// parameters, and m + n whole numbers that count as none of them.
    ///
    /// Rows out of order are found if the columns are in order, and the other way round, in what is a Toeplitz or a
    /// Hankel matrix but for noise; both out of order only where entries fall off from a diagonal, so that similar rows
    /// are neighbours. No search through all orders is made. O(mn (m + n)), and a fit.
    #[must_use]
    pub fn permutations(mut self, any: bool) -> Self {
        self.search.permutations = any;
        self
    }

    /// The better one of a matrix that was found and one of the same family in another order.
    pub(super) fn out_of_order<T: Scalar>(
        &self,
        found: Compressed<T>,
        family: Family,
        rank: Option<usize>,
        progress: &mut dyn FnMut(&Progress) -> Flow,
    ) -> Result<Compressed<T>> {
        let shape = self.target.shape;
        let Some(mut order) = order(shape, &self.target.entries) else { return Ok(found) };
        if is_reversed(family) {
            order.cols.reverse();
        }
        let mut sorted = self.clone();
        sorted.target = Target {
            shape,
            entries: order.sorted(&self.target.entries, shape.cols),
            sample: self.target.sample.as_ref().map(|sample| {
                sample.chunks_exact(shape.cols).flat_map(|x| order.cols.iter().map(move |&j| x[j])).collect()
            }),
        };
        let fitted = sorted.in_order::<T>(family, rank, progress)?;
        let structure = Permuted::new(Arc::clone(fitted.matrix.structure()), order.rows, order.cols)?;
        let matrix = Matrix::new(Arc::new(structure), fitted.matrix.parameters().to_vec())?.into_dyn();
        let permuted = Compressed { matrix, ..fitted };
        let steps = found.steps + permuted.steps;
        let (mut best, stopped) =
            if permuted.error() < found.error() { (permuted, found.stopped) } else { (found, permuted.stopped) };
        (best.steps, best.stopped) = (steps, best.stopped || stopped);
        Ok(best)
    }

    /// The best of several pairs of shifts.
    pub(super) fn best_pair<T: Scalar>(
        &self,
        family: Family,
        rank: usize,
        progress: &mut dyn FnMut(&Progress) -> Flow,
    ) -> Result<Compressed<T>> {
        let mut plain = self.clone();
        plain.search = Search::default();
        let quick = plain.clone().steps(TRIAL.min(self.limits.steps)).starts(1);
        let other = |[f, e]: [f64; 2]| {
            let b = if family == Family::HankelLike { ShiftOperator::Plain(e) } else { ShiftOperator::Transposed(e) };
            ShiftPair::stein(ShiftOperator::Plain(f), b).map(Family::ShiftLike)
        };
        let (mut nearest, mut best) = (family, quick.family::<T>(family, Some(rank), progress)?);
        for corners in CORNERS {
            if best.stopped {
                break;
            }
            let other = other(corners)?;
            let tried = quick.family::<T>(other, Some(rank), progress)?;
            let stopped = tried.stopped;
            if tried.error() < best.error() {
                (nearest, best) = (other, tried);
            }
            best.stopped = stopped;
        }
        if !best.stopped {
            let fitted = plain.family::<T>(nearest, Some(rank), progress)?;
            let stopped = fitted.stopped;
            if fitted.error() <= best.error() {
                best = fitted;
            }
            best.stopped = stopped;
        }
        Ok(Compressed { candidate: Candidate::Family(family), ..best })
    }

    /// Nodes that move: from the best matrix of fixed ones. That matrix stays where the nodes went so far out that T cannot
    /// tell them apart any more, or not well enough.
    pub(super) fn moving<T: Scalar>(
        &self,
        builder: &Builder,
        progress: &mut dyn FnMut(&Progress) -> Flow,
    ) -> Result<Compressed<T>> {
        let candidate = Candidate::Family(builder.family());
        let fixed = self.fit(candidate, &builder.build::<f64>()?, None, progress)?;
        let model = Parameters(Arc::clone(fixed.matrix.structure()));
        let before = Solved::of(fixed.matrix.parameters().to_vec(), &fixed);
        let solved = self.descended(candidate, &model, before, self.limits.steps, progress);
        let (steps, stopped, structure) = (solved.steps, solved.stopped, builder.structure::<T>()?);
        let moved = self.rounded(candidate, Arc::clone(&structure), solved, fixed.start_error);
        let before = Solved::of(fixed.matrix.parameters().to_vec(), &fixed);
        let stayed = self.rounded(candidate, structure, before, fixed.start_error);
        match (moved, stayed.map(|stayed| Compressed { steps, stopped, ..stayed })) {
            (Ok(moved), Ok(stayed)) if moved.error() <= stayed.error() => Ok(moved),
            (Ok(moved), Err(_)) => Ok(moved),
            (_, stayed) => stayed,
        }
    }

    /// Learned operators: from those that make the displacement small, or from shifts.
    pub(super) fn learned<T: Scalar>(
        &self,
        family: Family,
        rank: usize,
        progress: &mut dyn FnMut(&Progress) -> Flow,
    ) -> Result<Compressed<T>> {
        let candidate = Candidate::Family(family);
        let (shape, generators) = (self.target.shape, rank * (self.rows() + self.cols()));
        let structure = Builder::new(family, shape.rows, shape.cols).rank(rank).structure::<T>()?;
        let mut starts = vec![[shape.rows, shape.cols].map(|side| vec![1.0; side])];
        starts.extend(scales(shape, &self.target.entries));

        // A few steps from each, unless the matrix is small.
        let to_the_end = self.target.entries.len() <= SMALL || starts.len() == 1;
        let trial = if to_the_end { self.limits.steps } else { TRIAL.min(self.limits.steps) };
        let mut best = self.between(candidate, rank, &starts[0], trial, progress)?;
        let (start_error, mut steps) = (best.start_error, best.solved.steps);
        if let Some(scales) = starts.get(1).filter(|_| !best.solved.stopped) {
            let other = self.between(candidate, rank, scales, trial, progress)?;
            steps += other.solved.steps;
            let stopped = other.solved.stopped;
            if other.solved.square < best.solved.square {
                best = other;
            }
            best.solved.stopped = stopped;
        }
        let Between { model, mut solved, .. } = best;
        solved.steps = steps;
        if !to_the_end {
            let rest = self.limits.steps.saturating_sub(trial);
            solved = self.descended(candidate, &model, solved, rest, progress);
        }
        solved.point = model.parameters(&solved.point);
        if family == Family::LearnedTridiagonal {
            let model = Parameters(Builder::new(family, shape.rows, shape.cols).rank(rank).structure::<f64>()?);
            solved.point = tridiagonal(&solved.point, generators, shape.order());
            solved = self.descended(candidate, &model, solved, self.limits.steps, progress);
        }
        self.rounded(candidate, structure, solved, start_error)
    }

    /// The best Toeplitz-like matrix between two diagonals: first for these, and then with all that moves.
    fn between(
        &self,
        candidate: Candidate,
        rank: usize,
        scales: &[Vec<f64>; 2],
        steps: usize,
        progress: &mut dyn FnMut(&Progress) -> Flow,
    ) -> Result<Between> {
        let (m, n) = (self.rows(), self.cols());
        let refused = Error::NotCompressible { family: Family::LearnedSubdiagonal.name() };
        let toeplitz = ToeplitzLike::<f64>::with_order(m, n, rank, m.max(n))?;
        let map = toeplitz.reconstruction(matrix::Parameters(&[])).ok_or(refused.clone())?;
        let (model, mut point) = Scaled::new(self.target.shape, rank, map, scales);
        let learned = Builder::new(Family::LearnedSubdiagonal, m, n).rank(rank).structure::<f64>()?;
        let map = learned.reconstruction(matrix::Parameters(&model.parameters(&point))).ok_or(refused)?;
        let quick = self.clone().steps(steps);
        let fixed = quick.solve(candidate, &[Term { map, rank }], None, progress);
        let start_error = relative(fixed.start_square, self.target.square(&self.target.entries));
        model.take_generators(&fixed.point, &mut point);
        let square = self.square_of(&model, &point);
        let before = Solved { point, square, steps: fixed.steps, stopped: fixed.stopped };
        let solved = self.descended(candidate, &model, before, steps, progress);
        Ok(Between { model, solved, start_error })
    }

    fn square_of(&self, model: &dyn Model, point: &[f64]) -> f64 {
        let mut matrix = vec![0.0; self.target.entries.len()];
        model.matrix(point, &mut matrix);
        self.target.distance(&matrix)
    }

    /// Goes on from a point, unless the callback has stopped it; never ends up higher.
    fn descended(
        &self,
        candidate: Candidate,
        model: &dyn Model,
        before: Solved,
        steps: usize,
        progress: &mut dyn FnMut(&Progress) -> Flow,
    ) -> Solved {
        if before.stopped || steps == 0 {
            return before;
        }
        let whole = self.target.square(&self.target.entries);
        let mut report = |step, square| {
            let relative_error = relative(square, whole);
            progress(&Progress { candidate, start: self.starts, step, relative_error }).is_continue()
        };
        let limits = super::Limits { steps, ..self.limits };
        let refined = descend(&self.target, model, before.point.clone(), limits, &mut report);
        let steps = before.steps + refined.steps;
        if refined.square > before.square {
            return Solved { steps, stopped: refined.stopped, ..before };
        }
        Solved { point: refined.point, square: refined.square, steps, stopped: refined.stopped }
    }

    /// The matrix of a point, rounded and measured.
    fn rounded<T: Scalar>(
        &self,
        candidate: Candidate,
        structure: Arc<dyn Structure<T>>,
        solved: Solved,
        start_error: f64,
    ) -> Result<Compressed<T>> {
        let parameters = solved.point.into_iter().map(T::of).collect();
        let measured =
            self.measured(Matrix::new(structure, parameters)?, candidate, None, solved.steps, solved.stopped)?;
        Ok(Compressed { start_error, ..measured })
    }
}

/// A point of a model, and how it was found.
struct Solved {
    point: Vec<f64>,
    square: f64,
    steps: usize,
    stopped: bool,
}

/// A Toeplitz-like matrix between two diagonals, and the error of the projection that it started from.
struct Between {
    model: Scaled,
    solved: Solved,
    start_error: f64,
}

impl Solved {
    fn of(point: Vec<f64>, found: &Compressed<f64>) -> Self {
        Self { point, square: f64::INFINITY, steps: found.steps, stopped: found.stopped }
    }
}

/// Parameters of an LDR-SD matrix as those of an LDR-TD one: two more diagonals of zeros for each operator.
fn tridiagonal(parameters: &[f64], generators: usize, order: usize) -> Vec<f64> {
    let (generators, operators) = parameters.split_at(generators);
    let mut point = generators.to_vec();
    for operator in operators.chunks_exact(order) {
        point.extend_from_slice(operator);
        point.resize(point.len() + 2 * order, 0.0);
    }
    point
}
