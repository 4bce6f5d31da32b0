//! Against the dense matrix in f64, for nodes of all kinds.
//!
//! Tolerances are 1e-11 in f64 and 2e-5 in f32, relative to the norm of the result y, or to `‖|C| |x|‖/√n` where that is
//! larger: that many numbers of random signs do not cancel any further, but for luck.

use super::*;

const BOTH: [Way; 2] = [Way::Plain, Way::Transposed];

fn uniform(n: usize, rng: &mut fastrand::Rng) -> Vec<f64> {
    (0..n).map(|_| rng.f64() * 2.0 - 1.0).collect()
}

/// Node sets by name: spread, clustered, geometric, interleaved down to tiny gaps, repeated within one side, apart.
fn node_sets(m: usize, n: usize, tiny: f64, seed: u64) -> Vec<(&'static str, Vec<f64>, Vec<f64>)> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let rng = &mut rng;
    let geometric = |n: usize, rng: &mut fastrand::Rng| -> Vec<f64> {
        (0..n).map(|_| if rng.bool() { 1.0 } else { -1.0 } * (2.0_f64).powf(-40.0 * rng.f64())).collect()
    };
    let clustered = |n: usize, rng: &mut fastrand::Rng| -> Vec<f64> {
        (0..n).map(|_| (rng.usize(0..7) as f64).exp() + 1e-4 * rng.f64()).collect()
    };
    let even = |n: usize, shift: f64| -> Vec<f64> { (0..n).map(|i| (i as f64 + shift) / n as f64).collect() };
    let roundings = |n: usize, odd: usize, rng: &mut fastrand::Rng| -> Vec<f64> {
        let ulp = if tiny < 1e-4 { f64::EPSILON } else { f64::from(f32::EPSILON) };
        (0..n).map(|_| 1.0 + ulp * (4 * rng.usize(0..300) + odd) as f64).collect()
    };
    let spread = uniform(m, rng);
    let mut near: Vec<f64> = (0..n).map(|j| spread[j % m] * (1.0 + tiny)).collect();
    rng.shuffle(&mut near);
    let chebyshev = |n: usize, shift: f64| -> Vec<f64> {
        (0..n).map(|i| ((i as f64 + shift) / n as f64 * std::f64::consts::PI).cos()).collect()
    };
    vec![
        ("uniform", uniform(m, rng), uniform(n, rng)),
        ("even", even(m, 0.0), even(n, 0.37)),
        ("geometric", geometric(m, rng), geometric(n, rng)),
        ("geometric and uniform", geometric(m, rng), uniform(n, rng)),
        ("clustered", clustered(m, rng), clustered(n, rng)),
        ("tiny gaps", spread.clone(), near),
        ("Chebyshev", chebyshev(m, 0.25), chebyshev(n, 0.75)),
        ("repeated", (0..m).map(|i| (i % 3) as f64).collect(), (0..n).map(|j| (j % 5) as f64 + 0.5).collect()),
        ("apart", uniform(m, rng), uniform(n, rng).iter().map(|t| t + 3.0).collect()),
        ("tight beside wide", uniform(m, rng).iter().map(|s| 0.3 + 1e-7 * s).collect(), uniform(n, rng)),
        ("few roundings apart", roundings(m, 3, rng), roundings(n, 1, rng)),
        (
            "tight in tight",
            uniform(m, rng).iter().map(|s| 0.3 + 1e-5 * s).collect(),
            uniform(n, rng).iter().map(|s| 0.3 + 1e-5 * s).collect(),
        ),
    ]
}

/// Rows of a result that are compared at the most: every row of a small one, evenly chosen ones of a large one.
const ROWS: usize = 300;

/// Some elements of the product and of that with squared entries, by the definition, and the same sums of absolute values.
fn naive<T: Scalar>(s: &[T], t: &[T], way: Way, x: &[T], rows: impl Iterator<Item = usize>) -> Vec<[f64; 4]> {
    let row = |i: usize| {
        let mut sums = [0.0; 4];
        for (j, x) in x.iter().enumerate() {
            let difference = match way {
                Way::Plain => s[i].wide() - t[j].wide(),
                Way::Transposed => s[j].wide() - t[i].wide(),
            };
            let entry = difference.recip();
            let (term, square) = (entry * x.wide(), entry * entry * x.wide());
            for (sum, term) in sums.iter_mut().zip([term, square, term.abs(), square.abs()]) {
                *sum += term;
            }
        }
        sums
    };
    rows.map(row).collect()
}

/// The relative errors of the product and of that with squared entries.
fn errors<T: Scalar>(s: &[T], t: &[T], way: Way, seed: u64) -> [f64; 2] {
    let mut rng = fastrand::Rng::with_seed(seed);
    let plan = CauchyPlan::new(s, t);
    let (from, to) = if way == Way::Plain { (t.len(), s.len()) } else { (s.len(), t.len()) };
    let x: Vec<T> = uniform(from, &mut rng).into_iter().map(T::of).collect();
    let mut scratch = vec![T::nan(); scratch_len::<T>(s.len(), t.len(), Want::Both)];
    let mut got = vec![[T::nan(); 2]; to];
    plan.multiply(way, Want::Both, 1, |_, j| x[j], |_, i, y| got[i] = y, &mut scratch);
    let step = to.div_ceil(ROWS).max(1);
    let expected = naive(s, t, way, &x, (0..to).step_by(step));
    let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>().sqrt();
    [0, 1].map(|k| {
        let error = norm(&mut expected.iter().zip(got.iter().step_by(step)).map(|(e, g)| g[k].wide() - e[k]));
        let [size, terms] = [k, k + 2].map(|k| norm(&mut expected.iter().map(|e| e[k])));
        error / size.max(terms / (from as f64).sqrt())
    })
}

/// Nodes rounded to T, with those of t that collide moved by what T can tell apart.
fn rounded<T: Scalar>(s: &[f64], t: &[f64]) -> (Vec<T>, Vec<T>) {
    let s: Vec<T> = s.iter().map(|&s| T::of(s)).collect();
    let mut t: Vec<T> = t.iter().map(|&t| T::of(t)).collect();
    let mut sorted = s.clone();
    sorted.sort_unstable_by(|&a, &b| compare(a, b));
    for t in &mut t {
        while sorted.binary_search_by(|&s| compare(s, *t)).is_ok() {
            *t = *t * (T::one() + T::epsilon() * T::of(8.0)) + T::of(1e-30);
        }
    }
    (s, t)
}

fn check_sets<T: Scalar>(m: usize, n: usize, tolerance: f64) {
    for tiny in [1e-6, 1e-3] {
        for (name, s, t) in node_sets(m, n, tiny, 7) {
            let (s, t) = rounded::<T>(&s, &t);
            for way in BOTH {
                let [error, squares] = errors(&s, &t, way, 3);
                assert!(
                    error <= tolerance && squares <= tolerance,
                    "{} {name} {m}×{n} {way:?}: {error:.1e} {squares:.1e}",
                    T::NAME
                );
            }
        }
    }
}

#[test]
fn all_kinds_of_nodes_agree_with_the_definition() {
    for (m, n) in [(1, 1), (1, 40), (40, 1), (16, 16), (33, 65), (100, 100), (300, 500), (500, 257)] {
        check_sets::<f64>(m, n, 1e-11);
        check_sets::<f32>(m, n, 2e-5);
    }
}

#[test]
fn the_portable_instruction_set_agrees_with_the_definition() {
    crate::transform::isa::PORTABLE_ONLY.set(true);
    check_sets::<f64>(200, 150, 1e-11);
    check_sets::<f32>(200, 150, 2e-5);
    check_batches::<f64>(9);
    check_batches::<f32>(17);
    crate::transform::isa::PORTABLE_ONLY.set(false);
}

#[test]
fn large_sets_agree_with_the_definition() {
    check_sets::<f64>(2000, 1500, 1e-11);
    check_sets::<f32>(1500, 2000, 2e-5);
}

fn check_batches<T: Scalar>(count: usize) {
    let mut rng = fastrand::Rng::with_seed(count as u64);
    let (m, n) = (150, 230);
    let (s, t) = rounded::<T>(&uniform(m, &mut rng), &uniform(n, &mut rng));
    let plan = CauchyPlan::new(&s, &t);
    let x: Vec<T> = uniform(count * m.max(n), &mut rng).into_iter().map(T::of).collect();
    let mut scratch = vec![T::nan(); scratch_len::<T>(m, n, Want::Both)];
    for way in BOTH {
        let (from, to) = if way == Way::Plain { (n, m) } else { (m, n) };
        let mut run = |want: Want, first: usize, count: usize| {
            let mut y = vec![[T::zero(); 2]; count * to];
            let load = |b: usize, j: usize| x[(first + b) * from + j];
            plan.multiply(way, want, count, load, |b, i, value| y[b * to + i] = value, &mut scratch);
            y
        };
        let both = run(Want::Both, 0, count);
        for b in 0..count {
            assert_eq!(run(Want::Both, b, 1), both[b * to..(b + 1) * to], "{way:?}");
        }
        for k in 0..count * to {
            assert_eq!(run(Want::Product, 0, count)[k][0], both[k][0]);
            assert_eq!(run(Want::Squares, 0, count)[k][1], both[k][1]);
            if k > 3 {
                break;
            }
        }
    }
}

#[test]
fn a_batch_gives_bit_for_bit_what_its_rows_give() {
    for count in [0, 1, 2, 3, 8, 9, 16, 20] {
        check_batches::<f32>(count);
        check_batches::<f64>(count);
    }
}

#[test]
fn collisions_are_named() {
    assert_eq!(
        check_nodes(&[3.0, 0.0, 2.0], &[1.0, 5.0, 2.0]),
        Err(Error::NodesCollide { what: ["s", "t"], row: 2, col: 2, value: 2.0 })
    );
    assert!(matches!(check_nodes(&[0.0], &[-0.0]), Err(Error::NodesCollide { row: 0, col: 0, .. })));
    assert!(matches!(check_nodes(&[0.0], &[1.0, f64::NAN]), Err(Error::NotFinite { what: "t", index: 1, .. })));
    assert_eq!(check_nodes(&[1.0, 1.0], &[2.0_f32, 2.0]), Ok(()));
}

#[test]
fn the_number_of_blocks_grows_with_the_number_of_nodes() {
    for (at, (name, s, t)) in node_sets(1 << 10, 1 << 10, 1e-6, 5).into_iter().enumerate() {
        let (_, s8, t8) = node_sets(1 << 13, 1 << 13, 1e-6, 5).swap_remove(at);
        let count = |s: &[f64], t: &[f64]| {
            let (s, t) = rounded::<f64>(s, t);
            CauchyPlan::new(&s, &t).blocks()
        };
        let (few, many) = (count(&s, &t), count(&s8, &t8));
        assert!(many <= 12 * few, "{name}: {few} blocks, then {many}");
    }
}

#[test]
fn nodes_near_the_ends_of_the_range_do_no_harm() {
    let s: Vec<f64> = (0..100).map(|i| (f64::from(i) - 50.0) * 1e306).collect();
    let t: Vec<f64> = (0..100).map(|i| (f64::from(i) - 50.5) * 1e306).collect();
    let plan = CauchyPlan::new(&s, &t);
    let mut y = vec![0.0; 100];
    let mut scratch = vec![f64::NAN; scratch_len::<f64>(100, 100, Want::Product)];
    plan.multiply(Way::Plain, Want::Product, 1, |_, j| [1e306, -5e305][j % 2], |_, i, v| y[i] = v[0], &mut scratch);
    let x: Vec<f64> = (0..100).map(|j| [1e306, -5e305][j % 2]).collect();
    for (y, [expected, ..]) in y.iter().zip(naive(&s, &t, Way::Plain, &x, 0..100)) {
        assert!((y - expected).abs() < 1e-11, "{y} {expected}");
    }
}
