//! Cauchy and Cauchy-like matrices, with nodes of every kind, against their definition in f64.
//!
//! Tolerances are relative in norm, 1e-11 in f64 and 2e-5 in f32, at the nodes as rounded to the number type. Where
//! m + n nodes follow from gaps that are summed, their rounding to f32 moves entries by 4(m + n)ε of themselves, since
//! gaps are no smaller than half their mean here, and squares by twice that; that is allowed for in gradients.

#[path = "common/families.rs"]
#[allow(dead_code)]
mod common;

use std::sync::Arc;

use common::*;
use displace::displacement::{Diagonal, DisplacementOperator, Sylvester};
use displace::ldr::CauchyLike;
use displace::structured::{Cauchy, CauchyNodes};
use displace::{Builder, Error, Family, Init, Matrix, PathChoice, Scalar, Structure, Workspace};
use proptest::prelude::*;

fn tolerance<T: Scalar>() -> f64 {
    if T::NAME == "f32" { 2e-5 } else { 1e-11 }
}

/// Nodes that are evenly interleaved but for jitter, in random order; every third pair almost touches.
fn nodes<T: Scalar>(m: usize, n: usize, gap: f64, seed: u64) -> (Vec<T>, Vec<T>) {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut s: Vec<T> = (0..m).map(|i| T::of((i as f64 + 0.4 * rng.f64()) / m as f64 + 0.5)).collect();
    let mut t: Vec<T> = (0..n).map(|j| T::of((j as f64 + 0.5 + 0.4 * rng.f64()) / n as f64 + 0.5)).collect();
    for k in (0..m.min(n)).step_by(3) {
        t[k] = T::of(s[k].wide() * (1.0 + gap));
    }
    rng.shuffle(&mut s);
    rng.shuffle(&mut t);
    (s, t)
}

/// Everything in f64: nodes and generators.
struct Reference {
    s: Vec<f64>,
    t: Vec<f64>,
    g: Vec<f64>,
    h: Vec<f64>,
}

impl Reference {
    fn new<T: Scalar>(s: &[T], t: &[T], g: &[T], h: &[T]) -> Self {
        let [s, t, g, h] = [s, t, g, h].map(|v| v.iter().map(|v| v.wide()).collect());
        Self { s, t, g, h }
    }

    fn low_rank(&self, i: usize, j: usize) -> f64 {
        let (m, n) = (self.s.len(), self.t.len());
        self.g.iter().skip(i).step_by(m).zip(self.h.iter().skip(j).step_by(n)).map(|(g, h)| g * h).sum()
    }

    fn dense(&self) -> Vec<f64> {
        let n = self.t.len();
        (0..self.s.len() * n).map(|k| self.low_rank(k / n, k % n) / (self.s[k / n] - self.t[k % n])).collect()
    }

    /// The gradient in G, H, s and t.
    fn gradient<T: Scalar>(&self, x: &[T], dy: &[T]) -> [Vec<f64>; 4] {
        let (m, n) = (self.s.len(), self.t.len());
        let r = self.g.len() / m;
        let [mut dg, mut dh, mut ds, mut dt] = [r * m, r * n, m, n].map(|len| vec![0.0; len]);
        for i in 0..m {
            for j in 0..n {
                let d: f64 = x.chunks(n).zip(dy.chunks(m)).map(|(x, dy)| x[j].wide() * dy[i].wide()).sum();
                let c = 1.0 / (self.s[i] - self.t[j]);
                for k in 0..r {
                    dg[k * m + i] += d * c * self.h[k * n + j];
                    dh[k * n + j] += d * c * self.g[k * m + i];
                }
                ds[i] -= d * c * c * self.low_rank(i, j);
                dt[j] += d * c * c * self.low_rank(i, j);
            }
        }
        [dg, dh, ds, dt]
    }
}

/// Products, and gradients tensor by tensor, on both paths.
fn check<T: Scalar>(mut matrix: Matrix<T>, dense: &[f64], gradients: &[(&str, Vec<f64>, f64)], batch: usize) {
    let (m, n) = (matrix.rows(), matrix.cols());
    let (x, dy) = inputs::<T>(m, n, batch);
    let (y, dx) = (product(dense, &x, n), product(&transpose(dense, n), &dy, m));
    let tolerance = tolerance::<T>();
    let entries = norm(dense) / ((m * n) as f64).sqrt();
    let mut workspace = Workspace::new();
    for path in [PathChoice::Fast, PathChoice::Dense] {
        matrix.set_path(path);
        let what =
            |op: &str| format!("{op}, {} {m}×{n}, {}, batch {batch}, {path:?}", matrix.structure().family(), T::NAME);
        assert_close(&matrix.to_dense().unwrap(), dense, tolerance, norm(dense), &what("entries"));
        let scale =
            |result: &[f64], input: &[T]| norm(result).max(0.1 * entries * (result.len() * input.len()) as f64 / 1e3);
        assert_close(&matrix.apply(&x).unwrap(), &y, tolerance, scale(&y, &x), &what("product"));
        assert_close(
            &matrix.apply_transposed(&dy).unwrap(),
            &dx,
            tolerance,
            scale(&dx, &dy),
            &what("transposed product"),
        );

        let mut got_dx = vec![T::one(); x.len()];
        let mut got = vec![T::zero(); matrix.parameters().len()];
        matrix.backward(&x, &dy, Some(&mut got_dx), &mut got, &mut workspace).unwrap();
        assert_close(&got_dx, &dx, tolerance, scale(&dx, &dy), &what("gradient in x"));
        for (name, expected, slack) in gradients {
            let got = &got[matrix.layout().tensor(name).unwrap().range.clone()];
            // Gradients in generators may cancel among examples.
            let scale = norm(expected).max(0.05 * entries * (got.len() as f64).sqrt());
            assert_close(got, expected, tolerance + slack, scale, &what(name));
        }
        let mut alone = vec![T::zero(); got.len()];
        matrix.backward(&x, &dy, None, &mut alone, &mut workspace).unwrap();
        assert_eq!(got, alone, "{}", what("gradient without that in x"));
    }
}

fn inputs<T: Scalar>(m: usize, n: usize, batch: usize) -> (Vec<T>, Vec<T>) {
    (random(batch * n, 31), random(batch * m, 32))
}

fn magnitudes<T: Scalar>(numbers: &[T]) -> Vec<T> {
    numbers.iter().map(|x| x.abs()).collect()
}

/// Matrices with these nodes, free and fixed, and generators of rank r.
fn check_nodes<T: Scalar>(m: usize, n: usize, rank: usize, gap: f64, batch: usize) {
    let (s, t) = nodes::<T>(m, n, gap, 1);
    let (x, dy) = inputs::<T>(m, n, batch);

    let ones = Reference::new(&s, &t, &vec![T::one(); m], &vec![T::one(); n]);
    // Gradients in nodes may cancel among examples: errors are relative to what is added up.
    let (positive_x, positive_dy) = (magnitudes(&x), magnitudes(&dy));
    let slack = |sum: &[f64], terms: &[f64]| tolerance::<T>() * norm(terms) / norm(sum).max(f64::MIN_POSITIVE);
    let [_, _, ds, dt] = ones.gradient(&x, &dy);
    let [_, _, ds_terms, dt_terms] = ones.gradient(&positive_x, &positive_dy);
    let [s_slack, t_slack] = [slack(&ds, &ds_terms), slack(&dt, &dt_terms)];
    let gradients = [("s", ds, s_slack), ("t", dt, t_slack)];
    check(Cauchy::from_nodes(&s, &t).unwrap().into_dyn(), &ones.dense(), &gradients, batch);

    let (g, h) = (random::<T>(rank * m, 2), random::<T>(rank * n, 3));
    let reference = Reference::new(&s, &t, &g, &h);
    let [dg, dh, ds, dt] = reference.gradient(&x, &dy);
    let mut gradients = vec![("G", dg, 0.0), ("H", dh, 0.0)];
    let fixed = CauchyLike::from_generators(&s, &t, rank, &g, &h).unwrap();
    check(fixed.into_dyn(), &reference.dense(), &gradients, batch);
    let [_, _, ds_terms, dt_terms] = reference.gradient(&positive_x, &positive_dy);
    let [s_slack, t_slack] = [slack(&ds, &ds_terms), slack(&dt, &dt_terms)];
    gradients.extend([("s", ds, s_slack), ("t", dt, t_slack)]);
    let free = CauchyLike::with_nodes(CauchyNodes::free(m, n).unwrap(), rank).unwrap();
    let free = Matrix::new(Arc::new(free), [g, h, s, t].concat()).unwrap();
    check(free.into_dyn(), &reference.dense(), &gradients, batch);
}

/// Nodes that follow from gaps.
fn check_apart<T: Scalar>(m: usize, n: usize, rank: usize, batch: usize) {
    let structure = CauchyLike::<T>::new(m, n, rank).unwrap();
    let mut parameters = vec![T::zero(); Structure::<T>::layout(&structure).len()];
    structure.initialise(Init::Variance(1.0), &mut fastrand::Rng::with_seed(6), &mut parameters).unwrap();
    let (s, t) = structure.nodes_of(&parameters).unwrap();
    let (g, h) = parameters[..rank * (m + n)].split_at(rank * m);
    let reference = Reference::new(&s, &t, g, h);
    let (x, dy) = inputs::<T>(m, n, batch);
    let [dg, dh, ds, dt] = reference.gradient(&x, &dy);

    // The Jacobian of the nodes by central differences, in f64.
    let wide = CauchyNodes::<f64>::apart(m, n).unwrap();
    let raw: Vec<f64> = parameters[rank * (m + n)..].iter().map(|p| p.wide()).collect();
    let slope = |k: usize| {
        let at = |step: f64| {
            let mut moved = raw.clone();
            moved[k] += step;
            let (s, t) = wide.nodes(&moved).unwrap();
            s.iter().zip(&ds).chain(t.iter().zip(&dt)).map(|(z, d)| z * d).sum::<f64>()
        };
        let difference = |step: f64| (at(step) - at(-step)) / (2.0 * step);
        (4.0 * difference(1e-3) - difference(2e-3)) / 3.0
    };
    let slopes: Vec<f64> = (1..m + n).map(slope).collect();
    // Differences of order 4 with a step of 1e-3, and rounding.
    let slack = 1e-9 + 8.0 * (m + n) as f64 * T::epsilon().wide();
    let gradients = [("G", dg, 0.0), ("H", dh, 0.0), ("gaps", slopes, slack)];
    let matrix = Matrix::new(Arc::new(structure), parameters).unwrap();
    check(matrix.into_dyn(), &reference.dense(), &gradients, batch);
}

#[test]
fn small_shapes_equal_the_definition() {
    for (m, n) in [(1, 1), (1, 4), (5, 1), (3, 3), (7, 12), (33, 20), (40, 40)] {
        for batch in [1, 2, 5, 9, 17] {
            for rank in [0, 1, m.min(n).min(3)] {
                check_nodes::<f64>(m, n, rank, 1e-6, batch);
                check_nodes::<f32>(m, n, rank, 1e-6, batch);
            }
        }
    }
}

#[test]
fn larger_shapes_equal_the_definition() {
    for (m, n) in [(150, 150), (100, 300), (300, 70)] {
        check_nodes::<f64>(m, n, 2, 1e-6, 5);
        check_nodes::<f32>(m, n, 2, 1e-6, 5);
        check_nodes::<f64>(m, n, 2, 1e-12, 3);
    }
}

#[test]
fn nodes_that_follow_from_gaps_equal_the_definition() {
    for (m, n) in [(1, 1), (1, 4), (5, 1), (3, 3), (7, 12), (33, 20), (80, 80)] {
        check_apart::<f64>(m, n, m.min(n).min(2), 3);
        check_apart::<f32>(m, n, 1, 3);
    }
}

#[test]
fn eight_thousand_nodes_equal_the_definition() {
    fn check<T: Scalar>() {
        let n = 8192;
        let (s, t) = nodes::<T>(n, n, 1e-6, 8);
        let x = random::<T>(n, 9);
        let mut matrix = Cauchy::from_nodes(&s, &t).unwrap();
        matrix.set_path(PathChoice::Fast);
        let row = |a: T| t.iter().zip(&x).map(|(t, x)| x.wide() / (a.wide() - t.wide())).sum::<f64>();
        let y: Vec<f64> = s.iter().map(|&s| row(s)).collect();
        assert_close(&matrix.apply(&x).unwrap(), &y, tolerance::<T>(), norm(&y), T::NAME);
        let column = |a: T| s.iter().zip(&x).map(|(s, x)| x.wide() / (s.wide() - a.wide())).sum::<f64>();
        let y: Vec<f64> = t.iter().map(|&t| column(t)).collect();
        assert_close(&matrix.apply_transposed(&x).unwrap(), &y, tolerance::<T>(), norm(&y), T::NAME);
    }
    check::<f64>();
    check::<f32>();
}

#[test]
fn rank_one_with_ones_is_the_cauchy_matrix_and_full_rank_is_every_matrix() {
    let (m, n) = (6, 4);
    let (s, t) = nodes::<f64>(m, n, 1e-3, 5);
    let cauchy = Cauchy::from_nodes(&s, &t).unwrap().to_dense().unwrap();
    let like = CauchyLike::from_generators(&s, &t, 1, &[1.0; 6], &[1.0; 4]).unwrap();
    assert_close(&like.to_dense().unwrap(), &cauchy, 1e-15, norm(&cauchy), "rank 1");
    // Displaced, the Cauchy matrix is the matrix of ones.
    for (k, entry) in cauchy.iter().enumerate() {
        assert!(((s[k / n] - t[k % n]) * entry - 1.0).abs() < 1e-14);
    }
    // So the displacement operator finds it.
    let [a, b] = [&s, &t].map(|nodes| Diagonal::new(nodes.clone()).unwrap());
    let sylvester = Sylvester::new(a, b);
    assert_eq!(sylvester.rank(&cauchy, 1e-12).unwrap(), 1);
    let like =
        CauchyLike::from_generators(&s, &t, 3, &random(3 * m, 6), &random(3 * n, 7)).unwrap().to_dense().unwrap();
    assert_eq!(sylvester.rank(&like, 1e-12).unwrap(), 3);
    let projected = CauchyLike::from_dense(&s, &t, 3, &like).unwrap();
    assert_close(&projected.to_dense().unwrap(), &like, 1e-11, norm(&like), "projected at its own rank");

    let any: Vec<f64> = random(m * n, 4);
    let projected = CauchyLike::from_dense(&s, &t, n, &any).unwrap();
    assert_close(&projected.to_dense().unwrap(), &any, 1e-14, norm(&any), "projected at full rank");
    let g: Vec<f64> =
        (0..n).flat_map(|j| (0..m).map(move |i| (i, j))).map(|(i, j)| any[i * n + j] * (s[i] - t[j])).collect();
    let identity: Vec<f64> = (0..n * n).map(|k| f64::from(u8::from(k % (n + 1) == 0))).collect();
    let like = CauchyLike::from_generators(&s, &t, n, &g, &identity).unwrap();
    assert_close(&like.to_dense().unwrap(), &any, 1e-15, norm(&any), "full rank");
}

#[test]
fn entries_start_with_the_variance_that_was_asked_for() {
    for (m, n) in [(8, 8), (40, 100), (300, 200)] {
        for init in [Init::Glorot, Init::He, Init::Variance(3.0)] {
            let mean_square = |family: Family, rank: Option<usize>| {
                let builder = Builder::new(family, m, n).init(init);
                let builder = rank.into_iter().fold(builder, |builder, rank| builder.rank(rank));
                let dense = builder.build::<f64>().unwrap().to_dense().unwrap();
                dense.iter().map(|e| e * e).sum::<f64>() / dense.len() as f64 / init.variance(m, n)
            };
            let exact = mean_square(Family::Cauchy, None);
            assert!((exact - 1.0).abs() < 1e-6, "{m}×{n} {init:?}: {exact}");
            // A sample of r(m + n) normal numbers: its mean square is within 4 deviations.
            let sampled = mean_square(Family::CauchyLike, Some(8));
            assert!((sampled - 1.0).abs() < 16.0 / (m.min(n) as f64).sqrt() / 2.0, "{m}×{n} {init:?}: {sampled}");
        }
    }
}

#[test]
fn bad_nodes_are_refused_and_the_matrix_stays_as_it_was() {
    let mut matrix = Cauchy::from_nodes(&[1.0, 2.0], &[3.0, 4.0, 5.0]).unwrap();
    let before = matrix.to_dense().unwrap();
    let collision = Error::NodesCollide { what: ["s", "t"], row: 1, col: 2, value: 5.0 };
    assert_eq!(matrix.set_parameters(&[1.0, 5.0, 3.0, 4.0, 5.0]), Err(collision.clone()));
    assert_eq!(matrix.update(|parameters| parameters[1] = 5.0), Err(collision));
    assert!(matches!(matrix.update(|parameters| parameters[4] = f64::NAN), Err(Error::NotFinite { index: 4, .. })));
    assert_eq!(matrix.to_dense().unwrap(), before);
    assert!(Cauchy::<f32>::new(0, 3).is_err());
    assert!(matches!(CauchyLike::<f32>::new(3, 4, 4), Err(Error::RankTooLarge { .. })));
}

#[test]
fn training_moves_nodes_but_never_lets_them_meet() {
    // Gradient steps far too large, for a loss that pulls an s and a t together.
    let mut matrix = Builder::new(Family::Cauchy, 6, 6).build::<f32>().unwrap();
    let mut workspace = Workspace::new();
    let x = random::<f32>(6, 1);
    for _ in 0..200 {
        let mut gradient = vec![0.0; matrix.parameters().len()];
        let dy: Vec<f32> = matrix.apply(&x).unwrap().iter().map(|y| y - 1e3).collect();
        matrix.backward(&x, &dy, None, &mut gradient, &mut workspace).unwrap();
        let length = gradient.iter().map(|g| g * g).sum::<f32>().sqrt().max(1e-6);
        matrix
            .update(|parameters| parameters.iter_mut().zip(&gradient).for_each(|(p, g)| *p -= 0.5 * g / length))
            .unwrap();
        assert!(matrix.to_dense().unwrap().iter().all(|e| e.is_finite()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn any_shape_rank_and_batch_equals_the_definition(m in 1usize..60, n in 1usize..60, rank in 0usize..4, batch in 1usize..20) {
        let rank = rank.min(m).min(n);
        check_nodes::<f64>(m, n, rank, 1e-6, batch);
        check_nodes::<f32>(m, n, rank, 1e-5, batch);
    }
}
