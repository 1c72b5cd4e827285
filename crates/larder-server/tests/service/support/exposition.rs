//! A strict parser of Prometheus's text format, version 0.0.4: each deviation fails the test.

use std::collections::BTreeMap;

type Labels = BTreeMap<String, String>;

/// The series of one scrape.
pub(crate) struct Metrics {
    series: BTreeMap<(String, Labels), f64>,
}

impl Metrics {
    pub(crate) fn parse(text: &str) -> Self {
        assert!(text.ends_with('\n'), "the last line has no end");
        let mut series = BTreeMap::new();
        let mut kinds: BTreeMap<&str, &str> = BTreeMap::new();
        let mut helped = None;
        let mut family = ("", "");
        for line in text.lines().filter(|line| !line.is_empty()) {
            if let Some(help) = line.strip_prefix("# HELP ") {
                let (name, help) = help.split_once(' ').unwrap();
                assert!(is_name(name) && !help.is_empty() && !kinds.contains_key(name), "{line}");
                helped = Some(name);
            } else if let Some(kind) = line.strip_prefix("# TYPE ") {
                family = kind.split_once(' ').unwrap();
                let (name, kind) = family;
                assert_eq!(helped.take(), Some(name), "{line} does not follow its HELP");
                assert!(["counter", "gauge", "summary", "histogram"].contains(&kind), "{line}");
                assert_eq!(name.ends_with("_total"), kind == "counter", "{line}");
                kinds.insert(name, kind);
            } else {
                let (name, labels, value) = sample(line);
                assert!(belongs(name, &labels, family), "{line} follows the family {family:?}");
                assert!(value >= 0.0, "{line}");
                assert!(series.insert((name.to_owned(), labels), value).is_none(), "{line} occurs twice");
            }
        }
        let metrics = Self { series };
        for (family, kind) in kinds {
            let mut names = metrics.series.keys().map(|(name, _)| name);
            assert!(names.any(|name| name.starts_with(family)), "{family} has no sample");
            if kind == "histogram" {
                metrics.check_buckets(family);
            }
        }
        metrics
    }

    /// Returns the value of exactly this series.
    pub(crate) fn get(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        self.series.get(&(name.to_owned(), labels.collect())).copied()
    }

    /// Returns the value of a series, and fails the test if there is none.
    #[track_caller]
    pub(crate) fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.get(name, labels).unwrap_or_else(|| panic!("no {name} {labels:?}"))
    }

    /// Returns by how much this series rose since `earlier`; a missing series counts as zero.
    pub(crate) fn rise(&self, earlier: &Self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.get(name, labels).unwrap_or(0.0) - earlier.get(name, labels).unwrap_or(0.0)
    }

    /// Returns the name of each series; a name repeats for each set of labels.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.series.keys().map(|(name, _)| name.as_str())
    }

    /// Checks that each bucket includes the smaller ones, and that the largest includes every observation.
    fn check_buckets(&self, family: &str) {
        let mut histograms: BTreeMap<Labels, Vec<(f64, f64)>> = BTreeMap::new();
        for ((_, labels), count) in
            self.series.iter().filter(|((name, _), _)| *name == format!("{family}_bucket"))
        {
            let mut labels = labels.clone();
            let bound = labels.remove("le").unwrap().parse().unwrap();
            histograms.entry(labels).or_default().push((bound, *count));
        }
        for (labels, mut buckets) in histograms {
            buckets.sort_by(|one, other| one.0.total_cmp(&other.0));
            assert!(buckets.is_sorted_by_key(|(_, count)| *count), "{labels:?}: {buckets:?}");
            let count = self.series[&(format!("{family}_count"), labels.clone())];
            assert_eq!(buckets.last(), Some(&(f64::INFINITY, count)), "{labels:?}");
            assert!(self.series.contains_key(&(format!("{family}_sum"), labels)), "{family}");
        }
    }
}

/// Parses `name{label="value",…} number`.
fn sample(line: &str) -> (&str, Labels, f64) {
    let end = line.find(['{', ' ']).unwrap_or_else(|| panic!("no sample: {line}"));
    let (name, rest) = line.split_at(end);
    assert!(is_name(name), "{line}");
    let (labels, number) = match rest.strip_prefix('{') {
        Some(rest) => labels(rest),
        None => (Labels::new(), &rest[1..]),
    };
    let is_number = number.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eInfNa".contains(&byte));
    assert!(is_number, "no number, or something behind it: {line}");
    (name, labels, number.parse().unwrap())
}

/// Parses the labels up to the closing brace; returns them and the text behind the space after it.
fn labels(mut rest: &str) -> (Labels, &str) {
    let mut labels = Labels::new();
    loop {
        let (name, quoted) = rest.split_once("=\"").unwrap();
        assert!(is_name(name) && !name.contains(':') && !name.starts_with("__"), "{name}");
        let mut value = String::new();
        let mut letters = quoted.char_indices();
        let end = loop {
            match letters.next().unwrap() {
                (at, '"') => break at,
                (_, '\\') => value.push(match letters.next().unwrap().1 {
                    'n' => '\n',
                    letter @ ('\\' | '"') => letter,
                    letter => panic!("\\{letter} is no escape"),
                }),
                (_, letter) => value.push(letter),
            }
        };
        assert!(labels.insert(name.to_owned(), value).is_none(), "{name} occurs twice");
        rest = &quoted[end + 1..];
        match rest.strip_prefix(',') {
            Some(more) => rest = more,
            None => return (labels, rest.strip_prefix("} ").unwrap()),
        }
    }
}

/// Whether a sample belongs to this family and has the labels that its kind needs.
fn belongs(name: &str, labels: &Labels, (family, kind): (&str, &str)) -> bool {
    let part = name.strip_prefix(family);
    match (kind, part) {
        ("counter" | "gauge", part) => part == Some(""),
        ("histogram", Some("_bucket")) => labels.contains_key("le"),
        ("summary", Some("")) => labels.contains_key("quantile"),
        ("histogram" | "summary", Some("_sum" | "_count")) => {
            !labels.contains_key("le") && !labels.contains_key("quantile")
        }
        _ => false,
    }
}

fn is_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic() || "_:".contains(first))
        && name.chars().all(|letter| letter.is_ascii_alphanumeric() || "_:".contains(letter))
}
