//! Loaders whose own transaction sets the reader's rights: row-level security of PostgreSQL.

use std::sync::Arc;

use larder::{Cache, Class, cached};
use larder_testbed::Postgres;
use sqlx::PgPool;

const SCHEMA: &str = "
    CREATE TABLE notes (tenant BIGINT, id BIGINT, text TEXT NOT NULL, PRIMARY KEY (tenant, id));
    INSERT INTO notes VALUES (1, 7, 'of tenant 1'), (2, 7, 'of tenant 2'), (2, 8, 'of tenant 2 alone');
    ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
    CREATE POLICY own ON notes USING (tenant = current_setting('app.tenant')::bigint)";

#[derive(Clone)]
struct Notes {
    pool: PgPool,
    tenant: i64,
    /// The owner of the table sees every row, so a load takes this role.
    role: String,
    texts: Class<(i64, i64), String>,
}

impl Notes {
    /// The tenant is a part of the key: without it, tenants would read each other's entries.
    #[cached(class = self.texts, key = (self.tenant, id))]
    async fn text(&self, id: i64) -> anyhow::Result<Option<Arc<String>>> {
        // The transaction begins in the load, so it sees what was committed before it.
        let mut tx = self.pool.begin().await?;
        for (name, value) in [("role", self.role.clone()), ("app.tenant", self.tenant.to_string())] {
            // As SET LOCAL does, until the end of the transaction.
            sqlx::query("SELECT set_config($1, $2, true)").bind(name).bind(value).execute(&mut *tx).await?;
        }
        let text = sqlx::query_scalar("SELECT text FROM notes WHERE id = $1").bind(id);
        let text = text.fetch_optional(&mut *tx).await?;
        tx.rollback().await?;
        Ok(text.map(Arc::new))
    }
}

#[tokio::test]
async fn a_tenant_reads_its_own_rows_and_entries_alone() {
    let database = larder_testbed::Database::fresh(&Postgres::shared().unwrap()).unwrap();
    database.sql(SCHEMA).unwrap();
    // Roles belong to the server, which other tests use too.
    let role = format!("larder_reader_{}", std::process::id());
    database.sql(&format!("CREATE ROLE {role}; GRANT SELECT ON notes TO {role}")).unwrap();
    let pool = PgPool::connect(&database.url()).await.unwrap();
    let cache = Cache::builder("tenants").build().await.unwrap();
    let texts = cache.class("note").open().unwrap();
    let [one, two] =
        [1, 2].map(|tenant| Notes { pool: pool.clone(), tenant, role: role.clone(), texts: texts.clone() });
    for loads in [3, 3] {
        assert_eq!(one.text(7).await.unwrap().as_deref().map(String::as_str), Some("of tenant 1"));
        assert_eq!(two.text(7).await.unwrap().as_deref().map(String::as_str), Some("of tenant 2"));
        assert_eq!(two.text(8).await.unwrap().as_deref().map(String::as_str), Some("of tenant 2 alone"));
        assert_eq!((texts.stats().loads, texts.stats().loads_spoiled), (loads, 0));
    }
    assert_eq!(one.text(8).await.unwrap(), None, "a row of tenant 2");
    // Nothing of the load's transaction stays on the pool's connection.
    let left = sqlx::query_scalar::<_, String>("SELECT current_setting('role')").fetch_one(&pool).await;
    assert_eq!(left.unwrap(), "none");

    database.sql("UPDATE notes SET text = 'new' WHERE tenant = 1").unwrap();
    let _ = texts.invalidate(&(1, 7)).await;
    assert_eq!(one.text(7).await.unwrap().as_deref().map(String::as_str), Some("new"));
    database.sql(&format!("DROP OWNED BY {role}; DROP ROLE {role}")).unwrap();
}

#[tokio::test]
async fn one_value_of_a_database_needs_no_key() {
    let database = larder_testbed::Database::fresh(&Postgres::shared().unwrap()).unwrap();
    database.sql("CREATE TABLE settings (theme TEXT); INSERT INTO settings VALUES ('blue')").unwrap();
    let pool = PgPool::connect(&database.url()).await.unwrap();
    let cache = Cache::builder("one").build().await.unwrap();
    let load = move |()| {
        let pool = pool.clone();
        async move { sqlx::query_scalar::<_, String>("SELECT theme FROM settings").fetch_one(&pool).await }
    };
    let theme = cache.class::<(), String>("theme").loaded_by(load).open().unwrap();
    for _ in 0..2 {
        assert_eq!(theme.fetch(&()).await.unwrap().as_deref().map(String::as_str), Some("blue"));
    }
    assert_eq!(theme.stats().loads, 1);
    database.sql("UPDATE settings SET theme = 'red'").unwrap();
    let _ = theme.invalidate(&()).await;
    assert_eq!(theme.fetch(&()).await.unwrap().as_deref().map(String::as_str), Some("red"));
}
