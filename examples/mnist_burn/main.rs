//! Image classification with burn: a Toeplitz-like hidden layer, a dense output layer, Adam, burn's `Learner`, and a
//! checkpoint.
//!
//! `cargo run --release --features burn-full --example mnist_burn`

#[path = "../support/batches_burn.rs"]
mod batches;
#[path = "../support/command.rs"]
mod command;
#[path = "../support/idx.rs"]
mod idx;
#[path = "../support/images.rs"]
mod images;

mod progress;

use std::io::{Write, stdout};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use burn::data::dataloader::DataLoaderBuilder;
use burn::data::dataloader::batcher::Batcher;
use burn::data::dataset::{Dataset, DatasetError};
use burn::module::Module;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::{Linear, LinearConfig};
use burn::optim::AdamConfig;
use burn::tensor::activation::relu;
use burn::tensor::{Device, Int, Tensor};
use burn::train::logger::InMemoryMetricLogger;
use burn::train::metric::{AccuracyMetric, LossMetric};
use burn::train::{ClassificationOutput, InferenceStep, Learner, SupervisedTraining, TrainOutput, TrainStep};
use displace::frameworks::burn::{StructuredLinear, StructuredLinearConfig};
use displace::{Builder, Family, Init};

use batches::{BATCH, accuracy, batch};
use command::{Options, Outcome};
use images::Split;
use progress::Progress;

const HELP: &str = "\
Trains a classifier of images with a Toeplitz-like hidden layer in burn.

Usage: mnist_burn [--data DIR] [--quick] [--rank R] [--out FILE]

  --data DIR   a data set in IDX format, gzipped or not (default: the subset of Fashion-MNIST in examples/data)
  --quick      fewer images and epochs: seconds
  --rank R     the displacement rank of the hidden layer (default 4)
  --out FILE   the checkpoint (default: mnist_burn.bpk)
  --help       this text
";

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

    fn classify(&self, (x, labels): Batch) -> ClassificationOutput {
        let logits = self.forward(x);
        let loss = CrossEntropyLossConfig::new().init(&logits.device()).forward(logits.clone(), labels.clone());
        ClassificationOutput::new(loss, logits, labels)
    }
}

impl TrainStep for Network {
    type Input = Batch;
    type Output = ClassificationOutput;

    fn step(&self, batch: Batch) -> TrainOutput<ClassificationOutput> {
        let output = self.classify(batch);
        TrainOutput::new(self, output.loss.backward(), output)
    }
}

impl InferenceStep for Network {
    type Input = Batch;
    type Output = ClassificationOutput;

    fn step(&self, batch: Batch) -> ClassificationOutput {
        self.classify(batch)
    }
}

/// Images, one a row, and their labels.
type Batch = (Tensor<2>, Tensor<1, Int>);

/// Images by their numbers: what burn's data loaders ask for.
#[derive(Clone)]
struct Images(Arc<Split>);

impl Dataset<usize> for Images {
    fn get(&self, index: usize) -> Result<usize, DatasetError> {
        Ok(index)
    }

    fn len(&self) -> usize {
        self.0.labels.len()
    }
}

impl Batcher<usize, Batch> for Images {
    fn batch(&self, chosen: Vec<usize>, device: &Device) -> Batch {
        batch(&self.0, &chosen, device)
    }
}

fn main() -> ExitCode {
    command::train("mnist_burn", HELP, "mnist_burn.bpk", train)
}

fn train(options: &Options, out: &Path) -> Outcome<()> {
    let (share, epochs) = if options.quick { (5, 3) } else { (1, 12) };
    let (train, test) = images::standardised(&idx::read(&options.data)?, share);
    let hidden = Builder::new(Family::ToeplitzLike, train.size, train.size).rank(options.rank).init(Init::He);
    let (train, test) = (Images(Arc::new(train)), Images(Arc::new(test)));
    let device = Device::flex().autodiff();
    device.seed(1);
    let network = Network::new(&hidden, &device)?;
    let inner = network.hidden.num_params();
    writeln!(stdout(), "{} parameters, of which {inner} outside the output layer", network.num_params())?;

    let loader = |images: &Images| DataLoaderBuilder::new(images.clone()).batch_size(BATCH);
    let (train, valid) = (loader(&train).shuffle(1).build(train), loader(&test).build(test.clone()));
    // No logs, and so no files in the directory that is named here.
    let result = SupervisedTraining::new(std::env::temp_dir(), train, valid)
        .metric_train_numeric(LossMetric::new())
        .metric_valid_numeric(AccuracyMetric::new())
        .with_metric_logger(InMemoryMetricLogger::new())
        .with_application_logger(None)
        .renderer(Box::new(Progress::new()))
        .num_epochs(epochs)
        .launch(Learner::new(network, AdamConfig::new().init(), 1e-3));
    if let Some(error) = result.error {
        return Err(error.to_string().into());
    }
    let right = accuracy(|x| result.model.forward(x), &test.0);
    result.model.save_file(out)?;
    reload(out, &hidden, &test.0, right)
}

/// Loads the network into a new one, and its hidden layer into one that needs no framework.
fn reload(path: &Path, hidden: &Builder, test: &Split, expected: f32) -> Outcome<()> {
    let network = Network::new(hidden, &Device::flex())?.try_load_file(path)?;
    let right = accuracy(|x| network.forward(x), test);
    writeln!(stdout(), "{}: test accuracy {:.1}% after loading", path.display(), 100.0 * right)?;
    if right != expected {
        return Err("the checkpoint is not what was saved".into());
    }

    let layer = network.hidden.to_linear::<f32>()?;
    let alone = layer.forward(&test.x[..test.size])?;
    let inside = network.hidden.forward(batch(test, &[0], &Device::flex()).0).into_data();
    let difference = alone.iter().zip(inside.iter::<f32>()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    writeln!(stdout(), "the hidden layer without burn differs by at most {difference:.1e}")?;
    Ok(())
}
