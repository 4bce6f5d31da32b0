//! Dense matrices become structured ones: exactly where they are structured, as near as long alternating least squares
//! gets elsewhere, and never farther than they started.

#[path = "common/families.rs"]
#[allow(dead_code, reason = "these tests need only a few of the helpers")]
mod common;

#[path = "common/least_squares.rs"]
mod least_squares;

use std::ops::ControlFlow;
use std::sync::Arc;

use common::{assert_close, distance, norm, random};
use displace::compress::{Candidate, Compression, Model, quietly};
use displace::displacement::{ShiftOperator, ShiftPair};
use displace::{Builder, Error, Family, Init, Matrix, PathChoice, Scalar, Sum, Workspace};
use least_squares::alternate;

/// The families that have a rank, two of them under pairs of shifts with other corners.
fn ranked() -> Vec<Family> {
    let pairs = [[0.5, -2.0], [0.0, -1.0]].map(|[f, e]| (ShiftOperator::Plain(f), ShiftOperator::Transposed(e)));
    let shifts = pairs.map(|(a, b)| Family::ShiftLike(ShiftPair::stein(a, b).unwrap()));
    let mut families = vec![Family::ToeplitzLike, Family::HankelLike, Family::VandermondeLike, Family::CauchyLike];
    families.extend([Family::CircleVandermondeLike, Family::LowRank]);
    families.extend(shifts);
    families
}

/// Normal numbers.
fn gaussian(len: usize, seed: u64) -> Vec<f64> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut number = || (-2.0 * (1.0 - rng.f64()).ln()).sqrt() * (std::f64::consts::TAU * rng.f64()).cos();
    (0..len).map(|_| number()).collect()
}

fn noisy_toeplitz(rows: usize, cols: usize, noise: f64, seed: u64) -> Vec<f64> {
    let (t, e) = (gaussian(rows + cols - 1, seed), gaussian(rows * cols, seed + 1));
    (0..rows * cols).map(|at| t[at / cols + cols - 1 - at % cols] + noise * e[at]).collect()
}

fn matrix(family: Family, rows: usize, cols: usize, rank: usize, seed: u64) -> Matrix<f64> {
    Builder::new(family, rows, cols).rank(rank).init(Init::Variance(1.0)).seed(seed).build().unwrap()
}

#[test]
fn a_matrix_of_the_family_is_recovered_at_its_rank() {
    let families = ranked().into_iter().chain([Family::LearnedSubdiagonal]);
    for family in families {
        for (rows, cols) in [(20, 20), (12, 31), (31, 12)] {
            for rank in [1, 3] {
                let mut true_one = matrix(family, rows, cols, rank, 8);
                if family == Family::LearnedSubdiagonal {
                    // Operators that are no shifts.
                    let moves = random::<f64>(2 * rows.max(cols), 7);
                    let operators = rank * (rows + cols)..;
                    let moved = |p: &mut [f64]| p[operators].iter_mut().zip(&moves).for_each(|(p, m)| *p += 0.1 * m);
                    true_one.update(moved).unwrap();
                }
                let noise = gaussian(rows * cols, 9);
                let entries: Vec<f64> =
                    true_one.to_dense().unwrap().iter().zip(&noise).map(|(m, e)| m + 1e-12 * e).collect();
                let compression = Compression::of(rows, cols, &entries).unwrap();
                let found = compression.like(&true_one, rank, &mut quietly).unwrap();
                assert!(found.relative_error < 1e-9, "{family} {rows}×{cols}: {:.1e}", found.relative_error);
                assert_eq!(found.matrix.rank(), Some(rank));
            }
        }
    }
}

#[test]
fn families_without_a_rank_are_recovered_too() {
    use Family::{Circulant, FCirculant, Hankel, SkewCirculant, Toeplitz, ToeplitzPlusHankel};
    for family in [Circulant, SkewCirculant, FCirculant(0.5), Toeplitz, Hankel, ToeplitzPlusHankel] {
        for (rows, cols) in [(12, 12), (9, 14), (14, 9)] {
            let true_one = Builder::new(family, rows, cols).seed(3).build::<f64>().unwrap();
            let compression = Compression::of(rows, cols, &true_one.to_dense().unwrap()).unwrap();
            let found = compression.family::<f64>(family, None, &mut quietly).unwrap();
            assert!(found.relative_error < 1e-11, "{family} {rows}×{cols}: {:.1e}", found.relative_error);
        }
    }
}

#[test]
fn the_nearest_matrix_of_a_linear_family_leaves_an_orthogonal_rest() {
    use Family::{Circulant, FCirculant, Hankel, SkewCirculant, Toeplitz, ToeplitzPlusHankel};
    let (rows, cols) = (9, 13);
    let (entries, inputs) = (gaussian(rows * cols, 1), gaussian(5 * cols, 2));
    for family in [Circulant, SkewCirculant, FCirculant(-2.0), Toeplitz, Hankel, ToeplitzPlusHankel] {
        let plain = Compression::of(rows, cols, &entries).unwrap();
        for (compression, sampled) in [(plain.clone(), false), (plain.inputs(&inputs).unwrap(), true)] {
            let found = compression.family::<f64>(family, None, &mut quietly).unwrap().matrix;
            let mut rest: Vec<f64> = found.to_dense().unwrap().iter().zip(&entries).map(|(m, w)| m - w).collect();
            if sampled {
                // (M − W) XᵀX
                let product = |x: &[f64], i: usize| -> f64 { (0..cols).map(|j| rest[i * cols + j] * x[j]).sum() };
                let weighted =
                    |at: usize| -> f64 { inputs.chunks(cols).map(|x| product(x, at / cols) * x[at % cols]).sum() };
                rest = (0..rows * cols).map(weighted).collect();
            }
            let mut gradient = vec![0.0; found.parameters().len()];
            found.pull_back(&rest, &mut gradient).unwrap();
            assert!(norm(&gradient) < 1e-10 * norm(&rest).max(norm(&entries)), "{family}: {:.1e}", norm(&gradient));
        }
    }
}

/// Gaussian and noisy Toeplitz matrices, against alternating least squares from the projection and from two random starts.
#[track_caller]
fn as_near_as_long_alternating_least_squares(family: Family) {
    let n = 16;
    let matrices = [gaussian(n * n, 1), noisy_toeplitz(n, n, 0.5, 2), noisy_toeplitz(n, n, 0.1, 4)];
    for (which, entries) in matrices.iter().enumerate() {
        for rank in [2, 4] {
            let compression = Compression::of(n, n, entries).unwrap();
            let found = compression.family::<f64>(family, Some(rank), &mut quietly).unwrap();
            let projection = compression.clone().steps(0).starts(1);
            let first = matrix(family, n, n, rank, 0);
            // Other generators, the same nodes.
            let mut second = matrix(family, n, n, rank, 77).parameters().to_vec();
            second[2 * n * rank..].copy_from_slice(&first.parameters()[2 * n * rank..]);
            let starts = [
                projection.family::<f64>(family, Some(rank), &mut quietly).unwrap().matrix,
                Matrix::new(Arc::clone(first.structure()), second).unwrap(),
                first,
            ];
            let best = starts.iter().map(|start| alternate(start, entries, 50)).fold(f64::INFINITY, f64::min);
            assert!(
                found.relative_error <= 1.02 * best,
                "matrix {which}, {family}, rank {rank}: {:.4} against {best:.4}",
                found.relative_error
            );
            assert!(found.relative_error < found.start_error);
        }
    }
}

#[test]
fn toeplitz_like_matrices_get_as_near_as_long_alternating_least_squares() {
    as_near_as_long_alternating_least_squares(Family::ToeplitzLike);
}

#[test]
fn cauchy_like_matrices_get_as_near_as_long_alternating_least_squares() {
    as_near_as_long_alternating_least_squares(Family::CauchyLike);
}

#[test]
fn every_step_goes_down_and_the_end_is_no_worse_than_start_and_zero() {
    let (rows, cols) = (14, 19);
    let entries = gaussian(rows * cols, 6);
    let inputs = gaussian(40 * cols, 7);
    for family in ranked() {
        for sampled in [false, true] {
            let compression = Compression::of(rows, cols, &entries).unwrap().starts(4).seed(5);
            let compression = if sampled { compression.inputs(&inputs).unwrap() } else { compression };
            let mut last = (usize::MAX, f64::INFINITY);
            let mut watch = |progress: &displace::compress::Progress| {
                if progress.start != last.0 {
                    last = (progress.start, 1.0);
                }
                assert!(progress.relative_error <= last.1, "{family}: {progress:?} after {}", last.1);
                last.1 = progress.relative_error;
                ControlFlow::Continue(())
            };
            let found = compression.family::<f64>(family, Some(3), &mut watch).unwrap();
            assert!(found.error() <= found.start_error.min(1.0) * (1.0 + 1e-14), "{family}: {}", found.error());
            let mut again = |_: &_| ControlFlow::Continue(());
            let refined = compression.refine(&found.matrix, &mut again).unwrap();
            assert!(refined.error() <= found.error() * (1.0 + 1e-14));
        }
    }
}

#[test]
fn low_rank_is_the_truncated_decomposition() {
    let (rows, cols, rank) = (10, 15, 3);
    let entries = gaussian(rows * cols, 1);
    let compression = Compression::of(rows, cols, &entries).unwrap();
    let found = compression.family::<f64>(Family::LowRank, Some(rank), &mut quietly).unwrap();
    let mut full: displace::compress::Compressed<f64> =
        Compression::of(rows, cols, &entries).unwrap().family(Family::LowRank, Some(rows), &mut quietly).unwrap();
    assert!(full.relative_error < 1e-12);
    let cut: f64 = full.matrix.shrink(rank).unwrap().relative;
    assert!((found.relative_error - cut).abs() < 1e-10);
}

#[test]
fn displacement_rank_is_no_worse_than_half_as_much_rank() {
    // Nothing but low rank in it, which is the worst case for shifts.
    for (rows, cols) in [(70, 70), (66, 90)] {
        let (low, rest) = (matrix(Family::LowRank, rows, cols, 3, 5).to_dense().unwrap(), gaussian(rows * cols, 6));
        let entries: Vec<f64> = low.iter().zip(&rest).map(|(a, e)| a + 0.1 * e).collect();
        let compression = Compression::of(rows, cols, &entries).unwrap().steps(0);
        let half = compression.family::<f64>(Family::LowRank, Some(3), &mut quietly).unwrap();
        for family in ranked() {
            let found = compression.family::<f64>(family, Some(8), &mut quietly).unwrap();
            assert!(found.relative_error <= half.relative_error * (1.0 + 1e-9), "{family}: {}", found.relative_error);
        }
    }
}

#[test]
fn inputs_that_matter_are_served_better() {
    let (rows, cols) = (12, 16);
    let entries = gaussian(rows * cols, 3);
    // Inputs in a subspace of four dimensions.
    let basis = gaussian(4 * cols, 4);
    let inputs: Vec<f64> = gaussian(30 * 4, 5)
        .chunks(4)
        .flat_map(|c| (0..cols).map(|j| (0..4).map(|k| c[k] * basis[k * cols + j]).sum()).collect::<Vec<f64>>())
        .collect();
    let plain = Compression::of(rows, cols, &entries).unwrap();
    let sampled = plain.clone().inputs(&inputs).unwrap();
    for family in ranked() {
        let on_inputs = |m: &Matrix<f64>| {
            let dense = Builder::new(Family::Dense, rows, cols).init(Init::Zero).build::<f64>().unwrap();
            let mut dense = dense;
            dense.set_parameters(&entries).unwrap();
            let exact = dense.apply(&inputs).unwrap();
            distance(&m.apply(&inputs).unwrap(), &exact) / norm(&exact)
        };
        let blind = plain.family::<f64>(family, Some(2), &mut quietly).unwrap();
        let seeing = sampled.family::<f64>(family, Some(2), &mut quietly).unwrap();
        let error = seeing.sample_error.unwrap();
        assert!((on_inputs(&seeing.matrix) - error).abs() < 1e-8, "{family}");
        assert!(error < on_inputs(&blind.matrix), "{family}");
        // A rank of four is all that the inputs see.
        let enough = sampled.family::<f64>(family, Some(8), &mut quietly).unwrap();
        assert!(enough.sample_error.unwrap() < 0.05, "{family}: {:?}", enough.sample_error);
    }
    let exact = sampled.family::<f64>(Family::LowRank, Some(4), &mut quietly).unwrap();
    assert!(exact.sample_error.unwrap() < 1e-12);
}

#[test]
fn the_callback_stops_the_descent() {
    let entries = gaussian(15 * 15, 1);
    let compression = Compression::of(15, 15, &entries).unwrap();
    let mut calls = 0;
    let mut stop = |_: &_| {
        calls += 1;
        if calls == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let found = compression.family::<f64>(Family::ToeplitzLike, Some(2), &mut stop).unwrap();
    assert!(found.stopped && found.steps == 3 && found.relative_error <= 1.0);
    assert_eq!(calls, 3);
}

#[test]
fn low_rank_plus_structured_finds_both_parts() {
    let (rows, cols) = (24, 24);
    let (low, toeplitz) = (matrix(Family::LowRank, rows, cols, 2, 1), matrix(Family::ToeplitzLike, rows, cols, 2, 2));
    let entries: Vec<f64> =
        low.to_dense().unwrap().iter().zip(toeplitz.to_dense().unwrap()).map(|(a, b)| a + b).collect();
    let compression = Compression::of(rows, cols, &entries).unwrap().steps(1000).tolerance(1e-6);
    let sum = compression.low_rank_plus::<f64>(2, Family::ToeplitzLike, 2, &mut quietly).unwrap();
    assert!(sum.relative_error < 1e-3, "{}", sum.relative_error);
    for family in [Family::LowRank, Family::ToeplitzLike] {
        let alone = compression.family::<f64>(family, Some(4), &mut quietly).unwrap();
        assert!(alone.relative_error > 3.0 * sum.relative_error, "{family}: {}", alone.relative_error);
    }
}

#[test]
fn sums_multiply_and_differentiate_as_their_dense_matrix_does() {
    for (rows, cols, batch) in [(9, 13, 1), (13, 9, 70), (8, 8, 130)] {
        let low = Builder::new(Family::LowRank, rows, cols).rank(2).structure::<f64>().unwrap();
        let other = Builder::new(Family::VandermondeLike, rows, cols).rank(1).structure::<f64>().unwrap();
        let sum = Sum::new(low, other).unwrap();
        assert_eq!(sum.terms()[1].family(), Family::VandermondeLike);
        let mut parameters = random::<f64>(displace::Structure::layout(&sum).len(), 1);
        displace::Structure::initialise(&sum, Init::Variance(1.0), &mut fastrand::Rng::with_seed(2), &mut parameters)
            .unwrap();
        let mut matrix = Matrix::new(Arc::new(sum), parameters).unwrap();
        let (x, dy) = (random::<f64>(batch * cols, 3), random::<f64>(batch * rows, 4));
        let mut workspace = Workspace::new();
        let mut everything = |matrix: &mut Matrix<f64, Sum<f64>>, path| {
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
        let fast = everything(&mut matrix, PathChoice::Fast);
        let dense = everything(&mut matrix, PathChoice::Dense);
        assert_close(&fast, &dense, 1e-10, norm(&dense), "everything");
        // A clone shares what was prepared; changing one leaves the other alone.
        let mut other = matrix.clone();
        other.set_path(PathChoice::Fast);
        matrix.update(|p| p.fill(0.0)).unwrap();
        assert_close(&everything(&mut other, PathChoice::Fast), &dense, 1e-10, norm(&dense), "the clone");
    }
}

#[test]
fn tensors_of_sums_have_names_of_their_own() {
    let structure = |family: Family| {
        let builder = Builder::new(family, 3, 3);
        if family.has_rank() { builder.rank(1) } else { builder }.structure::<f64>().unwrap()
    };
    let names = |sum: &Sum<f64>| {
        displace::Structure::layout(sum).tensors().iter().map(|tensor| tensor.name).collect::<Vec<_>>()
    };
    let low = || structure(Family::LowRank);
    let two = Sum::new(low(), low()).unwrap();
    assert_eq!(names(&two), ["G", "H", "G2", "H2"]);
    for three in [Sum::new(Arc::new(two.clone()), low()), Sum::new(low(), Arc::new(two.clone()))] {
        assert_eq!(names(&three.unwrap()), ["G", "H", "G2", "H2", "G3", "H3"]);
    }
    let four = Sum::new(Arc::new(two.clone()), Arc::new(two)).unwrap();
    assert_eq!(names(&four), ["G", "H", "G2", "H2", "G3", "H3", "G4", "H4"]);
    assert_eq!(Sum::new(Arc::new(four), low()).err(), Some(Error::UnknownTensor { name: "G" }));
    for family in Family::ALL {
        let mut names = names(&Sum::new(structure(family), structure(family)).unwrap());
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count, "{family}");
    }
}

#[test]
fn a_number_of_a_sum_that_is_not_finite_is_named_by_its_place_among_all() {
    let low = || Builder::new(Family::LowRank, 3, 3).rank(1).structure::<f64>().unwrap();
    let sum = Arc::new(Sum::new(low(), low()).unwrap());
    for bad in [2, 8] {
        let mut parameters = vec![1.0; 12];
        parameters[bad] = f64::NAN;
        let refused = Matrix::new(Arc::clone(&sum), parameters).err();
        assert!(matches!(refused, Some(Error::NotFinite { what: "parameters", index, .. }) if index == bad));
    }
}

#[test]
fn a_sum_is_refined_from_where_it_is() {
    let compression = Compression::of(8, 9, &gaussian(72, 3)).unwrap();
    let few = compression.clone().steps(3).low_rank_plus::<f64>(1, Family::ToeplitzLike, 2, &mut quietly).unwrap();
    let refined = compression.refine(&few.matrix, &mut quietly).unwrap();
    assert!((refined.start_error - few.relative_error).abs() < 1e-12);
    assert!(refined.relative_error < few.relative_error);
    let toeplitz = Builder::new(Family::Toeplitz, 8, 9).build::<f64>().unwrap();
    let refused = compression.refine(&toeplitz, &mut quietly).err();
    assert_eq!(refused, Some(Error::NotCompressible { family: "Toeplitz" }));
}

#[test]
fn rankings_are_ordered_and_keep_to_the_budget() {
    let (rows, cols, budget) = (20, 26, 250);
    let entries = noisy_toeplitz(rows, cols, 0.2, 5);
    let compression = Compression::of(rows, cols, &entries).unwrap().steps(60);
    let ranking = compression.ranking::<f32>(&Candidate::ALL, budget, &mut quietly).unwrap();
    assert!(ranking.iter().all(|entry| entry.matrix.parameters().len() <= budget));
    assert!(ranking.windows(2).all(|w| w[0].error() <= w[1].error()));
    // All but the dense one fit.
    assert_eq!(ranking.len(), Candidate::ALL.len() - 1);
    let place = |family| ranking.iter().position(|entry| entry.candidate == Candidate::Family(family)).unwrap();
    assert!(place(Family::ToeplitzLike) < place(Family::LowRank));
    let dense = compression.ranking::<f64>(&[Candidate::Family(Family::Dense)], 520, &mut quietly).unwrap();
    assert_eq!(dense[0].relative_error, 0.0);
}

#[test]
fn the_rank_for_an_error_is_the_smallest() {
    let true_one = matrix(Family::HankelLike, 18, 15, 3, 8);
    let compression = Compression::of(18, 15, &true_one.to_dense().unwrap()).unwrap();
    let candidate = Candidate::Family(Family::HankelLike);
    let found = compression.within_error::<f64>(candidate, 1e-6, &mut quietly).unwrap();
    assert_eq!(found.matrix.rank(), Some(3));
    assert!(found.relative_error <= 1e-6);
}

/// A model of three matrices that differ in size and kind.
fn model() -> Model {
    let mut model = Model::new();
    model.push_relative("Toeplitz", Compression::of(16, 16, &noisy_toeplitz(16, 16, 0.1, 1)).unwrap().steps(40));
    model.push_relative("Gauss", Compression::of(12, 20, &gaussian(240, 3)).unwrap().steps(40));
    let low = matrix(Family::LowRank, 20, 10, 2, 4).to_dense().unwrap();
    model.push_relative("low rank", Compression::of(20, 10, &low).unwrap().steps(40));
    model
}

const CANDIDATES: [Candidate; 4] = [
    Candidate::Family(Family::LowRank),
    Candidate::Family(Family::ToeplitzLike),
    Candidate::Family(Family::Toeplitz),
    Candidate::LowRankPlus(Family::ToeplitzLike),
];

#[test]
fn a_model_keeps_to_its_budget_and_gives_each_matrix_what_suits_it() {
    let model = model();
    let heard = std::sync::Mutex::new(Vec::new());
    let listen = |progress: &displace::compress::ModelProgress<'_>| {
        heard.lock().unwrap().push((progress.done, progress.total));
        ControlFlow::Continue(())
    };
    let mut last = f64::INFINITY;
    for budget in [0, 31, 150, 300, 10_000] {
        let shares = model.compress::<f64>(&CANDIDATES, budget, &listen).unwrap();
        let parameters: usize = shares.iter().map(|s| s.compressed.matrix.parameters().len()).sum();
        assert!(parameters <= budget, "{parameters} of {budget}");
        let total: f64 = shares.iter().map(|s| s.compressed.relative_error.powi(2)).sum();
        assert!(total <= last * (1.0 + 1e-9), "{budget}: {total} after {last}");
        last = total;
        if budget == 150 {
            assert!(shares[0].compressed.relative_error < 0.15, "{}", shares[0].compressed.relative_error);
            assert!(shares[2].compressed.relative_error < 1e-9);
            assert_eq!(shares[2].compressed.candidate, Candidate::Family(Family::LowRank));
        }
    }
    assert!(last < 1e-9, "with enough parameters everything is exact: {last}");
    let heard = heard.into_inner().unwrap();
    assert_eq!(heard.len(), 5 * 3 * 5);
    assert!(heard.iter().all(|(done, total)| done <= total));
}

#[cfg(feature = "parallel")]
#[test]
fn a_model_does_not_depend_on_the_number_of_threads() {
    let model = model();
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let shares = pool.install(|| model.compress::<f64>(&CANDIDATES, 200, &|_| ControlFlow::Continue(()))).unwrap();
        shares.into_iter().map(|s| (s.name, s.curve, s.compressed.matrix.parameters().to_vec())).collect::<Vec<_>>()
    };
    assert_eq!(run(1), run(3));
}

#[test]
fn single_precision_loses_no_more_than_rounding() {
    let entries: Vec<f32> = noisy_toeplitz(15, 15, 0.3, 8).iter().map(|&x| x as f32).collect();
    let compression = Compression::of(15, 15, &entries).unwrap();
    let wide = compression.family::<f64>(Family::ToeplitzLike, Some(3), &mut quietly).unwrap();
    let single = compression.family::<f32>(Family::ToeplitzLike, Some(3), &mut quietly).unwrap();
    assert!((wide.relative_error - single.relative_error).abs() < 100.0 * f32::EPSILON.wide());
}

#[test]
fn a_zero_matrix_stays_zero() {
    let compression = Compression::of(5, 6, &[0.0_f32; 30]).unwrap();
    for candidate in Candidate::ALL {
        let found = compression.candidate::<f32>(candidate, 2, &mut quietly).unwrap();
        assert_eq!(found.relative_error, 0.0, "{candidate}");
        assert!(found.matrix.to_dense().unwrap().iter().all(|&x| x == 0.0));
    }
}

#[test]
fn a_candidate_may_be_given_to_a_model_twice() {
    let mut model = Model::new();
    for seed in 0..3 {
        model.push("layer", Compression::of(12, 12, &gaussian(144, seed)).unwrap().steps(5));
    }
    let candidate = Candidate::Family(Family::ToeplitzLike);
    let shares = |candidates: &[Candidate]| {
        let shares = model.compress::<f64>(candidates, 300, &|_: &_| ControlFlow::Continue(())).unwrap();
        shares.iter().map(|share| share.compressed.matrix.parameters().len()).collect::<Vec<_>>()
    };
    assert_eq!(shares(&[candidate, candidate]), shares(&[candidate]));
}

#[test]
fn entries_whose_squares_leave_the_range_are_refused() {
    for size in [1e160, 1e-160] {
        let refused = Compression::of(2, 2, &[size; 4]).err();
        assert!(matches!(refused, Some(Error::OutOfRange { value, .. }) if !value.is_normal()), "{size}");
    }
    for size in [1e150, 1e-150, 0.0] {
        let compression = Compression::of(2, 2, &[size; 4]).unwrap();
        let zero = compression.family::<f64>(Family::LowRank, Some(0), &mut quietly).unwrap();
        assert_eq!(zero.relative_error, if size == 0.0 { 0.0 } else { 1.0 });
        let refused = compression.inputs(&[1e10, 1e10]).err();
        assert_eq!(refused.is_some(), size > 1.0, "{size}");
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    let compression = Compression::of(3, 4, &[1.0; 12]).unwrap();
    assert_eq!(Compression::of(0, 4, &[1.0; 0]).err(), Some(Error::EmptyShape { rows: 0, cols: 4 }));
    assert!(matches!(Compression::of(3, 4, &[1.0; 11]).err(), Some(Error::Length { expected: 12, actual: 11, .. })));
    assert!(matches!(Compression::of(1, 2, &[1.0, f64::NAN]).err(), Some(Error::NotFinite { index: 1, .. })));
    assert!(matches!(compression.clone().inputs(&[1.0; 5]).err(), Some(Error::RaggedBatch { row: 4, .. })));
    assert!(matches!(compression.clone().inputs::<f64>(&[]).err(), Some(Error::Length { .. })));
    assert!(matches!(compression.clone().inputs(&[f32::INFINITY; 4]).err(), Some(Error::NotFinite { .. })));
    let family = |family, rank| compression.family::<f64>(family, rank, &mut quietly).err();
    assert_eq!(family(Family::Cauchy, None), Some(Error::NotCompressible { family: "Cauchy" }));
    assert_eq!(family(Family::Toeplitz, Some(1)), Some(Error::RankChoice { family: "Toeplitz", given: true }));
    assert_eq!(family(Family::LowRank, None), Some(Error::RankChoice { family: "low rank", given: false }));
    assert_eq!(family(Family::LowRank, Some(4)), Some(Error::RankTooLarge { rank: 4, max: 3, rows: 3, cols: 4 }));
    let template = matrix(Family::ToeplitzLike, 4, 3, 1, 0);
    assert!(matches!(compression.like(&template, 1, &mut quietly).err(), Some(Error::ShapeMismatch { .. })));
    let candidate = Candidate::Family(Family::ToeplitzLike);
    assert!(matches!(
        compression.within_error::<f64>(candidate, f64::NAN, &mut quietly).err(),
        Some(Error::OutOfRange { .. })
    ));
    assert_eq!(candidate.rank_within(3, 4, 6), Err(Error::OverBudget { budget: 6, least: 7 }));
    let (a, b) = (template.structure(), matrix(Family::LowRank, 3, 4, 1, 0));
    assert!(matches!(Sum::new(Arc::clone(a), Arc::clone(b.structure())).err(), Some(Error::ShapeMismatch { .. })));
}

/// Their squares are zero, as if nothing were left to approximate.
#[test]
fn inputs_whose_products_underflow_are_refused_and_zeros_are_not() {
    let tiny = Compression::of(2, 3, &[1e-150; 6]).unwrap();
    for size in [1e-150, 1e-10, 1e-300] {
        let refused = tiny.clone().inputs(&[size; 6]).err();
        assert!(matches!(refused, Some(Error::OutOfRange { .. })), "{size:e}: {refused:?}");
    }
    let found = tiny.clone().inputs(&[0.0; 6]).unwrap().family::<f64>(Family::Toeplitz, None, &mut quietly).unwrap();
    assert_eq!(found.sample_error, Some(0.0));
    // Orthogonal to every row.
    assert!(tiny.inputs(&[1e-150, -1e-150, 0.0]).is_ok());
}
