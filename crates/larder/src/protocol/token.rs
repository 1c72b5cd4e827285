//! The tokens of the protocol: random, compared by equality, never reused.

use serde::{Deserialize, Serialize};

/// 128 random bits that name one fill, one lease, one permit, one anchor or one state of a tag. Tokens are unique
/// across all processes, because a frame in Redis outlives the process that wrote it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Token([u8; 16]);

impl Token {
    pub fn random() -> Self {
        Token(rand::random())
    }

    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Token(bytes)
    }

    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}
