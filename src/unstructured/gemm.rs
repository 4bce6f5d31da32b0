//! Products of dense row-major matrices.

use ndarray::linalg::general_mat_mul;
use ndarray::{ArrayView2, ArrayViewMut2};

use crate::Scalar;
use crate::transform::few::{self, Few, Way};

/// `C = A Bᵀ` for A p×q, B s×q, with `shape = [p, q, s]`.
pub(crate) fn gemm_nt<T: Scalar>(a: &[T], b: &[T], c: &mut [T], shape: [usize; 3]) {
    let [p, q, s] = shape;
    if p <= few::most::<T>() && q > 0 {
        return T::few(Few { way: Way::Rows, matrix: b, rows: s, cols: q, batch: p, x: a, y: c });
    }
    product(view(a, p, q), view(b, s, q).map(|b| b.reversed_axes()), c, p, s, T::zero());
}

/// `C = A B` for A p×q, B q×s, with `shape = [p, q, s]`.
pub(crate) fn gemm_nn<T: Scalar>(a: &[T], b: &[T], c: &mut [T], shape: [usize; 3]) {
    let [p, q, s] = shape;
    if p <= few::most::<T>() && q > 0 && s > 0 {
        return T::few(Few { way: Way::Columns, matrix: b, rows: q, cols: s, batch: p, x: a, y: c });
    }
    product(view(a, p, q), view(b, q, s), c, p, s, T::zero());
}

/// `C = Aᵀ B` for A q×p, B q×s, with `shape = [p, q, s]`.
pub(crate) fn gemm_tn<T: Scalar>(a: &[T], b: &[T], c: &mut [T], shape: [usize; 3]) {
    let [p, q, s] = shape;
    product(view(a, q, p).map(|a| a.reversed_axes()), view(b, q, s), c, p, s, T::zero());
}

/// `C += Aᵀ B` for A q×p, B q×s, with `shape = [p, q, s]`.
pub(crate) fn gemm_tn_add<T: Scalar>(a: &[T], b: &[T], c: &mut [T], shape: [usize; 3]) {
    let [p, q, s] = shape;
    product(view(a, q, p).map(|a| a.reversed_axes()), view(b, q, s), c, p, s, T::one());
}

/// `C += A B` for A p×q, B q×s, with `shape = [p, q, s]`.
pub(crate) fn gemm_nn_add<T: Scalar>(a: &[T], b: &[T], c: &mut [T], shape: [usize; 3]) {
    let [p, q, s] = shape;
    product(view(a, p, q), view(b, q, s), c, p, s, T::one());
}

type View<'a, T> = Option<ArrayView2<'a, T>>;

fn view<T>(a: &[T], rows: usize, cols: usize) -> View<'_, T> {
    ArrayView2::from_shape((rows, cols), a).ok()
}

fn product<T: Scalar>(a: View<'_, T>, b: View<'_, T>, c: &mut [T], rows: usize, cols: usize, beta: T) {
    if let (Some(a), Some(b), Ok(mut c)) = (a, b, ArrayViewMut2::from_shape((rows, cols), c)) {
        general_mat_mul(T::one(), &a, &b, beta, &mut c);
    }
}

/// Numbers that a sum runs over side by side, so that the compiler can keep several registers busy.
const WIDE: usize = 32;

/// The inner product.
pub(crate) fn dot<T: Scalar>(a: &[T], b: &[T]) -> T {
    let (a_wide, b_wide) = (a.chunks_exact(WIDE), b.chunks_exact(WIDE));
    let rest = a_wide.remainder().iter().zip(b_wide.remainder()).map(|(&a, &b)| a * b).sum();
    let mut sums = [T::zero(); WIDE];
    for (a, b) in a_wide.zip(b_wide) {
        for l in 0..WIDE {
            sums[l] += a[l] * b[l];
        }
    }
    sums.into_iter().sum::<T>() + rest
}

/// `y += a x`.
pub(crate) fn add_scaled<T: Scalar>(y: &mut [T], a: T, x: &[T]) {
    y.iter_mut().zip(x).for_each(|(y, &x)| *y += a * x);
}
