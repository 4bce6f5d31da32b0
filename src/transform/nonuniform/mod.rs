//! Non-uniform Fourier transforms: products with a Vandermonde matrix of nodes on the unit circle.
//!
//! Given angles θ_i, the product of `V_ik = e^{ikθ_i}`, 0 ≤ k < n, with a *real* x is a trigonometric polynomial at the angles. Values
//! are pairs of real numbers, the real part first; the transposed product takes such pairs to
//! `x_k = Σ_i a_i cos kθ_i + b_i sin kθ_i`.
//!
//! # How
//!
//! 1. *Grid.* With the frequencies moved to k − c, c = ⌊n/2⌋, the polynomial is sampled on a grid of L ≥ 2n points
//!    `2π(q + ½)/L`. Since x is real, the lower half of the circle conjugates the upper, and all of it is one complex transform of length
//!    L/2 of a *real* signal: that of the ring `x^L + 1`.
//! 2. *Window.* The value at a node is a weighted sum of those at the 14 (f32: 7) grid points around it, the weights a Kaiser–Bessel window;
//!    that the coefficients were divided by its Fourier transform before makes it so (Dutt and Rokhlin 1993; Barnett, Magland and af
//!    Klinteberg 2019 for the modern form).
//! 3. A factor `e^{icθ}` moves the frequencies back.
//!
//! The adjoint is the same steps transposed, in reverse order: exact but for rounding. What depends on the angles alone, weights and
//! factors, is computed when they are placed ([`Nonuniform::place`]) and serves all rows of all batches.
//!
//! The cost is a transform of length L/2 and 28 (f32: 14) multiplications a node; placing a node costs about 15 times as many.
//!
//! # Accuracy
//!
//! The window leaves out 3·10^{−13} (f32: 10^{−6}) of `‖V‖ ‖x‖ / √n`, whatever the angles. They are reduced in twice the precision of f64,
//! so that the product `kθ` is as accurate as θ itself, for any finite θ.

pub(crate) mod angle;
mod nodes;
mod steps;
#[cfg(test)]
mod tests;
mod window;

use std::ops::Range;

use nodes::Grid;
pub(crate) use nodes::Nodes;
pub use steps::Step;
use steps::{Fold, Gather, Places, Spread, Unfold, fold_alone, unfold_alone};
use window::{Window, padded};

use super::rows::{load, store};
use super::{Form, Order, RealTransform, Wrap};
use crate::Scalar;
use crate::matrix::take;

/// The plan for all products with `V_ik = e^{ikθ_i}`, k < n, whatever the angles.
#[derive(Debug)]
pub(crate) struct Nonuniform<T: Scalar> {
    n: usize,
    grid: Grid,
    transform: RealTransform<T>,
    window: Window<T>,
    /// What coefficients are multiplied by on their way in: for values, and for derivatives.
    factors: Vec<T>,
    slopes: Vec<T>,
    /// Where the points of the upper half circle are in a spectrum, by form.
    places: [Vec<u32>; 2],
}

/// Scratch, cut up for one block of rows.
struct Buffers<'a, T> {
    block: &'a mut [T],
    grid: &'a mut [T],
    /// Pairs of values, and one pair that belongs to no node.
    values: &'a mut [T],
    rest: &'a mut [T],
}

impl<T: Scalar> Nonuniform<T> {
    /// Plans products with `n ≥ 1` columns.
    pub fn new(n: usize) -> Self {
        let len = grid_len::<T>(n);
        let grid = Grid { len, pad: padded::<T>(), centre: n / 2 };
        let transform = RealTransform::new(len, Wrap::Negacyclic);
        let window = Window::new();
        let frequency = |k: usize| k as f64 - grid.centre as f64;
        let factor = |k: usize| window.factor(frequency(k) / len as f64);
        // Frequencies that have wrapped around change sign.
        let sign = |k: usize| if k < grid.centre { -1.0 } else { 1.0 };
        let factors = (0..n).map(|k| T::of(sign(k) * factor(k))).collect();
        let slopes = (0..n).map(|k| T::of(sign(k) * factor(k) * k as f64)).collect();
        let places = [Form::Lanes, Form::Single].map(|form| places(&transform.order(form)));
        Self { n, grid, transform, window, factors, slopes, places }
    }

    /// Columns.
    pub fn cols(&self) -> usize {
        self.n
    }

    /// Places nodes, reusing the storage of `nodes`: ⌊rows/2⌋ finite angles, and the angle 0 if `rows` is odd. A row of values then
    /// holds `rows` numbers, two a node; the last node's imaginary part is left out if `rows` is odd.
    pub fn place(&self, angles: &[T], rows: usize, nodes: &mut Nodes<T>) {
        nodes.place(angles, rows, self.grid, &self.window);
    }

    /// Numbers of scratch that products with rows of `rows` values need.
    pub fn scratch_len(&self, rows: usize) -> usize {
        let points = self.grid.len + 4 * self.grid.pad;
        let values = 2 * rows.div_ceil(2) + 2;
        T::LANES * (self.grid.len + points + 2 * values) + self.transform.scratch_len()
    }

    /// Estimated nanoseconds per row of a product with rows of `rows` values.
    pub fn cost(&self, rows: usize, batch: usize) -> f64 {
        let _ = (rows, batch);
        0.0
    }

    /// `y_i = Σ_k e^{ikθ_i} x_k` for every row of a batch.
    pub fn forward(&self, nodes: &Nodes<T>, x: &[T], y: &mut [T], scratch: &mut [T]) {
        for (form, rows) in self.transform.forms().blocks::<T>(x.len() / self.n) {
            let mut buffers = self.cut(form, nodes, scratch);
            self.evaluate(form, nodes, &self.factors, &x[self.of_coefficients(&rows)], &mut buffers);
            let y = &mut y[rows.start * nodes.rows()..rows.end * nodes.rows()];
            store(form, buffers.values, Order::Natural, y, nodes.rows());
        }
    }

    /// `x_k = Σ_i a_i cos kθ_i + b_i sin kθ_i` for every row of a batch, y the pairs (a, b).
    pub fn adjoint(&self, nodes: &Nodes<T>, y: &[T], x: &mut [T], scratch: &mut [T]) {
        for (form, rows) in self.transform.forms().blocks::<T>(x.len() / self.n) {
            let Buffers { block, grid, values, rest } = self.cut(form, nodes, scratch);
            load(form, &y[rows.start * nodes.rows()..rows.end * nodes.rows()], nodes.rows(), Order::Natural, values);
            grid.fill(T::zero());
            let places = self.places(form);
            match form {
                Form::Lanes => {
                    T::nonuniform(Step::Spread(Spread { nodes, values, grid }));
                    T::nonuniform(Step::Fold(Fold { places, grid, spectrum: block }));
                }
                Form::Single => {
                    T::nonuniform(Step::SpreadAlone(Spread { nodes, values, grid }));
                    fold_alone(places, grid, block);
                }
            }
            self.transform.inverse(form, block, rest);
            self.unscale(form.signals::<T>(), block);
            store(form, block, Order::Natural, &mut x[self.of_coefficients(&rows)], self.n);
        }
    }

    /// Adds the gradient in the angles of a loss with the gradient `dy` in the values, summed over the batch: for each node but an
    /// unpaired last one `Re Σ conj(ȳ_i) Σ_k ik e^{ikθ_i} x_k`.
    pub fn node_gradient(&self, nodes: &Nodes<T>, x: &[T], dy: &[T], gradient: &mut [T], scratch: &mut [T]) {
        for (form, rows) in self.transform.forms().blocks::<T>(x.len() / self.n) {
            let mut buffers = self.cut(form, nodes, scratch);
            self.evaluate(form, nodes, &self.slopes, &x[self.of_coefficients(&rows)], &mut buffers);
            let dual = take(&mut buffers.rest, buffers.values.len());
            load(form, &dy[rows.start * nodes.rows()..rows.end * nodes.rows()], nodes.rows(), Order::Natural, dual);
            let signals = form.signals::<T>();
            let pairs = buffers.values.chunks_exact(2 * signals).zip(dual.chunks_exact(2 * signals));
            for (gradient, (slope, dy)) in gradient.iter_mut().zip(pairs) {
                let ((re, im), (a, b)) = (slope.split_at(signals), dy.split_at(signals));
                for lane in 0..signals {
                    *gradient += re[lane] * b[lane] - im[lane] * a[lane];
                }
            }
        }
    }

    /// Coefficients to pairs of values.
    fn evaluate(&self, form: Form, nodes: &Nodes<T>, factors: &[T], x: &[T], buffers: &mut Buffers<'_, T>) {
        let Buffers { block, grid, values, rest } = buffers;
        load(form, x, self.n, Order::Natural, block);
        self.scale(form.signals::<T>(), factors, block);
        self.transform.forward(form, block, rest);
        let places = self.places(form);
        match form {
            Form::Lanes => {
                T::nonuniform(Step::Unfold(Unfold { places, spectrum: block, grid }));
                T::nonuniform(Step::Gather(Gather { nodes, grid, values }));
            }
            Form::Single => {
                unfold_alone(places, block, grid);
                T::nonuniform(Step::GatherAlone(Gather { nodes, grid, values }));
            }
        }
    }

    /// Scales the coefficients at the front of a block and moves their frequencies by the centre, around the end.
    fn scale(&self, signals: usize, factors: &[T], block: &mut [T]) {
        let Grid { len, centre, .. } = self.grid;
        let (low, high) = factors.split_at(centre);
        let (front, back) = block.split_at_mut((len - centre) * signals);
        let wrapped = back.chunks_exact_mut(signals).zip(front.chunks_exact(signals));
        for ((out, x), &factor) in wrapped.zip(low) {
            out.iter_mut().zip(x).for_each(|(out, &x)| *out = factor * x);
        }
        for (k, &factor) in high.iter().enumerate() {
            for lane in 0..signals {
                front[k * signals + lane] = factor * front[(k + centre) * signals + lane];
            }
        }
        front[(self.n - centre) * signals..].fill(T::zero());
    }

    /// The transpose of [`Self::scale`], for what is at the front.
    fn unscale(&self, signals: usize, block: &mut [T]) {
        let Grid { len, centre, .. } = self.grid;
        let (low, high) = self.factors.split_at(centre);
        let (front, back) = block.split_at_mut((len - centre) * signals);
        for (k, &factor) in high.iter().enumerate().rev() {
            for lane in 0..signals {
                front[(k + centre) * signals + lane] = factor * front[k * signals + lane];
            }
        }
        let wrapped = back.chunks_exact(signals).zip(front.chunks_exact_mut(signals));
        for ((x, out), &factor) in wrapped.zip(low) {
            out.iter_mut().zip(x).for_each(|(out, &x)| *out = factor * x);
        }
    }

    fn of_coefficients(&self, rows: &Range<usize>) -> Range<usize> {
        rows.start * self.n..rows.end * self.n
    }

    fn places(&self, form: Form) -> Places<'_> {
        let places = &self.places[usize::from(form == Form::Single)];
        Places { places, pad: self.grid.pad }
    }

    fn cut<'a>(&self, form: Form, nodes: &Nodes<T>, scratch: &'a mut [T]) -> Buffers<'a, T> {
        let signals = form.signals::<T>();
        let mut rest = scratch;
        let block = take(&mut rest, self.transform.block(form));
        let grid = take(&mut rest, signals * (self.grid.len + 4 * self.grid.pad));
        let values = take(&mut rest, signals * (2 * nodes.count() + 2));
        Buffers { block, grid, values, rest }
    }
}

/// The number of grid points for n coefficients: at least 2n, and such that both forms of the transform exist.
fn grid_len<T: Scalar>(n: usize) -> usize {
    let unit = 2 * T::LANES * T::LANES;
    let units = (2 * n).max(2 * padded::<T>()).div_ceil(unit);
    let length = |odd: usize| odd * units.div_ceil(odd).next_power_of_two();
    unit * [1, 3, 5, 7].map(length).into_iter().min().unwrap_or(units)
}

/// Where the point `2π(q + ½)/L` of the upper half circle is in a spectrum of this order, for every q: for even q itself, at
/// `2π(j + ¼)/(L/2)` with j = q/2, for odd q its conjugate.
fn places(order: &[usize]) -> Vec<u32> {
    let half = order.len();
    let mut places = vec![0; half];
    for (position, &j) in order.iter().enumerate() {
        let q = if 2 * j < half { 2 * j } else { 2 * (half - 1 - j) + 1 };
        places[q] = position as u32;
    }
    places
}
