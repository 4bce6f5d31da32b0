//! The protocol: SGD with momentum 0.9, batch 50, 15% of the training images held out for choosing the learning rate of
//! each method and the epoch.

use std::time::Instant;

use displace::{Builder, Family, Init, PathChoice, Result};

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

/// The learning rate that suits a dense layer.
const DENSE_RATE: f64 = 0.03;
/// Multiples of the rate that suits the family, to choose from.
const RATES: [f64; 4] = [0.2, 0.5, 1.2, 3.0];

/// Runs of training for each method, one for each learning rate.
pub const RUNS: usize = RATES.len();

impl Method {
    fn rates(self) -> [f32; RUNS] {
        let hint = self.family.learning_rate_hint(self.rank.unwrap_or(1));
        RATES.map(|multiple| (DENSE_RATE * hint * multiple) as f32)
    }

    fn network(self, size: usize, seed: u64) -> Result<Network> {
        let mut builder = Builder::new(self.family, size, size).init(Init::He).seed(seed);
        if let Some(rank) = self.rank {
            builder = builder.rank(rank);
        }
        if matches!(self.family, Family::LearnedSubdiagonal | Family::LearnedTridiagonal) {
            // All products in the same way, so that times compare: whichever had paid for a dense copy would make one, in O(n³).
            builder = builder.path(PathChoice::Fast);
        }
        let output = Builder::new(Family::Dense, CLASSES, size).seed(seed + 1).build_layer()?;
        Ok(Network { hidden: builder.build_layer()?, output })
    }
}

/// Trains a method with each learning rate, and reports the run and the epoch that do best on the held-out images.
pub fn run(method: Method, splits: &Splits, epochs: usize, seed: u64, progress: &mut dyn FnMut()) -> Result<Outcome> {
    let mut train = |rate: f32| {
        let mut training = Training::new(method, splits.size, rate, epochs, seed)?;
        for _ in 0..epochs {
            training.epoch(splits)?;
            progress();
        }
        Ok(training)
    };
    let [first, others @ ..] = method.rates();
    let mut best = train(first)?;
    let mut seconds = best.seconds;
    for rate in others {
        let training = train(rate)?;
        seconds += training.seconds;
        if training.best_error < best.best_error {
            best = training;
        }
    }
    let mut buffers = Buffers::default();
    Ok(Outcome {
        method,
        parameters: best.best.hidden.weight().parameters().len(),
        rate: best.rate,
        epoch: best.best_epoch,
        test_error: best.best.error(&splits.test.x, &splits.test.labels, &mut buffers)?,
        seconds_per_epoch: seconds / (RUNS * epochs) as f64,
        micros_per_example: inference_time(&best.best, splits)?,
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
