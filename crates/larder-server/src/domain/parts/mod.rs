//! The parts of a profile beside the user's own row. Each has defaults; a change replaces all of it or some fields.

pub mod accessibility;
pub mod full;
pub mod interests;
pub mod languages;
pub mod preferences;

use std::fmt::Write as _;

use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use crate::domain::audit::Action;

/// How many bytes of the digest identify a state of a part.
const DIGEST_BYTES: usize = 12;

/// A part of a profile. A user that never set it has the default.
pub trait Part: Clone + Default + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// A parsed change.
    type Change: Clone + Send + Sync + 'static;

    /// The name of its table, of its class in the cache, and of its segment in the URL.
    const NAME: &'static str;
    /// The audit log's action for a change of it.
    const UPDATED: Action;

    /// Whether a change sets every field, so that no field of the earlier part remains.
    fn is_whole(change: &Self::Change) -> bool;

    /// The part after a change.
    #[must_use]
    fn changed(&self, change: &Self::Change) -> Self;

    /// The names of the fields in which `after` differs.
    fn changed_fields(&self, after: &Self) -> Vec<&'static str>;
}

/// A digest that identifies the state of a value: equal values have equal digests, whichever program wrote them and
/// however often. The database keeps no version of a part, because another program could forget to increase it.
///
/// # Errors
/// Only if the value cannot be serialised as JSON.
pub fn digest(value: &impl Serialize) -> Result<String, serde_json::Error> {
    let bytes = Sha256::digest(serde_json::to_vec(value)?);
    let mut text = String::with_capacity(2 * DIGEST_BYTES);
    for byte in bytes.iter().take(DIGEST_BYTES) {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    Ok(text)
}
