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
//!   *any* nodes and any N: every matrix is Vandermonde-like at r = min(m, n), and a Vandermonde matrix at r = 1. N is rounded up to
//!   a length with fast transforms; [`VandermondeLike::with_order`] keeps it at n.
//! * `Z_½ = φ S Z_1 S⁻¹` with φ = 2^{−1/N} and S = diag(φ^{−k}), whose entries lie between 1 and 2: products with `Z_½(h)` are
//!   cyclic, with nothing padded and nothing magnified.
//!
//! *Parameters:* r(m + n), and the m nodes where they are trained. *Cost:* r + 1 real transforms of length N and r fast
//! Laplace transforms ([`Vandermonde`](crate::structured::Vandermonde)) for a product; 2r + 1 and 3r (2r if the nodes are
//! fixed) for all gradients, and 2r + 2 transforms a batch besides. *Accuracy:* 10⁻¹¹ (f32: 2·10⁻⁵) in norm, for any nodes.
//!
//! *Choose it* where inputs are sampled trajectories of decaying modes, or coefficients of polynomials; a row with node v
//! filters its input with memory `1/−ln|v|`. Published layers of this class score worst of all, likely because their nodes
//! saw only the first few dozen inputs: keep the nodes as [`initialise`](crate::Structure::initialise) spreads them, |v| up to 1 − 1/n.

use std::sync::Arc;

use super::filter::Filter;
use super::half_circulant::HalfCirculants;
use crate::error::{all_finite, has_length};
use crate::matrix::{
    Bound, Family, Init, Layout, Matrix, Prepared, Reconstruction, Structure, normal, take, transform_cost,
};
use crate::shape::Shape;
use crate::structured::vandermonde::{check_count, check_nodes, laplace_cost, place, placed, spread};
use crate::transform::laplace::Laplace;
use crate::transform::{Into, fast_length};
use crate::unstructured::gemm::gemm_tn;
use crate::{Error, Result, Scalar};

/// The structure of a Vandermonde-like m×n matrix of displacement rank r.
///
/// Parameters: tensors `"G"` and `"H"`, stored transposed as r×m and r×n, and the nodes `"v"` unless they are fixed.
/// A step of an optimiser that moves a node out of [−1, 1] is refused with [`Error::ElementOutOfRange`];
/// [`Vandermonde::clamp`](crate::structured::Vandermonde::clamp) puts such nodes back.
#[derive(Debug)]
pub struct VandermondeLike<T: Scalar> {
    shape: Shape,
    filter: Filter,
    rank: usize,
    layout: Layout,
    /// The nodes, if they are not among the parameters.
    fixed: Option<Vec<T>>,
    plan: Laplace<T>,
    circulants: HalfCirculants<T>,
}

/// What a structure prepares, and where.
struct View<'a, T> {
    /// Spectra of h_j.
    spectra: &'a [T],
    /// `g_j / (1 − f vᴺ)`, row by row.
    weights: &'a [T],
    /// `1 / (1 − f vᴺ)`.
    factors: &'a [T],
    /// The logarithmic derivative in v of `1 / (1 − f vᴺ)`.
    slopes: &'a [T],
}

impl<T: Scalar> VandermondeLike<T> {
    /// A Vandermonde-like m×n matrix without parameters, of displacement rank `rank` from 0 to min(m, n), its nodes among the
    /// parameters, with N rounded up from n to a length that has fast transforms.
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
    /// As for [`VandermondeLike::new`], and [`Error::OutOfRange`] for an order below n or above 2n + 1.
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
            filter: Filter::new(order, cols),
            rank,
            layout: shape.generator_layout(rank).with("v", &[rows]),
            fixed: None,
            plan: Laplace::new(order),
            circulants: HalfCirculants::new(cols, order, rank),
        })
    }

    /// Takes the nodes out of the parameters and fixes them.
    ///
    /// # Errors
    ///
    /// [`Error::Length`] unless there are m of them, [`Error::NotFinite`], or [`Error::ElementOutOfRange`] for a node outside
    /// [−1, 1].
    pub fn fix_nodes(mut self, nodes: &[T]) -> Result<Self> {
        has_length("v", nodes, self.shape.rows)?;
        check_nodes(nodes)?;
        self.layout = self.shape.generator_layout(self.rank);
        self.fixed = Some(nodes.to_vec());
        Ok(self)
    }

    /// The matrix of these nodes and the generators whose columns are the rows of `g` (r×m) and `h` (r×n).
    ///
    /// # Errors
    ///
    /// As for [`VandermondeLike::new`], and [`Error::Length`], [`Error::NotFinite`] or [`Error::ElementOutOfRange`] for bad
    /// parameters.
    pub fn from_generators(nodes: &[T], cols: usize, rank: usize, g: &[T], h: &[T]) -> Result<Matrix<T, Self>> {
        let structure = Self::new(nodes.len(), cols, rank)?;
        let mut parameters = structure.shape.join_generators(rank, g, h)?;
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
    /// assert_eq!(v.to_dense(), [1.0, 0.5, 0.25, 1.0, -1.0, 1.0]);
    /// # Ok::<(), displace::Error>(())
    /// ```
    pub fn from_nodes(nodes: &[T], cols: usize) -> Result<Matrix<T, Self>> {
        let filter = Filter::new(fast_length(cols), cols);
        let g: Vec<T> = nodes.iter().map(|v| T::of(filter.divisor(v.wide()))).collect();
        let mut h = vec![T::zero(); cols];
        h.iter_mut().take(1).for_each(|h| *h = T::one());
        Self::from_generators(nodes, cols, 1, &g, &h)
    }

    /// Any m×n matrix, given row by row, at displacement rank min(m, n) and with nodes of your choice: exact, and not small.
    ///
    /// # Errors
    ///
    /// As for [`VandermondeLike::from_generators`], and [`Error::Length`] unless `dense` holds m·n numbers.
    pub fn from_dense(nodes: &[T], cols: usize, dense: &[T]) -> Result<Matrix<T, Self>> {
        let (m, n) = (nodes.len(), cols);
        let rank = m.min(n);
        let structure = Self::new(m, n, rank)?;
        has_length("the entries", dense, m * n)?;
        check_nodes(nodes)?;
        let mut parameters = vec![T::zero(); structure.layout.len()];
        parameters[rank * (m + n)..].copy_from_slice(nodes);
        let (g, h) = structure.shape.generators_mut(rank, &mut parameters);
        for (i, (row, &v)) in dense.chunks_exact(n).zip(nodes).enumerate() {
            let mut row: Vec<f64> = row.iter().map(|entry| entry.wide()).collect();
            structure.filter.displace(v.wide(), &mut row);
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

    /// The nodes: the fixed ones, or those among the parameters.
    pub fn nodes<'a>(&'a self, parameters: &'a [T]) -> &'a [T] {
        match &self.fixed {
            Some(nodes) => nodes,
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

    /// Rows of `G Hᵀ`, widened.
    fn displacement(&self, parameters: &[T]) -> Vec<f64> {
        let Shape { rows: m, cols: n } = self.shape;
        let (g, h) = self.shape.generators(self.rank, parameters);
        let mut dense = vec![T::zero(); m * n];
        gemm_tn(g, h, &mut dense, [m, self.rank, n]);
        dense.into_iter().map(Scalar::wide).collect()
    }
}

impl<T: Scalar> Structure<T> for VandermondeLike<T> {
    fn family(&self) -> Family {
        Family::VandermondeLike
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
            Some(nodes) => free.fix_nodes(nodes),
            None => Ok(free),
        });
        Some(structure.map(|structure| Arc::new(structure) as Arc<dyn Structure<T>>))
    }

    fn reconstruction(&self, parameters: &[T]) -> Option<Arc<dyn Reconstruction>> {
        let nodes = self.nodes(parameters).iter().map(|v| v.wide()).collect();
        Some(Arc::new(ByFilters { filter: self.filter, nodes }))
    }

    fn constants(&self) -> Vec<(&'static str, Vec<f64>)> {
        let order = ("order", vec![self.filter.order as f64]);
        let nodes = self.fixed.as_ref().map(|nodes| ("v", nodes.iter().map(|v| v.wide()).collect()));
        std::iter::once(order).chain(nodes).collect()
    }

    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn check(&self, parameters: &[T]) -> Result<()> {
        let (generators, nodes) = parameters.split_at(self.generators());
        all_finite("parameters", generators)?;
        check_nodes(nodes)
    }

    fn prepare(&self, parameters: &[T], prepared: &mut Prepared<T>, scratch: &mut [T]) {
        let m = self.shape.rows;
        let nodes = self.nodes(parameters);
        if self.fixed.is_none() || prepared.object.is_none() {
            place(&self.plan, nodes, prepared);
        }
        let (g, h) = self.shape.generators(self.rank, parameters);
        let len = self.circulants.spectra_len();
        let numbers = prepared.numbers_mut(len + (self.rank + 2) * m);
        let (spectra, rest) = numbers.split_at_mut(len);
        let (weights, rest) = rest.split_at_mut(self.rank * m);
        let (factors, slopes) = rest.split_at_mut(m);
        self.circulants.prepare(h, spectra, scratch);
        for ((&v, factor), slope) in nodes.iter().zip(&mut *factors).zip(slopes) {
            let divisor = self.filter.divisor(v.wide());
            *factor = T::of(divisor.recip());
            *slope = T::of(self.filter.slope(v.wide(), divisor));
        }
        weigh(factors, g, weights);
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
                    for ((y, &weight), &value) in y.iter_mut().zip(weights).zip(values) {
                        *y += weight * value;
                    }
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
        self.rank * self.shape.rows + self.circulants.spectra_len() + self.shape.rows
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
        let (h_sums, node_sums) = rest.split_at_mut(circulants.spectra_len());
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
                // z = V Z_½(h)ᵀ x, once more; dG gathers dy ⊙ z.
                circulants.filter(form, input, h, inner, signals, scratch);
                self.plan.forward(nodes, signals, values, scratch);
                add_products(g_sum, values, dy, |_| T::one());
                weigh(weights, dy, weighted);
                if self.fixed.is_none() {
                    self.plan.node_gradient(nodes, signals, weighted, node_sums, scratch);
                    add_products(node_sums, values, weighted, |i| view.slopes[i]);
                }
                // u = Vᵀ (g ⊙ dy); dH gathers Z_½(u)ᵀ x, dx is the sum of Z_½(h) u.
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
        let (h_sums, node_sums) = rest.split_at(self.circulants.spectra_len());
        let (generators, dv) = gradient.split_at_mut(self.generators());
        let (dg, dh) = self.shape.generators_mut(self.rank, generators);
        let factors = self.view(bound.prepared).factors;
        for (dg, sums) in dg.chunks_exact_mut(m).zip(g_sums.chunks_exact(m)) {
            for ((d, &sum), &factor) in dg.iter_mut().zip(sums).zip(factors) {
                *d += factor * sum;
            }
        }
        self.circulants.finish(h_sums, dh, scratch);
        dv.iter_mut().zip(node_sums).for_each(|(d, &s)| *d += s);
    }

    fn write_dense(&self, parameters: &[T], dense: &mut [T]) {
        let n = self.shape.cols;
        let mut wide = self.displacement(parameters);
        let rows = wide.chunks_exact_mut(n).zip(dense.chunks_exact_mut(n));
        for ((wide, row), &v) in rows.zip(self.nodes(parameters)) {
            self.filter.integrate(v.wide(), wide);
            row.iter_mut().zip(wide).for_each(|(entry, &mut wide)| *entry = T::of(wide));
        }
    }

    fn pull_back(&self, parameters: &[T], dense: &[T], gradient: &mut [T]) {
        let n = self.shape.cols;
        let nodes = self.nodes(parameters);
        let mut adjoint: Vec<f64> = dense.iter().map(|d| d.wide()).collect();
        for (row, v) in adjoint.chunks_exact_mut(n).zip(nodes) {
            self.filter.integrate_adjoint(v.wide(), row);
        }
        if self.fixed.is_none() {
            let mut matrix = self.displacement(parameters);
            let rows = matrix.chunks_exact_mut(n).zip(adjoint.chunks_exact(n));
            for (((row, adjoint), &v), d) in rows.zip(nodes).zip(&mut gradient[self.generators()..]) {
                let v = v.wide();
                self.filter.integrate(v, row);
                *d += T::of(self.filter.pull_back(v, row, adjoint));
            }
        }
        let adjoint: Vec<T> = adjoint.into_iter().map(T::of).collect();
        self.shape.pull_back_generators(self.rank, parameters, &adjoint, gradient);
    }

    /// Nodes as in [`Vandermonde`](crate::structured::Vandermonde), and normal generators, scaled so that every *row* of M
    /// has the variance asked for, whatever its node.
    fn initialise(&self, init: Init, rng: &mut fastrand::Rng, parameters: &mut [T]) {
        let Shape { rows: m, cols: n } = self.shape;
        if self.fixed.is_none() {
            spread(self.filter.order, rng, &mut parameters[self.generators()..]);
        }
        let variance = init.variance(m, n) / self.rank.max(1) as f64;
        let products: Vec<f64> = self.nodes(parameters).iter().map(|v| variance / self.filter.gain(v.wide())).collect();
        let shared = (products.iter().sum::<f64>() / m as f64).sqrt();
        let (g, h) = self.shape.generators_mut(self.rank, parameters);
        normal(rng, shared, h);
        normal(rng, 1.0, g);
        for (g, product) in g.iter_mut().zip(products.iter().cycle()) {
            *g *= T::of((product / shared.max(f64::MIN_POSITIVE)).sqrt());
        }
    }

    fn cost(&self, batch: usize) -> f64 {
        let transforms = transform_cost::<T>(self.filter.order, self.rank + 1, batch);
        transforms + self.rank as f64 * laplace_cost::<T>(self.shape.rows, self.filter.order)
    }
}

/// Rows of products with `weights`.
fn weigh<T: Scalar>(weights: &[T], rows: &[T], weighted: &mut [T]) {
    let m = weights.len();
    for (row, weighted) in rows.chunks_exact(m).zip(weighted.chunks_exact_mut(m)) {
        for ((weighted, &weight), &x) in weighted.iter_mut().zip(weights).zip(row) {
            *weighted = weight * x;
        }
    }
}

/// Adds to each element of `sums` the products of two batches of rows, times a factor.
fn add_products<T: Scalar>(sums: &mut [T], a: &[T], b: &[T], factor: impl Fn(usize) -> T) {
    let m = sums.len();
    for (a, b) in a.chunks_exact(m).zip(b.chunks_exact(m)) {
        for (i, sum) in sums.iter_mut().enumerate() {
            *sum += factor(i) * a[i] * b[i];
        }
    }
}

/// How a Vandermonde-like matrix follows from its displacement: a recursive filter along each row, O(mn).
#[derive(Debug)]
struct ByFilters {
    filter: Filter,
    nodes: Vec<f64>,
}

impl ByFilters {
    fn each(&self, matrix: &mut [f64], change: impl Fn(f64, &mut [f64])) {
        matrix.chunks_exact_mut(self.filter.cols).zip(&self.nodes).for_each(|(row, &v)| change(v, row));
    }
}

impl Reconstruction for ByFilters {
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
