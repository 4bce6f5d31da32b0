//! Compression of a Gaussian and of a noisy Toeplitz matrix, 1024×1024, into every candidate at rank 8: the projection, and
//! the refined matrix.
//!
//! `cargo bench --bench compress [-- TEXT]` runs the candidates whose names contain the text. It prints seconds on one thread,
//! each of a single run, and relative errors.

use std::time::Instant;

use displace::compress::{Candidate, Compression, quietly};

const SIDE: usize = 1024;
const RANK: usize = 8;

fn normal(rng: &mut fastrand::Rng) -> f32 {
    ((-2.0 * (1.0 - rng.f64()).ln()).sqrt() * (std::f64::consts::TAU * rng.f64()).cos()) as f32
}

fn main() -> displace::Result<()> {
    let wanted = std::env::args().skip(1).find(|argument| !argument.starts_with('-')).unwrap_or_default();
    let mut rng = fastrand::Rng::with_seed(1);
    let gaussian: Vec<f32> = (0..SIDE * SIDE).map(|_| normal(&mut rng)).collect();
    let symbol: Vec<f32> = (0..2 * SIDE).map(|_| normal(&mut rng)).collect();
    let noisy: Vec<f32> =
        gaussian.iter().enumerate().map(|(k, e)| symbol[SIDE + k / SIDE - k % SIDE] + 0.3 * e).collect();
    println!(
        "{:<26} {:<14} {:>10} {:>8} {:>10} {:>8} {:>6}",
        "candidate", "matrix", "projection", "error", "refined", "error", "steps"
    );
    for candidate in Candidate::ALL.into_iter().filter(|candidate| candidate.to_string().contains(&wanted)) {
        for (name, entries) in [("Gaussian", &gaussian), ("noisy Toeplitz", &noisy)] {
            let compression = Compression::of(SIDE, SIDE, entries)?;
            let start = Instant::now();
            let projected = compression.clone().steps(0).starts(1).candidate::<f32>(candidate, RANK, &mut quietly)?;
            let projection = start.elapsed().as_secs_f64();
            let start = Instant::now();
            let refined = compression.candidate::<f32>(candidate, RANK, &mut quietly)?;
            let refinement = start.elapsed().as_secs_f64();
            println!(
                "{:<26} {:<14} {:>10.3} {:>8.4} {:>10.2} {:>8.4} {:>6}",
                candidate.to_string(),
                name,
                projection,
                projected.start_error,
                refinement,
                refined.relative_error,
                refined.steps
            );
        }
    }
    Ok(())
}
