//! Free loopback ports, and unique names.

use std::hash::{BuildHasher, RandomState};
use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;
use std::thread;
use std::time::Duration;

use anyhow::{Result, bail};

/// The ports for servers. They are below Linux's ephemeral range (32768 and above): while a server is down, any
/// outgoing connection can take a port of that range, and a client that connects to such a port can even connect to
/// itself.
const RANGE: Range<u16> = 20_000..32_000;

/// The number of attempts to boot a server that loses its port.
const ATTEMPTS: usize = 5;

/// A TCP port on 127.0.0.1 on which no process listens at this moment.
///
/// The port is not reserved: a caller that fails to bind it must ask for another one.
///
/// # Errors
///
/// If every port from 20000 to 31999 is taken.
pub fn free_port() -> Result<u16> {
    let width = u64::from(RANGE.end - RANGE.start);
    let offset = u16::try_from(unique() % width)?;
    let (before, after) = (RANGE.start..RANGE.start + offset, RANGE.start + offset..RANGE.end);
    match after.chain(before).find(|&port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()) {
        Some(port) => Ok(port),
        None => bail!("no free port on 127.0.0.1 from {} to {}", RANGE.start, RANGE.end - 1),
    }
}

/// Boots a server on a port from `next_port`. Tries another port if another process takes the first one.
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
        // A short pause is enough: another testbed that only looks for a free port holds a port for microseconds.
        thread::sleep(Duration::from_millis(20));
    }
}

/// All servers print the text of strerror(EADDRINUSE) to the log, which the error of a failed boot quotes; those in Go in lower
/// case.
fn lost_the_port(error: &anyhow::Error) -> bool {
    format!("{error:#}").to_ascii_lowercase().contains("address already in use")
}

/// A number that is unique in all processes: std seeds every `RandomState` differently.
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
