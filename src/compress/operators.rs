//! Matrices whose operators move: all parameters of any structure, and Toeplitz-like matrices between two diagonals.

use std::ops::Range;
use std::sync::Arc;

use super::descend::Model;
use crate::matrix::{self, Reconstruction, Structure};
use crate::shape::Shape;
use crate::unstructured::gemm::{gemm_nn, gemm_nt, gemm_tn};

/// Any structure, all of its parameters at once: as fast as it writes out its entries.
#[derive(Debug)]
pub(super) struct Parameters(pub Arc<dyn Structure<f64>>);

impl Model for Parameters {
    fn groups(&self) -> Vec<Range<usize>> {
        self.0.layout().tensors().iter().map(|tensor| tensor.range.clone()).collect()
    }

    fn allows(&self, point: &[f64]) -> bool {
        self.0.check(point).is_ok()
    }

    fn matrix(&self, point: &[f64], out: &mut [f64]) {
        self.0.write_dense(matrix::Parameters(point), out);
    }

    fn pull_back(&self, point: &[f64], entries: &mut [f64], gradient: &mut [f64]) {
        gradient.fill(0.0);
        self.0.pull_back(matrix::Parameters(point), entries, gradient);
    }
}

/// Half the logarithm of the range that scales are kept to: the products of an LDR-SD matrix are fast while the ranges of
/// both sides together are below 10⁴.
const BOUND: f64 = 2.3;

/// A Toeplitz-like matrix of order max(m, n) whose rows and columns are scaled: what an LDR-SD matrix is as long as no entry of
/// its operators vanishes. A point is G, H, and for each row and each column a number u with the scale
/// `± exp(c tanh(u/c))`, which keeps its sign and its bounds whatever the descent does.
#[derive(Debug)]
pub(super) struct Scaled {
    shape: Shape,
    rank: usize,
    /// That of Toeplitz-like matrices.
    map: Arc<dyn Reconstruction>,
    /// The signs of the scales of rows and columns.
    signs: [Vec<f64>; 2],
}

/// A scale, without its sign, and its logarithmic derivative.
fn scale(u: f64) -> (f64, f64) {
    let bent = (u / BOUND).tanh();
    ((BOUND * bent).exp(), 1.0 - bent * bent)
}

impl Scaled {
    fn generators(&self) -> usize {
        self.rank * (self.shape.rows + self.shape.cols)
    }

    /// The model with the signs of these scales of rows and columns, and the point of these sizes without generators.
    pub fn new(shape: Shape, rank: usize, map: Arc<dyn Reconstruction>, scales: &[Vec<f64>; 2]) -> (Self, Vec<f64>) {
        let signs = [0, 1].map(|side: usize| scales[side].iter().map(|s| 1f64.copysign(*s)).collect());
        let model = Self { shape, rank, map, signs };
        let mut point = vec![0.0; model.generators()];
        point.extend(scales.iter().flat_map(|scales| Self::free(scales)));
        (model, point)
    }

    /// The numbers u of scales, centred and cut to what is let through.
    fn free(scales: &[f64]) -> Vec<f64> {
        let logs = || scales.iter().map(|s| s.abs().ln());
        let (least, most) = logs().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, m), x| (x.min(l), x.max(m)));
        let inside = |x: f64| ((x - 0.5 * (least + most)) / BOUND).clamp(-0.99, 0.99);
        logs().map(|x| BOUND * inside(x).atanh()).collect()
    }

    /// Takes over the generators of the LDR-SD matrix with the same operators.
    pub fn take_generators(&self, generators: &[f64], point: &mut [f64]) {
        let [rows, cols] = self.scales(point);
        let (g, h) = self.shape.generators_mut(self.rank, point);
        let (from_g, from_h) = self.shape.generators(self.rank, generators);
        for (to, from, scales) in [(g, from_g, rows), (h, from_h, cols)] {
            to.iter_mut().zip(from).zip(scales.iter().cycle()).for_each(|((to, from), s)| *to = from / s);
        }
    }

    /// The scales of the rows and of the columns.
    fn scales(&self, point: &[f64]) -> [Vec<f64>; 2] {
        let (rows, cols) = point[self.generators()..].split_at(self.shape.rows);
        let scales = |u: &[f64], signs: &[f64]| u.iter().zip(signs).map(|(&u, sign)| sign * scale(u).0).collect();
        [scales(rows, &self.signs[0]), scales(cols, &self.signs[1])]
    }

    /// Without the scales.
    fn unscaled(&self, point: &[f64], out: &mut [f64]) {
        let Shape { rows: m, cols: n } = self.shape;
        let (g, h) = self.shape.generators(self.rank, point);
        gemm_tn(g, h, out, [m, self.rank, n]);
        self.map.reconstruct(out);
    }

    /// The same matrix as G, H, A and B of [`LearnedOperators`](crate::ldr::LearnedOperators).
    pub fn parameters(&self, point: &[f64]) -> Vec<f64> {
        let Shape { rows: m, cols: n } = self.shape;
        let scales = self.scales(point);
        let mut parameters = point[..self.generators()].to_vec();
        let (g, h) = self.shape.generators_mut(self.rank, &mut parameters);
        for (generators, side, scales) in [(g, m, &scales[0]), (h, n, &scales[1])] {
            for row in generators.chunks_exact_mut(side) {
                row.iter_mut().zip(scales).for_each(|(x, s)| *x *= s);
            }
        }
        for (scales, corner) in scales.iter().zip([1.0, -1.0]) {
            let last = scales[scales.len() - 1];
            parameters.push(corner * scales[0] / last);
            parameters.extend(scales.windows(2).map(|pair| pair[1] / pair[0]));
            parameters.extend(std::iter::repeat_n(1.0, self.shape.order() - scales.len()));
        }
        parameters
    }
}

impl Model for Scaled {
    fn groups(&self) -> Vec<Range<usize>> {
        let Shape { rows: m, cols: n } = self.shape;
        let ends = [self.rank * m, self.rank * n, m, n].into_iter().scan(0, |end, len| {
            *end += len;
            Some(*end - len..*end)
        });
        ends.collect()
    }

    fn matrix(&self, point: &[f64], out: &mut [f64]) {
        self.unscaled(point, out);
        let [rows, cols] = self.scales(point);
        for (row, s) in out.chunks_exact_mut(self.shape.cols).zip(&rows) {
            row.iter_mut().zip(&cols).for_each(|(x, t)| *x *= s * t);
        }
    }

    fn pull_back(&self, point: &[f64], entries: &mut [f64], gradient: &mut [f64]) {
        let Shape { rows: m, cols: n } = self.shape;
        let [rows, cols] = self.scales(point);
        for (row, s) in entries.chunks_exact_mut(n).zip(&rows) {
            row.iter_mut().zip(&cols).for_each(|(x, t)| *x *= s * t);
        }
        let mut unscaled = vec![0.0; m * n];
        self.unscaled(point, &mut unscaled);
        let (to_generators, to_scales) = gradient.split_at_mut(self.generators());
        let (to_rows, to_cols) = to_scales.split_at_mut(m);
        to_cols.fill(0.0);
        for ((row, unscaled), to_row) in entries.chunks_exact(n).zip(unscaled.chunks_exact(n)).zip(&mut *to_rows) {
            *to_row = crate::unstructured::gemm::dot(row, unscaled);
            row.iter().zip(unscaled).zip(&mut *to_cols).for_each(|((x, m), to)| *to += x * m);
        }
        let free = &point[self.generators()..];
        to_rows.iter_mut().chain(to_cols).zip(free).for_each(|(to, &u)| *to *= scale(u).1);
        self.map.pull_back(entries);
        let (g, h) = self.shape.generators(self.rank, point);
        let (dg, dh) = self.shape.generators_mut(self.rank, to_generators);
        gemm_nt(h, entries, dg, [self.rank, n, m]);
        gemm_nn(g, entries, dh, [self.rank, m, n]);
    }
}

/// Sweeps of alternating least squares.
const SWEEPS: usize = 40;

/// Scales of rows and columns between which a matrix looks most like a Toeplitz one: those with the ratios
/// `a_i = s_i/s_{i−1}`, `b_j = t_j/t_{j−1}` that minimise `Σ (W_ij − a_i b_j W_{i−1,j−1})²`, the displacement under the
/// operators that they make; by alternating least squares, O(mn) a sweep. `None` where their range is too large to use,
/// as it is for a matrix in which no diagonal continues.
pub(super) fn scales(shape: Shape, entries: &[f64]) -> Option<[Vec<f64>; 2]> {
    let Shape { rows: m, cols: n } = shape;
    let (mut a, mut b) = (vec![1.0; m], vec![1.0; n]);
    let ratio = |along: f64, square: f64| if square > 0.0 { along / square } else { 1.0 };
    for _ in 0..SWEEPS {
        let before = b.clone();
        let (mut along, mut squares) = (vec![0.0; n], vec![0.0; n]);
        for i in 1..m {
            let (previous, row) = (&entries[(i - 1) * n..][..n - 1], &entries[i * n + 1..][..n - 1]);
            let (mut own, mut square) = (0.0, 0.0);
            for ((x, w), b) in previous.iter().zip(row).zip(&b[1..]) {
                own += w * x * b;
                square += (x * b).powi(2);
            }
            a[i] = ratio(own, square);
            for (((x, w), along), square) in previous.iter().zip(row).zip(&mut along[1..]).zip(&mut squares[1..]) {
                *along += w * x * a[i];
                *square += (x * a[i]).powi(2);
            }
        }
        b = along.iter().zip(&squares).map(|(&along, &square)| ratio(along, square)).collect();
        let change: f64 = b.iter().zip(&before).map(|(b, before)| (b - before).powi(2)).sum();
        if change <= f64::EPSILON * crate::unstructured::gemm::dot(&b, &b) {
            break;
        }
    }
    // Only a_i b_j counts: what both sides grow by together is shared out evenly.
    let [(rows, left), (cols, right)] = [a, b].map(|ratios| logarithms(&ratios));
    let shift = 0.5 * (slope(&cols) - slope(&rows));
    let turned = |logs: &[f64], shift: f64| (0..logs.len()).map(|i| logs[i] + shift * i as f64).collect::<Vec<f64>>();
    let flat = |logs: &[f64]| turned(logs, -slope(logs));
    let fits = |logs: &[f64]| {
        let (least, most) = logs.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, m), &x| (x.min(l), x.max(m)));
        most - least < 2.0 * BOUND
    };
    // Least squares makes a noisy ratio too small, and a trend of many: without it the rest may be of use.
    let choices = [[turned(&rows, shift), turned(&cols, -shift)], [flat(&rows), flat(&cols)]];
    let [rows, cols] = choices.into_iter().find(|choice| choice.iter().all(|logs| fits(logs)))?;
    let signed = |logs: Vec<f64>, signs: Vec<f64>| logs.iter().zip(signs).map(|(x, sign)| sign * x.exp()).collect();
    Some([signed(rows, left), signed(cols, right)])
}

/// The logarithms and the signs of the products of ratios; the first ratio does not count.
fn logarithms(ratios: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let (mut log, mut sign) = (0.0, 1.0);
    let both = ratios[1..].iter().map(|ratio| {
        log += ratio.abs().max(f64::MIN_POSITIVE).ln();
        sign *= 1f64.copysign(*ratio);
        (log, sign)
    });
    std::iter::once((0.0, 1.0)).chain(both).unzip()
}

/// The slope of the line through the ends.
fn slope(logs: &[f64]) -> f64 {
    (logs[logs.len() - 1] - logs[0]) / (logs.len() - 1).max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Builder;
    use crate::matrix::Family;

    fn random(len: usize, seed: u64) -> Vec<f64> {
        let mut rng = fastrand::Rng::with_seed(seed);
        (0..len).map(|_| 2.0 * rng.f64() - 1.0).collect()
    }

    fn scaled(shape: Shape, rank: usize) -> Scaled {
        let Shape { rows, cols } = shape;
        let toeplitz = crate::ldr::ToeplitzLike::<f64>::with_order(rows, cols, rank, shape.order()).unwrap();
        let signs = [rows, cols].map(|side| random(side, 5).iter().map(|x| x.signum()).collect());
        Scaled { shape, rank, map: toeplitz.reconstruction(matrix::Parameters(&[])).unwrap(), signs }
    }

    #[test]
    fn scaled_toeplitz_like_matrices_are_those_of_subdiagonal_operators() {
        for (rows, cols) in [(1, 1), (2, 5), (7, 7), (9, 4)] {
            let (shape, rank) = (Shape { rows, cols }, rows.min(cols).min(2));
            let model = scaled(shape, rank);
            let point = random((rank + 1) * (rows + cols), 3);
            let (mut expected, mut got) = (vec![0.0; rows * cols], vec![0.0; rows * cols]);
            model.matrix(&point, &mut expected);
            let learned = Builder::new(Family::LearnedSubdiagonal, rows, cols).rank(rank).structure::<f64>().unwrap();
            learned.write_dense(matrix::Parameters(&model.parameters(&point)), &mut got);
            let error = got.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(error < 1e-13, "{rows}×{cols}: {error:e}");
        }
    }

    #[test]
    fn gradients_are_those_of_differences() {
        let shape = Shape { rows: 6, cols: 8 };
        let learned = Builder::new(Family::LearnedTridiagonal, 6, 8).rank(2).build::<f64>().unwrap();
        let models: [(Box<dyn Model>, Vec<f64>); 2] = [
            (Box::new(scaled(shape, 2)), random(3 * 14, 1)),
            (Box::new(Parameters(Arc::clone(learned.structure()))), learned.parameters().to_vec()),
        ];
        for (model, point) in models {
            let weights = random(48, 2);
            let loss = |point: &[f64]| {
                let mut matrix = vec![0.0; 48];
                model.matrix(point, &mut matrix);
                crate::unstructured::gemm::dot(&matrix, &weights)
            };
            let mut gradient = vec![f64::NAN; point.len()];
            model.pull_back(&point, &mut weights.clone(), &mut gradient);
            assert_eq!(model.groups().last().unwrap().end, point.len());
            for k in 0..point.len() {
                let at = |h: f64| {
                    let mut moved = point.clone();
                    moved[k] += h;
                    loss(&moved)
                };
                let difference = (at(1e-5) - at(-1e-5)) / 2e-5;
                assert!((difference - gradient[k]).abs() < 1e-7, "{k}: {difference} {}", gradient[k]);
            }
        }
    }

    #[test]
    fn the_scales_of_a_scaled_toeplitz_matrix_are_found() {
        let (m, n) = (15, 20);
        let shape = Shape { rows: m, cols: n };
        let symbol = random(m + n, 1);
        // Signs, and sizes between ½ and 2.
        let [s, t] =
            [random(m, 2), random(n, 3)].map(|x| x.iter().map(|x| x.signum() * 2f64.powf(*x)).collect::<Vec<_>>());
        let entries: Vec<f64> = (0..m * n).map(|k| s[k / n] * symbol[n + k / n - k % n] * t[k % n]).collect();
        let [rows, cols] = scales(shape, &entries).unwrap();
        let entry = |i: usize, j: usize| entries[i * n + j] / (rows[i] * cols[j]);
        for i in 1..m {
            for j in 1..n {
                let (here, before) = (entry(i, j), entry(i - 1, j - 1));
                assert!((here - before).abs() < 1e-6 * (here.abs() + 1e-3), "({i}, {j}): {here} {before}");
            }
        }
    }
}
