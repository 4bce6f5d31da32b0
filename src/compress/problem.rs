//! What is to be approximated, and how far a sum of generated matrices is from it.

use std::sync::Arc;

use crate::linalg::{largest, qr};
use crate::matrix::Reconstruction;
use crate::shape::Shape;
use crate::unstructured::gemm::{gemm_nn, gemm_nt, gemm_tn};

/// A dense m×n matrix W, and the norm in which it is approximated: Frobenius, or that of what it does to a sample of inputs.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub shape: Shape,
    pub entries: Vec<f64>,
    /// F, k×n with k ≤ n, with `FᵀF = XᵀX` for the inputs X (one a row): `‖E Xᵀ‖ = ‖E Fᵀ‖`.
    pub sample: Option<Vec<f64>>,
}

impl Target {
    /// Takes inputs, one a row. More than n of them are condensed by a QR factorization, O(k n²).
    pub fn set_inputs(&mut self, inputs: &[f64]) {
        let n = self.shape.cols;
        let k = inputs.len() / n;
        self.sample = Some(if k > n { qr(inputs, k, n).r } else { inputs.to_vec() });
    }

    /// Whether the products with these inputs are zero, and not only too small.
    pub fn vanishes_on(&self, inputs: &[f64]) -> bool {
        let to_one = |numbers: &[f64]| {
            let largest = largest(numbers).max(f64::MIN_POSITIVE);
            numbers.iter().map(|x| x / largest).collect::<Vec<f64>>()
        };
        let mut scaled = Self { shape: self.shape, entries: to_one(&self.entries), sample: None };
        scaled.set_inputs(&to_one(inputs));
        scaled.square(&scaled.entries) <= f64::EPSILON.powi(2)
    }

    /// Rows of F, or n without a sample: the columns of what is observed of a matrix.
    fn observed_cols(&self) -> usize {
        self.sample.as_ref().map_or(self.shape.cols, |f| f.len() / self.shape.cols)
    }

    /// Numbers that are observed of a matrix.
    pub fn observed_len(&self) -> usize {
        self.shape.rows * self.observed_cols()
    }

    /// What is observed of a matrix E: `E Fᵀ`, or E itself.
    pub fn observe(&self, matrix: &[f64], observed: &mut [f64]) {
        let Shape { rows: m, cols: n } = self.shape;
        match &self.sample {
            Some(f) => gemm_nt(matrix, f, observed, [m, n, f.len() / n]),
            None => observed.copy_from_slice(matrix),
        }
    }

    /// What is observed of a matrix, which is the matrix itself where there is no sample; `buffer` holds it otherwise.
    pub fn observed<'a>(&self, matrix: &'a [f64], buffer: &'a mut [f64]) -> &'a [f64] {
        if self.sample.is_none() {
            return matrix;
        }
        self.observe(matrix, buffer);
        buffer
    }

    /// The transpose of [`Self::observe`].
    fn pull_back(&self, observed: &[f64], matrix: &mut [f64]) {
        let Shape { rows: m, cols: n } = self.shape;
        match &self.sample {
            Some(f) => gemm_nn(observed, f, matrix, [m, f.len() / n, n]),
            None => matrix.copy_from_slice(observed),
        }
    }

    /// `‖E‖²` in this norm.
    pub fn square(&self, matrix: &[f64]) -> f64 {
        let mut observed = vec![0.0; self.observed_len()];
        self.observe(matrix, &mut observed);
        dot(&observed, &observed)
    }

    /// `‖W − M‖²` in this norm.
    pub fn distance(&self, matrix: &[f64]) -> f64 {
        let rest: Vec<f64> = self.entries.iter().zip(matrix).map(|(w, m)| w - m).collect();
        self.square(&rest)
    }

    /// What is observed of `M − W`.
    pub fn residual(&self, matrix: &[f64], residual: &mut [f64]) {
        let rest = self.entries.iter().zip(matrix).map(|(w, m)| m - w);
        if self.sample.is_none() {
            return residual.iter_mut().zip(rest).for_each(|(r, rest)| *r = rest);
        }
        self.observe(&rest.collect::<Vec<f64>>(), residual);
    }

    /// The gradient in the entries of M of `½‖R‖²` for the residual R, into `gradient`.
    pub fn gradient(&self, residual: &[f64], gradient: &mut [f64]) {
        self.pull_back(residual, gradient);
    }
}

/// One summand `L(G Hᵀ)` of rank r.
#[derive(Debug, Clone)]
pub(super) struct Term {
    pub map: Arc<dyn Reconstruction>,
    pub rank: usize,
}

/// `Σ_t L_t(G_t H_tᵀ)`; a point is the generators of all terms, one after another.
#[derive(Debug, Clone)]
pub(super) struct Sum<'a> {
    pub shape: Shape,
    pub terms: &'a [Term],
}

impl<'a> Sum<'a> {
    /// Numbers in a point.
    pub fn len(&self) -> usize {
        self.terms.iter().map(|term| term.rank).sum::<usize>() * (self.shape.rows + self.shape.cols)
    }

    /// Each term with its part of a point.
    pub fn parts<'p>(&self, point: &'p [f64]) -> impl Iterator<Item = (&'a Term, &'p [f64])> + use<'a, 'p> {
        let size = self.shape.rows + self.shape.cols;
        let mut rest = point;
        self.terms.iter().map(move |term| {
            let (part, tail) = rest.split_at(term.rank * size);
            rest = tail;
            (term, part)
        })
    }

    /// The matrix of a point.
    pub fn matrix(&self, point: &[f64], out: &mut [f64], scratch: &mut [f64]) {
        self.accumulate(self.parts(point).map(|(term, part)| (term, part.to_vec(), term.rank)), out, scratch);
    }

    /// The first and second derivative of the matrix along a direction, the second one halved: with `M(a)` the matrix
    /// at `p + a d`, `M(a) = M + a M₁ + a² M₂`.
    pub fn derivatives(
        &self,
        point: &[f64],
        direction: &[f64],
        first: &mut [f64],
        second: &mut [f64],
        scratch: &mut [f64],
    ) {
        let shape = self.shape;
        let both = self.parts(point).zip(self.parts(direction));
        let mixed = both.map(|((term, p), (_, d))| {
            let ((g, h), (dg, dh)) = (shape.generators(term.rank, p), shape.generators(term.rank, d));
            (term, [dg, g, h, dh].concat(), 2 * term.rank)
        });
        self.accumulate(mixed, first, scratch);
        self.matrix(direction, second, scratch);
    }

    /// The sum of `L(G Hᵀ)` over terms with generators of any rank.
    fn accumulate(
        &self,
        terms: impl Iterator<Item = (&'a Term, Vec<f64>, usize)>,
        out: &mut [f64],
        scratch: &mut [f64],
    ) {
        let Shape { rows: m, cols: n } = self.shape;
        let mut first = true;
        for (term, generators, rank) in terms.filter(|(_, _, rank)| *rank > 0) {
            let (g, h) = self.shape.generators(rank, &generators);
            let target = if first { &mut *out } else { &mut *scratch };
            gemm_tn(g, h, target, [m, rank, n]);
            term.map.reconstruct(target);
            if !first {
                out.iter_mut().zip(&*scratch).for_each(|(out, x)| *out += x);
            }
            first = false;
        }
        if first {
            out.fill(0.0);
        }
    }

    /// The gradient at a point from that in the entries, which is left undefined.
    pub fn pull_back(&self, point: &[f64], entries: &mut [f64], gradient: &mut [f64], scratch: &mut [f64]) {
        let Shape { rows: m, cols: n } = self.shape;
        let last = self.terms.len().saturating_sub(1);
        let mut rest = gradient;
        for (k, (term, part)) in self.parts(point).enumerate() {
            let (own, tail) = std::mem::take(&mut rest).split_at_mut(part.len());
            rest = tail;
            if term.rank == 0 {
                continue;
            }
            let adjoint = if k == last {
                &mut *entries
            } else {
                scratch.copy_from_slice(entries);
                &mut *scratch
            };
            term.map.pull_back(adjoint);
            let (g, h) = self.shape.generators(term.rank, part);
            let (dg, dh) = self.shape.generators_mut(term.rank, own);
            gemm_nt(h, adjoint, dg, [term.rank, n, m]);
            gemm_nn(g, adjoint, dh, [term.rank, m, n]);
        }
    }
}

/// The inner product.
pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    crate::unstructured::gemm::dot(a, b)
}
