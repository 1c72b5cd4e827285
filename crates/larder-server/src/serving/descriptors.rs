//! How many connections the process has descriptors for.

/// The most connections if `LARDER_CONNECTIONS` is not set.
const CONNECTIONS: usize = 10_000;

/// The most connections at once: `wanted`, or fewer if the process has fewer descriptors beside `reserve`.
pub(super) fn connections_max(wanted: Option<u32>, reserve: u32) -> usize {
    bounded(wanted, reserve as usize, raised())
}

fn bounded(wanted: Option<u32>, reserve: usize, descriptors: Option<usize>) -> usize {
    let wanted_or_usual = wanted.map_or(CONNECTIONS, |wanted| wanted as usize);
    let Some(descriptors) = descriptors else { return wanted_or_usual };
    // Connections get at least half of the descriptors, even if the reserve is larger than the other half.
    let max = wanted_or_usual.min(descriptors.saturating_sub(reserve).max(descriptors / 2)).max(1);
    if wanted.is_some_and(|wanted| max < wanted as usize) {
        tracing::warn!(
            max,
            descriptors,
            "LARDER_CONNECTIONS is more than the limit on open files allows (ulimit -n); fewer are accepted"
        );
    }
    max
}

/// Raises the soft limit on open files to the hard limit and returns it; `None`: there is no limit. Many systems set
/// the soft limit to 1,024 for programs that use `select`; this program does not use it.
#[cfg(unix)]
fn raised() -> Option<usize> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current == maximum {
        return current.and_then(|limit| usize::try_from(limit).ok());
    }
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    let limit = if raised.is_ok() { maximum } else { current };
    limit.and_then(|limit| usize::try_from(limit).ok())
}

#[cfg(not(unix))]
fn raised() -> Option<usize> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_a_reserve_of_descriptors() {
        for (wanted, descriptors, max) in [
            (None, None, 10_000),
            (None, Some(1_000_000), 10_000),
            (None, Some(1024), 896),
            (Some(20_000), Some(1_000_000), 20_000),
            (Some(20_000), Some(1024), 896),
            (Some(5), Some(1024), 5),
            (None, Some(100), 50),
            (None, Some(1), 1),
        ] {
            assert_eq!(bounded(wanted, 128, descriptors), max, "{wanted:?} {descriptors:?}");
        }
    }
}
