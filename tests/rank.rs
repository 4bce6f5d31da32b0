//! The rank of a matrix that is already trained goes up without changing it, and down at the least cost.

#[path = "common/families.rs"]
#[allow(dead_code, reason = "these tests need only a few of the helpers")]
mod common;

use std::sync::Arc;

use common::{assert_close, distance, norm, random};
use displace::displacement::{ShiftOperator, ShiftPair};
use displace::ldr::{CauchyLike, VandermondeLike};
use displace::rank::{RankChange, RankSchedule, RankTarget, carry};
use displace::structured::CauchyNodes;
use displace::{Builder, Error, Family, Init, Layout, Matrix, PathChoice, Scalar, Workspace};

/// The families that have a rank, two of them under pairs of shifts with other corners.
fn ranked() -> Vec<Family> {
    let pairs = [[0.5, -2.0], [0.0, -1.0]].map(|[f, e]| (ShiftOperator::Plain(f), ShiftOperator::Transposed(e)));
    let shifts = pairs.map(|(a, b)| Family::ShiftLike(ShiftPair::stein(a, b).unwrap()));
    let mut families = vec![Family::ToeplitzLike, Family::HankelLike, Family::VandermondeLike, Family::CauchyLike];
    families.push(Family::LowRank);
    families.extend(shifts);
    families
}
const SHAPES: [(usize, usize); 4] = [(9, 9), (7, 12), (12, 7), (1, 5)];

fn matrix<T: Scalar>(family: Family, rows: usize, cols: usize, rank: usize) -> Matrix<T> {
    Builder::new(family, rows, cols).rank(rank).init(Init::Variance(1.0)).seed(5).build().unwrap()
}

/// The product `G Hᵀ` of the generators.
fn displacement<T: Scalar>(matrix: &Matrix<T>) -> Vec<f64> {
    let (m, n, r) = (matrix.rows(), matrix.cols(), matrix.rank().unwrap());
    let (g, h) = matrix.parameters()[..r * (m + n)].split_at(r * m);
    let entry = |i: usize, j: usize| (0..r).map(|k| g[k * m + i].wide() * h[k * n + j].wide()).sum();
    (0..m * n).map(|at| entry(at / n, at % n)).collect()
}

#[test]
fn growing_changes_no_bit_of_the_matrix() {
    for family in ranked() {
        for (rows, cols) in SHAPES {
            for rank in 0..=rows.min(cols).min(3) {
                let before = matrix::<f32>(family, rows, cols, rank);
                let mut after = before.clone();
                after.grow(rows.min(cols), 1).unwrap();
                assert_eq!(after.rank(), Some(rows.min(cols)));
                assert_eq!(
                    after.to_dense().unwrap(),
                    before.to_dense().unwrap(),
                    "{family} {rows}×{cols} from rank {rank}"
                );
            }
        }
    }
}

#[test]
fn growing_keeps_the_function_of_a_layer_and_the_choice_of_its_path() {
    let mut layer =
        Builder::new(Family::ToeplitzLike, 20, 33).rank(2).path(PathChoice::Fast).build_layer::<f64>().unwrap();
    let x = random::<f64>(5 * 33, 1);
    let before = layer.forward(&x).unwrap();
    layer.weight_mut().grow(6, 2).unwrap();
    let after = layer.forward(&x).unwrap();
    assert_close(&after, &before, 50.0 * f64::EPSILON, norm(&before), "the function");
    assert_eq!(layer.weight().path_choice(), PathChoice::Fast);
}

/// The gradient of ½‖Y − target‖² in the parameters, and the loss.
fn gradient(matrix: &Matrix<f64>, x: &[f64], target: &[f64]) -> (Vec<f64>, f64) {
    let y = matrix.apply(x).unwrap();
    let dy: Vec<f64> = y.iter().zip(target).map(|(y, t)| y - t).collect();
    let mut gradient = vec![0.0; matrix.parameters().len()];
    matrix.backward(x, &dy, None, &mut gradient, &mut Workspace::new()).unwrap();
    (gradient, 0.5 * norm(&dy).powi(2))
}

#[test]
fn new_directions_have_a_gradient_and_training_uses_them() {
    for family in ranked() {
        let (m, n, old, new) = (8, 10, 1, 3);
        let (x, target) = (random::<f64>(40 * n, 3), random::<f64>(40 * m, 4));
        let mut grown = matrix::<f64>(family, m, n, old);
        grown.grow(new, 7).unwrap();
        let at_h = new * m + old * n;
        let new_g = old * m..new * m;
        let (first, loss) = gradient(&grown, &x, &target);
        assert!(first[new_g.clone()].iter().all(|&d| d == 0.0), "{family}: H is zero there");
        for h in first[at_h..new * (m + n)].chunks(n) {
            assert!(norm(h) > 1e-3 * norm(&first), "{family}: a new column of H is dead");
        }
        // One step along the new columns alone lowers the loss, and brings those of G to life.
        let slope: f64 = first[at_h..new * (m + n)].iter().map(|d| d * d).sum();
        let step = 1e-3 * loss / slope;
        grown.update(|p| (at_h..new * (m + n)).for_each(|k| p[k] -= step * first[k])).unwrap();
        let (second, lower) = gradient(&grown, &x, &target);
        assert!(lower < loss * (1.0 - 0.5e-3), "{family}: {loss} → {lower}");
        assert!(second[new_g].chunks(m).all(|g| norm(g) > 0.0), "{family}: a new column of G is dead");
    }
}

#[test]
fn shrinking_takes_the_best_displacement_and_tells_its_error() {
    for family in ranked() {
        for (rows, cols) in SHAPES {
            let full = matrix::<f64>(family, rows, cols, rows.min(cols));
            let (whole, spectrum) = (displacement(&full), full.displacement_spectrum().unwrap());
            let rounding = 100.0 * f64::EPSILON * norm(&whole);
            assert!(spectrum.windows(2).all(|w| w[0] >= w[1]));
            assert!((norm(&spectrum) - norm(&whole)).abs() <= rounding);
            for rank in (0..=rows.min(cols)).rev() {
                let mut cut = full.clone();
                let error = cut.shrink(rank).unwrap();
                // Eckart and Young: no displacement of this rank is nearer.
                let best = norm(&spectrum[rank..]);
                assert!((error.absolute - best).abs() <= rounding, "{family} {rows}×{cols} to {rank}");
                assert!((error.relative - best / norm(&whole)).abs() <= 100.0 * f64::EPSILON);
                assert!((distance(&displacement(&cut), &whole) - best).abs() <= rounding);
                assert_eq!(cut.rank(), Some(rank));
                let nodes = rows.min(cols) * (rows + cols);
                assert_eq!(cut.parameters()[rank * (rows + cols)..], full.parameters()[nodes..], "nodes stay");
            }
        }
    }
}

#[test]
fn shrinking_removes_what_growing_added() {
    for family in ranked() {
        let before = matrix::<f64>(family, 11, 8, 3);
        let mut after = before.clone();
        after.grow(8, 9).unwrap();
        let cut = after.shrink(3).unwrap();
        assert!(cut.relative <= 100.0 * f64::EPSILON, "{family}: {cut:?}");
        let dense = before.to_dense().unwrap();
        assert_close(&after.to_dense().unwrap(), &dense, 1e3 * f64::EPSILON, norm(&dense), family.name());
    }
}

#[test]
fn fixed_nodes_stay_fixed() {
    let nodes = CauchyNodes::fixed(&[1.0, 3.0, 5.0], &[0.0, 2.0, 4.0, 6.0]).unwrap();
    let structure = Arc::new(CauchyLike::with_nodes(nodes, 1).unwrap());
    let mut cauchy = Matrix::new(structure, random::<f64>(7, 1)).unwrap().into_dyn();
    let structure = VandermondeLike::new(3, 4, 1).unwrap().fix_nodes(&[0.5, -0.5, 1.0]).unwrap();
    let mut vandermonde = Matrix::new(Arc::new(structure), random::<f64>(7, 2)).unwrap().into_dyn();
    for matrix in [&mut cauchy, &mut vandermonde] {
        let before = matrix.to_dense().unwrap();
        matrix.grow(2, 1).unwrap();
        assert_eq!((matrix.parameters().len(), matrix.to_dense().unwrap()), (14, before));
    }
}

#[test]
fn ranks_follow_from_budgets() {
    let toeplitz = matrix::<f32>(Family::ToeplitzLike, 20, 30, 4);
    assert_eq!(toeplitz.rank_for(RankTarget::Parameters(149)), Ok(2));
    assert_eq!(toeplitz.rank_for(RankTarget::Parameters(150)), Ok(3));
    assert_eq!(toeplitz.rank_for(RankTarget::Bytes(600)), Ok(3));
    assert_eq!(toeplitz.rank_for(RankTarget::Parameters(usize::MAX)), Ok(20));
    assert_eq!(toeplitz.rank_for(RankTarget::Rank(7)), Ok(7));
    let vandermonde = matrix::<f64>(Family::VandermondeLike, 20, 30, 4);
    assert_eq!(vandermonde.rank_for(RankTarget::Bytes(8 * 120)), Ok(2));
    assert_eq!(vandermonde.rank_for(RankTarget::Parameters(19)), Err(Error::OverBudget { budget: 19, least: 20 }));
}

#[test]
fn the_rank_for_an_error_keeps_to_it_and_one_less_does_not() {
    for family in [ranked(), vec![Family::LearnedSubdiagonal, Family::LearnedTridiagonal]].concat() {
        let full = matrix::<f64>(family, 12, 15, 10);
        let dense = full.to_dense().unwrap();
        let error_at = |rank: usize| {
            let mut cut = full.clone();
            cut.shrink(rank).unwrap();
            distance(&cut.to_dense().unwrap(), &dense) / norm(&dense)
        };
        for allowed in [0.9, 0.5, 0.1] {
            let rank = full.rank_for(RankTarget::RelativeError(allowed)).unwrap();
            assert!(error_at(rank) <= allowed * (1.0 + 1e-12), "{family}");
            assert!(rank == 0 || error_at(rank - 1) > allowed * (1.0 - 1e-12), "{family}");
        }
        assert_eq!(full.rank_for(RankTarget::RelativeError(1.0)), Ok(0));
    }
    let zero = Builder::new(Family::ToeplitzLike, 4, 4).rank(2).init(Init::Zero).build::<f64>().unwrap();
    for allowed in [0.0, 1.0, f64::INFINITY] {
        assert_eq!(zero.rank_for(RankTarget::RelativeError(allowed)), Ok(0));
    }
}

#[test]
fn momentum_is_carried_along() {
    let (small, large) = (matrix::<f64>(Family::CauchyLike, 3, 4, 1), matrix::<f64>(Family::CauchyLike, 3, 4, 2));
    let numbers: Vec<f64> = (1..=14).map(f64::from).collect();
    let carried = carry(small.layout(), large.layout(), &numbers).unwrap();
    let expected = [1.0, 2.0, 3.0, 0.0, 0.0, 0.0, 4.0, 5.0, 6.0, 7.0, 0.0, 0.0, 0.0, 0.0];
    assert_eq!(carried[..14], expected);
    assert_eq!(carried[14..], numbers[7..]);
    assert_eq!(carry(large.layout(), small.layout(), &carried).unwrap(), numbers);
}

#[test]
fn momentum_that_does_not_fit_is_not_carried() {
    let layout = Layout::new().with("G", &[3]);
    let refused = Error::Length { what: "the numbers", expected: 3, actual: 2 };
    assert_eq!(carry(&layout, &layout, &[1.0, 2.0]), Err(refused));
    let endless = Layout::new().with("G", &[usize::MAX]);
    let refused = Error::Memory { what: "the numbers carried over", numbers: usize::MAX };
    assert_eq!(carry(&layout, &endless, &[1.0, 2.0, 3.0]), Err(refused));
}

#[test]
fn schedules_by_epoch_go_up_and_down() {
    let mut schedule = RankSchedule::steps(&[(1, 4), (3, 2)]);
    let changes = [0.5; 4].map(|error| schedule.after_epoch(error));
    assert_eq!(changes, [RankChange::To(4), RankChange::Keep, RankChange::To(2), RankChange::Keep]);
}

#[test]
fn growth_ends_at_the_largest_rank_and_where_nothing_is_gained() {
    let run = |errors: &[f64]| {
        let mut schedule = RankSchedule::grow_while_improving(1, 3, 1, 0.1).unwrap();
        errors.iter().map(|&error| schedule.after_epoch(error)).collect::<Vec<_>>()
    };
    use RankChange::{Keep, Stop, To};
    assert_eq!(run(&[0.5, 0.49, 0.3, 0.29, 0.2, 0.2]), [Keep, To(2), Keep, To(3), Keep, Stop]);
    assert_eq!(run(&[0.5, 0.5, 0.5]), [Keep, To(2), Stop]);
    // An error that is not a number is no gain.
    assert_eq!(run(&[f64::NAN]), [Stop]);
}

#[test]
fn losses_below_zero_count_as_others_do() {
    let mut schedule = RankSchedule::grow_while_improving(1, 4, 1, 0.1).unwrap();
    assert_eq!(schedule.after_epoch(-1.0), RankChange::Keep);
    assert_eq!(schedule.after_epoch(-2.0), RankChange::Keep);
    assert_eq!(schedule.after_epoch(-1.9), RankChange::To(2)); // more than before
    assert_eq!(schedule.after_epoch(-2.1), RankChange::Stop); // less, but not by a tenth
}

#[test]
fn what_makes_no_sense_is_refused_and_changes_nothing() {
    let mut matrix = matrix::<f64>(Family::ToeplitzLike, 6, 8, 3);
    let before = matrix.parameters().to_vec();
    assert_eq!(matrix.grow(2, 0), Err(Error::RankBelow { rank: 2, present: 3 }));
    assert_eq!(matrix.grow(7, 0), Err(Error::RankTooLarge { rank: 7, max: 6, rows: 6, cols: 8 }));
    assert_eq!(matrix.shrink(4), Err(Error::RankAbove { rank: 4, present: 3 }));
    assert!(matches!(matrix.rank_for(RankTarget::RelativeError(f64::NAN)), Err(Error::OutOfRange { .. })));
    assert_eq!((matrix.rank(), matrix.parameters()), (Some(3), &before[..]));
    let mut huge = Builder::new(Family::LowRank, 2, 2).rank(2).build::<f32>().unwrap();
    huge.set_parameters(&[1e30; 8]).unwrap();
    assert!(matches!(huge.displacement_spectrum(), Err(Error::NotFinite { .. })));
    assert!(matches!(huge.shrink(1), Err(Error::NotFinite { .. })));
    assert_eq!((huge.rank(), huge.parameters()), (Some(2), &[1e30; 8][..]));
    let mut circulant = Builder::new(Family::Circulant, 4, 4).build::<f32>().unwrap();
    let refused = Error::RankChoice { family: "circulant", given: true };
    assert_eq!(circulant.grow(2, 0), Err(refused.clone()));
    assert_eq!(circulant.shrink(0).unwrap_err(), refused);
    assert_eq!(circulant.displacement_spectrum().unwrap_err(), refused);
    assert_eq!(circulant.rank_for(RankTarget::Parameters(4)).unwrap_err(), refused);
    assert!(RankSchedule::grow_while_improving(0, 4, 1, 0.0).is_err());
    assert!(RankSchedule::grow_while_improving(1, 4, 0, 0.0).is_err());
    assert!(RankSchedule::grow_while_improving(1, 4, 1, 1.0).is_err());
}
