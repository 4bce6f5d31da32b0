//! candle.

use std::io::{Write, stdout};

use candle_core::{DType, Device, Result, Tensor};
use candle_nn::{Linear, Module, VarBuilder, VarMap, linear};
use displace::Builder;
use displace::frameworks::candle::Adapter;

use crate::classify::{Set, Training, accuracy};
use crate::command::Outcome;
use crate::{Row, Sets, Task, name};

/// A hidden layer, ReLU, an output layer.
struct Network<H> {
    hidden: H,
    output: Linear,
}

impl<H: Module> Module for Network<H> {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.output.forward(&self.hidden.forward(x)?.relu()?)
    }
}

pub fn run(task: &Task) -> Outcome<Vec<Row>> {
    let (rotated, upright) = (Set::new(&task.rotated.test)?, Set::new(&task.upright.test)?);
    let row = |name: String, trained: usize, model: &dyn Module| -> Result<Row> {
        let rate = |set: &Set| accuracy(&|x: &Tensor| model.forward(x), set);
        Ok(Row { name, trained, rotated: rate(&rotated)?, upright: rate(&upright)? })
    };
    let base = train_base(&task.upright, task.epochs)?;
    let mut rows = vec![row("frozen network".into(), 0, &base)?];
    for update in &task.updates {
        let tuned = fine_tune(&base, update, task)?;
        let parameters = tuned.hidden.update().tensors().iter().map(|(_, tensor)| tensor.elem_count()).sum();
        rows.push(row(name(update), parameters, &tuned)?);
        let merged = Network { hidden: tuned.hidden.merge()?, output: tuned.output };
        rows.push(row("  merged into the weight".into(), 0, &merged)?);
    }
    Ok(rows)
}

fn train_base(sets: &Sets, epochs: usize) -> Outcome<Network<Linear>> {
    let (train, held_out) = (Set::new(&sets.train)?, Set::new(&sets.held_out)?);
    let variables = VarMap::new();
    let vb = VarBuilder::from_varmap(&variables, DType::F32, &Device::Cpu);
    let width = sets.train.size;
    let network =
        Network { hidden: linear(width, width, vb.pp("hidden"))?, output: linear(width, 10, vb.pp("output"))? };
    let mut training = Training::new(&network, &variables, 1e-3, 1)?;
    for epoch in 1..=epochs {
        let loss = training.epoch(&train)?;
        let right = 100.0 * accuracy(&network, &held_out)?;
        writeln!(stdout(), "  epoch {epoch}: loss {loss:.3}, held-out accuracy {right:.1}%")?;
    }
    Ok(network)
}

/// Trains an update of the hidden layer at several learning rates and keeps the best on the held-out images.
fn fine_tune(base: &Network<Linear>, update: &Builder, task: &Task) -> Outcome<Network<Adapter>> {
    let (train, held_out) = (Set::new(&task.rotated.train)?, Set::new(&task.rotated.held_out)?);
    let mut best: Option<(f32, Network<Adapter>)> = None;
    for &rate in task.rates {
        let variables = VarMap::new();
        let vb = VarBuilder::from_varmap(&variables, DType::F32, &Device::Cpu);
        let hidden = Adapter::new(base.hidden.clone(), update, vb)?;
        let network = Network { hidden, output: frozen(&base.output) };
        let mut training = Training::new(&network, &variables, rate, 1)?;
        let mut loss = 0.0;
        for _ in 0..task.epochs {
            loss = training.epoch(&train)?;
        }
        let right = accuracy(&network, &held_out)?;
        let (name, percent) = (name(update), 100.0 * right);
        writeln!(stdout(), "  {name}, learning rate {rate}: loss {loss:.3}, held-out accuracy {percent:.1}%")?;
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
