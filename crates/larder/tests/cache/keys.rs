//! Keys: types that are keys, other forms of them, and the derive macro.

use std::borrow::Cow;
use std::sync::Arc;

use larder::key::PartKind;
use larder::{Cache, Class, Error, Key};

#[derive(Key)]
struct Seat {
    tenant: u64,
    r#type: String,
}

#[derive(Key, Clone)]
struct Page<T>(T, u32);

#[derive(Key)]
struct Nested {
    seat: (u32, u32),
    name: String,
}

/// Spelled by the rule, one variant otherwise.
#[derive(Key, Clone, Copy)]
#[key(rename_all = "snake_case")]
enum State {
    Free,
    CheckedOut,
    #[key(rename = "n/a")]
    Unknown,
}

/// The names as they are.
#[derive(Key)]
enum Size {
    Small,
}

#[derive(Key)]
struct Room {
    state: State,
    size: Size,
}

async fn cache() -> Cache {
    Cache::builder("test").build().await.unwrap()
}

/// So `SqlJournal::verify` knows the groups of every class with such keys.
#[test]
fn each_type_that_is_a_key_has_a_sample() {
    fn parts<K: Key + ?Sized>() -> usize {
        assert!(K::sample().is_some(), "{}", std::any::type_name::<K>());
        K::kinds().unwrap().len()
    }
    #[cfg(feature = "uuid")]
    assert_eq!(parts::<uuid::Uuid>(), 1);
    assert_eq!([parts::<str>(), parts::<String>(), parts::<bool>()], [1; 3]);
    assert_eq!([parts::<u8>(), parts::<i64>(), parts::<u128>(), parts::<isize>()], [1; 4]);
    assert_eq!(parts::<(String, u32, bool, i64, u8, u16)>(), 6);
    assert_eq!([parts::<Page<u8>>(), parts::<Nested>()], [2, 3]);
}

#[test]
fn a_derived_key_describes_its_parts() {
    use PartKind::{Number, Text};
    assert_eq!(Seat::columns(), Some(&["tenant", "type"] as &[&str]));
    assert_eq!(Seat::kinds(), Some(vec![Number, Text]));
    assert_eq!((Page::<u8>::columns(), Page::<u8>::kinds()), (None, Some(vec![Number, Number])));
    assert_eq!(Nested::columns(), None, "a field of two parts is not one column");
    assert_eq!(Nested::kinds(), Some(vec![Number, Number, Text]));
    assert_eq!(<(u8, u8, u8, u8, u8, bool)>::kinds().map(|kinds| kinds.len()), Some(6));
}

/// Reads by `stored`, then by each form of it, of which none loads.
macro_rules! share_an_entry {
    ($key:ty: $stored:expr, $($form:expr),+) => {{
        let class: Class<$key, u32> = cache().await.class("values").tagged_by(|_| vec!["tag".to_owned()]).open()?;
        class.get_or_load($stored, async || Ok::<_, Error>(7)).await?;
        $(assert_eq!(class.get($form).await.value().as_deref(), Some(&7));)+
        $(
            let _ = class.invalidate($form).await;
            assert_eq!(class.get($stored).await.value(), None);
            class.read($form).or_load(async || Ok::<_, Error>(7)).await?;
            assert_eq!(class.get($stored).await.value().as_deref(), Some(&7));
        )+
    }};
}

#[tokio::test]
async fn all_forms_of_a_key_are_one_entry() -> Result<(), Error> {
    let ann = "ann".to_owned();
    share_an_entry!(String: &ann, "ann", &"ann", &Cow::Borrowed("ann"), &Box::<str>::from("ann"));
    share_an_entry!(str: "ann", &ann, &Arc::<str>::from("ann"));
    share_an_entry!((String, u32): &(ann.clone(), 3), &("ann", 3), &(Cow::Borrowed("ann"), 3), &(&ann, &3));
    share_an_entry!((String, (u8, String)): &("b".to_owned(), (1, ann.clone())), &("b", (1, "ann")));
    share_an_entry!(Seat: &Seat { tenant: 1, r#type: ann.clone() }, &Arc::new(Seat { tenant: 1, r#type: ann.clone() }));
    share_an_entry!((Page<u8>, u8): &(Page(1, 2), 3), &(&Page(1, 2), 3));
    Ok(())
}

#[tokio::test]
async fn a_tag_is_computed_from_the_key_in_each_form() -> Result<(), Error> {
    let cache = cache().await;
    let class: Class<(String, u32), u32> =
        cache.class("values").tagged_by(|(team, _)| vec![format!("team:{team}")]).open()?;
    class.get_or_load(&("red", 7), async || Ok::<_, Error>(7)).await?;
    let _ = cache.invalidation().tag("team:blue").send().await;
    assert!(class.get(&("red", 7)).await.is_hit());
    let _ = cache.invalidation().tag("team:red").send().await;
    assert!(class.get(&("red", 7)).await.is_miss());
    Ok(())
}

#[tokio::test]
async fn an_enum_without_fields_is_a_key_of_one_text() {
    assert_eq!(State::kinds(), Some(vec![PartKind::Text]));
    assert!(State::sample().is_some());
    assert_eq!(Room::columns(), Some(&["state", "size"][..]));
    let cache = cache().await;
    let rooms = cache.class::<Room, u8>("rooms").open().unwrap();
    let texts = cache.class::<(String, String), u8>("rooms").open().unwrap();
    for (state, text) in [(State::Free, "free"), (State::CheckedOut, "checked_out"), (State::Unknown, "n/a")]
    {
        rooms.get_or_load(&Room { state, size: Size::Small }, async || Ok::<_, Error>(1)).await.unwrap();
        assert!(texts.get(&(text, "Small")).await.is_hit(), "{text}");
    }
}
