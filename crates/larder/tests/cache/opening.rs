//! What is compared when one class name is opened twice, and what is refused at `open`.

use std::time::Duration;

use larder::class::{Class, ClassBuilder};
use larder::error::ErrorKind;
use larder::key::{Key, KeyParts, PartKind};
use larder::{Cache, Tag, tag};

use crate::support::entries::{alone, load};

/// The text of the error.
fn refused<K: Key + ?Sized>(class: ClassBuilder<'_, K, u64>) -> String {
    let error = class.open().expect_err("opened");
    assert_eq!(error.kind(), ErrorKind::Config);
    error.to_string()
}

/// A key with the parts of a `(u32, String)`, which names their columns.
struct Seat {
    row: u32,
    name: String,
}

impl Key for Seat {
    fn parts(&self, parts: &mut KeyParts<'_>) {
        parts.push(&self.row);
        parts.push(&self.name);
    }

    fn with_key<R>(&self, f: impl FnOnce(&Self) -> R) -> R {
        f(self)
    }

    fn columns() -> Option<&'static [&'static str]> {
        Some(&["row", "name"])
    }

    fn kinds() -> Option<Vec<PartKind>> {
        Some(vec![PartKind::Number, PartKind::Text])
    }
}

/// Keys that do not say what their parts are.
struct Opaque;
struct Other;

macro_rules! key_of_no_kind {
    ($($type:ident),+) => {$(
        impl Key for $type {
            fn parts(&self, parts: &mut KeyParts<'_>) {
                parts.push(&7);
            }

            fn with_key<R>(&self, f: impl FnOnce(&Self) -> R) -> R {
                f(self)
            }
        }
    )+};
}

key_of_no_kind!(Opaque, Other);

/// With keys of numbers and keys of texts, `7` and `07` would be two entries of one row.
#[tokio::test]
async fn one_class_has_keys_of_one_kind() {
    let cache = alone().await;
    let numbers: Class<u32, u64> = cache.class("numbers").open().unwrap();
    let longer: Class<i64, u64> = cache.class("numbers").open().unwrap();
    load(&numbers, 7, 1).await;
    assert_eq!(longer.get(&7).await.value().as_deref(), Some(&1));
    let text = refused(cache.class::<str, u64>("numbers"));
    assert!(
        text.contains("keys of type u32 (parts: [Number]) and keys of type str (parts: [Text])"),
        "{text}"
    );
    assert!(refused(cache.class::<(i32, i32), u64>("numbers")).contains("(i32, i32)"));
    assert!(refused(cache.class::<Opaque, u64>("numbers")).contains("its parts are unknown"));

    let _text: Class<str, u64> = cache.class("texts").open().unwrap();
    let _owned: Class<String, u64> = cache.class("texts").open().unwrap();
    assert!(refused(cache.class::<i32, u64>("texts")).contains("keys of type str"));

    let _pair: Class<(u32, String), u64> = cache.class("seats").open().unwrap();
    let _seat: Class<Seat, u64> = cache.class("seats").open().unwrap();
    assert!(refused(cache.class::<(String, u32), u64>("seats")).contains("[Text, Number]"));

    let _opaque: Class<Opaque, u64> = cache.class("opaque").open().unwrap();
    let _same: Class<Opaque, u64> = cache.class("opaque").open().unwrap();
    assert!(refused(cache.class::<Other, u64>("opaque")).contains("Other"));
}

/// The columns of every handle are declared, not only those of the first.
#[tokio::test]
async fn the_columns_of_each_handle_are_declared_and_have_one_order() {
    let cache = alone().await;
    let pairs = || cache.class::<(u32, u32), u64>("pairs");
    let _first = pairs().columns(&["row", "number"]).open().unwrap();
    let _other_table = pairs().columns(&["place_row", "place_number"]).open().unwrap();
    let _again = pairs().columns(&["row", "number"]).open().unwrap();
    let columns = &cache.declared_classes()[0].columns;
    assert_eq!(*columns, [["row", "number"], ["place_row", "place_number"]]);
    let text = refused(pairs().columns(&["place_number", "place_row"]));
    assert!(text.contains("in two orders"), "{text}");
    let seats: Class<Seat, u64> = cache.class("seats").open().unwrap();
    assert!(seats.get(&Seat { row: 7, name: "a".to_owned() }).await.is_miss());
    let reordered = cache.class::<(u32, String), u64>("seats").columns(&["name", "row"]);
    assert!(refused(reordered).contains("in two orders"));

    let both_ways =
        || cache.class::<(u32, u32), u64>("edges").columns(&["from", "to"]).columns(&["to", "from"]);
    let _first = both_ways().open().unwrap();
    let _same = both_ways().open().unwrap();
}

#[tokio::test]
async fn tags_by_hand_are_tags_of_the_class() {
    let cache = alone().await;
    let pages = |cache: &Cache, names: [&str; 2]| {
        let class = cache.class::<u32, u64>("pages").tagged("lists").tagged_by(|page| tag("team", page));
        class.by_hand(names).open().map(|_| ())
    };
    pages(&cache, ["lists", "team"]).unwrap();
    assert_eq!(cache.declared_classes()[0].by_hand, ["lists", "team"]);
    let text = pages(&cache, ["lists", "pages"]).unwrap_err().to_string();
    assert!(text.contains("by_hand {\"lists\", \"team\"} and by_hand {\"lists\", \"pages\"}"), "{text}");
    let text = pages(&alone().await, ["lists", "taem"]).unwrap_err().to_string();
    assert!(text.contains("by_hand \"taem\"") && text.contains("{\"lists\", \"pages\", \"team\"}"), "{text}");
    // Which tags the texts of a closure are is unknown.
    let texts = cache.class::<u32, u64>("texts").tagged_by(|page| [tag("team", page), Tag::from("all")]);
    texts.by_hand(["all"]).open().unwrap();
    let declared = cache.declared_classes();
    assert!(declared[1].has_unknown_tags);
    assert_eq!(declared[1].tag_groups.iter().map(|group| group.name.as_str()).collect::<Vec<_>>(), ["team"]);
}

/// A class that stores nothing is a mistake: the switch of a class is `Class::set_enabled`.
#[tokio::test]
async fn a_time_to_live_of_zero_is_refused() {
    let cache = alone().await;
    let zero = || cache.class::<u32, u64>("zero");
    assert!(refused(zero().ttl(Duration::ZERO)).contains("ttl 0ns: allowed is 1ms to"));
    assert!(refused(zero().absent_for(Duration::ZERO)).contains("absent_for 0ns"));
    zero().ttl(Duration::from_millis(1)).open().unwrap();
}
