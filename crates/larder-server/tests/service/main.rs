//! The running service: the real binary, asked over HTTP, on every database with and without Redis.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod access;
mod achievements;
mod api_keys;
mod auth;
mod bulk;
mod cache_api;
mod conditional;
mod config;
mod demo;
mod endings;
mod foreign;
mod forged;
mod generic;
mod hiremebahamas;
mod hita;
mod hostile;
mod http;
mod instances;
mod katiba360;
mod keys;
mod limits;
mod lists;
mod openapi;
mod outages;
mod permissions;
mod points;
mod profiles;
mod reassigned;
mod secrets;
mod start;
mod support;
mod tokens;
mod totp;
mod users;
