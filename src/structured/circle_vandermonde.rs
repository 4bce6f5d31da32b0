//! Vandermonde matrices of nodes on the unit circle, as real matrices, and their transposes.
//!
//! Node i is `e^{iθ_i}`, given by its angle, and takes two rows: the real and the imaginary part of its powers,
//!
//! `M_{2i,k} = s cos kθ_i`, `M_{2i+1,k} = s sin kθ_i`, 0 ≤ k < n,
//!
//! with one scale s for the whole matrix. If m is odd there is one more row, all s: the node 1, which never moves. So a
//! product maps n real numbers, samples or coefficients, to ⌈m/2⌉ amplitudes of oscillations; read in pairs, it *is* the
//! complex product, `y_{2i} + i y_{2i+1} = s Σ_k x_k e^{ikθ_i}`. The transposed matrix adds up oscillations of given
//! frequencies, `x_k = s Σ_i (y_{2i} cos kθ_i + y_{2i+1} sin kθ_i)`. Conjugate nodes would add no information about real
//! numbers, hence half as many nodes as rows.
//!
//! With R the matrix of 2×2 rotations by the angles ([`Rotation`](crate::displacement::Rotation)) and w_k the k-th
//! column,
//!
//! `R M − M Z_f = (w_n − f w_0) e_{n−1}ᵀ` and `M − R M Z_fᵀ = (w_0 − f w_n) e_0ᵀ`:
//!
//! displacement rank 1, in the Sylvester and in the Stein form. The transpose has rank 1 under the transposed pair.
//!
//! *Parameters:* ⌊m/2⌋ angles `"theta"`, any finite numbers, equal ones allowed; and `"scale"`. *Cost:* a non-uniform
//! Fourier transform: a real transform of length L ≥ 2n and 14 (f32: 7) multiplications a row for the product and the
//! transposed product, and two of them for the gradients in the parameters; some 20 ns (f32: 10 ns) a node when the
//! angles change. *Accuracy:* 3·10^{−13} (f32: 10^{−6}) of `s ‖x‖ √m`, for any angles: clustered, repeated, 0, π, far
//! outside [−π, π).
//!
//! *Choose it* where inputs are signals and frequencies are to be learned, or to multiply by non-uniform Fourier
//! matrices with gradients. Near-equispaced nodes make it a well-conditioned matrix, and at equispaced ones, where
//! random angles are near, an orthogonal one up to scale. As a layer it can learn nothing but frequencies: see
//! [`CircleVandermondeLike`](crate::ldr::CircleVandermondeLike). For the inverse see
//! [`solve::circle`](crate::solve::circle).

use std::f64::consts::TAU;
use std::sync::Arc;

use super::vandermonde::{check_count, place, placed};
use crate::error::{all_finite, has_length};
use crate::matrix::{Bound, CIRCLE_NODES, Family, Init, Layout, Matrix, Parameters, Prepared, Structure, take};
use crate::shape::Shape;
use crate::transform::nonuniform::angle::{Turns, multiples};
use crate::transform::nonuniform::{Nodes, Nonuniform};
use crate::{Result, Scalar};

/// The structure of an m×n Vandermonde matrix of ⌊m/2⌋ nodes on the unit circle, or of its n×m transpose.
///
/// Its parameters are the angles, `"theta"`, and the scale of all entries, `"scale"`.
#[derive(Debug)]
pub struct CircleVandermonde<T: Scalar> {
    shape: Shape,
    transposed: bool,
    /// Numbers that stand for values at the nodes: m, or n if transposed.
    values: usize,
    layout: Layout,
    plan: Nonuniform<T>,
}

impl<T: Scalar> CircleVandermonde<T> {
    /// An m×n Vandermonde matrix of ⌊m/2⌋ nodes, without its parameters.
    ///
    /// # Errors
    ///
    /// [`Error::EmptyShape`](crate::Error::EmptyShape), [`Error::TooLarge`](crate::Error::TooLarge) or
    /// [`Error::Memory`](crate::Error::Memory).
    pub fn new(rows: usize, cols: usize) -> Result<Self> {
        Self::of_kind(Shape::new(rows, cols)?, false)
    }

    /// An m×n matrix whose transpose is Vandermonde, of ⌊n/2⌋ nodes, without its parameters.
    ///
    /// # Errors
    ///
    /// As for [`CircleVandermonde::new`].
    pub fn transposed(rows: usize, cols: usize) -> Result<Self> {
        Self::of_kind(Shape::new(rows, cols)?, true)
    }

    /// The Vandermonde matrix of the nodes at these angles, two rows each, with n columns and scale 1.
    ///
    /// # Errors
    ///
    /// As for [`CircleVandermonde::new`], or [`Error::NotFinite`](crate::Error::NotFinite).
    ///
    /// ```
    /// use std::f64::consts::PI;
    /// use displace::structured::CircleVandermonde;
    ///
    /// let v = CircleVandermonde::from_angles(&[PI / 2.0], 4)?;
    /// let y = v.apply(&[1.0, 10.0, 100.0, 1000.0])?; // at the node i
    /// assert!((y[0] + 99.0).abs() < 1e-9 && (y[1] + 990.0).abs() < 1e-9);
    /// # Ok::<(), displace::Error>(())
    /// ```
    pub fn from_angles(angles: &[T], cols: usize) -> Result<Matrix<T, Self>> {
        Matrix::new(Arc::new(Self::new(2 * angles.len(), cols)?), [angles, &[T::one()]].concat())
    }

    /// The transposed Vandermonde matrix of the nodes at these angles, two columns each, with m rows and scale 1.
    ///
    /// # Errors
    ///
    /// As for [`CircleVandermonde::from_angles`].
    pub fn transposed_from_angles(angles: &[T], rows: usize) -> Result<Matrix<T, Self>> {
        Matrix::new(Arc::new(Self::transposed(rows, 2 * angles.len())?), [angles, &[T::one()]].concat())
    }

    fn of_kind(shape: Shape, transposed: bool) -> Result<Self> {
        let (values, powers) = if transposed { (shape.cols, shape.rows) } else { (shape.rows, shape.cols) };
        shape.check_rank(1)?;
        check_count(shape)?;
        shape.check_transform::<T>(Nonuniform::<T>::grid_len(powers))?;
        let layout = Layout::new().with("theta", &[values / 2]).with("scale", &[1]);
        Ok(Self { shape, transposed, values, layout, plan: Nonuniform::new(powers) })
    }

    fn split<'a>(&self, parameters: &'a [T]) -> (&'a [T], T) {
        let (angles, scale) = parameters.split_at(self.values / 2);
        (angles, scale[0])
    }

    fn placed<'a>(&self, bound: Bound<'a, T>, anew: &'a mut Nodes<T>) -> &'a Nodes<T> {
        placed(bound.prepared, anew, |nodes| self.plan.place(self.split(bound.parameters).0, self.values, nodes))
    }

    /// The product with the matrix of scale 1.
    fn multiply(&self, nodes: &Nodes<T>, x: &[T], y: &mut [T], scratch: &mut [T]) {
        match self.transposed {
            true => self.plan.adjoint(nodes, x, y, scratch),
            false => self.plan.forward(nodes, x, y, scratch),
        }
    }

    /// The transposed product with the matrix of scale 1.
    fn multiply_transposed(&self, nodes: &Nodes<T>, y: &[T], x: &mut [T], scratch: &mut [T]) {
        match self.transposed {
            true => self.plan.forward(nodes, y, x, scratch),
            false => self.plan.adjoint(nodes, y, x, scratch),
        }
    }

    /// Where power k of value i is, in a row-major matrix.
    fn entry(&self, i: usize, k: usize) -> usize {
        if self.transposed { k * self.shape.cols + i } else { i * self.shape.cols + k }
    }
}

impl<T: Scalar> Structure<T> for CircleVandermonde<T> {
    fn family(&self) -> Family {
        if self.transposed { Family::TransposedCircleVandermonde } else { Family::CircleVandermonde }
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
        has_length("parameters", parameters, self.layout.len())?;
        let (angles, scale) = self.split(parameters);
        all_finite("theta", angles)?;
        all_finite("scale", &[scale])
    }

    fn prepare(&self, Parameters(parameters): Parameters<'_, T>, prepared: &mut Prepared<T>, _: &mut [T]) {
        place(prepared, |nodes| self.plan.place(self.split(parameters).0, self.values, nodes));
    }

    fn scratch_len(&self) -> usize {
        self.plan.scratch_len(self.values) + T::LANES * self.shape.cols
    }

    fn apply(&self, bound: Bound<'_, T>, x: &[T], y: &mut [T], scratch: &mut [T]) {
        self.multiply(self.placed(bound, &mut Nodes::default()), x, y, scratch);
        scale(self.split(bound.parameters).1, y);
    }

    fn apply_transposed(&self, bound: Bound<'_, T>, y: &[T], x: &mut [T], scratch: &mut [T]) {
        self.multiply_transposed(self.placed(bound, &mut Nodes::default()), y, x, scratch);
        scale(self.split(bound.parameters).1, x);
    }

    fn gradient_len(&self, _: usize) -> usize {
        self.layout.len()
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
        let mut anew = Nodes::default();
        let nodes = self.placed(bound, &mut anew);
        let buffer = take(&mut scratch, T::LANES * n);
        let (angle_sums, scale_sum) = sums.split_at_mut(self.values / 2);
        let factor = self.split(bound.parameters).1;
        for (x, dy) in x.chunks(T::LANES * n).zip(dy.chunks(T::LANES * m)) {
            let (coefficients, values) = if self.transposed { (dy, x) } else { (x, dy) };
            self.plan.node_gradient(nodes, coefficients, values, angle_sums, scratch);
            let back = &mut buffer[..x.len()];
            self.multiply_transposed(nodes, dy, back, scratch);
            scale_sum[0] += x.iter().zip(&*back).map(|(&x, &b)| x * b).sum();
            if let Some(dx) = &mut dx {
                let dx = take(dx, x.len());
                dx.iter_mut().zip(back).for_each(|(dx, &mut b)| *dx = factor * b);
            }
        }
    }

    fn finish_gradient(&self, bound: Bound<'_, T>, sums: &mut [T], gradient: &mut [T], _: &mut [T]) {
        let factor = self.split(bound.parameters).1;
        let angles = self.values / 2;
        scale(factor, &mut sums[..angles]);
        gradient.iter_mut().zip(sums).for_each(|(g, s)| *g += *s);
    }

    fn write_dense(&self, Parameters(parameters): Parameters<'_, T>, dense: &mut [T]) {
        let (angles, scale) = self.split(parameters);
        for (i, turns) in nodes(angles, self.values).enumerate() {
            for (k, (cos, sin)) in multiples(turns).take(self.plan.cols()).enumerate() {
                dense[self.entry(2 * i, k)] = T::of(scale.wide() * cos);
                if 2 * i + 1 < self.values {
                    dense[self.entry(2 * i + 1, k)] = T::of(scale.wide() * sin);
                }
            }
        }
    }

    fn pull_back(&self, Parameters(parameters): Parameters<'_, T>, dense: &[T], gradient: &mut [T]) {
        let (angles, scale) = self.split(parameters);
        let (angle_gradient, scale_gradient) = gradient.split_at_mut(angles.len());
        let mut total = 0.0;
        for (i, turns) in nodes(angles, self.values).enumerate() {
            let mut slope = 0.0;
            for (k, (cos, sin)) in multiples(turns).take(self.plan.cols()).enumerate() {
                let a = dense[self.entry(2 * i, k)].wide();
                let b = if 2 * i + 1 < self.values { dense[self.entry(2 * i + 1, k)].wide() } else { 0.0 };
                total += a * cos + b * sin;
                slope += k as f64 * (b * cos - a * sin);
            }
            if let Some(gradient) = angle_gradient.get_mut(i) {
                *gradient += T::of(scale.wide() * slope);
            }
        }
        scale_gradient[0] += T::of(total);
    }

    /// Angles near those of equispaced nodes, conjugates included: a matrix not far from an orthogonal one, times the
    /// scale that gives the entries *exactly* the mean square asked for.
    fn initialise(&self, init: Init, rng: &mut fastrand::Rng, parameters: &mut [T]) -> Result<()> {
        has_length("parameters", parameters, self.layout().len())?;
        let Shape { rows, cols } = self.shape;
        let (angles, scale) = parameters.split_at_mut(self.values / 2);
        spread(self.values, rng, angles);
        // Each node's two squares add up to 1.
        let mean_square = self.values.div_ceil(2) as f64 / self.values as f64;
        scale[0] = T::of((init.variance(rows, cols) / mean_square).sqrt());
        Ok(())
    }

    fn cost(&self, batch: usize) -> f64 {
        CIRCLE_NODES * self.plan.cost(self.values, batch)
    }
}

/// Angles near those of equispaced nodes, for so many rows: the roots of −1 without their conjugates, or, beside the
/// node 1, those of 1; each moved by up to an eighth of the distance of neighbours (a quarter is what Kadec's theorem
/// allows before a basis is lost).
pub(crate) fn spread<T: Scalar>(rows: usize, rng: &mut fastrand::Rng, angles: &mut [T]) {
    let first = if rows.is_multiple_of(2) { 0.5 } else { 1.0 };
    for (i, angle) in angles.iter_mut().enumerate() {
        *angle = T::of(TAU / rows as f64 * (i as f64 + first + 0.25 * (rng.f64() - 0.5)));
    }
}

/// The nodes of so many rows: those of the angles, and 1 if the number is odd.
pub(crate) fn nodes<T: Scalar>(angles: &[T], rows: usize) -> impl Iterator<Item = Turns> {
    (0..rows.div_ceil(2)).map(|i| Turns::of(angles.get(i).map_or(0.0, |angle| angle.wide())))
}

fn scale<T: Scalar>(factor: T, numbers: &mut [T]) {
    if factor != T::one() {
        numbers.iter_mut().for_each(|x| *x *= factor);
    }
}
