//! The declaration of a class of the cache: [`ClassRow`].

use std::time::Duration;

use larder_sql::journal::Table;

use crate::domain::role::Role;

/// The declaration of one class. A class is one kind of cached value, with its keys and TTL.
#[derive(Debug, PartialEq, Eq)]
pub struct ClassRow {
    /// The name of the class in keys, in the journal and in the settings.
    pub name: &'static str,
    /// The TTL of an entry, unless a setting overrides it.
    pub ttl: Duration,
    /// The settings that override the TTL, the most specific first. If none of them is set, `CACHE_DEFAULT_TTL`
    /// applies.
    pub variables: &'static [&'static str],
    /// The changes of rows that touch entries of the class, that is, make them invalid. The journal's triggers are
    /// generated from this list.
    pub touched_by: &'static [TouchedBy],
    /// Which callers may learn that an entry exists.
    pub keys_for: KeysFor,
}

/// A table whose changes touch entries of a class. The variant says which entries. The first field is the table's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TouchedBy {
    /// A change of a row touches the entry whose key's parts are the values of these columns, in this order.
    Entry(&'static str, &'static [&'static str]),
    /// A change of any row touches every entry of the class, by the tag that has the class's name.
    All(&'static str),
    /// The loader reads only these columns of the table. An INSERT, a DELETE, or an UPDATE that changes one of these
    /// columns touches every entry of the class, by the tag that has the class's name.
    AllReading(&'static str, &'static [&'static str]),
}

impl TouchedBy {
    /// The name of the table.
    pub fn table(&self) -> &'static str {
        match self {
            Self::Entry(table, _) | Self::All(table) | Self::AllReading(table, _) => table,
        }
    }

    /// Adds these touches to `table`, the journal's declaration of the table that [`table`](Self::table) names.
    pub(super) fn declare(&self, class: &str, table: Table) -> Table {
        match self {
            Self::Entry(_, columns) => table.entry(class, *columns),
            Self::All(_) => table.tag(class),
            Self::AllReading(_, columns) => table.tag_reading(class, *columns),
        }
    }
}

/// Which callers may learn that an entry of a class exists. A key can contain personal data, such as an e-mail address
/// or a search term.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum KeysFor {
    /// No caller: the default for a class without `keys_for`.
    #[default]
    NoCaller,
    /// Superadmins.
    Superadmins,
    /// Admins and superadmins.
    Admins,
    /// Admins and superadmins. If the first part of the key is the role `superadmin`, only superadmins.
    ByRoleInKey,
}

impl KeysFor {
    /// Whether a caller of this role may learn of the entry whose key has these parts.
    pub fn admits(self, role: Role, parts: &[Option<String>]) -> bool {
        let is_superadmins = || parts.first() == Some(&Some(Role::Superadmin.as_str().to_owned()));
        match self {
            Self::NoCaller => false,
            Self::Superadmins => role == Role::Superadmin,
            Self::Admins => role >= Role::Admin,
            Self::ByRoleInKey => role == Role::Superadmin || (role >= Role::Admin && !is_superadmins()),
        }
    }
}
