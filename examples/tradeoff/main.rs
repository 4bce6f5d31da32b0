//! The main example: what low displacement rank buys, on real images.
//!
//! `cargo run --release --example tradeoff` trains a network with one structured n×n hidden layer once per method, prints
//! a table and draws test error against parameters.

#[path = "../support/mod.rs"]
mod support;

mod options;
mod plot;
mod table;
mod train;

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use displace::Family;
use indicatif::{ProgressBar, ProgressStyle};

use options::{HELP, Options};
use support::splits::Splits;
use train::{Method, Outcome};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tradeoff: {error}");
            ExitCode::from(2)
        }
    }
}

fn run() -> Result<(), Box<dyn std::error::Error>> {
    let options = Options::parse(std::env::args_os().skip(1))?;
    if options.help {
        print!("{HELP}");
        return Ok(());
    }
    let data = support::idx::read(&options.data)?;
    let splits = Splits::new(&data, options.quick, options.seed);
    let epochs = if options.quick { 3 } else { 25 };
    let methods = methods(options.quick);
    println!(
        "{} training, {} held-out and {} test images of {} pixels; {} epochs; learning rate and epoch chosen on the held-out images",
        splits.train.labels.len(),
        splits.held_out.labels.len(),
        splits.test.labels.len(),
        splits.size,
        epochs,
    );
    let outcomes = run_all(&methods, &splits, epochs, options.seed)?;
    print!("{}", table::render(&outcomes, splits.size));
    let paths = plot::draw(&outcomes, &options.out)?;
    println!("plot: {} and {}", paths[0].display(), paths[1].display());
    Ok(())
}

fn methods(quick: bool) -> Vec<Method> {
    let ranks = |family, ranks: &[usize]| -> Vec<Method> {
        ranks.iter().map(|&rank| Method { family, rank: Some(rank) }).collect()
    };
    let plain = |family| vec![Method { family, rank: None }];
    let low = ranks(Family::LowRank, if quick { &[1, 4] } else { &[1, 2, 4, 8, 16] });
    let toeplitz = ranks(Family::ToeplitzLike, if quick { &[1, 2, 4] } else { &[1, 2, 4, 8, 16] });
    let others: &[usize] = if quick { &[1] } else { &[1, 4] };
    [
        plain(Family::Dense),
        low,
        plain(Family::Circulant),
        plain(Family::Toeplitz),
        toeplitz,
        ranks(Family::HankelLike, if quick { &[2] } else { &[1, 4, 16] }),
        ranks(Family::VandermondeLike, others),
        ranks(Family::CircleVandermondeLike, others),
        ranks(Family::CauchyLike, others),
        ranks(Family::LearnedSubdiagonal, &[1]),
        ranks(Family::LearnedTridiagonal, &[1]),
    ]
    .concat()
}

/// Runs the methods on all cores, one method a thread; each is deterministic, whatever the others do.
fn run_all(
    methods: &[Method],
    splits: &Splits,
    epochs: usize,
    seed: u64,
) -> Result<Vec<Outcome>, Box<dyn std::error::Error>> {
    let steps = methods.len() * train::RUNS * epochs;
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} epochs, {elapsed} so far, {eta} to go")?;
    let bar = ProgressBar::new(steps as u64).with_style(style);
    let next = AtomicUsize::new(0);
    let outcomes = Mutex::new(Vec::new());
    let work = || {
        while let Some(&method) = methods.get(next.fetch_add(1, Ordering::Relaxed)) {
            let outcome = train::run(method, splits, epochs, seed, &mut || bar.inc(1));
            outcomes.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push(outcome);
        }
    };
    std::thread::scope(|scope| {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        for _ in 0..threads.min(methods.len()) {
            scope.spawn(work);
        }
    });
    bar.finish_and_clear();
    let mut outcomes = outcomes
        .into_inner()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
        .into_iter()
        .collect::<Result<Vec<_>, _>>()?;
    let place = |outcome: &Outcome| {
        methods.iter().position(|m| m.family == outcome.method.family && m.rank == outcome.method.rank)
    };
    outcomes.sort_by_key(place);
    Ok(outcomes)
}
