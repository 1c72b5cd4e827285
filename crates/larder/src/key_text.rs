//! Translates the bytes of a key into its class and parts. Also translates a touch (one item that a change names in the
//! journal) into a key, a tag or a pattern.

use bytes::Bytes;

use crate::error::Error;
use crate::journal::Touch;
use crate::key::{Key, KeyParts, Namespace};
use crate::pattern::Pattern;
use crate::protocol::tag::TagKey;

/// What a touch names, as a key, tag or pattern of this namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Key(Bytes),
    Tag(TagKey),
    Matching(Pattern),
    Everything,
}

impl Namespace {
    /// Translates `touch` into a key, tag or pattern.
    pub(crate) fn target(&self, touch: &Touch) -> Result<Target, Error> {
        Ok(match touch {
            Touch::Entry { class, parts } => {
                let key = self.class_prefix(class)?.key(&RawParts(parts));
                Target::Key(Bytes::copy_from_slice(&key))
            }
            Touch::Tag(tag) => Target::Tag(self.tag_key(tag)),
            Touch::Matching(pattern) => Target::Matching(Pattern::parse(pattern)?),
            Touch::Everything => Target::Everything,
        })
    }

    /// The touch that names this entry; `None` if `key` is not an entry's key.
    pub(crate) fn touch_of(&self, key: &[u8]) -> Option<Touch> {
        let mut words = self.words(key)?;
        let class = words.next()??;
        Some(Touch::Entry { class, parts: words.collect() })
    }

    /// Whether `key` is the key of an entry that `pattern` matches.
    pub(crate) fn matches_key(&self, pattern: &Pattern, key: &[u8]) -> bool {
        self.key_text(key).is_some_and(|text| pattern.matches(&text))
    }

    /// The text of an entry's key, `class:part:part`; `None` if `key` is not an entry's key.
    pub(crate) fn key_text(&self, key: &[u8]) -> Option<String> {
        let words = self.words(key)?.map(|word| word.unwrap_or_else(|| "~".to_owned()));
        Some(words.collect::<Vec<String>>().join(":"))
    }

    /// The class of an entry's key; `None` if `key` is not an entry's key.
    pub(crate) fn class_of(&self, key: &[u8]) -> Option<String> {
        self.words(key)?.next()?
    }

    /// The name of a tag.
    pub(crate) fn tag_name(&self, tag: &TagKey) -> String {
        let tag = tag.without_slot_range();
        let text = String::from_utf8_lossy(tag.as_bytes());
        let name = text.split_once(":#").map_or("", |(_, name)| name);
        decoded(name).unwrap_or_default()
    }

    /// The class and the parts of an entry's key, decoded; a missing part is `None`.
    fn words<'a>(&self, key: &'a [u8]) -> Option<impl Iterator<Item = Option<String>> + 'a> {
        let text = std::str::from_utf8(key).ok()?.strip_prefix(self.as_str())?.strip_prefix(':')?;
        // The key of a tag begins with `#`, that of a refresh with `!`; a class's name never contains them unencoded.
        let is_entry = !text.starts_with(['#', '!']) && !self.reserves(key);
        is_entry.then(|| text.split(':').map(decoded))
    }
}

/// The parts of a key whose type is unknown here.
struct RawParts<'a>(&'a [Option<String>]);

impl Key for RawParts<'_> {
    fn parts(&self, parts: &mut KeyParts<'_>) {
        self.0.iter().for_each(|part| parts.push_option(part.as_deref()));
    }

    fn with_key<R>(&self, f: impl FnOnce(&Self) -> R) -> R {
        f(self)
    }
}

/// Decodes `word`; `None` for `~`, which means a missing part.
fn decoded(word: &str) -> Option<String> {
    if word == "~" {
        return None;
    }
    let mut bytes = Vec::with_capacity(word.len());
    let mut rest = word.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte == b'%'
            && let Some((hex, after)) = rest.split_at_checked(2)
            && let Some(byte) = std::str::from_utf8(hex).ok().and_then(|hex| u8::from_str_radix(hex, 16).ok())
        {
            bytes.push(byte);
            rest = after;
        } else {
            bytes.push(byte);
        }
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn namespace() -> Namespace {
        Namespace::parse("ns").unwrap()
    }

    fn key(touch: &Touch) -> Bytes {
        match namespace().target(touch).unwrap() {
            Target::Key(key) => key,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_touch_and_a_typed_key_give_the_same_key() {
        let typed = namespace().class_prefix("user_list").unwrap().key::<(String, u32)>(&("admin", 3_u32));
        assert_eq!(key(&Touch::entry("user_list", ["admin", "3"])), &typed[..]);
        let single = namespace().class_prefix("settings").unwrap().key::<()>(&());
        assert_eq!(key(&Touch::entry("settings", [] as [&str; 0])), &single[..]);
        let missing = Touch::Entry { class: "pages".to_owned(), parts: vec![None, Some(String::new())] };
        assert_eq!(key(&missing), "ns:pages:~:");
        assert!(namespace().target(&Touch::entry("", ["x"])).is_err());
    }

    #[test]
    fn a_pattern_matches_the_text_of_an_entry() {
        let means = |pattern: &str, touch: &Touch| {
            namespace().matches_key(&Pattern::parse(pattern).unwrap(), &key(touch))
        };
        let ada = Touch::entry("user_email", ["ada lovelace@example.com"]);
        assert!(means("user_email:ada *", &ada) && means("user_email*", &ada) && means("*", &ada));
        assert!(!means("user_emails*", &ada));
        for reserved in ["ns:#users", "ns:@live", "other:user:1"] {
            assert!(
                !namespace().matches_key(&Pattern::parse("*").unwrap(), reserved.as_bytes()),
                "{reserved}"
            );
        }
    }

    proptest! {
        #[test]
        fn every_tag_reads_back_as_it_is_named(tag in "\\PC{0,20}") {
            prop_assert_eq!(namespace().tag_name(&namespace().tag_key(&tag)), tag);
        }

        #[test]
        fn every_key_reads_back_as_what_it_names(class in "\\PC{1,20}", parts in any::<Vec<Option<String>>>()) {
            prop_assume!(!parts.is_empty());
            let touch = Touch::Entry { class, parts };
            prop_assert_eq!(namespace().touch_of(&key(&touch)), Some(touch));
        }

        #[test]
        fn hostile_keys_never_panic(key in any::<Vec<u8>>()) {
            let _ = namespace().touch_of(&key);
            let _ = namespace().touch_of(format!("ns:{}", String::from_utf8_lossy(&key)).as_bytes());
        }
    }
}
