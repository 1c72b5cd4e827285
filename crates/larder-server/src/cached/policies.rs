//! The settings of the classes: how long each keeps its entries, and whether it starts switched on.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use larder::class::{Class, ClassBuilder};
use larder::codec::Codec;
use larder::error::Error;
use larder::key::Key;
use larder::policy::Policy;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::cached::class_row::ClassRow;

/// How long an absent answer, which says that the database has no such value, is kept. The creation of a user
/// invalidates the absent answers for its identifiers, so this TTL only limits how long they occupy memory.
const ABSENT: Duration = Duration::from_secs(30);

/// A change of the settings of one class. Its text is a line of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PolicyChange {
    /// The class keeps its entries for another time.
    Ttl {
        /// The class's name.
        class: &'static str,
        /// The former TTL.
        was: Duration,
        /// The TTL.
        ttl: Duration,
    },
    /// The class is switched on or off.
    Switch {
        /// The class's name.
        class: &'static str,
        /// Whether it is on.
        is_on: bool,
    },
}

impl fmt::Display for PolicyChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ttl { class, was, ttl } => {
                write!(f, "class {class}: ttl {} s, was {} s", ttl.as_secs(), was.as_secs())
            }
            Self::Switch { class, is_on } => {
                write!(f, "class {class}: {}", if *is_on { "on" } else { "off" })
            }
        }
    }
}

/// The settings of all classes. The default keeps the TTL of each row and has every class on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policies {
    ttls: BTreeMap<&'static str, Duration>,
    off: BTreeSet<&'static str>,
}

impl Policies {
    /// Sets the TTL of a class: 1 s to [`Policy::TTL_MAX`].
    pub fn set_ttl(&mut self, row: &ClassRow, ttl: Duration) {
        self.ttls.insert(row.name, ttl);
    }

    /// Starts a class switched off; it can be switched on at runtime.
    pub fn switch_off(&mut self, row: &ClassRow) {
        self.off.insert(row.name);
    }

    /// The TTL of a class.
    pub fn ttl(&self, row: &ClassRow) -> Duration {
        self.ttls.get(row.name).copied().unwrap_or(row.ttl)
    }

    /// Whether a class starts switched on.
    pub fn is_on(&self, row: &ClassRow) -> bool {
        !self.off.contains(row.name)
    }

    /// What `new` changes of the classes of `rows`. A class that was switched while the service runs stays as it is
    /// unless its setting changes.
    pub fn changes(&self, new: &Policies, rows: &[ClassRow]) -> Vec<PolicyChange> {
        let ttl = |row: &ClassRow| {
            let (was, ttl) = (self.ttl(row), new.ttl(row));
            (was != ttl).then_some(PolicyChange::Ttl { class: row.name, was, ttl })
        };
        let switch = |row: &ClassRow| {
            let is_on = new.is_on(row);
            (self.is_on(row) != is_on).then_some(PolicyChange::Switch { class: row.name, is_on })
        };
        rows.iter().flat_map(|row| [ttl(row), switch(row)]).flatten().collect()
    }

    /// Opens a class. `begin` makes the class's builder from its name and may set options of the builder, such as tags.
    ///
    /// # Errors
    /// Errors of [`ClassBuilder::open`].
    pub fn open<'a, K, V>(
        &self,
        row: &ClassRow,
        begin: impl FnOnce(&str) -> ClassBuilder<'a, K, V>,
    ) -> Result<Class<K, V>, Error>
    where
        K: Key + ?Sized,
        V: Serialize + DeserializeOwned + Send + Sync + 'static,
    {
        let policy = Policy::ttl(self.ttl(row)).absent_for(ABSENT);
        // The service's values are plain types, so postcard encodes and decodes them without loss. It is faster than
        // the default codec and needs fewer bytes.
        let class = begin(row.name).policy(policy).codec(Codec::Postcard).open()?;
        class.set_enabled(self.is_on(row));
        Ok(class)
    }
}
