//! Where users meet the cache, and the only place: each class, and how it is loaded. What a write touches the database
//! itself records, as `store/journal.rs` declares.
//!
//! A secret is no value of a class: this does not compile.
//!
//! ```compile_fail,E0277
//! # use larder_server::store::passwords::Login;
//! # fn open(cache: larder::cache::Cache) {
//! let stolen = cache.class::<String, Login>("stolen");
//! # }
//! ```
//!
//! The same with what may be cached does.
//!
//! ```
//! # use larder_server::domain::user::User;
//! # fn open(cache: larder::cache::Cache) {
//! let details = cache.class::<String, User>("details");
//! # }
//! ```

pub mod achievements;
pub mod api_keys;
pub mod leaderboard;
pub mod lists;
pub mod permissions;
pub mod policies;
pub mod profiles;
pub mod statistics;
pub mod users;

use std::time::Duration;

use larder::source::Source;

/// How long an absent answer is kept. Creating a user drops the answers about its names, so this bounds only
/// how long one of them takes up room.
const ABSENT: Duration = Duration::from_secs(30);

/// Of two sources that made one answer, the one that had to go farther.
fn farther(a: Source, b: Source) -> Source {
    let distance = |source| match source {
        Source::Memory => 0,
        Source::Redis => 1,
        load @ Source::Load { .. } if load.is_stored() => 2,
        Source::Load { .. } => 3,
        Source::Bypass => 4,
    };
    if distance(a) > distance(b) { a } else { b }
}
