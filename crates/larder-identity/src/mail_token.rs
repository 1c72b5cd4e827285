//! Tokens that are sent by mail and used once: random, stored as hashes.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::token_hash::token_hash;

/// A token for a mail, and the hash under which the database stores it. It cannot be serialised.
///
/// ```
/// use larder_identity::mail_token::MailToken;
/// use larder_identity::token_hash::token_hash;
///
/// let token = MailToken::random();
/// assert_eq!(token.hash, token_hash(&token.text));
/// assert_eq!(format!("{token:?}"), "MailToken(…)");
/// ```
pub struct MailToken {
    /// For the mail: 43 characters that need no encoding in a URL.
    pub text: String,
    /// For the database.
    pub hash: String,
}

impl MailToken {
    /// A new token of 256 random bits.
    pub fn random() -> Self {
        let text = URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>());
        Self { hash: token_hash(&text), text }
    }
}

impl fmt::Debug for MailToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MailToken(…)")
    }
}
