//! Sweeps against plain loops over the powers of the operator.

use super::*;
use crate::transform::isa::PORTABLE_ONLY;

fn random(len: usize, rng: &mut fastrand::Rng) -> Vec<f64> {
    (0..len).map(|_| 2.0 * rng.f64() - 1.0).collect()
}

fn step(entries: &[f64], x: &[f64]) -> Vec<f64> {
    let (Band { lower, diagonal, upper }, n) = (Band::of(entries), x.len());
    (0..n).map(|i| lower[i] * x[(i + n - 1) % n] + diagonal[i] * x[i] + upper[i] * x[(i + 1) % n]).collect()
}

fn step_back(entries: &[f64], x: &[f64]) -> Vec<f64> {
    let (Band { lower, diagonal, upper }, n) = (Band::of(entries), x.len());
    (0..n)
        .map(|i| {
            let (before, after) = ((i + n - 1) % n, (i + 1) % n);
            upper[before] * x[before] + diagonal[i] * x[i] + lower[after] * x[after]
        })
        .collect()
}

fn assert_near(got: &[f64], expected: &[f64], what: &str) {
    let norm = |v: &mut dyn Iterator<Item = f64>| v.map(|x| x * x).sum::<f64>().sqrt();
    let error = norm(&mut got.iter().zip(expected).map(|(g, e)| g - e));
    let size = norm(&mut expected.iter().copied());
    assert!(error <= 4e-16 * (expected.len() as f64 + 8.0) * size, "{what}: {error:e} of {size:e}");
}

/// Everything against plain loops over the powers.
fn check(n: usize, rank: usize) {
    let mut rng = fastrand::Rng::with_seed((100 * n + rank) as u64);
    // Powers neither grow nor die away.
    let entries: Vec<f64> = random(3 * n, &mut rng).iter().map(|e| 0.6 * e).collect();
    let (generators, t, y) = (random(rank * n, &mut rng), random(rank * n, &mut rng), random(n, &mut rng));
    let segments = Segments::new(n);
    let recurrence = Recurrence::new(&segments, &entries, &generators);
    let what = |op: &str| format!("{op}, n = {n}, r = {rank}");

    let mut duals = vec![y.clone()];
    (1..n).for_each(|k| duals.push(step_back(&entries, &duals[k - 1])));
    let inner = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let rows = generators.chunks_exact(n);
    let expected: Vec<f64> = rows.flat_map(|g| duals.iter().map(|d| inner(g, d)).collect::<Vec<_>>()).collect();
    let mut kept = vec![f64::NAN; Recurrence::kept_len(&segments)];
    let mut scratch = vec![f64::NAN; Recurrence::gradient_scratch_len(&segments, rank)];
    let mut got = vec![f64::NAN; rank * n];
    recurrence.expand(&segments, &y, &mut got, &mut [], &mut scratch);
    assert_near(&got, &expected, &what("inner products"));
    got.fill(f64::NAN);
    recurrence.expand(&segments, &y, &mut got, &mut kept, &mut scratch);
    assert_near(&got, &expected, &what("inner products, kept"));

    let mut w = vec![0.0; n];
    let (mut d_entries, mut d_generators) = (vec![0.0; 3 * n], vec![0.0; rank * n]);
    for k in (0..n).rev() {
        for i in 0..n {
            d_entries[i] += duals[k][i] * w[(i + n - 1) % n];
            d_entries[n + i] += duals[k][i] * w[i];
            d_entries[2 * n + i] += duals[k][i] * w[(i + 1) % n];
        }
        w = step(&entries, &w);
        for (j, g) in generators.chunks_exact(n).enumerate() {
            w.iter_mut().zip(g).for_each(|(w, g)| *w += t[j * n + k] * g);
            let sums = d_generators[j * n..][..n].iter_mut().zip(&duals[k]);
            sums.for_each(|(s, d)| *s += t[j * n + k] * d);
        }
    }
    let mut sum = vec![f64::NAN; n];
    recurrence.combine(&segments, &t, &mut sum, &mut scratch);
    assert_near(&sum, &w, &what("sum"));
    sum.fill(f64::NAN);
    let (mut got_entries, mut got_generators) = (vec![0.0; 3 * n], vec![0.0; rank * n]);
    let mut sums = vec![0.0; Recurrence::sums_len(&segments, rank)];
    for y in [None, Some(&mut sum[..])] {
        recurrence.combine_with_gradient(&segments, &t, y, &kept, &mut sums, &mut scratch);
    }
    let gradient = Gradient { entries: &mut got_entries, generators: &mut got_generators };
    Recurrence::finish(&segments, [&entries, &generators], &mut sums, gradient, &mut scratch);
    assert_near(&sum, &w, &what("sum with gradient"));
    got_entries.iter_mut().chain(&mut got_generators).for_each(|twice| *twice *= 0.5);
    assert_near(&got_entries, &d_entries, &what("gradient in the operator"));
    assert_near(&got_generators, &d_generators, &what("gradient in the generators"));
}

#[test]
fn sweeps_equal_plain_loops() {
    for portable in [false, true] {
        PORTABLE_ONLY.set(portable);
        for n in (1..=40).chain([63, 64, 65, 130]) {
            for rank in 0..=5.min(n) {
                check(n, rank);
            }
        }
    }
    PORTABLE_ONLY.set(false);
}

/// A pass does more steps than these have powers, and the powers they do not have are out of range.
#[test]
fn short_sequences_stay_finite() {
    for n in 1..=4 {
        let entries = vec![10f64.powf(280.0 / (n as f64 - 1.0).max(1.0)); 3 * n];
        let (ones, segments) = (vec![1.0; n], Segments::new(n));
        let recurrence = Recurrence::new(&segments, &entries, &ones);
        let mut kept = vec![f64::NAN; Recurrence::kept_len(&segments)];
        let mut scratch = vec![f64::NAN; Recurrence::gradient_scratch_len(&segments, 1)];
        let (mut sums, mut t) = (vec![0.0; Recurrence::sums_len(&segments, 1)], vec![f64::NAN; n]);
        recurrence.expand(&segments, &ones, &mut t, &mut kept, &mut scratch);
        recurrence.combine_with_gradient(&segments, &ones, None, &kept, &mut sums, &mut scratch);
        let (mut d_entries, mut d_generators) = (vec![0.0; 3 * n], vec![0.0; n]);
        let gradient = Gradient { entries: &mut d_entries, generators: &mut d_generators };
        Recurrence::finish(&segments, [&entries, &ones], &mut sums, gradient, &mut scratch);
        let all = [t, d_entries, d_generators].concat();
        assert!(all.iter().all(|x| x.is_finite()), "n = {n}: {all:?}");
    }
}

#[test]
fn large_orders_go_in_runs() {
    check(WHOLE + 3, 1);
    check(WHOLE + 65, 3);
    check(1100, 1);
}
