//! Activates and deactivates many users in one transaction.

use std::collections::{BTreeMap, BTreeSet};

use larder_sql::write::WriteTransaction;
use sqlx::AssertSqlSafe;

use crate::domain::audit::{Action, Event};
use crate::domain::bulk::{ListedId, Outcome};
use crate::domain::identity::UserId;
use crate::domain::user::User;
use crate::store::changes::{is_active_superadmin, others_remain};
use crate::store::error::StoreError;
use crate::store::odd_rows;
use crate::store::permissions::having;
use crate::store::placeholders;
use crate::store::row::{self, select_user};
use crate::store::unchanged::UnchangedRow;
use crate::store::writing::Writer;

/// The greatest number of users that one statement locks or changes.
const USERS_PER_STATEMENT: usize = 250;

/// The result for one listed user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BulkOutcome {
    /// The user's id, if the user exists.
    pub user_id: Option<UserId>,
    /// What happened to the user.
    pub outcome: Outcome,
}

impl Writer {
    /// Activates or deactivates the users in `asked` that `may_change` allows, in one transaction. Returns one outcome
    /// per entry, in the order of `asked`. `may_change` checks each row after the row is locked, and gets whether the user
    /// has a permission. Deactivation ends the
    /// user's tokens.
    ///
    /// # Errors
    /// Errors of the database; then no user is changed.
    pub async fn set_active_of(
        &self,
        asked: &[ListedId],
        is_active: bool,
        may_change: impl Fn(&User, bool) -> bool + Send,
    ) -> Result<Vec<BulkOutcome>, StoreError> {
        let mut write = self.begin().await?;
        let ids = ids(&mut write, asked).await?;
        let users = locked(&mut write, &ids).await?;
        let with_permission = having(&mut write, "permissions", &ids).await?;
        let by_external: BTreeMap<_, _> =
            users.values().filter_map(|user| Some((user.external_id.as_ref()?.as_str(), user))).collect();
        let outcomes = asked.iter().map(|asked| {
            let user = match asked {
                ListedId::Id(id) => users.get(id),
                // If the external id moved to another user before the rows were locked, no locked user has it.
                ListedId::External(external) => by_external.get(external.as_str()).copied(),
            };
            let outcome = match user {
                None => Outcome::NotFound,
                Some(user) if !may_change(user, with_permission.contains(&user.id)) => Outcome::Forbidden,
                Some(user) if user.is_active == is_active => Outcome::Already,
                Some(_) => Outcome::Changed,
            };
            BulkOutcome { user_id: user.map(|user| user.id), outcome }
        });
        let mut outcomes: Vec<_> = outcomes.collect();
        if !is_active {
            spare_last_superadmins(&mut write, &users, &mut outcomes).await?;
        }
        let of = |wanted| {
            let ids = outcomes.iter().filter(move |one| one.outcome == wanted).filter_map(|one| one.user_id);
            ids.collect::<BTreeSet<_>>()
        };
        for user in of(Outcome::Already).iter().filter_map(|id| users.get(id)) {
            self.found_unchanged(|| UnchangedRow::of_user(user, &["is_active"]));
        }
        let changed: Vec<_> = of(Outcome::Changed).into_iter().collect();
        set_active(&mut write, &changed, is_active).await?;
        let action = if is_active { Action::BulkActivate } else { Action::BulkDeactivate };
        let events: Vec<_> = changed.iter().map(|id| Event::on(action, *id)).collect();
        self.commit(write, &events).await?;
        Ok(outcomes)
    }
}

/// If no active superadmin would remain, no superadmin in `outcomes` is deactivated: each gets `Forbidden`.
async fn spare_last_superadmins(
    write: &mut WriteTransaction,
    users: &BTreeMap<UserId, User>,
    outcomes: &mut [BulkOutcome],
) -> Result<(), StoreError> {
    let leaving: BTreeSet<_> = outcomes
        .iter()
        .filter(|one| one.outcome == Outcome::Changed)
        .filter_map(|one| users.get(&one.user_id?))
        .filter(|user| is_active_superadmin(user))
        .map(|user| user.id)
        .collect();
    if leaving.is_empty() || others_remain(write, leaving.len()).await? {
        return Ok(());
    }
    let spared = outcomes.iter_mut().filter(|one| one.user_id.is_some_and(|id| leaving.contains(&id)));
    spared.for_each(|one| one.outcome = Outcome::Forbidden);
    Ok(())
}

/// The ids of the listed users, in ascending order. Every transaction that locks several users locks them in this
/// order, so two transactions cannot deadlock.
async fn ids(write: &mut WriteTransaction, asked: &[ListedId]) -> Result<BTreeSet<UserId>, StoreError> {
    let mut ids = BTreeSet::new();
    let mut externals = Vec::new();
    for asked in asked {
        match asked {
            ListedId::Id(id) => drop(ids.insert(*id)),
            ListedId::External(external) => externals.push(external.as_str()),
        }
    }
    for externals in externals.chunks(USERS_PER_STATEMENT) {
        let list = placeholders::rows(1, externals.len());
        let query = format!("SELECT id FROM users WHERE external_id IN {list}");
        let query = sqlx::query(AssertSqlSafe(query));
        let query = externals.iter().fold(query, |query, external| query.bind(*external));
        let rows = query.fetch_all(write.statement()).await?;
        // A row whose id cannot be read is left out: without the id, the transaction could not lock it.
        ids.extend(odd_rows::readable("users", "id", &rows, |row| row::user_id(row, "id"))?);
    }
    Ok(ids)
}

async fn locked(
    write: &mut WriteTransaction,
    ids: &BTreeSet<UserId>,
) -> Result<BTreeMap<UserId, User>, StoreError> {
    let mut users = BTreeMap::new();
    let ids: Vec<_> = ids.iter().collect();
    for ids in ids.chunks(USERS_PER_STATEMENT) {
        let (list, lock) = (placeholders::rows(1, ids.len()), write.dialect().for_update());
        let select = select_user!("WHERE users.id IN");
        let query = sqlx::query(AssertSqlSafe(format!("{select} {list} ORDER BY users.id{lock}")));
        let query = ids.iter().fold(query, |query, id| query.bind(id.to_string()));
        for row in query.fetch_all(write.statement()).await? {
            let user = row::as_read(&row)?.user;
            users.insert(user.id, user);
        }
    }
    Ok(users)
}

async fn set_active(write: &mut WriteTransaction, ids: &[UserId], is_active: bool) -> Result<(), StoreError> {
    for ids in ids.chunks(USERS_PER_STATEMENT) {
        let mut list = String::from("$2");
        for number in 3..ids.len() + 2 {
            list += &format!(", ${number}");
        }
        let query =
            sqlx::query(AssertSqlSafe(format!("UPDATE users SET is_active = $1 WHERE id IN ({list})")));
        let query = ids.iter().fold(query.bind(is_active), |query, id| query.bind(id.to_string()));
        query.execute(write.statement()).await?;
    }
    Ok(())
}
