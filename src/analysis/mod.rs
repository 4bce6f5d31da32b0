//! What training changed in a matrix, and what structure there is in it.
//!
//! For questions that come up before a model is compressed or adapted. All figures are computed in double precision from
//! entries of either type, since what fine-tuning does to a matrix is often smaller than the rounding errors of a decomposition
//! in `f32`.
//!
//! | question | answer | cost for an m×n matrix, p = min(m, n) |
//! | --- | --- | --- |
//! | which parameters moved? | [`Sparsity`], a [`Mask`] of those that did, their [`Overlap`] | O(mn), streaming |
//! | may only these move? | [`Mask::apply`], [`Mask::update`], [`LayerMask`]: masked training | O(parameters) a step |
//! | how many directions does the update have? | [`UpdateRank`] | O(mnp), singular values only |
//! | how far did singular values and vectors drift? | [`Spectrum`], [`Drift`], [`principal_angles`], [`Split`] | O(mnp) |
//! | what if they had not? | [`Restoration`] | O(mnp) |
//! | is there displacement structure in it? | [`displacement_spectra`] under each [`FixedPair`] | O(mnp) a pair |
//! | which structure fits best at equal size? | [`Verdict`] | O(mnp), and two compressions |
//!
//! ```
//! use displace::analysis::{Drift, Mask, Rounding, Sparsity, Spectrum};
//!
//! let base = [1.0, 0.0, 0.0, 0.0, 0.5, 0.0_f32];
//! let tuned = [1.0, 0.0, 0.0, 0.0, 0.75, 0.0_f32];
//! let mut sparsity = Sparsity::new(1e-5)?;
//! sparsity.push(&base, &tuned)?;
//! assert_eq!(sparsity.rounded().unchanged(), 5.0 / 6.0);
//! assert!(Mask::of_update(&base, &tuned, 1e-5, Rounding::Bf16)?.contains(4));
//!
//! let drift = Drift::between(&Spectrum::new(&base, 2, 3)?, &Spectrum::new(&tuned, 2, 3)?, 1)?;
//! assert_eq!(drift.values(), [0.0, 0.5]);
//! assert!(drift.leading().left().iter().all(|angle| *angle < 1e-15));
//! # Ok::<(), displace::Error>(())
//! ```
//!
//! Sources: Mukherjee, Yuan, Hakkani-Tür, Peng, "Reinforcement learning finetunes small subnetworks in large language
//! models", 2025 (arXiv 2505.11711), for sparsity, rank and overlap of updates; Jin et al., "RL fine-tuning heals OOD
//! forgetting in SFT", 2025 (arXiv 2509.12235), for the drift of singular vectors and their restoration; Björck, Golub,
//! "Numerical methods for computing angles between linear subspaces", 1973.

mod angles;
mod displacement;
mod drift;
mod layer_mask;
mod mask;
mod restoration;
mod rounding;
mod sparsity;
mod spectrum;
mod verdict;

pub use angles::principal_angles;
pub use displacement::{DisplacementSpectrum, FixedPair, displacement_spectra};
pub use drift::{Drift, Split, SubspaceDrift};
pub use layer_mask::LayerMask;
pub use mask::{Mask, Overlap};
pub use restoration::{Restoration, Values};
pub use rounding::{Rounding, to_bf16};
pub use sparsity::{Histogram, Sparsity, Unchanged};
pub use spectrum::{Gap, Spectrum, UpdateRank, singular_values};
pub use verdict::{Fit, Kind, Verdict};
