//! The service that shows larder in use: user management over HTTP whose reads are answered by a hybrid cache.

pub mod api;
pub mod app;
pub mod cached;
pub mod cli;
pub mod dialects;
pub mod domain;
mod http_client;
pub mod mail;
pub mod opening;
mod refusing;
pub mod router;
pub mod service;
mod serving;
pub mod settings;
pub mod store;
