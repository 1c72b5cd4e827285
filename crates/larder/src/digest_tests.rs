//! Which values have different digests, and which have equal ones.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::Serialize;

use super::*;

fn of<T: Serialize>(value: T) -> u64 {
    digest(&value).unwrap()
}

mod then {
    use serde::Serialize;

    #[derive(Serialize)]
    pub(super) struct Guest {
        pub(super) name: &'static str,
        pub(super) email: &'static str,
    }

    #[derive(Serialize)]
    pub(super) enum Order {
        New,
        Paid,
    }

    #[derive(Serialize)]
    pub(super) struct Price {
        pub(super) cents: u32,
    }
}

mod now {
    use serde::Serialize;

    #[derive(Serialize)]
    pub(super) struct Guest {
        pub(super) email: &'static str,
        pub(super) name: &'static str,
    }

    #[derive(Serialize)]
    pub(super) enum Order {
        New,
        Cancelled,
        Paid,
    }

    #[derive(Serialize)]
    pub(super) struct Price {
        pub(super) cents: u64,
    }
}

#[test]
fn another_order_of_fields_another_variants_place_and_another_type_differ() {
    let (name, email) = ("ada", "ada@example.com");
    assert_ne!(of(then::Guest { name, email }), of(now::Guest { email, name }));
    assert_eq!(of(then::Order::New), of(now::Order::New));
    assert_ne!(of(then::Order::Paid), of(now::Order::Paid));
    assert_ne!(of(then::Order::Paid), of(now::Order::Cancelled));
    assert_ne!(of(then::Price { cents: 7 }), of(now::Price { cents: 7 }));
}

#[test]
fn a_sequence_counts_what_is_in_it_and_a_map_too() {
    assert_ne!(of([1_u8; 2]), of(vec![1_u8; 2]), "a tuple is no sequence");
    assert_ne!(of(vec![1, 2]), of(vec![1, 2, 2]));
    assert_ne!(of(vec![vec![1], vec![2]]), of(vec![vec![1, 2]]));
    assert_ne!(of(BTreeMap::from([(1, 2), (3, 4)])), of(BTreeMap::from([(1, 4), (3, 2)])));
    let set: HashSet<u32> = (0..100).collect();
    let again: HashSet<u32> = (0..100).rev().collect();
    assert_eq!(of(&set), of(&again));
    let map: HashMap<u32, u32> = (0..100).map(|n| (n, n + 1)).collect();
    assert_eq!(of(&map), of(map.into_iter().collect::<BTreeMap<_, _>>()));
}

#[test]
fn values_of_different_types_have_different_digests() {
    let digests = [
        of(0_u8),
        of(0_i8),
        of(0_u64),
        of(0_u128),
        of(0.0_f64),
        of(-0.0_f64),
        of(false),
        of('\0'),
        of(""),
        of("\0"),
        of(()),
        of(None::<()>),
        of(Some(())),
        of(Some(None::<()>)),
        of(Vec::<u8>::new()),
        of(BTreeMap::<u8, u8>::new()),
        of((0_u8,)),
        of((0_u8, 0_u8)),
    ];
    let different: HashSet<u64> = digests.into_iter().collect();
    assert_eq!(different.len(), digests.len());
}

#[test]
fn a_skipped_field_differs_from_a_missing_field() {
    #[derive(Serialize)]
    struct Price {
        cents: u32,
        #[serde(skip_serializing_if = "Option::is_none")]
        discount: Option<u32>,
    }
    assert_ne!(of(Price { cents: 7, discount: None }), of(then::Price { cents: 7 }));
}

#[test]
fn a_value_that_is_nested_too_deep_for_a_stack_is_refused() {
    #[derive(Serialize)]
    struct Deep(Option<Box<Deep>>);
    let nested = |levels: usize| (0..levels).fold(Deep(None), |inner, _| Deep(Some(Box::new(inner))));
    assert!(digest(&nested(90)).is_ok());
    let error = digest(&nested(1_000)).unwrap_err().to_string();
    assert!(error.contains("200 deep"), "{error}");
}

/// The number is fixed so that one release reads the entries of another: a changed digest makes every entry a miss.
#[test]
fn a_digest_is_the_same_in_every_release() {
    assert_eq!(of(then::Guest { name: "ada", email: "ada@example.com" }), 12_572_549_763_585_810_283);
}
