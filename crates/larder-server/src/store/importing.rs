//! Creates and changes many users in one transaction: a batch of an import.
//!
//! The transaction locks the users that exist in the order of their ids, then all counts, and then writes. Before the
//! write, a query finds the values that other users already have, so that a row with such a value is refused and does
//! not fail its batch. If another transaction takes a value after this query, the batch fails and is tried again.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use larder_sql::write::WriteTransaction;
use sqlx::{AssertSqlSafe, Row};

use crate::domain::audit::{Action, Event};
use crate::domain::identity::UserId;
use crate::domain::importing::ImportRow;
use crate::domain::invalid::{Invalid, ValidationErrors};
use crate::domain::timestamp::Timestamp;
use crate::domain::user::User;
use crate::store::changes::{Proven, lock_counts, mark_email, update_events};
use crate::store::error::StoreError;
use crate::store::permissions::having;
use crate::store::row::{self, AsRead, select_user};
use crate::store::writing::Writer;
use crate::store::{bulk, placeholders};

/// How many rows one transaction writes. A larger batch would make other writers wait longer on SQLite.
pub const ROWS_PER_BATCH: usize = 1_000;

/// The greatest number of values in one query: SQLite finds each `$n` by a search through the list of all parameters.
const VALUES_PER_STATEMENT: usize = 100;
/// The most attempts at one batch. An attempt fails if another transaction takes a unique value of the batch first.
const TRIES: usize = 3;

/// The result of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowOutcome {
    /// A user was created.
    Created,
    /// A user was changed.
    Updated,
    /// The user already was as the row says.
    Unchanged,
    /// Nothing was written for the row.
    Refused(ValidationErrors),
}

/// The lines of a batch, for the audit log.
#[derive(Debug, Clone, Copy)]
pub struct BatchLines {
    /// The first line of the batch.
    pub first: u64,
    /// The line at which the last row of the batch begins.
    pub last: u64,
}

/// The columns of which no two users have the same value.
const UNIQUE: [&str; 5] = ["id", "external_id", "email", "username", "phone"];

/// A user's values in the columns of [`UNIQUE`].
fn unique_values(user: &User) -> [Option<String>; 5] {
    [
        Some(user.id.to_string()),
        user.external_id.as_ref().map(|value| value.as_str().to_owned()),
        Some(user.email.as_str().to_owned()),
        Some(user.username.as_str().to_owned()),
        user.phone.as_ref().map(|value| value.as_str().to_owned()),
    ]
}

/// For each column of [`UNIQUE`], the user that has each value.
type Owners = [HashMap<String, UserId>; 5];

/// What a row would write, for the check of the caller's rights.
#[derive(Debug, Clone, Copy)]
pub struct Written<'a> {
    /// The user before the write, if it exists.
    pub before: Option<&'a User>,
    /// The user after the write.
    pub after: &'a User,
    /// Whether the user gets its first password.
    pub gives_password: bool,
    /// Whether the user has a permission.
    pub has_permission: bool,
}

/// Says whether the caller may write a row.
pub trait Judge: Fn(Written<'_>) -> Result<(), ValidationErrors> + Send + Sync {}

impl<F: Fn(Written<'_>) -> Result<(), ValidationErrors> + Send + Sync> Judge for F {}

/// What a user has besides its fields, and what its row gives it.
#[derive(Clone, Copy)]
struct Account {
    gives_password: bool,
    has_permission: bool,
}

/// A user to write, and the password hash that its row gives it, if any.
struct Planned<'a> {
    before: Option<&'a User>,
    after: User,
    password_hash: Option<&'a str>,
}

impl Writer {
    /// Creates the users of these rows that do not exist, and changes those that exist, in one transaction. `judge`
    /// says whether the caller may write a row. If `is_dry`, nothing is committed.
    ///
    /// # Errors
    /// Errors of the database; then nothing is written.
    pub async fn import_users(
        &self,
        rows: &[ImportRow],
        lines: BatchLines,
        is_dry: bool,
        judge: impl Judge,
    ) -> Result<Vec<RowOutcome>, StoreError> {
        let mut tries = 1;
        loop {
            match self.try_import(rows, lines, is_dry, &judge).await {
                Err(StoreError::Taken { .. }) if tries < TRIES => tries += 1,
                outcome => return outcome,
            }
        }
    }

    async fn try_import(
        &self,
        rows: &[ImportRow],
        lines: BatchLines,
        is_dry: bool,
        judge: &impl Judge,
    ) -> Result<Vec<RowOutcome>, StoreError> {
        let mut write = self.begin().await?;
        let mut owners = owners(&mut write, rows).await?;
        let deleted = deleted(&mut write, rows, &owners).await?;
        let found: Vec<_> = rows.iter().map(|row| owner_of(row, &owners)).collect();
        let ids: BTreeSet<_> = found.iter().flatten().copied().collect();
        let users = locked(&mut write, &ids).await?;
        // An import changes no password.
        let with_password = having(&mut write, "credentials", &ids).await?;
        let with_permission = having(&mut write, "permissions", &ids).await?;

        let mut now = Timestamp::now();
        let (mut planned, mut outcomes, mut seen) = (Vec::new(), Vec::new(), BTreeSet::new());
        for (row, found) in rows.iter().zip(&found) {
            now = now.after(Duration::from_micros(1));
            let before = match found.map(|id| users.get(&id)) {
                None => None,
                // Before its row was locked, the user was deleted. `Taken` makes `import_users` try the batch again.
                Some(None) => return Err(StoreError::Taken { field: "external_id".to_owned() }),
                Some(Some(read)) => Some(read),
            };
            let has_password = found.is_some_and(|id| with_password.contains(&id));
            let hash = row.password_hash.as_deref().filter(|_| !has_password);
            let account = Account {
                gives_password: hash.is_some(),
                has_permission: found.is_some_and(|id| with_permission.contains(&id)),
            };
            let outcome = plan(row, before, now, &owners, account, judge).and_then(|after| {
                if found.is_some_and(|id| !seen.insert(id)) {
                    let invalid = Invalid::new("names a user that an earlier line of this batch changes");
                    return Err(ValidationErrors::one("id", invalid));
                }
                if found.is_none() && deleted.contains(&after.id) {
                    let invalid = Invalid::new("is the id of a deleted user, which no other user gets");
                    return Err(ValidationErrors::one("id", invalid));
                }
                Ok(after)
            });
            outcomes.push(match outcome {
                Err(errors) => RowOutcome::Refused(errors),
                Ok(after) => {
                    claim(&mut owners, &after);
                    let before = before.map(|read| &read.user);
                    let outcome = match before {
                        None => RowOutcome::Created,
                        Some(before) if *before == after && hash.is_none() => RowOutcome::Unchanged,
                        Some(_) => RowOutcome::Updated,
                    };
                    if outcome != RowOutcome::Unchanged {
                        planned.push(Planned { before, after, password_hash: hash });
                    }
                    outcome
                }
            });
        }
        if planned.is_empty() {
            // Nothing is written, so the transaction ends without a commit.
            return Ok(outcomes);
        }
        lock_counts(&mut write).await?;
        apply(&mut write, &planned).await?;
        if is_dry {
            // The drop of the transaction rolls it back.
            return Ok(outcomes);
        }
        self.commit(write, &events(&planned, &outcomes, lines)).await?;
        Ok(outcomes)
    }
}

/// The user that a row refers to: the user with the row's external id, or else the user with the row's id.
fn owner_of(row: &ImportRow, owners: &Owners) -> Option<UserId> {
    let by_external = row.external_id().and_then(|external| owners[1].get(external.as_str()));
    let by_id = || row.id.and_then(|id| owners[0].get(&id.to_string()));
    by_external.or_else(by_id).copied()
}

/// The user as the row would leave it, or what is wrong with the row.
fn plan(
    row: &ImportRow,
    before: Option<&AsRead>,
    now: Timestamp,
    owners: &Owners,
    Account { gives_password, has_permission }: Account,
    judge: &impl Judge,
) -> Result<User, ValidationErrors> {
    let mut after = match before {
        Some(AsRead { user, unreadable }) => {
            let fields = row.patch.fields();
            if let Some(lost) = unreadable.iter().find(|column| !fields.contains(column)) {
                let invalid = Invalid::new("cannot be read as it is stored; send a new value to mend it");
                return Err(ValidationErrors::one(lost, invalid));
            }
            row.patch.applied(user)
        }
        None => {
            let Some(new) = row.patch.new_user() else {
                let mut errors = ValidationErrors::default();
                let missing =
                    [("email", row.patch.email.is_none()), ("username", row.patch.username.is_none())];
                for (name, _) in missing.into_iter().filter(|(_, is_missing)| *is_missing) {
                    errors.add(name, Invalid::new("is required for a new user"));
                }
                return Err(errors);
            };
            new.created(row.id.unwrap_or_else(UserId::generate), now)
        }
    };
    let is_same_address = before.is_none_or(|read| read.user.email == after.email);
    after.email_verified = row.email_verified.unwrap_or(after.email_verified && is_same_address);
    let before_user = before.map(|read| &read.user);
    judge(Written { before: before_user, after: &after, gives_password, has_permission })?;
    let mut errors = ValidationErrors::default();
    for ((column, value), owners) in UNIQUE.iter().zip(unique_values(&after)).zip(owners) {
        let owner = value.and_then(|value| owners.get(&value));
        if owner.is_some_and(|owner| before.is_none() || *owner != after.id) {
            errors.add(column, Invalid::new("is taken already"));
        }
    }
    if errors.is_empty() { Ok(after) } else { Err(errors) }
}

fn claim(owners: &mut Owners, after: &User) {
    for (value, owners) in unique_values(after).into_iter().zip(owners) {
        if let Some(value) = value {
            owners.insert(value, after.id);
        }
    }
}

/// For each column of [`UNIQUE`], the users that already have a value of these rows.
async fn owners(write: &mut WriteTransaction, rows: &[ImportRow]) -> Result<Owners, StoreError> {
    let mut owners = Owners::default();
    for (index, owners) in owners.iter_mut().enumerate() {
        let values: Vec<String> = rows.iter().filter_map(|row| value_of(row, index)).collect();
        for values in values.chunks(VALUES_PER_STATEMENT) {
            let (column, list) = (UNIQUE[index], placeholders::rows(1, values.len()));
            let sql = format!("SELECT id, {column} AS value FROM users WHERE {column} IN {list}");
            let query = sqlx::query(AssertSqlSafe(sql));
            let query = values.iter().fold(query, |query, value| query.bind(value.as_str()));
            for row in query.fetch_all(write.statement()).await? {
                owners.insert(row.try_get("value")?, row::user_id(&row, "id")?);
            }
        }
    }
    Ok(owners)
}

/// The ids of these rows that deleted users had. The audit log has an entry for every deletion by the service; a
/// deletion by other software has none. The log is read after `owners`, so it has the entry of each user that the
/// service deleted before `owners` was read.
async fn deleted(
    write: &mut WriteTransaction,
    rows: &[ImportRow],
    owners: &Owners,
) -> Result<BTreeSet<UserId>, StoreError> {
    let mut deleted = BTreeSet::new();
    let unknown = rows.iter().filter_map(|row| row.id).filter(|id| !owners[0].contains_key(&id.to_string()));
    let unknown: Vec<_> = unknown.collect();
    for ids in unknown.chunks(VALUES_PER_STATEMENT) {
        let (list, action) = (placeholders::rows(1, ids.len()), Action::UserDelete.as_str());
        let sql =
            format!("SELECT target_id FROM audit_log WHERE target_id IN {list} AND action = '{action}'");
        let query = sqlx::query(AssertSqlSafe(sql));
        let query = ids.iter().fold(query, |query, id| query.bind(id.to_string()));
        for row in query.fetch_all(write.statement()).await? {
            deleted.insert(row::user_id(&row, "target_id")?);
        }
    }
    Ok(deleted)
}

/// The value that a row gives to the column of [`UNIQUE`] with this index.
fn value_of(row: &ImportRow, index: usize) -> Option<String> {
    use crate::domain::patch::Patch;

    match index {
        0 => row.id.map(|id| id.to_string()),
        1 => row.external_id().map(|value| value.as_str().to_owned()),
        2 => row.patch.email.as_ref().map(|value| value.as_str().to_owned()),
        3 => row.patch.username.as_ref().map(|value| value.as_str().to_owned()),
        _ => match &row.patch.phone {
            Patch::Set(value) => Some(value.as_str().to_owned()),
            _ => None,
        },
    }
}

/// Locks these users in the order of their ids. Every transaction that locks several users uses this order, so two
/// transactions cannot deadlock.
async fn locked(
    write: &mut WriteTransaction,
    ids: &BTreeSet<UserId>,
) -> Result<BTreeMap<UserId, AsRead>, StoreError> {
    let mut users = BTreeMap::new();
    let ids: Vec<_> = ids.iter().collect();
    for ids in ids.chunks(VALUES_PER_STATEMENT) {
        let (list, lock) = (placeholders::rows(1, ids.len()), write.dialect().for_update());
        let select = select_user!("WHERE users.id IN");
        let query = sqlx::query(AssertSqlSafe(format!("{select} {list} ORDER BY users.id{lock}")));
        let query = ids.iter().fold(query, |query, id| query.bind(id.to_string()));
        for row in query.fetch_all(write.statement()).await? {
            let read = row::as_read(&row)?;
            users.insert(read.user.id, read);
        }
    }
    Ok(users)
}

async fn apply(write: &mut WriteTransaction, planned: &[Planned<'_>]) -> Result<(), StoreError> {
    for Planned { before, after, .. } in planned {
        let Some(before) = before.filter(|before| **before != *after) else { continue };
        row::update(write, after).await?;
        mark_email(write, before, after, true, Proven::No).await?;
        let is_verified = before.email_verified && before.email == after.email;
        if is_verified != after.email_verified {
            let query = sqlx::query("UPDATE users SET email_verified = $2 WHERE id = $1");
            let query = query.bind(after.id.to_string()).bind(after.email_verified);
            query.execute(write.statement()).await?;
        }
    }
    let created: Vec<_> = planned.iter().filter(|one| one.before.is_none()).map(|one| &one.after).collect();
    bulk::insert_users(write, &created).await?;
    let hashes = planned.iter().filter_map(|one| Some((one.after.id, one.password_hash?)));
    bulk::insert_credentials(write, &hashes.collect::<Vec<_>>(), Timestamp::now()).await
}

/// An entry for each user, and one for the batch.
fn events(planned: &[Planned<'_>], outcomes: &[RowOutcome], lines: BatchLines) -> Vec<Event> {
    let mut events = Vec::with_capacity(planned.len() + 1);
    for Planned { before, after, password_hash } in planned {
        let Some(before) = before else {
            events.push(Event::on(Action::UserCreate, after.id));
            continue;
        };
        events.extend(update_events(before, after, &[]));
        if before.email_verified != after.email_verified {
            events.push(Event::on(Action::UserUpdate, after.id).fields(&["email_verified"]));
        }
        if password_hash.is_some() {
            events.push(Event::on(Action::PasswordChange, after.id));
        }
    }
    let count = |wanted: &RowOutcome| {
        i64::try_from(outcomes.iter().filter(|outcome| *outcome == wanted).count()).unwrap_or(i64::MAX)
    };
    let number = |line: u64| i64::try_from(line).unwrap_or(i64::MAX);
    events.push(
        Event::of(Action::UserImport)
            .number("created", count(&RowOutcome::Created))
            .number("updated", count(&RowOutcome::Updated))
            .number("first_line", number(lines.first))
            .number("last_line", number(lines.last)),
    );
    events
}
