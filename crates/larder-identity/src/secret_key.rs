//! The keys that encrypt secrets before a service stores them.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use crate::invalid::Invalid;

/// 32 random bytes. A key can be neither printed nor serialised.
#[derive(Clone)]
pub struct SecretKey([u8; 32]);

impl SecretKey {
    /// Parses base64, as `openssl rand -base64 32` prints it.
    ///
    /// # Errors
    /// The text is not base64, or not of 32 bytes.
    pub fn parse(raw: &str) -> Result<Self, Invalid> {
        let bytes = STANDARD.decode(raw.trim()).ok().and_then(|bytes| bytes.try_into().ok());
        bytes
            .map(Self)
            .ok_or_else(|| Invalid::new("must be 32 bytes in base64; openssl rand -base64 32 makes some"))
    }

    /// A key for one purpose, derived from `secret` with SHA-256.
    pub(crate) fn derived(purpose: &str, secret: &[u8]) -> Self {
        Self(Sha256::new_with_prefix(purpose).chain_update([0]).chain_update(secret).finalize().into())
    }

    /// The bytes, for encrypting and decrypting only.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

/// The key that encrypts, and another one that also decrypts while a key is being replaced.
#[derive(Debug, Clone, Default)]
pub struct SecretKeys {
    /// Encrypts and decrypts. Without it, secrets are stored unencrypted.
    pub current: Option<SecretKey>,
    /// Only decrypts.
    pub other: Option<SecretKey>,
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(…)")
    }
}
