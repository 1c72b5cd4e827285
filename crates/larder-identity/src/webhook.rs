//! Signatures of webhooks, as the specification Standard Webhooks defines them: the receiver can check who sent a
//! message, and when.

use std::fmt;

use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::invalid::Invalid;

const PREFIX: &str = "whsec_";
const BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// The secret that sender and receiver share. It can be neither printed nor serialised.
///
/// ```
/// # use larder_identity::webhook::WebhookSecret;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let secret = WebhookSecret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")?;
/// let signature = secret.signature("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, br#"{"test": 2432232314}"#);
/// assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct WebhookSecret(Key);

impl WebhookSecret {
    /// Parses `whsec_` and 24 to 64 bytes in base64.
    ///
    /// # Errors
    /// The text has another form.
    pub fn parse(raw: &str) -> Result<Self, Invalid> {
        let bytes = raw.strip_prefix(PREFIX).and_then(|encoded| STANDARD.decode(encoded).ok());
        match bytes.filter(|bytes| BYTES.contains(&bytes.len())) {
            Some(bytes) => Ok(Self(Key::new(HMAC_SHA256, &bytes))),
            None => Err(Invalid::new("must be whsec_ and 24 to 64 random bytes in base64")),
        }
    }

    /// The value of the header `webhook-signature`. It signs the message's id, the time in seconds since 1970, and the
    /// body.
    pub fn signature(&self, id: &str, timestamp: u64, body: &[u8]) -> String {
        let signed = [format!("{id}.{timestamp}.").as_bytes(), body].concat();
        format!("v1,{}", STANDARD.encode(sign(&self.0, &signed)))
    }
}

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookSecret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_has_a_prefix_and_enough_bytes_and_is_not_shown() {
        for bytes in [24, 64] {
            let raw = format!("{PREFIX}{}", STANDARD.encode(vec![7; bytes]));
            assert_eq!(format!("{:?}", WebhookSecret::parse(&raw).unwrap()), "WebhookSecret(…)");
        }
        for bad in ["", "whsec_", "whsec_AAAA", &STANDARD.encode([7; 32]), "whsec_****"] {
            assert!(WebhookSecret::parse(bad).is_err(), "{bad}");
        }
        assert!(WebhookSecret::parse(&format!("{PREFIX}{}", STANDARD.encode([7; 65]))).is_err());
    }
}
