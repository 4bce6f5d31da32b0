//! The sum of two structures, such as low rank + Toeplitz-like.

use std::sync::Arc;

use super::{Bound, Family, GRAIN, Init, Layout, Parameters, Prepared, Structure, take};
use crate::error::has_length;
use crate::{Error, Result, Scalar};

/// The structure of a sum `M = A + B` of two m×n matrices of any families.
///
/// The parameters are those of A followed by those of B; a tensor of B whose name is taken gets the suffix 2, or 3 or 4 in sums
/// of sums. Products and gradients cost what the two cost, and one pass over the result. A checkpoint stores the parameters, but
/// not what the two terms are.
///
/// ```
/// use displace::{Builder, Family, Matrix, Sum};
///
/// let low = Builder::new(Family::LowRank, 8, 6).rank(1).structure::<f32>()?;
/// let toeplitz = Builder::new(Family::ToeplitzLike, 8, 6).rank(2).structure::<f32>()?;
/// let sum = std::sync::Arc::new(Sum::new(low, toeplitz)?);
/// let matrix = Matrix::new(sum, vec![0.1; 3 * (8 + 6)])?;
/// assert_eq!(matrix.layout().tensor("G2").unwrap().shape, [2, 8]);
/// # Ok::<(), displace::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Sum<T: Scalar> {
    terms: [Arc<dyn Structure<T>>; 2],
    layout: Layout,
}

/// A batch as large as any: each term's sums always have their full length, so that their place does not depend on the batch.
const ANY: usize = usize::MAX;

/// What each term prepares.
type Both<T> = [Prepared<T>; 2];

impl<T: Scalar> Sum<T> {
    /// The sum of two structures of the same shape.
    ///
    /// # Errors
    ///
    /// [`Error::ShapeMismatch`], or [`Error::UnknownTensor`] for a tensor of a structure from outside this crate whose name both
    /// have, and for the fifth of a name.
    pub fn new(first: Arc<dyn Structure<T>>, second: Arc<dyn Structure<T>>) -> Result<Self> {
        if (first.rows(), first.cols()) != (second.rows(), second.cols()) {
            return Err(Error::ShapeMismatch {
                what: "a sum",
                left_rows: first.rows(),
                left_cols: first.cols(),
                right_rows: second.rows(),
                right_cols: second.cols(),
            });
        }
        let mut layout = first.layout().clone();
        for tensor in second.layout().tensors() {
            let name = free_name(tensor.name, |name| layout.tensor(name).is_none())?;
            layout = layout.with(name, &tensor.shape);
        }
        Ok(Self { terms: [first, second], layout })
    }

    /// The two terms.
    pub fn terms(&self) -> &[Arc<dyn Structure<T>>; 2] {
        &self.terms
    }

    fn split<'a>(&self, parameters: &'a [T]) -> [&'a [T]; 2] {
        parameters.split_at(self.terms[0].layout().len()).into()
    }

    /// The terms bound to what each prepared; prepared anew, into `anew`, if it was another structure that prepared.
    fn bound<'a>(&self, bound: Bound<'a, T>, anew: &'a mut Option<Both<T>>) -> [Bound<'a, T>; 2] {
        let both = bound.prepared.object.as_ref().and_then(|object| object.downcast_ref());
        let [first, second] = both.unwrap_or_else(|| {
            let mut scratch = vec![T::zero(); self.prepare_scratch_len()];
            let mut both = Both::default();
            self.prepare_both(bound.parameters, &mut both, &mut scratch);
            anew.insert(both)
        });
        let parameters = self.split(bound.parameters);
        [Bound { parameters: parameters[0], prepared: first }, Bound { parameters: parameters[1], prepared: second }]
    }

    fn prepare_both(&self, parameters: &[T], both: &mut Both<T>, scratch: &mut [T]) {
        for ((term, parameters), prepared) in self.terms.iter().zip(self.split(parameters)).zip(both) {
            term.prepare(Parameters(parameters), prepared, scratch);
        }
    }

    /// An error of the second term, in the names that its tensors have here; the place of what is not named is that among
    /// all parameters.
    fn named_here(&self, error: Error) -> Error {
        let (own, before) = (self.terms[1].layout().tensors(), self.terms[0].layout());
        let renamed = |what: &'static str| {
            let place = own.iter().position(|tensor| tensor.name == what);
            let tensor = place.and_then(|place| self.layout.tensors().get(before.tensors().len() + place));
            tensor.map_or(what, |tensor| tensor.name)
        };
        match error {
            Error::NotFinite { what: what @ "parameters", index, value } => {
                Error::NotFinite { what, index: before.len() + index, value }
            }
            Error::NotFinite { what, index, value } => Error::NotFinite { what: renamed(what), index, value },
            Error::ElementOutOfRange { what, index, value, range } => {
                Error::ElementOutOfRange { what: renamed(what), index, value, range }
            }
            Error::NodesCollide { what, row, col, value } => {
                Error::NodesCollide { what: what.map(renamed), row, col, value }
            }
            other => other,
        }
    }

    /// Adds up what both terms write into rows of `out_row` numbers, some rows at a time.
    fn add(
        &self,
        bound: Bound<'_, T>,
        input: (&[T], usize),
        output: (&mut [T], usize),
        mut scratch: &mut [T],
        product: impl Fn(&dyn Structure<T>, Bound<'_, T>, &[T], &mut [T], &mut [T]),
    ) {
        let mut anew = None;
        let [first, second] = self.bound(bound, &mut anew);
        let other = take(&mut scratch, GRAIN * output.1);
        for (input, output) in input.0.chunks(GRAIN * input.1).zip(output.0.chunks_mut(GRAIN * output.1)) {
            let other = &mut other[..output.len()];
            product(&*self.terms[0], first, input, output, scratch);
            product(&*self.terms[1], second, input, other, scratch);
            output.iter_mut().zip(other).for_each(|(out, &mut x)| *out += x);
        }
    }
}

/// What a tensor is called: its name, or the first one behind it that is free.
fn free_name(name: &'static str, free: impl Fn(&str) -> bool) -> Result<&'static str> {
    const NAMES: [[&str; 4]; 14] = [
        ["A", "A2", "A3", "A4"],
        ["B", "B2", "B3", "B4"],
        ["G", "G2", "G3", "G4"],
        ["H", "H2", "H3", "H4"],
        ["M", "M2", "M3", "M4"],
        ["c", "c2", "c3", "c4"],
        ["h", "h2", "h3", "h4"],
        ["s", "s2", "s3", "s4"],
        ["t", "t2", "t3", "t4"],
        ["v", "v2", "v3", "v4"],
        ["centre", "centre2", "centre3", "centre4"],
        ["gaps", "gaps2", "gaps3", "gaps4"],
        ["scale", "scale2", "scale3", "scale4"],
        ["theta", "theta2", "theta3", "theta4"],
    ];
    if free(name) {
        return Ok(name);
    }
    let others = NAMES.iter().find(|names| names.contains(&name));
    others.into_iter().flatten().find(|name| free(name)).copied().ok_or(Error::UnknownTensor { name })
}

impl<T: Scalar> Structure<T> for Sum<T> {
    fn family(&self) -> Family {
        Family::Other(match (self.terms[0].family(), self.terms[1].family()) {
            (Family::LowRank, Family::Circulant) => "low rank + circulant",
            (Family::LowRank, Family::Toeplitz) => "low rank + Toeplitz",
            (Family::LowRank, Family::ToeplitzLike) => "low rank + Toeplitz-like",
            (Family::LowRank, Family::HankelLike) => "low rank + Hankel-like",
            (Family::LowRank, Family::CauchyLike) => "low rank + Cauchy-like",
            (Family::LowRank, Family::VandermondeLike) => "low rank + Vandermonde-like",
            _ => "sum",
        })
    }

    fn rows(&self) -> usize {
        self.terms[0].rows()
    }

    fn cols(&self) -> usize {
        self.terms[0].cols()
    }

    fn summands(&self) -> Option<&[Arc<dyn Structure<T>>; 2]> {
        Some(&self.terms)
    }

    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn check(&self, parameters: &[T]) -> Result<()> {
        has_length("parameters", parameters, self.layout.len())?;
        let [first, second] = self.split(parameters);
        self.terms[0].check(first)?;
        self.terms[1].check(second).map_err(|error| self.named_here(error))
    }

    fn prepare(&self, Parameters(parameters): Parameters<'_, T>, prepared: &mut Prepared<T>, scratch: &mut [T]) {
        // The storage of before is used again unless a clone of the matrix shares it.
        let mut both = match prepared.object.take().map(Arc::downcast::<Both<T>>) {
            Some(Ok(both)) => Arc::try_unwrap(both).unwrap_or_else(|shared| (*shared).clone()),
            _ => Both::default(),
        };
        self.prepare_both(parameters, &mut both, scratch);
        prepared.object = Some(Arc::new(both));
    }

    fn scratch_len(&self) -> usize {
        let inner = self.terms[0].scratch_len().max(self.terms[1].scratch_len());
        GRAIN * self.rows().max(self.cols()) + inner
    }

    fn prepare_scratch_len(&self) -> usize {
        self.terms[0].prepare_scratch_len().max(self.terms[1].prepare_scratch_len())
    }

    fn backward_scratch_len(&self) -> usize {
        let inner = self.terms[0].backward_scratch_len().max(self.terms[1].backward_scratch_len());
        GRAIN * self.rows().max(self.cols()) + inner
    }

    fn apply(&self, bound: Bound<'_, T>, x: &[T], y: &mut [T], scratch: &mut [T]) {
        self.add(bound, (x, self.cols()), (y, self.rows()), scratch, |term, bound, x, y, scratch| {
            term.apply(bound, x, y, scratch);
        });
    }

    fn apply_transposed(&self, bound: Bound<'_, T>, y: &[T], x: &mut [T], scratch: &mut [T]) {
        self.add(bound, (y, self.rows()), (x, self.cols()), scratch, |term, bound, y, x, scratch| {
            term.apply_transposed(bound, y, x, scratch);
        });
    }

    fn gradient_len(&self, _: usize) -> usize {
        self.terms.iter().map(|term| term.gradient_len(ANY)).sum()
    }

    fn backward(
        &self,
        bound: Bound<'_, T>,
        x: &[T],
        dy: &[T],
        mut dx: Option<&mut [T]>,
        sums: &mut [T],
        mut scratch: &mut [T],
    ) {
        let mut anew = None;
        let [first, second] = self.bound(bound, &mut anew);
        let (m, n) = (self.rows(), self.cols());
        let other = take(&mut scratch, GRAIN * n);
        let (first_sums, second_sums) = sums.split_at_mut(self.terms[0].gradient_len(ANY));
        for (x, dy) in x.chunks(GRAIN * n).zip(dy.chunks(GRAIN * m)) {
            let mut own = dx.as_mut().map(|rest| take(rest, x.len()));
            self.terms[0].backward(first, x, dy, own.as_deref_mut(), first_sums, scratch);
            let other = &mut other[..x.len()];
            self.terms[1].backward(second, x, dy, own.is_some().then_some(&mut *other), second_sums, scratch);
            if let Some(own) = own {
                own.iter_mut().zip(other).for_each(|(out, &mut x)| *out += x);
            }
        }
    }

    fn finish_gradient(&self, bound: Bound<'_, T>, sums: &mut [T], gradient: &mut [T], scratch: &mut [T]) {
        let mut anew = None;
        let [first, second] = self.bound(bound, &mut anew);
        let (first_sums, second_sums) = sums.split_at_mut(self.terms[0].gradient_len(ANY));
        let (to_first, to_second) = gradient.split_at_mut(self.terms[0].layout().len());
        self.terms[0].finish_gradient(first, first_sums, to_first, scratch);
        self.terms[1].finish_gradient(second, second_sums, to_second, scratch);
    }

    fn write_dense(&self, Parameters(parameters): Parameters<'_, T>, dense: &mut [T]) {
        let [first, second] = self.split(parameters);
        let mut other = vec![T::zero(); dense.len()];
        self.terms[0].write_dense(Parameters(first), dense);
        self.terms[1].write_dense(Parameters(second), &mut other);
        dense.iter_mut().zip(other).for_each(|(out, x)| *out += x);
    }

    fn pull_back(&self, Parameters(parameters): Parameters<'_, T>, dense: &[T], gradient: &mut [T]) {
        let [first, second] = self.split(parameters);
        let (to_first, to_second) = gradient.split_at_mut(first.len());
        self.terms[0].pull_back(Parameters(first), dense, to_first);
        self.terms[1].pull_back(Parameters(second), dense, to_second);
    }

    fn initialise(&self, init: Init, rng: &mut fastrand::Rng, parameters: &mut [T]) -> Result<()> {
        has_length("parameters", parameters, self.layout().len())?;
        let half = Init::Variance(init.variance(self.rows(), self.cols()) / 2.0);
        let (first, second) = parameters.split_at_mut(self.terms[0].layout().len());
        self.terms[0].initialise(half, rng, first)?;
        self.terms[1].initialise(half, rng, second)
    }

    fn dense_copy_cost(&self, bound: Bound<'_, T>) -> f64 {
        let mut anew = None;
        self.terms.iter().zip(self.bound(bound, &mut anew)).map(|(term, bound)| term.dense_copy_cost(bound)).sum()
    }

    fn cost(&self, batch: usize) -> f64 {
        self.terms.iter().map(|term| term.cost(batch)).sum()
    }

    fn cost_with(&self, bound: Bound<'_, T>, batch: usize) -> f64 {
        let mut anew = None;
        self.terms.iter().zip(self.bound(bound, &mut anew)).map(|(term, bound)| term.cost_with(bound, batch)).sum()
    }
}
