use super::commutator::TOGETHER;
use super::filter::{filter, subtract_lags};
use super::remainder::{lead_around_gradient, quotient};
use super::taps::{GROUP, UNIT};
use super::*;
use crate::ldr::krylov::{Limits, krylov_rows, krylov_rows_backward};
use crate::transform::isa::PORTABLE_ONLY;

mod influences;

const LIMITS: Limits = Limits { growth: 1e6, tail: 1e-16, condition: 1e4, error: 1e-11 };

/// Orders with spreads that leave taps room: next to twice a width, odd, and whole groups of columns or not.
const OPERATORS: [(usize, f64); 11] = [
    (16, 1e-7),
    (17, 1e-7),
    (31, 0.0),
    (32, 0.001),
    (33, 0.001),
    (64, 0.003),
    (97, 0.01),
    (100, 0.03),
    (130, 0.03),
    (257, 0.03),
    (300, 0.09),
];

fn random(len: usize, rng: &mut fastrand::Rng) -> Vec<f64> {
    (0..len).map(|_| 2.0 * rng.f64() - 1.0).collect()
}

/// The shift, moved by a spread, with a corner that is not 1.
fn operator(order: usize, spread: f64) -> Vec<f64> {
    let mut rng = fastrand::Rng::with_seed(order as u64);
    let mut entries: Vec<f64> = random(3 * order, &mut rng).iter().map(|e| spread * e).collect();
    entries[..order].iter_mut().for_each(|lower| *lower += 1.0);
    entries[0] = if order.is_multiple_of(2) { 0.9 } else { -1.1 };
    entries
}

fn companion(entries: &[f64], generators: &[f64]) -> Option<(Companion, Plan)> {
    let order = entries.len() / 3;
    let plan = Plan::new(order, generators.len() / order, LIMITS)?;
    Some((Companion::new(&plan, entries, generators, None)?, plan))
}

fn norm(v: &[f64]) -> f64 {
    v.iter().map(|x| x * x).sum::<f64>().sqrt()
}

fn inner(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Errors are rounding errors of so many operations, times a size.
#[track_caller]
fn assert_near(got: &[f64], expected: &[f64], operations: usize, size: f64, what: &str) {
    assert_eq!(got.len(), expected.len(), "{what}");
    let error = norm(&got.iter().zip(expected).map(|(g, e)| g - e).collect::<Vec<_>>());
    let bound = operations as f64 * f64::EPSILON * size;
    assert!(error <= bound, "{what}: {error:e}, allowed {bound:e}");
}

/// Runs a test on this machine's instructions and on the portable ones.
fn on_both(test: impl Fn()) {
    for portable in [false, true] {
        PORTABLE_ONLY.set(portable);
        test();
    }
    PORTABLE_ONLY.set(false);
}

/// `A^k e_0` for k below N.
fn vectors(entries: &[f64]) -> Vec<f64> {
    let mut first = vec![0.0; entries.len() / 3];
    first[0] = 1.0;
    krylov_rows(entries, &first)
}

/// The coefficients of ψ_i, those below degree zero led around the cycle by `z^−m = z^{N−m} ν(1/z)`.
fn coordinates(companion: &Companion, order: usize, i: usize) -> Vec<f64> {
    let mut coefficients = vec![0.0; order];
    for (j, &tap) in companion.psi.column(i).iter().enumerate() {
        if j <= i {
            coefficients[i - j] += tap;
            continue;
        }
        let top = order - (j - i);
        companion.psi.column(order).iter().enumerate().for_each(|(m, nu)| coefficients[top - m] += tap * nu);
    }
    coefficients
}

#[test]
fn taps_are_those_of_krylov_vectors_and_of_their_inverse() {
    on_both(|| {
        for (order, spread) in OPERATORS {
            let entries = operator(order, spread);
            let (companion, _) = companion(&entries, &[]).unwrap();
            let what = |of: &str, k: usize| format!("{of}, N = {order}, column {k}");
            let rows = vectors(&entries);
            let largest = rows.chunks_exact(order).map(norm).fold(0.0, f64::max);
            for (k, row) in rows.chunks_exact(order).enumerate() {
                let mut got = vec![0.0; order];
                let taps = companion.k.column(k).iter().enumerate();
                taps.for_each(|(j, tap)| got[(k + order - j) % order] += tap);
                assert_near(&got, row, order, largest, &what("K", k));
            }
            let columns: Vec<_> = (0..order).map(|i| coordinates(&companion, order, i)).collect();
            let condition = largest * columns.iter().map(|c| norm(c)).fold(0.0, f64::max);
            for (i, column) in columns.iter().enumerate() {
                let mut got = vec![0.0; order];
                let terms = rows.chunks_exact(order).zip(column);
                terms.for_each(|(row, c)| got.iter_mut().zip(row).for_each(|(g, r)| *g += c * r));
                let unit: Vec<f64> = (0..order).map(|k| f64::from(u8::from(k == i))).collect();
                assert_near(&got, &unit, 2 * order, condition, &what("K Ψ", i));
            }
        }
    });
}

#[test]
fn banded_products_equal_the_definition() {
    on_both(|| {
        for (order, spread) in OPERATORS {
            let (companion, plan) = companion(&operator(order, spread), &[]).unwrap();
            let mut rng = fastrand::Rng::with_seed(1);
            for (taps, columns) in [(&companion.k, order), (&companion.psi, order)] {
                let mut x = random(columns, &mut rng);
                x.resize(plan.places, 0.0);
                let mut expected = vec![0.0; plan.places + taps.width()];
                for (k, x) in x.iter().enumerate().take(columns) {
                    let reach = &mut expected[plan.places - 1 - k..];
                    reach.iter_mut().zip(taps.column(k)).for_each(|(r, tap)| *r += x * tap);
                }
                let mut got = vec![f64::NAN; plan.reach()];
                taps.product(&x, &mut got);
                let sizes = norm(&expected).max(1.0);
                assert_near(&got[..expected.len()], &expected, 2 * taps.width(), sizes, "product");

                let reach = random(plan.reach(), &mut rng);
                let mut got = vec![f64::NAN; plan.places];
                taps.transposed_product(&reach, &mut got);
                let expected: Vec<f64> =
                    (0..columns).map(|k| inner(taps.column(k), &reach[plan.places - 1 - k..])).collect();
                assert_near(&got[..columns], &expected, 2 * taps.width(), norm(&reach), "transposed product");
            }
        }
    });
}

#[test]
fn wider_bands_keep_their_columns() {
    const COLUMNS: usize = 26;
    for memory in [0, 100, 4000] {
        for (narrow, wide, end) in [(8, 16, 25), (8, 128, 1), (16, 24, 9), (24, 48, 20)] {
            let mut used = Aligned::zeros(memory);
            used.get_mut().fill(f64::NAN);
            let mut taps = Taps::new(COLUMNS, used);
            taps.widen(narrow, 1);
            let tap = |k: usize, j: usize| (1000 * k + j + 1) as f64;
            for k in 0..COLUMNS - 1 {
                taps.clear(k + 1);
                let start = taps.start(k);
                let column = &mut taps.numbers_mut()[start..][..narrow];
                column.iter_mut().enumerate().for_each(|(j, x)| *x = tap(k, j));
            }
            taps.widen(wide, end);
            taps.clear_from(end);
            for k in 0..COLUMNS - 1 {
                let expected = |j: usize| if k < end && j < narrow { tap(k, j) } else { 0.0 };
                let expected: Vec<f64> = (0..wide).map(expected).collect();
                assert_eq!(taps.column(k), expected, "memory {memory}, {narrow} to {wide}, column {k}");
                let start = taps.start(k);
                let room = start + k % GROUP + 1 - GROUP;
                let around = [&taps.numbers()[room..start], &taps.numbers()[start + wide..room + wide + GROUP]];
                assert!(around.concat().iter().all(|x| *x == 0.0), "around column {k}");
            }
        }
    }
}

#[test]
fn memory_that_was_used_changes_nothing() {
    for (order, spread) in OPERATORS {
        let (entries, generators) = (operator(order, spread), vec![1.0; order]);
        let (fresh, plan) = companion(&entries, &generators).unwrap();
        let (mut used, _) = companion(&entries, &generators).unwrap();
        for taps in [&mut used.k, &mut used.psi] {
            taps.numbers_mut().fill(f64::NAN);
        }
        let again = Companion::new(&plan, &entries, &generators, Some(used)).unwrap();
        let bits = |numbers: &[f64]| numbers.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        for (a, b) in [(&fresh.k, &again.k), (&fresh.psi, &again.psi)] {
            // K has nothing before its first column.
            let first = a.start(0) + 1 - GROUP;
            assert_eq!((a.width(), bits(&a.numbers()[first..])), (b.width(), bits(&b.numbers()[first..])));
        }
        assert_eq!(bits(fresh.psi.before_first()), bits(again.psi.before_first()));
        assert_eq!(bits(&fresh.remainder.inverse), bits(&again.remainder.inverse));
        let spectra = [&fresh, &again].map(|companion| bits(companion.sources[0].spectrum.get()));
        assert_eq!(spectra[0], spectra[1]);
    }
}

#[test]
fn filters_equal_their_sums() {
    let mut rng = fastrand::Rng::with_seed(2);
    on_both(|| {
        for (len, taps) in [(8, 8), (24, 16), (32, 8), (40, 24), (104, 48)] {
            let mut rng = fastrand::Rng::with_seed(2);
            let (f, signal) = (random(taps, &mut rng), random(len + taps, &mut rng));
            let mut out = vec![f64::NAN; len];
            filter(&f, &signal, &mut out);
            let expected: Vec<f64> = (0..len).map(|e| inner(&f, &signal[e..])).collect();
            assert_near(&out, &expected, 2 * taps, norm(&signal), "filter");

            let a = random(len, &mut rng);
            let begun = random(taps, &mut rng);
            let mut lags = begun.clone();
            subtract_lags(&a, &signal, &mut lags);
            let expected: Vec<f64> = (0..taps).map(|j| begun[j] - inner(&a, &signal[j..])).collect();
            assert_near(&lags, &expected, 2 * len, norm(&a) + norm(&signal), "lags");
        }
    });
    let (a, b) = (random(20, &mut rng), [2.0, 0.3, -0.2]);
    let q = quotient(&a, &b, 20);
    let product: Vec<f64> = (0..20).map(|k| (0..=k.min(2)).map(|j| b[j] * q[k - j]).sum()).collect();
    assert_near(&product, &a, 20, norm(&a), "quotient");
}

/// Taps of a characteristic polynomial that die away, the filter 1/ν, and a polynomial of degree 2N − 2.
fn division(order: usize) -> (Remainder, Vec<f64>) {
    let mut rng = fastrand::Rng::with_seed(order as u64);
    let mut nu: Vec<f64> = random(8, &mut rng).iter().enumerate().map(|(j, x)| x * 0.1f64.powi(j as i32)).collect();
    nu[0] = 0.8;
    let inverse = quotient(&[1.0], &nu, 24);
    (Remainder::new(&nu, inverse), random(2 * order - 1, &mut rng))
}

/// The remainder, and the quotient, by [`Remainder::reduce`].
fn reduced(remainder: &Remainder, order: usize, p: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let places = order.next_multiple_of(UNIT);
    let mut upper = p[order..].to_vec();
    upper.resize(places + remainder.margin(), 0.0);
    let (mut quotient, mut lower) = (vec![f64::NAN; places], p[..order].to_vec());
    remainder.reduce(&upper, &mut quotient, &mut lower);
    quotient.resize(places + remainder.nu.len(), 0.0);
    (lower, quotient)
}

#[test]
fn remainders_are_those_of_long_division() {
    for order in [16, 37, 40, 41, 63] {
        let (remainder, p) = division(order);
        let mut rest = p.clone();
        for e in (0..order - 1).rev() {
            let factor = rest[order + e] / remainder.nu[0];
            remainder.nu.iter().enumerate().for_each(|(j, nu)| rest[order + e - j] -= factor * nu);
            rest[e] += factor;
        }
        let (got, _) = reduced(&remainder, order, &p);
        assert_near(&got, &rest[..order], 24, norm(&p), &format!("N = {order}"));
    }
}

#[test]
fn ways_back_are_transposes() {
    for order in [16, 37, 40, 41, 63] {
        let (remainder, p) = division(order);
        let places = order.next_multiple_of(UNIT);
        let mut rng = fastrand::Rng::with_seed(3);
        let d = random(order, &mut rng);
        let gradient_of = |remainder: &Remainder| {
            let mut padded = vec![f64::NAN; remainder.margin() + places];
            padded[remainder.margin()..][..order].copy_from_slice(&d);
            padded[remainder.margin() + order..].fill(0.0);
            let mut upper = vec![f64::NAN; places];
            remainder.reduce_back(order, &mut padded, &mut upper);
            upper
        };
        let (rest, q) = reduced(&remainder, order, &p);
        let upper = gradient_of(&remainder);
        let back = inner(&p[..order], &d) + inner(&p[order..], &upper);
        let size = norm(&p) * norm(&d);
        assert_near(&[back], &[inner(&rest, &d)], 24, size, "remainder");

        // What is there may not be overwritten.
        let mut d_nu = vec![1.0; remainder.nu.len()];
        remainder.gradient(&q, &d, &upper, &mut d_nu);
        let step = 1e-5;
        for (m, got) in d_nu.iter().enumerate() {
            let [up, down] = [step, -step].map(|step| {
                let mut nu = remainder.nu.clone();
                nu[m] += step;
                let inverse = quotient(&[1.0], &nu, 24);
                inner(&reduced(&Remainder::new(&nu, inverse), order, &p).0, &d)
            });
            // Differences err by the square of the step times a third derivative.
            assert!((got - 1.0 - (up - down) / (2.0 * step)).abs() <= 100.0 * step * step * size, "ν_{m}, N = {order}");
        }

        let below = random(7, &mut rng);
        let (mut around, mut back) = (vec![0.0; order], vec![f64::NAN; 7]);
        remainder.lead_around(&below, &mut around);
        remainder.lead_back(&d, &mut back);
        assert_near(&[inner(&below, &back)], &[inner(&around, &d)], 16, norm(&below) * norm(&d), "around");
        let mut d_nu = vec![0.0; 8];
        lead_around_gradient(&below, &d, -2.0, &mut d_nu);
        let expected = -2.0 * inner(&around, &d);
        assert_near(&[inner(&d_nu, &remainder.nu)], &[expected], 32, norm(&below) * norm(&d), "gradient in ν");
    }
}

/// One example: coefficients and a vector.
struct Example {
    t: Vec<f64>,
    y: Vec<f64>,
}

/// The gradients in generators and entries of the sum of `⟨y, Σ_jk t_jk A^k g_j⟩` over a batch.
fn gradients(entries: &[f64], generators: &[f64], batch: &[Example]) -> [Vec<f64>; 2] {
    let order = entries.len() / 3;
    let [mut d_generators, mut d_entries] = [generators, entries].map(|of| vec![0.0; of.len()]);
    for (j, g) in generators.chunks_exact(order).enumerate() {
        let rows = krylov_rows(entries, g);
        for Example { t, y } in batch {
            let mut d_rows: Vec<f64> =
                t[j * order..][..order].iter().flat_map(|t| y.iter().map(move |y| t * y)).collect();
            let d_generator = &mut d_generators[j * order..][..order];
            krylov_rows_backward(entries, &rows, &mut d_rows, d_generator, &mut d_entries);
        }
    }
    [d_generators, d_entries]
}

/// `Aᵀ Z − Z Aᵀ = ġ gᵀ − ẏ yᵀ` for the gradient Z of `⟨ẏ, y⟩` in all entries of A, where `y = Σ_k t_k A^k g`.
#[test]
fn the_gradient_in_all_entries_has_low_displacement_rank() {
    for order in [1, 2, 3, 7, 12] {
        let mut rng = fastrand::Rng::with_seed(order as u64);
        let [a, g, t, dy] = [order * order, order, order, order].map(|len| random(len, &mut rng));
        let row = |i: usize| &a[i * order..][..order];
        let times = |x: &[f64]| (0..order).map(|i| inner(row(i), x)).collect::<Vec<_>>();
        let back =
            |x: &[f64]| (0..order).map(|j| (0..order).map(|i| a[i * order + j] * x[i]).sum()).collect::<Vec<f64>>();
        let powers = |x: &[f64], step: &dyn Fn(&[f64]) -> Vec<f64>| {
            let next = |x: &Vec<f64>| Some(step(x));
            std::iter::successors(Some(x.to_vec()), next).take(order).collect::<Vec<_>>()
        };
        let (ahead, behind) = (powers(&g, &times), powers(&dy, &back));
        let sum = |vectors: &[Vec<f64>], i: usize| vectors.iter().zip(&t).map(|(v, t)| v[i] * t).sum::<f64>();
        let mut z = vec![0.0; order * order];
        for k in 1..order {
            for (before, after) in behind.iter().zip(ahead[..k].iter().rev()).take(k) {
                for (z, (i, j)) in z.iter_mut().zip((0..order).flat_map(|i| (0..order).map(move |j| (i, j)))) {
                    *z += t[k] * before[i] * after[j];
                }
            }
        }
        let column = |j: usize| (0..order).map(|i| z[i * order + j]).collect::<Vec<_>>();
        let left: Vec<Vec<f64>> = (0..order).map(|j| back(&column(j))).collect();
        let right: Vec<Vec<f64>> = z.chunks_exact(order).map(times).collect();
        let size = norm(&left.concat()) + norm(&right.concat()) + 1.0;
        for (i, right) in right.iter().enumerate() {
            for j in 0..order {
                let expected = sum(&behind, i) * g[j] - dy[i] * sum(&ahead, j);
                assert_near(&[left[j][i] - right[j]], &[expected], 8 * order, size, &format!("N = {order}, {i}, {j}"));
            }
        }
    }
}

/// All that an operator does, against the definition.
fn check(order: usize, spread: f64, rank: usize, batch: usize) {
    assert!(check_entries(&operator(order, spread), LIMITS.tail, rank, batch), "refused: N = {order}");
}

/// The same for any operator, unless it is refused.
fn check_entries(entries: &[f64], tail: f64, rank: usize, batch: usize) -> bool {
    let order = entries.len() / 3;
    let what = |op: &str| format!("{op}, N = {order}, r = {rank}, batch {batch}");
    let mut rng = fastrand::Rng::with_seed((10 * order + rank) as u64);
    let generators = random(rank * order, &mut rng);
    let plan = Plan::new(order, rank, Limits { tail, ..LIMITS }).unwrap();
    let Some(companion) = Companion::new(&plan, entries, &generators, None) else { return false };
    // Taps that are left out count as much as rounding.
    let rounding = (tail / LIMITS.tail).max(1.0) as usize;
    let rows: Vec<_> = generators.chunks_exact(order).map(|g| krylov_rows(entries, g)).collect();
    let rows: Vec<&[f64]> = rows.iter().flat_map(|rows| rows.chunks_exact(order)).collect();
    let examples: Vec<_> =
        (0..batch).map(|_| Example { t: random(rank * order, &mut rng), y: random(order, &mut rng) }).collect();
    let size = norm(&rows.concat());
    let mut scratch = vec![f64::NAN; Companion::gradient_scratch_len(&plan)];
    let mut sums = vec![f64::NAN; Companion::sums_len(&plan)];
    let mut down = vec![f64::NAN; Companion::down_len(&plan)];
    let mut up = vec![f64::NAN; Companion::up_len(&plan)];
    if examples.is_empty() {
        sums.fill(0.0);
    }
    for (i, Example { t, y }) in examples.iter().enumerate() {
        let mut got = vec![f64::NAN; rank * order];
        companion.transposed(&plan, y, &mut got, &mut up, &mut scratch);
        let expected: Vec<f64> = rows.iter().map(|row| inner(row, y)).collect();
        assert_near(&got, &expected, 8 * order * rounding, size, &what("transposed product"));
        let mut expected = vec![0.0; order];
        let terms = rows.iter().zip(t);
        terms.for_each(|(row, t)| expected.iter_mut().zip(*row).for_each(|(e, x)| *e += t * x));
        let [mut got, mut again] = [(); 2].map(|()| vec![f64::NAN; order]);
        companion.forward(&plan, t, &mut got, &mut scratch);
        assert_near(&got, &expected, 8 * order * rounding, size, &what("product"));
        let wanted = i.is_multiple_of(2).then_some(&mut again[..]);
        companion.forward_keeping(&plan, t, wanted, &mut down, &mut scratch);
        assert!(i % 2 == 1 || again == got, "{}", what("product with its gradient"));
        let gradient = Gradient { down: &down, up: &up, first: i == 0, sums: &mut sums };
        companion.gradient(&plan, y, gradient, &mut scratch);
    }
    let expected = gradients(entries, &generators, &examples);
    let [mut d_generators, mut d_entries] = [rank, 3].map(|rows| vec![f64::NAN; rows * order]);
    companion.finish(&plan, &mut sums, &mut d_generators, &mut d_entries, &mut scratch);
    for (got, expected, of) in [(d_generators, &expected[0], "generators"), (d_entries, &expected[1], "entries")] {
        assert_near(&got, expected, 32 * order * rounding, norm(expected), &what(&format!("gradient in the {of}")));
    }
    true
}

#[test]
fn everything_equals_the_definition() {
    on_both(|| {
        for (order, spread) in OPERATORS {
            for rank in 0..=3 {
                for batch in [0, 1, 2, 3, 5] {
                    check(order, spread, rank, batch);
                }
            }
        }
    });
}

/// Where a single entry is far from the shift, the taps of K, of ψ and of 1/ν are not as many.
#[test]
fn single_entries_may_be_large() {
    const ORDER: usize = 98;
    let mut taken = 0;
    for (row, value) in [(0, 0.4), (0, 1.9), (1, 0.05), (1, 0.3), (1, -0.3), (1, 0.5), (2, 0.1), (2, -0.2), (2, 0.3)] {
        for place in [0, 1, 2, ORDER / 2, ORDER - 3, ORDER - 2, ORDER - 1] {
            for (spread, tail, rank, batch) in
                [(0.0, 1e-16, 1, 1), (1e-9, 1e-16, 2, 1), (0.01, 1e-15, 1, 5), (0.0, 1e-15, 0, 2), (1e-9, 1e-9, 1, 2)]
            {
                let mut entries = operator(ORDER, spread);
                entries[row * ORDER + place] = value;
                taken += usize::from(check_entries(&entries, tail, rank, batch));
            }
        }
    }
    assert!(taken > 200, "{taken} of 315");
}

/// Columns of the gradient are in registers as a whole, or in parts: an upper and a lower one, and some between.
#[test]
fn bands_are_narrow_and_wide() {
    let widths = OPERATORS.map(|(order, spread)| {
        let (companion, _) = companion(&operator(order, spread), &[]).unwrap();
        companion.diagonals / GROUP
    });
    assert!(widths.contains(&1) && widths.contains(&TOGETHER), "{widths:?}");
    assert!(widths.iter().any(|width| *width > TOGETHER && *width <= 2 * TOGETHER), "{widths:?}");
    assert!(widths.iter().any(|width| *width > 2 * TOGETHER), "{widths:?}");
}

/// The narrowest bands wind around half of the cycle, and more places than columns are the rule.
#[test]
fn any_order_from_sixteen_on_will_do() {
    assert!((0..16).all(|order| Plan::new(order, 1, LIMITS).is_none()));
    for order in 16..=50 {
        check(order, 1e-7, 1, 3);
    }
}

#[test]
fn operators_far_from_the_shift_are_refused() {
    let is_refused = |entries: &[f64]| companion(entries, &vec![1.0; entries.len() / 3]).is_none();
    for order in [99, 100, 101, 102] {
        let near = operator(order, 0.01);
        assert!(!is_refused(&near));
        for place in [0, 1, 2, order / 2, order - 3, order - 2, order - 1] {
            for (row, value) in [(0, 0.0), (0, 1e-310), (0, 1e-200), (0, 1e200), (1, 1e200), (2, -1e200), (2, f64::MAX)]
            {
                let mut entries = near.clone();
                entries[row * order + place] = value;
                assert!(is_refused(&entries), "{value:e} in row {row} at {place}");
            }
        }
        let with = |lower: f64, diagonal: f64, upper: f64| [lower, diagonal, upper].map(|x| vec![x; order]).concat();
        assert!(is_refused(&with(0.5, 0.0, 0.48)), "reflecting");
        assert!(is_refused(&with(1.0, 0.0, 0.5)), "turning back");
        assert!(is_refused(&with(1.0, 0.1, 0.0)), "growing to e^10");
        assert!(is_refused(&with(1.1, 0.0, 0.0)), "growing to 1.1^100");
        assert!(is_refused(&with(0.9, 0.0, 0.0)), "shrinking to 0.9^100");
        assert!(!is_refused(&with(-1.0, 0.02, 0.01)), "turned");
    }
}

/// In the last two columns of K, overflow and then a difference of infinities; ψ is not as large anywhere.
#[test]
fn differences_of_infinities_are_refused() {
    let order = 99;
    let mut entries = [vec![1.0; order], vec![0.0125; order], vec![0.0; order]].concat();
    entries[1] = 1.1;
    entries[order - 2] = 1.7e308;
    entries[0] = 5.9e-309;
    entries[2 * order - 2] = -0.01;
    assert!(companion(&entries, &[]).is_none());
}

/// Whatever the entries are, nothing panics, and what is taken is finite.
#[test]
fn any_entries_are_taken_or_refused() {
    let values = [0.0, -0.0, -1.0, 0.5, 1.02, 1e-310, 1e-200, 1e200, -1e200, f64::MAX, f64::MIN_POSITIVE];
    let mut rng = fastrand::Rng::with_seed(5);
    for case in 0..2000 {
        let order = 16 + case % 20;
        let mut entries = operator(order, 0.001);
        for _ in 0..rng.usize(0..4) {
            entries[rng.usize(0..3 * order)] = values[rng.usize(0..values.len())];
        }
        let Some((companion, plan)) = companion(&entries, &vec![1.0; order]) else { continue };
        let mut y = vec![f64::NAN; order];
        companion.forward(&plan, &vec![1.0; order], &mut y, &mut vec![f64::NAN; Companion::scratch_len(&plan)]);
        assert!(y.iter().all(|y| y.is_finite()), "{entries:?}");
    }
}
