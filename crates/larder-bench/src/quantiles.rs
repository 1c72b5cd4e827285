//! Response times: two quantiles of a round, and their medians over several rounds.

use std::fmt;
use std::time::Duration;

use anyhow::Result;
use hdrhistogram::Histogram;

/// The quantiles of one round, in milliseconds; displayed as `p50 / p99`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Quantiles {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
}

/// Response times up to a minute, in microseconds with three significant digits.
pub(crate) struct Times(Histogram<u64>);

impl Times {
    pub(crate) fn new() -> Result<Self> {
        Ok(Self(Histogram::new_with_bounds(1, 60_000_000, 3)?))
    }

    pub(crate) fn record(&mut self, took: Duration) {
        self.0.saturating_record(took.as_micros() as u64);
    }

    pub(crate) fn add(&mut self, other: &Times) -> Result<()> {
        Ok(self.0.add(&other.0)?)
    }

    /// The number of answers.
    pub(crate) fn count(&self) -> u64 {
        self.0.len()
    }

    pub(crate) fn quantiles(&self) -> Quantiles {
        let milliseconds = |quantile| self.0.value_at_quantile(quantile) as f64 / 1000.0;
        Quantiles { p50: milliseconds(0.50), p99: milliseconds(0.99) }
    }
}

impl Quantiles {
    /// The median of each quantile over the rounds, of which there must be at least one.
    pub(crate) fn median(rounds: &[Quantiles]) -> Self {
        let median = |of: fn(&Quantiles) -> f64| {
            let mut values: Vec<_> = rounds.iter().map(of).collect();
            values.sort_by(f64::total_cmp);
            values[values.len() / 2]
        };
        Self { p50: median(|round| round.p50), p99: median(|round| round.p99) }
    }
}

impl fmt::Display for Quantiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2} / {:.2}", self.p50, self.p99)
    }
}
