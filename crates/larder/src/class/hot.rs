//! The keys that a class reads most, kept in a file over restarts, so that the next start can warm them.
//!
//! ```text
//! larder hot keys 2                      the version of the format
//! 8c1fa4e29b0d7733 196608 7              a checksum of the rest, the key's count, and the key as JSON; the most read one first
//! ```
//!
//! The counts go on from those of the file, so a process that restarts often keeps the list.

use std::cell::Cell;
use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use serde::{Serialize, de::DeserializeOwned};
use tokio::time::{MissedTickBehavior, interval};
use xxhash_rust::xxh3::xxh3_64;

const HEADER: &str = "larder hot keys 2";

/// How many keys are kept.
const KEYS: usize = 1_000;

/// One read in so many is noted, on average. It keeps the lock of the list out of most hits.
const SAMPLE: u32 = 16;

/// What one noted read adds to a count. A count loses 1/64 each minute, so after 44 minutes half of it is left; a key whose
/// count is less than [`COUNT_MIN`] leaves the list: one that was noted once, after an hour and a half.
const NOTED: u64 = 1 << 16;
const COUNT_MIN: u64 = NOTED / 4;

/// How often the file is written.
const SAVE_INTERVAL: Duration = Duration::from_secs(60);

/// A file that is larger than this has not been written by this module, so it is not read.
const FILE_BYTES_MAX: u64 = 16 << 20;

thread_local! {
    /// How many reads of this thread, of all classes, come before the next one that is noted.
    static SKIPPED: Cell<u32> = const { Cell::new(0) };
}

/// The most read keys of one class, as JSON.
pub(super) struct HotKeys {
    path: PathBuf,
    /// The keys that the file had when the class was opened.
    before: Vec<String>,
    /// Guards the counts. A read that finds it locked is not noted, so no read waits for it.
    counts: Mutex<Counts>,
    /// Held while the file is written, because all writers of this list have one temporary file. Two lists with one path
    /// are not protected from each other.
    saving: Mutex<()>,
}

/// The hot keys of a class whose keys have the owned form `O`.
pub(super) struct HotKeyNotes<O> {
    keys: Arc<HotKeys>,
    encode: fn(&O) -> Option<String>,
}

impl<O> Clone for HotKeyNotes<O> {
    fn clone(&self) -> Self {
        HotKeyNotes { keys: self.keys.clone(), encode: self.encode }
    }
}

impl<O> HotKeyNotes<O> {
    pub(super) fn open(path: PathBuf, class: &str) -> Self
    where
        O: Serialize + DeserializeOwned,
    {
        let encode = |key: &O| serde_json::to_string(key).ok();
        let is_key = |key: &str| serde_json::from_str::<O>(key).is_ok();
        HotKeyNotes { keys: HotKeys::open(path, class, is_key), encode }
    }

    pub(super) fn keys(&self) -> Arc<HotKeys> {
        self.keys.clone()
    }

    /// Notes a read of `key`, if it is one of the sample.
    pub(super) fn note(&self, key: impl FnOnce() -> O) {
        if is_sampled()
            && let Some(key) = (self.encode)(&key())
            && let Ok(mut counts) = self.keys.counts.try_lock()
        {
            counts.note(key);
        }
    }
}

/// Whether this read is one of the sample. The gaps between samples are random, because an application that reads classes
/// or keys in turns, such as 16 in a page, would otherwise have the same ones noted each time.
fn is_sampled() -> bool {
    let skipped = SKIPPED.get();
    if let Some(left) = skipped.checked_sub(1) {
        SKIPPED.set(left);
        return false;
    }
    // From 0 to 30, so that a gap is 16 on average.
    SKIPPED.set(rand::random_range(0..2 * SAMPLE - 1));
    true
}

/// Space-Saving (Metwally, Agrawal, El Abbadi, 2005): a new key takes the place and the count of the least read one, so
/// a key that has more than one in [`KEYS`] of the noted reads is always among them.
struct Counts {
    /// By the key as JSON.
    keys: HashMap<String, u64>,
}

impl Counts {
    fn note(&mut self, key: String) {
        if let Some(count) = self.keys.get_mut(&key) {
            *count = count.saturating_add(NOTED);
            return;
        }
        let mut count = 0;
        if self.keys.len() >= KEYS {
            let least = self.keys.iter().min_by_key(|(_, count)| **count);
            if let Some((least, of_least)) = least.map(|(key, count)| (key.clone(), *count)) {
                count = of_least;
                self.keys.remove(&least);
            }
        }
        self.keys.insert(key, count.saturating_add(NOTED));
    }

    /// Keys that are no longer read leave the list by this.
    fn decay(&mut self) {
        self.keys.retain(|_, count| {
            *count -= *count / 64;
            *count >= COUNT_MIN
        });
    }
}

impl HotKeys {
    /// Reads the file, and writes it each minute as long as a handle of the class exists. A file that is missing or
    /// damaged is no error: what can be read of it is used.
    fn open(path: PathBuf, class: &str, is_key: fn(&str) -> bool) -> Arc<Self> {
        let lines = read(&path, class);
        let counts = lines.iter().filter(|(_, key)| is_key(key)).map(|(count, key)| (key.clone(), *count));
        let counts = Mutex::new(Counts { keys: counts.collect() });
        let before = lines.into_iter().map(|(_, key)| key).collect();
        let hot = Arc::new(HotKeys { path, before, counts, saving: Mutex::new(()) });
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

    /// Writes the file, in one step: a reader finds the former file or the new one. Blocks. If no read was noted, the
    /// former file stays.
    pub(super) fn save(&self) -> io::Result<()> {
        let mut keys: Vec<(u64, String)> =
            self.lock().keys.iter().map(|(key, count)| (*count, key.clone())).collect();
        if keys.is_empty() {
            return Ok(());
        }
        keys.sort_by(|(a, _), (b, _)| b.cmp(a));
        let mut text = format!("{HEADER}\n");
        for (count, key) in keys {
            let line = format!("{count} {key}");
            text.push_str(&format!("{:016x} {line}\n", xxh3_64(line.as_bytes())));
        }
        let _saving = self.saving.lock().unwrap_or_else(PoisonError::into_inner);
        let beside = self.beside();
        let written = fs::File::create(&beside).and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            // The data is on the disk before the name leads to it.
            file.sync_all()?;
            fs::rename(&beside, &self.path)
        });
        // What is left of a write that failed has no use.
        written.inspect_err(|_| drop(fs::remove_file(&beside)))
    }

    /// The name of the temporary file: no file of another class or process, whatever the extensions of the paths are.
    fn beside(&self) -> PathBuf {
        let mut name = OsString::from(&self.path);
        name.push(format!(".{}.new", std::process::id()));
        name.into()
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
        hot.lock().decay();
        let saved = tokio::task::spawn_blocking(move || hot.save()).await;
        if let Ok(Err(error)) = saved {
            tracing::warn!(class, %error, "the file of the class's hot keys is not written");
        }
    }
}

/// The counts and keys of the file.
fn read(path: &Path, class: &str) -> Vec<(u64, String)> {
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
    let keys: Vec<(u64, String)> = lines.iter().filter_map(|line| count_and_key(line)).collect();
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

fn count_and_key(line: &str) -> Option<(u64, String)> {
    let (checksum, line) = line.split_once(' ')?;
    let is_intact = u64::from_str_radix(checksum, 16).ok()? == xxh3_64(line.as_bytes());
    let (count, key) = line.split_once(' ').filter(|_| is_intact)?;
    Some((count.parse().ok()?, key.to_owned()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_frequent_key_stays_among_many_others() {
        let mut counts = Counts { keys: HashMap::new() };
        for nth in 0..20_000 {
            counts.note((1_000 + nth).to_string());
            if nth % 100 == 0 {
                counts.note("7".to_owned());
            }
        }
        assert_eq!(counts.keys.len(), KEYS);
        assert!(counts.keys.contains_key("7"));
    }

    #[test]
    fn a_key_that_is_no_longer_read_leaves_after_hours_and_not_after_minutes() {
        let mut counts = Counts { keys: HashMap::new() };
        counts.note("once".to_owned());
        (0..1_000).for_each(|_| counts.note("often".to_owned()));
        (0..60).for_each(|_| counts.decay());
        assert_eq!(counts.keys.len(), 2, "after an hour");
        (0..60).for_each(|_| counts.decay());
        assert_eq!(counts.keys.keys().collect::<Vec<_>>(), ["often"]);
        (0..8 * 60).for_each(|_| counts.decay());
        assert!(counts.keys.is_empty(), "after ten hours");
    }

    /// Reads in turns: with a fixed step, one of the 16 would be every sample.
    #[test]
    fn a_sample_has_no_step() {
        let mut noted = [0_u32; 16];
        for nth in 0..160_000_usize {
            noted[nth % 16] += u32::from(is_sampled());
        }
        assert!(noted.iter().all(|noted| (300..1_000).contains(noted)), "{noted:?}");
        assert!((9_000..11_000).contains(&noted.iter().sum::<u32>()), "{noted:?}");
    }

    proptest! {
        #[test]
        fn hostile_lines_are_skipped(line in "\\PC{0,60}") {
            prop_assert_eq!(count_and_key(&line), None);
        }
    }
}
