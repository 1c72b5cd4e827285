//! Declares which entries and tags a change of a table's row touches.

use std::collections::BTreeSet;

use larder::journal::Touch;

use crate::error::Error;

/// The longest name of a column; PostgreSQL truncates longer identifiers.
const NAME_BYTES: usize = 63;
/// The longest name of a table: the name of its trigger function is the table's name after a prefix.
const TABLE_BYTES: usize = NAME_BYTES - FUNCTION_PREFIX.len();
/// The engine's limit for the name of a class.
const CLASS_BYTES: usize = 128;

/// The prefix, before the table's name, of larder's trigger functions on PostgreSQL and triggers on SQLite.
pub(super) const FUNCTION_PREFIX: &str = "larder_journal_";

/// Declares which entries and tags a change of a row of one table touches, that is, makes invalid.
///
/// An UPDATE touches the entries and tags of the row before the change and those of the row after it. An entry or a
/// [tag by columns](Table::tag_by) is found by the texts of its columns, so these columns should have a type with only
/// one text for each value: text, integers, UUIDs. If one of the columns is NULL, the row touches no entry and no tag
/// by these columns, because no key can name one.
///
/// Every named column must exist, or the migration fails. Every named column must also be stored: PostgreSQL's triggers
/// do not see the values of `VIRTUAL` generated columns.
///
/// # Examples
///
/// ```
/// use larder_sql::dialect::Dialect;
/// use larder_sql::journal::{Table, migration};
///
/// let guests = Table::new("guests")
///     .entry("guest", ["id"])
///     .entry("guest_by_email", ["email"])
///     .tag("guest_list")
///     .tag_by("country", ["country"])
///     .tag_reading("guest_ranking", ["id", "name", "stays"])
///     .unique(["id"])
///     .unique(["email"]);
/// let sql = migration(Dialect::Sqlite, &[guests]).unwrap();
/// assert!(sql.contains("CREATE TRIGGER \"larder_journal_guests_updated\" AFTER UPDATE"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    pub(super) name: String,
    pub(super) by_columns: Vec<ByColumns>,
    pub(super) tags: Vec<Tag>,
    pub(super) unique: Vec<Vec<String>>,
    pub(super) has_rowid: bool,
}

/// What a change of the row touches, by the values of some of its columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ByColumns {
    pub(super) kind: Kind,
    /// The class of the entry, or the group of the tag.
    pub(super) name: String,
    pub(super) columns: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Entry,
    Tag,
}

impl Kind {
    /// The first word of the touch.
    pub(super) fn word(self) -> &'static str {
        match self {
            Kind::Entry => "entry",
            Kind::Tag => "tag",
        }
    }
}

/// A tag that a change of the row touches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tag {
    pub(super) name: String,
    /// Only an UPDATE that changes one of these columns touches the tag; `None`: every UPDATE does.
    pub(super) reads: Option<Vec<String>>,
}

impl Table {
    /// Begins the declaration of the table `name`; it touches nothing yet. The table can be in any schema of the search
    /// path. Spell its name as the database stores it: PostgreSQL stores an unquoted `SalesOrder` as `salesorder`.
    pub fn new(name: &str) -> Self {
        Table {
            name: name.to_owned(),
            by_columns: Vec::new(),
            tags: Vec::new(),
            unique: Vec::new(),
            has_rowid: true,
        }
    }

    /// The table's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A change of a row touches the entry of `class` whose key's parts are the values of these columns, in this order.
    #[must_use]
    pub fn entry(self, class: &str, columns: impl IntoIterator<Item: AsRef<str>>) -> Self {
        self.by_columns(Kind::Entry, class, owned(columns))
    }

    /// A change of a row touches every entry with the tag [`larder::tag`]`(group, …)` of the values of these columns,
    /// in this order. An UPDATE that changes these values touches the tags of the old and of the new values. A change
    /// of the complete table, such as TRUNCATE, touches the tag `group`, which all these entries also have.
    ///
    /// # Examples
    ///
    /// ```
    /// use larder::Touch;
    /// use larder_sql::journal::Table;
    ///
    /// let products = Table::new("products").tag_by("category", ["category_id"]);
    /// assert_eq!(products.touches(|_| Some("7".to_owned()), None), [Touch::from(larder::tag("category", &7))]);
    /// ```
    #[must_use]
    pub fn tag_by(self, group: &str, columns: impl IntoIterator<Item: AsRef<str>>) -> Self {
        self.by_columns(Kind::Tag, group, owned(columns))
    }

    fn by_columns(mut self, kind: Kind, name: &str, columns: Vec<String>) -> Self {
        self.by_columns.push(ByColumns { kind, name: name.to_owned(), columns });
        self
    }

    /// A change of a row touches every entry with the tag `tag`. The name of a class is a tag of all its entries;
    /// [`Table::entry`] touches one entry of the class, and not this tag.
    #[must_use]
    pub fn tag(mut self, tag: &str) -> Self {
        self.tags.push(Tag { name: tag.to_owned(), reads: None });
        self
    }

    /// As [`Table::tag`], for entries whose loaders read only these columns of the table. An UPDATE touches the tag
    /// only if it changes one of these columns, or a column of the first [unique](Table::unique) key, which identifies
    /// the row. INSERT, DELETE and TRUNCATE always touch it. Name each column that the loaders return, filter by, sort
    /// by or join by: a missing one causes stale answers.
    ///
    /// On SQLite an `INSERT … ON CONFLICT` that conflicts with an existing row always touches the tag: the trigger
    /// cannot distinguish it from an `INSERT` that replaces the row.
    #[must_use]
    pub fn tag_reading(mut self, tag: &str, columns: impl IntoIterator<Item: AsRef<str>>) -> Self {
        self.tags.push(Tag { name: tag.to_owned(), reads: Some(owned(columns)) });
        self
    }

    /// Declares a unique key: no two rows have the same values in these columns. Declare the primary key first, then
    /// each other one: by these keys the triggers on SQLite find the rows that an `INSERT OR REPLACE` deletes without
    /// DELETE triggers. PostgreSQL needs only the first, and only for [`Table::tag_reading`]. Default: none.
    #[must_use]
    pub fn unique(mut self, columns: impl IntoIterator<Item: AsRef<str>>) -> Self {
        self.unique.push(owned(columns));
        self
    }

    /// The table is `WITHOUT ROWID` on SQLite. Default: it has a rowid, by which an `INSERT OR REPLACE` may replace a
    /// row.
    #[must_use]
    pub fn without_rowid(mut self) -> Self {
        self.has_rowid = false;
        self
    }

    /// What the trigger journals for a change of one row: `row` gives the text of the row's columns, `None` for NULL.
    /// `changed` names the columns that an UPDATE changes; `None` is an INSERT or a DELETE. For an UPDATE, call it with
    /// the row before the change and with the row after it.
    ///
    /// A program needs it if it acknowledges a change that it finds already made. Example: a client repeats a request
    /// whose answer was lost. The second request finds nothing to change, but its acknowledgement promises the same
    /// invalidation.
    ///
    /// # Examples
    ///
    /// ```
    /// use larder::journal::Touch;
    /// use larder_sql::journal::Table;
    ///
    /// let guests = Table::new("guests").entry("guest", ["id"]).tag_reading("ranking", ["stays"]).unique(["id"]);
    /// let row = |column: &str| (column == "id").then(|| "7".to_owned());
    /// assert_eq!(guests.touches(row, Some(&["name"])), [Touch::entry("guest", ["7"])]);
    /// assert_eq!(guests.touches(row, Some(&["stays"])).len(), 2);
    /// assert_eq!(guests.touches(row, None).len(), 2);
    /// ```
    pub fn touches(&self, row: impl Fn(&str) -> Option<String>, changed: Option<&[&str]>) -> Vec<Touch> {
        let by_columns = self.by_columns.iter().filter_map(|ByColumns { kind, name, columns }| {
            let parts: Option<Vec<_>> = columns.iter().map(|column| row(column).map(Some)).collect();
            Some(match kind {
                Kind::Entry => Touch::Entry { class: name.clone(), parts: parts? },
                Kind::Tag => Touch::tag_of(name, &parts?),
            })
        });
        let is_touched = |tag: &&Tag| match (changed, self.columns_of(tag)) {
            (Some(changed), Some(reads)) => reads.iter().any(|read| changed.contains(&read.as_str())),
            _ => true,
        };
        let tags = self.tags.iter().filter(is_touched).map(|tag| Touch::Tag(tag.name.clone()));
        by_columns.chain(tags).collect()
    }

    /// Fails if a declaration is invalid, or if a table has two: the triggers of the second would replace those of the
    /// first.
    pub(super) fn check_all(tables: &[Table]) -> Result<(), Error> {
        let mut names = BTreeSet::new();
        for table in tables {
            table.check()?;
            if !names.insert(&table.name) {
                return Err(Error::declaration(format!(
                    "table {:?} is declared twice; allowed is one declaration with all its entries and tags",
                    table.name
                )));
            }
        }
        Ok(())
    }

    /// Fails if no valid SQL can be written for this declaration.
    pub(super) fn check(&self) -> Result<(), Error> {
        check("table", &self.name, TABLE_BYTES)?;
        if self.name.contains('.') {
            return Err(Error::declaration(format!(
                "table {:?}: allowed are names without a schema; the search path of the journal's connections and of the \
                 migration finds the table",
                self.name
            )));
        }
        for ByColumns { kind, name, columns } in &self.by_columns {
            let what = if *kind == Kind::Entry { "class" } else { "tag" };
            check(what, name, CLASS_BYTES)?;
            check_columns(&self.name, columns)?;
        }
        for Tag { name, reads } in &self.tags {
            check("tag", name, CLASS_BYTES)?;
            let Some(reads) = reads else { continue };
            check_columns(&self.name, reads)?;
            if self.unique.is_empty() {
                return Err(Error::declaration(format!(
                    "table {:?}: the tag {name:?} reads some columns, and no unique key says which row is which; allowed \
                     are tables that declare their primary key as unique",
                    self.name
                )));
            }
        }
        for columns in &self.unique {
            check_columns(&self.name, columns)?;
        }
        if self.by_columns.is_empty() && self.tags.is_empty() {
            return Err(Error::declaration(format!(
                "table {:?} touches nothing; allowed are tables with at least one entry or tag",
                self.name
            )));
        }
        Ok(())
    }

    /// The tags that together touch everything that a change of any row of the table can touch.
    pub(super) fn all_touches(&self) -> Vec<Touch> {
        let tags = self.tags.iter().map(|tag| &tag.name);
        let names = self.by_columns.iter().map(|one| &one.name);
        let mut touches: Vec<_> = tags.chain(names).cloned().map(Touch::Tag).collect();
        touches.sort();
        touches.dedup();
        touches
    }

    /// The columns whose changes touch `tag`; `None`: a change of any column does.
    pub(super) fn columns_of<'a>(&'a self, tag: &'a Tag) -> Option<Vec<&'a String>> {
        let identity = self.unique.first().into_iter().flatten();
        Some(distinct(identity.chain(tag.reads.as_ref()?)))
    }

    /// Every declared column, once.
    pub(super) fn columns(&self) -> Vec<&String> {
        let by_columns = self.by_columns.iter().flat_map(|one| &one.columns);
        let reads = self.tags.iter().filter_map(|tag| tag.reads.as_ref()).flatten();
        distinct(by_columns.chain(reads).chain(self.unique.iter().flatten()))
    }

    /// The text after SELECT of a query that fails unless every declared column exists. It returns no rows.
    pub(super) fn all_columns(&self) -> String {
        let table = quoted(&self.name);
        // Qualify with the table: SQLite treats an unknown quoted name without a table as a string.
        let columns = self.columns().into_iter();
        let columns: String = columns.map(|column| format!(", {table}.{}", quoted(column))).collect();
        format!("1{columns} FROM {table} LIMIT 0")
    }
}

impl Tag {
    /// The touch as JSON.
    pub(super) fn json(&self) -> String {
        serde_json::json!(Touch::Tag(self.name.clone())).to_string()
    }
}

fn distinct<'a>(names: impl Iterator<Item = &'a String>) -> Vec<&'a String> {
    names.collect::<BTreeSet<_>>().into_iter().collect()
}

fn owned(names: impl IntoIterator<Item: AsRef<str>>) -> Vec<String> {
    names.into_iter().map(|name| name.as_ref().to_owned()).collect()
}

fn check_columns(table: &str, columns: &[String]) -> Result<(), Error> {
    if columns.is_empty() {
        return Err(Error::declaration(format!(
            "table {table:?}: an entry, tag or unique key without columns; allowed are those with at least one"
        )));
    }
    columns.iter().try_for_each(|column| check("column", column, NAME_BYTES))
}

fn check(what: &str, name: &str, most_bytes: usize) -> Result<(), Error> {
    // Names also go, without escapes, into strings of JSON and SQL, and into dollar quotes around a function's body.
    let is_bad = |c: char| c.is_control() || matches!(c, '"' | '\'' | '`' | '\\' | '$');
    if name.is_empty() || name.len() > most_bytes || name.contains(is_bad) {
        return Err(Error::declaration(format!(
            "{what} {name:?}: allowed are names of 1 to {most_bytes} bytes without quotes, backslashes, dollars and \
             control characters"
        )));
    }
    Ok(())
}

/// Returns a name as a quoted SQL identifier. The name must have the letter case that the database stores. Only for
/// names that passed [`Table::check`], because it escapes nothing.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{name}\"")
}

/// The quoted names of these tables, joined by U+0001: the form that the queries about tables take as a parameter.
pub(super) fn names(tables: &[Table]) -> String {
    tables.iter().map(|table| quoted(&table.name)).collect::<Vec<_>>().join("\u{1}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_names_are_refused_with_what_is_allowed() {
        const NONE: [&str; 0] = [];
        let good = || Table::new("guests").tag("guest_list");
        good().check().unwrap();
        let long = "n".repeat(64);
        let bad = [
            Table::new("").tag("t"),
            Table::new("public.guests").tag("t"),
            Table::new("guests"),
            Table::new(&long[..TABLE_BYTES + 1]).tag("t"),
            good().entry("", &["id"]),
            good().entry("guest", NONE),
            good().tag_by("country", NONE),
            good().tag_by("", ["country"]),
            good().entry("guest", &["id\""]),
            good().entry("guest", &["id", &long]),
            good().entry("it's", &["id"]),
            good().tag("a\nb"),
            good().tag("$$"),
            good().tag("back\\slash"),
            good().unique(NONE),
            good().unique(&[""]),
            good().tag_reading("", &["id"]).unique(&["id"]),
            good().tag_reading("ranking", NONE).unique(&["id"]),
            good().tag_reading("ranking", &["id$"]).unique(&["id"]),
            good().tag_reading("ranking", &["id"]),
        ];
        for table in bad {
            let text = table.check().unwrap_err().to_string();
            assert!(text.contains("allowed are"), "{table:?}: {text}");
        }
    }

    #[test]
    fn a_table_that_is_declared_twice_is_refused() {
        let one = || Table::new("guests").tag("guest_list");
        Table::check_all(&[one(), Table::new("notes").tag("notes")]).unwrap();
        let error = Table::check_all(&[one(), one().entry("guest", ["id"])]).unwrap_err().to_string();
        assert!(error.contains("\"guests\" is declared twice"), "{error}");
    }

    #[test]
    fn all_touches_are_the_tags_and_classes_of_the_table() {
        let table = Table::new("t")
            .entry("b", &["x"])
            .entry("a", &["y"])
            .tag_by("d", &["z"])
            .tag("a")
            .tag_reading("c", &["x"]);
        assert_eq!(table.all_touches(), ["a", "b", "c", "d"].map(|tag| Touch::Tag(tag.to_owned())));
    }
}
