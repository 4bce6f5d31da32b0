//! Checkpoints in safetensors files (feature `safetensors`): layers to and from disk, one tensor at a time.
//!
//! [`Writer`] collects layers and writes them to one file, and a crash never leaves half a file; [`Reader`] opens a file and
//! reads layers, tensors or pieces of tensors. Files can be exchanged with frameworks in both directions.
//!
//! # What is in a file
//!
//! A layer called `encoder.0` is stored as one tensor for each of its matrix's [`Layout`](crate::Layout), such as
//! `encoder.0.G` (r×m) and `encoder.0.H` (r×n) for a Toeplitz-like one, and `encoder.0.bias` (m), in one of four
//! [`Precision`]s. The layers for candle name their variables in the same way, so [`Reader::layer_of`] reads what
//! `VarMap::save` wrote, and `VarMap::load` reads what [`Writer`] wrote. [`Reader::layer_of`] also reads what burn's
//! `SafetensorsStore` wrote; for the other direction, let its `with_key_remapping` turn `G` and `H` into `matrices.0` and
//! `matrices.1`, or pass the layer of [`Reader::layer`] to `StructuredLinear::from_linear`.
//!
//! The metadata of the file describe the structures, as a JSON text under the key `displace`:
//!
//! ```json
//! {
//!   "version": 1,
//!   "crate": "0.1.0",
//!   "layers": {
//!     "encoder.0": {"family": "toeplitz-like", "rows": 512, "cols": 784, "rank": 4, "constants": {"order": [1024.0]}},
//!     "encoder.1": {"family": "dense", "rows": 10, "cols": 512}
//!   }
//! }
//! ```
//!
//! * `version` is that of this text; a reader refuses versions newer than its own. `crate` is the version of the crate that
//!   wrote the file, for information.
//! * `family` is one of `circulant`, `skew-circulant`, `{"f-circulant": f}`, `toeplitz`, `hankel`, `toeplitz-plus-hankel`,
//!   `vandermonde`, `transposed-vandermonde`, `circle-vandermonde`, `transposed-circle-vandermonde`, `cauchy`, `toeplitz-like`,
//!   `hankel-like`, `vandermonde-like`, `circle-vandermonde-like`, `cauchy-like`, `learned-subdiagonal`, `learned-tridiagonal`,
//!   `{"shift-like": [A, B]}` with operators such as `{"plain": f}` or `{"transposed": f}`, `low-rank` and `dense`; the
//!   module of each family has its definition. `rank` is present where the family has one.
//! * `constants` are numbers that are neither trained nor implied. `order`: the length N of the transforms that the generators
//!   refer to. `v` or `theta`: fixed nodes or angles. For Cauchy and Cauchy-like matrices, `s` and `t`: fixed nodes; `free`,
//!   empty: nodes that are tensors of these names; `order` and `gap`: the order and the smallest gap that trained nodes keep,
//!   s_i given as i and t_j as m + j; if there are none of these, order and gap are those of
//!   [`CauchyNodes::apart`](crate::structured::CauchyNodes::apart).
//! * The key `displace.check` holds the 64-bit FNV-1a hash of the text, in sixteen hexadecimal digits. It may be missing; if
//!   present, it has to be right.
//!
//! In Python, the weight of such a layer is, by the definition in [`ldr::ToeplitzLike`](crate::ldr::ToeplitzLike):
//!
//! ```python
//! import json
//! import numpy as np
//! from safetensors import safe_open
//!
//! def f_circulant(column, f):
//!     """The matrix whose first column is given, and where what wraps around is multiplied by f."""
//!     n = len(column)
//!     i, j = np.indices((n, n))
//!     return np.where(i >= j, 1, f) * column[(i - j) % n]
//!
//! with safe_open("model.safetensors", "np") as file:
//!     layer = json.loads(file.metadata()["displace"])["layers"]["encoder.0"]
//!     G, H = file.get_tensor("encoder.0.G"), file.get_tensor("encoder.0.H")
//! assert layer["family"] == "toeplitz-like"
//! m, n, N = layer["rows"], layer["cols"], int(layer["constants"]["order"][0])
//! pad = lambda v: np.pad(v, (0, N - len(v)))
//! M = 0.5 * sum(f_circulant(pad(g), 1) @ f_circulant(pad(h), -1).T for g, h in zip(G, H))[:m, :n]
//! ```
//!
//! `examples/rebuild.py` in the repository does the same for every family.
//!
//! # What can go wrong
//!
//! Every kind of damage has its variant of [`CheckpointError`]. Files are not trusted: no length in one leads to an allocation
//! before the file is known to hold as many bytes.

mod atomic;
mod error;
mod layers;
mod manifest;
mod precision;
mod reader;
mod writer;

pub use error::{CheckpointError, Result};
pub use precision::Precision;
pub use reader::{MAX_HEADER, Reader, StoredTensor};
pub use writer::Writer;

/// The name of a tensor of a layer.
fn join(prefix: &str, name: &str) -> String {
    if prefix.is_empty() { name.to_string() } else { format!("{prefix}.{name}") }
}
