//! Training and testing classifiers in candle.

use candle_core::{D, DType, Device, Result, Tensor};
use candle_nn::{AdamW, Module, Optimizer, ParamsAdamW, VarMap, loss};
use indicatif::{ProgressBar, ProgressStyle};

use super::images::Split;

const BATCH: usize = 50;

/// Images and labels as tensors.
pub struct Set {
    pub x: Tensor,
    pub labels: Tensor,
}

impl Set {
    pub fn new(split: &Split) -> Result<Self> {
        let x = Tensor::from_slice(&split.x, (split.labels.len(), split.size), &Device::Cpu)?;
        Ok(Self { x, labels: Tensor::from_slice(&split.labels, split.labels.len(), &Device::Cpu)? })
    }

    fn len(&self) -> usize {
        self.labels.elem_count()
    }
}

/// A model that is being trained.
pub struct Training<'a, M> {
    model: &'a M,
    optimiser: AdamW,
    rng: fastrand::Rng,
}

impl<'a, M: Module> Training<'a, M> {
    pub fn new(model: &'a M, variables: &VarMap, rate: f64, seed: u64) -> Result<Self> {
        // In the order of their names, so that a run can be repeated.
        let mut named: Vec<_> = match variables.data().lock() {
            Ok(map) => map.iter().map(|(name, variable)| (name.clone(), variable.clone())).collect(),
            Err(_) => candle_core::bail!("the variables are locked by a thread that failed"),
        };
        named.sort_by(|a, b| a.0.cmp(&b.0));
        let variables = named.into_iter().map(|(_, variable)| variable).collect();
        let optimiser = AdamW::new(variables, ParamsAdamW { lr: rate, ..Default::default() })?;
        Ok(Self { model, optimiser, rng: fastrand::Rng::with_seed(seed) })
    }

    /// One pass over the images in random order; returns the mean cross-entropy.
    pub fn epoch(&mut self, set: &Set) -> Result<f32> {
        let mut order: Vec<u32> = (0..set.len() as u32).collect();
        self.rng.shuffle(&mut order);
        let style = ProgressStyle::with_template("{bar:40} {pos}/{len} batches, {msg}").ok();
        let bar = ProgressBar::new(set.len().div_ceil(BATCH) as u64);
        let bar = style.map_or(bar.clone(), |style| bar.with_style(style));
        let mut sum = 0.0;
        for batch in order.chunks(BATCH) {
            let batch = Tensor::new(batch, &Device::Cpu)?;
            let logits = self.model.forward(&set.x.index_select(&batch, 0)?)?;
            let loss = loss::cross_entropy(&logits, &set.labels.index_select(&batch, 0)?)?;
            self.optimiser.backward_step(&loss)?;
            let loss = loss.to_scalar::<f32>()?;
            sum += loss * batch.elem_count() as f32;
            bar.set_message(format!("loss {loss:.3}"));
            bar.inc(1);
        }
        bar.finish_and_clear();
        Ok(sum / set.len() as f32)
    }
}

/// The fraction of images that a model classifies rightly.
pub fn accuracy(model: &impl Module, set: &Set) -> Result<f32> {
    let mut right = 0.0;
    for start in (0..set.len()).step_by(500) {
        let count = (set.len() - start).min(500);
        let best = model.forward(&set.x.narrow(0, start, count)?)?.argmax(D::Minus1)?;
        let equal = best.eq(&set.labels.narrow(0, start, count)?)?.to_dtype(DType::F32)?;
        right += equal.sum_all()?.to_scalar::<f32>()?;
    }
    Ok(right / set.len() as f32)
}
