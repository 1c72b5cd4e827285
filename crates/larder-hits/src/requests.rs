//! The loads: the keys that are requested, in order.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand_distr::{Distribution, Zipf};

pub(crate) type Requests = Vec<u64>;

/// The seed of the computed loads, so that two runs have the same.
const SEED: u64 = 11;
/// Every so many requests a scan begins.
const SCAN_INTERVAL: usize = 20_000;
/// The keys of one scan, which no other request has.
const SCAN_KEYS: u64 = 10_000;

/// Keys by Zipf's law: the key n is requested in proportion to n to the power of `-exponent`.
pub(crate) fn zipf(keys: u64, exponent: f64, requests: u64) -> Result<Requests> {
    let (law, mut random) = (Zipf::new(keys as f64, exponent)?, StdRng::seed_from_u64(SEED));
    Ok((0..requests).map(|_| law.sample(&mut random) as u64).collect())
}

/// The same, and scans over keys that are requested once.
pub(crate) fn scans(keys: u64, exponent: f64, requests: u64) -> Result<Requests> {
    let mut next = keys + 1;
    let mut mixed = Requests::new();
    for part in zipf(keys, exponent, requests)?.chunks(SCAN_INTERVAL) {
        mixed.extend(part);
        mixed.extend(next..next + SCAN_KEYS);
        next += SCAN_KEYS;
    }
    Ok(mixed)
}

/// A trace of the ARC paper: each line has a key, and how many keys from there on are requested.
pub(crate) fn trace(path: &Path) -> Result<Requests> {
    let file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
    let mut requests = Requests::new();
    for line in BufReader::new(file).lines() {
        let line = line?;
        let mut words = line.split_whitespace();
        let Some(first) = words.next() else { continue };
        let wrong = || format!("{}: not a line of a trace: {line}", path.display());
        let first: u64 = first.parse().with_context(wrong)?;
        let count: u64 = words.next().with_context(wrong)?.parse().with_context(wrong)?;
        let end = first.checked_add(count).with_context(wrong)?;
        requests.extend(first..end);
    }
    ensure!(!requests.is_empty(), "{}: no requests", path.display());
    Ok(requests)
}
