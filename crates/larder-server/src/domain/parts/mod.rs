//! The parts of a profile beside the user's own row: each has defaults, and is changed as a whole or field by field.

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

/// How many bytes of a digest name a state of a part.
const DIGEST_BYTES: usize = 12;

/// A part of a profile. The default is what a user has who never set it.
pub trait Part: Clone + Default + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// A change that was parsed.
    type Change: Clone + Send + Sync + 'static;

    /// Its table, its class in the cache, and its place in the URL.
    const NAME: &'static str;
    /// What the audit log calls a change of it.
    const UPDATED: Action;

    /// Whether a change sets every field, so that nothing of the part before it is left.
    fn is_whole(change: &Self::Change) -> bool;

    /// The part after a change.
    #[must_use]
    fn changed(&self, change: &Self::Change) -> Self;

    /// The names of the fields in which `after` differs.
    fn changed_fields(&self, after: &Self) -> Vec<&'static str>;
}

/// A name for the state that a value is in: equal for equal values, whoever wrote them and how often. The database keeps
/// no version of a part, which other software could forget to raise.
///
/// # Errors
/// Only if the value could not be shown as JSON.
pub fn digest(value: &impl Serialize) -> Result<String, serde_json::Error> {
    let bytes = Sha256::digest(serde_json::to_vec(value)?);
    let mut text = String::with_capacity(2 * DIGEST_BYTES);
    for byte in bytes.iter().take(DIGEST_BYTES) {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    Ok(text)
}
