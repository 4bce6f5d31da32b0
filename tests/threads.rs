//! Products and gradients have the same bits whatever the number of threads.
#![cfg(feature = "parallel")]

#[path = "common/families.rs"]
#[allow(dead_code)]
mod families;

use displace::{Matrix, PathChoice, Scalar, Workspace};
use families::{builders, random};

/// Product, transposed product and all gradients, one after another.
fn everything<T: Scalar>(matrix: &Matrix<T>, batch: usize) -> Vec<T> {
    let (m, n) = (matrix.rows(), matrix.cols());
    let (x, dy) = (random::<T>(batch * n, 1), random::<T>(batch * m, 2));
    let mut workspace = Workspace::new();
    let mut numbers = matrix.apply(&x).unwrap();
    numbers.extend(matrix.apply_transposed(&dy).unwrap());
    let mut gradient = vec![T::one(); matrix.parameters().len()];
    let mut dx = vec![T::zero(); batch * n];
    matrix.backward(&x, &dy, Some(&mut dx), &mut gradient, &mut workspace).unwrap();
    matrix.backward(&x, &dy, None, &mut gradient, &mut workspace).unwrap();
    numbers.extend(dx);
    numbers.extend(gradient);
    numbers
}

fn same_bits<T: Scalar>(rows: usize, cols: usize) {
    let pools = [1, 2, 3].map(|n| rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap());
    for builder in builders(rows, cols, 5).into_iter().filter(|b| b.structure::<T>().is_ok()) {
        for path in [PathChoice::Fast, PathChoice::Dense, PathChoice::Auto] {
            let matrix = builder.clone().path(path).build::<T>().unwrap();
            for batch in [1, 63, 65, 200, 413] {
                let [one, two, three] = pools.each_ref().map(|pool| pool.install(|| everything(&matrix, batch)));
                assert!(one.iter().all(|x| x.is_finite()));
                assert!(one == two, "{builder:?} {}, batch {batch}: two threads differ from one", T::NAME);
                assert!(one == three, "{builder:?} {}, batch {batch}: three threads differ from one", T::NAME);
            }
        }
    }
}

#[test]
fn square() {
    same_bits::<f32>(48, 48);
    same_bits::<f64>(37, 37);
}

#[test]
fn rectangular() {
    same_bits::<f32>(20, 75);
    same_bits::<f64>(64, 30);
}
