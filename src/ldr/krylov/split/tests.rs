//! Products in two parts against double-double arithmetic.

use super::*;
use crate::transform::isa::PORTABLE_ONLY;

/// A number and its rounding error.
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

fn product(a: f64, [b, low]: Double) -> Double {
    let product = a * b;
    sum(product, a.mul_add(b, -product) + a * low)
}

fn step(entries: &[f64], w: &[Double]) -> Vec<Double> {
    let n = w.len();
    let rows = [n - 1, 0, 1].into_iter().enumerate();
    (0..n)
        .map(|i| rows.clone().map(|(x, by)| product(entries[x * n + i], w[(i + by) % n])).fold([0.0; 2], add))
        .collect()
}

fn random(len: usize, rng: &mut fastrand::Rng) -> Vec<f64> {
    (0..len).map(|_| 2.0 * rng.f64() - 1.0).collect()
}

fn assert_near(got: &[f64], expected: &[Double], what: &str) {
    let norm = |v: &mut dyn Iterator<Item = f64>| v.map(|x| x * x).sum::<f64>().sqrt();
    let size = norm(&mut expected.iter().map(|e| e[0]));
    let error = norm(&mut got.iter().zip(expected).map(|(g, e)| (g - e[0]) - e[1]));
    // That of results rounded to double precision.
    assert!(error <= f64::EPSILON * size, "{what}: {error:e} of {size:e}");
}

/// Rounding errors of a plain recurrence grow by exp(0.025 N) here, to 10⁻¹⁰: the first half of the places amplifies
/// one frequency, and the second half the opposite one.
#[test]
fn products_have_all_digits_where_errors_grow() {
    for portable in [false, true] {
        PORTABLE_ONLY.set(portable);
        for (n, rank) in [(5, 1), (64, 2), (601, 1), (602, 3)] {
            check(n, rank);
        }
    }
    PORTABLE_ONLY.set(false);
}

fn check(n: usize, rank: usize) {
    let mut rng = fastrand::Rng::with_seed(n as u64);
    let mut entries = random(3 * n, &mut rng);
    for (i, e) in entries.iter_mut().enumerate() {
        let most = if 2 * (i % n) < n { 0.05 } else { -0.05 };
        *e = 0.01 * *e + [1.0, most, 0.0][i / n];
    }
    let (generators, y, t) = (random(rank * n, &mut rng), random(n, &mut rng), random(rank * n, &mut rng));
    let segments = Segments::new(n);
    let split = Split::new(&segments, &entries, &generators);
    let mut w = Aligned::zeros(Split::vector_len(&segments));
    let w = w.get_mut();
    let double = |v: &[f64]| v.iter().map(|x| [*x, 0.0]).collect::<Vec<Double>>();
    for (j, g) in generators.chunks_exact(n).enumerate() {
        let mut got = vec![0.0; n];
        Split::take_up(&segments, &y, w);
        split.expand(&segments, j, w, &mut got);
        let (mut v, transposed) = (double(&y), transpose(&entries, n));
        let expected = (0..n).map(|_| {
            let inner = g.iter().zip(&v).map(|(g, v)| product(*g, *v)).fold([0.0; 2], add);
            v = step(&transposed, &v);
            inner
        });
        assert_near(&got, &expected.collect::<Vec<_>>(), &format!("inner products, n = {n}"));
    }
    for (part, (t, g)) in t.chunks(TOGETHER * n).zip(generators.chunks(TOGETHER * n)).enumerate() {
        let mut got = vec![0.0; n];
        w.fill(0.0);
        split.combine(&segments, part, w, t);
        Split::add(&segments, w, &mut got);
        let mut expected = double(&vec![0.0; n]);
        for k in (0..n).rev() {
            expected = step(&entries, &expected);
            for (t, g) in t.chunks_exact(n).zip(g.chunks_exact(n)) {
                expected.iter_mut().zip(g).for_each(|(w, g)| *w = add(*w, product(*g, [t[k], 0.0])));
            }
        }
        assert_near(&got, &expected, &format!("sum, n = {n}, r = {rank}"));
    }
}

/// Numbers before the margin are no part of the vector, whatever the operator makes of them.
#[test]
fn products_do_not_depend_on_what_is_before_the_margin() {
    let n = 1100;
    let mut entries = [vec![1.0; n], vec![0.01; n], vec![0.0; n]].concat();
    // A nilpotent pair, whose passes would grow without limit if they were handed on.
    for (i, [lower, diagonal, upper]) in [(n - 6, [1.0, 100.0, -100.0]), (n - 5, [100.0, -100.0, 0.0])] {
        (entries[i], entries[n + i], entries[2 * n + i]) = (lower, diagonal, upper);
    }
    let segments = Segments::new(n);
    let split = Split::new(&segments, &entries, &vec![1.0; n]);
    let (mut w, mut t) = (Aligned::zeros(Split::vector_len(&segments)), vec![0.0; n]);
    Split::take_up(&segments, &vec![1.0; n], w.get_mut());
    split.expand(&segments, 0, w.get_mut(), &mut t);
    assert!(t.iter().all(|t| t.is_finite()));
}

/// Numbers out of range of a unit do no harm.
#[test]
fn huge_and_tiny_numbers_stay_finite() {
    let n = 40;
    let segments = Segments::new(n);
    let entries = [vec![1.0; n], vec![0.01; n], vec![0.0; n]].concat();
    for size in [0.0, 1e-300, 1e300] {
        let split = Split::new(&segments, &entries, &vec![size; n]);
        let (mut w, mut t) = (Aligned::zeros(Split::vector_len(&segments)), vec![1e-3; n]);
        split.combine(&segments, 0, w.get_mut(), &t);
        Split::take_up(&segments, &vec![1e-3 * size; n], w.get_mut());
        Split::new(&segments, &entries, &vec![1.0; n]).expand(&segments, 0, w.get_mut(), &mut t);
        assert!(w.get_mut().iter().chain(&t).all(|x| x.is_finite()), "{size:e}");
    }
}
