//! A database, perhaps a Redis, and the service that runs on them.

use std::net::SocketAddr;
use std::sync::Arc;

use larder_testbed::{Database, Postgres, PostgresUrl, Redis, Sqlite};
use serde_json::{Value, json};

use crate::support::client::Client;
use crate::support::exposition::Metrics;
use crate::support::larder::{Ended, Larder};

pub(crate) const ADMIN_EMAIL: &str = "boss@example.com";
pub(crate) const ADMIN_PASSWORD: &str = "the first of all passwords";
/// The password of every user that [`TestApp::user`] registers.
pub(crate) const PASSWORD: &str = "correct horse battery";

/// Declares, for each `fn name(app: &TestApp)`, a test on every database, with and without Redis.
macro_rules! on_every_stack {
    ($($name:ident),+ $(,)?) => {
        crate::support::app::on_stacks!([sqlite_memory, sqlite_redis, postgres_memory, postgres_redis], $($name),+);
    };
}

/// Declares, for each `fn name(app: &TestApp)`, a test on SQLite with memory alone and on PostgreSQL with Redis.
macro_rules! on_both_databases {
    ($($name:ident),+ $(,)?) => {
        crate::support::app::on_stacks!([sqlite_memory, postgres_redis], $($name),+);
    };
}

/// Declares, for each `fn name(app: &TestApp)`, a test on every database, with Redis.
macro_rules! on_redis {
    ($($name:ident),+ $(,)?) => {
        crate::support::app::on_stacks!([sqlite_redis, postgres_redis], $($name),+);
    };
}

macro_rules! on_stacks {
    ([$stack:ident $(, $more:ident)*], $($name:ident),+) => {
        mod $stack {
            $(#[test]
            fn $name() {
                super::$name(&crate::support::app::Stack::$stack().start());
            })+
        }
        crate::support::app::on_stacks!([$($more),*], $($name),+);
    };
    ([], $($name:ident),+) => {};
}
pub(crate) use {on_both_databases, on_every_stack, on_redis, on_stacks};

enum Data {
    Sqlite(Sqlite),
    Postgres(Database),
}

/// The servers and settings that the instances of a test share.
pub(crate) struct Stack {
    data: Data,
    redis: Option<Redis>,
    redis_url: Option<String>,
    settings: Vec<(&'static str, String)>,
    /// A command of the shell before an instance starts in the same process.
    prelude: Option<String>,
}

impl Stack {
    pub(crate) fn sqlite_memory() -> Self {
        Self {
            data: Data::Sqlite(Sqlite::fresh().unwrap()),
            redis: None,
            redis_url: None,
            settings: Vec::new(),
            prelude: None,
        }
    }

    pub(crate) fn sqlite_redis() -> Self {
        Self::sqlite_memory().with_redis()
    }

    pub(crate) fn postgres_memory() -> Self {
        Self::postgres_on(&Postgres::shared().unwrap())
    }

    pub(crate) fn postgres_redis() -> Self {
        Self::postgres_memory().with_redis()
    }

    /// Creates a fresh database on this server.
    pub(crate) fn postgres_on(server: &PostgresUrl) -> Self {
        let database = Database::fresh(server).unwrap();
        let data = Data::Postgres(database);
        Self { data, redis: None, redis_url: None, settings: Vec::new(), prelude: None }
    }

    fn with_redis(self) -> Self {
        let redis = Redis::start().unwrap();
        Self { redis_url: Some(redis.url()), redis: Some(redis), ..self }
    }

    /// Configures this address of Redis; a test can name one where no Redis runs.
    pub(crate) fn with_redis_at(self, url: String) -> Self {
        Self { redis_url: Some(url), ..self }
    }

    /// Adds a setting to every instance.
    pub(crate) fn with_setting(mut self, name: &'static str, value: &str) -> Self {
        self.settings.push((name, value.to_owned()));
        self
    }

    /// Runs this command of the shell before each instance, in the same process: one that sets a limit.
    pub(crate) fn after(self, prelude: &str) -> Self {
        Self { prelude: Some(prelude.to_owned()), ..self }
    }

    /// Starts the first instance.
    pub(crate) fn start(self) -> TestApp {
        TestApp::start(Arc::new(self))
    }

    pub(crate) fn database_url(&self) -> String {
        match &self.data {
            Data::Sqlite(sqlite) => sqlite.url(),
            Data::Postgres(database) => database.url(),
        }
    }

    /// Runs SQL as software does that does not know larder.
    pub(crate) fn sql(&self, statement: &str) -> String {
        match &self.data {
            Data::Sqlite(sqlite) => sqlite.sql(statement).unwrap(),
            Data::Postgres(database) => database.sql(statement).unwrap(),
        }
    }

    pub(crate) fn redis(&self) -> &Redis {
        self.redis.as_ref().unwrap()
    }
}

/// One instance of the service.
pub(crate) struct TestApp {
    // Fields drop in this order: the process ends before its database is dropped.
    pub(crate) larder: Larder,
    pub(crate) stack: Arc<Stack>,
    pub(crate) address: SocketAddr,
}

impl TestApp {
    fn start(stack: Arc<Stack>) -> Self {
        let mut larder = Self::spawn(&stack);
        let address = larder.line("Listening on http://").parse().unwrap();
        Self { larder, stack, address }
    }

    fn spawn(stack: &Stack) -> Larder {
        Self::spawn_with(stack, &[])
    }

    /// Starts an instance; a setting in `own` overrides the stack's.
    fn spawn_with(stack: &Stack, own: &[(&str, &str)]) -> Larder {
        let database_url = stack.database_url();
        let redis_url = stack.redis_url.clone().unwrap_or_default();
        let settings = [
            ("LARDER_LISTEN", "127.0.0.1:0"),
            ("DATABASE_URL", database_url.as_str()),
            ("REDIS_URL", redis_url.as_str()),
            ("LARDER_ADMIN_EMAIL", ADMIN_EMAIL),
            ("LARDER_ADMIN_PASSWORD", ADMIN_PASSWORD),
            ("RUST_LOG", "debug"),
            // Without it each of some hundred stops would take seconds.
            ("LARDER_STOP_DELAY", "0"),
        ];
        // On a busy machine one answer of Redis can take longer than the default, and then the read runs its loader. A
        // test that counts hits would count that.
        let patient = stack.redis_url.is_some().then_some(("LARDER_REDIS_BUDGET", "5"));
        let settings = settings.into_iter().chain(patient);
        let more = stack.settings.iter().map(|(name, value)| (*name, value.as_str()));
        let settings: Vec<_> = settings.chain(more).chain(own.iter().copied()).collect();
        let folder = std::env::temp_dir();
        match &stack.prelude {
            None => Larder::start(&["serve"], &folder, &settings),
            Some(prelude) => Larder::start_after(prelude, &["serve"], &folder, &settings),
        }
    }

    /// Starts two instances at the same time.
    pub(crate) fn start_two(stack: Stack) -> [Self; 2] {
        let stack = Arc::new(stack);
        [Self::spawn(&stack), Self::spawn(&stack)].map(|mut larder| {
            let address = larder.line("Listening on http://").parse().unwrap();
            Self { larder, stack: stack.clone(), address }
        })
    }

    /// Starts another instance on the same database and Redis.
    pub(crate) fn second_instance(&self) -> Self {
        Self::start(self.stack.clone())
    }

    /// Starts another instance on the same database and Redis, with one setting of its own.
    pub(crate) fn instance_with(&self, name: &str, value: &str) -> Self {
        let mut larder = Self::spawn_with(&self.stack, &[(name, value)]);
        let address = larder.line("Listening on http://").parse().unwrap();
        Self { larder, stack: self.stack.clone(), address }
    }

    /// Runs another command of the binary on the same database.
    pub(crate) fn command(&self, arguments: &[&str]) -> Ended {
        Larder::command(arguments, &[("DATABASE_URL", &self.stack.database_url())])
    }

    pub(crate) fn has_redis(&self) -> bool {
        self.stack.redis.is_some()
    }

    /// Returns a client without a token.
    pub(crate) fn anonymous(&self) -> Client {
        Client::anonymous(self.address)
    }

    /// Returns a client of this instance with the same token.
    pub(crate) fn here(&self, client: &Client) -> Client {
        Client { address: self.address, ..client.clone() }
    }

    /// Logs in as the first superadmin, which the first start creates.
    pub(crate) fn admin(&self) -> Client {
        self.login(&json!({ "email": ADMIN_EMAIL, "password": ADMIN_PASSWORD }))
    }

    /// Scrapes this instance, and checks each line.
    pub(crate) fn metrics(&self) -> Metrics {
        Metrics::parse(self.admin().get("/metrics").expect(200).text())
    }

    /// Registers `name`, whose address is at example.com, and logs in.
    pub(crate) fn user(&self, name: &str) -> Client {
        let email = format!("{name}@example.com");
        let body = json!({ "email": email, "username": name, "password": PASSWORD });
        self.anonymous().post("/api/v1/auth/register", &body).expect(201);
        self.login(&json!({ "email": email, "password": PASSWORD }))
    }

    /// Creates a user with a role, and logs in.
    pub(crate) fn user_with_role(&self, name: &str, role: &str) -> Client {
        let email = format!("{name}@example.com");
        let body = json!({ "email": email, "username": name, "password": PASSWORD, "role": role });
        let admin = self.admin();
        admin.post("/api/v1/users", &admin.confirmed(&body)).expect(201);
        self.login(&json!({ "email": email, "password": PASSWORD }))
    }

    /// Creates a user without a password as an admin; returns the answer's body.
    pub(crate) fn plain_user(&self, admin: &Client, name: &str) -> Value {
        let body = json!({ "email": format!("{name}@example.com"), "username": name });
        admin.post("/api/v1/users", &body).expect(201).json()
    }

    /// Opens a session.
    pub(crate) fn login(&self, credentials: &Value) -> Client {
        let granted = self.anonymous().post("/api/v1/auth/login", credentials).expect(200);
        let client = self.anonymous().with_token(&granted.field("access_token"));
        let id = client.get("/api/v1/auth/validate").expect(200).field("user_id");
        let password = credentials["password"].as_str().unwrap_or_default().to_owned();
        Client { id, refresh_token: granted.field("refresh_token"), password, ..client }
    }

    /// Opens another session of a user that [`TestApp::user`] registered.
    pub(crate) fn again(&self, name: &str) -> Client {
        self.login(&json!({ "username": name, "password": PASSWORD }))
    }
}
