//! The connection that larder lends to a loader. It is in no transaction.

use std::fmt;
use std::sync::Arc;

use larder::class::Class;
use larder::key::Key;
use serde::{Serialize, de::DeserializeOwned};

use crate::connecting::connection::SqlConnection;
use crate::connecting::pool::PooledConnection;
use crate::database::Database;
use crate::error::Error;

/// A connection for a loader's statements, each autocommitted. It returns to the pool when it is dropped.
pub struct ReadConnection {
    loan: PooledConnection,
    database: Database,
}

impl fmt::Debug for ReadConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadConnection").field("database", &self.database).finish_non_exhaustive()
    }
}

impl ReadConnection {
    pub(crate) fn new(loan: PooledConnection, database: &Database) -> Self {
        ReadConnection { loan, database: database.clone() }
    }

    /// The executor for one statement. Counts the statement.
    pub fn statement(&mut self) -> &mut SqlConnection {
        self.database.count();
        &mut self.loan
    }
}

impl Database {
    /// Lends a connection for a loader's statements. Each statement sees every commit before it began.
    ///
    /// # Errors
    /// There is no connection in time.
    pub async fn read_connection(&self) -> Result<ReadConnection, Error> {
        Ok(ReadConnection::new(self.readers().acquire().await?, self))
    }

    /// [`Class::get_or_load`] with a loader that gets its connection from this database's pool, so the loader cannot
    /// read in a transaction of its caller. `query` returns a `V` or an `Option<V>`.
    ///
    /// # Errors
    /// As [`Class::get_or_load`]. The loader's error is an [`Error`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn room(database: &larder_sql::database::Database) -> Result<(), Box<dyn std::error::Error>> {
    /// use larder::cache::Cache;
    ///
    /// let cache = Cache::builder("hotel").build().await?;
    /// let rooms = cache.class::<i64, String>("rooms").open()?;
    /// let name = |mut read: larder_sql::ReadConnection| async move {
    ///     let query = sqlx::query_scalar("SELECT name FROM rooms WHERE id = $1").bind(7_i64);
    ///     query.fetch_optional(read.statement()).await
    /// };
    /// let room = database.get_or_query(&rooms, &7, name).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn get_or_query<K, V, Q, F, T, E>(
        &self,
        class: &Class<K, V>,
        key: &K,
        query: Q,
    ) -> Result<Option<Arc<V>>, larder::error::Error>
    where
        K: Key + ?Sized,
        V: Serialize + DeserializeOwned + Send + Sync + 'static,
        Q: FnOnce(ReadConnection) -> F + Send + 'static,
        F: Future<Output = Result<T, E>> + Send + 'static,
        T: larder::IntoLoaded<V>,
        E: Into<Error>,
    {
        let load = || {
            let database = self.clone();
            async move { query(database.read_connection().await?).await.map_err(E::into) }
        };
        class.get_or_load(key, load).await
    }
}
