//! What circulant, Toeplitz and Hankel matrices have in common: they are corners of circulant matrices, or sums of such
//! corners with their columns in reversed order.
//!
//! With `C(c)` the cyclic or negacyclic matrix of order N whose first column is c, and `J` the exchange of columns,
//! `M = [Σ_t C(c_t) J^{o_t}]` cut to m×n. A family says how its parameters make up the kernels c_t, and back; the product
//! costs one forward transform of length N for each term and one inverse, O(N log N).

use crate::error::has_length;
use crate::matrix::{Bound, Family, Init, Layout, Parameters, Prepared, Structure, normal_of, take, transform_cost};
use crate::shape::Shape;
use crate::transform::rows::{load, store};
use crate::transform::{Form, Into, Order, RealTransform, Side, Wrap, untouched};
use crate::{Result, Scalar};

/// The engine of a family: shape, terms and transform.
#[derive(Debug)]
pub struct Convolution<T> {
    pub(super) shape: Shape,
    pub(super) order: usize,
    wrap: Wrap,
    terms: &'static [Order],
    transform: RealTransform<T>,
}

impl<T: Scalar> Convolution<T> {
    pub(super) fn new(shape: Shape, order: usize, wrap: Wrap, terms: &'static [Order]) -> Self {
        Self { shape, order, wrap, terms, transform: RealTransform::new(order, wrap) }
    }

    /// Numbers in a block of signals, in any form.
    fn block(&self) -> usize {
        self.transform.largest_block()
    }

    /// The forms, with the places of their spectra.
    fn forms(&self) -> impl Iterator<Item = (Form, std::ops::Range<usize>)> {
        self.transform.forms().each(&self.transform, self.terms.len())
    }

    /// Numbers that the spectra of all terms take, in all forms that occur in a batch of so many.
    fn spectra_len(&self, batch: usize) -> usize {
        self.transform.forms().len_for(&self.transform, self.terms.len(), batch)
    }

    /// Where the spectra of a form are.
    fn place_of(&self, form: Form) -> std::ops::Range<usize> {
        self.forms().find(|(f, _)| *f == form).map_or(0..0, |(_, place)| place)
    }

    /// The sign and place in the kernel of the entry (i, j) of a corner of the circulant.
    fn place(&self, i: usize, j: usize) -> (bool, usize) {
        match i >= j {
            true => (false, i - j),
            false => (self.wrap == Wrap::Negacyclic, self.order + i - j),
        }
    }

    /// The column that a term reads for the column j of the matrix.
    fn column(&self, term: Order, j: usize) -> usize {
        if term == Order::Natural { j } else { self.shape.cols - 1 - j }
    }
}

/// A family whose matrices are corners of circulants.
pub trait ConvolutionFamily: std::fmt::Debug + Send + Sync {
    /// The numbers.
    type Number: Scalar;
    /// The family.
    fn kind(&self) -> Family;
    /// The parameters.
    fn tensors(&self) -> &Layout;
    /// The engine.
    fn engine(&self) -> &Convolution<Self::Number>;
    /// Writes the kernel of a term; the slice holds zeros.
    fn write_kernel(&self, parameters: &[Self::Number], term: usize, kernel: &mut [Self::Number]);
    /// Adds to `gradient` the gradient in the parameters for that in the kernel of a term.
    fn pull_back_kernel(&self, kernel: &[Self::Number], term: usize, gradient: &mut [Self::Number]);
    /// Standard deviation of the parameters that gives the entries the variance 1.
    fn parameter_deviation(&self) -> f64 {
        1.0
    }
    /// Refuses bad parameters.
    fn check_parameters(&self, parameters: &[Self::Number]) -> Result<()> {
        crate::error::all_finite("parameters", parameters)
    }
}

impl<T: Scalar, F: ConvolutionFamily<Number = T>> Structure<T> for F {
    fn family(&self) -> Family {
        self.kind()
    }

    fn rows(&self) -> usize {
        self.engine().shape.rows
    }

    fn cols(&self) -> usize {
        self.engine().shape.cols
    }

    fn layout(&self) -> &Layout {
        self.tensors()
    }

    fn check(&self, parameters: &[T]) -> Result<()> {
        self.check_parameters(parameters)
    }

    fn prepare(&self, Parameters(parameters): Parameters<'_, T>, prepared: &mut Prepared<T>, mut scratch: &mut [T]) {
        let engine = self.engine();
        let block = take(&mut scratch, engine.block());
        let kernels = take(&mut scratch, engine.terms.len() * engine.order);
        kernels.fill(T::zero());
        for (term, kernel) in kernels.chunks_exact_mut(engine.order).enumerate() {
            self.write_kernel(parameters, term, kernel);
            let scale = engine.transform.gain().recip();
            kernel.iter_mut().for_each(|k| *k *= scale);
        }
        let spectra = prepared.numbers_mut(engine.spectra_len(usize::MAX));
        for (form, place) in engine.forms() {
            let (width, at_once) = (engine.transform.width(form), form.signals::<T>());
            let block = &mut block[..engine.transform.block(form)];
            let kernels = kernels.chunks(at_once * engine.order);
            for (kernels, spectra) in kernels.zip(spectra[place].chunks_mut(at_once * width)) {
                load(form, kernels, engine.order, Order::Natural, block);
                engine.transform.forward(form, block, scratch);
                store(form, block, Order::Natural, spectra, width);
            }
        }
    }

    fn scratch_len(&self) -> usize {
        let engine = self.engine();
        let forms = engine.terms.len() + 2;
        forms * engine.block() + forms * engine.transform.width(Form::Lanes) + engine.transform.scratch_len()
    }

    fn apply(&self, bound: Bound<'_, T>, x: &[T], y: &mut [T], mut scratch: &mut [T]) {
        let Convolution { shape, terms, transform, .. } = self.engine();
        let [signal, sum] = [(); 2].map(|()| take(&mut scratch, self.engine().block()));
        for (form, block) in transform.forms().blocks::<T>(x.len() / shape.cols) {
            let [signal, sum] = [&mut *signal, &mut *sum].map(|b| &mut b[..transform.block(form)]);
            let x = &x[block.start * shape.cols..block.end * shape.cols];
            let spectra = bound.prepared.numbers[self.engine().place_of(form)].chunks_exact(transform.width(form));
            for (t, (&order, spectrum)) in terms.iter().zip(spectra).enumerate() {
                load(form, x, shape.cols, order, signal);
                transform.forward_times(form, Into::set_first(t), sum, signal, spectrum, scratch);
            }
            transform.inverse(form, sum, scratch);
            store(form, sum, Order::Natural, &mut y[block.start * shape.rows..block.end * shape.rows], shape.rows);
        }
    }

    fn apply_transposed(&self, bound: Bound<'_, T>, y: &[T], x: &mut [T], mut scratch: &mut [T]) {
        let Convolution { shape, transform, .. } = self.engine();
        let signal = take(&mut scratch, self.engine().block());
        for (form, block) in transform.forms().blocks::<T>(y.len() / shape.rows) {
            let signal = &mut signal[..transform.block(form)];
            load(form, &y[block.start * shape.rows..block.end * shape.rows], shape.rows, Order::Natural, signal);
            transform.forward(form, signal, scratch);
            let x = &mut x[block.start * shape.cols..block.end * shape.cols];
            transposed_block(self.engine(), bound, form, signal, x, scratch);
        }
    }

    fn gradient_len(&self, batch: usize) -> usize {
        self.engine().spectra_len(batch)
    }

    fn backward(
        &self,
        bound: Bound<'_, T>,
        x: &[T],
        dy: &[T],
        dx: Option<&mut [T]>,
        sums: &mut [T],
        mut scratch: &mut [T],
    ) {
        let Convolution { shape, terms, transform, .. } = self.engine();
        let mut dx = dx;
        let [signal, dual] = [(); 2].map(|()| take(&mut scratch, self.engine().block()));
        for (form, block) in transform.forms().blocks::<T>(x.len() / shape.cols) {
            let [signal, dual] = [&mut *signal, &mut *dual].map(|b| &mut b[..transform.block(form)]);
            let inputs = block.start * shape.cols..block.end * shape.cols;
            load(form, &dy[block.start * shape.rows..block.end * shape.rows], shape.rows, Order::Natural, dual);
            transform.forward(form, dual, scratch);
            let sums = sums[self.engine().place_of(form)].chunks_exact_mut(transform.width(form));
            for (&order, sum) in terms.iter().zip(sums) {
                load(form, &x[inputs.clone()], shape.cols, order, signal);
                transform.forward(form, signal, scratch);
                transform.correlate(form, sum, dual, signal);
            }
            if let Some(dx) = &mut dx {
                transposed_block(self.engine(), bound, form, dual, &mut dx[inputs], scratch);
            }
        }
    }

    fn finish_gradient(&self, _: Bound<'_, T>, sums: &mut [T], gradient: &mut [T], mut scratch: &mut [T]) {
        let Convolution { order, terms, transform, .. } = self.engine();
        let block = take(&mut scratch, self.engine().block());
        let kernel = take(&mut scratch, *order);
        let scale = transform.gain().recip();
        for (form, place) in self.engine().forms() {
            let Some(sums) = sums.get(place) else { continue };
            let block = &mut block[..transform.block(form)];
            for (term, sum) in sums.chunks_exact(transform.width(form)).take(terms.len()).enumerate() {
                if untouched(sum) {
                    continue;
                }
                load(form, sum, transform.width(form), Order::Natural, block);
                transform.inverse(form, block, scratch);
                store(form, block, Order::Natural, kernel, *order);
                kernel.iter_mut().for_each(|k| *k *= scale);
                self.pull_back_kernel(kernel, term, gradient);
            }
        }
    }

    fn write_dense(&self, Parameters(parameters): Parameters<'_, T>, dense: &mut [T]) {
        let engine = self.engine();
        dense.fill(T::zero());
        for (term, &order) in engine.terms.iter().enumerate() {
            let mut kernel = vec![T::zero(); engine.order];
            self.write_kernel(parameters, term, &mut kernel);
            for (i, row) in dense.chunks_exact_mut(engine.shape.cols).enumerate() {
                for (j, entry) in row.iter_mut().enumerate() {
                    let (negative, k) = engine.place(i, engine.column(order, j));
                    *entry += if negative { -kernel[k] } else { kernel[k] };
                }
            }
        }
    }

    fn pull_back(&self, _: Parameters<'_, T>, dense: &[T], gradient: &mut [T]) {
        let engine = self.engine();
        for (term, &order) in engine.terms.iter().enumerate() {
            let mut kernel = vec![T::zero(); engine.order];
            for (i, row) in dense.chunks_exact(engine.shape.cols).enumerate() {
                for (j, &entry) in row.iter().enumerate() {
                    let (negative, k) = engine.place(i, engine.column(order, j));
                    kernel[k] += if negative { -entry } else { entry };
                }
            }
            self.pull_back_kernel(&kernel, term, gradient);
        }
    }

    fn initialise(&self, init: Init, rng: &mut fastrand::Rng, parameters: &mut [T]) -> Result<()> {
        has_length("parameters", parameters, self.layout().len())?;
        let Shape { rows, cols } = self.engine().shape;
        normal_of(rng, init.variance(rows, cols).sqrt() * self.parameter_deviation(), parameters);
        Ok(())
    }

    fn cost(&self, batch: usize) -> f64 {
        transform_cost::<T>(self.engine().order, self.engine().terms.len() + 1, batch)
    }
}

/// Writes `X = Y M` for one block, whose spectra are in `dual`.
fn transposed_block<T: Scalar>(
    engine: &Convolution<T>,
    bound: Bound<'_, T>,
    form: Form,
    dual: &[T],
    x: &mut [T],
    mut scratch: &mut [T],
) {
    let Convolution { shape, terms, transform, .. } = engine;
    let product = &mut take(&mut scratch, engine.block())[..transform.block(form)];
    let spectra = bound.prepared.numbers[engine.place_of(form)].chunks_exact(transform.width(form));
    for (t, (&order, spectrum)) in terms.iter().zip(spectra).enumerate() {
        transform.inverse_of_product(form, Side::Transposed, product, dual, spectrum, scratch);
        store_into(form, Into::set_first(t), product, order, x, shape.cols, scratch);
    }
}

/// Stores rows, or adds them to those that are there.
fn store_into<T: Scalar>(
    form: Form,
    into: Into,
    block: &[T],
    order: Order,
    x: &mut [T],
    row: usize,
    scratch: &mut [T],
) {
    if into == Into::Set {
        return store(form, block, order, x, row);
    }
    let rows = &mut scratch[..x.len()];
    store(form, block, order, rows, row);
    x.iter_mut().zip(rows).for_each(|(x, &mut more)| *x += more);
}
