//! One grammar for every key: the namespace, the class, then the encoded parts, so that no input can spell the key of
//! another entry. In Redis the identity of the database follows the namespace; see `remote::redis::prefix`.
//!
//! ```text
//! hotel:user_details:0198c0de-…      an entry of class `user_details` in namespace `hotel`
//! hotel:#user_list                   the token of a tag; every class has one of its own name
//! hotel:#user_list{…}                in a Redis Cluster: the token for the entries in one slot range; see `protocol::slots`
//! hotel:!user_details:0198c0de-…     the lease of a load that is to replace this entry
//! hotel:@live                        the certificate; `@wm` and `@pos` are the relay's, and without a journal `@wm` says that this Redis is used
//! hotel:@told=…                      the change with this id has been propagated
//! ```
//!
//! Parts are joined by `:`. Inside a part only letters, digits and `- _ . @ + = ,` are written as they are; every other
//! byte is written as `%XX`. So an e-mail with `:`, `*`, `[`, a newline or NUL stays inside its own part.

use bytes::Bytes;

use crate::error::Error;
use crate::journal::ChangeId;
use crate::key_parts::is_plain;
use crate::pattern::Pattern;
use crate::protocol::slots::SLOT_RANGES;
use crate::protocol::tag::TagKey;

pub(crate) use crate::key_parts::KeyBuf;
pub use crate::key_parts::KeyParts;

/// Precedes the id of a change in the key that records that the change has been propagated.
const PROPAGATED: &[u8] = b":@told=";

/// A key finds one value in a class whose keys are of type `K`. A key has one or more parts.
///
/// Usually `K` is `Self`. Another type can be a key of the same class if it writes the same parts; this saves an
/// allocation: a `str` is also a key of a `Class<String, _>`, and `(&str, u32)` of a `Class<(String, u32), _>`.
///
/// Integers, strings, `bool`, tuples of up to six keys and, with the feature `uuid`, `uuid::Uuid` are keys. With the
/// feature `macros`, which is on by default, `#[derive(Key)]` makes a key of a struct whose fields are keys, and of an
/// enum whose variants have no fields.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), larder::Error> {
/// use larder::{Cache, Class, Key};
///
/// #[derive(Key)]
/// struct ListQuery { role: String, page: u32 }
///
/// let cache = Cache::builder("docs").build().await?;
/// let lists: Class<ListQuery, Vec<u64>> = cache.class("lists").open()?;
/// let rooms: Class<(String, u32), u64> = cache.class("rooms").open()?;
/// assert!(lists.get(&ListQuery { role: "admin".to_owned(), page: 1 }).await.is_miss());
/// assert!(rooms.get(&("Berlin", 7)).await.is_miss());
/// # Ok(())
/// # }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a key of a class with keys of type `{K}`",
    note = "derive it with `#[derive(larder::Key)]`, or pass the key in the type with which the class was opened",
    note = "`uuid::Uuid` is a key with larder's feature `uuid`; an `Option` is none, because no row has the entry of a missing key",
    note = "`#[cached(…, skip(state))]` leaves an argument out of the key"
)]
pub trait Key<K: ?Sized = Self> {
    /// Pushes every part that distinguishes this key from others of its class. Equal keys push equal parts, whatever
    /// their types are.
    fn parts(&self, parts: &mut KeyParts<'_>);

    /// Calls `f` with this key as a `K`, from which a class computes an entry's tags. If `K` is `Self`, this is
    /// `f(self)`.
    fn with_key<R>(&self, f: impl FnOnce(&K) -> R) -> R;

    /// The database columns of the parts, in the order of the parts, if they are the same in every class with this key
    /// type. `larder_sql`'s `SqlJournal::verify` compares them with a table's declaration; see also
    /// [`ClassBuilder::columns`](crate::class::ClassBuilder::columns). Default: `None`; the columns are unknown.
    fn columns() -> Option<&'static [&'static str]> {
        None
    }

    /// Which texts each part can have: one kind for each part. Default: one [`PartKind::Canonical`] for each of
    /// [`Key::columns`]; `None` (unknown) if there are no columns.
    fn kinds() -> Option<Vec<PartKind>> {
        Self::columns().map(|columns| vec![PartKind::Canonical; columns.len()])
    }

    /// Any key of this type. When a class is opened, it passes this key to the closure of
    /// [`ClassBuilder::tagged_by`](crate::class::ClassBuilder::tagged_by), to find the groups of the tags;
    /// `larder_sql`'s `SqlJournal::verify` compares these with the tables' declarations. Default: `None`; the groups
    /// are unknown.
    fn sample() -> Option<Box<Self>> {
        None
    }
}

/// Which texts one part of a key can have. A journal finds an entry by the text that the database has. If a key spells
/// the same value differently, it names another entry, which the journal does not invalidate.
///
/// # Examples
///
/// ```
/// use larder::key::{Key, PartKind};
///
/// assert_eq!(<(String, u32) as Key>::kinds(), Some(vec![PartKind::Text, PartKind::Number]));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PartKind {
    /// Any text. The column must compare texts by their bytes: otherwise two texts that are equal there are two keys
    /// here.
    Text,
    /// An integer, in decimal digits.
    Number,
    /// `true` or `false`.
    Flag,
    /// A UUID: 32 lower-case hexadecimal digits in groups of 8, 4, 4, 4 and 12, with hyphens between them.
    Uuid,
    /// A type of the application that has exactly one text for each value, the same as the database's.
    Canonical,
}

/// An application's share of a Redis: `[a-z0-9_-]`, 1 to 64 characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Namespace {
    name: String,
    /// See [`Namespace::has_slot_ranges`].
    has_slot_ranges: bool,
}

impl Namespace {
    pub(crate) fn parse(name: &str) -> Result<Self, Error> {
        let is_allowed = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-');
        if (1..=64).contains(&name.len()) && name.bytes().all(is_allowed) {
            Ok(Namespace { name: name.to_owned(), has_slot_ranges: false })
        } else {
            Err(Error::config(format!(
                "namespace {name:?}: allowed are 1 to 64 of lower-case letters, digits, `_` and `-`"
            )))
        }
    }

    /// The pattern that every key matches.
    pub(crate) fn pattern(&self) -> String {
        format!("{}:*", self.name)
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.name
    }

    /// The key of the certificate; see `protocol::certificate`.
    pub(crate) fn certificate_key(&self) -> Bytes {
        Bytes::from(format!("{}:@live", self.name))
    }

    /// The key of the watermark: every commit before it, by Redis's clock, has been propagated to this Redis.
    pub(crate) fn watermark_key(&self) -> Bytes {
        Bytes::from(format!("{}:@wm", self.name))
    }

    /// The key of the relay's position in the journal. Every change up to it has been propagated to this Redis.
    pub(crate) fn position_key(&self) -> Bytes {
        Bytes::from(format!("{}:@pos", self.name))
    }

    /// The key that exists while other instances still need to know that `change` has been propagated.
    pub(crate) fn propagated_key(&self, change: &ChangeId) -> Bytes {
        let mut buf = KeyBuf::from_slice(self.name.as_bytes());
        buf.extend_from_slice(PROPAGATED);
        KeyParts::new(&mut buf).push(change.as_str());
        Bytes::copy_from_slice(&buf)
    }

    /// Whether larder's protocol uses `key` itself, such as the key of the certificate. No entry has such a key.
    pub(crate) fn reserves(&self, key: &[u8]) -> bool {
        let Some(rest) = key.strip_prefix(self.name.as_bytes()) else { return false };
        // A class can also be named `@told=…`; its keys have one more part, so they contain one more `:`.
        let is_propagated = || rest.strip_prefix(PROPAGATED).is_some_and(|change| !change.contains(&b':'));
        // In a Redis Cluster, a hash tag ends them. The key of a class has one more part here too.
        let is_own = |own: &[u8]| {
            rest.strip_prefix(own)
                .is_some_and(|tag| tag.is_empty() || (tag[0] == b'{' && !tag.contains(&b':')))
        };
        [&b":@live"[..], b":@wm", b":@pos"].into_iter().any(is_own) || is_propagated()
    }

    /// A Redis glob that matches every entry which `pattern` matches, and possibly others.
    pub(crate) fn scan_pattern(&self, pattern: &Pattern) -> String {
        // A `:` in a readable text can separate two parts or be inside a part. A key spells the first kind `:` and the
        // second kind `%3A`. So the glob takes over the pattern only up to the first character that a part encodes.
        let plain: String = pattern.beginning().chars().take_while(|char| is_plain(*char)).collect();
        format!("{}:{plain}*", self.name)
    }

    /// The key of a tag's token, apart from slot ranges.
    pub(crate) fn tag_key(&self, tag: &str) -> TagKey {
        let mut buf = self.prefix('#');
        KeyParts::new(&mut buf).push(tag);
        TagKey::from(Bytes::copy_from_slice(&buf))
    }

    /// The key of the token on which an entry with `tag` depends, if the entry's key is in `slot_range`.
    pub(crate) fn tag_key_in(&self, tag: &str, slot_range: Option<u16>) -> TagKey {
        in_slot_range(&self.tag_key(tag), slot_range)
    }

    /// The keys of all tokens of `tag`, of which an invalidation deletes each.
    pub(crate) fn all_of_tag<'a>(&self, tag: &'a TagKey) -> impl Iterator<Item = TagKey> + 'a {
        let count = if is_about_a_key(tag) { 1 } else { usize::MAX };
        self.slot_ranges().take(count).map(|slot_range| in_slot_range(tag, slot_range))
    }

    /// Whether a tag that is not about one key has a token in each slot range.
    pub(crate) fn has_slot_ranges(&self) -> bool {
        self.has_slot_ranges
    }

    /// The slot ranges in which a tag has a token; one `None` if there are none.
    pub(crate) fn slot_ranges(&self) -> impl Iterator<Item = Option<u16>> + use<> {
        let count = if self.has_slot_ranges { SLOT_RANGES } else { 0 };
        (count == 0).then_some(None).into_iter().chain((0..count).map(Some))
    }

    /// This namespace, with slot ranges or without.
    pub(crate) fn with_slot_ranges(self, has_slot_ranges: bool) -> Self {
        Namespace { has_slot_ranges, ..self }
    }

    /// The prefix of every key of `class`.
    pub(crate) fn class_prefix(&self, class: &str) -> Result<ClassPrefix, Error> {
        if !(1..=128).contains(&class.len()) || class.chars().any(char::is_control) {
            return Err(Error::config(format!(
                "class {class:?}: allowed are names of 1 to 128 bytes without control characters"
            )));
        }
        let mut buf = KeyBuf::from_slice(self.name.as_bytes());
        buf.push(b':');
        KeyParts::new(&mut buf).push(class);
        buf.push(b':');
        Ok(ClassPrefix(buf))
    }

    fn prefix(&self, sigil: char) -> KeyBuf {
        KeyBuf::from_slice(format!("{}:{sigil}", self.name).as_bytes())
    }
}

fn in_slot_range(tag: &TagKey, slot_range: Option<u16>) -> TagKey {
    slot_range.filter(|_| !is_about_a_key(tag)).map_or_else(|| tag.clone(), |range| tag.in_slot_range(range))
}

/// Whether a tag is about one key, as `room:7` is. Its text then has a colon, which a part of a key encodes.
fn is_about_a_key(tag: &TagKey) -> bool {
    tag.as_bytes().windows(3).any(|bytes| bytes == b"%3A")
}

/// The key of the lease of a load that is to replace the entry under `key`. No entry has such a key: a class's name is
/// written with `%21` for `!`.
pub(crate) fn refresh_key(key: &[u8]) -> Bytes {
    // The first `:` ends the namespace, which contains none.
    let colon = key.iter().position(|byte| *byte == b':').map_or(key.len(), |colon| colon + 1);
    let (namespace, rest) = key.split_at(colon);
    Bytes::from([namespace, b"!", rest].concat())
}

/// `namespace:class:`, built once when the class is opened.
#[derive(Clone, Debug)]
pub(crate) struct ClassPrefix(KeyBuf);

impl ClassPrefix {
    #[inline]
    pub(crate) fn key<K: ?Sized>(&self, key: &(impl Key<K> + ?Sized)) -> KeyBuf {
        let mut buf = KeyBuf::new();
        self.spell(key, &mut buf);
        buf
    }

    /// As [`ClassPrefix::key`], into an empty buffer of the caller, so that a hit does not copy the key's buffer.
    #[inline]
    pub(crate) fn spell<K: ?Sized>(&self, key: &(impl Key<K> + ?Sized), buf: &mut KeyBuf) {
        buf.extend_from_slice(&self.0);
        key.parts(&mut KeyParts::new(buf));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::protocol::slots::{slot_of, slot_range_of};

    fn spelled(class: &str, key: &(impl Key + ?Sized)) -> String {
        let namespace = Namespace::parse("ns").unwrap();
        String::from_utf8(namespace.class_prefix(class).unwrap().key(key).to_vec()).unwrap()
    }

    #[test]
    fn in_a_cluster_a_tag_has_a_token_in_each_slot_range_unless_it_is_about_one_key() {
        let plain = Namespace::parse("ns").unwrap();
        let cluster = plain.clone().with_slot_ranges(true);
        for (text, count) in [("rooms", SLOT_RANGES), ("room:7", 1), ("a%3A{b}", SLOT_RANGES)] {
            let tag = cluster.tag_key(text);
            let all: Vec<TagKey> = cluster.all_of_tag(&tag).collect();
            assert_eq!(all.len(), usize::from(count), "{text}");
            for slot_range in 0..SLOT_RANGES {
                let of_entry = cluster.tag_key_in(text, Some(slot_range));
                assert!(all.contains(&of_entry), "{text}: an invalidation deletes what an entry depends on");
                assert_eq!(
                    (of_entry.without_slot_range(), cluster.tag_name(&of_entry)),
                    (tag.clone(), text.to_owned())
                );
                let slot = slot_of(of_entry.as_bytes());
                assert!(count == 1 || slot_range_of(slot) == slot_range, "{text}: in its slot_range");
            }
            assert_eq!(plain.all_of_tag(&tag).collect::<Vec<_>>(), std::slice::from_ref(&tag), "{text}");
        }
    }

    #[test]
    fn keys_are_spelled_as_the_documents_say() {
        assert_eq!(spelled("user_details", "5779356081"), "ns:user_details:5779356081");
        assert_eq!(spelled("user_email", "a.b+c@example.com"), "ns:user_email:a.b+c@example.com");
        assert_eq!(spelled("user_list", &("admin".to_owned(), 3_u32)), "ns:user_list:admin:3");
    }

    #[test]
    fn no_input_forges_a_key_of_another_class() {
        assert_eq!(spelled("user", "email:a*[\n\0"), "ns:user:email%3Aa%2A%5B%0A%00");
        assert_ne!(spelled("a", "b:c"), spelled("a:b", "c"));
        assert_ne!(spelled("a", &("b".to_owned(), "c".to_owned())), spelled("a:b", "c"));
        assert_ne!(spelled("#users", "x"), "ns:#users:x");
        assert_ne!(spelled("@live", ""), "ns:@live");
        assert_eq!(refresh_key(spelled("a", "b:c").as_bytes()), "ns:!a:b%3Ac");
        assert_ne!(spelled("!a", "b"), "ns:!a:b");
    }

    #[test]
    fn a_reserved_key_is_no_entry() {
        let namespace = Namespace::parse("ns").unwrap();
        let propagated = namespace.propagated_key(&ChangeId::new("73:5/1/740"));
        assert_eq!(propagated, "ns:@told=73%3A5%2F1%2F740");
        for key in [namespace.certificate_key(), namespace.position_key(), propagated] {
            assert!(namespace.reserves(&key), "{key:?}");
        }
        assert!(namespace.reserves(b"ns:@live{1a}") && !namespace.reserves(b"ns:@live{1a}:x"));
        for class in ["@live", "@told=7"] {
            assert!(!namespace.reserves(spelled(class, "").as_bytes()), "{class}");
        }
        assert!(!namespace.reserves(b"ns2:@told=7"));
    }

    #[test]
    fn a_missing_part_differs_from_an_empty_one_and_from_a_tilde() {
        struct Maybe(Option<&'static str>);
        impl Key for Maybe {
            fn parts(&self, parts: &mut KeyParts<'_>) {
                parts.push_option(self.0);
            }

            fn with_key<R>(&self, f: impl FnOnce(&Self) -> R) -> R {
                f(self)
            }
        }
        let spellings = [None, Some(""), Some("~")].map(|part| spelled("c", &Maybe(part)));
        assert_eq!(spellings, ["ns:c:~", "ns:c:", "ns:c:%7E"]);
    }

    #[test]
    fn bad_names_are_refused_with_what_is_allowed() {
        for name in ["", "Hotel", "a:b", "a*"] {
            let error = Namespace::parse(name).unwrap_err().to_string();
            assert!(error.contains("allowed are"), "{error}");
        }
        assert!(Namespace::parse("ns").unwrap().class_prefix("a\nb").is_err());
    }

    proptest! {
        #[test]
        fn each_type_writes_what_its_display_writes(
            text in any::<String>(), number in any::<i128>(), flag in any::<bool>(), small in any::<u8>(),
        ) {
            let displayed = |part: &dyn std::fmt::Display| {
                let mut buf = KeyBuf::from_slice(b"ns:c:");
                KeyParts::new(&mut buf).push(part);
                String::from_utf8(buf.to_vec()).unwrap()
            };
            prop_assert_eq!(spelled("c", &text), displayed(&text));
            prop_assert_eq!(spelled("c", &number), displayed(&number));
            prop_assert_eq!(spelled("c", &flag), displayed(&flag));
            prop_assert_eq!(spelled("c", &small), displayed(&small));
        }

        #[test]
        fn different_parts_never_share_a_key(a in any::<(String, String)>(), b in any::<(String, String)>()) {
            prop_assert_eq!(a == b, spelled("c", &a) == spelled("c", &b));
        }
    }
}
