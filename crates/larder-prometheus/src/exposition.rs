//! The text formats: families of samples, each with its help text and its type.
//!
//! <https://prometheus.io/docs/instrumenting/exposition_formats/>

use std::fmt::Write as _;

use crate::family::{Family, Kind, Sample};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// Version 0.0.4 of Prometheus's own format.
    Prometheus,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl Format {
    pub(crate) fn text(self, families: &[Family]) -> String {
        let mut text = String::new();
        for family in families {
            self.write(&mut text, family);
        }
        text
    }

    fn write(self, text: &mut String, Family { kind, name, help, samples }: &Family) {
        // In OpenMetrics the name of a counter's family is that of its samples without `_total`.
        let (family, kind) = match (kind, self) {
            (Kind::Counter, Format::Prometheus) => (*name, "counter"),
            (Kind::Counter, Format::OpenMetrics) => (name.trim_end_matches("_total"), "counter"),
            (Kind::Gauge, _) => (*name, "gauge"),
            (Kind::Summary, _) => (*name, "summary"),
        };
        let _ = writeln!(text, "# HELP {family} {help}\n# TYPE {family} {kind}");
        for Sample { suffix, labels, value } in samples {
            text.push_str(name);
            text.push_str(suffix);
            let mut separator = '{';
            for (name, value) in labels {
                let _ = write!(text, "{separator}{name}=\"{}\"", escape(value));
                separator = ',';
            }
            if separator == ',' {
                text.push('}');
            }
            let _ = writeln!(text, " {value}");
        }
    }
}

/// In the value of a label, both formats escape backslash, quote and line feed, and nothing else.
fn escape(value: &str) -> String {
    value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n")
}
