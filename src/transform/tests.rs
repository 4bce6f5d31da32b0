//! Every transform against the definition of the product in its ring, on every instruction set.

use super::isa::PORTABLE_ONLY;
use super::rows::{Order, load, store};
use super::{Form, Into, RealTransform, Side, Wrap};
use crate::Scalar;

/// The f-circulant of `kernel` times `x`, by the definition.
fn naive<T: Scalar>(kernel: &[T], x: &[T], f: f64, side: Side) -> Vec<f64> {
    let n = x.len();
    let entry = |i: usize, j: usize| match i >= j {
        true => kernel[i - j].wide(),
        false => f * kernel[n + i - j].wide(),
    };
    let row = |i| {
        let term = |j| if side == Side::Plain { entry(i, j) } else { entry(j, i) } * x[j].wide();
        (0..n).map(term).sum()
    };
    (0..n).map(row).collect()
}

fn random<T: Scalar>(len: usize, seed: u64) -> Vec<T> {
    let mut rng = fastrand::Rng::with_seed(seed);
    (0..len).map(|_| T::of(2.0 * rng.f64() - 1.0)).collect()
}

fn distance<T: Scalar>(a: &[T], b: &[f64]) -> f64 {
    let norm = b.iter().map(|x| x * x).sum::<f64>().sqrt();
    let error = a.iter().zip(b).map(|(a, b)| (a.wide() - b).powi(2)).sum::<f64>().sqrt();
    error / norm.max(f64::MIN_POSITIVE)
}

/// 50 ε log2(2n), the bar for every product.
fn bar<T: Scalar>(n: usize) -> f64 {
    50.0 * T::epsilon().wide() * (2.0 * n as f64).log2()
}

fn spectrum<T: Scalar>(transform: &RealTransform<T>, form: Form, signal: &[T]) -> Vec<T> {
    let mut block = vec![T::zero(); transform.block(form)];
    let mut scratch = vec![T::zero(); transform.scratch_len()];
    load(form, signal, signal.len(), Order::Natural, &mut block);
    transform.forward(form, &mut block, &mut scratch);
    block.iter().step_by(form.signals::<T>()).copied().collect()
}

fn forms<T: Scalar>(transform: &RealTransform<T>) -> Vec<Form> {
    transform.forms().each(transform, 0).map(|(form, _)| form).collect()
}

fn check_products<T: Scalar>(n: usize, wrap: Wrap) {
    let transform = RealTransform::<T>::new(n, wrap);
    for form in forms(&transform) {
        check_products_in(&transform, n, wrap, form);
    }
}

fn check_products_in<T: Scalar>(transform: &RealTransform<T>, n: usize, wrap: Wrap, form: Form) {
    let f = if wrap == Wrap::Cyclic { 1.0 } else { -1.0 };
    let kernel = random::<T>(n, 1);
    let s = spectrum(transform, form, &kernel);
    let mut scratch = vec![T::zero(); transform.scratch_len()];
    for side in [Side::Plain, Side::Transposed] {
        let mut counts = vec![1, form.signals::<T>() - 1, form.signals::<T>()];
        counts.retain(|&count| count > 0);
        for count in counts {
            let x = random::<T>(count * n, 2);
            let mut block = vec![T::one(); transform.block(form)];
            let mut out = block.clone();
            load(form, &x, n, Order::Natural, &mut block);
            transform.forward(form, &mut block, &mut scratch);
            transform.multiply(form, Into::Set, side, &mut out, &block, &s);
            transform.inverse(form, &mut out, &mut scratch);
            let mut y = vec![T::zero(); count * n];
            store(form, &out, Order::Natural, &mut y, n);
            for (x, y) in x.chunks(n).zip(y.chunks_mut(n)) {
                y.iter_mut().for_each(|y| *y /= transform.gain());
                let error = distance(y, &naive(&kernel, x, f, side));
                assert!(error <= bar::<T>(n), "{} n={n} {wrap:?} {form:?} {side:?}: {error:e}", T::NAME);
            }
        }
    }
}

fn sizes() -> impl Iterator<Item = usize> {
    (1..=66).chain([
        70, 98, 105, 128, 135, 210, 243, 251, 256, 343, 375, 384, 392, 502, 512, 625, 640, 784, 896, 1000, 1021, 1024,
        1536, 2048,
    ])
}

#[test]
fn products_of_spectra_are_circulant_products() {
    for n in sizes() {
        for wrap in [Wrap::Cyclic, Wrap::Negacyclic] {
            check_products::<f32>(n, wrap);
            check_products::<f64>(n, wrap);
        }
    }
}

fn check_places<T: Scalar>(n: usize) {
    let transform = RealTransform::<T>::new(n, Wrap::Negacyclic);
    let Some(places) = transform.single_places() else { return };
    let kernel = random::<T>(n, 1);
    let [single, lanes] = [Form::Single, Form::Lanes].map(|form| spectrum(&transform, form, &kernel));
    let halves = single.chunks_exact(n / 2);
    let got: Vec<T> = halves.flat_map(|half| places.iter().map(|&place| half[place as usize])).collect();
    let lanes: Vec<f64> = lanes.iter().map(|x| x.wide()).collect();
    assert!(distance(&got, &lanes) <= bar::<T>(n), "{} n={n}", T::NAME);
}

#[test]
fn single_spectra_are_those_of_lanes_in_another_order() {
    for n in sizes() {
        check_places::<f32>(n);
        check_places::<f64>(n);
    }
}

#[test]
fn the_portable_kernels_compute_the_same() {
    PORTABLE_ONLY.set(true);
    for n in [1, 2, 3, 4, 5, 7, 8, 12, 30, 64, 105, 210, 251, 384] {
        for wrap in [Wrap::Cyclic, Wrap::Negacyclic] {
            check_products::<f32>(n, wrap);
            check_products::<f64>(n, wrap);
        }
    }
    PORTABLE_ONLY.set(false);
}

/// The sum over the lanes of correlations is the gradient of a product in its kernel.
fn check_correlation<T: Scalar>(n: usize, wrap: Wrap) {
    let transform = RealTransform::<T>::new(n, wrap);
    for form in forms(&transform) {
        check_correlation_in(&transform, n, wrap, form);
    }
}

fn check_correlation_in<T: Scalar>(transform: &RealTransform<T>, n: usize, wrap: Wrap, form: Form) {
    let f = if wrap == Wrap::Cyclic { 1.0 } else { -1.0 };
    let signals = form.signals::<T>();
    let mut scratch = vec![T::zero(); transform.scratch_len()];
    let (x, dy) = (random::<T>(signals * n, 3), random::<T>(signals * n, 4));
    let mut blocks = [&x, &dy].map(|rows| {
        let mut block = vec![T::zero(); transform.block(form)];
        load(form, rows, n, Order::Natural, &mut block);
        transform.forward(form, &mut block, &mut scratch);
        block
    });
    let mut sum = vec![T::zero(); transform.width(form)];
    let [x_block, dy_block] = &mut blocks;
    transform.correlate(form, &mut sum, dy_block, x_block);
    let mut block: Vec<T> = sum.iter().flat_map(|&s| std::iter::repeat_n(s, signals)).collect();
    transform.inverse(form, &mut block, &mut scratch);
    let got: Vec<T> = (0..n).map(|k| block[k * signals] / transform.gain()).collect();
    let mut expected = vec![0.0; n];
    for (x, dy) in x.chunks(n).zip(dy.chunks(n)) {
        for (e, d) in expected.iter_mut().zip(naive(x, dy, f, Side::Transposed)) {
            *e += d;
        }
    }
    let error = distance(&got, &expected);
    assert!(error <= bar::<T>(n), "{} n={n} {wrap:?}: {error:e}", T::NAME);
}

#[test]
fn correlations_are_gradients() {
    for n in sizes() {
        for wrap in [Wrap::Cyclic, Wrap::Negacyclic] {
            check_correlation::<f32>(n, wrap);
            check_correlation::<f64>(n, wrap);
        }
    }
}

fn check_products_inside<T: Scalar>(n: usize, wrap: Wrap) {
    let transform = RealTransform::<T>::new(n, wrap);
    let mut scratch = vec![T::zero(); transform.scratch_len()];
    for form in forms(&transform) {
        let [signals, out] = [5, 6].map(|seed| random::<T>(transform.block(form), seed));
        let s = random::<T>(transform.width(form), 7);
        for into in [Into::Set, Into::Add] {
            let (mut expected, mut spectra) = (out.clone(), signals.clone());
            transform.forward(form, &mut spectra, &mut scratch);
            transform.multiply(form, into, Side::Plain, &mut expected, &spectra, &s);
            let mut got = out.clone();
            transform.forward_times(form, into, &mut got, &mut signals.clone(), &s, &mut scratch);
            assert_eq!(got, expected, "{} n={n} {wrap:?} {form:?} {into:?}", T::NAME);
        }
        for side in [Side::Plain, Side::Transposed] {
            let (mut expected, mut got) = (out.clone(), out.clone());
            transform.multiply(form, Into::Set, side, &mut expected, &signals, &s);
            transform.inverse(form, &mut expected, &mut scratch);
            transform.inverse_of_product(form, side, &mut got, &signals, &s, &mut scratch);
            assert_eq!(got, expected, "{} n={n} {wrap:?} {form:?} {side:?}", T::NAME);
        }
    }
}

#[test]
fn products_inside_transforms_are_those_beside_them_bit_for_bit() {
    for n in sizes() {
        for wrap in [Wrap::Cyclic, Wrap::Negacyclic] {
            check_products_inside::<f32>(n, wrap);
            check_products_inside::<f64>(n, wrap);
        }
    }
}

#[test]
fn reversed_rows_are_rows_read_backwards() {
    for n in 1..=19 {
        let x = random::<f32>(3 * n, 5);
        let mut block = vec![1.0; (n + 3) * f32::LANES];
        load(Form::Lanes, &x, n, Order::Reversed, &mut block);
        for k in 0..n + 3 {
            for l in 0..f32::LANES {
                let expected = if l < 3 && k < n { x[l * n + n - 1 - k] } else { 0.0 };
                assert_eq!(block[k * f32::LANES + l], expected);
            }
        }
        let mut back = vec![0.0; 3 * n];
        store(Form::Lanes, &block, Order::Reversed, &mut back, n);
        assert_eq!(back, x);
    }
}

use super::isa::Kernels;
