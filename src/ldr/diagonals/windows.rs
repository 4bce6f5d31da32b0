//! Products of windows of numbers, and gradients back through them, in O(1) for each window and without a division.
//!
//! Numbers are cut into blocks of a window's length, so that a window is the end of one block and the beginning of the next.

/// Numbers, and the products of the beginnings and of the ends of their blocks.
#[derive(Debug)]
pub(super) struct Windows {
    len: usize,
    numbers: Vec<f64>,
    /// Of each number and those before it in its block.
    beginnings: Vec<f64>,
    /// Of each number and those behind it.
    ends: Vec<f64>,
}

impl Windows {
    /// Takes up numbers for windows of `len` of them, which may be none. Products that are smaller than `tiny` are zero.
    pub fn new(len: usize, numbers: &[f64], tiny: f64) -> Self {
        let times = |a: f64, b: f64| if (a * b).abs() < tiny { 0.0 } else { a * b };
        let (mut beginnings, mut ends) = (numbers.to_vec(), numbers.to_vec());
        for (beginnings, ends) in beginnings.chunks_mut(len.max(1)).zip(ends.chunks_mut(len.max(1))) {
            (1..beginnings.len()).for_each(|i| beginnings[i] = times(beginnings[i - 1], beginnings[i]));
            (1..ends.len()).rev().for_each(|i| ends[i - 1] = times(ends[i - 1], ends[i]));
        }
        Self { len, numbers: numbers.to_vec(), beginnings, ends }
    }

    /// The product of the window that begins at `start`.
    pub fn product(&self, start: usize) -> f64 {
        match self.len {
            0 => 1.0,
            len if start.is_multiple_of(len) => self.ends[start],
            len => self.ends[start] * self.beginnings[start + len - 1],
        }
    }

    /// Adds to the gradient in the numbers that of a loss with the gradient `windows` in the first products.
    pub fn backward(&self, windows: &[f64], gradient: &mut [f64]) {
        let len = self.len;
        if len == 0 {
            return;
        }
        let [mut d_beginnings, mut d_ends] = [(); 2].map(|()| vec![0.0; self.numbers.len()]);
        for (start, d) in windows.iter().enumerate() {
            if start.is_multiple_of(len) {
                d_ends[start] += d;
                continue;
            }
            d_ends[start] += d * self.beginnings[start + len - 1];
            d_beginnings[start + len - 1] += d * self.ends[start];
        }
        for first in (0..self.numbers.len()).step_by(len) {
            let block = first..self.numbers.len().min(first + len);
            for i in block.clone().skip(1).rev() {
                gradient[i] += d_beginnings[i] * self.beginnings[i - 1];
                d_beginnings[i - 1] += d_beginnings[i] * self.numbers[i];
            }
            for i in block.clone().skip(1) {
                gradient[i - 1] += d_ends[i - 1] * self.ends[i];
                d_ends[i] += d_ends[i - 1] * self.numbers[i - 1];
            }
            gradient[first] += d_beginnings[first];
            gradient[block.end - 1] += d_ends[block.end - 1];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every window and every gradient by a plain loop.
    #[test]
    fn products_and_gradients_are_those_of_each_window() {
        let mut rng = fastrand::Rng::with_seed(3);
        for count in [1, 2, 7, 12, 25] {
            for len in 0..=count {
                let mut numbers: Vec<f64> = (0..count).map(|_| 2.0 * rng.f64() - 1.0).collect();
                numbers[count / 2] = 0.0;
                let windows = Windows::new(len, &numbers, 1e-250);
                let duals: Vec<f64> = (0..=count - len).map(|_| rng.f64()).collect();
                let starts = duals.len() - usize::from(len == 0);
                let (mut got, mut expected) = (vec![0.5; count], vec![0.5; count]);
                windows.backward(&duals[..starts], &mut got);
                for (start, dual) in duals[..starts].iter().enumerate() {
                    let window = start..start + len;
                    let product: f64 = numbers[window.clone()].iter().product();
                    assert!((windows.product(start) - product).abs() <= f64::EPSILON * len as f64 * product.abs());
                    for i in window.clone() {
                        let others = window.clone().filter(|&k| k != i).map(|k| numbers[k]);
                        expected[i] += dual * others.product::<f64>();
                    }
                }
                for (got, expected) in got.iter().zip(&expected) {
                    assert!((got - expected).abs() <= f64::EPSILON * (count * count) as f64, "{count} {len}");
                }
            }
        }
    }
}
