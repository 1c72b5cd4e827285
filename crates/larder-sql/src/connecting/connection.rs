//! One connection, and how statements run on it: as they are, or each within a transaction of its own.
//!
//! Invariant `no_session_state`: larder sets nothing on a pooled connection that outlives a transaction: no `SET`, no prepared
//! statement with a name, no advisory lock, no LISTEN. So a pooler may give each transaction another server connection.

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

/// What opens the transaction around a single statement, whatever the connection's manner.
pub(super) type BeginSql = Option<&'static str>;
type Answers = Vec<Either<AnyQueryResult, AnyRow>>;
pub(super) type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// How statements run on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StatementMode {
    /// Prepared once, kept by name, autocommitted.
    Direct,
    /// The same, each within a transaction that says its isolation level.
    InTransaction,
    /// Through a pooler in transaction mode: prepared without a name, and each within a transaction, for else the pooler might
    /// send what prepares it and what runs it to two servers.
    Pooled,
}

/// A connection to a database.
///
/// An executor for sqlx's queries. What it brings is complete before the first row is handed out.
pub struct SqlConnection {
    inner: AnyConnection,
    mode: StatementMode,
    /// What opens the transaction around a single statement.
    frame: Cow<'static, str>,
    /// A statement is under way: true for good when its future was dropped half-way or the connection broke.
    is_busy: bool,
    /// A transaction was opened and not ended.
    is_open: bool,
    /// The server has said that it ends this connection, or that it only reads: another one is to be opened.
    is_spent: bool,
    born: Instant,
}

impl SqlConnection {
    pub(crate) fn new(inner: AnyConnection, mode: StatementMode) -> Self {
        let frame = match mode {
            // Behind a pooler the server may become another one at any transaction.
            StatementMode::Pooled => READ_COMMITTED_ON_PRIMARY,
            StatementMode::Direct | StatementMode::InTransaction => READ_COMMITTED,
        };
        Self {
            inner,
            mode,
            frame: Cow::Borrowed(frame),
            is_busy: false,
            is_open: false,
            is_spent: false,
            born: Instant::now(),
        }
    }

    /// From here on the server gives up on each statement after `limit`.
    ///
    /// # Errors
    /// The server's.
    pub(crate) async fn limit_statements(&mut self, limit: Duration) -> Result<(), sqlx::Error> {
        let millis = limit.as_millis();
        if self.mode == StatementMode::Direct {
            // The session is ours alone: this connection never returns to a pool.
            let set = AssertSqlSafe(format!("SET statement_timeout = {millis}"));
            return self.inner.execute(set).await.map(drop);
        }
        self.frame = format!("{}; SET LOCAL statement_timeout = {millis}", self.frame).into();
        Ok(())
    }

    /// Opens a transaction with `begin`.
    pub(crate) async fn begin(&mut self, begin: &str) -> Result<(), sqlx::Error> {
        // From the first byte on: if this future is dropped, the transaction may be open.
        self.is_open = true;
        let begun = self.command(begin).await;
        self.is_open = begun.is_ok() || self.is_busy;
        begun.map_err(|error| {
            // What a standby answers to READ WRITE: "feature not supported".
            let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
            if code.is_none_or(|code| code != "0A000") {
                return error;
            }
            self.is_spent = true;
            Refusal::standby("the server behind the pooler").into()
        })
    }

    pub(crate) async fn commit(&mut self) -> Result<(), sqlx::Error> {
        let committed = self.command("COMMIT").await;
        // PostgreSQL ends the transaction also when the commit fails, SQLite does not.
        self.is_open = committed.is_err();
        committed
    }

    pub(crate) async fn rollback(&mut self) -> Result<(), sqlx::Error> {
        let rolled_back = self.command("ROLLBACK").await;
        self.is_open = rolled_back.is_err();
        rolled_back
    }

    /// A statement without parameters, which is sent as it is and never prepared.
    async fn command(&mut self, sql: &str) -> Result<(), sqlx::Error> {
        self.is_busy = true;
        let done = self.inner.execute(AssertSqlSafe(sql)).await.map(drop);
        self.note_outcome(&done);
        done
    }

    /// Whether the pool may lend it again without cleaning: no statement is under way, no transaction is open, the server has not
    /// ended it.
    pub(super) fn is_clean(&self) -> bool {
        !self.is_busy && !self.is_open && !self.is_spent
    }

    /// What a statement's outcome says of the connection.
    fn note_outcome<T>(&mut self, outcome: &Result<T, sqlx::Error>) {
        use sqlx::Error as E;
        // The database's own refusals leave a connection as it was.
        self.is_busy =
            matches!(outcome, Err(E::Io(_) | E::Tls(_) | E::Protocol(_) | E::WorkerCrashed | E::BeginFailed));
        let code = match outcome {
            Err(E::Database(error)) => error.code(),
            _ => None,
        };
        // Ended by the operator or by a shutdown, broken behind a pooler, or a server that was fenced or replaced by a standby.
        self.is_spent |=
            code.is_some_and(|code| code.starts_with("57P") || code.starts_with("08") || code == "25006");
    }

    /// When it was opened.
    pub(super) fn born(&self) -> Instant {
        self.born
    }

    /// Ends what an earlier user left half-way.
    ///
    /// # Errors
    /// The connection is of no more use.
    pub(super) async fn clean(&mut self) -> Result<(), sqlx::Error> {
        if self.is_spent {
            return Err(sqlx::Error::PoolClosed);
        }
        // Outside of a transaction PostgreSQL warns and SQLite refuses; the ping after it says whether the connection lives.
        let _ = self.rollback().await;
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

    /// The driver's own connection, for the migrator.
    pub(crate) fn driver(&mut self) -> &mut AnyConnection {
        &mut self.inner
    }

    /// Runs a statement, within a transaction that `frame` opens if there is one, else as the connection's manner has it.
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

    /// What a load reads in a transaction that was open before its statement is not kept.
    fn spoil_load(&self) {
        if self.is_open {
            spoil("its loader read inside a transaction that was open already");
        }
    }

    fn frame_of(&self, statement: &Statement, frame: BeginSql) -> Option<Cow<'static, str>> {
        // What has no parameters is one message, and so one transaction, in any case.
        if self.is_open || statement.arguments.is_none() {
            return None;
        }
        let of_mode = || (self.mode != StatementMode::Direct).then(|| self.frame.clone());
        frame.map(Cow::Borrowed).or_else(of_mode)
    }

    async fn end_frame(&mut self, is_good: bool) -> Result<(), sqlx::Error> {
        if is_good {
            return self.commit().await;
        }
        // The statement's own failure is the one to be heard of.
        let _ = self.rollback().await;
        Ok(())
    }

    async fn run_here(&mut self, statement: Statement) -> Result<Answers, sqlx::Error> {
        let statement = statement.named(self.mode != StatementMode::Pooled);
        self.is_busy = true;
        let opens = opens_transaction(statement.sql.as_str());
        let answers = (&mut self.inner).fetch_many(statement).try_collect().await;
        self.note_outcome(&answers);
        // Also after a failure: of several statements one may have opened it.
        self.is_open |= opens;
        answers
    }

    async fn run_optional_here(&mut self, statement: Statement) -> Result<Option<AnyRow>, sqlx::Error> {
        let statement = statement.named(self.mode != StatementMode::Pooled);
        self.is_busy = true;
        let opens = opens_transaction(statement.sql.as_str());
        let answer = (&mut self.inner).fetch_optional(statement).await;
        self.note_outcome(&answer);
        self.is_open |= opens;
        answer
    }
}

impl fmt::Debug for SqlConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqlConnection").field("mode", &self.mode).finish_non_exhaustive()
    }
}

/// A query taken apart, so that it can wait for a connection and be run without a name.
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

/// What `answers` will bring, as sqlx hands it out.
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
