//! The three scripts. Each touches one key, so each is atomic there and nowhere else.

use std::time::Duration;

use bytes::Bytes;
use redis::aio::MultiplexedConnection;
use redis::{RedisResult, Script};

use crate::protocol::token::Token;
use crate::remote::redis::millis;

/// ARGV: the lease's frame, its milliseconds, and where something may be replaced, its fingerprint: the first
/// 17 bytes, or all of a shorter value.
const LEASE: &str = r"
local standing = redis.call('GET', KEYS[1])
if standing and string.sub(standing, 1, 17) ~= ARGV[3] then return standing end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return ARGV[1]
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

/// Sent by their hash; redis-rs loads a script that the server does not know.
pub(crate) struct Scripts {
    lease: Script,
    fill: Script,
    release: Script,
}

impl Scripts {
    pub(crate) fn new() -> Self {
        Scripts { lease: Script::new(LEASE), fill: Script::new(FILL), release: Script::new(RELEASE) }
    }

    pub(crate) async fn lease(
        &self,
        mut connection: MultiplexedConnection,
        key: &Bytes,
        token: Token,
        replace: Option<&Bytes>,
        lease: Duration,
    ) -> RedisResult<Bytes> {
        let frame = token.lease_frame();
        let mut call = self.lease.key(&key[..]);
        call.arg(&frame[..]).arg(millis(lease));
        if let Some(replace) = replace {
            call.arg(&replace[..]);
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
}
