//! The protocol: SGD with momentum 0.9, batch 50, 15% of the training images held out for choosing the learning rate of
//! each method and the epoch.

use std::time::Instant;

use displace::{Builder, Family, Init, Result};

use crate::support::network::{Buffers, Network};
use crate::support::sgd::Sgd;
use crate::support::splits::Splits;

const BATCH: usize = 50;
const MOMENTUM: f32 = 0.9;
const CLASSES: usize = 10;
/// The learning rate of the softmax layer, the same for all methods.
const OUTPUT_RATE: f32 = 0.02;

/// A family at a rank.
#[derive(Clone, Copy)]
pub struct Method {
    pub family: Family,
    pub rank: Option<usize>,
}

/// What a method achieved.
pub struct Outcome {
    pub method: Method,
    pub parameters: usize,
    pub rate: f32,
    pub epoch: usize,
    pub test_error: f64,
    pub seconds_per_epoch: f64,
    pub micros_per_example: f64,
}

/// How long to train.
#[derive(Clone, Copy)]
pub struct Schedule {
    pub epochs: usize,
    pub rate_epochs: usize,
}

impl Method {
    /// Learning rates of the hidden layer to choose from. Steps do not transfer between structures: a generator's entry
    /// moves a whole diagonal of the matrix, an entry of a dense one a single number; and r generators move it √r times
    /// as far as one does, since they are initialised with variance 1/√r.
    fn rates(self) -> [f32; 4] {
        let scale = (self.rank.unwrap_or(1).max(1) as f32).sqrt().recip();
        match self.family {
            Family::Dense => [0.003, 0.01, 0.03, 0.1],
            Family::LowRank => [0.006, 0.02, 0.06, 0.2].map(|rate| rate * scale),
            _ => [0.0003, 0.001, 0.003, 0.01].map(|rate| rate * scale),
        }
    }

    fn network(self, size: usize, seed: u64) -> Result<Network> {
        let mut builder = Builder::new(self.family, size, size).init(Init::He).seed(seed);
        if let Some(rank) = self.rank {
            builder = builder.rank(rank);
        }
        let output = Builder::new(Family::Dense, CLASSES, size).seed(seed + 1).build_layer()?;
        Ok(Network { hidden: builder.build_layer()?, output })
    }
}

/// Trains a method with the learning rate that does best on the held-out images after a short run.
pub fn run(
    method: Method,
    splits: &Splits,
    schedule: Schedule,
    seed: u64,
    progress: &mut dyn FnMut(),
) -> Result<Outcome> {
    // A short run of each learning rate, its steps falling as in the long one, tells which rate to train with.
    let mut best = (f64::INFINITY, method.rates()[0]);
    for rate in method.rates() {
        let mut training = Training::new(method, splits.size, rate, schedule.rate_epochs, seed)?;
        for _ in 0..schedule.rate_epochs {
            training.epoch(splits)?;
            progress();
        }
        if training.best_error < best.0 {
            best = (training.best_error, rate);
        }
    }
    let mut training = Training::new(method, splits.size, best.1, schedule.epochs, seed)?;
    for _ in 0..schedule.epochs {
        training.epoch(splits)?;
        progress();
    }
    let (held_out_epoch, network) = (training.best_epoch, &training.best);
    let mut buffers = Buffers::default();
    Ok(Outcome {
        method,
        parameters: network.hidden.weight().parameters().len(),
        rate: training.rate,
        epoch: held_out_epoch,
        test_error: network.error(&splits.test.x, &splits.test.labels, &mut buffers)?,
        seconds_per_epoch: training.seconds / training.epochs_done as f64,
        micros_per_example: inference_time(network, splits)?,
    })
}

/// One run of training.
struct Training {
    network: Network,
    best: Network,
    best_error: f64,
    best_epoch: usize,
    hidden: Sgd,
    output: Sgd,
    rate: f32,
    epochs: usize,
    epochs_done: usize,
    seconds: f64,
    rng: fastrand::Rng,
    buffers: Buffers,
}

impl Training {
    fn new(method: Method, size: usize, rate: f32, epochs: usize, seed: u64) -> Result<Self> {
        let network = method.network(size, seed)?;
        Ok(Self {
            best: network.clone(),
            best_error: f64::INFINITY,
            best_epoch: 0,
            hidden: Sgd::new(&network.hidden, MOMENTUM),
            output: Sgd::new(&network.output, MOMENTUM),
            network,
            rate,
            epochs,
            epochs_done: 0,
            seconds: 0.0,
            rng: fastrand::Rng::with_seed(seed),
            buffers: Buffers::default(),
        })
    }

    /// Trains for one epoch and returns the error on the held-out images. A run that diverged keeps its last parameters.
    fn epoch(&mut self, splits: &Splits) -> Result<f64> {
        let start = Instant::now();
        let size = splits.size;
        let mut order: Vec<usize> = (0..splits.train.labels.len()).collect();
        self.rng.shuffle(&mut order);
        let mut gradient = self.network.zero_gradient();
        let (mut x, mut labels) = (Vec::new(), Vec::new());
        // The rate falls linearly to a tenth, so that the last epochs settle.
        let decay = 1.0 - 0.9 * self.epochs_done as f32 / self.epochs as f32;
        for batch in order.chunks(BATCH) {
            x.clear();
            labels.clear();
            for &i in batch {
                x.extend_from_slice(&splits.train.x[i * size..(i + 1) * size]);
                labels.push(splits.train.labels[i]);
            }
            self.network.backward(&x, &labels, &mut gradient, &mut self.buffers)?;
            let stepped = self
                .hidden
                .step(&mut self.network.hidden, &gradient.hidden, decay * self.rate)
                .and_then(|()| self.output.step(&mut self.network.output, &gradient.output, decay * OUTPUT_RATE));
            if stepped.is_err() {
                break;
            }
        }
        self.epochs_done += 1;
        self.seconds += start.elapsed().as_secs_f64();
        let error = self.network.error(&splits.held_out.x, &splits.held_out.labels, &mut self.buffers)?;
        if error < self.best_error {
            (self.best_error, self.best_epoch, self.best) = (error, self.epochs_done, self.network.clone());
        }
        Ok(error)
    }
}

/// Median microseconds of the hidden layer for one example, in batches of 64.
fn inference_time(network: &Network, splits: &Splits) -> Result<f64> {
    let x = &splits.test.x[..splits.test.x.len().min(64 * splits.size)];
    let batch = x.len() / splits.size;
    let mut y = vec![0.0; batch * network.hidden.weight().rows()];
    let mut workspace = displace::Workspace::new();
    let mut times = Vec::new();
    for _ in 0..50 {
        let start = Instant::now();
        network.hidden.forward_into(x, &mut y, &mut workspace)?;
        times.push(start.elapsed().as_secs_f64() * 1e6 / batch as f64);
    }
    times.sort_by(f64::total_cmp);
    Ok(times[times.len() / 2])
}
