//! Bad input is refused with an error that names it, and the object stays as it was.

use std::sync::Arc;

use displace::algebra::Ldr;
use displace::displacement::{Generators, OperatorMatrix, Shift};
use displace::ldr::{CauchyLike, CircleVandermondeLike, HankelLike, ToeplitzLike, VandermondeLike};
use displace::rank::RankTarget;
use displace::structured::{Cauchy, CauchyNodes, Circulant, FCirculant, Hankel, Toeplitz, ToeplitzPlusHankel};
use displace::unstructured::{Dense, LowRank};
use displace::{Builder, Error, Family, Init, Layout, Linear, Matrix, Path, PathChoice, Structure, Sum, Workspace};

fn every_family() -> Vec<Builder> {
    let families = Family::ALL.into_iter().chain([Family::FCirculant(0.5)]);
    let builder = |family: Family| {
        let builder = Builder::new(family, 5, 4);
        if family.has_rank() { builder.rank(2) } else { builder }
    };
    families.map(builder).collect()
}

#[test]
fn shapes_without_rows_or_columns_are_refused() {
    for (rows, cols) in [(0, 3), (3, 0), (0, 0)] {
        for family in Family::ALL {
            let builder = Builder::new(family, rows, cols);
            let builder = if family.has_rank() { builder.rank(0) } else { builder };
            assert_eq!(builder.build::<f32>().err(), Some(Error::EmptyShape { rows, cols }), "{family}");
        }
    }
}

#[test]
fn shapes_that_cannot_be_addressed_are_refused() {
    let huge = usize::MAX;
    for family in Family::ALL {
        let builder = Builder::new(family, huge, huge);
        let builder = if family.has_rank() { builder.rank(1) } else { builder };
        assert!(matches!(builder.build::<f64>(), Err(Error::TooLarge { .. })), "{family}");
    }
}

#[test]
fn vandermonde_like_matrices_of_more_columns_than_can_be_counted_are_refused() {
    for cols in [1 << 31, 1 << 40, usize::MAX] {
        let real = VandermondeLike::from_nodes(&[0.5_f64], cols).err();
        let circle = CircleVandermondeLike::from_angles(&[0.5_f64], cols).err();
        for refused in [real, circle] {
            assert!(matches!(refused, Some(Error::TooLarge { cols: given, .. }) if given == cols), "{refused:?}");
        }
    }
}

/// Sides that could be addressed, but for which no transform can be planned.
#[test]
fn transforms_that_32_bits_do_not_count_are_refused_before_anything_is_allocated() {
    let families = every_family().into_iter().map(|builder| builder.structure::<f64>().unwrap().family());
    for family in families.filter(|family| !matches!(family, Family::LowRank | Family::Dense)) {
        for side in [(1 << 32) + 1, 1 << 36, 1 << 40] {
            for (rows, cols) in [(1, side), (side, 1)] {
                let rank = usize::from(family.has_rank());
                let builder = Builder::new(family, rows, cols);
                let builder = if rank == 1 { builder.rank(1) } else { builder };
                let refused = builder.structure::<f32>().err();
                assert!(matches!(refused, Some(Error::TooLarge { .. })), "{family} {rows}×{cols}: {refused:?}");
            }
        }
    }
    // Twice as many places on the grid as the order.
    let (cols, order) = ((1 << 31) - 1, (1 << 32) - 1);
    let refused = CircleVandermondeLike::<f32>::with_order(2, cols, 1, order).err();
    assert_eq!(refused, Some(Error::TooLarge { rows: 2, cols, rank: None }));
}

/// An error of the second term names the tensor as the sum does, and places in all parameters among all of them.
#[test]
fn sums_name_what_their_second_term_refuses() {
    let nodes = || Builder::new(Family::Vandermonde, 3, 2).structure::<f64>().unwrap();
    let like = || Builder::new(Family::VandermondeLike, 3, 2).rank(1).structure::<f64>().unwrap();
    let refused = |sum: Sum<f64>, at: usize, bad: f64| {
        let mut parameters = vec![0.5; sum.layout().len()];
        parameters[at] = bad;
        Matrix::new(Arc::new(sum), parameters).err().unwrap()
    };
    let range = "[−1, 1]";
    let both = || Sum::new(nodes(), nodes()).unwrap();
    let expected = Error::ElementOutOfRange { what: "v", index: 1, value: 2.0, range };
    assert_eq!(refused(both(), 1, 2.0), expected);
    let expected = Error::ElementOutOfRange { what: "v2", index: 1, value: 2.0, range };
    assert_eq!(refused(both(), 4, 2.0), expected);
    let mixed = || Sum::new(nodes(), like()).unwrap();
    let expected = Error::NotFinite { what: "parameters", index: 4, value: f64::INFINITY };
    assert_eq!(refused(mixed(), 4, f64::INFINITY), expected);
    let expected = Error::NotFinite { what: "v2", index: 2, value: f64::INFINITY };
    assert_eq!(refused(mixed(), 10, f64::INFINITY), expected);
    let poles = || -> Arc<dyn Structure<f64>> { Arc::new(Cauchy::with_nodes(CauchyNodes::free(2, 2).unwrap())) };
    let refusal =
        Matrix::new(Arc::new(Sum::new(poles(), poles()).unwrap()), vec![1.0, 2.0, 3.0, 4.0, 1.0, 5.0, 5.0, 6.0]);
    let expected = Error::NodesCollide { what: ["s2", "t2"], row: 1, col: 0, value: 5.0 };
    assert_eq!(expected.to_string(), "s2[1] and t2[0] are both 5");
    assert_eq!(refusal.err(), Some(expected));
    let three = Sum::new(nodes(), Arc::new(both())).unwrap();
    let expected = Error::ElementOutOfRange { what: "v3", index: 0, value: 2.0, range };
    assert_eq!(refused(three, 6, 2.0), expected);
}

/// More than there can be addresses for.
#[test]
fn what_there_is_no_memory_for_is_refused() {
    let (side, numbers) = (1 << 28, 1 << 56);
    let refused = Builder::new(Family::Dense, side, side).build::<f64>().err();
    assert_eq!(refused, Some(Error::Memory { what: "the parameters", numbers }));
    let mut matrix = Builder::new(Family::LowRank, side, side).rank(0).build::<f64>().unwrap();
    assert_eq!(matrix.to_dense().err(), Some(Error::Memory { what: "the entries", numbers }));
    matrix.set_path(PathChoice::Dense);
    assert_eq!(matrix.path(7), Path::Fast);
    let refused = matrix.rank_for(RankTarget::RelativeError(0.5)).err();
    assert_eq!(refused, Some(Error::Memory { what: "the entries", numbers: 2 * numbers }));
    let refused = Generators::<f64>::new(side, side, 0, vec![], vec![]).unwrap().displacement().err();
    assert_eq!(refused, Some(Error::Memory { what: "the displacement", numbers }));
    let refused = Shift::new(side, 1.0).unwrap().to_dense().err();
    assert_eq!(refused, Some(Error::Memory { what: "the operator matrix", numbers }));
    let refused = Ldr::<f64>::identity(1 << 40).err();
    assert_eq!(refused, Some(Error::TooLarge { rows: 1 << 40, cols: 1 << 40, rank: None }));
}

#[test]
fn the_size_of_what_has_no_rank_is_refused_without_one() {
    let table = Error::TooLarge { rows: 3, cols: 4, rank: None };
    assert_eq!(table.to_string(), "a 3×4 matrix is too large to address");
    let generators = Error::TooLarge { rows: 3, cols: 4, rank: Some(2) };
    assert_eq!(generators.to_string(), "a 3×4 matrix of rank 2 is too large to address");
}

/// The methods of structures that do not come through a matrix.
#[test]
fn structures_refuse_slices_of_another_length() {
    for builder in every_family() {
        let structure = builder.structure::<f64>().unwrap();
        let expected = structure.layout().len();
        for actual in [0, expected - 1, expected + 1] {
            let what = format!("{builder:?}");
            let refused = structure.initialise(Init::He, &mut fastrand::Rng::new(), &mut vec![0.5; actual]);
            assert_eq!(refused, Err(Error::Length { what: "parameters", expected, actual }), "{what}");
            // No panic: families without a demand of their own take any number.
            let _ = structure.check(&vec![0.5; actual]);
        }
    }
    let cauchy = CauchyLike::<f64>::new(3, 2, 1).unwrap();
    let refused = cauchy.nodes_of(&[0.5; 6]).err();
    assert_eq!(refused, Some(Error::Length { what: "parameters", expected: 10, actual: 6 }));
    let refused = cauchy.nodes().nodes(&[0.5; 4]).err();
    assert_eq!(refused, Some(Error::Length { what: "the parameters of the nodes", expected: 5, actual: 4 }));
    let matrix = Builder::new(Family::Toeplitz, 3, 2).build::<f64>().unwrap();
    let refused = matrix.pull_back(&[0.0; 5], &mut [0.0; 4]);
    assert_eq!(refused, Err(Error::Length { what: "dense", expected: 6, actual: 5 }));
    let refused = matrix.pull_back(&[0.0; 6], &mut [0.0; 3]);
    assert_eq!(refused, Err(Error::Length { what: "gradient", expected: 4, actual: 3 }));
}

#[test]
fn nodes_are_asked_of_too_few_parameters_in_vain() {
    assert!(VandermondeLike::<f64>::new(4, 4, 1).unwrap().nodes(&[0.0; 7]).is_empty());
    assert!(CircleVandermondeLike::<f64>::new(4, 4, 1).unwrap().angles(&[0.0; 7]).is_empty());
}

#[test]
fn what_cannot_be_addressed_is_not_made_dense() {
    let mut matrix =
        Builder::new(Family::LowRank, 1 << 32, 1 << 32).rank(0).path(PathChoice::Dense).build::<f32>().unwrap();
    assert_eq!(matrix.path(1), Path::Fast);
    matrix.set_path(PathChoice::Dense);
    assert_eq!((matrix.path_choice(), matrix.path(7)), (PathChoice::Dense, Path::Fast));
    assert_eq!(matrix.apply(&[]), Ok(vec![]));
    assert!(matches!(matrix.to_array(), Err(Error::TooLarge { .. })));
}

#[test]
fn results_that_cannot_be_addressed_are_refused() {
    let tall = Builder::new(Family::LowRank, 1 << 40, 1).rank(0).build::<f32>().unwrap();
    let wide = Builder::new(Family::LowRank, 1, 1 << 40).rank(0).build::<f32>().unwrap();
    // Exactly 2⁶⁴ numbers, which is none if that overflows.
    let (x, mut workspace) = (vec![0.0; 1 << 24], Workspace::new());
    let refused = Error::TooLarge { rows: 1 << 24, cols: 1 << 40, rank: None };
    assert_eq!(tall.apply(&x).err(), Some(refused.clone()));
    assert_eq!(wide.apply_transposed(&x).err(), Some(refused.clone()));
    assert_eq!(tall.apply_into(&x, &mut [], &mut workspace), Err(refused.clone()));
    assert_eq!(wide.apply_transposed_into(&x, &mut [], &mut workspace), Err(refused.clone()));
    assert_eq!(tall.backward(&x, &[], None, &mut [], &mut workspace), Err(refused));
}

#[test]
fn layouts_of_more_numbers_than_can_be_counted_are_longer_than_any_slice() {
    let layout = Layout::new().with("a", &[2, 3]).with("b", &[usize::MAX, 2]).with("c", &[usize::MAX, 2, 0]);
    assert_eq!(layout.len(), usize::MAX);
    assert_eq!(layout.tensor("b").unwrap().range, 6..usize::MAX);
    assert!(layout.tensor("c").unwrap().range.is_empty());
}

#[test]
fn ranks_above_the_smaller_side_are_refused() {
    for family in [Family::ToeplitzLike, Family::HankelLike, Family::LowRank] {
        let refused = Builder::new(family, 5, 3).rank(4).build::<f32>().err();
        assert_eq!(refused, Some(Error::RankTooLarge { rank: 4, max: 3, rows: 5, cols: 3 }));
    }
}

#[test]
fn a_missing_or_superfluous_rank_is_refused() {
    let missing = Builder::new(Family::ToeplitzLike, 3, 3).build::<f32>().err();
    assert_eq!(missing, Some(Error::RankChoice { family: "Toeplitz-like", given: false }));
    let superfluous = Builder::new(Family::Circulant, 3, 3).rank(1).build::<f32>().err();
    assert_eq!(superfluous, Some(Error::RankChoice { family: "circulant", given: true }));
}

#[test]
fn a_variance_that_is_none_is_refused() {
    for variance in [-1.0, f64::NAN, f64::INFINITY] {
        let refused = Builder::new(Family::Dense, 2, 2).init(Init::Variance(variance)).build::<f32>();
        assert!(matches!(refused, Err(Error::OutOfRange { .. })), "{variance}");
    }
}

#[test]
fn parameters_that_are_not_finite_are_refused_and_change_nothing() {
    for builder in every_family() {
        let mut matrix = builder.build::<f64>().unwrap();
        let (before, dense) = (matrix.parameters().to_vec(), matrix.to_dense().unwrap());
        let mut bad = before.clone();
        bad[1] = f64::NAN;
        assert!(matches!(matrix.set_parameters(&bad), Err(Error::NotFinite { index: 1, .. })), "{builder:?}");
        let refused = matrix.update(|p| p[0] = f64::INFINITY);
        assert!(matches!(refused, Err(Error::NotFinite { index: 0, value: f64::INFINITY, .. })), "{builder:?}");
        assert_eq!((matrix.parameters(), matrix.to_dense().unwrap()), (&before[..], dense));
    }
}

#[test]
fn slices_of_a_wrong_length_are_refused_and_not_written_to() {
    for builder in every_family() {
        for path in [PathChoice::Fast, PathChoice::Dense] {
            let mut matrix = builder.build::<f32>().unwrap();
            matrix.set_path(path);
            let mut workspace = Workspace::new();
            let count = matrix.parameters().len();
            assert_eq!(
                matrix.apply(&[0.0; 7]),
                Err(Error::RaggedBatch { what: "x", row: 4, actual: 7 }),
                "{builder:?}"
            );
            assert_eq!(matrix.apply_transposed(&[0.0; 7]), Err(Error::RaggedBatch { what: "y", row: 5, actual: 7 }));
            let mut y = [9.0; 6];
            let refused = matrix.apply_into(&[0.0; 4], &mut y, &mut workspace);
            assert_eq!(refused, Err(Error::Length { what: "y", expected: 5, actual: 6 }));
            assert_eq!(y, [9.0; 6]);
            let (mut dx, mut gradient) = ([9.0; 3], vec![9.0; count]);
            let refused = matrix.backward(&[0.0; 4], &[0.0; 5], Some(&mut dx), &mut gradient, &mut workspace);
            assert_eq!(refused, Err(Error::Length { what: "dx", expected: 4, actual: 3 }));
            let refused = matrix.backward(&[0.0; 4], &[0.0; 5], None, &mut gradient[1..], &mut workspace);
            assert_eq!(refused, Err(Error::Length { what: "gradient", expected: count, actual: count - 1 }));
            assert!(dx.iter().chain(&gradient).all(|&x| x == 9.0));
            assert!(matrix.set_parameters(&vec![0.0; count + 1]).is_err());
        }
    }
}

#[test]
fn an_empty_batch_is_an_empty_answer_and_a_zero_gradient() {
    for builder in every_family() {
        let matrix = builder.build::<f32>().unwrap();
        assert_eq!((matrix.apply(&[]), matrix.apply_transposed(&[])), (Ok(vec![]), Ok(vec![])));
        let mut gradient = vec![3.0; matrix.parameters().len()];
        matrix.backward(&[], &[], Some(&mut []), &mut gradient, &mut Workspace::new()).unwrap();
        assert!(gradient.iter().all(|&g| g == 3.0), "{builder:?}");
    }
}

#[test]
fn an_input_that_is_not_finite_spoils_its_own_row_only() {
    for builder in every_family() {
        let mut matrix = builder.build::<f32>().unwrap();
        for path in [PathChoice::Fast, PathChoice::Dense] {
            matrix.set_path(path);
            let mut x = vec![1.0; 3 * 4];
            x[5] = f32::NAN;
            let y = matrix.apply(&x).unwrap();
            assert!(y[..5].iter().chain(&y[10..]).all(|y| y.is_finite()), "{builder:?} {path:?}");
            assert!(y[5..10].iter().any(|y| y.is_nan()), "{builder:?} {path:?}");
        }
    }
}

#[test]
fn defining_entries_that_contradict_each_other_are_refused() {
    let toeplitz = Toeplitz::from_column_and_row(&[1.0, 2.0], &[3.0, 4.0]).err();
    assert!(matches!(toeplitz, Some(Error::Contradiction { first: 1.0, second: 3.0, .. })));
    let hankel = Hankel::from_column_and_row(&[1.0, 2.0], &[3.0, 4.0]).err();
    assert!(matches!(hankel, Some(Error::Contradiction { first: 2.0, second: 3.0, .. })));
}

#[test]
fn defining_entries_that_are_missing_or_not_finite_are_refused() {
    let empty: [f64; 0] = [];
    let nan = [1.0, f64::NAN];
    assert!(matches!(Circulant::from_column(&empty), Err(Error::EmptyShape { .. })));
    assert!(matches!(Circulant::from_column(&nan), Err(Error::NotFinite { .. })));
    assert!(matches!(Circulant::skew_from_column(&nan), Err(Error::NotFinite { .. })));
    assert!(matches!(FCirculant::from_column(&[1.0], f64::NAN), Err(Error::OutOfRange { .. })));
    assert!(matches!(Toeplitz::from_column_and_row(&empty, &nan), Err(Error::EmptyShape { .. })));
    assert!(matches!(Toeplitz::from_column_and_row(&nan, &[1.0]), Err(Error::NotFinite { .. })));
    assert!(matches!(Hankel::from_column_and_row(&nan, &empty), Err(Error::EmptyShape { .. })));
    assert!(matches!(Hankel::from_column_and_row(&nan, &nan), Err(Error::NotFinite { .. })));
    assert!(matches!(ToeplitzPlusHankel::from_diagonals(2, 2, &nan, &nan), Err(Error::Length { .. })));
    assert!(matches!(Dense::from_entries(2, 2, &nan), Err(Error::Length { .. })));
    assert!(matches!(LowRank::from_generators(2, 2, 1, &nan, &nan), Err(Error::NotFinite { .. })));
    assert!(matches!(ToeplitzLike::from_generators(2, 2, 1, &nan, &empty), Err(Error::Length { .. })));
    assert!(matches!(HankelLike::from_generators(2, 2, 1, &empty, &nan), Err(Error::Length { .. })));
    assert!(matches!(ToeplitzLike::<f32>::with_order(4, 6, 2, 5), Err(Error::OutOfRange { .. })));
}

#[test]
fn a_layer_refuses_bad_biases_and_stays_as_it_was() {
    let matrix = Builder::new(Family::Toeplitz, 2, 3).build::<f32>().unwrap();
    assert!(matches!(Linear::new(matrix.clone(), Some(vec![0.0; 3])), Err(Error::Length { .. })));
    assert!(matches!(Linear::new(matrix.clone(), Some(vec![0.0, f32::NAN])), Err(Error::NotFinite { .. })));
    let mut layer = Linear::new(matrix, Some(vec![1.0, 2.0])).unwrap();
    let weight = layer.weight().parameters().to_vec();
    let refused = layer.update(|weight, bias| {
        weight[0] = 7.0;
        bias[1] = f32::NAN;
    });
    assert!(matches!(refused, Err(Error::NotFinite { what: "bias", index: 1, .. })));
    let refused = layer.update(|weight, bias| {
        weight[0] = f32::NAN;
        bias[1] = 5.0;
    });
    assert!(matches!(refused, Err(Error::NotFinite { what: "parameters", index: 0, .. })));
    assert_eq!((layer.weight().parameters(), layer.bias()), (&weight[..], &[1.0, 2.0][..]));
}

#[test]
fn a_matrix_that_the_bias_does_not_fit_is_refused_when_it_is_used() {
    let mut layer = Builder::new(Family::Dense, 2, 3).build_layer::<f32>().unwrap();
    *layer.weight_mut() = Builder::new(Family::Dense, 3, 3).build().unwrap();
    let refused = Err(Error::Length { what: "bias", expected: 3, actual: 2 });
    let (mut y, mut gradient, mut workspace) = ([7.0; 3], layer.zero_gradient(), Workspace::new());
    assert_eq!(layer.forward(&[1.0; 3]).map(|_| ()), refused);
    assert_eq!(layer.forward_into(&[1.0; 3], &mut y, &mut workspace), refused);
    assert_eq!(layer.backward_into(&[1.0; 3], &[1.0; 3], None, &mut gradient, &mut workspace), refused);
    assert!(y == [7.0; 3] && gradient == layer.zero_gradient());
}

#[test]
fn array_views_in_any_layout_give_the_products_of_their_rows() {
    use ndarray::{Array2, s};

    let matrix = Builder::new(Family::ToeplitzLike, 5, 7).rank(2).seed(3).build::<f64>().unwrap();
    let x = Array2::from_shape_fn((6, 14), |(i, j)| ((3 * i + 5 * j) % 11) as f64 - 5.0);
    let tall = Array2::from_shape_fn((7, 6), |(i, j)| ((3 * i + 5 * j) % 11) as f64 - 5.0);
    let views = [
        x.slice(s![.., ..7]),       // rows farther apart than they are long
        x.slice(s![.., ..;2]),      // elements apart
        x.slice(s![..;-1, 7..;-1]), // reversed both ways
        x.slice(s![0..0, ..7]),     // an empty batch
        tall.t(),                   // transposed
    ];
    for view in views {
        let copied = view.as_standard_layout().into_owned();
        let expected = matrix.apply(copied.as_slice().unwrap()).unwrap();
        assert_eq!(matrix.apply_array(view).unwrap().as_slice().unwrap(), expected);
    }
    let wrong = matrix.apply_array(x.view()).unwrap_err();
    assert!(matches!(wrong, Error::ShapeMismatch { left_rows: 6, left_cols: 14, right_rows: 5, right_cols: 7, .. }));
    let wrong = matrix.apply_transposed_array(x.view()).unwrap_err();
    assert!(matches!(wrong, Error::ShapeMismatch { left_cols: 14, .. }));
    let identity = Array2::eye(5);
    let rows = matrix.apply_transposed_array(identity.view()).unwrap();
    // Sums of up to 5 products, through transforms of length 12: 50 ε log2(12) and no more.
    let tolerance = 50.0 * f64::EPSILON * 12f64.log2();
    approx::assert_abs_diff_eq!(rows.as_slice().unwrap(), &matrix.to_dense().unwrap()[..], epsilon = tolerance);
}
