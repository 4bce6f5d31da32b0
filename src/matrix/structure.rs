//! The core trait: what every family of matrices can do with parameters that somebody else owns.

use std::any::Any;
use std::fmt::Debug;
use std::sync::Arc;

use super::{Family, Init, Layout, Reconstruction};
use crate::error::all_finite;
use crate::{Result, Scalar};

/// A structured m×n matrix without its parameters: shape, rank and transform plans.
///
/// A structure is immutable and shared behind an [`Arc`]. Parameters come from outside, as one flat slice in the order of
/// [`Structure::layout`]. [`Structure::prepare`] derives from them what products need (such as spectra of generators) and
/// puts it into a [`Prepared`]; nothing else has to be done when an optimiser has moved the parameters. Scratch is a slice
/// that can be reused. [`Matrix`](crate::Matrix) bundles the four, checks every argument and chooses between the fast path
/// and a dense one: callers use that, families implement this.
///
/// The trait is object-safe, and not sealed: your own type that implements it works wherever the families of this crate do.
///
/// # Contract
///
/// Batches are row-major: `x` holds `batch` rows of n numbers, `y` as many rows of m. The methods that take [`Parameters`] or a
/// [`Bound`] rely on slices of the lengths that they document, and on a `bound` that [`Structure::prepare`] made of the same
/// parameters. [`Matrix`](crate::Matrix) sees to that, and nobody else can call them: only it makes a `Parameters` or a `Bound`. A
/// structure that wraps another one hands on what it was given, or keeps a [`Matrix`](crate::Matrix) of the other one in
/// its [`Prepared`]. What does not come through a matrix, as in [`Structure::check`] and [`Structure::initialise`], is
/// refused with an error if its length is another.
///
/// ```compile_fail,E0451
/// use displace::{Bound, Builder, Family, Prepared};
///
/// let structure = Builder::new(Family::Cauchy, 3, 2).structure::<f64>().unwrap();
/// let bound = Bound { parameters: &[1.0], prepared: &Prepared::default() }; // private
/// structure.apply(bound, &[1.0], &mut [0.0], &mut []);
/// ```
pub trait Structure<T: Scalar>: Debug + Send + Sync {
    /// The family that the matrix belongs to.
    fn family(&self) -> Family;

    /// Rows m.
    fn rows(&self) -> usize;

    /// Columns n.
    fn cols(&self) -> usize;

    /// The displacement rank r (or the rank, for low-rank matrices); `None` for a family without a rank to choose.
    fn rank(&self) -> Option<usize> {
        None
    }

    /// The same family with the same operators at another rank; `None`, the default, where rank is not a choice.
    ///
    /// A family that implements it takes part in [`rank`](crate::rank) and [`compress`](crate::compress). Its parameters must
    /// then begin with the tensors `"G"` (r×m) and `"H"` (r×n); M must depend on them only through the product `G Hᵀ`, and
    /// linearly; and the parameters behind them must not change with the rank.
    ///
    /// # Errors
    ///
    /// [`Error::RankTooLarge`](crate::Error::RankTooLarge), [`Error::TooLarge`](crate::Error::TooLarge) or
    /// [`Error::Memory`](crate::Error::Memory).
    fn at_rank(&self, rank: usize) -> Option<Result<Arc<dyn Structure<T>>>> {
        let _ = rank;
        None
    }

    /// The map from `G Hᵀ` to M for the operators in `parameters` (all of them that lie behind G and H); `None`, the default,
    /// where there is no such map.
    fn reconstruction(&self, parameters: Parameters<'_, T>) -> Option<Arc<dyn Reconstruction>> {
        let _ = parameters;
        None
    }

    /// The two terms, if this is a [`Sum`](crate::Sum).
    fn summands(&self) -> Option<&[Arc<dyn Structure<T>>; 2]> {
        None
    }

    /// What products depend on besides the family, the shape, the rank and the parameters, by name: the order N of transforms,
    /// or nodes that are not trained. A checkpoint stores them for the families of this crate.
    fn constants(&self) -> Vec<(&'static str, Vec<f64>)> {
        Vec::new()
    }

    /// The names, shapes and places of the parameters in the flat slice.
    fn layout(&self) -> &Layout;

    /// Refuses parameters that are invalid for the family; by default those that are not finite.
    ///
    /// # Errors
    ///
    /// [`Error::NotFinite`](crate::Error::NotFinite), or what the family demands; for a slice of another length than the
    /// layout says perhaps [`Error::Length`](crate::Error::Length).
    fn check(&self, parameters: &[T]) -> Result<()> {
        all_finite("parameters", parameters)
    }

    /// Derives from the parameters what products need, reusing the storage of `prepared`.
    fn prepare(&self, parameters: Parameters<'_, T>, prepared: &mut Prepared<T>, scratch: &mut [T]);

    /// Numbers of scratch that preparing and products need.
    fn scratch_len(&self) -> usize;

    /// Numbers of scratch that [`Structure::prepare`] needs, where that is less; by default [`Structure::scratch_len`].
    fn prepare_scratch_len(&self) -> usize {
        self.scratch_len()
    }

    /// Numbers of scratch that [`Structure::backward`] and [`Structure::finish_gradient`] need, where that is more; by default
    /// [`Structure::scratch_len`].
    fn backward_scratch_len(&self) -> usize {
        self.scratch_len()
    }

    /// `Y = X Mᵀ`.
    fn apply(&self, bound: Bound<'_, T>, x: &[T], y: &mut [T], scratch: &mut [T]);

    /// `X = Y M`.
    fn apply_transposed(&self, bound: Bound<'_, T>, y: &[T], x: &mut [T], scratch: &mut [T]);

    /// Length of the sums that [`Structure::backward`] needs for a batch of up to `batch` examples.
    fn gradient_len(&self, batch: usize) -> usize;

    /// The backward pass of `Y = X Mᵀ`: writes the gradient in x to `dx`, if asked, and adds the batch's share of the
    /// gradient in the parameters to `sums`, in a form (say, spectra) that [`Structure::finish_gradient`] understands.
    fn backward(&self, bound: Bound<'_, T>, x: &[T], dy: &[T], dx: Option<&mut [T]>, sums: &mut [T], scratch: &mut [T]);

    /// How many intermediate results a product with one vector keeps for its gradient, always the same for the same `bound`;
    /// by default 0. If it is not 0, [`Structure::apply_keeping`] and [`Structure::backward_kept`] must be implemented too.
    fn kept_len(&self, bound: Bound<'_, T>) -> usize {
        let _ = bound;
        0
    }

    /// [`Structure::apply`] for one vector, with bit for bit the same result, that also writes to `kept`
    /// ([`Structure::kept_len`] numbers) what its gradient would otherwise compute again. Needs as much scratch.
    fn apply_keeping(&self, bound: Bound<'_, T>, x: &[T], y: &mut [T], kept: &mut [T], scratch: &mut [T]) {
        let _ = kept;
        self.apply(bound, x, y, scratch);
    }

    /// [`Structure::backward`] for one vector, with bit for bit the same result, that goes on from what
    /// [`Structure::apply_keeping`] kept with the same `bound` and x; `kept` has not been moved since.
    #[expect(clippy::too_many_arguments, reason = "the arguments of a backward pass, and what was kept")]
    fn backward_kept(
        &self,
        bound: Bound<'_, T>,
        x: &[T],
        dy: &[T],
        dx: Option<&mut [T]>,
        kept: &[T],
        sums: &mut [T],
        scratch: &mut [T],
    ) {
        let _ = kept;
        self.backward(bound, x, dy, dx, sums, scratch);
    }

    /// Adds to `gradient` the gradient in the parameters that `sums` stands for; `sums` is left undefined.
    fn finish_gradient(&self, bound: Bound<'_, T>, sums: &mut [T], gradient: &mut [T], scratch: &mut [T]);

    /// Whether the sums are the gradient itself, one number for each parameter, so that [`Structure::finish_gradient`] only
    /// adds them; a backward pass of one call then uses the gradient in place of the sums. False by default.
    fn sums_are_gradient(&self, bound: Bound<'_, T>) -> bool {
        let _ = bound;
        false
    }

    /// Writes the entries of the matrix, row by row.
    fn write_dense(&self, parameters: Parameters<'_, T>, dense: &mut [T]);

    /// Adds to `gradient` the gradient in the parameters of a loss whose gradient in the entries is `dense`.
    fn pull_back(&self, parameters: Parameters<'_, T>, dense: &[T], gradient: &mut [T]);

    /// Writes random parameters such that the entries of the matrix have the variance that `init` asks for.
    ///
    /// # Errors
    ///
    /// [`Error::Length`](crate::Error::Length) for a slice of another length than the layout says.
    fn initialise(&self, init: Init, rng: &mut fastrand::Rng, parameters: &mut [T]) -> Result<()>;

    /// Estimated nanoseconds for the product with one example of a batch, on the fast path.
    fn cost(&self, batch: usize) -> f64;

    /// The same for these parameters, where they decide how the product is computed; by default [`Structure::cost`].
    fn cost_with(&self, bound: Bound<'_, T>, batch: usize) -> f64 {
        let _ = bound;
        self.cost(batch)
    }

    /// Estimated nanoseconds of [`Structure::write_dense`], where they count beside products: a dense copy that nobody
    /// asked for has to pay for itself (see [`PathChoice::Auto`](crate::PathChoice::Auto)), and may then be made in the midst of a
    /// product. By default 0, for families whose entries are a few operations each.
    fn dense_copy_cost(&self, bound: Bound<'_, T>) -> f64 {
        let _ = bound;
        0.0
    }

    /// Whether the family's own product is already the dense one, so that materialising it gains nothing.
    fn is_dense(&self) -> bool {
        false
    }
}

/// What a structure derives from its parameters.
#[derive(Debug, Clone)]
pub struct Prepared<T> {
    /// Numbers, such as spectra of generators.
    pub numbers: Vec<T>,
    /// Anything else, such as a tree over nodes.
    pub object: Option<Arc<dyn Any + Send + Sync>>,
}

impl<T> Default for Prepared<T> {
    fn default() -> Self {
        Self { numbers: Vec::new(), object: None }
    }
}

impl<T: Scalar> Prepared<T> {
    /// The numbers, as many as asked for, with undefined content.
    pub(crate) fn numbers_mut(&mut self, len: usize) -> &mut [T] {
        self.numbers.resize(len, T::zero());
        &mut self.numbers
    }
}

/// As many parameters as the layout of a structure says: a slice, whose length only a [`Matrix`](crate::Matrix) vouches for.
#[derive(Debug)]
pub struct Parameters<'a, T>(pub(crate) &'a [T]);

impl<T> Clone for Parameters<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Parameters<'_, T> {}

impl<T> std::ops::Deref for Parameters<'_, T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        self.0
    }
}

/// Parameters together with what was prepared from them; only a [`Matrix`](crate::Matrix) makes one.
#[derive(Debug)]
pub struct Bound<'a, T> {
    pub(crate) parameters: &'a [T],
    pub(crate) prepared: &'a Prepared<T>,
}

impl<'a, T> Bound<'a, T> {
    /// The parameters.
    pub fn parameters(self) -> &'a [T] {
        self.parameters
    }

    /// What [`Structure::prepare`] made of them.
    pub fn prepared(self) -> &'a Prepared<T> {
        self.prepared
    }
}

impl<T> Clone for Bound<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Bound<'_, T> {}
