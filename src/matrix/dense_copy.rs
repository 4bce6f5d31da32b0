//! The dense copy of a matrix, and the account that decides when it is made.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// The entries of a matrix, if it has them: from the outset, or made once they have paid for themselves.
pub(super) struct DenseCopy<T> {
    /// Not set: to be made when it pays. `None`: not to be made, or there was no memory for it.
    entries: OnceLock<Option<Vec<T>>>,
    /// Nanoseconds that it would have saved so far.
    missed: AtomicU64,
    /// Whether a thread makes it. Others do not wait: a thread pool could have the maker itself run one of them meanwhile.
    begun: AtomicBool,
}

impl<T> DenseCopy<T> {
    /// None so far: it is made when it pays.
    pub(super) fn undecided() -> Self {
        Self { entries: OnceLock::new(), missed: AtomicU64::new(0), begun: AtomicBool::new(false) }
    }

    /// A copy from the outset, or none at all.
    pub(super) fn decided(entries: Option<Vec<T>>) -> Self {
        Self { entries: OnceLock::from(entries), ..Self::undecided() }
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
        if self.entries.get().is_none() {
            let missed = self.missed.fetch_add(saved as u64, Ordering::Relaxed);
            if missed as f64 + saved < cost || self.begun.swap(true, Ordering::Relaxed) {
                return None;
            }
            self.entries.set(make()).unwrap_or_default();
        }
        self.entries()
    }
}

impl<T: Clone> Clone for DenseCopy<T> {
    fn clone(&self) -> Self {
        let missed = AtomicU64::new(self.missed.load(Ordering::Relaxed));
        Self { entries: self.entries.clone(), missed, begun: AtomicBool::new(false) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_together_pay_for_it() {
        let copy = DenseCopy::undecided();
        assert!(copy.for_product(40.0, 100.0, || unreachable!()).is_none());
        assert_eq!([copy.serves(59.0, 100.0), copy.serves(60.0, 100.0)], [false, true]);
        assert_eq!(copy.for_product(60.0, 100.0, || Some(vec![1])), Some(&[1][..]));
        assert_eq!(copy.clone().entries(), Some(&[1][..]));
        assert_eq!(copy.into_storage(), [1]);
    }

    #[test]
    fn products_meanwhile_do_without() {
        let copy = DenseCopy::undecided();
        let make = || {
            assert!(copy.for_product(2.0, 1.0, || unreachable!()).is_none());
            Some(vec![1])
        };
        assert_eq!(copy.for_product(2.0, 1.0, make), Some(&[1][..]));
    }

    #[test]
    fn it_is_asked_for_memory_once() {
        let copy = DenseCopy::<u8>::undecided();
        assert!(copy.for_product(2.0, 1.0, || None).is_none() && copy.is_refused());
        assert!(copy.for_product(2.0, 1.0, || unreachable!()).is_none());
    }
}
