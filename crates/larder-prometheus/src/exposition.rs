//! The text formats: families of samples, each with its help text and its type.
//!
//! <https://prometheus.io/docs/instrumenting/exposition_formats/>

use std::fmt::{Display, Write as _};

/// The labels of a sample.
pub(crate) type Labels<'a> = &'a [(&'static str, &'a str)];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// Version 0.0.4 of Prometheus's own format.
    Prometheus,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

#[derive(Clone, Copy)]
pub(crate) enum Kind {
    /// A value that only rises while the process lives. The metric's name ends with `_total`.
    Counter,
    /// A value that rises and falls.
    Gauge,
    /// Quantiles, each with the label `quantile`, and the sum and the number of all observations.
    Summary,
}

/// The text of an answer, while it is being written.
pub(crate) struct Exposition {
    text: String,
    format: Format,
}

impl Exposition {
    pub(crate) fn new(format: Format) -> Self {
        Self { text: String::new(), format }
    }

    /// Begins a family. If the family gets no sample, the text does not contain it.
    pub(crate) fn family(&mut self, kind: Kind, name: &'static str, help: &'static str) -> Family<'_> {
        Family { text: self, kind, name, help, is_begun: false }
    }

    pub(crate) fn into_text(self) -> String {
        self.text
    }
}

/// A family whose samples are being written.
pub(crate) struct Family<'a> {
    text: &'a mut Exposition,
    kind: Kind,
    name: &'static str,
    help: &'static str,
    is_begun: bool,
}

impl Family<'_> {
    /// Writes a sample. `cache` is the name of its cache, which becomes a label.
    pub(crate) fn sample(&mut self, cache: Option<&str>, labels: Labels, value: impl Display) {
        self.part("", cache, labels, value);
    }

    /// Writes a sample whose name is the family's with `suffix`: `_sum` or `_count` of a summary, else an empty one.
    pub(crate) fn part(&mut self, suffix: &str, cache: Option<&str>, labels: Labels, value: impl Display) {
        if !self.is_begun {
            self.is_begun = true;
            self.begin();
        }
        let text = &mut self.text.text;
        text.push_str(self.name);
        text.push_str(suffix);
        let mut separator = '{';
        for (name, value) in cache.map(|cache| ("cache", cache)).iter().chain(labels) {
            let _ = write!(text, "{separator}{name}=\"{}\"", escape(value));
            separator = ',';
        }
        if separator == ',' {
            text.push('}');
        }
        let _ = writeln!(text, " {value}");
    }

    fn begin(&mut self) {
        // In OpenMetrics the name of a counter's family is that of its samples without `_total`.
        let (name, kind) = match (self.kind, self.text.format) {
            (Kind::Counter, Format::Prometheus) => (self.name, "counter"),
            (Kind::Counter, Format::OpenMetrics) => (self.name.trim_end_matches("_total"), "counter"),
            (Kind::Gauge, _) => (self.name, "gauge"),
            (Kind::Summary, _) => (self.name, "summary"),
        };
        let _ = writeln!(self.text.text, "# HELP {name} {}\n# TYPE {name} {kind}", self.help);
    }
}

/// In the value of a label, both formats escape backslash, quote and line feed, and nothing else.
fn escape(value: &str) -> String {
    value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n")
}
