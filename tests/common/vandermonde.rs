//! What the tests of Vandermonde-like matrices share, of real nodes and of nodes on the unit circle.

use displace::{Builder, Family, Init, Matrix, PathChoice, Scalar, Workspace};

use crate::common::*;

/// The bars.
pub fn limit<T: Scalar>() -> f64 {
    if T::NAME == "f32" { 2e-5 } else { 1e-11 }
}

/// The same numbers in f64.
pub fn wide<T: Scalar>(values: &[T]) -> Vec<f64> {
    values.iter().map(|v| v.wide()).collect()
}

/// `Σ_b dy_i x_k`: the gradient in the entries.
pub fn outer<T: Scalar>(x: &[T], dy: &[T], n: usize, m: usize) -> Vec<f64> {
    let mut outer = vec![0.0; m * n];
    for (x, dy) in x.chunks(n).zip(dy.chunks(m)) {
        for (row, dy) in outer.chunks_mut(n).zip(dy) {
            row.iter_mut().zip(x).for_each(|(o, x)| *o += dy.wide() * x.wide());
        }
    }
    outer
}

/// Products and gradients on both paths, for a matrix of these entries in f64 and a batch with this gradient in the parameters.
pub fn check_paths<T: Scalar>(mut matrix: Matrix<T>, dense: &[f64], [x, dy]: [&[T]; 2], gradient: &[f64], case: &str) {
    let (m, n) = (matrix.rows(), matrix.cols());
    let (y, dx) = (product(dense, x, n), product(&transpose(dense, n), dy, m));
    let (x_size, dy_size) = (norm(&wide(x)) * norm(dense), norm(&wide(dy)) * norm(dense));
    // Gradients add up terms that may cancel, `dy_i ∂M_ik x_k` over the examples, with `∂M_ik = k M_ik` for nodes, and
    // M_ik over a number for generators: about the size of such sums that do not.
    let all = norm(&wide(x)) * norm(&wide(dy)) * norm(dense);
    let size = |name: &str, parameters: &[T]| match name {
        "G" => all / norm(&wide(parameters)) / (x.len() as f64).sqrt(),
        "H" => all / norm(&wide(parameters)) / (dy.len() as f64).sqrt(),
        _ => all * (n as f64 / dy.len().max(1) as f64).sqrt(),
    };
    let mut workspace = Workspace::new();
    for path in [PathChoice::Fast, PathChoice::Dense] {
        matrix.set_path(path);
        let what = |op: &str| format!("{op}, {} {m}×{n}, {case}, {path:?}", T::NAME);
        assert_close(&matrix.to_dense().unwrap(), dense, limit::<T>(), norm(dense), &what("entries"));
        assert_close(&matrix.apply(x).unwrap(), &y, limit::<T>(), x_size, &what("product"));
        assert_close(&matrix.apply_transposed(dy).unwrap(), &dx, limit::<T>(), dy_size, &what("transposed"));
        let (mut got, mut got_dx) = (vec![T::zero(); gradient.len()], vec![T::one(); x.len()]);
        matrix.backward(x, dy, Some(&mut got_dx), &mut got, &mut workspace).unwrap();
        assert_close(&got_dx, &dx, limit::<T>(), dy_size, &what("gradient in x"));
        for tensor in matrix.layout().tensors() {
            let (got, expected) = (&got[tensor.range.clone()], &gradient[tensor.range.clone()]);
            let size = size(tensor.name, &matrix.parameters()[tensor.range.clone()]);
            let largest = norm(expected).max(0.1 * norm(gradient) / (n as f64).sqrt()).max(size);
            assert_close(got, expected, limit::<T>(), largest, &what(tensor.name));
        }
        let mut alone = vec![T::zero(); gradient.len()];
        matrix.backward(x, dy, None, &mut alone, &mut workspace).unwrap();
        assert_eq!(got, alone);
    }
}

/// Central differences of `Σ dy ⊙ y` in every parameter: the truncation error is O(step²), the rounding error
/// O(ε/step).
pub fn check_differences(mut matrix: Matrix<f64>, step: f64, tolerance: f64) {
    let (m, n) = (matrix.rows(), matrix.cols());
    let (x, dy) = (random::<f64>(3 * n, 1), random::<f64>(3 * m, 2));
    matrix.set_path(PathChoice::Fast);
    let mut gradient = vec![0.0; matrix.parameters().len()];
    matrix.backward(&x, &dy, None, &mut gradient, &mut Workspace::new()).unwrap();
    let base = matrix.parameters().to_vec();
    for k in 0..base.len() {
        let mut loss = |sign: f64| {
            matrix.update(|p| p[k] = base[k] + sign * step).unwrap();
            let y = matrix.apply(&x).unwrap();
            y.iter().zip(&dy).map(|(y, d)| y * d).sum::<f64>()
        };
        let difference = (loss(1.0) - loss(-1.0)) / (2.0 * step);
        matrix.update(|p| p.copy_from_slice(&base)).unwrap();
        let error = (difference - gradient[k]).abs();
        assert!(error <= tolerance * (norm(&gradient) + 1.0), "parameter {k}: {difference} and {}", gradient[k]);
    }
}

/// The mean squares of rows over many builds are the variance asked for.
pub fn check_rows_variances(family: Family, m: usize, n: usize, rank: usize) {
    let mut sums = vec![0.0; m];
    let builds = 200;
    for seed in 0..builds {
        let builder = Builder::new(family, m, n).rank(rank).seed(seed).init(Init::Variance(3.0));
        let dense = builder.build::<f64>().unwrap().to_dense().unwrap();
        for (sum, row) in sums.iter_mut().zip(dense.chunks(n)) {
            *sum += row.iter().map(|e| e * e).sum::<f64>() / n as f64;
        }
    }
    // A row's mean square has heavy tails: within a factor of two after 200 builds, a tenth on average over rows.
    let variances: Vec<f64> = sums.iter().map(|sum| sum / builds as f64).collect();
    assert!(variances.iter().all(|v| (1.5..6.0).contains(v)), "{variances:?}");
    let mean = variances.iter().sum::<f64>() / m as f64;
    assert!((mean - 3.0).abs() < 0.3, "{mean}");
}
