//! A page for operators, for any axum application: rates and hit ratios as live plots, what Redis and the journal do,
//! staleness, the log of invalidations, and the controls of the cache. `docs/admin.md` describes it.
//!
//! The application says who may open it, by its [`AdminHooks`]: there is no page without them.
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
mod routes;
mod sampler;
mod snapshot;
mod stream;
mod times;
mod tuned;

pub use crate::admin::hooks::{Access, AdminHooks, Clearing, SignIn};
pub use crate::admin::page::AdminPage;
