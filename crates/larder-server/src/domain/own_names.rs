//! The names of a user that are no password of it, because others know them.

use larder_identity::invalid::Invalid;
use larder_identity::password::Password;

use crate::domain::user::{NewUser, User};

/// The names with which a user logs in.
///
/// `Debug` is left out, because the names are personal data.
#[derive(Clone, PartialEq, Eq)]
pub struct OwnNames {
    /// The e-mail address.
    pub email: String,
    /// The user name.
    pub username: String,
    /// The telephone number in E.164 form.
    pub phone: Option<String>,
}

impl OwnNames {
    /// Checks a new password.
    ///
    /// # Errors
    /// The password is the e-mail address, its part before the `@`, the user name or the telephone number; upper and
    /// lower case, and how a number is grouped, make no difference.
    pub fn check(&self, password: &Password) -> Result<(), Invalid> {
        let local = self.email.split('@').next().unwrap_or_default();
        if password.is_same_as(&self.email) || password.is_same_as(local) {
            return Err(Invalid::new("must not be the own e-mail address, nor its part before the @"));
        }
        if password.is_same_as(&self.username) {
            return Err(Invalid::new("must not be the own user name"));
        }
        match &self.phone {
            Some(phone) if password.is_number_of(phone) => {
                Err(Invalid::new("must not be the own telephone number"))
            }
            _ => Ok(()),
        }
    }
}

/// Implements `From<&T> for OwnNames` for each type `T` that has the e-mail address, user name and telephone number of a
/// user.
macro_rules! of_user {
    ($($user:ty),+) => {$(
        impl From<&$user> for OwnNames {
            fn from(user: &$user) -> Self {
                Self {
                    email: user.email.as_str().to_owned(),
                    username: user.username.as_str().to_owned(),
                    phone: user.phone.as_ref().map(|phone| phone.as_str().to_owned()),
                }
            }
        }
    )+};
}

of_user!(User, NewUser);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_of_a_user_is_its_password() {
        let names = OwnNames {
            email: "ada.lovelace@example.com".to_owned(),
            username: "ada-lovelace".to_owned(),
            phone: Some("+12425550123".to_owned()),
        };
        let check = |raw: &str| names.check(&Password::parse(raw).unwrap());
        for own in [
            "Ada.Lovelace@example.com",
            "ADA.LOVELACE",
            "Ada-Lovelace",
            "+12425550123",
            "12425550123",
            "2425550123",
            "(242) 555-0123",
            "0012425550123",
            "+1 242 555.0123",
        ] {
            assert!(check(own).is_err(), "{own}");
        }
        for other in ["ada lovelace 1815", "12425550124", "5550123 and more", "02425550123x"] {
            assert_eq!(check(other), Ok(()), "{other}");
        }
    }
}
