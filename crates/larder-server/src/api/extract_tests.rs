//! Headers as extractors read them.

use super::*;

#[test]
fn json_is_known_by_its_media_type() {
    for good in ["application/json", "Application/JSON; charset=utf-8", "application/merge-patch+json"] {
        assert!(is_json(Some(good)), "{good}");
    }
    for bad in [None, Some(""), Some("text/plain"), Some("text/json"), Some("json")] {
        assert!(!is_json(bad), "{bad:?}");
    }
}

#[test]
fn the_bearer_scheme_is_case_insensitive() {
    assert_eq!(bearer("bearer  abc "), Some("abc"));
    assert_eq!(bearer("Basic abc"), None);
    assert_eq!(bearer("Bearer"), None);
}
