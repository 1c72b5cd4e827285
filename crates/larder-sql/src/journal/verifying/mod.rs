//! Checks that the declared tables match the opened classes: the same classes, key parts in the same order, and key
//! columns that have exactly one text for each value.
//!
//! `verify` lists every declaration because of which a change would not invalidate its entries. No other check finds
//! such a mistake: the entry would stay stale until its TTL ends.

mod canonical;
mod missed;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use larder::cache::Cache;
use larder::introspection::declared::{DeclaredClass, TagGroup};
use larder::journal::Journal as _;
use larder::key::PartKind;

use crate::connecting::connection::SqlConnection;
use crate::dialect::Dialect;
use crate::error::Error;
use crate::journal::completeness::missing_column;
use crate::journal::table::{ByColumns, Kind, Table, Tag, quoted};
use crate::journal::verifying::canonical::{Columns, Texts};
use crate::journal::{Defect, SqlJournal};

impl SqlJournal {
    /// Verifies that every change of a declared table invalidates the entries that it touches. Call it at a program's
    /// start, after its classes were opened. It fails if [`SqlJournal::find_declaration_errors`] finds
    /// something, or [`SqlJournal::inspect`] finds a defect that the journal does not mend by itself. A trigger that is no
    /// longer `ENABLE ALWAYS`, for example, is mended, and is no error. It logs the [`SqlJournal::untouched_classes`].
    ///
    /// # Errors
    /// [`ErrorKind::Declaration`](crate::error::ErrorKind::Declaration), which lists every error with its remedy; else
    /// the database's error.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn open() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    /// use larder::cache::Cache;
    /// use larder_sql::database::Database;
    /// use larder_sql::journal::{SqlJournal, Table};
    ///
    /// let database = Database::connect("sqlite://guests.db").await?;
    /// let guests = Table::new("guests").entry("guest", &["id"]).unique(&["id"]);
    /// let journal = SqlJournal::open(&database, vec![guests]).await?;
    /// let cache = Cache::builder("hotel").journal(journal.clone()).build().await?;
    /// let guests = cache.class::<i64, String>("guest").open()?;
    /// journal.verify(&cache).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn verify(&self, cache: &Cache) -> Result<(), Error> {
        let mut wrong = self.find_declaration_errors(cache).await?;
        if cache.journal::<SqlJournal>().is_none_or(|own| !Arc::ptr_eq(&own.state, &self.state)) {
            wrong.push("the cache was built without this journal: give it to Builder::journal".to_owned());
        }
        let defects = self.inspect().await?;
        wrong.extend(self.missing_columns().await?);
        let is_named = |defect: &Defect| wrong.contains(&defect.to_string());
        let unnamed: Vec<_> = defects.into_iter().filter(|defect| !is_named(defect)).collect();
        for defect in unnamed {
            let remedy = match defect.remedy() {
                Some(_) => {
                    "run what larder_sql::migration returns in a migration; if this release is the present one, SqlJournal::mend \
                     does it too, as a role that owns the tables"
                }
                None => "undo the change, declare it in a migration, or correct the declaration",
            };
            wrong.push(format!("{defect}: {remedy}"));
        }
        if wrong.is_empty() {
            let untouched = self.untouched_classes(cache);
            if !untouched.is_empty() {
                tracing::info!(
                    classes = untouched.join(", "),
                    "no declared table touches these classes: their entries end by their TTL, or when the application invalidates them"
                );
            }
            return Ok(());
        }
        let (count, plural) = (wrong.len(), if wrong.len() == 1 { "" } else { "s" });
        let wrong = wrong.join("\n- ");
        Err(Error::declaration(format!(
            "the journal would miss changes, for {count} reason{plural}:\n- {wrong}"
        )))
    }

    /// Returns the errors in the declarations of the tables and of the classes of `cache`, one sentence each, with its
    /// remedy. These are errors:
    ///
    /// - an entry of a class that was not opened;
    /// - a tag that is neither the name nor a tag of an opened class, unless a class may have unknown tags
    ///   ([`DeclaredClass::has_unknown_tags`]);
    /// - a tag of a class that rows of no declared table touch, or that a table names only as an entry or as a group: its
    ///   rows touch `order:71` and not `order`;
    /// - a group of a class's tags that no declared table has;
    /// - a class that only changes of a complete table touch, because a table names it only as a group;
    /// - a class or a tag whose keys have another number of parts than the declared columns, or an unknown number;
    /// - a class whose keys have the parts in another order;
    /// - key columns, or key types, with several texts for one value: a look-up by another text than the database's
    ///   would create an entry that no change invalidates.
    ///
    /// Tags and groups that the class names in [`ClassBuilder::by_hand`](larder::class::ClassBuilder::by_hand) need no
    /// table.
    ///
    /// # Errors
    /// The database's error.
    pub async fn find_declaration_errors(&self, cache: &Cache) -> Result<Vec<String>, Error> {
        let columns = self.key_columns().await?;
        let classes: Classes =
            cache.declared_classes().into_iter().map(|class| (class.name.clone(), class)).collect();
        let mut wrong = Vec::new();
        for table in self.tables.iter() {
            wrong.extend(of_tags(table, &classes, &columns));
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
        wrong.extend(classes.values().flat_map(|class| missed::of_class(class, &self.tables)));
        wrong.extend(columns.wrong());
        let mut once = Vec::new();
        wrong.into_iter().for_each(|one| {
            if !once.contains(&one) {
                once.push(one)
            }
        });
        Ok(once)
    }

    /// The classes that no change of a declared table can touch, sorted. Their entries end by their TTL, or when the
    /// application invalidates them. A class that may have unknown tags, and one that names tags
    /// [by hand](larder::class::ClassBuilder::by_hand), are not among them.
    pub fn untouched_classes(&self, cache: &Cache) -> Vec<String> {
        let is_touched = |class: &DeclaredClass| missed::is_touched(class, &self.tables);
        let classes = cache.declared_classes().into_iter();
        let classes = classes.filter(|class| class.by_hand.is_empty() && !is_touched(class));
        classes.map(|class| class.name).collect()
    }

    /// An error for each declared column that does not exist, except one that the present triggers name too. Such a column
    /// was renamed or dropped after the triggers were made: then each change touches everything, so the answers are right,
    /// and the health report names the column.
    async fn missing_columns(&self) -> Result<Vec<String>, Error> {
        let imprecise = self.imprecision().map(|fault| fault.reasons).unwrap_or_default();
        let is_error = |(table, column, _): &(&str, &str, String)| {
            !imprecise.contains(&missing_column(&quoted(table), column))
        };
        let columns = self.key_columns().await?;
        let missing = columns.missing(&self.tables).into_iter().filter(is_error);
        let say = |(table, column, found): (&str, &str, String)| {
            format!(
                "table {table:?} has no column {column:?}, which is declared: correct the name (letter case counts, and PostgreSQL \
                 stores an unquoted name in lower case), or migrate the table; it has {found}"
            )
        };
        Ok(missing.map(say).collect())
    }

    /// The errors that can be found without the classes.
    pub(super) async fn wrong_columns(&self) -> Result<Vec<String>, Error> {
        Ok(self.key_columns().await?.wrong())
    }

    /// As [`Self::wrong_columns`], on a connection that the caller has.
    pub(super) async fn wrong_columns_on(
        &self,
        connection: &mut SqlConnection,
    ) -> Result<Vec<String>, Error> {
        Ok(Columns::read(connection, self.database.dialect(), &self.tables).await?.wrong())
    }

    async fn key_columns(&self) -> Result<Columns, Error> {
        let mut loan = self.database.readers().acquire().await?;
        Columns::read(&mut loan, self.database.dialect(), &self.tables).await
    }
}

/// The opened classes by name.
type Classes = BTreeMap<String, DeclaredClass>;

fn of_tags(table: &Table, classes: &Classes, columns: &Columns) -> Vec<String> {
    let groups: Vec<_> = classes.values().flat_map(|class| &class.tag_groups).collect();
    let is_known = |tag: &str| {
        let of_class = |class: &DeclaredClass| class.tags.iter().any(|one| one == tag);
        classes.contains_key(tag)
            || classes.values().any(of_class)
            || groups.iter().any(|group| group.name == tag)
    };
    let has_unknown = classes.values().any(|class| class.has_unknown_tags);
    let plain = table.tags.iter().filter(|tag| !has_unknown && !is_known(&tag.name)).map(|Tag { name, .. }| {
        format!(
            "table {:?}: the tag {name:?} is neither the name of an opened class nor a tag of one: say .tagged({name:?}) where its \
             class is opened, or correct the name",
            table.name
        )
    });
    let by_columns = table.by_columns.iter().filter(|one| one.kind == Kind::Tag).flat_map(|one| {
        let computed: Vec<_> = groups.iter().filter(|group| group.name == one.name).collect();
        let is_uncomputed = !has_unknown && computed.is_empty();
        let uncomputed = is_uncomputed.then(|| {
            format!(
                "table {:?}: no opened class computes the tag {name:?} from its keys: say .tagged_by(|key| tag({name:?}, …)) where \
                 its class is opened, or correct the name",
                table.name,
                name = one.name
            )
        });
        let of_groups = computed.into_iter().flat_map(|group| of_group(table, one, group, columns));
        of_groups.chain(uncomputed).collect::<Vec<_>>()
    });
    plain.chain(by_columns).collect()
}

fn of_group(table: &Table, declared: &ByColumns, group: &TagGroup, columns: &Columns) -> Vec<String> {
    let ByColumns { name, columns: of_table, .. } = declared;
    match &group.kinds {
        None => vec![format!(
            "the tags {name:?}: how many parts the keys in them have is unknown: implement Key::columns or Key::kinds for their type"
        )],
        Some(kinds) if kinds.len() != of_table.len() => vec![format!(
            "table {:?}: the tag {name:?} is declared by the columns {}, and a class computes it from keys of {} parts: declare one \
             column for each part, in their order",
            table.name,
            listed(of_table),
            kinds.len()
        )],
        Some(kinds) => clashes(table, of_table, kinds, columns, &format!("the tag {name:?}")),
    }
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
    if let Some(odd) = class.columns.iter().find(|columns| is_permutation(columns, &class.columns[0])) {
        return vec![format!(
            "class {name:?}: the columns of its keys are named in two orders, ({}) and ({}): keep the order of the key's parts",
            listed(&class.columns[0]),
            listed(odd)
        )];
    }
    if let Some(said) = class.columns.iter().find(|columns| is_permutation(columns, &entry.columns)) {
        return vec![format!(
            "table {:?}: the entry {name:?} is declared by the columns ({declared}), and the parts of the class's keys are ({}): declare \
             them in the order of the parts",
            table.name,
            listed(said)
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
    clashes(
        table,
        &entry.columns,
        class.kinds.as_deref().unwrap_or_default(),
        columns,
        &format!("the class {name:?}"),
    )
}

/// An error for each column whose values the keys of `user`, a class or a tag, may spell in another way.
fn clashes(
    table: &Table,
    of_table: &[String],
    kinds: &[PartKind],
    columns: &Columns,
    user: &str,
) -> Vec<String> {
    let of_part = |(column, kind): (&String, &PartKind)| {
        let (of_type, texts) = columns.of(&table.name, column)?;
        let why = clash(*kind, texts, columns.dialect())?;
        Some(format!(
            "table {:?}: the key column {column:?} is of type {of_type}, and {user} has {why}",
            table.name
        ))
    };
    of_table.iter().zip(kinds).filter_map(of_part).collect()
}

/// Says why keys of this kind do not fit a column whose values are spelled as `texts`, on `dialect`; `None` if they fit.
fn clash(kind: PartKind, texts: Texts, dialect: Dialect) -> Option<&'static str> {
    match (kind, texts) {
        // SQLite has no type for UUIDs. The reader of the outbox spells each of their forms as the key does.
        (PartKind::Uuid, Texts::Any | Texts::Bytes) if dialect == Dialect::Sqlite => None,
        (PartKind::Uuid, Texts::Uuid)
        | (PartKind::Text, Texts::Any)
        | (PartKind::Number, Texts::Number)
        | (PartKind::Flag, Texts::Flag) => None,
        (_, Texts::Bytes) => Some(
            "keys that are no UUIDs, while the column keeps a text and a BLOB of the same bytes as two values: declare the column \
             INTEGER or TEXT, or give the class a key of UUIDs",
        ),
        (PartKind::Canonical, _) => None,
        (PartKind::Uuid, Texts::Any) => Some(
            "keys that are UUIDs, while the column may spell a UUID otherwise (upper case, without hyphens): make the column of \
             type uuid, or the key a text that has the column's spelling",
        ),
        (PartKind::Uuid, _) => Some(
            "keys that are UUIDs, which the column does not spell: use the column's own type as the key, or make the column of \
             type uuid",
        ),
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
        // A kind of a later release of larder.
        _ => Some(
            "keys of a kind that this release of larder-sql does not know: use the same release of both crates",
        ),
    }
}

/// Whether two lists have the same columns in another order.
fn is_permutation(one: &[String], other: &[String]) -> bool {
    let sorted = |columns: &[String]| columns.iter().cloned().collect::<BTreeSet<_>>();
    one != other && sorted(one) == sorted(other)
}

fn listed(names: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let names: Vec<_> = names.into_iter().map(|name| format!("{:?}", name.as_ref())).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}
