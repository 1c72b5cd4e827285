//! How long a class keeps its entries, and which consistency a read asks for.

use std::time::Duration;

/// The shortest staleness bound that a cache can be built with. Within this time there are at least two heartbeats and
/// two polls, which are 200 ms apart.
pub(crate) const BOUND_MIN: Duration = Duration::from_millis(500);
/// The longest load time-out that can be set. Until then, readers on all instances wait for one load.
pub(crate) const LOAD_TIMEOUT_MAX: Duration = Duration::from_secs(15 * 60);
/// The load time-out of a cache that sets none.
pub(crate) const LOAD_TIMEOUT: Duration = Duration::from_secs(2);

/// What happens to a load after the last read that waited for it has left, for example because its client disconnected.
///
/// # Examples
///
/// ```
/// use larder::policy::Abandonment;
///
/// assert_eq!(Abandonment::default(), Abandonment::Finish);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Abandonment {
    /// The load ends, and its value is stored for later reads. The default.
    #[default]
    Finish,
    /// The load is stopped, and its lease is released.
    Stop,
}

/// The consistency of one read.
///
/// # Examples
///
/// ```
/// use larder::policy::Consistency;
///
/// assert_eq!(Consistency::default(), Consistency::Bounded);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Consistency {
    /// Any tier can answer. The read sees this instance's own writes once they are acknowledged, and writes of other
    /// instances once Redis or the journal has reported them to this instance. The default.
    #[default]
    Bounded,
    /// Memory is skipped: the read sees every write that any instance acknowledged as sent before the read began. Without
    /// Redis, and in a memory-only class, it always loads.
    Fresh,
}

/// How long the entries of a class can stay. A TTL limits how long an entry stays; whether an answer is current depends
/// on invalidations, not on the TTL.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use larder::policy::Policy;
///
/// let policy = Policy::ttl(Duration::from_secs(180)).absent_for(Duration::from_secs(30));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Policy {
    ttl: Duration,
    absent_for: Option<Duration>,
    jitter: f64,
}

impl Policy {
    /// The longest TTL, 30 days. A class with a longer one cannot be opened. No TTL has to be shorter than what the
    /// journal keeps: a consumer that was away for longer than that drops everything.
    pub const TTL_MAX: Duration = Duration::from_hours(30 * 24);

    /// Entries stay for `ttl`, counted from the start of their load. Absent answers are not stored; TTLs have a jitter
    /// of ten per cent.
    #[must_use]
    pub fn ttl(ttl: Duration) -> Self {
        Policy { ttl, absent_for: None, jitter: 0.1 }
    }

    pub(crate) fn with_ttl(self, ttl: Duration) -> Self {
        Policy { ttl, ..self }
    }

    /// Also stores absent answers ("there is no such value"), for `ttl`. Default: they are not stored.
    #[must_use]
    pub fn absent_for(self, ttl: Duration) -> Self {
        Policy { absent_for: Some(ttl), ..self }
    }

    /// Shortens each TTL by a random share of up to `share`, from 0.0 to 1.0, so that entries which were loaded
    /// together do not expire together. Default: 0.1.
    #[must_use]
    pub fn jitter(self, share: f64) -> Self {
        Policy { jitter: share, ..self }
    }

    /// What is not allowed, and what is; `None` if the policy is allowed.
    pub(crate) fn error(&self) -> Option<String> {
        let longest = Self::TTL_MAX;
        if self.longest() > longest {
            return Some(format!("ttl {:?}: allowed is at most {longest:?}, 30 days", self.longest()));
        }
        (!(0.0..=1.0).contains(&self.jitter))
            .then(|| format!("jitter {}: allowed is 0.0 to 1.0", self.jitter))
    }

    /// The longest that any answer of the class can stay.
    pub(crate) fn longest(&self) -> Duration {
        self.absent_for.map_or(self.ttl, |absent_for| self.ttl.max(absent_for))
    }

    /// How long this answer can stay, or `None` if it is not stored. `luck` is a random number from 0.0..1.0.
    pub(crate) fn residence(&self, is_absent: bool, luck: f64) -> Option<Duration> {
        let ttl = if is_absent { self.absent_for? } else { self.ttl };
        let ttl = ttl.mul_f64(1.0 - self.jitter * luck);
        (ttl >= Duration::from_millis(1)).then_some(ttl)
    }
}

impl Default for Policy {
    /// A TTL of five minutes; absent answers are not kept.
    fn default() -> Self {
        Policy::ttl(Duration::from_secs(300))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_only_ever_shortens() {
        let policy = Policy::ttl(Duration::from_secs(100));
        assert_eq!(policy.residence(false, 0.0), Some(Duration::from_secs(100)));
        assert_eq!(policy.residence(false, 1.0), Some(Duration::from_secs(90)));
    }

    #[test]
    fn absent_answers_are_kept_only_where_the_policy_says_so() {
        let policy = Policy::ttl(Duration::from_secs(100)).jitter(0.0);
        assert_eq!(policy.residence(true, 0.0), None);
        let policy = policy.absent_for(Duration::from_secs(3));
        assert_eq!(policy.residence(true, 0.0), Some(Duration::from_secs(3)));
    }

    #[test]
    fn a_ttl_beyond_thirty_days_is_an_error_and_a_zero_ttl_keeps_nothing() {
        assert_eq!(Policy::ttl(Policy::TTL_MAX).absent_for(Policy::TTL_MAX).error(), None);
        let wrong = Policy::default().absent_for(Policy::TTL_MAX + Duration::from_secs(1)).error();
        assert_eq!(wrong.as_deref(), Some("ttl 2592001s: allowed is at most 2592000s, 30 days"));
        for share in [-0.1, 1.1, f64::NAN] {
            assert!(Policy::default().jitter(share).error().is_some(), "{share}");
        }
        assert_eq!(Policy::ttl(Duration::ZERO).residence(false, 0.0), None);
    }
}
