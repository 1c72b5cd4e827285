//! Tests of the engine through its public API, on real servers of Redis. They are one test program: each
//! is linked with all of its dependencies, and a second one would cost that time again.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has to fail")]

mod abandoned;
mod aging;
mod auditing;
mod batch_faults;
mod batch_reloads;
mod batches;
mod breakers;
mod budgets;
mod cached;
mod cached_options;
mod class_loaders;
mod clusters;
mod compressed;
mod connecting;
mod consistency;
mod entries;
mod events;
mod examples;
mod flights;
mod forgeries;
mod installations;
mod introspection;
mod journal;
mod keys;
mod links;
mod loaded;
mod loading;
mod memory_only;
mod opening;
mod outages;
mod oversized;
mod permits;
mod propagated;
mod refusing;
#[cfg(feature = "upstash")]
mod rest;
#[cfg(feature = "upstash")]
mod rest_faults;
mod sentinels;
mod slow_loads;
mod stale_sets;
mod support;
mod tags;
mod testing;
#[cfg(feature = "redis-tls")]
mod tls;
mod tracking;
mod trouble_events;
mod tuning;
mod tuning_limits;
mod unfit;
mod untracked;
mod values;
