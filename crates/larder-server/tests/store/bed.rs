//! A fresh database for a test, a store on it, and a hand that writes past the store.

use larder_server::domain::audit::Actor;
use larder_server::domain::contact::Email;
use larder_server::domain::identity::Username;
use larder_server::domain::patch::UserPatch;
use larder_server::domain::user::{NewUser, User};
use larder_server::store::Store;
use larder_server::store::changes::Updated;
use larder_server::store::error::StoreError;
use larder_server::store::writing::{ByJournal, Writer};
use larder_testbed::{Database, Postgres, Sqlite};
use tokio::task::JoinSet;

/// Makes of each `async fn name(bed: &Bed)` the tests `sqlite::name` and `postgres::name`.
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

    /// Runs SQL as software would that has never heard of larder.
    pub(crate) fn sql(&self, statement: &str) -> anyhow::Result<String> {
        match &self.server {
            Server::Sqlite(server) => server.sql(statement),
            Server::Postgres(server) => server.sql(statement),
        }
    }

    /// A user with nothing but a name, and with the password hash `hash`.
    pub(crate) async fn user(&self, name: &str) -> User {
        tx(&self.store).await.insert_user(new(name), Some("hash")).await.unwrap()
    }

    /// Changes a user that is there.
    pub(crate) async fn update(&self, user: &User, patch: &UserPatch) -> User {
        match tx(&self.store).await.update_user(user.id, patch, None).await.unwrap() {
            Updated::Done { after, .. } => *after,
            other => panic!("{other:?}"),
        }
    }
}

/// A user to create.
pub(crate) fn new(name: &str) -> NewUser {
    NewUser::new(Email::parse(&format!("{name}@example.com")).unwrap(), Username::parse(name).unwrap())
}

/// What writes to a store as nobody.
pub(crate) async fn tx(store: &Store) -> Writer {
    tx_as(store, Actor::Nobody).await
}

/// What writes to a store as `actor`. The journal publishes what it writes, so it may leave its closure.
pub(crate) async fn tx_as(store: &Store, actor: Actor) -> Writer {
    let write = store.write(actor, ByJournal, |tx| async { Ok::<_, StoreError>(tx) });
    write.await.unwrap().0
}

/// As another process would be: with connections of its own.
pub(crate) async fn instance(bed: &Bed) -> Store {
    Store::open(&bed.url).await.unwrap()
}

/// Runs `job` for 0..n on two instances at once.
pub(crate) async fn at_once<T, F>(bed: &Bed, n: usize, job: impl Fn(Store, usize) -> F) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let stores = [bed.store.clone(), instance(bed).await];
    let jobs: JoinSet<T> = (0..n).map(|number| job(stores[number % 2].clone(), number)).collect();
    jobs.join_all().await
}
