//! A subdiagonal operator as a scaled shift, `A = S Z_f S⁻¹`, and the way of gradients back to its weights.
//!
//! For weights w_i below the diagonal and w_0 in the corner, `s_i = w_1 ⋯ w_i` and `f = w_0 w_1 ⋯ w_{N−1}`: the
//! gradient in ln w_i is that in ln f and those in ln s_i, ln s_{i+1}, … together.

use crate::Scalar;
use crate::transform::isa::{Isa, Kernel, lanes, lanes_mut};

/// An operator as a scaled shift.
#[derive(Debug)]
pub(super) struct Scaling<T> {
    /// The numbers s_i.
    pub s: Vec<f64>,
    /// The numbers 1/s_i and 1/w_i: a division takes longer than all else that is done with an element.
    pub unscale: Vec<T>,
    unweigh: Vec<T>,
    /// `w_0 ⋯ w_{N−1}`.
    pub f: f64,
    /// `w_1 ⋯ w_{N−1}`.
    product: f64,
}

impl<T> Default for Scaling<T> {
    fn default() -> Self {
        Self { s: Vec::new(), unscale: Vec::new(), unweigh: Vec::new(), f: 0.0, product: 0.0 }
    }
}

impl<T: Scalar> Scaling<T> {
    /// Takes up the numbers w_i; returns their [range](Self::range).
    pub fn take_up(&mut self, weights: &[T]) -> f64 {
        let mut product = 1.0;
        self.s.clear();
        self.s.push(product);
        self.s.extend(weights[1..].iter().map(|w| {
            product *= w.wide();
            product
        }));
        (self.f, self.product) = (product * weights[0].wide(), product);
        self.range()
    }

    /// Computes the reciprocals.
    pub fn invert(&mut self, weights: &[T]) {
        self.unscale.clear();
        self.unscale.extend(self.s.iter().map(|s| T::of(s.recip())));
        self.unweigh.clear();
        self.unweigh.extend(weights.iter().map(|w| w.recip()));
        // The gradient in the corner needs no division, so that it may be zero.
        self.unweigh[0] = T::zero();
    }

    /// By how much rounding errors can grow; infinite or not a number where a power under- or overflows.
    fn range(&self) -> f64 {
        let (mut least, mut most) = ([f64::INFINITY; 8], [0.0; 8]);
        for s in self.s.chunks(8) {
            for ((least, most), s) in least.iter_mut().zip(&mut most).zip(s) {
                *least = if s.abs() < *least { s.abs() } else { *least };
                *most = if s.abs() > *most { s.abs() } else { *most };
            }
        }
        let least = least.into_iter().fold(f64::INFINITY, f64::min);
        let most = most.into_iter().fold(0.0, f64::max);
        most / least * self.f.abs().max(1.0)
    }

    /// Adds the gradients in the weights, given those in `ln s_i` (zero for those not given) and in f.
    pub fn add_weight_gradients(&self, logs: &[T], corner: T, gradient: &mut [T]) {
        gradient[0] += corner * T::of(self.product);
        T::run(Suffixes { logs, last: corner * T::of(self.f), unweigh: &self.unweigh, gradient });
    }
}

/// The way back through the kernel of a generator, `u = S⁻¹ g` and, wrapped around, `−f u` from place 1 on.
pub(super) struct Unscale<'a, T> {
    /// The gradient in the kernel, but for a factor `gain`.
    pub head: &'a [T],
    pub wrapped: &'a [T],
    pub gain: T,
    pub f: T,
    pub unscale: &'a [T],
    pub generator: &'a [T],
    /// Added to: the gradients in the generator, in `ln s_i` and in f.
    pub d_generator: &'a mut [T],
    pub logs: &'a mut [T],
    pub corner: &'a mut T,
}

impl<T: Scalar> Kernel<T> for Unscale<'_, T> {
    #[inline(always)]
    fn run<I: Isa<T>>(self, isa: I) {
        let Self { head, wrapped, gain, f, unscale, generator, d_generator, logs, corner } = self;
        let row = generator.len();
        let whole = row - row % T::LANES;
        for i in whole..row {
            let unscale = gain * unscale[i];
            let d = (head[i] - f * wrapped[i]) * unscale;
            d_generator[i] += d;
            logs[i] -= d * generator[i];
            *corner -= wrapped[i] * unscale * generator[i];
        }
        let (gain, f, mut d_f) = (isa.splat(gain), isa.splat(f), isa.splat(T::zero()));
        let from = [head, wrapped, unscale, generator].map(|numbers| lanes::<T>(&numbers[..whole]));
        let [d_generator, logs] = [d_generator, logs].map(|numbers| lanes_mut::<T>(&mut numbers[..whole]));
        for (i, (d_generator, logs)) in d_generator.iter_mut().zip(logs).enumerate() {
            let [head, wrapped, unscale, generator] = from.map(|lanes| isa.load(&lanes[i]));
            let unscale = isa.mul(gain, unscale);
            let d = isa.mul(isa.neg_mul_add(f, wrapped, head), unscale);
            d_f = isa.neg_mul_add(wrapped, isa.mul(unscale, generator), d_f);
            let (sum, log) = (isa.add(isa.load(d_generator), d), isa.neg_mul_add(d, generator, isa.load(logs)));
            isa.store(d_generator, sum);
            isa.store(logs, log);
        }
        let mut lane: T::Lane = bytemuck::Zeroable::zeroed();
        isa.store(&mut lane, d_f);
        *corner += lane.as_ref().iter().copied().sum();
    }
}

/// Adds to the gradients in w_i `Σ_{k ≥ i} logs_k + last`, over w_i.
struct Suffixes<'a, T> {
    logs: &'a [T],
    last: T,
    unweigh: &'a [T],
    gradient: &'a mut [T],
}

impl<T: Scalar> Kernel<T> for Suffixes<'_, T> {
    #[inline(always)]
    fn run<I: Isa<T>>(self, isa: I) {
        let Self { logs, last, unweigh, gradient } = self;
        let (tile, row) = (T::LANES * T::LANES, logs.len());
        let whole = row - row % tile;
        for (d, &unweigh) in gradient.iter_mut().zip(unweigh).skip(row) {
            *d += last * unweigh;
        }
        let mut total = last;
        for i in (whole..row).rev() {
            total += logs[i];
            gradient[i] += total * unweigh[i];
        }
        let tiles =
            gradient[..whole].chunks_exact_mut(tile).zip(unweigh.chunks_exact(tile)).zip(logs.chunks_exact(tile));
        for ((gradient, unweigh), logs) in tiles.rev() {
            let (sums, sum) = tile_suffixes::<T, I>(isa, lanes::<T>(logs), total);
            total += sum;
            let registers = lanes_mut::<T>(gradient).iter_mut().zip(lanes::<T>(unweigh)).zip(sums.as_ref());
            for ((d, unweigh), &sum) in registers {
                let d_new = isa.mul_add(sum, isa.load(unweigh), isa.load(d));
                isa.store(d, d_new);
            }
        }
    }
}

/// The sums of each element of a tile, all behind it, and `last`; and the sum of all elements. A serial sum would wait for each
/// addition in turn.
#[inline(always)]
fn tile_suffixes<T: Scalar, I: Isa<T>>(isa: I, logs: &[T::Lane], last: T) -> (T::Tile<I::V>, T) {
    let zero = isa.splat(T::zero());
    let (mut tile, mut sum) = (T::tile(zero), zero);
    tile.as_mut().iter_mut().zip(logs).for_each(|(register, logs)| *register = isa.load(logs));
    // Neighbours in a register become neighbouring registers, and a register a lane.
    isa.transpose(&mut tile);
    for register in tile.as_mut().iter_mut().rev() {
        sum = isa.add(sum, *register);
        *register = sum;
    }
    let (mut behind, mut total): (T::Lane, T) = (bytemuck::Zeroable::zeroed(), T::zero());
    isa.store(&mut behind, sum);
    for behind in behind.as_mut().iter_mut().rev() {
        (*behind, total) = (total, total + *behind);
    }
    let behind = isa.add(isa.load(&behind), isa.splat(last));
    tile.as_mut().iter_mut().for_each(|register| *register = isa.add(*register, behind));
    isa.transpose(&mut tile);
    (tile, total)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every length up to some tiles, and fewer logarithms than weights.
    #[test]
    fn weight_gradients_are_suffix_sums() {
        let mut rng = fastrand::Rng::with_seed(5);
        for n in (1..40_usize).chain([63, 64, 65, 130]) {
            for row in [1, n.div_ceil(2), n] {
                let weights: Vec<f64> = (0..n).map(|_| 0.5 + rng.f64()).collect();
                let logs: Vec<f64> = (0..row).map(|_| rng.f64() - 0.5).collect();
                let mut scaling = Scaling::default();
                scaling.take_up(&weights);
                scaling.invert(&weights);
                let mut got = vec![1.0; n];
                scaling.add_weight_gradients(&logs, 0.3, &mut got);
                for (i, got) in got.iter().enumerate() {
                    let sum = if i == 0 { 0.0 } else { logs.iter().skip(i).sum() };
                    let expected = 1.0 + (sum + 0.3 * scaling.f) / weights[i];
                    assert!(
                        (got - expected).abs() < 50.0 * f64::EPSILON * n as f64 * expected.abs().max(1.0),
                        "n = {n}, row = {row}, i = {i}"
                    );
                }
            }
        }
    }
}
