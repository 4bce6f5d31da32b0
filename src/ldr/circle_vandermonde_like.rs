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
//! *Choose it* over [`VandermondeLike`](super::VandermondeLike) as a layer: every node sees the whole input, whatever
//! its length, where real nodes see what their decay leaves them, and the angles take gradients of any size without
//! ever leaving their range. At equispaced nodes it is near
//! [`ToeplitzLike`](super::ToeplitzLike) followed by a Fourier transform; moving the nodes is what it can do beyond
//! that, for one non-uniform transform more a term.

use std::sync::Arc;

use num_complex::Complex;

use super::circle_filter::{CircleFilter, Node};
use super::half_circulant::HalfCirculants;
use crate::error::{all_finite, has_length};
use crate::matrix::{
    Bound, Family, Init, Layout, Matrix, Prepared, Reconstruction, Structure, normal, take, transform_cost,
};
use crate::shape::Shape;
use crate::structured::circle_vandermonde::{nodes, place, placed, spread};
use crate::structured::vandermonde::check_count;
use crate::transform::nonuniform::Nonuniform;
use crate::transform::{Into, fast_length};
use crate::unstructured::gemm::gemm_tn;
use crate::{Error, Result, Scalar};

/// The structure of a Vandermonde-like m×n matrix of displacement rank r with ⌊m/2⌋ nodes on the unit circle.
///
/// Parameters: tensors `"G"` and `"H"`, stored transposed as r×m and r×n, and the angles `"theta"` unless they are
/// fixed.
#[derive(Debug)]
pub struct CircleVandermondeLike<T: Scalar> {
    shape: Shape,
    filter: CircleFilter,
    rank: usize,
    layout: Layout,
    /// The angles, if they are not among the parameters.
    fixed: Option<Vec<T>>,
    plan: Nonuniform<T>,
    circulants: HalfCirculants<T>,
}

/// What a structure prepares, and where. Complex numbers are pairs in rows of m numbers; an unpaired last one is real.
struct View<'a, T> {
    /// Spectra of h_j.
    spectra: &'a [T],
    /// `g_j / (1 − f vᴺ)`, row by row.
    weights: &'a [T],
    /// `1 / (1 − f vᴺ)`.
    factors: &'a [T],
    /// The logarithmic derivative in θ of `1 / (1 − f vᴺ)`.
    slopes: &'a [T],
}

impl<T: Scalar> CircleVandermondeLike<T> {
    /// A Vandermonde-like m×n matrix without parameters, of displacement rank `rank` from 0 to min(m, n), its angles
    /// among the parameters, with N rounded up from n to a length that has fast transforms.
    ///
    /// # Errors
    ///
    /// [`Error::EmptyShape`], [`Error::RankTooLarge`] or [`Error::TooLarge`].
    pub fn new(rows: usize, cols: usize, rank: usize) -> Result<Self> {
        Self::with_order(rows, cols, rank, fast_length(cols))
    }

    /// The same with an order N of your own, such as n itself.
    ///
    /// # Errors
    ///
    /// As for [`CircleVandermondeLike::new`], and [`Error::OutOfRange`] for an order below n or above 2n + 1.
    pub fn with_order(rows: usize, cols: usize, rank: usize, order: usize) -> Result<Self> {
        let shape = Shape::new(rows, cols)?;
        shape.check_rank(rank)?;
        shape.check_rank(1)?;
        check_count(shape)?;
        if order < cols || order > 2 * cols + 1 {
            return Err(Error::OutOfRange { what: "the order N", value: order as f64, range: "[n, 2n + 1]" });
        }
        Ok(Self {
            shape,
            filter: CircleFilter { order, cols },
            rank,
            layout: shape.generator_layout(rank).with("theta", &[rows / 2]),
            fixed: None,
            plan: Nonuniform::new(order),
            circulants: HalfCirculants::new(cols, order, rank),
        })
    }

    /// Takes the angles out of the parameters and fixes them.
    ///
    /// # Errors
    ///
    /// [`Error::Length`] unless there are ⌊m/2⌋ of them, [`Error::NotFinite`].
    pub fn fix_angles(mut self, angles: &[T]) -> Result<Self> {
        has_length("theta", angles, self.shape.rows / 2)?;
        all_finite("theta", angles)?;
        self.layout = self.shape.generator_layout(self.rank);
        self.fixed = Some(angles.to_vec());
        Ok(self)
    }

    /// The m×n matrix of these ⌊m/2⌋ angles and the generators whose columns are the rows of `g` (r×m) and `h` (r×n).
    ///
    /// # Errors
    ///
    /// As for [`CircleVandermondeLike::new`], and [`Error::Length`] or [`Error::NotFinite`] for bad parameters.
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
        let mut parameters = structure.shape.join_generators(rank, g, h)?;
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
    /// let (dense, cos_sin) = (v.to_dense(), [1.0, 0.0, -1.0, 0.0, 1.0, 0.0]);
    /// assert!(dense.iter().zip(cos_sin).all(|(a, b)| (a - b).abs() < 1e-15));
    /// # Ok::<(), displace::Error>(())
    /// ```
    pub fn from_angles(angles: &[T], cols: usize) -> Result<Matrix<T, Self>> {
        let rows = 2 * angles.len();
        Shape::new(rows, cols)?;
        all_finite("theta", angles)?;
        let filter = CircleFilter { order: fast_length(cols), cols };
        let divisor = |turns| {
            let divisor = filter.node(turns).divisor;
            [T::of(divisor.re), T::of(divisor.im)]
        };
        let g: Vec<T> = nodes(angles, rows).flat_map(divisor).collect();
        let mut h = vec![T::zero(); cols];
        h.iter_mut().take(1).for_each(|h| *h = T::one());
        Self::from_generators(rows, angles, cols, 1, &g, &h)
    }

    /// Any m×n matrix, given row by row, at displacement rank min(m, n) and with ⌊m/2⌋ angles of your choice: exact,
    /// and not small.
    ///
    /// # Errors
    ///
    /// As for [`CircleVandermondeLike::from_generators`], and [`Error::Length`] unless `dense` holds m·n numbers.
    pub fn from_dense(rows: usize, angles: &[T], cols: usize, dense: &[T]) -> Result<Matrix<T, Self>> {
        let (m, n, rank) = (rows, cols, rows.min(cols));
        let structure = Self::new(m, n, rank)?;
        has_length("theta", angles, m / 2)?;
        has_length("the entries", dense, m * n)?;
        all_finite("theta", angles)?;
        let mut displaced: Vec<f64> = dense.iter().map(|entry| entry.wide()).collect();
        structure.by_nodes(angles).displace(&mut displaced);
        let mut parameters = vec![T::zero(); structure.layout.len()];
        parameters[rank * (m + n)..].copy_from_slice(angles);
        let (g, h) = structure.shape.generators_mut(rank, &mut parameters);
        for (i, row) in displaced.chunks_exact(n).enumerate() {
            for (k, &displaced) in row.iter().enumerate() {
                let at = if rank == m { &mut h[i * n + k] } else { &mut g[k * m + i] };
                *at = T::of(displaced);
            }
        }
        match rank == m {
            true => (0..rank).for_each(|i| g[i * m + i] = T::one()),
            false => (0..rank).for_each(|k| h[k * n + k] = T::one()),
        }
        Matrix::new(Arc::new(structure), parameters)
    }

    /// The order N of the transforms.
    pub fn order(&self) -> usize {
        self.filter.order
    }

    /// The angles: the fixed ones, or those among the parameters.
    pub fn angles<'a>(&'a self, parameters: &'a [T]) -> &'a [T] {
        match &self.fixed {
            Some(angles) => angles,
            None => &parameters[self.generators()..],
        }
    }

    /// Numbers in G and H.
    fn generators(&self) -> usize {
        self.rank * (self.shape.rows + self.shape.cols)
    }

    fn view<'a>(&self, prepared: &'a Prepared<T>) -> View<'a, T> {
        let (spectra, rest) = prepared.numbers.split_at(self.circulants.spectra_len());
        let (weights, rest) = rest.split_at(self.rank * self.shape.rows);
        let (factors, slopes) = rest.split_at(self.shape.rows);
        View { spectra, weights, factors, slopes }
    }

    /// `G Hᵀ`, widened.
    fn displacement(&self, parameters: &[T]) -> Vec<f64> {
        let Shape { rows: m, cols: n } = self.shape;
        let (g, h) = self.shape.generators(self.rank, parameters);
        let mut dense = vec![T::zero(); m * n];
        gemm_tn(g, h, &mut dense, [m, self.rank, n]);
        dense.into_iter().map(Scalar::wide).collect()
    }

    fn by_nodes(&self, angles: &[T]) -> ByNodes {
        let nodes = nodes(angles, self.shape.rows).map(|turns| self.filter.node(turns)).collect();
        ByNodes { cols: self.shape.cols, nodes }
    }
}

impl<T: Scalar> Structure<T> for CircleVandermondeLike<T> {
    fn family(&self) -> Family {
        Family::CircleVandermondeLike
    }

    fn rows(&self) -> usize {
        self.shape.rows
    }

    fn cols(&self) -> usize {
        self.shape.cols
    }

    fn rank(&self) -> Option<usize> {
        Some(self.rank)
    }

    fn at_rank(&self, rank: usize) -> Option<Result<Arc<dyn Structure<T>>>> {
        let Shape { rows, cols } = self.shape;
        let structure = Self::with_order(rows, cols, rank, self.filter.order).and_then(|free| match &self.fixed {
            Some(angles) => free.fix_angles(angles),
            None => Ok(free),
        });
        Some(structure.map(|structure| Arc::new(structure) as Arc<dyn Structure<T>>))
    }

    fn reconstruction(&self, parameters: &[T]) -> Option<Arc<dyn Reconstruction>> {
        Some(Arc::new(self.by_nodes(self.angles(parameters))))
    }

    fn constants(&self) -> Vec<(&'static str, Vec<f64>)> {
        let order = ("order", vec![self.filter.order as f64]);
        let angles = self.fixed.as_ref().map(|angles| ("theta", angles.iter().map(|angle| angle.wide()).collect()));
        std::iter::once(order).chain(angles).collect()
    }

    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn check(&self, parameters: &[T]) -> Result<()> {
        let (generators, angles) = parameters.split_at(self.generators());
        all_finite("parameters", generators)?;
        all_finite("theta", angles)
    }

    fn prepare(&self, parameters: &[T], prepared: &mut Prepared<T>, scratch: &mut [T]) {
        let m = self.shape.rows;
        let angles = self.angles(parameters);
        if self.fixed.is_none() || prepared.object.is_none() {
            place(&self.plan, angles, m, prepared);
        }
        let (g, h) = self.shape.generators(self.rank, parameters);
        let len = self.circulants.spectra_len();
        let numbers = prepared.numbers_mut(len + (self.rank + 2) * m);
        let (spectra, rest) = numbers.split_at_mut(len);
        let (weights, rest) = rest.split_at_mut(self.rank * m);
        let (factors, slopes) = rest.split_at_mut(m);
        self.circulants.prepare(h, spectra, scratch);
        for ((turns, factor), slope) in nodes(angles, m).zip(factors.chunks_mut(2)).zip(slopes.chunks_mut(2)) {
            let node = self.filter.node(turns);
            write(node.divisor.inv(), factor);
            write(self.filter.slope(node), slope);
        }
        for (g, weights) in g.chunks_exact(m).zip(weights.chunks_exact_mut(m)) {
            multiply(factors, Factor::Plain, g, weights);
        }
    }

    fn scratch_len(&self) -> usize {
        let rows = T::LANES * (self.filter.order + 2 * self.shape.rows);
        let inner = self.circulants.scratch_len().max(self.plan.scratch_len(self.shape.rows));
        3 * self.circulants.largest_block() + rows + inner
    }

    fn apply(&self, bound: Bound<'_, T>, x: &[T], y: &mut [T], mut scratch: &mut [T]) {
        let Shape { rows: m, cols: n } = self.shape;
        let circulants = &self.circulants;
        let [input, inner] = [(); 2].map(|()| take(&mut scratch, circulants.largest_block()));
        let filtered = take(&mut scratch, T::LANES * self.filter.order);
        let values = take(&mut scratch, T::LANES * m);
        let view = self.view(bound.prepared);
        y.fill(T::zero());
        for (form, rows) in circulants.forms().blocks::<T>(x.len() / n) {
            let (x, y) = (&x[rows.start * n..rows.end * n], &mut y[rows.start * m..rows.end * m]);
            let [input, inner] = [&mut *input, &mut *inner].map(|b| &mut b[..circulants.block(form)]);
            let (filtered, values) = (&mut filtered[..rows.len() * self.filter.order], &mut values[..y.len()]);
            circulants.analyse(form, x, input, scratch);
            for (h, weights) in circulants.spectra(view.spectra, form).zip(view.weights.chunks_exact(m)) {
                circulants.filter(form, input, h, inner, filtered, scratch);
                self.plan.forward(placed(bound.prepared), filtered, values, scratch);
                for (y, values) in y.chunks_exact_mut(m).zip(values.chunks_exact(m)) {
                    add_product(weights, Factor::Plain, values, y);
                }
            }
        }
    }

    fn apply_transposed(&self, bound: Bound<'_, T>, y: &[T], x: &mut [T], mut scratch: &mut [T]) {
        let Shape { rows: m, cols: n } = self.shape;
        let circulants = &self.circulants;
        let [inner, output] = [(); 2].map(|()| take(&mut scratch, circulants.largest_block()));
        let dual = take(&mut scratch, T::LANES * self.filter.order);
        let weighted = take(&mut scratch, T::LANES * m);
        let view = self.view(bound.prepared);
        if self.rank == 0 {
            return x.fill(T::zero());
        }
        for (form, rows) in circulants.forms().blocks::<T>(y.len() / m) {
            let (y, x) = (&y[rows.start * m..rows.end * m], &mut x[rows.start * n..rows.end * n]);
            let [inner, output] = [&mut *inner, &mut *output].map(|b| &mut b[..circulants.block(form)]);
            let (dual, weighted) = (&mut dual[..rows.len() * self.filter.order], &mut weighted[..y.len()]);
            let terms = circulants.spectra(view.spectra, form).zip(view.weights.chunks_exact(m));
            for (j, (h, weights)) in terms.enumerate() {
                weigh(weights, y, weighted);
                self.plan.adjoint(placed(bound.prepared), weighted, dual, scratch);
                circulants.analyse_dual(form, dual, inner, scratch);
                circulants.add_dual(form, Into::set_first(j), output, inner, h);
            }
            circulants.synthesise(form, output, x, scratch);
        }
    }

    fn gradient_len(&self) -> usize {
        self.rank * self.shape.rows + self.circulants.spectra_len() + self.shape.rows / 2
    }

    fn backward(
        &self,
        bound: Bound<'_, T>,
        x: &[T],
        dy: &[T],
        mut dx: Option<&mut [T]>,
        sums: &mut [T],
        mut scratch: &mut [T],
    ) {
        let Shape { rows: m, cols: n } = self.shape;
        let circulants = &self.circulants;
        let [input, inner, output] = [(); 3].map(|()| take(&mut scratch, circulants.largest_block()));
        let signals = take(&mut scratch, T::LANES * self.filter.order);
        let [values, weighted] = [(); 2].map(|()| take(&mut scratch, T::LANES * m));
        let view = self.view(bound.prepared);
        let nodes = placed(bound.prepared);
        let (g_sums, rest) = sums.split_at_mut(self.rank * m);
        let (h_sums, angle_sums) = rest.split_at_mut(circulants.spectra_len());
        for (form, rows) in circulants.forms().blocks::<T>(x.len() / n) {
            let (x, dy) = (&x[rows.start * n..rows.end * n], &dy[rows.start * m..rows.end * m]);
            let [input, inner, output] =
                [&mut *input, &mut *inner, &mut *output].map(|b| &mut b[..circulants.block(form)]);
            let signals = &mut signals[..rows.len() * self.filter.order];
            let [values, weighted] = [&mut *values, &mut *weighted].map(|b| &mut b[..dy.len()]);
            circulants.analyse(form, x, input, scratch);
            let terms = circulants.spectra(view.spectra, form).zip(view.weights.chunks_exact(m));
            let sums = g_sums.chunks_exact_mut(m).zip(circulants.sums(h_sums, form));
            for (j, ((h, weights), (g_sum, h_sum))) in terms.zip(sums).enumerate() {
                // z = V Z_½(h)ᵀ x, once more; dG gathers dy conj(z).
                circulants.filter(form, input, h, inner, signals, scratch);
                self.plan.forward(nodes, signals, values, scratch);
                for (values, dy) in values.chunks_exact(m).zip(dy.chunks_exact(m)) {
                    add_product(values, Factor::Conjugate, dy, g_sum);
                }
                weigh(weights, dy, weighted);
                if self.fixed.is_none() {
                    self.plan.node_gradient(nodes, signals, weighted, angle_sums, scratch);
                    for (values, dual) in values.chunks_exact(m).zip(weighted.chunks_exact(m)) {
                        add_slopes(view.slopes, values, dual, angle_sums);
                    }
                }
                // u = Vᵀ (conj(g) dy); dH gathers Z_½(u)ᵀ x, dx is the sum of Z_½(h) u.
                self.plan.adjoint(nodes, weighted, signals, scratch);
                circulants.analyse_dual(form, signals, inner, scratch);
                circulants.correlate(form, h_sum, input, inner);
                if dx.is_some() {
                    circulants.add_dual(form, Into::set_first(j), output, inner, h);
                }
            }
            match dx.as_mut().map(|dx| &mut dx[rows.start * n..rows.end * n]) {
                Some(dx) if self.rank == 0 => dx.fill(T::zero()),
                Some(dx) => circulants.synthesise(form, output, dx, scratch),
                None => {}
            }
        }
    }

    fn finish_gradient(&self, bound: Bound<'_, T>, sums: &mut [T], gradient: &mut [T], scratch: &mut [T]) {
        let m = self.shape.rows;
        let (g_sums, rest) = sums.split_at(self.rank * m);
        let (h_sums, angle_sums) = rest.split_at(self.circulants.spectra_len());
        let (generators, dtheta) = gradient.split_at_mut(self.generators());
        let (dg, dh) = self.shape.generators_mut(self.rank, generators);
        let factors = self.view(bound.prepared).factors;
        for (dg, sums) in dg.chunks_exact_mut(m).zip(g_sums.chunks_exact(m)) {
            add_product(factors, Factor::Conjugate, sums, dg);
        }
        self.circulants.finish(h_sums, dh, scratch);
        dtheta.iter_mut().zip(angle_sums).for_each(|(d, &s)| *d += s);
    }

    fn write_dense(&self, parameters: &[T], dense: &mut [T]) {
        let mut wide = self.displacement(parameters);
        self.by_nodes(self.angles(parameters)).reconstruct(&mut wide);
        dense.iter_mut().zip(wide).for_each(|(entry, wide)| *entry = T::of(wide));
    }

    fn pull_back(&self, parameters: &[T], dense: &[T], gradient: &mut [T]) {
        let by_nodes = self.by_nodes(self.angles(parameters));
        let mut adjoint: Vec<f64> = dense.iter().map(|d| d.wide()).collect();
        let mut adjoint_rows = Vec::new();
        by_nodes.each(&mut adjoint, |_, node, row| {
            node.integrate_adjoint(row);
            adjoint_rows.extend_from_slice(row);
        });
        if self.fixed.is_none() {
            let n = self.shape.cols;
            let slopes = &mut gradient[self.generators()..];
            let mut matrix = self.displacement(parameters);
            by_nodes.each(&mut matrix, |i, node, row| {
                node.integrate(row);
                if let Some(slope) = slopes.get_mut(i) {
                    *slope += T::of(self.filter.pull_back(node, row, &adjoint_rows[i * n..][..n]));
                }
            });
        }
        let adjoint: Vec<T> = adjoint.into_iter().map(T::of).collect();
        self.shape.pull_back_generators(self.rank, parameters, &adjoint, gradient);
    }

    /// Angles as in [`CircleVandermonde`](crate::structured::CircleVandermonde), and normal generators, scaled so that
    /// every *pair of rows* of M has the variance asked for, whatever its node.
    fn initialise(&self, init: Init, rng: &mut fastrand::Rng, parameters: &mut [T]) {
        let Shape { rows: m, cols: n } = self.shape;
        if self.fixed.is_none() {
            spread(m, rng, &mut parameters[self.generators()..]);
        }
        let variance = init.variance(m, n) / self.rank.max(1) as f64;
        let product = |turns| variance / self.filter.gain(self.filter.node(turns));
        let products: Vec<f64> = nodes(self.angles(parameters), m).map(product).collect();
        let shared = (products.iter().sum::<f64>() / products.len() as f64).sqrt();
        let (g, h) = self.shape.generators_mut(self.rank, parameters);
        normal(rng, shared, h);
        normal(rng, 1.0, g);
        for g in g.chunks_exact_mut(m) {
            for (pair, product) in g.chunks_mut(2).zip(&products) {
                let factor = T::of((product / shared.max(f64::MIN_POSITIVE)).sqrt());
                pair.iter_mut().for_each(|g| *g *= factor);
            }
        }
    }

    fn cost(&self, batch: usize) -> f64 {
        let transforms = transform_cost::<T>(self.filter.order, self.rank + 1, batch);
        let numbers =
            (self.filter.order + self.shape.rows) as f64 * if T::NAME == "f32" { NUMBER } else { 1.5 * NUMBER };
        transforms + self.rank as f64 * (numbers + self.plan.cost(self.shape.rows, batch))
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

/// Nanoseconds per number that a term hands from one transform to the next, f32; f64 takes half as long again.
const NUMBER: f64 = 0.8;

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

/// `out = factors · row`.
fn multiply<T: Scalar>(factors: &[T], kind: Factor, row: &[T], out: &mut [T]) {
    products(factors, kind, row, out, |out, product| *out = product);
}

/// `out += factors · row`.
fn add_product<T: Scalar>(factors: &[T], kind: Factor, row: &[T], out: &mut [T]) {
    products(factors, kind, row, out, |out, product| *out += product);
}

/// Rows of products with the conjugates of `weights`.
fn weigh<T: Scalar>(weights: &[T], rows: &[T], weighted: &mut [T]) {
    let m = weights.len();
    for (row, weighted) in rows.chunks_exact(m).zip(weighted.chunks_exact_mut(m)) {
        multiply(weights, Factor::Conjugate, row, weighted);
    }
}

/// Adds to each sum the real part of `conj(dual) · value · slope`.
fn add_slopes<T: Scalar>(slopes: &[T], values: &[T], dual: &[T], sums: &mut [T]) {
    let pairs = slopes.as_chunks().0.iter().zip(values.as_chunks().0).zip(dual.as_chunks().0);
    for (sum, ((&[a, b], &[re, im]), &[x, y])) in sums.iter_mut().zip(pairs) {
        *sum += (a * re - b * im) * x + (a * im + b * re) * y;
    }
}
