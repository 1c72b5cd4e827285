//! The codes of an authenticator app, RFC 6238: six digits, 30 seconds, SHA-1.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use totp_rs::{Builder, Secret, Totp};

use crate::failure::Failure;
use crate::second_factor::TotpCode;

/// The length that RFC 4226 recommends.
const SECRET_BYTES: usize = 20;
/// A code counts for so many time steps before and after its own, because clocks differ.
const SKEW_STEPS: u16 = 1;

/// A secret that a user's app shares with the service. The secret can be neither printed nor serialised.
///
/// ```
/// # use std::time::{Duration, UNIX_EPOCH};
/// # use larder_identity::{authenticator::Authenticator, second_factor::TotpCode};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // The secret of RFC 6238, appendix B.
/// let app = Authenticator::of(b"12345678901234567890".to_vec())?;
/// let at = UNIX_EPOCH + Duration::from_secs(59);
/// assert_eq!(app.step_of(&TotpCode::parse("287 082")?, at), Some(1));
/// assert_eq!(app.step_of(&TotpCode::parse("287 083")?, at), None);
/// # Ok(())
/// # }
/// ```
pub struct Authenticator {
    secret: Vec<u8>,
    totp: Totp,
}

impl Authenticator {
    /// A new random secret.
    ///
    /// # Errors
    /// There is none in practice, because the secret has the recommended length.
    pub fn random() -> Result<Self, Failure> {
        Self::of(rand::random::<[u8; SECRET_BYTES]>().to_vec())
    }

    /// The authenticator of a stored secret.
    ///
    /// # Errors
    /// The secret is too short.
    pub fn of(secret: Vec<u8>) -> Result<Self, Failure> {
        let built = Builder::new().with_secret(secret.clone()).with_skew(SKEW_STEPS).build();
        let totp = built.map_err(|_| Failure::new("a second factor in the database has no usable secret"))?;
        Ok(Self { secret, totp })
    }

    /// The secret itself, for sealing only.
    pub fn secret(&self) -> &[u8] {
        &self.secret
    }

    /// The secret in base32, for typing into an app.
    pub fn to_base32(&self) -> String {
        Secret::new(self.secret.clone().into()).to_base32()
    }

    /// `otpauth://…`, for a QR code: the app shows `issuer` and `account`.
    pub fn uri(&self, issuer: &str, account: &str) -> String {
        let (secret, issuer, account) = (self.to_base32(), percent_encoded(issuer), percent_encoded(account));
        format!(
            "otpauth://totp/{issuer}:{account}?secret={secret}&issuer={issuer}&algorithm=SHA1&digits=6&period=30"
        )
    }

    /// The time step to which a code belongs: the one at `now`, the one before or the one after; else `None`. The
    /// caller accepts each step only once, so that a code that another person has seen cannot be used again.
    pub fn step_of(&self, code: &TotpCode, now: SystemTime) -> Option<u64> {
        let now = now.duration_since(UNIX_EPOCH).ok()?;
        self.totp.check(code.expose(), now.as_secs())
    }
}

impl fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Authenticator(…)")
    }
}

/// Escapes a label for a URI. It is needed because an e-mail address may have any character except control characters.
fn percent_encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~@".contains(&byte);
    let encoded = text.bytes().map(|byte| match plain(byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    });
    encoded.collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// The last six digits of the codes in RFC 6238, appendix B.
    #[test]
    fn codes_are_those_of_the_rfc_within_one_step() {
        let app = Authenticator::of(b"12345678901234567890".to_vec()).unwrap();
        let step =
            |code, time| app.step_of(&TotpCode::parse(code).unwrap(), UNIX_EPOCH + Duration::from_secs(time));
        for (time, code) in [(59, "287082"), (1_111_111_109, "081804"), (20_000_000_000, "353130")] {
            assert_eq!(step(code, time), Some(time / 30));
            assert_eq!(step(code, time + 30), Some(time / 30), "a step late");
            assert_eq!(step(code, time + 60), None, "two steps late");
        }
    }

    #[test]
    fn a_label_holds_no_character_that_ends_it() {
        assert_eq!(percent_encoded("a+b?c@x.example"), "a%2Bb%3Fc@x.example");
        let uri = Authenticator::of(vec![0; SECRET_BYTES]).unwrap().uri("larder", "a?b@x.example");
        let secret = "A".repeat(32);
        assert_eq!(
            uri,
            format!(
                "otpauth://totp/larder:a%3Fb@x.example?secret={secret}&issuer=larder&algorithm=SHA1&digits=6&period=30"
            )
        );
    }
}
