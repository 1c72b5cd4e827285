//! For tests of applications: a cache with a clock that the test moves.

use std::time::Duration;

use crate::builder::Builder;
use crate::cache::Cache;
use crate::clock::Clock;

/// A clock that only the test moves; all clones have one time. `tokio::time::pause` has no effect on a cache, because a
/// cache reads the kernel's clock.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), larder::Error> {
/// use std::time::Duration;
/// use larder::testing::ManualClock;
/// use larder::{Cache, Policy};
///
/// let clock = ManualClock::new();
/// let cache = Cache::builder("docs").manual_clock(&clock).build().await?;
/// let rooms = cache.class::<u32, u32>("rooms").policy(Policy::ttl(Duration::from_secs(60))).open()?;
/// rooms.get_or_load(&7, || async { Ok::<_, larder::Error>(1) }).await?;
///
/// clock.advance(Duration::from_secs(50));
/// assert!(rooms.get(&7).await.is_hit());
/// clock.advance(Duration::from_secs(10));
/// assert!(rooms.get(&7).await.is_miss());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ManualClock(Clock);

impl ManualClock {
    /// A clock at an arbitrary time.
    pub fn new() -> Self {
        ManualClock(Clock::manual())
    }

    /// Moves the time forward.
    pub fn advance(&self, span: Duration) {
        self.0.advance(span);
    }
}

impl Default for ManualClock {
    fn default() -> Self {
        ManualClock::new()
    }
}

impl Builder {
    /// Takes the time from `clock`, so entries expire when the test moves it. `build` refuses this clock together with
    /// Redis or a journal, because their answers take real time.
    pub fn manual_clock(mut self, clock: &ManualClock) -> Self {
        self.clock = clock.0.clone();
        self
    }
}

impl Cache {
    /// Lets [tuning](crate::tuning) look at what was sampled, without waiting for its next turn. At most 1,024 samples wait,
    /// and later ones are dropped: call it after every 10,000 reads. Without tuning it does nothing.
    pub fn tune_now(&self) {
        if let Some(tuner) = &self.engine.tuner {
            tuner.tick();
        }
    }
}
