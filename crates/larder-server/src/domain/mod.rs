//! Parsed values: whoever holds one need not check it again. No I/O.

pub mod auth;
pub mod body;
pub mod contact;
pub mod cursor;
mod fields;
pub mod identity;
pub mod invalid;
pub mod paging;
pub mod password;
pub mod patch;
pub mod profile;
pub mod role;
pub mod search;
pub mod sort;
pub mod statistics;
pub mod text;
pub mod timestamp;
pub mod user;
