//! Registration, login, token refresh, logout and change of password.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use larder::policy::Consistency;
use larder::receipt::Receipt;
use larder_identity::hashing::{HashingError, Passwords};
use larder_identity::limits::{Attempt, Purpose, TooMany};
use larder_identity::refresh::RefreshToken;
use larder_identity::token_hash::token_hash;
use uuid::Uuid;

use crate::domain::audit::Actor;
use crate::domain::auth::AuthState;
use crate::domain::body::{LoginBody, PasswordBody, RegisterBody};
use crate::domain::invalid::ValidationErrors;
use crate::domain::own_names::OwnNames;
use crate::domain::password::Password;
use crate::domain::permission::Rights;
use crate::domain::timestamp::Timestamp;
use crate::domain::user::User;
use crate::service::Service;
use crate::service::access::{Caller, Credential};
use crate::service::confirming::charged;
use crate::service::error::ServiceError;
use crate::service::refusal::Refusal;
use crate::service::signing_keys::Claims;
use crate::settings::sessions::SessionSettings;
use crate::store::origin::RequestOrigin;
use crate::store::passwords::{Login, PasswordSet};
use crate::store::refreshing::{Refresh, Rotated};
use crate::store::sessions::{NewSession, Opened};

/// How long a session lasts at most; refreshing does not prolong it.
const SESSION_TTL: Duration = Duration::from_secs(30 * 24 * 3600);

/// The result of a login or a refresh.
pub struct Grant {
    /// The access token, for the `Authorization` header.
    pub access_token: String,
    /// The refresh token, valid for one refresh.
    pub refresh_token: String,
    /// After a login: a token that proves at the next login that the user has logged in on this device before.
    pub device_token: Option<String>,
    /// How long the access token is valid.
    pub expires_in: Duration,
    /// What the invalidation of this write removed.
    pub receipt: Receipt,
}

impl Service {
    /// The caller that a token authenticates, if the token's session is live and its epoch equals the user's present
    /// epoch (a counter that each change of the password and each deactivation raises).
    ///
    /// # Errors
    /// [`ServiceError::Refused`], and errors of the database.
    pub async fn authenticate(&self, token: &str) -> Result<(Caller, Arc<Claims>), ServiceError> {
        let claims = self.tokens.verify(token).await;
        let claims = claims.ok_or(ServiceError::Refused(Refusal::AccessTokenInvalid))?;
        // A cached answer may be older than the login, because another instance may have served the login. So a cached
        // answer may admit a caller, but only an answer from the database may refuse one.
        for consistency in [Consistency::Bounded, Consistency::Fresh] {
            let state = self.cached.auth_state(&claims.sub, consistency).await?.value;
            if let Some(caller) = state.and_then(|state| admitted(&state, &claims)) {
                return Ok((caller, claims));
            }
        }
        match self.store.auth_state(claims.sub, Timestamp::now()).await? {
            Some(state) => admitted(&state, &claims)
                .map(|caller| (caller, claims))
                .ok_or(ServiceError::Refused(Refusal::SessionEnded)),
            None => Err(ServiceError::Refused(Refusal::SessionEnded)),
        }
    }

    /// The caller with the role and permissions that the database has now. Each change of another user calls this
    /// function, so that no cached row decides on a right.
    pub(crate) async fn present(&self, caller: Caller) -> Result<Caller, ServiceError> {
        let now = Timestamp::now();
        let state = self.store.auth_state(caller.id, now).await?;
        let state =
            state.filter(|state| state.is_active).ok_or(ServiceError::Refused(Refusal::SessionEnded))?;
        let is_live = match caller.credential {
            Credential::Session(session) => state.sessions.contains(&session),
            Credential::ApiKey(id) => {
                let key = self.store.api_key(id).await?;
                key.is_some_and(|key| key.user_id == caller.id && key.is_live(now))
            }
        };
        match is_live {
            true => Ok(Caller { role: state.role, rights: Rights::of(&state.permissions), ..caller }),
            false => Err(ServiceError::Refused(Refusal::SessionEnded)),
        }
    }

    /// Registers a user. The request needs no authentication.
    ///
    /// # Errors
    /// [`ServiceError::Taken`], [`ServiceError::TooMany`], and errors of the database.
    pub async fn register(&self, body: RegisterBody, from: IpAddr) -> Result<(User, Receipt), ServiceError> {
        let attempt = self.limits.from_address(Purpose::Register, from)?;
        check_not_own(&body.password, &(&body.user).into(), "password")?;
        let (hash, attempt) = charged(attempt, self.passwords.of_client(from).hash(&body.password).await)?;
        // `drop` spends the attempt even if the call succeeds: each call creates a user or discloses that one exists.
        drop(attempt);
        self.insert(Actor::Nobody, body.user, Some(hash)).await
    }

    /// Opens a session. Reads the database, never the cache, and takes the same time whether or not the user exists.
    ///
    /// # Errors
    /// [`ServiceError::Refused`], which does not disclose whether the user exists. Only if the password is right:
    /// [`ServiceError::SecondFactorNeeded`] for a user with a second factor, and another [`ServiceError::Refused`] for
    /// an inactive user. [`ServiceError::TooMany`], and errors of the database.
    pub async fn login(&self, body: LoginBody, from: IpAddr) -> Result<Grant, ServiceError> {
        let proven = body.device_token.as_deref().and_then(|proof| self.devices.verify(proof));
        let first = match proven {
            Some(device) => self.limits.device(device.id)?,
            None => self.limits.from_address(Purpose::Login, from)?,
        };
        let login = self.store.credentials_for_login(&body.identifier).await?;
        let user = login.as_ref().map(|login| login.user.id.as_uuid());
        if let (Some(login), Some(origin)) = (&login, RequestOrigin::present()) {
            // `set` fails if the target is set already. It is not, because a request logs in once.
            let _ = origin.target.set(login.user.id);
        }
        let device = proven.filter(|device| Some(device.user) == user).map(|device| device.id);
        let attempt = match device {
            Some(_) => first,
            None => {
                // The e-mail address, the user name and the telephone number of a user share one budget of attempts.
                let account = user.map_or_else(|| body.identifier.with_kind(), |user| user.to_string());
                self.attempt_as_unknown(first, proven.is_some(), &account, from)?
            }
        };
        let hash = login.as_ref().map(|login| login.password_hash.as_str());
        let (is_right, attempt) = self.compared(attempt, &body.password, hash, from).await?;
        let Some(login) = login.filter(|_| is_right) else {
            return Err(ServiceError::Refused(Refusal::LoginWrong));
        };
        let granted = self.let_in(login, body, device, from).await;
        match granted {
            Ok(_) => attempt.succeeded(),
            // The password was right, so no attempt at the password is spent. Codes have a budget of their own.
            Err(_) => attempt.give_back(),
        }
        granted
    }

    /// Makes the attempt `first` take from the account's budget too. The caller of this function has found that the
    /// user has not logged in on this device before. If the device `is_known_elsewhere` (to another user), `first` took
    /// from the device's budget and not from the address's, so this function also takes from the address's budget.
    fn attempt_as_unknown(
        &self,
        first: Attempt,
        is_known_elsewhere: bool,
        account: &str,
        from: IpAddr,
    ) -> Result<Attempt, TooMany> {
        let first = match is_known_elsewhere {
            true => first.and(self.limits.from_address(Purpose::Login, from)?),
            false => first,
        };
        Ok(first.and(self.limits.account(account, from)?))
    }

    async fn let_in(
        &self,
        login: Login,
        body: LoginBody,
        device: Option<Uuid>,
        from: IpAddr,
    ) -> Result<Grant, ServiceError> {
        if !login.user.is_active {
            return Err(ServiceError::Refused(Refusal::AccountInactive));
        }
        let user = login.user.id;
        self.check_second_factor(user, body.factor, device).await?;
        self.rehash_if_outdated(&login, &body.password, from).await?;
        let granted = self.open_session(login).await?;
        // A known device keeps its device token.
        let known = body.device_token.filter(|_| device.is_some());
        let device_token = known.unwrap_or_else(|| self.devices.issue(user.as_uuid()));
        Ok(Grant { device_token: Some(device_token), ..granted })
    }

    async fn rehash_if_outdated(
        &self,
        login: &Login,
        password: &Password,
        from: IpAddr,
    ) -> Result<(), ServiceError> {
        if Passwords::is_outdated(&login.password_hash) {
            let hash = match self.passwords.of_client(from).hash(password).await {
                // A full queue does not fail the login, because the login may have spent a code that can be used only
                // once. A later login replaces the hash.
                Err(HashingError::Busy) => return Ok(()),
                hashed => hashed?,
            };
            let (user_id, old) = (login.user.id, login.password_hash.clone());
            let rehash = self.write(Actor::User(user_id), move |tx| async move {
                Ok(tx.rehash_password(user_id, &old, &hash).await?)
            });
            // No cached value holds a hash, so the login need not report the receipt of this write.
            let (_was_there, _receipt) = rehash.await?;
        }
        Ok(())
    }

    async fn open_session(&self, login: Login) -> Result<Grant, ServiceError> {
        let (user_id, epoch) = (login.user.id, login.epoch);
        let (sid, now) = (Uuid::now_v7(), Timestamp::now());
        let first = RefreshToken::random();
        let (hash, jti, most) = (first.hash.clone(), first.jti(), self.sessions.per_user);
        let expires_at = now.after(SESSION_TTL);
        let open = self.write(Actor::User(user_id), move |tx| async move {
            let new = NewSession { id: sid, user_id, epoch, token_hash: &hash, now, expires_at, most };
            match tx.open_session(new).await? {
                Opened::Done { .. } => Ok(()),
                // Since the password was compared, it was changed, or the user was deactivated or deleted.
                Opened::Outdated => Err(ServiceError::Refused(Refusal::LoginWrong)),
            }
        });
        let ((), receipt) = open.await?;
        let (access_token, expires_in) =
            self.tokens.issue(user_id, sid, epoch, jti, now.into(), expires_at.into()).await?;
        Ok(Grant { access_token, refresh_token: first.text, device_token: None, expires_in, receipt })
    }

    /// Exchanges a refresh token for new tokens of the same session. If the token was used within the grace period
    /// before this call, and the refresh token that replaced it is unused, the answer has that refresh token again: two
    /// tabs of a browser may send one token at the same time. Any other second use ends the session, because a thief
    /// may have the token.
    ///
    /// # Errors
    /// [`ServiceError::Refused`], [`ServiceError::TooMany`], and errors of the database.
    pub async fn refresh(&self, token: String, from: IpAddr) -> Result<Grant, ServiceError> {
        let attempt = self.limits.from_address(Purpose::Refresh, from)?;
        let (now, next) = (Timestamp::now(), RefreshToken::random());
        let (hash, next_hash, successor) = (token_hash(&token), next.hash.clone(), next.sealed_for(&token)?);
        let SessionSettings { idle, grace, .. } = self.sessions;
        let rotate = self.write(Actor::Nobody, move |tx| async move {
            let (hash, next_hash, successor) = (&hash, &next_hash, &successor);
            Ok(tx.rotate_refresh(Refresh { hash, next_hash, successor, now, idle, grace }).await?)
        });
        let (rotated, receipt) = rotate.await?;
        let ended = ServiceError::Refused(Refusal::SessionEnded);
        let (session, user_id, epoch, expires_at, issued_at, next) = match rotated {
            Rotated::Done { session, user_id, epoch, expires_at } => {
                (session, user_id, epoch, expires_at, now, next)
            }
            Rotated::Repeated { session, user_id, epoch, used_at, expires_at, successor } => {
                let next = RefreshToken::opened(&token, &successor).ok_or(ended)?;
                (session, user_id, epoch, expires_at, used_at, next)
            }
            Rotated::Reused { session, user_id } => {
                tracing::warn!(%user_id, %session, "a refresh token came twice; its session has ended");
                return Err(ended);
            }
            Rotated::Unknown | Rotated::Expired => return Err(ended),
        };
        let jti = next.jti();
        let (access_token, life) =
            self.tokens.issue(user_id, session, epoch, jti, issued_at.into(), expires_at.into()).await?;
        attempt.give_back();
        let since = now.as_micros().saturating_sub(issued_at.as_micros()).unsigned_abs();
        let expires_in = life.saturating_sub(Duration::from_micros(since));
        Ok(Grant { access_token, refresh_token: next.text, device_token: None, expires_in, receipt })
    }

    /// Ends the caller's session.
    ///
    /// # Errors
    /// [`ServiceError::Refused`] for an API key, and errors of the database.
    pub async fn logout(&self, caller: Caller) -> Result<Receipt, ServiceError> {
        let session = caller.session()?;
        let end = self.write(caller.actor(), move |tx| async move {
            Ok(tx.end_session(session, Timestamp::now()).await?)
        });
        Ok(end.await?.1)
    }

    /// Changes the caller's password and ends all its sessions, including this one. API keys stay valid.
    ///
    /// # Errors
    /// [`ServiceError::Refused`] if the current password is wrong or the caller uses an API key,
    /// [`ServiceError::TooMany`], and errors of the database.
    pub async fn change_password(
        &self,
        caller: Caller,
        body: PasswordBody,
        from: IpAddr,
    ) -> Result<Receipt, ServiceError> {
        let login = self.confirmed_by_password(caller, &body.current_password, from).await?;
        check_not_own(&body.new_password, &(&login.user).into(), "new_password")?;
        let hash = self.passwords.of_client(from).hash(&body.new_password).await?;
        let set = self.write(caller.actor(), move |tx| async move {
            match tx.set_password(caller.id, &hash, Some(login.epoch)).await? {
                PasswordSet::Done => Ok(()),
                PasswordSet::Outdated => Err(ServiceError::Refused(Refusal::PasswordChanged)),
                PasswordSet::NotFound => Err(ServiceError::NotFound),
            }
        });
        Ok(set.await?.1)
    }
}

/// Refuses a new password that is one of the user's own names.
pub(crate) fn check_not_own(
    password: &Password,
    own: &OwnNames,
    field: &'static str,
) -> Result<(), ServiceError> {
    let checked = own.check(password);
    checked.map_err(|invalid| ServiceError::Invalid(ValidationErrors::one(field, invalid)))
}

fn admitted(state: &AuthState, claims: &Claims) -> Option<Caller> {
    let rights = Rights::of(&state.permissions);
    let credential = Credential::Session(claims.sid);
    let caller = Caller { id: claims.sub, role: state.role, credential, rights };
    state.admits(claims.sid, claims.epoch).then_some(caller)
}
