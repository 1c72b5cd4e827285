//! Checks that the declared tables and the opened classes fit: the same classes, key parts in the same order, and key
//! columns that have exactly one text for each value.
//!
//! `verify` lists every declaration because of which a change would not invalidate its entries. No other check finds
//! such a mistake: the entry would stay stale until its TTL ends.

mod canonical;

use std::collections::BTreeMap;

use larder::cache::Cache;
use larder::introspection::declared::DeclaredClass;
use larder::key::PartKind;

use crate::error::Error;
use crate::journal::SqlJournal;
use crate::journal::table::{ByColumns, Kind, Table};
use crate::journal::verifying::canonical::{Columns, Texts};

impl SqlJournal {
    /// Verifies that every change of a declared table invalidates the entries that it touches. Call it at a program's
    /// start, after its classes were opened. It fails if [`SqlJournal::find_declaration_errors`] or
    /// [`SqlJournal::inspect`] finds something. Defects that the journal mends by itself, such as a trigger that has
    /// lost ALWAYS, are mended and are no error.
    ///
    /// # Errors
    /// [`ErrorKind::Declaration`](crate::error::ErrorKind::Declaration), which lists every error with its remedy; else
    /// the database's error.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn open() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    /// use std::sync::Arc;
    ///
    /// use larder::cache::Cache;
    /// use larder_sql::database::Database;
    /// use larder_sql::journal::{SqlJournal, Table};
    ///
    /// let database = Database::connect("sqlite://guests.db").await?;
    /// let guests = Table::new("guests").entry("guest", &["id"]).unique(&["id"]);
    /// let journal = Arc::new(SqlJournal::open(&database, vec![guests]).await?);
    /// let cache = Cache::builder("hotel").journal(journal.clone()).build().await?;
    /// let guests = cache.class::<i64, String>("guest").open()?;
    /// journal.verify(&cache).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn verify(&self, cache: &Cache) -> Result<(), Error> {
        let mut wrong = self.find_declaration_errors(cache).await?;
        for defect in self.inspect().await? {
            let remedy = match defect.remedy() {
                Some(_) => "SqlJournal::mend mends it, as a role that owns the tables",
                None => "undo the change, or declare it in a migration",
            };
            wrong.push(format!("{defect}: {remedy}"));
        }
        if let Some(fault) = self.database.completeness().imprecision() {
            // Answers are right, so an instance may start between the rename of a column and its migration.
            tracing::warn!(
                reasons = fault.reasons.join("; "),
                "each change of these tables invalidates everything"
            );
        }
        if wrong.is_empty() {
            return Ok(());
        }
        let (count, plural) = (wrong.len(), if wrong.len() == 1 { "" } else { "s" });
        let wrong = wrong.join("\n- ");
        Err(Error::declaration(format!(
            "the journal would miss changes, for {count} reason{plural}:\n- {wrong}"
        )))
    }

    /// The errors in the declarations of the tables and of the classes of `cache`, each a sentence with its remedy. It
    /// finds:
    ///
    /// - entries of classes that were not opened;
    /// - tags that are neither the name nor a tag of an opened class, unless a class computes tags from its keys;
    /// - keys whose parts differ in number or order from the declared columns, or are unknown;
    /// - key columns, or key types, with several texts for one value: a look-up by another text than the database's
    ///   would create an entry that no change invalidates.
    ///
    /// # Errors
    /// The database's error.
    pub async fn find_declaration_errors(&self, cache: &Cache) -> Result<Vec<String>, Error> {
        let columns = self.key_columns().await?;
        let classes: BTreeMap<_, _> =
            cache.declared_classes().into_iter().map(|class| (class.name.clone(), class)).collect();
        let mut wrong = Vec::new();
        for table in self.tables.iter() {
            wrong.extend(of_tags(table, &classes));
            for entry in table.by_columns.iter().filter(|one| one.kind == Kind::Entry) {
                match classes.get(&entry.name) {
                    None => wrong.push(format!(
                        "table {:?}: the class {:?} of an entry was not opened; opened are {}: open it before this look, or \
                         correct the name",
                        table.name,
                        entry.name,
                        listed(classes.keys())
                    )),
                    Some(class) => wrong.extend(of_entry(table, entry, class, &columns)),
                }
            }
        }
        wrong.extend(columns.wrong());
        let mut once = Vec::new();
        wrong.into_iter().for_each(|one| {
            if !once.contains(&one) {
                once.push(one)
            }
        });
        Ok(once)
    }

    /// The errors that can be found without the classes.
    pub(super) async fn wrong_columns(&self) -> Result<Vec<String>, Error> {
        Ok(self.key_columns().await?.wrong())
    }

    async fn key_columns(&self) -> Result<Columns, Error> {
        let mut loan = self.database.readers().acquire().await?;
        Columns::read(&mut loan, self.database.dialect(), &self.tables).await
    }
}

fn of_tags(table: &Table, classes: &BTreeMap<String, DeclaredClass>) -> Vec<String> {
    if classes.values().any(|class| class.has_tags_by_key) {
        return Vec::new();
    }
    let is_known = |tag: &str| {
        classes.contains_key(tag) || classes.values().any(|class| class.tags.iter().any(|one| one == tag))
    };
    let unknown = table.tags.iter().filter(|tag| !is_known(&tag.name));
    let uncomputed = table.by_columns.iter().filter(|one| one.kind == Kind::Tag).map(|ByColumns { name, .. }| {
        format!(
            "table {:?}: no opened class computes the tag {name:?} from its keys: say .tagged_by(|key| tag({name:?}, …)) where its \
             class is opened",
            table.name
        )
    });
    let say = |name: &String| {
        format!(
            "table {:?}: the tag {name:?} is neither the name of an opened class nor a tag of one: say .tagged({name:?}) where its \
             class is opened, or correct the name",
            table.name
        )
    };
    unknown.map(|tag| say(&tag.name)).chain(uncomputed).collect()
}

fn of_entry(table: &Table, entry: &ByColumns, class: &DeclaredClass, columns: &Columns) -> Vec<String> {
    let (name, declared) = (&class.name, listed(&entry.columns));
    let says = |columns: &[String]| format!("say .columns(&[{}]) where the class is opened", listed(columns));
    let parts = class.kinds.as_ref().map(Vec::len).or_else(|| class.columns.first().map(Vec::len));
    let Some(parts) = parts else {
        return vec![format!(
            "class {name:?}: how many parts its keys have is unknown: implement Key::columns or Key::kinds for their type, or {}",
            says(&entry.columns)
        )];
    };
    if let Some(odd) = class.columns.iter().find(|columns| columns.len() != parts) {
        return vec![format!(
            "class {name:?}: its keys have {parts} parts, and it names the columns {}: name one column for each part",
            listed(odd)
        )];
    }
    if parts != entry.columns.len() {
        return vec![format!(
            "table {:?}: the entry {name:?} is declared by the columns {declared}, and keys of the class have {parts} parts: declare \
             one column for each part, in their order",
            table.name
        )];
    }
    if parts > 1 && class.columns.is_empty() {
        return vec![format!(
            "class {name:?}: which columns the {parts} parts of its keys are is unknown, so they may be in another order than {declared}: \
             {}, in the order of the key's parts",
            says(&entry.columns)
        )];
    }
    if parts > 1 && !class.columns.contains(&entry.columns) {
        let said: Vec<_> = class.columns.iter().map(|columns| format!("({})", listed(columns))).collect();
        return vec![format!(
            "table {:?}: the entry {name:?} is declared by the columns ({declared}), and the class says {}: declare them in the order \
             of the key's parts; if the table calls the same parts otherwise, {} as well",
            table.name,
            said.join(" or "),
            says(&entry.columns)
        )];
    }
    let kinds = class.kinds.iter().flatten();
    let of_part = |(column, kind): (&String, &PartKind)| {
        let (of_type, texts) = columns.of(&table.name, column)?;
        let why = clash(*kind, texts)?;
        Some(format!(
            "table {:?}: the key column {column:?} is of type {of_type}, and the class {name:?} has {why}",
            table.name
        ))
    };
    entry.columns.iter().zip(kinds).filter_map(of_part).collect()
}

/// Why keys of this kind do not fit a column that has these texts; `None` if they fit.
fn clash(kind: PartKind, texts: Texts) -> Option<&'static str> {
    match (kind, texts) {
        (PartKind::Canonical, _)
        | (PartKind::Text, Texts::Any)
        | (PartKind::Number, Texts::Number)
        | (PartKind::Flag, Texts::Flag) => None,
        (PartKind::Text, Texts::Number | Texts::Uuid | Texts::Flag) => Some(
            "keys of any text, which may spell one value in several ways (\"07\", upper case): give the class a key of that type, \
             whose text is the database's",
        ),
        (PartKind::Number, _) => Some(
            "keys that are numbers, while the column may spell a number otherwise (\"07\"): make the column an integer, or the \
             key a text",
        ),
        (PartKind::Flag, _) => Some(
            "keys that are `true` or `false`, which the column does not spell: use the column's own type as the key",
        ),
    }
}

fn listed(names: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let names: Vec<_> = names.into_iter().map(|name| format!("{:?}", name.as_ref())).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}
