//! The settings of HTTP: which origins may read answers in a browser, and the prefix of all paths.

use axum::http::{HeaderValue, Uri};

use crate::settings::bad::BadSetting;
use crate::settings::sources::Sources;

const ORIGINS: &str =
    "must be *, or origins with commas between them, such as https://app.example.com,http://localhost:5173";
const BASE: &str =
    "must begin with a slash and not end with one, of letters, digits and . _ ~ -, such as /larder";

/// The settings of HTTP.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Http {
    /// `LARDER_CORS_ORIGINS`: the origins whose pages may read answers. Default none.
    pub cors_origins: Origins,
    /// `LARDER_BASE_PATH`: the prefix of all paths. Default none.
    pub base_path: String,
}

/// The origins whose pages may read answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origins {
    /// These origins.
    List(Vec<HeaderValue>),
    /// All origins.
    Any,
}

impl Default for Origins {
    fn default() -> Self {
        Self::List(Vec::new())
    }
}

/// Reads the settings of HTTP.
pub(super) fn read(sources: &Sources) -> Result<Http, BadSetting> {
    Ok(Http {
        cors_origins: sources
            .take("LARDER_CORS_ORIGINS", "", |raw| origins(raw).ok_or_else(|| ORIGINS.to_owned()))?,
        base_path: base_path(sources)?,
    })
}

/// Reads `LARDER_BASE_PATH`.
pub(super) fn base_path(sources: &Sources) -> Result<String, BadSetting> {
    sources.take("LARDER_BASE_PATH", "", |raw| checked_path(raw).ok_or_else(|| BASE.to_owned()))
}

fn origins(raw: &str) -> Option<Origins> {
    if raw.trim() == "*" {
        return Some(Origins::Any);
    }
    let entries = raw.split(',').map(str::trim).filter(|entry| !entry.is_empty());
    entries.map(origin).collect::<Option<_>>().map(Origins::List)
}

/// Checks an origin: a scheme, a host and perhaps a port, spelled as browsers send it in `Origin`, in lower case and
/// without the default port.
fn origin(raw: &str) -> Option<HeaderValue> {
    let uri: Uri = raw.parse().ok()?;
    let (scheme, authority) = (uri.scheme_str()?, uri.authority()?);
    let own_port = if scheme == "https" { 443 } else { 80 };
    let host = authority.host();
    let plain = match authority.port_u16() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    };
    let is_origin = ["http", "https"].contains(&scheme)
        && raw == format!("{scheme}://{authority}")
        && !host.is_empty()
        && authority.as_str() == plain
        // `Uri` takes characters that no host has, such as `*`: as an entry of a list it would match no origin.
        && authority.as_str().bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte))
        && authority.port_u16() != Some(own_port)
        && authority.as_str() == authority.as_str().to_ascii_lowercase();
    is_origin.then(|| HeaderValue::from_str(raw).ok()).flatten()
}

fn checked_path(raw: &str) -> Option<String> {
    let raw = raw.trim();
    let segment = |segment: &str| {
        !["", ".", ".."].contains(&segment)
            && segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._~-".contains(&byte))
    };
    let is_path = raw.is_empty() || raw.strip_prefix('/').is_some_and(|rest| rest.split('/').all(segment));
    is_path.then(|| raw.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::sources::of;

    fn read(name: &str, value: &str) -> Result<Http, BadSetting> {
        super::read(&of(&[(name, value)], "")?)
    }

    #[test]
    fn origins_are_a_list_or_all() {
        assert_eq!(read("LARDER_CORS_ORIGINS", "").unwrap(), Http::default());
        assert_eq!(read("LARDER_CORS_ORIGINS", " * ").unwrap().cors_origins, Origins::Any);
        let two = read("LARDER_CORS_ORIGINS", "https://a.example, http://localhost:5173").unwrap();
        let Origins::List(two) = two.cors_origins else { panic!("{two:?}") };
        assert_eq!(two, ["https://a.example", "http://localhost:5173"]);
        for bad in [
            "a.example",
            "https://*.example",
            "https://:8443",
            "https://a.example:",
            "https://a.example:08443",
            "https://a.example:99999",
            "https://user@a.example",
            "https://a.example/",
            "https://A.example",
            "https://a.example:443",
            "null",
            "ftp://a",
        ] {
            let error = read("LARDER_CORS_ORIGINS", bad).unwrap_err().to_string();
            assert!(error.contains("LARDER_CORS_ORIGINS") && error.contains("https://app"), "{error}");
        }
    }

    #[test]
    fn a_base_path_is_one_or_more_segments() {
        for good in ["", "/larder", "/a/b.c-d_~"] {
            assert_eq!(read("LARDER_BASE_PATH", good).unwrap().base_path, good);
        }
        for bad in ["larder", "/", "/a/", "/a//b", "/a/../b", "/a?b", "/ä"] {
            assert!(read("LARDER_BASE_PATH", bad).is_err(), "{bad}");
        }
    }
}
