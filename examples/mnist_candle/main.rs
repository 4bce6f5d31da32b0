//! Image classification with candle: a Toeplitz-like hidden layer, a dense output layer, AdamW, and a checkpoint.
//!
//! `cargo run --release --features candle,safetensors --example mnist_candle`

#[path = "../support/classify_candle.rs"]
mod classify;
#[path = "../support/command.rs"]
mod command;
#[path = "../support/idx.rs"]
mod idx;
#[path = "../support/images.rs"]
mod images;

use std::io::{Write, stdout};
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use candle_core::{DType, Device, Result, Tensor};
use candle_nn::{Linear, Module, VarBuilder, VarMap, linear};
use displace::checkpoint::Reader;
use displace::frameworks::candle::{StructuredLinear, structured_linear};
use displace::{Builder, Family, Init};

use classify::{Set, Training, accuracy};
use command::{Options, Outcome};

const HELP: &str = "\
Trains a classifier of images with a Toeplitz-like hidden layer in candle.

Usage: mnist_candle [--data DIR] [--quick] [--rank R] [--out FILE]

  --data DIR   a data set in IDX format, gzipped or not (default: the subset of Fashion-MNIST in examples/data)
  --quick      fewer images and epochs: seconds
  --rank R     the displacement rank of the hidden layer (default 4)
  --out FILE   the checkpoint (default: mnist_candle.safetensors)
  --help       this text
";

/// One structured hidden layer as wide as the image, ReLU, one dense layer.
struct Network {
    hidden: StructuredLinear,
    output: Linear,
}

impl Network {
    fn new(hidden: &Builder, vb: VarBuilder) -> Result<Self> {
        let output = linear(hidden.rows(), 10, vb.pp("output"))?;
        Ok(Self { hidden: structured_linear(hidden, vb.pp("hidden"))?, output })
    }
}

impl Module for Network {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.output.forward(&self.hidden.forward(x)?.relu()?)
    }
}

fn main() -> ExitCode {
    command::train("mnist_candle", HELP, "mnist_candle.safetensors", train)
}

fn train(options: &Options, out: &Path) -> Outcome<()> {
    let (share, epochs) = if options.quick { (5, 3) } else { (1, 12) };
    let (train, test) = images::standardised(&idx::read(&options.data)?, share);
    let hidden = Builder::new(Family::ToeplitzLike, train.size, train.size).rank(options.rank).init(Init::He);
    let (train, test) = (Set::new(&train)?, Set::new(&test)?);

    let variables = VarMap::new();
    let network = Network::new(&hidden, VarBuilder::from_varmap(&variables, DType::F32, &Device::Cpu))?;
    let parameters: usize = variables.all_vars().iter().map(|variable| variable.elem_count()).sum();
    let inner = parameters - 10 * (hidden.rows() + 1);
    writeln!(stdout(), "{parameters} parameters, of which {inner} outside the output layer")?;

    let mut training = Training::new(&network, &variables, 1e-3, 1)?;
    let mut best = 0.0;
    for epoch in 1..=epochs {
        let start = Instant::now();
        let loss = training.epoch(&train)?;
        let seconds = start.elapsed().as_secs_f32();
        let right = accuracy(&network, &test)?;
        writeln!(stdout(), "epoch {epoch:2}: loss {loss:.3}, test accuracy {:.1}%, {seconds:.1} s", 100.0 * right)?;
        if right > best {
            best = right;
            variables.save(out)?;
        }
    }
    reload(out, &hidden, &test, best)
}

/// Loads the best epoch into a new network, and its hidden layer into one that needs no framework.
fn reload(path: &Path, hidden: &Builder, test: &Set, expected: f32) -> Outcome<()> {
    let mut variables = VarMap::new();
    let network = Network::new(hidden, VarBuilder::from_varmap(&variables, DType::F32, &Device::Cpu))?;
    variables.load(path)?;
    let right = accuracy(&network, test)?;
    writeln!(stdout(), "{}: test accuracy {:.1}% after loading", path.display(), 100.0 * right)?;
    if right != expected {
        return Err("the checkpoint is not what was saved".into());
    }

    let layer = Reader::open(path)?.layer_of("hidden", hidden.structure::<f32>()?)?;
    let image = test.x.get(0)?;
    let (alone, inside) = (layer.forward(&image.to_vec1()?)?, network.hidden.forward(&image)?.to_vec1::<f32>()?);
    let difference = alone.iter().zip(&inside).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    writeln!(stdout(), "the hidden layer without candle differs by at most {difference:.1e}")?;
    Ok(())
}
