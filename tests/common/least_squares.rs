//! Alternating least squares by brute force: what refinement is measured against.

use std::sync::Arc;

use displace::Matrix;

/// The relative error that is left after `sweeps` sweeps over G and H of a matrix with generators, by dense normal equations
/// for each half.
pub fn alternate(start: &Matrix<f64>, entries: &[f64], sweeps: usize) -> f64 {
    let (m, n, r) = (start.rows(), start.cols(), start.rank().unwrap());
    let mut parameters = start.parameters().to_vec();
    for sweep in 0..2 * sweeps {
        let range = if sweep % 2 == 0 { 0..r * m } else { r * m..r * (m + n) };
        half_step(start, &mut parameters, range, entries);
    }
    let dense = Matrix::new(Arc::clone(start.structure()), parameters).unwrap().to_dense().unwrap();
    let square = |x: &mut dyn Iterator<Item = f64>| x.map(|x| x * x).sum::<f64>();
    let rest = square(&mut dense.iter().zip(entries).map(|(m, w)| m - w));
    (rest / square(&mut entries.iter().copied())).sqrt()
}

/// Solves for the parameters in `range`, the others fixed: M is linear in them.
fn half_step(matrix: &Matrix<f64>, parameters: &mut [f64], range: std::ops::Range<usize>, entries: &[f64]) {
    let (size, count) = (entries.len(), range.len());
    let mut columns = vec![0.0; count * size];
    let mut unit = parameters.to_vec();
    unit[range.clone()].fill(0.0);
    for (k, column) in range.clone().zip(columns.chunks_exact_mut(size)) {
        unit[k] = 1.0;
        let matrix = Matrix::new(Arc::clone(matrix.structure()), unit.clone()).unwrap();
        column.copy_from_slice(&matrix.to_dense().unwrap());
        unit[k] = 0.0;
    }
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let column = |k: usize| &columns[k * size..][..size];
    let mut normal = vec![vec![0.0; count]; count];
    for i in 0..count {
        for j in 0..=i {
            normal[i][j] = dot(column(i), column(j));
            normal[j][i] = normal[i][j];
        }
    }
    let mut right: Vec<f64> = (0..count).map(|i| dot(column(i), entries)).collect();
    let trace: f64 = (0..count).map(|i| normal[i][i]).sum();
    (0..count).for_each(|i| normal[i][i] += 1e-13 * trace / count as f64);
    // Gauss, without pivots: the matrix is positive definite.
    for i in 0..count {
        for k in i + 1..count {
            let factor = normal[k][i] / normal[i][i];
            let (head, tail) = normal.split_at_mut(k);
            tail[0][i..].iter_mut().zip(&head[i][i..]).for_each(|(x, p)| *x -= factor * p);
            right[k] -= factor * right[i];
        }
    }
    for i in (0..count).rev() {
        let known: f64 = (i + 1..count).map(|k| normal[i][k] * right[k]).sum();
        right[i] = (right[i] - known) / normal[i][i];
    }
    parameters[range].copy_from_slice(&right);
}
