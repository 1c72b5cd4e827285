//! The addresses of a user that also identify it: e-mail address and telephone number.

use email_address::{EmailAddress, Options};
use phonenumber::Mode;
use phonenumber::metadata::DATABASE;
use serde_json::Value;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;

use crate::domain::invalid::Invalid;
use crate::domain::json::{FromJson, component, text_of};
use crate::domain::text::{identifier, text_type};

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
        let text = identifier(raw);
        if text.len() > EMAIL_BYTES {
            return Err(Invalid::new("is too long; at most 254 characters are allowed"));
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Invalid::new("may hold visible ASCII characters only, without spaces"));
        }
        let plain = Options::default().without_domain_literal().without_display_text();
        if text.starts_with('"') || EmailAddress::parse_with_options(&text, plain).is_err() {
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
    /// Removes spaces, dashes, dots, slashes, parentheses and `(0)`, then checks that the rest is a number in E.164 form
    /// that its country can have.
    ///
    /// Whether the number is assigned is not checked: countries open new ranges more often than this program is updated.
    ///
    /// # Errors
    /// The rest is not a `+` and 8 to 15 digits, no country has its code, or no number of the country has this form.
    pub fn parse(raw: &str) -> Result<Self, Invalid> {
        let number = Self::sought(raw)?;
        let text = number.as_str();
        let parsed = phonenumber::parse(None, text).map_err(|_| {
            Invalid::new("is not a telephone number: no country has this code, or it is too short")
        })?;
        let normal = parsed.format().mode(Mode::E164).to_string();
        // In some countries, a national number begins with a trunk prefix, such as 0. The prefix is omitted after the
        // country code.
        if normal != text {
            return Err(Invalid::new(
                "has a digit that is not dialled behind the country's code, such as the 0 of +44 0",
            ));
        }
        let code = parsed.country().code();
        let national = text.get(1 + code.to_string().len()..).unwrap_or_default();
        let can_have = DATABASE
            .by_code(&code)
            .is_some_and(|countries| countries.iter().any(|country| is_of(country, national)));
        match can_have {
            true => Ok(number),
            false => Err(Invalid::new(
                "is not a number that its country can have: too short, too long, or of another form",
            )),
        }
    }

    /// Parses the number of a user to find. Unlike [`Phone::parse`], it checks only the E.164 form, because a number
    /// that was stored earlier, or by other software, need not pass today's rules.
    ///
    /// # Errors
    /// The text is not a `+` and 8 to 15 digits of which the first is not 0.
    pub fn sought(raw: &str) -> Result<Self, Invalid> {
        let text = identifier(raw).replace("(0)", "");
        let is_between = |c: char| c.is_whitespace() || "-./()\u{2010}\u{2011}\u{2013}".contains(c);
        let text: String = text.chars().filter(|c| !is_between(*c)).collect();
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

/// Whether a country's numbers have the form of `national`.
fn is_of(country: &phonenumber::Metadata, national: &str) -> bool {
    let numbers = country.descriptors().general().national_number();
    numbers.find(national).is_some_and(|found| found.start() == 0 && found.end() == national.len())
}

/// A telephone number of a user to find.
pub(crate) enum SoughtPhone {}

impl FromJson for SoughtPhone {
    type Value = Phone;

    fn from_json(value: Value) -> Result<Phone, Invalid> {
        text_of(&value).and_then(Phone::sought)
    }

    fn schema() -> RefOr<Schema> {
        component::<Phone>().into()
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
        for (sent, stored) in [
            ("+1 (242) 555-01.23", "+12425550123"),
            ("\u{200b}+1\u{a0}242\u{2011}555 0123\n", "+12425550123"),
            ("＋１ ２４２ ５５５ ０１２３", "+12425550123"),
            ("+44 (0)20 7946 0958", "+442079460958"),
            ("+39 06 698 12345", "+390669812345"),
            ("+254712345678", "+254712345678"),
            ("+31 6 12345678", "+31612345678"),
            ("+1 555 123 4567", "+15551234567"),
        ] {
            assert_eq!(Phone::parse(sent).unwrap().as_str(), stored);
            assert_eq!(Phone::sought(sent).unwrap().as_str(), stored);
        }
        for (bad, says) in [
            ("+44 020 7946 0958", "not dialled"),
            ("+1 242 555 01", "country can have"),
            ("+1 142 555 0123", "country can have"),
            ("+1 242 555 01234", "country can have"),
            ("+999 1234567", "no country"),
        ] {
            assert!(
                Phone::parse(bad).unwrap_err().message().contains(says),
                "{bad}: {:?}",
                Phone::parse(bad)
            );
            assert!(Phone::sought(bad).is_ok(), "{bad}: of a row from before these rules");
        }
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
