//! What tuning may do: the mode of a cache, and the limits of a class.

use std::time::Duration;

use crate::local::admissions::Admission;

/// Whether a cache watches how it could do better, and whether it does so by itself; see
/// [`Builder::tuning`](crate::Builder::tuning).
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), larder::Error> {
/// use larder::tuning::Tuning;
///
/// let tuning = Tuning::apply().admit_at_least_one_in(16);
/// let cache = larder::Cache::builder("hotel").tuning(tuning).build().await?;
/// assert!(cache.advice().is_empty(), "nothing was seen yet");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tuning {
    mode: TuningMode,
    least: Admission,
}

/// What tuning does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TuningMode {
    /// Nothing: no key is sampled. The default.
    #[default]
    Off,
    /// It watches a sample of the keys and gives advice.
    Advise,
    /// As `Advise`; also changes what it may, logs each change, and keeps it so that it can be undone.
    Apply,
}

impl TuningMode {
    /// The mode's name, such as `advise`.
    pub fn as_str(self) -> &'static str {
        match self {
            TuningMode::Off => "off",
            TuningMode::Advise => "advise",
            TuningMode::Apply => "apply",
        }
    }
}

impl Tuning {
    /// Nothing is watched. The default.
    #[must_use]
    pub fn off() -> Self {
        Tuning::default()
    }

    /// Watches, and gives [advice](crate::Cache::advice).
    #[must_use]
    pub fn advise() -> Self {
        Tuning { mode: TuningMode::Advise, least: Admission::LEAST }
    }

    /// Also changes by itself which share of a class's values memory admits, and the TTLs of classes that
    /// [allow it](crate::class::ClassBuilder::tune_ttl_up_to).
    #[must_use]
    pub fn apply() -> Self {
        Tuning { mode: TuningMode::Apply, least: Admission::LEAST }
    }

    /// The smallest share of a class's values that memory may be set to admit: one in 1, 4, 16 or 64; another number is
    /// rounded down to one of them. 1: every value is admitted, always. Default: 64.
    #[must_use]
    pub fn admit_at_least_one_in(self, one_in: u32) -> Self {
        Tuning { least: Admission::at_least_one_in(one_in), ..self }
    }

    /// The mode.
    pub fn mode(&self) -> TuningMode {
        self.mode
    }

    pub(crate) fn least(&self) -> Admission {
        self.least
    }
}

/// What may be tuned of one class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TuningLimits {
    /// Nothing of the class is tuned.
    pub(crate) is_fixed: bool,
    /// The TTL may be raised up to this; `None`: it is not tuned.
    pub(crate) ttl_max: Option<Duration>,
}
