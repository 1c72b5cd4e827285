//! Parsed values: whoever holds one need not check it again. No I/O.

pub mod audit;
pub mod audit_query;
pub mod auth;
pub mod body;
pub mod bulk;
pub mod contact;
mod fields;
pub mod identity;
pub mod invalid;
pub mod paging;
pub mod parts;
pub mod password;
pub mod patch;
pub mod profile;
pub mod role;
pub mod text;
pub mod timestamp;
pub mod user;
