//! Every product against sums in twice the precision of f64, on every instruction set.

use super::super::isa::PORTABLE_ONLY;
use super::{Laplace, Nodes};
use crate::Scalar;

/// A sum of two numbers: about 32 decimal digits.
#[derive(Clone, Copy)]
struct Wide(f64, f64);

impl Wide {
    fn plus(self, other: f64) -> Self {
        let sum = self.0 + other;
        let part = sum - self.0;
        let error = (self.0 - (sum - part)) + (other - part);
        Self::join(sum, self.1 + error)
    }

    fn times(self, other: f64) -> Self {
        let product = self.0 * other;
        let error = self.0.mul_add(other, -product);
        Self::join(product, self.1.mul_add(other, error))
    }

    fn join(a: f64, b: f64) -> Self {
        let sum = a + b;
        Self(sum, b - (sum - a))
    }
}

/// `Σ_k v^k x_k`, and the same for its derivative.
fn polynomial<T: Scalar>(v: T, x: &[T], derivative: bool) -> f64 {
    let mut sum = Wide(0.0, 0.0);
    for k in (usize::from(derivative)..x.len()).rev() {
        let weight = if derivative { k as f64 } else { 1.0 };
        let x = x[k].wide();
        sum = sum.times(v.wide()).plus(x * weight).plus(x.mul_add(weight, -(x * weight)));
    }
    sum.0 + sum.1
}

/// `Σ_i v_i^k y_i` for all k.
fn moments<T: Scalar>(v: &[T], y: &[T], n: usize) -> Vec<f64> {
    let mut sums = vec![Wide(0.0, 0.0); n];
    for (v, y) in v.iter().zip(y) {
        let mut power = Wide(1.0, 0.0);
        for sum in &mut sums {
            let term = power.times(y.wide());
            *sum = sum.plus(term.0).plus(term.1);
            power = power.times(v.wide());
        }
    }
    sums.iter().map(|sum| sum.0 + sum.1).collect()
}

/// The error of `a` in norm, relative to the norm of the sums of the absolute terms of `b`.
fn distance<T: Scalar>(a: &[T], b: &[f64], terms: &[f64]) -> f64 {
    let norm = terms.iter().map(|x| x * x).sum::<f64>().sqrt();
    let error = a.iter().zip(b).map(|(a, b)| (a.wide() - b).powi(2)).sum::<f64>().sqrt();
    error / norm.max(f64::MIN_POSITIVE)
}

fn absolute<T: Scalar>(values: &[T]) -> Vec<T> {
    values.iter().map(|x| x.abs()).collect()
}

fn random<T: Scalar>(len: usize, rng: &mut fastrand::Rng) -> Vec<T> {
    (0..len).map(|_| T::of(2.0 * rng.f64() - 1.0)).collect()
}

/// The kinds of nodes that a transform has to bear.
fn kinds<T: Scalar>(m: usize, n: usize, rng: &mut fastrand::Rng) -> Vec<(&'static str, Vec<T>)> {
    let mut make = |name, node: &mut dyn FnMut(f64, &mut fastrand::Rng) -> f64| {
        let nodes = (0..m).map(|i| T::of(node((i as f64 + 0.5) / m as f64, rng)).clamp(-T::one(), T::one())).collect();
        (name, nodes)
    };
    let sign = |rng: &mut fastrand::Rng| if rng.bool() { 1.0 } else { -1.0 };
    let special = [0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 1e-30, -1e-30, 1e-300, 0.999_999, 1.0 - f64::EPSILON, 0.7, -0.7];
    vec![
        make("uniform", &mut |_, rng| 2.0 * rng.f64() - 1.0),
        make("positive", &mut |s, _| s),
        make("spread", &mut |s, rng| sign(rng) * (-(2.0 / n as f64).powf(s)).exp()),
        make("clustered at one", &mut |_, rng| 1.0 - rng.f64() / (n * n) as f64),
        make("clustered inside", &mut |_, rng| 0.99 + 1e-8 * rng.f64()),
        make("repeated", &mut |s, _| [0.25, -0.98, 1.0 - 1e-6][(s * 3.0) as usize]),
        make("tiny", &mut |s, rng| sign(rng) * 1e-12 * s),
        make("special", &mut |_, rng| special[rng.usize(..special.len())]),
        make("powers of one half", &mut |_, rng| sign(rng) * (-(2.0f64).powi(-rng.i32(0..24))).exp2()),
    ]
}

/// 5·10^{−14}, f32: 10^{−6}: a fixed multiple of what interpolation and truncation leave.
fn bar<T: Scalar>() -> f64 {
    if T::NAME == "f32" { 1e-6 } else { 5e-14 }
}

fn check<T: Scalar>(n: usize, m: usize, batch: usize) {
    let mut rng = fastrand::Rng::with_seed((n * 31 + m) as u64);
    let plan = Laplace::<T>::new(n);
    let mut nodes = Nodes::default();
    let mut scratch = vec![T::nan(); plan.scratch_len(m)];
    for (name, v) in kinds::<T>(m, n, &mut rng) {
        let what = |product| format!("{product}, {} {name}, {m}×{n}", T::NAME);
        plan.place(&v, &mut nodes);
        let x = random::<T>(batch * n, &mut rng);
        let dy = random::<T>(batch * m, &mut rng);
        let (mut y, mut dx) = (vec![T::nan(); batch * m], vec![T::nan(); batch * n]);
        plan.forward(&nodes, &x, &mut y, &mut scratch);
        plan.adjoint(&nodes, &dy, &mut dx, &mut scratch);
        let mut slope = vec![T::zero(); m];
        plan.node_gradient(&nodes, &x, &dy, &mut slope, &mut scratch);
        let (mut slopes, mut slope_terms) = (vec![0.0; m], vec![0.0; m]);
        for b in 0..batch {
            let (x, dy) = (&x[b * n..][..n], &dy[b * m..][..m]);
            let values = |v: &[T], x: &[T]| -> Vec<f64> { v.iter().map(|&v| polynomial(v, x, false)).collect() };
            let error = distance(&y[b * m..][..m], &values(&v, x), &values(&absolute(&v), &absolute(x)));
            assert!(error <= bar::<T>(), "{}: {error:e}", what("forward"));
            let terms = moments(&absolute(&v), &absolute(dy), n);
            let error = distance(&dx[b * n..][..n], &moments(&v, dy, n), &terms);
            assert!(error <= bar::<T>(), "{}: {error:e}", what("adjoint"));
            for (i, (&v, dy)) in v.iter().zip(dy).enumerate() {
                slopes[i] += dy.wide() * polynomial(v, x, true);
                slope_terms[i] += dy.wide().abs() * polynomial(v.abs(), &absolute(x), true);
            }
            let mut one = vec![T::nan(); n.max(m)];
            plan.forward(&nodes, x, &mut one[..m], &mut scratch);
            assert_eq!(one[..m], y[b * m..][..m], "{}", what("one row of a batch"));
            plan.adjoint(&nodes, dy, &mut one[..n], &mut scratch);
            assert_eq!(one[..n], dx[b * n..][..n], "{}", what("one row of a transposed batch"));
        }
        let error = distance(&slope, &slopes, &slope_terms);
        assert!(error <= bar::<T>(), "{}: {error:e}", what("gradient"));
    }
}

#[test]
fn small_sizes() {
    for n in (1..40).chain([63, 64, 65, 95, 96, 97, 191, 192, 193, 200, 383, 385, 577]) {
        for m in [1, 3, 17, 40] {
            check::<f64>(n, m, 1 + n % 5);
            check::<f32>(n, m, 1 + n % 5);
        }
    }
}

#[test]
fn large_sizes() {
    for n in [1000, 1024, 1031, 4096, 8192, 8193, 20_000] {
        check::<f64>(n, 37, 1);
        check::<f32>(n, 37, 1);
    }
}

#[test]
fn without_vector_instructions() {
    PORTABLE_ONLY.set(true);
    for n in [1, 2, 33, 96, 500, 2000] {
        check::<f64>(n, 20, 5);
        check::<f32>(n, 20, 5);
    }
    PORTABLE_ONLY.set(false);
}

#[test]
fn adjoint_is_the_adjoint() {
    let (n, m) = (3000, 2000);
    let mut rng = fastrand::Rng::with_seed(5);
    let plan = Laplace::<f64>::new(n);
    let mut scratch = vec![0.0; plan.scratch_len(m)];
    for (name, v) in kinds::<f64>(m, n, &mut rng) {
        let mut nodes = Nodes::default();
        plan.place(&v, &mut nodes);
        let (x, dy) = (random::<f64>(n, &mut rng), random::<f64>(m, &mut rng));
        let (mut y, mut dx) = (vec![0.0; m], vec![0.0; n]);
        plan.forward(&nodes, &x, &mut y, &mut scratch);
        plan.adjoint(&nodes, &dy, &mut dx, &mut scratch);
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let norm = |a: &[f64]| dot(a, a).sqrt();
        let error = (dot(&y, &dy) - dot(&x, &dx)).abs() / (norm(&y) * norm(&dy));
        assert!(error <= 1e-14, "{name}: {error:e}");
    }
}
