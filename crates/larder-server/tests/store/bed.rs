//! A fresh database for each test, a store on it, and SQL that bypasses the store.

use std::time::Duration;

use larder_server::domain::audit::Actor;
use larder_server::domain::contact::Email;
use larder_server::domain::identity::Username;
use larder_server::domain::patch::UserPatch;
use larder_server::domain::timestamp::Timestamp;
use larder_server::domain::user::{NewUser, User};
use larder_server::store::Store;
use larder_server::store::changes::Updated;
use larder_server::store::error::StoreError;
use larder_server::store::refreshing::Refresh;
use larder_server::store::writing::{ByJournal, Writer};
use larder_testbed::{Database, Postgres, Sqlite};
use tokio::task::JoinSet;

/// Declares the tests `sqlite::name` and `postgres::name` for each `async fn name(bed: &Bed)`.
macro_rules! contract {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(&crate::bed::Bed::sqlite().await).await;
            })+
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(&crate::bed::Bed::postgres().await).await;
            })+
        }
    };
}
pub(crate) use contract;

/// A refresh without a grace, in a session that is never idle.
pub(crate) fn refresh<'a>(hash: &'a str, next_hash: &'a str, now: Timestamp) -> Refresh<'a> {
    let (idle, grace) = (Duration::from_secs(1 << 30), Duration::ZERO);
    Refresh { hash, next_hash, successor: "sealed", now, idle, grace }
}

enum Server {
    Sqlite(Sqlite),
    Postgres(Database),
}

/// A store on a database of its own.
pub(crate) struct Bed {
    pub(crate) store: Store,
    pub(crate) url: String,
    server: Server,
}

impl Bed {
    pub(crate) async fn sqlite() -> Self {
        let server = Sqlite::fresh().unwrap();
        let url = server.url();
        Self { store: Store::open(&url).await.unwrap(), url, server: Server::Sqlite(server) }
    }

    pub(crate) async fn postgres() -> Self {
        let server = Database::fresh(&Postgres::shared().unwrap()).unwrap();
        let url = server.url();
        Self { store: Store::open(&url).await.unwrap(), url, server: Server::Postgres(server) }
    }

    pub(crate) fn is_postgres(&self) -> bool {
        matches!(self.server, Server::Postgres(_))
    }

    /// Runs SQL as software does that does not know larder.
    pub(crate) fn sql(&self, statement: &str) -> anyhow::Result<String> {
        match &self.server {
            Server::Sqlite(server) => server.sql(statement),
            Server::Postgres(server) => server.sql(statement),
        }
    }

    /// Inserts a user that has only a name and an address, with the password hash `hash`.
    pub(crate) async fn user(&self, name: &str) -> User {
        tx(&self.store).await.insert_user(new(name), Some("hash")).await.unwrap()
    }

    /// Changes an existing user.
    pub(crate) async fn update(&self, user: &User, patch: &UserPatch) -> User {
        match tx(&self.store).await.update_user(user.id, patch, None).await.unwrap() {
            Updated::Done { after, .. } => *after,
            other => panic!("{other:?}"),
        }
    }
}

/// Describes a user to create.
pub(crate) fn new(name: &str) -> NewUser {
    NewUser::new(Email::parse(&format!("{name}@example.com")).unwrap(), Username::parse(name).unwrap())
}

/// Returns a write transaction without an actor.
pub(crate) async fn tx(store: &Store) -> Writer {
    tx_as(store, Actor::Nobody).await
}

/// Returns a write transaction of `actor`. The journal publishes its changes, so it may leave the closure of `write`.
pub(crate) async fn tx_as(store: &Store, actor: Actor) -> Writer {
    let write = store.write(actor, ByJournal, |tx| async { Ok::<_, StoreError>(tx) });
    write.await.unwrap().0
}

/// Opens a second store on the same database with connections of its own, as another process has.
pub(crate) async fn instance(bed: &Bed) -> Store {
    Store::open(&bed.url).await.unwrap()
}

/// Runs `job` for each number in 0..n at the same time, alternating between two instances.
pub(crate) async fn at_once<T, F>(bed: &Bed, n: usize, job: impl Fn(Store, usize) -> F) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let stores = [bed.store.clone(), instance(bed).await];
    let jobs: JoinSet<T> = (0..n).map(|number| job(stores[number % 2].clone(), number)).collect();
    jobs.join_all().await
}
