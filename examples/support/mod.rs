//! What the examples share.

pub mod idx;
pub mod network;
pub mod sgd;
pub mod splits;
