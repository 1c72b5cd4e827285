//! Removes values that are too long to be an entry, if their transfer takes longer than a request waits.
//!
//! A long value that arrives in time is replaced by the lease of its reader. If it does not, its reader goes on without
//! Redis, and each further one would make Redis send the value again, before the replies to all other requests. So the
//! reader's keys are looked at on another connection, and those with a long value are unlinked.
//!
//! No reply is a sign too, not only the beginning of a long one: while Redis copies half a gigabyte into a reply, which
//! takes it up to seconds, it answers no heartbeat either, and then the connection is closed before the reply begins.
//! Redis copies it once more for each read that it has received by then, so:
//!
//! - After a read that got no reply in 20 ms, no further read is sent before anything has come from Redis.
//! - If its connection was lost, or a long text has begun, no read of the same keys is sent before they have been looked
//!   at.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::time::{sleep, timeout};

use crate::remote::Fault;
use crate::remote::redis::inspect::UntrackedPool;
use crate::remote::redis::link::Connection;
use crate::remote::redis::replies::ReplyLimit;
use crate::remote::validity::{Epoch, Validity};

/// Unlinks the keys whose values are longer than ARGV[1] bytes, and returns their number. It is one script, so that it
/// needs one reply: Redis may be copying the value for a next reader, and answers in between only. Of a value of another
/// type STRLEN is an error, and the value is not too long: MGET returns nil.
const UNLINK_LONG: &str = r"
local unlinked = 0
for _, key in ipairs(KEYS) do
  local bytes = redis.pcall('STRLEN', key)
  if type(bytes) == 'number' then
    if bytes > tonumber(ARGV[1]) then unlinked = unlinked + redis.call('UNLINK', key) end
  elseif not string.find(bytes.err, 'WRONGTYPE') then
    return bytes
  end
end
return unlinked
";

/// How long after a read that got no reply its keys are looked at, unless a long text begins earlier. So a Redis that is
/// slow for another reason gets one more request a second at most.
const LATE_REPLY: Duration = Duration::from_secs(1);

/// How long a read has to have waited without a reply to be a sign of a long value. A read whose caller left earlier is none.
const SILENCE: Duration = Duration::from_millis(20);

/// How often the keys are looked at if Redis does not answer, and the pause in between: it may be busy with the value.
const ATTEMPTS: usize = 10;
const RETRY_AFTER: Duration = Duration::from_millis(300);

/// The most keys that wait to be looked at. A key that finds no room is noted at its next read without a reply.
const SUSPECTS_MAX: usize = 500;

#[derive(Clone)]
pub(crate) struct LongValues {
    pool: UntrackedPool,
    limit: Arc<ReplyLimit>,
    validity: Arc<Validity>,
    /// Whether there are suspects, so that a read takes no lock otherwise. Relaxed: a read at the moment of the change may
    /// be sent, which costs what it cost before.
    is_alert: Arc<AtomicBool>,
    /// The lock is held for a few statements, never across an await. Under it only that of `validity` is taken.
    suspects: Arc<Mutex<Suspects>>,
}

/// The keys of reads that got no reply. Invariant: if there are any, a task runs that will look at them.
#[derive(Default)]
struct Suspects {
    /// Those that will be looked at.
    keys: Vec<Bytes>,
    /// Those that are being looked at.
    looked_at: Vec<Bytes>,
    is_looking: bool,
    /// What was noted before the first read of `keys` was sent.
    before: Option<Noted>,
    /// How many times bytes had come when the last read gave up that waited for [`SILENCE`]; `None` if none did.
    silent_at: Option<u64>,
}

#[derive(Clone, Copy)]
struct Noted {
    cuts: u64,
    epoch: Epoch,
}

/// A read on its way. If it is dropped before its reply, its keys are looked at.
pub(crate) struct ReadWatch<'a> {
    values: &'a LongValues,
    before: Noted,
    sent: Instant,
    pub(crate) keys: Vec<Bytes>,
    is_answered: bool,
}

impl LongValues {
    pub(crate) fn new(pool: UntrackedPool, limit: Arc<ReplyLimit>, validity: Arc<Validity>) -> Self {
        LongValues { pool, limit, validity, is_alert: Arc::default(), suspects: Arc::default() }
    }

    /// Watches a read of `keys`, spelled as Redis has them.
    ///
    /// # Errors
    ///
    /// [`Fault::Spent`] if the read is not to be sent: it would wait behind a read that got no reply, or make Redis send a
    /// long value once more.
    pub(crate) fn watch(&self, keys: Vec<Bytes>) -> Result<ReadWatch<'_>, Fault> {
        if self.is_alert.load(Ordering::Relaxed) {
            let suspects = self.suspects();
            let is_silent = suspects.silent_at == Some(self.limit.arrivals());
            let is_suspect = |key| suspects.keys.contains(key) || suspects.looked_at.contains(key);
            let is_barred = suspects.before.is_some_and(|before| {
                self.limit.cuts() > before.cuts
                    || (suspects.silent_at.is_some() && self.validity.epoch() != before.epoch)
            });
            if is_silent || (is_barred && keys.iter().any(is_suspect)) {
                return Err(Fault::Spent);
            }
        }
        Ok(ReadWatch { values: self, before: self.note(), sent: Instant::now(), keys, is_answered: false })
    }

    fn note(&self) -> Noted {
        Noted { cuts: self.limit.cuts(), epoch: self.validity.epoch() }
    }

    /// Looks at the suspects until there are none.
    async fn look(&self, mut before: Noted) {
        loop {
            // Time-out: the connection of the reply may have been closed before the reply began.
            let _ = timeout(LATE_REPLY, self.limit.cut_after(before.cuts)).await;
            let was_seen = self.limit.cuts() > before.cuts;
            let (keys, is_due) = {
                let mut suspects = self.suspects();
                suspects.looked_at = std::mem::take(&mut suspects.keys);
                (suspects.looked_at.clone(), was_seen || suspects.silent_at.is_some())
            };
            if is_due {
                self.remove(&keys, was_seen).await;
            }
            let mut suspects = self.suspects();
            suspects.looked_at.clear();
            before = self.note();
            suspects.before = Some(before);
            if suspects.keys.is_empty() {
                (suspects.before, suspects.silent_at) = (None, None);
                suspects.is_looking = false;
                self.is_alert.store(false, Ordering::Relaxed);
                return;
            }
        }
    }

    /// Unlinks the long values under `keys`. If Redis does not answer, that is logged if a long value `was_seen`.
    async fn remove(&self, keys: &[Bytes], was_seen: bool) {
        let most = self.limit.bytes() as u64;
        let look = |mut connection: Connection| async move {
            let mut removed = 0;
            for keys in keys.chunks(connection.keys_at_once(SUSPECTS_MAX)) {
                let mut unlink = redis::cmd("EVAL");
                unlink.arg(UNLINK_LONG).arg(keys.len());
                keys.iter().for_each(|key| {
                    unlink.arg(&key[..]);
                });
                unlink.arg(connection.stored_bytes(most));
                removed += unlink.query_async::<u64>(&mut connection).await?;
            }
            Ok(removed)
        };
        let mut removed: Result<u64, _> = self.pool.ask(look).await;
        // Tries again: Redis answers no other command while it copies half a gigabyte into a reply.
        for _ in 1..ATTEMPTS {
            if !matches!(removed, Err(Fault::Away)) {
                break;
            }
            sleep(RETRY_AFTER).await;
            removed = self.pool.ask(look).await;
        }
        match removed {
            Ok(0) => {}
            Ok(removed) => tracing::warn!(removed, most, "values that are too long were removed from Redis"),
            Err(_) if was_seen => {
                tracing::warn!(most, "a value in Redis is too long, and could not be removed");
            }
            // Redis is away, which the keeper logs, or refuses the script.
            Err(_) => {}
        }
    }

    /// The state is consistent between any two statements, so it can be used after a panic with the lock.
    fn suspects(&self) -> MutexGuard<'_, Suspects> {
        self.suspects.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ReadWatch<'_> {
    /// Ends the watch if Redis has answered, also with an error.
    pub(crate) fn note_answer<T>(&mut self, answer: &Result<T, Fault>) {
        self.is_answered = !matches!(answer, Err(Fault::Away));
    }
}

impl Drop for ReadWatch<'_> {
    fn drop(&mut self) {
        if self.is_answered {
            return;
        }
        // Without a runtime there is no task that could look.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let values = self.values;
        let mut suspects = values.suspects();
        let room = SUSPECTS_MAX.saturating_sub(suspects.keys.len());
        suspects.keys.extend(self.keys.drain(..).take(room));
        if self.sent.elapsed() >= SILENCE {
            suspects.silent_at = Some(values.limit.arrivals());
        }
        if !suspects.keys.is_empty() && !std::mem::replace(&mut suspects.is_looking, true) {
            suspects.before = Some(self.before);
            values.is_alert.store(true, Ordering::Relaxed);
            let (values, before) = (values.clone(), self.before);
            drop(runtime.spawn(async move { values.look(before).await }));
        }
    }
}
