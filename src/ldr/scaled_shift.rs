//! Products under subdiagonal operators that are scaled shifts: as fast as Toeplitz-like ones, wherever scaling is safe.
//!
//! An operator with the entries w_i below the diagonal and w_0 in the corner is `A = S Z_f S⁻¹` with `s_i = w_1 ⋯ w_i` and
//! `f = w_0 w_1 ⋯ w_{N−1}`. So `K(A, g) = S Z_f(S⁻¹ g)`, and
//!
//! `M = ½ Σ_j S_A Z_f(S_A⁻¹ g_j) Z_e(S_B⁻¹ h_j)ᵀ S_B`.
//!
//! The f-circulants are convolutions of length 2N, so that f may be anything, zero too. Rounding errors of a convolution are of the
//! size of its largest numbers, and grow by the range of S: the largest over the smallest. What range is let through is
//! measured when the parameters change.

use super::learned::{doubles, numbers};
use super::sandwich::{DiagonalSums, Diagonals, Sandwich};
use crate::Scalar;
use crate::matrix::{Bound, take};
use crate::shape::Shape;
use crate::transform::{Order, Wrap, fast_length};

/// The plan for both operators.
#[derive(Debug)]
pub(super) struct ScaledShifts<T> {
    shape: Shape,
    engine: Sandwich<T>,
}

/// An operator as a scaled shift.
struct Scaling<'a> {
    s: &'a [f64],
    /// `w_0 ⋯ w_{N−1}`.
    f: f64,
    /// `w_1 ⋯ w_{N−1}`.
    product: f64,
}

impl<'a> Scaling<'a> {
    fn of<T: Scalar>(weights: &[T], s: &'a mut [f64]) -> Self {
        s.iter_mut().zip(Self::products(weights)).for_each(|(s, product)| *s = product);
        let product = s[s.len() - 1];
        Self { f: product * weights[0].wide(), s, product }
    }

    /// The numbers s_i.
    fn products<T: Scalar>(weights: &[T]) -> impl Iterator<Item = f64> {
        let mut product = 1.0;
        weights.iter().enumerate().map(move |(i, w)| {
            product *= if i == 0 { 1.0 } else { w.wide() };
            product
        })
    }

    /// By how much rounding errors can grow; infinite or not a number where a power under- or overflows.
    fn range<T: Scalar>(weights: &[T]) -> f64 {
        let [mut least, mut most, mut last] = [f64::INFINITY, 0.0_f64, 1.0];
        for s in Self::products(weights) {
            (least, most, last) = (least.min(s.abs()), most.max(s.abs()), s);
        }
        most / least * (last * weights[0].wide()).abs().max(1.0)
    }
}

impl<T: Scalar> ScaledShifts<T> {
    pub fn new(shape: Shape, rank: usize) -> Self {
        let order = shape.order();
        let length = fast_length(2 * order - 1);
        let engine = Sandwich::new(shape, order, length, rank, [Wrap::Cyclic; 2], [Order::Natural; 2]);
        Self { shape, engine }
    }

    /// The growth of rounding errors that leaves the accuracy that is promised.
    fn limit() -> f64 {
        if size_of::<T>() == 4 { 64.0 } else { 1e4 }
    }

    /// Whether rounding errors keep below the bar.
    pub fn is_safe(operators: [&[T]; 2]) -> bool {
        let [a, b] = operators.map(Scaling::range);
        a * b <= Self::limit()
    }

    /// The numbers that products need, spectra and scalings, or `None` where scaling is not safe.
    pub fn prepare(
        &self,
        generators: [&[T]; 2],
        operators: [&[T]; 2],
        numbers: &mut Vec<T>,
        scratch: &mut [T],
    ) -> bool {
        if !Self::is_safe(operators) {
            return false;
        }
        let order = self.shape.order();
        let (scratch, wide) = scratch.split_at_mut(self.engine.scratch_len());
        let mut wide = doubles(wide);
        let scalings = operators.map(|operator| Scaling::of(operator, take(&mut wide, order)));
        let sides = [self.shape.rows, self.shape.cols];
        let spectra = self.engine.spectra_len();
        numbers.resize(spectra + sides[0] + sides[1], T::zero());
        let (spectra, scales) = numbers.split_at_mut(spectra);
        let write = |side: usize, j: usize, kernel: &mut [T]| {
            let Scaling { s, f, .. } = &scalings[side];
            let wrapped = kernel.len() - order;
            for (q, g) in generators[side][j * sides[side]..][..sides[side]].iter().enumerate() {
                let u = g.wide() / s[q];
                kernel[q] = T::of(u);
                if q > 0 {
                    kernel[wrapped + q] = T::of(f * u);
                }
            }
        };
        self.engine.prepare(0.5, write, spectra, scratch);
        let all = scalings[0].s[..sides[0]].iter().chain(&scalings[1].s[..sides[1]]);
        scales.iter_mut().zip(all).for_each(|(scale, &s)| *scale = T::of(s));
        true
    }

    /// Numbers of scratch.
    pub fn scratch_len(&self) -> usize {
        self.engine.scratch_len() + numbers::<T>(4 * self.shape.order())
    }

    /// The length of the transforms.
    pub fn length(&self) -> usize {
        self.engine.length()
    }

    /// Numbers in the sums of the gradients: those of the kernels' spectra and of the two scalings.
    pub fn sums_len(&self) -> usize {
        self.engine.spectra_len() + self.shape.rows + self.shape.cols
    }

    fn split<'a>(&self, numbers: &'a [T]) -> (&'a [T], Diagonals<'a, T>) {
        let (spectra, scales) = numbers.split_at(self.engine.spectra_len());
        let (post, pre) = scales.split_at(self.shape.rows);
        (spectra, Diagonals { post: Some(post), inner: None, pre: Some(pre) })
    }

    pub fn apply(&self, bound: Bound<'_, T>, x: &[T], y: &mut [T], scratch: &mut [T]) {
        let (spectra, diagonals) = self.split(&bound.prepared.numbers);
        self.engine.apply(spectra, diagonals, x, y, scratch);
    }

    pub fn apply_transposed(&self, bound: Bound<'_, T>, y: &[T], x: &mut [T], scratch: &mut [T]) {
        let (spectra, diagonals) = self.split(&bound.prepared.numbers);
        self.engine.apply_transposed(spectra, diagonals, y, x, scratch);
    }

    pub fn backward(
        &self,
        bound: Bound<'_, T>,
        x: &[T],
        dy: &[T],
        dx: Option<&mut [T]>,
        mut sums: &mut [T],
        scratch: &mut [T],
    ) {
        let (spectra, diagonals) = self.split(&bound.prepared.numbers);
        let spectra_sums = take(&mut sums, self.engine.spectra_len());
        let post = take(&mut sums, self.shape.rows);
        let pre = take(&mut sums, self.shape.cols);
        let diagonal_sums = DiagonalSums { post, inner: &mut [], pre };
        self.engine.backward(spectra, diagonals, x, dy, dx, spectra_sums, Some(diagonal_sums), scratch);
    }

    /// Adds to the gradients in the generators and operators what the sums stand for.
    pub fn finish(
        &self,
        generators: [&[T]; 2],
        operators: [&[T]; 2],
        sums: &[T],
        gradients: [[&mut [T]; 2]; 2],
        scratch: &mut [T],
    ) {
        let (order, sides) = (self.shape.order(), [self.shape.rows, self.shape.cols]);
        let (spectra_sums, scale_sums) = sums.split_at(self.engine.spectra_len());
        let (scratch, wide) = scratch.split_at_mut(self.engine.scratch_len());
        let mut wide = doubles(wide);
        let scalings = operators.map(|operator| Scaling::of(operator, take(&mut wide, order)));
        let [mut d_generators, d_operators] = gradients;
        // The gradients in ln s, and in f, of each side.
        let mut logs = [(); 2].map(|()| take(&mut wide, order));
        logs.iter_mut().for_each(|logs| logs.fill(0.0));
        let mut corners = [0.0; 2];
        let [post, pre] = [&scale_sums[..sides[0]], &scale_sums[sides[0]..][..sides[1]]];
        for (side, sums) in [post, pre].into_iter().enumerate() {
            let terms = sums.iter().zip(scalings[side].s);
            logs[side].iter_mut().zip(terms).for_each(|(log, (d, s))| *log = d.wide() * s);
        }
        let add = |side: usize, j: usize, kernel: &[T]| {
            let Scaling { s, f, .. } = &scalings[side];
            let wrapped = kernel.len() - order;
            let (row, start) = (sides[side], j * sides[side]);
            for q in 0..row {
                let around = if q > 0 { kernel[wrapped + q].wide() } else { 0.0 };
                let du = kernel[q].wide() + f * around;
                let u = generators[side][start + q].wide() / s[q];
                d_generators[side][start + q] += T::of(du / s[q]);
                logs[side][q] -= du * u;
                corners[side] += around * u;
            }
        };
        self.engine.finish(0.5, spectra_sums, add, scratch);
        for (side, d_operator) in d_operators.into_iter().enumerate() {
            let Scaling { f, product, .. } = scalings[side];
            d_operator[0] += T::of(corners[side] * product);
            let mut suffix = corners[side] * f;
            for k in (1..order).rev() {
                suffix += logs[side][k];
                d_operator[k] += T::of(suffix / operators[side][k].wide());
            }
        }
    }
}
