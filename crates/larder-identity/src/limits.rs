//! Limits on failed attempts: per address, per account and address, and per account from all addresses.
//!
//! An attempt takes one unit from each of its budgets before any work is done, so concurrent attempts cannot exceed a
//! budget together. An attempt that succeeds gives its units back, so only failures cost units. The exceptions are
//! [`Purpose::Register`] and [`Purpose::Mail`]: there a success costs units too. Whether the account exists makes no
//! difference. All budgets are in this process's memory.

use std::collections::HashMap;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use governor::clock::{Clock, QuantaClock};
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::state::keyed::ShrinkableKeyedStateStore;
use governor::{Quota, RateLimiter};
use quick_cache::sync::Cache;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::network::block;

/// The time in which a used-up budget of an address becomes full again.
const ADDRESS_PERIOD: Duration = Duration::from_secs(60);
/// The time in which a used-up budget of an account becomes full again.
const ACCOUNT_PERIOD: Duration = Duration::from_secs(15 * 60);
/// An account's budget for all addresses together is this many times its budget for one address.
const ADDRESSES: u32 = 10;
/// How many mails may be sent to one address in [`ACCOUNT_PERIOD`]. It is small, because any client can ask for a mail
/// to any address. If another client uses this budget up, the owner of the address has received mails that work.
const MAILS: u32 = 3;
/// The most keys for which one table keeps budgets, at some 100 bytes each.
const KEPT: usize = 100_000;

/// How many failed attempts are allowed before the next one is refused and has to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FailureLimits {
    /// Failures of each purpose in a minute, from one address. Default 100.
    pub per_address: NonZeroU32,
    /// Failures in 15 minutes, for one account from one address. From all addresses together, ten times as many are
    /// allowed. Default 10.
    pub per_account: NonZeroU32,
}

impl Default for FailureLimits {
    fn default() -> Self {
        let number = |number| NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN);
        Self { per_address: number(100), per_account: number(10) }
    }
}

/// Too many recent failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many failed attempts, try again later")]
pub struct TooMany {
    /// How long to wait.
    pub retry_after: Duration,
}

/// The key of a budget: a salted hash of an address or account, so that a dump of memory shows no address and no
/// account.
type Digest = [u8; 32];

/// What an attempt from an address is for; each purpose has a budget of its own.
#[derive(Debug, Clone, Copy)]
pub enum Purpose {
    /// Logging in.
    Login,
    /// Creating users; a success costs a unit too.
    Register,
    /// Exchanging refresh tokens.
    Refresh,
    /// Confirming an action with a password or a code.
    Confirm,
    /// Introspecting and revoking tokens.
    Tokens,
    /// Asking for a mail; a success costs a unit too.
    Mail,
    /// Sending a token that came by mail.
    MailToken,
}

/// The units that an attempt took from its budgets. If this value is dropped, the attempt has failed: its units stay
/// taken.
#[must_use]
pub struct Attempt {
    taken: Vec<(Arc<Budget>, Digest)>,
    known: Option<(Arc<Cache<Digest, ()>>, Digest)>,
}

impl Attempt {
    /// Gives the units back: the attempt cost nothing.
    pub fn give_back(self) {
        for (budget, key) in &self.taken {
            budget.give_back(key);
        }
    }

    /// Gives the units back. If the attempt is one of [`Limits::account`], also remembers that this account logs in
    /// from this address.
    pub fn succeeded(self) {
        if let Some((known, pair)) = &self.known {
            known.insert(*pair, ());
        }
        self.give_back();
    }

    /// Combines this attempt with a later one: both succeed or fail together.
    pub fn and(mut self, later: Self) -> Self {
        self.taken.extend(later.taken);
        Self { known: later.known.or(self.known.take()), ..self }
    }
}

/// All budgets; cheap to clone.
///
/// ```
/// # use larder_identity::limits::{FailureLimits, Purpose, Limits, TooMany};
/// # fn main() -> Result<(), TooMany> {
/// let limits = Limits::new(FailureLimits::default());
/// let address = [192, 0, 2, 1].into();
/// let attempt = limits.from_address(Purpose::Login, address)?.and(limits.account("email ann@example.com", address)?);
/// // … the password is compared here; a wrong one drops the attempt …
/// attempt.succeeded();
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Limits {
    salt: Digest,
    addresses: Arc<Budget>,
    pairs: Arc<Budget>,
    accounts: Arc<Budget>,
    codes: Arc<Budget>,
    mails: Arc<Budget>,
    /// Pairs of account and address that logged in before. They are exempt from the account's budget over all
    /// addresses, so failures from other addresses do not lock the owner out.
    known: Arc<Cache<Digest, ()>>,
}

impl Limits {
    /// Full budgets of these sizes.
    pub fn new(limits: FailureLimits) -> Self {
        let everywhere = limits.per_account.saturating_mul(NonZeroU32::MIN.saturating_add(ADDRESSES - 1));
        Self {
            salt: rand::random(),
            addresses: Arc::new(Budget::new(limits.per_address, ADDRESS_PERIOD)),
            pairs: Arc::new(Budget::new(limits.per_account, ACCOUNT_PERIOD)),
            accounts: Arc::new(Budget::new(everywhere, ACCOUNT_PERIOD)),
            codes: Arc::new(Budget::new(limits.per_account, ACCOUNT_PERIOD)),
            mails: Arc::new(Budget::new(NonZeroU32::new(MAILS).unwrap_or(NonZeroU32::MIN), ACCOUNT_PERIOD)),
            known: Arc::new(Cache::new(KEPT)),
        }
    }

    /// An attempt for `purpose` from an address. It takes from the budget of the address alone.
    ///
    /// # Errors
    /// [`TooMany`].
    pub fn from_address(&self, purpose: Purpose, address: IpAddr) -> Result<Attempt, TooMany> {
        let key = self.digest(&[&[purpose as u8], &block(address)]);
        Ok(Attempt { taken: vec![taken(&self.addresses, key)?], known: None })
    }

    /// An attempt to log in to this account. The caller first calls [`Limits::from_address`] and combines the two.
    /// `account` is the user's id, so that all names of a user share one budget. If no user has the name that the
    /// client sent, `account` is that name.
    ///
    /// # Errors
    /// [`TooMany`].
    pub fn account(&self, account: &str, address: IpAddr) -> Result<Attempt, TooMany> {
        let everywhere = self.digest(&[b"account", account.as_bytes()]);
        let pair = self.digest(&[b"pair", &block(address), account.as_bytes()]);
        let mut attempt = Attempt { taken: vec![taken(&self.pairs, pair)?], known: None };
        attempt.known = Some((self.known.clone(), pair));
        if self.known.get(&pair).is_none() {
            attempt.taken.push(taken(&self.accounts, everywhere)?);
        }
        Ok(attempt)
    }

    /// An attempt to log in from a device that the account is known to use. Only this device's own failures count, so
    /// no other client can lock the device out, from any address.
    ///
    /// # Errors
    /// [`TooMany`].
    pub fn device(&self, device: Uuid) -> Result<Attempt, TooMany> {
        let key = self.digest(&[b"device", device.as_bytes()]);
        Ok(Attempt { taken: vec![taken(&self.pairs, key)?], known: None })
    }

    /// An attempt at the second factor at a login, after the right password. A known device has a budget of its own.
    ///
    /// # Errors
    /// [`TooMany`].
    pub fn code(&self, user: Uuid, device: Option<Uuid>) -> Result<Attempt, TooMany> {
        let device = device.unwrap_or_default();
        let key = self.digest(&[b"code", user.as_bytes(), device.as_bytes()]);
        Ok(Attempt { taken: vec![taken(&self.codes, key)?], known: None })
    }

    /// An attempt to confirm an action with the password, in this session. Each session has a budget of its own. So a
    /// thief of one session cannot lock the owner out: the owner logs in again and gets another session.
    ///
    /// # Errors
    /// [`TooMany`].
    pub fn confirm(&self, session: Uuid, address: IpAddr) -> Result<Attempt, TooMany> {
        let key = self.digest(&[b"confirm", session.as_bytes()]);
        let attempt = self.from_address(Purpose::Confirm, address)?;
        Ok(attempt.and(Attempt { taken: vec![taken(&self.codes, key)?], known: None }))
    }

    /// An attempt to confirm an action with a code of the second factor, in this session, after the right password. Each
    /// session has a budget of its own, apart from that of logins. So a client that knows the password, and has no session,
    /// cannot keep the owner's sessions from confirming.
    ///
    /// # Errors
    /// [`TooMany`].
    pub fn confirm_code(&self, session: Uuid) -> Result<Attempt, TooMany> {
        let key = self.digest(&[b"confirm code", session.as_bytes()]);
        Ok(Attempt { taken: vec![taken(&self.codes, key)?], known: None })
    }

    /// A mail to this e-mail address, which a client at `address` asks for. The caller drops the attempt, because each
    /// mail costs a unit. Whether a user has the e-mail address makes no difference.
    ///
    /// # Errors
    /// [`TooMany`].
    pub fn mail(&self, email: &str, address: IpAddr) -> Result<Attempt, TooMany> {
        let key = self.digest(&[b"mail", email.as_bytes()]);
        let attempt = self.from_address(Purpose::Mail, address)?;
        Ok(attempt.and(Attempt { taken: vec![taken(&self.mails, key)?], known: None }))
    }

    fn digest(&self, parts: &[&[u8]]) -> Digest {
        let mut hash = Sha256::new_with_prefix(self.salt);
        for part in parts {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        hash.finalize().into()
    }
}

fn taken(budget: &Arc<Budget>, key: Digest) -> Result<(Arc<Budget>, Digest), TooMany> {
    budget.take(&key).map_err(|retry_after| TooMany { retry_after })?;
    Ok((budget.clone(), key))
}

/// Budgets of one size, by key.
struct Budget {
    limiter: RateLimiter<Digest, Spent, QuantaClock, NoOpMiddleware<<QuantaClock as Clock>::Instant>>,
    spent: Spent,
    clock: QuantaClock,
    /// How long it takes until one unit is refilled.
    refill: Duration,
}

impl Budget {
    fn new(size: NonZeroU32, period: Duration) -> Self {
        let refill = (period / size.get()).max(Duration::from_nanos(1));
        let (spent, clock) = (Spent::default(), QuantaClock::default());
        let quota = Quota::with_period(refill).unwrap_or(Quota::per_second(size)).allow_burst(size);
        Self { limiter: RateLimiter::new(quota, spent.clone(), clock.clone()), spent, clock, refill }
    }

    /// Takes one unit, or returns how long to wait for one.
    fn take(&self, key: &Digest) -> Result<(), Duration> {
        if self.spent.len() >= KEPT {
            self.limiter.retain_recent();
            self.spent.make_room();
        }
        self.limiter.check_key(key).map_err(|until| until.wait_time_from(self.clock.now()))
    }

    fn give_back(&self, key: &Digest) {
        if let Some(next) = self.spent.lock().get_mut(key) {
            *next = next.saturating_sub(self.refill.into());
        }
    }
}

/// For each key, the time at which its budget is full again, as governor counts it. governor's own stores cannot give a
/// unit back, so this one replaces them.
#[derive(Clone, Default)]
struct Spent(Arc<Mutex<HashMap<Digest, Nanos>>>);

impl Spent {
    /// One lock for each table of budgets: it is held for one map operation, never across an `await`. A poisoned lock
    /// is used as it is, because a panic leaves the map valid.
    fn lock(&self) -> MutexGuard<'_, HashMap<Digest, Nanos>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// If [`KEPT`] budgets are still in use, removes the half that has spent least.
    fn make_room(&self) {
        let mut spent = self.lock();
        if spent.len() >= KEPT {
            let mut times: Vec<u64> = spent.values().map(|next| next.as_u64()).collect();
            let middle = times.len() / 2;
            let (_, median, _) = times.select_nth_unstable(middle);
            let median = *median;
            spent.retain(|_, next| next.as_u64() > median);
        }
    }
}

impl StateStore for Spent {
    type Key = Digest;

    fn measure_and_replace<T, F, E>(&self, key: &Digest, f: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let mut spent = self.lock();
        let (outcome, next) = f(spent.get(key).copied())?;
        spent.insert(*key, next);
        Ok(outcome)
    }
}

impl ShrinkableKeyedStateStore<Digest> for Spent {
    fn retain_recent(&self, drop_below: Nanos) {
        self.lock().retain(|_, next| *next > drop_below);
    }

    fn len(&self) -> usize {
        self.lock().len()
    }

    fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }
}

#[cfg(test)]
#[path = "limits_tests.rs"]
mod tests;
