//! Figures of the operating system about this process, under the names that Prometheus client libraries use.

/// The present figures, in the text format; empty on systems without `/proc`.
#[cfg(target_os = "linux")]
pub(super) fn text() -> String {
    use std::fmt::Write as _;

    let figures = [
        ("process_cpu_seconds_total", "counter", "CPU time of the process in seconds.", cpu_seconds()),
        ("process_resident_memory_bytes", "gauge", "Memory of the process that is in RAM.", resident_bytes()),
        ("process_virtual_memory_bytes", "gauge", "Address space of the process.", virtual_bytes()),
        ("process_open_fds", "gauge", "Open file descriptors.", open_fds()),
        ("process_max_fds", "gauge", "The most file descriptors that the process may open.", max_fds()),
        ("process_threads", "gauge", "Threads of the process.", threads()),
        (
            "process_start_time_seconds",
            "gauge",
            "Start of the process, in seconds since 1970.",
            start_seconds(),
        ),
    ];
    let mut text = String::new();
    for (name, kind, help, value) in figures {
        // A figure that cannot be read is left out, because 0 would be wrong.
        if let Some(value) = value {
            // Writing to a `String` cannot fail.
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}");
        }
    }
    text
}

#[cfg(not(target_os = "linux"))]
pub(super) fn text() -> String {
    String::new()
}

#[cfg(target_os = "linux")]
use linux::{cpu_seconds, max_fds, open_fds, resident_bytes, start_seconds, threads, virtual_bytes};

#[cfg(target_os = "linux")]
mod linux {
    use procfs::process::{LimitValue, Process, Stat};
    use procfs::{CurrentSI as _, KernelStats, page_size, ticks_per_second};

    fn stat() -> Option<Stat> {
        Process::myself().ok()?.stat().ok()
    }

    pub(super) fn cpu_seconds() -> Option<f64> {
        let stat = stat()?;
        Some((stat.utime + stat.stime) as f64 / ticks_per_second() as f64)
    }

    pub(super) fn resident_bytes() -> Option<f64> {
        Some((stat()?.rss * page_size()) as f64)
    }

    pub(super) fn virtual_bytes() -> Option<f64> {
        Some(stat()?.vsize as f64)
    }

    pub(super) fn open_fds() -> Option<f64> {
        Some(Process::myself().ok()?.fd_count().ok()? as f64)
    }

    pub(super) fn max_fds() -> Option<f64> {
        match Process::myself().ok()?.limits().ok()?.max_open_files.soft_limit {
            LimitValue::Value(limit) => Some(limit as f64),
            LimitValue::Unlimited => None,
        }
    }

    pub(super) fn threads() -> Option<f64> {
        Some(stat()?.num_threads as f64)
    }

    pub(super) fn start_seconds() -> Option<f64> {
        let boot = KernelStats::current().ok()?.btime as f64;
        Some(boot + stat()?.starttime as f64 / ticks_per_second() as f64)
    }
}
