//! Reads of several keys of one class at once.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt, Shared};
use serde::{Serialize, de::DeserializeOwned};
use tracing::Instrument;

use crate::class::builder::ClassBuilder;
use crate::class::handle::{Answer, Class};
use crate::engine::{BatchCall, BatchLoad, ClassCore, Loading, ReadOptions};
use crate::error::{BoxError, Error, SharedLoadError};
use crate::key::{Key, KeyBuf};
use crate::loaded::{AnyLoaded, AnyPrevious, IntoLoaded, Loaded, Previous};
use crate::loading::{is_auditing, run_load, spoil};
use crate::policy::Consistency;
use crate::stats::count;

/// A key that is to be loaded.
pub(super) struct MissingKey<O> {
    pub(super) spelled: KeyBuf,
    /// The key as the loader gets it.
    pub(super) key: O,
    pub(super) previous: Option<AnyPrevious>,
}

impl<K, V> Class<K, V>
where
    K: Key + ToOwned + ?Sized,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    /// Returns the values of `keys`, in their order; `load` loads those that no tier has, by one call. A key for which
    /// the loader returns nothing has no such value, which is kept as the class's policy says. A key that is given
    /// twice is read once.
    ///
    /// Each key is read as by [`Class::get_or_load`]: it has a flight and a lease of its own, so an invalidation of one
    /// key does not touch the others. The keys share round trips: one `MGET` and one for the leases, or as many for each
    /// 250 keys; and one call of the loader, for up to [`load_keys_max`](ClassBuilder::load_keys_max) keys. A key that
    /// another read or another instance is loading is waited for; if that load gives no answer, `load` is called once
    /// more, for that key.
    ///
    /// The loader gets owned keys and returns pairs of a key and its value: a `Vec`, a `HashMap`, or whatever iterates
    /// over such pairs. It returns each key at most once, and only keys that it got; anything else is an error of the
    /// load, because two spellings of one key would otherwise be taken for an absent value.
    ///
    /// # Errors
    ///
    /// Those of [`Class::get_or_load`]: the error of the first key that has one. [`Class::read_many`] returns an answer
    /// or an error for each key.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), larder::Error> {
    /// use std::collections::HashMap;
    ///
    /// let cache = larder::Cache::builder("docs").build().await?;
    /// let rooms = cache.class::<i64, String>("rooms").open()?;
    /// let rows = HashMap::from([(7, "sea view".to_owned()), (9, "garden".to_owned())]);
    ///
    /// // SELECT id, name FROM rooms WHERE id = ANY($1)
    /// let load = |ids: Vec<i64>| {
    ///     let rows: Vec<_> = ids.iter().filter_map(|id| Some((*id, rows.get(id)?.clone()))).collect();
    ///     async { Ok::<_, std::io::Error>(rows) }
    /// };
    /// let names = rooms.get_many(&[9, 8, 7], load).await?;
    /// let names: Vec<_> = names.iter().map(|name| name.as_deref().map(String::as_str)).collect();
    /// assert_eq!(names, [Some("garden"), None, Some("sea view")]);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn get_many<Q, L, F, I, R, T, E>(
        &self,
        keys: impl IntoIterator<Item = Q>,
        load: L,
    ) -> Result<Vec<Option<Arc<V>>>, Error>
    where
        Q: Key<K>,
        L: FnMut(Vec<K::Owned>) -> F,
        F: Future<Output = Result<I, E>> + Send + 'static,
        I: IntoIterator<Item = (R, T)>,
        R: Key<K>,
        T: IntoLoaded<V>,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let answers = self.read_many(keys).or_load(load).await;
        answers.into_iter().map(|answer| answer.map(|answer| answer.value)).collect()
    }

    /// Starts to build a read of several keys. Set its consistency and its loader on the result.
    pub fn read_many<Q: Key<K>>(&self, keys: impl IntoIterator<Item = Q>) -> ReadManyBuilder<'_, K, V, Q> {
        ReadManyBuilder { class: self, keys: keys.into_iter().collect(), options: ReadOptions::default() }
    }
}

/// A read of several keys before it runs; see [`Class::read_many`].
#[must_use = "nothing is read before `or_load`"]
pub struct ReadManyBuilder<'a, K: ?Sized, V, Q> {
    class: &'a Class<K, V>,
    pub(super) keys: Vec<Q>,
    options: ReadOptions,
}

impl<K, V, Q> ReadManyBuilder<'_, K, V, Q>
where
    K: Key + ToOwned + ?Sized,
    Q: Key<K>,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    /// Which consistency the read asks for. Default: the class's.
    pub fn consistency(mut self, consistency: Consistency) -> Self {
        self.options.consistency = Some(consistency);
        self
    }

    /// Skips memory; short for [`Consistency::Fresh`].
    pub fn fresh(self) -> Self {
        self.consistency(Consistency::Fresh)
    }

    /// How long this read waits for each answer, instead of the class's
    /// [`soft_timeout`](crate::class::ClassBuilder::soft_timeout).
    pub fn soft_timeout(mut self, soft_timeout: Duration) -> Self {
        self.options.soft_timeout = Some(soft_timeout);
        self
    }

    /// Reads the values; `load` loads those that no tier has. Returns an answer or an error for each key, in the order
    /// of the keys. See [`Class::get_many`].
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), larder::Error> {
    /// let cache = larder::Cache::builder("docs").build().await?;
    /// let rooms = cache.class::<str, String>("rooms").open()?;
    /// let load = |names: Vec<String>| async move {
    ///     Ok::<_, std::io::Error>(names.into_iter().map(|name| (name.clone(), name)).collect::<Vec<_>>())
    /// };
    /// let answers = rooms.read_many(["blue", "red"]).fresh().or_load(load).await;
    /// assert!(answers.iter().all(|answer| answer.as_ref().is_ok_and(|answer| answer.source.is_stored())));
    /// # Ok(())
    /// # }
    /// ```
    pub async fn or_load<L, F, I, R, T, E>(self, mut load: L) -> Vec<Result<Answer<V>, Error>>
    where
        L: FnMut(Vec<K::Owned>) -> F,
        F: Future<Output = Result<I, E>> + Send + 'static,
        I: IntoIterator<Item = (R, T)>,
        R: Key<K>,
        T: IntoLoaded<V>,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        self.or_reload(|keys| load(without_previous(keys))).await
    }

    /// Does as [`ReadManyBuilder::or_load`], with a loader that gets each key together with the previous value, as the
    /// loader of [`ReadBuilder::or_reload`](crate::class::ReadBuilder::or_reload) does. If the value of a key has not
    /// changed, the loader answers [`Loaded::unchanged`](crate::Loaded::unchanged) for it.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), larder::Error> {
    /// use larder::{Loaded, Previous};
    ///
    /// # async fn changed(known: Vec<(String, Option<String>)>) -> Result<Vec<(String, Option<(String, String)>)>, std::io::Error> {
    /// #     Ok(known.into_iter().map(|(city, _)| (city, Some(("sunny".to_owned(), "v1".to_owned())))).collect())
    /// # }
    /// let cache = larder::Cache::builder("docs").build().await?;
    /// let reports = cache.class::<str, String>("reports").open()?;
    /// let load = |cities: Vec<(String, Option<Previous<String>>)>| async move {
    ///     let etag = |previous: Previous<String>| previous.version.map(|etag| etag.to_string());
    ///     let known = cities.into_iter().map(|(city, previous)| (city, previous.and_then(etag)));
    ///     let answer = |(city, report)| match report {
    ///         Some((report, etag)) => (city, Loaded::new(report).version(etag)),
    ///         None => (city, Loaded::unchanged()),
    ///     };
    ///     Ok::<_, std::io::Error>(changed(known.collect()).await?.into_iter().map(answer).collect::<Vec<_>>())
    /// };
    /// let reports = reports.read_many(["Berlin", "Rome"]).or_reload(load).await;
    /// assert_eq!(reports[1].as_ref().unwrap().value.as_deref().map(String::as_str), Some("sunny"));
    /// # Ok(())
    /// # }
    /// ```
    pub async fn or_reload<L, F, I, R, T, E>(self, mut load: L) -> Vec<Result<Answer<V>, Error>>
    where
        L: FnMut(Vec<(K::Owned, Option<Previous<V>>)>) -> F,
        F: Future<Output = Result<I, E>> + Send + 'static,
        I: IntoIterator<Item = (R, T)>,
        R: Key<K>,
        T: IntoLoaded<V>,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let core = self.class.core.clone();
        self.run(|missing| {
            let (asked, keys): (Vec<_>, _) = missing.into_iter().map(MissingKey::split).unzip();
            let (loading, spelling) = (load(keys), core.clone());
            let answers = async move {
                let answers = loading.await.map_err(Into::into)?;
                let spell = |(key, value): (R, T)| (spelling.prefix.key(&key), value.into_loaded());
                Ok(answers.into_iter().map(spell).collect())
            };
            let run = SharedLoad::of(&core, asked.clone(), answers);
            asked.into_iter().map(|key| run.loading(key)).collect()
        })
        .await
    }

    /// Reads the values; `begin_loads` returns a loading for each of the keys that it gets.
    pub(super) async fn run(
        self,
        mut begin_loads: impl FnMut(Vec<MissingKey<K::Owned>>) -> Vec<Loading>,
    ) -> Vec<Result<Answer<V>, Error>> {
        let Class { engine, core, .. } = self.class;
        let soft_timeout = self.options.soft_timeout.or(core.soft_timeout);
        let options = ReadOptions { soft_timeout, ..self.options };
        let (mut spelled, mut first_with, mut place_of) = (Vec::new(), Vec::new(), HashMap::new());
        let mut places = Vec::with_capacity(self.keys.len());
        for key in &self.keys {
            let place = *place_of.entry(self.class.key(key)).or_insert_with_key(|as_spelled| {
                spelled.push(as_spelled.clone());
                first_with.push(key);
                spelled.len() - 1
            });
            places.push(place);
        }
        let mut answers: Vec<Result<Answer<V>, Error>> = Vec::with_capacity(spelled.len());
        let read = async {
            let most = core.load_keys_max;
            for (spelled, keys) in spelled.chunks(most).zip(first_with.chunks(most)) {
                let missing = |BatchLoad { nth, previous }| {
                    let (spelled, key) = (spelled[nth].clone(), keys[nth].with_key(K::to_owned));
                    MissingKey { spelled, key, previous }
                };
                let begin = |loads: Vec<BatchLoad>| begin_loads(loads.into_iter().map(missing).collect());
                let tags = |nth: usize| self.class.tags(keys[nth]);
                let auditor = engine.auditor.as_deref().map(|auditor| (auditor, auditor.now()));
                let read = engine.read_batch(core, spelled, tags, options, begin).await;
                if let Some(auditor) = auditor {
                    let load = |nth| begin_loads(vec![missing(BatchLoad { nth, previous: None })]).pop();
                    self.class.audit_batch(auditor, spelled, &read, load);
                }
                answers.extend(read.into_iter().map(|outcome| outcome.map(Answer::of)));
            }
        };
        // One budget for all keys.
        engine.budgeted(core, read).await;
        places.into_iter().map(|place| answers[place].clone()).collect()
    }
}

/// Leaves out the keys, which may be personal data.
impl<K: ?Sized, V, Q> fmt::Debug for ReadManyBuilder<'_, K, V, Q> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadManyBuilder")
            .field("class", self.class)
            .field("keys", &self.keys.len())
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// A key as a loader of several keys gets it, with the value that the load is to replace.
pub(super) type Reload<O, V> = (O, Option<Previous<V>>);

/// A key for which the loader is called.
#[derive(Clone)]
pub(super) struct AskedKey {
    spelled: KeyBuf,
    /// Whether there is a value that the loader may call unchanged.
    has_previous: bool,
}

impl<O> MissingKey<O> {
    /// The key as it is asked for, and as the loader gets it.
    pub(super) fn split<V: Send + Sync + 'static>(self) -> (AskedKey, Reload<O, V>) {
        let MissingKey { spelled, key, previous } = self;
        let asked = AskedKey { spelled, has_previous: previous.is_some() };
        (asked, (key, previous.and_then(AnyPrevious::typed)))
    }
}

pub(super) fn without_previous<O, V>(keys: Vec<Reload<O, V>>) -> Vec<O> {
    keys.into_iter().map(|(key, _)| key).collect()
}

impl<K: ?Sized, V> ClassBuilder<'_, K, V> {
    /// The most keys that one call of a loader for several keys gets; a read of more keys calls it again. Lower it for a
    /// database whose statements have room for fewer keys. While a load takes longer than a second, each of its keys
    /// has a lease to renew, 250 at a time. Default: 1,000.
    pub fn load_keys_max(self, load_keys_max: usize) -> Self {
        ClassBuilder { load_keys_max, ..self }
    }
}

type BatchAnswers = HashMap<KeyBuf, AnyLoaded>;

/// How one call of a loader for several keys ended.
enum BatchOutcome {
    Ended { answers: Result<BatchAnswers, Error>, spoiled: Option<Cow<'static, str>> },
    Panicked,
}

/// One call of a loader for several keys. Whichever of its loadings is polled runs it; if all are dropped, it is dropped.
pub(super) struct SharedLoad {
    run: Shared<BoxFuture<'static, Arc<BatchOutcome>>>,
    call: Arc<BatchCall>,
}

impl SharedLoad {
    /// `load` is the loader's future; it was called for `asked`.
    pub(super) fn of<V: Send + Sync + 'static>(
        core: &Arc<ClassCore>,
        asked: Vec<AskedKey>,
        load: impl Future<Output = Result<Vec<(KeyBuf, Loaded<V>)>, BoxError>> + Send + 'static,
    ) -> Self {
        if !is_auditing() {
            count(&core.common.counters.batches);
        }
        let (core, call) = (core.clone(), Arc::<BatchCall>::default());
        let ended = call.clone();
        let run = async move {
            let timed = async {
                let timing = core.common.timing();
                let answers = load.await;
                drop(timing);
                answers
            };
            let (answers, spoiled) = run_load(timed, None).await;
            let answers = answers.and_then(|answers| check(&asked, answers));
            ended.end(answers.as_ref().map_or(true, |answers| has_failed(&asked, answers)));
            BatchOutcome::Ended { answers: answers.map_err(|error| Error::load(&core.name, error)), spoiled }
        };
        // Caught, so that only the first panic is reported, and the load of each key then panics in silence.
        let run = AssertUnwindSafe(run.in_current_span()).catch_unwind();
        let run = run.map(|ended| Arc::new(ended.unwrap_or(BatchOutcome::Panicked))).boxed().shared();
        SharedLoad { run, call }
    }

    /// The loading of `key`, one of the keys for which the loader was called.
    pub(super) fn loading(&self, AskedKey { spelled: key, .. }: AskedKey) -> Loading {
        let run = self.run.clone();
        let load = async move {
            match &*run.await {
                BatchOutcome::Ended { answers, spoiled } => {
                    // The run has a mark of its own; this marks the load of this key.
                    spoiled.iter().for_each(|reason| spoil(reason.clone()));
                    let absent = Loaded::absent;
                    let loaded =
                        answers.as_ref().map(|answers| answers.get(&key).cloned().unwrap_or_else(absent));
                    loaded.map_err(|error| SharedLoadError(error.clone()).into())
                }
                BatchOutcome::Panicked => resume_unwind(Box::new("the batch's loader panicked")),
            }
        };
        Loading::of_batch(load, &self.call)
    }
}

/// The answers by their key. An answer for another key, or a second one for the same key, makes the others doubtful:
/// the database may compare keys by other rules than the cache, for example without regard to case.
fn check<V: Send + Sync + 'static>(
    asked: &[AskedKey],
    answers: Vec<(KeyBuf, Loaded<V>)>,
) -> Result<BatchAnswers, BoxError> {
    let asked: HashSet<&KeyBuf> = asked.iter().map(|asked| &asked.spelled).collect();
    let mut checked = HashMap::with_capacity(asked.len());
    for (key, loaded) in answers {
        if !asked.contains(&key) {
            return Err("the batch's loader returned a key that it did not get".into());
        }
        if checked.insert(key, loaded.untyped()).is_some() {
            return Err("the batch's loader returned a key twice".into());
        }
    }
    Ok(checked)
}

/// Whether the call has failed although it returned: each of its keys has an error, or is called unchanged without a
/// previous value, which is an error too.
fn has_failed(asked: &[AskedKey], answers: &BatchAnswers) -> bool {
    asked.iter().all(|AskedKey { spelled, has_previous }| {
        answers.get(spelled).is_some_and(|answer| answer.is_error(*has_previous))
    })
}
