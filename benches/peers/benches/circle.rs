//! Times products with unit-circle Vandermonde matrices on demand, for `finufft.py`, which starts it.
//!
//! A line of input, such as `f64 4096 1 forward new`, is a case: number type, n, batch, direction, and whether the
//! nodes are new each time. The answer is the time of one call, in seconds, over a burst of them.

use std::f64::consts::TAU;
use std::io::{BufRead, Write};
use std::time::Instant;

use displace::structured::CircleVandermonde;
use displace::{Matrix, PathChoice, Scalar, Workspace};

/// Calls that are timed together last at least this long, in seconds.
const BURST: f64 = 3e-3;

struct Case<T: Scalar> {
    matrix: Matrix<T, CircleVandermonde<T>>,
    parameters: Vec<T>,
    x: Vec<T>,
    y: Vec<T>,
    workspace: Workspace<T>,
}

impl<T: Scalar> Case<T> {
    /// n/2 random angles, n coefficients.
    fn new(n: usize, batch: usize) -> Self {
        let mut rng = fastrand::Rng::with_seed(1);
        let angles: Vec<T> = (0..n / 2).map(|_| T::of(TAU * rng.f64())).collect();
        let mut matrix = CircleVandermonde::from_angles(&angles, n).expect("finite angles");
        matrix.set_path(PathChoice::Fast);
        let x: Vec<T> = (0..n * batch).map(|_| T::of(rng.f64() - 0.5)).collect();
        Self { parameters: matrix.parameters().to_vec(), matrix, y: x.clone(), x, workspace: Workspace::new() }
    }

    fn time(&mut self, adjoint: bool, fresh: bool) -> f64 {
        let (start, mut calls) = (Instant::now(), 0);
        while calls == 0 || start.elapsed().as_secs_f64() < BURST {
            if fresh {
                self.matrix.set_parameters(&self.parameters).expect("finite angles");
            }
            let (x, y, workspace) = (&self.x, &mut self.y, &mut self.workspace);
            match adjoint {
                true => self.matrix.apply_transposed_into(x, y, workspace),
                false => self.matrix.apply_into(x, y, workspace),
            }
            .expect("shapes that fit");
            calls += 1;
        }
        start.elapsed().as_secs_f64() / f64::from(calls)
    }
}

fn main() {
    let mut single: Option<(usize, usize, Case<f32>)> = None;
    let mut double: Option<(usize, usize, Case<f64>)> = None;
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [number, n, batch, direction, nodes] = words[..] else { return };
        let (Ok(n), Ok(batch)) = (n.parse(), batch.parse()) else { return };
        let (adjoint, fresh) = (direction == "adjoint", nodes == "new");
        let seconds = match number {
            "f32" => case(&mut single, n, batch).time(adjoint, fresh),
            _ => case(&mut double, n, batch).time(adjoint, fresh),
        };
        println!("{seconds:e}");
        std::io::stdout().flush().unwrap_or_default();
    }
}

/// The case that was there, if it is the same.
fn case<T: Scalar>(kept: &mut Option<(usize, usize, Case<T>)>, n: usize, batch: usize) -> &mut Case<T> {
    if kept.as_ref().is_none_or(|(n0, batch0, _)| (*n0, *batch0) != (n, batch)) {
        *kept = None;
    }
    &mut kept.get_or_insert_with(|| (n, batch, Case::new(n, batch))).2
}
