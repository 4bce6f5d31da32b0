//! The dense copy of a matrix, and the account that decides when it is made.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// The entries of a matrix, if it has them: from the outset, or made once they have paid for themselves.
pub(super) struct DenseCopy<T> {
    /// Not set: to be made when it pays. `None`: not to be made, or there was no memory for it.
    entries: OnceLock<Option<Vec<T>>>,
    /// Nanoseconds that it would have saved so far.
    missed: AtomicU64,
}

impl<T> DenseCopy<T> {
    /// None so far: it is made when it pays.
    pub(super) fn undecided() -> Self {
        Self { entries: OnceLock::new(), missed: AtomicU64::new(0) }
    }

    /// A copy from the outset, or none at all.
    pub(super) fn decided(entries: Option<Vec<T>>) -> Self {
        Self { entries: OnceLock::from(entries), missed: AtomicU64::new(0) }
    }

    /// The entries, if there are any.
    pub(super) fn entries(&self) -> Option<&[T]> {
        self.entries.get()?.as_deref()
    }

    /// Whether there is none and none will be made.
    pub(super) fn is_refused(&self) -> bool {
        self.entries.get().is_some_and(Option::is_none)
    }

    /// The storage of the entries, which are gone.
    pub(super) fn into_storage(self) -> Vec<T> {
        self.entries.into_inner().flatten().unwrap_or_default()
    }

    /// Whether a product that the copy saves so many nanoseconds will have it.
    pub(super) fn serves(&self, saved: f64, cost: f64) -> bool {
        match self.entries.get() {
            Some(entries) => entries.is_some(),
            None => self.missed.load(Ordering::Relaxed) as f64 + saved >= cost,
        }
    }

    /// The entries for a product that they save so many nanoseconds; made by it if, together with the products before, that is what
    /// they cost. What is spent on both ways is then at most twice what the better one alone would have taken.
    pub(super) fn for_product(&self, saved: f64, cost: f64, make: impl FnOnce() -> Option<Vec<T>>) -> Option<&[T]> {
        if self.serves(saved, cost) {
            return self.entries.get_or_init(make).as_deref();
        }
        if self.entries.get().is_none() {
            self.missed.fetch_add(saved as u64, Ordering::Relaxed);
        }
        None
    }
}

impl<T: Clone> Clone for DenseCopy<T> {
    fn clone(&self) -> Self {
        Self { entries: self.entries.clone(), missed: AtomicU64::new(self.missed.load(Ordering::Relaxed)) }
    }
}
