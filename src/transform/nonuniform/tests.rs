//! Every product against sums in f64 with phases in twice that precision, on every instruction set.

use super::super::isa::PORTABLE_ONLY;
use super::angle::Turns;
use super::{Nodes, Nonuniform};
use crate::Scalar;

fn random<T: Scalar>(len: usize, rng: &mut fastrand::Rng) -> Vec<T> {
    (0..len).map(|_| T::of(2.0 * rng.f64() - 1.0)).collect()
}

/// The kinds of angles that a transform has to bear.
fn kinds<T: Scalar>(count: usize, n: usize, rng: &mut fastrand::Rng) -> Vec<(&'static str, Vec<T>)> {
    use std::f64::consts::{PI, TAU};
    let mut make = |name, angle: &mut dyn FnMut(f64, &mut fastrand::Rng) -> f64| {
        let angles = (0..count).map(|i| T::of(angle((i as f64 + 0.5) / count as f64, rng))).collect();
        (name, angles)
    };
    let special = [0.0, -0.0, PI, -PI, TAU, 0.5 * PI, 1e-30, -1e-12, PI - 1e-12, PI + 1e-7, 1e5, -1e9];
    vec![
        make("equispaced", &mut |s, _| PI * s),
        make("uniform", &mut |_, rng| TAU * (rng.f64() - 0.5)),
        make("clustered at zero", &mut |_, rng| (rng.f64() - 0.5) / n as f64),
        make("clustered at pi", &mut |_, rng| PI + 1e-4 * (rng.f64() - 0.5)),
        make("clustered inside", &mut |_, rng| 2.0 + 1e-9 * rng.f64()),
        make("repeated", &mut |s, _| [0.25, -2.5, 1.0][(s * 3.0) as usize]),
        make("far outside", &mut |_, rng| 1e4 * (rng.f64() - 0.5)),
        make("special", &mut |_, rng| special[rng.usize(..special.len())]),
    ]
}

/// The sums that define a transform.
struct Reference {
    /// Rows of pairs cos, sin; an odd last one without its sine.
    matrix: Vec<f64>,
    n: usize,
}

impl Reference {
    fn new<T: Scalar>(angles: &[T], rows: usize, n: usize) -> Self {
        let mut matrix = vec![0.0; rows * n];
        for (i, pair) in matrix.chunks_mut(2 * n).enumerate() {
            let turns = Turns::of(angles.get(i).map_or(0.0, |a| a.wide()));
            for k in 0..n {
                let (cos, sin) = turns.cos_sin(k as f64);
                pair[k] = cos;
                if let Some(entry) = pair.get_mut(n + k) {
                    *entry = sin;
                }
            }
        }
        Self { matrix, n }
    }

    fn forward<T: Scalar>(&self, x: &[T]) -> Vec<f64> {
        let dot = |row: &[f64]| row.iter().zip(x).map(|(m, x)| m * x.wide()).sum();
        self.matrix.chunks(self.n).map(dot).collect()
    }

    fn adjoint<T: Scalar>(&self, y: &[T]) -> Vec<f64> {
        let mut sums = vec![0.0; self.n];
        for (row, y) in self.matrix.chunks(self.n).zip(y) {
            sums.iter_mut().zip(row).for_each(|(s, m)| *s += m * y.wide());
        }
        sums
    }

    /// The derivative of `Σ dy y` in every angle.
    fn slopes<T: Scalar>(&self, x: &[T], dy: &[T]) -> Vec<f64> {
        let slope = |(pair, dy): (&[f64], &[T])| {
            let (cos, sin) = pair.split_at(self.n);
            let term = |k: usize| k as f64 * x[k].wide() * (cos[k] * dy[1].wide() - sin[k] * dy[0].wide());
            (0..self.n).map(term).sum::<f64>()
        };
        self.matrix.chunks_exact(2 * self.n).zip(dy.chunks_exact(2)).map(slope).collect()
    }
}

fn norm<T: Scalar>(x: &[T]) -> f64 {
    x.iter().map(|x| x.wide().powi(2)).sum::<f64>().sqrt()
}

fn distance<T: Scalar>(a: &[T], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a.wide() - b).powi(2)).sum::<f64>().sqrt()
}

/// What the window leaves out, and rounding: 2·10^{−12} (f32: 4·10^{−6}).
fn bar<T: Scalar>() -> f64 {
    if T::NAME == "f32" { 4e-6 } else { 2e-12 }
}

fn check<T: Scalar>(rows: usize, n: usize, batch: usize) {
    let mut rng = fastrand::Rng::with_seed((n * 31 + rows) as u64);
    let plan = Nonuniform::<T>::new(n);
    let mut nodes = Nodes::default();
    let mut scratch = vec![T::nan(); plan.scratch_len(rows)];
    for (name, angles) in kinds::<T>(rows / 2, n, &mut rng) {
        let what = |product| format!("{product}, {} {name}, {rows}×{n}", T::NAME);
        plan.place(&angles, rows, &mut nodes);
        let reference = Reference::new(&angles, rows, n);
        let (x, dy) = (random::<T>(batch * n, &mut rng), random::<T>(batch * rows, &mut rng));
        let (mut y, mut dx) = (vec![T::nan(); batch * rows], vec![T::nan(); batch * n]);
        plan.forward(&nodes, &x, &mut y, &mut scratch);
        plan.adjoint(&nodes, &dy, &mut dx, &mut scratch);
        let mut gradient = vec![T::zero(); rows / 2];
        plan.node_gradient(&nodes, &x, &dy, &mut gradient, &mut scratch);
        let mut slopes = vec![0.0; rows / 2];
        let mut size = 0.0;
        for (b, (x, dy)) in x.chunks(n).zip(dy.chunks(rows)).enumerate() {
            // The entries are about 0.7: √(rows/2) ‖x‖ and √(n/2) ‖y‖ are the sizes of the results.
            let error = distance(&y[b * rows..], &reference.forward(x)) / (norm(x) * (0.5 * rows as f64).sqrt());
            assert!(error <= bar::<T>(), "{}: {error:e}", what("forward"));
            // Rows that agree add up: their number stands in for the norm of the matrix.
            let error = distance(&dx[b * n..], &reference.adjoint(dy)) / (norm(dy) * (n.max(rows) as f64).sqrt());
            assert!(error <= bar::<T>(), "{}: {error:e}", what("adjoint"));
            slopes.iter_mut().zip(reference.slopes(x, dy)).for_each(|(s, slope)| *s += slope);
            size += norm(x) * norm(dy) * n as f64;
        }
        let error = distance(&gradient, &slopes) / size.max(f64::MIN_POSITIVE);
        assert!(error <= bar::<T>(), "{}: {error:e}", what("gradient"));
    }
}

#[test]
fn small_sizes() {
    for n in (1..20).chain([31, 32, 33, 64, 127, 200]) {
        for rows in [1, 2, 3, 17, 40] {
            check::<f64>(rows, n, 1 + n % 7);
            check::<f32>(rows, n, 1 + n % 11);
        }
    }
}

#[test]
fn large_sizes() {
    for n in [1000, 1024, 1031, 4096, 8192] {
        check::<f64>(75, n, 4);
        check::<f32>(75, n, 6);
    }
    check::<f64>(2000, 100, 5);
    check::<f32>(2000, 100, 1);
}

#[test]
fn without_vector_instructions() {
    PORTABLE_ONLY.set(true);
    for n in [1, 2, 33, 500] {
        check::<f64>(21, n, 5);
        check::<f32>(21, n, 9);
    }
    PORTABLE_ONLY.set(false);
}

#[test]
fn coefficients_at_the_edges_of_the_band_are_no_worse() {
    fn check<T: Scalar>(n: usize, rows: usize) {
        let mut rng = fastrand::Rng::with_seed(4);
        let (plan, mut nodes) = (Nonuniform::<T>::new(n), Nodes::default());
        let angles: Vec<T> = random(rows / 2, &mut rng);
        plan.place(&angles, rows, &mut nodes);
        let reference = Reference::new(&angles, rows, n);
        let mut scratch = vec![T::zero(); plan.scratch_len(rows)];
        for k in [0, n / 2, n - 1] {
            let mut x = vec![T::zero(); n];
            x[k] = T::one();
            let mut y = vec![T::zero(); rows];
            plan.forward(&nodes, &x, &mut y, &mut scratch);
            let error = distance(&y, &reference.forward(&x)) / norm(&y);
            assert!(error <= bar::<T>(), "{k} of {n}: {error:e}");
        }
    }
    for n in [64, 1024] {
        check::<f64>(n, 300);
        check::<f32>(n, 300);
    }
}

#[test]
fn adjoint_is_the_adjoint() {
    let (n, rows) = (3000, 2001);
    let mut rng = fastrand::Rng::with_seed(5);
    let plan = Nonuniform::<f64>::new(n);
    let mut scratch = vec![0.0; plan.scratch_len(rows)];
    for (name, angles) in kinds::<f64>(rows / 2, n, &mut rng) {
        let mut nodes = Nodes::default();
        plan.place(&angles, rows, &mut nodes);
        for batch in [1, 4] {
            let (x, dy) = (random::<f64>(batch * n, &mut rng), random::<f64>(batch * rows, &mut rng));
            let (mut y, mut dx) = (vec![0.0; batch * rows], vec![0.0; batch * n]);
            plan.forward(&nodes, &x, &mut y, &mut scratch);
            plan.adjoint(&nodes, &dy, &mut dx, &mut scratch);
            let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
            let error = (dot(&y, &dy) - dot(&x, &dx)).abs() / (norm(&y) * norm(&dy) + norm(&x) * norm(&dx));
            assert!(error <= 1e-15, "{name}: {error:e}");
        }
    }
}
