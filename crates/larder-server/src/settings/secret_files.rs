//! Secrets that are read from files, such as the mounted secrets of Docker, Kubernetes and systemd: the variable's name
//! with `_FILE` at its end names the file.

use crate::settings::bad::BadSetting;
use crate::settings::sources::{SecretFiles, Sources, VARIABLES};

/// The settings that may come from a file, each with the variable that names it. `REDIS_PASSWORD_FILE` and its like are
/// not among them: they are read again at each connection.
const SECRETS: [(&str, &str); 10] = [
    ("DATABASE_DIRECT_URL", "DATABASE_DIRECT_URL_FILE"),
    ("DATABASE_URL", "DATABASE_URL_FILE"),
    ("LARDER_ADMIN_PASSWORD", "LARDER_ADMIN_PASSWORD_FILE"),
    ("LARDER_MAIL_URL", "LARDER_MAIL_URL_FILE"),
    ("LARDER_MAIL_WEBHOOK_SECRET", "LARDER_MAIL_WEBHOOK_SECRET_FILE"),
    ("LARDER_SECRET_KEY", "LARDER_SECRET_KEY_FILE"),
    ("LARDER_SECRET_KEY_OTHER", "LARDER_SECRET_KEY_OTHER_FILE"),
    ("REDIS_PRIVATE_URL", "REDIS_PRIVATE_URL_FILE"),
    ("REDIS_URL", "REDIS_URL_FILE"),
    ("UPSTASH_REDIS_REST_TOKEN", "UPSTASH_REDIS_REST_TOKEN_FILE"),
];

/// Reads the files that are named.
pub(super) fn read(sources: &Sources) -> Result<SecretFiles, BadSetting> {
    debug_assert!(
        SECRETS.iter().all(|(secret, file)| VARIABLES.contains(secret) && VARIABLES.contains(file))
    );
    let mut files = SecretFiles::new();
    for (secret, file) in SECRETS {
        let Some(found) = sources.find(file) else { continue };
        if sources.find(secret).is_some() {
            return Err(BadSetting::secret(secret, format!("goes without {file}")));
        }
        let text = std::fs::read_to_string(&found.value).map_err(|error| {
            BadSetting::new(file, &found.value, format!("must be a readable file: {error}"))
        })?;
        if text.trim().is_empty() {
            return Err(BadSetting::new(file, &found.value, "must not be empty"));
        }
        sources.note(file, found.value, found.origin);
        files.insert(secret, (text, file));
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use crate::settings::Settings;
    use crate::settings::sources::of;

    #[test]
    fn a_secret_may_come_from_a_file_that_a_variable_or_the_configuration_names() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        let path = file.to_str().unwrap();
        std::fs::write(&file, "postgres://u:zqx@h/db\n").unwrap();
        for sources in
            [of(&[("DATABASE_URL_FILE", path)], ""), of(&[], &format!("database_url_file = {path:?}"))]
        {
            let settings = Settings::read(sources.unwrap()).unwrap();
            assert_eq!(settings.database_url, "postgres://u:zqx@h/db");
            let shown = settings.effective.iter().find(|one| one.name == "DATABASE_URL").unwrap();
            assert_eq!(
                (shown.value.as_str(), shown.origin.to_string().as_str()),
                ("postgres://…@h/db", "file of DATABASE_URL_FILE")
            );
            assert!(
                settings.effective.iter().any(|one| one.name == "DATABASE_URL_FILE" && one.value == path)
            );
        }
        std::fs::write(&file, "a long enough password\n").unwrap();
        let settings = Settings::read(of(&[("LARDER_ADMIN_PASSWORD_FILE", path)], "").unwrap()).unwrap();
        assert!(settings.admin.password.is_some());
    }

    #[test]
    fn a_secret_in_two_places_and_a_file_that_cannot_be_read_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let empty = folder.path().join("empty");
        std::fs::write(&empty, "\n").unwrap();
        for (pairs, says) in [
            (
                &[("REDIS_URL", "redis://:zqx@a"), ("REDIS_URL_FILE", "/dev/null")][..],
                "REDIS_URL=…: goes without REDIS_URL_FILE",
            ),
            (
                &[("LARDER_SECRET_KEY_FILE", "/nowhere/key")],
                "LARDER_SECRET_KEY_FILE=\"/nowhere/key\": must be a readable",
            ),
            (&[("LARDER_SECRET_KEY_FILE", empty.to_str().unwrap())], "must not be empty"),
        ] {
            let bad = Settings::read(of(pairs, "").unwrap()).unwrap_err().to_string();
            assert!(bad.contains(says) && !bad.contains("zqx"), "{bad}");
        }
    }
}
