//! Image classification with burn: a Toeplitz-like hidden layer, a dense output layer, Adam, and a checkpoint.
//!
//! `cargo run --release --features burn --example mnist_burn`

#[path = "../support/idx.rs"]
mod idx;
#[path = "../support/images.rs"]
mod images;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use burn::module::Module;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Int, Tensor, TensorData};
use displace::frameworks::burn::{StructuredLinear, StructuredLinearConfig};
use displace::{Builder, Family, Init};
use indicatif::{ProgressBar, ProgressStyle};
use lexopt::prelude::*;

use images::Split;

const HELP: &str = "\
Trains a classifier of images with a Toeplitz-like hidden layer in burn.

Usage: mnist_burn [--data DIR] [--quick] [--rank R] [--out FILE]

  --data DIR   a data set in IDX format, gzipped or not (default: the subset of Fashion-MNIST in examples/data)
  --quick      fewer images and epochs: seconds
  --rank R     the displacement rank of the hidden layer (default 4)
  --out FILE   the checkpoint (default: mnist_burn.bpk)
  --help       this text
";

const BATCH: usize = 50;

/// One structured hidden layer as wide as the image, ReLU, one dense layer.
#[derive(Module, Debug)]
struct Network {
    hidden: StructuredLinear,
    output: Linear,
}

impl Network {
    fn new(hidden: &Builder, device: &Device) -> displace::Result<Self> {
        let output = LinearConfig::new(hidden.rows(), 10).init(device);
        Ok(Self { hidden: StructuredLinearConfig::new(hidden.clone()).init(device)?, output })
    }

    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        self.output.forward(relu(self.hidden.forward(x)))
    }
}

struct Options {
    data: PathBuf,
    quick: bool,
    rank: usize,
    out: PathBuf,
}

fn main() -> ExitCode {
    match options().and_then(|options| options.map_or(Ok(()), |options| run(&options))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("mnist_burn: {error}");
            ExitCode::from(2)
        }
    }
}

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

fn options() -> Outcome<Option<Options>> {
    let data = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("examples/data");
    let mut options = Options { data, quick: false, rank: 4, out: "mnist_burn.bpk".into() };
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("data") => options.data = parser.value()?.into(),
            Long("quick") => options.quick = true,
            Long("rank") => options.rank = parser.value()?.parse()?,
            Long("out") => options.out = parser.value()?.into(),
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
    let (share, epochs) = if options.quick { (5, 3) } else { (1, 12) };
    let (train, test) = images::standardised(&idx::read(&options.data)?, share);
    let device = Device::flex().autodiff();
    let hidden = Builder::new(Family::ToeplitzLike, train.size, train.size).rank(options.rank).init(Init::He);
    let mut network = Network::new(&hidden, &device)?;
    println!("{} parameters", network.num_params());

    let mut optimiser = AdamConfig::new().init();
    let mut rng = fastrand::Rng::with_seed(1);
    let mut order: Vec<usize> = (0..train.labels.len()).collect();
    let mut best = 0.0;
    for epoch in 1..=epochs {
        let start = Instant::now();
        rng.shuffle(&mut order);
        let bar = ProgressBar::new(order.len().div_ceil(BATCH) as u64);
        let bar = bar.with_style(ProgressStyle::with_template("{bar:40} {pos}/{len} batches, {msg}")?);
        let mut sum = 0.0;
        for chosen in order.chunks(BATCH) {
            let (x, labels) = batch(&train, chosen, &device);
            let loss = CrossEntropyLossConfig::new().init(&device).forward(network.forward(x), labels);
            let value = loss.clone().into_scalar::<f32>();
            let gradients = GradientsParams::from_grads(loss.backward(), &network);
            network = optimiser.step(1e-3, network, gradients);
            sum += value * chosen.len() as f32;
            bar.set_message(format!("loss {value:.3}"));
            bar.inc(1);
        }
        bar.finish_and_clear();
        let (loss, seconds) = (sum / order.len() as f32, start.elapsed().as_secs_f32());
        let right = accuracy(&network.valid(), &test);
        println!("epoch {epoch:2}: loss {loss:.3}, test accuracy {:.1}%, {seconds:.1} s", 100.0 * right);
        if right > best {
            best = right;
            network.clone().save_file(&options.out)?;
        }
    }

    let same = Network::new(&hidden, &Device::flex())?.try_load_file(&options.out)?;
    let right = accuracy(&same, &test);
    println!("{}: test accuracy {:.1}% after loading", options.out.display(), 100.0 * right);
    if right != best {
        return Err("the checkpoint is not what was saved".into());
    }
    let layer = same.hidden.to_linear::<f32>()?;
    let (alone, inside) =
        (layer.forward(&test.x[..test.size])?, same.hidden.forward(batch(&test, &[0], &Device::flex()).0));
    let inside = inside.into_data().iter::<f32>().collect::<Vec<_>>();
    let difference = alone.iter().zip(&inside).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    println!("the hidden layer without burn differs by at most {difference:.1e}");
    Ok(())
}

fn batch(split: &Split, chosen: &[usize], device: &Device) -> (Tensor<2>, Tensor<1, Int>) {
    let x: Vec<f32> = chosen.iter().flat_map(|&k| &split.x[k * split.size..(k + 1) * split.size]).copied().collect();
    let labels: Vec<i32> = chosen.iter().map(|&k| split.labels[k] as i32).collect();
    let x = Tensor::from_data(TensorData::new(x, [chosen.len(), split.size]), device);
    (x, Tensor::from_data(TensorData::new(labels, [chosen.len()]), device))
}

/// The fraction of images that a network classifies rightly.
fn accuracy(network: &Network, split: &Split) -> f32 {
    let all: Vec<usize> = (0..split.labels.len()).collect();
    let mut right = 0;
    for chosen in all.chunks(500) {
        let (x, labels) = batch(split, chosen, &Device::flex());
        let best = network.forward(x).argmax(1).flatten::<1>(0, 1);
        right += best.equal(labels).int().sum().into_scalar::<i64>();
    }
    right as f32 / split.labels.len() as f32
}
