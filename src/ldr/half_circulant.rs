//! Products with r circulants `Z_½(h_j)`, the f-circulants of f = ½ with the first columns h_j, of order N.
//!
//! With φ = 2^{−1/N} and S = diag(φ^{−k}), whose entries lie between 1 and 2, `Z_½ = φ S Z_1 S⁻¹`. So
//! `Z_½(h) = S Z_1(S⁻¹ h) S⁻¹`: signals are scaled by S on the way in and by S⁻¹ on the way out, or the other way
//! round, and the products are cyclic.

use std::ops::Range;

use super::filter::F;
use crate::Scalar;
use crate::matrix::take;
use crate::transform::rows::{load, load_scaled, store, store_scaled};
use crate::transform::{Form, Forms, Into, Order, RealTransform, Side, Wrap, untouched};

/// The plan for r half-circulants of order N, applied to signals of n ≤ N numbers continued by zeros.
#[derive(Debug)]
pub(super) struct HalfCirculants<T: Scalar> {
    cols: usize,
    order: usize,
    rank: usize,
    cyclic: RealTransform<T>,
    /// S and its inverse.
    scale: Vec<T>,
    unscale: Vec<T>,
}

impl<T: Scalar> HalfCirculants<T> {
    pub fn new(cols: usize, order: usize, rank: usize) -> Self {
        let power = |sign: f64| move |k: usize| T::of(F.powf(sign * k as f64 / order as f64));
        Self {
            cols,
            order,
            rank,
            cyclic: RealTransform::new(order, Wrap::Cyclic),
            scale: (0..order).map(power(-1.0)).collect(),
            unscale: (0..order).map(power(1.0)).collect(),
        }
    }

    pub fn forms(&self) -> Forms {
        self.cyclic.forms()
    }

    /// Numbers in a block.
    pub fn block(&self, form: Form) -> usize {
        self.cyclic.block(form)
    }

    pub fn largest_block(&self) -> usize {
        self.cyclic.largest_block()
    }

    pub fn scratch_len(&self) -> usize {
        self.cyclic.scratch_len()
    }

    /// Numbers that the spectra of all columns take, in all forms; and that the sums of their gradients take.
    pub fn spectra_len(&self) -> usize {
        self.forms().each(&self.cyclic, self.rank).map(|(_, place)| place.end).last().unwrap_or(0)
    }

    fn place(&self, form: Form) -> Range<usize> {
        let mut places = self.forms().each(&self.cyclic, self.rank);
        places.find(|(f, _)| *f == form).map_or(0..0, |(_, place)| place)
    }

    /// The spectrum of each column.
    pub fn spectra<'a>(&self, numbers: &'a [T], form: Form) -> impl Iterator<Item = &'a [T]> + use<'a, T> {
        numbers[self.place(form)].chunks_exact(self.cyclic.width(form))
    }

    /// The sums for the gradient in each column.
    pub fn sums<'a>(&self, numbers: &'a mut [T], form: Form) -> impl Iterator<Item = &'a mut [T]> + use<'a, T> {
        numbers[self.place(form)].chunks_exact_mut(self.cyclic.width(form))
    }

    /// Computes the spectra of all columns, the rows of `h`.
    pub fn prepare(&self, h: &[T], spectra: &mut [T], mut scratch: &mut [T]) {
        let block = take(&mut scratch, self.largest_block());
        let gain = self.cyclic.gain().recip();
        for (form, place) in self.forms().each(&self.cyclic, self.rank) {
            let (width, at_once) = (self.cyclic.width(form), form.signals::<T>());
            let block = &mut block[..self.block(form)];
            let spectra = spectra[place].chunks_mut(at_once * width);
            for (h, spectra) in h.chunks(at_once * self.cols).zip(spectra) {
                self.load(form, h, self.cols, &self.unscale, block, scratch);
                block.iter_mut().for_each(|x| *x *= gain);
                store(form, block, Order::Natural, spectra, width);
            }
        }
    }

    /// Takes up signals x of n numbers each.
    pub fn analyse(&self, form: Form, x: &[T], block: &mut [T], scratch: &mut [T]) {
        self.load(form, x, self.cols, &self.scale, block, scratch);
    }

    /// `Z_½(h)ᵀ x`, N numbers a row, for signals that [`Self::analyse`] has taken up.
    pub fn filter(&self, form: Form, input: &[T], spectrum: &[T], inner: &mut [T], rows: &mut [T], scratch: &mut [T]) {
        self.cyclic.multiply(form, Into::Set, Side::Transposed, inner, input, spectrum);
        self.store(form, inner, &self.unscale, rows, self.order, scratch);
    }

    /// Takes up signals u of N numbers each, from the other side.
    pub fn analyse_dual(&self, form: Form, u: &[T], block: &mut [T], scratch: &mut [T]) {
        self.load(form, u, self.order, &self.unscale, block, scratch);
    }

    /// Adds `Z_½(h) u` to what `output` stands for.
    pub fn add_dual(&self, form: Form, into: Into, output: &mut [T], dual: &[T], spectrum: &[T]) {
        self.cyclic.multiply(form, into, Side::Plain, output, dual, spectrum);
    }

    /// The first n numbers of what `output` stands for.
    pub fn synthesise(&self, form: Form, output: &mut [T], x: &mut [T], scratch: &mut [T]) {
        self.store(form, output, &self.scale, x, self.cols, scratch);
    }

    /// Adds to `sum` the gradient in h of `uᵀ Z_½(h)ᵀ x`, summed over the signals of a block.
    pub fn correlate(&self, form: Form, sum: &mut [T], input: &[T], dual: &[T]) {
        self.cyclic.correlate(form, sum, input, dual);
    }

    /// Adds to the rows of `gradient` what the sums stand for.
    pub fn finish(&self, sums: &[T], gradient: &mut [T], mut scratch: &mut [T]) {
        let block = take(&mut scratch, self.largest_block());
        let signals = take(&mut scratch, self.largest_block());
        let gain = self.cyclic.gain().recip();
        for (form, place) in self.forms().each(&self.cyclic, self.rank) {
            let sums = &sums[place];
            if untouched(sums) {
                continue;
            }
            let (width, at_once) = (self.cyclic.width(form), form.signals::<T>());
            let rows = gradient.chunks_mut(at_once * self.cols);
            for (spectra, rows) in sums.chunks(at_once * width).zip(rows) {
                let (block, signals) = (&mut block[..self.block(form)], &mut signals[..rows.len()]);
                load(form, spectra, width, Order::Natural, block);
                self.store(form, block, &self.unscale, signals, self.cols, scratch);
                rows.iter_mut().zip(signals).for_each(|(d, s)| *d += gain * *s);
            }
        }
    }

    /// Rows to spectra of their scaled elements.
    fn load(&self, form: Form, rows: &[T], row: usize, factors: &[T], block: &mut [T], scratch: &mut [T]) {
        load_scaled(form, rows, row, Order::Natural, factors, block);
        self.cyclic.forward(form, block, scratch);
    }

    /// Spectra to rows of their scaled elements.
    fn store(&self, form: Form, block: &mut [T], factors: &[T], rows: &mut [T], row: usize, scratch: &mut [T]) {
        self.cyclic.inverse(form, block, scratch);
        store_scaled(form, block, Order::Natural, factors, rows, row);
    }
}
