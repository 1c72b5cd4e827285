//! The second factor: the codes of an authenticator, and the recovery codes that replace them.

use std::fmt;

use crate::invalid::Invalid;

/// The length of a recovery code: 16 of 32 letters are 80 random bits.
const RECOVERY_CHARS: usize = 16;
/// RFC 4648's base32, in lower case.
const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// A code of six digits. It can be neither printed nor serialised.
#[derive(Clone, PartialEq, Eq)]
pub struct TotpCode(String);

impl TotpCode {
    /// Parses six digits; spaces, which authenticators show, are ignored.
    ///
    /// # Errors
    /// The text is anything else.
    pub fn parse(raw: &str) -> Result<Self, Invalid> {
        let digits: String = raw.chars().filter(|letter| *letter != ' ').take(7).collect();
        let shaped = digits.len() == 6 && digits.bytes().all(|byte| byte.is_ascii_digit());
        shaped.then_some(Self(digits)).ok_or_else(|| Invalid::new("must be six digits"))
    }

    /// The digits, for comparing only.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for TotpCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TotpCode(…)")
    }
}

/// A code that replaces the authenticator's code once. It can be neither printed nor serialised.
#[derive(Clone, PartialEq, Eq)]
pub struct RecoveryCode(String);

impl RecoveryCode {
    /// A new random code.
    pub fn random() -> Self {
        let letter = |byte: u8| char::from(LETTERS[usize::from(byte % 32)]);
        Self(rand::random::<[u8; RECOVERY_CHARS]>().into_iter().map(letter).collect())
    }

    /// Parses a code; case, dashes and spaces are ignored.
    ///
    /// # Errors
    /// The text is anything else.
    pub fn parse(raw: &str) -> Result<Self, Invalid> {
        let bare = raw.chars().filter(|letter| !matches!(letter, '-' | ' ')).take(RECOVERY_CHARS + 1);
        let code: String = bare.map(|letter| letter.to_ascii_lowercase()).collect();
        let shaped = code.len() == RECOVERY_CHARS && code.bytes().all(|byte| LETTERS.contains(&byte));
        let expected = "must be a recovery code, such as abcd-efgh-ijkl-mnop";
        shaped.then_some(Self(code)).ok_or_else(|| Invalid::new(expected))
    }

    /// The code itself, for hashing.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The form for people: four groups of four characters.
    pub fn grouped(&self) -> String {
        let groups: Vec<_> = self.0.as_bytes().chunks(4).map(String::from_utf8_lossy).collect();
        groups.join("-")
    }
}

impl fmt::Debug for RecoveryCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecoveryCode(…)")
    }
}

/// The proof that a user gives in addition to the password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecondFactor {
    /// A code of the authenticator.
    Totp(TotpCode),
    /// A recovery code.
    Recovery(RecoveryCode),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_parsed_as_people_write_them_and_hidden() {
        assert_eq!(TotpCode::parse("123 456").unwrap().expose(), "123456");
        for bad in ["", "12345", "1234567", "12345a", "١٢٣٤٥٦", "-12345"] {
            assert!(TotpCode::parse(bad).is_err(), "{bad}");
        }
        let code = RecoveryCode::random();
        let written = code.grouped();
        assert_eq!(
            (written.len(), RecoveryCode::parse(&written.to_uppercase()).unwrap()),
            (19, code.clone())
        );
        for bad in ["", "abcd-efgh-ijkl", "abcd-efgh-ijkl-mno1", "abcd-efgh-ijkl-mnop-q"] {
            assert!(RecoveryCode::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(format!("{:?}", SecondFactor::Recovery(code)), "Recovery(RecoveryCode(…))");
    }
}
