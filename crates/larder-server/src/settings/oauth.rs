//! The settings of access tokens: their issuer and their audience.

use std::net::IpAddr;

use axum::http::Uri;
use larder_identity::tokens::AUDIENCE;

use crate::settings::bad::BadSetting;
use crate::settings::sources::{Found, SettingSource, Sources};

const NAME: &str = "LARDER_ISSUER";
const ISSUER: &str = "must be the service's https address without a slash at its end, a query and a fragment, such as \
                      https://id.example.com; http is allowed for a loopback address";

/// The issuer and the audience that access tokens name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OAuth {
    /// `LARDER_ISSUER`: the service's public address, which tokens name as their issuer. Default: none, and tokens name
    /// the installation.
    pub issuer: Option<String>,
    /// `LARDER_AUDIENCE`: the audience of access tokens. Default `larder`.
    pub audience: String,
}

impl Default for OAuth {
    fn default() -> Self {
        Self { issuer: None, audience: AUDIENCE.to_owned() }
    }
}

/// Reads the settings of access tokens.
pub(super) fn read(sources: &Sources) -> Result<OAuth, BadSetting> {
    let audience = sources.take("LARDER_AUDIENCE", AUDIENCE, |raw| {
        let is_printable = raw.bytes().all(|byte| byte.is_ascii_graphic());
        match (1..=256).contains(&raw.len()) && is_printable {
            true => Ok(raw.to_owned()),
            false => {
                Err("must be 1 to 256 visible ASCII characters, such as https://api.example.com".to_owned())
            }
        }
    })?;
    let Some(Found { value, origin, .. }) = sources.find(NAME) else {
        sources.note(NAME, "urn:larder:<installation>", SettingSource::Default);
        return Ok(OAuth { issuer: None, audience });
    };
    if !is_issuer(&value) {
        return Err(BadSetting::new(NAME, &value, ISSUER));
    }
    sources.note(NAME, value.as_str(), origin);
    Ok(OAuth { issuer: Some(value), audience })
}

/// Checks that the issuer ends with the prefix of all paths, because tokens and the discovery document name addresses
/// below the issuer. A front proxy may add a path of its own before the prefix; it may not remove the prefix.
pub(super) fn check_base_path(oauth: &OAuth, base_path: &str) -> Result<(), BadSetting> {
    let Some(issuer) = &oauth.issuer else { return Ok(()) };
    let path = issuer.parse::<Uri>().map(|uri| uri.path().to_owned()).unwrap_or_default();
    match path.ends_with(base_path) {
        true => Ok(()),
        false => {
            let expected = format!("must end with LARDER_BASE_PATH, which is {base_path}");
            Err(BadSetting::new(NAME, issuer, expected))
        }
    }
}

/// Whether this is an issuer as RFC 8414 requires: an https URL without query and fragment. Clients compare issuers
/// byte by byte, so only one spelling of an address is accepted.
fn is_issuer(raw: &str) -> bool {
    let Ok(uri) = raw.parse::<Uri>() else { return false };
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else { return false };
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    let is_loopback =
        host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    (scheme == "https" || (scheme == "http" && is_loopback))
        && !host.is_empty()
        && !raw.ends_with('/')
        && !raw.contains(['?', '#', '@'])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::sources::of;

    fn read(name: &str, value: &str) -> Result<OAuth, BadSetting> {
        super::read(&of(&[(name, value)], "")?)
    }

    #[test]
    fn an_issuer_is_an_https_address_in_one_form() {
        assert_eq!(read(NAME, "").unwrap(), OAuth::default());
        for good in [
            "https://id.example.com",
            "https://a/b",
            "http://127.0.0.1:80",
            "http://[::1]:1",
            "http://localhost:1",
        ] {
            assert_eq!(read(NAME, good).unwrap().issuer.as_deref(), Some(good));
        }
        for bad in [
            "http://id.example.com",
            "https://a/",
            "https://a?b",
            "https://a#b",
            "https://u@a",
            "id.example.com",
            "urn:larder",
        ] {
            let error = read(NAME, bad).unwrap_err().to_string();
            assert!(error.contains(NAME) && error.contains("https address"), "{error}");
        }
        assert!(read("LARDER_AUDIENCE", "a b").is_err());
        assert_eq!(read("LARDER_AUDIENCE", "https://api").unwrap().audience, "https://api");
    }
}
