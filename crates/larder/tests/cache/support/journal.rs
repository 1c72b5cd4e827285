//! A journal for tests: the touches of a table's writers, in the order of their commits.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use larder::journal::{
    Change, ChangeId, Changes, ChangesSince, DatabaseId, Failure, Journal, Position, Touch,
};
use tokio::sync::watch;

/// All clones are one journal of the database `test`.
#[derive(Clone)]
pub(crate) struct Ledger {
    rows: Arc<Mutex<Vec<Touch>>>,
    /// While `true`, every poll waits, like a frozen relay or a hung database.
    frozen: Arc<watch::Sender<bool>>,
    /// The database's identity, and since when it has it.
    name: Arc<Mutex<(String, Option<Instant>)>>,
}

impl Ledger {
    pub(crate) fn new() -> Self {
        Ledger::of("test", Arc::default())
    }

    fn of(name: &str, rows: Arc<Mutex<Vec<Touch>>>) -> Self {
        let name = Arc::new(Mutex::new((name.to_owned(), None)));
        Ledger { rows, frozen: Arc::new(watch::Sender::new(false)), name }
    }

    /// The same database as another instance sees it: identity and freezing are independent.
    pub(crate) fn seen_by_another(&self) -> Self {
        let name = self.name.lock().unwrap().0.clone();
        Ledger::of(&name, self.rows.clone())
    }

    /// Gives the database another identity, like a restart of the server.
    pub(crate) fn rename(&self, name: &str) {
        *self.name.lock().unwrap() = (name.to_owned(), Some(Instant::now()));
    }

    /// Since when the database says that it has its identity.
    pub(crate) fn set_age(&self, age: Duration) {
        self.name.lock().unwrap().1 = Instant::now().checked_sub(age);
    }

    /// Journals a change, as a trigger does when a transaction commits.
    pub(crate) fn note(&self, touch: Touch) -> ChangeId {
        let mut rows = self.rows.lock().unwrap();
        rows.push(touch);
        name(rows.len() - 1)
    }

    pub(crate) fn rows(&self) -> Vec<Touch> {
        self.rows.lock().unwrap().clone()
    }

    pub(crate) fn freeze(&self, is_frozen: bool) {
        self.frozen.send_replace(is_frozen);
    }
}

#[async_trait]
impl Journal for Ledger {
    async fn database(&self) -> Result<DatabaseId, Failure> {
        Ok(DatabaseId { system: self.name.lock().unwrap().0.clone(), timeline: 1 })
    }

    async fn changes_since(&self, position: Option<&Position>) -> Result<ChangesSince, Failure> {
        self.frozen.subscribe().wait_for(|is_frozen| !is_frozen).await?;
        let rows = self.rows();
        let as_change =
            |(nth, touch): (usize, &Touch)| Change { id: name(nth), touches: vec![touch.clone()] };
        let mut changes: Vec<Change> = rows.iter().enumerate().map(as_change).collect();
        let changes = match position.and_then(|position| position.as_str().parse::<usize>().ok()) {
            Some(position) => Changes::Known(changes.split_off(position)),
            None => Changes::Unknown,
        };
        let position = Position::new(rows.len().to_string());
        Ok(ChangesSince { database: self.database().await?, position, changes })
    }

    fn identity_since(&self) -> Option<Instant> {
        self.name.lock().unwrap().1
    }

    async fn append(&self, touches: &[Touch]) -> Result<(), Failure> {
        touches.iter().for_each(|touch| drop(self.note(touch.clone())));
        Ok(())
    }

    async fn prune(&self) -> Result<u64, Failure> {
        Ok(0)
    }
}

/// Each row is one change.
fn name(row: usize) -> ChangeId {
    ChangeId::new(row.to_string())
}
