//! Changes of rank between epochs of training.

use crate::{Error, Result};

/// What a [`RankSchedule`] asks for after an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RankChange {
    /// Train on at this rank.
    Keep,
    /// Go to this rank, by [`grow`](crate::Matrix::grow) or [`shrink`](crate::Matrix::shrink).
    To(usize),
    /// More rank no longer helps: stop, and go back to the best parameters.
    Stop,
}

/// When a rank changes in the course of training.
///
/// ```
/// use displace::rank::{RankChange, RankSchedule};
///
/// // Double the rank when an epoch gains less than 1%; stop when a whole rank has gained less than that.
/// let mut schedule = RankSchedule::grow_while_improving(1, 8, 2, 0.01)?;
/// assert_eq!(schedule.after_epoch(0.50), RankChange::Keep);
/// assert_eq!(schedule.after_epoch(0.40), RankChange::Keep);
/// assert_eq!(schedule.after_epoch(0.41), RankChange::Keep);
/// assert_eq!(schedule.after_epoch(0.40), RankChange::To(2)); // two epochs without a gain
/// assert_eq!(schedule.after_epoch(0.42), RankChange::Keep);
/// assert_eq!(schedule.after_epoch(0.41), RankChange::Stop); // rank 2 has gained nothing
/// # Ok::<(), displace::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct RankSchedule {
    kind: Kind,
    epoch: usize,
}

#[derive(Debug, Clone, PartialEq)]
enum Kind {
    Steps(Vec<(usize, usize)>),
    Growth(Growth),
}

#[derive(Debug, Clone, PartialEq)]
struct Growth {
    rank: usize,
    largest: usize,
    patience: usize,
    least_gain: f64,
    /// The smallest error so far, and that of the ranks before this one.
    best: f64,
    best_before: f64,
    idle: usize,
}

impl RankSchedule {
    /// Goes to rank r after epoch e for each pair (e, r), up or down. Epochs count from 1.
    pub fn steps(steps: &[(usize, usize)]) -> Self {
        Self { kind: Kind::Steps(steps.to_vec()), epoch: 0 }
    }

    /// Starts at rank `first`, and doubles it, up to `largest`, whenever `patience` epochs in a row have not lowered the
    /// validation error by the fraction `least_gain`. Stops when all epochs at a rank together have not.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] for a rank or patience of 0, or a fraction that is not in [0, 1).
    pub fn grow_while_improving(first: usize, largest: usize, patience: usize, least_gain: f64) -> Result<Self> {
        for (what, value) in [("the first rank", first), ("the patience", patience)] {
            if value == 0 {
                return Err(Error::OutOfRange { what, value: 0.0, range: "the positive integers" });
            }
        }
        if !(0.0..1.0).contains(&least_gain) {
            return Err(Error::OutOfRange { what: "the least gain", value: least_gain, range: "[0, 1)" });
        }
        let (best, best_before) = (f64::INFINITY, f64::INFINITY);
        let growth = Growth { rank: first, largest, patience, least_gain, best, best_before, idle: 0 };
        Ok(Self { kind: Kind::Growth(growth), epoch: 0 })
    }

    /// What to do after an epoch that ended with this validation error.
    pub fn after_epoch(&mut self, validation_error: f64) -> RankChange {
        self.epoch += 1;
        match &mut self.kind {
            Kind::Growth(growth) => growth.after_epoch(validation_error),
            Kind::Steps(steps) => {
                let step = steps.iter().find(|(epoch, _)| *epoch == self.epoch);
                step.map_or(RankChange::Keep, |&(_, rank)| RankChange::To(rank))
            }
        }
    }
}

impl Growth {
    fn after_epoch(&mut self, error: f64) -> RankChange {
        // A loss may be negative. Anything is less than an infinite one.
        let gained =
            |error: f64, best: f64| error < best - self.least_gain * best.abs() || best.is_infinite() && error < best;
        self.idle = if gained(error, self.best) { 0 } else { self.idle + 1 };
        self.best = self.best.min(error);
        if self.idle < self.patience {
            return RankChange::Keep;
        }
        if self.rank >= self.largest || !gained(self.best, self.best_before) {
            return RankChange::Stop;
        }
        self.rank = self.rank.saturating_mul(2).min(self.largest);
        (self.best_before, self.idle) = (self.best, 0);
        RankChange::To(self.rank)
    }
}
