//! Administration of the cache: its contents and state, invalidation by hand, and the switch of each class.

use std::time::Duration;

use larder::cause::Cause;
use larder::introspection::explain::Explanation;
use larder::introspection::keys::{KeyCounts, KeyPage};
use larder::introspection::self_test::SelfTest;
use larder::introspection::server::RedisInfo;
use larder::introspection::{ClassReport, RedisAnswer};
use larder::invalidation::Invalidation;
use larder::journal::Touch;
use larder::policy::Consistency;
use larder::receipt::Receipt;
use larder::tuning::TuningChange;

use crate::cached::classes::keys_for;
use crate::cached::journal::{entries_of, entries_of_id, entries_of_row, tags_of};
use crate::cached::policies::PolicyChange;
use crate::domain::audit::Action;
use crate::domain::caches::{Drop, KeyQuery};
use crate::domain::identity::{ExternalId, Identifier, UserId};
use crate::domain::invalid::{Invalid, ValidationErrors};
use crate::service::Service;
use crate::service::access::Caller;
use crate::service::error::ServiceError;
use crate::service::refusal::Refusal;

/// Time-out of one question to Redis, including the wait for a connection. Without it, a Redis that hangs would hold
/// the request.
const REDIS_WAIT: Duration = Duration::from_secs(2);

impl Service {
    /// The caller, if the database says now that it is an admin. No cached role decides here.
    ///
    /// # Errors
    /// [`ServiceError::Refused`], and errors of the database.
    pub async fn present_admin(&self, caller: Caller) -> Result<Caller, ServiceError> {
        let caller = self.present(caller).await?;
        caller.check_admin()?;
        Ok(caller)
    }

    /// What Redis reports about itself now; [`RedisAnswer::Away`] if it does not answer within 2 s, the wait for a
    /// connection included.
    pub async fn redis(&self) -> RedisAnswer<RedisInfo> {
        let answer = tokio::time::timeout(REDIS_WAIT, self.cache.redis_info());
        answer.await.unwrap_or(RedisAnswer::Away)
    }

    /// What Redis reported about itself, and the age of that report: at most
    /// [`RECENT`](crate::service::recent::RECENT). All callers share one question to Redis.
    pub async fn recent_redis(&self) -> (RedisAnswer<RedisInfo>, Duration) {
        let service = self.clone();
        let answer = self.recent_redis.ask(async move { service.redis().await }).await;
        answer.unwrap_or((RedisAnswer::Away, Duration::ZERO))
    }

    /// Every class with its counts.
    pub fn classes(&self) -> Vec<ClassReport> {
        self.cache.classes()
    }

    /// How many entries each class has.
    pub async fn key_counts(&self) -> KeyCounts {
        self.cache.key_counts().await
    }

    /// One page of the keys that match a pattern.
    ///
    /// # Errors
    /// [`ServiceError::Invalid`] for an invalid cursor.
    pub async fn keys(&self, caller: Caller, query: &KeyQuery) -> Result<KeyPage, ServiceError> {
        let KeyQuery { pattern, limit, cursor } = query;
        let page = self.cache.keys(pattern, *limit, cursor.as_deref()).await;
        // `Cache::keys` refuses an empty pattern and an invalid cursor. `KeyQuery::parse` has refused an empty pattern
        // before, so the error is about the cursor.
        let mut page = page.map_err(|error| refused("cursor", error))?;
        page.keys.retain(|key| may_know(caller, &key.touch));
        Ok(page)
    }

    /// Whether an entry is in each tier, and why or why not.
    ///
    /// # Errors
    /// [`ServiceError::Refused`] if only superadmins may know of the entry, [`ServiceError::Invalid`] if no class can
    /// have that name.
    pub async fn explain(&self, caller: Caller, entry: &Touch) -> Result<Explanation, ServiceError> {
        // `explain` runs before the check of rights: a name that no class can have is an invalid request, not a missing
        // right.
        let explanation = self.cache.explain(entry).await.map_err(|error| refused("class", error))?;
        match may_know(caller, entry) {
            true => Ok(explanation),
            false => Err(ServiceError::Refused(Refusal::KeysOfClass)),
        }
    }

    /// Sends one entry through every tier.
    ///
    /// # Errors
    /// Errors of the cache.
    pub async fn self_test(&self) -> Result<SelfTest, ServiceError> {
        Ok(self.cache.self_test().await?)
    }

    /// Switches a class on or off on this instance.
    ///
    /// # Errors
    /// [`ServiceError::Invalid`] if there is no such class.
    pub fn switch_class(&self, name: &str, is_on: bool) -> Result<(), ServiceError> {
        self.cache.set_class_enabled(name, is_on).map_err(|error| refused("class", error))?;
        self.note_intervention(Action::CacheSwitch, format!("{name} {}", if is_on { "on" } else { "off" }));
        Ok(())
    }

    /// Undoes a change that tuning has made on this instance.
    ///
    /// # Errors
    /// [`ServiceError::Invalid`] if there is no such change, or it cannot be undone now.
    pub fn undo_tuning(&self, id: u64) -> Result<TuningChange, ServiceError> {
        let change = self.cache.undo_tuning(id).map_err(|error| refused("change", error))?;
        self.note_intervention(Action::CacheUndo, format!("{id} {}: {}", change.class, change.tuned));
        Ok(change)
    }

    /// Applies a changed setting of a class on this instance. The audit log has a switch, as that of an administrator.
    ///
    /// # Errors
    /// The class was not opened, or the TTL is not allowed.
    pub fn apply_policy(&self, change: &PolicyChange) -> Result<(), ServiceError> {
        match *change {
            PolicyChange::Ttl { class, ttl, .. } => Ok(self.cache.set_class_ttl(class, ttl)?),
            PolicyChange::Switch { class, is_on } => self.switch_class(class, is_on),
        }
    }

    /// Invalidates the entries that `what` names, on every instance.
    ///
    /// # Errors
    /// [`ServiceError::Invalid`] if `what` names no class or an invalid pattern, and errors of the database.
    pub async fn drop_by_hand(&self, caller: Caller, what: &Drop) -> Result<Receipt, ServiceError> {
        let touches = match what {
            Drop::Everything => vec![Touch::Everything],
            Drop::Class(class) => {
                if !self.classes().iter().any(|report| report.name == *class) {
                    return Err(ServiceError::Invalid(ValidationErrors::one("class", self.no_class())));
                }
                vec![Touch::Tag(class.clone())]
            }
            Drop::Matching(pattern) => vec![Touch::Matching(pattern.clone())],
            Drop::User(id) => self.touches_of_named(id).await?,
            Drop::Achievements(id) => entries_of_row("achievements", &id.to_string()),
            Drop::GlobalAchievements => tags_of("achievements"),
        };
        let mut invalidation = self.cache.invalidation();
        for touch in &touches {
            invalidation = invalidation.touch(touch).map_err(|error| refused("pattern", error))?;
        }
        Ok(self.send_by_hand(caller, what, invalidation).await)
    }

    async fn send_by_hand(&self, caller: Caller, what: &Drop, invalidation: Invalidation) -> Receipt {
        let receipt = invalidation.send().await;
        self.note_intervention(Action::CacheClear, what.as_str());
        tracing::info!(
            action = "cache_invalidation",
            cause = %Cause::ByHand,
            by = %caller.id,
            what = what.as_str(),
            keys = receipt.keys(),
            tags = receipt.tags(),
            patterns = receipt.patterns(),
            delivery = %receipt.delivery(),
            "dropped by hand"
        );
        receipt
    }

    /// The touches that invalidate everything that is cached of the user with this id or external id. If there is no
    /// such user, they invalidate what may be cached under that id.
    async fn touches_of_named(&self, id: &str) -> Result<Vec<Touch>, ServiceError> {
        let named = match (UserId::parse(id), ExternalId::parse(id)) {
            (Ok(id), _) => Some(Identifier::Id(id)),
            (_, Ok(external)) => Some(Identifier::External(external)),
            // No user can have such an id.
            _ => None,
        };
        let user = match &named {
            Some(named) => self.cached.find(named, Consistency::Fresh).await?.value,
            None => None,
        };
        let Some(user) = user else {
            return Ok(match &named {
                Some(Identifier::External(external)) => {
                    vec![Touch::entry("user_external", [external.as_str()])]
                }
                _ => entries_of_id(id).into_iter().collect(),
            });
        };
        Ok(entries_of(&user).into_iter().collect())
    }

    fn no_class(&self) -> Invalid {
        let names: Vec<_> = self.classes().into_iter().map(|report| report.name).collect();
        Invalid::new(format!("is no class; there are {}", names.join(", ")))
    }
}

/// Whether a caller may learn that an entry exists.
fn may_know(caller: Caller, entry: &Touch) -> bool {
    let Touch::Entry { class, parts } = entry else { return true };
    keys_for(class).admits(caller.role, parts)
}

fn refused(field: &str, error: larder::error::Error) -> ServiceError {
    match error.kind() {
        larder::error::ErrorKind::Config => {
            ServiceError::Invalid(ValidationErrors::one(field, Invalid::new(error.to_string())))
        }
        _ => error.into(),
    }
}
