//! The key with which second factors are sealed in the database.

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

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(…)")
    }
}
