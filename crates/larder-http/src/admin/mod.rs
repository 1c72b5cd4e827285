//! A page for operators, for any axum application: rates and hit ratios as live plots, what Redis and the journal do,
//! staleness, the log of invalidations, and the controls of the cache. `docs/admin.md` describes it.
//!
//! The application says who may open it, by its [`AdminHooks`]: there is no page without them.
//!
//! ```
//! use axum::Router;
//! use axum::http::StatusCode;
//! use axum::http::request::Parts;
//! use axum::response::{IntoResponse, Response};
//! use larder::cache::Cache;
//! use larder_http::admin::{Access, AdminHooks, AdminPage};
//!
//! struct Operators;
//!
//! impl AdminHooks for Operators {
//!     type Caller = ();
//!
//!     async fn admit(&self, head: &mut Parts, _: Access) -> Result<(), Response> {
//!         // Here an application checks its session.
//!         match head.headers.get("authorization").is_some_and(|sent| sent == "Bearer of-a-session") {
//!             true => Ok(()),
//!             false => Err(StatusCode::UNAUTHORIZED.into_response()),
//!         }
//!     }
//!
//!     fn may_see_keys(&self, (): &(), class: &str) -> bool {
//!         class == "rooms"
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), larder::Error> {
//! let cache = Cache::builder("hotel").build().await?;
//! let page = AdminPage::new(&cache, Operators);
//! let app: Router = Router::new().merge(page.router("/admin/cache"));
//! # Ok(())
//! # }
//! ```
//!
//! Invariant: while no viewer is connected, nothing samples the cache, and it has no subscriber to its events.

mod answers;
mod assets;
mod explained;
mod handlers;
mod hooks;
mod log;
mod origin;
mod page;
mod sampler;
mod snapshot;
mod stream;

pub use crate::admin::hooks::{Access, AdminHooks, Clearing, SignIn};
pub use crate::admin::page::AdminPage;
