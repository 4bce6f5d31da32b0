//! burn.

use std::io::{Write, stdout};

use burn::module::Module;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};
use displace::Builder;
use displace::frameworks::burn::Adapter;
use indicatif::{ProgressBar, ProgressStyle};

use crate::batches::{BATCH, accuracy, batch};
use crate::command::Outcome;
use crate::images::Split;
use crate::{Row, Sets, Task, name};

/// A hidden layer, ReLU, an output layer: before fine-tuning.
#[derive(Module, Debug)]
struct Base {
    hidden: Linear,
    output: Linear,
}

/// The same with an update of the hidden layer, which alone is trained.
#[derive(Module, Debug)]
struct Tuned {
    hidden: Adapter,
    output: Linear,
}

/// What both are to a training loop.
trait Network: Module + Clone {
    fn logits(&self, x: Tensor<2>) -> Tensor<2>;
}

impl Network for Base {
    fn logits(&self, x: Tensor<2>) -> Tensor<2> {
        self.output.forward(relu(self.hidden.forward(x)))
    }
}

impl Network for Tuned {
    fn logits(&self, x: Tensor<2>) -> Tensor<2> {
        self.output.forward(relu(self.hidden.forward(x)))
    }
}

pub fn run(task: &Task) -> Outcome<Vec<Row>> {
    let row = |name: String, trained: usize, model: &dyn Fn(Tensor<2>) -> Tensor<2>| {
        let (rotated, upright) = (accuracy(model, &task.rotated.test), accuracy(model, &task.upright.test));
        Row { name, trained, rotated, upright }
    };
    let base = train_base(&task.upright, task.epochs)?;
    let mut rows = vec![row("frozen network".into(), 0, &|x| base.valid().logits(x))];
    for update in &task.updates {
        let tuned = fine_tune(&base, update, task)?.valid();
        rows.push(row(name(update), tuned.hidden.update().num_params(), &|x| tuned.logits(x)));
        let merged = Base { hidden: tuned.hidden.merge()?, output: tuned.output.clone() };
        rows.push(row("  merged into the weight".into(), 0, &|x| merged.logits(x)));
    }
    Ok(rows)
}

fn train_base(sets: &Sets, epochs: usize) -> Outcome<Base> {
    let device = Device::flex().autodiff();
    device.seed(1);
    let width = sets.train.size;
    let layer = |outputs| LinearConfig::new(width, outputs).init(&device);
    let mut training = Training::new(Base { hidden: layer(width), output: layer(10) }, 1e-3);
    for epoch in 1..=epochs {
        let loss = training.epoch(&sets.train)?;
        let right = 100.0 * training.accuracy(&sets.held_out);
        writeln!(stdout(), "  epoch {epoch}: loss {loss:.3}, held-out accuracy {right:.1}%")?;
    }
    Ok(training.network)
}

/// Trains an update of the hidden layer at several learning rates and keeps the best on the held-out images.
fn fine_tune(base: &Base, update: &Builder, task: &Task) -> Outcome<Tuned> {
    let mut best: Option<(f32, Tuned)> = None;
    for &rate in task.rates {
        let hidden = Adapter::new(base.hidden.clone(), update)?;
        let mut training = Training::new(Tuned { hidden, output: base.output.clone().freeze() }, rate);
        let mut loss = 0.0;
        for _ in 0..task.epochs {
            loss = training.epoch(&task.rotated.train)?;
        }
        let right = training.accuracy(&task.rotated.held_out);
        let (name, percent) = (name(update), 100.0 * right);
        writeln!(stdout(), "  {name}, learning rate {rate}: loss {loss:.3}, held-out accuracy {percent:.1}%")?;
        if best.as_ref().is_none_or(|(least, _)| right > *least) {
            best = Some((right, training.network));
        }
    }
    best.map(|(_, network)| network).ok_or_else(|| "no learning rate was tried".into())
}

/// A network that is being trained by Adam.
struct Training<N> {
    network: N,
    optimiser: burn::optim::ModuleOptimizer,
    rate: f64,
    rng: fastrand::Rng,
}

impl<N: Network> Training<N> {
    fn new(network: N, rate: f64) -> Self {
        Self { network, optimiser: AdamConfig::new().init(), rate, rng: fastrand::Rng::with_seed(1) }
    }

    /// One pass over the images in random order; returns the mean cross-entropy.
    fn epoch(&mut self, split: &Split) -> Outcome<f32> {
        let device = Device::flex().autodiff();
        let mut order: Vec<usize> = (0..split.labels.len()).collect();
        self.rng.shuffle(&mut order);
        let bar = ProgressBar::new(order.len().div_ceil(BATCH) as u64);
        let bar = bar.with_style(ProgressStyle::with_template("{bar:40} {pos}/{len} batches, {msg}")?);
        let mut sum = 0.0;
        for chosen in order.chunks(BATCH) {
            let (x, labels) = batch(split, chosen, &device);
            let loss = CrossEntropyLossConfig::new().init(&device).forward(self.network.logits(x), labels);
            let value = loss.clone().into_scalar::<f32>();
            let gradients = GradientsParams::from_grads(loss.backward(), &self.network);
            self.network = self.optimiser.step(self.rate, self.network.clone(), gradients);
            sum += value * chosen.len() as f32;
            bar.set_message(format!("loss {value:.3}"));
            bar.inc(1);
        }
        bar.finish_and_clear();
        Ok(sum / order.len() as f32)
    }

    fn accuracy(&self, split: &Split) -> f32 {
        let network = self.network.valid();
        accuracy(|x| network.logits(x), split)
    }
}
