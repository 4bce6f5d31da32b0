//! Toeplitz-like matrices: sums of r products of a circulant and a skew-circulant.
//!
//! With generators G (m×r) and H (n×r) and an order N ≥ max(m, n),
//!
//! `M = ½ Σ_j Z_1(g_j) Z_−1(h_j)ᵀ`, cut to its first m rows and n columns,
//!
//! where the columns of G and H are continued by zeros to length N and `Z_f(v)` is the f-circulant whose first column is v. On
//! the torus of order N its Stein displacement is `M − Z_1 M Z_−1ᵀ = G Hᵀ`; for m = n = N that is the Sylvester form
//! `Z_1 M − M Z_−1 = G (−Z_−1ᵀ H)ᵀ` of Sindhwani, Sainath and Kumar (2015), equation (5), with the second generator
//! rotated by an orthogonal matrix.
//!
//! * Every Toeplitz matrix is Toeplitz-like at r = 2, and every m×n matrix at r = min(m, n), *for every such N*: the
//!   map from the displacement `G Hᵀ` to M is a bijection of m×n matrices. So N is rounded up to a length with fast
//!   transforms, and nothing is lost; only which generators stand for a matrix depends on N.
//! * The transposed matrix is Toeplitz-like with the same rank under the transposed pair.
//!
//! *Parameters:* r(m + n). *Cost:* 2r + 2 real transforms of length N for a product, 4r + 3 for all gradients; the
//! generators' own spectra 2r once when the parameters change. *Accuracy:* that of the FFT. *Choose it* by default: of all
//! structures of displacement rank r it has the cheapest product.

use std::sync::Arc;

use super::torus::Torus;
use crate::error::has_length;
use crate::linalg::{Svd, randomized, svd};
use crate::matrix::{
    Bound, Family, Init, Layout, Matrix, Parameters, Prepared, Reconstruction, Structure, normal, take, transform_cost,
};
use crate::shape::Shape;
use crate::transform::rows::{load, store};
use crate::transform::{Form, Forms, Into, Order, RealTransform, Side, Wrap, fast_length, untouched};
use crate::unstructured::gemm::{gemm_nn, gemm_nt, gemm_tn};
use crate::{Error, Result, Scalar};

/// The structure of a Toeplitz-like m×n matrix of displacement rank r.
///
/// r(m + n) parameters: tensors `"G"` and `"H"`, stored transposed as r×m and r×n, one column of G or H a row.
#[derive(Debug)]
pub struct ToeplitzLike<T: Scalar> {
    torus: Torus,
    rank: usize,
    layout: Layout,
    cyclic: RealTransform<T>,
    negacyclic: RealTransform<T>,
    /// The order in which the columns of M meet the inputs; reversed for Hankel-like matrices.
    columns: Order,
}

impl<T: Scalar> ToeplitzLike<T> {
    /// A Toeplitz-like m×n matrix without parameters, of displacement rank `rank` from 0 to min(m, n), with N rounded up
    /// from max(m, n) to a length that has fast transforms.
    ///
    /// # Errors
    ///
    /// [`Error::EmptyShape`], [`Error::RankTooLarge`], [`Error::TooLarge`] or [`Error::Memory`].
    pub fn new(rows: usize, cols: usize, rank: usize) -> Result<Self> {
        Self::with_order(rows, cols, rank, fast_length(rows.max(cols)))
    }

    /// The same with an order N of your own, such as max(m, n) itself.
    ///
    /// # Errors
    ///
    /// As for [`ToeplitzLike::new`], and [`Error::OutOfRange`] for an order below max(m, n) or above twice that + 1.
    pub fn with_order(rows: usize, cols: usize, rank: usize, order: usize) -> Result<Self> {
        Self::with_columns(rows, cols, rank, order, Order::Natural)
    }

    pub(crate) fn with_columns(rows: usize, cols: usize, rank: usize, order: usize, columns: Order) -> Result<Self> {
        let shape = Shape::new(rows, cols)?;
        shape.check_rank(rank)?;
        if order < shape.order() || order > 2 * shape.order() + 1 {
            let range = "[max(m, n), 2 max(m, n) + 1]";
            return Err(Error::OutOfRange { what: "the order N", value: order as f64, range });
        }
        shape.check_transform::<T>(order)?;
        Ok(Self {
            torus: Torus::toeplitz(shape, order),
            rank,
            layout: shape.generator_layout(rank),
            cyclic: RealTransform::new(order, Wrap::Cyclic),
            negacyclic: RealTransform::new(order, Wrap::Negacyclic),
            columns,
        })
    }

    /// The matrix of the generators whose columns are the rows of `g` (r×m) and `h` (r×n).
    ///
    /// # Errors
    ///
    /// As for [`ToeplitzLike::new`], and [`Error::Length`] or [`Error::NotFinite`] for bad generators.
    ///
    /// ```
    /// use displace::ldr::ToeplitzLike;
    ///
    /// // Every Toeplitz matrix has displacement rank 2.
    /// let m = ToeplitzLike::from_generators(2, 2, 2, &[1.0, 0.0, 0.0, 1.0], &[1.0, 3.0, 2.0, 0.0])?;
    /// assert_eq!(m.to_dense()?[0], m.to_dense()?[3]);
    /// # Ok::<(), displace::Error>(())
    /// ```
    pub fn from_generators(rows: usize, cols: usize, rank: usize, g: &[T], h: &[T]) -> Result<Matrix<T, Self>> {
        let structure = Self::new(rows, cols, rank)?;
        let parameters = structure.torus.shape.join_generators(rank, g, h)?;
        Matrix::new(Arc::new(structure), parameters)
    }

    /// Projects a dense m×n matrix, row by row, to displacement rank `rank`: its displacement is computed in O(mn) and
    /// truncated by a singular value decomposition, whose singular values are shared equally between G and H.
    ///
    /// Exact, up to rounding, at rank min(m, n) and for every matrix that has the displacement rank. Otherwise it is a
    /// starting point for refinement and *not* a good approximation: turning a displacement back into its matrix
    /// amplifies what was cut off by up to about n/π, and the result can be farther from the matrix than zero is.
    ///
    /// O(mn r) for a decomposition by a random range finder (with a fixed seed) where r is far below min(m, n), O(mn min(m, n))
    /// otherwise; at rank min(m, n) O(mn), without one.
    ///
    /// # Errors
    ///
    /// As for [`ToeplitzLike::new`]; [`Error::Length`] when there are not mn entries, [`Error::NotFinite`].
    ///
    /// ```
    /// use displace::ldr::ToeplitzLike;
    ///
    /// let toeplitz = [1.0, 2.0, 3.0, 4.0, 1.0, 2.0, 5.0, 4.0, 1.0];
    /// let matrix = ToeplitzLike::from_dense(3, 3, 2, &toeplitz)?;
    /// assert!(matrix.to_dense()?.iter().zip(&toeplitz).all(|(a, b)| f64::abs(a - b) < 1e-14));
    /// # Ok::<(), displace::Error>(())
    /// ```
    pub fn from_dense(rows: usize, cols: usize, rank: usize, entries: &[T]) -> Result<Matrix<T, Self>> {
        Self::new(rows, cols, rank)?.project(entries)
    }

    pub(super) fn project(self, entries: &[T]) -> Result<Matrix<T, Self>> {
        let Shape { rows: m, cols: n } = self.torus.shape;
        self.torus.shape.check_dense()?;
        crate::error::has_length("entries", entries, m * n)?;
        crate::error::all_finite("entries", entries)?;
        let mut displacement = entries.to_vec();
        self.columns.apply(&mut displacement, n);
        self.torus.differentiate(&mut displacement);
        let parameters = if self.rank == m.min(n) {
            full_generators(&displacement, m, n)
        } else {
            leading_generators(&displacement, m, n, self.rank)
        };
        Matrix::new(Arc::new(self), parameters)
    }

    /// The order N of the transforms.
    pub fn order(&self) -> usize {
        self.torus.order
    }

    fn forms(&self) -> Forms {
        self.cyclic.forms()
    }

    fn width(&self, form: Form) -> usize {
        self.cyclic.width(form)
    }

    /// Numbers in a block of signals, in any form.
    fn block(&self) -> usize {
        self.cyclic.largest_block()
    }

    /// Numbers that the spectra of all generators take, in all forms.
    fn spectra_len(&self) -> usize {
        self.forms().len_for(&self.cyclic, 2 * self.rank, usize::MAX)
    }

    /// The spectra of `g_j` and of `h_j`, for each j.
    fn spectra<'a>(&self, numbers: &'a [T], form: Form) -> impl Iterator<Item = (&'a [T], &'a [T])> + use<'a, T> {
        let place = self.forms().each(&self.cyclic, 2 * self.rank).find(|(f, _)| *f == form);
        let numbers = &numbers[place.map_or(0..0, |(_, place)| place)];
        let (g, h) = numbers.split_at(numbers.len() / 2);
        let width = self.width(form);
        g.chunks_exact(width).zip(h.chunks_exact(width))
    }

    /// The sums for the gradients in `g_j` and in `h_j`, for each j.
    fn sums<'a>(
        &self,
        numbers: &'a mut [T],
        form: Form,
    ) -> impl Iterator<Item = (&'a mut [T], &'a mut [T])> + use<'a, T> {
        let place = self.forms().each(&self.cyclic, 2 * self.rank).find(|(f, _)| *f == form);
        let numbers = &mut numbers[place.map_or(0..0, |(_, place)| place)];
        let (g, h) = numbers.split_at_mut(numbers.len() / 2);
        let width = self.width(form);
        g.chunks_exact_mut(width).zip(h.chunks_exact_mut(width))
    }

    /// Spectra of signals in rows, times `scale`.
    #[expect(clippy::too_many_arguments, reason = "a form, a transform, rows, spectra and scratch belong together")]
    fn transform_rows(
        &self,
        form: Form,
        transform: &RealTransform<T>,
        rows: &[T],
        row: usize,
        scale: T,
        spectra: &mut [T],
        mut scratch: &mut [T],
    ) {
        let block = take(&mut scratch, transform.block(form));
        let (width, at_once) = (transform.width(form), form.signals::<T>());
        for (rows, spectra) in rows.chunks(at_once * row).zip(spectra.chunks_mut(at_once * width)) {
            load(form, rows, row, Order::Natural, block);
            block.iter_mut().for_each(|x| *x *= scale);
            transform.forward(form, block, scratch);
            store(form, block, Order::Natural, spectra, width);
        }
    }

    /// Adds to rows the signals of spectra, times `scale`.
    #[expect(clippy::too_many_arguments, reason = "a form, a transform, rows, spectra and scratch belong together")]
    fn add_signals(
        &self,
        form: Form,
        transform: &RealTransform<T>,
        spectra: &[T],
        scale: T,
        rows: &mut [T],
        row: usize,
        mut scratch: &mut [T],
    ) {
        let (width, at_once) = (transform.width(form), form.signals::<T>());
        let block = take(&mut scratch, transform.block(form));
        let signals = take(&mut scratch, at_once * row);
        for (spectra, rows) in spectra.chunks(at_once * width).zip(rows.chunks_mut(at_once * row)) {
            load(form, spectra, width, Order::Natural, block);
            transform.inverse(form, block, scratch);
            let signals = &mut signals[..rows.len()];
            store(form, block, Order::Natural, signals, row);
            rows.iter_mut().zip(signals).for_each(|(x, &mut s)| *x += scale * s);
        }
    }
}

/// How a Toeplitz-like or Hankel-like matrix follows from its displacement: sums along diagonals, O(mn).
#[derive(Debug)]
struct ByDiagonals {
    torus: Torus,
    columns: Order,
}

impl Reconstruction for ByDiagonals {
    fn reconstruct(&self, displacement: &mut [f64]) {
        self.torus.integrate(displacement);
        self.columns.apply(displacement, self.torus.shape.cols);
    }

    fn pull_back(&self, gradient: &mut [f64]) {
        self.columns.apply(gradient, self.torus.shape.cols);
        self.torus.integrate_adjoint(gradient);
    }

    fn displace(&self, matrix: &mut [f64]) {
        self.columns.apply(matrix, self.torus.shape.cols);
        self.torus.differentiate(matrix);
    }
}

/// G and H of full rank with `G Hᵀ` = D: one of them the identity, scaled to the size of the other.
pub(crate) fn full_generators<T: Scalar>(displacement: &[T], m: usize, n: usize) -> Vec<T> {
    let square: T = displacement.iter().map(|&d| d * d).sum();
    let size = (square / T::of(m.min(n) as f64)).sqrt().sqrt();
    let size = if size.is_normal() { size } else { T::one() };
    let identity = |r: usize| (0..r * r).map(move |k| if k % (r + 1) == 0 { size } else { T::zero() });
    let rest = |d: T| d / size;
    if m <= n {
        return identity(m).chain(displacement.iter().map(|&d| rest(d))).collect();
    }
    let columns = (0..n).flat_map(|j| displacement.iter().skip(j).step_by(n).map(|&d| rest(d)));
    columns.chain(identity(n)).collect()
}

/// G and H of the leading singular triplets of D.
pub(crate) fn leading_generators<T: Scalar>(displacement: &[T], m: usize, n: usize, rank: usize) -> Vec<T> {
    let Svd { u, s, v } = if 3 * (rank + 8) < 2 * m.min(n) {
        // Far fewer triplets than there are: a random range finder needs only products with D.
        let product = |x: &[T], y: &mut [T]| gemm_nt(x, displacement, y, [x.len() / n, n, m]);
        let transposed = |y: &[T], x: &mut [T]| gemm_nn(y, displacement, x, [y.len() / m, m, n]);
        randomized(m, n, rank, product, transposed, 0)
    } else {
        svd(displacement, m, n)
    };
    let scaled = |vectors: &[T], row: usize| -> Vec<T> {
        let rows = vectors.chunks_exact(row).zip(&s).take(rank);
        rows.flat_map(|(vector, &s)| vector.iter().map(move |&x| x * s.sqrt())).collect()
    };
    [scaled(&u, m), scaled(&v, n)].concat()
}

impl<T: Scalar> Structure<T> for ToeplitzLike<T> {
    fn family(&self) -> Family {
        match self.columns {
            Order::Natural => Family::ToeplitzLike,
            Order::Reversed => Family::HankelLike,
        }
    }

    fn rows(&self) -> usize {
        self.torus.shape.rows
    }

    fn cols(&self) -> usize {
        self.torus.shape.cols
    }

    fn rank(&self) -> Option<usize> {
        Some(self.rank)
    }

    fn at_rank(&self, rank: usize) -> Option<Result<Arc<dyn Structure<T>>>> {
        let Torus { shape: Shape { rows, cols }, order, .. } = self.torus;
        let structure = Self::with_columns(rows, cols, rank, order, self.columns);
        Some(structure.map(|structure| Arc::new(structure) as Arc<dyn Structure<T>>))
    }

    fn reconstruction(&self, _: Parameters<'_, T>) -> Option<Arc<dyn Reconstruction>> {
        Some(Arc::new(ByDiagonals { torus: self.torus, columns: self.columns }))
    }

    fn constants(&self) -> Vec<(&'static str, Vec<f64>)> {
        vec![("order", vec![self.torus.order as f64])]
    }

    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn prepare(&self, Parameters(parameters): Parameters<'_, T>, prepared: &mut Prepared<T>, scratch: &mut [T]) {
        let Shape { rows: m, cols: n } = self.torus.shape;
        let (g, h) = self.torus.shape.generators(self.rank, parameters);
        // The ½ and the gains of the two inverse transforms of a product are taken care of here, once.
        let g_scale = T::of(0.5) / self.cyclic.gain();
        let h_scale = self.negacyclic.gain().recip();
        let spectra = prepared.numbers_mut(self.spectra_len());
        for (form, place) in self.forms().each(&self.cyclic, 2 * self.rank) {
            let (g_spectra, h_spectra) = spectra[place].split_at_mut(self.rank * self.width(form));
            self.transform_rows(form, &self.cyclic, g, m, g_scale, g_spectra, scratch);
            self.transform_rows(form, &self.negacyclic, h, n, h_scale, h_spectra, scratch);
        }
    }

    fn scratch_len(&self) -> usize {
        4 * self.block() + self.cyclic.scratch_len().max(self.negacyclic.scratch_len())
    }

    fn apply(&self, bound: Bound<'_, T>, x: &[T], y: &mut [T], mut scratch: &mut [T]) {
        let Shape { rows: m, cols: n } = self.torus.shape;
        let [input, inner, output] = [(); 3].map(|()| take(&mut scratch, self.block()));
        if self.rank == 0 {
            return y.fill(T::zero());
        }
        for (form, block) in self.forms().blocks::<T>(x.len() / n) {
            let (x, y) = (&x[block.start * n..block.end * n], &mut y[block.start * m..block.end * m]);
            let [input, inner, output] =
                [&mut *input, &mut *inner, &mut *output].map(|b| &mut b[..self.cyclic.block(form)]);
            load(form, x, n, self.columns, input);
            self.negacyclic.forward(form, input, scratch);
            for (j, (g, h)) in self.spectra(&bound.prepared.numbers, form).enumerate() {
                self.negacyclic.inverse_of_product(form, Side::Transposed, inner, input, h, scratch);
                self.cyclic.forward_times(form, Into::set_first(j), output, inner, g, scratch);
            }
            self.cyclic.inverse(form, output, scratch);
            store(form, output, Order::Natural, y, m);
        }
    }

    fn apply_transposed(&self, bound: Bound<'_, T>, y: &[T], x: &mut [T], mut scratch: &mut [T]) {
        let Shape { rows: m, cols: n } = self.torus.shape;
        let [input, inner, output] = [(); 3].map(|()| take(&mut scratch, self.block()));
        if self.rank == 0 {
            return x.fill(T::zero());
        }
        for (form, block) in self.forms().blocks::<T>(y.len() / m) {
            let (y, x) = (&y[block.start * m..block.end * m], &mut x[block.start * n..block.end * n]);
            let [input, inner, output] =
                [&mut *input, &mut *inner, &mut *output].map(|b| &mut b[..self.cyclic.block(form)]);
            load(form, y, m, Order::Natural, input);
            self.cyclic.forward(form, input, scratch);
            for (j, (g, h)) in self.spectra(&bound.prepared.numbers, form).enumerate() {
                self.cyclic.inverse_of_product(form, Side::Transposed, inner, input, g, scratch);
                self.negacyclic.forward_times(form, Into::set_first(j), output, inner, h, scratch);
            }
            self.negacyclic.inverse(form, output, scratch);
            store(form, output, self.columns, x, n);
        }
    }

    fn gradient_len(&self, batch: usize) -> usize {
        self.forms().len_for(&self.cyclic, 2 * self.rank, batch)
    }

    fn backward(
        &self,
        bound: Bound<'_, T>,
        x: &[T],
        dy: &[T],
        dx: Option<&mut [T]>,
        sums: &mut [T],
        mut scratch: &mut [T],
    ) {
        let Shape { rows: m, cols: n } = self.torus.shape;
        let [input, dual, inner, output] = [(); 4].map(|()| take(&mut scratch, self.block()));
        let mut dx = dx;
        for (form, block) in self.forms().blocks::<T>(x.len() / n) {
            let (x, dy) = (&x[block.start * n..block.end * n], &dy[block.start * m..block.end * m]);
            let [input, dual, inner, output] =
                [&mut *input, &mut *dual, &mut *inner, &mut *output].map(|b| &mut b[..self.cyclic.block(form)]);
            load(form, x, n, self.columns, input);
            self.negacyclic.forward(form, input, scratch);
            load(form, dy, m, Order::Natural, dual);
            self.cyclic.forward(form, dual, scratch);
            let generators = self.spectra(&bound.prepared.numbers, form).zip(self.sums(sums, form));
            for (j, ((g, h), (g_sum, h_sum))) in generators.enumerate() {
                // t = Z_−1(h)ᵀ x, once more; dG gathers Z_1(t)ᵀ dy.
                self.negacyclic.inverse_of_product(form, Side::Transposed, inner, input, h, scratch);
                self.cyclic.forward(form, inner, scratch);
                self.cyclic.correlate(form, g_sum, dual, inner);
                // dt = ½ Z_1(g)ᵀ dy; dH gathers Z_−1(dt)ᵀ x, dx is the sum of Z_−1(h) dt.
                self.cyclic.inverse_of_product(form, Side::Transposed, inner, dual, g, scratch);
                self.negacyclic.forward(form, inner, scratch);
                self.negacyclic.correlate(form, h_sum, input, inner);
                if dx.is_some() {
                    self.negacyclic.multiply(form, Into::set_first(j), Side::Plain, output, inner, h);
                }
            }
            match dx.as_mut().map(|dx| &mut dx[block.start * n..block.end * n]) {
                Some(dx) if self.rank == 0 => dx.fill(T::zero()),
                Some(dx) => {
                    self.negacyclic.inverse(form, output, scratch);
                    store(form, output, self.columns, dx, n);
                }
                None => {}
            }
        }
    }

    fn finish_gradient(&self, _: Bound<'_, T>, sums: &mut [T], gradient: &mut [T], scratch: &mut [T]) {
        let Shape { rows: m, cols: n } = self.torus.shape;
        let (dg, dh) = self.torus.shape.generators_mut(self.rank, gradient);
        for (form, place) in self.forms().each(&self.cyclic, 2 * self.rank) {
            let Some(sums) = sums.get(place).filter(|sums| !untouched(sums)) else { continue };
            let (g_sums, h_sums) = sums.split_at(self.rank * self.width(form));
            self.add_signals(form, &self.cyclic, g_sums, T::of(0.5) / self.cyclic.gain(), dg, m, scratch);
            self.add_signals(form, &self.negacyclic, h_sums, self.negacyclic.gain().recip(), dh, n, scratch);
        }
    }

    fn write_dense(&self, Parameters(parameters): Parameters<'_, T>, dense: &mut [T]) {
        let Shape { rows: m, cols: n } = self.torus.shape;
        let (g, h) = self.torus.shape.generators(self.rank, parameters);
        gemm_tn(g, h, dense, [m, self.rank, n]);
        self.torus.integrate(dense);
        self.columns.apply(dense, n);
    }

    fn pull_back(&self, Parameters(parameters): Parameters<'_, T>, dense: &[T], gradient: &mut [T]) {
        let mut displacement = dense.to_vec();
        self.columns.apply(&mut displacement, self.torus.shape.cols);
        self.torus.integrate_adjoint(&mut displacement);
        self.torus.shape.pull_back_generators(self.rank, parameters, &displacement, gradient);
    }

    fn initialise(&self, init: Init, rng: &mut fastrand::Rng, parameters: &mut [T]) -> Result<()> {
        has_length("parameters", parameters, self.layout().len())?;
        let Shape { rows: m, cols: n } = self.torus.shape;
        // An entry is half a sum, with signs, of the entries of G Hᵀ on its wrapped diagonal.
        normal(rng, self.torus.generator_variance(init.variance(m, n), self.rank), parameters);
        Ok(())
    }

    fn cost(&self, batch: usize) -> f64 {
        transform_cost::<T>(self.torus.order, 2 * self.rank + 2, batch)
    }
}
