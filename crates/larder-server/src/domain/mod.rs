//! Parsed values: whoever holds one need not check it again. No I/O.

pub mod api_key;
pub mod auth;
pub mod body;
pub mod contact;
mod fields;
pub mod identity;
pub mod invalid;
pub mod network;
pub mod paging;
pub mod password;
pub mod patch;
pub mod profile;
pub mod role;
pub mod second_factor;
pub mod secret_key;
pub mod security_body;
pub mod text;
pub mod timestamp;
pub mod user;
