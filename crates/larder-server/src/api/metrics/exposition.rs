//! The text format of Prometheus: families of samples, each with its help text and its type.

use std::fmt::Display;

use metrics::{Key, Label};
use metrics_exporter_prometheus::LabelSet;
use metrics_exporter_prometheus::formatting::{write_help_line, write_metric_line, write_type_line};

/// The labels of a sample.
type Labels<'a> = &'a [(&'static str, &'a str)];

/// Values as they are at a scrape. They are written directly and not through a recorder, so that what does not answer has no
/// sample, sums keep their fractions, and the order is always the same.
#[derive(Default)]
pub(super) struct Exposition(String);

impl Exposition {
    /// Begins a counter: its value only rises while the process lives.
    pub(super) fn counter(&mut self, name: &'static str, help: &str) -> Family<'_> {
        self.family("counter", name, help)
    }

    /// Begins a gauge: its value rises and falls.
    pub(super) fn gauge(&mut self, name: &'static str, help: &str) -> Family<'_> {
        self.family("gauge", name, help)
    }

    /// Begins a summary: quantiles, each with the label `quantile`, with their sum and their count.
    pub(super) fn summary(&mut self, name: &'static str, help: &str) -> Family<'_> {
        self.family("summary", name, help)
    }

    fn family(&mut self, kind: &str, name: &'static str, help: &str) -> Family<'_> {
        write_help_line(&mut self.0, name, None, None, help);
        write_type_line(&mut self.0, name, None, None, kind);
        Family { text: &mut self.0, name }
    }

    pub(super) fn into_text(self) -> String {
        self.0
    }
}

/// A family whose samples are being written.
pub(super) struct Family<'a> {
    text: &'a mut String,
    name: &'static str,
}

impl Family<'_> {
    pub(super) fn sample(&mut self, labels: Labels, value: impl Display) {
        self.write(None, labels, value);
    }

    pub(super) fn sum(&mut self, labels: Labels, value: impl Display) {
        self.write(Some("sum"), labels, value);
    }

    pub(super) fn count(&mut self, labels: Labels, value: impl Display) {
        self.write(Some("count"), labels, value);
    }

    fn write(&mut self, suffix: Option<&'static str>, labels: Labels, value: impl Display) {
        let labels: Vec<_> =
            labels.iter().map(|(name, value)| Label::new(*name, (*value).to_owned())).collect();
        let labels = LabelSet::from_key_and_global(&Key::from_parts(self.name, labels), &Default::default());
        write_metric_line::<&str, _>(self.text, self.name, suffix, &labels, None, value, None);
    }
}
