//! Errors, each with the values that caused it.

use thiserror::Error;

/// The result of every fallible operation of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Why an operation was refused.
///
/// The object that an operation was called on is unchanged after a refusal.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum Error {
    /// A matrix needs at least one row and one column.
    #[error("a matrix needs at least one row and one column, not {rows}×{cols}")]
    EmptyShape {
        /// Rows asked for.
        rows: usize,
        /// Columns asked for.
        cols: usize,
    },

    /// A matrix that has to be square is not.
    #[error("the matrix must be square, not {rows}×{cols}")]
    NotSquare {
        /// Rows given.
        rows: usize,
        /// Columns given.
        cols: usize,
    },

    /// The size of the shape, or of what has to be stored for it, overflows.
    #[error("a {rows}×{cols} matrix{} is too large to address", .rank.map(|rank| format!(" of rank {rank}")).unwrap_or_default())]
    TooLarge {
        /// Rows asked for.
        rows: usize,
        /// Columns asked for.
        cols: usize,
        /// The rank asked for, where it counts: no matrix that is only a table of numbers has one.
        rank: Option<usize>,
    },

    /// The machine refused the memory for numbers that could be addressed.
    #[error("there is no memory for {what}: {numbers} numbers")]
    Memory {
        /// What they are.
        what: &'static str,
        /// How many.
        numbers: usize,
    },

    /// A slice does not have the length that it must have.
    #[error("{what} must hold {expected} numbers, not {actual}")]
    Length {
        /// Which slice.
        what: &'static str,
        /// The length it must have.
        expected: usize,
        /// The length it has.
        actual: usize,
    },

    /// A batch is not a whole number of rows.
    #[error("{what} holds {actual} numbers, which is not a whole number of rows of {row}")]
    RaggedBatch {
        /// Which batch.
        what: &'static str,
        /// The length of a row.
        row: usize,
        /// The length of the slice.
        actual: usize,
    },

    /// Two matrices or operators do not fit together.
    #[error("{what}: {left_rows}×{left_cols} does not fit {right_rows}×{right_cols}")]
    ShapeMismatch {
        /// The operation.
        what: &'static str,
        /// Rows of the left one.
        left_rows: usize,
        /// Columns of the left one.
        left_cols: usize,
        /// Rows of the right one.
        right_rows: usize,
        /// Columns of the right one.
        right_cols: usize,
    },

    /// A number that must be finite is infinite or not a number.
    #[error("{what}[{index}] is {value}, which is not finite")]
    NotFinite {
        /// Which numbers.
        what: &'static str,
        /// Where in them.
        index: usize,
        /// The offending value.
        value: f64,
    },

    /// A number is outside the range that it must lie in.
    #[error("{what} is {value}, which is not in {range}")]
    OutOfRange {
        /// Which number.
        what: &'static str,
        /// The offending value.
        value: f64,
        /// The range, in words.
        range: &'static str,
    },

    /// Two numbers that define the same entry differ.
    #[error("{what}: {first} and {second} define the same entry but differ")]
    Contradiction {
        /// Which entry.
        what: &'static str,
        /// One of the values.
        first: f64,
        /// The other value.
        second: f64,
    },

    /// The rank is larger than the smaller side of the matrix.
    #[error("rank {rank} is larger than {max}, the smaller side of the {rows}×{cols} matrix")]
    RankTooLarge {
        /// The rank asked for.
        rank: usize,
        /// The largest rank there is.
        max: usize,
        /// Rows.
        rows: usize,
        /// Columns.
        cols: usize,
    },

    /// A rank was given for a family that has none, or is missing for one that needs it.
    #[error("the family {family} {}", if *.given { "has no rank to choose" } else { "needs a rank" })]
    RankChoice {
        /// The family's name.
        family: &'static str,
        /// Whether a rank was given.
        given: bool,
    },

    /// A matrix was to grow to a rank below the one that it has.
    #[error("cannot grow to rank {rank}: the matrix has rank {present}; shrink it")]
    RankBelow {
        /// The rank asked for.
        rank: usize,
        /// The rank that there is.
        present: usize,
    },

    /// A matrix was to shrink to a rank above the one that it has.
    #[error("cannot shrink to rank {rank}: the matrix has rank {present}; grow it")]
    RankAbove {
        /// The rank asked for.
        rank: usize,
        /// The rank that there is.
        present: usize,
    },

    /// A budget is below what even the smallest choice takes.
    #[error("a budget of {budget} parameters is below the least that there is, {least}")]
    OverBudget {
        /// The budget.
        budget: usize,
        /// What the smallest choice takes.
        least: usize,
    },

    /// Two structures cannot be added because the name of a tensor is taken and there is no other.
    #[error("a sum has no other name for the tensor {name}")]
    UnknownTensor {
        /// The tensor's name.
        name: &'static str,
    },

    /// A family is not one that a dense matrix can be compressed into.
    #[error("nothing compresses a matrix into the family {family}")]
    NotCompressible {
        /// The family's name.
        family: &'static str,
    },

    /// A builder was asked for a family that is not of this crate.
    #[error("no builder for the family {name}, which is not of this crate")]
    UnknownFamily {
        /// The family's name.
        name: &'static str,
    },

    /// A description lacks a constant, or has one that the family does not have, or not in this form.
    #[error("a {family} matrix cannot have a constant {name:?} of {len} numbers")]
    Constant {
        /// The family's name.
        family: &'static str,
        /// The constant's name.
        name: String,
        /// Numbers given; none where it is missing.
        len: usize,
    },

    /// No matrix of the family is zero.
    #[error("no {family} matrix is zero")]
    NeverZero {
        /// The family's name.
        family: &'static str,
    },

    /// A tensor of a framework is of a kind that layers do not support.
    #[error("{what} is {given}, not {expected}")]
    Unsupported {
        /// What is of another kind.
        what: &'static str,
        /// The kind that was given.
        given: String,
        /// What is supported.
        expected: &'static str,
    },

    /// The displacement operator is singular: it maps some nonzero matrix to zero, so that a displacement does not
    /// determine its matrix.
    #[error("the displacement operator is singular to working precision: |{quantity}| is {value:.3e}")]
    SingularDisplacement {
        /// What vanished: a difference or product of eigenvalues, or a pivot.
        quantity: &'static str,
        /// Its absolute value.
        value: f64,
    },

    /// A node of a Cauchy matrix is in s and in t: the entry would be infinite.
    #[error("{}[{row}] and {}[{col}] are both {value}", .what[0], .what[1])]
    NodesCollide {
        /// Which nodes: s and t, unless a [`Sum`](crate::Sum) has other names for them.
        what: [&'static str; 2],
        /// The index in s.
        row: usize,
        /// The index in t.
        col: usize,
        /// The value of both.
        value: f64,
    },

    /// A matrix is known under one pair of operators and wanted under another for which nothing bounds its rank.
    #[error("a matrix under {from} has no bounded rank under {to}")]
    OperatorMismatch {
        /// The pair that it is known under.
        from: &'static str,
        /// The pair that was asked for.
        to: &'static str,
    },

    /// A matrix that has to be inverted is singular to working precision.
    #[error("the matrix is singular to working precision: its condition number is about {condition:.1e}")]
    SingularMatrix {
        /// An estimate of the condition number, infinite for a pivot of zero.
        condition: f64,
    },

    /// A matrix that must be positive definite is not.
    #[error("the matrix is not positive definite: {what} is {value:.3e}")]
    NotPositiveDefinite {
        /// What showed it.
        what: &'static str,
        /// Its value.
        value: f64,
    },

    /// An iteration did not converge.
    #[error("{what} did not converge in {steps} steps")]
    NoConvergence {
        /// What was sought.
        what: &'static str,
        /// The steps taken.
        steps: usize,
    },

    /// One of several numbers is outside the range that all must lie in.
    #[error("{what}[{index}] is {value}, which is not in {range}")]
    ElementOutOfRange {
        /// Which numbers.
        what: &'static str,
        /// Where in them.
        index: usize,
        /// The offending value.
        value: f64,
        /// The range, in words.
        range: &'static str,
    },

    /// Two numbers that must differ coincide.
    #[error("{what}[{first}] and {what}[{second}] coincide: both are {value}")]
    Coincide {
        /// Which numbers.
        what: &'static str,
        /// Where the first is.
        first: usize,
        /// Where the second is.
        second: usize,
        /// Their value.
        value: f64,
    },
}

/// Refuses the first number of `values` that is not finite.
pub(crate) fn all_finite<T: crate::Scalar>(what: &'static str, values: &[T]) -> Result<()> {
    match values.iter().position(|v| !v.is_finite()) {
        None => Ok(()),
        Some(index) => Err(Error::NotFinite { what, index, value: values[index].wide() }),
    }
}

/// Refuses a slice of another length than `expected`.
pub(crate) fn has_length<T>(what: &'static str, values: &[T], expected: usize) -> Result<()> {
    if values.len() == expected {
        return Ok(());
    }
    Err(Error::Length { what, expected, actual: values.len() })
}

/// Room for so many, if there is memory for it.
pub(crate) fn room<T>(what: &'static str, numbers: usize) -> Result<Vec<T>> {
    let mut room = Vec::new();
    room.try_reserve_exact(numbers).map_err(|_| Error::Memory { what, numbers })?;
    Ok(room)
}

/// Refuses what there is no memory for.
pub(crate) fn has_memory<T>(what: &'static str, numbers: usize) -> Result<()> {
    room::<T>(what, numbers).map(|_| ())
}

/// Numbers for which a machine that refuses them has nothing left at all: they are not asked about.
const FEW: usize = 1 << 16;

/// So many zeros, if there is memory for them. Asked about first, and not reserved and filled: pages that the system has
/// cleared need no second pass.
pub(crate) fn zeros<T: crate::Scalar>(what: &'static str, numbers: usize) -> Result<Vec<T>> {
    if numbers > FEW {
        has_memory::<T>(what, numbers)?;
    }
    Ok(vec![T::zero(); numbers])
}
