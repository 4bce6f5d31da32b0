//! Non-uniform Fourier transforms: products with a Vandermonde matrix of nodes on the unit circle.
//!
//! Given angles θ_i, the product of `V_ik = e^{ikθ_i}`, 0 ≤ k < n, with a *real* x is a trigonometric polynomial at the
//! angles. Values are pairs of real numbers, the real part first; the transposed product takes such pairs to
//! `x_k = Σ_i a_i cos kθ_i + b_i sin kθ_i`.
//!
//! # How
//!
//! 1. *Grid.* With the frequencies moved to k − c, c = ⌊n/2⌋, the polynomial is sampled on a grid of L ≥ 2n points
//!    `2π(q + ½)/L`. Since x is real, the lower half of the circle conjugates the upper, and all of it is one complex
//!    transform of length L/2 of a *real* signal: that of the ring `x^L + 1`.
//! 2. *Window.* The value at a node is a weighted sum of those at the 14 (f32: 7) grid points around it; the weights are a
//!    Kaiser–Bessel window, by whose Fourier transform the coefficients have been divided before (Dutt and Rokhlin 1993;
//!    Barnett, Magland and af Klinteberg 2019 for the modern form).
//! 3. A factor `e^{icθ}` moves the frequencies back.
//!
//! The adjoint is the same steps transposed, in reverse order: exact but for rounding. What depends on the angles
//! alone, weights and factors, is computed when they are placed ([`Nonuniform::place`]) and serves all rows of all
//! batches.
//!
//! The cost is a transform of length L/2 and 28 (f32: 14) multiplications a node, some 4 ns (f32: 3 ns); placing a node
//! takes four to five times as long.
//!
//! # Accuracy
//!
//! The window leaves out 3·10^{−13} (f32: 10^{−6}) of `‖V‖ ‖x‖ / √n`, whatever the angles. They are reduced in twice
//! the precision of f64, so that the product `kθ` is as accurate as θ itself, for any finite θ.

pub(crate) mod angle;
mod nodes;
mod sort;
mod steps;
#[cfg(test)]
mod tests;
mod tiles;
mod unfold;
mod window;

use std::ops::Range;

use nodes::Grid;
pub(crate) use nodes::Nodes;
pub use steps::Step;
use steps::{Gather, Scale, Spread};
use unfold::{Fold, Places, Unfold};
use window::{Window, padded};

use super::rows::{load, store};
use super::{Form, Order, RealTransform, Wrap};
use crate::Scalar;
use crate::matrix::{take, transform_cost};

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
    /// Where the points of a grid are in a spectrum, by form.
    places: [Places; 2],
}

/// Scratch, cut up for one block of rows.
struct Buffers<'a, T> {
    block: &'a mut [T],
    grid: &'a mut [T],
    /// Pairs of values, in lanes.
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
        let forms = transform.forms();
        let places = [Form::Lanes, Form::Single].map(|form| match forms.has(form) {
            true => Places::new::<T>(&transform.order(form), form, grid.pad),
            false => Places::default(),
        });
        Self { n, grid, transform, window, factors, slopes, places }
    }

    /// The length of the transform for n columns.
    pub fn grid_len(n: usize) -> usize {
        grid_len::<T>(n)
    }

    /// Columns.
    pub fn cols(&self) -> usize {
        self.n
    }

    /// Places nodes, reusing the storage of `nodes`: ⌊rows/2⌋ finite angles, and the angle 0 if `rows` is odd. A row of
    /// values then holds `rows` numbers, two a node; the last node's imaginary part is left out if `rows` is odd.
    pub fn place(&self, angles: &[T], rows: usize, nodes: &mut Nodes<T>) {
        nodes.place(angles, rows, self.grid, &self.window);
    }

    /// Numbers of scratch that products with rows of `rows` values need.
    pub fn scratch_len(&self, rows: usize) -> usize {
        let lens = |(form, _)| self.lens(form, rows).into_iter().sum::<usize>();
        self.transform.forms().each(&self.transform, 0).map(lens).max().unwrap_or(0)
            + self.transform.scratch_len()
            + self.group() * rows
    }

    /// Estimated nanoseconds per row of a product with rows of `rows` values.
    pub fn cost(&self, rows: usize, batch: usize) -> f64 {
        let (points, count) = (0.5 * self.grid.len as f64, rows.div_ceil(2) as f64);
        let Cost { lanes, alone } = if T::NAME == "f32" { COST } else { COST_F64 };
        let transform = transform_cost::<T>(self.grid.len, 1, T::LANES);
        let lanes = T::LANES as f64 * (lanes[0] + lanes[1] * count + transform);
        let alone = alone[0] + alone[1] * count + alone[2] * points;
        let of = |(form, _): (Form, Range<usize>)| if form == Form::Lanes { lanes } else { alone };
        let blocks = |batch: usize| self.transform.forms().blocks::<T>(batch).map(of).sum::<f64>();
        let batch = batch.max(1);
        let full = (batch / T::LANES) as f64;
        (full * blocks(T::LANES) + blocks(batch % T::LANES)) / batch as f64
    }

    /// `y_i = Σ_k e^{ikθ_i} x_k` for every row of a batch.
    pub fn forward(&self, nodes: &Nodes<T>, x: &[T], y: &mut [T], scratch: &mut [T]) {
        for (form, rows) in self.groups(x.len() / self.n) {
            let mut buffers = self.cut(form, nodes, scratch);
            let (x, y) = (&x[part(&rows, self.n)], &mut y[part(&rows, nodes.rows())]);
            self.evaluate(form, nodes, &self.factors, x, y, &mut buffers);
        }
    }

    /// `x_k = Σ_i a_i cos kθ_i + b_i sin kθ_i` for every row of a batch, y the pairs (a, b).
    pub fn adjoint(&self, nodes: &Nodes<T>, y: &[T], x: &mut [T], scratch: &mut [T]) {
        let points = self.points();
        for (form, rows) in self.groups(x.len() / self.n) {
            let Buffers { block, grid, values, rest } = self.cut(form, nodes, scratch);
            let (x, y) = (&mut x[part(&rows, self.n)], &y[part(&rows, nodes.rows())]);
            let places = self.places(form);
            if form == Form::Lanes {
                grid.fill(T::zero());
                load(form, y, nodes.rows(), Order::Natural, values);
                T::nonuniform(Step::Spread(form, Spread { nodes, points, values, grid }));
                T::nonuniform(Step::Fold(Fold { form, places, grid, spectrum: block }));
                self.transform.inverse(form, block, rest);
                let signals = &mut grid[..self.n * T::LANES];
                self.unscale(form, block, signals);
                store(form, signals, Order::Natural, x, self.n);
                continue;
            }
            let grid = &mut grid[..rows.len() * points];
            grid.fill(T::zero());
            T::nonuniform(Step::Spread(form, Spread { nodes, points, values: y, grid }));
            for (x, grid) in x.chunks_exact_mut(self.n).zip(grid.chunks_exact(points)) {
                T::nonuniform(Step::Fold(Fold { form, places, grid, spectrum: block }));
                self.transform.inverse(form, block, rest);
                self.unscale(form, block, x);
            }
        }
    }

    /// Adds the gradient in the angles of a loss with the gradient `dy` in the values, summed over the batch: for each
    /// node but an unpaired last one `Re Σ conj(ȳ_i) Σ_k ik e^{ikθ_i} x_k`.
    pub fn node_gradient(&self, nodes: &Nodes<T>, x: &[T], dy: &[T], gradient: &mut [T], scratch: &mut [T]) {
        let mut scratch = scratch;
        let slopes = take(&mut scratch, self.group() * nodes.rows());
        for (form, rows) in self.groups(x.len() / self.n) {
            let mut buffers = self.cut(form, nodes, scratch);
            let (x, dy) = (&x[part(&rows, self.n)], &dy[part(&rows, nodes.rows())]);
            let slopes = &mut slopes[..dy.len()];
            self.evaluate(form, nodes, &self.slopes, x, slopes, &mut buffers);
            for (slopes, dy) in slopes.chunks_exact(nodes.rows()).zip(dy.chunks_exact(nodes.rows())) {
                let pairs = slopes.chunks_exact(2).zip(dy.chunks_exact(2));
                for (gradient, (slope, dy)) in gradient.iter_mut().zip(pairs) {
                    *gradient += slope[0] * dy[1] - slope[1] * dy[0];
                }
            }
        }
    }

    /// Coefficients to rows of values.
    fn evaluate(
        &self,
        form: Form,
        nodes: &Nodes<T>,
        factors: &[T],
        x: &[T],
        y: &mut [T],
        buffers: &mut Buffers<'_, T>,
    ) {
        let Buffers { block, grid, values, rest } = buffers;
        let (places, points) = (self.places(form), self.points());
        if form == Form::Lanes {
            let signals = &mut grid[..self.n * T::LANES];
            load(form, x, self.n, Order::Natural, signals);
            self.scale(form, factors, signals, block);
            self.transform.forward(form, block, rest);
            T::nonuniform(Step::Unfold(Unfold { form, places, spectrum: block, grid }));
            T::nonuniform(Step::Gather(form, Gather { nodes, points, grid, values }));
            return store(form, values, Order::Natural, y, nodes.rows());
        }
        let grid = &mut grid[..x.len() / self.n * points];
        for (x, grid) in x.chunks_exact(self.n).zip(grid.chunks_exact_mut(points)) {
            self.scale(form, factors, x, block);
            self.transform.forward(form, block, rest);
            T::nonuniform(Step::Unfold(Unfold { form, places, spectrum: block, grid }));
        }
        T::nonuniform(Step::Gather(form, Gather { nodes, points, grid, values: y }));
    }

    /// Scales coefficients and moves their frequencies by the centre, around the end of a block.
    fn scale(&self, form: Form, factors: &[T], signals: &[T], block: &mut [T]) {
        let [moved, gap] = self.moved(form);
        let (low, high) = factors.split_at(self.grid.centre);
        let (from_low, from_high) = signals.split_at(moved);
        let (front, back) = block.split_at_mut(block.len() - moved);
        T::nonuniform(Step::Scale(Scale { form, factors: high, from: from_high, to: front }));
        front[gap..].fill(T::zero());
        T::nonuniform(Step::Scale(Scale { form, factors: low, from: from_low, to: back }));
    }

    /// The transpose of [`Self::scale`].
    fn unscale(&self, form: Form, block: &[T], signals: &mut [T]) {
        let [moved, _] = self.moved(form);
        let (low, high) = self.factors.split_at(self.grid.centre);
        let (to_low, to_high) = signals.split_at_mut(moved);
        let (front, back) = block.split_at(block.len() - moved);
        T::nonuniform(Step::Scale(Scale { form, factors: high, from: front, to: to_high }));
        T::nonuniform(Step::Scale(Scale { form, factors: low, from: back, to: to_low }));
    }

    /// Numbers of a block that have moved around the end, and where the gap between the others and them begins.
    fn moved(&self, form: Form) -> [usize; 2] {
        let centre = self.grid.centre;
        [centre, self.n - centre].map(|count| count * form.signals::<T>())
    }

    /// Cuts a batch into groups: of rows side by side in lanes, or of some that are transformed one by one and share
    /// the weights.
    fn groups(&self, batch: usize) -> impl Iterator<Item = (Form, Range<usize>)> {
        let mut blocks = self.transform.forms().blocks::<T>(batch).peekable();
        std::iter::from_fn(move || {
            let (form, mut rows) = blocks.next()?;
            while form == Form::Single && rows.len() < ALONE {
                let Some((_, next)) = blocks.next_if(|(form, _)| *form == Form::Single) else { break };
                rows.end = next.end;
            }
            Some((form, rows))
        })
    }

    /// The most rows in a group.
    fn group(&self) -> usize {
        let rows = |(form, _)| if form == Form::Lanes { T::LANES } else { ALONE };
        self.transform.forms().each(&self.transform, 0).map(rows).max().unwrap_or(0)
    }

    /// Numbers in a grid.
    fn points(&self) -> usize {
        self.grid.len + 4 * self.grid.pad
    }

    fn places(&self, form: Form) -> &Places {
        &self.places[usize::from(form == Form::Single)]
    }

    /// Numbers in the block, the grids and the values.
    fn lens(&self, form: Form, rows: usize) -> [usize; 3] {
        let (grids, values) = match form {
            Form::Lanes => (T::LANES, T::LANES * rows.next_multiple_of(2)),
            Form::Single => (ALONE, 0),
        };
        [self.transform.block(form), grids * self.points(), values]
    }

    fn cut<'a>(&self, form: Form, nodes: &Nodes<T>, scratch: &'a mut [T]) -> Buffers<'a, T> {
        let mut rest = scratch;
        let [block, grid, values] = self.lens(form, nodes.rows()).map(|len| take(&mut rest, len));
        Buffers { block, grid, values, rest }
    }
}

/// Rows that are transformed one by one and share the weights.
const ALONE: usize = 2;

/// Nanoseconds: of a row and of a node in lanes, beside the transform; of a row, of a node and of a point of half a grid alone.
struct Cost {
    lanes: [f64; 2],
    alone: [f64; 3],
}

/// Measured for f32.
const COST: Cost = Cost { lanes: [20.0, 0.7], alone: [300.0, 2.9, 1.5] };
/// Measured for f64.
const COST_F64: Cost = Cost { lanes: [40.0, 2.0], alone: [280.0, 4.6, 2.4] };

/// This part of a batch of rows of `len` numbers.
fn part(rows: &Range<usize>, len: usize) -> Range<usize> {
    rows.start * len..rows.end * len
}

/// The number of grid points for n coefficients: at least 2n, and such that both forms of the transform exist.
fn grid_len<T: Scalar>(n: usize) -> usize {
    let unit = 2 * T::LANES * T::LANES;
    let units = (2 * n).max(2 * padded::<T>()).div_ceil(unit);
    let length = |odd: usize| odd * units.div_ceil(odd).next_power_of_two();
    unit * [1, 3, 9].map(length).into_iter().min().unwrap_or(units)
}
