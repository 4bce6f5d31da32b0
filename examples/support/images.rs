//! Images as standardised numbers, upright or rotated.

use super::idx::{DataSet, Images};

/// Images, one a row, and their labels.
pub struct Split {
    pub x: Vec<f32>,
    pub labels: Vec<u32>,
    pub size: usize,
}

/// Training and test images, of which the first of every `share` are kept, with the mean of all grey levels subtracted and
/// divided by their deviation.
pub fn standardised(data: &DataSet, share: usize) -> (Split, Split) {
    let levels = data.train.pixels.len() as f64;
    let mean = data.train.pixels.iter().map(|&p| f64::from(p)).sum::<f64>() / levels;
    let variance = data.train.pixels.iter().map(|&p| (f64::from(p) - mean).powi(2)).sum::<f64>() / levels;
    let deviation = variance.sqrt().max(1.0);
    let split = |images: &Images| {
        let count = (images.labels.len() / share).max(1);
        let pixels = &images.pixels[..count * images.size];
        Split {
            x: pixels.iter().map(|&p| ((f64::from(p) - mean) / deviation) as f32).collect(),
            labels: images.labels[..count].iter().map(|&label| label.into()).collect(),
            size: images.size,
        }
    };
    (split(&data.train), split(&data.test))
}

impl Split {
    /// The first images and the rest.
    #[allow(dead_code, reason = "not every example holds images out")]
    pub fn cut(&self, count: usize) -> (Self, Self) {
        let ((x, rest), (labels, others)) = (self.x.split_at(count * self.size), self.labels.split_at(count));
        let part = |x: &[f32], labels: &[u32]| Self { x: x.to_vec(), labels: labels.to_vec(), size: self.size };
        (part(x, labels), part(rest, others))
    }

    /// The images turned about their centres, by bilinear interpolation; outside of an image is its darkest level.
    #[allow(dead_code, reason = "not every example turns its images")]
    pub fn rotated(&self, degrees: f32) -> Self {
        let side = self.size.isqrt();
        let (sin, cos) = degrees.to_radians().sin_cos();
        let dark = self.x.iter().copied().fold(f32::INFINITY, f32::min);
        let centre = (side as f32 - 1.0) / 2.0;
        let turn = |image: &[f32], k: usize| {
            let (row, column) = ((k / side) as f32 - centre, (k % side) as f32 - centre);
            let (row, column) = (cos * row - sin * column + centre, sin * row + cos * column + centre);
            let (top, left) = (row.floor(), column.floor());
            let at = |row: f32, column: f32| {
                let inside = row >= 0.0 && column >= 0.0 && row < side as f32 && column < side as f32;
                if inside { image[row as usize * side + column as usize] } else { dark }
            };
            let along = |row: f32| {
                let share = column - left;
                at(row, left) * (1.0 - share) + at(row, left + 1.0) * share
            };
            let share = row - top;
            along(top) * (1.0 - share) + along(top + 1.0) * share
        };
        let x = self.x.chunks(self.size).flat_map(|image| (0..self.size).map(move |k| turn(image, k))).collect();
        Self { x, labels: self.labels.clone(), size: self.size }
    }
}
