//! A structure bound to its parameters: the object that products are asked of.

use std::fmt;
use std::sync::Arc;

use super::dense_copy::DenseCopy;
use super::kept::Stamp;
use super::path::{PRODUCTS, dense_cost};
use super::{Bound, Layout, Parameters, Path, PathChoice, Prepared, Structure, Workspace, take};
use crate::error::{has_length, has_memory, zeros};
use crate::shape::Shape;
use crate::unstructured::gemm::{gemm_nn, gemm_nt, gemm_tn};
use crate::{Error, Result, Scalar};

/// Rows of a batch whose gradients are summed before they are added to those of the rows before: the sums do not depend
/// on how many threads share the work.
const CHUNK: usize = 64;

/// The most bytes of scratch that a matrix keeps for the next change of its parameters.
const KEPT: usize = 1 << 22;

/// The batches that decide whether a dense copy is worth having: it is if it serves one of them.
const TYPICAL_BATCHES: [usize; 3] = [1, 4, 64];

/// An m×n matrix of any family: a shared structure and parameters of its own.
///
/// `S` is the type of the structure; `Matrix<f32>`, without it, is a matrix of any family, and [`Matrix::into_dyn`] converts to
/// that. All products work on batches: `x` holds one example a row, and the number of rows follows from its length, which may
/// be zero. Numbers in `x` that are not finite affect the results of their own rows only. A batch gives what its rows give one at a
/// time up to rounding, within the accuracy of the family, since blocks of rows and single ones go by different kernels and perhaps
/// by different [paths](PathChoice); the number of threads that share a batch changes nothing.
///
/// ```
/// use displace::{Workspace, structured::Toeplitz};
///
/// let t = Toeplitz::from_column_and_row(&[1.0, 2.0], &[1.0, 0.0, 5.0])?;
/// assert_eq!(t.to_dense()?, [1.0, 0.0, 5.0, 2.0, 1.0, 0.0]);
/// let y = t.apply(&[1.0, 1.0, 1.0])?;
/// assert!((y[0] - 6.0_f64).abs() < 1e-12 && (y[1] - 3.0).abs() < 1e-12);
///
/// let mut workspace = Workspace::new();
/// let mut y = [0.0; 2];
/// t.apply_into(&[1.0, 0.0, 0.0], &mut y, &mut workspace)?;
/// assert!((y[1] - 2.0).abs() < 1e-12);
/// # Ok::<(), displace::Error>(())
/// ```
pub struct Matrix<T: Scalar, S: ?Sized + Structure<T> = dyn Structure<T>> {
    parameters: Vec<T>,
    previous: Vec<T>,
    prepared: Prepared<T>,
    /// Of what is prepared. Clones share it, as they share that.
    stamp: Stamp,
    dense: DenseCopy<T>,
    choice: PathChoice,
    /// Whether the parameters have been changed since the matrix was made or the path chosen.
    changed: bool,
    /// Nanoseconds that a dense copy costs, and those that it saves one vector: kept because the estimate takes as long as the
    /// smallest products.
    copy_cost: f64,
    saved_once: f64,
    /// What preparing needs, kept for the next time.
    scratch: Workspace<T>,
    structure: Arc<S>,
}

impl<T: Scalar, S: Structure<T> + 'static> Matrix<T, S> {
    /// Forgets the type of the family, so that matrices of several families fit into one collection. O(1).
    pub fn into_dyn(self) -> Matrix<T> {
        Matrix {
            parameters: self.parameters,
            previous: self.previous,
            prepared: self.prepared,
            stamp: self.stamp,
            dense: self.dense,
            choice: self.choice,
            changed: self.changed,
            copy_cost: self.copy_cost,
            saved_once: self.saved_once,
            scratch: self.scratch,
            structure: self.structure,
        }
    }
}

impl<T: Scalar, S: ?Sized + Structure<T>> Matrix<T, S> {
    /// Binds parameters to a structure.
    ///
    /// # Errors
    ///
    /// [`Error::Length`] when there are more or fewer parameters than the layout says, [`Error::NotFinite`] or whatever
    /// else the family refuses; [`Error::EmptyShape`] or [`Error::TooLarge`] for a structure from outside that has no such shape.
    pub fn new(structure: Arc<S>, parameters: Vec<T>) -> Result<Self> {
        Self::on_path(structure, parameters, PathChoice::Auto)
    }

    /// The same with the path chosen, so that no dense copy is made that the choice does not ask for.
    pub(crate) fn on_path(structure: Arc<S>, parameters: Vec<T>, choice: PathChoice) -> Result<Self> {
        Shape::new(structure.rows(), structure.cols())?;
        has_length("parameters", &parameters, structure.layout().len())?;
        structure.check(&parameters)?;
        let mut matrix = Self {
            parameters,
            previous: Vec::new(),
            prepared: Prepared::default(),
            stamp: Stamp::new(),
            dense: DenseCopy::undecided(),
            choice,
            changed: false,
            copy_cost: 0.0,
            saved_once: 0.0,
            scratch: Workspace::new(),
            structure,
        };
        matrix.prepare();
        Ok(matrix)
    }

    /// The structure, which other matrices may share.
    pub fn structure(&self) -> &Arc<S> {
        &self.structure
    }

    /// Rows m.
    pub fn rows(&self) -> usize {
        self.structure.rows()
    }

    /// Columns n.
    pub fn cols(&self) -> usize {
        self.structure.cols()
    }

    /// The displacement rank, or the rank of a low-rank matrix; `None` where it is not a choice.
    pub fn rank(&self) -> Option<usize> {
        self.structure.rank()
    }

    /// The names, shapes and places of the parameters.
    pub fn layout(&self) -> &Layout {
        self.structure.layout()
    }

    /// The parameters, in the order of the layout.
    pub fn parameters(&self) -> &[T] {
        &self.parameters
    }

    /// Replaces the parameters. Costs the transforms of the generators, and the dense copy where there is one; one that is expensive
    /// to make is dropped instead, until it pays again (see [`PathChoice::Auto`]).
    ///
    /// # Errors
    ///
    /// As for [`Matrix::new`]; the matrix is unchanged then.
    pub fn set_parameters(&mut self, parameters: &[T]) -> Result<()> {
        has_length("parameters", parameters, self.parameters.len())?;
        self.structure.check(parameters)?;
        self.parameters.copy_from_slice(parameters);
        self.changed = true;
        self.prepare();
        Ok(())
    }

    /// Lets `step` change the parameters in place, as an optimiser does.
    ///
    /// # Errors
    ///
    /// [`Error::NotFinite`], or whatever else the family refuses, for what `step` left; the matrix is unchanged then.
    pub fn update(&mut self, step: impl FnOnce(&mut [T])) -> Result<()> {
        self.try_update(|parameters| {
            step(parameters);
            Ok(())
        })
    }

    /// [`Matrix::update`] by a step that can fail.
    pub(crate) fn try_update(&mut self, step: impl FnOnce(&mut [T]) -> Result<()>) -> Result<()> {
        self.previous.clone_from(&self.parameters);
        let stepped = step(&mut self.parameters);
        if let Err(error) = stepped.and_then(|()| self.structure.check(&self.parameters)) {
            self.parameters.copy_from_slice(&self.previous);
            return Err(error);
        }
        self.changed = true;
        self.prepare();
        Ok(())
    }

    /// Who chooses between the fast and the dense path.
    pub fn path_choice(&self) -> PathChoice {
        self.choice
    }

    /// Sets who chooses between the fast and the dense path. Materialises the matrix or drops its dense copy, as needed; one that is there
    /// and may be of use stays. A matrix whose mn entries could not be addressed, or for which there is no memory,
    /// stays on the fast path.
    pub fn set_path(&mut self, choice: PathChoice) {
        self.choice = choice;
        self.changed = false;
        // A copy that is there is one of the present parameters.
        let stays = match choice {
            PathChoice::Fast => false,
            PathChoice::Dense => true,
            PathChoice::Auto => self.copy_may_pay() && TYPICAL_BATCHES.into_iter().any(|batch| self.saved(batch) > 0.0),
        };
        if !stays || self.dense.entries().is_none() {
            self.materialise();
        }
    }

    /// The path that a product with a batch of this many rows takes. Its gradients may take the fast one where the product
    /// does not; see [`PathChoice::Auto`].
    pub fn path(&self, batch: usize) -> Path {
        let has_dense = match self.choice {
            PathChoice::Fast => false,
            PathChoice::Dense => self.dense.entries().is_some(),
            PathChoice::Auto => {
                let saved = self.saved(batch);
                saved > 0.0 && self.dense.serves(saved, self.copy_cost)
            }
        };
        if has_dense { Path::Dense } else { Path::Fast }
    }

    /// The entries, row by row. O(mn), times the rank where the family has one, and O(r max(m, n)³) at most for learned operators; O(mn) where
    /// there is a dense copy.
    ///
    /// # Errors
    ///
    /// [`Error::TooLarge`] where mn numbers cannot be addressed, [`Error::Memory`] where there is no memory for them.
    pub fn to_dense(&self) -> Result<Vec<T>> {
        Shape { rows: self.rows(), cols: self.cols() }.check_dense()?;
        let mut dense = zeros("the entries", self.rows() * self.cols())?;
        match self.dense.entries() {
            Some(entries) => dense.copy_from_slice(entries),
            None => self.structure.write_dense(Parameters(&self.parameters), &mut dense),
        }
        Ok(dense)
    }

    /// Adds to `gradient` the gradient in the parameters of a loss whose gradient in the entries is `dense`, row by row.
    /// O(mn), times the rank where the family has one.
    ///
    /// # Errors
    ///
    /// [`Error::Length`] when `dense` does not hold mn numbers, or `gradient` not as many as there are parameters.
    pub fn pull_back(&self, dense: &[T], gradient: &mut [T]) -> Result<()> {
        has_length("dense", dense, self.rows().saturating_mul(self.cols()))?;
        has_length("gradient", gradient, self.parameters.len())?;
        self.structure.pull_back(Parameters(&self.parameters), dense, gradient);
        Ok(())
    }

    /// `Y = X Mᵀ`: the product with every row of `x`.
    ///
    /// # Errors
    ///
    /// [`Error::RaggedBatch`] when `x` is not a whole number of rows of n, [`Error::TooLarge`] where Y cannot be addressed, [`Error::Memory`]
    /// where there is no memory for it.
    pub fn apply(&self, x: &[T]) -> Result<Vec<T>> {
        let mut y = zeros("Y", self.product_len(x)?)?;
        self.apply_into(x, &mut y, &mut Workspace::new())?;
        Ok(y)
    }

    /// `Y = X Mᵀ` into a buffer of the caller; nothing is allocated once the workspace has grown, but for the buffer into which a GEMM packs
    /// its operands (on the dense path, and for low-rank matrices, with more than a few rows), and where the product makes a dense copy
    /// (see [`PathChoice::Auto`]).
    ///
    /// # Errors
    ///
    /// [`Error::RaggedBatch`] when `x` is not a whole number of rows of n, [`Error::Length`] when `y` does not hold as
    /// many rows of m, [`Error::TooLarge`] where no slice could.
    pub fn apply_into(&self, x: &[T], y: &mut [T], workspace: &mut Workspace<T>) -> Result<()> {
        let batch = batch("x", x, self.cols())?;
        has_length("y", y, numbers::<T>(batch, self.rows())?)?;
        if let Some(dense) = self.dense_for(batch) {
            let (m, n) = (self.rows(), self.cols());
            super::threads::rows(x, n, y, m, 0, workspace, |x, y, _| gemm_nt(x, dense, y, [x.len() / n, n, m]));
            return Ok(());
        }
        let scratch_len = self.structure.scratch_len();
        let kept_len = if workspace.keeps { self.kept_len(batch) } else { 0 };
        if kept_len > 0 {
            let Workspace { scratch, kept, .. } = workspace;
            kept.keep(self.stamp, x, kept_len, |kept| {
                self.structure.apply_keeping(self.bound(), x, y, kept, scratch.slice(scratch_len));
            });
            return Ok(());
        }
        super::threads::rows(x, self.cols(), y, self.rows(), scratch_len, workspace, |x, y, scratch| {
            self.structure.apply(self.bound(), x, y, scratch);
        });
        Ok(())
    }

    /// `X = Y M`: the product of the transposed matrix with every row of `y`.
    ///
    /// # Errors
    ///
    /// [`Error::RaggedBatch`] when `y` is not a whole number of rows of m, [`Error::TooLarge`] where X cannot be addressed, [`Error::Memory`]
    /// where there is no memory for it.
    pub fn apply_transposed(&self, y: &[T]) -> Result<Vec<T>> {
        let mut x = zeros("X", numbers::<T>(batch("y", y, self.rows())?, self.cols())?)?;
        self.apply_transposed_into(y, &mut x, &mut Workspace::new())?;
        Ok(x)
    }

    /// `X = Y M` into a buffer of the caller; as for [`Matrix::apply_into`], nothing is allocated once the workspace has grown, with the same
    /// exceptions.
    ///
    /// # Errors
    ///
    /// [`Error::RaggedBatch`] when `y` is not a whole number of rows of m, [`Error::Length`] when `x` does not hold as
    /// many rows of n, [`Error::TooLarge`] where no slice could.
    pub fn apply_transposed_into(&self, y: &[T], x: &mut [T], workspace: &mut Workspace<T>) -> Result<()> {
        let batch = batch("y", y, self.rows())?;
        has_length("x", x, numbers::<T>(batch, self.cols())?)?;
        if let Some(dense) = self.dense_for(batch) {
            let (m, n) = (self.rows(), self.cols());
            super::threads::rows(y, m, x, n, 0, workspace, |y, x, _| gemm_nn(y, dense, x, [y.len() / m, m, n]));
            return Ok(());
        }
        let scratch_len = self.structure.scratch_len();
        super::threads::rows(y, self.rows(), x, self.cols(), scratch_len, workspace, |y, x, scratch| {
            self.structure.apply_transposed(self.bound(), y, x, scratch);
        });
        Ok(())
    }

    /// The backward pass of `Y = X Mᵀ`: given the gradient `dy` of a loss in Y, writes its gradient in X to `dx`, if
    /// asked, and *adds* its gradient in the parameters to `gradient`. Allocates as [`Matrix::apply_into`] does, and on the dense path
    /// also to go back from the entries.
    ///
    /// For one vector and [`LearnedOperators`](crate::ldr::LearnedOperators) it goes on from the intermediate results of the
    /// product, if the last product that left any in this workspace was one of this matrix (or a clone) with its present
    /// parameters and the same x. Otherwise, and always in the first backward pass in a workspace, they are computed again. The
    /// result is the same.
    ///
    /// # Errors
    ///
    /// [`Error::RaggedBatch`] when `x` is not a whole number of rows of n, [`Error::Length`] when another slice does not
    /// fit, [`Error::TooLarge`] where none could; nothing has been written then.
    pub fn backward(
        &self,
        x: &[T],
        dy: &[T],
        dx: Option<&mut [T]>,
        gradient: &mut [T],
        workspace: &mut Workspace<T>,
    ) -> Result<()> {
        let batch = batch("x", x, self.cols())?;
        has_length("dy", dy, numbers::<T>(batch, self.rows())?)?;
        has_length("gradient", gradient, self.parameters.len())?;
        if let Some(dx) = &dx {
            has_length("dx", dx, x.len())?;
        }
        if batch == 0 {
            return Ok(());
        }
        let pays = self.choice != PathChoice::Auto || self.copy_pays(batch, 1.0);
        match pays.then(|| self.dense_for(batch)).flatten() {
            Some(dense) => self.backward_dense(dense, x, dy, dx, gradient, workspace),
            None => self.backward_fast(x, dy, dx, gradient, workspace),
        }
        Ok(())
    }

    fn backward_dense(
        &self,
        dense: &[T],
        x: &[T],
        dy: &[T],
        dx: Option<&mut [T]>,
        gradient: &mut [T],
        workspace: &mut Workspace<T>,
    ) {
        let (m, n) = (self.rows(), self.cols());
        let batch = x.len() / n;
        if let Some(dx) = dx {
            super::threads::rows(dy, m, dx, n, 0, workspace, |dy, dx, _| gemm_nn(dy, dense, dx, [dy.len() / m, m, n]));
        }
        let sums = workspace.slice(m * n);
        gemm_tn(dy, x, sums, [m, batch, n]);
        self.structure.pull_back(Parameters(&self.parameters), sums, gradient);
    }

    fn backward_fast(&self, x: &[T], dy: &[T], dx: Option<&mut [T]>, gradient: &mut [T], workspace: &mut Workspace<T>) {
        let structure = &*self.structure;
        let batch = x.len() / self.cols();
        let len = structure.gradient_len(batch);
        let chunk = if structure.is_dense() { batch } else { CHUNK };
        let job = super::threads::Backward {
            shape: (self.rows(), self.cols()),
            chunk,
            scratch_len: structure.backward_scratch_len(),
            sums_len: len,
        };
        let kept_len = self.kept_len(batch);
        let mut memory = std::mem::take(&mut workspace.kept);
        if kept_len > 0 {
            workspace.keeps = true;
            memory.reserve(kept_len, x.len());
        }
        let kept = memory.of(self.stamp, x, kept_len);
        let pass = |x: &[T], dy: &[T], dx: Option<&mut [T]>, sums: &mut [T], scratch: &mut [T]| match kept {
            Some(kept) => structure.backward_kept(self.bound(), x, dy, dx, kept, sums, scratch),
            None => structure.backward(self.bound(), x, dy, dx, sums, scratch),
        };
        if batch <= chunk && structure.sums_are_gradient(self.bound()) {
            pass(x, dy, dx, gradient, workspace.slice(job.scratch_len));
        } else {
            let mut rest = job.run(x, dy, dx, workspace, pass);
            let sums = take(&mut rest, len);
            structure.finish_gradient(self.bound(), sums, gradient, rest);
        }
        workspace.kept = memory;
    }

    /// Numbers that a product with so many rows keeps for its gradient.
    fn kept_len(&self, batch: usize) -> usize {
        if batch == 1 { self.structure.kept_len(self.bound()) } else { 0 }
    }

    fn bound(&self) -> Bound<'_, T> {
        Bound { parameters: &self.parameters, prepared: &self.prepared }
    }

    fn prepare(&mut self) {
        let scratch = self.scratch.slice(self.structure.prepare_scratch_len());
        self.stamp = Stamp::new();
        self.structure.prepare(Parameters(&self.parameters), &mut self.prepared, scratch);
        if self.scratch.bytes() > KEPT {
            self.scratch = Workspace::new();
        }
        self.materialise();
    }

    fn materialise(&mut self) {
        self.copy_cost = self.structure.dense_copy_cost(self.bound());
        self.saved_once = self.estimate_saved(1);
        let is_expensive = self.copy_cost > 0.0;
        let wanted = match self.choice {
            PathChoice::Fast => false,
            PathChoice::Dense => true,
            PathChoice::Auto if self.changed && is_expensive => false,
            PathChoice::Auto => {
                TYPICAL_BATCHES.into_iter().any(|batch| self.copy_pays(batch, PRODUCTS))
                    && (!is_expensive || self.has_memory_to_write())
            }
        };
        let storage = std::mem::replace(&mut self.dense, DenseCopy::undecided()).into_storage();
        if wanted {
            self.dense = DenseCopy::decided(self.write_dense(storage));
        } else if self.choice != PathChoice::Auto || !is_expensive || !self.copy_may_pay() {
            self.dense = DenseCopy::decided(None);
        }
    }

    /// Whether the structure allows for a dense copy that nobody asked for.
    fn copy_may_pay(&self) -> bool {
        self.copy_cost < f64::INFINITY
    }

    /// Whether there is memory for what writing an expensive copy takes: three squares of the order in double precision at the most.
    fn has_memory_to_write(&self) -> bool {
        let order = self.rows().max(self.cols());
        let numbers = order.checked_mul(order).and_then(|square| square.checked_mul(3));
        numbers.is_some_and(|numbers| has_memory::<f64>("a dense copy", numbers).is_ok())
    }

    /// The entries in the storage of `dense`, if they can be addressed and there is memory for them.
    fn write_dense(&self, mut dense: Vec<T>) -> Option<Vec<T>> {
        Shape { rows: self.rows(), cols: self.cols() }.check_dense().ok()?;
        let len = self.rows() * self.cols();
        dense.try_reserve_exact(len.saturating_sub(dense.len())).ok()?;
        dense.resize(len, T::zero());
        self.structure.write_dense(Parameters(&self.parameters), &mut dense);
        Some(dense)
    }

    /// Nanoseconds that a dense copy saves a product with so many rows, by the estimates.
    fn saved(&self, batch: usize) -> f64 {
        if batch == 1 { self.saved_once } else { self.estimate_saved(batch) }
    }

    fn estimate_saved(&self, batch: usize) -> f64 {
        if self.structure.is_dense() {
            return 0.0;
        }
        let dense = dense_cost::<T>(self.rows(), self.cols(), batch);
        (self.structure.cost_with(self.bound(), batch) - dense) * batch as f64
    }

    /// Whether a dense copy saves, in so many products, more than it costs.
    fn copy_pays(&self, batch: usize, products: f64) -> bool {
        self.saved(batch) * products > self.copy_cost
    }

    /// The dense copy, if a product with so many rows is better off with it.
    fn dense_for(&self, batch: usize) -> Option<&[T]> {
        match self.choice {
            PathChoice::Fast => None,
            PathChoice::Dense => self.dense.entries(),
            PathChoice::Auto if self.dense.is_refused() => None,
            PathChoice::Auto => {
                let saved = self.saved(batch);
                let make = || if self.has_memory_to_write() { self.write_dense(Vec::new()) } else { None };
                if saved > 0.0 { self.dense.for_product(saved, self.copy_cost, make) } else { None }
            }
        }
    }

    /// Numbers in the product with `x`, if it is a batch and they can be addressed.
    pub(crate) fn product_len(&self, x: &[T]) -> Result<usize> {
        numbers::<T>(batch("x", x, self.cols())?, self.rows())
    }
}

impl<T: Scalar, S: ?Sized + Structure<T>> Clone for Matrix<T, S> {
    fn clone(&self) -> Self {
        Self {
            parameters: self.parameters.clone(),
            previous: Vec::new(),
            prepared: self.prepared.clone(),
            stamp: self.stamp,
            dense: self.dense.clone(),
            choice: self.choice,
            changed: self.changed,
            copy_cost: self.copy_cost,
            saved_once: self.saved_once,
            scratch: Workspace::new(),
            structure: Arc::clone(&self.structure),
        }
    }
}

impl<T: Scalar, S: ?Sized + Structure<T>> fmt::Debug for Matrix<T, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Matrix")
            .field("structure", &&*self.structure)
            .field("parameters", &self.parameters.len())
            .field("choice", &self.choice)
            .finish_non_exhaustive()
    }
}

/// The number of rows of a batch.
fn batch<T>(what: &'static str, data: &[T], row: usize) -> Result<usize> {
    match data.len() % row {
        0 => Ok(data.len() / row),
        _ => Err(Error::RaggedBatch { what, row, actual: data.len() }),
    }
}

/// Numbers in a batch of so many rows, if they can be addressed.
fn numbers<T>(batch: usize, row: usize) -> Result<usize> {
    let bytes = |len: &usize| len.checked_mul(size_of::<T>()).is_some_and(|bytes| bytes <= isize::MAX as usize);
    batch.checked_mul(row).filter(bytes).ok_or(Error::TooLarge { rows: batch, cols: row, rank: None })
}
