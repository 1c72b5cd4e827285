//! Free loopback ports, and names nobody else has.

use std::hash::{BuildHasher, RandomState};
use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;
use std::thread;
use std::time::Duration;

use anyhow::{Result, bail};

/// Below Linux's ephemeral range (32768 and up) on purpose. A port from that range can be taken by any
/// outgoing connection while its server is down, and a client that knocks on it can even connect to itself.
const RANGE: Range<u16> = 20_000..32_000;

/// How often a server may lose its port before that is an error.
const ATTEMPTS: usize = 5;

/// A TCP port on 127.0.0.1 that nobody listens on at this moment.
///
/// Nothing reserves it: whoever binds it must be ready to lose a race and ask again.
///
/// # Errors
///
/// When every port from 20000 to 31999 is taken.
pub fn free_port() -> Result<u16> {
    let width = u64::from(RANGE.end - RANGE.start);
    let offset = u16::try_from(unique() % width)?;
    let (before, after) = (RANGE.start..RANGE.start + offset, RANGE.start + offset..RANGE.end);
    match after.chain(before).find(|&port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()) {
        Some(port) => Ok(port),
        None => bail!("no free port on 127.0.0.1 from {} to {}", RANGE.start, RANGE.end - 1),
    }
}

/// Boots a server on a port from `next_port`, and again when it loses that port to somebody else.
pub(crate) fn boot_on<T>(
    mut next_port: impl FnMut() -> Result<u16>,
    mut boot: impl FnMut(u16) -> Result<T>,
) -> Result<T> {
    let mut attempt = 1;
    loop {
        match boot(next_port()?) {
            Err(error) if attempt < ATTEMPTS && lost_the_port(&error) => attempt += 1,
            result => return result,
        }
        // Another testbed that is merely looking for a free port holds it for microseconds.
        thread::sleep(Duration::from_millis(20));
    }
}

/// Both servers say it with the words of strerror(EADDRINUSE), in the log that a failed boot quotes.
fn lost_the_port(error: &anyhow::Error) -> bool {
    format!("{error:#}").contains("Address already in use")
}

/// A number that no other caller has, here or in another process: std seeds every `RandomState` differently.
pub(crate) fn unique() -> u64 {
    RandomState::new().hash_one(std::process::id())
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn a_free_port_can_be_bound_and_a_taken_one_is_not_offered() {
        let port = free_port().unwrap();
        assert!(RANGE.contains(&port));
        let _taken = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        assert_ne!(free_port().unwrap(), port);
    }

    #[test]
    fn a_lost_port_is_replaced() {
        let mut offered = [1, 2].into_iter();
        let port = boot_on(
            || offered.next().ok_or_else(|| anyhow!("asked too often")),
            |port| if port == 1 { bail!("bind: Address already in use") } else { Ok(port) },
        );
        assert_eq!(port.unwrap(), 2);
    }

    #[test]
    fn another_failure_is_not_repeated() {
        let mut boots = 0;
        let result: Result<()> = boot_on(
            || Ok(1),
            |_| {
                boots += 1;
                bail!("bad directive")
            },
        );
        assert_eq!((result.unwrap_err().to_string().as_str(), boots), ("bad directive", 1));
    }

    #[test]
    fn names_differ() {
        assert_ne!(unique(), unique());
    }
}
