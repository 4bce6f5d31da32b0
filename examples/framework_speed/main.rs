//! What a structured layer costs inside a framework, beside the crate alone and beside the framework's dense layer: one
//! thread, f32, n = 1024, displacement rank 4, a batch of 256.
//!
//! `cargo run --release --features candle,burn --example framework_speed`

#[path = "../support/command.rs"]
mod command;
#[cfg(feature = "burn")]
mod with_burn;
#[cfg(feature = "candle")]
mod with_candle;

use std::io::{Write, stdout};
use std::process::ExitCode;
use std::time::Instant;

use displace::{Builder, Family, Linear, Workspace};
use lexopt::prelude::*;

use command::Outcome;

const HELP: &str = "\
Measures a structured layer inside candle and burn, beside the crate alone and the frameworks' dense layers.

Usage: framework_speed [--quick] [--fastest]

  --quick     few rounds: seconds
  --fastest   the fastest round counts, not the median: for machines that do other things too
  --help      this text
";

const N: usize = 1024;
const RANK: usize = 4;
const BATCH: usize = 256;

/// Something to time.
type Job<'a> = Box<dyn FnMut() -> Outcome<()> + 'a>;

fn main() -> ExitCode {
    command::end("framework_speed", run())
}

fn run() -> Outcome<()> {
    let Some(timing) = timing()? else { return Ok(write!(stdout(), "{HELP}")?) };
    // Both frameworks ask this variable how many threads to use, once; a process of its own has it set from the start.
    if std::env::var_os("RAYON_NUM_THREADS").is_none_or(|threads| threads != "1") {
        let again = std::process::Command::new(std::env::current_exe()?)
            .args(std::env::args_os().skip(1))
            .env("RAYON_NUM_THREADS", "1")
            .status()?;
        return if again.success() { Ok(()) } else { Err("the measurement failed".into()) };
    }
    let layer = builder().build_layer::<f32>()?;
    let Timing { rounds, quantile } = timing;
    println!("n = {N}, rank {RANK}, batch {BATCH}, f32, one thread, quantile {quantile} of {rounds} rounds");
    #[cfg(feature = "candle")]
    with_candle::run(&layer, timing)?;
    #[cfg(feature = "burn")]
    with_burn::run(&layer, timing)?;
    Ok(())
}

/// What the command line asks for; `None` is a call for help.
fn timing() -> Result<Option<Timing>, lexopt::Error> {
    let mut timing = Timing { rounds: 60, quantile: 0.5 };
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("quick") => timing.rounds = 5,
            Long("fastest") => timing.quantile = 0.0,
            Long("help") | Short('h') => return Ok(None),
            _ => return Err(argument.unexpected()),
        }
    }
    Ok(Some(timing))
}

fn builder() -> Builder {
    Builder::new(Family::ToeplitzLike, N, N).rank(RANK).seed(1)
}

/// Numbers in [−1, 1).
fn random(len: usize) -> Vec<f32> {
    let mut rng = fastrand::Rng::with_seed(2);
    (0..len).map(|_| 2.0 * rng.f32() - 1.0).collect()
}

/// The product by the crate alone, into a buffer that is there already.
fn alone_forward(layer: &Linear<f32>) -> Job<'_> {
    let (x, mut y, mut workspace) = (random(BATCH * N), vec![0.0; BATCH * N], Workspace::new());
    Box::new(move || Ok(layer.forward_into(&x, &mut y, &mut workspace)?))
}

/// The product and all gradients by the crate alone.
fn alone_both(layer: &Linear<f32>) -> Job<'_> {
    let (x, mut y, mut dx) = (random(BATCH * N), vec![0.0; BATCH * N], vec![0.0; BATCH * N]);
    let (dy, mut gradient, mut workspace) = (vec![1.0; BATCH * N], layer.zero_gradient(), Workspace::new());
    Box::new(move || {
        layer.forward_into(&x, &mut y, &mut workspace)?;
        gradient.clear();
        Ok(layer.backward_into(&x, &dy, Some(&mut dx), &mut gradient, &mut workspace)?)
    })
}

/// How often jobs run, and which of their times counts.
#[derive(Clone, Copy)]
struct Timing {
    rounds: usize,
    quantile: f64,
}

/// Runs jobs in turn, so that all see the same weather, and returns the milliseconds of each.
fn times(mut jobs: Vec<Job>, timing: Timing) -> Outcome<Vec<f64>> {
    let Timing { rounds, quantile } = timing;
    let mut times = vec![Vec::new(); jobs.len()];
    for round in 0..rounds + 3 {
        for (job, times) in jobs.iter_mut().zip(&mut times) {
            let start = Instant::now();
            job()?;
            let time = start.elapsed().as_secs_f64() * 1e3;
            if round >= 3 {
                times.push(time);
            }
        }
    }
    let one = |times: &mut Vec<f64>| {
        times.sort_by(f64::total_cmp);
        times[(times.len() as f64 * quantile) as usize]
    };
    Ok(times.iter_mut().map(one).collect())
}

/// Prints one comparison: the crate alone, the layer inside the framework, the framework's dense layer.
fn report(what: &str, [alone, inside, dense]: [Option<f64>; 3]) {
    let cell = |time: Option<f64>| time.map_or("-".into(), |time| format!("{time:.2} ms"));
    print!("{what:34} {:>10} {:>10} {:>10}", cell(alone), cell(inside), cell(dense));
    if let (Some(alone), Some(inside)) = (alone, inside) {
        print!("  {:.2}× the crate alone", inside / alone);
    }
    if let (Some(inside), Some(dense)) = (inside, dense) {
        print!("  {:.1}× faster than dense", dense / inside);
    }
    println!();
}
