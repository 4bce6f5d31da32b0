//! The dense copy of a matrix, and the account that decides when it is made.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// The entries of a matrix, if it has them: from the outset, or made once they have paid for themselves.
pub(super) struct DenseCopy<T> {
    /// Not set: to be made when it pays. `None`: not to be made, or there was no memory for it.
    entries: OnceLock<Option<Vec<T>>>,
    /// Nanoseconds that it would have saved so far.
    missed: AtomicU64,
    /// Whether a product has begun to make it.
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
            None => self.has_paid(saved, cost) && !self.begun.load(Ordering::Relaxed),
        }
    }

    /// The entries for a product that they save so many nanoseconds; made by it if, together with the products before, that is what
    /// they cost. What is spent on both ways is then at most twice what the better one alone would have taken.
    ///
    /// Products on other threads do without while it is made. They do not wait: making it may take seconds, and a structure may
    /// share that work with a pool of threads on which such a product is then started by the thread that makes the copy.
    pub(super) fn for_product(&self, saved: f64, cost: f64, make: impl FnOnce() -> Option<Vec<T>>) -> Option<&[T]> {
        if let Some(entries) = self.entries.get() {
            return entries.as_deref();
        }
        if !self.has_paid(saved, cost) {
            self.missed.fetch_add(saved as u64, Ordering::Relaxed);
            return None;
        }
        if self.begun.swap(true, Ordering::Relaxed) {
            return None;
        }
        self.entries.get_or_init(make).as_deref()
    }

    fn has_paid(&self, saved: f64, cost: f64) -> bool {
        self.missed.load(Ordering::Relaxed) as f64 + saved >= cost
    }
}

impl<T: Clone> Clone for DenseCopy<T> {
    /// What another thread has begun to make, the clone makes by itself when it needs it.
    fn clone(&self) -> Self {
        let missed = AtomicU64::new(self.missed.load(Ordering::Relaxed));
        Self { entries: self.entries.clone(), missed, begun: AtomicBool::new(false) }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, mpsc};
    use std::time::Duration;

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
    fn products_that_come_while_it_is_made_do_without() {
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || {
            let copy = Arc::new(DenseCopy::undecided());
            let product =
                |make: &dyn Fn() -> Vec<f64>| copy.for_product(2.0, 1.0, || Some(make())).map(<[f64]>::to_vec);
            let made = product(&|| {
                let meanwhile = (product(&|| vec![2.0]), copy.serves(2.0, 1.0), (*copy).clone().serves(2.0, 1.0));
                assert_eq!(meanwhile, (None, false, true));
                vec![1.0]
            });
            sender.send((made, product(&|| vec![3.0]))).unwrap_or_default();
        });
        let received = receiver.recv_timeout(Duration::from_secs(20)).expect("a product waits for itself");
        assert_eq!(received, (Some(vec![1.0]), Some(vec![1.0])));
    }

    #[test]
    fn copies_that_were_refused_are_not_asked_for_again() {
        let copy = DenseCopy::<f64>::undecided();
        assert_eq!(copy.for_product(1.0, 1.0, || None), None);
        assert_eq!(copy.for_product(1.0, 1.0, || Some(vec![1.0])), None);
        assert!(copy.is_refused());
    }
}
