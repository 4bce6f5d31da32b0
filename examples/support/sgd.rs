//! Stochastic gradient descent with momentum.

use displace::{Linear, LinearGradient, Result};

/// The momentum of one layer.
pub struct Sgd {
    velocity: LinearGradient<f32>,
    momentum: f32,
}

impl Sgd {
    pub fn new(layer: &Linear<f32>, momentum: f32) -> Self {
        Self { velocity: layer.zero_gradient(), momentum }
    }

    /// One step of the layer.
    ///
    /// Nodes of Vandermonde-like matrices move an n²-th as fast as all else, since their k-th power changes k times as fast
    /// as they do and is as much more curved; and real ones stay in [−1, 1].
    pub fn step(&mut self, layer: &mut Linear<f32>, gradient: &LinearGradient<f32>, rate: f32) -> Result<()> {
        let place = |name: &str| layer.weight().layout().tensor(name).map(|tensor| tensor.range.clone());
        let (real, angles) = (place("v"), place("theta"));
        let nodes = real.clone().or(angles).unwrap_or(0..0);
        let slower = (layer.weight().cols() as f32).powi(-2);
        layer.update(|weight, bias| {
            let before = weight[nodes.clone()].to_vec();
            self.advance(weight, bias, gradient, rate);
            for (node, before) in weight[nodes.clone()].iter_mut().zip(before) {
                *node = before + slower * (*node - before);
                *node = if real.is_some() { node.clamp(-1.0, 1.0) } else { *node };
            }
        })
    }

    /// `v ← μ v − η g`, `p ← p + v`.
    pub fn advance(&mut self, weight: &mut [f32], bias: &mut [f32], gradient: &LinearGradient<f32>, rate: f32) {
        let (velocity, momentum) = (&mut self.velocity, self.momentum);
        let move_by = |parameters: &mut [f32], velocity: &mut [f32], gradient: &[f32]| {
            for ((p, v), g) in parameters.iter_mut().zip(velocity).zip(gradient) {
                *v = momentum * *v - rate * g;
                *p += *v;
            }
        };
        move_by(weight, &mut velocity.weight, &gradient.weight);
        move_by(bias, &mut velocity.bias, &gradient.bias);
    }
}
