//! Vandermonde-like matrices of nodes on the unit circle, as real matrices: sums of r products of a scaling, a
//! Vandermonde and an f-circulant matrix, f = ½.
//!
//! With angles θ, R the matrix of 2×2 rotations by them ([`Rotation`](crate::displacement::Rotation); a last 1 if m is
//! odd), *real* generators G (m×r) and H (n×r) and an order N ≥ n, M is the first n columns of the m×N matrix with the
//! Stein displacement
//!
//! `M − R M Z_fᵀ = G Hᵀ`,
//!
//! the columns of H continued by zeros to length N. A pair of rows 2i, 2i + 1 is a complex row, on which R multiplies
//! by the node `v = e^{iθ}`, so that
//!
//! `M = diag(1 / (1 − f vᴺ)) Σ_j diag(g_j) V Z_f(h_j)ᵀ`
//!
//! with complex g_j = `G_{2i,j} + i G_{2i+1,j}` and the m×N Vandermonde matrix V of
//! [`CircleVandermonde`](crate::structured::CircleVandermonde).
//!
//! * At f = ½ the divisor `1 − f vᴺ` lies on a circle of radius ½ around 1, so the map from `G Hᵀ` to M is a bijection
//!   of m×n matrices for *any* angles and any N, with a condition number below 8N: every real matrix is of this kind at
//!   r = min(m, n), and a Vandermonde matrix, which in the real form has rank 1 as well, at r = 1. N is rounded up to a
//!   length with fast transforms; [`CircleVandermondeLike::with_order`] keeps it at n.
//! * `Z_½ = φ S Z_1 S⁻¹` with φ = 2^{−1/N} and S = diag(φ^{−k}): products with `Z_½(h)` are cyclic.
//!
//! *Parameters:* r(m + n), and the ⌊m/2⌋ angles where they are trained. *Cost:* r + 1 real transforms of length N and r
//! non-uniform Fourier transforms for a product; 2r + 1 and 3r (2r if the nodes are fixed) for all gradients, and 2r +
//! 2 transforms a batch besides. *Accuracy:* 10⁻¹¹ (f32: 2·10⁻⁵) in norm, for any angles.
//!
//! *Choose it* over [`VandermondeLike`](super::VandermondeLike) as a layer: every node sees the whole input, whatever its
//! length, where real nodes see only what their decay leaves, and no step can move an angle out of range. At equispaced
//! nodes it is nearly a [`ToeplitzLike`](super::ToeplitzLike) matrix followed by a Fourier transform; beyond that it can
//! move the nodes, for one more non-uniform transform per term.

use std::sync::Arc;

use num_complex::Complex;

use super::circle_filter::{CircleFilter, Node};
use super::terms::{Evaluation, Terms};
use crate::error::{all_finite, has_length, zeros};
use crate::matrix::{
    Bound, CIRCLE_NODES, Family, Init, Layout, Matrix, Parameters, Prepared, Reconstruction, Structure, transform_cost,
};
use crate::shape::Shape;
use crate::structured::circle_vandermonde::{nodes, spread};
use crate::structured::vandermonde::{check_count, place, placed};
use crate::transform::fast_length;
use crate::transform::nonuniform::{Nodes, Nonuniform};
use crate::{Result, Scalar};

/// The structure of a Vandermonde-like m×n matrix of displacement rank r with ⌊m/2⌋ nodes on the unit circle.
///
/// Parameters: tensors `"G"` and `"H"`, stored transposed as r×m and r×n, and the angles `"theta"` unless they are
/// fixed.
#[derive(Debug)]
pub struct CircleVandermondeLike<T: Scalar> {
    terms: Terms<T, Nonuniform<T>>,
    filter: CircleFilter,
    layout: Layout,
    /// The angles, if they are not among the parameters.
    fixed: Option<Vec<T>>,
}

impl<T: Scalar> CircleVandermondeLike<T> {
    /// A Vandermonde-like m×n matrix without parameters, of displacement rank `rank` from 0 to min(m, n), its angles
    /// among the parameters, with N rounded up from n to a length that has fast transforms.
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
    /// As for [`CircleVandermondeLike::new`], and [`Error::OutOfRange`](crate::Error::OutOfRange) for an order below n or
    /// above 2n + 1.
    pub fn with_order(rows: usize, cols: usize, rank: usize, order: usize) -> Result<Self> {
        let terms = Terms::new(rows, cols, rank, order)?;
        let layout = terms.layout().with("theta", &[rows / 2]);
        Ok(Self { terms, filter: CircleFilter { order, cols }, layout, fixed: None })
    }

    /// Takes the angles out of the parameters and fixes them.
    ///
    /// # Errors
    ///
    /// [`Error::Length`](crate::Error::Length) unless there are ⌊m/2⌋ of them, [`Error::NotFinite`](crate::Error::NotFinite).
    pub fn fix_angles(mut self, angles: &[T]) -> Result<Self> {
        has_length("theta", angles, self.terms.shape.rows / 2)?;
        all_finite("theta", angles)?;
        self.layout = self.terms.layout();
        self.fixed = Some(angles.to_vec());
        Ok(self)
    }

    /// The m×n matrix of these ⌊m/2⌋ angles and the generators whose columns are the rows of `g` (r×m) and `h` (r×n).
    ///
    /// # Errors
    ///
    /// As for [`CircleVandermondeLike::new`], and [`Error::Length`](crate::Error::Length) or
    /// [`Error::NotFinite`](crate::Error::NotFinite) for bad parameters.
    pub fn from_generators(
        rows: usize,
        angles: &[T],
        cols: usize,
        rank: usize,
        g: &[T],
        h: &[T],
    ) -> Result<Matrix<T, Self>> {
        let structure = Self::new(rows, cols, rank)?;
        has_length("theta", angles, rows / 2)?;
        let mut parameters = structure.terms.shape.join_generators(rank, g, h)?;
        parameters.extend_from_slice(angles);
        Matrix::new(Arc::new(structure), parameters)
    }

    /// The Vandermonde matrix of the nodes at these angles, two rows each, of displacement rank 1, to be grown or
    /// trained from there.
    ///
    /// # Errors
    ///
    /// As for [`CircleVandermondeLike::from_generators`].
    ///
    /// ```
    /// let v = displace::ldr::CircleVandermondeLike::from_angles(&[std::f64::consts::FRAC_PI_2], 3)?;
    /// let (dense, cos_sin) = (v.to_dense()?, [1.0, 0.0, -1.0, 0.0, 1.0, 0.0]);
    /// assert!(dense.iter().zip(cos_sin).all(|(a, b)| (a - b).abs() < 1e-15));
    /// # Ok::<(), displace::Error>(())
    /// ```
    pub fn from_angles(angles: &[T], cols: usize) -> Result<Matrix<T, Self>> {
        let rows = 2 * angles.len();
        check_count(Shape::new(rows, cols)?)?;
        all_finite("theta", angles)?;
        let filter = CircleFilter { order: fast_length(cols), cols };
        let divisor = |turns| {
            let divisor = filter.node(turns).divisor;
            [T::of(divisor.re), T::of(divisor.im)]
        };
        let g: Vec<T> = nodes(angles, rows).flat_map(divisor).collect();
        let mut h = zeros("H", cols)?;
        h.iter_mut().take(1).for_each(|h| *h = T::one());
        Self::from_generators(rows, angles, cols, 1, &g, &h)
    }

    /// Any m×n matrix, given row by row, at the full displacement rank min(m, n), with ⌊m/2⌋ angles of your choice: exact,
    /// but not compressed.
    ///
    /// # Errors
    ///
    /// As for [`CircleVandermondeLike::from_generators`], and [`Error::Length`](crate::Error::Length) unless `dense` holds
    /// m·n numbers.
    pub fn from_dense(rows: usize, angles: &[T], cols: usize, dense: &[T]) -> Result<Matrix<T, Self>> {
        let structure = Self::new(rows, cols, rows.min(cols))?;
        has_length("theta", angles, rows / 2)?;
        has_length("the entries", dense, rows * cols)?;
        all_finite("theta", angles)?;
        let mut displaced: Vec<f64> = dense.iter().map(|entry| entry.wide()).collect();
        structure.by_nodes(angles).displace(&mut displaced);
        let parameters = structure.terms.full_rank_parameters(&displaced, angles);
        Matrix::new(Arc::new(structure), parameters)
    }

    /// The order N of the transforms.
    pub fn order(&self) -> usize {
        self.terms.order
    }

    /// The angles: the fixed ones, or those among the parameters; none if these are too few.
    pub fn angles<'a>(&'a self, parameters: &'a [T]) -> &'a [T] {
        match &self.fixed {
            Some(angles) => angles,
            None => parameters.get(self.terms.generators()..).unwrap_or_default(),
        }
    }

    fn placed<'a>(&self, bound: Bound<'a, T>, anew: &'a mut Nodes<T>) -> &'a Nodes<T> {
        placed(bound.prepared, anew, |nodes| {
            self.terms.evaluation.place(self.angles(bound.parameters), self.terms.shape.rows, nodes)
        })
    }

    fn by_nodes(&self, angles: &[T]) -> ByNodes {
        let Shape { rows, cols } = self.terms.shape;
        ByNodes { cols, nodes: nodes(angles, rows).map(|turns| self.filter.node(turns)).collect() }
    }
}

impl<T: Scalar> Structure<T> for CircleVandermondeLike<T> {
    fn family(&self) -> Family {
        Family::CircleVandermondeLike
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
            Some(angles) => free.fix_angles(angles),
            None => Ok(free),
        });
        Some(structure.map(|structure| Arc::new(structure) as Arc<dyn Structure<T>>))
    }

    fn reconstruction(&self, Parameters(parameters): Parameters<'_, T>) -> Option<Arc<dyn Reconstruction>> {
        Some(Arc::new(self.by_nodes(self.angles(parameters))))
    }

    fn constants(&self) -> Vec<(&'static str, Vec<f64>)> {
        let order = ("order", vec![self.terms.order as f64]);
        let angles = self.fixed.as_ref().map(|angles| ("theta", angles.iter().map(|angle| angle.wide()).collect()));
        std::iter::once(order).chain(angles).collect()
    }

    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn check(&self, parameters: &[T]) -> Result<()> {
        has_length("parameters", parameters, self.layout.len())?;
        let (generators, angles) = parameters.split_at(self.terms.generators());
        all_finite("parameters", generators)?;
        all_finite("theta", angles)
    }

    fn prepare(&self, Parameters(parameters): Parameters<'_, T>, prepared: &mut Prepared<T>, scratch: &mut [T]) {
        let (angles, m) = (self.angles(parameters), self.terms.shape.rows);
        if self.fixed.is_none() || prepared.object.is_none() {
            place(prepared, |placed| self.terms.evaluation.place(angles, m, placed));
        }
        self.terms.prepare(parameters, prepared, scratch, |factors, slopes| {
            for ((turns, factor), slope) in nodes(angles, m).zip(factors.chunks_mut(2)).zip(slopes.chunks_mut(2)) {
                let node = self.filter.node(turns);
                write(node.divisor.inv(), factor);
                write(self.filter.slope(node), slope);
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
        self.terms.gradient_len(self.terms.shape.rows / 2)
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
        self.by_nodes(self.angles(parameters)).reconstruct(&mut wide);
        dense.iter_mut().zip(wide).for_each(|(entry, wide)| *entry = T::of(wide));
    }

    fn pull_back(&self, Parameters(parameters): Parameters<'_, T>, dense: &[T], gradient: &mut [T]) {
        let by_nodes = self.by_nodes(self.angles(parameters));
        let mut adjoint: Vec<f64> = dense.iter().map(|d| d.wide()).collect();
        let mut adjoint_rows = Vec::new();
        by_nodes.each(&mut adjoint, |_, node, row| {
            node.integrate_adjoint(row);
            adjoint_rows.extend_from_slice(row);
        });
        if self.fixed.is_none() {
            let n = self.terms.shape.cols;
            let slopes = &mut gradient[self.terms.generators()..];
            let mut matrix = self.terms.displacement(parameters);
            by_nodes.each(&mut matrix, |i, node, row| {
                node.integrate(row);
                if let Some(slope) = slopes.get_mut(i) {
                    *slope += T::of(self.filter.pull_back(node, row, &adjoint_rows[i * n..][..n]));
                }
            });
        }
        let adjoint: Vec<T> = adjoint.into_iter().map(T::of).collect();
        self.terms.shape.pull_back_generators(self.terms.rank, parameters, &adjoint, gradient);
    }

    /// Angles as in [`CircleVandermonde`](crate::structured::CircleVandermonde), and normal generators, scaled so that
    /// every *pair of rows* of M has the variance asked for, whatever its node.
    fn initialise(&self, init: Init, rng: &mut fastrand::Rng, parameters: &mut [T]) -> Result<()> {
        has_length("parameters", parameters, self.layout().len())?;
        let Terms { shape: Shape { rows: m, cols: n }, rank, .. } = self.terms;
        if self.fixed.is_none() {
            spread(m, rng, &mut parameters[self.terms.generators()..]);
        }
        let variance = init.variance(m, n) / rank.max(1) as f64;
        let of_node = |turns| variance / self.filter.gain(self.filter.node(turns));
        let variances: Vec<f64> = nodes(self.angles(parameters), m).map(of_node).collect();
        self.terms.initialise(&variances, rng, parameters);
        Ok(())
    }

    fn cost(&self, batch: usize) -> f64 {
        let Terms { shape, rank, order, ref evaluation, .. } = self.terms;
        let numbers = (order + shape.rows) as f64 * NUMBER * size_of::<T>() as f64;
        let terms = rank as f64 * (numbers + evaluation.cost(shape.rows, batch));
        CIRCLE_NODES * (transform_cost::<T>(order, rank + 1, batch) + terms)
    }
}

/// How a matrix follows from its displacement: a recursive filter along each pair of rows, O(mn).
#[derive(Debug)]
struct ByNodes {
    cols: usize,
    nodes: Vec<Node>,
}

impl ByNodes {
    /// Acts on every pair of rows as on a complex row; an unpaired last one has no imaginary part.
    fn each(&self, rows: &mut [f64], mut act: impl FnMut(usize, Node, &mut [Complex<f64>])) {
        let mut row = vec![Complex::default(); self.cols];
        for (i, (pair, &node)) in rows.chunks_mut(2 * self.cols).zip(&self.nodes).enumerate() {
            let (re, im) = pair.split_at_mut(self.cols);
            for (k, z) in row.iter_mut().enumerate() {
                *z = Complex::new(re[k], im.get(k).copied().unwrap_or(0.0));
            }
            act(i, node, &mut row);
            re.iter_mut().zip(&row).for_each(|(re, z)| *re = z.re);
            im.iter_mut().zip(&row).for_each(|(im, z)| *im = z.im);
        }
    }
}

impl Reconstruction for ByNodes {
    fn reconstruct(&self, displacement: &mut [f64]) {
        self.each(displacement, |_, node, row| node.integrate(row));
    }

    fn pull_back(&self, gradient: &mut [f64]) {
        self.each(gradient, |_, node, row| node.integrate_adjoint(row));
    }

    fn displace(&self, matrix: &mut [f64]) {
        self.each(matrix, |_, node, row| node.displace(row));
    }
}

/// Nanoseconds per byte that a term hands from one transform to the next.
const NUMBER: f64 = 0.07;

/// A factor of a complex product: itself, or its conjugate.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Factor {
    Plain,
    Conjugate,
}

/// Writes a complex number to a pair, or its real part to a single number.
fn write<T: Scalar>(z: Complex<f64>, pair: &mut [T]) {
    pair.iter_mut().zip([z.re, z.im]).for_each(|(out, part)| *out = T::of(part));
}

/// Puts the products of two rows of complex numbers, an unpaired last number being real, where `put` says.
fn products<T: Scalar>(factors: &[T], kind: Factor, row: &[T], out: &mut [T], put: impl Fn(&mut T, T)) {
    let sign = if kind == Factor::Conjugate { -T::one() } else { T::one() };
    let (pairs, last) = out.as_chunks_mut::<2>();
    for ((out, &[a, b]), &[re, im]) in pairs.iter_mut().zip(factors.as_chunks().0).zip(row.as_chunks().0) {
        put(&mut out[0], a * re - sign * b * im);
        put(&mut out[1], a * im + sign * b * re);
    }
    if let ([out], [.., a], [.., x]) = (last, factors, row) {
        put(out, *a * *x);
    }
}

impl<T: Scalar> Evaluation<T> for Nonuniform<T> {
    type Nodes = Nodes<T>;
    const EACH: usize = 2;

    fn transform_len(order: usize) -> usize {
        Self::grid_len(order)
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
        products(factors, Factor::Plain, row, out, |out, product| *out = product);
    }

    fn add_product(factors: &[T], row: &[T], out: &mut [T]) {
        products(factors, Factor::Plain, row, out, |out, product| *out += product);
    }

    fn multiply_conjugate(factors: &[T], row: &[T], out: &mut [T]) {
        products(factors, Factor::Conjugate, row, out, |out, product| *out = product);
    }

    fn add_conjugate_product(factors: &[T], row: &[T], out: &mut [T]) {
        products(factors, Factor::Conjugate, row, out, |out, product| *out += product);
    }

    fn add_slopes(slopes: &[T], values: &[T], dual: &[T], sums: &mut [T]) {
        let pairs = slopes.as_chunks().0.iter().zip(values.as_chunks().0).zip(dual.as_chunks().0);
        for (sum, ((&[a, b], &[re, im]), &[x, y])) in sums.iter_mut().zip(pairs) {
            *sum += (a * re - b * im) * x + (a * im + b * re) * y;
        }
    }
}
