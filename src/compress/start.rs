//! Where a descent starts.

use std::sync::Arc;

use super::problem::{Sum, Target, Term, dot};
use crate::ldr::{full_generators, leading_generators};
use crate::linalg::norm;
use crate::matrix::normal;
use crate::rank::Factors;
use crate::shape::Shape;
use crate::unstructured::gemm::{gemm_nn, gemm_tn};

/// The generators of the best displacement of a term's rank to that of a matrix: exact where the matrix has this rank.
pub(super) fn projection(shape: Shape, term: &Term, entries: &[f64]) -> Vec<f64> {
    let Shape { rows: m, cols: n } = shape;
    let mut displacement = entries.to_vec();
    term.map.displace(&mut displacement);
    match term.rank == m.min(n) {
        true => full_generators(&displacement, m, n),
        false => leading_generators(&displacement, m, n, term.rank),
    }
}

/// The generators of the best matrix `G Hᵀ` of a rank, in the target's norm: `U Uᵀ W` with the leading left singular vectors
/// U of what is observed of W.
fn low_rank(target: &Target, entries: &[f64], rank: usize) -> Vec<f64> {
    let Shape { rows: m, cols: n } = target.shape;
    let Some(sample) = &target.sample else {
        return leading_generators(entries, m, n, rank);
    };
    let k = sample.len() / n;
    let mut observed = vec![0.0; m * k];
    target.observe(entries, &mut observed);
    // Their lengths do not matter, only what they span; a sample may have fewer directions than the rank.
    let known = rank.min(m).min(k);
    let g = leading_generators(&observed, m, k, known);
    let mut basis = vec![0.0; rank * m];
    for (basis, g) in basis.chunks_exact_mut(m).zip(g[..known * m].chunks_exact(m)) {
        let length = norm(g);
        let scale = if length > 0.0 { length.recip() } else { 0.0 };
        basis.iter_mut().zip(g).for_each(|(b, g)| *b = g * scale);
    }
    let mut h = vec![0.0; rank * n];
    gemm_nn(&basis, entries, &mut h, [rank, m, n]);
    [basis, h].concat()
}

/// `‖W − M‖²` for the best matrices of rank 1, 2, … up to a rank.
pub(super) fn low_rank_squares(target: &Target, rank: usize) -> Vec<f64> {
    let Shape { rows: m, cols: n } = target.shape;
    let k = target.sample.as_ref().map_or(n, |sample| sample.len() / n);
    let mut observed = vec![0.0; m * k];
    target.observe(&target.entries, &mut observed);
    let known = rank.min(m).min(k);
    let factors = leading_generators(&observed, m, k, known);
    let mut left = dot(&observed, &observed);
    let triplets = factors.chunks_exact(m).take(known).map(norm).map(|root| root * root);
    let squares = triplets.chain(std::iter::repeat(0.0)).take(rank).map(|s| {
        left = (left - s * s).max(0.0);
        left
    });
    squares.collect()
}

/// Points to start from, `count` at most, the nearest first, none of them farther from W than zero is; and `‖W − M‖²` of the
/// plain projection, as it is before it is scaled.
pub(super) fn starts(target: &Target, terms: &[Term], count: usize, seed: u64) -> (Vec<Vec<f64>>, f64) {
    let shape = target.shape;
    let sum = Sum { shape, terms };
    let fit = |term: &Term, entries: &[f64]| match term.map.is_identity() {
        true => low_rank(target, entries, term.rank),
        false => projection(shape, term, entries),
    };
    let mut points = vec![one_by_one(&sum, &target.entries, false, &fit)];
    match terms {
        [term] if term.rank > 0 && !term.map.is_identity() => {
            // A matrix of rank k has displacement rank 2k, or up to 2k + 2 on a rectangle or a larger torus.
            let half = (term.rank / 2).max(1);
            points.push(from_low_rank(target, term, half));
            if half > 1 {
                points.push(from_low_rank(target, term, half - 1));
            }
            for k in 2..count {
                let mut point = vec![0.0; sum.len()];
                normal(&mut fastrand::Rng::with_seed(seed.wrapping_add(k as u64)), 1.0, &mut point);
                points.push(point);
            }
        }
        [_, _, ..] => points.push(one_by_one(&sum, &target.entries, true, &fit)),
        _ => {}
    }
    let mut projected = vec![0.0; target.entries.len()];
    let mut scratch = projected.clone();
    sum.matrix(&points[0], &mut projected, &mut scratch);
    let unscaled = target.distance(&projected);
    let scaled = points.into_iter().map(|mut point| {
        balance(&sum, &mut point);
        let square = scale(target, &sum, &mut point);
        (square, point)
    });
    let mut scaled: Vec<(f64, Vec<f64>)> = scaled.collect();
    scaled.sort_by(|a, b| a.0.total_cmp(&b.0));
    (scaled.into_iter().take(count).map(|(_, point)| point).collect(), unscaled)
}

/// The generators of the best matrix of a low rank; columns that it does not need go to what it leaves over.
fn from_low_rank(target: &Target, term: &Term, low: usize) -> Vec<f64> {
    let shape = target.shape;
    let Shape { rows: m, cols: n } = shape;
    let factors = low_rank(target, &target.entries, low);
    let (g, h) = shape.generators(low, &factors);
    let mut entries = vec![0.0; target.entries.len()];
    gemm_tn(g, h, &mut entries, [m, low, n]);
    let mut point = projection(shape, term, &entries);

    let (g, h) = shape.generators_mut(term.rank, &mut point);
    let sizes: Vec<f64> = g.chunks_exact(m).zip(h.chunks_exact(n)).map(|(g, h)| norm(g) * norm(h)).collect();
    let largest = sizes.iter().copied().fold(0.0, f64::max);
    let idle: Vec<usize> = (0..term.rank).filter(|&k| sizes[k] <= 1e-8 * largest).collect();
    if idle.is_empty() {
        return point;
    }
    let rest: Vec<f64> = target.entries.iter().zip(&entries).map(|(w, m)| w - m).collect();
    let spare = Term { map: Arc::clone(&term.map), rank: idle.len() };
    let mut fill = projection(shape, &spare, &rest);
    scale(&Target { entries: rest, ..target.clone() }, &Sum { shape, terms: &[spare] }, &mut fill);
    let (fill_g, fill_h) = shape.generators(idle.len(), &fill);
    for (from, to) in idle.into_iter().enumerate() {
        g[to * m..][..m].copy_from_slice(&fill_g[from * m..][..m]);
        h[to * n..][..n].copy_from_slice(&fill_h[from * n..][..n]);
    }
    point
}

/// Fits each term to what those before it leave over.
fn one_by_one(sum: &Sum<'_>, entries: &[f64], backwards: bool, fit: &dyn Fn(&Term, &[f64]) -> Vec<f64>) -> Vec<f64> {
    let mut rest = entries.to_vec();
    let mut parts = vec![Vec::new(); sum.terms.len()];
    let order: Vec<usize> = if backwards { (0..parts.len()).rev().collect() } else { (0..parts.len()).collect() };
    for k in order {
        let term = &sum.terms[k];
        parts[k] = fit(term, &rest);
        let alone = Sum { shape: sum.shape, terms: std::slice::from_ref(term) };
        let (mut matrix, mut scratch) = (vec![0.0; rest.len()], vec![0.0; rest.len()]);
        alone.matrix(&parts[k], &mut matrix, &mut scratch);
        let square = dot(&matrix, &matrix);
        let factor = if square > 0.0 { dot(&matrix, &rest) / square } else { 0.0 };
        // Already scaled, so that the next term does not have to repair it.
        let size = sum.shape.rows * term.rank;
        parts[k][..size].iter_mut().for_each(|g| *g *= factor_or_one(factor, sum.terms.len()));
        rest.iter_mut().zip(&matrix).for_each(|(r, m)| *r -= factor_or_one(factor, sum.terms.len()) * m);
    }
    parts.concat()
}

/// A single term is scaled later on, when its error has been noted.
fn factor_or_one(factor: f64, terms: usize) -> f64 {
    if terms > 1 { factor } else { 1.0 }
}

/// Gives G and H of each term orthogonal columns of equal length.
pub(super) fn balance(sum: &Sum<'_>, point: &mut [f64]) {
    let size = sum.shape.rows + sum.shape.cols;
    let mut rest = point;
    for term in sum.terms {
        let (part, tail) = std::mem::take(&mut rest).split_at_mut(term.rank * size);
        rest = tail;
        let (g, h) = sum.shape.generators(term.rank, part);
        let Factors { g, h, .. } = Factors::of(sum.shape, term.rank, g, h);
        part[..g.len()].copy_from_slice(&g);
        part[g.len()..].copy_from_slice(&h);
    }
}

/// Multiplies the matrix of a point by the factor that brings it nearest to W: then it is no farther than zero. Returns
/// `‖W − M‖²`.
fn scale(target: &Target, sum: &Sum<'_>, point: &mut [f64]) -> f64 {
    let size = target.entries.len();
    let (mut matrix, mut scratch) = (vec![0.0; size], vec![0.0; size]);
    sum.matrix(point, &mut matrix, &mut scratch);
    let (mut m, mut w) = (vec![0.0; target.observed_len()], vec![0.0; target.observed_len()]);
    target.observe(&matrix, &mut m);
    target.observe(&target.entries, &mut w);
    let square = dot(&m, &m);
    let factor = if square > 0.0 { dot(&m, &w) / square } else { 0.0 };
    let left = w.iter().zip(&m).map(|(w, m)| (w - factor * m).powi(2)).sum();
    let size = sum.shape.rows + sum.shape.cols;
    let root = factor.abs().sqrt();
    let mut rest = point;
    for term in sum.terms {
        let (part, tail) = std::mem::take(&mut rest).split_at_mut(term.rank * size);
        rest = tail;
        let (g, h) = sum.shape.generators_mut(term.rank, part);
        g.iter_mut().for_each(|g| *g *= root.copysign(factor));
        h.iter_mut().for_each(|h| *h *= root);
    }
    left
}
