//! Token introspection (RFC 7662) and revocation (RFC 7009), for every kind of token that the service issues.

use std::net::IpAddr;
use std::sync::Arc;

use larder::receipt::Receipt;
use larder_identity::limits::Purpose;
use larder_identity::token_hash::token_hash;

use crate::domain::api_key::{ApiKeyId, ApiKeySecret, ApiKeyState};
use crate::domain::audit::Actor;
use crate::domain::identity::UserId;
use crate::domain::role::Role;
use crate::domain::timestamp::Timestamp;
use crate::service::Service;
use crate::service::access::Caller;
use crate::service::error::ServiceError;
use crate::service::signing_keys::Claims;
use crate::store::refreshing::RefreshRow;

/// A valid token.
pub enum Worth {
    /// An access token, and its user's present role.
    Access(Arc<Claims>, Role),
    /// A refresh token that has not been used.
    Refresh(RefreshRow),
    /// An API key, and its user's present role.
    ApiKey(ApiKeyState, Role),
}

impl Worth {
    /// The owner of the token.
    pub fn user_id(&self) -> UserId {
        match self {
            Self::Access(claims, _) => claims.sub,
            Self::Refresh(row) => row.user_id,
            Self::ApiKey(state, _) => state.user_id,
        }
    }
}

impl Service {
    /// The state of a token, read from the database; `None` if the token is not valid now, for any reason. Only admins
    /// may call this.
    ///
    /// # Errors
    /// [`ServiceError::Refused`], [`ServiceError::TooMany`], and errors of the database.
    pub async fn introspect(
        &self,
        caller: Caller,
        token: &str,
        from: IpAddr,
    ) -> Result<Option<Worth>, ServiceError> {
        let attempt = self.limits.from_address(Purpose::Tokens, from)?;
        self.present(caller).await?.check_admin()?;
        attempt.give_back();
        self.worth(token).await
    }

    async fn worth(&self, token: &str) -> Result<Option<Worth>, ServiceError> {
        let now = Timestamp::now();
        if ApiKeySecret::has_prefix(token) {
            let Some(state) = self.genuine_key(token).await? else { return Ok(None) };
            let user = self.store.auth_state(state.user_id, now).await?;
            let user = user.filter(|user| user.is_active && state.is_live(now));
            return Ok(user.map(|user| Worth::ApiKey(state, user.role)));
        }
        if let Some(claims) = self.tokens.verify(token).await {
            let user = self.store.auth_state(claims.sub, now).await?;
            let user = user.filter(|user| user.admits(claims.sid, claims.epoch));
            return Ok(user.map(|user| Worth::Access(claims, user.role)));
        }
        let idle_since = now.before(self.sessions.idle);
        Ok(self.store.unused_refresh(&token_hash(token), now, idle_since).await?.map(Worth::Refresh))
    }

    /// The state of the API key in `raw`, if the database has its hash.
    async fn genuine_key(&self, raw: &str) -> Result<Option<ApiKeyState>, ServiceError> {
        let Some(key) = ApiKeySecret::parse(raw) else { return Ok(None) };
        let Some(stored) = self.store.api_key_hash(ApiKeyId::of(&key)).await? else { return Ok(None) };
        match key.has_hash(&stored.0) {
            true => Ok(self.store.api_key(ApiKeyId::of(&key)).await?),
            false => Ok(None),
        }
    }

    /// Ends what a token gives access to: the session of an access token or refresh token, or the API key itself. A
    /// client that has the token may revoke it; it needs no other credential. An unknown token is no error (RFC 7009).
    ///
    /// # Errors
    /// [`ServiceError::TooMany`], and errors of the database.
    pub async fn revoke_token(&self, token: String, from: IpAddr) -> Result<Receipt, ServiceError> {
        let attempt = self.limits.from_address(Purpose::Tokens, from)?;
        let service = self.clone();
        let revoke = self.write(Actor::Nobody, move |tx| async move {
            if ApiKeySecret::has_prefix(&token) {
                let Some(key) = service.genuine_key(&token).await? else { return Ok(false) };
                tx.delete_api_key(key.user_id, key.id).await?;
                return Ok(true);
            }
            let session = match service.tokens.verify(&token).await {
                Some(claims) => Some(claims.sid),
                None => tx.store().session_by_refresh(&token_hash(&token)).await?,
            };
            let Some(session) = session else { return Ok(false) };
            tx.end_session(session, Timestamp::now()).await?;
            Ok(true)
        });
        let (was_ours, receipt) = revoke.await?;
        if was_ours {
            attempt.give_back();
        }
        Ok(receipt)
    }
}
