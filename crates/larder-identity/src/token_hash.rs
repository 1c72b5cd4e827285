//! The hash under which a database keeps a token: of a refresh token, an API key, or a token that is sent by mail.

use sha2::{Digest as _, Sha256};

/// The hash of a token: SHA-256 in hexadecimal. The token is random, so it needs neither a salt nor a slow hash.
pub fn token_hash(token: &str) -> String {
    Sha256::digest(token.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}
