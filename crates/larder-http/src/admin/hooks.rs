//! What the application decides: who may look and act, and how it clears, switches, warms and remembers.

use std::time::Duration;

use axum::http::request::Parts;
use axum::response::{IntoResponse as _, Response};
use larder::cache::Cache;
use larder::introspection::explain::Explanation;
use larder::journal::Touch;
use larder::receipt::Receipt;
use serde::Serialize;
use serde_json::Value;

use crate::admin::answers::{Problem, refused};

/// What a request of the page wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// To look: the stream, the explanation of an entry, the history, the advice.
    Look,
    /// To act: clear, switch, warm, undo.
    Act,
}

/// What is cleared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Clearing {
    /// All entries.
    Everything,
    /// All entries of the class of this name.
    Class(String),
    /// Every entry whose text `class:part:part` matches this pattern; `*` matches any text.
    Matching(String),
}

/// How the page signs its viewer in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum SignIn {
    /// The browser sends what the application needs, such as a cookie. If a request is refused, the page says that the
    /// viewer has to sign in to the application.
    #[default]
    Application,
    /// The page has a form. It posts `email` and `password` as JSON to `login`, which answers with `access_token`,
    /// `refresh_token` and `expires_in` (seconds). A refusal with `code` `second_factor_needed` makes the form ask for
    /// `totp_code` (digits) or `recovery_code`. The page sends the access token as `Authorization: Bearer`, posts `refresh_token` to `refresh` before it
    /// expires, and posts to `logout` at the end.
    Password {
        /// The URL of the login; it may be relative to the page.
        login: String,
        /// The URL that exchanges a refresh token.
        refresh: String,
        /// The URL that ends the session.
        logout: String,
    },
}

/// The hooks of the application.
///
/// Each hook that fails returns the answer to the request; the page shows `detail` of a body of
/// `application/problem+json`. The methods with a default act on the cache alone: an application with an audit log
/// overrides them.
pub trait AdminHooks: Send + Sync + 'static {
    /// The admitted sender of a request.
    type Caller: Clone + Send + Sync + 'static;

    /// Admits the sender of a request, or returns the answer that refuses it: 401 if the viewer has to sign in. A stream
    /// asks again every 10 s with the same head, and ends if it is refused.
    ///
    /// The page checks by itself that a request to act comes from the page and from no other site.
    fn admit(
        &self,
        head: &mut Parts,
        access: Access,
    ) -> impl Future<Output = Result<Self::Caller, Response>> + Send;

    /// Whether the caller may see the keys of the entries of this class, which can be personal data. If not, the log of
    /// invalidations names the class alone, and [`explain`](Self::explain) refuses its entries.
    fn may_see_keys(&self, caller: &Self::Caller, class: &str) -> bool;

    /// How the page signs its viewer in. Default: [`SignIn::Application`].
    fn sign_in(&self) -> SignIn {
        SignIn::Application
    }

    /// The name of this instance on the page. Default: the id of the process.
    fn instance(&self) -> String {
        format!("process {}", std::process::id())
    }

    /// Whether the page offers to warm. Default: no.
    fn can_warm(&self) -> bool {
        false
    }

    /// Explains an entry. Default: [`Cache::explain`], for who may see the keys of its class.
    fn explain(
        &self,
        cache: &Cache,
        caller: &Self::Caller,
        entry: &Touch,
    ) -> impl Future<Output = Result<Explanation, Response>> + Send {
        async move {
            let explanation = cache.explain(entry).await.map_err(|error| refused(&error))?;
            let class = match entry {
                Touch::Entry { class, .. } => class.as_str(),
                _ => "",
            };
            match self.may_see_keys(caller, class) {
                true => Ok(explanation),
                false => Err(Problem::KEYS_HIDDEN.into_response()),
            }
        }
    }

    /// Invalidates on every instance. Default: an invalidation of the cache, without a log of who sent it.
    fn clear(
        &self,
        cache: &Cache,
        _caller: &Self::Caller,
        what: &Clearing,
    ) -> impl Future<Output = Result<Receipt, Response>> + Send {
        async move {
            let invalidation = cache.invalidation();
            let invalidation = match what {
                Clearing::Everything => Ok(invalidation.everything()),
                Clearing::Class(class) if !cache.classes().iter().any(|known| known.name == *class) => {
                    return Err(Problem::NO_CLASS.into_response());
                }
                Clearing::Class(class) => invalidation.touch(&Touch::Tag(class.clone())),
                Clearing::Matching(pattern) => invalidation.matching(pattern),
            };
            Ok(invalidation.map_err(|error| refused(&error))?.send().await)
        }
    }

    /// Switches a class on or off, on this instance. Default: [`Cache::set_class_enabled`].
    fn switch(
        &self,
        cache: &Cache,
        _caller: &Self::Caller,
        class: &str,
        is_on: bool,
    ) -> impl Future<Output = Result<(), Response>> + Send {
        async move { cache.set_class_enabled(class, is_on).map_err(|error| refused(&error)) }
    }

    /// Undoes a change that tuning has made, on this instance. Default: [`Cache::undo_tuning`].
    fn undo_tuning(
        &self,
        cache: &Cache,
        _caller: &Self::Caller,
        change: u64,
    ) -> impl Future<Output = Result<(), Response>> + Send {
        async move { cache.undo_tuning(change).map(drop).map_err(|error| refused(&error)) }
    }

    /// Loads the entries that most clients read first, and returns the names of their classes. The page calls it only if it
    /// [can warm](Self::can_warm). Default: loads nothing.
    fn warm(&self, _caller: &Self::Caller) -> impl Future<Output = Result<Vec<String>, Response>> + Send {
        async { Ok(Vec::new()) }
    }

    /// What all instances have said within `since`, which is 1 min to 1 day: JSON in the form that `docs/admin.md` gives;
    /// `None`: the application keeps no history. Default: `None`.
    fn history(
        &self,
        _caller: &Self::Caller,
        _since: Duration,
    ) -> impl Future<Output = Result<Option<Value>, Response>> + Send {
        async { Ok(None) }
    }
}
