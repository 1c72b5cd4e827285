//! Parsed values: whoever holds one need not check it again. No I/O.

pub mod achievement;
pub mod audit;
pub mod audit_query;
pub mod auth;
pub mod body;
pub mod bulk;
pub mod caches;
pub mod contact;
mod fields;
pub mod identity;
pub mod invalid;
pub mod leaderboard;
pub mod paging;
pub mod parts;
pub mod password;
pub mod patch;
pub mod permission;
pub mod points;
pub mod profile;
pub mod role;
pub mod text;
pub mod timestamp;
pub mod user;
