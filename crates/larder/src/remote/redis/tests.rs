//! The invariants of `Remote`, checked against a real Redis.

use std::sync::Mutex;

use larder_testbed::Redis;

use super::*;
use crate::cause::Causes;
use crate::condition::Condition;
use crate::key::Namespace;
use crate::polls::PollRequests;
use crate::protocol::frame::fingerprint;
use crate::remote::Listener;
use crate::remote::redis::prefix::DatabaseIdentity;

/// Notes the keys of all pushes, in their order.
#[derive(Default)]
struct Notes {
    pushed: Mutex<Vec<Bytes>>,
}

impl Listener for Notes {
    fn apply_push(&self, key: &[u8]) {
        self.pushed.lock().unwrap().push(Bytes::copy_from_slice(key));
    }

    fn clear_guarded(&self) {}

    fn clear_guarded_of(&self, _: &dyn Fn(&[u8]) -> bool) {}
}

impl Notes {
    /// How often `key` was reported since the last call.
    fn take(&self, key: &Bytes) -> usize {
        let mut pushed = self.pushed.lock().unwrap();
        let count = pushed.iter().filter(|pushed| *pushed == key).count();
        pushed.clear();
        count
    }
}

fn namespace() -> Namespace {
    Namespace::parse("ns").unwrap()
}

/// [`KEY`] as it is spelled in Redis.
fn in_redis() -> String {
    let prefix = Prefix::new(
        &namespace(),
        DatabaseIdentity::Installation("here".to_owned()),
        ProtocolRules::default(),
    );
    String::from_utf8(prefix.add_to(&KEY).to_vec()).unwrap()
}

async fn tier(redis: &Redis) -> (RedisTier, Arc<Notes>) {
    let (notes, validity) = (Arc::new(Notes::default()), Arc::new(Validity::new()));
    let settings = Settings {
        endpoint: Endpoint::Redis(redis.url().into()),
        namespace: namespace(),
        bound: Duration::from_secs(2),
        timeout: Duration::from_millis(250),
        pool_size: 1,
        pool_timeout: Duration::from_secs(5),
        source: IdentitySource::Installation("here".to_owned()),
        rules: ProtocolRules::default(),
        polls: Arc::new(PollRequests::new()),
        condition: Arc::new(Condition::new(Clock::Kernel)),
        membership: None,
        causes: Arc::new(Causes::new(Clock::Kernel, Duration::from_secs(2))),
    };
    let tier = RedisTier::start(settings, Clock::Kernel, notes.clone(), validity.clone()).unwrap();
    assert!(validity.wait_for_grant(Clock::Kernel.now(), Duration::from_secs(5)).await);
    (tier, notes)
}

const KEY: Bytes = Bytes::from_static(b"ns:values:k");
const NO_TAGS: Mint = Mint { tags: Vec::new(), ttl: Duration::ZERO };
const OTHER: Bytes = Bytes::from_static(b"ns:values:other");
const TTL: Duration = Duration::from_secs(60);

fn frame(text: &str) -> Bytes {
    // The script compares only the first 17 bytes: here the kind `V`, and an id of 16 bytes made of `text`.
    Bytes::from(format!("V{text:<16}and the rest"))
}

#[tokio::test]
async fn a_fill_needs_its_own_lease() {
    let redis = Redis::start().unwrap();
    let (tier, _) = tier(&redis).await;
    let (mine, theirs) = (Token::random(), Token::random());
    assert_eq!(tier.lease(&KEY, mine, None, &NO_TAGS).await.unwrap().existing, mine.lease_frame());
    assert_eq!(tier.lease(&KEY, theirs, None, &NO_TAGS).await.unwrap().existing, mine.lease_frame());
    assert_eq!(tier.fill(&KEY, theirs, frame("theirs"), TTL).await, Ok(false));
    assert_eq!(tier.fill(&KEY, mine, frame("mine"), TTL).await, Ok(true));
    assert_eq!(tier.fill(&KEY, mine, frame("again"), TTL).await, Ok(false), "a lease fills once");
    assert_eq!(tier.read(&[KEY, OTHER]).await, Ok(vec![Some(frame("mine")), None]));

    tier.unlink(&[KEY]).await.unwrap();
    tier.lease(&KEY, mine, None, &NO_TAGS).await.unwrap();
    tier.unlink(&[KEY]).await.unwrap();
    assert_eq!(tier.fill(&KEY, mine, frame("late"), TTL).await, Ok(false));
    assert_eq!(tier.read(&[KEY]).await, Ok(vec![None]));
}

#[tokio::test]
async fn only_the_frame_that_was_read_is_replaced() {
    let redis = Redis::start().unwrap();
    let (tier, _) = tier(&redis).await;
    let fill = async |text: &str| {
        let token = Token::random();
        tier.unlink(&[KEY]).await.unwrap();
        tier.lease(&KEY, token, None, &NO_TAGS).await.unwrap();
        assert_eq!(tier.fill(&KEY, token, frame(text), TTL).await, Ok(true));
    };
    fill("one").await;
    let read = fingerprint(&frame("one"));
    // Another fill in between, with another fill id: the key changes from an entry to nothing to an entry (ABA).
    fill("two").await;
    let token = Token::random();
    let existing = tier.lease(&KEY, token, Some(&read), &NO_TAGS).await.unwrap().existing;
    assert_eq!(existing, frame("two"));
    let read = fingerprint(&frame("two"));
    assert_eq!(tier.lease(&KEY, token, Some(&read), &NO_TAGS).await.unwrap().existing, token.lease_frame());
}

#[tokio::test]
async fn only_its_holder_releases_a_lease() {
    let redis = Redis::start().unwrap();
    let (tier, _) = tier(&redis).await;
    let (mine, theirs) = (Token::random(), Token::random());
    tier.lease(&KEY, mine, None, &NO_TAGS).await.unwrap();
    tier.release(&KEY, theirs).await.unwrap();
    assert_eq!(tier.read(&[KEY]).await, Ok(vec![Some(mine.lease_frame())]));
    tier.release(&KEY, mine).await.unwrap();
    assert_eq!(tier.read(&[KEY]).await, Ok(vec![None]));
}

#[tokio::test]
async fn a_lease_expires_by_itself() {
    let redis = Redis::start().unwrap();
    let (tier, _) = tier(&redis).await;
    tier.lease(&KEY, Token::random(), None, &NO_TAGS).await.unwrap();
    let left: u64 = redis.command(&["PTTL", &in_redis()]).unwrap().parse().unwrap();
    assert!((1..=3_000).contains(&left), "{left} ms");
}

#[tokio::test]
async fn two_leases_that_mint_a_tag_at_once_get_the_same_token() {
    let redis = Redis::start().unwrap();
    let (first, _) = tier(&redis).await;
    let (second, _) = tier(&redis).await;
    let tag = namespace().tag_key("users");
    let mint = |tier: RedisTier| {
        let tag = tag.clone();
        let mint = Mint { tags: vec![(tag, Token::random())], ttl: Duration::from_secs(60) };
        async move { tier.lease(&KEY, Token::random(), None, &mint).await.unwrap().minted }
    };
    let (a, b) = tokio::join!(mint(first), mint(second));
    assert_eq!(a, b);
}

/// Pushes and replies arrive in the order in which Redis sent them, and the reader handles a push before it delivers a
/// later reply. So when a read returns, every change before its reply has been reported.
#[tokio::test]
async fn a_change_is_reported_before_any_reply_that_was_sent_after_it() {
    let redis = Redis::start().unwrap();
    let (tier, notes) = tier(&redis).await;
    for round in 0..200 {
        tier.read(&[KEY]).await.unwrap();
        notes.take(&KEY);
        redis.command(&["SET", &in_redis(), &round.to_string()]).unwrap();
        tier.read(&[OTHER]).await.unwrap();
        assert_eq!(notes.take(&KEY), 1, "round {round}");
        redis.command(&["SET", &in_redis(), "again"]).unwrap();
        tier.read(&[OTHER]).await.unwrap();
        assert_eq!(notes.take(&KEY), 0, "a report is for one change after one read");
    }
}

#[tokio::test]
async fn an_instances_own_changes_are_reported_to_it() {
    let redis = Redis::start().unwrap();
    let (tier, notes) = tier(&redis).await;
    let token = Token::random();
    tier.read(&[KEY]).await.unwrap();
    tier.lease(&KEY, token, None, &NO_TAGS).await.unwrap();
    tier.read(&[KEY]).await.unwrap();
    assert_eq!(notes.take(&KEY), 1, "the own lease");
    tier.fill(&KEY, token, frame("mine"), TTL).await.unwrap();
    tier.read(&[KEY]).await.unwrap();
    assert_eq!(notes.take(&KEY), 1, "the own fill");
    tier.unlink(&[KEY]).await.unwrap();
    tier.read(&[OTHER]).await.unwrap();
    assert_eq!(notes.take(&KEY), 1, "the own UNLINK, on the connection that reads");
}

#[tokio::test]
async fn a_demoted_master_answers_no_read_even_before_the_next_heartbeat() {
    let redis = Redis::start().unwrap();
    let (tier, _) = tier(&redis).await;
    assert_eq!(tier.read(&[KEY]).await, Ok(vec![None]));
    redis.command(&["REPLICAOF", "127.0.0.1", "1"]).unwrap();
    assert!(tier.read(&[KEY]).await.is_err(), "although its connection is open and it has values");
}
