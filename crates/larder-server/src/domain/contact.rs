//! The addresses of a user that also identify it: e-mail address and telephone number.

use email_address::{EmailAddress, Options};

use crate::domain::invalid::Invalid;
use crate::domain::text::text_type;

const EMAIL_BYTES: usize = 254;

text_type! {
    /// An e-mail address: ASCII, at most 254 characters, lower case.
    ///
    /// The conversion to lower case is made here and checked by a CHECK, because SQLite's `lower` converts ASCII
    /// letters only.
    #[schema(format = Email, max_length = 254)]
    Email
}

impl Email {
    /// Trims, checks and lower-cases.
    ///
    /// # Errors
    /// The text is not an address of the plain form `name@domain`.
    pub fn parse(raw: &str) -> Result<Self, Invalid> {
        let text = raw.trim();
        if text.len() > EMAIL_BYTES {
            return Err(Invalid::new("is too long; at most 254 characters are allowed"));
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Invalid::new("may hold visible ASCII characters only, without spaces"));
        }
        let plain = Options::default().without_domain_literal().without_display_text();
        if text.starts_with('"') || EmailAddress::parse_with_options(text, plain).is_err() {
            return Err(Invalid::new("is not an e-mail address; expected name@domain"));
        }
        Ok(Self(text.to_ascii_lowercase()))
    }
}

text_type! {
    /// A telephone number in E.164 form: `+` and 8 to 15 digits.
    #[schema(pattern = r"^\+[1-9][0-9]{7,14}$")]
    Phone
}

impl Phone {
    /// Removes spaces, dashes, dots and parentheses, then checks the rest.
    ///
    /// # Errors
    /// The rest is not a `+` and 8 to 15 digits of which the first is not 0.
    pub fn parse(raw: &str) -> Result<Self, Invalid> {
        let text: String = raw.chars().filter(|c| !" -.()".contains(*c)).collect();
        let digits = text.strip_prefix('+').unwrap_or_default();
        let shaped = (8..=15).contains(&digits.len())
            && !digits.starts_with('0')
            && digits.bytes().all(|byte| byte.is_ascii_digit());
        if shaped {
            Ok(Self(text))
        } else {
            Err(Invalid::new(
                "is not an international number; expected + and 8 to 15 digits, such as +15551234567",
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn emails_are_plain_ascii_in_lower_case() {
        assert_eq!(Email::parse(" Ann.O'Neil+x@Example.COM ").unwrap().as_str(), "ann.o'neil+x@example.com");
        assert!(Email::parse("a*b@example.com").is_ok(), "odd but legal");
        assert!(Email::parse("admin@localhost").is_ok());
        let long = format!("{}@example.com", "a".repeat(250));
        for bad in [
            "",
            "a",
            "@x.com",
            "a@",
            "a b@x.com",
            "a:b@x.com",
            "a[b@x.com",
            "a@[127.0.0.1]",
            "\"a b\"@x.com",
            "\"a\"@x.com",
            "a\n@x.com",
            "a\0@x.com",
            "ann@exämple.com",
            "İ@x.com",
            "a@x.com\r\nBcc: b@x.com",
            "Ann <a@x.com>",
            "a@@x.com",
            &long,
        ] {
            let error = Email::parse(bad).unwrap_err();
            assert!(bad.len() < 2 || !error.message().contains(bad), "{error} repeats its input");
        }
    }

    #[test]
    fn phones_are_e164() {
        assert_eq!(Phone::parse("+1 (242) 555-01.23").unwrap().as_str(), "+12425550123");
        for bad in [
            "",
            "+",
            "12425550123",
            "+1234567",
            "+1234567890123456",
            "+0123456789",
            "+12425550a23",
            "+٣٣٣٣٣٣٣٣",
        ] {
            assert!(Phone::parse(bad).is_err(), "{bad}");
        }
    }
}
