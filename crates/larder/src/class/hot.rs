//! The keys that a class reads most, kept in a file over restarts, so that the next start can warm them.
//!
//! ```text
//! larder hot keys 1                      the version of the format
//! 8c1fa4e29b0d7733 7                     a checksum of the key, and the key as JSON; the most read one first
//! ```

use std::cell::Cell;
use std::collections::HashMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use serde::{Serialize, de::DeserializeOwned};
use tokio::time::{MissedTickBehavior, interval};
use xxhash_rust::xxh3::xxh3_64;

use crate::key::KeyBuf;

const HEADER: &str = "larder hot keys 1";

/// How many keys are kept.
const KEYS: usize = 1_000;

/// One read in so many is noted. It keeps the lock of the list out of most hits.
const SAMPLE: u32 = 16;

/// How often the file is written.
const SAVE_INTERVAL: Duration = Duration::from_secs(60);

/// A file that is larger than this has not been written by this module, so it is not read.
const FILE_BYTES_MAX: u64 = 16 << 20;

thread_local! {
    /// Counts this thread's reads, of all classes.
    static READS: Cell<u32> = const { Cell::new(0) };
}

/// The most read keys of one class, as JSON.
pub(super) struct HotKeys {
    path: PathBuf,
    /// The keys that the file had when the class was opened.
    before: Vec<String>,
    /// Guards the counts. A read that finds it locked is not noted, so no read waits for it.
    counts: Mutex<Counts>,
}

/// The hot keys of a class whose keys have the owned form `O`.
pub(super) struct NotesHot<O> {
    keys: Arc<HotKeys>,
    encode: fn(&O) -> Option<String>,
}

impl<O> Clone for NotesHot<O> {
    fn clone(&self) -> Self {
        NotesHot { keys: self.keys.clone(), encode: self.encode }
    }
}

impl<O> NotesHot<O> {
    pub(super) fn open(path: PathBuf, class: &str) -> Self
    where
        O: Serialize,
    {
        let encode = |key: &O| serde_json::to_string(key).ok();
        NotesHot { keys: HotKeys::open(path, class), encode }
    }

    pub(super) fn keys(&self) -> Arc<HotKeys> {
        self.keys.clone()
    }

    /// Notes a read of `key`, if it is one of the sample.
    pub(super) fn note(&self, spelled: impl FnOnce() -> KeyBuf, key: impl FnOnce() -> O) {
        let reads = READS.get().wrapping_add(1);
        READS.set(reads);
        if reads.is_multiple_of(SAMPLE)
            && let Ok(mut counts) = self.keys.counts.try_lock()
        {
            counts.note(spelled(), || (self.encode)(&key()));
        }
    }
}

/// Space-Saving (Metwally, Agrawal, El Abbadi, 2005): a new key takes the place and the count of the least read one, so
/// a key that has more than one in [`KEYS`] of the noted reads is always among them.
struct Counts {
    keys: HashMap<KeyBuf, (u64, String)>,
}

impl Counts {
    fn note(&mut self, spelled: KeyBuf, key: impl FnOnce() -> Option<String>) {
        if let Some((count, _)) = self.keys.get_mut(&spelled) {
            *count += 1;
            return;
        }
        let Some(key) = key() else { return };
        let mut count = 0;
        if self.keys.len() >= KEYS {
            let least = self.keys.iter().min_by_key(|(_, (count, _))| *count);
            if let Some((least, of_least)) = least.map(|(key, (count, _))| (key.clone(), *count)) {
                count = of_least;
                self.keys.remove(&least);
            }
        }
        self.keys.insert(spelled, (count + 1, key));
    }
}

impl HotKeys {
    /// Reads the file, and writes it each minute as long as a handle of the class exists. A file that is missing or
    /// damaged is no error: what can be read of it is used.
    fn open(path: PathBuf, class: &str) -> Arc<Self> {
        let before = read(&path, class);
        let counts = Mutex::new(Counts { keys: HashMap::new() });
        let hot = Arc::new(HotKeys { path, before, counts });
        tokio::spawn(save_periodically(Arc::downgrade(&hot), class.to_owned()));
        hot
    }

    /// The keys that the file had, the most read one first. Those that are no keys of the class are skipped.
    pub(super) fn before<O: DeserializeOwned>(&self) -> Vec<O> {
        let keys: Vec<O> = self.before.iter().filter_map(|key| serde_json::from_str(key).ok()).collect();
        let skipped = self.before.len() - keys.len();
        if skipped > 0 {
            tracing::warn!(skipped, file = %self.path.display(), "hot keys of another type are skipped");
        }
        keys
    }

    /// Writes the file, in one step: a reader finds the former file or the new one. Blocks. Afterwards each count is
    /// halved, so that keys which are no longer read leave the list. If no read was noted, the former file stays.
    pub(super) fn save(&self) -> io::Result<()> {
        let mut keys: Vec<(u64, String)> = {
            let mut counts = self.lock();
            let keys = counts.keys.values().cloned().collect();
            counts.keys.retain(|_, (count, _)| {
                *count /= 2;
                *count > 0
            });
            keys
        };
        if keys.is_empty() {
            return Ok(());
        }
        keys.sort_by(|(a, _), (b, _)| b.cmp(a));
        let mut text = format!("{HEADER}\n");
        for (_, key) in keys {
            text.push_str(&format!("{:016x} {key}\n", xxh3_64(key.as_bytes())));
        }
        let beside = self.path.with_extension("new");
        let mut file = fs::File::create(&beside)?;
        file.write_all(text.as_bytes())?;
        // The data is on the disk before the name leads to it.
        file.sync_all()?;
        fs::rename(&beside, &self.path)
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn save_periodically(hot: Weak<HotKeys>, class: String) {
    let mut ticks = interval(SAVE_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.tick().await;
    loop {
        ticks.tick().await;
        let Some(hot) = hot.upgrade() else { return };
        let saved = tokio::task::spawn_blocking(move || hot.save()).await;
        if let Ok(Err(error)) = saved {
            tracing::warn!(class, %error, "the file of the class's hot keys is not written");
        }
    }
}

fn read(path: &Path, class: &str) -> Vec<String> {
    let text = match fs::metadata(path).map(|file| file.len()) {
        Ok(bytes) if bytes <= FILE_BYTES_MAX => fs::read(path),
        Ok(_) => Err(io::Error::other("it is too large")),
        Err(error) => Err(error),
    };
    let text = match text {
        Ok(text) => String::from_utf8_lossy(&text).into_owned(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Vec::new(),
        Err(error) => {
            tracing::warn!(class, %error, "the file of the class's hot keys is not read");
            return Vec::new();
        }
    };
    let Some(lines) = text.strip_prefix(HEADER).and_then(|lines| lines.strip_prefix('\n')) else {
        tracing::warn!(class, "the file of the class's hot keys has another format, not read");
        return Vec::new();
    };
    let lines: Vec<&str> = lines.lines().take(KEYS).collect();
    let keys: Vec<String> = lines.iter().filter_map(|line| key_of(line)).collect();
    let damaged = lines.len() - keys.len();
    if damaged > 0 {
        tracing::warn!(
            class,
            damaged,
            read = keys.len(),
            "the file of the class's hot keys has damaged lines"
        );
    }
    keys
}

fn key_of(line: &str) -> Option<String> {
    let (checksum, key) = line.split_once(' ')?;
    let is_intact = u64::from_str_radix(checksum, 16).ok()? == xxh3_64(key.as_bytes());
    is_intact.then(|| key.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn note(counts: &mut Counts, key: u32) {
        counts.note(KeyBuf::from_slice(&key.to_le_bytes()), || Some(key.to_string()));
    }

    #[test]
    fn a_frequent_key_stays_among_many_others() {
        let mut counts = Counts { keys: HashMap::new() };
        for nth in 0..20_000 {
            note(&mut counts, 1_000 + nth);
            if nth % 100 == 0 {
                note(&mut counts, 7);
            }
        }
        assert_eq!(counts.keys.len(), KEYS);
        assert!(counts.keys.values().any(|(_, key)| key == "7"));
    }

    proptest! {
        #[test]
        fn hostile_lines_are_skipped(line in "\\PC{0,60}") {
            prop_assert_eq!(key_of(&line), None);
        }
    }
}
