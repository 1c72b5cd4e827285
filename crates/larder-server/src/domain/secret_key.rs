//! The key that seals second factors in the database and authenticates entries in Redis.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::domain::invalid::Invalid;

/// 32 random bytes. It can be neither printed nor serialised.
#[derive(Clone)]
pub struct SecretKey([u8; 32]);

impl SecretKey {
    /// Reads base64, as `openssl rand -base64 32` prints it.
    ///
    /// # Errors
    /// Not base64, or not 32 bytes.
    pub fn parse(raw: &str) -> Result<Self, Invalid> {
        let bytes = STANDARD.decode(raw.trim()).ok().and_then(|bytes| bytes.try_into().ok());
        bytes
            .map(Self)
            .ok_or_else(|| Invalid::new("must be 32 bytes in base64; openssl rand -base64 32 makes some"))
    }

    /// The secret itself, for sealing and opening only.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

/// The key that seals, and while it is being replaced another one that opens too.
#[derive(Debug, Clone, Default)]
pub struct SecretKeys {
    /// Seals and opens. Without it second factors are stored as they are, in the database that also holds the keys that sign,
    /// and a secret of the database authenticates the entries in Redis.
    pub current: Option<SecretKey>,
    /// Opens.
    pub other: Option<SecretKey>,
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(…)")
    }
}
