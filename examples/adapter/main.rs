//! Fine-tuning through adapters: a network that knows upright images learns rotated ones, its dense weights frozen, by a
//! structured update of one layer; beside it LoRA with as many parameters.
//!
//! `cargo run --release --features candle --example adapter`

#[path = "../support/classify.rs"]
mod classify;
#[path = "../support/idx.rs"]
mod idx;
#[path = "../support/images.rs"]
mod images;

use std::path::PathBuf;
use std::process::ExitCode;

use candle_core::{DType, Device, Result, Tensor};
use candle_nn::{Linear, Module, VarBuilder, VarMap, linear};
use displace::frameworks::candle::Adapter;
use displace::{Builder, Family};
use lexopt::prelude::*;

use classify::{Set, Training, accuracy};

const HELP: &str = "\
Fine-tunes a trained network to rotated images through a Toeplitz-like adapter and through LoRA.

Usage: adapter [--data DIR] [--quick] [--rank R] [--degrees D]

  --data DIR    a data set in IDX format, gzipped or not (default: the subset of Fashion-MNIST in examples/data)
  --quick       fewer images and epochs: seconds
  --rank R      the rank of the updates (default 2)
  --degrees D   the rotation (default 45)
  --help        this text
";

/// A hidden layer, ReLU, an output layer.
struct Network<H, O> {
    hidden: H,
    output: O,
}

impl<H: Module, O: Module> Module for Network<H, O> {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.output.forward(&self.hidden.forward(x)?.relu()?)
    }
}

/// Images to train on, to choose the learning rate by, and to report.
struct Sets {
    train: Set,
    held_out: Set,
    test: Set,
}

impl Sets {
    fn new(train: &images::Split, test: &images::Split) -> Result<Self> {
        let train = Set::new(train)?;
        let count = train.labels.elem_count();
        let cut = count * 85 / 100;
        let part = |from, len| -> Result<Set> {
            Ok(Set { x: train.x.narrow(0, from, len)?, labels: train.labels.narrow(0, from, len)? })
        };
        Ok(Self { train: part(0, cut)?, held_out: part(cut, count - cut)?, test: Set::new(test)? })
    }
}

struct Options {
    data: PathBuf,
    quick: bool,
    rank: usize,
    degrees: f32,
}

fn main() -> ExitCode {
    match options().and_then(|options| options.map_or(Ok(()), |options| run(&options))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("adapter: {error}");
            ExitCode::from(2)
        }
    }
}

type Outcome<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn options() -> Outcome<Option<Options>> {
    let data = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("examples/data");
    let mut options = Options { data, quick: false, rank: 2, degrees: 45.0 };
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("data") => options.data = parser.value()?.into(),
            Long("quick") => options.quick = true,
            Long("rank") => options.rank = parser.value()?.parse()?,
            Long("degrees") => options.degrees = parser.value()?.parse()?,
            Long("help") | Short('h') => {
                print!("{HELP}");
                return Ok(None);
            }
            _ => return Err(argument.unexpected().into()),
        }
    }
    Ok(Some(options))
}

fn run(options: &Options) -> Outcome<()> {
    let (share, epochs) = if options.quick { (5, 3) } else { (1, 8) };
    let (train, test) = images::standardised(&idx::read(&options.data)?, share);
    let upright = Sets::new(&train, &test)?;
    let rotated = Sets::new(&train.rotated(options.degrees), &test.rotated(options.degrees))?;

    println!("training a dense network on upright images");
    let base = train_base(train.size, &upright, epochs)?;
    let report = |name: &str, parameters: usize, model: &dyn Module| -> Result<()> {
        let rate = |sets: &Sets| accuracy(&|x: &Tensor| model.forward(x), &sets.test).map(|right| 100.0 * right);
        println!("{name:28} {parameters:7} {:7.1}% {:7.1}%", rate(&rotated)?, rate(&upright)?);
        Ok(())
    };
    let width = train.size;
    let mut tuned = Vec::new();
    for family in [Family::LowRank, Family::ToeplitzLike] {
        let builder = Builder::new(family, width, width).rank(options.rank).seed(1);
        println!("fine-tuning to images rotated by {}°, {family} update of rank {}", options.degrees, options.rank);
        tuned.push((family, fine_tune(&base, &builder, &rotated, epochs, options.quick)?));
    }

    println!("\n{:28} {:>7} {:>8} {:>8}", "", "trained", "rotated", "upright");
    report("frozen network", 0, &base)?;
    for (family, network) in &tuned {
        let parameters = network.hidden.update().tensors().iter().map(|(_, tensor)| tensor.elem_count()).sum();
        let name = if *family == Family::LowRank { "LoRA" } else { family.name() };
        report(&format!("{name}, rank {}", options.rank), parameters, network)?;
        let merged = Network { hidden: network.hidden.merge()?, output: network.output.clone() };
        report("  merged into the weight", 0, &merged)?;
    }
    Ok(())
}

fn train_base(width: usize, sets: &Sets, epochs: usize) -> Outcome<Network<Linear, Linear>> {
    let variables = VarMap::new();
    let vb = VarBuilder::from_varmap(&variables, DType::F32, &Device::Cpu);
    let network =
        Network { hidden: linear(width, width, vb.pp("hidden"))?, output: linear(width, 10, vb.pp("output"))? };
    let mut training = Training::new(&network, &variables, 1e-3, 1)?;
    for epoch in 1..=epochs {
        let loss = training.epoch(&sets.train)?;
        println!(
            "  epoch {epoch}: loss {loss:.3}, held-out accuracy {:.1}%",
            100.0 * accuracy(&network, &sets.held_out)?
        );
    }
    Ok(network)
}

/// Trains an update of the hidden layer at several learning rates and keeps the best on the held-out images.
fn fine_tune(
    base: &Network<Linear, Linear>,
    builder: &Builder,
    sets: &Sets,
    epochs: usize,
    quick: bool,
) -> Outcome<Network<Adapter, Linear>> {
    let rates: &[f64] = if quick { &[3e-3] } else { &[1e-3, 3e-3, 1e-2] };
    let mut best: Option<(f32, Network<Adapter, Linear>)> = None;
    for &rate in rates {
        let variables = VarMap::new();
        let vb = VarBuilder::from_varmap(&variables, DType::F32, &Device::Cpu);
        let network = Network { hidden: Adapter::new(base.hidden.clone(), builder, vb)?, output: frozen(&base.output) };
        let mut training = Training::new(&network, &variables, rate, 1)?;
        let mut loss = 0.0;
        for _ in 0..epochs {
            loss = training.epoch(&sets.train)?;
        }
        let right = accuracy(&network, &sets.held_out)?;
        println!("  learning rate {rate}: loss {loss:.3}, held-out accuracy {:.1}%", 100.0 * right);
        if best.as_ref().is_none_or(|(least, _)| right > *least) {
            best = Some((right, network));
        }
    }
    best.map(|(_, network)| network).ok_or_else(|| "no learning rate was tried".into())
}

/// A layer that is not trained.
fn frozen(layer: &Linear) -> Linear {
    Linear::new(layer.weight().detach(), layer.bias().map(Tensor::detach))
}
