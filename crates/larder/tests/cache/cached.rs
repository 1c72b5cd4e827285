//! `#[cached]` on functions and methods.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use larder::cached;
use larder::class::LoadingClass;
use larder::error::ErrorKind;
use larder::policy::{Breaker, Policy};
use larder::{Cache, Class};
use larder_testbed::Redis;
use tokio::task::JoinHandle;

use crate::support::{Gate, Instance, Table, in_redis, instance, memory_instance, within};

/// An error as an application has it, which gets its own error back out of a read's.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
enum AppError {
    #[error("row {0} is locked")]
    Locked(u32),
    #[error("{0}")]
    Cache(String),
}

impl From<larder::Error> for AppError {
    fn from(error: larder::Error) -> Self {
        match error.load_error::<AppError>() {
            Some(own) => own.clone(),
            None => AppError::Cache(error.to_string()),
        }
    }
}

/// A repository whose methods are cached. It counts the calls of their bodies.
#[derive(Clone)]
struct Repository {
    table: Arc<Table>,
    values: Class<u32, u64>,
    names: Class<String, String>,
    pairs: Class<(u32, String), u64>,
    tenant: u32,
    gate: Option<Arc<Gate>>,
    calls: Arc<AtomicUsize>,
}

impl Repository {
    fn new(instance: &Instance) -> Self {
        Repository {
            table: Table::new(),
            values: instance.values.clone(),
            names: instance.cache.class("names").open().unwrap(),
            pairs: instance.cache.class("pairs").open().unwrap(),
            tenant: 1,
            gate: None,
            calls: Arc::default(),
        }
    }

    fn called(&self) {
        self.calls.fetch_add(1, Ordering::SeqCst);
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    /// A `?`, an early `return`, a mutable argument, and `self` in a macro and in a closure.
    #[cached(class = self.values)]
    async fn find(&self, mut key: u32) -> Result<Option<Arc<u64>>, AppError> {
        self.called();
        if key == 13 {
            return Err(AppError::Locked(key));
        }
        let found = (|| self.table.load(key))()
            .map_err(|error| AppError::Cache(format!("{error} {}", self.tenant)))?;
        if let Some(gate) = &self.gate {
            gate.wait().await;
        }
        key = 0;
        Ok(found.map(|value| Arc::new(value + u64::from(key))))
    }

    #[cached(class = self.names)]
    async fn upper(&self, name: &str) -> Result<String, anyhow::Error> {
        self.called();
        anyhow::ensure!(name != "none", "no name");
        Ok(name.to_uppercase())
    }

    #[cached(class = self.pairs, skip(trace))]
    async fn pair(&self, number: u32, name: &str, trace: &str) -> Result<Option<u64>, AppError> {
        self.called();
        Ok((!trace.is_empty()).then_some(u64::from(number) + name.len() as u64))
    }

    #[cached(class = self.pairs, key = (self.tenant, name.to_lowercase()))]
    async fn of_tenant(self: &Arc<Self>, name: String) -> Result<u64, AppError> {
        self.called();
        Ok(u64::from(self.tenant) * 10 + name.len() as u64)
    }

    #[cached(class = self.pairs, key = (0, "shared"))]
    async fn shared(self: Arc<Self>) -> Arc<u64> {
        self.called();
        Arc::new(7)
    }
}

trait Find {
    async fn look_up(&self, key: u32) -> Option<u64>;
}

impl Find for Repository {
    #[cached(class = self.values)]
    async fn look_up(&self, key: u32) -> Option<u64> {
        self.called();
        let Ok(found) = self.table.load(key);
        found
    }
}

async fn each() -> (Redis, [Instance; 2]) {
    let redis = Redis::start().unwrap();
    let instances = [instance(&redis).await, memory_instance().await];
    (redis, instances)
}

#[tokio::test]
async fn a_hit_does_not_call_the_function() {
    let (_redis, instances) = each().await;
    for instance in instances {
        let repository = Repository::new(&instance);
        repository.table.write(7, 1);
        for _ in 0..3 {
            assert_eq!(within(repository.find(7)).await.unwrap().as_deref(), Some(&1));
            assert_eq!(
                within(repository.find(8)).await.unwrap(),
                None,
                "absent, which the class's policy keeps"
            );
        }
        assert_eq!(repository.calls(), 2);
        // The copies of the repository share its class, and a method of a trait is cached like any other.
        assert_eq!(within(repository.clone().look_up(7)).await, Some(1));
        assert_eq!(repository.calls(), 2);
        repository.table.write(7, 2);
        let _ = repository.values.invalidate(&7).await;
        assert_eq!(within(repository.look_up(7)).await, Some(2));
        assert_eq!(repository.calls(), 3);
    }
}

#[tokio::test]
async fn absence_is_not_kept_unless_the_class_says_so() {
    let (_redis, instances) = each().await;
    for instance in instances {
        let repository = Repository::new(&instance);
        for calls in 1..=3 {
            assert_eq!(within(repository.pair(7, "seven", "")).await.unwrap(), None);
            assert_eq!(repository.calls(), calls, "`pairs` has no `absent_for`");
        }
    }
}

#[tokio::test]
async fn an_error_is_not_kept_and_comes_back_as_it_was() {
    let (_redis, instances) = each().await;
    for instance in instances {
        let repository = Repository::new(&instance);
        for calls in 1..=3 {
            assert_eq!(within(repository.find(13)).await, Err(AppError::Locked(13)));
            assert_eq!(repository.calls(), calls);
        }
        let error = within(repository.upper("none")).await.unwrap_err();
        assert_eq!(format!("{error:#}"), "loading an entry of class `names`: no name");
        assert_eq!(within(repository.upper("some")).await.unwrap(), "SOME");
    }
}

#[tokio::test]
async fn the_key_is_the_arguments_without_those_that_are_skipped() {
    let redis = Redis::start().unwrap();
    let instance = instance(&redis).await;
    let repository = Arc::new(Repository::new(&instance));
    for trace in ["a", "b", "c"] {
        assert_eq!(within(repository.pair(7, "seven", trace)).await.unwrap(), Some(12));
    }
    assert_eq!(repository.calls(), 1);
    assert!(repository.pairs.get(&(7, "seven")).await.is_hit());

    assert_eq!(within(repository.of_tenant("Ann".to_owned())).await.unwrap(), 13);
    assert_eq!(within(repository.of_tenant("ANN".to_owned())).await.unwrap(), 13);
    assert_eq!(within(repository.clone().shared()).await, Arc::new(7));
    assert_eq!(within(repository.clone().shared()).await, Arc::new(7));
    assert_eq!(within(repository.upper("a:b")).await.unwrap(), "A:B");
    assert_eq!(repository.calls(), 4);

    // larder's text of a key: equal in each process and each release.
    for key in [
        in_redis!("pairs:7:seven"),
        in_redis!("pairs:1:ann"),
        in_redis!("pairs:0:shared"),
        in_redis!("names:a%3Ab"),
    ] {
        assert_eq!(redis.command(&["EXISTS", key]).unwrap().trim(), "1", "{key}");
    }
}

/// A repository with a read of key 7 that waits at the gate in the function's body.
async fn held(
    instance: &Instance,
) -> (Repository, Arc<Gate>, JoinHandle<Result<Option<Arc<u64>>, AppError>>) {
    let mut repository = Repository::new(instance);
    let gate = Gate::new();
    repository.gate = Some(gate.clone());
    repository.table.write(7, 1);
    let reading = tokio::spawn({
        let repository = repository.clone();
        async move { repository.find(7).await }
    });
    gate.arrival().await;
    (repository, gate, reading)
}

#[tokio::test]
async fn trace_1_an_invalidation_during_the_body_is_not_overtaken() {
    let (_redis, instances) = each().await;
    for instance in instances {
        let (repository, gate, reading) = held(&instance).await;
        repository.table.write(7, 2);
        let _ = repository.values.invalidate(&7).await;
        gate.open();
        assert_eq!(
            within(reading).await.unwrap().unwrap().as_deref(),
            Some(&1),
            "its own reader is older than the write"
        );
        assert!(repository.values.get(&7).await.is_miss());
        gate.open();
        assert_eq!(within(repository.find(7)).await.unwrap().as_deref(), Some(&2));
    }
}

#[tokio::test]
async fn a_caller_that_leaves_does_not_stop_the_body() {
    let (_redis, instances) = each().await;
    for instance in instances {
        let (repository, gate, reading) = held(&instance).await;
        reading.abort();
        gate.open();
        assert_eq!(within(repository.find(7)).await.unwrap().as_deref(), Some(&1));
        assert_eq!(repository.calls(), 1);
    }
}

/// What the application's handlers share.
#[derive(Clone)]
struct State {
    calls: Arc<AtomicUsize>,
    /// A class with a loader of its own: the function's body is another one.
    sums: LoadingClass<(u32, u32), u32>,
    settings: Class<(), String>,
}

#[cached(class = state.sums, skip(state))]
async fn sum(state: &State, a: u32, b: u32) -> u32 {
    state.calls.fetch_add(1, Ordering::SeqCst);
    assert_ne!(a, 13, "a panic of the body");
    if a == 99 {
        tokio::time::sleep(Duration::from_millis(60)).await;
    }
    a + b
}

#[cached(class = &state.settings, skip(state))]
async fn settings(state: &State) -> String {
    state.calls.fetch_add(1, Ordering::SeqCst);
    "blue".to_owned()
}

async fn state() -> State {
    let cache = Cache::builder("test").build().await.unwrap();
    let load = |_: (u32, u32)| async { Ok::<_, Infallible>(None) };
    let policy = Policy::default().absent_for(Duration::from_secs(60));
    let sums = cache.class("sums").policy(policy).load_timeout(Duration::from_millis(20)).loaded_by(load);
    State {
        calls: Arc::default(),
        sums: sums.open().unwrap(),
        settings: cache.class("settings").open().unwrap(),
    }
}

#[tokio::test]
async fn a_free_function_skips_its_state() {
    let state = state().await;
    for _ in 0..3 {
        assert_eq!(sum(&state, 1, 2).await, 3);
        assert_eq!(settings(&state).await, "blue");
    }
    assert_eq!(state.calls.load(Ordering::SeqCst), 2);
    assert_eq!(state.sums.get(&(1, 2)).await.value().as_deref(), Some(&3));
}

#[tokio::test]
async fn a_function_without_a_result_never_fails_because_of_the_cache() {
    let state = state().await;
    // The load takes longer than the class allows, so the body runs without the cache.
    assert_eq!(sum(&state, 99, 1).await, 100);
    assert_eq!(state.calls.load(Ordering::SeqCst), 2);
    // The class's loader finds no value; the function always has one.
    assert_eq!(state.sums.fetch(&(5, 5)).await.unwrap(), None);
    assert!(state.sums.get(&(5, 5)).await.is_absent());
    assert_eq!(sum(&state, 5, 5).await, 10);
    // The caller gets the panic, as it would without the cache.
    let failing = state.clone();
    assert!(tokio::spawn(async move { sum(&failing, 13, 1).await }).await.unwrap_err().is_panic());
}

#[tokio::test]
async fn a_result_has_the_error_of_the_class() {
    #[derive(Debug)]
    struct Kind(Option<ErrorKind>);
    impl From<larder::Error> for Kind {
        fn from(error: larder::Error) -> Self {
            Kind(Some(error.kind()))
        }
    }
    impl From<Kind> for Box<dyn std::error::Error + Send + Sync> {
        fn from(kind: Kind) -> Self {
            format!("{kind:?}").into()
        }
    }
    #[cached(class = class, skip(class))]
    async fn failing(class: &Class<u32, u32>, key: u32) -> Result<u32, Kind> {
        let _ = (class, key);
        Err(Kind(None))
    }
    let cache = Cache::builder("test").build().await.unwrap();
    let class = cache.class("values").breaker(Breaker::after(1)).open().unwrap();
    assert_eq!(failing(&class, 1).await.unwrap_err().0, Some(ErrorKind::Load));
    assert_eq!(failing(&class, 2).await.unwrap_err().0, Some(ErrorKind::BreakerOpen));
}
