//! The Lua scripts. Each is one atomic step. LEASE, PERMIT, FILL and RELEASE use only an entry's key; PUT and RENEW
//! also use the keys of its tags.

use std::time::Duration;

use bytes::Bytes;
use redis::{RedisResult, Script, ScriptInvocation};

use crate::journal::Position;
use crate::protocol::certificate::RedisTime;
use crate::protocol::relay::MarkDecision;
use crate::protocol::token::Token;
use crate::remote::redis::claim::JOURNALS;
use crate::remote::redis::commands::millis;
use crate::remote::redis::link::Connection;
use crate::remote::redis::prefix::Prefix;

/// Whether `text` begins with a fingerprint: the first 17 bytes of a frame, or all bytes of a shorter value. Over REST these
/// bytes take more, and the spelling of a beginning is the beginning of the spelling.
const HAS: &str = r"
local function has(text, fingerprint)
  return fingerprint and string.sub(text, 1, #fingerprint) == fingerprint
    and (#fingerprint >= 17 or #text == #fingerprint)
end
";

/// Sets a frame if the key is free or holds the given fingerprint; returns the frame that is under the key after that.
/// ARGV: the frame to set, its TTL in milliseconds, and, if a value may be replaced, that value's fingerprint: the
/// first 17 bytes, or all bytes of a shorter value. A value of another type is no frame of larder's, so it is replaced.
const LEASE: &str = r"
local standing = redis.pcall('GET', KEYS[1])
if type(standing) == 'string' and not has(standing, ARGV[3]) then return standing end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return ARGV[1]
";

/// As LEASE, but a permit that is there already is shared: of two computations at once, the first to put wins. The
/// shared permit lasts as long as the longer of the two requests.
const PERMIT: &str = r"
local standing = redis.pcall('GET', KEYS[1])
if type(standing) == 'string' then
  if #standing == 17 and string.sub(standing, 1, 1) == 'P' then
    if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[2]) then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
    return standing
  end
  if not has(standing, ARGV[3]) then return standing end
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return ARGV[1]
";

/// The length of a permit in PERMIT, and the same over REST: there the bytes from 128 to 191 only continue a character, so
/// what is left without them has one byte for each byte of the permit.
const PERMIT_LENGTH: (&str, &str) = ("#standing == 17", r"#string.gsub(standing, '[\128-\191]', '') == 17");

/// Replaces a frame by an entry, if the frame is still there and every tag has its token. KEYS: the entry's, then its
/// tags'. ARGV: the fingerprint of the frame that has to be under the key, the entry's frame, its TTL in milliseconds,
/// then the tags' frames. PUT also checks the tags, so that the caller learns if one was invalidated: otherwise the
/// entry would be stored, and no read would serve it.
const PUT: &str = r"
local standing = redis.pcall('GET', KEYS[1])
if type(standing) ~= 'string' or not has(standing, ARGV[1]) then return 0 end
for nth = 2, #KEYS do
  if redis.pcall('GET', KEYS[nth]) ~= ARGV[nth + 2] then return 0 end
end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
";

/// Replaces a lease by an entry, if that lease is still there. ARGV: the lease's frame, the entry's frame, its TTL in
/// milliseconds.
const FILL: &str = r"
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
";

/// Gives a lease its full TTL again, if it is still there and other keys have the frames that the load depends on: its
/// tags, and the entry that it is to replace. If one has another frame, the load's value would not be stored or not be
/// valid, so the lease is removed: other readers need not wait for it. KEYS: the lease's, then the others. ARGV: the
/// lease's frame, its TTL in milliseconds, then the others' fingerprints.
const RENEW: &str = r"
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
for nth = 2, #KEYS do
  local standing = redis.pcall('GET', KEYS[nth])
  if type(standing) ~= 'string' or not has(standing, ARGV[nth + 1]) then
    redis.call('UNLINK', KEYS[1])
    return 0
  end
end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
";

/// Removes a lease, if it is still there. ARGV: the lease's frame.
const RELEASE: &str = r"
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('UNLINK', KEYS[1])
";

/// Unlinks keys and records changes as propagated. KEYS: the keys to unlink, then the keys of the records. ARGV: the
/// number of keys to unlink, and the TTL of the records in milliseconds. It is one step, so that no Redis, replica or
/// snapshot has a record without the unlinking. `allow-oom`: it runs when memory is full, as UNLINK alone does.
const UNLINK_AND_RECORD: &str = r"#!lua flags=allow-oom
local count = tonumber(ARGV[1])
local unlinked = redis.call('UNLINK', unpack(KEYS, 1, count))
for nth = count + 1, #KEYS do redis.call('SET', KEYS[nth], '', 'PX', ARGV[2]) end
return unlinked
";

/// A write that changes nothing: Redis refuses it for the same reasons for which it refuses a lease or a fill. KEYS:
/// the certificate, because every ACL for larder allows it. If the key is missing, it is missing again after this one
/// step.
const PROBE: &str = r"
if redis.call('SET', KEYS[1], '', 'NX') then redis.call('UNLINK', KEYS[1]) end
return 1
";

/// Does what `protocol::relay::decide_mark` decides, and returns 1 for set, 0 for kept, -1 for refused. KEYS:
/// certificate, watermark, position, the namespace's claim. ARGV: the `master_replid` when the poll began; the
/// beginning of the poll in microseconds of Redis's clock, which is the new watermark; the new certificate, position
/// and claim; and their TTL in milliseconds. `allow-oom`: without it, a full Redis would never be certified and so
/// never be used.
const MARK: &str = r"#!lua flags=allow-oom
local now = redis.call('TIME')
now = now[1] * 1000000 + now[2]
local began = tonumber(ARGV[2])
local replication = redis.call('INFO', 'replication')
local is_same_history = string.find(replication, 'role:master', 1, true)
  and string.find(replication, 'master_replid:' .. ARGV[1], 1, true)
if not is_same_history or began > now then return -1 end
";

/// What MARK also checks in a Redis Cluster: that the certificate is still the one that the poll found. Otherwise another poll
/// has seen the master with other slots since, and this one may list a slot that was away meanwhile. ARGV: the certificate
/// that was found, or an empty text.
const MARK_UNCHANGED: &str = r"
local listed = redis.pcall('GET', KEYS[1])
if (type(listed) == 'string' and listed or '') ~= ARGV[7] then return -1 end
";

/// The rest of MARK, for a Redis that is surely the one of the poll.
pub(super) const MARK_TAIL: &str = r"
local function text(key)
  local value = redis.pcall('GET', key)
  return type(value) == 'string' and value
end
local certificate = text(KEYS[1])
local watermark = tonumber(text(KEYS[2]) or nil)
if certificate == ARGV[3] and watermark and watermark <= now and watermark >= began then return 0 end
redis.call('SET', KEYS[1], ARGV[3], 'PX', ARGV[6])
redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[6])
redis.call('SET', KEYS[3], ARGV[4], 'PX', ARGV[6])
redis.call('SET', KEYS[4], ARGV[5], 'PX', ARGV[6])
return 1
";

/// Claims a namespace if it is free; returns the claim that is there after that. KEYS: the namespace's claim. ARGV: the
/// new claim. A value of another type is no claim, so it is replaced.
const CLAIM: &str = r"
local standing = redis.pcall('GET', KEYS[1])
if type(standing) == 'string' then return standing end
redis.call('SET', KEYS[1], ARGV[1])
return ARGV[1]
";

/// The TTL of the keys that MARK sets. While the database is in use, a poll renews them every 200 ms. Later they
/// expire, so that nothing of the database remains in Redis. The TTL is longer than the time for which the outbox keeps
/// rows, because an older position is of no use.
pub(super) const MARK_TTL: Duration = Duration::from_hours(2);

/// The scripts by their hash. redis-rs sends the hash, and loads the script if the server does not know it.
pub(crate) struct Scripts {
    set_frame: Script,
    permit: Script,
    permit_over_rest: Script,
    put: Script,
    fill: Script,
    renew: Script,
    release: Script,
    unlink_and_record: Script,
    unlink_and_record_over_rest: Script,
    mark: Script,
    mark_member: Script,
    probe: Script,
    claim: Script,
}

impl Scripts {
    pub(crate) fn new() -> Self {
        Scripts {
            set_frame: comparing(LEASE),
            permit: comparing(PERMIT),
            permit_over_rest: comparing(&PERMIT.replace(PERMIT_LENGTH.0, PERMIT_LENGTH.1)),
            put: comparing(PUT),
            fill: Script::new(FILL),
            renew: comparing(RENEW),
            release: Script::new(RELEASE),
            unlink_and_record: Script::new(UNLINK_AND_RECORD),
            // Without the line of the flags, which Upstash does not document.
            unlink_and_record_over_rest: Script::new(
                UNLINK_AND_RECORD.split_once('\n').map_or(UNLINK_AND_RECORD, |(_, script)| script),
            ),
            mark: Script::new(&[MARK, MARK_TAIL].concat()),
            mark_member: Script::new(&[MARK, MARK_UNCHANGED, MARK_TAIL].concat()),
            probe: Script::new(PROBE),
            claim: Script::new(CLAIM),
        }
    }

    /// Runs the script LEASE, which sets any frame: a lease, or an anchor.
    pub(crate) async fn set_frame(
        &self,
        connection: Connection,
        key: &Bytes,
        frame: Bytes,
        replace: Option<&Bytes>,
        life: Duration,
    ) -> RedisResult<Bytes> {
        set_over(&self.set_frame, connection, key, frame, replace, life).await
    }

    pub(crate) async fn permit(
        &self,
        connection: Connection,
        key: &Bytes,
        frame: Bytes,
        replace: Option<&Bytes>,
        life: Duration,
    ) -> RedisResult<Bytes> {
        let script = if connection.is_rest() { &self.permit_over_rest } else { &self.permit };
        set_over(script, connection, key, frame, replace, life).await
    }

    pub(crate) async fn put(
        &self,
        mut connection: Connection,
        key: &Bytes,
        standing: &Bytes,
        tags: &[(Bytes, Bytes)],
        frame: Bytes,
        ttl: Duration,
    ) -> RedisResult<bool> {
        let mut call = self.put.key(&key[..]);
        call.arg(&standing[..]).arg(&frame[..]).arg(millis(ttl));
        add_tags(&mut call, tags);
        call.invoke_async(&mut connection).await
    }

    pub(crate) async fn fill(
        &self,
        mut connection: Connection,
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

    pub(crate) async fn renew(
        &self,
        mut connection: Connection,
        key: &Bytes,
        lease: &Bytes,
        tags: &[(Bytes, Bytes)],
        life: Duration,
    ) -> RedisResult<bool> {
        let mut call = self.renew.key(&key[..]);
        call.arg(&lease[..]).arg(millis(life));
        add_tags(&mut call, tags);
        call.invoke_async(&mut connection).await
    }

    pub(crate) async fn release(
        &self,
        mut connection: Connection,
        key: &Bytes,
        token: Token,
    ) -> RedisResult<()> {
        let lease = token.lease_frame();
        let mut call = self.release.key(&key[..]);
        call.arg(&lease[..]).invoke_async(&mut connection).await
    }

    pub(crate) async fn unlink_and_record(
        &self,
        mut connection: Connection,
        keys: &[Bytes],
        records: &[Bytes],
        known_for: Duration,
    ) -> RedisResult<u64> {
        let script = match connection.is_rest() {
            true => &self.unlink_and_record_over_rest,
            false => &self.unlink_and_record,
        };
        let mut call = script.arg(keys.len());
        for key in keys.iter().chain(records) {
            call.key(&key[..]);
        }
        call.arg(millis(known_for)).invoke_async(&mut connection).await
    }

    /// Returns an error if Redis takes no writes. Over REST it asks nothing: requests cost money there, and each poll writes.
    pub(crate) async fn probe(&self, mut connection: Connection, prefix: &Prefix) -> RedisResult<()> {
        if connection.is_rest() {
            return Ok(());
        }
        self.probe.key(&prefix.certificate_key()[..]).invoke_async(&mut connection).await
    }

    /// Claims the namespace for `installation` if it is free; returns the claim that is there after that.
    pub(crate) async fn claim(
        &self,
        connection: &mut Connection,
        prefix: &Prefix,
        installation: &str,
    ) -> RedisResult<String> {
        let claim =
            self.claim.key(&prefix.claim_key()[..]).arg(installation).invoke_async(connection).await?;
        Ok(claim)
    }

    pub(crate) async fn mark(
        &self,
        connection: &mut Connection,
        prefix: &Prefix,
        replid: &str,
        mark: &MarkArguments<'_>,
    ) -> RedisResult<MarkDecision> {
        let script = if prefix.is_in_cluster() { &self.mark_member } else { &self.mark };
        let mut call = script.key(&prefix.certificate_key()[..]);
        call.key(&prefix.watermark_key()[..]).key(&prefix.position_key()[..]).key(&prefix.claim_key()[..]);
        call.arg(replid).arg(mark.began.0).arg(&mark.certificate[..]).arg(mark.position.as_str());
        call.arg(JOURNALS).arg(millis(MARK_TTL)).arg(&mark.found[..]);
        call.invoke_async(connection).await.map(decision)
    }
}

/// What MARK says that it did.
pub(super) fn decision(done: i64) -> MarkDecision {
    match done {
        1 => MarkDecision::Set,
        0 => MarkDecision::Keep,
        _ => MarkDecision::Refuse,
    }
}

/// A script that compares fingerprints.
fn comparing(script: &str) -> Script {
    Script::new(&[HAS, script].concat())
}

/// Adds the key and the frame of each tag.
fn add_tags(call: &mut ScriptInvocation<'_>, tags: &[(Bytes, Bytes)]) {
    for (tag, token) in tags {
        call.key(&tag[..]).arg(&token[..]);
    }
}

async fn set_over(
    script: &Script,
    mut connection: Connection,
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

/// What MARK sets.
pub(crate) struct MarkArguments<'a> {
    /// The watermark: Redis's clock before the database's snapshot was taken.
    pub(crate) began: RedisTime,
    /// The certificate.
    pub(crate) certificate: Bytes,
    /// The position of the database's snapshot.
    pub(crate) position: &'a Position,
    /// The certificate that the poll found; empty if there was none. Only in a Redis Cluster it has to be there still.
    pub(crate) found: Bytes,
}
