//! A network on upright images, and the same network fine-tuned on rotated ones, as a whole or only in part.

use displace::analysis::{LayerMask, Rounding};
use displace::{Builder, Family, Init, Linear, Result};

use crate::support::images::Split;
use crate::support::network::{Buffers, Network};
use crate::support::sgd::Sgd;

const BATCH: usize = 50;
const MOMENTUM: f32 = 0.9;
const CLASSES: usize = 10;

/// Images with labels as the network wants them.
pub struct Task {
    x: Vec<f32>,
    labels: Vec<u8>,
    size: usize,
}

impl From<Split> for Task {
    fn from(split: Split) -> Self {
        let labels = split.labels.iter().map(|&label| label as u8).collect();
        Self { x: split.x, labels, size: split.size }
    }
}

impl Task {
    /// Pixels of an image.
    pub fn size(&self) -> usize {
        self.size
    }

    pub fn images(&self) -> usize {
        self.labels.len()
    }

    /// The fraction that a network classifies correctly.
    pub fn accuracy(&self, network: &Network) -> Result<f64> {
        Ok(1.0 - network.error(&self.x, &self.labels, &mut Buffers::default())?)
    }
}

/// How to train.
#[derive(Clone, Copy)]
pub struct Schedule {
    pub epochs: usize,
    pub rate: f32,
    pub seed: u64,
}

/// The parameters of a network that may move.
pub struct NetworkMask {
    pub hidden: LayerMask,
    pub output: LayerMask,
}

impl NetworkMask {
    /// Those that moved between two networks, seen in bf16.
    pub fn of_update(base: &Network, tuned: &Network, tolerance: f64) -> Result<Self> {
        Ok(Self {
            hidden: LayerMask::of_update(&base.hidden, &tuned.hidden, tolerance, Rounding::Bf16)?,
            output: LayerMask::of_update(&base.output, &tuned.output, tolerance, Rounding::Bf16)?,
        })
    }

    /// The four masks with their names.
    pub fn parts(&self) -> [(&'static str, &displace::analysis::Mask); 4] {
        let ([a, b], [c, d]) = ([&self.hidden.weight, &self.hidden.bias], [&self.output.weight, &self.output.bias]);
        [("hidden.weight", a), ("hidden.bias", b), ("output.weight", c), ("output.bias", d)]
    }
}

/// A dense network that knows nothing yet.
pub fn untrained(size: usize, seed: u64) -> Result<Network> {
    Ok(Network {
        hidden: Builder::new(Family::Dense, size, size).init(Init::He).seed(seed).build_layer()?,
        output: Builder::new(Family::Dense, CLASSES, size).seed(seed + 1).build_layer()?,
    })
}

/// Trains a network by SGD with momentum, all of it or what a mask allows.
pub fn train(
    network: &mut Network,
    task: &Task,
    schedule: Schedule,
    mask: Option<&NetworkMask>,
    progress: &dyn Fn(),
) -> Result<()> {
    let mut optimisers = (Sgd::new(&network.hidden, MOMENTUM), Sgd::new(&network.output, MOMENTUM));
    let mut rng = fastrand::Rng::with_seed(schedule.seed);
    let mut order: Vec<usize> = (0..task.images()).collect();
    let (mut gradient, mut buffers) = (network.zero_gradient(), Buffers::default());
    let (mut x, mut labels) = (Vec::new(), Vec::new());
    for epoch in 0..schedule.epochs {
        // The rate falls linearly to a tenth, so that the last epochs settle.
        let rate = schedule.rate * (1.0 - 0.9 * epoch as f32 / schedule.epochs as f32);
        rng.shuffle(&mut order);
        for batch in order.chunks(BATCH) {
            x.clear();
            labels.clear();
            for &i in batch {
                x.extend_from_slice(&task.x[i * task.size..(i + 1) * task.size]);
                labels.push(task.labels[i]);
            }
            network.backward(&x, &labels, &mut gradient, &mut buffers)?;
            let (hidden, output) = (mask.map(|mask| &mask.hidden), mask.map(|mask| &mask.output));
            step(&mut optimisers.0, &mut network.hidden, &mut gradient.hidden, rate, hidden)?;
            step(&mut optimisers.1, &mut network.output, &mut gradient.output, rate, output)?;
        }
        progress();
    }
    Ok(())
}

fn step(
    optimiser: &mut Sgd,
    layer: &mut Linear<f32>,
    gradient: &mut displace::LinearGradient<f32>,
    rate: f32,
    mask: Option<&LayerMask>,
) -> Result<()> {
    let Some(mask) = mask else {
        return optimiser.step(layer, gradient, rate);
    };
    mask.apply(gradient)?;
    mask.update(layer, |weight, bias| optimiser.advance(weight, bias, gradient, rate))
}
