//! Books points, reads ledgers, and reads the leaderboard.

use larder::class::Answer;
use larder::policy::Consistency;
use larder::receipt::Receipt;

use crate::domain::identity::Identifier;
use crate::domain::leaderboard::{LeaderboardQuery, LeaderboardRow, Standing};
use crate::domain::permission::Right;
use crate::domain::points::{Booking, LedgerEntry, LedgerQuery};
use crate::domain::user::User;
use crate::service::Service;
use crate::service::access::Caller;
use crate::service::error::ServiceError;
use crate::service::refusal::Refusal;
use crate::store::points::{Booked, Ledger};

/// The result of a booking.
pub struct BookedPoints {
    /// The entry in the ledger.
    pub entry: LedgerEntry,
    /// The user's balance after the booking.
    pub balance: i64,
    /// Whether this call made the booking; `false` if an earlier call with the same idempotency key made it.
    pub is_new: bool,
    /// What the invalidation of this write removed.
    pub receipt: Receipt,
}

impl Service {
    /// Books points for a user. The caller manages the user or has the permission `points.write`; a caller cannot book
    /// for itself.
    ///
    /// # Errors
    /// [`ServiceError::Refused`], also if the balance would leave its bounds or another booking has the same
    /// idempotency key; [`ServiceError::NotFound`], and errors of the database.
    pub async fn book_points(
        &self,
        caller: Caller,
        named: Identifier,
        booking: Booking,
    ) -> Result<BookedPoints, ServiceError> {
        loop {
            // If the user changes between this check and the write, the rights are checked again.
            let caller = self.present(caller).await?;
            let target = self.found_now(&named).await?;
            if target.id == caller.id {
                return Err(ServiceError::Refused(Refusal::OwnPoints));
            }
            caller.check_manage_or(&target, Right::WritePoints)?;
            if let Some(booked) = self.book_as_judged(caller, target, booking.clone()).await? {
                return Ok(booked);
            }
        }
    }

    /// Returns `None` if the user's row changed after the rights were checked. In that case, [`Service::book_points`]
    /// checks them again.
    async fn book_as_judged(
        &self,
        caller: Caller,
        target: User,
        booking: Booking,
    ) -> Result<Option<BookedPoints>, ServiceError> {
        let book = self.write(caller.actor(), move |tx| async move {
            match tx.book_points(target.id, target.role, &booking, caller.id).await? {
                Booked::Done { entry, balance } => Ok(Some((entry, balance, true))),
                Booked::Repeated { entry, balance } => Ok(Some((entry, balance, false))),
                Booked::KeyTaken => Err(ServiceError::Refused(Refusal::IdempotencyKeyTaken)),
                Booked::OutOfBounds { .. } => Err(ServiceError::Refused(Refusal::BalanceOutOfBounds)),
                Booked::Outdated => Ok(None),
            }
        });
        let (booked, receipt) = book.await?;
        Ok(booked.map(|(entry, balance, is_new)| BookedPoints { entry, balance, is_new, receipt }))
    }

    /// One page of a user's ledger, with the user: for the user itself, for callers that manage it, and for callers
    /// with the permission `points.write`. Each call reads the database.
    ///
    /// # Errors
    /// [`ServiceError::Refused`], [`ServiceError::NotFound`], and errors of the database.
    pub async fn ledger(
        &self,
        caller: Caller,
        named: Identifier,
        part: LedgerQuery,
    ) -> Result<(User, Ledger), ServiceError> {
        let user = self.found_now(&named).await?;
        if !caller.may_see_all_of(&user) {
            caller.check_manage_or(&user, Right::WritePoints)?;
        }
        let ledger = self.store.ledger(user.id, part).await?;
        Ok((user, ledger))
    }

    /// One page of the leaderboard.
    ///
    /// # Errors
    /// Errors of the database.
    pub async fn leaderboard(
        &self,
        query: LeaderboardQuery,
        consistency: Consistency,
    ) -> Result<Answer<Vec<LeaderboardRow>>, ServiceError> {
        Ok(self.cached.leaderboard(&query, consistency).await?)
    }

    /// A user's rank and points on the leaderboard.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`], and errors of the database.
    pub async fn standing(
        &self,
        named: &Identifier,
        consistency: Consistency,
    ) -> Result<Answer<Standing>, ServiceError> {
        let user_id = self.id_of(named, consistency).await?;
        let answer = self.cached.leaderboard_standing(&user_id, consistency).await?;
        if answer.value.is_some() { Ok(answer) } else { Err(ServiceError::NotFound) }
    }
}
