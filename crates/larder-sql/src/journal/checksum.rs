//! The seal of a trigger: a digest of its own text, by which an inspection tells what a release of larder wrote from what was
//! changed by hand since.

use sha2::{Digest as _, Sha256};

const MARK: &str = "\n-- larder ";

/// `body` behind a line that holds its digest.
pub(super) fn with_checksum(body: &str) -> String {
    format!("{MARK}{}\n{body}", digest(body))
}

/// Whether `text` is what [`sealed`] returned, in this release or in another.
pub(super) fn has_valid_checksum(text: &str) -> bool {
    let Some(sealed) = text.strip_prefix(MARK) else { return false };
    sealed.split_once('\n').is_some_and(|(seal, body)| seal == digest(body))
}

/// Sixteen hexadecimal digits: it guards against mistakes, not against malice.
fn digest(body: &str) -> String {
    Sha256::digest(body.as_bytes())[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_was_changed_is_not_sealed() {
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
