//! Compares the measured sizes of std's types with their real allocations.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::*;

/// The bytes that a value owns after it came through JSON, which announces no lengths, or through MessagePack, which
/// does.
fn owned<T: Serialize + for<'de> Deserialize<'de>>(value: &T) -> [u64; 2] {
    let json = serde_json::to_vec(value).unwrap();
    let packed = rmp_serde::to_vec_named(value).unwrap();
    let mut parser = serde_json::Deserializer::from_slice(&json);
    let mut unpacker = rmp_serde::Deserializer::from_read_ref(&packed);
    [decode::<T, _>(&mut parser).unwrap().1, decode::<T, _>(&mut unpacker).unwrap().1]
}

#[test]
fn the_names_of_pointers_are_those_that_are_compared() {
    assert_eq!(Pointer::of::<Box<u64>>(), Pointer::Box);
    assert_eq!(Pointer::of::<Arc<u64>>(), Pointer::Counted);
    assert_eq!(Pointer::of::<std::rc::Rc<u64>>(), Pointer::Counted);
    assert_eq!(Pointer::inside_option::<Option<Box<u64>>>(), Pointer::Box);
    for none in [
        Pointer::of::<Box<str>>(),
        Pointer::of::<Box<[u8]>>(),
        Pointer::of::<Vec<Box<u64>>>(),
        Pointer::inside_option::<Option<u64>>(),
    ] {
        assert_eq!(none, Pointer::None);
    }
    for (name, prefix) in [
        (type_name::<HashMap<u8, u8>>(), "std::collections::hash::"),
        (type_name::<HashSet<u8>>(), "std::collections::hash::"),
        (type_name::<BTreeMap<u8, u8>>(), "alloc::collections::btree::"),
        (type_name::<BTreeSet<u8>>(), "alloc::collections::btree::"),
    ] {
        assert!(name.starts_with(prefix), "{name}");
    }
}

#[test]
fn what_has_no_allocation_takes_nothing() {
    #[derive(Serialize, Deserialize)]
    struct Plain {
        id: u64,
        at: (u8, char),
        more: Option<[u16; 4]>,
        id_text: uuid::Uuid,
        nothing: Vec<String>,
    }
    let plain =
        Plain { id: 1, at: (2, 'x'), more: Some([1; 4]), id_text: uuid::Uuid::nil(), nothing: vec![] };
    assert_eq!(owned(&plain), [0, 0]);
}

#[test]
fn texts_and_arrays_take_their_room() {
    assert_eq!(owned(&"x".repeat(100)), [heap_bytes(100); 2]);
    let texts: Vec<String> = (0..20).map(|n| format!("text {n:04}")).collect();
    let own = 20 * heap_bytes(9);
    assert_eq!(owned(&texts), [heap_bytes(32 * 24) + own, heap_bytes(20 * 24) + own]);
    assert_eq!(owned(&vec![7_u8; 1000]), [heap_bytes(1024), heap_bytes(1000)]);
    assert_eq!(owned(&serde_bytes::ByteBuf::from(vec![7; 1000]))[1], heap_bytes(1000));
}

#[test]
fn the_size_of_an_element_is_that_of_its_type() {
    #[derive(Serialize, Deserialize)]
    enum Part {
        Small(u8),
        Large([u64; 8]),
    }
    let parts = vec![Part::Small(1), Part::Small(2)];
    assert_eq!(owned(&parts)[1], heap_bytes(2 * size_of::<Part>()));
    assert_eq!(size_of::<Part>(), 72);
}

#[test]
fn what_a_pointer_holds_is_counted() {
    #[derive(Serialize, Deserialize)]
    enum Tree {
        Leaf(u8),
        Two(Box<Tree>, Box<Tree>),
    }
    let tree = Tree::Two(Box::new(Tree::Leaf(1)), Box::new(Tree::Leaf(2)));
    assert_eq!(owned(&tree), [2 * heap_bytes(size_of::<Tree>()); 2]);
    assert_eq!(owned(&Some(Box::new(7_u64))), [heap_bytes(8); 2]);
    assert_eq!(owned(&"boxed".to_owned().into_boxed_str()), [heap_bytes(5); 2]);
}

#[test]
fn maps_take_their_tables_and_nodes() {
    let table: HashMap<String, u64> = (0..50).map(|n| (format!("{n:03}"), n)).collect();
    let own = 50 * heap_bytes(3);
    assert_eq!(owned(&table), [heap_bytes(64 * 32 + 64 + 16) + own; 2]);
    let tree: BTreeMap<u32, u32> = (0..11).map(|n| (n, n)).collect();
    assert_eq!(owned(&tree)[1], heap_bytes(104));
    let tree: BTreeMap<u32, u32> = (0..12).map(|n| (n, n)).collect();
    assert_eq!(owned(&tree)[1], 2 * heap_bytes(104) + heap_bytes(200));
}

/// The parts that serde buffers are counted too, and not much too high.
#[test]
fn what_serde_buffers_is_counted() {
    #[derive(Serialize, Deserialize)]
    struct Flat {
        id: u32,
        #[serde(flatten)]
        more: BTreeMap<String, u64>,
    }
    let flat = Flat { id: 1, more: (0..10).map(|n| (format!("{n:010}"), n)).collect() };
    let exact = heap_bytes(11 * 32 + 12) + 10 * heap_bytes(10);
    let [json, packed] = owned(&flat);
    assert!(
        (exact..2 * exact).contains(&json) && (exact..2 * exact).contains(&packed),
        "{exact} {json} {packed}"
    );
}

#[test]
fn a_value_that_is_nested_too_deep_is_an_error() {
    #[derive(Deserialize)]
    struct Deep(Option<Box<Deep>>);
    let depth = |deep: &Deep| std::iter::successors(Some(deep), |deep| deep.0.as_deref()).count();
    let decoded = |bytes: &[u8]| {
        let mut decoder = postcard::Deserializer::from_bytes(bytes);
        decode::<Deep, _>(&mut decoder).map(|(deep, _)| depth(&deep))
    };
    let mut shallow = vec![1; 100];
    shallow.push(0);
    assert_eq!(decoded(&shallow), Ok(101));
    // A million levels would overflow the stack, which ends the process.
    assert!(decoded(&vec![1; 1_000_000]).is_err());
}
