//! Matrices of low displacement rank under any pair of shifts: sums of r products of an f-circulant and an e-circulant.
//!
//! With generators G (m×r) and H (n×r), a [`ShiftPair`] `(Z_f, Z_eᵀ)` with fe ≠ 1 and an order N ≥ max(m, n),
//!
//! `M = 1/(1 − fe) Σ_j Z_f(g_j) Z_e(h_j)ᵀ`, cut to its first m rows and n columns,
//!
//! where the columns of G and H are continued by zeros to length N and `Z_f(v)` is the f-circulant whose first column is v. On
//! the torus of order N its Stein displacement is `M − Z_f M Z_eᵀ = G Hᵀ`. The other three combinations of transposes are this
//! one with the rows or the columns of M in reversed order, `Z_fᵀ = J Z_f J`. Multiplying the Stein form by B⁻¹ from the right
//! (`Z_e⁻¹ = Z_{1/e}ᵀ`) gives the Sylvester form `A M − M B⁻¹ = G (−B⁻ᵀ H)ᵀ`.
//!
//! * (1, −1ᵀ) is [`ToeplitzLike`](super::ToeplitzLike), with the same parameters. (0, 0ᵀ), the classical pair of
//!   Kailath, Kung and Morf (1979), makes M a sum of products of a lower and an upper triangular Toeplitz matrix.
//! * Every Toeplitz matrix has r = 2 under every pair with one shift transposed and the other not, every Hankel matrix
//!   under the other pairs; and every m×n matrix has r = min(m, n): the map from the displacement to M is a bijection of m×n
//!   matrices for every N.
//!
//! *Parameters:* r(m + n); the pair is fixed. *Cost:* 2r + 2 real transforms for a product, 4r + 3 for all gradients. With
//! |f| and |e| in [¼, 4] the transforms are of length N: `Z_f` is a cyclic or negacyclic shift scaled by powers of
//! `|f|^{1/N}`, and the scaling amplifies rounding errors by 4 at most. Otherwise they have length 2N: entries are then
//! convolved as those of a Toeplitz matrix, without powers of f, so that f = 0 or 10⁻³⁰⁰ is as accurate as any other.
//! *Accuracy:* that of the FFT, relative to `‖G‖‖H‖/|1 − fe|` as fe nears 1. *Choose it* where the operator pair is
//! given, by theory or by another library's generators; as a layer, [`ToeplitzLike`](super::ToeplitzLike) is as
//! expressive and a little faster.

use std::sync::Arc;

use super::sandwich::{Diagonals, Sandwich};
use super::toeplitz_like::{full_generators, leading_generators};
use super::torus::Torus;
use crate::displacement::{DisplacementOperator, Generators, ShiftOperator, ShiftPair};
use crate::error::{all_finite, has_length};
use crate::matrix::{
    Bound, Family, Init, Layout, Matrix, Parameters, Prepared, Reconstruction, Structure, normal, transform_cost,
};
use crate::shape::Shape;
use crate::structured::f_circulant::{LARGEST_CORNER, largest_corner};
use crate::transform::{Order, Wrap, fast_length};
use crate::unstructured::gemm::gemm_tn;
use crate::{Error, Result, Scalar};

/// Corners whose absolute values are between the inverse of this and this are reached by scaling a cyclic shift.
const SCALED: f64 = 4.0;

/// The structure of an m×n matrix of displacement rank r under a pair of shifts.
///
/// r(m + n) parameters: tensors `"G"` and `"H"`, stored transposed as r×m and r×n, one column of G or H a row.
#[derive(Debug)]
pub struct ShiftLike<T: Scalar> {
    displacement: ShiftDisplacement,
    rank: usize,
    layout: Layout,
    engine: Sandwich<T>,
    /// The diagonals of the engine, where the shifts are scaled cyclic ones.
    scales: Option<Scales<T>>,
}

/// `φ^{−k}` at both ends and `φ^k ψ^k` between, with φ = |f|^{1/N} and ψ = |e|^{1/N}.
#[derive(Debug)]
struct Scales<T> {
    post: Vec<T>,
    inner: Vec<T>,
    pre: Vec<T>,
}

fn power(f: f64, order: usize, k: usize) -> f64 {
    f.abs().powf(k as f64 / order as f64)
}

impl<T: Scalar> ShiftLike<T> {
    /// An m×n matrix without parameters, of displacement rank `rank` from 0 to min(m, n) under a pair of shifts, with N
    /// rounded up from max(m, n) to a length that has fast transforms.
    ///
    /// # Errors
    ///
    /// [`Error::EmptyShape`], [`Error::RankTooLarge`], [`Error::TooLarge`] or [`Error::Memory`]; [`Error::OutOfRange`] for a corner above
    /// ε/tiny of the number type (10³¹ for f32, 10²⁹² for f64): the entries of `G Hᵀ` are smaller than those of the matrix by
    /// as much, and lose their digits.
    pub fn new(rows: usize, cols: usize, rank: usize, pair: ShiftPair) -> Result<Self> {
        Self::with_order(rows, cols, rank, pair, fast_length(rows.max(cols)))
    }

    /// The same with an order N of your own, such as max(m, n) itself. For a square matrix of order N the displacement
    /// operator is that of the two shifts.
    ///
    /// # Errors
    ///
    /// As for [`ShiftLike::new`], and [`Error::OutOfRange`] for an order below max(m, n) or above twice that + 1.
    pub fn with_order(rows: usize, cols: usize, rank: usize, pair: ShiftPair, order: usize) -> Result<Self> {
        let shape = Shape::new(rows, cols)?;
        shape.check_rank(rank)?;
        if order < shape.order() || order > 2 * shape.order() + 1 {
            let range = "[max(m, n), 2 max(m, n) + 1]";
            return Err(Error::OutOfRange { what: "the order N", value: order as f64, range });
        }
        let displacement = ShiftDisplacement::new(shape, pair, order);
        let Torus { f, e, .. } = displacement.torus;
        if let Some(&value) = [f, e].iter().find(|f| f.abs() > largest_corner::<T>()) {
            let what = "a corner of A or B in M − A M B";
            return Err(Error::OutOfRange { what, value, range: LARGEST_CORNER });
        }
        let scaled = [f, e].iter().all(|f| (SCALED.recip()..=SCALED).contains(&f.abs()));
        let wrap = |f: f64| if scaled && f < 0.0 { Wrap::Negacyclic } else { Wrap::Cyclic };
        let length = if scaled { order } else { fast_length(order + shape.order() - 1) };
        shape.check_transform::<T>(length)?;
        let powers = |len: usize, power: &dyn Fn(usize) -> f64| (0..len).map(|k| T::of(power(k))).collect();
        let scales = (scaled && (f.abs(), e.abs()) != (1.0, 1.0)).then(|| Scales {
            post: powers(rows, &|k| power(f, order, k).recip()),
            inner: powers(order, &|k| power(f, order, k) * power(e, order, k)),
            pre: powers(cols, &|k| power(e, order, k).recip()),
        });
        let orders = [displacement.row_order, displacement.column_order];
        Ok(Self {
            engine: Sandwich::new(shape, order, length, rank, [wrap(f), wrap(e)], orders),
            displacement,
            rank,
            layout: shape.generator_layout(rank),
            scales,
        })
    }

    /// The matrix of the generators whose columns are the rows of `g` (r×m) and `h` (r×n).
    ///
    /// # Errors
    ///
    /// As for [`ShiftLike::new`], and [`Error::Length`] or [`Error::NotFinite`] for bad generators.
    ///
    /// ```
    /// use displace::displacement::{ShiftOperator::{Plain, Transposed}, ShiftPair};
    /// use displace::ldr::ShiftLike;
    ///
    /// // A lower times an upper triangular Toeplitz matrix.
    /// let pair = ShiftPair::stein(Plain(0.0), Transposed(0.0))?;
    /// let m = ShiftLike::from_generators(2, 2, 1, pair, &[1.0, 2.0], &[1.0, 3.0])?;
    /// assert_eq!(m.to_dense()?, [1.0, 3.0, 2.0, 7.0]);
    /// # Ok::<(), displace::Error>(())
    /// ```
    pub fn from_generators(
        rows: usize,
        cols: usize,
        rank: usize,
        pair: ShiftPair,
        g: &[T],
        h: &[T],
    ) -> Result<Matrix<T, Self>> {
        let structure = Self::new(rows, cols, rank, pair)?;
        let parameters = structure.shape().join_generators(rank, g, h)?;
        Matrix::new(Arc::new(structure), parameters)
    }

    /// Projects a dense m×n matrix, row by row, to displacement rank `rank`; see
    /// [`ToeplitzLike::from_dense`](super::ToeplitzLike::from_dense) for what that is worth and costs.
    ///
    /// # Errors
    ///
    /// As for [`ShiftLike::new`]; [`Error::Length`] when there are not mn entries, [`Error::NotFinite`].
    pub fn from_dense(
        rows: usize,
        cols: usize,
        rank: usize,
        pair: ShiftPair,
        entries: &[T],
    ) -> Result<Matrix<T, Self>> {
        let structure = Self::new(rows, cols, rank, pair)?;
        structure.shape().check_dense()?;
        let displacement = structure.displacement.displace(entries)?;
        let parameters = if rank == rows.min(cols) {
            full_generators(&displacement, rows, cols)
        } else {
            leading_generators(&displacement, rows, cols, rank)
        };
        Matrix::new(Arc::new(structure), parameters)
    }

    /// The pair of shifts.
    pub fn pair(&self) -> ShiftPair {
        self.displacement.pair
    }

    /// The displacement operator under which the matrices have the displacement `G Hᵀ`.
    pub fn displacement(&self) -> ShiftDisplacement {
        self.displacement
    }

    fn shape(&self) -> Shape {
        self.displacement.torus.shape
    }

    fn diagonals(&self) -> Diagonals<'_, T> {
        match &self.scales {
            Some(Scales { post, inner, pre }) => Diagonals { post: Some(post), inner: Some(inner), pre: Some(pre) },
            None => Diagonals { post: None, inner: None, pre: None },
        }
    }

    /// `1/(1 − fe)`.
    fn factor(&self) -> f64 {
        let Torus { f, e, .. } = self.displacement.torus;
        (1.0 - f * e).recip()
    }

    /// The corner of a side, the order in which its generators are read, and their length.
    fn side(&self, side: usize) -> (f64, Order, usize) {
        let ShiftDisplacement { torus, row_order, column_order, .. } = self.displacement;
        match side {
            0 => (torus.f, row_order, torus.shape.rows),
            _ => (torus.e, column_order, torus.shape.cols),
        }
    }

    /// Where element k of a generator of a side stands in the kernel of length L, each with its factor.
    fn places(&self, side: usize, k: usize, length: usize) -> impl Iterator<Item = (usize, T)> + use<T> {
        let (f, ..) = self.side(side);
        let order = self.displacement.torus.order;
        // Scaled cyclic shifts wrap by themselves, with the sign of f.
        let scale = if self.scales.is_some() { power(f, order, k) } else { 1.0 };
        let wrapped = (length > order && k > 0).then(|| (length - order + k, T::of(f)));
        std::iter::once((k, T::of(scale))).chain(wrapped)
    }
}

/// Element k of a row that is read in an order.
fn at(order: Order, row: usize, k: usize) -> usize {
    if order == Order::Natural { k } else { row - 1 - k }
}

impl<T: Scalar> Structure<T> for ShiftLike<T> {
    fn family(&self) -> Family {
        Family::ShiftLike(self.displacement.pair)
    }

    fn rows(&self) -> usize {
        self.shape().rows
    }

    fn cols(&self) -> usize {
        self.shape().cols
    }

    fn rank(&self) -> Option<usize> {
        Some(self.rank)
    }

    fn at_rank(&self, rank: usize) -> Option<Result<Arc<dyn Structure<T>>>> {
        let ShiftDisplacement { torus: Torus { shape: Shape { rows, cols }, order, .. }, pair, .. } = self.displacement;
        let structure = Self::with_order(rows, cols, rank, pair, order);
        Some(structure.map(|structure| Arc::new(structure) as Arc<dyn Structure<T>>))
    }

    fn reconstruction(&self, _: Parameters<'_, T>) -> Option<Arc<dyn Reconstruction>> {
        Some(Arc::new(OnTorus(self.displacement)))
    }

    fn constants(&self) -> Vec<(&'static str, Vec<f64>)> {
        vec![("order", vec![self.displacement.torus.order as f64])]
    }

    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn prepare(&self, Parameters(parameters): Parameters<'_, T>, prepared: &mut Prepared<T>, scratch: &mut [T]) {
        let (g, h) = self.shape().generators(self.rank, parameters);
        let write = |side: usize, j: usize, kernel: &mut [T]| {
            let (_, order, row) = self.side(side);
            let generator = &[g, h][side][j * row..][..row];
            for k in 0..row {
                for (place, factor) in self.places(side, k, kernel.len()) {
                    kernel[place] = factor * generator[at(order, row, k)];
                }
            }
        };
        self.engine.prepare(self.factor(), write, prepared.numbers_mut(self.engine.spectra_len()), scratch);
    }

    fn scratch_len(&self) -> usize {
        self.engine.scratch_len()
    }

    fn apply(&self, bound: Bound<'_, T>, x: &[T], y: &mut [T], scratch: &mut [T]) {
        self.engine.apply(&bound.prepared.numbers, self.diagonals(), x, y, scratch);
    }

    fn apply_transposed(&self, bound: Bound<'_, T>, y: &[T], x: &mut [T], scratch: &mut [T]) {
        self.engine.apply_transposed(&bound.prepared.numbers, self.diagonals(), y, x, scratch);
    }

    fn gradient_len(&self, batch: usize) -> usize {
        self.engine.sums_len(batch)
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
        self.engine.backward(&bound.prepared.numbers, self.diagonals(), [x, dy], None, dx, sums, None, scratch);
    }

    fn finish_gradient(&self, _: Bound<'_, T>, sums: &mut [T], gradient: &mut [T], scratch: &mut [T]) {
        let (dg, dh) = self.shape().generators_mut(self.rank, gradient);
        let mut gradients = [dg, dh];
        let add = |side: usize, j: usize, gain: T, kernel: &mut [T]| {
            let (_, order, row) = self.side(side);
            let generator = &mut gradients[side][j * row..][..row];
            for k in 0..row {
                for (place, factor) in self.places(side, k, kernel.len()) {
                    generator[at(order, row, k)] += gain * factor * kernel[place];
                }
            }
        };
        self.engine.finish(self.factor(), sums, add, scratch);
    }

    fn write_dense(&self, Parameters(parameters): Parameters<'_, T>, dense: &mut [T]) {
        let Shape { rows: m, cols: n } = self.shape();
        let (g, h) = self.shape().generators(self.rank, parameters);
        gemm_tn(g, h, dense, [m, self.rank, n]);
        self.displacement.on_torus(dense, |torus, dense| torus.integrate(dense));
    }

    fn pull_back(&self, Parameters(parameters): Parameters<'_, T>, dense: &[T], gradient: &mut [T]) {
        let mut displacement = dense.to_vec();
        self.displacement.on_torus(&mut displacement, |torus, dense| torus.integrate_adjoint(dense));
        self.shape().pull_back_generators(self.rank, parameters, &displacement, gradient);
    }

    fn initialise(&self, init: Init, rng: &mut fastrand::Rng, parameters: &mut [T]) -> Result<()> {
        has_length("parameters", parameters, self.layout().len())?;
        let Shape { rows: m, cols: n } = self.shape();
        normal(rng, self.displacement.torus.generator_variance(init.variance(m, n), self.rank), parameters);
        Ok(())
    }

    fn cost(&self, batch: usize) -> f64 {
        transform_cost::<T>(self.engine.length(), 2 * self.rank + 2, batch)
    }
}

/// The displacement operator `M − A M B` of a pair of shifts on the torus of order N, for m×n matrices.
///
/// For m = n = N it is the [`Stein`](crate::displacement::Stein) operator of the two shifts. Otherwise the matrix is a
/// corner of an N×N matrix whose displacement vanishes outside the corner, which makes it a bijection of m×n matrices
/// all the same.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ShiftDisplacement {
    pair: ShiftPair,
    torus: Torus,
    /// Reversed where A or B makes the displacement run along the antidiagonals.
    row_order: Order,
    column_order: Order,
}

impl ShiftDisplacement {
    fn new(shape: Shape, pair: ShiftPair, order: usize) -> Self {
        let (row_order, f) = match pair.a() {
            ShiftOperator::Plain(f) => (Order::Natural, f),
            ShiftOperator::Transposed(f) => (Order::Reversed, f),
        };
        let (column_order, e) = match pair.b() {
            ShiftOperator::Transposed(e) => (Order::Natural, e),
            ShiftOperator::Plain(e) => (Order::Reversed, e),
        };
        Self { pair, torus: Torus { shape, order, f, e }, row_order, column_order }
    }

    /// The pair of shifts.
    pub fn pair(&self) -> ShiftPair {
        self.pair
    }

    /// The order N of the torus.
    pub fn order(&self) -> usize {
        self.torus.order
    }

    /// Works on a matrix in the orders in which its displacement runs along the diagonals.
    fn on_torus<T: Scalar>(&self, matrix: &mut [T], work: impl FnOnce(Torus, &mut [T])) {
        self.reverse(matrix);
        work(self.torus, matrix);
        self.reverse(matrix);
    }

    fn reverse<T: Scalar>(&self, matrix: &mut [T]) {
        let n = self.torus.shape.cols;
        // Both orders reversed are the whole slice reversed.
        match (self.row_order, self.column_order) {
            (Order::Natural, columns) => columns.apply(matrix, n),
            (Order::Reversed, columns) => {
                matrix.reverse();
                let rest = if columns == Order::Natural { Order::Reversed } else { Order::Natural };
                rest.apply(matrix, n);
            }
        }
    }
}

impl<T: Scalar> DisplacementOperator<T> for ShiftDisplacement {
    fn rows(&self) -> usize {
        self.torus.shape.rows
    }

    fn cols(&self) -> usize {
        self.torus.shape.cols
    }

    fn norm_bound(&self) -> Result<T> {
        Ok(T::of(1.0 + self.torus.f.abs().max(1.0) * self.torus.e.abs().max(1.0)))
    }

    fn displace(&self, matrix: &[T]) -> Result<Vec<T>> {
        let Shape { rows, cols } = self.torus.shape;
        has_length("matrix", matrix, rows.saturating_mul(cols))?;
        all_finite("matrix", matrix)?;
        let mut displaced = matrix.to_vec();
        self.on_torus(&mut displaced, |torus, matrix| torus.differentiate(matrix));
        all_finite("displacement", &displaced)?;
        Ok(displaced)
    }

    fn reconstruct(&self, generators: &Generators<T>) -> Result<Vec<T>> {
        let Shape { rows, cols } = self.torus.shape;
        if (generators.rows, generators.cols) != (rows, cols) {
            return Err(Error::ShapeMismatch {
                what: "reconstruction",
                left_rows: rows,
                left_cols: cols,
                right_rows: generators.rows,
                right_cols: generators.cols,
            });
        }
        let mut matrix = generators.displacement()?;
        self.on_torus(&mut matrix, |torus, matrix| torus.integrate(matrix));
        all_finite("reconstruction", &matrix)?;
        Ok(matrix)
    }
}

/// How a matrix follows from its displacement: sums along diagonals, O(mn).
#[derive(Debug)]
struct OnTorus(ShiftDisplacement);

impl Reconstruction for OnTorus {
    fn reconstruct(&self, displacement: &mut [f64]) {
        self.0.on_torus(displacement, |torus, dense| torus.integrate(dense));
    }

    fn pull_back(&self, gradient: &mut [f64]) {
        self.0.on_torus(gradient, |torus, dense| torus.integrate_adjoint(dense));
    }

    fn displace(&self, matrix: &mut [f64]) {
        self.0.on_torus(matrix, |torus, dense| torus.differentiate(dense));
    }
}
