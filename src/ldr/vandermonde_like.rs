//! Vandermonde-like matrices: sums of r products of a diagonal, a Vandermonde and an f-circulant matrix, f = ½.
//!
//! With nodes v in [−1, 1], generators G (m×r) and H (n×r) and an order N ≥ n,
//!
//! `M = diag(1 / (1 − f vᴺ)) Σ_j diag(g_j) V Z_f(h_j)ᵀ`, cut to its first n columns,
//!
//! where V is the m×N Vandermonde matrix of the nodes, the columns of H are continued by zeros to length N, and `Z_f(h)` is the
//! f-circulant whose first column is h. On N columns the Stein displacement is `M − D M Z_fᵀ = G Hᵀ` with D = diag(v).
//! Cut to n columns the formula reads, row by row,
//!
//! `M_ik − v_i M_i,k−1 = (G Hᵀ)_ik` for k ≥ 1, and `M_i0 − f v_i^{N−n+1} M_i,n−1 = (G Hᵀ)_i0`.
//!
//! * At f = ½ the divisor `1 − f vᴺ` lies in [½, 3/2], so the map from `G Hᵀ` to M is a bijection of m×n matrices for
//!   *any* nodes and any N: every matrix is Vandermonde-like at r = min(m, n), and a Vandermonde matrix at r = 1. N is
//!   rounded up to a length with fast transforms; [`VandermondeLike::with_order`] keeps it at n.
//! * `Z_½ = φ S Z_1 S⁻¹` with φ = 2^{−1/N} and S = diag(φ^{−k}), whose entries lie between 1 and 2: products with `Z_½(h)` are
//!   cyclic, with nothing padded and nothing magnified.
//!
//! *Parameters:* r(m + n), and the m nodes where they are trained. *Cost:* r + 1 real transforms of length N and r fast
//! Laplace transforms ([`Vandermonde`](crate::structured::Vandermonde)) for a product; 2r + 1 and 3r (2r if the nodes are
//! fixed) for all gradients, and 2r + 2 transforms a batch besides. *Accuracy:* 10⁻¹¹ (f32: 2·10⁻⁵) in norm, for any nodes.
//!
//! *Choose it* where inputs are sampled trajectories of decaying modes, or coefficients of polynomials; a row with node
//! v filters its input with memory `1/−ln|v|`. Published layers of this class score worst of all, probably because
//! their nodes saw only the first few dozen inputs: spread the nodes as [`initialise`](crate::Structure::initialise)
//! does, |v| up to 1 − 1/n.

use std::sync::Arc;

use super::filter::Filter;
use super::terms::{Evaluation, Terms};
use crate::error::{all_finite, has_length, zeros};
use crate::matrix::{
    Bound, Family, Init, Layout, Matrix, Parameters, Prepared, REAL_NODES, Reconstruction, Structure, transform_cost,
};
use crate::shape::Shape;
use crate::structured::vandermonde::{check_count, check_nodes, laplace_cost, place, placed, spread};
use crate::transform::fast_length;
use crate::transform::laplace::{Laplace, Nodes};
use crate::{Result, Scalar};

/// The structure of a Vandermonde-like m×n matrix of displacement rank r.
///
/// Parameters: tensors `"G"` and `"H"`, stored transposed as r×m and r×n, and the nodes `"v"` unless they are fixed. A
/// step of an optimiser that moves a node out of [−1, 1] is refused with
/// [`Error::ElementOutOfRange`](crate::Error::ElementOutOfRange);
/// [`Vandermonde::clamp`](crate::structured::Vandermonde::clamp) puts such nodes back.
#[derive(Debug)]
pub struct VandermondeLike<T: Scalar> {
    terms: Terms<T, Laplace<T>>,
    filter: Filter,
    layout: Layout,
    /// The nodes, if they are not among the parameters.
    fixed: Option<Vec<T>>,
}

impl<T: Scalar> VandermondeLike<T> {
    /// A Vandermonde-like m×n matrix without parameters, of displacement rank `rank` from 0 to min(m, n), its nodes among the
    /// parameters, with N rounded up from n to a length that has fast transforms.
    ///
    /// # Errors
    ///
    /// [`Error::EmptyShape`](crate::Error::EmptyShape), [`Error::RankTooLarge`](crate::Error::RankTooLarge),
    /// [`Error::TooLarge`](crate::Error::TooLarge) or [`Error::Memory`](crate::Error::Memory).
    pub fn new(rows: usize, cols: usize, rank: usize) -> Result<Self> {
        Self::with_order(rows, cols, rank, fast_length(cols))
    }

    /// The same with an order N of your own, such as n itself.
    ///
    /// # Errors
    ///
    /// As for [`VandermondeLike::new`], and [`Error::OutOfRange`](crate::Error::OutOfRange) for an order below n or above
    /// 2n + 1.
    pub fn with_order(rows: usize, cols: usize, rank: usize, order: usize) -> Result<Self> {
        let terms = Terms::new(rows, cols, rank, order)?;
        let layout = terms.layout().with("v", &[rows]);
        Ok(Self { terms, filter: Filter::new(order, cols), layout, fixed: None })
    }

    /// Takes the nodes out of the parameters and fixes them.
    ///
    /// # Errors
    ///
    /// [`Error::Length`](crate::Error::Length) unless there are m of them, [`Error::NotFinite`](crate::Error::NotFinite), or
    /// [`Error::ElementOutOfRange`](crate::Error::ElementOutOfRange) for a node outside [−1, 1].
    pub fn fix_nodes(mut self, nodes: &[T]) -> Result<Self> {
        has_length("v", nodes, self.terms.shape.rows)?;
        check_nodes(nodes)?;
        self.layout = self.terms.layout();
        self.fixed = Some(nodes.to_vec());
        Ok(self)
    }

    /// The matrix of these nodes and the generators whose columns are the rows of `g` (r×m) and `h` (r×n).
    ///
    /// # Errors
    ///
    /// As for [`VandermondeLike::new`], and [`Error::Length`](crate::Error::Length),
    /// [`Error::NotFinite`](crate::Error::NotFinite) or [`Error::ElementOutOfRange`](crate::Error::ElementOutOfRange) for bad
    /// parameters.
    pub fn from_generators(nodes: &[T], cols: usize, rank: usize, g: &[T], h: &[T]) -> Result<Matrix<T, Self>> {
        let structure = Self::new(nodes.len(), cols, rank)?;
        let mut parameters = structure.terms.shape.join_generators(rank, g, h)?;
        parameters.extend_from_slice(nodes);
        Matrix::new(Arc::new(structure), parameters)
    }

    /// The Vandermonde matrix of these nodes, of displacement rank 1, to be grown or trained from there.
    ///
    /// # Errors
    ///
    /// As for [`VandermondeLike::from_generators`].
    ///
    /// ```
    /// let v = displace::ldr::VandermondeLike::from_nodes(&[0.5, -1.0], 3)?;
    /// assert_eq!(v.to_dense()?, [1.0, 0.5, 0.25, 1.0, -1.0, 1.0]);
    /// # Ok::<(), displace::Error>(())
    /// ```
    pub fn from_nodes(nodes: &[T], cols: usize) -> Result<Matrix<T, Self>> {
        check_count(Shape::new(nodes.len(), cols)?)?;
        let filter = Filter::new(fast_length(cols), cols);
        let g: Vec<T> = nodes.iter().map(|v| T::of(filter.divisor(v.wide()))).collect();
        let mut h = zeros("H", cols)?;
        h.iter_mut().take(1).for_each(|h| *h = T::one());
        Self::from_generators(nodes, cols, 1, &g, &h)
    }

    /// Any m×n matrix, given row by row, at the full displacement rank min(m, n), with nodes of your choice: exact, but not
    /// compressed.
    ///
    /// # Errors
    ///
    /// As for [`VandermondeLike::from_generators`], and [`Error::Length`](crate::Error::Length) unless `dense` holds m·n
    /// numbers.
    pub fn from_dense(nodes: &[T], cols: usize, dense: &[T]) -> Result<Matrix<T, Self>> {
        let (m, n) = (nodes.len(), cols);
        let structure = Self::new(m, n, m.min(n))?;
        has_length("the entries", dense, m * n)?;
        check_nodes(nodes)?;
        let mut displaced: Vec<f64> = dense.iter().map(|entry| entry.wide()).collect();
        structure.by_nodes(nodes).displace(&mut displaced);
        let parameters = structure.terms.full_rank_parameters(&displaced, nodes);
        Matrix::new(Arc::new(structure), parameters)
    }

    /// The order N of the transforms.
    pub fn order(&self) -> usize {
        self.terms.order
    }

    /// The nodes: the fixed ones, or those among the parameters; none if these are too few.
    pub fn nodes<'a>(&'a self, parameters: &'a [T]) -> &'a [T] {
        match &self.fixed {
            Some(nodes) => nodes,
            None => parameters.get(self.terms.generators()..).unwrap_or_default(),
        }
    }

    fn placed<'a>(&self, bound: Bound<'a, T>, anew: &'a mut Nodes<T>) -> &'a Nodes<T> {
        placed(bound.prepared, anew, |nodes| self.terms.evaluation.place(self.nodes(bound.parameters), nodes))
    }

    fn by_nodes(&self, nodes: &[T]) -> ByNodes {
        ByNodes { filter: self.filter, nodes: nodes.iter().map(|v| v.wide()).collect() }
    }
}

impl<T: Scalar> Structure<T> for VandermondeLike<T> {
    fn family(&self) -> Family {
        Family::VandermondeLike
    }

    fn rows(&self) -> usize {
        self.terms.shape.rows
    }

    fn cols(&self) -> usize {
        self.terms.shape.cols
    }

    fn rank(&self) -> Option<usize> {
        Some(self.terms.rank)
    }

    fn at_rank(&self, rank: usize) -> Option<Result<Arc<dyn Structure<T>>>> {
        let Shape { rows, cols } = self.terms.shape;
        let structure = Self::with_order(rows, cols, rank, self.terms.order).and_then(|free| match &self.fixed {
            Some(nodes) => free.fix_nodes(nodes),
            None => Ok(free),
        });
        Some(structure.map(|structure| Arc::new(structure) as Arc<dyn Structure<T>>))
    }

    fn reconstruction(&self, Parameters(parameters): Parameters<'_, T>) -> Option<Arc<dyn Reconstruction>> {
        Some(Arc::new(self.by_nodes(self.nodes(parameters))))
    }

    fn constants(&self) -> Vec<(&'static str, Vec<f64>)> {
        let order = ("order", vec![self.terms.order as f64]);
        let nodes = self.fixed.as_ref().map(|nodes| ("v", nodes.iter().map(|v| v.wide()).collect()));
        std::iter::once(order).chain(nodes).collect()
    }

    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn check(&self, parameters: &[T]) -> Result<()> {
        has_length("parameters", parameters, self.layout.len())?;
        let (generators, nodes) = parameters.split_at(self.terms.generators());
        all_finite("parameters", generators)?;
        check_nodes(nodes)
    }

    fn prepare(&self, Parameters(parameters): Parameters<'_, T>, prepared: &mut Prepared<T>, scratch: &mut [T]) {
        let nodes = self.nodes(parameters);
        if self.fixed.is_none() || prepared.object.is_none() {
            place(prepared, |placed| self.terms.evaluation.place(nodes, placed));
        }
        self.terms.prepare(parameters, prepared, scratch, |factors, slopes| {
            for ((&v, factor), slope) in nodes.iter().zip(factors).zip(slopes) {
                let [divisor, log_derivative] = self.filter.divisor_and_slope(v.wide());
                *factor = T::of(divisor.recip());
                *slope = T::of(log_derivative);
            }
        });
    }

    fn scratch_len(&self) -> usize {
        self.terms.scratch_len()
    }

    fn apply(&self, bound: Bound<'_, T>, x: &[T], y: &mut [T], scratch: &mut [T]) {
        self.terms.apply(bound, self.placed(bound, &mut Nodes::default()), x, y, scratch);
    }

    fn apply_transposed(&self, bound: Bound<'_, T>, y: &[T], x: &mut [T], scratch: &mut [T]) {
        self.terms.apply_transposed(bound, self.placed(bound, &mut Nodes::default()), y, x, scratch);
    }

    fn gradient_len(&self, _: usize) -> usize {
        self.terms.gradient_len(self.terms.shape.rows)
    }

    fn backward(
        &self,
        bound: Bound<'_, T>,
        x: &[T],
        dy: &[T],
        dx: Option<&mut [T]>,
        sums: &mut [T],
        scratch: &mut [T],
    ) {
        let mut anew = Nodes::default();
        let nodes = self.placed(bound, &mut anew);
        self.terms.backward(bound, nodes, [x, dy], dx, self.fixed.is_none(), sums, scratch);
    }

    fn finish_gradient(&self, bound: Bound<'_, T>, sums: &mut [T], gradient: &mut [T], scratch: &mut [T]) {
        self.terms.finish_gradient(bound, sums, gradient, scratch);
    }

    fn write_dense(&self, Parameters(parameters): Parameters<'_, T>, dense: &mut [T]) {
        let mut wide = self.terms.displacement(parameters);
        self.by_nodes(self.nodes(parameters)).reconstruct(&mut wide);
        dense.iter_mut().zip(wide).for_each(|(entry, wide)| *entry = T::of(wide));
    }

    fn pull_back(&self, Parameters(parameters): Parameters<'_, T>, dense: &[T], gradient: &mut [T]) {
        let n = self.terms.shape.cols;
        let by_nodes = self.by_nodes(self.nodes(parameters));
        let mut adjoint: Vec<f64> = dense.iter().map(|d| d.wide()).collect();
        by_nodes.pull_back(&mut adjoint);
        if self.fixed.is_none() {
            let mut matrix = self.terms.displacement(parameters);
            by_nodes.reconstruct(&mut matrix);
            let rows = matrix.chunks_exact(n).zip(adjoint.chunks_exact(n)).zip(&by_nodes.nodes);
            for (((row, adjoint), &v), d) in rows.zip(&mut gradient[self.terms.generators()..]) {
                *d += T::of(self.filter.pull_back(v, row, adjoint));
            }
        }
        let adjoint: Vec<T> = adjoint.into_iter().map(T::of).collect();
        self.terms.shape.pull_back_generators(self.terms.rank, parameters, &adjoint, gradient);
    }

    /// Nodes as in [`Vandermonde`](crate::structured::Vandermonde), and normal generators, scaled so that every *row* of M
    /// has the variance asked for, whatever its node.
    fn initialise(&self, init: Init, rng: &mut fastrand::Rng, parameters: &mut [T]) -> Result<()> {
        has_length("parameters", parameters, self.layout().len())?;
        let Terms { shape: Shape { rows: m, cols: n }, rank, order, .. } = self.terms;
        if self.fixed.is_none() {
            spread(order, rng, &mut parameters[self.terms.generators()..]);
        }
        let variance = init.variance(m, n) / rank.max(1) as f64;
        let variances: Vec<f64> =
            self.nodes(parameters).iter().map(|v| variance / self.filter.gain(v.wide())).collect();
        self.terms.initialise(&variances, rng, parameters);
        Ok(())
    }

    fn cost(&self, batch: usize) -> f64 {
        let Terms { shape, rank, order, .. } = self.terms;
        let numbers = (order + shape.rows) as f64 * NUMBER * size_of::<T>() as f64;
        let laplace = laplace_cost::<T>(shape.rows, order, batch, false);
        REAL_NODES * (transform_cost::<T>(order, rank + 1, batch) + rank as f64 * (numbers + laplace))
    }
}

/// Nanoseconds per byte that a term hands from one transform to the next.
const NUMBER: f64 = 0.05;

impl<T: Scalar> Evaluation<T> for Laplace<T> {
    type Nodes = Nodes<T>;
    const EACH: usize = 1;

    fn transform_len(_: usize) -> usize {
        0
    }

    fn new(order: usize) -> Self {
        Self::new(order)
    }

    fn scratch_len(&self, rows: usize) -> usize {
        self.scratch_len(rows)
    }

    fn forward(&self, nodes: &Nodes<T>, x: &[T], y: &mut [T], scratch: &mut [T]) {
        self.forward(nodes, x, y, scratch);
    }

    fn adjoint(&self, nodes: &Nodes<T>, y: &[T], x: &mut [T], scratch: &mut [T]) {
        self.adjoint(nodes, y, x, scratch);
    }

    fn node_gradient(&self, nodes: &Nodes<T>, x: &[T], dy: &[T], gradient: &mut [T], scratch: &mut [T]) {
        self.node_gradient(nodes, x, dy, gradient, scratch);
    }

    fn multiply(factors: &[T], row: &[T], out: &mut [T]) {
        for ((out, &factor), &x) in out.iter_mut().zip(factors).zip(row) {
            *out = factor * x;
        }
    }

    fn add_product(factors: &[T], row: &[T], out: &mut [T]) {
        for ((out, &factor), &x) in out.iter_mut().zip(factors).zip(row) {
            *out += factor * x;
        }
    }

    fn multiply_conjugate(factors: &[T], row: &[T], out: &mut [T]) {
        Self::multiply(factors, row, out);
    }

    fn add_conjugate_product(factors: &[T], row: &[T], out: &mut [T]) {
        Self::add_product(factors, row, out);
    }

    fn add_slopes(slopes: &[T], values: &[T], dual: &[T], sums: &mut [T]) {
        for (((sum, &slope), &value), &dual) in sums.iter_mut().zip(slopes).zip(values).zip(dual) {
            *sum += slope * value * dual;
        }
    }
}

/// How a Vandermonde-like matrix follows from its displacement: a recursive filter along each row, O(mn).
#[derive(Debug)]
struct ByNodes {
    filter: Filter,
    nodes: Vec<f64>,
}

impl ByNodes {
    fn each(&self, matrix: &mut [f64], change: impl Fn(f64, &mut [f64])) {
        matrix.chunks_exact_mut(self.filter.cols).zip(&self.nodes).for_each(|(row, &v)| change(v, row));
    }
}

impl Reconstruction for ByNodes {
    fn reconstruct(&self, displacement: &mut [f64]) {
        self.each(displacement, |v, row| self.filter.integrate(v, row));
    }

    fn pull_back(&self, gradient: &mut [f64]) {
        self.each(gradient, |v, row| self.filter.integrate_adjoint(v, row));
    }

    fn displace(&self, matrix: &mut [f64]) {
        self.each(matrix, |v, row| self.filter.displace(v, row));
    }
}
