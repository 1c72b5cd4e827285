//! The invariants of the shard lock, checked on the real tier.

use super::*;
use crate::local::copy::{CopyKey, Footprint};

const SOON: Tick = Tick::FAR;

fn copy(origin: Origin, tags: TagCells) -> LocalCopy {
    LocalCopy {
        value: None,
        tags,
        deadline: SOON,
        key: CopyKey::default(),
        origin,
        payload_bytes: 0,
        footprint: Footprint::default(),
        class: 0,
        loaded_at_millis: 0,
        aging: None,
    }
}

fn lead(local: &LocalTier, key: &Bytes, tags: &Arc<[TagKey]>) -> FlightId {
    let arrival = local.next_flight();
    let bound = Duration::from_secs(2);
    match local.join_or_lead(key, tags, Consistency::Bounded, arrival, Tick::PAST, bound) {
        JoinDecision::Lead(new) => new.id,
        _ => panic!("there was a flight already"),
    }
}

#[test]
fn a_copy_read_before_a_push_is_not_inserted_after_it() {
    let local = LocalTier::new(1 << 20, ProtocolRules::default());
    let key = Bytes::from("ns:c:k");

    let mark = local.note_seqs([&key[..]].into_iter());
    local.apply_push(&key);
    assert!(local.insert_tracked(&mark, &key, copy(Origin::Guarded, TagCells::new())).1.is_err());
    assert!(local.get(&key, Tick::PAST, true).is_none());

    let mark = local.note_seqs([&key[..]].into_iter());
    assert!(local.insert_tracked(&mark, &key, copy(Origin::Guarded, TagCells::new())).1.is_ok());
    assert!(local.get(&key, Tick::PAST, true).is_some());
}

#[test]
fn a_clear_removes_everything_and_fences_reads_in_progress() {
    let local = LocalTier::new(1 << 20, ProtocolRules::default());
    let key = Bytes::from("ns:c:k");
    let mark = local.note_seqs([&key[..]].into_iter());
    assert!(local.insert_tracked(&mark, &key, copy(Origin::Guarded, TagCells::new())).1.is_ok());
    local.clear();
    assert!(local.get(&key, Tick::PAST, true).is_none());
    assert!(local.insert_tracked(&mark, &key, copy(Origin::Guarded, TagCells::new())).1.is_err());
}

/// Checks the invariant "a loaded copy outlives a loss" of `ARCHITECTURE.md`.
#[test]
fn what_this_process_loaded_outlives_a_loss() {
    let local = LocalTier::new(1 << 20, ProtocolRules::default());
    let (guarded, loaded) = (Bytes::from("ns:c:guarded"), Bytes::from("ns:c:loaded"));
    let (tag, other) = (TagKey::from(Bytes::from("ns:#c")), TagKey::from(Bytes::from("ns:#d")));
    let tags: Arc<[TagKey]> = [tag.clone()].into();

    let taken = local.take_tokens(&tags, false);
    let flight = lead(&local, &loaded, &tags);
    assert!(local.insert_loaded(&loaded, flight, copy(Origin::Timed, taken)).is_ok());
    local.end_flight(&loaded, flight);
    let mark = local.note_seqs([&guarded[..], other.as_bytes()].into_iter());
    assert!(local.insert_tracked(&mark, &guarded, copy(Origin::Guarded, TagCells::new())).1.is_ok());
    local.insert_token(&mark, 1, &other, Token::random());
    assert!(local.take_guarded(std::slice::from_ref(&other), true).is_some());

    assert_eq!(local.clear_guarded(&|_| true), 2);
    assert!(local.get(&guarded, Tick::PAST, true).is_none(), "even after the guard is valid again");
    assert!(local.take_guarded(&[other], true).is_none());
    assert!(local.get(&loaded, Tick::PAST, false).is_some(), "its tag has the token from before the load");
    assert!(
        local.insert_tracked(&mark, &guarded, copy(Origin::Guarded, TagCells::new())).1.is_err(),
        "a read in progress inserts nothing"
    );
    assert!(local.get(&loaded, SOON, false).is_none(), "its own deadline ends it");
    local.drop_tag(std::slice::from_ref(&tag));
    assert!(local.get(&loaded, Tick::PAST, false).is_none(), "and so does an invalidation by this process");
}

#[test]
fn a_load_that_was_overtaken_by_a_write_to_its_key_or_tag_inserts_nothing() {
    let local = LocalTier::new(1 << 20, ProtocolRules::default());
    let key = Bytes::from("ns:c:k");
    let tag = TagKey::from(Bytes::from("ns:#c"));
    let tags: Arc<[TagKey]> = [tag.clone()].into();

    let flight = lead(&local, &key, &tags);
    local.drop_key(&key);
    assert!(local.insert_loaded(&key, flight, copy(Origin::Timed, TagCells::new())).is_err());

    let flight = lead(&local, &key, &tags);
    local.drop_tag(std::slice::from_ref(&tag));
    assert!(local.insert_loaded(&key, flight, copy(Origin::Timed, TagCells::new())).is_err());

    let flight = lead(&local, &key, &tags);
    assert!(local.insert_loaded(&key, flight, copy(Origin::Timed, TagCells::new())).is_ok());
}

#[test]
fn an_entry_is_invalidated_with_its_tag() {
    let local = LocalTier::new(1 << 20, ProtocolRules::default());
    let key = Bytes::from("ns:c:k");
    let tag = TagKey::from(Bytes::from("ns:#c"));
    let tags: Arc<[TagKey]> = [tag.clone()].into();

    let flight = lead(&local, &key, &tags);
    let taken = local.take_tokens(&tags, true);
    assert!(local.insert_loaded(&key, flight, copy(Origin::Timed, taken)).is_ok());
    assert!(local.get(&key, Tick::PAST, true).is_some());
    local.drop_tag(std::slice::from_ref(&tag));
    assert!(local.get(&key, Tick::PAST, true).is_none());
    local.take_tokens(&tags, true);
    assert!(local.get(&key, Tick::PAST, true).is_none(), "a tag that enters again has another token");
}

#[test]
fn an_ended_cell_is_never_current_again() {
    let local = LocalTier::new(1 << 20, ProtocolRules::default());
    let (key, tag) = (Bytes::from("ns:c:k"), TagKey::from(Bytes::from("ns:#c")));
    let token = Token::random();
    let read = || {
        let seqs = local.note_seqs([&key[..], tag.as_bytes()].into_iter());
        local.insert_token(&seqs, 1, &tag, token);
        let tags = local.cells(&[TagToken { tag: tag.clone(), token }]).unwrap();
        (seqs, tags)
    };
    let (seqs, tags) = read();
    assert!(local.insert_tracked(&seqs, &key, copy(Origin::Guarded, tags.clone())).1.is_ok());
    let (_, again) = read();
    assert!(Arc::ptr_eq(&tags[0], &again[0]), "the same token has the same cell");
    assert!(local.get(&key, Tick::PAST, true).is_some());

    local.apply_push(tag.as_bytes());
    let (_, after) = read();
    assert!(after[0].is_current(Origin::Guarded, true) && !after[0].is_current(Origin::Guarded, false));
    assert!(!tags[0].is_current(Origin::Guarded, true));
    assert!(local.get(&key, Tick::PAST, true).is_none(), "although the tag has the same token again");

    let other = local.note_seqs([&key[..], tag.as_bytes()].into_iter());
    local.insert_token(&other, 1, &tag, Token::random());
    assert!(!after[0].is_current(Origin::Guarded, true), "another token has taken its place");
}

#[test]
fn guarded_copies_serve_only_while_the_guard_is_valid_and_all_copies_end_at_their_deadline() {
    let local = LocalTier::new(1 << 20, ProtocolRules::default());
    let (tracked, loaded) = (Bytes::from("ns:c:t"), Bytes::from("ns:c:l"));
    let mark = local.note_seqs([&tracked[..]].into_iter());
    let entry = |origin| LocalCopy { deadline: Tick::from_nanos(10), ..copy(origin, TagCells::new()) };
    local.insert_tracked(&mark, &tracked, entry(Origin::Guarded)).1.unwrap();
    let flight = lead(&local, &loaded, &[].into());
    local.insert_loaded(&loaded, flight, entry(Origin::Timed)).unwrap();

    let served = |key: &Bytes, now, guarded| local.get(key, Tick::from_nanos(now), guarded).is_some();
    assert!(served(&tracked, 9, true) && !served(&tracked, 9, false) && !served(&tracked, 10, true));
    assert!(served(&loaded, 9, true) && served(&loaded, 9, false) && !served(&loaded, 10, false));
}

#[tokio::test]
async fn followers_stop_waiting_when_the_leader_is_dropped() {
    let (receiver, sender) = FlightReceiver::new();
    let follower = tokio::spawn({
        let receiver = receiver.clone();
        async move { receiver.outcome().await.is_none() }
    });
    drop(sender);
    assert!(follower.await.unwrap(), "a follower gets no outcome");
    assert!(receiver.outcome().await.is_none(), "nor does a follower that joins after the drop");
}
