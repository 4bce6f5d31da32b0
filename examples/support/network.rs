//! The network of the published comparison: one hidden layer as wide as the input, ReLU, and a softmax layer.

use displace::{Linear, LinearGradient, Result, Workspace};

/// Hidden layer of any family, ReLU, dense output layer.
#[derive(Clone)]
pub struct Network {
    pub hidden: Linear<f32>,
    pub output: Linear<f32>,
}

/// The gradients of both layers.
pub struct Gradient {
    pub hidden: LinearGradient<f32>,
    pub output: LinearGradient<f32>,
}

/// Activations of a batch, and scratch.
#[derive(Default)]
pub struct Buffers {
    hidden: Vec<f32>,
    logits: Vec<f32>,
    hidden_gradient: Vec<f32>,
    workspace: Workspace<f32>,
}

impl Network {
    pub fn zero_gradient(&self) -> Gradient {
        Gradient { hidden: self.hidden.zero_gradient(), output: self.output.zero_gradient() }
    }

    /// The logits of a batch.
    pub fn forward<'b>(&self, x: &[f32], buffers: &'b mut Buffers) -> Result<&'b mut [f32]> {
        let batch = x.len() / self.hidden.weight().cols();
        buffers.hidden.resize(batch * self.hidden.weight().rows(), 0.0);
        buffers.logits.resize(batch * self.output.weight().rows(), 0.0);
        self.hidden.forward_into(x, &mut buffers.hidden, &mut buffers.workspace)?;
        buffers.hidden.iter_mut().for_each(|h| *h = h.max(0.0));
        self.output.forward_into(&buffers.hidden, &mut buffers.logits, &mut buffers.workspace)?;
        Ok(&mut buffers.logits)
    }

    /// Replaces `gradient` by that of the mean cross-entropy of a batch, and returns the cross-entropy.
    pub fn backward(&self, x: &[f32], labels: &[u8], gradient: &mut Gradient, buffers: &mut Buffers) -> Result<f32> {
        gradient.hidden.clear();
        gradient.output.clear();
        let classes = self.output.weight().rows();
        let logits = self.forward(x, buffers)?;
        let loss = cross_entropy(logits, labels, classes);
        let Buffers { hidden, logits, hidden_gradient, workspace } = buffers;
        hidden_gradient.resize(hidden.len(), 0.0);
        self.output.backward_into(hidden, logits, Some(hidden_gradient), &mut gradient.output, workspace)?;
        for (d, &h) in hidden_gradient.iter_mut().zip(hidden.iter()) {
            *d = if h > 0.0 { *d } else { 0.0 };
        }
        self.hidden.backward_into(x, hidden_gradient, None, &mut gradient.hidden, workspace)?;
        Ok(loss)
    }

    /// The fraction of images that are classified wrongly.
    pub fn error(&self, x: &[f32], labels: &[u8], buffers: &mut Buffers) -> Result<f64> {
        let (size, classes) = (self.hidden.weight().cols(), self.output.weight().rows());
        let mut wrong = 0;
        for (x, labels) in x.chunks(256 * size).zip(labels.chunks(256)) {
            let logits = self.forward(x, buffers)?;
            let best = logits.chunks(classes).map(best_class);
            wrong += best.zip(labels).filter(|(best, label)| *best != usize::from(**label)).count();
        }
        Ok(wrong as f64 / labels.len() as f64)
    }
}

fn best_class(logits: &[f32]) -> usize {
    let better = |best: usize, k: usize| if logits[k] > logits[best] { k } else { best };
    (1..logits.len()).fold(0, better)
}

/// Replaces logits by the gradient of the mean cross-entropy in them, and returns the cross-entropy.
fn cross_entropy(logits: &mut [f32], labels: &[u8], classes: usize) -> f32 {
    let share = 1.0 / labels.len() as f32;
    let mut loss = 0.0;
    for (row, &label) in logits.chunks_mut(classes).zip(labels) {
        let max = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        row.iter_mut().for_each(|z| *z = (*z - max).exp());
        let sum: f32 = row.iter().sum();
        loss -= share * (row[usize::from(label)] / sum).max(f32::MIN_POSITIVE).ln();
        row.iter_mut().for_each(|z| *z *= share / sum);
        row[usize::from(label)] -= share;
    }
    loss
}
