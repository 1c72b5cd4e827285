//! The files with passwords and certificates of Redis, and the user of the Sentinels.

use larder::redis_options::RedisOptions;

use crate::settings::bad::BadSetting;
use crate::settings::redis::{
    CA_FILE, CERTIFICATE_FILE, KEY_FILE, PASSWORD, PASSWORD_FILE, SENTINEL_PASSWORD, SENTINEL_PASSWORD_FILE,
    SERVER_NAME,
};
use crate::settings::sources::Sources;

pub(super) const NEEDS_TLS: &str =
    "needs a URL that begins with rediss, rediss-sentinel or rediss-cluster; without a URL, REDIS_TLS=true";

/// Adds the files with passwords and certificates, and the user of the Sentinels. They apply to a URL and to parts.
pub(super) fn with_files(
    sources: &Sources,
    options: RedisOptions,
    is_tls: bool,
) -> Result<RedisOptions, BadSetting> {
    let mut options = options;
    for (secret, file) in [(PASSWORD, PASSWORD_FILE), (SENTINEL_PASSWORD, SENTINEL_PASSWORD_FILE)] {
        if sources.find(secret).is_some() && sources.find(file).is_some() {
            return Err(BadSetting::secret(secret, format!("goes without {file}")));
        }
    }
    for name in [CA_FILE, CERTIFICATE_FILE, KEY_FILE, SERVER_NAME] {
        if !is_tls && let Some(found) = sources.find(name) {
            return Err(BadSetting::new(name, &found.value, NEEDS_TLS));
        }
    }
    if let Some(path) = file(sources, PASSWORD_FILE)? {
        options = options.password_file(path);
    }
    if let Some(found) = sources.find("REDIS_SENTINEL_USERNAME") {
        sources.note(found.name, &found.value, found.origin);
        options = options.sentinel_user(found.value);
    }
    if let Some(found) = sources.find(SENTINEL_PASSWORD) {
        sources.note(found.name, "…", found.origin);
        options = options.sentinel_password(found.value);
    }
    if let Some(path) = file(sources, SENTINEL_PASSWORD_FILE)? {
        options = options.sentinel_password_file(path);
    }
    if let Some(path) = file(sources, CA_FILE)? {
        options = options.ca_file(path);
    }
    options = match (file(sources, CERTIFICATE_FILE)?, file(sources, KEY_FILE)?) {
        (None, None) => options,
        (Some(certificate), Some(key)) => options.client_certificate(certificate, key),
        (Some(path), None) => {
            return Err(BadSetting::new(CERTIFICATE_FILE, &path, format!("needs {KEY_FILE}")));
        }
        (None, Some(path)) => {
            return Err(BadSetting::new(KEY_FILE, &path, format!("needs {CERTIFICATE_FILE}")));
        }
    };
    if let Some(found) = sources.find(SERVER_NAME) {
        sources.note(found.name, &found.value, found.origin);
        options = options.server_name(found.value);
    }
    Ok(options)
}

/// The path of a file that can be read.
fn file(sources: &Sources, name: &'static str) -> Result<Option<String>, BadSetting> {
    let Some(found) = sources.find(name) else { return Ok(None) };
    std::fs::File::open(&found.value)
        .map_err(|error| BadSetting::new(name, &found.value, format!("must be a readable file: {error}")))?;
    sources.note(name, &found.value, found.origin);
    Ok(Some(found.value))
}

pub(super) fn is_tls(url: &str) -> bool {
    let scheme = url.split_once("://").map_or("", |(scheme, _)| scheme).to_ascii_lowercase();
    scheme.starts_with("rediss") || scheme.starts_with("valkeys")
}
