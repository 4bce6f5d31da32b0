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
    pub fn step(&mut self, layer: &mut Linear<f32>, gradient: &LinearGradient<f32>, rate: f32) -> Result<()> {
        layer.update(|weight, bias| self.advance(weight, bias, gradient, rate))
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
