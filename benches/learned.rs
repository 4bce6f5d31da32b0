//! Learned operators by each of their ways to multiply: time of a product, of a product with its gradients, and the ratio.
//!
//! `cargo bench --bench learned [-- PATTERN]` runs the lines that contain PATTERN, such as `tridiagonal tree n=1024`. A
//! line gives the least times in microseconds an example, of a product, of a product and its gradients, their ratio,
//! and the time of a change of the parameters. (Least times, because other programs can only add to a time.)

use std::sync::Arc;
use std::time::Instant;

use displace::ldr::LearnedOperators;
use displace::{Matrix, PathChoice, Scalar, Workspace};

/// How an operator is multiplied by, which its entries decide.
#[derive(Clone, Copy)]
enum Way {
    /// The shift itself, as operators start.
    Start,
    /// ±0.2% around the shift.
    Scaled,
    /// ±5% around the shift for a tridiagonal, which polynomials take up to some order and trees beyond; or entries of
    /// a subdiagonal from 0.4 to 1.5.
    Tree,
    /// Reflections that do not die away.
    Recurrence,
}

fn main() {
    let pattern = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect::<Vec<_>>().join(" ");
    for n in (8..=16).map(|k| 1 << k) {
        for batch in [1, 64] {
            let ways =
                [("start", Way::Start), ("scaled", Way::Scaled), ("tree", Way::Tree), ("recurrence", Way::Recurrence)];
            for (name, way) in ways {
                for tridiagonal in [false, true] {
                    let kind = if tridiagonal { "tridiagonal" } else { "subdiagonal" };
                    let line = format!("{kind} {name} n={n} batch={batch}");
                    let missing = matches!((tridiagonal, way), (false, Way::Recurrence));
                    let long = matches!(way, Way::Recurrence) && n > 1 << 13 || batch > 1 && n > 1 << 14;
                    if line.contains(&pattern) && !missing && !long {
                        measure::<f32>(&line, tridiagonal, way, n, batch);
                        measure::<f64>(&line, tridiagonal, way, n, batch);
                    }
                }
            }
        }
    }
}

fn measure<T: Scalar>(line: &str, tridiagonal: bool, way: Way, n: usize, batch: usize) {
    let structure = match tridiagonal {
        true => LearnedOperators::<T>::tridiagonal(n, n, 1),
        false => LearnedOperators::<T>::subdiagonal(n, n, 1),
    };
    let Ok(structure) = structure else { return };
    let mut rng = fastrand::Rng::with_seed(1);
    let mut parameters: Vec<T> = (0..2 * n).map(|_| T::of(rng.f64() - 0.5)).collect();
    for _ in 0..2 {
        parameters.extend(operator(&mut rng, tridiagonal, way, n).into_iter().map(T::of));
    }
    let Ok(mut matrix) = Matrix::new(Arc::new(structure), parameters.clone()) else { return };
    matrix.set_path(PathChoice::Fast);
    let x: Vec<T> = (0..batch * n).map(|_| T::of(rng.f64() - 0.5)).collect();
    let (mut y, mut dx, mut gradient) = (x.clone(), x.clone(), parameters.clone());
    let mut workspace = Workspace::new();
    let mut times = [(); 3].map(|()| Vec::new());
    let start = Instant::now();
    while times[0].len() < 3 || times[0].len() < 200 && start.elapsed().as_secs_f64() < 1.0 {
        let clock = Instant::now();
        matrix.apply_into(&x, &mut y, &mut workspace).unwrap_or_default();
        let forward = clock.elapsed().as_secs_f64();
        matrix.backward(&x, &y, Some(&mut dx), &mut gradient, &mut workspace).unwrap_or_default();
        let both = clock.elapsed().as_secs_f64();
        matrix.set_parameters(&parameters).unwrap_or_default();
        for (times, time) in times.iter_mut().zip([forward, both, clock.elapsed().as_secs_f64() - both]) {
            times.push(time);
        }
    }
    let [forward, both, change] = times.map(|times| 1e6 * times.into_iter().fold(f64::INFINITY, f64::min));
    let (each, ratio) = (batch as f64, both / forward);
    println!(
        "{line} {}: product {:.1}, with gradients {:.1} ({ratio:.1}×), change {change:.1}",
        T::NAME,
        forward / each,
        both / each
    );
}

/// The diagonals of an operator.
fn operator(rng: &mut fastrand::Rng, tridiagonal: bool, way: Way, n: usize) -> Vec<f64> {
    let spread = match way {
        Way::Start => 0.0,
        Way::Scaled => 0.002,
        Way::Tree => 0.05,
        Way::Recurrence => 0.02,
    };
    let mut noise = || 2.0 * rng.f64() - 1.0;
    let mut lower: Vec<f64> = (0..n).map(|_| 1.0 + spread * noise()).collect();
    let diagonal: Vec<f64> = (0..n).map(|_| spread * noise()).collect();
    let mut upper: Vec<f64> = (0..n).map(|_| 0.5 * spread * noise()).collect();
    if matches!(way, Way::Tree) && !tridiagonal {
        lower.iter_mut().for_each(|l| *l *= 0.95 + 0.55 * noise());
    }
    if matches!(way, Way::Recurrence) {
        lower.iter_mut().zip(&mut upper).for_each(|(l, u)| (*l, *u) = (0.5 * *l, *u + 0.48));
    }
    if tridiagonal { [lower, diagonal, upper].concat() } else { lower }
}
