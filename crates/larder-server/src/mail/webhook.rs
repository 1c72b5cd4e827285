//! Sends mails to the application, which sends them on. Messages and signatures are those of Standard Webhooks.

use std::fmt;

use axum::body::Bytes;
use axum::http::{Request, StatusCode, Uri, header};
use http_body_util::Full;
use larder_identity::webhook::WebhookSecret;
use serde_json::json;

use crate::domain::mail::MailPurpose;
use crate::domain::timestamp::Timestamp;
use crate::http_client::HttpClient;
use crate::mail::{Mail, SendError};

/// The webhook of the program that sends the mails for the service: its URL, and the secret that signs messages to it.
#[derive(Clone)]
pub struct WebhookSettings {
    /// `LARDER_MAIL_WEBHOOK_URL`: an https URL, or an http one on a loopback address.
    pub url: Uri,
    /// `LARDER_MAIL_WEBHOOK_SECRET`: the secret that signs the messages.
    pub secret: WebhookSecret,
}

impl fmt::Debug for WebhookSettings {
    /// The path and the query may hold a secret, so they are left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookSettings").field("host", &self.url.host()).finish_non_exhaustive()
    }
}

/// The open transport. It follows no redirect.
pub(super) struct Webhook {
    settings: WebhookSettings,
    client: HttpClient,
}

impl Webhook {
    /// Prepares the transport; it connects with the first message.
    pub(super) fn open(settings: &WebhookSettings) -> std::io::Result<Self> {
        let client = HttpClient::open(settings.url.scheme_str().unwrap_or_default())?;
        Ok(Self { settings: settings.clone(), client })
    }

    /// Sends the mail. The receiver recognises a repeated message by the id `message`.
    pub(super) async fn send(&self, mail: &Mail, message: &str) -> Result<(), SendError> {
        let unbuilt = |_| SendError::Permanent("the message cannot be built".to_owned());
        let answer = self.client.request(self.request(mail, message).map_err(unbuilt)?).await;
        let answer = answer.map_err(|_| SendError::Transient("the webhook cannot be reached".to_owned()))?;
        let status = answer.status();
        let what = format!("the webhook answered {}", status.as_u16());
        // These statuses are temporary: a receiver that is being deployed, or that limits its callers, accepts a later
        // attempt.
        let temporary = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_EARLY, StatusCode::TOO_MANY_REQUESTS];
        match status {
            _ if status.is_success() => Ok(()),
            _ if status.is_client_error() && !temporary.contains(&status) => Err(SendError::Permanent(what)),
            _ => Err(SendError::Transient(what)),
        }
    }

    fn request(&self, mail: &Mail, message: &str) -> Result<Request<Full<Bytes>>, axum::http::Error> {
        let now = Timestamp::now();
        let kind = match mail.purpose {
            MailPurpose::PasswordReset => "password.reset",
            MailPurpose::EmailConfirm => "email.confirm",
        };
        let body = json!({
            "type": kind,
            "timestamp": now,
            "data": {
                "user_id": mail.user_id,
                "email": mail.to,
                "token": mail.token,
                "link": mail.link,
                "expires_at": mail.expires_at,
            },
        });
        let body = body.to_string();
        let seconds = now.as_micros().unsigned_abs() / 1_000_000;
        Request::post(self.settings.url.clone())
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::USER_AGENT, concat!("larder/", env!("CARGO_PKG_VERSION")))
            .header("webhook-id", message)
            .header("webhook-timestamp", seconds)
            .header("webhook-signature", self.settings.secret.signature(message, seconds, body.as_bytes()))
            .body(Full::new(body.into()))
    }
}
