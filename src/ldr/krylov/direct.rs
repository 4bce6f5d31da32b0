//! Krylov products by the recurrence itself: O(N²) for each generator, stable for every operator.
//!
//! The rows `A^k g` are computed a run at a time, and multiplied with the whole group of examples in one GEMM; the
//! backward pass keeps the first row of each run and goes through the runs from the last to the first.

use super::band::{Band, BandGradient};
use crate::matrix::take;
use crate::unstructured::gemm::{gemm_nn, gemm_nt, gemm_tn};

/// Krylov rows in a run.
const RUN: usize = 64;

/// A direct product with `K(A, g_1), …, K(A, g_r)`, each N×N and stored one Krylov vector a row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Direct<'a> {
    pub order: usize,
    pub band: Band<'a>,
    /// The generators, N numbers each.
    pub generators: &'a [f64],
}

impl Direct<'_> {
    fn runs(order: usize) -> impl DoubleEndedIterator<Item = (usize, usize)> {
        (0..order.div_ceil(RUN)).map(move |run| (run * RUN, RUN.min(order - run * RUN)))
    }

    /// Numbers of scratch for groups of up to `group` examples.
    pub fn scratch_len(order: usize, group: usize) -> usize {
        (2 * RUN + order.div_ceil(RUN) + 3 + group) * order + 2 * group * RUN
    }

    /// `t_jk = ⟨A^k g_j, y⟩` for each example, r×N numbers each.
    pub fn transposed(self, y: &[f64], t: &mut [f64], mut scratch: &mut [f64]) {
        let (n, group) = (self.order, y.len() / self.order);
        let rank = self.generators.len() / n;
        let rows = take(&mut scratch, RUN * n);
        let products = take(&mut scratch, group * RUN);
        let [v, next] = [(); 2].map(|()| take(&mut scratch, n));
        for (j, g) in self.generators.chunks_exact(n).enumerate() {
            v.copy_from_slice(g);
            for (start, len) in Self::runs(n) {
                self.band.krylov(v, &mut rows[..len * n], next);
                v.copy_from_slice(next);
                let products = &mut products[..group * len];
                gemm_nt(y, &rows[..len * n], products, [group, n, len]);
                for (example, products) in products.chunks_exact(len).enumerate() {
                    t[(example * rank + j) * n + start..][..len].copy_from_slice(products);
                }
            }
        }
    }

    /// `y = Σ_jk t_jk A^k g_j` for each example.
    pub fn forward(self, t: &[f64], y: &mut [f64], mut scratch: &mut [f64]) {
        let (n, group) = (self.order, y.len() / self.order);
        let rank = self.generators.len() / n;
        let rows = take(&mut scratch, RUN * n);
        let factors = take(&mut scratch, group * RUN);
        let sums = &mut take(&mut scratch, group * n)[..y.len()];
        let [v, next] = [(); 2].map(|()| take(&mut scratch, n));
        y.fill(0.0);
        for (j, g) in self.generators.chunks_exact(n).enumerate() {
            v.copy_from_slice(g);
            for (start, len) in Self::runs(n) {
                self.band.krylov(v, &mut rows[..len * n], next);
                v.copy_from_slice(next);
                let factors = gather(t, factors, [group, rank, n], [j, start, len]);
                gemm_nn(factors, &rows[..len * n], sums, [group, len, n]);
                y.iter_mut().zip(&*sums).for_each(|(y, s)| *y += s);
            }
        }
    }

    /// Adds the gradient of `Σ ⟨y, Σ_jk t_jk A^k g_j⟩` over the examples, in the generators and in the band.
    pub fn gradient(self, t: &[f64], y: &[f64], generators: &mut [f64], band: &mut [f64], mut scratch: &mut [f64]) {
        let (n, group) = (self.order, y.len() / self.order);
        let rank = self.generators.len() / n;
        let [rows, rows_gradient] = [(); 2].map(|()| take(&mut scratch, RUN * n));
        let firsts = take(&mut scratch, n.div_ceil(RUN) * n);
        let factors = take(&mut scratch, group * RUN);
        let [dual, next] = [(); 2].map(|()| take(&mut scratch, n));
        let mut band_gradient = BandGradient::of(band);
        for (j, (g, dg)) in self.generators.chunks_exact(n).zip(generators.chunks_exact_mut(n)).enumerate() {
            next.copy_from_slice(g);
            for ((_, len), first) in Self::runs(n).zip(firsts.chunks_exact_mut(n)) {
                first.copy_from_slice(next);
                self.band.krylov(first, &mut rows[..len * n], next);
            }
            dual.fill(0.0);
            for (start, len) in Self::runs(n).rev() {
                self.band.krylov(&firsts[start / RUN * n..][..n], &mut rows[..len * n], next);
                let factors = gather(t, factors, [group, rank, n], [j, start, len]);
                gemm_tn(factors, y, &mut rows_gradient[..len * n], [len, group, n]);
                let rows_gradient = &mut rows_gradient[..len * n];
                self.band.krylov_backward(&rows[..len * n], rows_gradient, dual, &mut band_gradient);
            }
            dg.iter_mut().zip(&*dual).for_each(|(d, w)| *d += w);
        }
    }
}

/// The part `start..start + len` of row j of each example, one example a row.
fn gather<'a>(
    t: &[f64],
    factors: &'a mut [f64],
    [group, rank, n]: [usize; 3],
    [j, start, len]: [usize; 3],
) -> &'a [f64] {
    let factors = &mut factors[..group * len];
    for (example, factors) in factors.chunks_exact_mut(len).enumerate() {
        factors.copy_from_slice(&t[(example * rank + j) * n + start..][..len]);
    }
    factors
}
