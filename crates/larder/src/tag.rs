//! Tags: names under which entries are invalidated together.

use std::iter::{Once, once};

use crate::journal::Touch;
use crate::key::{Key, PartKind};
use crate::key_parts::{KeyParts, text_of};

/// A name under which entries are invalidated together; see [`tag`] and
/// [`ClassBuilder::tagged_by`](crate::class::ClassBuilder::tagged_by). Any text can be a tag.
///
/// # Examples
///
/// ```
/// use larder::{Tag, tag};
///
/// assert_eq!(tag("category", &7).as_str(), "category:7");
/// assert_eq!(Tag::from("lists").as_str(), "lists");
/// ```
#[derive(Clone, Debug)]
pub struct Tag {
    text: String,
    group: Option<Group>,
}

/// The group of a tag.
#[derive(Clone, Copy, Debug)]
struct Group {
    /// The group's name is the first `name_bytes` bytes of the tag's text.
    name_bytes: usize,
    /// [`Key::kinds`] of the key in the tag. It is a function and not a value, because each read makes tags, and only
    /// the opening of a class needs the kinds.
    kinds: fn() -> Option<Vec<PartKind>>,
}

/// A group in which entries of a class have tags; see [`tag`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagGroup {
    /// The group's name.
    pub name: String,
    /// Which texts the parts of a key in the group's tags can have; `None` if unknown.
    pub kinds: Option<Vec<PartKind>>,
}

/// The tag of a value in the group `group`: its text is the group's name and the parts of `key`. An entry with this tag
/// also has the tag `group`, with which everything in the group is invalidated.
///
/// The key is a value or a reference to one: `tag("category", page.category)`, `tag("author", &book.author)`.
///
/// With `Table::tag_by` of `larder-sql`, the database journals this tag for each changed row.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), larder::Error> {
/// use larder::{Cache, Class, Key, tag};
///
/// #[derive(Key)]
/// struct Page { category: i64, page: u32 }
///
/// let cache = Cache::builder("shop").build().await?;
/// let pages: Class<Page, Vec<i64>> =
///     cache.class("pages").tagged_by(|page: &Page| tag("category", page.category)).open()?;
/// let page = Page { category: 7, page: 1 };
/// pages.get_or_load(&page, || async { Ok::<_, larder::Error>(vec![1, 2]) }).await?;
/// let _receipt = cache.invalidate_tag(tag("category", 7)).await;
/// assert!(pages.get(&page).await.is_miss());
/// # Ok(())
/// # }
/// ```
pub fn tag<K: IntoTagKey<M>, M>(group: &str, key: K) -> Tag {
    Tag {
        text: format!("{group}:{}", text_of(|parts| key.tag_parts(parts))),
        group: Some(Group { name_bytes: group.len(), kinds: K::kinds }),
    }
}

/// What [`tag`] takes as its key: a [`Key`], or a reference to one. `M` says which of them, and is inferred.
pub trait IntoTagKey<M> {
    #[doc(hidden)]
    fn tag_parts(&self, parts: &mut KeyParts<'_>);

    #[doc(hidden)]
    fn kinds() -> Option<Vec<PartKind>>;
}

/// The `M` of [`IntoTagKey`] for a key that is passed by value.
#[derive(Debug)]
pub struct ByValue(());

/// The `M` of [`IntoTagKey`] for a key that is passed by reference.
#[derive(Debug)]
pub struct ByReference(());

impl<K: Key> IntoTagKey<ByValue> for K {
    fn tag_parts(&self, parts: &mut KeyParts<'_>) {
        self.parts(parts);
    }

    fn kinds() -> Option<Vec<PartKind>> {
        K::kinds()
    }
}

impl<K: Key + ?Sized> IntoTagKey<ByReference> for &K {
    fn tag_parts(&self, parts: &mut KeyParts<'_>) {
        (**self).parts(parts);
    }

    fn kinds() -> Option<Vec<PartKind>> {
        K::kinds()
    }
}

impl Tag {
    /// The tag's text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The texts of the tags that an entry with this tag has: this tag and its group's.
    pub(crate) fn texts(&self) -> impl Iterator<Item = &str> {
        once(self.as_str()).chain(self.group.map(|group| &self.text[..group.name_bytes]))
    }

    /// The group that the tag is in.
    pub(crate) fn group(&self) -> Option<TagGroup> {
        let Group { name_bytes, kinds } = self.group?;
        Some(TagGroup { name: self.text[..name_bytes].to_owned(), kinds: kinds() })
    }
}

/// Two tags are equal if an entry gets the same texts from both: `tag("category", &7)` also gives it the group's name,
/// `Tag::from("category:7")` does not.
impl PartialEq for Tag {
    fn eq(&self, other: &Self) -> bool {
        self.texts().eq(other.texts())
    }
}

impl Eq for Tag {}

impl From<String> for Tag {
    fn from(text: String) -> Self {
        Tag { text, group: None }
    }
}

impl From<&str> for Tag {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl From<&String> for Tag {
    fn from(text: &String) -> Self {
        text.to_owned().into()
    }
}

impl From<Tag> for String {
    fn from(tag: Tag) -> Self {
        tag.text
    }
}

impl From<Tag> for Touch {
    fn from(tag: Tag) -> Self {
        Touch::Tag(tag.text)
    }
}

/// Makes one tag an argument where [`ClassBuilder::tagged_by`](crate::class::ClassBuilder::tagged_by) takes several.
impl IntoIterator for Tag {
    type Item = Tag;
    type IntoIter = Once<Tag>;

    fn into_iter(self) -> Once<Tag> {
        once(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_database_and_the_application_spell_a_tag_alike() {
        let touch = |json| serde_json::from_str::<Touch>(json).unwrap();
        assert_eq!(touch(r#"["tag","category","7"]"#), tag("category", &7).into());
        assert_eq!(tag("category", 7), tag("category", &7));
        assert_eq!(tag("name", "x").group(), tag("name", String::from("x")).group());
        assert_eq!(tag("name", "x"), tag("name", &String::from("x")));
        assert_eq!(
            touch(r#"["tag","seat","Größe: x","3"]"#),
            tag("seat", &("Größe: x".to_owned(), 3)).into()
        );
        assert_eq!(touch(r#"["tag","category"]"#), Tag::from("category").into());
        assert_ne!(touch(r#"["tag","seat","a","b"]"#), touch(r#"["tag","seat","a:b"]"#));
    }

    #[test]
    fn an_entry_of_a_group_has_the_tag_of_the_group() {
        assert_eq!(tag("category", &7).texts().collect::<Vec<_>>(), ["category:7", "category"]);
        assert_eq!(Tag::from("category:7").texts().collect::<Vec<_>>(), ["category:7"]);
    }
}
