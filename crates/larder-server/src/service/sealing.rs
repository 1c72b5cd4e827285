//! Encryption of secrets in the database with the secret key of the settings, if one is set.

use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::domain::audit::Actor;
use crate::domain::identity::UserId;
use crate::domain::secret_key::{SecretKey, SecretKeys};
use crate::service::error::ServiceError;
use crate::store::Store;
use crate::store::totp::SealedSecret;
use crate::store::writing::ByJournal;

const PLAIN: &str = "plain.";
const SEALED: &str = "sealed.";

/// Encrypts and decrypts secrets; cheap to clone.
#[derive(Clone)]
pub(crate) struct Sealing {
    /// The first key encrypts; every key decrypts.
    keys: Arc<[SecretKey]>,
}

impl Sealing {
    pub(crate) fn new(keys: &SecretKeys) -> Self {
        Self { keys: keys.current.iter().chain(&keys.other).cloned().collect() }
    }

    /// Checks that the database's secrets can be decrypted. Secrets that were not encrypted with the current key are
    /// encrypted with it now.
    ///
    /// # Errors
    /// [`ServiceError::Internal`] with the name of the setting, and those of the database.
    pub(crate) async fn check(&self, store: &Store) -> Result<(), ServiceError> {
        for (user, secret) in store.totp_secrets().await? {
            if !is_shaped(&secret) {
                // A malformed secret proves nothing about the key, so the service starts. Only this user's login fails,
                // until the factor is removed.
                tracing::warn!(%user, "a second factor in the database cannot be read and is left out");
                continue;
            }
            let opened = self.open(user, &secret)?;
            let is_sealed = |key| opened_with(key, user, &secret).is_some();
            if self.keys.first().is_some_and(|key| !is_sealed(key)) {
                let sealed = self.seal(user, &opened)?;
                store
                    .write(Actor::Nobody, ByJournal, move |tx| async move {
                        tx.replace_totp_secret(user, &secret, &sealed).await
                    })
                    .await?;
            }
        }
        Ok(())
    }

    /// The form in which the database keeps a secret. The user's id is authenticated with it: copied to another user's
    /// row, it cannot be decrypted.
    pub(crate) fn seal(&self, user: UserId, secret: &[u8]) -> Result<SealedSecret, ServiceError> {
        let Some(key) = self.keys.first() else {
            return Ok(SealedSecret(format!("{PLAIN}{}", STANDARD.encode(secret))));
        };
        let failed = |_| ServiceError::Internal("a secret cannot be sealed".into());
        let cipher = RandomizedNonceKey::new(&AES_256_GCM, key.expose()).map_err(failed)?;
        let mut sealed = secret.to_vec();
        let nonce = cipher.seal_in_place_append_tag(bound(user), &mut sealed).map_err(failed)?;
        let bytes = [nonce.as_ref().as_slice(), &sealed].concat();
        Ok(SealedSecret(format!("{SEALED}{}", STANDARD.encode(bytes))))
    }

    /// The secret of a stored form: decrypts a sealed one, decodes a plain one.
    pub(crate) fn open(&self, user: UserId, stored: &SealedSecret) -> Result<Vec<u8>, ServiceError> {
        let failed = |why: &'static str| ServiceError::Internal(why.into());
        if let Some(plain) = stored.0.strip_prefix(PLAIN) {
            return STANDARD
                .decode(plain)
                .map_err(|_| failed("a second factor in the database is no base64"));
        }
        if self.keys.is_empty() {
            return Err(failed("LARDER_SECRET_KEY is needed: second factors are sealed with one"));
        }
        let opened = self.keys.iter().find_map(|key| opened_with(key, user, stored));
        opened.ok_or(failed(
            "neither LARDER_SECRET_KEY nor LARDER_SECRET_KEY_OTHER opens the second factors in the database",
        ))
    }
}

/// `None` if the secret was not encrypted with this key for this user.
fn opened_with(key: &SecretKey, user: UserId, stored: &SealedSecret) -> Option<Vec<u8>> {
    let mut sealed = STANDARD.decode(stored.0.strip_prefix(SEALED)?).ok()?;
    if sealed.len() <= NONCE_LEN {
        return None;
    }
    let mut secret = sealed.split_off(NONCE_LEN);
    let nonce = Nonce::try_assume_unique_for_key(&sealed).ok()?;
    let cipher = RandomizedNonceKey::new(&AES_256_GCM, key.expose()).ok()?;
    let opened_bytes = cipher.open_in_place(nonce, bound(user), &mut secret).ok()?.len();
    secret.truncate(opened_bytes);
    Some(secret)
}

/// Whether `stored` has one of the two forms that this service writes: encrypted or plain.
fn is_shaped(stored: &SealedSecret) -> bool {
    let sealed = stored.0.strip_prefix(SEALED).and_then(|sealed| STANDARD.decode(sealed).ok());
    let plain = stored.0.strip_prefix(PLAIN).and_then(|plain| STANDARD.decode(plain).ok());
    plain.is_some() || sealed.is_some_and(|sealed| sealed.len() > NONCE_LEN)
}

fn bound(user: UserId) -> Aad<String> {
    Aad::from(format!("totp {user}"))
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
        let ann = UserId::generate();
        for writer in ["A", "AQ", "QA", "Q"] {
            let sealed = sealing(writer).seal(ann, b"secret").unwrap();
            for reader in ["AQ", "QA", &writer[..1]] {
                assert_eq!(sealing(reader).open(ann, &sealed).unwrap(), b"secret");
            }
        }
    }

    #[test]
    fn a_sealed_secret_opens_for_its_user_with_its_key_and_never_otherwise() {
        let (ann, bea) = (UserId::generate(), UserId::generate());
        let sealed = sealing("A").seal(ann, b"a secret of 20 bytes").unwrap();
        assert_eq!(sealing("A").open(ann, &sealed).unwrap(), b"a secret of 20 bytes");
        assert!(sealing("A").open(bea, &sealed).is_err());
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
        let ann = UserId::generate();
        let plain = sealing("").seal(ann, b"secret").unwrap();
        assert_eq!(sealing("").open(ann, &plain).unwrap(), b"secret");
        assert_eq!(sealing("A").open(ann, &plain).unwrap(), b"secret");
    }
}
