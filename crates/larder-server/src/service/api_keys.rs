//! API keys. A key is shown once, when it is created. Its hash is never cached. A deleted key is invalid at once on the
//! instance that deleted it, and within the staleness bound on every other.

use std::net::IpAddr;

use larder::policy::Consistency;
use larder::receipt::Receipt;
use larder_identity::token_hash::token_hash;

use crate::domain::api_key::{ApiKeyId, ApiKeySecret, ApiKeyState, Expiry, NewApiKey, Scope};
use crate::domain::audit::Actor;
use crate::domain::auth::AuthState;
use crate::domain::identity::Identifier;
use crate::domain::permission::Rights;
use crate::domain::timestamp::Timestamp;
use crate::domain::user::User;
use crate::service::Service;
use crate::service::access::{Caller, Credential};
use crate::service::confirming::Proof;
use crate::service::error::ServiceError;
use crate::service::refusal::Refusal;
use crate::store::api_keys::{ApiKeyHash, ApiKeyInserted, ApiKeyRow};

impl Service {
    /// The caller that an API key authenticates, with the key's state and scopes.
    ///
    /// # Errors
    /// [`ServiceError::Refused`], and errors of the database.
    pub async fn authenticate_key(&self, raw: &str) -> Result<(Caller, ApiKeyState), ServiceError> {
        let key = ApiKeySecret::parse(raw).ok_or(ServiceError::Refused(Refusal::ApiKeyInvalid))?;
        // A cached answer may be older than the key. So a cached answer may admit a caller, but only an answer from the
        // database may refuse one.
        for consistency in [Consistency::Bounded, Consistency::Fresh] {
            let Some(state) = self.cached.api_key(&ApiKeyId::of(&key), consistency).await?.value else {
                continue;
            };
            let user = self.cached.auth_state(&state.user_id, consistency).await?.value;
            if let Some(caller) = user.and_then(|user| admitted(&user, &state)) {
                return self.proven(&key, caller, ApiKeyState::clone(&state)).await;
            }
        }
        let state = self
            .store
            .api_key(ApiKeyId::of(&key))
            .await?
            .ok_or(ServiceError::Refused(Refusal::ApiKeyInvalid))?;
        let user = self.store.auth_state(state.user_id, Timestamp::now()).await?;
        let caller = user
            .and_then(|user| admitted(&user, &state))
            .ok_or(ServiceError::Refused(Refusal::ApiKeyInvalid))?;
        self.proven(&key, caller, state).await
    }

    /// Compares the key with its stored hash, unless this process verified the key before. Then notes the use of the
    /// key.
    async fn proven(
        &self,
        key: &ApiKeySecret,
        caller: Caller,
        state: ApiKeyState,
    ) -> Result<(Caller, ApiKeyState), ServiceError> {
        // The database does not allow the hash of a key to change, so a verified key stays right as long as a key with
        // this id and creation time exists. The `state` that each request reads shows that it exists.
        let this = (state.id, state.created_at);
        if !self.verified_keys.contains(key, &this) {
            // The hash is read from the database and never cached: its type cannot be serialised, so it cannot be the
            // value of a class.
            let stored = self.store.api_key_hash(state.id).await?;
            if !stored.is_some_and(|stored| key.has_hash(&stored.0)) {
                return Err(ServiceError::Refused(Refusal::ApiKeyInvalid));
            }
            self.verified_keys.insert(key, this);
        }
        self.note_use(state.id);
        Ok((caller, state))
    }

    /// Stores the day of a use in the background. The process remembers the last noted day of `NOTED_USES` keys, and
    /// writes at most once a day for each of them.
    fn note_use(&self, id: ApiKeyId) {
        let today = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
        if self.noted_uses.get(&id) == Some(today) {
            return;
        }
        self.noted_uses.insert(id, today);
        let service = self.clone();
        tokio::spawn(async move {
            let note = service.write(Actor::Nobody, move |tx| async move {
                Ok(tx.used_api_key(id, &today.to_string()).await?)
            });
            if let Err(error) = note.await {
                tracing::warn!(%error, key = %id, "the use of an API key could not be noted");
            }
        });
    }

    /// Creates a key for the caller itself. The answer holds the secret, which cannot be read again.
    ///
    /// # Errors
    /// [`ServiceError::Refused`] if `named` is another user, if the caller uses an API key, if a scope is not for the
    /// caller, if the password or the code is missing or wrong, or if the user has too many keys;
    /// [`ServiceError::TooMany`], and errors of the database.
    pub async fn create_api_key(
        &self,
        caller: Caller,
        named: Identifier,
        new: NewApiKey,
        from: IpAddr,
    ) -> Result<(ApiKeySecret, ApiKeyState, Receipt), ServiceError> {
        caller.session()?;
        let caller = self.present(caller).await?;
        if self.target(caller, &named).await?.id != caller.id {
            return Err(ServiceError::Refused(Refusal::NotOwnApiKey));
        }
        if new.scopes.contains(Scope::Introspect) || new.scopes.contains(Scope::Metrics) {
            caller.check_admin()?;
        }
        let confirmation = new.confirmation.clone();
        self.confirm(caller, &Proof { confirmation, from }).await?;
        let expires_at = match new.expires_at {
            Expiry::Default => Some(Timestamp::now().after(self.sessions.api_key_life)),
            Expiry::Never => None,
            Expiry::At(time) => Some(time),
        };
        let insert = self.write(caller.actor(), move |tx| async move {
            let key = ApiKeySecret::random();
            let hash = ApiKeyHash(token_hash(key.expose()));
            match tx.insert_api_key(caller.id, ApiKeyId::of(&key), &hash, new, expires_at).await? {
                ApiKeyInserted::Done(state) => Ok((key, state)),
                ApiKeyInserted::NotFound => Err(ServiceError::NotFound),
                ApiKeyInserted::TooMany => Err(ServiceError::Refused(Refusal::TooManyApiKeys)),
            }
        });
        let ((key, state), receipt) = insert.await?;
        Ok((key, state, receipt))
    }

    /// The keys of a user, without their secrets: for the user itself and for callers that manage the user.
    ///
    /// # Errors
    /// [`ServiceError::Refused`], [`ServiceError::NotFound`], and errors of the database.
    pub async fn api_keys(&self, caller: Caller, named: Identifier) -> Result<Vec<ApiKeyRow>, ServiceError> {
        let caller = self.present(caller).await?;
        let User { id, .. } = self.target(caller, &named).await?;
        Ok(self.store.api_keys_of(id).await?)
    }

    /// Deletes a key of a user: for the user itself and for callers that manage the user.
    ///
    /// # Errors
    /// [`ServiceError::Refused`], [`ServiceError::NotFound`], and errors of the database.
    pub async fn delete_api_key(
        &self,
        caller: Caller,
        named: Identifier,
        id: ApiKeyId,
    ) -> Result<Receipt, ServiceError> {
        caller.session()?;
        let caller = self.present(caller).await?;
        let user_id = self.target(caller, &named).await?.id;
        let delete = self.write(caller.actor(), move |tx| async move {
            if tx.delete_api_key(user_id, id).await? { Ok(()) } else { Err(ServiceError::NotFound) }
        });
        Ok(delete.await?.1)
    }
}

fn admitted(user: &AuthState, key: &ApiKeyState) -> Option<Caller> {
    let (credential, rights) = (Credential::ApiKey(key.id), Rights::of(&user.permissions));
    let caller = Caller { id: user.user_id, role: user.role, credential, rights };
    (user.is_active && key.is_live(Timestamp::now())).then_some(caller)
}
