//! Sends mails with tokens, over SMTP or through a webhook of the application.
//!
//! Invariants:
//! - no request waits for a mail, and a fault of a mail fails no request: a mail for which the queue has no room is
//!   dropped and counted;
//! - no mail is sent after its token has expired;
//! - no log line has an e-mail address, a token or a server's text: a mail is logged by the id of its user.

pub mod mailer;
pub mod smtp;
pub mod webhook;

use std::fmt;
use std::time::Duration;

use crate::domain::contact::Email;
use crate::domain::identity::UserId;
use crate::domain::mail::MailPurpose;
use crate::domain::timestamp::Timestamp;
use crate::mail::smtp::{Smtp, SmtpSettings};
use crate::mail::webhook::{Webhook, WebhookSettings};

/// How mails are sent, and what they say.
#[derive(Debug, Clone)]
pub struct MailSettings {
    /// How mails are sent. Default: not at all.
    pub transport: Option<TransportSettings>,
    /// `LARDER_MAIL_RESET_LINK`: the link in a mail that resets a password. Default: none, and the mail has the token.
    pub reset_link: Option<LinkTemplate>,
    /// `LARDER_MAIL_CONFIRM_LINK`: the link in a mail that confirms an address. Default: none, and the mail has the
    /// token.
    pub confirm_link: Option<LinkTemplate>,
    /// `LARDER_MAIL_TOKEN_SECONDS`: how long a token is valid. Default 900.
    pub token_life: Duration,
}

impl Default for MailSettings {
    fn default() -> Self {
        Self {
            transport: None,
            reset_link: None,
            confirm_link: None,
            token_life: Duration::from_secs(15 * 60),
        }
    }
}

/// How mails are sent.
#[derive(Debug, Clone)]
pub enum TransportSettings {
    /// To a mail server.
    Smtp(Box<SmtpSettings>),
    /// To the application, which sends the mail.
    Webhook(Box<WebhookSettings>),
}

/// A link in which `{token}` is replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkTemplate(pub String);

impl LinkTemplate {
    /// The place of the token.
    pub const PLACE: &str = "{token}";

    fn of(&self, token: &str) -> String {
        self.0.replace(Self::PLACE, token)
    }
}

/// A mail to send.
pub struct Mail {
    /// The user.
    pub user_id: UserId,
    /// The user's e-mail address.
    pub to: Email,
    /// What the token allows.
    pub purpose: MailPurpose,
    /// The token.
    pub token: String,
    /// The link with the token, if a template is configured.
    pub link: Option<String>,
    /// When the token expires.
    pub expires_at: Timestamp,
}

impl fmt::Debug for Mail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mail")
            .field("user_id", &self.user_id)
            .field("purpose", &self.purpose)
            .finish_non_exhaustive()
    }
}

/// Why an attempt to send a mail failed, without text of the server, which may repeat the address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// A retry may succeed.
    #[error("{0}")]
    Transient(String),
    /// A retry would fail too.
    #[error("{0}")]
    Permanent(String),
}

/// The open transport.
enum Transport {
    Smtp(Box<Smtp>),
    Webhook(Box<Webhook>),
}

impl Transport {
    fn open(settings: &TransportSettings) -> std::io::Result<Self> {
        Ok(match settings {
            TransportSettings::Smtp(smtp) => Self::Smtp(Box::new(Smtp::open(smtp)?)),
            TransportSettings::Webhook(webhook) => Self::Webhook(Box::new(Webhook::open(webhook)?)),
        })
    }

    /// Sends the mail once. `message` is the same text in every attempt to send this mail.
    async fn send(&self, mail: &Mail, message: &str) -> Result<(), SendError> {
        match self {
            Self::Smtp(smtp) => smtp.send(mail).await,
            Self::Webhook(webhook) => webhook.send(mail, message).await,
        }
    }
}
