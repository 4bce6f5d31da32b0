//! Sums of products of two circulants between diagonal matrices, `M = P Σ_j C(u_j) D C'(w_j)ᵀ S`.
//!
//! C and C' are cyclic or negacyclic matrices of a length L, each with its own kind; P, D and S are diagonal of order m, N ≤ L
//! and n, and cut the product to m×n: what lies beyond N between the two circulants is dropped. With kernels that vanish
//! where they would wrap, C is any Toeplitz matrix; so this one engine multiplies by pairs of f-circulants for every f and by
//! Krylov matrices of weighted shifts.
//!
//! A product costs 2r + 2 real transforms of length L, the gradients of the kernels 4r + 3; those of the three diagonals
//! one more and O(rN) pointwise.

mod gradients;

use std::ops::Range;

use crate::Scalar;
use crate::matrix::take;
use crate::shape::Shape;
use crate::transform::rows::{load, load_scaled, scale, store, store_scaled};
use crate::transform::{Form, Forms, Into, Order, RealTransform, Side, Wrap};

pub(super) use gradients::DiagonalSums;

/// The plan: shape, orders, transforms and the order in which rows are read and written.
#[derive(Debug)]
pub(super) struct Sandwich<T> {
    shape: Shape,
    inner: usize,
    rank: usize,
    left: RealTransform<T>,
    right: RealTransform<T>,
    /// The order of the outputs and of the inputs.
    orders: [Order; 2],
    /// Where the spectra of lanes have the numbers of single ones, for negacyclic transforms, left and right.
    places: [Option<Vec<u32>>; 2],
}

/// The diagonals P (m), D (N) and S (n), in the natural order of the circulants; `None` for the identity.
#[derive(Debug, Clone, Copy)]
pub(super) struct Diagonals<'a, T> {
    pub post: Option<&'a [T]>,
    pub inner: Option<&'a [T]>,
    pub pre: Option<&'a [T]>,
}

/// What the product with one vector leaves for its gradient.
#[derive(Debug, Clone, Copy)]
struct Kept<'a, T> {
    /// The spectrum of S x.
    input: &'a [T],
    /// The sum of the terms, M x but for P.
    output: &'a [T],
    /// The spectrum between the two circulants of each term, so many numbers apart.
    inner: &'a [T],
    apart: usize,
}

/// What a block of rows enters or leaves through.
struct Door<'a, T> {
    transform: &'a RealTransform<T>,
    row: usize,
    order: Order,
    scale: Option<&'a [T]>,
}

impl<T: Scalar> Door<'_, T> {
    fn enter(&self, form: Form, rows: &[T], block: &mut [T], scratch: &mut [T]) {
        match self.scale {
            Some(factors) => load_scaled(form, rows, self.row, self.order, factors, block),
            None => load(form, rows, self.row, self.order, block),
        }
        self.transform.forward(form, block, scratch);
    }

    fn leave(&self, form: Form, block: &mut [T], rows: &mut [T], scratch: &mut [T]) {
        self.transform.inverse(form, block, scratch);
        self.put(form, block, rows);
    }

    /// A block of signals to rows.
    fn put(&self, form: Form, block: &mut [T], rows: &mut [T]) {
        match self.scale {
            Some(factors) => store_scaled(form, block, self.order, factors, rows, self.row),
            None => store(form, block, self.order, rows, self.row),
        }
    }
}

/// What a block of rows goes through in a product.
struct Way<'a, T> {
    sandwich: &'a Sandwich<T>,
    form: Form,
    /// In and out.
    doors: [Door<'a, T>; 2],
    /// Of the kernels that are passed first, and of those behind them.
    spectra: [&'a [T]; 2],
    /// D.
    between: Option<&'a [T]>,
}

impl<T: Scalar> Way<'_, T> {
    /// Leaves the spectrum of the input in `signal`, the sum of the terms in `sum`, and in `inner` the spectra between the
    /// circulants of single signals, `apart` numbers from one term to the next.
    fn go(&self, x: &[T], y: &mut [T], blocks: [&mut [T]; 3], apart: usize, scratch: &mut [T]) {
        let (Self { sandwich, form, doors: [from, to], .. }, [signal, inner, sum]) = (self, blocks);
        let (form, block, width) = (*form, sandwich.left.block(*form), sandwich.width(*form));
        let (signal, sum) = (&mut signal[..block], &mut sum[..block]);
        let [near, far] = self.spectra.map(|spectra| spectra.chunks_exact(width));
        from.enter(form, x, signal, scratch);
        for (j, (near, far)) in near.zip(far).enumerate() {
            let inner = &mut inner[j * apart..][..block];
            from.transform.inverse_of_product(form, Side::Transposed, inner, signal, near, scratch);
            sandwich.between(form, self.between, inner);
            to.transform.forward_times(form, Into::set_first(j), sum, inner, far, scratch);
        }
        to.leave(form, sum, y, scratch);
    }
}

impl<T: Scalar> Sandwich<T> {
    /// The plan for circulants of length `length` and the kinds `wraps`, left and right, with N = `inner`.
    pub fn new(shape: Shape, inner: usize, length: usize, rank: usize, wraps: [Wrap; 2], orders: [Order; 2]) -> Self {
        let [left, right] = wraps.map(|wrap| RealTransform::new(length, wrap));
        let places = [left.single_places(), right.single_places()];
        Self { shape, inner, rank, left, right, orders, places }
    }

    /// The length L.
    pub fn length(&self) -> usize {
        self.left.len()
    }

    fn forms(&self) -> Forms {
        self.left.forms()
    }

    fn width(&self, form: Form) -> usize {
        self.left.width(form)
    }

    fn block(&self) -> usize {
        self.left.largest_block()
    }

    /// A block and some cache lines, so that blocks do not compete for the same places of the cache.
    fn padded(&self) -> usize {
        self.block() + Self::APART
    }

    /// Numbers in these cache lines.
    const APART: usize = 5 * 64 / size_of::<T>();

    /// Numbers that the spectra of all kernels take, in all forms.
    pub fn spectra_len(&self) -> usize {
        self.sums_len(usize::MAX)
    }

    /// Numbers that the sums of the gradients in the kernels take, for so many examples.
    pub fn sums_len(&self, batch: usize) -> usize {
        self.forms().len_for(&self.left, 2 * self.rank, batch)
    }

    /// Numbers of scratch that any method needs.
    pub fn scratch_len(&self) -> usize {
        6 * self.padded() + self.left.scratch_len().max(self.right.scratch_len())
    }

    fn place(&self, form: Form) -> Range<usize> {
        let mut places = self.forms().each(&self.left, 2 * self.rank);
        places.find(|(f, _)| *f == form).map_or(0..0, |(_, place)| place)
    }

    /// The spectra of the left and of the right kernels.
    fn spectra<'a>(&self, numbers: &'a [T], form: Form) -> (&'a [T], &'a [T]) {
        let numbers = &numbers[self.place(form)];
        numbers.split_at(numbers.len() / 2)
    }

    fn door<'a>(&'a self, left: bool, diagonals: &Diagonals<'a, T>) -> Door<'a, T> {
        let Shape { rows, cols } = self.shape;
        let [output, input] = self.orders;
        match left {
            true => Door { transform: &self.left, row: rows, order: output, scale: diagonals.post },
            false => Door { transform: &self.right, row: cols, order: input, scale: diagonals.pre },
        }
    }

    /// Computes the spectra of kernels. `write` puts the kernel of a side (left: 0) and a term into a slice of zeros; those
    /// of the left side are multiplied by `factor`.
    pub fn prepare(&self, factor: f64, write: impl Fn(usize, usize, &mut [T]), spectra: &mut [T], scratch: &mut [T]) {
        let (singles, mut lanes) = spectra.split_at_mut(self.sums_len(0));
        let lanes_len = lanes.len() / 2;
        let sides = singles.chunks_exact_mut((self.rank * self.width(Form::Single)).max(1)).enumerate();
        for (side, singles) in sides {
            let (transform, factor) = if side == 0 { (&self.left, factor) } else { (&self.right, 1.0) };
            let gain = T::of(factor) / transform.gain();
            let write = |j: usize, kernel: &mut [T]| {
                kernel.fill(T::zero());
                write(side, j, &mut kernel[..transform.len()]);
                kernel.iter_mut().for_each(|k| *k *= gain);
            };
            for (j, spectrum) in singles.chunks_exact_mut(self.width(Form::Single)).enumerate() {
                write(j, spectrum);
                transform.forward(Form::Single, spectrum, scratch);
            }
            let lanes = take(&mut lanes, lanes_len);
            match &self.places[side] {
                Some(places) => permute(places, singles, lanes),
                None if lanes.is_empty() => {}
                None => self.prepare_lanes(transform, write, lanes, scratch),
            }
        }
    }

    /// The spectra of kernels in the order of lanes, several at a time.
    fn prepare_lanes(
        &self,
        transform: &RealTransform<T>,
        write: impl Fn(usize, &mut [T]),
        spectra: &mut [T],
        mut scratch: &mut [T],
    ) {
        let (form, length, width) = (Form::Lanes, transform.len(), self.width(Form::Lanes));
        let block = &mut take(&mut scratch, self.block())[..transform.block(form)];
        let kernels = take(&mut scratch, T::LANES * length);
        for (first, spectra) in (0..self.rank).step_by(T::LANES).zip(spectra.chunks_mut(T::LANES * width)) {
            let kernels = &mut kernels[..spectra.len() / width * length];
            kernels.chunks_exact_mut(length).enumerate().for_each(|(j, kernel)| write(first + j, kernel));
            load(form, kernels, length, Order::Natural, block);
            transform.forward(form, block, scratch);
            store(form, block, Order::Natural, spectra, width);
        }
    }

    /// `D` between the two circulants: scales the first N elements of a block, and drops the others.
    fn between(&self, form: Form, factors: Option<&[T]>, block: &mut [T]) {
        if let Some(factors) = factors {
            scale(form, block, factors);
        }
        block[self.inner * form.signals::<T>()..].fill(T::zero());
    }

    /// `Y = X Mᵀ`.
    pub fn apply(&self, spectra: &[T], diagonals: Diagonals<'_, T>, x: &[T], y: &mut [T], scratch: &mut [T]) {
        self.product(spectra, diagonals, false, x, y, scratch);
    }

    /// Numbers that [`Sandwich::apply_keeping`] keeps.
    pub fn kept_len(&self) -> usize {
        if self.rank == 0 { 0 } else { (2 + self.rank) * self.kept_block() }
    }

    fn kept_block(&self) -> usize {
        self.left.block(Form::Single) + Self::APART
    }

    /// [`Sandwich::apply`] with one vector, which is transformed alone, that leaves what the gradients in the kernels and in
    /// the outer diagonals need.
    pub fn apply_keeping(
        &self,
        spectra: &[T],
        diagonals: Diagonals<'_, T>,
        x: &[T],
        y: &mut [T],
        mut kept: &mut [T],
        scratch: &mut [T],
    ) {
        if self.rank == 0 {
            return y.fill(T::zero());
        }
        let apart = self.kept_block();
        let [signal, sum] = [(); 2].map(|()| take(&mut kept, apart));
        self.way(Form::Single, false, spectra, &diagonals).go(x, y, [signal, kept, sum], apart, scratch);
    }

    fn kept<'a>(&self, kept: &'a [T]) -> Kept<'a, T> {
        let apart = self.kept_block();
        let (input, rest) = kept.split_at(apart);
        let (output, inner) = rest.split_at(apart);
        Kept { input, output, inner, apart }
    }

    /// `X = Y M`.
    pub fn apply_transposed(
        &self,
        spectra: &[T],
        diagonals: Diagonals<'_, T>,
        y: &[T],
        x: &mut [T],
        scratch: &mut [T],
    ) {
        self.product(spectra, diagonals, true, y, x, scratch);
    }

    /// In through one circulant, out through the other: the transposed product is the product with the sides exchanged.
    fn product(
        &self,
        spectra: &[T],
        diagonals: Diagonals<'_, T>,
        from_left: bool,
        input: &[T],
        output: &mut [T],
        mut scratch: &mut [T],
    ) {
        if self.rank == 0 {
            return output.fill(T::zero());
        }
        let (from, to) =
            if from_left { (self.shape.rows, self.shape.cols) } else { (self.shape.cols, self.shape.rows) };
        let [signal, inner, sum] = [(); 3].map(|()| take(&mut scratch, self.padded()));
        for (form, rows) in self.forms().blocks::<T>(input.len() / from) {
            let input = &input[rows.start * from..rows.end * from];
            let output = &mut output[rows.start * to..rows.end * to];
            let way = self.way(form, from_left, spectra, &diagonals);
            way.go(input, output, [&mut *signal, &mut *inner, &mut *sum], 0, scratch);
        }
    }

    fn way<'a>(&'a self, form: Form, from_left: bool, spectra: &'a [T], diagonals: &Diagonals<'a, T>) -> Way<'a, T> {
        let (left, right) = self.spectra(spectra, form);
        let spectra = if from_left { [left, right] } else { [right, left] };
        let doors = [from_left, !from_left].map(|left| self.door(left, diagonals));
        Way { sandwich: self, form, doors, spectra, between: diagonals.inner }
    }
}

/// Single spectra in the order of lanes.
fn permute<T: Scalar>(places: &[u32], singles: &[T], lanes: &mut [T]) {
    let half = places.len();
    for (single, lanes) in singles.chunks_exact(half).zip(lanes.chunks_exact_mut(half)) {
        lanes.iter_mut().zip(places).for_each(|(number, &place)| *number = single[place as usize]);
    }
}
