//! Entries and tokens within the budget: what is evicted, what does not enter, and what stays.

use super::*;
use crate::local::copy::{CopyKey, Footprint};

const BUDGET: u64 = 1 << 20;

fn tags(names: &[String]) -> Arc<[TagKey]> {
    names.iter().map(|name| TagKey::from(Bytes::copy_from_slice(name.as_bytes()))).collect()
}

/// Loads an entry of `value_bytes` under `key` with `tags` into memory.
fn load(local: &LocalTier, key: &str, tags: &Arc<[TagKey]>, value_bytes: u64) -> Result<(), NotStoredReason> {
    let key = Bytes::copy_from_slice(key.as_bytes());
    let (arrival, bound) = (local.next_flight(), Duration::from_secs(2));
    let decided = local.join_or_lead(&key, tags, Consistency::Bounded, arrival, Tick::PAST, bound);
    let JoinDecision::Lead(flight) = decided else { panic!("there was a flight already") };
    let copy = LocalCopy {
        value: None,
        tags: local.take_tokens(tags, true),
        deadline: Tick::FAR,
        key: CopyKey::default(),
        origin: Origin::Timed,
        payload_bytes: 0,
        footprint: Footprint::of_value(value_bytes),
        class: 0,
        loaded_at_millis: 0,
        aging: None,
    };
    let inserted = local.insert_loaded(&key, flight.id, copy);
    local.end_flight(&key, flight.id);
    inserted
}

fn is_served(local: &LocalTier, key: &[u8]) -> bool {
    local.get(key, Tick::PAST, true).is_some()
}

#[test]
fn every_entry_in_memory_has_its_tokens_during_a_flood_of_entries_with_other_tags() {
    let local = LocalTier::new(BUDGET, ProtocolRules::default());
    let class = "ns:#c".to_owned();
    for n in 0..20_000 {
        let tags = tags(&[class.clone(), format!("ns:#c:{n}"), format!("ns:#other:{n}")]);
        load(&local, &format!("ns:c:{n}"), &tags, 64).unwrap();
        if n % 5_000 == 4_999 {
            let keys: Vec<Bytes> = local.cached_keys().collect();
            assert!(keys.len() > 500, "{}", keys.len());
            assert!(keys.iter().all(|key| is_served(&local, key)), "an entry lost a token");
        }
    }
    assert!(local.evictions() > 10_000);
}

#[test]
fn many_tags_leave_no_more_tokens_than_those_in_use_and_a_quarter() {
    let local = LocalTier::new(BUDGET, ProtocolRules::default());
    let load_of = tags(&["ns:#slow".to_owned()]);
    let taken = local.take_tokens(&load_of, true);
    for n in 0..200_000 {
        local.take_tokens(&tags(&[format!("ns:#t:{n}")]), true);
    }
    // No entry holds one of these tokens. Each shard keeps its spare tokens.
    assert!(local.tokens.len() <= 64 * 17 + 1, "{}", local.tokens.len());
    assert!(taken.iter().all(|tag| tag.is_current(Origin::Timed, true)), "a running load holds its tokens");
    drop(taken);
    for n in 0..5_000 {
        load(&local, &format!("ns:c:{n}"), &tags(&[format!("ns:#u:{n}")]), 64).unwrap();
    }
    let entries = local.cached_keys().count();
    assert!(local.tokens.len() < entries + entries / 4 + 64 * 17, "{} of {entries}", local.tokens.len());
}

#[test]
fn an_entry_enters_if_it_takes_at_most_its_share_of_the_budget() {
    let local = LocalTier::new(BUDGET, ProtocolRules::default());
    let (most, no_tags) = (BUDGET / 32, tags(&[]));
    load(&local, "ns:c:empty", &no_tags, 0).unwrap();
    let besides = local.weight_bytes();
    assert_eq!(load(&local, "ns:c:large", &no_tags, most - besides), Ok(()));
    assert_eq!(local.weight_bytes(), most + besides);
    let evicted = local.evictions();
    assert_eq!(load(&local, "ns:c:large", &no_tags, most - besides + 1), Err(NotStoredReason::NoRoom));
    assert!(!is_served(&local, b"ns:c:large"), "the older copy is not served in its place");
    assert_eq!(
        (local.evictions(), local.weight_bytes()),
        (evicted, besides),
        "and nothing makes room for it"
    );
    // Each entry takes about half the largest share. quick_cache keeps each one right after its insertion, in whatever
    // shard it is, and the tier fills to more than three quarters of its budget.
    for n in 0..1_000 {
        load(&local, &format!("ns:c:{n}"), &no_tags, most / 2).unwrap();
        assert!(is_served(&local, format!("ns:c:{n}").as_bytes()), "{n}");
        assert!(local.weight_bytes() <= BUDGET);
    }
    assert!(local.weight_bytes() > BUDGET * 3 / 4, "{}", local.weight_bytes());
}

#[test]
fn a_row_of_quick_cache_takes_about_what_is_charged_for_it() {
    let local = LocalTier::new(64 << 20, ProtocolRules::default());
    let no_tags = tags(&[]);
    // A power of two: then the arrays of the rows are full, and a hash table is at most 7/8 full.
    for n in 0..1 << 14 {
        load(&local, &format!("{n}"), &no_tags, 0).unwrap();
    }
    let used = local.entries.memory_used();
    let (rows, table) = (used.entries as u64 >> 14, used.map as u64 >> 14);
    // Each shard's array may have doubled just now: untouched room is no memory of the process.
    assert!((40..=2 * 64).contains(&rows) && table <= 16, "{rows} {table}");
}

#[test]
fn an_entry_pays_for_a_token_that_it_alone_holds_and_its_share_of_others() {
    let local = LocalTier::new(BUDGET, ProtocolRules::default());
    let shared = tags(&["ns:#c".to_owned()]);
    let weight_of = |key: &str, tags: &Arc<[TagKey]>| {
        let before = local.weight_bytes();
        load(&local, key, tags, 0).unwrap();
        local.weight_bytes() - before
    };
    let first = weight_of("ns:c:0", &shared);
    let second = weight_of("ns:c:1", &shared);
    for n in 2..100 {
        weight_of(&format!("ns:c:{n}"), &shared);
    }
    let hundredth = weight_of("ns:c:x", &shared);
    assert!(first > second && second > hundredth, "{first} {second} {hundredth}");
    let alone = weight_of("ns:c:y", &tags(&["ns:#d".to_owned()]));
    assert_eq!(alone, first);
}
