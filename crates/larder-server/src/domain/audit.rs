//! The events of the audit log: the actor, the action, and the user that it concerns. An event names fields, badges,
//! permissions and numbers, never the value of a field.

use std::str::FromStr;

use serde_json::{Map, Value, json};

use crate::domain::achievement::BadgeType;
use crate::domain::identity::UserId;
use crate::domain::invalid::Invalid;
use crate::domain::permission::Permission;

/// The originator of a change.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Actor {
    /// There is no logged-in user, as in a registration, the first start or a command line.
    #[default]
    Nobody,
    /// This user.
    User(UserId),
}

impl Actor {
    /// The user's id, if a user is logged in.
    pub fn id(self) -> Option<UserId> {
        match self {
            Self::Nobody => None,
            Self::User(id) => Some(id),
        }
    }
}

macro_rules! actions {
    ($($(#[$doc:meta])* $name:ident = $slug:literal),+ $(,)?) => {
        /// An action. Its name is stored in the log, so it never changes.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Action {
            $($(#[$doc])* $name),+
        }

        impl Action {
            /// Every action.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The name of the action in the log.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $slug),+
                }
            }
        }
    };
}

actions! {
    /// A user was created; if no user is the actor, by a registration.
    UserCreate = "user.create",
    /// A batch of users was created and changed at once.
    UserImport = "user.import",
    /// Users were exported.
    UserExport = "user.export",
    /// Fields of a user were changed.
    UserUpdate = "user.update",
    /// A user was deleted.
    UserDelete = "user.delete",
    /// A user was activated.
    UserActivate = "user.activate",
    /// A user was deactivated, which ended its tokens.
    UserDeactivate = "user.deactivate",
    /// A user was activated with others.
    BulkActivate = "bulk.activate",
    /// A user was deactivated with others.
    BulkDeactivate = "bulk.deactivate",
    /// The first superadmin was created.
    AdminCreate = "admin.create",
    /// A password was changed, which ended all sessions.
    PasswordChange = "password.change",
    /// A mail was asked for that resets a password; if no user is the target, for an unknown address.
    PasswordForget = "password.forget",
    /// A password was reset by the token of a mail, which ended all sessions.
    PasswordReset = "password.reset",
    /// A mail was asked for that confirms an e-mail address.
    EmailAsk = "email.ask",
    /// An e-mail address was confirmed by the token of a mail.
    EmailConfirm = "email.confirm",
    /// A user logged in.
    SessionOpen = "session.open",
    /// A session was closed: by its user, or by an admin.
    SessionClose = "session.close",
    /// A session ended because its user opened one more than allowed.
    SessionEvict = "session.evict",
    /// A session ended because it was not used for too long.
    SessionIdle = "session.idle",
    /// A refresh token was used a second time, which ended its session.
    SessionReuse = "session.reuse",
    /// A login failed: its password or code was wrong, or the user is inactive.
    LoginFail = "login.fail",
    /// A login had the right password and no code of the second factor. If it was
    /// not the user, another person knows the password.
    LoginCodeMissing = "login.code_missing",
    /// An access token or an API key was refused: forged, expired, or of an ended session.
    CredentialRefuse = "credential.refuse",
    /// A request was refused because its sender lacks a right, or did not prove its password.
    RequestRefuse = "request.refuse",
    /// A request was refused because of too many failures before it.
    RequestLimit = "request.limit",
    /// Cached entries were dropped by hand.
    CacheClear = "cache.clear",
    /// A class of the cache was switched on or off.
    CacheSwitch = "cache.switch",
    /// A change that the cache's tuning had made was undone.
    CacheUndo = "cache.undo_tuning",
    /// Preferences were changed.
    PreferencesUpdate = "preferences.update",
    /// The list of languages was replaced.
    LanguagesUpdate = "languages.update",
    /// Accessibility settings were changed.
    AccessibilityUpdate = "accessibility.update",
    /// The list of interests was replaced.
    InterestsUpdate = "interests.update",
    /// Points were booked.
    PointsBook = "points.book",
    /// A badge was awarded.
    AchievementAward = "achievement.award",
    /// A permission was granted.
    PermissionGrant = "permission.grant",
    /// A permission was revoked.
    PermissionRevoke = "permission.revoke",
    /// An API key was created.
    ApiKeyCreate = "api_key.create",
    /// An API key was deleted.
    ApiKeyDelete = "api_key.delete",
    /// A second factor was turned on.
    TotpEnable = "totp.enable",
    /// A second factor was turned off, by its user or by an admin.
    TotpDisable = "totp.disable",
    /// A recovery code was used in place of a second factor.
    RecoveryCodeUse = "recovery_code.use",
    /// A new key was published, which signs access tokens soon.
    KeyRotate = "key.rotate",
    /// Every signing key was replaced, which ended every session.
    KeyReplace = "key.replace",
}

impl FromStr for Action {
    type Err = Invalid;

    fn from_str(raw: &str) -> Result<Self, Invalid> {
        Self::ALL.iter().copied().find(|action| action.as_str() == raw).ok_or_else(|| {
            let allowed: Vec<_> = Self::ALL.iter().map(|action| action.as_str()).collect();
            Invalid::new(format!("is not an action; allowed are {}", allowed.join(", ")))
        })
    }
}

/// An entry of the log, before it is written. The store adds its time and its actor.
///
/// An event holds names of fields, codes, roles and numbers, and the request's address and API key id. It never holds
/// the value of a field, because the log is kept longer than the users.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// What was done.
    pub action: Action,
    /// The user that the event concerns, if there is one.
    pub target: Option<UserId>,
    details: Map<String, Value>,
}

impl Event {
    /// An event that concerns one user.
    pub fn on(action: Action, target: UserId) -> Self {
        Self { action, target: Some(target), details: Map::new() }
    }

    /// An event that concerns no particular user.
    pub fn of(action: Action) -> Self {
        Self { action, target: None, details: Map::new() }
    }

    /// Adds the names of the fields that changed.
    #[must_use]
    pub fn fields(mut self, names: &[&'static str]) -> Self {
        self.details.insert("fields".to_owned(), json!(names));
        self
    }

    /// Adds a number.
    #[must_use]
    pub fn number(mut self, name: &'static str, number: i64) -> Self {
        self.details.insert(name.to_owned(), json!(number));
        self
    }

    /// Adds a word: a code, a role, an id or an address, never the value of a field.
    #[must_use]
    pub fn text(mut self, name: &'static str, text: impl Into<String>) -> Self {
        self.details.insert(name.to_owned(), Value::String(text.into()));
        self
    }

    /// Adds a permission.
    #[must_use]
    pub fn permission(mut self, permission: &Permission) -> Self {
        self.details.insert("permission".to_owned(), json!(permission.as_str()));
        self
    }

    /// Adds a badge.
    #[must_use]
    pub fn badge(mut self, badge: &BadgeType) -> Self {
        self.details.insert("badge_type".to_owned(), json!(badge.as_str()));
        self
    }

    /// The details as JSON.
    pub fn details(&self) -> String {
        Value::Object(self.details.clone()).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_has_a_name_of_its_own() {
        for action in Action::ALL {
            assert_eq!(action.as_str().parse::<Action>().unwrap(), *action);
            let (subject, verb) = action.as_str().split_once('.').unwrap();
            assert!(!subject.is_empty() && !verb.is_empty(), "{action:?}");
        }
        let message = "user.explode".parse::<Action>().unwrap_err().message().to_owned();
        assert!(message.contains("user.create") && !message.contains("explode"), "{message}");
    }

    #[test]
    fn details_hold_names_and_numbers() {
        let event = Event::of(Action::UserImport).fields(&["bio"]).number("count", 3);
        assert_eq!(event.details(), r#"{"count":3,"fields":["bio"]}"#);
        assert_eq!(Event::of(Action::UserImport).details(), "{}");
    }
}
