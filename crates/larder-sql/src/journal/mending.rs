//! Applying the remedies of defects.

use sqlx::Executor as _;

use crate::dialect::Dialect;
use crate::error::Error;
use crate::journal::{Defect, SqlJournal};

impl SqlJournal {
    /// Applies the [remedies](Defect::remedy) of all defects that have one, each in a transaction of its own that waits
    /// up to 50 ms for its locks, because writers queue behind it. Needs the rights of the tables' owner. Says what is left.
    ///
    /// # Errors
    /// As [`SqlJournal::open`]; a remedy that fails is logged and its defect left.
    pub async fn mend(&self) -> Result<Vec<Defect>, Error> {
        for defect in self.inspect().await? {
            if let Some(remedy) = defect.remedy() {
                self.apply(&defect, remedy).await;
            }
        }
        self.inspect().await
    }

    /// Says whether it succeeded.
    pub(super) async fn apply(&self, defect: &Defect, remedy: &str) -> bool {
        let applied = async {
            let mut transaction = self.database.begin_write().await?;
            if self.database.dialect() == Dialect::Postgres {
                // Writers queue behind a lock that is waited for.
                transaction.execute("SET LOCAL lock_timeout = '50ms'").await?;
            }
            transaction.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(remedy))).await?;
            transaction.commit().await.map_err(Error::from)
        };
        let applied = applied.await;
        match &applied {
            Ok(()) => tracing::warn!(%defect, "the journal was incomplete and has been mended"),
            // The pass that fails for it is logged, once an episode.
            Err(error) => tracing::debug!(%defect, ?error, "the journal could not be mended"),
        }
        applied.is_ok()
    }
}
