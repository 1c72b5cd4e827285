//! Runs a read of one key, and offers its hit to the auditor.

use serde::{Serialize, de::DeserializeOwned};

use crate::class::builder::ClassBuilder;
use crate::class::handle::{Answer, Class, ReadBuilder};
use crate::clock::Tick;
use crate::engine::audit::Auditor;
use crate::engine::{Loading, ReadOptions, ReadOutcome};
use crate::error::Error;
use crate::key::{Key, KeyBuf};
use crate::loaded::AnyPrevious;

impl<K: ?Sized, V> ClassBuilder<'_, K, V> {
    /// Leaves the class out of the [audit](crate::Builder::audit_rate). Use it for a class whose loader returns another
    /// value although the database has not changed: one that contains the time, or that depends on it, such as "the
    /// sessions that have not expired". The auditor would take such an entry for stale. Default: the class is audited, if
    /// the cache is.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), larder::Error> {
    /// let cache = larder::Cache::builder("docs").audit_rate(0.01).build().await?;
    /// let offers = cache.class::<u32, String>("offers_of_today").unaudited().open()?;
    /// # let _ = offers;
    /// # Ok(())
    /// # }
    /// ```
    pub fn unaudited(mut self) -> Self {
        self.is_audited = false;
        self
    }
}

impl<K, V, Q> ReadBuilder<'_, K, V, Q>
where
    K: Key + ?Sized,
    Q: Key<K> + ?Sized,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    /// Reads the value. `begin_load` returns the future of the loader, with its types erased.
    pub(super) async fn run(
        self,
        begin_load: impl FnOnce(Option<AnyPrevious>) -> Loading,
    ) -> Result<Answer<V>, Error> {
        let auditor = self.class.engine.auditor.as_deref();
        let aged = match self.class.hit(self.key, self.options) {
            Ok(hit) => {
                if let Some(auditor) = auditor {
                    self.class.audit(auditor, self.key, (&hit, hit.began), || Some(begin_load(None)));
                }
                return Ok(Answer::of(hit));
            }
            Err(aged) => aged,
        };
        // Boxed, so that the future of a hit stays small.
        let read = async move {
            let Class { engine, core, .. } = self.class;
            let began = auditor.map_or(Tick::PAST, Auditor::now);
            let soft_timeout = self.options.soft_timeout.or(core.soft_timeout);
            let options = ReadOptions { soft_timeout, ..self.options };
            let key = self.class.key(self.key);
            // The read calls it at most once; if it needs no load, the auditor may.
            let mut begin_load = Some(begin_load);
            let begin = |previous| match begin_load.take() {
                Some(begin_load) => begin_load(previous),
                None => Loading::refused("a read begins one load".into()),
            };
            let tags = || self.class.tags(self.key);
            let read = engine.complete(core, (&key, aged), tags, options, begin).await?;
            if let Some(auditor) = auditor.filter(|_| read.source.is_hit()) {
                let begin = || begin_load.take().map(|begin| begin(None));
                self.class.audit(auditor, self.key, (&read, began), begin);
            }
            Ok(read)
        };
        Box::pin(read).await.map(Answer::of)
    }
}

impl<K, V> Class<K, V>
where
    K: Key + ?Sized,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    /// Offers a hit on `key`, of a read that began at `at`, to the auditor. `begin_load` begins the load that the read would
    /// have run on a miss.
    #[inline]
    pub(super) fn audit<Q: Key<K> + ?Sized>(
        &self,
        auditor: &Auditor,
        key: &Q,
        (hit, at): (&ReadOutcome, Tick),
        begin_load: impl FnOnce() -> Option<Loading>,
    ) {
        if let Some(interest) = auditor.interest(hit) {
            auditor.take(interest, &self.core, &self.key(key), (hit, at), begin_load);
        }
    }

    /// Offers the hits among the answers of a batch that began at `at` to the auditor.
    pub(super) fn audit_batch(
        &self,
        (auditor, at): (&Auditor, Tick),
        keys: &[KeyBuf],
        answers: &[Result<ReadOutcome, Error>],
        mut begin_load: impl FnMut(usize) -> Option<Loading>,
    ) {
        for (nth, (key, answer)) in keys.iter().zip(answers).enumerate() {
            if let Some(hit) = answer.as_ref().ok().filter(|answer| answer.source.is_hit())
                && let Some(interest) = auditor.interest(hit)
            {
                auditor.take(interest, &self.core, key, (hit, at), || begin_load(nth));
            }
        }
    }
}
