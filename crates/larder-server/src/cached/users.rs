//! Users by id, user ids by identifier, and the state that authenticates a user's tokens.

use larder::cache::Cache;
use larder::class::{Answer, Class};
use larder::error::Error;
use larder::key::{Key, KeyParts, PartKind};
use larder::policy::Consistency;
use larder::source::Source;
use larder::uncached::uncached;

use crate::cached::farther;
use crate::cached::policies::{self, Policies};
use crate::domain::auth::AuthState;
use crate::domain::contact::{Email, Phone};
use crate::domain::identity::{ExternalId, Identifier, UserId, Username};
use crate::domain::timestamp::Timestamp;
use crate::domain::user::User;
use crate::store::Store;

/// The users and their authentication state, read through the cache.
#[derive(Clone)]
pub struct CachedUsers {
    store: Store,
    details: Class<UserId, User>,
    auth: Class<UserId, AuthState>,
    emails: Class<Email, UserId>,
    usernames: Class<Username, UserId>,
    phones: Class<Phone, UserId>,
    externals: Class<ExternalId, UserId>,
}

impl CachedUsers {
    /// Opens the classes.
    ///
    /// # Errors
    /// Only if a class's name were invalid.
    pub fn open(cache: &Cache, store: Store, policies: &Policies) -> Result<Self, Error> {
        Ok(Self {
            details: policies.open(&policies::USER_DETAILS, |name| cache.class(name))?,
            auth: policies.open(&policies::AUTH_STATE, |name| cache.class(name).memory_only())?,
            emails: policies.open(&policies::USER_EMAIL, |name| cache.class(name))?,
            usernames: policies.open(&policies::USER_USERNAME, |name| cache.class(name))?,
            phones: policies.open(&policies::USER_PHONE, |name| cache.class(name))?,
            externals: policies.open(&policies::USER_EXTERNAL, |name| cache.class(name))?,
            store,
        })
    }

    /// The user with this id.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn user(&self, id: UserId, consistency: Consistency) -> Result<Answer<User>, Error> {
        self.details.read(&id).consistency(consistency).or_load(|| self.store.user(id)).await
    }

    /// The state against which this user's tokens are checked.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn auth_state(&self, id: UserId, consistency: Consistency) -> Result<Answer<AuthState>, Error> {
        let load = || self.store.auth_state(id, Timestamp::now());
        self.auth.read(&id).consistency(consistency).or_load(load).await
    }

    /// The user with this identifier.
    ///
    /// Two entries make the answer, the identifier's and the user's, and a write may occur between their reads. So the
    /// user's row is checked for the identifier. If it does not have it, both are read again: fresh, then past the
    /// cache.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn find(&self, by: &Identifier, consistency: Consistency) -> Result<Answer<User>, Error> {
        for consistency in [consistency, Consistency::Fresh] {
            if let Some(answer) = self.find_once(by, consistency).await? {
                return Ok(answer);
            }
        }
        let answer = uncached(self.find_once(by, Consistency::Fresh)).await?;
        // The identifier changed hands between two statements, so at one instant no user had it.
        Ok(answer.unwrap_or(Answer { value: None, source: Source::Bypass, is_shared: false }))
    }

    /// `None` if the two entries contradict each other.
    async fn find_once(
        &self,
        by: &Identifier,
        consistency: Consistency,
    ) -> Result<Option<Answer<User>>, Error> {
        let id = match by {
            Identifier::Id(id) => return self.user(*id, consistency).await.map(Some),
            Identifier::External(external) => {
                let load = || self.store.id_by_external(external);
                self.externals.read(external).consistency(consistency).or_load(load).await?
            }
            Identifier::Email(email) => {
                let load = || self.store.id_by_email(email);
                self.emails.read(email).consistency(consistency).or_load(load).await?
            }
            Identifier::Username(username) => {
                let load = || self.store.id_by_username(username);
                self.usernames.read(username).consistency(consistency).or_load(load).await?
            }
            Identifier::Phone(phone) => {
                let load = || self.store.id_by_phone(phone);
                self.phones.read(phone).consistency(consistency).or_load(load).await?
            }
        };
        let Some(user_id) = id.value.as_deref() else {
            return Ok(Some(Answer { value: None, source: id.source, is_shared: id.is_shared }));
        };
        let user = self.user(*user_id, consistency).await?;
        let agrees = user.value.as_deref().is_some_and(|user| user.has(by));
        let (source, is_shared) = (farther(id.source, user.source), id.is_shared || user.is_shared);
        Ok(agrees.then_some(Answer { source, is_shared, ..user }))
    }
}

macro_rules! key_by_text {
    ($($type:ty),*) => {$(
        impl Key for $type {
            fn parts(&self, parts: &mut KeyParts<'_>) {
                parts.push(self.as_str());
            }

            fn kinds() -> Option<Vec<PartKind>> {
                Some(vec![PartKind::Canonical])
            }
        }
    )*};
}

key_by_text!(Email, Username, Phone, ExternalId);

impl Key for UserId {
    fn parts(&self, parts: &mut KeyParts<'_>) {
        parts.push(self);
    }

    fn kinds() -> Option<Vec<PartKind>> {
        Some(vec![PartKind::Canonical])
    }
}
