//! Types of parsed values. A value of such a type is valid, so code that receives one need not check it. These modules
//! do no I/O.

pub mod achievement;
pub mod api_key;
pub mod audit;
pub mod audit_query;
pub mod auth;
pub mod body;
pub mod bulk;
pub mod caches;
pub mod conditions;
pub mod contact;
pub mod cursor;
mod fields;
pub mod filter;
pub mod folding;
pub mod identity;
pub mod importing;
pub mod invalid;
pub(crate) mod json;
pub mod leaderboard;
pub mod mail;
pub mod own_names;
pub mod paging;
pub mod parts;
pub mod patch;
pub mod permission;
pub mod points;
pub mod profile;
pub mod read_only;
pub mod role;
pub mod search;
pub mod sort;
pub mod statistics;
pub(crate) mod strict;
pub mod text;
pub mod timestamp;
pub mod user;
pub(crate) mod user_body;
pub(crate) mod user_columns;

pub use larder_identity::{network, password, second_factor, secret_key};
