//! The cached value, as two releases of an application declare it: the second has the same fields in another order.
//!
//! The codec postcard stores no field names. So one release decodes an entry of the other without an error, but with
//! key and version exchanged. If an instance uses such an entry, its reader sees a wrong key at once.

use std::sync::OnceLock;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::history::{Instance as Number, Key, Version};

/// Whether this process is the later release. Set once, before the first value.
static IS_LATER: OnceLock<bool> = OnceLock::new();

/// If there are two releases, instances with an odd number are the later one.
pub(super) fn choose(number: Number, releases: u16) {
    let _ = IS_LATER.set(releases > 1 && number % 2 == 1);
}

/// The value of an entry contains its key, so that a reader detects the answer of another key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Value {
    pub(super) key: Key,
    pub(super) version: Version,
}

#[derive(Serialize, Deserialize)]
#[serde(rename = "Value")]
struct Earlier {
    key: Key,
    version: Version,
}

#[derive(Serialize, Deserialize)]
#[serde(rename = "Value")]
struct Later {
    version: Version,
    key: Key,
}

fn is_later() -> bool {
    IS_LATER.get().copied().unwrap_or(false)
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Value { key, version } = *self;
        if is_later() {
            Later { version, key }.serialize(serializer)
        } else {
            Earlier { key, version }.serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(if is_later() {
            let Later { version, key } = Later::deserialize(deserializer)?;
            Value { key, version }
        } else {
            let Earlier { key, version } = Earlier::deserialize(deserializer)?;
            Value { key, version }
        })
    }
}
