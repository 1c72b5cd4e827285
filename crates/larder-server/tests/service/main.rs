//! The running service: the real binary, asked over HTTP, on every database with and without Redis.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod access;
mod auth;
mod bulk;
mod conditional;
mod config;
mod demo;
mod endings;
mod foreign;
mod forged;
mod hostile;
mod http;
mod instances;
mod lists;
mod openapi;
mod outages;
mod profiles;
mod reassigned;
mod start;
mod support;
mod users;
