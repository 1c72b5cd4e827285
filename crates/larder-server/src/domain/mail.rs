//! What a mail with a token is for.

/// What a token that came by mail allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailPurpose {
    /// Setting a new password.
    PasswordReset,
    /// Proving that the user reads what is sent to its e-mail address.
    EmailConfirm,
}

impl MailPurpose {
    /// The name in the database and in the log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PasswordReset => "password_reset",
            Self::EmailConfirm => "email_confirm",
        }
    }
}
