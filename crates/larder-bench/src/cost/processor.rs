//! Processor time of a write, by part. It is read from `/proc`, so it includes no other program of the machine.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};

/// The parts of a write's processor time. [`Spent`] has the same order.
pub(super) const PARTS: [&str; 6] = [
    "PostgreSQL, the writers' backends",
    "PostgreSQL, the relay's and pruning's",
    "PostgreSQL, its other processes",
    "redis-server",
    "the writers' client threads",
    "relay and pruning in this process",
];

/// Processor time of each part.
pub(super) type Spent = [Duration; PARTS.len()];

/// The processes whose processor time [`Processes::read`] reads.
pub(super) struct Processes {
    pub(super) writers: HashSet<u32>,
    pub(super) redis: u32,
    /// The database's name, which the process title of each of its backends contains.
    pub(super) database: String,
    /// The name of the writers' threads of this process.
    pub(super) threads: &'static str,
}

/// The processor time of each process and thread at one moment.
pub(super) struct Reading {
    backends: HashMap<u32, (usize, Duration)>,
    /// The postmaster's time, which includes that of ended backends such as autovacuum's.
    postmaster: Duration,
    redis: Duration,
    /// The writers' threads of this process, and its other threads.
    threads: [Duration; 2],
}

impl Processes {
    pub(super) fn read(&self) -> Result<Reading> {
        let writer = self.writers.iter().next().context("no writer is connected")?;
        let postmaster = stat(*writer, PARENT).context("a writer's backend has ended")?;
        let postmaster = u32::try_from(postmaster)?;
        let mut backends = HashMap::new();
        for entry in fs::read_dir("/proc")? {
            let Some(process) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            if stat(process, PARENT) == Some(u64::from(postmaster)) {
                backends.insert(process, (self.part(process), of_process(process)));
            }
        }
        let ended: u64 = ENDED_CHILDREN.iter().filter_map(|field| stat(postmaster, *field)).sum();
        Ok(Reading {
            backends,
            postmaster: of_process(postmaster) + Duration::from_millis(ended * TICK_MS),
            redis: of_process(self.redis),
            threads: self.of_threads()?,
        })
    }

    fn part(&self, backend: u32) -> usize {
        let title = fs::read(format!("/proc/{backend}/cmdline")).unwrap_or_default();
        let is_of_database = String::from_utf8_lossy(&title).contains(&self.database);
        if self.writers.contains(&backend) {
            0
        } else if is_of_database {
            1
        } else {
            2
        }
    }

    fn of_threads(&self) -> Result<[Duration; 2]> {
        let mut spent = [Duration::ZERO; 2];
        for entry in fs::read_dir("/proc/self/task")? {
            let folder = entry?.path();
            let name = fs::read_to_string(folder.join("comm")).unwrap_or_default();
            let part = usize::from(name.trim_end() != self.threads);
            spent[part] += running(&folder.join("schedstat").to_string_lossy());
        }
        Ok(spent)
    }
}

impl Reading {
    /// The processor time since `before`.
    pub(super) fn since(&self, before: &Reading) -> Spent {
        let mut spent = Spent::default();
        for (process, (part, now)) in &self.backends {
            let then = before.backends.get(process).map_or(Duration::ZERO, |(_, then)| *then);
            spent[*part] += now.saturating_sub(then);
        }
        spent[2] += self.postmaster.saturating_sub(before.postmaster);
        spent[3] = self.redis.saturating_sub(before.redis);
        spent[4] = self.threads[0].saturating_sub(before.threads[0]);
        spent[5] = self.threads[1].saturating_sub(before.threads[1]);
        spent
    }
}

/// Fields of `/proc/PID/stat` after the name, from 0: the parent, and the user and system time of ended children.
const PARENT: usize = 1;
const ENDED_CHILDREN: [usize; 2] = [13, 14];
/// Linux counts these times in hundredths of a second on every machine.
const TICK_MS: u64 = 10;

fn stat(process: u32, field: usize) -> Option<u64> {
    let line = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The process name is in parentheses and may contain any character, so split after the last `)`.
    line.rsplit_once(") ")?.1.split(' ').nth(field)?.parse().ok()
}

/// The time of all threads of a process; zero if it has ended.
fn of_process(process: u32) -> Duration {
    let Ok(tasks) = fs::read_dir(format!("/proc/{process}/task")) else { return Duration::ZERO };
    tasks.flatten().map(|task| running(&task.path().join("schedstat").to_string_lossy())).sum()
}

/// The scheduler's count in nanoseconds. `stat` counts in steps of 10 ms, which is too coarse for 32 backends.
fn running(schedstat: &str) -> Duration {
    let line = fs::read_to_string(schedstat).unwrap_or_default();
    let nanos = line.split(' ').next().and_then(|nanos| nanos.parse().ok());
    Duration::from_nanos(nanos.unwrap_or(0))
}
