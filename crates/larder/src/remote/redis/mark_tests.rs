//! Compares MARK, as Redis runs it, with the decision of `protocol::relay`.

use larder_testbed::Redis;

use super::*;
use crate::journal::Position;
use crate::key::Namespace;
use crate::protocol::certificate::RedisTime;
use crate::protocol::relay::{MarkDecision, MarkInput, decide_mark};
use crate::remote::redis::claim::JOURNALS;
use crate::remote::redis::prefix::DatabaseIdentity;
use crate::remote::redis::scripts::MarkArguments;

/// The ages that a watermark can have, relative to Redis's clock, in microseconds. Negative: ahead of the clock.
const AGES: [Option<i64>; 4] = [None, Some(-60_000_000), Some(1_000_000), Some(30_000_000)];

#[tokio::test]
async fn the_script_does_as_the_decision_says() {
    let redis = Redis::start().unwrap();
    let prefix = prefix();
    let mut connection = redis_connection(&redis).await;
    let scripts = Scripts::new();
    let replid = info(&redis, "master_replid");
    let mut seen = std::collections::BTreeSet::new();
    for (certificate, watermark_age) in [None, Some("mine"), Some("other")]
        .into_iter()
        .flat_map(|certificate| AGES.map(|age| (certificate, age)))
    {
        for (began_age, history) in
            [-60_000_000, 10_000_000].into_iter().flat_map(|age| [(age, replid.as_str()), (age, "other")])
        {
            redis.command(&["FLUSHALL"]).unwrap();
            let now = clock(&redis);
            let ago = |age: i64| RedisTime(now.0.checked_add_signed(-age).unwrap());
            let watermark = watermark_age.map(ago);
            let (certificate_key, watermark_key) =
                (text(prefix.certificate_key()), text(prefix.watermark_key()));
            for (key, value) in [
                (&certificate_key, certificate.map(str::to_owned)),
                (&watermark_key, watermark.map(|at| at.0.to_string())),
            ] {
                if let Some(value) = value {
                    redis.command(&["SET", key, &value]).unwrap();
                }
            }
            let is_same_history = history == replid;
            let input =
                MarkInput { is_same_history, now, certificate: certificate.map(str::as_bytes), watermark };
            let began = ago(began_age);
            let decided = decide_mark(input, began, b"mine");
            let position = Position::new("here");
            let asked = MarkArguments {
                began,
                certificate: Bytes::from("mine"),
                position: &position,
                found: Bytes::new(),
            };
            let done = scripts.mark(&mut connection, &prefix, history, &asked).await.unwrap();
            assert_eq!(done, decided, "{input:?} {began:?}");
            let stored = |key: &str| redis.command(&["GET", key]).unwrap();
            assert_eq!(stored(&text(prefix.position_key())) == "here", decided == MarkDecision::Set);
            assert_eq!(stored(&text(prefix.claim_key())) == JOURNALS, decided == MarkDecision::Set);
            if decided == MarkDecision::Set {
                assert_eq!(
                    (stored(&certificate_key), stored(&watermark_key)),
                    ("mine".to_owned(), began.0.to_string())
                );
                let left: u64 = redis.command(&["PTTL", &watermark_key]).unwrap().parse().unwrap();
                assert!(left > 3_600_000, "longer than any entry's residence: {left} ms");
            }
            seen.insert(format!("{decided:?}"));
        }
    }
    assert_eq!(seen.len(), 3, "every outcome was seen: {seen:?}");
}

#[tokio::test]
async fn a_full_redis_is_marked_and_a_replica_is_not() {
    let redis = Redis::start_with(&[("maxmemory", "1"), ("maxmemory-policy", "noeviction")]).unwrap();
    let (prefix, position) = (prefix(), Position::new("here"));
    let mut connection = redis_connection(&redis).await;
    let replid = info(&redis, "master_replid");
    let asked = MarkArguments {
        began: clock(&redis),
        certificate: Bytes::from("mine"),
        position: &position,
        found: Bytes::new(),
    };
    let scripts = Scripts::new();
    let done = scripts.mark(&mut connection, &prefix, &replid, &asked).await.unwrap();
    assert_eq!(done, MarkDecision::Set, "MARK runs although memory is full");
    assert!(redis.command(&["SET", "x", "y"]).is_err());

    // Demote and promote the same process: the connection stays open, the history gets another name.
    redis.command(&["REPLICAOF", "127.0.0.1", "1"]).unwrap();
    assert!(scripts.mark(&mut connection, &prefix, &replid, &asked).await.is_err(), "read-only");
    redis.command(&["REPLICAOF", "NO", "ONE"]).unwrap();
    let done = scripts.mark(&mut connection, &prefix, &replid, &asked).await.unwrap();
    assert_eq!(done, MarkDecision::Refuse, "its history has another name now");
}

fn prefix() -> Prefix {
    Prefix::new(&Namespace::parse("ns").unwrap(), DatabaseIdentity::Unknown, ProtocolRules::default())
}

fn text(key: Bytes) -> String {
    String::from_utf8(key.to_vec()).unwrap()
}

async fn redis_connection(redis: &Redis) -> Connection {
    let client = redis::Client::open(redis.url()).unwrap();
    Connection::Resp(client.get_multiplexed_async_connection().await.unwrap())
}

fn info(redis: &Redis, field: &str) -> String {
    let info = redis.command(&["INFO", "replication"]).unwrap();
    info.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':')).unwrap().trim().to_owned()
}

fn clock(redis: &Redis) -> RedisTime {
    let time = redis.command(&["TIME"]).unwrap();
    let parts: Vec<u64> = time.lines().map(|part| part.parse().unwrap()).collect();
    RedisTime(parts[0] * 1_000_000 + parts[1])
}
