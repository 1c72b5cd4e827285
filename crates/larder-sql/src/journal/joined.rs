//! The journal of a database that the application reads and writes through pools of its own.

use larder::cache::Cache;
use larder::receipt::Receipt;
use sqlx::{PgPool, Postgres, Transaction};
#[cfg(feature = "sqlite")]
use sqlx::{Sqlite, SqlitePool};

use crate::address::url_like;
use crate::connecting::succession::Life;
use crate::database::Database;
use crate::error::Error;
#[cfg(feature = "sqlite")]
use crate::journal::sqlite;
use crate::journal::table::names;
use crate::journal::touched::OwnChanges;
use crate::journal::{OutboxRow, OwnRows, SqlJournal, Table, postgres};
use crate::options::{DatabaseOptions, POOL_SIZE_MIN, Pooler};

/// Which tables the names mean: their oids, with the identity of the server.
const PLACES: &str = "SELECT CAST(system_identifier AS TEXT) || ' ' || (
        SELECT string_agg(COALESCE(CAST(CAST(to_regclass(name) AS OID) AS TEXT), '-'), ' ' ORDER BY nth)
        FROM unnest(string_to_array($1, E'\\x01')) WITH ORDINALITY AS named (name, nth))
    FROM pg_control_system()";

const OTHER_DATABASE: &str = "the transaction is on another database than the journal of the cache, so nothing was \
    committed; use a pool of the database that `SqlJournal::join` was given";

/// A pool of the application, for [`SqlJournal::join`].
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum ApplicationPool<'a> {
    /// Connections to PostgreSQL.
    Postgres(&'a PgPool),
    /// Connections to a SQLite file.
    #[cfg(feature = "sqlite")]
    Sqlite(&'a SqlitePool),
}

/// A transaction of the application, for [`CommitExt::commit`]: one that `Pool::begin` opened.
///
/// A nested transaction does not compile here. It is a savepoint, so its `commit` would commit nothing; and it borrows
/// the outer transaction, so it is not `'static`:
///
/// ```compile_fail
/// async fn nested(mut outer: sqlx::Transaction<'static, sqlx::Postgres>) {
///     use sqlx::Connection;
///     let inner = outer.begin().await.unwrap();
///     let _ = larder_sql::journal::ApplicationTransaction::from(inner);
/// }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum ApplicationTransaction {
    /// On PostgreSQL.
    Postgres(Transaction<'static, Postgres>),
    /// On SQLite.
    #[cfg(feature = "sqlite")]
    Sqlite(Transaction<'static, Sqlite>),
}

impl<'a> From<&'a PgPool> for ApplicationPool<'a> {
    fn from(pool: &'a PgPool) -> Self {
        Self::Postgres(pool)
    }
}

#[cfg(feature = "sqlite")]
impl<'a> From<&'a SqlitePool> for ApplicationPool<'a> {
    fn from(pool: &'a SqlitePool) -> Self {
        Self::Sqlite(pool)
    }
}

impl From<Transaction<'static, Postgres>> for ApplicationTransaction {
    fn from(transaction: Transaction<'static, Postgres>) -> Self {
        Self::Postgres(transaction)
    }
}

#[cfg(feature = "sqlite")]
impl From<Transaction<'static, Sqlite>> for ApplicationTransaction {
    fn from(transaction: Transaction<'static, Sqlite>) -> Self {
        Self::Sqlite(transaction)
    }
}

/// Commits transactions of the application's own sqlx, on the database of the cache's [`SqlJournal`].
pub trait CommitExt {
    /// Commits `transaction`, and invalidates what it touched: reads what the triggers journalled for it, commits,
    /// invalidates on every tier, and returns the receipt with which the application acknowledges the write. On
    /// PostgreSQL, triggers that the transaction has deferred run before the commit.
    ///
    /// If the future is dropped after the commit, the journal carries the invalidation to every instance within the
    /// staleness bound.
    ///
    /// # Errors
    /// An error before the commit rolls the transaction back: a violated constraint, or
    /// [`ErrorKind::NoJournal`](crate::error::ErrorKind::NoJournal) if the cache has no `SqlJournal`, the database has
    /// no outbox, or the transaction is on another database than the journal, or on a former primary. After an error of
    /// the commit itself it is unknown whether the changes were committed.
    fn commit(
        &self,
        transaction: impl Into<ApplicationTransaction> + Send,
    ) -> impl Future<Output = Result<Receipt, Error>> + Send;
}

impl CommitExt for Cache {
    async fn commit(&self, transaction: impl Into<ApplicationTransaction> + Send) -> Result<Receipt, Error> {
        let Some(journal) = self.journal::<SqlJournal>() else {
            return Err(Error::no_journal(
                "the cache was built without a SqlJournal; give it one with `Builder::journal`",
            ));
        };
        let OwnChanges { touches, ids } = journal.commit(transaction.into()).await?;
        Ok(self.committed(&touches, &ids).send().await)
    }
}

impl SqlJournal {
    /// As [`SqlJournal::open`], for the database behind a pool of the application's own sqlx. The journal opens
    /// connections of its own, at most [`POOL_SIZE_MIN`], with the options that the pool has when each is opened: its
    /// search path, and a new password after `set_connect_options`. A pool without cached statements
    /// (`statement_cache_capacity(0)`) counts as one behind a [pooler in transaction mode](Pooler::Transaction).
    ///
    /// # Examples
    ///
    /// A cache in front of an application's own tables:
    ///
    /// ```no_run
    /// use larder::{Cache, Class, Receipt};
    /// use larder_sql::{CommitExt, SqlJournal, Table};
    ///
    /// struct Shop { pool: sqlx::PgPool, cache: Cache, names: Class<i64, String> }
    ///
    /// async fn open(pool: sqlx::PgPool) -> Result<Shop, Box<dyn std::error::Error>> {
    ///     let products = Table::new("products").entry("product_name", ["id"]).unique(["id"]);
    ///     let journal = SqlJournal::join(&pool, vec![products]).await?;
    ///     let cache = Cache::builder("shop").journal(journal.clone()).build().await?;
    ///     let names = cache.class("product_name").open()?;
    ///     journal.verify(&cache).await?;
    ///     Ok(Shop { pool, cache, names })
    /// }
    ///
    /// async fn rename(shop: &Shop, id: i64, name: &str) -> Result<Receipt, Box<dyn std::error::Error>> {
    ///     let mut tx = shop.pool.begin().await?;
    ///     let update = sqlx::query("UPDATE products SET name = $2 WHERE id = $1").bind(id).bind(name);
    ///     update.execute(&mut *tx).await?;
    ///     Ok(shop.cache.commit(tx).await?)
    /// }
    /// ```
    ///
    /// # Errors
    /// As [`Database::open`] and [`SqlJournal::open`]; and
    /// [`ErrorKind::NoJournal`](crate::error::ErrorKind::NoJournal) if the pool's connections find other tables under the
    /// declared names, because `after_connect` sets their search path.
    pub async fn join(pool: impl Into<ApplicationPool<'_>>, tables: Vec<Table>) -> Result<Self, Error> {
        let pool = pool.into();
        let options = match pool {
            ApplicationPool::Postgres(pool) => {
                let url = url_like(pool)?;
                // sqlx cannot use named statements behind a pooler in transaction mode, so this is how its pool is set.
                let is_pooled = url.contains("statement-cache-capacity=0&");
                let pooler = if is_pooled { Pooler::Transaction } else { Pooler::None };
                DatabaseOptions { like: Some(pool.clone()), ..DatabaseOptions::new(url).pooler(pooler) }
            }
            #[cfg(feature = "sqlite")]
            ApplicationPool::Sqlite(pool) => {
                // A database in memory has a name too, such as `file:sqlx-in-memory-0`, which would become a file.
                let file: String = sqlx::query_scalar(sqlite::FILE).fetch_one(pool).await?;
                let url = match file.as_str() {
                    "" => "sqlite::memory:".to_owned(),
                    _ => format!("sqlite://{}", pool.connect_options().get_filename().display()),
                };
                DatabaseOptions::new(url)
            }
        };
        let database = Database::open(&options.pool_size(POOL_SIZE_MIN)).await?;
        let journal = Self::open(&database, tables).await?;
        match pool {
            ApplicationPool::Postgres(pool) => journal.check_places(pool).await?,
            #[cfg(feature = "sqlite")]
            ApplicationPool::Sqlite(_) => {}
        }
        Ok(journal)
    }

    /// Fails if the pool finds other tables under the declared names than the journal does.
    async fn check_places(&self, pool: &PgPool) -> Result<(), Error> {
        let names = format!("larder_outbox\u{1}{}", names(&self.tables));
        let of_pool = sqlx::query_scalar(PLACES).bind(&names).persistent(false);
        // In a transaction: a pooler could send the preparation and the execution of a statement without a name to two
        // servers.
        let mut transaction = pool.begin().await?;
        let of_pool: String = of_pool.fetch_one(&mut *transaction).await?;
        transaction.rollback().await?;
        let own: String = sqlx::query_scalar(PLACES).bind(&names).fetch_one(self.database.readers()).await?;
        if of_pool == own {
            return Ok(());
        }
        Err(Error::no_journal(
            "the pool finds other tables than the journal's connections, because something sets the search path after a \
             connection of the pool is made, such as `after_connect`; set it in the options of the URL \
             (`options=-csearch_path%3Dapp`) or with ALTER ROLE",
        ))
    }

    /// Notes on which server a load reads; see [`Database::note_foreign`].
    pub(crate) fn note_foreign(&self, life: Life) -> Result<(), Error> {
        self.database.note_foreign(life)
    }

    /// Reads the changes of a transaction and commits it.
    async fn commit(&self, transaction: ApplicationTransaction) -> Result<OwnChanges, Error> {
        let completeness = self.database.completeness();
        match transaction {
            ApplicationTransaction::Postgres(mut transaction) => {
                let own = self.own_postgres(&mut transaction).await?;
                let (changed, life) = (own.changed()?, own.life()?);
                transaction.commit().await?;
                // The commit may have waited until another connection met the successor, which does not have it.
                self.database.note_foreign(life).map_err(|_| Error::committed_on_former_primary())?;
                let (OwnRows::Known(_), Some(xid)) = (&changed, &own.unread) else {
                    return Ok(OwnChanges::new(completeness, changed));
                };
                // The transaction is committed, so an error must not hide that: everything is invalidated instead.
                Ok(match self.rows_of_change(&own, xid).await {
                    Ok(rows) => OwnChanges::new(completeness, OwnRows::Known(rows)),
                    Err(error) => {
                        tracing::warn!(%error, "the rows of a SERIALIZABLE transaction cannot be read, so everything is invalidated");
                        OwnChanges::everything()
                    }
                })
            }
            #[cfg(feature = "sqlite")]
            ApplicationTransaction::Sqlite(mut transaction) => {
                let last = sqlite::last_row(&self.database).await?;
                let own = sqlx::query_as(sqlite::OWN).bind(last.id);
                let rows: Vec<sqlite::OwnRow> =
                    own.fetch_all(&mut *transaction).await.map_err(Error::of_outbox)?;
                if rows.first().is_some_and(|row| !row.is_of_file(&last.file)) {
                    return Err(Error::no_journal(OTHER_DATABASE));
                }
                let own = OwnChanges::new(completeness, sqlite::own_rows(completeness, rows));
                transaction.commit().await?;
                Ok(own)
            }
        }
    }

    async fn own_postgres(
        &self,
        transaction: &mut Transaction<'_, Postgres>,
    ) -> Result<postgres::OwnRow, Error> {
        let facts = postgres::facts(self.database.completeness());
        // Not persistent: behind a pooler in transaction mode, a named statement may belong to another connection.
        let own =
            || sqlx::query_as::<_, postgres::OwnRow>(postgres::OWN).bind(facts.clone()).persistent(false);
        let row = own().fetch_one(&mut **transaction).await.map_err(Error::of_own_rows)?;
        if self.identity_age.is_other(&row.system) {
            return Err(Error::no_journal(OTHER_DATABASE));
        }
        self.database.note_foreign(row.life()?)?;
        let Some(run) = row.run_deferred() else { return Ok(row) };
        sqlx::query(run).persistent(false).execute(&mut **transaction).await?;
        own().fetch_one(&mut **transaction).await.map_err(Error::of_own_rows)
    }

    /// The outbox rows of a committed transaction, read on a connection of the journal.
    async fn rows_of_change(&self, own: &postgres::OwnRow, xid: &str) -> Result<Vec<OutboxRow>, Error> {
        let lines = sqlx::query_scalar(postgres::OF_CHANGE).bind(xid);
        let lines: Option<String> =
            lines.fetch_one(self.database.readers()).await.map_err(Error::of_outbox)?;
        own.rows(lines.as_deref())
    }
}
