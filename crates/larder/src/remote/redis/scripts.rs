//! The scripts, each one atomic step. LEASE, PERMIT, FILL and RELEASE touch an entry's key alone; PUT its tags' keys as well.

use std::time::Duration;

use bytes::Bytes;
use redis::aio::MultiplexedConnection;
use redis::{RedisResult, Script};

use crate::journal::Position;
use crate::protocol::certificate::RedisTime;
use crate::protocol::relay::MarkDecision;
use crate::protocol::token::Token;
use crate::remote::redis::claim::JOURNALS;
use crate::remote::redis::prefix::Prefix;
use crate::remote::redis::{TAG_TTL, millis};

/// ARGV: the frame to set, its milliseconds, and where something may be replaced, its fingerprint: the first
/// 17 bytes, or all of a shorter value. A value of another type is nobody's frame, and is replaced.
const LEASE: &str = r"
local standing = redis.pcall('GET', KEYS[1])
if type(standing) == 'string' and string.sub(standing, 1, 17) ~= ARGV[3] then return standing end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return ARGV[1]
";

/// As LEASE; a permit that stands there already is shared, so that of two that compute at once the first to put wins, and
/// stands as long as the longer of the two asks.
const PERMIT: &str = r"
local standing = redis.pcall('GET', KEYS[1])
if type(standing) == 'string' then
  if #standing == 17 and string.sub(standing, 1, 1) == 'P' then
    if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[2]) then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
    return standing
  end
  if string.sub(standing, 1, 17) ~= ARGV[3] then return standing end
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return ARGV[1]
";

/// KEYS: the entry's, then its tags'. ARGV: the fingerprint of what has to stand there still, the entry's frame, its
/// milliseconds, then the tags' frames. In one step, so that what was refused is said to be refused: an entry whose tag
/// fell would be put in vain.
const PUT: &str = r"
local standing = redis.pcall('GET', KEYS[1])
if type(standing) ~= 'string' or string.sub(standing, 1, 17) ~= ARGV[1] then return 0 end
for nth = 2, #KEYS do
  if redis.pcall('GET', KEYS[nth]) ~= ARGV[nth + 2] then return 0 end
end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
";

/// ARGV: the lease's frame, the entry's frame, its milliseconds.
const FILL: &str = r"
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
";

/// ARGV: the lease's frame.
const RELEASE: &str = r"
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('UNLINK', KEYS[1])
";

/// KEYS: what is to be unlinked, then the names of changes. ARGV: how many are to be unlinked, and for how many milliseconds
/// the names are worth knowing. In one step, so that no Redis, and no copy of one, has a name without the unlinking.
/// Allowed when memory is full, as UNLINK alone is.
const UNLINK_AND_RECORD: &str = r"#!lua flags=allow-oom
local count = tonumber(ARGV[1])
local unlinked = redis.call('UNLINK', unpack(KEYS, 1, count))
for nth = count + 1, #KEYS do redis.call('SET', KEYS[nth], '', 'PX', ARGV[2]) end
return unlinked
";

/// KEYS: the certificate, which every ACL for larder allows. A write that changes nothing: refused for whatever reason a
/// lease or a fill would be refused, and where the key is missing it is missing again after this one step.
const PROBE: &str = r"
if redis.call('SET', KEYS[1], '', 'NX') then redis.call('UNLINK', KEYS[1]) end
return 1
";

/// KEYS: certificate, watermark, position, the namespace's claim. ARGV: the history's name when the pass began, the pass's
/// beginning in microseconds of Redis's clock, what the three are to be, what the claim is to be, and for how many milliseconds
/// they stand. Does as `protocol::relay::decide_mark` decides: 1 set, 0 kept, -1 refused. Allowed when memory is full, for otherwise a
/// full Redis would be unusable for ever.
const MARK: &str = r"#!lua flags=allow-oom
local now = redis.call('TIME')
now = now[1] * 1000000 + now[2]
local began = tonumber(ARGV[2])
local replication = redis.call('INFO', 'replication')
local is_same_history = string.find(replication, 'role:master', 1, true)
  and string.find(replication, 'master_replid:' .. ARGV[1], 1, true)
if not is_same_history or began > now then return -1 end
local function text(key)
  local value = redis.pcall('GET', key)
  return type(value) == 'string' and value
end
local live = text(KEYS[1])
local watermark = tonumber(text(KEYS[2]) or nil)
if live == ARGV[3] and watermark and watermark <= now and watermark >= began then return 0 end
redis.call('SET', KEYS[1], ARGV[3], 'PX', ARGV[6])
redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[6])
redis.call('SET', KEYS[3], ARGV[4], 'PX', ARGV[6])
redis.call('SET', KEYS[4], ARGV[5], 'PX', ARGV[6])
return 1
";

/// KEYS: the namespace's claim. ARGV: who claims it. Answers who has it. A value of another type is no claim, and is
/// replaced.
const CLAIM: &str = r"
local standing = redis.pcall('GET', KEYS[1])
if type(standing) == 'string' then return standing end
redis.call('SET', KEYS[1], ARGV[1])
return ARGV[1]
";

/// For how long what MARK sets stands when no pass sets it again, as passes do every 200 ms while the database is in use: so what
/// is left of a database that is gone goes by itself. As long as a tag's token, the longest-lived of all that is certified by it: in a
/// Redis that carries no certificate this database's own entries are dropped before they are used. Longer than the outbox is kept, after which a position is of
/// no use.
const MARK_TTL: Duration = TAG_TTL;

/// Sent by their hash; redis-rs loads a script that the server does not know.
pub(crate) struct Scripts {
    set_frame: Script,
    permit: Script,
    put: Script,
    fill: Script,
    release: Script,
    unlink_and_record: Script,
    mark: Script,
    probe: Script,
    claim: Script,
}

impl Scripts {
    pub(crate) fn new() -> Self {
        Scripts {
            set_frame: Script::new(LEASE),
            permit: Script::new(PERMIT),
            put: Script::new(PUT),
            fill: Script::new(FILL),
            release: Script::new(RELEASE),
            unlink_and_record: Script::new(UNLINK_AND_RECORD),
            mark: Script::new(MARK),
            probe: Script::new(PROBE),
            claim: Script::new(CLAIM),
        }
    }

    /// LEASE, with whatever frame.
    pub(crate) async fn set_frame(
        &self,
        connection: MultiplexedConnection,
        key: &Bytes,
        frame: Bytes,
        replace: Option<&Bytes>,
        life: Duration,
    ) -> RedisResult<Bytes> {
        set_over(&self.set_frame, connection, key, frame, replace, life).await
    }

    pub(crate) async fn permit(
        &self,
        connection: MultiplexedConnection,
        key: &Bytes,
        frame: Bytes,
        replace: Option<&Bytes>,
        life: Duration,
    ) -> RedisResult<Bytes> {
        set_over(&self.permit, connection, key, frame, replace, life).await
    }

    pub(crate) async fn put(
        &self,
        mut connection: MultiplexedConnection,
        key: &Bytes,
        standing: &Bytes,
        tags: &[(Bytes, Bytes)],
        frame: Bytes,
        ttl: Duration,
    ) -> RedisResult<bool> {
        let mut call = self.put.key(&key[..]);
        call.arg(&standing[..]).arg(&frame[..]).arg(millis(ttl));
        for (tag, token) in tags {
            call.key(&tag[..]).arg(&token[..]);
        }
        call.invoke_async(&mut connection).await
    }

    pub(crate) async fn fill(
        &self,
        mut connection: MultiplexedConnection,
        key: &Bytes,
        token: Token,
        frame: Bytes,
        ttl: Duration,
    ) -> RedisResult<bool> {
        let lease = token.lease_frame();
        let mut call = self.fill.key(&key[..]);
        call.arg(&lease[..]).arg(&frame[..]).arg(millis(ttl));
        call.invoke_async(&mut connection).await
    }

    pub(crate) async fn release(
        &self,
        mut connection: MultiplexedConnection,
        key: &Bytes,
        token: Token,
    ) -> RedisResult<()> {
        let lease = token.lease_frame();
        let mut call = self.release.key(&key[..]);
        call.arg(&lease[..]).invoke_async(&mut connection).await
    }

    pub(crate) async fn unlink_and_record(
        &self,
        mut connection: MultiplexedConnection,
        keys: &[Bytes],
        told: &[Bytes],
        known_for: Duration,
    ) -> RedisResult<u64> {
        let mut call = self.unlink_and_record.arg(keys.len());
        for key in keys.iter().chain(told) {
            call.key(&key[..]);
        }
        call.arg(millis(known_for)).invoke_async(&mut connection).await
    }

    /// Whether Redis takes writes.
    pub(crate) async fn probe(
        &self,
        mut connection: MultiplexedConnection,
        prefix: &Prefix,
    ) -> RedisResult<()> {
        self.probe.key(&prefix.certificate_key()[..]).invoke_async(&mut connection).await
    }

    /// Claims the namespace for `installation` if it is free; says whose it is then.
    pub(crate) async fn claim(
        &self,
        connection: &mut MultiplexedConnection,
        prefix: &Prefix,
        installation: &str,
    ) -> RedisResult<String> {
        let claim =
            self.claim.key(&prefix.claim_key()[..]).arg(installation).invoke_async(connection).await?;
        Ok(claim)
    }

    pub(crate) async fn mark(
        &self,
        connection: &mut MultiplexedConnection,
        prefix: &Prefix,
        replid: &str,
        mark: &MarkArguments<'_>,
    ) -> RedisResult<MarkDecision> {
        let mut call = self.mark.key(&prefix.certificate_key()[..]);
        call.key(&prefix.watermark_key()[..]).key(&prefix.position_key()[..]).key(&prefix.claim_key()[..]);
        call.arg(replid).arg(mark.began.0).arg(&mark.live[..]).arg(mark.position.as_str());
        call.arg(JOURNALS).arg(millis(MARK_TTL));
        let done: i64 = call.invoke_async(connection).await?;
        Ok(match done {
            1 => MarkDecision::Set,
            0 => MarkDecision::Keep,
            _ => MarkDecision::Refuse,
        })
    }
}

async fn set_over(
    script: &Script,
    mut connection: MultiplexedConnection,
    key: &Bytes,
    frame: Bytes,
    replace: Option<&Bytes>,
    life: Duration,
) -> RedisResult<Bytes> {
    let mut call = script.key(&key[..]);
    call.arg(&frame[..]).arg(millis(life));
    if let Some(replace) = replace {
        call.arg(&replace[..]);
    }
    call.invoke_async(&mut connection).await
}

/// What MARK is to set.
pub(crate) struct MarkArguments<'a> {
    /// Redis's clock before the database's snapshot: the watermark.
    pub(crate) began: RedisTime,
    /// The certificate.
    pub(crate) live: Bytes,
    /// The snapshot.
    pub(crate) position: &'a Position,
}
