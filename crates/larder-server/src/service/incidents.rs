//! Events that change nothing in the database but belong in the audit log: refused requests, failed logins, and
//! interventions in the cache (an invalidation by hand, a class that is switched on or off).
//!
//! Invariant `one_write_a_second`: the events of all requests cost at most one transaction a second. Equal events are
//! one entry with their number. After `KEPT` different entries, further events are counted without user, key and
//! address: one entry for each action and code.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::domain::api_key::ApiKeyId;
use crate::domain::audit::{Action, Actor, Event};
use crate::domain::identity::UserId;
use crate::service::Service;
use crate::service::error::ServiceError;
use crate::service::refusal::Refusal;
use crate::store::origin::RequestOrigin;
use crate::store::writing::ByJournal;

/// How long events are collected before they are written.
const PAUSE: Duration = Duration::from_secs(1);
/// The greatest number of different events that are kept with user, key and address during one pause.
const KEPT: usize = 100;

/// The code of the answer to a login that lacks the code of the second factor; `api/codes.rs` has it.
const SECOND_FACTOR_NEEDED: &str = "second_factor_needed";

/// An event, without the number of its occurrences.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Incident {
    action: Action,
    /// The code of the refusal, or the intervention in the cache.
    what: String,
    actor: Option<UserId>,
    target: Option<UserId>,
    key: Option<ApiKeyId>,
    address: Option<IpAddr>,
}

/// The events that are not written yet, each with its number. The lock is never held across an `await`.
#[derive(Default)]
pub struct Incidents(Mutex<HashMap<Incident, i64>>);

impl Incidents {
    /// Counts an event. Returns whether it is the first event since the last write; if so, the caller has to schedule
    /// the next write.
    fn count(&self, incident: Incident) -> bool {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_first = counts.is_empty();
        let incident = match counts.len() >= KEPT && !counts.contains_key(&incident) {
            true => Incident { actor: None, target: None, key: None, address: None, ..incident },
            false => incident,
        };
        *counts.entry(incident).or_default() += 1;
        is_first
    }

    fn take(&self) -> HashMap<Incident, i64> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Service {
    /// Notes that a request was refused with this code. A request without any credential is no event.
    pub fn note_refusal(&self, origin: &RequestOrigin, status: u16, code: &str) {
        let is = |refusal: Refusal| refusal.code() == code;
        let action = match status {
            _ if is(Refusal::CredentialMissing) => return,
            _ if is(Refusal::LoginWrong) || is(Refusal::LoginCodeWrong) || is(Refusal::AccountInactive) => {
                Action::LoginFail
            }
            _ if code == SECOND_FACTOR_NEEDED => Action::LoginCodeMissing,
            401 => Action::CredentialRefuse,
            403 => Action::RequestRefuse,
            _ => Action::RequestLimit,
        };
        self.note(action, code.to_owned(), Some(origin));
    }

    /// Notes an intervention in the cache.
    pub(crate) fn note_intervention(&self, action: Action, what: impl Into<String>) {
        self.note(action, what.into(), RequestOrigin::present().as_deref());
    }

    fn note(&self, action: Action, what: String, origin: Option<&RequestOrigin>) {
        let incident = Incident {
            action,
            what,
            actor: origin.and_then(|origin| origin.caller.get().copied()),
            target: origin.and_then(|origin| origin.target.get().copied()),
            key: origin.and_then(|origin| origin.key.get().copied()),
            address: origin.map(|origin| origin.address.to_canonical()),
        };
        if self.incidents.count(incident) {
            let service = self.clone();
            tokio::spawn(async move {
                tokio::time::sleep(PAUSE).await;
                service.write_incidents().await;
            });
        }
    }

    /// Writes the events of the last pause into the log of the process and into the audit log.
    pub async fn write_incidents(&self) {
        let counts = self.incidents.take();
        let events: Vec<_> = counts.iter().map(|(incident, count)| logged(incident, *count)).collect();
        if events.is_empty() {
            return;
        }
        let write = self.store.write(Actor::Nobody, ByJournal, move |tx| async move {
            Ok::<_, ServiceError>(tx.record_events(&events).await?)
        });
        if let Err(error) = write.await {
            tracing::warn!(%error, "refusals could not be written into the audit log");
        }
    }
}

/// Writes the incident into the log of the process, with ids and without names, and returns its event for the audit
/// log.
fn logged(incident: &Incident, count: i64) -> (Actor, Event) {
    let Incident { action, what, actor, target, key, address } = incident;
    let [user, target_user] = [actor, target].map(|id| id.map(|id| id.to_string()));
    let [key, address] = [key.map(|key| key.to_string()), address.map(|address| address.to_string())];
    let action_name = action.as_str();
    tracing::info!(action = action_name, what, count, user, target_user, key, address, "noted");
    let event = match target {
        Some(target) => Event::on(*action, *target),
        None => Event::of(*action),
    };
    let mut event = event.text("code", what.clone()).number("count", count);
    for (name, text) in [("api_key", key), ("address", address)] {
        event = text.into_iter().fold(event, |event, text| event.text(name, text));
    }
    (actor.map_or(Actor::Nobody, Actor::User), event)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_number_of_refusals_costs_a_bounded_number_of_entries() {
        let incidents = Incidents::default();
        let of = |number: u32| Incident {
            action: Action::LoginFail,
            what: "login_wrong".to_owned(),
            actor: None,
            target: None,
            key: None,
            address: Some(IpAddr::from(number.to_be_bytes())),
        };
        assert!(incidents.count(of(0)), "a write has to follow");
        assert!((0..10_000).all(|number| !incidents.count(of(number))));
        let counts = incidents.take();
        assert_eq!((counts.len(), counts.values().sum::<i64>()), (KEPT + 1, 10_001));
        assert_eq!(counts[&of(0)], 2);
        assert!(incidents.count(of(1)));
    }
}
