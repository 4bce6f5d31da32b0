//! Vandermonde matrices of real nodes, and their transposes.
//!
//! `V_ik = v_i^k`, i < m, k < n, with nodes v_i in [−1, 1]: row i evaluates, at v_i, the polynomial whose coefficients are the
//! input. With D = diag(v) and the f-circulant shift Z_f,
//!
//! `D V − V Z_f = (vⁿ − f) e_{n−1}ᵀ` and `V − D V Z_fᵀ = (1 − f vⁿ) e_0ᵀ`:
//!
//! displacement rank 1, in the Sylvester and in the Stein form. The transpose has rank 1 under the transposed pair.
//!
//! *Parameters:* the m nodes `"v"`; several may be equal. *Cost:* a fast Laplace transform, O(m + n) with about 50
//! operations a node and 16 to 30 a coefficient (half of that in f32), for the product, the transposed product and the
//! gradient in the nodes each; two logarithms a node when the nodes change. *Accuracy:* 5·10⁻¹⁴ (f32: 10⁻⁶) of
//! `‖ |V| |x| ‖`, for any nodes: clustered, repeated, ±1, 0, tiny.
//!
//! *Choose it* to evaluate polynomials, moments and decaying exponentials, with gradients. As a layer it can learn
//! nothing but the nodes: see [`VandermondeLike`](crate::ldr::VandermondeLike). A node sees only the first `36/−ln|v|`
//! coefficients, so for all n to be seen 1 − |v| must go down to 1/n; random nodes are chosen so. Multiply with these
//! matrices rather than solve with them: the condition number grows exponentially;
//! [`solve::vandermonde`](crate::solve::vandermonde) does what can be done.

use std::any::Any;
use std::sync::Arc;

use crate::error::{all_finite, has_length};
use crate::matrix::{Bound, Family, Init, Layout, Matrix, Parameters, Prepared, REAL_NODES, Structure};
use crate::shape::Shape;
use crate::transform::laplace::{GROUP, Laplace, Nodes, is_series};
use crate::{Error, Result, Scalar};

/// The structure of an m×n Vandermonde matrix of real nodes in [−1, 1], or of its n×m transpose.
///
/// Its parameters are the nodes, `"v"`. A step of an optimiser that moves a node out of [−1, 1] is refused with
/// [`Error::ElementOutOfRange`]; [`Vandermonde::clamp`] puts such nodes back.
#[derive(Debug)]
pub struct Vandermonde<T: Scalar> {
    shape: Shape,
    transposed: bool,
    layout: Layout,
    plan: Laplace<T>,
}

impl<T: Scalar> Vandermonde<T> {
    /// An m×n Vandermonde matrix without its m nodes.
    ///
    /// # Errors
    ///
    /// [`Error::EmptyShape`] or [`Error::TooLarge`].
    pub fn new(rows: usize, cols: usize) -> Result<Self> {
        Self::of_kind(Shape::new(rows, cols)?, false)
    }

    /// An m×n matrix whose transpose is Vandermonde, without its n nodes: `M_ki = v_i^k`.
    ///
    /// # Errors
    ///
    /// [`Error::EmptyShape`] or [`Error::TooLarge`].
    pub fn transposed(rows: usize, cols: usize) -> Result<Self> {
        Self::of_kind(Shape::new(rows, cols)?, true)
    }

    /// The Vandermonde matrix of these nodes with n columns.
    ///
    /// # Errors
    ///
    /// As for [`Vandermonde::new`], [`Error::NotFinite`], or [`Error::ElementOutOfRange`] for a node outside [−1, 1].
    ///
    /// ```
    /// use displace::structured::Vandermonde;
    ///
    /// let v = Vandermonde::from_nodes(&[0.5, -1.0], 3)?;
    /// assert_eq!(v.to_dense()?, [1.0, 0.5, 0.25, 1.0, -1.0, 1.0]);
    /// assert!(Vandermonde::from_nodes(&[0.5, -1.5], 3).is_err());
    /// # Ok::<(), displace::Error>(())
    /// ```
    pub fn from_nodes(nodes: &[T], cols: usize) -> Result<Matrix<T, Self>> {
        Matrix::new(Arc::new(Self::new(nodes.len(), cols)?), nodes.to_vec())
    }

    /// The transposed Vandermonde matrix of these nodes with m rows.
    ///
    /// # Errors
    ///
    /// As for [`Vandermonde::from_nodes`].
    pub fn transposed_from_nodes(nodes: &[T], rows: usize) -> Result<Matrix<T, Self>> {
        Matrix::new(Arc::new(Self::transposed(rows, nodes.len())?), nodes.to_vec())
    }

    /// Moves nodes that an optimiser has pushed out of [−1, 1] to the nearer end.
    pub fn clamp(nodes: &mut [T]) {
        nodes.iter_mut().for_each(|v| *v = v.max(-T::one()).min(T::one()));
    }

    fn of_kind(shape: Shape, transposed: bool) -> Result<Self> {
        let (nodes, powers) = if transposed { (shape.cols, shape.rows) } else { (shape.rows, shape.cols) };
        shape.check_rank(1)?;
        check_count(shape)?;
        Ok(Self { shape, transposed, layout: Layout::new().with("v", &[nodes]), plan: Laplace::new(powers) })
    }

    fn placed<'a>(&self, bound: Bound<'a, T>, anew: &'a mut Nodes<T>) -> &'a Nodes<T> {
        placed(bound.prepared, anew, |nodes| self.plan.place(bound.parameters, nodes))
    }

    fn evaluate(&self, bound: Bound<'_, T>, x: &[T], y: &mut [T], scratch: &mut [T]) {
        self.plan.forward(self.placed(bound, &mut Nodes::default()), x, y, scratch);
    }

    fn moments(&self, bound: Bound<'_, T>, y: &[T], x: &mut [T], scratch: &mut [T]) {
        self.plan.adjoint(self.placed(bound, &mut Nodes::default()), y, x, scratch);
    }

    /// Where power k of node i is, in a row-major matrix.
    fn entry(&self, i: usize, k: usize) -> usize {
        if self.transposed { k * self.shape.cols + i } else { i * self.shape.cols + k }
    }
}

impl<T: Scalar> Structure<T> for Vandermonde<T> {
    fn family(&self) -> Family {
        if self.transposed { Family::TransposedVandermonde } else { Family::Vandermonde }
    }

    fn rows(&self) -> usize {
        self.shape.rows
    }

    fn cols(&self) -> usize {
        self.shape.cols
    }

    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn check(&self, parameters: &[T]) -> Result<()> {
        check_nodes(parameters)
    }

    fn prepare(&self, Parameters(parameters): Parameters<'_, T>, prepared: &mut Prepared<T>, _: &mut [T]) {
        place(prepared, |nodes| self.plan.place(parameters, nodes));
    }

    fn scratch_len(&self) -> usize {
        self.plan.scratch_len(self.layout.len())
    }

    fn apply(&self, bound: Bound<'_, T>, x: &[T], y: &mut [T], scratch: &mut [T]) {
        if self.transposed { self.moments(bound, x, y, scratch) } else { self.evaluate(bound, x, y, scratch) }
    }

    fn apply_transposed(&self, bound: Bound<'_, T>, y: &[T], x: &mut [T], scratch: &mut [T]) {
        if self.transposed { self.evaluate(bound, y, x, scratch) } else { self.moments(bound, y, x, scratch) }
    }

    fn gradient_len(&self, _: usize) -> usize {
        self.layout.len()
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
        let (coefficients, values) = if self.transposed { (dy, x) } else { (x, dy) };
        self.plan.node_gradient(self.placed(bound, &mut Nodes::default()), coefficients, values, sums, scratch);
        if let Some(dx) = dx {
            self.apply_transposed(bound, dy, dx, scratch);
        }
    }

    fn finish_gradient(&self, _: Bound<'_, T>, sums: &mut [T], gradient: &mut [T], _: &mut [T]) {
        gradient.iter_mut().zip(sums).for_each(|(g, s)| *g += *s);
    }

    fn sums_are_gradient(&self, _: Bound<'_, T>) -> bool {
        true
    }

    fn write_dense(&self, Parameters(parameters): Parameters<'_, T>, dense: &mut [T]) {
        for (i, &v) in parameters.iter().enumerate() {
            for (k, power) in powers(v.wide()).take(self.plan.cols()).enumerate() {
                dense[self.entry(i, k)] = T::of(power);
            }
        }
    }

    fn pull_back(&self, Parameters(parameters): Parameters<'_, T>, dense: &[T], gradient: &mut [T]) {
        for (i, (&v, gradient)) in parameters.iter().zip(gradient).enumerate() {
            let term = |(k, power): (usize, f64)| (k + 1) as f64 * power * dense[self.entry(i, k + 1)].wide();
            *gradient += T::of(powers(v.wide()).take(self.plan.cols() - 1).enumerate().map(term).sum());
        }
    }

    /// Nodes of both signs with −ln|v| spread evenly, on a logarithmic scale, from 1 down to 1/n: every octave of
    /// coefficients is seen by as many nodes as any other. There is nothing that could be scaled, so the variance is not what
    /// `init` asks for.
    fn initialise(&self, _: Init, rng: &mut fastrand::Rng, parameters: &mut [T]) -> Result<()> {
        has_length("parameters", parameters, self.layout().len())?;
        spread(self.plan.cols(), rng, parameters);
        Ok(())
    }

    fn cost(&self, batch: usize) -> f64 {
        REAL_NODES * laplace_cost::<T>(self.layout.len(), self.plan.cols(), batch, self.transposed)
    }
}

/// Refuses the first node that is not finite or not in [−1, 1].
pub(crate) fn check_nodes<T: Scalar>(nodes: &[T]) -> Result<()> {
    all_finite("v", nodes)?;
    match nodes.iter().position(|v| v.abs() > T::one()) {
        None => Ok(()),
        Some(index) => {
            Err(Error::ElementOutOfRange { what: "v", index, value: nodes[index].wide(), range: "[−1, 1]" })
        }
    }
}

/// Refuses more nodes or powers than 31 bits count.
pub(crate) fn check_count(shape: Shape) -> Result<()> {
    let Shape { rows, cols } = shape;
    if rows.max(cols) >> 31 == 0 { Ok(()) } else { Err(Error::TooLarge { rows, cols, rank: None }) }
}

/// Places nodes, in the storage of the ones before if nobody shares them.
pub(crate) fn place<T: Scalar, N: Default + Any + Send + Sync>(prepared: &mut Prepared<T>, put: impl FnOnce(&mut N)) {
    let object = prepared.object.as_mut().and_then(Arc::get_mut);
    if let Some(placed) = object.and_then(|object| object.downcast_mut::<N>()) {
        return put(placed);
    }
    let mut placed = N::default();
    put(&mut placed);
    let object: Arc<dyn Any + Send + Sync> = Arc::new(placed);
    prepared.object = Some(object);
}

/// The nodes that [`place`] has placed; placed anew, into `anew`, if it was another structure that prepared.
pub(crate) fn placed<'a, T, N>(prepared: &'a Prepared<T>, anew: &'a mut N, put: impl FnOnce(&mut N)) -> &'a N
where
    T: Scalar,
    N: Any + Send + Sync,
{
    let object = prepared.object.as_ref().and_then(|object| object.downcast_ref());
    object.unwrap_or_else(|| {
        put(anew);
        anew
    })
}

/// The powers of v, each within 17 rounding errors of 2⁻⁵³.
pub(crate) fn powers(v: f64) -> impl Iterator<Item = f64> {
    let mut power = 1.0;
    (0..).map(move |k: i64| {
        power = if k % 16 == 0 { v.powf(k as f64) } else { power * v };
        power
    })
}

/// Nodes for n coefficients as [`Vandermonde`] makes them.
pub(crate) fn spread<T: Scalar>(n: usize, rng: &mut fastrand::Rng, nodes: &mut [T]) {
    let count = nodes.len() as f64;
    for (i, v) in nodes.iter_mut().enumerate() {
        let lambda = (n as f64).powf(-(i as f64 + 0.5 * (1.0 + rng.f64())) / count);
        *v = T::of((-lambda).exp() * if i % 2 == 0 { 1.0 } else { -1.0 });
    }
}

/// Nanoseconds per node and coefficient of a Laplace transform, and per doubling of n: of a row alone, and of one of several,
/// which share the recurrences.
type Cost = [[f64; 2]; 2];

/// Measured, for values and for moments, in f32.
const COST: [Cost; 2] = [[[0.8, 155.0], [0.75, 115.0]], [[1.15, 225.0], [0.9, 155.0]]];
/// The same in f64.
const COST_F64: [Cost; 2] = [[[2.2, 185.0], [2.35, 115.0]], [[2.2, 260.0], [2.1, 165.0]]];
/// Nanoseconds of a term of a power series, where that is all: f32, f64.
const TERM: [f64; 2] = [0.05, 0.085];

/// Estimated nanoseconds per row of a Laplace transform with m nodes and n coefficients, from values to moments if it is the
/// adjoint.
pub(crate) fn laplace_cost<T: Scalar>(m: usize, n: usize, batch: usize, adjoint: bool) -> f64 {
    let (costs, term) = if T::NAME == "f32" { (COST, TERM[0]) } else { (COST_F64, TERM[1]) };
    let share = (batch.max(1) as f64).recip();
    if is_series::<T>(n) {
        return 15.0 + 100.0 * share + term * m as f64 * n as f64;
    }
    let [linear, level] = costs[usize::from(adjoint)][usize::from(batch >= GROUP)];
    100.0 * share + linear * (m as f64 + n as f64) + level * (n as f64).log2()
}
