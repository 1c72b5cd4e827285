//! How an entry in Redis proves that an instance of this cache wrote it, and for this key.
//!
//! Every entry ends with a mac (message authentication code) over its key, its fill token (the random id of the write),
//! its header and its value:
//! - Without a secret the mac is a checksum (XXH3, 128 bits). It detects damage, and entries copied under another key.
//! - With [`EntrySecrets`] it is the first half of an HMAC-SHA-256: only an instance that knows the secret can write an
//!   entry that is accepted.
//! - A sealed entry is encrypted as well: the mac is the tag of XChaCha20-Poly1305. The fill token is random and used
//!   once, so it serves as the nonce.
//!
//! A mac does not prove that an entry is current: within its TTL, an attacker can write an earlier genuine entry back
//! under its own key. Make a class memory-only if that matters.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use xxhash_rust::xxh3::xxh3_128;

use crate::error::Error;
use crate::protocol::frame::{Entry, SealKind};

const SECRET_BYTES_MIN: usize = 32;
/// The purpose of a derived key: HKDF derives another key from the same secret for each purpose.
const AUTHENTICATED_USE: &[u8] = b"larder: entries in Redis, authenticated, 1";
const SEALED_USE: &[u8] = b"larder: entries in Redis, sealed, 1";
const MAC_BYTES: usize = 16;

/// The secret with which the instances of one cache authenticate each other's entries in Redis; a second one is
/// accepted while the first is being replaced. See [`Builder::entry_secrets`](crate::Builder::entry_secrets).
///
/// To replace a secret, start every instance with `EntrySecrets::new(old)?.and(new)?`, then with
/// `EntrySecrets::new(new)?.and(old)?`, and after the longest TTL with the new one alone. Every instance then accepts
/// every entry at each step.
///
/// # Examples
///
/// ```
/// use larder::protection::EntrySecrets;
///
/// let keys = EntrySecrets::new("a secret of at least thirty-two bytes")?;
/// assert!(EntrySecrets::new("short").is_err());
/// assert_eq!(format!("{keys:?}"), "EntrySecrets(…)");
/// # Ok::<(), larder::error::Error>(())
/// ```
#[derive(Clone)]
pub struct EntrySecrets(Arc<[DerivedKeys]>);

/// The keys derived from one secret.
#[derive(Clone)]
struct DerivedKeys {
    mac: Hmac<Sha256>,
    cipher: XChaCha20Poly1305,
}

impl EntrySecrets {
    /// Writes and accepts entries with this secret: at least 32 random bytes, in any form. HKDF-SHA-256 derives the
    /// keys from it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::error::ErrorKind::Config) for a shorter secret.
    pub fn new(secret: impl AsRef<[u8]>) -> Result<Self, Error> {
        Ok(EntrySecrets(Arc::new([derived(secret.as_ref())?])))
    }

    /// Also accepts entries that were written with this secret.
    ///
    /// # Errors
    ///
    /// As for [`EntrySecrets::new`], and for a third secret.
    pub fn and(self, secret: impl AsRef<[u8]>) -> Result<Self, Error> {
        match &*self.0 {
            [first] => Ok(EntrySecrets(Arc::new([first.clone(), derived(secret.as_ref())?]))),
            _ => Err(Error::config(
                "entry keys: allowed are two secrets at once, the new one and the old one".to_owned(),
            )),
        }
    }
}

impl fmt::Debug for EntrySecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EntrySecrets(…)")
    }
}

fn derived(secret: &[u8]) -> Result<DerivedKeys, Error> {
    if secret.len() < SECRET_BYTES_MIN {
        let length = secret.len();
        return Err(Error::config(format!(
            "entry keys: a secret of {length} bytes; allowed are secrets of {SECRET_BYTES_MIN} bytes and more"
        )));
    }
    let secret = Hkdf::<Sha256>::new(None, secret);
    let key_for = |purpose| {
        let mut key = [0; 32];
        // HKDF-SHA-256 can expand to far more than 32 bytes.
        secret.expand(purpose, &mut key).expect("HKDF gives 32 bytes");
        key
    };
    // HMAC accepts a key of any length.
    let mac = KeyInit::new_from_slice(&key_for(AUTHENTICATED_USE)).expect("a key of 32 bytes");
    Ok(DerivedKeys { mac, cipher: XChaCha20Poly1305::new(&key_for(SEALED_USE).into()) })
}

/// How a class's entries are protected in Redis. Values in memory are not protected.
///
/// # Examples
///
/// ```
/// use larder::protection::Protection;
///
/// assert_eq!(Protection::default(), Protection::Standard);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Protection {
    /// Authenticated if the cache has [`EntrySecrets`]; otherwise only damage is detected.
    #[default]
    Standard,
    /// Authenticated. Without a secret the class cannot be opened in a cache that has Redis.
    Authenticated,
    /// Authenticated and encrypted. Without a secret the class cannot be opened in a cache that has Redis.
    Sealed,
}

/// Seals and opens one class's entries.
pub(crate) struct Sealer {
    kind: SealKind,
    /// The first key seals entries; every key can open them. Empty if `kind` is a checksum.
    keys: Arc<[DerivedKeys]>,
}

impl Sealer {
    /// `None` if this protection needs a secret and there is none.
    pub(crate) fn new(protection: Protection, keys: Option<&EntrySecrets>) -> Option<Self> {
        let kind = match (protection, keys) {
            (Protection::Standard, None) => SealKind::Checked,
            (_, None) => return None,
            (Protection::Standard | Protection::Authenticated, Some(_)) => SealKind::Authenticated,
            (Protection::Sealed, Some(_)) => SealKind::Sealed,
        };
        let keys = match keys {
            Some(keys) => keys.0.clone(),
            None => Arc::default(),
        };
        Some(Sealer { kind, keys })
    }

    /// Seals `entry` for `key`.
    pub(crate) fn seal(&self, key: &[u8], mut entry: Entry) -> Entry {
        entry.seal.kind = self.kind;
        let context = self.context(key, &entry);
        entry.seal.mac = match self.kind {
            SealKind::Checked => checksum(&context),
            SealKind::Authenticated => self.keys[0].tag(&context),
            SealKind::Sealed => {
                let mut text = entry.payload.as_deref().unwrap_or_default().to_vec();
                let cipher = &self.keys[0].cipher;
                let tag = cipher.encrypt_inout_detached(&nonce(&entry), &context, text.as_mut_slice().into());
                entry.payload = entry.payload.map(|_| Bytes::from(text));
                // The cipher refuses only texts of 256 GiB and more.
                tag.expect("an entry is not that long").into()
            }
        };
        entry
    }

    /// Returns the value's bytes (`None` for an absence). Fails if the entry is damaged, or was written for another
    /// key, with another protection, or with an unknown secret.
    pub(crate) fn open(&self, key: &[u8], entry: &Entry) -> Result<Option<Bytes>, SealError> {
        if entry.seal.kind != self.kind {
            return Err(SealError);
        }
        let context = self.context(key, entry);
        let tag = &entry.seal.mac;
        if self.kind == SealKind::Sealed {
            return self.decrypt(entry, &context);
        }
        let is_genuine = match self.kind {
            SealKind::Checked => checksum(&context) == *tag,
            // Compares in constant time: a forger learns nothing from how long a refusal takes.
            _ => self.keys.iter().any(|keys| keys.mac(&context).verify_truncated_left(tag).is_ok()),
        };
        is_genuine.then(|| entry.payload.clone()).ok_or(SealError)
    }

    fn decrypt(&self, entry: &Entry, context: &[u8]) -> Result<Option<Bytes>, SealError> {
        let (nonce, tag) = (nonce(entry), entry.seal.mac.into());
        let mut text = entry.payload.as_deref().unwrap_or_default().to_vec();
        // The cipher checks the mac before it decrypts. So a key that does not match leaves `text` unchanged for the
        // next key.
        let is_genuine = self.keys.iter().any(|keys| {
            keys.cipher.decrypt_inout_detached(&nonce, context, text.as_mut_slice().into(), &tag).is_ok()
        });
        is_genuine.then(|| entry.payload.is_some().then(|| Bytes::from(text))).ok_or(SealError)
    }

    /// The parts of an entry that the mac covers and that are not encrypted.
    fn context(&self, key: &[u8], entry: &Entry) -> Vec<u8> {
        let mut context = entry.context(key);
        if self.kind != SealKind::Sealed {
            context.extend_from_slice(entry.payload.as_deref().unwrap_or_default());
        }
        context
    }
}

impl DerivedKeys {
    fn mac(&self, context: &[u8]) -> Hmac<Sha256> {
        let mut mac = self.mac.clone();
        mac.update(context);
        mac
    }

    fn tag(&self, context: &[u8]) -> [u8; MAC_BYTES] {
        let full: [u8; 32] = self.mac(context).finalize().into_bytes().into();
        *full.first_chunk().expect("half of 32 bytes")
    }
}

fn checksum(context: &[u8]) -> [u8; MAC_BYTES] {
    xxh3_128(context).to_le_bytes()
}

/// The entry is damaged, was written for another key, or was written with a secret that is unknown here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("its seal is not one that an instance with this cache's secret makes for this key")]
pub(crate) struct SealError;

fn nonce(entry: &Entry) -> XNonce {
    let mut nonce = XNonce::default();
    nonce[..16].copy_from_slice(entry.fill.as_bytes());
    nonce
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::frame::{Frame, Header, Seal};
    use crate::protocol::token::Token;

    const OLD: &str = "the old secret, of 32 bytes or so";
    const NEW: &str = "the new secret, of 32 bytes or so";

    fn entry(payload: Option<&'static [u8]>) -> Entry {
        let header = Header {
            codec: 2,
            class_version: 0,
            digest: 7,
            loaded_at_millis: 1,
            ttl_millis: 2,
            stale_millis: 3,
            load_millis: 4,
            loader_version: None,
            tags: Vec::new(),
        };
        Entry {
            fill: Token::random(),
            header,
            payload: payload.map(Bytes::from_static),
            seal: Seal::default(),
        }
    }

    fn sealer(protection: Protection, keys: Option<EntrySecrets>) -> Sealer {
        Sealer::new(protection, keys.as_ref()).unwrap()
    }

    fn keys(secrets: [&str; 2]) -> Option<EntrySecrets> {
        Some(EntrySecrets::new(secrets[0]).unwrap().and(secrets[1]).unwrap())
    }

    fn each() -> [Sealer; 3] {
        [
            sealer(Protection::Standard, None),
            sealer(Protection::Standard, keys([OLD, NEW])),
            sealer(Protection::Sealed, keys([OLD, NEW])),
        ]
    }

    #[test]
    fn an_entry_opens_under_its_own_key_alone() {
        for sealer in each() {
            for payload in [Some(&b"value"[..]), Some(b""), None] {
                let closed = sealer.seal(b"ns:c:1", entry(payload));
                assert_eq!(sealer.open(b"ns:c:1", &closed), Ok(payload.map(Bytes::from_static)));
                assert_eq!(sealer.open(b"ns:c:2", &closed), Err(SealError));
            }
        }
    }

    #[test]
    fn no_bit_of_an_entry_can_be_changed() {
        for sealer in each() {
            let sealed = sealer.seal(b"k", entry(Some(b"value"))).encode();
            for bit in 0..sealed.len() * 8 {
                let mut bytes = sealed.to_vec();
                bytes[bit / 8] ^= 1 << (bit % 8);
                if let Ok(Frame::Entry(entry)) = Frame::parse(&Bytes::from(bytes)) {
                    assert_eq!(sealer.open(b"k", &entry), Err(SealError), "bit {bit}");
                }
            }
        }
    }

    #[test]
    fn a_sealed_value_is_not_readable_and_another_protection_is_not_taken() {
        let [checked, authenticated, sealed] = each();
        let frame = sealed.seal(b"k", entry(Some(b"a telephone number"))).encode();
        assert!(!frame.windows(9).any(|bytes| bytes == b"telephone"));
        let entry = || entry(Some(b"v"));
        for (writer, reader) in [(&checked, &authenticated), (&authenticated, &sealed), (&sealed, &checked)] {
            assert_eq!(reader.open(b"k", &writer.seal(b"k", entry())), Err(SealError));
        }
    }

    #[test]
    fn a_secret_is_replaced_while_every_instance_runs() {
        let steps = [keys([OLD, NEW]), keys([NEW, OLD])].map(|keys| sealer(Protection::Standard, keys));
        for writer in &steps {
            for reader in &steps {
                assert!(reader.open(b"k", &writer.seal(b"k", entry(Some(b"v")))).is_ok());
            }
        }
        let other = sealer(
            Protection::Standard,
            Some(EntrySecrets::new("another secret, of 32 bytes or so").unwrap()),
        );
        assert_eq!(steps[0].open(b"k", &other.seal(b"k", entry(Some(b"v")))), Err(SealError));
        assert!(EntrySecrets::new(OLD).unwrap().and(NEW).unwrap().and(NEW).is_err());
        for protection in [Protection::Authenticated, Protection::Sealed] {
            assert!(Sealer::new(protection, None).is_none());
        }
    }
}
