//! Batches of images, and accuracy, in burn.

use burn::tensor::{Device, Int, Tensor, TensorData};

use super::images::Split;

pub const BATCH: usize = 50;

/// The chosen images, one a row, and their labels.
pub fn batch(split: &Split, chosen: &[usize], device: &Device) -> (Tensor<2>, Tensor<1, Int>) {
    let x: Vec<f32> = chosen.iter().flat_map(|&k| &split.x[k * split.size..(k + 1) * split.size]).copied().collect();
    let labels: Vec<i32> = chosen.iter().map(|&k| split.labels[k] as i32).collect();
    let x = Tensor::from_data(TensorData::new(x, [chosen.len(), split.size]), device);
    (x, Tensor::from_data(TensorData::new(labels, [chosen.len()]), device))
}

/// The fraction of images that a model, given by its logits, classifies rightly.
pub fn accuracy(logits: impl Fn(Tensor<2>) -> Tensor<2>, split: &Split) -> f32 {
    let all: Vec<usize> = (0..split.labels.len()).collect();
    let mut right = 0;
    for chosen in all.chunks(500) {
        let (x, labels) = batch(split, chosen, &Device::flex());
        right += logits(x).argmax(1).flatten::<1>(0, 1).equal(labels).int().sum().into_scalar::<i64>();
    }
    right as f32 / split.labels.len() as f32
}
