//! Encryption of secrets before they are stored, with AES-256-GCM if there is a secret key.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use uuid::Uuid;

use crate::failure::Failure;
use crate::secret_key::{SecretKey, SecretKeys};

const PLAIN: &str = "plain.";
const SEALED: &str = "sealed.";

/// A secret as the database keeps it. It cannot be serialised.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedSecret(pub String);

impl fmt::Debug for SealedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealedSecret(…)")
    }
}

/// What a secret belongs to. Its name is authenticated with the secret, so a sealed secret that is copied to another
/// row cannot be opened there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject<'a> {
    /// The second factor of this user.
    SecondFactor(Uuid),
    /// The private key that signs access tokens under this name.
    SigningKey(&'a str),
    /// A refresh token that replaces another one.
    RefreshToken,
}

impl fmt::Display for Subject<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SecondFactor(user) => write!(f, "totp {user}"),
            Self::SigningKey(kid) => write!(f, "signing key {kid}"),
            Self::RefreshToken => f.write_str("refresh token"),
        }
    }
}

impl From<Uuid> for Subject<'_> {
    fn from(user: Uuid) -> Self {
        Self::SecondFactor(user)
    }
}

/// Encrypts and decrypts secrets; cheap to clone.
///
/// ```
/// # use larder_identity::{sealing::Sealing, secret_key::{SecretKey, SecretKeys}};
/// # use uuid::Uuid;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let key = SecretKey::parse("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")?;
/// let sealing = Sealing::new(&SecretKeys { current: Some(key), other: None });
/// let (ann, bea) = (Uuid::now_v7(), Uuid::now_v7());
/// let sealed = sealing.seal(ann, b"secret")?;
/// assert_eq!(sealing.open(ann, &sealed)?, b"secret");
/// assert!(sealing.open(bea, &sealed).is_err(), "it is bound to its user");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Sealing {
    /// The first key encrypts; every key decrypts.
    keys: Arc<[SecretKey]>,
}

impl Sealing {
    /// Encrypts and decrypts with these keys. Without a key, secrets are stored in base64, unencrypted.
    pub fn new(keys: &SecretKeys) -> Self {
        Self { keys: keys.current.iter().chain(&keys.other).cloned().collect() }
    }

    /// Whether there is a key. Without one, secrets are stored unencrypted.
    pub fn has_key(&self) -> bool {
        !self.keys.is_empty()
    }

    /// The new form of a stored secret, sealed with the first key. `None` if the stored form stays as it is: the first
    /// key sealed it already, it is plain and there is no key, or it is malformed.
    ///
    /// # Errors
    /// No key opens it; the message names the setting.
    pub fn reseal<'a>(
        &self,
        subject: impl Into<Subject<'a>>,
        stored: &SealedSecret,
    ) -> Result<Option<SealedSecret>, Failure> {
        let subject = subject.into();
        if !is_shaped(stored) {
            // A malformed secret proves nothing about the keys, so it is no error here; only a later use of this secret
            // fails.
            tracing::warn!(%subject, "a secret in the database cannot be read and is left out");
            return Ok(None);
        }
        let opened = self.open(subject, stored)?;
        match self.keys.first() {
            Some(first) if opened_with(first, subject, stored).is_none() => {
                self.seal(subject, &opened).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// The form in which the database keeps a secret.
    ///
    /// # Errors
    /// There is no randomness.
    pub fn seal<'a>(&self, subject: impl Into<Subject<'a>>, secret: &[u8]) -> Result<SealedSecret, Failure> {
        let Some(key) = self.keys.first() else {
            return Ok(SealedSecret(format!("{PLAIN}{}", STANDARD.encode(secret))));
        };
        let failed = |_| Failure::new("a secret cannot be sealed");
        let cipher = RandomizedNonceKey::new(&AES_256_GCM, key.expose()).map_err(failed)?;
        let mut sealed = secret.to_vec();
        let nonce = cipher.seal_in_place_append_tag(bound(subject.into()), &mut sealed).map_err(failed)?;
        let bytes = [nonce.as_ref().as_slice(), &sealed].concat();
        Ok(SealedSecret(format!("{SEALED}{}", STANDARD.encode(bytes))))
    }

    /// Returns the secret in `stored`: decrypts it if it is sealed, decodes it if it is plain.
    ///
    /// # Errors
    /// The secret is malformed, or no key opens it for this subject. In the second case the message names the setting.
    pub fn open<'a>(
        &self,
        subject: impl Into<Subject<'a>>,
        stored: &SealedSecret,
    ) -> Result<Vec<u8>, Failure> {
        let subject = subject.into();
        let failed = |why: &'static str| Failure::new(why);
        if let Some(plain) = stored.0.strip_prefix(PLAIN) {
            return STANDARD.decode(plain).map_err(|_| failed("a secret in the database is no base64"));
        }
        if self.keys.is_empty() {
            return Err(failed("LARDER_SECRET_KEY is needed: secrets in the database are sealed with one"));
        }
        let opened = self.keys.iter().find_map(|key| opened_with(key, subject, stored));
        opened.ok_or(failed(
            "neither LARDER_SECRET_KEY nor LARDER_SECRET_KEY_OTHER opens the secrets in the database",
        ))
    }
}

/// `None` if the secret was not encrypted with this key for this subject.
fn opened_with(key: &SecretKey, subject: Subject<'_>, stored: &SealedSecret) -> Option<Vec<u8>> {
    let mut sealed = STANDARD.decode(stored.0.strip_prefix(SEALED)?).ok()?;
    if sealed.len() <= NONCE_LEN {
        return None;
    }
    let mut secret = sealed.split_off(NONCE_LEN);
    let nonce = Nonce::try_assume_unique_for_key(&sealed).ok()?;
    let cipher = RandomizedNonceKey::new(&AES_256_GCM, key.expose()).ok()?;
    let opened_bytes = cipher.open_in_place(nonce, bound(subject), &mut secret).ok()?.len();
    secret.truncate(opened_bytes);
    Some(secret)
}

/// Whether `stored` has one of the two forms that [`Sealing::seal`] writes: encrypted or plain.
fn is_shaped(stored: &SealedSecret) -> bool {
    let sealed = stored.0.strip_prefix(SEALED).and_then(|sealed| STANDARD.decode(sealed).ok());
    let plain = stored.0.strip_prefix(PLAIN).and_then(|plain| STANDARD.decode(plain).ok());
    plain.is_some() || sealed.is_some_and(|sealed| sealed.len() > NONCE_LEN)
}

fn bound(subject: Subject<'_>) -> Aad<String> {
    Aad::from(subject.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealing(letters: &str) -> Sealing {
        let mut keys = letters
            .split("")
            .filter(|letter| !letter.is_empty())
            .map(|letter| SecretKey::parse(&format!("{}=", letter.repeat(43))).unwrap());
        Sealing::new(&SecretKeys { current: keys.next(), other: keys.next() })
    }

    #[test]
    fn a_key_is_replaced_while_the_old_one_still_opens() {
        let ann = Uuid::now_v7();
        for writer in ["A", "AQ", "QA", "Q"] {
            let sealed = sealing(writer).seal(ann, b"secret").unwrap();
            for reader in ["AQ", "QA", &writer[..1]] {
                assert_eq!(sealing(reader).open(ann, &sealed).unwrap(), b"secret");
            }
        }
    }

    #[test]
    fn a_sealed_secret_opens_for_its_user_with_its_key_and_never_otherwise() {
        let (ann, bea) = (Uuid::now_v7(), Uuid::now_v7());
        let sealed = sealing("A").seal(ann, b"a secret of 20 bytes").unwrap();
        assert_eq!(sealing("A").open(ann, &sealed).unwrap(), b"a secret of 20 bytes");
        assert!(sealing("A").open(bea, &sealed).is_err());
        let key = ann.to_string();
        assert!(sealing("A").open(Subject::SigningKey(&key), &sealed).is_err(), "another kind of secret");
        assert!(sealing("Q").open(ann, &sealed).is_err());
        assert!(sealing("").open(ann, &sealed).is_err());
        assert_ne!(
            sealing("A").seal(ann, b"a secret of 20 bytes").unwrap(),
            sealed,
            "each has its own nonce"
        );
        for broken in ["sealed.", "sealed.AAAA", "", "other.AAAA"] {
            assert!(sealing("A").open(ann, &SealedSecret(broken.to_owned())).is_err(), "{broken}");
        }
    }

    #[test]
    fn a_secret_that_was_stored_without_a_key_opens_with_and_without_one() {
        let ann = Uuid::now_v7();
        let plain = sealing("").seal(ann, b"secret").unwrap();
        assert_eq!(sealing("").open(ann, &plain).unwrap(), b"secret");
        assert_eq!(sealing("A").open(ann, &plain).unwrap(), b"secret");
    }

    #[test]
    fn a_secret_is_sealed_again_unless_the_first_key_sealed_it_or_it_is_malformed() {
        let ann = Uuid::now_v7();
        let of = |letters: &str| sealing(letters).seal(ann, b"secret").unwrap();
        for (keys, stored) in [("AQ", of("Q")), ("A", of(""))] {
            let replaced = sealing(keys).reseal(ann, &stored).unwrap().unwrap();
            assert_eq!(sealing("A").open(ann, &replaced).unwrap(), b"secret");
        }
        for (keys, stored) in [("AQ", of("A")), ("", of("")), ("A", SealedSecret("sealed.AAAA".to_owned()))] {
            assert_eq!(sealing(keys).reseal(ann, &stored).unwrap(), None);
        }
        for (keys, setting) in [("Q", "neither LARDER_SECRET_KEY nor"), ("", "LARDER_SECRET_KEY is needed")] {
            let error = sealing(keys).reseal(ann, &of("A")).unwrap_err();
            assert!(error.to_string().starts_with(setting), "{error}");
        }
    }
}
