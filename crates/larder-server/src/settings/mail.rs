//! The settings of mails: a mail server or a webhook, and the links.

use std::net::IpAddr;
use std::time::Duration;

use axum::http::Uri;
use larder_identity::webhook::WebhookSecret;
use lettre::message::Mailbox;
use lettre::transport::smtp::authentication::Credentials;
use percent_encoding::percent_decode_str;
use url::{Host, Url};

use crate::mail::smtp::{Encryption, SmtpSettings};
use crate::mail::webhook::WebhookSettings;
use crate::mail::{LinkTemplate, MailSettings, TransportSettings};
use crate::settings::bad::BadSetting;
use crate::settings::redact;
use crate::settings::sources::{Found, SettingSource, Sources};

const URL: &str = "LARDER_MAIL_URL";
const PASSWORD_FILE: &str = "LARDER_MAIL_PASSWORD_FILE";
const FROM: &str = "LARDER_MAIL_FROM";
const WEBHOOK_URL: &str = "LARDER_MAIL_WEBHOOK_URL";
const WEBHOOK_SECRET: &str = "LARDER_MAIL_WEBHOOK_SECRET";

const SMTP_FORM: &str = "must be smtp://host or smtps://host, with a port, a user and a password if they are needed, \
                         such as smtp://larder:secret@mail.example.com:587; smtp uses STARTTLS unless the host is a \
                         loopback address or the URL ends with ?tls=none; ?tls=required asks for it there too";
const WEBHOOK_FORM: &str = "must be an https URL, or an http URL of a loopback address, without user, password and \
                            fragment";
const LINK_FORM: &str = "must be an https URL, or an http URL of a loopback address, with {token} once, such as \
                         https://app.example.com/reset#token={token}";

/// Reads the settings of mails.
pub(super) fn read(sources: &Sources) -> Result<MailSettings, BadSetting> {
    let defaults = MailSettings::default();
    let (smtp, webhook) = (smtp(sources)?, webhook(sources)?);
    let transport = match (smtp, webhook) {
        (Some(_), Some(_)) => {
            return Err(BadSetting::secret(WEBHOOK_URL, format!("goes without {URL}; set one of them")));
        }
        (Some(smtp), None) => Some(TransportSettings::Smtp(Box::new(smtp))),
        (None, Some(webhook)) => Some(TransportSettings::Webhook(Box::new(webhook))),
        (None, None) => None,
    };
    let link = |name| {
        sources.take(name, "", |raw| match raw.trim() {
            "" => Ok(None),
            raw if is_link(raw) => Ok(Some(LinkTemplate(raw.to_owned()))),
            _ => Err(LINK_FORM.to_owned()),
        })
    };
    let (reset_link, confirm_link) = (link("LARDER_MAIL_RESET_LINK")?, link("LARDER_MAIL_CONFIRM_LINK")?);
    let life = defaults.token_life.as_secs().to_string();
    let token_life = sources.take("LARDER_MAIL_TOKEN_SECONDS", &life, |raw| match raw.trim().parse() {
        Ok(seconds) if (60..=3600).contains(&seconds) => Ok(Duration::from_secs(seconds)),
        _ => Err("must be an integer from 60 to 3600".to_owned()),
    })?;
    Ok(MailSettings { transport, reset_link, confirm_link, token_life })
}

fn smtp(sources: &Sources) -> Result<Option<SmtpSettings>, BadSetting> {
    let from = sources.find(FROM);
    let file = sources.find(PASSWORD_FILE);
    let Some(Found { value, origin, .. }) = sources.find(URL) else {
        if let Some(unused) = from.or(file) {
            return Err(BadSetting::secret(unused.name, format!("goes with {URL}, which is not set")));
        }
        for name in [URL, FROM, PASSWORD_FILE] {
            sources.note(name, "none", SettingSource::Default);
        }
        return Ok(None);
    };
    let bad = |allowed: &str| BadSetting::url(URL, &value, allowed);
    let url = Url::parse(value.trim()).map_err(|_| bad(SMTP_FORM))?;
    let host = url.host_str().filter(|host| !host.is_empty()).ok_or_else(|| bad(SMTP_FORM))?;
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let encryption = match (url.scheme(), url.query()) {
        ("smtps", None) => Encryption::Tls,
        ("smtp", None) if is_loopback(&host) => Encryption::None,
        ("smtp", Some("tls=none")) => Encryption::None,
        ("smtp", None | Some("tls=required")) => Encryption::StartTls,
        _ => return Err(bad(SMTP_FORM)),
    };
    if !matches!(url.path(), "" | "/") || url.fragment().is_some() {
        return Err(bad(SMTP_FORM));
    }
    let credentials = credentials(&url, &value, file, sources)?;
    if credentials.is_some() && encryption == Encryption::None && !is_loopback(&host) {
        return Err(bad("would send the password unencrypted; leave ?tls=none out"));
    }
    let port = url.port().unwrap_or(match encryption {
        Encryption::Tls => 465,
        Encryption::StartTls => 587,
        Encryption::None => 25,
    });
    sources.note(URL, redact::url(&value), origin);
    let Found { value: sender, origin, .. } =
        from.ok_or_else(|| BadSetting::new(FROM, "", format!("is needed with {URL}: the sender's address")))?;
    let from: Mailbox = sender.trim().parse().map_err(|_| {
        BadSetting::new(FROM, &sender, "must be an address, such as Example <no-reply@example.com>")
    })?;
    sources.note(FROM, sender, origin);
    Ok(Some(SmtpSettings { host, port, encryption, credentials, from }))
}

/// The user and the password of the URL. A password from a file counts if the URL has none.
fn credentials(
    url: &Url,
    value: &str,
    file: Option<Found>,
    sources: &Sources,
) -> Result<Option<Credentials>, BadSetting> {
    let decoded = |text: &str| percent_decode_str(text).decode_utf8().map(|text| text.into_owned());
    let user = decoded(url.username()).map_err(|_| BadSetting::url(URL, value, SMTP_FORM))?;
    let password = url.password().map(decoded).transpose();
    let password = password.map_err(|_| BadSetting::url(URL, value, SMTP_FORM))?;
    let password = match (password, file) {
        (Some(_), Some(_)) => {
            return Err(BadSetting::secret(PASSWORD_FILE, format!("goes without a password in {URL}")));
        }
        (None, Some(Found { value: path, origin, .. })) => {
            let text = std::fs::read_to_string(&path).map_err(|error| {
                BadSetting::new(PASSWORD_FILE, &path, format!("must be a readable file: {error}"))
            })?;
            sources.note(PASSWORD_FILE, path, origin);
            Some(text.trim_end_matches(['\r', '\n']).to_owned())
        }
        (password, None) => {
            sources.note(PASSWORD_FILE, "none", SettingSource::Default);
            password
        }
    };
    match (user.is_empty(), password) {
        (true, None) => Ok(None),
        (false, Some(password)) => Ok(Some(Credentials::new(user, password))),
        (true, Some(_)) => Err(BadSetting::url(URL, value, "has a password and no user")),
        (false, None) => Err(BadSetting::url(
            URL,
            value,
            format!("has a user and no password; it may be in the URL or in {PASSWORD_FILE}"),
        )),
    }
}

fn webhook(sources: &Sources) -> Result<Option<WebhookSettings>, BadSetting> {
    let secret = sources.find(WEBHOOK_SECRET);
    let Some(Found { value, origin, .. }) = sources.find(WEBHOOK_URL) else {
        if secret.is_some() {
            let allowed = format!("goes with {WEBHOOK_URL}, which is not set");
            return Err(BadSetting::secret(WEBHOOK_SECRET, allowed));
        }
        sources.note(WEBHOOK_URL, "none", SettingSource::Default);
        sources.note(WEBHOOK_SECRET, "none", SettingSource::Default);
        return Ok(None);
    };
    let raw = value.trim();
    let url = raw.parse::<Uri>().ok().filter(|_| is_safe(raw) && !raw.contains('#'));
    let url = url.ok_or_else(|| BadSetting::url(WEBHOOK_URL, &value, WEBHOOK_FORM))?;
    sources.note(WEBHOOK_URL, redact::url(&value), origin);
    let Some(Found { value: secret, origin, .. }) = secret else {
        return Err(BadSetting::secret(WEBHOOK_SECRET, format!("is needed with {WEBHOOK_URL}")));
    };
    let secret = WebhookSecret::parse(secret.trim())
        .map_err(|invalid| BadSetting::secret(WEBHOOK_SECRET, invalid.message()))?;
    sources.note(WEBHOOK_SECRET, "…", origin);
    Ok(Some(WebhookSettings { url, secret }))
}

fn is_link(raw: &str) -> bool {
    let with_token = raw.replace(LinkTemplate::PLACE, "token");
    raw.matches(LinkTemplate::PLACE).count() == 1
        && !raw.contains(|letter: char| letter.is_whitespace() || letter.is_control())
        && is_safe(&with_token)
}

/// Whether a secret may be sent to this URL: it is encrypted, or does not leave the machine.
fn is_safe(raw: &str) -> bool {
    let Ok(url) = Url::parse(raw) else { return false };
    let is_local = url.scheme() == "http" && url.host_str().is_some_and(is_loopback);
    (url.scheme() == "https" || is_local)
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let address = bare.parse::<IpAddr>().ok();
    let parsed = || match Host::parse(host) {
        Ok(Host::Domain(name)) => name == "localhost",
        _ => false,
    };
    address.map_or_else(parsed, |address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::sources::of;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    fn smtp(url: &str) -> Result<SmtpSettings, BadSetting> {
        let sources = of(&[(URL, url), (FROM, "Larder <no-reply@example.com>")], "")?;
        match read(&sources)?.transport {
            Some(TransportSettings::Smtp(smtp)) => Ok(*smtp),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_mail_server_is_encrypted_unless_it_is_near_or_the_url_says_otherwise() {
        for (url, host, port, encryption) in [
            ("smtp://mail.example.com", "mail.example.com", 587, Encryption::StartTls),
            ("smtp://mail.example.com:2525?tls=none", "mail.example.com", 2525, Encryption::None),
            ("smtps://mail.example.com", "mail.example.com", 465, Encryption::Tls),
            ("smtp://127.0.0.1", "127.0.0.1", 25, Encryption::None),
            ("smtp://localhost:1025/", "localhost", 1025, Encryption::None),
            ("smtp://[::1]", "::1", 25, Encryption::None),
            ("smtp://localhost?tls=required", "localhost", 587, Encryption::StartTls),
        ] {
            let read = smtp(url).unwrap();
            assert_eq!((read.host.as_str(), read.port, read.encryption), (host, port, encryption), "{url}");
            assert!(read.credentials.is_none());
        }
        let read = smtp("smtp://larder:p%40zqx@mail.example.com").unwrap();
        assert!(read.credentials == Some(Credentials::new("larder".to_owned(), "p@zqx".to_owned())));
        assert!(!format!("{read:?}").contains("zqx"));
    }

    #[test]
    fn bad_mail_settings_are_named_and_secrets_never_shown() {
        for url in [
            "mail.example.com",
            "http://mail.example.com",
            "smtp://",
            "smtp://h/path",
            "smtp://h?tls=maybe",
            "smtps://h?tls=none",
            "smtp://larder@h",
            "smtp://:zqxpass@h",
            "smtp://larder:zqxpass@h?tls=none",
        ] {
            let error = smtp(url).unwrap_err().to_string();
            assert!(error.starts_with(URL) && !error.contains("zqxpass"), "{error}");
        }
        for (pairs, name, says) in [
            (vec![(URL, "smtp://localhost")], FROM, "is needed"),
            (vec![(URL, "smtp://localhost"), (FROM, "nobody")], FROM, "must be an address"),
            (vec![(FROM, "a@b.example")], FROM, "goes with LARDER_MAIL_URL"),
            (vec![(PASSWORD_FILE, "x")], PASSWORD_FILE, "goes with LARDER_MAIL_URL"),
            (vec![(WEBHOOK_SECRET, SECRET)], WEBHOOK_SECRET, "goes with LARDER_MAIL_WEBHOOK_URL"),
            (vec![(WEBHOOK_URL, "https://a.example")], WEBHOOK_SECRET, "is needed"),
            (vec![(WEBHOOK_URL, "http://a.example")], WEBHOOK_URL, "https URL"),
            (vec![(WEBHOOK_URL, "https://u:zqxpass@a.example")], WEBHOOK_URL, "without user"),
            (
                vec![(WEBHOOK_URL, "https://a.example"), (WEBHOOK_SECRET, "zqxpass")],
                WEBHOOK_SECRET,
                "24 to 64 random bytes",
            ),
            (
                vec![
                    (WEBHOOK_URL, "https://a.example"),
                    (WEBHOOK_SECRET, SECRET),
                    (URL, "smtp://localhost"),
                    (FROM, "a@b.example"),
                ],
                WEBHOOK_URL,
                "set one of them",
            ),
            (vec![("LARDER_MAIL_TOKEN_SECONDS", "59")], "LARDER_MAIL_TOKEN_SECONDS", "60 to 3600"),
        ] {
            let error = read(&of(&pairs, "").unwrap()).unwrap_err().to_string();
            assert!(error.starts_with(name) && error.contains(says), "{error}");
            assert!(!error.contains("zqxpass") && !error.contains(SECRET), "{error}");
        }
    }

    #[test]
    fn a_link_has_the_token_once_and_is_encrypted_or_near() {
        let link = |value| read(&of(&[("LARDER_MAIL_RESET_LINK", value)], "").unwrap());
        for good in
            ["https://a.example/reset#t={token}", "http://localhost:3000/{token}", "https://a?x={token}&y=1"]
        {
            assert_eq!(link(good).unwrap().reset_link, Some(LinkTemplate(good.to_owned())));
        }
        for bad in [
            "https://a.example",
            "http://a.example/{token}",
            "https://a/{token}{token}",
            "javascript:{token}",
            "{token}",
            "https://a/ {token}",
        ] {
            assert!(link(bad).unwrap_err().to_string().contains("{token} once"), "{bad}");
        }
        assert_eq!(link("").unwrap().token_life, Duration::from_secs(900));
    }
}
