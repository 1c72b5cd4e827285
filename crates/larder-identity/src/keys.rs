//! The keys that sign and verify access tokens, as this process last read them.
//!
//! A key is published before it signs. A rotation adds the next key, and sets `retired_at` of the present one to an
//! instant in the future; from that instant on the next key signs. Of the keys that are not retired yet, the oldest
//! signs. A key verifies until the last token that it may have signed has expired.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{DecodingKey, EncodingKey};
use tokio::sync::Mutex;
use tokio::time::Instant;
use uuid::Uuid;

use crate::failure::Failure;

const ALGORITHM: &str = "EdDSA";

/// If the keys in memory are older than this, they are read again.
const KEYS_AGE: Duration = Duration::from_secs(60);

/// If the keys in memory are older than this, they are read again before one of them signs. So for at most this long
/// after an emergency rotation, an instance still signs with a key that the rotation deleted. One more read costs
/// little, because issuing a token also writes to the same database.
const SIGNING_AGE: Duration = Duration::from_secs(1);

/// How long a new key is published before it signs. Every instance publishes the key within 60 s (`KEYS_AGE`). Clients
/// such as the library jose read the published keys again at most every 30 s. So when a client gets the first token of
/// the new key, it can read that key.
pub const PUBLISHED_AHEAD: Duration = Duration::from_secs(KEYS_AGE.as_secs() + 60);

/// The least time between two reads of the keys. Tokens that name unknown keys cause reads; with this pause they cost
/// the database at most four reads a second.
const PAUSE: Duration = Duration::from_millis(250);

/// The least time between two background reads while the database does not answer.
const RETRY: Duration = Duration::from_secs(1);

/// How long an access token is valid, unless its session ends earlier.
pub(crate) const ACCESS_TTL: Duration = Duration::from_secs(15 * 60);

/// How long a retired key verifies: the life of a token (15 minutes), plus twice the 60 s within which other instances
/// read the retirement.
///
/// A store that rotates keys may delete a key that was retired longer ago.
pub const RETIRED_KEY_LIFE: Duration = Duration::from_secs(ACCESS_TTL.as_secs() + 2 * KEYS_AGE.as_secs());

/// A key that signs tokens, as a [`KeyStore`] keeps it. It cannot be serialised, so it cannot be cached.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningKey {
    /// Its name in the header of a token.
    pub kid: String,
    /// The algorithm: `EdDSA`, or one that this crate does not use.
    pub algorithm: String,
    /// The private key: PKCS#8 in base64.
    pub private_key: String,
    /// When it was created.
    pub created_at: SystemTime,
    /// The instant from which the key only verifies; it may be in the future. `None` for the newest key.
    pub retired_at: Option<SystemTime>,
}

impl SigningKey {
    /// A new random key, with a name that sorts after those of earlier keys.
    ///
    /// # Errors
    /// There is no randomness.
    pub fn generate() -> Result<Self, Failure> {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new())
            .map_err(|_| Failure::new("no randomness for a signing key"))?;
        Ok(Self {
            kid: Uuid::now_v7().to_string(),
            algorithm: ALGORITHM.to_owned(),
            private_key: STANDARD.encode(document.as_ref()),
            created_at: SystemTime::now(),
            retired_at: None,
        })
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("kid", &self.kid).finish_non_exhaustive()
    }
}

/// Where the signing keys are: a database that every instance of the service shares.
pub trait KeyStore: Send + Sync + 'static {
    /// Why the store did not answer.
    type Error: From<Failure> + fmt::Display + Send;

    /// Every key, the newest first.
    fn signing_keys(&self) -> impl Future<Output = Result<Vec<SigningKey>, Self::Error>> + Send;

    /// Stores `key` unless a key of its algorithm signs already, and returns every key. If several instances start at
    /// once, the store keeps one of their keys and returns it to all of them.
    fn insert_signing_key_if_none(
        &self,
        key: SigningKey,
    ) -> impl Future<Output = Result<Vec<SigningKey>, Self::Error>> + Send;
}

/// A public key that verifies tokens.
pub struct PublicKey {
    /// Its name in the header of a token.
    pub kid: String,
    pub(crate) decoding: DecodingKey,
    /// The point of the curve, encoded as in RFC 8037.
    pub x: String,
    /// Until when the key verifies; `None` for a key that is not retired.
    until: Option<SystemTime>,
}

impl PublicKey {
    fn verifies_at(&self, now: SystemTime) -> bool {
        self.until.is_none_or(|until| until > now)
    }
}

/// A key that signs until it is retired.
pub(crate) struct Signer {
    pub(crate) kid: String,
    pub(crate) key: EncodingKey,
    retired_at: Option<SystemTime>,
}

/// All keys as one read returned them. No type here can be serialised.
pub struct Keys {
    /// The keys that may sign, oldest first. Never empty.
    signing: Vec<Signer>,
    verifying: HashMap<String, PublicKey>,
    read_at: Instant,
}

impl Keys {
    fn of(keys: &[SigningKey], read_at: Instant) -> Result<Self, Failure> {
        let mut verifying = HashMap::new();
        let mut signing = Vec::new();
        for key in keys.iter().filter(|key| key.algorithm == ALGORITHM) {
            let document = STANDARD.decode(&key.private_key).unwrap_or_default();
            let Ok(pair) = Ed25519KeyPair::from_pkcs8(&document) else {
                // Only tokens of this key become invalid. Each read of the keys logs this warning again.
                tracing::warn!(kid = key.kid, "a signing key in the database cannot be read and is left out");
                continue;
            };
            let point = pair.public_key().as_ref();
            let public = PublicKey {
                kid: key.kid.clone(),
                decoding: DecodingKey::from_ed_der(point),
                x: URL_SAFE_NO_PAD.encode(point),
                until: key.retired_at.and_then(|retired| retired.checked_add(RETIRED_KEY_LIFE)),
            };
            verifying.insert(key.kid.clone(), public);
            signing.push((
                key.created_at,
                Signer {
                    kid: key.kid.clone(),
                    key: EncodingKey::from_ed_der(&document),
                    retired_at: key.retired_at,
                },
            ));
        }
        signing.sort_by(|(a, one), (b, other)| (a, &one.kid).cmp(&(b, &other.kid)));
        let signing: Vec<_> = signing.into_iter().map(|(_, signer)| signer).collect();
        if signing.iter().all(|signer| signer.retired_at.is_some()) {
            return Err(bad_key());
        }
        Ok(Self { signing, verifying, read_at })
    }

    /// The key that signs now; `None` if every key is retired, which `Keys::of` refuses.
    pub(crate) fn signer(&self) -> Option<&Signer> {
        let now = SystemTime::now();
        self.signing.iter().find(|signer| signer.retired_at.is_none_or(|retired| retired > now))
    }

    /// The name of the key that signs now.
    pub fn signing_kid(&self) -> &str {
        self.signer().map_or("", |signer| &signer.kid)
    }

    /// The key with this name, if it verifies now.
    pub(crate) fn verifying(&self, kid: &str) -> Option<&PublicKey> {
        self.verifying.get(kid).filter(|key| key.verifies_at(SystemTime::now()))
    }

    /// Every key that verifies now, oldest first: names are UUIDs of version 7, which sort by time.
    pub fn public(&self) -> Vec<&PublicKey> {
        let now = SystemTime::now();
        let mut keys: Vec<_> = self.verifying.values().filter(|key| key.verifies_at(now)).collect();
        keys.sort_by(|a, b| a.kid.cmp(&b.kid));
        keys
    }
}

/// The keys of the store, which are read again as they age.
pub struct KeyRing<S> {
    store: S,
    /// Held only to clone or replace the `Arc`, never across an `await`.
    present: RwLock<Arc<Keys>>,
    /// When the last read began. The lock is held during a read, so that all callers that wait for it share its result.
    reading: Mutex<Instant>,
}

impl<S: KeyStore> KeyRing<S> {
    /// Reads the keys; creates the first one if there is none.
    pub(crate) async fn open(store: S) -> Result<Self, S::Error> {
        let now = Instant::now();
        let keys = store.insert_signing_key_if_none(SigningKey::generate()?).await?;
        let keys = Keys::of(&keys, now)?;
        Ok(Self { store, present: RwLock::new(Arc::new(keys)), reading: Mutex::new(now) })
    }

    fn present(&self) -> Arc<Keys> {
        self.present.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The keys as they were at most 60 s ago; older ones only while the database does not answer.
    pub async fn recent(&self) -> Arc<Keys> {
        if self.present().read_at.elapsed() > KEYS_AGE {
            return self.read_again().await;
        }
        self.present()
    }

    /// The keys as they were at most [`SIGNING_AGE`] ago; older ones only while the database does not answer.
    pub(crate) async fn for_signing(&self) -> Arc<Keys> {
        if self.present().read_at.elapsed() > SIGNING_AGE {
            return self.read_again().await;
        }
        self.present()
    }

    /// Whether the key with this name verifies, according to the keys in memory: this call never waits for the
    /// database. If these keys are older than [`KEYS_AGE`], a background task reads them again, and later calls use
    /// what it read.
    pub(crate) fn knows(self: &Arc<Self>, kid: &str) -> bool {
        let present = self.present();
        // If another task holds the lock, it is reading the keys already.
        if present.read_at.elapsed() > KEYS_AGE
            && let Ok(last) = self.reading.try_lock()
            && last.elapsed() > RETRY
        {
            drop(last);
            let ring = self.clone();
            tokio::spawn(async move { ring.read_again().await });
        }
        present.verifying(kid).is_some()
    }

    /// The keys, among them the key of this name if it exists: if it is not in memory, the keys are read again.
    pub(crate) async fn with(&self, kid: &str) -> Arc<Keys> {
        let keys = self.recent().await;
        // A name that is no UUID cannot be that of a key of this service, so it causes no read.
        if keys.verifying.contains_key(kid) || Uuid::try_parse(kid).is_err() {
            return keys;
        }
        self.read_again().await
    }

    /// The keys as a read of the store returned them that began after this call. If the database does not answer, the
    /// keys in memory.
    pub async fn read_again(&self) -> Arc<Keys> {
        let asked = Instant::now();
        let mut last = self.reading.lock().await;
        // A read that began after this call serves this call too.
        if *last > asked {
            return self.present();
        }
        // The lock stays held during the pause: it limits the reads of all callers together.
        tokio::time::sleep_until(*last + PAUSE).await;
        *last = Instant::now();
        let read = match self.store.signing_keys().await {
            Ok(keys) => Keys::of(&keys, *last).map_err(S::Error::from),
            Err(error) => Err(error),
        };
        match read {
            Ok(keys) => *self.present.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys),
            // The keys in memory stay, and still sign and verify.
            Err(error) => tracing::warn!(%error, "the signing keys cannot be read again"),
        }
        self.present()
    }
}

fn bad_key() -> Failure {
    Failure::new("no key in the database can sign: each is retired or is no Ed25519 key in PKCS#8")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retired_key_verifies_until_its_last_token_has_ended() {
        let now = SystemTime::now();
        let ago = |seconds| now - Duration::from_secs(seconds);
        let retired =
            |seconds| SigningKey { retired_at: Some(ago(seconds)), ..SigningKey::generate().unwrap() };
        let keys = [SigningKey::generate().unwrap(), retired(16 * 60), retired(18 * 60)];
        let ring = Keys::of(&keys, Instant::now()).unwrap();
        assert_eq!(ring.signing_kid(), keys[0].kid);
        let verifies = keys.each_ref().map(|key| ring.verifying(&key.kid).is_some());
        assert_eq!(verifies, [true, true, false]);
        assert_eq!(ring.public().len(), 2);
        assert!(Keys::of(&keys[1..], Instant::now()).is_err(), "no key would sign");
    }

    #[test]
    fn of_the_keys_that_are_not_retired_yet_the_oldest_signs() {
        let now = SystemTime::now();
        let aged = |seconds, retired_in: Option<u64>| SigningKey {
            created_at: now - Duration::from_secs(seconds),
            retired_at: retired_in.map(|seconds| now + Duration::from_secs(seconds)),
            ..SigningKey::generate().unwrap()
        };
        let (new, next, old) = (aged(1, None), aged(50, Some(60)), aged(100, Some(10)));
        let keys = [new, next.clone(), old.clone()];
        assert_eq!(Keys::of(&keys, Instant::now()).unwrap().signing_kid(), old.kid);
        let gone = SigningKey { retired_at: Some(now), ..old };
        let ring = Keys::of(&[keys[0].clone(), next.clone(), gone], Instant::now()).unwrap();
        assert_eq!(ring.signing_kid(), next.kid);
        assert_eq!(ring.public().len(), 3, "each of them is published");
    }

    /// A store that takes the first key, and answers no read after that.
    struct Away;

    impl KeyStore for Away {
        type Error = Failure;

        async fn signing_keys(&self) -> Result<Vec<SigningKey>, Failure> {
            Err(Failure::new("away"))
        }

        async fn insert_signing_key_if_none(&self, key: SigningKey) -> Result<Vec<SigningKey>, Failure> {
            Ok(vec![key])
        }
    }

    #[tokio::test]
    async fn a_known_key_verifies_without_a_wait_while_the_database_is_away() {
        let ring = Arc::new(KeyRing::open(Away).await.unwrap());
        let keys = [SigningKey::generate().unwrap()];
        let long_ago = Instant::now() - 2 * KEYS_AGE;
        *ring.present.write().unwrap() = Arc::new(Keys::of(&keys, long_ago).unwrap());
        *ring.reading.lock().await = long_ago;
        // The runtime has one thread, so no other task runs before the next `await`.
        assert!(ring.knows(&keys[0].kid) && !ring.knows("another"));
        while ring.reading.lock().await.elapsed() > KEYS_AGE {
            tokio::task::yield_now().await;
        }
        assert!(ring.knows(&keys[0].kid), "a known key still verifies");
    }
}
