//! API keys: a public id and a secret in one text, and a memory of the keys that matched their stored hash.

use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use quick_cache::sync::Cache;
use sha2::{Digest as _, Sha256};

use crate::token_hash::token_hash;

const PREFIX: &str = "lk_";
const ID_CHARS: usize = 16;
const SECRET_CHARS: usize = 43;

/// How many verified keys one process remembers, at some 100 bytes each.
const VERIFIED: usize = 10_000;

/// A complete key: `lk_`, the id, `_`, and 256 random bits. The key can be neither printed nor serialised.
///
/// ```
/// # use larder_identity::{api_key::ApiKeySecret, token_hash::token_hash};
/// let key = ApiKeySecret::random();
/// let stored = token_hash(key.expose());
/// let sent = ApiKeySecret::parse(key.expose()).unwrap();
/// assert!(sent.has_hash(&stored) && !ApiKeySecret::random().has_hash(&stored));
/// ```
#[derive(Clone)]
pub struct ApiKeySecret {
    id: u64,
    text: String,
}

impl ApiKeySecret {
    /// A new random key.
    pub fn random() -> Self {
        let (id, secret) = (rand::random::<u64>(), rand::random::<[u8; 32]>());
        Self { id, text: format!("{PREFIX}{id:016x}_{}", URL_SAFE_NO_PAD.encode(secret)) }
    }

    /// Whether a credential has the prefix of an API key; it need not be a valid one.
    pub fn has_prefix(raw: &str) -> bool {
        raw.starts_with(PREFIX)
    }

    /// Parses a key. The caller checks in the database whether the key exists.
    pub fn parse(raw: &str) -> Option<Self> {
        let rest = raw.strip_prefix(PREFIX)?;
        let (id, secret) = rest.split_at_checked(ID_CHARS)?;
        let secret = secret.strip_prefix('_')?;
        let shaped = secret.len() == SECRET_CHARS && URL_SAFE_NO_PAD.decode(secret).is_ok();
        let is_hex = id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let id = u64::from_str_radix(id, 16).ok()?;
        (shaped && is_hex).then(|| Self { id, text: raw.to_owned() })
    }

    /// The public id, which is in the key as 16 hexadecimal digits.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Whether `stored` is the hash of this key. The comparison takes the same time for every hash.
    pub fn has_hash(&self, stored: &str) -> bool {
        verify_slices_are_equal(stored.as_bytes(), token_hash(&self.text).as_bytes()).is_ok()
    }

    /// The key with its secret, for hashing and for its user, who sees it once.
    pub fn expose(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for ApiKeySecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiKeySecret({:016x}…)", self.id)
    }
}

/// The keys that matched their stored hash in this process, so that the same key is not compared again. `V` identifies
/// one stored hash, for example by the id and the creation time of its key. The hash that a `V` identifies must never
/// change in the store. The caller checks at each request that the `V` still exists.
pub struct VerifiedKeys<V>(Cache<[u8; 32], V>);

impl<V: Clone + PartialEq> VerifiedKeys<V> {
    /// Whether this key was remembered for `stored`.
    pub fn contains(&self, key: &ApiKeySecret, stored: &V) -> bool {
        self.0.get(&digest(key)).as_ref() == Some(stored)
    }

    /// Remembers that this key has the hash that `stored` names.
    pub fn insert(&self, key: &ApiKeySecret, stored: V) {
        self.0.insert(digest(key), stored);
    }
}

impl<V: Clone + PartialEq> Default for VerifiedKeys<V> {
    fn default() -> Self {
        Self(Cache::new(VERIFIED))
    }
}

fn digest(key: &ApiKeySecret) -> [u8; 32] {
    Sha256::digest(key.expose().as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_parsed_completely_or_refused() {
        let key = ApiKeySecret::random();
        let text = key.expose();
        assert_eq!(text.len(), 3 + 16 + 1 + 43);
        let read = ApiKeySecret::parse(text).unwrap();
        assert_eq!((read.id(), read.expose()), (key.id(), text));
        assert_eq!(text[3..19], format!("{:016x}", key.id()));
        for bad in [
            "",
            "lk_",
            "lk_é",
            &text[..62],
            &text[1..],
            &text.replacen("lk_", "lk_+", 1),
            &format!("{text}A"),
            &text.to_uppercase(),
        ] {
            assert!(ApiKeySecret::parse(bad).is_none(), "{bad}");
        }
        assert!(!format!("{key:?}").contains(&text[20..]));
    }

    #[test]
    fn a_key_is_remembered_for_the_stored_hash_that_it_was_compared_with() {
        let (verified, key) = (VerifiedKeys::default(), ApiKeySecret::random());
        verified.insert(&key, (key.id(), 1));
        assert!(verified.contains(&key, &(key.id(), 1)));
        assert!(!verified.contains(&key, &(key.id(), 2)), "an id that was used again");
        assert!(!verified.contains(&ApiKeySecret::random(), &(key.id(), 1)));
    }
}
