//! Fine-tuning through adapters: a network that knows upright images learns rotated ones, its dense weights frozen, by a
//! structured update of one layer; beside it LoRA with as many parameters.
//!
//! `cargo run --release --features candle --example adapter` does it in candle,
//! `cargo run --release --features candle,burn --example adapter -- --burn` in burn.

#[cfg(feature = "burn")]
#[path = "../support/batches_burn.rs"]
mod batches;
#[path = "../support/classify_candle.rs"]
mod classify;
#[path = "../support/command.rs"]
mod command;
#[path = "../support/idx.rs"]
mod idx;
#[path = "../support/images.rs"]
mod images;

#[cfg(feature = "burn")]
mod with_burn;
mod with_candle;

use std::io::{Write, stdout};
use std::process::ExitCode;

use displace::{Builder, Family};
use lexopt::prelude::*;

use command::{Options, Outcome};
use images::Split;

const HELP: &str = "\
Fine-tunes a trained network to rotated images through a Toeplitz-like adapter and through LoRA.

Usage: adapter [--burn] [--data DIR] [--quick] [--rank R] [--degrees D]

  --burn        in burn instead of candle (needs the feature burn)
  --data DIR    a data set in IDX format, gzipped or not (default: the subset of Fashion-MNIST in examples/data)
  --quick       fewer images and epochs: seconds
  --rank R      the rank of the updates (default 2)
  --degrees D   the rotation (default 45)
  --help        this text
";

/// Images to train on, to choose the learning rate by, and to report.
struct Sets {
    train: Split,
    held_out: Split,
    test: Split,
}

/// What there is to learn, and how.
struct Task {
    upright: Sets,
    rotated: Sets,
    updates: [Builder; 2],
    epochs: usize,
    rates: &'static [f64],
}

/// A network, the parameters that were trained for rotated images, and the fraction of rotated and of upright test images
/// that it classifies rightly.
struct Row {
    name: String,
    trained: usize,
    rotated: f32,
    upright: f32,
}

impl Sets {
    fn new(learning: &Split, test: Split) -> Self {
        let (train, held_out) = learning.cut(learning.labels.len() * 85 / 100);
        Self { train, held_out, test }
    }
}

fn main() -> ExitCode {
    command::end("adapter", run())
}

fn run() -> Outcome<()> {
    let (mut degrees, mut in_burn) = (45.0, false);
    let options = command::options(std::env::args_os().skip(1), 2, |name, parser| {
        match name {
            "degrees" => degrees = parser.value()?.parse()?,
            "burn" => in_burn = true,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    let Some(options) = options else { return Ok(write!(stdout(), "{HELP}")?) };
    let task = task(&options, degrees)?;
    let [first, second] = &task.updates;
    writeln!(
        stdout(),
        "a dense network learns {} upright images, then images rotated by {degrees}° by {} and {} updates of rank {}",
        task.upright.train.labels.len(),
        first.family(),
        second.family(),
        options.rank
    )?;
    let rows = if in_burn { in_burn_rows(&task)? } else { with_candle::run(&task)? };
    writeln!(stdout(), "\n{:28} {:>7} {:>8} {:>8}", "", "trained", "rotated", "upright")?;
    for Row { name, trained, rotated, upright } in rows {
        writeln!(stdout(), "{name:28} {trained:7} {:7.1}% {:7.1}%", 100.0 * rotated, 100.0 * upright)?;
    }
    Ok(())
}

fn task(options: &Options, degrees: f32) -> Outcome<Task> {
    let (share, epochs) = if options.quick { (5, 3) } else { (1, 8) };
    let (learning, test) = images::standardised(&idx::read(&options.data)?, share);
    let update = |family| Builder::new(family, learning.size, learning.size).rank(options.rank).seed(1);
    Ok(Task {
        rotated: Sets::new(&learning.rotated(degrees), test.rotated(degrees)),
        upright: Sets::new(&learning, test),
        updates: [Family::LowRank, Family::ToeplitzLike].map(update),
        epochs,
        rates: if options.quick { &[3e-3] } else { &[1e-3, 3e-3, 1e-2] },
    })
}

/// What an update is called in the table.
fn name(update: &Builder) -> String {
    match update.family() {
        Family::LowRank => "LoRA".into(),
        family => family.to_string(),
    }
}

#[cfg(feature = "burn")]
fn in_burn_rows(task: &Task) -> Outcome<Vec<Row>> {
    with_burn::run(task)
}

#[cfg(not(feature = "burn"))]
fn in_burn_rows(_: &Task) -> Outcome<Vec<Row>> {
    Err("--burn needs the feature burn: --features candle,burn".into())
}
