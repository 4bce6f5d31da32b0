//! Products under subdiagonal operators that are scaled shifts: as fast as Toeplitz-like ones, wherever scaling is safe.
//!
//! An operator with the entries w_i below the diagonal and w_0 in the corner is `A = S Z_f S⁻¹` with `s_i = w_1 ⋯ w_i` and
//! `f = w_0 w_1 ⋯ w_{N−1}`. So `K(A, g) = S Z_f(S⁻¹ g)`, and
//!
//! `M = ½ Σ_j S_A Z_f(S_A⁻¹ g_j) Z_e(S_B⁻¹ h_j)ᵀ S_B`.
//!
//! The f-circulants are convolutions of length 2N, so that f may be anything, zero too. (Transforms are negacyclic: those are faster for one vector.) Rounding errors of a convolution are of the
//! size of its largest numbers, and grow by the range of S: the largest over the smallest. What range is let through is
//! measured when the parameters change.

use std::any::Any;
use std::sync::Arc;

use super::learned::{doubles, numbers};
use super::sandwich::{DiagonalSums, Diagonals, Sandwich};
use crate::Scalar;
use crate::matrix::{Bound, Prepared, take};
use crate::shape::Shape;
use crate::structured::vandermonde::place;
use crate::transform::{Order, Wrap, fast_length};

/// The plan for both operators.
#[derive(Debug)]
pub(super) struct ScaledShifts<T> {
    shape: Shape,
    engine: Sandwich<T>,
}

/// An operator as a scaled shift.
#[derive(Debug, Default)]
struct Scaling {
    s: Vec<f64>,
    /// The numbers 1/s_i and 1/w_i: a division takes longer than all else that is done with an element.
    unscale: Vec<f64>,
    unweigh: Vec<f64>,
    /// `w_0 ⋯ w_{N−1}`.
    f: f64,
    /// `w_1 ⋯ w_{N−1}`.
    product: f64,
}

/// Both of them, kept with the spectra.
#[derive(Debug, Default)]
struct Scalings([Scaling; 2]);

impl Scaling {
    /// Takes up the numbers w_i; returns their [range](Self::range).
    fn take_up<T: Scalar>(&mut self, weights: &[T]) -> f64 {
        let mut product = 1.0;
        self.s.clear();
        self.s.push(product);
        self.s.extend(weights[1..].iter().map(|w| {
            product *= w.wide();
            product
        }));
        (self.f, self.product) = (product * weights[0].wide(), product);
        self.range()
    }

    fn invert<T: Scalar>(&mut self, weights: &[T]) {
        self.unscale.clear();
        self.unscale.extend(self.s.iter().map(|s| s.recip()));
        self.unweigh.clear();
        self.unweigh.extend(weights.iter().map(|w| w.wide().recip()));
    }

    /// By how much rounding errors can grow; infinite or not a number where a power under- or overflows.
    fn range(&self) -> f64 {
        let (mut least, mut most) = ([f64::INFINITY; 8], [0.0; 8]);
        for s in self.s.chunks(8) {
            for ((least, most), s) in least.iter_mut().zip(&mut most).zip(s) {
                *least = if s.abs() < *least { s.abs() } else { *least };
                *most = if s.abs() > *most { s.abs() } else { *most };
            }
        }
        let least = least.into_iter().fold(f64::INFINITY, f64::min);
        let most = most.into_iter().fold(0.0, f64::max);
        most / least * self.f.abs().max(1.0)
    }
}

impl<T: Scalar> ScaledShifts<T> {
    pub fn new(shape: Shape, rank: usize) -> Self {
        let order = shape.order();
        let length = fast_length(2 * order - 1);
        let engine = Sandwich::new(shape, order, length, rank, [Wrap::Negacyclic; 2], [Order::Natural; 2]);
        Self { shape, engine }
    }

    /// The growth of rounding errors that leaves the accuracy that is promised.
    fn limit() -> f64 {
        if size_of::<T>() == 4 { 64.0 } else { 1e4 }
    }

    /// Whether rounding errors keep below the bar.
    pub fn is_safe(operators: [&[T]; 2]) -> bool {
        let [a, b] = operators.map(|weights| Scaling::default().take_up(weights));
        a * b <= Self::limit()
    }

    /// What products need, spectra and scalings; or false where scaling is not safe.
    pub fn prepare(
        &self,
        generators: [&[T]; 2],
        operators: [&[T]; 2],
        prepared: &mut Prepared<T>,
        scratch: &mut [T],
    ) -> bool {
        let mut is_safe = false;
        place(prepared, |Scalings([a, b])| {
            // Not a number where a power under- or overflows.
            is_safe = a.take_up(operators[0]) * b.take_up(operators[1]) <= Self::limit();
            if is_safe {
                a.invert(operators[0]);
                b.invert(operators[1]);
            }
        });
        let Some(Scalings(scalings)) = scalings(prepared.object.as_ref()).filter(|_| is_safe) else { return false };
        let (numbers, sides) = (&mut prepared.numbers, [self.shape.rows, self.shape.cols]);
        let spectra = self.engine.spectra_len();
        numbers.resize(spectra + sides[0] + sides[1], T::zero());
        let (spectra, scales) = numbers.split_at_mut(spectra);
        let write = |side: usize, j: usize, kernel: &mut [T]| {
            let (Scaling { unscale, f, .. }, row) = (&scalings[side], sides[side]);
            let generator = generators[side][j * row..][..row].iter().zip(unscale).map(|(g, s)| g.wide() * s);
            // Nothing is wrapped to place 0.
            let (head, wrapped) = kernel.split_at_mut(kernel.len() - self.shape.order() + 1);
            head.iter_mut().zip(generator.clone()).for_each(|(k, u)| *k = T::of(u));
            wrapped.iter_mut().zip(generator.skip(1)).for_each(|(k, u)| *k = T::of(-f * u));
        };
        self.engine.prepare(0.5, write, spectra, scratch);
        let all = scalings[0].s[..sides[0]].iter().chain(&scalings[1].s[..sides[1]]);
        scales.iter_mut().zip(all).for_each(|(scale, &s)| *scale = T::of(s));
        true
    }

    /// Numbers of scratch.
    pub fn scratch_len(&self) -> usize {
        self.engine.scratch_len() + numbers::<T>(2 * self.shape.order())
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
        prepared: &Prepared<T>,
        generators: [&[T]; 2],
        sums: &mut [T],
        gradients: [[&mut [T]; 2]; 2],
        scratch: &mut [T],
    ) {
        let Some(Scalings(scalings)) = scalings(prepared.object.as_ref()) else { return };
        let (order, sides) = (self.shape.order(), [self.shape.rows, self.shape.cols]);
        let (spectra_sums, scale_sums) = sums.split_at_mut(self.engine.spectra_len());
        let (scratch, wide) = scratch.split_at_mut(self.engine.scratch_len());
        let mut wide = doubles(wide);
        let [mut d_generators, d_operators] = gradients;
        // The gradients in ln s, and in f, of each side.
        let mut logs = [(); 2].map(|()| take(&mut wide, order));
        logs.iter_mut().for_each(|logs| logs.fill(0.0));
        let mut corners = [0.0; 2];
        let [post, pre] = [&scale_sums[..sides[0]], &scale_sums[sides[0]..][..sides[1]]];
        for (side, sums) in [post, pre].into_iter().enumerate() {
            let terms = sums.iter().zip(&scalings[side].s);
            logs[side].iter_mut().zip(terms).for_each(|(log, (d, s))| *log = d.wide() * s);
        }
        let add = |side: usize, j: usize, gain: T, kernel: &[T]| {
            let (Scaling { unscale, f, .. }, row) = (&scalings[side], sides[side]);
            let (head, wrapped) = kernel.split_at(kernel.len() - order + 1);
            let (generator, gain) = (&generators[side][j * row..][..row], gain.wide());
            let d_generator = &mut d_generators[side][j * row..][..row];
            let gather = |d: &mut T, log: &mut f64, du: f64, g: T| {
                *d += T::of(du);
                *log -= du * g.wide();
            };
            gather(&mut d_generator[0], &mut logs[side][0], gain * head[0].wide(), generator[0]);
            let sums = d_generator[1..].iter_mut().zip(&mut logs[side][1..]);
            let terms = head[1..].iter().zip(wrapped).zip(&generator[1..]).zip(&unscale[1..]);
            for ((d, log), (((head, wrapped), g), unscale)) in sums.zip(terms) {
                gather(d, log, gain * (head.wide() - f * wrapped.wide()) * unscale, *g);
            }
            corners[side] -= gain * inner(&wrapped[..row - 1], &generator[1..], &unscale[1..row]);
        };
        self.engine.finish(0.5, spectra_sums, add, scratch);
        // The gradient in ln w is a sum of those in ln s that come after; both sides at once, since each addition waits for the last.
        let [a, b] = d_operators;
        let mut suffixes = [corners[0] * scalings[0].f, corners[1] * scalings[1].f];
        (a[0], b[0]) = (a[0] + T::of(corners[0] * scalings[0].product), b[0] + T::of(corners[1] * scalings[1].product));
        let a = a[1..].iter_mut().zip(&logs[0][1..]).zip(&scalings[0].unweigh[1..]);
        let b = b[1..].iter_mut().zip(&logs[1][1..]).zip(&scalings[1].unweigh[1..]);
        for (((a, a_log), a_unweigh), ((b, b_log), b_unweigh)) in a.zip(b).rev() {
            suffixes = [suffixes[0] + a_log, suffixes[1] + b_log];
            *a += T::of(suffixes[0] * a_unweigh);
            *b += T::of(suffixes[1] * b_unweigh);
        }
    }
}

fn scalings(object: Option<&Arc<dyn Any + Send + Sync>>) -> Option<&Scalings> {
    object?.downcast_ref()
}

/// `Σ a_i b_i c_i`, in several sums at once.
fn inner<T: Scalar>(a: &[T], b: &[T], c: &[f64]) -> f64 {
    let mut sums = [0.0; 8];
    for ((a, b), c) in a.chunks(8).zip(b.chunks(8)).zip(c.chunks(8)) {
        for (((sum, a), b), c) in sums.iter_mut().zip(a).zip(b).zip(c) {
            *sum += a.wide() * b.wide() * c;
        }
    }
    sums.iter().sum()
}
