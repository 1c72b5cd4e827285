//! Mechanisms of identity: parsing, hashing, sealing, limiting, signing.
//!
//! This crate is for a service that has users. The crate stores nothing: the service keeps hashes, sealed secrets and
//! keys in its own database. Signing keys are read through the port [`KeyStore`](keys::KeyStore); everything else takes
//! and returns plain values: a user is a UUID, an account a text, an instant a `SystemTime`.
//!
//! | for | module |
//! |---|---|
//! | passwords | [`password`], [`hashing`] |
//! | the second factor | [`second_factor`] parses codes, [`authenticator`] computes them, [`sealing`] encrypts the secret with a [`secret_key`] |
//! | access and refresh tokens | [`tokens`], [`keys`], [`refresh`]; [`token_hash`] is how a database keeps them |
//! | API keys | [`api_key`] |
//! | tokens that are sent by mail | [`mail_token`]; [`webhook`] signs a message that has one |
//! | failed attempts | [`limits`] by address and account; [`network`] finds a client's address behind trusted proxies, [`device`] recognises a known device |
//! | errors | [`invalid`] for a refused text, [`failure`] for a fault of the mechanism |
//!
//! Every text from outside becomes a value of a type here, or an [`Invalid`](invalid::Invalid). No type that holds a
//! secret can be serialised, and its `Debug` form shows no secret.
//!
//! ```
//! use larder_identity::password::Password;
//!
//! assert!(Password::parse("correct horse").is_ok());
//! assert_eq!(Password::parse("short").unwrap_err().message(), "must be 10 to 256 characters long");
//! ```

pub mod api_key;
pub mod authenticator;
pub mod device;
pub mod failure;
mod foreign_hash;
pub mod hashing;
pub mod invalid;
pub mod keys;
pub mod limits;
pub mod mail_token;
pub mod network;
pub mod password;
pub mod refresh;
pub mod sealing;
pub mod second_factor;
pub mod secret_key;
pub mod token_hash;
pub mod tokens;
pub mod webhook;
