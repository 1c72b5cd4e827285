//! Stores events in files, 24 bytes each: ten million reads take 240 MB.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read as _, Write as _};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, bail};
use larder::policy::Consistency;
use larder::receipt::Delivery;
use larder::source::{NotStoredReason, Placement, Source};

use crate::history::{Event, Read, Seen, What};

const BYTES: usize = 24;

const COMMITTED: u8 = 0;
const ACKNOWLEDGED: u8 = 1;
const POLLED: u8 = 2;
const READ: u8 = 3;

/// Bits of a read's detail. The lowest three bits are its source.
const FRESH: u8 = 8;
const JOINED: u8 = 16;
const LAST: u8 = 32;

/// Appends events to a file; shared by all tasks of an instance. The lock keeps the records of two tasks apart, and is
/// never held across an await.
pub struct Recorder {
    file: Mutex<BufWriter<File>>,
}

impl Recorder {
    /// Creates the file.
    ///
    /// # Errors
    ///
    /// The folder is missing or full.
    pub fn create(path: &Path) -> Result<Self> {
        let file = File::create(path).with_context(|| format!("making {}", path.display()))?;
        Ok(Recorder { file: Mutex::new(BufWriter::with_capacity(1 << 16, file)) })
    }

    /// Appends one event. A process may be killed at any time: only complete records reach the file.
    ///
    /// # Panics
    ///
    /// If the disk is full: a history with gaps would hide violations.
    pub fn record(&self, event: &Event) {
        self.with(|file| {
            // Flush before a record no longer fits. The capacity is not a multiple of a record's size, and `BufWriter`
            // does not promise that it never splits what it is given over two writes.
            if file.capacity() - file.buffer().len() < BYTES {
                file.flush()?;
            }
            file.write_all(&encode(event))
        });
    }

    /// Writes everything to the kernel, where it survives the end of the process.
    ///
    /// # Panics
    ///
    /// As [`Recorder::record`].
    pub fn flush(&self) {
        self.with(BufWriter::flush);
    }

    fn with(&self, work: impl FnOnce(&mut BufWriter<File>) -> std::io::Result<()>) {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        work(&mut file).expect("the history can be written");
    }
}

/// Reads every complete record among the first `bytes` of a file, in the order of writing.
///
/// # Errors
///
/// The file is missing, or has content that no recorder wrote.
pub fn read_records(path: &Path, bytes: u64, mut each: impl FnMut(Event)) -> Result<()> {
    let file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
    let mut file = BufReader::with_capacity(BYTES << 12, file.take(bytes));
    let mut record = [0; BYTES];
    loop {
        match file.read_exact(&mut record) {
            Ok(()) => each(decode(&record)?),
            // The last record may be incomplete, because its process is still writing it.
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

fn encode(event: &Event) -> [u8; BYTES] {
    // Round up, so that an event never seems to end earlier than it did.
    let took_micros = event.end.saturating_sub(event.begin).div_ceil(1_000);
    let took_micros = u32::try_from(took_micros).unwrap_or(u32::MAX);
    let version = match event.seen {
        Seen::Absent => 0,
        Seen::Version(version) => version,
    };
    let (kind, detail) = match event.what {
        What::Committed { foreign } => (COMMITTED, u8::from(foreign)),
        What::Acknowledged(delivery) => (ACKNOWLEDGED, u8::from(delivery == Delivery::Queued)),
        What::Polled => (POLLED, 0),
        What::Read(read) => (READ, encode_read(read)),
    };
    let mut record = [0; BYTES];
    record[..8].copy_from_slice(&event.begin.to_le_bytes());
    record[8..12].copy_from_slice(&took_micros.to_le_bytes());
    record[12..16].copy_from_slice(&version.to_le_bytes());
    record[16..18].copy_from_slice(&event.key.to_le_bytes());
    record[18..20].copy_from_slice(&event.instance.to_le_bytes());
    record[20] = kind;
    record[21] = detail;
    record
}

fn encode_read(read: Read) -> u8 {
    let source = match read.source {
        Source::Memory => 0,
        Source::Redis => 1,
        Source::Load { placement: Placement::Redis } => 2,
        Source::Load { placement: Placement::Nowhere(_) } => 3,
        Source::Bypass => 4,
        Source::Load { placement: Placement::Memory } => 5,
        source => panic!("a record has no number for the source {source:?}"),
    };
    let flag = |is_set: bool, flag: u8| if is_set { flag } else { 0 };
    let is_fresh = read.consistency == Consistency::Fresh;
    source | flag(is_fresh, FRESH) | flag(read.is_shared, JOINED) | flag(read.last, LAST)
}

fn decode(record: &[u8; BYTES]) -> Result<Event> {
    let word = |at: usize| u32::from_le_bytes([record[at], record[at + 1], record[at + 2], record[at + 3]]);
    let half = |at: usize| u16::from_le_bytes([record[at], record[at + 1]]);
    let begin = u64::from(word(0)) | u64::from(word(4)) << 32;
    let what = match (record[20], record[21]) {
        (COMMITTED, foreign) => What::Committed { foreign: foreign == 1 },
        (ACKNOWLEDGED, queued) => {
            What::Acknowledged(if queued == 1 { Delivery::Queued } else { Delivery::Sent })
        }
        (POLLED, _) => What::Polled,
        (READ, detail) => What::Read(decode_read(detail)?),
        (kind, _) => bail!("no event is of kind {kind}"),
    };
    let version = word(12);
    Ok(Event {
        key: half(16),
        seen: if version == 0 { Seen::Absent } else { Seen::Version(version) },
        instance: half(18),
        begin,
        end: begin + u64::from(word(8)) * 1_000,
        what,
    })
}

fn decode_read(detail: u8) -> Result<Read> {
    let source = match detail & 7 {
        0 => Source::Memory,
        1 => Source::Redis,
        2 => Source::Load { placement: Placement::Redis },
        // The reason is not recorded, because no verdict depends on it.
        3 => Source::Load { placement: Placement::Nowhere(NotStoredReason::Overtaken) },
        4 => Source::Bypass,
        5 => Source::Load { placement: Placement::Memory },
        source => bail!("no read's source is {source}"),
    };
    let is_fresh = detail & FRESH != 0;
    Ok(Read {
        consistency: if is_fresh { Consistency::Fresh } else { Consistency::Bounded },
        source,
        is_shared: detail & JOINED != 0,
        last: detail & LAST != 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(seen: Seen, what: What) -> Event {
        Event { key: 71, seen, instance: 300, begin: 5_000_000_000_123, end: 5_000_000_001_123, what }
    }

    #[test]
    fn events_come_back_as_they_were_recorded() {
        let mut events = vec![
            event(Seen::Version(7), What::Committed { foreign: false }),
            event(Seen::Version(7), What::Committed { foreign: true }),
            event(Seen::Version(u32::MAX), What::Acknowledged(Delivery::Sent)),
            event(Seen::Version(9), What::Acknowledged(Delivery::Queued)),
            event(Seen::Version(9), What::Polled),
        ];
        let loads = [Placement::Memory, Placement::Redis, Placement::Nowhere(NotStoredReason::Overtaken)]
            .map(|kept| Source::Load { placement: kept });
        for source in [Source::Memory, Source::Redis, Source::Bypass].into_iter().chain(loads) {
            for (consistency, flag) in [(Consistency::Bounded, false), (Consistency::Fresh, true)] {
                let read = Read { consistency, source, is_shared: flag, last: !flag };
                events.push(event(Seen::Absent, What::Read(read)));
            }
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events");
        let recorder = Recorder::create(&path).unwrap();
        events.iter().for_each(|event| recorder.record(event));
        recorder.flush();
        let mut back = Vec::new();
        read_records(&path, u64::MAX, |event| back.push(event)).unwrap();
        assert_eq!(back, events);
    }

    #[test]
    fn an_event_never_seems_to_end_early() {
        let mut event = event(Seen::Absent, What::Polled);
        event.end = event.begin + 1;
        assert_eq!(decode(&encode(&event)).unwrap().end, event.begin + 1_000);
    }

    #[test]
    fn half_a_record_is_not_yet_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events");
        std::fs::write(&path, [0; BYTES + 5]).unwrap();
        let mut count = 0;
        read_records(&path, u64::MAX, |_| count += 1).unwrap();
        assert_eq!(count, 1);
    }
}
