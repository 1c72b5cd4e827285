//! Work over REST, where no connection belongs to one server and no server names itself.
//!
//! A database behind REST has a leader, which takes the writes, and replicas, which follow its log and answer reads. Each
//! request may reach another server, and after a failure a replica becomes the leader with a prefix of the log: what was
//! acknowledged last may be lost. Two rules take the place of the identity that a server of Redis has:
//!
//! - **A read has its evidence with it.** A script, which only the leader runs, returns the values in one step with
//!   certificate and watermark. Every commit before a watermark has been propagated to each state that carries it, so a
//!   read counts if it finds the granted watermark or a newer one; see `evidence`.
//! - **A poll is a chain** ([`PollChain`]). The relay may mark only a Redis that has all of what the poll read and unlinked.
//!   Each step of the poll compares and replaces a value under a key of the relay's own. A state that has the value of one
//!   step has everything before that step, because it is a prefix of the same log. So MARK compares the last value.
//!
//! So a watermark is true after every failover, and bounded reads keep the bound. What is not known is whether an UNLINK
//! that was acknowledged still holds: so a write is never acknowledged as `sent` over REST.
//!
//! What it rests on: a replica's state is a prefix of the leader's log. If two leaders have written at once and Upstash
//! merges their states, that is not so, and an entry from before an invalidation may stay until its TTL ends.

use std::sync::LazyLock;
use std::time::Duration;

use bytes::Bytes;
use redis::{RedisResult, Script};

use crate::batch::Sweep;
use crate::protocol::certificate::RedisTime;
use crate::protocol::relay::MarkDecision;
use crate::remote::redis::claim::JOURNALS;
use crate::remote::redis::commands::millis;
use crate::remote::redis::evidence::Marks;
use crate::remote::redis::link::Connection;
use crate::remote::redis::prefix::Prefix;
use crate::remote::redis::scripts::{MARK_TAIL, MARK_TTL, MarkArguments, decision};

/// The TTL of a chain's key. A poll that takes longer fails, and the next one begins another chain.
const CHAIN_TTL: Duration = Duration::from_secs(60);

/// The values of all keys. A script and not MGET, because a replica may answer MGET.
static READ: LazyLock<Script> = LazyLock::new(|| Script::new("return redis.call('MGET', unpack(KEYS))"));

/// Begins a chain, if there is one, and reads the clock and the keys in the same step. KEYS: those to read, then the
/// chain's. ARGV, with a chain: the number of the keys to read, the chain's value, its TTL in milliseconds.
static BEGIN: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local count = tonumber(ARGV[1])
if ARGV[2] then redis.call('SET', KEYS[count + 1], ARGV[2], 'PX', ARGV[3]) end
return {redis.call('TIME'), redis.call('MGET', unpack(KEYS, 1, count))}
",
    )
});

/// One step of a chain: unlinks keys. KEYS: the chain's, then those to unlink. ARGV: the chain's value, its next value, its
/// TTL in milliseconds.
static UNLINK: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return -1 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return redis.call('UNLINK', unpack(KEYS, 2))
",
    )
});

/// One step of a chain: which of the keys exist. KEYS and ARGV as in UNLINK.
static FIND: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return false end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
local found = {}
for nth = 2, #KEYS do found[nth - 1] = redis.call('EXISTS', KEYS[nth]) end
return found
",
    )
});

/// One part of a search: unlinks the keys that it finds and that match a pattern, except those of the protocol; may be one
/// step of a chain. Returns the cursor of the next part, 0 at the end and -1 if the chain is broken, and how many keys it
/// unlinked. A search in parts holds the database's lock for a short time each, and no part takes longer than a request may.
/// KEYS: the chain's, if there is one. ARGV: the pattern, three keys to leave, the beginning of the names of others to
/// leave, the cursor, and with a chain its value, its next value, its TTL in milliseconds. The chain's value is set last:
/// the search may unlink its key.
static SWEEP: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
if KEYS[1] and redis.call('GET', KEYS[1]) ~= ARGV[7] then return {-1, 0} end
local function is_reserved(key)
  return key == ARGV[2] or key == ARGV[3] or key == ARGV[4]
    or (string.sub(key, 1, #ARGV[5]) == ARGV[5] and not string.find(key, ':', #ARGV[5] + 1, true))
end
local unlinked = 0
local part = redis.call('SCAN', ARGV[6], 'MATCH', ARGV[1], 'COUNT', 10000)
for _, key in ipairs(part[2]) do
  if not is_reserved(key) then unlinked = unlinked + redis.call('UNLINK', key) end
end
if KEYS[1] then redis.call('SET', KEYS[1], ARGV[8], 'PX', ARGV[9]) end
return {part[1], unlinked}
",
    )
});

/// MARK for the end of a chain. KEYS and ARGV as in MARK of `scripts`, with the chain's key at the end, and the chain's value
/// in place of the replication history. It has no flags, because Upstash does not document those of Redis.
static MARK: LazyLock<Script> = LazyLock::new(|| {
    let head = r"
local now = redis.call('TIME')
now = now[1] * 1000000 + now[2]
local began = tonumber(ARGV[2])
if redis.call('GET', KEYS[5]) ~= ARGV[1] or began > now then return -1 end
";
    Script::new(&[head, MARK_TAIL].concat())
});

/// Reads the values of `keys`, which are spelled as Redis has them, and the marks of the database.
pub(super) async fn read(
    connection: &mut Connection,
    prefix: &Prefix,
    keys: &[Bytes],
) -> RedisResult<(Vec<Option<Bytes>>, Marks)> {
    let mut call = READ.key(&prefix.certificate_key()[..]);
    call.key(&prefix.watermark_key()[..]).key(&prefix.resp_watermark_key()[..]);
    keys.iter().for_each(|key| {
        call.key(&key[..]);
    });
    let mut values: Vec<Option<Bytes>> = call.invoke_async(connection).await?;
    let mut marks = values.drain(..values.len().min(3)).chain([None, None, None]);
    let mut next = || marks.next().flatten();
    let found = Marks { certificate: next(), watermark: time(next()), resp_watermark: time(next()) };
    drop(marks);
    Ok((values, found))
}

/// The instant that a watermark says; `None` for anything else.
pub(super) fn time(watermark: Option<Bytes>) -> Option<RedisTime> {
    std::str::from_utf8(&watermark?).ok()?.parse().ok().map(RedisTime)
}

/// Reads Redis's clock and `keys`, in one step, and begins `chain` in the same step.
pub(super) async fn begin<T: redis::FromRedisValue>(
    connection: &mut Connection,
    keys: &[Bytes],
    chain: Option<&PollChain>,
) -> RedisResult<T> {
    let mut call = BEGIN.prepare_invoke();
    for key in keys.iter().chain(chain.map(|chain| &chain.key)) {
        call.key(&key[..]);
    }
    call.arg(keys.len());
    if let Some(chain) = chain {
        call.arg(&chain.value).arg(millis(CHAIN_TTL));
    }
    call.invoke_async(connection).await
}

/// Deletes all matching keys, and returns how many it deleted. It may delete other entries, too: a pattern of Redis knows
/// less of a key than a pattern of larder. Returns `None` if `chain` is broken. The cursor of a search means nothing to
/// another server; with a chain, such a search fails, and without one the relay repeats it.
pub(super) async fn sweep(
    connection: &mut Connection,
    prefix: &Prefix,
    what: Sweep<'_>,
    mut chain: Option<&mut PollChain>,
) -> RedisResult<Option<u64>> {
    let namespace = prefix.namespace();
    let pattern = match what {
        Sweep::Matching(pattern) => namespace.scan_pattern(pattern),
        Sweep::Everything => namespace.pattern(),
    };
    let pattern = prefix.add_to(pattern.as_bytes());
    let (mut cursor, mut unlinked) = ("0".to_owned(), 0);
    loop {
        let mut call = SWEEP.arg(&pattern[..]);
        for key in [prefix.certificate_key(), prefix.watermark_key(), prefix.position_key()] {
            call.arg(&key[..]);
        }
        call.arg(&prefix.propagated_beginning()[..]).arg(&cursor);
        if let Some(chain) = &mut chain {
            chain.step(&mut call);
        }
        let (next, found): (String, u64) = call.invoke_async(connection).await?;
        unlinked += found;
        match next.as_str() {
            "-1" => return Ok(None),
            "0" => return Ok(Some(unlinked)),
            _ => cursor = next,
        }
    }
}

/// The chain of one poll. Each function that is a step returns `None` if the chain is broken: then the poll has to fail.
pub(super) struct PollChain {
    key: Bytes,
    value: String,
}

impl PollChain {
    /// A chain under the key of the relay `relay`. It begins with [`begin`].
    pub(super) fn new(prefix: &Prefix, relay: &str) -> Self {
        PollChain { key: prefix.chain_key(relay), value: unique() }
    }

    /// Adds to `call` the chain's key, its value and the next one.
    fn step(&mut self, call: &mut redis::ScriptInvocation<'_>) {
        let next = unique();
        call.key(&self.key[..]).arg(&self.value).arg(&next).arg(millis(CHAIN_TTL));
        self.value = next;
    }

    pub(super) async fn unlink(
        &mut self,
        connection: &mut Connection,
        keys: &[Bytes],
    ) -> RedisResult<Option<u64>> {
        let mut call = UNLINK.prepare_invoke();
        self.step(&mut call);
        keys.iter().for_each(|key| {
            call.key(&key[..]);
        });
        let unlinked: i64 = call.invoke_async(connection).await?;
        Ok(u64::try_from(unlinked).ok())
    }

    /// Whether each of `keys` exists.
    pub(super) async fn find(
        &mut self,
        connection: &mut Connection,
        keys: &[Bytes],
    ) -> RedisResult<Option<Vec<bool>>> {
        let mut call = FIND.prepare_invoke();
        self.step(&mut call);
        keys.iter().for_each(|key| {
            call.key(&key[..]);
        });
        call.invoke_async(connection).await
    }

    /// Marks the Redis that has the chain's last value.
    pub(super) async fn mark(
        &self,
        connection: &mut Connection,
        prefix: &Prefix,
        mark: &MarkArguments<'_>,
    ) -> RedisResult<MarkDecision> {
        let mut call = MARK.key(&prefix.certificate_key()[..]);
        for key in [prefix.watermark_key(), prefix.position_key(), prefix.claim_key(), self.key.clone()] {
            call.key(&key[..]);
        }
        call.arg(&self.value).arg(mark.began.0).arg(&mark.certificate[..]).arg(mark.position.as_str());
        call.arg(JOURNALS).arg(millis(MARK_TTL));
        call.invoke_async(connection).await.map(decision)
    }
}

/// A value that no other step has.
pub(super) fn unique() -> String {
    format!("{:032x}", rand::random::<u128>())
}

#[cfg(test)]
#[cfg(feature = "upstash")]
mod tests {
    use larder_testbed::{Proxy, Redis, RestFront};

    use super::*;
    use crate::journal::{ChangeId, DatabaseId, Position};
    use crate::key::Namespace;
    use crate::protocol::rules::ProtocolRules;
    use crate::remote::redis::prefix::DatabaseIdentity;
    use crate::remote::redis::rest::{RestAddress, RestDialler};

    fn prefix() -> Prefix {
        let identity = DatabaseIdentity::Database(DatabaseId { system: "test".to_owned(), timeline: 1 });
        Prefix::over_rest(&Namespace::parse("ns").unwrap(), identity, ProtocolRules::default())
    }

    fn connect(front: &RestFront) -> Connection {
        let address = RestAddress::parse(&front.url(), front.token()).unwrap();
        Connection::Rest(RestDialler::new(address, Duration::from_secs(2)).unwrap().connection())
    }

    const STEPS: [&str; 4] = ["begin", "unlink", "find", "sweep"];

    /// Runs the steps of a poll up to `last` on `front`; `None` if the chain is broken.
    async fn run(
        connection: &mut Connection,
        chain: &mut PollChain,
        steps: impl IntoIterator<Item = &'static str>,
    ) -> Option<()> {
        let (prefix, keys) = (prefix(), [Bytes::from("k")]);
        for step in steps {
            match step {
                "begin" => {
                    let ((_, _), [_]): ((u64, u64), [Option<Bytes>; 1]) =
                        begin(connection, &keys, Some(chain)).await.unwrap();
                }
                "unlink" => drop(chain.unlink(connection, &keys).await.unwrap()?),
                "find" => assert_eq!(chain.find(connection, &keys).await.unwrap()?, [false]),
                _ => drop(sweep(connection, &prefix, Sweep::Everything, Some(chain)).await.unwrap()?),
            }
        }
        Some(())
    }

    async fn mark(connection: &mut Connection, chain: &PollChain) -> MarkDecision {
        let position = Position::new("here");
        let mark = MarkArguments {
            began: RedisTime(1),
            certificate: Bytes::from("mine"),
            position: &position,
            found: Bytes::new(),
        };
        chain.mark(connection, &prefix(), &mark).await.unwrap()
    }

    /// For each step: the leader runs the poll up to it, and is then replaced by a replica that has missed this step alone,
    /// or nothing.
    #[tokio::test]
    async fn a_poll_marks_only_a_redis_that_has_all_of_its_steps() {
        for (nth, has_all) in (0..STEPS.len()).flat_map(|nth| [(nth, false), (nth, true)]) {
            let (leader, replica) = (Redis::start().unwrap(), Redis::start().unwrap());
            let (link, front) =
                (Proxy::start(leader.port()).unwrap(), RestFront::start(leader.port()).unwrap());
            replica.replicate(link.port()).unwrap();
            let mut connection = connect(&front);
            let mut chain = PollChain::new(&prefix(), "relay");
            let steps = &STEPS[..=nth];
            run(&mut connection, &mut chain, steps[..nth].iter().copied()).await.unwrap();
            replica.catch_up(&leader).unwrap();
            if !has_all {
                link.stall();
            }
            run(&mut connection, &mut chain, [steps[nth]]).await.unwrap();
            if has_all {
                replica.catch_up(&leader).unwrap();
            }
            replica.promote().unwrap();
            front.fail_over(replica.port());
            let (marked, continued) = match has_all {
                true => (MarkDecision::Set, Some(())),
                false => (MarkDecision::Refuse, None),
            };
            assert_eq!(mark(&mut connection, &chain).await, marked, "after {steps:?}");
            let next = run(&mut connection, &mut chain, ["unlink"]).await;
            assert_eq!(next, continued, "after {steps:?}");
        }
    }

    #[tokio::test]
    async fn a_step_of_another_chain_breaks_none_and_a_sweep_leaves_the_keys_of_the_protocol() {
        let redis = Redis::start().unwrap();
        let front = RestFront::start(redis.port()).unwrap();
        let (mut connection, prefix) = (connect(&front), prefix());
        let (mut mine, mut theirs) = (PollChain::new(&prefix, "mine"), PollChain::new(&prefix, "theirs"));
        run(&mut connection, &mut mine, ["begin"]).await.unwrap();
        run(&mut connection, &mut theirs, ["begin", "unlink"]).await.unwrap();
        let text = |key: Bytes| String::from_utf8(key.to_vec()).unwrap();
        let kept = [
            prefix.certificate_key(),
            prefix.watermark_key(),
            prefix.position_key(),
            prefix.propagated_key(&ChangeId::new("7")),
            mine.key.clone(),
            theirs.key.clone(),
        ];
        let mut kept = kept.map(text);
        // The class of the second has the name of a record.
        let entries =
            ["ns:users:7", "ns:@told=x:7", "ns:#users"].map(|key| text(prefix.add_to(key.as_bytes())));
        for key in kept[..4].iter().chain(&entries) {
            redis.command(&["SET", key, "value"]).unwrap();
        }
        redis.command(&["SET", "ns:users:7", "of another database"]).unwrap();
        assert_eq!(
            sweep(&mut connection, &prefix, Sweep::Everything, Some(&mut mine)).await.unwrap(),
            Some(3)
        );
        let found = redis.command(&["KEYS", "*"]).unwrap();
        let mut found: Vec<&str> = found.lines().filter(|key| *key != "ns:users:7").collect();
        found.sort_unstable();
        kept.sort_unstable();
        assert_eq!(found, kept);
        assert_eq!(mark(&mut connection, &mine).await, MarkDecision::Set);
        assert_eq!(mark(&mut connection, &theirs).await, MarkDecision::Keep, "an equal mark is there");
    }
}
