//! Batches of reads, and the table's statement that loads them.

use std::convert::Infallible;
use std::future::ready;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use larder::class::Class;

use crate::support::{Gate, Table, within};

pub(crate) type Rows = Vec<(u32, Option<u64>)>;

impl Table {
    /// One statement that reads the rows of all `keys`.
    pub(crate) fn load_many(&self, keys: &[u32]) -> Rows {
        let rows = keys.iter().map(|key| (*key, self.row(*key))).collect();
        self.loads.fetch_add(1, Ordering::SeqCst);
        rows
    }
}

/// Reads `keys` in one batch.
pub(crate) async fn read_many(class: &Class<u32, u64>, table: &Arc<Table>, keys: &[u32]) -> Vec<Option<u64>> {
    let load = |keys: Vec<u32>| ready(Ok::<_, Infallible>(table.load_many(&keys)));
    let values = within(class.get_many(keys, load)).await.unwrap();
    values.iter().map(|value| value.as_deref().copied()).collect()
}

/// Begins a batch whose load reads now and returns when the gate opens.
pub(crate) fn held_many(
    class: &Class<u32, u64>,
    table: &Arc<Table>,
    keys: &[u32],
    gate: &Arc<Gate>,
) -> tokio::task::JoinHandle<Vec<Option<u64>>> {
    let (class, table, keys, gate) = (class.clone(), table.clone(), keys.to_vec(), gate.clone());
    tokio::spawn(async move {
        let load = |keys: Vec<u32>| {
            let (table, gate) = (table.clone(), gate.clone());
            async move {
                let rows = table.load_many(&keys);
                gate.wait().await;
                Ok::<_, Infallible>(rows)
            }
        };
        class.get_many(&keys, load).await.unwrap().iter().map(|value| value.as_deref().copied()).collect()
    })
}

pub(crate) fn filled(keys: impl IntoIterator<Item = u32>) -> Arc<Table> {
    let table = Table::new();
    keys.into_iter().for_each(|key| table.write(key, u64::from(key) + 100));
    table
}
