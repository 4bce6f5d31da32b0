//! Cauchy-like matrices: the entries of a matrix of rank r, each over a difference of nodes.
//!
//! With generators G (m×r) and H (n×r) and nodes s and t,
//!
//! `M_ij = (G Hᵀ)_ij/(s_i − t_j)`, `M = Σ_j D(g_j) C D(h_j)`, `D(s) M − M D(t) = G Hᵀ`,
//!
//! where C is the [`Cauchy`](crate::structured::Cauchy) matrix of the nodes. It is that matrix itself at r = 1 with
//! generators of ones; every m×n matrix is Cauchy-like at r = min(m, n), for any nodes; and the transposed matrix and,
//! where it exists, the inverse have the same rank under the pair with its roles exchanged.
//!
//! *Parameters:* r(m + n), and m + n for the nodes where they are trained ([`CauchyNodes`]). *Cost:* r Cauchy products that
//! share their nodes and are computed together: r(m + n) times some 6 ns (f32) or 14 ns (f64) a product, and three times as
//! much for one vector at r = 1; about four times that for all gradients. *Accuracy:* that of the Cauchy product for each
//! generator; sums over j may cancel. *Choose it* when the nodes have a meaning, or as the class into which Fourier transforms
//! turn Toeplitz-like matrices; as a layer of a given displacement rank [`ToeplitzLike`](super::ToeplitzLike) is faster.

use std::sync::Arc;

use super::toeplitz_like::{full_generators, leading_generators};
use crate::error::{all_finite, has_length};
use crate::matrix::{
    Bound, Family, Init, Layout, Matrix, Parameters, Prepared, Reconstruction, Structure, cauchy_nodes, normal,
};
use crate::shape::Shape;
use crate::structured::CauchyNodes;
use crate::structured::cauchy::{plan, planned};
use crate::structured::cauchy_nodes::entries_mean_square;
use crate::transform::cauchy::{CauchyPlan, Want, Way, product_cost, scratch_len};
use crate::unstructured::gemm::gemm_tn;
use crate::{Result, Scalar};

/// The structure of a Cauchy-like m×n matrix of displacement rank r.
///
/// Tensors `"G"` and `"H"`, stored transposed as r×m and r×n, one column of G or H a row; then those of the nodes, if they
/// are trained.
#[derive(Debug, Clone)]
pub struct CauchyLike<T: Scalar> {
    nodes: CauchyNodes<T>,
    /// The plan for nodes that are fixed.
    fixed: Option<Arc<CauchyPlan<T>>>,
    rank: usize,
    layout: Layout,
}

impl<T: Scalar> CauchyLike<T> {
    /// A Cauchy-like m×n matrix without parameters, of displacement rank `rank` from 0 to min(m, n), with nodes that are
    /// trained and stay apart, [`CauchyNodes::apart`].
    ///
    /// # Errors
    ///
    /// [`Error::EmptyShape`](crate::Error::EmptyShape), [`Error::RankTooLarge`](crate::Error::RankTooLarge),
    /// [`Error::TooLarge`](crate::Error::TooLarge) or [`Error::Memory`](crate::Error::Memory).
    pub fn new(rows: usize, cols: usize, rank: usize) -> Result<Self> {
        Self::with_nodes(CauchyNodes::apart(rows, cols)?, rank)
    }

    /// The same with nodes of any kind, trained or fixed.
    ///
    /// # Errors
    ///
    /// [`Error::RankTooLarge`](crate::Error::RankTooLarge) or [`Error::TooLarge`](crate::Error::TooLarge).
    pub fn with_nodes(nodes: CauchyNodes<T>, rank: usize) -> Result<Self> {
        let shape = nodes.shape();
        shape.check_rank(rank)?;
        let layout = nodes.extend(shape.generator_layout(rank));
        let fixed = (!nodes.is_trainable()).then(|| plan(&nodes, &[]));
        Ok(Self { nodes, fixed, rank, layout })
    }

    /// The matrix of the generators whose columns are the rows of `g` (r×m) and `h` (r×n), with nodes that are fixed.
    ///
    /// # Errors
    ///
    /// As for [`CauchyNodes::fixed`] and [`CauchyLike::with_nodes`], and [`Error::Length`](crate::Error::Length) or
    /// [`Error::NotFinite`](crate::Error::NotFinite) for bad generators.
    ///
    /// ```
    /// use displace::ldr::CauchyLike;
    ///
    /// let m = CauchyLike::from_generators(&[1.0, 3.0], &[0.0, 2.0], 1, &[1.0, 6.0], &[1.0, 1.0])?;
    /// assert_eq!(m.to_dense()?, [1.0, -1.0, 2.0, 6.0]);
    /// # Ok::<(), displace::Error>(())
    /// ```
    pub fn from_generators(s: &[T], t: &[T], rank: usize, g: &[T], h: &[T]) -> Result<Matrix<T, Self>> {
        let nodes = CauchyNodes::fixed(s, t)?;
        let structure = Self::with_nodes(nodes, rank)?;
        let parameters = structure.nodes.shape().join_generators(rank, g, h)?;
        Matrix::new(Arc::new(structure), parameters)
    }

    /// Projects a dense m×n matrix, row by row, to displacement rank `rank` with these nodes, which are fixed: its displacement
    /// `(s_i − t_j) M_ij` is truncated by a singular value decomposition.
    ///
    /// Exact, up to rounding, at rank min(m, n), and for every matrix that has the displacement rank. Otherwise what is cut
    /// off is divided by the smallest differences of nodes again: a starting point for refinement.
    ///
    /// # Errors
    ///
    /// As for [`CauchyLike::from_generators`], and [`Error::Length`](crate::Error::Length) when there are not mn entries.
    pub fn from_dense(s: &[T], t: &[T], rank: usize, entries: &[T]) -> Result<Matrix<T, Self>> {
        let structure = Self::with_nodes(CauchyNodes::fixed(s, t)?, rank)?;
        let Shape { rows: m, cols: n } = structure.nodes.shape();
        has_length("entries", entries, m * n)?;
        all_finite("entries", entries)?;
        let mut displacement = entries.to_vec();
        for (row, &s) in displacement.chunks_exact_mut(n).zip(s) {
            row.iter_mut().zip(t).for_each(|(entry, &t)| *entry *= s - t);
        }
        let parameters = if rank == m.min(n) {
            full_generators(&displacement, m, n)
        } else {
            leading_generators(&displacement, m, n, rank)
        };
        Matrix::new(Arc::new(structure), parameters)
    }

    /// How the nodes follow from the parameters behind those of G and H.
    pub fn nodes(&self) -> &CauchyNodes<T> {
        &self.nodes
    }

    /// The nodes s and t of a matrix with these parameters.
    ///
    /// # Errors
    ///
    /// [`Error::Length`](crate::Error::Length) if the parameters are not as many as the layout says.
    pub fn nodes_of(&self, parameters: &[T]) -> Result<(Vec<T>, Vec<T>)> {
        has_length("parameters", parameters, self.layout.len())?;
        Ok(self.places(parameters))
    }

    /// The same for as many as it says.
    fn places(&self, parameters: &[T]) -> (Vec<T>, Vec<T>) {
        self.nodes.places(self.split(parameters).1)
    }

    fn plan(&self, parameters: &[T]) -> Arc<CauchyPlan<T>> {
        self.fixed.clone().unwrap_or_else(|| plan(&self.nodes, self.split(parameters).1))
    }

    fn planned<'a>(&self, bound: Bound<'a, T>, anew: &'a mut Option<Arc<CauchyPlan<T>>>) -> &'a CauchyPlan<T> {
        planned(bound.prepared, anew, || self.plan(bound.parameters))
    }

    fn generators_len(&self) -> usize {
        let Shape { rows, cols } = self.nodes.shape();
        self.rank * (rows + cols)
    }

    /// The parameters of the generators and those of the nodes.
    fn split<'a>(&self, parameters: &'a [T]) -> (&'a [T], &'a [T]) {
        parameters.split_at(self.generators_len())
    }
}

impl<T: Scalar> Structure<T> for CauchyLike<T> {
    fn family(&self) -> Family {
        Family::CauchyLike
    }

    fn rows(&self) -> usize {
        self.nodes.shape().rows
    }

    fn cols(&self) -> usize {
        self.nodes.shape().cols
    }

    fn rank(&self) -> Option<usize> {
        Some(self.rank)
    }

    fn at_rank(&self, rank: usize) -> Option<Result<Arc<dyn Structure<T>>>> {
        let structure = Self::with_nodes(self.nodes.clone(), rank);
        Some(structure.map(|structure| Arc::new(structure) as Arc<dyn Structure<T>>))
    }

    fn reconstruction(&self, Parameters(parameters): Parameters<'_, T>) -> Option<Arc<dyn Reconstruction>> {
        let (s, t) = self.places(parameters);
        let wide = |nodes: Vec<T>| nodes.into_iter().map(T::wide).collect();
        Some(Arc::new(ByDifferences { s: wide(s), t: wide(t) }))
    }

    fn constants(&self) -> Vec<(&'static str, Vec<f64>)> {
        self.nodes.constants()
    }

    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn check(&self, parameters: &[T]) -> Result<()> {
        has_length("parameters", parameters, self.layout.len())?;
        all_finite("parameters", parameters)?;
        self.nodes.check(self.split(parameters).1)
    }

    fn prepare(&self, Parameters(parameters): Parameters<'_, T>, prepared: &mut Prepared<T>, _: &mut [T]) {
        prepared.object = Some(self.plan(parameters));
    }

    fn scratch_len(&self) -> usize {
        scratch_len::<T>(self.rows(), self.cols(), Want::Both)
    }

    fn apply(&self, bound: Bound<'_, T>, x: &[T], y: &mut [T], scratch: &mut [T]) {
        let (Shape { rows: m, cols: n }, r) = (self.nodes.shape(), self.rank);
        let (g, h) = self.nodes.shape().generators(r, bound.parameters);
        y.fill(T::zero());
        let load = |q: usize, k: usize| {
            let (j, b) = split(q, r);
            h[j * n + k] * x[b * n + k]
        };
        let store = |q: usize, i: usize, [v, _]: [T; 2]| {
            let (j, b) = split(q, r);
            y[b * m + i] += g[j * m + i] * v;
        };
        self.planned(bound, &mut None).multiply(Way::Plain, Want::Product, x.len() / n * r, load, store, scratch);
    }

    fn apply_transposed(&self, bound: Bound<'_, T>, y: &[T], x: &mut [T], scratch: &mut [T]) {
        let (Shape { rows: m, cols: n }, r) = (self.nodes.shape(), self.rank);
        let (g, h) = self.nodes.shape().generators(r, bound.parameters);
        x.fill(T::zero());
        let load = |q: usize, i: usize| {
            let (j, b) = split(q, r);
            g[j * m + i] * y[b * m + i]
        };
        let store = |q: usize, k: usize, [v, _]: [T; 2]| {
            let (j, b) = split(q, r);
            x[b * n + k] += h[j * n + k] * v;
        };
        self.planned(bound, &mut None).multiply(Way::Transposed, Want::Product, y.len() / m * r, load, store, scratch);
    }

    fn gradient_len(&self, _: usize) -> usize {
        let Shape { rows, cols } = self.nodes.shape();
        self.generators_len() + rows + cols
    }

    fn backward(
        &self,
        bound: Bound<'_, T>,
        x: &[T],
        dy: &[T],
        mut dx: Option<&mut [T]>,
        sums: &mut [T],
        scratch: &mut [T],
    ) {
        let (shape, r) = (self.nodes.shape(), self.rank);
        let Shape { rows: m, cols: n } = shape;
        let (g, h) = shape.generators(r, bound.parameters);
        let (generators, nodes) = sums.split_at_mut(self.generators_len());
        let (dg, dh) = shape.generators_mut(r, generators);
        let (ds, dt) = nodes.split_at_mut(m);
        let mut anew = None;
        let (plan, count) = (self.planned(bound, &mut anew), x.len() / n * r);
        let want = if self.nodes.is_trainable() { Want::Both } else { Want::Product };
        if let Some(dx) = &mut dx {
            dx.fill(T::zero());
        }

        let load = |q: usize, k: usize| {
            let (j, b) = split(q, r);
            h[j * n + k] * x[b * n + k]
        };
        let store = |q: usize, i: usize, [v, square]: [T; 2]| {
            let (j, b) = split(q, r);
            let (dy, at) = (dy[b * m + i], j * m + i);
            dg[at] += dy * v;
            ds[i] -= dy * g[at] * square;
        };
        plan.multiply(Way::Plain, want, count, load, store, scratch);

        let load = |q: usize, i: usize| {
            let (j, b) = split(q, r);
            g[j * m + i] * dy[b * m + i]
        };
        let store = |q: usize, k: usize, [v, square]: [T; 2]| {
            let (j, b) = split(q, r);
            let (x, at) = (x[b * n + k], j * n + k);
            dh[at] += x * v;
            dt[k] += x * h[at] * square;
            if let Some(dx) = &mut dx {
                dx[b * n + k] += h[at] * v;
            }
        };
        plan.multiply(Way::Transposed, want, count, load, store, scratch);
    }

    fn finish_gradient(&self, bound: Bound<'_, T>, sums: &mut [T], gradient: &mut [T], _: &mut [T]) {
        let (generators, nodes) = self.split(sums);
        let (to_generators, to_nodes) = gradient.split_at_mut(generators.len());
        to_generators.iter_mut().zip(generators).for_each(|(g, &s)| *g += s);
        let (ds, dt) = nodes.split_at(self.rows());
        self.nodes.pull_back(self.split(bound.parameters).1, ds, dt, to_nodes);
    }

    fn write_dense(&self, Parameters(parameters): Parameters<'_, T>, dense: &mut [T]) {
        let Shape { rows: m, cols: n } = self.nodes.shape();
        let (g, h) = self.nodes.shape().generators(self.rank, parameters);
        let (s, t) = self.places(parameters);
        gemm_tn(g, h, dense, [m, self.rank, n]);
        for (row, &s) in dense.chunks_exact_mut(n).zip(&s) {
            row.iter_mut().zip(&t).for_each(|(entry, &t)| *entry /= s - t);
        }
    }

    fn pull_back(&self, Parameters(parameters): Parameters<'_, T>, dense: &[T], gradient: &mut [T]) {
        let Shape { rows: m, cols: n } = self.nodes.shape();
        let (s, t) = self.places(parameters);
        let mut matrix = vec![T::zero(); m * n];
        self.write_dense(Parameters(parameters), &mut matrix);
        let mut displacement = dense.to_vec();
        let (mut ds, mut dt) = (vec![T::zero(); m], vec![T::zero(); n]);
        for (i, (row, entries)) in displacement.chunks_exact_mut(n).zip(matrix.chunks_exact(n)).enumerate() {
            for (j, (d, &entry)) in row.iter_mut().zip(entries).enumerate() {
                *d /= s[i] - t[j];
                ds[i] -= *d * entry;
                dt[j] += *d * entry;
            }
        }
        self.nodes.shape().pull_back_generators(self.rank, parameters, &displacement, gradient);
        let to_nodes = &mut gradient[self.generators_len()..];
        self.nodes.pull_back(self.split(parameters).1, &ds, &dt, to_nodes);
    }

    fn initialise(&self, init: Init, rng: &mut fastrand::Rng, parameters: &mut [T]) -> Result<()> {
        has_length("parameters", parameters, self.layout().len())?;
        let Shape { rows, cols } = self.nodes.shape();
        let (generators, nodes) = parameters.split_at_mut(self.generators_len());
        self.nodes.initialise(None, rng, nodes);
        let (s, t) = self.nodes.places(nodes);
        let terms = self.rank.max(1) as f64 * entries_mean_square(&s, &t);
        normal(rng, (init.variance(rows, cols) / terms).sqrt(), generators);
        Ok(())
    }

    fn cost(&self, batch: usize) -> f64 {
        let numbers = self.generators_len() as f64 * if T::NAME == "f32" { NUMBER[0] } else { NUMBER[1] };
        let products = product_cost::<T>(self.rows(), self.cols(), batch * self.rank) / batch.max(1) as f64;
        cauchy_nodes::<T>() * (numbers + products)
    }
}

/// Nanoseconds, beyond what a Cauchy product takes, for a number of a generator: f32, f64.
const NUMBER: [f64; 2] = [1.2, 0.4];

/// The generator and the example of right-hand side q: q mod r and q / r. It is asked for every number, and the division is
/// what it costs.
#[inline(always)]
fn split(q: usize, rank: usize) -> (usize, usize) {
    match (rank, u32::try_from(q), u32::try_from(rank)) {
        (1, ..) => (0, q),
        (_, Ok(q), Ok(rank)) => ((q % rank) as usize, (q / rank) as usize),
        _ => (q % rank, q / rank),
    }
}

/// How a Cauchy-like matrix follows from its displacement: division by differences of nodes, O(mn).
#[derive(Debug)]
struct ByDifferences {
    s: Vec<f64>,
    t: Vec<f64>,
}

impl ByDifferences {
    fn each(&self, matrix: &mut [f64], change: impl Fn(&mut f64, f64)) {
        for (row, s) in matrix.chunks_exact_mut(self.t.len()).zip(&self.s) {
            row.iter_mut().zip(&self.t).for_each(|(entry, t)| change(entry, s - t));
        }
    }
}

impl Reconstruction for ByDifferences {
    fn reconstruct(&self, displacement: &mut [f64]) {
        self.each(displacement, |entry, difference| *entry /= difference);
    }

    fn pull_back(&self, gradient: &mut [f64]) {
        self.reconstruct(gradient);
    }

    fn displace(&self, matrix: &mut [f64]) {
        self.each(matrix, |entry, difference| *entry *= difference);
    }
}
