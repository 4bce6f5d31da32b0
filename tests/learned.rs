//! Matrices under learned operators, LDR-SD and LDR-TD, against their definition in f64.
//!
//! Tolerances are the bars, 10⁻¹¹ (f64) and 2·10⁻⁵ (f32), relative to `‖M‖ ‖x‖` in the Frobenius norm over √n, the size of a
//! product with a random x.

#[path = "common/families.rs"]
#[allow(dead_code, reason = "these tests need only a few of the helpers")]
mod common;

use std::sync::Arc;

use common::*;
use displace::displacement::DisplacementOperator;
use displace::ldr::{LearnedOperators, ToeplitzLike};
use displace::{Builder, Error, Family, Init, Matrix, Path, PathChoice, Scalar, Structure, Workspace};
use proptest::prelude::*;

const FAMILIES: [Family; 2] = [Family::LearnedSubdiagonal, Family::LearnedTridiagonal];

fn limit<T: Scalar>() -> f64 {
    if T::NAME == "f32" { 2e-5 } else { 1e-11 }
}

fn wide<T: Scalar>(values: &[T]) -> Vec<f64> {
    values.iter().map(|v| v.wide()).collect()
}

fn structure<T: Scalar>(family: Family, m: usize, n: usize, rank: usize) -> LearnedOperators<T> {
    match family {
        Family::LearnedSubdiagonal => LearnedOperators::subdiagonal(m, n, rank).unwrap(),
        _ => LearnedOperators::tridiagonal(m, n, rank).unwrap(),
    }
}

/// Kinds of operators.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    /// The shift with a corner.
    Shift,
    /// Entries moved by about so much.
    Near(f64),
    /// The same without corners.
    Open(f64),
    /// Some entries of a subdiagonal zero or tiny.
    Cut,
    /// Entries of a subdiagonal from 0.4 to 1.5, which no scaling and no banded Krylov basis is safe for.
    Wide,
    /// The same with entries above the diagonal that turn back what passes: trees are passed both ways.
    Turning,
    /// Diagonals whose sums go up to a quarter of N times this number, and down, and so again: Krylov vectors grow with
    /// them and cancel.
    Swinging(f64),
    /// Reflections that do not die away: no fast path for tridiagonal operators.
    Reflecting,
    /// Powers that grow threefold with each step.
    Growing,
}

const KINDS: [Kind; 7] =
    [Kind::Shift, Kind::Near(0.02), Kind::Near(0.05), Kind::Open(0.05), Kind::Cut, Kind::Wide, Kind::Reflecting];

/// The three diagonals of an operator of a kind; those of a subdiagonal one alone.
fn operator(kind: Kind, n: usize, tridiagonal: bool, seed: u64) -> Vec<f64> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let spread = match kind {
        Kind::Near(spread) | Kind::Open(spread) => spread,
        Kind::Shift => 0.0,
        Kind::Cut | Kind::Wide | Kind::Turning | Kind::Swinging(_) | Kind::Reflecting | Kind::Growing => 0.02,
    };
    let mut noise = || spread * (2.0 * rng.f64() - 1.0);
    let mut lower: Vec<f64> = (0..n).map(|_| 1.0 + noise()).collect();
    lower[0] = if seed.is_multiple_of(2) { 0.9 } else { -1.1 };
    let mut diagonal: Vec<f64> = (0..n).map(|_| noise()).collect();
    let mut upper: Vec<f64> = (0..n).map(|_| 0.5 * noise()).collect();
    match kind {
        Kind::Open(_) => {
            lower[0] = 0.0;
            upper[n - 1] = 0.0;
        }
        Kind::Cut => lower.iter_mut().skip(3).step_by(7).enumerate().for_each(|(k, l)| *l = [0.0, 1e-200, 1e-8][k % 3]),
        Kind::Wide | Kind::Turning => lower.iter_mut().for_each(|l| *l *= 0.4 + 1.1 * rng.f64()),
        Kind::Growing => lower.iter_mut().for_each(|l| *l *= 3.0),
        Kind::Reflecting => {
            lower.iter_mut().for_each(|l| *l *= 0.5);
            upper.iter_mut().for_each(|u| *u += 0.48);
        }
        Kind::Swinging(most) => {
            let signs = (0..n).map(|i| if (4 * i / n).is_multiple_of(2) { most } else { -most });
            diagonal.iter_mut().zip(signs).for_each(|(d, sign)| *d = sign);
            lower[1..].fill(1.0);
            upper.fill(0.003);
        }
        _ => {}
    }
    if kind == Kind::Turning {
        upper.iter_mut().for_each(|u| *u += 0.05);
    }
    if tridiagonal { [lower, diagonal, upper].concat() } else { lower }
}

/// Parameters with operators of a kind and random generators.
fn parameters<T: Scalar>(structure: &LearnedOperators<T>, kind: Kind, seed: u64) -> Vec<T> {
    let mut parameters = random::<T>(structure.layout().len(), seed);
    let tridiagonal = structure.family() == Family::LearnedTridiagonal;
    for (name, seed) in [("A", seed), ("B", seed + 1)] {
        let place = structure.layout().tensor(name).unwrap().range.clone();
        let entries = operator(kind, structure.order(), tridiagonal, seed);
        parameters[place].iter_mut().zip(entries).for_each(|(p, e)| *p = T::of(e));
    }
    parameters
}

/// `(A x)_i` for a cyclic tridiagonal A.
fn step(operator: &[f64], x: &[f64]) -> Vec<f64> {
    let n = x.len();
    let entry = |row: usize, i: usize| operator.get(row * n + i).copied().unwrap_or(0.0);
    (0..n).map(|i| entry(0, i) * x[(i + n - 1) % n] + entry(1, i) * x[i] + entry(2, i) * x[(i + 1) % n]).collect()
}

/// The N×N matrix that M is a corner of, by its definition.
fn whole<T: Scalar>(structure: &LearnedOperators<T>, parameters: &[T]) -> Vec<f64> {
    let n = structure.order();
    let part = |name: &str| wide(&parameters[structure.layout().tensor(name).unwrap().range.clone()]);
    let (g, h, a, b) = (part("G"), part("H"), part("A"), part("B"));
    let mut dense = vec![0.0; n * n];
    for j in 0..structure.rank().unwrap() {
        let mut u = g[j * structure.rows()..][..structure.rows()].to_vec();
        let mut v = h[j * structure.cols()..][..structure.cols()].to_vec();
        u.resize(n, 0.0);
        v.resize(n, 0.0);
        for _ in 0..n {
            for (row, u) in dense.chunks_mut(n).zip(&u) {
                row.iter_mut().zip(&v).for_each(|(entry, v)| *entry += 0.5 * u * v);
            }
            (u, v) = (step(&a, &u), step(&b, &v));
        }
    }
    dense
}

fn corner(dense: &[f64], order: usize, m: usize, n: usize) -> Vec<f64> {
    dense.chunks(order).take(m).flat_map(|row| row[..n].to_vec()).collect()
}

/// Everything that one matrix can do, on both paths.
fn check<T: Scalar>(family: Family, kind: Kind, [m, n, rank, batch]: [usize; 4], seed: u64) {
    let structure = structure::<T>(family, m, n, rank);
    let parameters = parameters(&structure, kind, seed);
    let what = |op: &str| format!("{op}: {family} {kind:?} {m}×{n} r={rank} batch {batch} {}", T::NAME);
    let dense = corner(&whole(&structure, &parameters), structure.order(), m, n);
    let (x, dy) = (random::<T>(batch * n, seed + 3), random::<T>(batch * m, seed + 4));
    let y = product(&dense, &x, n);
    let dx = product(&transpose(&dense, n), &dy, m);
    let size = |x: &[T], count: usize| norm(&dense) * norm(&wide(x)) / (count as f64).sqrt();
    let mut workspace = Workspace::new();
    let mut matrix = Matrix::new(Arc::new(structure), parameters).unwrap();
    let mut gradients = Vec::new();
    for path in [PathChoice::Dense, PathChoice::Fast] {
        matrix.set_path(path);
        assert_close(&matrix.to_dense().unwrap(), &dense, limit::<T>(), norm(&dense), &what("entries"));
        assert_close(&matrix.apply(&x).unwrap(), &y, limit::<T>(), size(&x, n), &what("product"));
        let transposed = matrix.apply_transposed(&dy).unwrap();
        assert_close(&transposed, &dx, limit::<T>(), size(&dy, m), &what("transposed product"));
        let (mut got_dx, mut got) = (vec![T::one(); x.len()], vec![T::zero(); matrix.parameters().len()]);
        matrix.backward(&x, &dy, Some(&mut got_dx), &mut got, &mut workspace).unwrap();
        assert_close(&got_dx, &dx, limit::<T>(), size(&dy, m), &what("gradient in x"));
        let mut alone = vec![T::zero(); got.len()];
        matrix.backward(&x, &dy, None, &mut alone, &mut workspace).unwrap();
        assert_eq!(got, alone, "{}", what("gradient without that in x"));
        let mut added = vec![T::one(); got.len()];
        matrix.backward(&x, &dy, None, &mut added, &mut workspace).unwrap();
        let expected: Vec<f64> = got.iter().map(|g| g.wide() + 1.0).collect();
        assert_close(&added, &expected, limit::<T>(), norm(&expected), &what("gradient that is added"));
        gradients.push(got);
    }
    // The dense path's gradients are tested against finite differences below.
    let all = norm(&wide(&gradients[0]));
    for tensor in matrix.layout().tensors() {
        let expected = wide(&gradients[0][tensor.range.clone()]);
        let what = what(&format!("gradient in {}", tensor.name));
        let size = norm(&expected).max(0.01 * all);
        assert_close(&gradients[1][tensor.range.clone()], &expected, limit::<T>(), size, &what);
    }
}

#[test]
fn small_shapes_equal_the_definition() {
    for family in FAMILIES {
        for kind in KINDS {
            for shape in
                [[1, 1, 1, 1], [1, 2, 1, 3], [2, 2, 2, 1], [3, 1, 0, 2], [7, 4, 2, 9], [5, 12, 3, 2], [16, 16, 1, 1]]
            {
                check::<f64>(family, kind, shape, 11);
                check::<f32>(family, kind, shape, 12);
            }
        }
    }
}

#[test]
fn larger_orders_equal_the_definition() {
    for family in FAMILIES {
        for kind in KINDS {
            check::<f64>(family, kind, [130, 67, 2, 3], 21);
            check::<f64>(family, kind, [140, 140, 1, 1], 22);
            check::<f32>(family, kind, [50, 130, 1, 2], 23);
            // A batch that shares what it can, and six examples more.
            check::<f64>(family, kind, [60, 80, 2, 70], 24);
        }
    }
}

/// Products of weights of 10¹³⁰ and more, which entries are not followed along diagonals by.
#[test]
fn powers_of_subdiagonal_operators_may_grow_without_bound() {
    for shape in [[140, 140, 1, 1], [130, 141, 2, 5], [141, 130, 2, 1]] {
        check::<f64>(Family::LearnedSubdiagonal, Kind::Growing, shape, 31);
    }
}

#[test]
fn tridiagonal_operators_near_a_shift_equal_the_definition() {
    for spread in [0.001, 0.01, 0.03, 0.05] {
        for (shape, seed) in [([97, 97], 41), ([130, 31], 42), ([60, 130], 43), ([257, 257], 44)] {
            for (rank, batch) in [(1, 0), (2, 1), (1, 5)] {
                let case = [shape[0], shape[1], rank, batch];
                check::<f64>(Family::LearnedTridiagonal, Kind::Near(spread), case, seed);
                check::<f32>(Family::LearnedTridiagonal, Kind::Near(spread), case, seed);
            }
        }
    }
}

/// What is left out of a banded Krylov basis is multiplied by its inverse.
#[test]
fn krylov_vectors_that_grow_and_cancel_keep_their_digits() {
    for (m, n) in [(300, 300), (140, 300)] {
        for most in [0.06, 0.09, 0.12] {
            check::<f32>(Family::LearnedTridiagonal, Kind::Swinging(most), [m, n, 1, 1], 51);
            check::<f64>(Family::LearnedTridiagonal, Kind::Swinging(most / 3.0), [m, n, 1, 1], 52);
        }
    }
}

/// `(αA, B/α)` makes the same matrix as `(A, B)`, exactly so for powers of two.
#[test]
fn operators_scaled_against_each_other_make_the_same_matrix() {
    /// Entries, products and gradients with A times α and B over α, the gradients being those without.
    fn results<T: Scalar>(structure: &Arc<LearnedOperators<T>>, alpha: f64) -> Vec<Vec<T>> {
        let (m, n) = (structure.rows(), structure.cols());
        let [x, dy] = [(3 * n, 61), (3 * m, 62)].map(|(len, seed)| random::<T>(len, seed));
        let places = [("A", alpha), ("B", alpha.recip())]
            .map(|(name, factor)| (structure.layout().tensor(name).unwrap().range.clone(), T::of(factor)));
        let scale = |numbers: &mut [T], factor: T| numbers.iter_mut().for_each(|p| *p *= factor);
        let mut parameters = parameters(structure, Kind::Near(0.03), 60);
        places.iter().for_each(|(place, factor)| scale(&mut parameters[place.clone()], *factor));
        let mut matrix = Matrix::new(Arc::clone(structure), parameters).unwrap();
        let dense = matrix.to_dense().unwrap();
        matrix.set_path(PathChoice::Fast);
        let (mut dx, mut gradient) = (vec![T::zero(); x.len()], vec![T::zero(); matrix.parameters().len()]);
        matrix.backward(&x, &dy, Some(&mut dx), &mut gradient, &mut Workspace::new()).unwrap();
        places.iter().for_each(|(place, factor)| scale(&mut gradient[place.clone()], *factor));
        let gradients = structure.layout().tensors().iter().map(|tensor| gradient[tensor.range.clone()].to_vec());
        let products = [dense, matrix.apply(&x).unwrap(), matrix.apply_transposed(&dy).unwrap(), dx];
        products.into_iter().chain(gradients).collect()
    }
    fn compare<T: Scalar>(family: Family, [m, n]: [usize; 2]) {
        let structure = Arc::new(structure::<T>(family, m, n, 2));
        let plain = results(&structure, 1.0);
        // Squares of the last one are beyond f64.
        let far = if T::NAME == "f64" { 600 } else { 20 };
        for alpha in [0.5, 4.0, 0.5f64.powi(10), 0.5f64.powi(far)] {
            for (scaled, plain) in results(&structure, alpha).iter().zip(&plain) {
                let plain = wide(plain);
                let what = format!("{family} {m}×{n} {} scaled by {alpha}", T::NAME);
                assert_close(scaled, &plain, limit::<T>(), norm(&plain), &what);
            }
        }
    }
    for family in FAMILIES {
        for shape in [[40, 50], [200, 150], [600, 600]] {
            compare::<f64>(family, shape);
            compare::<f32>(family, shape);
        }
    }
}

/// The products of the largest powers lose digits that f64 is asked for.
#[test]
fn powers_that_grow_are_let_through_for_f32_only() {
    // A run that multiplies by 1.5^24 = 1.7·10⁴, and one by 0.5^80, which no banded Krylov basis is safe for.
    let mut operator = [vec![1.0; 600], vec![0.0; 1200]].concat();
    operator[100..124].fill(1.5);
    operator[200..280].fill(0.5);
    fn is_fast<T: Scalar>(operator: &[f64]) -> bool {
        let structure = structure::<T>(Family::LearnedTridiagonal, 600, 600, 1);
        let entries = [&[1.0; 1200], operator, operator].concat();
        structure.is_fast(&entries.into_iter().map(T::of).collect::<Vec<_>>()).unwrap()
    }
    assert_eq!([is_fast::<f64>(&operator), is_fast::<f32>(&operator)], [false, true]);
    operator[100..124].fill(1.2);
    assert_eq!([is_fast::<f64>(&operator), is_fast::<f32>(&operator)], [true, true]);
}

#[test]
fn operators_near_a_shift_are_multiplied_by_in_near_linear_time() {
    for n in [64, 200, 512] {
        for kind in KINDS {
            let sub = structure::<f64>(Family::LearnedSubdiagonal, n, n, 1);
            assert!(sub.is_fast(&parameters(&sub, kind, 1)).unwrap(), "{kind:?}");
            let tri = structure::<f64>(Family::LearnedTridiagonal, n, n, 1);
            let fast = tri.is_fast(&parameters(&tri, kind, 1)).unwrap();
            assert_eq!(fast, kind != Kind::Reflecting, "{kind:?} {n}");
        }
    }
}

#[test]
fn freshly_built_matrices_are_toeplitz_like_ones() {
    for family in FAMILIES {
        for (m, n) in [(1, 1), (8, 8), (5, 12), (30, 7)] {
            let builder = Builder::new(family, m, n).rank(1).init(Init::Variance(1.0)).seed(3);
            let matrix = builder.build::<f64>().unwrap();
            let (g, h) = (&matrix.parameters()[..m], &matrix.parameters()[m..m + n]);
            let order = m.max(n);
            let toeplitz = ToeplitzLike::with_order(m, n, 1, order).unwrap();
            let expected = Matrix::new(Arc::new(toeplitz), [g, h].concat()).unwrap().to_dense().unwrap();
            assert_close(&matrix.to_dense().unwrap(), &expected, 1e-14, norm(&expected), &format!("{family} {m}×{n}"));
        }
    }
}

#[test]
fn initialisation_gives_the_entries_the_variance_asked_for() {
    for family in FAMILIES {
        for (m, n) in [(16, 16), (12, 31), (31, 12)] {
            let square = |seed| {
                let builder = Builder::new(family, m, n).rank(3).init(Init::Variance(0.25)).seed(seed);
                builder.build::<f64>().unwrap().to_dense().unwrap().iter().map(|m| m * m).sum::<f64>()
            };
            let ratio = (0..100).map(square).sum::<f64>() / (100 * m * n) as f64 / 0.25;
            assert!((ratio - 1.0).abs() < 0.4, "{family} {m}×{n}: {ratio}");
        }
    }
}

#[test]
fn the_displacement_has_the_promised_rank() {
    for kind in KINDS {
        for (m, n, rank) in [(12, 12, 1), (20, 20, 3), (9, 14, 2)] {
            let sub = structure::<f64>(Family::LearnedSubdiagonal, m, n, rank);
            let chosen = parameters(&sub, kind, 5);
            let dense = whole(&sub, &chosen);
            let operator = sub.subdiagonal_displacement(&chosen).unwrap();
            let found = operator.rank(&dense, operator.default_tolerance()).unwrap();
            assert!(found <= rank, "LDR-SD {kind:?} {m}×{n}: {found}");
            // The same operator among those with three diagonals.
            let general = sub.displacement(&chosen).unwrap().displace(&dense).unwrap();
            let expected = operator.displace(&dense).unwrap();
            assert_close(&general, &expected, 1e-13, norm(&dense), "LDR-SD as LDR-TD");

            let tri = structure::<f64>(Family::LearnedTridiagonal, m, n, rank);
            let chosen = parameters(&tri, kind, 6);
            let dense = whole(&tri, &chosen);
            let operator = tri.displacement(&chosen).unwrap();
            let found = operator.rank(&dense, operator.default_tolerance()).unwrap();
            assert!(found <= 2 * rank, "LDR-TD {kind:?} {m}×{n}: {found}");
        }
    }
}

/// Central differences of a loss that is linear in the entries.
#[test]
fn gradients_of_the_dense_path_are_finite_differences() {
    for family in FAMILIES {
        for kind in [Kind::Near(0.3), Kind::Wide] {
            for (m, n) in [(1, 1), (2, 2), (6, 4), (4, 7)] {
                let structure = Arc::new(structure::<f64>(family, m, n, 1));
                let at = parameters(&structure, kind, 8);
                let entries = random::<f64>(m * n, 9);
                let mut gradient = vec![0.0; at.len()];
                let bound = |parameters: &[f64]| Matrix::new(Arc::clone(&structure), parameters.to_vec()).unwrap();
                bound(&at).pull_back(&entries, &mut gradient).unwrap();
                let loss = |parameters: &[f64]| {
                    let dense = bound(parameters).to_dense().unwrap();
                    dense.iter().zip(&entries).map(|(m, e)| m * e).sum::<f64>()
                };
                let step = 1e-5;
                let difference = |k: usize| {
                    let (mut up, mut down) = (at.clone(), at.clone());
                    up[k] += step;
                    down[k] -= step;
                    (loss(&up) - loss(&down)) / (2.0 * step)
                };
                let expected: Vec<f64> = (0..at.len()).map(difference).collect();
                // The differences err by step² times third derivatives, and by rounding over the step.
                assert_close(&gradient, &expected, 1e-8, norm(&expected) + 1.0, &format!("{family} {kind:?} {m}×{n}"));
            }
        }
    }
}

#[test]
fn a_batch_gives_what_its_rows_give() {
    for family in FAMILIES {
        for kind in [Kind::Near(0.05), Kind::Wide, Kind::Reflecting] {
            let structure = structure::<f64>(family, 100, 100, 1);
            let parameters = parameters(&structure, kind, 4);
            let mut matrix = Matrix::new(Arc::new(structure), parameters).unwrap();
            matrix.set_path(PathChoice::Fast);
            let x = random::<f64>(19 * 100, 5);
            let together = matrix.apply(&x).unwrap();
            for (x, y) in x.chunks(100).zip(together.chunks(100)) {
                let alone = matrix.apply(x).unwrap();
                assert_close(&alone, y, 1e-13, norm(y).max(1.0), &format!("{family} {kind:?}"));
            }
        }
    }
}

/// `½ Σ_j K(A, g_j) K(B, h_j)ᵀ x` in O(N²), by Horner's rule, for a square matrix of rank 1.
fn product_by_recurrence(structure: &LearnedOperators<f64>, parameters: &[f64], x: &[f64]) -> Vec<f64> {
    let n = structure.order();
    let part = |name: &str| &parameters[structure.layout().tensor(name).unwrap().range.clone()];
    let mut v = part("H").to_vec();
    let t: Vec<f64> = (0..n)
        .map(|_| {
            let t = v.iter().zip(x).map(|(v, x)| v * x).sum();
            v = step(part("B"), &v);
            t
        })
        .collect();
    t.iter()
        .rev()
        .fold(vec![0.0; n], |w, t| step(part("A"), &w).iter().zip(part("G")).map(|(w, g)| w + 0.5 * t * g).collect())
}

/// The same in double-double arithmetic.
fn product_in_twice_the_precision(structure: &LearnedOperators<f64>, parameters: &[f64], x: &[f64]) -> Vec<f64> {
    type Double = [f64; 2];
    fn sum(a: f64, b: f64) -> Double {
        let sum = a + b;
        let part = sum - a;
        [sum, (a - (sum - part)) + (b - part)]
    }
    fn add([a, low]: Double, [b, more]: Double) -> Double {
        let [high, rest] = sum(a, b);
        sum(high, rest + low + more)
    }
    fn times(a: f64, [b, low]: Double) -> Double {
        let product = a * b;
        sum(product, a.mul_add(b, -product) + a * low)
    }
    fn step(operator: &[f64], w: &[Double]) -> Vec<Double> {
        let n = w.len();
        let entry = |x: usize, i: usize, at: usize| times(operator[x * n + i], w[at % n]);
        (0..n).map(|i| add(add(entry(0, i, i + n - 1), entry(1, i, i)), entry(2, i, i + 1))).collect()
    }
    let n = structure.order();
    let part = |name: &str| &parameters[structure.layout().tensor(name).unwrap().range.clone()];
    let mut v: Vec<Double> = part("H").iter().map(|h| [*h, 0.0]).collect();
    let t: Vec<Double> = (0..n)
        .map(|_| {
            let t = v.iter().zip(x).fold([0.0; 2], |t, (v, x)| add(t, times(*x, *v)));
            v = step(part("B"), &v);
            t
        })
        .collect();
    let horner = |w: Vec<Double>, t: &Double| {
        step(part("A"), &w).iter().zip(part("G")).map(|(w, g)| add(*w, times(0.5 * g, *t))).collect()
    };
    t.iter().rev().fold(vec![[0.0; 2]; n], horner).iter().map(|w| w[0]).collect()
}

/// What one frequency gains in half a cycle it loses again in the next one, where rounding errors gain at the opposite
/// frequency: a plain recurrence errs by 10⁻¹⁰ here or more.
#[test]
fn rounding_errors_may_grow_more_than_the_product_does() {
    let n = 1100;
    for swinging in ["A", "B"] {
        let structure = structure::<f64>(Family::LearnedTridiagonal, n, n, 1);
        let mut parameters = parameters(&structure, Kind::Near(0.01), 6);
        let place = structure.layout().tensor(swinging).unwrap().range.clone();
        parameters[place].copy_from_slice(&operator(Kind::Swinging(0.06), n, true, 7));
        assert!(!structure.is_fast(&parameters).unwrap());
        let x = random::<f64>(8 * n, 7);
        let expected: Vec<f64> =
            x.chunks(n).flat_map(|x| product_in_twice_the_precision(&structure, &parameters, x)).collect();
        let plain = product_by_recurrence(&structure, &parameters, &x[..n]);
        let lost = norm(&plain.iter().zip(&expected).map(|(p, e)| p - e).collect::<Vec<_>>()) / norm(&plain);
        assert!(lost > 10.0 * limit::<f64>(), "{swinging}: {lost:e}");
        let mut matrix = Matrix::new(Arc::new(structure), parameters.clone()).unwrap();
        for choice in [PathChoice::Auto, PathChoice::Dense, PathChoice::Auto] {
            matrix.set_path(choice);
        }
        assert_eq!(matrix.path(1000), Path::Fast, "a dense copy would be a plain one");
        let y = matrix.apply(&x).unwrap();
        for (y, expected) in y.chunks(n).zip(expected.chunks(n)) {
            assert_close(y, expected, limit::<f64>(), norm(expected), swinging);
        }
        // The gradient in x is the transposed product; both meet in ⟨y, M x⟩.
        let (x, dy, mut dx) = (&x[..n], &y[..n], vec![0.0; n]);
        let mut gradient = vec![0.0; parameters.len()];
        matrix.backward(x, dy, Some(&mut dx), &mut gradient, &mut Workspace::new()).unwrap();
        assert_eq!(dx, matrix.apply_transposed(dy).unwrap(), "{swinging}");
        let inner = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        assert!((inner(&dx, x) - inner(dy, dy)).abs() <= limit::<f64>() * norm(&dx) * norm(x), "{swinging}");
        // Products are linear in the generators, whose gradients lose as much as a plain recurrence.
        for generator in ["G", "H"] {
            let place = matrix.layout().tensor(generator).unwrap().range.clone();
            let (d, g) = (&gradient[place.clone()], &parameters[place]);
            let error = (inner(d, g) - inner(dy, dy)).abs();
            assert!(error <= 10.0 * lost * norm(d) * norm(g), "{swinging}, {generator}: {error:e}");
        }
    }
}

#[test]
fn large_orders_equal_the_recurrence() {
    let tridiagonal = [Kind::Near(0.02), Kind::Near(0.05), Kind::Wide, Kind::Turning];
    let cases = tridiagonal.map(|kind| (FAMILIES[1], kind));
    for (family, kind) in [(FAMILIES[0], Kind::Wide)].into_iter().chain(cases) {
        let structure = structure::<f64>(family, 1100, 1100, 1);
        let mut parameters = parameters(&structure, kind, 6);
        let [x, dy] = [7, 8].map(|seed| random::<f64>(1100, seed));
        let what = |op: &str| format!("{op}: {family} {kind:?}");
        let inner = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        assert!(structure.is_fast(&parameters).unwrap(), "{}", what("fast"));
        let expected = product_by_recurrence(&structure, &parameters, &x);
        let mut matrix = Matrix::new(Arc::new(structure), parameters.clone()).unwrap();
        matrix.set_path(PathChoice::Fast);
        let y = matrix.apply(&x).unwrap();
        assert_close(&y, &expected, limit::<f64>(), norm(&expected), &what("product"));
        let (mut dx, mut gradient) = (x.clone(), vec![0.0; parameters.len()]);
        matrix.backward(&x, &dy, Some(&mut dx), &mut gradient, &mut Workspace::new()).unwrap();
        assert!((inner(&dx, &x) - inner(&dy, &y)).abs() <= 1e-11 * norm(&dx) * norm(&x), "{}", what("gradient in x"));

        // A central difference along the gradient itself errs by the step's square and by rounding over the step.
        let (size, h) = (norm(&gradient), 1e-5);
        let mut loss = |sign: f64| {
            parameters.copy_from_slice(matrix.parameters());
            parameters.iter_mut().zip(&gradient).for_each(|(p, g)| *p += sign * h * g / size);
            inner(&dy, &product_by_recurrence(matrix.structure(), &parameters, &x))
        };
        let slope = (loss(1.0) - loss(-1.0)) / (2.0 * h);
        assert!((slope - size).abs() <= 1e-6 * size, "{}: {slope} for {size}", what("gradient"));
    }
}

#[test]
fn bad_parameters_are_refused() {
    for family in FAMILIES {
        let missing = Builder::new(family, 3, 3).build::<f32>().err();
        assert_eq!(missing, Some(Error::RankChoice { family: family.name(), given: false }));
        assert!(matches!(Builder::new(family, 5, 3).rank(4).build::<f64>(), Err(Error::RankTooLarge { max: 3, .. })));
        assert!(matches!(Builder::new(family, 0, 3).rank(0).build::<f64>(), Err(Error::EmptyShape { .. })));
        assert!(matches!(Builder::new(family, 1 << 39, 3).rank(1).build::<f64>(), Err(Error::TooLarge { .. })));
        let operators = structure::<f64>(family, 2, 2, 1);
        let count = operators.layout().len();
        assert!(matches!(operators.is_fast(&vec![0.0; count - 1]), Err(Error::Length { .. })));
        assert!(matches!(operators.displacement(&vec![f64::NAN; count]), Err(Error::NotFinite { .. })));
        let good = [1.0; 6];
        let (entries, few) = (&good[..(count - 4) / 2], &good[..1]);
        let build =
            |a: &[f64], b: &[f64], g: &[f64]| structure::<f64>(family, 2, 2, 1).with_operators(g, &[1.0, 1.0], a, b);
        assert!(build(entries, entries, &[1.0, 1.0]).is_ok());
        assert!(matches!(build(few, entries, &[1.0, 1.0]), Err(Error::Length { what: "A", .. })));
        assert!(matches!(build(entries, few, &[1.0, 1.0]), Err(Error::Length { what: "B", .. })));
        assert!(matches!(build(entries, entries, &[1.0]), Err(Error::Length { what: "G", .. })));
        let mut matrix = build(entries, entries, &[1.0, 1.0]).unwrap();
        let before = (matrix.parameters().to_vec(), matrix.to_dense().unwrap());
        assert!(matches!(matrix.update(|p| p[count - 1] = f64::NAN), Err(Error::NotFinite { .. })));
        assert_eq!((matrix.parameters().to_vec(), matrix.to_dense().unwrap()), before);
    }
    let tri = structure::<f64>(Family::LearnedTridiagonal, 2, 2, 1);
    assert!(matches!(tri.subdiagonal_displacement(&vec![0.0; tri.layout().len()]), Err(Error::Length { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn any_shape_and_operator_equals_the_definition(
        m in 1usize..70, n in 1usize..70, rank in 0usize..3, batch in 1usize..4, kind in 0usize..7, seed in 0u64..1000,
    ) {
        for family in FAMILIES {
            check::<f64>(family, KINDS[kind], [m, n, rank.min(m.min(n)), batch], seed);
        }
    }
}
