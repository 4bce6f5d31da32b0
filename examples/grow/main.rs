//! The rank knob in the course of training: start at rank 1, grow while the validation error improves, stop, and shrink
//! what was not needed.
//!
//! `cargo run --release --example grow`

#[path = "../support/mod.rs"]
mod support;

mod options;

use std::process::ExitCode;
use std::time::Instant;

use displace::rank::{RankChange, RankSchedule};
use displace::{Builder, Family, Init, Result};
use indicatif::{ProgressBar, ProgressStyle};

use options::{HELP, Options};
use support::network::{Buffers, Network};
use support::sgd::Sgd;
use support::splits::Splits;

const BATCH: usize = 50;
const MOMENTUM: f32 = 0.9;
/// The learning rate of the hidden layer at rank 1; r generators move it √r times as far.
const RATE: f32 = 0.003;
const OUTPUT_RATE: f32 = 0.02;
/// What both rates are multiplied by from epoch to epoch, so that each rank gets to settle.
const DECAY: f32 = 0.75;
/// Where growth sets this back to: far below the start, or what has been learned is shaken up.
const RESTART: f32 = 0.25;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("grow: {error}");
            ExitCode::from(2)
        }
    }
}

fn run() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let options = Options::parse(std::env::args_os().skip(1))?;
    if options.help {
        print!("{HELP}");
        return Ok(());
    }
    let splits = Splits::new(&support::idx::read(&options.data)?, false, options.seed);
    // Held-out errors jump by half a point from epoch to epoch: patience.
    let (largest, patience, most) = if options.quick { (8, 3, 40) } else { (32, 5, 200) };
    let schedule = RankSchedule::grow_while_improving(1, largest, patience, 0.01)?;
    println!(
        "{} training, {} held-out and {} test images of {} pixels; up to {most} epochs, rank 1 to {largest}",
        splits.train.labels.len(),
        splits.held_out.labels.len(),
        splits.test.labels.len(),
        splits.size,
    );
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} epochs at most, {elapsed} so far, {msg}")?;
    let bar = ProgressBar::new(most).with_style(style);
    let trained = Training::new(&splits, options.seed)?.run(&splits, schedule, most, &bar)?;
    bar.finish_and_clear();
    report(&trained, &splits)?;
    Ok(())
}

struct Training {
    network: Network,
    best: Network,
    best_error: f64,
    hidden: Sgd,
    output: Sgd,
    decay: f32,
    rng: fastrand::Rng,
    seed: u64,
}

impl Training {
    fn new(splits: &Splits, seed: u64) -> Result<Self> {
        let builder = Builder::new(Family::ToeplitzLike, splits.size, splits.size).rank(1).init(Init::He).seed(seed);
        let output = Builder::new(Family::Dense, 10, splits.size).seed(seed + 1).build_layer()?;
        let network = Network { hidden: builder.build_layer()?, output };
        Ok(Self {
            best: network.clone(),
            best_error: f64::INFINITY,
            hidden: Sgd::new(&network.hidden, MOMENTUM),
            output: Sgd::new(&network.output, MOMENTUM),
            network,
            decay: 1.0,
            rng: fastrand::Rng::with_seed(seed),
            seed,
        })
    }

    /// Trains until the schedule has enough. Returns the network with the least error on the held-out images.
    fn run(mut self, splits: &Splits, mut schedule: RankSchedule, most: u64, bar: &ProgressBar) -> Result<Network> {
        bar.suspend(|| {
            println!("{:>5} {:>5} {:>10} {:>14} {:>9}", "epoch", "rank", "parameters", "held-out error", "seconds")
        });
        let mut buffers = Buffers::default();
        for epoch in 1..=most {
            let start = Instant::now();
            self.epoch(splits, &mut buffers)?;
            let error = self.network.error(&splits.held_out.x, &splits.held_out.labels, &mut buffers)?;
            let weight = self.network.hidden.weight();
            let (rank, parameters) = (weight.rank().unwrap_or(0), weight.parameters().len());
            let seconds = start.elapsed().as_secs_f64();
            let line = format!("{epoch:>5} {rank:>5} {parameters:>10} {:>13.2}% {seconds:>9.2}", 100.0 * error);
            bar.suspend(|| println!("{line}"));
            bar.set_message(format!("rank {rank}"));
            bar.inc(1);
            if error < self.best_error {
                (self.best_error, self.best) = (error, self.network.clone());
            }
            match schedule.after_epoch(error) {
                RankChange::Keep => {}
                RankChange::Stop => break,
                RankChange::To(rank) => {
                    // From the best network so far; growing does not change what it computes.
                    self.network = self.best.clone();
                    self.network.hidden.weight_mut().grow(rank, self.seed + epoch)?;
                    self.hidden = Sgd::new(&self.network.hidden, MOMENTUM);
                    self.output = Sgd::new(&self.network.output, MOMENTUM);
                    self.decay = RESTART;
                }
            }
        }
        Ok(self.best)
    }

    fn epoch(&mut self, splits: &Splits, buffers: &mut Buffers) -> Result<()> {
        let size = splits.size;
        let mut order: Vec<usize> = (0..splits.train.labels.len()).collect();
        self.rng.shuffle(&mut order);
        let mut gradient = self.network.zero_gradient();
        let rate = self.decay * RATE / (self.network.hidden.weight().rank().unwrap_or(1).max(1) as f32).sqrt();
        let (mut x, mut labels) = (Vec::new(), Vec::new());
        for batch in order.chunks(BATCH) {
            x.clear();
            labels.clear();
            for &i in batch {
                x.extend_from_slice(&splits.train.x[i * size..(i + 1) * size]);
                labels.push(splits.train.labels[i]);
            }
            self.network.backward(&x, &labels, &mut gradient, buffers)?;
            self.hidden.step(&mut self.network.hidden, &gradient.hidden, rate)?;
            self.output.step(&mut self.network.output, &gradient.output, self.decay * OUTPUT_RATE)?;
        }
        self.decay *= DECAY;
        Ok(())
    }
}

/// The test error of what was trained, and of what is left of it at lower ranks without further training.
fn report(trained: &Network, splits: &Splits) -> Result<()> {
    let mut buffers = Buffers::default();
    let full = trained.hidden.weight().rank().unwrap_or(0);
    println!("\nthe best network, and what shrinking it leaves without further training:");
    println!("{:>5} {:>10} {:>19} {:>10}", "rank", "parameters", "displacement error", "test error");
    let mut rank = full;
    while rank > 0 {
        let mut network = trained.clone();
        let cut = network.hidden.weight_mut().shrink(rank)?;
        let error = network.error(&splits.test.x, &splits.test.labels, &mut buffers)?;
        let parameters = network.hidden.weight().parameters().len();
        println!("{rank:>5} {parameters:>10} {:>18.2}% {:>9.2}%", 100.0 * cut.relative, 100.0 * error);
        rank /= 2;
    }
    Ok(())
}
