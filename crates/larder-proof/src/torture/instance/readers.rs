//! Readers: bursts of bounded and fresh reads. Each read is recorded with the version that it saw.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use larder::class::{Answer, Class};
use larder::error::{Error, ErrorKind};
use larder::policy::Consistency;
use larder::uncached::uncached;

use crate::history::clock::now;
use crate::history::{Event, Key, Read, Seen, What};
use crate::torture::instance::Instance;
use crate::torture::instance::loader::Refusal;
use crate::torture::instance::release::Value;
use crate::torture::keys::{AGING, FALTERING, HOT, ITEMS, SECOND, TEAMS, all, habit, list_of, team_of_list};

/// The load time-out ends a load after 2 s. A read may report it later than this for two reasons. The process was not
/// running when it was due: a nemesis had stopped it (SIGSTOP for 1.5 staleness bounds), and the database may have
/// answered long before, so the failure does not count as the database's. Or the database does not answer, and the read
/// first waited for another instance's load.
const CUT_OFF_LATE: Duration = Duration::from_millis(2_500);

/// Reads while the process lives.
pub(super) async fn read_on(instance: Arc<Instance>) {
    loop {
        for _ in 0..rand::random_range(1..16) {
            let key = any_key();
            let may_be_fresh = habit(key, instance.number, now(), instance.bound).reads_fresh;
            let is_fresh = may_be_fresh && rand::random_bool(0.2);
            let consistency = if is_fresh { Consistency::Fresh } else { Consistency::Bounded };
            if rand::random_bool(0.003) {
                uncached(instance.read(key, consistency, false)).await;
            } else {
                instance.read(key, consistency, false).await;
            }
        }
        tokio::time::sleep(Duration::from_micros(rand::random_range(0..80_000))).await;
    }
}

/// Reads every key once bounded and once fresh.
pub(super) async fn read_all(instance: &Instance) {
    for key in all() {
        for consistency in [Consistency::Bounded, Consistency::Fresh] {
            instance.read(key, consistency, true).await;
        }
    }
}

fn any_key() -> Key {
    match rand::random_range(0..20) {
        0..3 => list_of(rand::random_range(0..TEAMS)),
        3..8 => rand::random_range(HOT),
        8..10 => rand::random_range(AGING),
        10..12 => rand::random_range(FALTERING),
        _ => rand::random_range(0..ITEMS),
    }
}

impl Instance {
    async fn read(&self, key: Key, consistency: Consistency, last: bool) {
        let begin = now();
        let refused = Arc::new(AtomicU64::new(0));
        let answer = match team_of_list(key) {
            Some(team) => {
                let load = || self.loader.clone().list(team);
                self.ask(&self.caches.lists, team, consistency, load).await
            }
            None if AGING.contains(&key) => {
                let load = |previous| self.loader.clone().aging(key, previous);
                self.caches.aging.read(&key).consistency(consistency).or_reload(load).await
            }
            // After the quiet time each read has to get an answer, so no load fails on purpose there.
            None if FALTERING.contains(&key) && !last => {
                let load = || self.loader.clone().faltering(key, refused.clone());
                self.ask(&self.caches.faltering, key, consistency, load).await
            }
            None if FALTERING.contains(&key) => {
                self.ask(&self.caches.faltering, key, consistency, || self.loader.clone().item(key)).await
            }
            None => self.ask(&self.caches.items, key, consistency, || self.loader.clone().item(key)).await,
        };
        let end = now();
        // Only a load of `FALTERING` sets `refused`. That class has no refreshes, so this read waited for its load, and
        // looked the entry up after the failure. So judge it as a read that began at the failure: it must not miss what
        // was acknowledged before.
        let begin = begin.max(refused.load(Ordering::Acquire));
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => return self.failed(&error, Duration::from_nanos(end - begin)),
        };
        let seen = match answer.value.as_deref() {
            None => Seen::Absent,
            Some(Value { key: of, version }) => {
                if *of != key {
                    self.failures.crossed.fetch_add(1, Ordering::Relaxed);
                }
                if (*version > SECOND) != self.is_second {
                    self.failures.mixed.fetch_add(1, Ordering::Relaxed);
                }
                Seen::Version(*version)
            }
        };
        let read = Read { consistency, source: answer.source, is_shared: answer.is_shared, last };
        self.reads.record(&Event { key, seen, instance: self.number, begin, end, what: What::Read(read) });
    }

    async fn ask<L, F, E>(
        &self,
        class: &Class<Key, Value>,
        id: Key,
        consistency: Consistency,
        load: L,
    ) -> Result<Answer<Value>, Error>
    where
        L: FnOnce() -> F,
        F: Future<Output = Result<Option<Value>, E>> + Send + 'static,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        class.read(&id).consistency(consistency).or_load(load).await
    }

    fn failed(&self, error: &Error, after: Duration) {
        if error.load_error::<Refusal>().is_some() {
            return;
        }
        let failures = match error.kind() {
            ErrorKind::LoadTimeout if after > CUT_OFF_LATE => &self.failures.late,
            ErrorKind::Load | ErrorKind::LoadTimeout => &self.failures.database,
            _ => &self.failures.cache,
        };
        failures.fetch_add(1, Ordering::Relaxed);
        tracing::debug!(%error, "a read failed");
    }
}
