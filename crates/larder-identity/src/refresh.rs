//! Refresh tokens: random, stored as hashes. If a client uses a token again a moment after the first use, it gets the
//! same successor again, so that a client that lost the first answer can repeat its request.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::failure::Failure;
use crate::sealing::{SealedSecret, Sealing, Subject};
use crate::secret_key::{SecretKey, SecretKeys};
use crate::token_hash::token_hash;

/// A refresh token, and the hash under which the database stores it. It cannot be serialised.
pub struct RefreshToken {
    /// For the client.
    pub text: String,
    /// For the database.
    pub hash: String,
}

impl RefreshToken {
    /// A new token of 256 random bits.
    pub fn random() -> Self {
        Self::of(URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>()))
    }

    fn of(text: String) -> Self {
        Self { hash: token_hash(&text), text }
    }

    /// This token, encrypted with a key that is derived from `previous`: only a client that has `previous` can get this
    /// token again. The database keeps the result beside the hash of `previous`, so a thief of the database can read
    /// neither token.
    ///
    /// # Errors
    /// There is no randomness.
    pub fn sealed_for(&self, previous: &str) -> Result<String, Failure> {
        Ok(sealing(previous).seal(Subject::RefreshToken, self.text.as_bytes())?.0)
    }

    /// The token that was sealed for `previous`; `None` if it was sealed for another token or is malformed.
    pub fn opened(previous: &str, sealed: &str) -> Option<Self> {
        let opened = sealing(previous).open(Subject::RefreshToken, &SealedSecret(sealed.to_owned())).ok()?;
        String::from_utf8(opened).ok().map(Self::of)
    }

    /// The id of the access token that is granted with this token. It is derived from this token, so a repeated answer
    /// has the same id.
    pub fn jti(&self) -> Uuid {
        let digest: [u8; 32] = Sha256::new_with_prefix("jti").chain_update(&self.text).finalize().into();
        let (half, _) = digest.split_at(16);
        uuid::Builder::from_custom_bytes(half.try_into().unwrap_or_default()).into_uuid()
    }
}

/// Encryption with a key that is derived from `previous`. The token `previous` has 256 random bits, so the derivation
/// need not be slow.
fn sealing(previous: &str) -> Sealing {
    let key = SecretKey::derived("larder refresh", previous.as_bytes());
    Sealing::new(&SecretKeys { current: Some(key), other: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_successor_opens_for_the_token_before_it_alone() {
        let (old, next) = (RefreshToken::random(), RefreshToken::random());
        let sealed = next.sealed_for(&old.text).unwrap();
        let opened = RefreshToken::opened(&old.text, &sealed).unwrap();
        assert_eq!((&opened.text, &opened.hash, opened.jti()), (&next.text, &next.hash, next.jti()));
        assert!(RefreshToken::opened(&next.text, &sealed).is_none());
        assert!(RefreshToken::opened(&old.text, "sealed.AAAA").is_none());
        assert_ne!(old.jti(), next.jti());
    }
}
