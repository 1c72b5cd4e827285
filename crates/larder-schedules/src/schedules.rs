//! Schedules of the shard lock: the source of `larder::local`, run under many orders of its threads' steps.
//!
//! Each scenario races an insertion with an invalidation. Invariant at its end: no copy in memory is older than the
//! last invalidation. quick_cache uses its own locks, which the scheduler does not control: each of its operations is
//! one step.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use larder::clock::Tick;
use larder::policy::Consistency;
use larder::protocol::aging::Life;
use larder::protocol::flight::JoinDecision;
use larder::protocol::rules::{ProtocolRule, ProtocolRules};
use larder::protocol::tag::{TagKey, TagToken};
use larder::protocol::token::Token;
use shuttle::sync::Mutex;
use shuttle::sync::mpsc::{Receiver, Sender, channel};
use shuttle::thread;

use crate::local::copy::{CopyAging, CopyKey, Footprint, LocalCopy, TagCells};
use crate::local::origin::Origin;
use crate::local::permit::LocalPermit;
use crate::local::{LocalTier, NewFlight};

const KEY: &[u8] = b"k";
const NOW: Tick = Tick::from_nanos(1);
const BOUND: Duration = Duration::from_secs(2);

/// One message on the tracked connection. The connection keeps the order of its messages.
enum Wire {
    Push,
    Reply(u8, Sender<u8>),
    /// The connection broke: later messages belong to a new connection.
    Lost,
}

/// A Redis with one key: the key's version, whether Redis tracks it for the connection, and the connection.
struct Server {
    version: u8,
    is_tracked: bool,
    wire: Sender<Wire>,
}

impl Server {
    fn write(&mut self) {
        self.version += 1;
        if std::mem::take(&mut self.is_tracked) {
            self.send(Wire::Push);
        }
    }

    fn read(&mut self, reply: Sender<u8>) {
        self.is_tracked = true;
        self.send(Wire::Reply(self.version, reply));
    }

    fn send(&self, item: Wire) {
        // Sending never fails: the reader of the wire ends only after every sender.
        let _ = self.wire.send(item);
    }
}

fn key() -> Bytes {
    Bytes::from_static(KEY)
}

fn tag() -> TagKey {
    TagKey::from(Bytes::from_static(b"t"))
}

fn copy(version: u8, origin: Origin) -> LocalCopy {
    let deadline = Tick::from_nanos(u64::MAX);
    LocalCopy {
        value: Some(Arc::new(version)),
        tags: TagCells::new(),
        deadline,
        key: CopyKey::default(),
        origin,
        payload_bytes: 1,
        footprint: Footprint::default(),
        class: 0,
        loaded_at_millis: 0,
        aging: None,
    }
}

fn held(local: &LocalTier) -> Option<u8> {
    let copy = local.get(KEY, NOW, true)?;
    copy.value.as_ref()?.downcast_ref::<u8>().copied()
}

fn lock<T>(mutex: &Mutex<T>) -> shuttle::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// The connection's reader: applies pushes inline, and sends each reply to its read.
fn deliver(local: &LocalTier, wire: &Receiver<Wire>) {
    while let Ok(item) = wire.recv() {
        match item {
            Wire::Push => {
                local.apply_push(KEY);
            }
            Wire::Reply(version, to) => {
                let _ = to.send(version);
            }
            Wire::Lost => {
                local.clear_guarded(&|_| true);
            }
        }
    }
}

/// One tracked read. Its task may wake long after its reply arrived.
fn read_tracked(local: &LocalTier, server: &Mutex<Server>) {
    let seqs = local.note_seqs([KEY].into_iter());
    let (reply, version) = channel();
    lock(server).read(reply);
    if let Ok(version) = version.recv() {
        let _ = local.insert_tracked(&seqs, &key(), copy(version, Origin::Guarded));
    }
}

/// A tracked read races with a write, whose push arrives on the same connection.
pub fn insert_against_push(rules: ProtocolRules) {
    insert_against(rules, |server| server.write());
}

/// A tracked read of an entry and its tag's token races with a write, whose push names the tag. Another thread reads from
/// memory meanwhile.
pub fn tag_against_push(rules: ProtocolRules) {
    let local = Arc::new(LocalTier::new(1 << 16, rules));
    let (old, new) = (Token::random(), Token::random());
    // What Redis holds: the token of the tag, and the version and token of the entry.
    let server = Arc::new(Mutex::new((old, 0_u8, old)));
    let reader = thread::spawn({
        let (local, server) = (local.clone(), server.clone());
        move || {
            let seqs = local.note_seqs([KEY, tag().as_bytes()].into_iter());
            let (token, version, taken) = *lock(&server);
            // `after_read` returns no entry whose tag has another token.
            if token == taken {
                local.insert_token(&seqs, 1, &tag(), token);
                if let Some(tags) = local.cells(&[TagToken { tag: tag(), token }]) {
                    let _ = local.insert_tracked(
                        &seqs,
                        &key(),
                        LocalCopy { tags, ..copy(version, Origin::Guarded) },
                    );
                }
            }
        }
    });
    let hit = thread::spawn({
        let local = local.clone();
        move || held(&local)
    });
    let writer = thread::spawn({
        let (local, server) = (local.clone(), server.clone());
        move || {
            lock(&server).0 = new;
            local.apply_push(tag().as_bytes());
            held(&local)
        }
    });
    assert!(reader.join().is_ok() && hit.join().is_ok());
    let after_push = writer.join();
    assert!(after_push.is_ok_and(|held| held.is_none()), "a hit after the push of its tag");
    assert_eq!(held(&local), None, "the entry of the former token remains");
}

/// A tracked read races with the loss of its connection: no push reports the write that follows.
pub fn insert_against_clear(rules: ProtocolRules) {
    insert_against(rules, |server| {
        server.is_tracked = false;
        server.send(Wire::Lost);
        server.write();
    });
}

fn insert_against(rules: ProtocolRules, disturb: fn(&mut Server)) {
    let local = Arc::new(LocalTier::new(1 << 16, rules));
    let (sender, wire) = channel();
    let server = Arc::new(Mutex::new(Server { version: 0, is_tracked: false, wire: sender }));
    let connection = thread::spawn({
        let local = local.clone();
        move || deliver(&local, &wire)
    });
    let reader = thread::spawn({
        let (local, server) = (local.clone(), server.clone());
        move || read_tracked(&local, &server)
    });
    let writer = thread::spawn({
        let server = server.clone();
        move || disturb(&mut lock(&server))
    });
    let (read, written) = (reader.join(), writer.join());
    let (version, is_tracked) = {
        let server = lock(&server);
        (server.version, server.is_tracked)
    };
    // This drops the wire's last sender, so that the connection's reader ends after the last message.
    drop(server);
    let delivered = connection.join();
    assert!(read.is_ok() && written.is_ok() && delivered.is_ok());
    let held = held(&local);
    assert!(held.is_none() || held == Some(version) && is_tracked, "{held:?} remains of {version}");
}

/// A load without Redis races with this instance's own write of the key.
pub fn load_against_drop_key(rules: ProtocolRules) {
    load_against(rules, false, |local| {
        local.drop_key(KEY);
    });
}

/// A load without Redis races with the invalidation of a pattern that matches the key.
pub fn load_against_drop_matching(rules: ProtocolRules) {
    load_against(rules, false, |local| {
        local.drop_matching(|key| key == KEY);
    });
}

/// A load without Redis races with a clear of memory.
pub fn load_against_clear(rules: ProtocolRules) {
    load_against(rules, false, |local| {
        local.clear();
    });
}

/// A load without Redis races with this instance's invalidation of a tag of the key.
pub fn load_against_drop_tag(rules: ProtocolRules) {
    load_against(rules, true, |local| {
        local.drop_tag(&[tag()]);
    });
}

fn load_against(rules: ProtocolRules, by_tag: bool, invalidate: fn(&LocalTier)) {
    let local = Arc::new(LocalTier::new(1 << 16, rules));
    let database = Arc::new(Mutex::new(0_u8));
    let tags: Arc<[TagKey]> = if by_tag { [tag()].into() } else { [].into() };
    let loader = thread::spawn({
        let (local, database) = (local.clone(), database.clone());
        move || {
            let arrival = local.next_flight();
            let decision = local.join_or_lead(&key(), &tags, Consistency::Bounded, arrival, NOW, BOUND);
            let JoinDecision::Lead(NewFlight { id: flight, .. }) = decision else { return };
            let taken = local.take_tokens(&tags, true);
            let version = *lock(&database);
            let copy = LocalCopy { tags: taken, ..copy(version, Origin::Timed) };
            // In some schedules an invalidation comes first, and this insertion is refused.
            let _ = local.insert_loaded(&key(), flight, copy);
            local.end_flight(KEY, flight);
        }
    });
    let writer = thread::spawn({
        let (local, database) = (local.clone(), database.clone());
        move || {
            *lock(&database) += 1;
            invalidate(&local);
        }
    });
    let (loaded, written) = (loader.join(), writer.join());
    assert!(loaded.is_ok() && written.is_ok());
    let held = held(&local);
    assert!(held.is_none() || held == Some(1), "{held:?} remains");
}

/// A value that is computed under a permit races with this instance's own write of the key.
pub fn put_against_drop_key(rules: ProtocolRules) {
    put_against(rules, false, |local| {
        local.drop_key(KEY);
    });
}

/// A value that is computed under a permit races with a push of the key.
pub fn put_against_push(rules: ProtocolRules) {
    put_against(rules, false, |local| {
        local.apply_push(KEY);
    });
}

/// A value that is computed under a permit races with the invalidation of a pattern that matches the key.
pub fn put_against_drop_matching(rules: ProtocolRules) {
    put_against(rules, false, |local| {
        local.drop_matching(|key| key == KEY);
    });
}

/// A value that is computed under a permit races with a clear of memory.
pub fn put_against_clear(rules: ProtocolRules) {
    put_against(rules, false, |local| {
        local.clear();
    });
}

/// A value that is computed under a permit races with this instance's invalidation of a tag of the key.
pub fn put_against_drop_tag(rules: ProtocolRules) {
    put_against(rules, true, |local| {
        local.drop_tag(&[tag()]);
    });
}

fn put_against(rules: ProtocolRules, by_tag: bool, invalidate: fn(&LocalTier)) {
    let local = Arc::new(LocalTier::new(1 << 16, rules));
    let database = Arc::new(Mutex::new(0_u8));
    let tags: Arc<[TagKey]> = if by_tag { [tag()].into() } else { [].into() };
    let computation = thread::spawn({
        let (local, database) = (local.clone(), database.clone());
        move || {
            let permit = LocalPermit::draw(&local, &key(), &tags);
            let taken = local.take_tokens(&tags, true);
            let version = *lock(&database);
            let _ = permit.redeem(
                LocalCopy { tags: taken, ..copy(version, Origin::Timed) },
                ProtocolRule::PutsUnderPermit,
            );
        }
    });
    let writer = thread::spawn({
        let (local, database) = (local.clone(), database.clone());
        move || {
            *lock(&database) += 1;
            invalidate(&local);
        }
    });
    let (computed, written) = (computation.join(), writer.join());
    assert!(computed.is_ok() && written.is_ok());
    let held = held(&local);
    assert!(held.is_none() || held == Some(1), "{held:?} remains");
}

/// A refresh in memory races with this instance's own write of the key.
pub fn refresh_against_drop_key(rules: ProtocolRules) {
    refresh_against(rules, |local| {
        local.drop_key(KEY);
    });
}

/// A refresh in memory races with a clear of memory.
pub fn refresh_against_clear(rules: ProtocolRules) {
    refresh_against(rules, |local| {
        local.clear();
    });
}

/// Two reads find one aged copy, and each refreshes it if it claims the refresh.
fn refresh_against(rules: ProtocolRules, invalidate: fn(&LocalTier)) {
    let local = Arc::new(LocalTier::new(1 << 16, rules));
    let database = Arc::new(Mutex::new(0_u8));
    let life = Life {
        began: Tick::PAST,
        fresh_until: NOW,
        ends: Tick::from_nanos(u64::MAX),
        load_time: Duration::ZERO,
    };
    let aging = Some(std::sync::Arc::new(CopyAging::new(life, None, NOW)));
    let inserted = LocalPermit::draw(&local, &key(), &[].into())
        .redeem(LocalCopy { aging, ..copy(0, Origin::Timed) }, ProtocolRule::PutsUnderPermit);
    assert!(inserted.is_ok());
    let readers = [(); 2].map(|()| {
        let (local, database) = (local.clone(), database.clone());
        thread::spawn(move || {
            // `None`: the invalidation came first.
            let Some(aged) = local.get(KEY, NOW, true) else { return false };
            let is_claimed = aged.aging.as_ref().is_some_and(|aging| aging.claim(NOW, life.ends));
            if is_claimed {
                let permit = LocalPermit::draw(&local, &key(), &[].into());
                let version = *lock(&database);
                let _ = permit.redeem(copy(version, Origin::Timed), ProtocolRule::PutsUnderPermit);
            }
            is_claimed
        })
    });
    let writer = thread::spawn({
        let (local, database) = (local.clone(), database.clone());
        move || {
            *lock(&database) += 1;
            invalidate(&local);
        }
    });
    let claims = readers.map(|reader| reader.join().is_ok_and(|is_claimed| is_claimed));
    assert!(writer.join().is_ok());
    assert!(claims != [true; 2], "two reads refresh one copy");
    let held = held(&local);
    assert!(held.is_none() || held == Some(1), "{held:?} remains");
}
