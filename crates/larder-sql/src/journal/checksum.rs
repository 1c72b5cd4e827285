//! The checksum in a trigger's text. With it, an inspection distinguishes a text that a release of larder wrote from
//! one that a person changed later.

use sha2::{Digest as _, Sha256};

const MARK: &str = "\n-- larder ";

/// A line with the digest of `body`, then `body`.
pub(super) fn with_checksum(body: &str) -> String {
    format!("{MARK}{}\n{body}", digest(body))
}

/// Whether this release or another created `text` with [`with_checksum`].
pub(super) fn has_valid_checksum(text: &str) -> bool {
    let Some(rest) = text.strip_prefix(MARK) else { return false };
    rest.split_once('\n').is_some_and(|(checksum, body)| checksum == digest(body))
}

/// Returns 16 hexadecimal digits. They detect a change by mistake, and not one by an attacker.
fn digest(body: &str) -> String {
    Sha256::digest(body.as_bytes())[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_text_has_no_valid_checksum() {
        let text = with_checksum("BEGIN RETURN NULL; END");
        assert!(has_valid_checksum(&text));
        for changed in [
            text.replace("NULL", "OLD"),
            text.replace("larder", "larder "),
            String::new(),
            text[1..].to_owned(),
        ] {
            assert!(!has_valid_checksum(&changed), "{changed}");
        }
    }
}
