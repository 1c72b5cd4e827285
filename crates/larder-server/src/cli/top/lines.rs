//! The lines of a frame, for a screen of any size.

use crate::cli::instance::output::{bytes, plain, seconds};
use crate::cli::top::frame::{Frame, Rates, SortBy};

/// How a line is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ink {
    Plain,
    /// The header of the table.
    Reverse,
    /// What needs attention.
    Alarm,
}

/// One line of the screen.
pub(crate) type Line = (Ink, String);

/// What the viewer chose.
pub(crate) struct View<'a> {
    pub(crate) sort: SortBy,
    pub(crate) columns: usize,
    /// How many lines the screen has; `None` for a frame that is printed.
    pub(crate) lines: Option<usize>,
    /// Why the last sample failed.
    pub(crate) trouble: Option<&'a str>,
}

impl Frame {
    /// The lines of the frame, none wider than the screen and no more than it has.
    pub(crate) fn lines(&self, view: &View<'_>) -> Vec<Line> {
        let mut lines = self.summary(view);
        let columns = Column::of(view.columns);
        lines.push((Ink::Reverse, Column::line(&columns, Column::title)));
        let mut classes: Vec<_> = self.classes.iter().collect();
        classes.sort_by(|a, b| a.compare(b, view.sort));
        // The last line names the keys.
        let room = view.lines.map_or(classes.len(), |lines_| lines_.saturating_sub(lines.len() + 1));
        let hidden = classes.len().saturating_sub(room);
        let shown = if hidden > 0 { room.saturating_sub(1) } else { room };
        for class in classes.iter().take(shown) {
            let ink = if class.enabled { Ink::Plain } else { Ink::Alarm };
            lines.push((ink, Column::line(&columns, |column| column.cell(class))));
        }
        if hidden > 0 && room > 0 {
            lines.push((Ink::Plain, format!("{} more classes", classes.len() - shown)));
        }
        if let Some(height) = view.lines {
            lines.truncate(height.saturating_sub(1));
            lines.resize(height.saturating_sub(1), (Ink::Plain, String::new()));
            let keys = "q quit  sort: r reads h hits l loads t time i inval n name";
            lines.push((Ink::Plain, format!("{keys}  [{}]", view.sort.name())));
        }
        lines.into_iter().map(|(ink, text)| (ink, fitted(&text, view.columns))).collect()
    }

    fn summary(&self, view: &View<'_>) -> Vec<Line> {
        let mut lines = vec![(Ink::Plain, format!("larder top  {}", plain(&self.instance)))];
        if let Some(trouble) = view.trouble {
            lines.push((
                Ink::Alarm,
                format!("UNREACHABLE, trying again; these figures are old: {}", plain(trouble)),
            ));
        }
        let ink = if self.status == "degraded" { Ink::Alarm } else { Ink::Plain };
        let causes =
            if self.causes.is_empty() { String::new() } else { format!(" ({})", self.causes.join(", ")) };
        let redis = match (&self.redis_version, self.redis_latency_ms) {
            (Some(version), Some(latency)) => format!("Redis {version}, {latency:.1} ms"),
            _ if self.unsent_invalidations.is_some() => "Redis does not answer".to_owned(),
            _ => "no Redis".to_owned(),
        };
        let (memory, evictions) = (bytes(self.memory_bytes), self.evictions);
        lines.push((
            ink,
            plain(&format!("{}{causes}   {redis}   memory {memory}, {evictions} evictions", self.status)),
        ));
        let bound = seconds(self.staleness_bound_ms);
        let (ink, certified) = match (self.certified_ago_ms, self.has_guard) {
            (Some(age), _) => (Ink::Plain, format!("certified {} ago", seconds(age))),
            (None, true) => (Ink::Alarm, "not certified: reads run their loaders".to_owned()),
            (None, false) => (Ink::Plain, "no journal".to_owned()),
        };
        let unsent =
            self.unsent_invalidations.map(|unsent| format!("   unsent {unsent}")).unwrap_or_default();
        lines.push((ink, format!("staleness {certified}, bound {bound}{unsent}")));
        lines.extend(self.audited());
        let all = &self.total;
        lines.push((
            Ink::Plain,
            format!(
                "{:.1} reads/s   {} % hits   {:.1} loads/s   {} ms   {:.1} invalidations/s",
                all.reads_per_second,
                share(all.hit_percent),
                all.loads_per_second,
                millis(all.load_ms),
                all.invalidations_per_second
            ),
        ));
        lines
    }
}

impl Frame {
    /// What the auditor has found in the last hour, if there is one.
    fn audited(&self) -> Option<Line> {
        let (checked, stale) = (self.audited_in_hour?, self.stale_in_hour?);
        let nines = self.nines_of_hour.map_or("-".to_owned(), |nines| format!("{nines:.1}"));
        let ink = if stale > 0 { Ink::Alarm } else { Ink::Plain };
        let text = format!(
            "auditor   last hour: {checked} reads checked, {stale} beyond the bound, nines at least {nines}"
        );
        Some((ink, text))
    }
}

/// A column of the table.
#[derive(Clone, Copy)]
struct Column {
    title: &'static str,
    width: usize,
    text: fn(&Rates) -> String,
}

/// The columns of 80 characters.
const NARROW: [Column; 9] = [
    Column { title: "class", width: 0, text: |rates| rates.name.clone() },
    Column { title: "reads/s", width: 9, text: |rates| format!("{:.1}", rates.reads_per_second) },
    Column { title: "hit %", width: 6, text: |rates| share(rates.hit_percent) },
    Column { title: "memory", width: 7, text: |rates| share(rates.memory_percent) },
    Column { title: "redis", width: 6, text: |rates| share(rates.redis_percent) },
    Column { title: "joined", width: 7, text: |rates| share(rates.joined_percent) },
    Column { title: "loads/s", width: 8, text: |rates| format!("{:.1}", rates.loads_per_second) },
    Column { title: "ms", width: 7, text: |rates| millis(rates.load_ms) },
    Column { title: "inval/s", width: 8, text: |rates| format!("{:.1}", rates.invalidations_per_second) },
];
/// What a wider screen also has.
const WIDE: [Column; 3] = [
    Column { title: "failed/s", width: 10, text: |rates| format!("{:.1}", rates.failed_loads_per_second) },
    Column { title: "p99 ms", width: 9, text: |rates| format!("{:.2}", rates.p99_ms) },
    Column { title: "cached", width: 8, text: |rates| if rates.enabled { "on" } else { "off" }.to_owned() },
];
/// The width from which on the second group is shown.
const WIDE_FROM: usize = 110;

impl Column {
    /// The columns of a screen of this width. The first one takes what the others leave.
    fn of(width: usize) -> Vec<Self> {
        let mut columns = NARROW.to_vec();
        if width >= WIDE_FROM {
            columns.extend(WIDE);
        }
        let others: usize = columns.iter().map(|column| column.width).sum();
        columns[0].width = width.saturating_sub(others).clamp(8, 40);
        columns
    }

    fn title(self) -> String {
        self.title.to_owned()
    }

    fn cell(self, rates: &Rates) -> String {
        plain(&(self.text)(rates))
    }

    fn line(columns: &[Self], text: impl Fn(Self) -> String) -> String {
        let cells = columns.iter().enumerate().map(|(index, column)| {
            let width = column.width;
            match index {
                0 => format!("{:width$}", fitted(&text(*column), width)),
                _ => format!("{:>width$}", text(*column)),
            }
        });
        cells.collect()
    }
}

/// A share in percent, or `-` for a share of nothing.
fn share(percent: Option<f64>) -> String {
    percent.map_or("-".to_owned(), |percent| format!("{percent:.1}"))
}

fn millis(milliseconds: Option<f64>) -> String {
    milliseconds.map_or("-".to_owned(), |milliseconds| format!("{milliseconds:.2}"))
}

/// The beginning of the text that fits into this many columns.
fn fitted(text: &str, columns: usize) -> String {
    text.chars().take(columns).collect()
}
