//! Sends mails to a mail server.

use std::time::Duration;

use lettre::message::Mailbox;
use lettre::message::header::{ContentType, Header, HeaderName, HeaderValue};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::{Address, AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};

use crate::domain::mail::MailPurpose;
use crate::mail::{Mail, SendError};

/// The time-out of one command of SMTP; without it a server that hangs would keep its place among the attempts.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(10);

/// How a mail server is reached. The `Debug` form of the credentials shows neither the user name nor the password.
#[derive(Debug, Clone)]
pub struct SmtpSettings {
    /// The server's name or address.
    pub host: String,
    /// The server's port.
    pub port: u16,
    /// How the connection is encrypted.
    pub encryption: Encryption,
    /// The user name and the password, if the server needs them.
    pub credentials: Option<Credentials>,
    /// `LARDER_MAIL_FROM`: the sender.
    pub from: Mailbox,
}

/// How a connection to a mail server is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encryption {
    /// From its first byte.
    Tls,
    /// By STARTTLS. If the server does not offer it, nothing is sent.
    StartTls,
    /// Not at all.
    None,
}

/// The open transport. Each mail has a connection of its own, because mails are rare.
pub(super) struct Smtp {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

/// Asks other programs not to answer (RFC 3834).
#[derive(Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

impl Smtp {
    /// Prepares the transport; it connects with the first mail.
    pub(super) fn open(settings: &SmtpSettings) -> std::io::Result<Self> {
        let tls = || TlsParameters::new(settings.host.clone()).map_err(std::io::Error::other);
        let tls = match settings.encryption {
            Encryption::Tls => Tls::Wrapper(tls()?),
            Encryption::StartTls => Tls::Required(tls()?),
            Encryption::None => Tls::None,
        };
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&settings.host)
            .port(settings.port)
            .tls(tls)
            .timeout(Some(COMMAND_TIMEOUT));
        if let Some(credentials) = &settings.credentials {
            builder = builder.credentials(credentials.clone());
        }
        Ok(Self { transport: builder.build(), from: settings.from.clone() })
    }

    pub(super) async fn send(&self, mail: &Mail) -> Result<(), SendError> {
        let message = self.message(mail)?;
        let sent = self.transport.send(message).await;
        sent.map(drop).map_err(|error| {
            let status = error.status().map(u16::from);
            let what = match status {
                Some(status) => format!("the mail server answered {status}"),
                None if error.is_timeout() => "the mail server does not answer in time".to_owned(),
                None if error.is_tls() => "the connection to the mail server cannot be encrypted".to_owned(),
                None if error.is_client() => "the mail server does not offer what is configured".to_owned(),
                None => "the mail server cannot be reached".to_owned(),
            };
            if error.is_permanent() { SendError::Permanent(what) } else { SendError::Transient(what) }
        })
    }

    fn message(&self, mail: &Mail) -> Result<Message, SendError> {
        let unusable = |_| SendError::Permanent("the address cannot be used in a mail".to_owned());
        let to: Address = mail.to.as_str().parse().map_err(unusable)?;
        let (subject, text) = text(mail);
        Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to))
            .subject(subject)
            .header(AutoSubmitted)
            .header(ContentType::TEXT_PLAIN)
            .body(text)
            .map_err(|_| SendError::Permanent("the mail cannot be built".to_owned()))
    }
}

/// The subject and the text. They repeat nothing that a user has set, so that no other user can put words into them.
fn text(mail: &Mail) -> (&'static str, String) {
    let (subject, does, unasked) = match mail.purpose {
        MailPurpose::PasswordReset => (
            "Reset your password",
            "set a new password",
            "If you did not ask for this, ignore this mail: your password stays as it is.",
        ),
        MailPurpose::EmailConfirm => (
            "Confirm your e-mail address",
            "confirm this e-mail address",
            "If you did not ask for this, ignore this mail.",
        ),
    };
    let how = match &mail.link {
        Some(link) => format!("To {does}, open this link:\r\n\r\n{link}\r\n"),
        None => format!("To {does}, enter this code:\r\n\r\n{}\r\n", mail.token),
    };
    let until = mail.expires_at;
    (subject, format!("{how}\r\nIt works once, until {until} (UTC).\r\n\r\n{unasked}\r\n"))
}
