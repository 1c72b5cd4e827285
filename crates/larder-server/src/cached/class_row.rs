//! What the row of a class says.

use std::time::Duration;

use larder_sql::journal::Table;

use crate::domain::role::Role;

/// One class of the service.
#[derive(Debug, PartialEq, Eq)]
pub struct ClassRow {
    /// Its name in keys, in the journal and in the settings.
    pub name: &'static str,
    /// The TTL of an entry, unless a setting overrides it.
    pub ttl: Duration,
    /// The settings that override the TTL, the most specific first; `CACHE_DEFAULT_TTL` comes last.
    pub variables: &'static [&'static str],
    /// The changes that touch its entries. The journal's triggers are made from them.
    pub touched_by: &'static [TouchedBy],
    /// Which callers may learn that an entry exists.
    pub keys_for: KeysFor,
}

/// Which rows touch entries of a class, by the name of their table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TouchedBy {
    /// A change of a row touches the entry whose key's parts are the values of these columns, in this order.
    Entry(&'static str, &'static [&'static str]),
    /// A change of any row touches every entry, by the tag that has the class's name.
    All(&'static str),
    /// As [`TouchedBy::All`], but the loader reads only these columns of the table, so an UPDATE of others touches no
    /// entry.
    AllReading(&'static str, &'static [&'static str]),
}

impl TouchedBy {
    /// The table of the rows.
    pub fn table(&self) -> &'static str {
        match self {
            Self::Entry(table, _) | Self::All(table) | Self::AllReading(table, _) => table,
        }
    }

    /// Adds to the declaration of [the table](Self::table) that its rows touch entries of this class.
    pub(super) fn declare(&self, class: &str, table: Table) -> Table {
        match self {
            Self::Entry(_, columns) => table.entry(class, *columns),
            Self::All(_) => table.tag(class),
            Self::AllReading(_, columns) => table.tag_reading(class, *columns),
        }
    }
}

/// Which callers may learn that an entry of a class exists: its key may hold an address or a search.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum KeysFor {
    /// None: the default for a class that says nothing else.
    #[default]
    NoCaller,
    /// Superadmins.
    Superadmins,
    /// Admins and superadmins.
    Admins,
    /// Admins and superadmins; if the first part of the key is the role `superadmin`, superadmins alone.
    Readers,
}

impl KeysFor {
    /// Whether a caller of this role may learn of the entry whose key has these parts.
    pub fn admits(self, role: Role, parts: &[Option<String>]) -> bool {
        let is_superadmins = || parts.first() == Some(&Some(Role::Superadmin.as_str().to_owned()));
        match self {
            Self::NoCaller => false,
            Self::Superadmins => role == Role::Superadmin,
            Self::Admins => role >= Role::Admin,
            Self::Readers => role == Role::Superadmin || (role >= Role::Admin && !is_superadmins()),
        }
    }
}
