//! One connection. A statement runs on it either directly or within a transaction of its own.
//!
//! Invariant `no_session_state`: behind a pooler, larder leaves no state on a connection that outlives a transaction:
//! no `SET`, no named prepared statement, no advisory lock, no LISTEN. So a pooler may give each transaction another
//! server connection.

use std::borrow::Cow;
use std::fmt;
use std::pin::Pin;
use std::time::{Duration, Instant};

use futures_util::stream::{self, BoxStream, StreamExt, TryStreamExt};
use larder::loading::spoil;
use sqlx::any::{AnyArguments, AnyQueryResult, AnyRow, AnyStatement, AnyTypeInfo};
use sqlx::error::BoxDynError;
use sqlx::{Any, AnyConnection, AssertSqlSafe, Connection, Describe, Either, Execute, Executor, SqlStr};

use crate::connecting::opening::opens_transaction;
use crate::dialect::{READ_COMMITTED, READ_COMMITTED_ON_PRIMARY};
use crate::refusal::Refusal;

/// The SQL that opens the transaction around a single statement. `None`: the connection's [`StatementMode`] decides.
pub(super) type BeginSql = Option<&'static str>;
type Answers = Vec<Either<AnyQueryResult, AnyRow>>;
pub(super) type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// How statements run on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StatementMode {
    /// Each statement is prepared once under a name, and autocommitted.
    Direct,
    /// As `Direct`, but each statement runs within a transaction that sets its isolation level.
    InTransaction,
    /// For a pooler in transaction mode: each statement is prepared without a name and runs within a transaction.
    /// Without the transaction the pooler could send the preparation and the execution to two servers.
    Pooled,
}

/// A connection to a database.
///
/// An executor for sqlx's queries. It reads the complete result before it returns the first row.
pub struct SqlConnection {
    inner: AnyConnection,
    mode: StatementMode,
    /// The SQL that opens the transaction around a single statement.
    frame: Cow<'static, str>,
    /// Whether `frame` has a time-out, so that every statement needs it.
    is_limited: bool,
    /// Whether a statement runs. Stays true if the statement's future was dropped before its end, or if the connection
    /// broke.
    is_busy: bool,
    /// Whether a transaction is open.
    is_open: bool,
    /// Whether the server has ended this connection or is a standby: then the pool must open another connection.
    is_spent: bool,
    born: Instant,
    /// The number of the server's life; see `Succession`. `None`: the server does not show it.
    life: Option<u64>,
}

impl SqlConnection {
    pub(crate) fn new(inner: AnyConnection, mode: StatementMode) -> Self {
        let frame = match mode {
            // Behind a pooler each transaction may run on another server, which may be a standby.
            StatementMode::Pooled => READ_COMMITTED_ON_PRIMARY,
            StatementMode::Direct | StatementMode::InTransaction => READ_COMMITTED,
        };
        Self {
            inner,
            mode,
            frame: Cow::Borrowed(frame),
            is_limited: false,
            is_busy: false,
            is_open: false,
            is_spent: false,
            born: Instant::now(),
            life: None,
        }
    }

    pub(super) fn of_life(self, life: Option<u64>) -> Self {
        Self { life, ..self }
    }

    pub(super) fn life(&self) -> Option<u64> {
        self.life
    }

    /// Gives each later statement of this connection this time-out of the server. Each then runs within a transaction of
    /// its own, because a setting of the session would reach other clients if a pooler is in front of the server: a
    /// pooler that keeps prepared statements need not be declared.
    pub(crate) fn limit_statements(&mut self, limit: Duration) {
        self.frame = format!("{}; SET LOCAL statement_timeout = {}", self.frame, limit.as_millis()).into();
        self.is_limited = true;
    }

    /// Opens a transaction with `begin`.
    pub(crate) async fn begin(&mut self, begin: &str) -> Result<(), sqlx::Error> {
        // Set before the first byte is sent: if this future is dropped, the transaction may be open.
        self.is_open = true;
        let begun = self.command(begin).await;
        self.is_open = begun.is_ok() || self.is_busy;
        // It may be inside a transaction that an earlier failure left open: then every later BEGIN would fail too.
        self.is_spent |= begun.is_err();
        begun.map_err(|error| {
            // A standby answers to READ WRITE with "feature not supported".
            let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
            if code.is_none_or(|code| code != "0A000") {
                return error;
            }
            Refusal::standby("the server behind the pooler").into()
        })
    }

    pub(crate) async fn commit(&mut self) -> Result<(), sqlx::Error> {
        let committed = self.command("COMMIT").await;
        // If the commit fails, PostgreSQL ends the transaction and SQLite may not: on a full disk it depends on where the
        // write failed. So the connection is not used again.
        self.is_open = committed.is_err();
        self.is_spent |= committed.is_err();
        committed
    }

    pub(crate) async fn rollback(&mut self) -> Result<(), sqlx::Error> {
        let rolled_back = self.command("ROLLBACK").await;
        self.is_open = rolled_back.is_err();
        rolled_back
    }

    /// Sends a statement without parameters, so the driver does not prepare it.
    async fn command(&mut self, sql: &str) -> Result<(), sqlx::Error> {
        self.is_busy = true;
        let done = self.inner.execute(AssertSqlSafe(sql)).await.map(drop);
        self.note_outcome(&done);
        done
    }

    /// Whether the pool may lend this connection again without a clean-up: no statement runs, no transaction is open,
    /// and the server has not ended the connection.
    pub(super) fn is_clean(&self) -> bool {
        !self.is_busy && !self.is_open && !self.is_spent
    }

    /// Updates the connection's state from a statement's outcome.
    fn note_outcome<T>(&mut self, outcome: &Result<T, sqlx::Error>) {
        use sqlx::Error as E;
        // An error that the database reports leaves the connection usable; the errors below mean that it may be broken.
        self.is_busy =
            matches!(outcome, Err(E::Io(_) | E::Tls(_) | E::Protocol(_) | E::WorkerCrashed | E::BeginFailed));
        let code = match outcome {
            Err(E::Database(error)) => error.code(),
            _ => None,
        };
        // 57P: an operator or a shutdown has ended the connection. 08: the connection behind a pooler broke. 25006: the
        // server is read-only, so it may be a standby.
        self.is_spent |=
            code.is_some_and(|code| code.starts_with("57P") || code.starts_with("08") || code == "25006");
    }

    /// When the connection was opened.
    pub(super) fn born(&self) -> Instant {
        self.born
    }

    /// Ends an unfinished statement and an open transaction of an earlier user.
    ///
    /// # Errors
    /// The connection cannot be used again.
    pub(super) async fn clean(&mut self) -> Result<(), sqlx::Error> {
        if self.is_spent {
            return Err(sqlx::Error::PoolClosed);
        }
        let was_open = self.is_open;
        let rolled_back = self.rollback().await;
        // Outside a transaction PostgreSQL warns and SQLite refuses, which does no harm if none was open. If one was,
        // it may still be open, although the ping would succeed.
        if was_open {
            rolled_back?;
        }
        self.ping().await?;
        (self.is_busy, self.is_open) = (false, false);
        Ok(())
    }

    pub(super) async fn ping(&mut self) -> Result<(), sqlx::Error> {
        self.inner.ping().await
    }

    pub(crate) async fn close(self) -> Result<(), sqlx::Error> {
        self.inner.close().await
    }

    /// The driver's connection, for the migrator.
    pub(crate) fn driver(&mut self) -> &mut AnyConnection {
        &mut self.inner
    }

    /// Runs a statement within a transaction that `frame` opens. Without `frame` the connection's [`StatementMode`]
    /// decides.
    pub(super) async fn run(
        &mut self,
        statement: Statement,
        frame: BeginSql,
    ) -> Result<Answers, sqlx::Error> {
        self.spoil_load();
        let Some(frame) = self.frame_of(&statement, frame) else {
            return self.run_here(statement).await;
        };
        self.begin(&frame).await?;
        let answers = self.run_here(statement).await;
        self.end_frame(answers.is_ok()).await?;
        answers
    }

    /// As [`SqlConnection::run`], for at most one row.
    pub(super) async fn run_optional(
        &mut self,
        statement: Statement,
        frame: BeginSql,
    ) -> Result<Option<AnyRow>, sqlx::Error> {
        self.spoil_load();
        let Some(frame) = self.frame_of(&statement, frame) else {
            return self.run_optional_here(statement).await;
        };
        self.begin(&frame).await?;
        let answer = self.run_optional_here(statement).await;
        self.end_frame(answer.is_ok()).await?;
        answer
    }

    /// Spoils the load that runs this statement if a transaction was open before the statement.
    fn spoil_load(&self) {
        if self.is_open {
            spoil("its loader read inside a transaction that was open already");
        }
    }

    fn frame_of(&self, statement: &Statement, frame: BeginSql) -> Option<Cow<'static, str>> {
        // A statement without parameters is one message, which the server runs as one transaction.
        if self.is_open || statement.arguments.is_none() && !self.is_limited {
            return None;
        }
        let is_framed = self.mode != StatementMode::Direct || self.is_limited;
        let of_mode = || is_framed.then(|| self.frame.clone());
        frame.map(Cow::Borrowed).or_else(of_mode)
    }

    async fn end_frame(&mut self, is_good: bool) -> Result<(), sqlx::Error> {
        if is_good {
            return self.commit().await;
        }
        // The caller gets the statement's own error, not that of the rollback.
        let _ = self.rollback().await;
        Ok(())
    }

    async fn run_here(&mut self, statement: Statement) -> Result<Answers, sqlx::Error> {
        let statement = statement.named(self.mode != StatementMode::Pooled);
        self.is_busy = true;
        // Set before the first byte is sent, in case this future is dropped; and it stays after a failure: if
        // `statement` has several statements, an earlier one may have opened a transaction.
        self.is_open |= opens_transaction(statement.sql.as_str());
        let answers = (&mut self.inner).fetch_many(statement).try_collect().await;
        self.note_outcome(&answers);
        answers
    }

    async fn run_optional_here(&mut self, statement: Statement) -> Result<Option<AnyRow>, sqlx::Error> {
        let statement = statement.named(self.mode != StatementMode::Pooled);
        self.is_busy = true;
        self.is_open |= opens_transaction(statement.sql.as_str());
        let answer = (&mut self.inner).fetch_optional(statement).await;
        self.note_outcome(&answer);
        answer
    }
}

impl fmt::Debug for SqlConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqlConnection").field("mode", &self.mode).finish_non_exhaustive()
    }
}

/// A query in parts, so that it can wait for a connection and can be run without a name.
pub(super) struct Statement {
    sql: SqlStr,
    arguments: Option<AnyArguments>,
    is_named: bool,
}

impl Statement {
    pub(super) fn of<'q>(mut query: impl Execute<'q, Any>) -> Result<Self, sqlx::Error> {
        let arguments = query.take_arguments().map_err(sqlx::Error::Encode)?;
        let is_named = query.persistent();
        Ok(Self { sql: query.sql(), arguments, is_named })
    }

    fn named(self, may_be: bool) -> Self {
        Self { is_named: self.is_named && may_be, ..self }
    }
}

impl Execute<'_, Any> for Statement {
    fn sql(self) -> SqlStr {
        self.sql
    }

    fn statement(&self) -> Option<&AnyStatement> {
        None
    }

    fn take_arguments(&mut self) -> Result<Option<AnyArguments>, BoxDynError> {
        Ok(self.arguments.take())
    }

    fn persistent(&self) -> bool {
        self.is_named
    }
}

/// `answers` as the stream that sqlx expects.
pub(super) fn streamed<'e>(
    answers: impl Future<Output = Result<Answers, sqlx::Error>> + Send + 'e,
) -> BoxStream<'e, Result<Either<AnyQueryResult, AnyRow>, sqlx::Error>> {
    stream::once(answers).map_ok(|answers| stream::iter(answers.into_iter().map(Ok))).try_flatten().boxed()
}

impl<'c> Executor<'c> for &'c mut SqlConnection {
    type Database = Any;

    fn fetch_many<'e, 'q: 'e, E>(
        self,
        query: E,
    ) -> BoxStream<'e, Result<Either<AnyQueryResult, AnyRow>, sqlx::Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Any>,
    {
        let statement = Statement::of(query);
        streamed(async move { self.run(statement?, None).await })
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Option<AnyRow>, sqlx::Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Any>,
    {
        let statement = Statement::of(query);
        Box::pin(async move { self.run_optional(statement?, None).await })
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &[AnyTypeInfo],
    ) -> BoxFuture<'e, Result<AnyStatement, sqlx::Error>>
    where
        'c: 'e,
    {
        let parameters = parameters.to_vec();
        Box::pin(async move { (&mut self.inner).prepare_with(sql, &parameters).await })
    }

    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, Result<Describe<Any>, sqlx::Error>>
    where
        'c: 'e,
    {
        (&mut self.inner).describe(sql)
    }
}
