//! The network that ships with the repository: 784 pixels, a dense 784×784 hidden layer, ReLU, ten classes.

use std::path::{Path, PathBuf};

use displace::compress::Compressed;
use displace::{Builder, Family, Init, Linear, Matrix, Result};
use indicatif::ProgressBar;

use crate::input::{Problem, Tensor, read};
use crate::npy;
use crate::support::network::{Buffers, Network};
use crate::support::sgd::Sgd;
use crate::support::splits::Splits;

const BATCH: usize = 50;
const MOMENTUM: f32 = 0.9;
const CLASSES: usize = 10;
/// Pulls the hidden matrix towards zero while it is trained from scratch: what training does not use of the random start would
/// otherwise stay, and no family compresses noise.
const DECAY: f32 = 5e-3;

/// Where it is.
pub fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("examples/models/tradeoff")
}

/// The images that it was trained on.
pub fn images(quick: bool) -> std::result::Result<Splits, Box<dyn std::error::Error>> {
    let data = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("examples/data");
    Ok(Splits::new(&crate::support::idx::read(&data)?, quick, 1))
}

/// Reads the network.
pub fn load(directory: &Path) -> std::result::Result<Network, Box<dyn std::error::Error>> {
    let tensors = read(directory)?;
    let find = |name: &str, shape: &[usize]| -> std::result::Result<Vec<f32>, Problem> {
        let found = tensors.iter().find(|tensor: &&Tensor| tensor.name == name && tensor.shape == shape);
        let reason = format!("no tensor {name} of shape {shape:?}");
        found.map(|tensor| tensor.numbers.clone()).ok_or(Problem { path: directory.to_path_buf(), reason })
    };
    let layer = |name: &str, m: usize, n: usize| -> std::result::Result<Linear<f32>, Box<dyn std::error::Error>> {
        let weight = find(&format!("{name}.weight"), &[m, n])?;
        let matrix = displace::unstructured::Dense::from_entries(m, n, &weight)?.into_dyn();
        Ok(Linear::new(matrix, Some(find(&format!("{name}.bias"), &[m])?))?)
    };
    Ok(Network { hidden: layer("hidden", 784, 784)?, output: layer("output", CLASSES, 784)? })
}

/// Trains the network and writes it, the large matrix in half precision.
pub fn train(directory: &Path, bar: &ProgressBar) -> std::result::Result<f64, Box<dyn std::error::Error>> {
    let splits = images(false)?;
    let hidden = Builder::new(Family::Dense, splits.size, splits.size).init(Init::He).seed(1).build_layer()?;
    let output = Builder::new(Family::Dense, CLASSES, splits.size).seed(2).build_layer()?;
    let mut network = Network { hidden, output };
    let mut best = (f64::INFINITY, network.clone());
    let epochs = bar.length().unwrap_or(25) as usize;
    let mut trainer = Trainer::new(&network);
    for epoch in 0..epochs {
        let decay = 1.0 - 0.9 * epoch as f32 / epochs as f32;
        trainer.epoch(&mut network, &splits, [0.02 * decay, 0.02 * decay], DECAY)?;
        let error = network.error(&splits.held_out.x, &splits.held_out.labels, &mut trainer.buffers)?;
        if error < best.0 {
            best = (error, network.clone());
        }
        bar.inc(1);
    }
    std::fs::create_dir_all(directory)?;
    let network = best.1;
    for (name, layer, half) in [("hidden", &network.hidden, true), ("output", &network.output, false)] {
        let (m, n) = (layer.weight().rows(), layer.weight().cols());
        npy::write(&directory.join(format!("{name}.weight.npy")), &[m, n], layer.weight().parameters(), half)?;
        npy::write(&directory.join(format!("{name}.bias.npy")), &[m], layer.bias(), false)?;
    }
    Ok(load(directory)?.error(&splits.test.x, &splits.test.labels, &mut trainer.buffers)?)
}

/// Test error with another hidden matrix, before and after one epoch of training.
pub fn errors(network: &Network, matrix: Matrix<f32>, splits: &Splits) -> Result<[f64; 2]> {
    let mut network = network.clone();
    network.hidden = Linear::new(matrix, Some(network.hidden.bias().to_vec()))?;
    let mut trainer = Trainer::new(&network);
    let before = network.error(&splits.test.x, &splits.test.labels, &mut trainer.buffers)?;
    let weight = network.hidden.weight();
    let rank = (weight.parameters().len() as f32 / (weight.rows() + weight.cols()) as f32).max(1.0);
    let rate = match weight.structure().family() {
        Family::Dense => 0.003,
        Family::LowRank => 0.006 / rank.sqrt(),
        _ => 0.0006 / rank.sqrt(),
    };
    // A step that diverges leaves what there was.
    let mut tuned = network.clone();
    let after = match trainer.epoch(&mut tuned, splits, [rate, 0.003], 0.0) {
        Ok(()) => tuned.error(&splits.test.x, &splits.test.labels, &mut trainer.buffers)?,
        Err(_) => before,
    };
    Ok([before, after])
}

/// The test error of the hidden matrix itself, without a structure.
pub fn error(network: &Network, splits: &Splits) -> Result<f64> {
    network.error(&splits.test.x, &splits.test.labels, &mut Buffers::default())
}

struct Trainer {
    hidden: Sgd,
    output: Sgd,
    buffers: Buffers,
    rng: fastrand::Rng,
}

impl Trainer {
    fn new(network: &Network) -> Self {
        Self {
            hidden: Sgd::new(&network.hidden, MOMENTUM),
            output: Sgd::new(&network.output, MOMENTUM),
            buffers: Buffers::default(),
            rng: fastrand::Rng::with_seed(3),
        }
    }

    fn epoch(&mut self, network: &mut Network, splits: &Splits, rates: [f32; 2], weight_decay: f32) -> Result<()> {
        let size = splits.size;
        let mut order: Vec<usize> = (0..splits.train.labels.len()).collect();
        self.rng.shuffle(&mut order);
        let mut gradient = network.zero_gradient();
        let (mut x, mut labels) = (Vec::new(), Vec::new());
        for batch in order.chunks(BATCH) {
            x.clear();
            labels.clear();
            for &i in batch {
                x.extend_from_slice(&splits.train.x[i * size..(i + 1) * size]);
                labels.push(splits.train.labels[i]);
            }
            network.backward(&x, &labels, &mut gradient, &mut self.buffers)?;
            let weight = network.hidden.weight().parameters();
            gradient.hidden.weight.iter_mut().zip(weight).for_each(|(g, &w)| *g += weight_decay * w);
            self.hidden.step(&mut network.hidden, &gradient.hidden, rates[0])?;
            self.output.step(&mut network.output, &gradient.output, rates[1])?;
        }
        Ok(())
    }
}

/// The relative error of the hidden layer's outputs for a batch of images, without the bias.
pub fn output_error(network: &Network, matrix: &Matrix<f32>, images: &[f32]) -> Result<f64> {
    let (exact, got) = (network.hidden.weight().apply(images)?, matrix.apply(images)?);
    let square = |numbers: &mut dyn Iterator<Item = f32>| numbers.map(|x| f64::from(x).powi(2)).sum::<f64>();
    let rest = square(&mut exact.iter().zip(&got).map(|(a, b)| a - b));
    Ok((rest / square(&mut exact.iter().copied())).sqrt())
}

/// What became of the network with one compressed matrix.
pub struct Outcome {
    pub compressed: Compressed<f32>,
    pub with_inputs: bool,
    /// Relative error of the outputs for test images.
    pub output_error: f64,
    /// Test error right after compression, and after one epoch of training.
    pub errors: [f64; 2],
    pub seconds: f64,
}
