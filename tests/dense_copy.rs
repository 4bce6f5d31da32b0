//! A dense copy that is expensive to make, as those of learned operators are, is made only where it pays for itself.

#[path = "common/families.rs"]
#[allow(dead_code, reason = "these tests need only some of the helpers")]
mod common;
#[path = "common/counting.rs"]
mod counting;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use common::{assert_close, norm, random};
use displace::{Builder, Family, Matrix, Path, PathChoice, Workspace};

/// An n×n matrix whose operators are away from the shift: by two per cent, or by half of it, which goes back.
fn matrix(family: Family, n: usize, reflects: bool) -> Matrix<f64> {
    let mut matrix = Builder::new(family, n, n).rank(1).seed(4).build::<f64>().unwrap();
    let mut parameters = matrix.parameters().to_vec();
    for name in ["A", "B"] {
        let place = matrix.layout().tensor(name).unwrap().range.clone();
        let noise = random::<f64>(place.len(), 5);
        parameters[place.clone()].iter_mut().zip(noise).for_each(|(p, noise)| *p += 0.02 * noise);
        if reflects {
            let (lower, others) = parameters[place].split_at_mut(n);
            lower.iter_mut().for_each(|l| *l *= 0.5);
            others[n..].iter_mut().for_each(|u| *u += 0.48);
        }
    }
    matrix.set_parameters(&parameters).unwrap();
    matrix.set_path(PathChoice::Auto);
    matrix
}

/// A step of training.
fn train(matrix: &mut Matrix<f64>, batch: usize) {
    let (x, mut gradient) = (random::<f64>(batch * matrix.cols(), 5), vec![0.0; matrix.parameters().len()]);
    matrix.apply(&x).unwrap();
    matrix.backward(&x, &x, None, &mut gradient, &mut Workspace::new()).unwrap();
    matrix.update(|p| p.iter_mut().zip(gradient).for_each(|(p, g)| *p -= 1e-9 * g)).unwrap();
}

#[test]
fn a_matrix_that_is_not_in_training_has_it_at_once() {
    for reflects in [false, true] {
        let mut matrix = matrix(Family::LearnedTridiagonal, 256, reflects);
        assert_eq!(matrix.path(64), Path::Dense);
        for batch in [1, 50] {
            train(&mut matrix, batch);
            assert_eq!([1, 50, 64].map(|batch| matrix.path(batch)), [Path::Fast; 3], "batches of {batch}");
        }
        matrix.set_path(PathChoice::Auto);
        assert_eq!(matrix.path(64), Path::Dense, "chosen again");
    }
}

#[test]
fn large_batches_pay_for_it_at_once() {
    let mut small = matrix(Family::LearnedTridiagonal, 64, false);
    train(&mut small, 512);
    assert_eq!([1, 512].map(|batch| small.path(batch)), [Path::Fast, Path::Dense]);
    small.apply(&random::<f64>(512 * 64, 6)).unwrap();
    assert_eq!(small.path(1), Path::Dense, "once it is there");
}

#[test]
fn many_products_pay_for_it_together() {
    let mut matrix = matrix(Family::LearnedTridiagonal, 256, false);
    let (x, mut workspace) = (random::<f64>(50 * 256, 5), Workspace::new());
    let (mut first, mut y) = (vec![0.0; x.len()], vec![0.0; x.len()]);
    for _ in 0..2 {
        matrix.update(|p| p[0] += 1e-3).unwrap();
        matrix.apply_into(&x, &mut first, &mut workspace).unwrap();
        let products = (2..10_000).find(|_| {
            matrix.apply_transposed_into(&x, &mut y, &mut workspace).unwrap();
            matrix.path(50) == Path::Dense
        });
        assert!(products.is_some_and(|products| products > 2), "{products:?}");
        assert_eq!(matrix.clone().path(50), Path::Dense);
        matrix.apply_into(&x, &mut y, &mut workspace).unwrap();
        // Either is within the accuracy that learned operators promise.
        assert_close(&y, &first, 1e-11, norm(&first), "before and after");
        assert_ne!(y, first, "by another path");
    }
}

#[test]
fn it_is_not_made_again_when_the_path_is_chosen_again_or_the_entries_are_asked_for() {
    let matrix = matrix(Family::LearnedTridiagonal, 64, false);
    let mut counted = counting::counting(Arc::clone(matrix.structure()), matrix.parameters().to_vec());
    let before = counted.structure().written.load(Ordering::Relaxed);
    for path in [PathChoice::Dense, PathChoice::Auto, PathChoice::Dense] {
        counted.set_path(path);
        assert_eq!(counted.path(64), Path::Dense);
        assert_eq!(counted.to_dense(), matrix.to_dense());
        assert_eq!(counted.structure().written.load(Ordering::Relaxed), before + 1, "{path:?}");
    }
    counted.set_path(PathChoice::Fast);
    assert_eq!(counted.path(64), Path::Fast);
}

#[test]
fn cheap_products_never_need_it() {
    let mut scaled = Builder::new(Family::LearnedSubdiagonal, 1024, 1024).rank(1).build::<f64>().unwrap();
    assert_eq!(scaled.path(64), Path::Fast);
    train(&mut scaled, 1);
    (0..50).for_each(|seed| drop(scaled.apply(&random::<f64>(1024, seed)).unwrap()));
    assert_eq!([1, 64].map(|batch| scaled.path(batch)), [Path::Fast; 2]);
}
