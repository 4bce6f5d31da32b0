//! Products with arrays of `ndarray`, in any memory layout.
//!
//! The crate works on slices; these methods are for those who hold [`ndarray`] arrays. Transposed, reversed and strided views
//! are copied into row-major order first, which costs one pass over them; row-major ones are read where they are.

use ndarray::{Array2, ArrayView2};

use crate::{Error, Matrix, Result, Scalar, Structure};

impl<T: Scalar, S: ?Sized + Structure<T>> Matrix<T, S> {
    /// `Y = X Mᵀ` for an array X of shape (batch, n), with Y of shape (batch, m). Cost as for [`Matrix::apply`].
    ///
    /// # Errors
    ///
    /// [`Error::ShapeMismatch`] when X does not have n columns, and as for [`Matrix::apply`].
    ///
    /// ```
    /// use displace::structured::Toeplitz;
    /// use ndarray::array;
    ///
    /// let t = Toeplitz::from_column_and_row(&[1.0, 2.0], &[1.0, 0.0, 5.0])?;
    /// let x = array![[1.0, 0.0], [1.0, 0.0], [1.0, 1.0]];
    /// let y = t.apply_array(x.t())?; // a transposed view
    /// assert!((y[[0, 0]] - 6.0_f64).abs() < 1e-12 && (y[[1, 0]] - 5.0).abs() < 1e-12);
    /// # Ok::<(), displace::Error>(())
    /// ```
    pub fn apply_array(&self, x: ArrayView2<'_, T>) -> Result<Array2<T>> {
        let fits = x.ncols() == self.cols();
        product(self, "Y = X Mᵀ", x, fits, self.rows(), |x| self.apply(x))
    }

    /// `X = Y M` for an array Y of shape (batch, m), with X of shape (batch, n). Cost as for [`Matrix::apply_transposed`].
    ///
    /// # Errors
    ///
    /// [`Error::ShapeMismatch`] when Y does not have m columns, and as for [`Matrix::apply_transposed`].
    pub fn apply_transposed_array(&self, y: ArrayView2<'_, T>) -> Result<Array2<T>> {
        let fits = y.ncols() == self.rows();
        product(self, "X = Y M", y, fits, self.cols(), |y| self.apply_transposed(y))
    }

    /// The entries as an array of shape (m, n). Cost as for [`Matrix::to_dense`].
    ///
    /// # Errors
    ///
    /// As for [`Matrix::to_dense`].
    pub fn to_array(&self) -> Result<Array2<T>> {
        shaped(self.rows(), self.cols(), self.to_dense()?)
    }
}

fn product<T: Scalar, S: ?Sized + Structure<T>>(
    matrix: &Matrix<T, S>,
    what: &'static str,
    x: ArrayView2<'_, T>,
    fits: bool,
    columns: usize,
    apply: impl FnOnce(&[T]) -> Result<Vec<T>>,
) -> Result<Array2<T>> {
    if !fits {
        let (left_rows, left_cols) = x.dim();
        return Err(Error::ShapeMismatch {
            what,
            left_rows,
            left_cols,
            right_rows: matrix.rows(),
            right_cols: matrix.cols(),
        });
    }
    let batch = x.nrows();
    let y = match x.as_slice() {
        Some(rows) => apply(rows)?,
        None => apply(&x.iter().copied().collect::<Vec<_>>())?,
    };
    shaped(batch, columns, y)
}

fn shaped<T>(rows: usize, cols: usize, numbers: Vec<T>) -> Result<Array2<T>> {
    let actual = numbers.len();
    Array2::from_shape_vec((rows, cols), numbers).map_err(|_| Error::Length {
        what: "an array",
        expected: rows.saturating_mul(cols),
        actual,
    })
}
