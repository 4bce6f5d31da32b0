//! The backward pass of a sandwich: gradients in its kernels and in its diagonals.

use super::{Diagonals, Door, Kept, Sandwich};
use crate::Scalar;
use crate::matrix::take;
use crate::shape::Shape;
use crate::transform::isa::{Isa, Kernel};
use crate::transform::rows::{load, store};
use crate::transform::{Form, Into, Order, RealTransform, Side, untouched};

/// Sums of the gradients in the diagonals, in the logarithms of the outer ones.
#[derive(Debug)]
pub struct DiagonalSums<'a, T> {
    pub post: &'a mut [T],
    pub inner: &'a mut [T],
    pub pre: &'a mut [T],
}

/// A block of rows in the backward pass.
struct Pass<'a, T: Scalar> {
    sandwich: &'a Sandwich<T>,
    form: Form,
    /// Left and right.
    doors: [&'a Door<'a, T>; 2],
    /// D.
    between: Option<&'a [T]>,
    kept: Option<Kept<'a, T>>,
    /// Whether anybody asks for the gradient in x, or in what it went through last.
    wants_back: bool,
    /// The spectra of S x and of P dy.
    input: &'a [T],
    dual: &'a [T],
    /// t and dt of a term, and the sums over terms of C(u) t and C'(w) dt.
    blocks: [&'a mut [T]; 4],
}

impl<T: Scalar> Pass<'_, T> {
    /// One term, of the kernels u and w: adds to the sums of both, and to those of D if asked.
    #[inline]
    fn term(
        &mut self,
        j: usize,
        [g, h]: [&[T]; 2],
        [g_sum, h_sum]: [&mut [T]; 2],
        inner_sums: Option<&mut [T]>,
        scratch: &mut [T],
    ) {
        let &mut Self { sandwich, form, doors: [left, right], between, kept, input, dual, .. } = self;
        let [inner, other, output, back] = &mut self.blocks;
        // dt = D C(u)ᵀ P dy, and t = D C'(w)ᵀ S x once more.
        left.transform.inverse_of_product(form, Side::Transposed, other, dual, g, scratch);
        if kept.is_none() {
            let wants_output = inner_sums.is_some();
            right.transform.inverse_of_product(form, Side::Transposed, inner, input, h, scratch);
            if let Some(sums) = inner_sums {
                add_lane_products(form, sums, inner, other);
            }
            sandwich.between(form, between, inner);
            left.transform.forward(form, inner, scratch);
            if wants_output {
                left.transform.multiply(form, Into::set_first(j), Side::Plain, output, inner, g);
            }
        }
        let inner = kept.map_or(&**inner, |kept| &kept.inner[j * kept.apart..][..input.len()]);
        // The gradient in u gathers C(t)ᵀ P dy.
        left.transform.correlate(form, g_sum, dual, inner);
        // The gradient in w gathers C'(dt)ᵀ S x, that in x is the sum of S C'(w) dt.
        sandwich.between(form, between, other);
        right.transform.forward(form, other, scratch);
        right.transform.correlate(form, h_sum, input, other);
        if self.wants_back {
            right.transform.multiply(form, Into::set_first(j), Side::Plain, back, other, h);
        }
    }
}

impl<T: Scalar> Sandwich<T> {
    /// The backward pass: writes the gradient in x, if asked, adds to `sums` the gradients in the kernels' spectra and, if
    /// asked, to `diagonal_sums` those in the diagonals. It goes on from what [`Sandwich::apply_keeping`] kept, if that is
    /// given; the gradient in the inner diagonal is not added to then.
    #[expect(clippy::too_many_arguments, reason = "the arguments of the trait's backward pass, and the diagonals")]
    pub fn backward(
        &self,
        spectra: &[T],
        diagonals: Diagonals<'_, T>,
        [x, dy]: [&[T]; 2],
        kept: Option<&[T]>,
        mut dx: Option<&mut [T]>,
        sums: &mut [T],
        mut diagonal_sums: Option<DiagonalSums<'_, T>>,
        mut scratch: &mut [T],
    ) {
        let Shape { rows: m, cols: n } = self.shape;
        if self.rank == 0 {
            return dx.into_iter().for_each(|dx| dx.fill(T::zero()));
        }
        let kept = kept.map(|kept| self.kept(kept));
        let (left, right) = (self.door(true, &diagonals), self.door(false, &diagonals));
        let mut blocks = [(); 6].map(|()| take(&mut scratch, self.padded()));
        let wants_back = dx.is_some() || diagonal_sums.is_some();
        for (form, rows) in self.forms().blocks::<T>(x.len() / n) {
            let (x, dy) = (&x[rows.start * n..rows.end * n], &dy[rows.start * m..rows.end * m]);
            let [input, dual, inner, other, output, back] = blocks.each_mut().map(|b| &mut b[..self.left.block(form)]);
            left.enter(form, dy, dual, scratch);
            if kept.is_none() {
                right.enter(form, x, input, scratch);
            }
            let input = kept.map_or(&*input, |kept| &kept.input[..input.len()]);
            let (g, h) = self.spectra(spectra, form);
            let sums = &mut sums[self.place(form)];
            let (g_sums, h_sums) = sums.split_at_mut(sums.len() / 2);
            let width = self.width(form);
            let kernels = g.chunks_exact(width).zip(h.chunks_exact(width));
            let sums = g_sums.chunks_exact_mut(width).zip(h_sums.chunks_exact_mut(width));
            let mut pass = Pass {
                sandwich: self,
                form,
                doors: [&left, &right],
                between: diagonals.inner,
                kept,
                wants_back,
                input,
                dual,
                blocks: [&mut *inner, &mut *other, &mut *output, &mut *back],
            };
            for (j, (kernels, sums)) in kernels.zip(sums).enumerate() {
                let inner_sums = diagonal_sums.as_mut().map(|sums| &mut *sums.inner);
                pass.term(j, kernels.into(), sums.into(), inner_sums, scratch);
            }
            if let Some(sums) = &mut diagonal_sums {
                if kept.is_none() {
                    left.transform.inverse(form, output, scratch);
                }
                right.transform.inverse(form, back, scratch);
                let output = kept.map_or(&*output, |kept| &kept.output[..input.len()]);
                left.add_row_products(form, output, dy, sums.post);
                right.add_row_products(form, back, x, sums.pre);
            }
            let Some(dx) = dx.as_mut().map(|dx| &mut dx[rows.start * n..rows.end * n]) else { continue };
            match diagonal_sums {
                Some(_) => right.put(form, back, dx),
                None => right.leave(form, back, dx, scratch),
            }
        }
    }

    /// Hands the gradients in the kernels, of a side and a term, to `add` to use up, with a factor that they still lack;
    /// those of the left side are wanted times `factor`.
    pub fn finish(
        &self,
        factor: f64,
        sums: &mut [T],
        mut add: impl FnMut(usize, usize, T, &mut [T]),
        scratch: &mut [T],
    ) {
        for (form, place) in self.forms().each(&self.left, 2 * self.rank) {
            let Some(sums) = sums.get_mut(place).filter(|sums| !untouched(sums)) else { continue };
            let width = self.width(form);
            for (side, sums) in sums.chunks_exact_mut(self.rank * width).enumerate() {
                let (transform, factor) = if side == 0 { (&self.left, factor) } else { (&self.right, 1.0) };
                let gain = T::of(factor) / transform.gain();
                match form {
                    Form::Single => sums.chunks_exact_mut(width).enumerate().for_each(|(j, sum)| {
                        transform.inverse(form, sum, scratch);
                        add(side, j, gain, &mut sum[..transform.len()]);
                    }),
                    Form::Lanes => self.finish_lanes(transform, sums, |j, kernel| add(side, j, gain, kernel), scratch),
                }
            }
        }
    }

    /// The kernels of sums that lanes have left, several at a time.
    fn finish_lanes(
        &self,
        transform: &RealTransform<T>,
        sums: &[T],
        mut add: impl FnMut(usize, &mut [T]),
        mut scratch: &mut [T],
    ) {
        let (form, length) = (Form::Lanes, transform.len());
        let (width, at_once) = (self.width(form), form.signals::<T>());
        let block = &mut take(&mut scratch, self.block())[..transform.block(form)];
        let kernels = take(&mut scratch, T::LANES * length);
        for (first, spectra) in (0..self.rank).step_by(at_once).zip(sums.chunks(at_once * width)) {
            let kernels = &mut kernels[..spectra.len() / width * length];
            load(form, spectra, width, Order::Natural, block);
            transform.inverse(form, block, scratch);
            store(form, block, Order::Natural, kernels, length);
            kernels.chunks_exact_mut(length).enumerate().for_each(|(j, k)| add(first + j, k));
        }
    }
}

/// Adds to each sum the inner product of the lanes of that element in two blocks.
fn add_lane_products<T: Scalar>(form: Form, sums: &mut [T], a: &[T], b: &[T]) {
    let w = form.signals::<T>();
    for ((sum, a), b) in sums.iter_mut().zip(a.chunks_exact(w)).zip(b.chunks_exact(w)) {
        *sum += a.iter().zip(b).map(|(&a, &b)| a * b).sum::<T>();
    }
}

impl<T: Scalar> Door<'_, T> {
    /// Adds to each sum the door's factor times the products of that element of the signals in a block with those of rows.
    /// In natural order on both sides: only what learns its diagonals comes here.
    fn add_row_products(&self, form: Form, block: &[T], rows: &[T], sums: &mut [T]) {
        let Some(factors) = self.scale else { return };
        let w = form.signals::<T>();
        if form == Form::Single {
            return T::run(AddProducts { sums, factors, a: block, b: rows });
        }
        for (l, row) in rows.chunks_exact(sums.len()).enumerate() {
            for (((sum, lanes), &x), &factor) in sums.iter_mut().zip(block.chunks_exact(w)).zip(row).zip(factors) {
                *sum += factor * lanes[l] * x;
            }
        }
    }
}

/// Adds products of numbers to sums.
struct AddProducts<'a, T> {
    sums: &'a mut [T],
    factors: &'a [T],
    a: &'a [T],
    b: &'a [T],
}

impl<T: Scalar> Kernel<T> for AddProducts<'_, T> {
    #[inline(always)]
    fn run<I: Isa<T>>(self, _: I) {
        for (((sum, &factor), &a), &b) in self.sums.iter_mut().zip(self.factors).zip(self.a).zip(self.b) {
            *sum += factor * a * b;
        }
    }
}
