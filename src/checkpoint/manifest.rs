//! What a file says about the structures of its layers.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use super::error::{CheckpointError, Result};
use crate::Description;

/// The key of the manifest in the metadata of a file.
pub(super) const KEY: &str = "displace";

/// The key of its check sum.
pub(super) const CHECK: &str = "displace.check";

/// The version of the manifest that this crate writes.
const VERSION: u32 = 1;

/// Layers by name, and who wrote them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Manifest {
    version: u32,
    #[serde(rename = "crate", default)]
    crate_version: String,
    pub layers: BTreeMap<String, Description>,
}

impl Default for Manifest {
    fn default() -> Self {
        Self { version: VERSION, crate_version: env!("CARGO_PKG_VERSION").into(), layers: BTreeMap::new() }
    }
}

impl Manifest {
    /// Adds the manifest to the metadata of a file.
    pub fn write(&self, metadata: &mut BTreeMap<String, String>) -> Result<()> {
        let text = serde_json::to_string(self).map_err(|error| bad(error.to_string()))?;
        metadata.insert(CHECK.into(), check_sum(&text));
        metadata.insert(KEY.into(), text);
        Ok(())
    }

    /// The manifest in the metadata of a file; an empty one where there is none.
    pub fn read(metadata: &HashMap<String, String>) -> Result<Self> {
        /// The version alone, which has to be known before the rest can be.
        #[derive(Deserialize)]
        struct Version {
            version: u32,
        }

        let Some(text) = metadata.get(KEY) else { return Ok(Self::default()) };
        if let Some(check) = metadata.get(CHECK).filter(|check| **check != check_sum(text)) {
            return Err(bad(format!("its check sum is {}, not {check}", check_sum(text))));
        }
        let Version { version } = serde_json::from_str(text).map_err(|error| bad(error.to_string()))?;
        if version > VERSION {
            return Err(bad(format!("version {version} is newer than {VERSION}, the last that is known")));
        }
        serde_json::from_str(text).map_err(|error| bad(error.to_string()))
    }
}

fn bad(reason: String) -> CheckpointError {
    CheckpointError::Manifest { reason }
}

/// The 64-bit FNV-1a hash: sixteen hexadecimal digits.
fn check_sum(text: &str) -> String {
    let hash = |hash: u64, &byte: &u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    format!("{:016x}", text.as_bytes().iter().fold(0xcbf2_9ce4_8422_2325, hash))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_check_sum_is_fnv_1a() {
        // From the test vectors of the hash's authors.
        assert_eq!(super::check_sum(""), "cbf29ce484222325");
        assert_eq!(super::check_sum("foobar"), "85944171f73967e8");
    }
}
