//! Checkpoints in safetensors files (feature `safetensors`): layers to and from disk, one tensor at a time.
//!
//! [`Writer`] collects layers and writes them to one file, so that a crash never leaves half of one; [`Reader`] opens a file
//! and reads layers, tensors or pieces of tensors. Files can be exchanged with frameworks, in both directions.
//!
//! # What is in a file
//!
//! A layer called `encoder.0` is stored as one tensor for each of its matrix's [`Layout`](crate::Layout), such as
//! `encoder.0.G` (r×m) and `encoder.0.H` (r×n) for a Toeplitz-like one, and `encoder.0.bias` (m), in one of four
//! [`Precision`]s. These are the names under which the layers for candle keep their variables, so
//! a file that `VarMap::save` wrote is read by [`Reader::layer_of`], and a file of [`Writer`] by `VarMap::load`. What burn's
//! `SafetensorsStore` wrote is read by [`Reader::layer_of`] as well; the other way its `with_key_remapping` turns `G` and `H` into
//! `matrices.0` and `matrices.1`, or a layer goes through [`Reader::layer`] and `StructuredLinear::from_linear`.
//!
//! What the structures are is said in the metadata of the file. Under the key `displace` stands a JSON text:
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
//! * `version` counts changes of this text; a reader refuses a newer one than it knows. `crate` is the version of the crate
//!   that wrote the file, for information.
//! * `family` is one of `circulant`, `skew-circulant`, `{"f-circulant": f}`, `toeplitz`, `hankel`, `toeplitz-plus-hankel`,
//!   `vandermonde`, `transposed-vandermonde`, `circle-vandermonde`, `transposed-circle-vandermonde`, `cauchy`, `toeplitz-like`,
//!   `hankel-like`, `vandermonde-like`, `circle-vandermonde-like`, `cauchy-like`, `learned-subdiagonal`, `learned-tridiagonal`,
//!   `{"shift-like": [A, B]}` with operators such as `{"plain": f}` or `{"transposed": f}`, `low-rank` and `dense`; the
//!   module of each family has its definition. `rank` is there where a family has one.
//! * `constants` are numbers that are neither trained nor implied. `order`: the length N of the transforms that generators
//!   refer to. `v` or `theta`: nodes or angles that are fixed. For Cauchy and Cauchy-like matrices, `s` and `t`: nodes that are
//!   fixed; `free`, empty: nodes that are tensors of these names; `order` and `gap`: the order and the smallest gap that
//!   trained nodes keep, s_i given as i and t_j as m + j; without any of them, that of
//!   [`CauchyNodes::apart`](crate::structured::CauchyNodes::apart).
//! * Under the key `displace.check` stands the 64-bit FNV-1a hash of the text, in sixteen hexadecimal digits. It may be left
//!   out; if it is there it has to be right.
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
//! Every kind of damage has its variant of [`CheckpointError`]. A file is trusted with nothing: no length in it leads to an
//! allocation before the file has shown to hold as many bytes.

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
