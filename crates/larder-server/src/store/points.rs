//! Books points, and reads the ledger that stores the bookings. Triggers of the database compute the balance.

use sqlx::Row;
use sqlx::any::AnyRow;
use uuid::Uuid;

use crate::domain::audit::{Action, Event};
use crate::domain::identity::UserId;
use crate::domain::points::{Booking, IdempotencyKey, LedgerEntry, LedgerQuery, MOST_POINTS};
use crate::domain::role::Role;
use crate::domain::timestamp::Timestamp;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::odd_rows;
use crate::store::row;
use crate::store::unchanged::UnchangedRow;
use crate::store::writing::Writer;

macro_rules! select_entry {
    ($rest:literal) => {
        concat!(
            "SELECT id, user_id, amount, reason, idempotency_key, actor_id, created_at FROM points_ledger ",
            $rest
        )
    };
}

/// The result of a booking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Booked {
    /// The booking was made.
    Done {
        /// The entry in the ledger.
        entry: LedgerEntry,
        /// The balance after the booking.
        balance: i64,
    },
    /// The same actor made the same booking under the same key before.
    Repeated {
        /// The entry of the earlier booking.
        entry: LedgerEntry,
        /// The present balance.
        balance: i64,
    },
    /// Another booking has this idempotency key.
    KeyTaken,
    /// The balance would be less than 0 or greater than [`MOST_POINTS`].
    OutOfBounds {
        /// The present balance.
        balance: i64,
    },
    /// There is no such user, or its role differs from the one by which the caller's rights were checked.
    Outdated,
}

/// One page of a user's ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ledger {
    /// The entries, newest first.
    pub entries: Vec<LedgerEntry>,
    /// The entry after which the next page begins; `None` on the last page.
    pub next: Option<Uuid>,
}

impl Writer {
    /// Books points for a user whose role still is `judged`, the role by which the caller's rights were checked. The
    /// same booking under the same key is made once.
    ///
    /// # Errors
    /// Errors of the database.
    pub async fn book_points(
        &self,
        user_id: UserId,
        judged: Role,
        booking: &Booking,
        actor: UserId,
    ) -> Result<Booked, StoreError> {
        let mut write = self.begin_for(user_id).await?;
        // The user's row is locked first: of two concurrent bookings, the second one sees the balance that the first
        // one left.
        let user = row::locked(&mut write, user_id).await?;
        let Some(user) = user.filter(|user| user.role == judged) else {
            return Ok(Booked::Outdated);
        };
        let query =
            sqlx::query(select_entry!("WHERE idempotency_key = $1")).bind(booking.idempotency_key.as_str());
        if let Some(row) = query.fetch_optional(write.statement()).await? {
            let entry = entry(&row)?;
            if !is_same(&entry, user_id, booking, actor) {
                return Ok(Booked::KeyTaken);
            }
            self.found_unchanged(|| UnchangedRow::of_user(&user, &["points"]));
            return Ok(Booked::Repeated { entry, balance: user.points });
        }
        let balance = user.points + booking.amount.get();
        if !(0..=MOST_POINTS).contains(&balance) {
            return Ok(Booked::OutOfBounds { balance: user.points });
        }
        let entry = LedgerEntry {
            id: Uuid::now_v7(),
            user_id,
            amount: booking.amount.get(),
            reason: booking.reason.as_str().to_owned(),
            idempotency_key: booking.idempotency_key.clone(),
            actor_id: Some(actor.to_string()),
            created_at: Timestamp::now(),
        };
        let inserted = sqlx::query(
            "INSERT INTO points_ledger (id, user_id, amount, reason, idempotency_key, actor_id, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(entry.id.to_string())
        .bind(user_id.to_string())
        .bind(entry.amount)
        .bind(entry.reason.as_str())
        .bind(entry.idempotency_key.as_str())
        .bind(entry.actor_id.as_deref())
        .bind(entry.created_at.as_micros())
        .execute(write.statement())
        .await;
        match inserted.map_err(StoreError::from) {
            // Since the check, a booking for another user has taken the key: this transaction does not lock the row of
            // that user.
            Err(StoreError::Taken { .. }) => return Ok(Booked::KeyTaken),
            inserted => inserted?,
        };
        let event = Event::on(Action::PointsBook, user_id).number("amount", entry.amount);
        self.commit(write, &[event]).await?;
        Ok(Booked::Done { entry, balance })
    }
}

impl Store {
    /// One page of a user's ledger, newest first.
    ///
    /// # Errors
    /// Errors of the database.
    pub async fn ledger(&self, user_id: UserId, part: LedgerQuery) -> Result<Ledger, StoreError> {
        let asked = part.limit.get();
        // One entry more than asked for shows whether there is a next page.
        let mut most = asked as usize + 1;
        loop {
            let query = match part.before {
                None => sqlx::query(select_entry!("WHERE user_id = $1 ORDER BY id DESC LIMIT $2"))
                    .bind(user_id.to_string())
                    .bind(most as i64),
                Some(before) => {
                    sqlx::query(select_entry!("WHERE user_id = $1 AND id < $3 ORDER BY id DESC LIMIT $2"))
                        .bind(user_id.to_string())
                        .bind(most as i64)
                        .bind(before.to_string())
                }
            };
            let rows = query.fetch_all(self.database.read()).await?;
            let mut entries = odd_rows::readable("points_ledger", "id", &rows, entry)?;
            let missing = rows.len() - entries.len();
            let more = entries.len() > asked as usize;
            if missing == 0 || more || rows.len() < most {
                entries.truncate(asked as usize);
                let next = entries.last().filter(|_| more).map(|entry| entry.id);
                return Ok(Ledger { entries, next });
            }
            // Each iteration asks for more rows, to replace those that cannot be read.
            most += missing;
        }
    }
}

/// Whether this booking would make an entry with the same user, amount, reason and actor as `entry`. If so, the request
/// repeats an earlier one.
fn is_same(entry: &LedgerEntry, user_id: UserId, booking: &Booking, actor: UserId) -> bool {
    entry.user_id == user_id
        && entry.amount == booking.amount.get()
        && entry.reason == booking.reason.as_str()
        && entry.actor_id.as_deref() == Some(actor.to_string().as_str())
}

fn entry(row: &AnyRow) -> Result<LedgerEntry, sqlx::Error> {
    Ok(LedgerEntry {
        id: row::parsed(row, "id")?,
        user_id: row::user_id(row, "user_id")?,
        amount: row.try_get("amount")?,
        reason: row.try_get("reason")?,
        idempotency_key: IdempotencyKey::stored(row.try_get("idempotency_key")?),
        actor_id: row.try_get("actor_id")?,
        created_at: Timestamp::from_micros(row.try_get("created_at")?),
    })
}
