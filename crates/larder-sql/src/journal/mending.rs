//! Applies the remedies of defects.

use sqlx::Executor as _;

use crate::dialect::Dialect;
use crate::error::Error;
use crate::journal::{Defect, SqlJournal};

impl SqlJournal {
    /// Applies the [remedy](Defect::remedy) of each defect that has one, each in its own transaction. It needs the
    /// rights of the tables' owner. Returns the defects that are left.
    ///
    /// # Errors
    /// As [`SqlJournal::open`]. A remedy that fails is logged, and its defect is among those that are left.
    pub async fn mend(&self) -> Result<Vec<Defect>, Error> {
        for defect in self.inspect().await? {
            if let Some(remedy) = defect.remedy() {
                self.apply(&defect, remedy).await;
            }
        }
        self.inspect().await
    }

    /// Applies one remedy. Returns whether it succeeded.
    pub(super) async fn apply(&self, defect: &Defect, remedy: &str) -> bool {
        let applied = async {
            let mut transaction = self.database.begin_write().await?;
            if self.database.dialect() == Dialect::Postgres {
                // A short time-out: while this transaction waits for the table's lock, writers of the table queue
                // behind it.
                transaction.execute("SET LOCAL lock_timeout = '50ms'").await?;
            }
            transaction.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(remedy))).await?;
            transaction.commit().await.map_err(Error::from)
        };
        let applied = applied.await;
        match &applied {
            Ok(()) => tracing::warn!(%defect, "the journal was incomplete and has been mended"),
            // Only `debug`: the defect also makes the polls fail, and their failure is logged once an episode.
            Err(error) => tracing::debug!(%defect, ?error, "the journal could not be mended"),
        }
        applied.is_ok()
    }
}
