//! The origin of a request, which is added to the entries of the audit log that the request causes.

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use crate::domain::api_key::ApiKeyId;
use crate::domain::audit::Event;
use crate::domain::identity::UserId;

tokio::task_local! {
    /// The origin of the request that the present task serves. Each write reads it when it begins, so the use cases
    /// need not pass it as an argument.
    static PRESENT: Arc<RequestOrigin>;
}

/// Where a request comes from. A field that is unknown when the request arrives is set once, as soon as it is known.
#[derive(Debug)]
pub struct RequestOrigin {
    /// The client's address.
    pub address: IpAddr,
    /// The user that the request's credential authenticates.
    pub caller: OnceLock<UserId>,
    /// The API key that authenticates the request.
    pub key: OnceLock<ApiKeyId>,
    /// The user that a failed request concerns, such as the user of a failed login.
    pub target: OnceLock<UserId>,
}

impl RequestOrigin {
    /// A request from this address.
    pub fn of(address: IpAddr) -> Arc<Self> {
        let (caller, key, target) = (OnceLock::new(), OnceLock::new(), OnceLock::new());
        Arc::new(Self { address, caller, key, target })
    }

    /// Runs `serving`, which serves the request with this origin. In it, [`RequestOrigin::present`] returns the origin.
    pub async fn scope<F: Future>(self: Arc<Self>, serving: F) -> F::Output {
        PRESENT.scope(self, serving).await
    }

    /// The origin of the request that this task serves; `None` for a command line, and for background work that runs
    /// without [`RequestOrigin::scope`].
    pub fn present() -> Option<Arc<Self>> {
        PRESENT.try_with(Arc::clone).ok()
    }

    /// Adds the client's address and the API key to the event.
    pub(super) fn on(&self, event: Event) -> Event {
        let event = event.text("address", self.address.to_canonical().to_string());
        match self.key.get() {
            Some(key) => event.text("api_key", key.to_string()),
            None => event,
        }
    }
}
