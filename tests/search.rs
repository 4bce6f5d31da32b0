//! What else compression may change besides generators, on matrices in which each of it helps by construction: operators, pairs
//! of shifts, scales and orders of rows and columns.

#[path = "common/families.rs"]
#[allow(dead_code, reason = "these tests need only a few of the helpers")]
mod common;

use std::ops::ControlFlow;
use std::sync::Arc;

use common::{assert_close, norm, random};
use displace::compress::{Candidate, Compressed, Compression, Flow, Progress, quietly};
use displace::displacement::{ShiftOperator, ShiftPair};
use displace::{Builder, Error, Family, Init, Matrix, PathChoice, Permuted, Structure, Workspace};

fn fit(compression: &Compression, family: Family, rank: usize) -> Compressed<f64> {
    let rank = family.has_rank().then_some(rank);
    compression.family(family, rank, &mut quietly).unwrap()
}

fn shuffled(len: usize, seed: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..len).collect();
    fastrand::Rng::with_seed(seed).shuffle(&mut order);
    order
}

fn in_order(entries: &[f64], cols: usize, rows: &[usize], columns: &[usize]) -> Vec<f64> {
    rows.iter().flat_map(|&i| columns.iter().map(move |&j| entries[i * cols + j])).collect()
}

fn noise(entries: &[f64], size: f64, seed: u64) -> Vec<f64> {
    entries.iter().zip(random::<f64>(entries.len(), seed)).map(|(x, e)| x + size * e).collect()
}

fn structured(family: Family, rows: usize, cols: usize, rank: usize, seed: u64) -> Matrix<f64> {
    let builder = Builder::new(family, rows, cols).init(Init::Variance(1.0)).seed(seed);
    if family.has_rank() { builder.rank(rank).build().unwrap() } else { builder.build().unwrap() }
}

#[test]
fn rows_or_columns_out_of_order_are_found() {
    let (m, n) = (24, 30);
    let [rows, columns] = [shuffled(m, 1), shuffled(n, 2)];
    let (in_rows, in_columns): (Vec<usize>, Vec<usize>) = ((0..m).collect(), (0..n).collect());
    for family in [Family::Toeplitz, Family::ToeplitzLike, Family::Hankel, Family::HankelLike] {
        let clean = match family {
            Family::Hankel | Family::HankelLike => structured(Family::Hankel, m, n, 0, 3).to_dense().unwrap(),
            _ => structured(Family::Toeplitz, m, n, 0, 3).to_dense().unwrap(),
        };
        for (rows, columns) in [(&rows, &in_columns), (&in_rows, &columns)] {
            let entries = noise(&in_order(&clean, n, rows, columns), 1e-12, 4);
            let compression = Compression::of(m, n, &entries).unwrap();
            let plain = fit(&compression, family, 2);
            let sorted = fit(&compression.permutations(true), family, 2);
            assert!(plain.relative_error > 0.5, "{family}: {}", plain.relative_error);
            assert!(sorted.relative_error < 1e-9, "{family}: {}", sorted.relative_error);
            assert_eq!(sorted.matrix.parameters().len(), plain.matrix.parameters().len());
        }
    }
}

#[test]
fn rows_and_columns_out_of_order_are_found_where_entries_fall_off() {
    let n = 40;
    let clean: Vec<f64> = (0..n * n)
        .map(|k| {
            let lag = (k / n) as f64 - (k % n) as f64;
            (-(lag - 2.0).powi(2) / 40.0).exp() * (1.0 + 0.3 * (1.3 * lag).cos())
        })
        .collect();
    let entries = in_order(&clean, n, &shuffled(n, 5), &shuffled(n, 6));
    let inputs = random::<f64>(60 * n, 7);
    let plain = Compression::of(n, n, &entries).unwrap().steps(60).starts(2);
    for compression in [plain.clone(), plain.inputs(&inputs).unwrap()] {
        let before = fit(&compression, Family::ToeplitzLike, 3);
        let after = fit(&compression.permutations(true), Family::ToeplitzLike, 3);
        assert!(after.error() < 0.2 * before.error(), "{} {}", before.error(), after.error());
        assert_eq!(after.matrix.structure().family().name(), "permuted Toeplitz-like");
    }
}

#[test]
fn an_order_that_helps_nothing_is_not_taken() {
    let entries = structured(Family::ToeplitzLike, 20, 20, 3, 1).to_dense().unwrap();
    let compression = Compression::of(20, 20, &entries).unwrap().permutations(true);
    let found = fit(&compression, Family::ToeplitzLike, 3);
    assert!(found.relative_error < 1e-9);
    assert_eq!(found.matrix.structure().family(), Family::ToeplitzLike);
    // No shifts along diagonals, no order.
    let low = fit(&compression, Family::LowRank, 3);
    assert_eq!(low.matrix.structure().family(), Family::LowRank);
}

#[test]
fn scaled_rows_and_columns_are_found_as_learned_operators() {
    for (m, n) in [(20, 20), (16, 25), (25, 16)] {
        let clean = structured(Family::Toeplitz, m, n, 0, 3).to_dense().unwrap();
        // Sizes between ½ and 2, and signs.
        let [s, t] = [(m, 4), (n, 5)].map(|(side, seed)| {
            random::<f64>(side, seed).iter().map(|x| x.signum() * 2f64.powf(*x)).collect::<Vec<f64>>()
        });
        let entries: Vec<f64> = clean.iter().enumerate().map(|(k, x)| s[k / n] * x * t[k % n]).collect();
        let compression = Compression::of(m, n, &noise(&entries, 1e-12, 6)).unwrap();
        let learned = fit(&compression, Family::LearnedSubdiagonal, 2);
        assert!(learned.relative_error < 1e-6, "{m}×{n}: {}", learned.relative_error);
        // Even with as many parameters.
        let fixed = fit(&compression, Family::ToeplitzLike, 4);
        assert!(fixed.relative_error > 0.1, "{m}×{n}: {}", fixed.relative_error);
    }
}

/// LDR-SD or LDR-TD with operators that are shifts but for some noise.
fn near_shifts(family: Family, n: usize, rank: usize, size: f64) -> Vec<f64> {
    let mut matrix = structured(family, n, n, rank, 1);
    let generators = rank * 2 * n;
    let moves = random::<f64>(matrix.parameters().len() - generators, 2);
    matrix.update(|p| p[generators..].iter_mut().zip(&moves).for_each(|(p, m)| *p += size * m)).unwrap();
    matrix.to_dense().unwrap()
}

#[test]
fn learned_operators_come_nearer_than_the_shifts_that_they_start_from() {
    let n = 24;
    for (family, size, share) in [(Family::LearnedSubdiagonal, 0.2, 0.3), (Family::LearnedTridiagonal, 0.05, 0.7)] {
        let entries = near_shifts(family, n, 2, size);
        let compression = Compression::of(n, n, &entries).unwrap();
        let fixed = fit(&compression, Family::ToeplitzLike, 2);
        let mut last = (usize::MAX, f64::INFINITY);
        let mut watch = |progress: &displace::compress::Progress| {
            if progress.start != last.0 || progress.step == 1 {
                last = (progress.start, f64::INFINITY);
            }
            assert!(progress.relative_error <= last.1, "{progress:?} after {}", last.1);
            last.1 = progress.relative_error;
            ControlFlow::Continue(())
        };
        let learned = compression.family::<f64>(family, Some(2), &mut watch).unwrap();
        assert_eq!(learned.matrix.structure().family(), family);
        assert!(
            learned.relative_error < share * fixed.relative_error,
            "{family}: {learned:?} {}",
            fixed.relative_error
        );
    }
}

#[test]
fn nodes_that_move_come_nearer() {
    for family in [Family::VandermondeLike, Family::CircleVandermondeLike, Family::CauchyLike] {
        // Nodes of another seed.
        let entries = structured(family, 16, 20, 2, 9).to_dense().unwrap();
        let compression = Compression::of(16, 20, &entries).unwrap().seed(1);
        let fixed = fit(&compression, family, 2);
        let moving = fit(&compression.operators(true), family, 2);
        assert!(
            moving.relative_error < 0.9 * fixed.relative_error,
            "{family}: {} {}",
            moving.relative_error,
            fixed.relative_error
        );
        assert!(moving.start_error >= fixed.relative_error);
    }
}

/// Here the nodes of s and t move out together to 10⁵, where their differences are less than f32 tells.
#[test]
fn nodes_that_single_precision_cannot_tell_apart_stay_where_they_were() {
    for (m, n, rank) in [(5, 8, 1), (3, 8, 1), (5, 8, 2), (4, 12, 1)] {
        let entries: Vec<f32> = (0..m * n).map(|k: usize| 1.0 / (1.0 + (k / n).abs_diff(k % n) as f32)).collect();
        let compression = Compression::of(m, n, &entries).unwrap();
        let fixed = compression.family::<f32>(Family::CauchyLike, Some(rank), &mut quietly).unwrap();
        let moving = compression.operators(true).family::<f32>(Family::CauchyLike, Some(rank), &mut quietly).unwrap();
        let errors = [moving.relative_error, fixed.relative_error];
        assert!(errors[0] <= errors[1] * (1.0 + 1e-5), "{m}×{n}, rank {rank}: {errors:?}");
    }
}

#[test]
fn the_pair_of_shifts_is_found() {
    for reversed in [false, true] {
        let corner = if reversed { ShiftOperator::Plain(0.0) } else { ShiftOperator::Transposed(0.0) };
        let pair = ShiftPair::stein(ShiftOperator::Plain(0.0), corner).unwrap();
        let entries = noise(&structured(Family::ShiftLike(pair), 18, 22, 3, 2).to_dense().unwrap(), 1e-12, 3);
        let family = if reversed { Family::HankelLike } else { Family::ToeplitzLike };
        let compression = Compression::of(18, 22, &entries).unwrap();
        let one = fit(&compression, family, 3);
        let best = fit(&compression.pairs(true), family, 3);
        assert!(one.relative_error > 1e-3, "{family}: {}", one.relative_error);
        assert!(best.relative_error < 1e-9, "{family}: {}", best.relative_error);
        assert_eq!(best.matrix.structure().family(), Family::ShiftLike(pair));
        assert_eq!(best.candidate, Candidate::Family(family));
    }
}

#[test]
fn every_search_is_stopped_by_its_callback_and_keeps_what_it_has() {
    let entries = near_shifts(Family::LearnedSubdiagonal, 15, 2, 0.3);
    let entries = in_order(&entries, 15, &shuffled(15, 1), &(0..15).collect::<Vec<_>>());
    let compression = Compression::of(15, 15, &entries).unwrap().steps(30).starts(3);
    let compression = compression.operators(true).pairs(true).permutations(true);
    for family in [Family::ToeplitzLike, Family::LearnedSubdiagonal, Family::VandermondeLike] {
        let mut total = 0;
        let mut count = |_: &_| {
            total += 1;
            ControlFlow::Continue(())
        };
        let whole = compression.family::<f64>(family, Some(2), &mut count).unwrap();
        assert!(!whole.stopped);
        for limit in [1, total / 3, total / 2, total - 1] {
            let mut calls = 0;
            let mut stop = |_: &_| {
                calls += 1;
                if calls >= limit { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            };
            let found = compression.family::<f64>(family, Some(2), &mut stop).unwrap();
            assert!(found.stopped && found.relative_error <= 1.0, "{family} after {limit} of {total}");
            assert_eq!(calls, limit, "{family}");
        }
    }
}

/// A search that tells a callback how far it is.
type Search<'a> = &'a dyn Fn(&mut dyn FnMut(&Progress) -> Flow);

/// Calls of a callback that stops at a given one.
fn calls(limit: usize, search: Search<'_>) -> usize {
    let mut calls = 0;
    search(&mut |_| {
        calls += 1;
        if calls == limit { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    calls
}

#[test]
fn a_callback_that_has_stopped_a_search_is_not_called_again() {
    let entries = random::<f64>(64, 6);
    let compression = Compression::of(8, 8, &entries).unwrap().steps(4).starts(1);
    let (sum, like) = (Candidate::LowRankPlus(Family::ToeplitzLike), Candidate::Family(Family::ToeplitzLike));
    let pairs = compression.clone().pairs(true);
    let searches: [Search<'_>; 5] = [
        &|progress| drop(compression.candidate::<f64>(sum, 5, progress).unwrap()),
        &|progress| drop(compression.within_error::<f64>(sum, 0.5, progress).unwrap()),
        &|progress| drop(compression.within_error::<f64>(like, 0.5, progress).unwrap()),
        &|progress| drop(compression.ranking::<f64>(&[sum, like], 80, progress).unwrap()),
        &|progress| drop(pairs.family::<f64>(Family::ToeplitzLike, Some(2), progress).unwrap()),
    ];
    for (k, search) in searches.into_iter().enumerate() {
        let total = calls(usize::MAX, search);
        assert!(total > 10, "search {k}: {total}");
        for limit in 1..=total {
            assert_eq!(calls(limit, search), limit, "search {k} of {total} calls");
        }
    }
}

#[test]
fn a_search_that_is_stopped_later_has_found_no_less() {
    let compression = Compression::of(8, 8, &random::<f64>(64, 6)).unwrap().steps(20).starts(1);
    never_gets_worse(&compression.clone().pairs(true), Candidate::Family(Family::ToeplitzLike));
    never_gets_worse(&compression, Candidate::LowRankPlus(Family::ToeplitzLike));
}

fn never_gets_worse(compression: &Compression, candidate: Candidate) {
    let found = |limit: usize| {
        let mut calls = 0;
        let mut stop = |_: &_| {
            calls += 1;
            if calls == limit { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        compression.candidate::<f64>(candidate, 4, &mut stop).unwrap()
    };
    let mut before = f64::INFINITY;
    for limit in 1.. {
        let found = found(limit);
        let what = format!("{candidate}, after {limit} calls: {before} to {}", found.relative_error);
        assert_eq!(found.candidate, candidate, "{what}");
        assert!(found.relative_error <= before + 1e-12, "{what}");
        before = found.relative_error;
        if !found.stopped {
            break;
        }
    }
}

#[test]
fn permuted_matrices_multiply_and_differentiate_as_their_dense_matrix_does() {
    for (m, n, batch) in [(9, 13, 1), (13, 9, 70), (8, 8, 130)] {
        let inner = structured(Family::ToeplitzLike, m, n, 2, 1);
        let permuted = Permuted::new(Arc::clone(inner.structure()), shuffled(m, 2), shuffled(n, 3)).unwrap();
        let (rows, columns) = (permuted.row_order().to_vec(), permuted.column_order().to_vec());
        let mut matrix = Matrix::new(Arc::new(permuted), inner.parameters().to_vec()).unwrap();
        let (sorted, dense) = (inner.to_dense().unwrap(), matrix.to_dense().unwrap());
        for i in 0..m {
            for j in 0..n {
                assert_eq!(dense[rows[i] * n + columns[j]], sorted[i * n + j]);
            }
        }
        // Ranks change as those of the inner matrix do.
        let constants = matrix.structure().constants();
        let kept = constants.iter().find(|(name, _)| *name == "row_order").unwrap();
        assert!(kept.1.iter().zip(&rows).all(|(&kept, &row)| kept == row as f64));
        assert_eq!(matrix.structure().at_rank(3).unwrap().unwrap().layout().len(), 3 * (m + n));

        let (x, dy) = (random::<f64>(batch * n, 4), random::<f64>(batch * m, 5));
        let mut workspace = Workspace::new();
        let mut everything = |path| {
            matrix.set_path(path);
            let mut numbers = matrix.apply(&x).unwrap();
            numbers.extend(matrix.apply_transposed(&dy).unwrap());
            let (mut dx, mut gradient) = (vec![0.0; x.len()], vec![0.0; matrix.parameters().len()]);
            matrix.backward(&x, &dy, Some(&mut dx), &mut gradient, &mut workspace).unwrap();
            matrix.backward(&x, &dy, None, &mut gradient, &mut workspace).unwrap();
            numbers.extend(dx);
            numbers.extend(gradient);
            numbers
        };
        let (fast, dense) = (everything(PathChoice::Fast), everything(PathChoice::Dense));
        assert_close(&fast, &dense, 1e-11, norm(&dense), "everything");
    }
}

#[test]
fn families_whose_gradients_need_more_scratch_than_products_can_be_permuted() {
    let inner = structured(Family::LearnedTridiagonal, 1, 1, 1, 1);
    let permuted = Permuted::new(Arc::clone(inner.structure()), vec![0], vec![0]).unwrap();
    let matrix = Matrix::new(Arc::new(permuted), inner.parameters().to_vec()).unwrap();
    let (x, dy) = (random::<f64>(70, 2), random::<f64>(70, 3));
    let [mut got, mut expected] = [(); 2].map(|()| vec![0.0; inner.parameters().len()]);
    matrix.backward(&x, &dy, None, &mut got, &mut Workspace::new()).unwrap();
    inner.backward(&x, &dy, None, &mut expected, &mut Workspace::new()).unwrap();
    assert_close(&got, &expected, 1e-14, norm(&expected), "gradient");
}

#[test]
fn orders_that_are_no_permutations_are_refused() {
    let inner = Builder::new(Family::Toeplitz, 2, 3).structure::<f64>().unwrap();
    let permuted =
        |rows: &[usize], columns: &[usize]| Permuted::new(Arc::clone(&inner), rows.to_vec(), columns.to_vec());
    assert!(permuted(&[1, 0], &[2, 0, 1]).is_ok());
    let refused = permuted(&[1, 0], &[2, 0]).err();
    assert_eq!(refused, Some(Error::Length { what: "column_order", expected: 3, actual: 2 }));
    let refused = permuted(&[2, 0], &[2, 0, 1]).err();
    assert!(matches!(refused, Some(Error::ElementOutOfRange { what: "row_order", index: 0, .. })));
    let refused = permuted(&[1, 0], &[2, 0, 2]).err();
    assert_eq!(refused, Some(Error::Coincide { what: "column_order", first: 0, second: 2, value: 2.0 }));
}
