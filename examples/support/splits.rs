//! What to train on, what to choose by, what to report.

use super::idx::{DataSet, Images};

/// Images as standardised numbers.
pub struct Prepared {
    pub x: Vec<f32>,
    pub labels: Vec<u8>,
}

/// What to train on, what to choose by, what to report.
pub struct Splits {
    pub size: usize,
    pub train: Prepared,
    pub held_out: Prepared,
    pub test: Prepared,
}

impl Splits {
    /// Subtracts the mean image, divides by the deviation from it and flips the signs of pixels drawn once for all
    /// images, and holds out 15% of the training images, drawn at random.
    ///
    /// The flips change nothing for a dense or low-rank layer, whose weights can flip too. A circulant one maps a smooth
    /// image to a smooth vector, that is to few independent features; with flipped signs the image's spectrum is flat
    /// (*An Exploration of Parameter Redundancy in Deep Networks with Circulant Projections*, Cheng et al. 2015).
    pub fn new(data: &DataSet, quick: bool, seed: u64) -> Self {
        let size = data.train.size;
        let share = if quick { 5 } else { 1 };
        let count = (data.train.labels.len() / share).max(1);
        let held_out = (count * 15 / 100).max(1).min(count.saturating_sub(1));
        let count_of_all = data.train.labels.len() as f64;
        let mut mean = vec![0.0; size];
        for image in data.train.pixels.chunks_exact(size) {
            mean.iter_mut().zip(image).for_each(|(m, &p)| *m += f64::from(p) / count_of_all);
        }
        let from_mean = |image: &[u8]| image.iter().zip(&mean).map(|(&p, m)| f64::from(p) - m).collect::<Vec<_>>();
        let squares = |image: &[u8]| from_mean(image).iter().map(|d| d * d).sum::<f64>();
        let variance = data.train.pixels.chunks_exact(size).map(squares).sum::<f64>() / (count_of_all * size as f64);
        let deviation = variance.sqrt().max(1.0);
        let mut rng = fastrand::Rng::with_seed(seed);
        let scale: Vec<f64> = (0..size).map(|_| if rng.bool() { 1.0 } else { -1.0 } / deviation).collect();
        let standardised = |image: &[u8]| {
            let flipped = from_mean(image).into_iter().zip(&scale).map(|(d, scale)| (d * scale) as f32);
            flipped.collect::<Vec<_>>()
        };
        let prepare = |images: &Images, chosen: &[usize]| Prepared {
            x: chosen.iter().flat_map(|&i| standardised(&images.pixels[i * size..(i + 1) * size])).collect(),
            labels: chosen.iter().map(|&i| images.labels[i]).collect(),
        };
        let mut drawn = |images: &Images| {
            let mut order: Vec<usize> = (0..images.labels.len()).collect();
            rng.shuffle(&mut order);
            order
        };
        let (train, test) = (drawn(&data.train), drawn(&data.test));
        Self {
            size,
            train: prepare(&data.train, &train[held_out..count]),
            held_out: prepare(&data.train, &train[..held_out]),
            test: prepare(&data.test, &test[..(test.len() / share).max(1)]),
        }
    }
}
