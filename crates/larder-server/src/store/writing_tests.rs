//! Tests of what [`Store::write`] guarantees, with publishers that record.

use larder_testbed::Sqlite;
use tokio::sync::oneshot;

use super::*;
use crate::domain::contact::Email;
use crate::domain::identity::Username;
use crate::domain::user::NewUser;

/// A publisher that keeps what is published.
#[derive(Clone, Default)]
struct Watched(Arc<Mutex<Vec<Recorded>>>);

impl Publisher for Watched {
    type Receipt = ();

    async fn publish(self, recorded: Recorded) {
        self.0.lock().unwrap().push(recorded);
    }
}

impl Watched {
    /// For each publication: whether it has touches, and whether it has changes.
    fn seen(&self) -> Vec<(bool, bool)> {
        let seen = self.0.lock().unwrap();
        seen.iter().map(|one| (!one.touches.is_empty(), !one.changes.is_empty())).collect()
    }
}

async fn store() -> (Store, Sqlite) {
    let sqlite = Sqlite::fresh().unwrap();
    (Store::open(&sqlite.url()).await.unwrap(), sqlite)
}

fn new(name: &str) -> NewUser {
    let email = Email::parse(&format!("{name}@x.example")).unwrap();
    NewUser::new(email, Username::parse(name).unwrap())
}

#[tokio::test]
async fn a_commit_is_published_even_if_the_change_fails_after_it() {
    let (store, _sqlite) = store().await;
    let watched = Watched::default();
    let written = store.write(Actor::Nobody, watched.clone(), |tx| async move {
        tx.insert_user(new("ann"), None).await?;
        // The name is taken.
        tx.insert_user(new("ann"), None).await
    });
    assert!(matches!(written.await, Err(StoreError::Taken { .. })));
    assert_eq!(watched.seen(), [(true, true)]);
}

#[tokio::test]
async fn a_write_is_published_even_if_its_caller_is_cancelled() {
    let (store, _sqlite) = store().await;
    let watched = Watched::default();
    let (begun, has_begun) = oneshot::channel();
    let (go_on, may_go_on) = oneshot::channel::<()>();
    let caller = tokio::spawn({
        let (store, watched) = (store.clone(), watched.clone());
        async move {
            let write = store.write(Actor::Nobody, watched, |tx| async move {
                begun.send(()).unwrap();
                may_go_on.await.unwrap();
                tx.insert_user(new("ann"), None).await
            });
            write.await.map(drop)
        }
    });
    has_begun.await.unwrap();
    caller.abort();
    assert!(caller.await.unwrap_err().is_cancelled());
    go_on.send(()).unwrap();
    while watched.seen().is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(watched.seen(), [(true, true)]);
}

#[tokio::test]
async fn a_writer_that_outlived_its_closure_is_refused() {
    let (store, _sqlite) = store().await;
    let escape = store.write(Actor::Nobody, Watched::default(), |tx| async { Ok::<_, StoreError>(tx) });
    let (escaped, ()) = escape.await.unwrap();
    let refused = escaped.insert_user(new("ann"), None).await;
    assert!(matches!(refused, Err(StoreError::Published)), "{refused:?}");
    assert_eq!(store.total(&Default::default()).await.unwrap(), 0, "nothing is committed unpublished");
}

#[tokio::test]
async fn a_panic_of_the_change_reaches_the_caller() {
    let (store, _sqlite) = store().await;
    let write = tokio::spawn(async move {
        let change = |_: Writer| async { panic!("inserted") };
        store.write::<(), StoreError, _, _>(Actor::Nobody, ByJournal, change).await
    });
    assert!(write.await.unwrap_err().is_panic());
}
