//! How a tier starts: its parts, and what they share.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use tokio::sync::Notify;

use crate::clock::Clock;
use crate::error::Error;
use crate::remote::Listener;
use crate::remote::redis::RedisTier;
use crate::remote::redis::connection::ConnectionSlot;
use crate::remote::redis::inspect::UntrackedPool;
use crate::remote::redis::joint_reads::{JointReads, ReadSource};
use crate::remote::redis::keeper::Keeper;
use crate::remote::redis::leader;
use crate::remote::redis::long_values::LongValues;
use crate::remote::redis::prefix::{DatabaseIdentity, Prefixes};
use crate::remote::redis::relay::Relay;
use crate::remote::redis::scripts::Scripts;
use crate::remote::redis::settings::{IdentitySource, Settings};
use crate::remote::redis::transport::Transport;
use crate::remote::validity::Validity;

impl RedisTier {
    /// Starts the keeper, which dials. Returns at once: at start-up and after each loss, the tier is not usable until a
    /// heartbeat grants it.
    pub(crate) fn start(
        settings: Settings,
        clock: Clock,
        listener: Arc<dyn Listener>,
        validity: Arc<Validity>,
    ) -> Result<Self, Error> {
        let connection_slot = Arc::new(ConnectionSlot::default());
        let heartbeat_at_once = Arc::new(Notify::new());
        let transport = Transport::new(&settings.endpoint, settings.timeout)?;
        let is_rest = settings.endpoint.is_rest();
        let reply_limit = transport.reply_limit();
        let untracked_pool =
            UntrackedPool::new(transport.clone(), settings.pool_size, settings.pool_timeout)?;
        let (journal, installation, identity) = match settings.source {
            IdentitySource::Journal(journal) => (Some(journal), None, DatabaseIdentity::Unknown),
            IdentitySource::Installation(id) => (None, Some(id.clone()), DatabaseIdentity::Installation(id)),
        };
        let (namespace, rules) = (settings.namespace, settings.rules);
        let prefixes = Arc::new(Prefixes::new(
            namespace,
            identity,
            rules,
            (is_rest, settings.membership.clone()),
            journal.clone(),
            (validity.clone(), listener),
        ));
        let relay = journal.map(|journal| Relay {
            id: leader::unique(),
            journal,
            prefixes: prefixes.clone(),
            bound: settings.bound,
            scripts: Scripts::new(),
            rules: settings.rules,
            causes: settings.causes,
            polls: settings.polls.poller(),
            heartbeat_at_once: heartbeat_at_once.clone(),
            last_check: Mutex::default(),
            last_error: Mutex::new(None),
        });
        let keeper = Keeper {
            transport,
            prefixes: prefixes.clone(),
            installation,
            bound: settings.bound,
            clock: clock.clone(),
            connection_slot: connection_slot.clone(),
            validity: validity.clone(),
            heartbeat_at_once: heartbeat_at_once.clone(),
            relay,
            rules: settings.rules,
            condition: settings.condition,
            scripts: Scripts::new(),
            membership: settings.membership.clone(),
            may_hold_guarded: AtomicBool::new(false),
        };
        let keeper = tokio::spawn(keeper.keep()).abort_handle();
        Ok(RedisTier {
            joint_reads: JointReads::start(ReadSource::new(&connection_slot, &prefixes)),
            connection_slot,
            is_rest,
            clock,
            scripts: Scripts::new(),
            prefixes,
            bound: settings.bound,
            validity: validity.clone(),
            heartbeat_at_once,
            rules,
            keeper,
            long_values: LongValues::new(untracked_pool.clone(), reply_limit.clone(), validity),
            untracked_pool,
            reply_limit,
            membership: settings.membership,
        })
    }
}
