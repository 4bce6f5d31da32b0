//! Products under subdiagonal operators that are scaled shifts: as fast as Toeplitz-like ones, wherever scaling is safe.
//!
//! An operator with the entries w_i below the diagonal and w_0 in the corner is `A = S Z_f S⁻¹` with `s_i = w_1 ⋯ w_i` and
//! `f = w_0 w_1 ⋯ w_{N−1}`. So `K(A, g) = S Z_f(S⁻¹ g)`, and
//!
//! `M = ½ Σ_j S_A Z_f(S_A⁻¹ g_j) Z_e(S_B⁻¹ h_j)ᵀ S_B`.
//!
//! The f-circulants are convolutions of length 2N, so that f may be anything, even zero. (Transforms are negacyclic: those are
//! faster for one vector.) Rounding errors of a convolution are proportional to its largest numbers, and so grow with the range
//! of S, its largest entry over the smallest. The range is measured when the parameters change.

use std::any::Any;
use std::sync::Arc;

use super::sandwich::{DiagonalSums, Diagonals, Sandwich};
use super::scaling::{Scaling, Unscale};
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

/// Both operators, kept with the spectra.
#[derive(Debug)]
struct Scalings<T>([Scaling<T>; 2]);

impl<T> Default for Scalings<T> {
    fn default() -> Self {
        Self([(); 2].map(|()| Scaling::default()))
    }
}

impl<T: Scalar> ScaledShifts<T> {
    pub fn new(shape: Shape, rank: usize) -> Self {
        let order = shape.order();
        let length = fast_length(2 * order);
        let engine = Sandwich::new(shape, order, length, rank, [Wrap::Negacyclic; 2], [Order::Natural; 2]);
        Self { shape, engine }
    }

    /// The largest growth of rounding errors with which the documented accuracy holds.
    fn limit() -> f64 {
        if size_of::<T>() == 4 { 64.0 } else { 1e4 }
    }

    /// Whether rounding errors stay within that.
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
        place(prepared, |Scalings([a, b]): &mut Scalings<T>| {
            // Not a number where a power under- or overflows.
            is_safe = a.take_up(operators[0]) * b.take_up(operators[1]) <= Self::limit();
            if is_safe {
                a.invert(operators[0]);
                b.invert(operators[1]);
            }
        });
        let Some(Scalings(scalings)) = scalings::<T>(prepared.object.as_ref()).filter(|_| is_safe) else {
            return false;
        };
        let (numbers, sides) = (&mut prepared.numbers, [self.shape.rows, self.shape.cols]);
        let spectra = self.engine.spectra_len();
        numbers.resize(spectra + sides[0] + sides[1], T::zero());
        let (spectra, scales) = numbers.split_at_mut(spectra);
        let write = |side: usize, j: usize, kernel: &mut [T]| {
            let (Scaling { unscale, f, .. }, row) = (&scalings[side], sides[side]);
            let generator = generators[side][j * row..][..row].iter().zip(unscale).map(|(&g, &s)| g * s);
            let f = -T::of(*f);
            // Nothing is wrapped to place 0.
            let (head, wrapped) = kernel.split_at_mut(kernel.len() - self.shape.order() + 1);
            head.iter_mut().zip(generator.clone()).for_each(|(k, u)| *k = u);
            wrapped.iter_mut().zip(generator.skip(1)).for_each(|(k, u)| *k = f * u);
        };
        self.engine.prepare(0.5, write, spectra, scratch);
        let all = scalings[0].s[..sides[0]].iter().chain(&scalings[1].s[..sides[1]]);
        scales.iter_mut().zip(all).for_each(|(scale, &s)| *scale = T::of(s));
        true
    }

    /// Numbers of scratch.
    pub fn scratch_len(&self) -> usize {
        self.engine.scratch_len()
    }

    /// The length of the transforms.
    pub fn length(&self) -> usize {
        self.engine.length()
    }

    /// Numbers in the sums of the gradients of so many examples: those of the two scalings and of the kernels' spectra.
    pub fn sums_len(&self, batch: usize) -> usize {
        self.shape.rows + self.shape.cols + self.engine.sums_len(batch)
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

    /// Numbers that [`ScaledShifts::apply_keeping`] keeps.
    pub fn kept_len(&self) -> usize {
        self.engine.kept_len()
    }

    /// The product with one vector, which leaves for the gradient what that would compute again.
    pub fn apply_keeping(&self, bound: Bound<'_, T>, x: &[T], y: &mut [T], kept: &mut [T], scratch: &mut [T]) {
        let (spectra, diagonals) = self.split(&bound.prepared.numbers);
        self.engine.apply_keeping(spectra, diagonals, x, y, kept, scratch);
    }

    /// The backward pass, on from what the product of one vector kept, if it has.
    pub fn backward(
        &self,
        bound: Bound<'_, T>,
        vectors: [&[T]; 2],
        dx: Option<&mut [T]>,
        kept: Option<&[T]>,
        mut sums: &mut [T],
        scratch: &mut [T],
    ) {
        let (spectra, diagonals) = self.split(&bound.prepared.numbers);
        let [post, pre] = [self.shape.rows, self.shape.cols].map(|side| take(&mut sums, side));
        let diagonal_sums = DiagonalSums { post, inner: &mut [], pre };
        self.engine.backward(spectra, diagonals, vectors, kept, dx, sums, Some(diagonal_sums), scratch);
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
        let (scale_sums, spectra_sums) = sums.split_at_mut(sides[0] + sides[1]);
        let [mut d_generators, d_operators] = gradients;
        let mut logs: [&mut [T]; 2] = scale_sums.split_at_mut(sides[0]).into();
        let mut corners = [T::zero(); 2];
        let add = |side: usize, j: usize, gain: T, kernel: &mut [T]| {
            let row = sides[side];
            let (head, wrapped) = kernel.split_at_mut(kernel.len() - order);
            // Nothing is wrapped to place 0.
            wrapped[0] = T::zero();
            T::run(Unscale {
                head: &head[..row],
                wrapped: &wrapped[..row],
                gain,
                f: T::of(scalings[side].f),
                unscale: &scalings[side].unscale[..row],
                generator: &generators[side][j * row..][..row],
                d_generator: &mut d_generators[side][j * row..][..row],
                logs: &mut *logs[side],
                corner: &mut corners[side],
            });
        };
        self.engine.finish(0.5, spectra_sums, add, scratch);
        for (side, gradient) in d_operators.into_iter().enumerate() {
            scalings[side].add_weight_gradients(logs[side], corners[side], gradient);
        }
    }
}

fn scalings<T: Scalar>(object: Option<&Arc<dyn Any + Send + Sync>>) -> Option<&Scalings<T>> {
    object?.downcast_ref()
}
