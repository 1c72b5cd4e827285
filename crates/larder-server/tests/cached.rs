//! Users and statistics through the cache: no read answers from an entry that lags behind another entry or the calendar.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has to fail")]

use larder::cache::Cache;
use larder::journal::Touch;
use larder::policy::Consistency;
use larder_server::cached::classes::Cached;
use larder_server::cached::policies::Policies;
use larder_server::domain::audit::Actor;
use larder_server::domain::contact::Email;
use larder_server::domain::identity::{ExternalId, Identifier, UserId, Username};
use larder_server::domain::patch::{Patch, UserPatch};
use larder_server::domain::statistics::Day;
use larder_server::domain::user::NewUser;
use larder_server::store::Store;
use larder_server::store::error::StoreError;
use larder_server::store::writing::{ByJournal, Writer};
use larder_testbed::Sqlite;

struct Bed {
    store: Store,
    cache: Cache,
    cached: Cached,
    _sqlite: Sqlite,
}

impl Bed {
    async fn new() -> Self {
        let sqlite = Sqlite::fresh().unwrap();
        let store = Store::open(&sqlite.url()).await.unwrap();
        let cache = Cache::builder("test").build().await.unwrap();
        let cached = Cached::open(&cache, &store, &Policies::default()).unwrap();
        Bed { store, cache, cached, _sqlite: sqlite }
    }

    async fn insert(&self, name: &str, by: &Identifier) -> UserId {
        let email = Email::parse(&format!("{name}@own.example")).unwrap();
        let mut new = NewUser::new(email, Username::parse(name).unwrap());
        match by.clone() {
            Identifier::Email(email) => new.email = email,
            Identifier::External(external) => new.external_id = Some(external),
            _ => {}
        }
        self.tx().await.insert_user(new, None).await.unwrap().id
    }

    /// Returns a write transaction that publishes nothing to this cache.
    async fn tx(&self) -> Writer {
        let write = self.store.write(Actor::Nobody, ByJournal, |tx| async { Ok::<_, StoreError>(tx) });
        write.await.unwrap().0
    }

    /// Invalidates the user's own entry only, as if Redis had pushed that key and not yet the mappings.
    async fn forget(&self, id: UserId) {
        let _ = self.cache.committed(&[Touch::entry("user_details", [id.to_string()])], &[]).send().await;
    }

    async fn find(&self, by: &Identifier) -> Option<UserId> {
        self.cached.find(by, Consistency::Bounded).await.unwrap().value.map(|user| user.id)
    }
}

/// The mapping of a name is still cached and the user's own entry is not. An instance is in this state while one push of
/// another instance's write has arrived and the other push has not.
#[tokio::test]
async fn a_mapping_that_lags_behind_its_user_finds_the_present_owner_or_no_user() {
    let named = [
        (
            Identifier::Email(Email::parse("a@x.example").unwrap()),
            UserPatch { email: Some(Email::parse("b@x.example").unwrap()), ..UserPatch::default() },
        ),
        (
            Identifier::External(ExternalId::parse("5779356081").unwrap()),
            UserPatch { external_id: Patch::Clear, ..UserPatch::default() },
        ),
    ];
    for (name, renamed) in named {
        for is_taken_again in [false, true] {
            let bed = Bed::new().await;
            let ann = bed.insert("ann", &name).await;
            assert_eq!(bed.find(&name).await, Some(ann));

            bed.tx().await.update_user(ann, &renamed, None).await.unwrap();
            bed.forget(ann).await;
            let owner = if is_taken_again { Some(bed.insert("ben", &name).await) } else { None };
            assert_eq!(bed.find(&name).await, owner, "{name:?}");
        }
    }
}

/// The mapping is cached, its user is deleted, and another user has taken the name.
#[tokio::test]
async fn a_mapping_to_a_deleted_user_is_read_again() {
    let name = Identifier::Email(Email::parse("a@x.example").unwrap());
    let bed = Bed::new().await;
    let ann = bed.insert("ann", &name).await;
    assert_eq!(bed.find(&name).await, Some(ann));
    bed.tx().await.delete_user(ann, None).await.unwrap();
    bed.forget(ann).await;
    let ben = bed.insert("ben", &name).await;
    assert_eq!(bed.find(&name).await, Some(ben));
}

/// The key holds the day, so a read of today never finds the statistics of yesterday.
#[tokio::test]
async fn statistics_of_a_day_do_not_outlive_it() {
    let bed = Bed::new().await;
    bed.insert("ann", &Identifier::Email(Email::parse("a@x.example").unwrap())).await;
    let of = async |day: Day| {
        bed.cached.user_stats(&day, Consistency::Bounded).await.unwrap().value.unwrap().new_users
    };
    let (today, later) = (Day::today(), |days| Day::from_number(Day::today().number() + days));
    let expected = [(1, 1, 1), (0, 1, 1), (0, 1, 1), (0, 0, 1), (0, 0, 1), (0, 0, 0)];
    for _ in 0..2 {
        for (days, expected) in [0, 1, 6, 7, 29, 30].into_iter().zip(expected) {
            let new = of(later(days)).await;
            assert_eq!((new.today, new.last_7_days, new.last_30_days), expected, "{days} days later");
        }
    }
    let dashboard = bed.cached.dashboard_stats(&today, Consistency::Bounded).await.unwrap().value.unwrap();
    assert_eq!((dashboard.sign_ups.len(), dashboard.sign_ups[29].users), (30, 1));
}
