//! The metrics with their present values, in no format.

use std::fmt;

/// What the values of a family mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A value that only rises while the process lives. The metric's name ends with `_total`.
    Counter,
    /// A value that rises and falls.
    Gauge,
    /// Quantiles, each with the label `quantile`, and the sum and the number of all observations.
    Summary,
}

/// A metric with its present samples.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Family {
    /// What its values mean.
    pub kind: Kind,
    /// Its name.
    pub name: &'static str,
    /// What it counts, in a sentence.
    pub help: &'static str,
    /// At least one.
    pub samples: Vec<Sample>,
}

/// A value of a metric.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Sample {
    /// `_sum` or `_count` of a summary: the end of the sample's name. Else empty.
    pub suffix: &'static str,
    /// Names and values of its labels.
    pub labels: Vec<(&'static str, String)>,
    /// Its value.
    pub value: Value,
}

/// The value of a sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    /// A number of things.
    Count(u64),
    /// A measure, such as seconds.
    Measure(f64),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Count(value) => value.fmt(f),
            Value::Measure(value) => value.fmt(f),
        }
    }
}

impl From<u64> for Value {
    fn from(value: u64) -> Self {
        Value::Count(value)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Value::Count(value.into())
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Value::Measure(value)
    }
}

impl Family {
    /// Adds a sample. `cache` is the name of its cache, which becomes a label.
    pub(crate) fn sample(
        &mut self,
        cache: Option<&str>,
        labels: &[(&'static str, &str)],
        value: impl Into<Value>,
    ) {
        self.part("", cache, labels, value);
    }

    /// Adds a sample whose name is the family's with `suffix`: `_sum` or `_count` of a summary.
    pub(crate) fn part(
        &mut self,
        suffix: &'static str,
        cache: Option<&str>,
        labels: &[(&'static str, &str)],
        value: impl Into<Value>,
    ) {
        let labels = cache.map(|cache| ("cache", cache)).into_iter().chain(labels.iter().copied());
        let labels = labels.map(|(name, value)| (name, value.to_owned())).collect();
        self.samples.push(Sample { suffix, labels, value: value.into() });
    }
}

/// Families that are being collected.
#[derive(Default)]
pub(crate) struct Families(Vec<Family>);

impl Families {
    /// Begins a family.
    pub(crate) fn family(&mut self, kind: Kind, name: &'static str, help: &'static str) -> &mut Family {
        self.0.push(Family { kind, name, help, samples: Vec::new() });
        let last = self.0.len() - 1;
        &mut self.0[last]
    }

    /// The families that have samples.
    pub(crate) fn with_samples(mut self) -> Vec<Family> {
        self.0.retain(|family| !family.samples.is_empty());
        self.0
    }
}
