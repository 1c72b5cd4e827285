//! Several servers in one URL: the service finds the primary, also after another server was promoted.

use larder_testbed::{Database, Postgres};
use serde_json::json;

use crate::connecting::{reason, serve, waiting};
use crate::support::app::Stack;
use crate::support::eventually;

#[test]
fn the_primary_of_several_servers_is_used_and_its_successor_after_it() {
    let primary = Postgres::start().unwrap();
    let stack = Stack::postgres_on(&primary.url());
    let name = stack.database_url().rsplit('/').next().unwrap().to_owned();
    let standby = primary.standby().unwrap();
    let hosts = format!("127.0.0.1:{},127.0.0.1:{}", standby.port(), primary.port());
    let url = format!("postgresql+asyncpg://postgres@{hosts}/{name}?target_session_attrs=read-write");
    let app = stack.with_setting("DATABASE_URL", &url).start();
    let ann = app.user("ann");
    let me = "/api/v1/users/me";
    ann.patch(me, &json!({ "bio": "on the first" })).expect(200);
    let there = standby.url().database(&name);
    eventually("the standby has it", || {
        let psql = larder_testbed::sql(&there, "SELECT bio FROM users WHERE username = 'ann'");
        psql.is_ok_and(|bio| bio == "on the first")
    });
    drop(primary);
    let during = ann.patch(me, &json!({ "bio": "nowhere" })).expect(503);
    assert_eq!(during.header("retry-after"), Some("1"));
    standby.promote().unwrap();
    eventually("the successor takes writes", || {
        ann.patch(me, &json!({ "bio": "on the second" })).status == 200
    });
    eventually("it is ready", || app.anonymous().get("/readyz").status == 200);
    assert_eq!(ann.get(&format!("{me}?consistency=fresh")).expect(200).field("bio"), "on the second");
    larder_testbed::sql(&there, "UPDATE users SET bio = 'by hand' WHERE username = 'ann'").unwrap();
    eventually("the journal is followed there", || ann.get(me).expect(200).field("bio") == "by hand");
}

#[test]
fn a_standby_alone_is_named_and_used_once_it_is_promoted() {
    let primary = Postgres::start().unwrap();
    let database = Database::fresh(&primary.url()).unwrap();
    let standby = primary.standby().unwrap();
    let url = format!("{}?target_session_attrs=primary", standby.url().database(database.name()));
    let mut larder = serve(&[("DATABASE_URL", &url)]);
    let anonymous = waiting(&mut larder);
    let said = reason(&anonymous);
    assert!(said.contains(&format!("127.0.0.1:{} is a standby in recovery", standby.port())), "{said}");
    standby.promote().unwrap();
    eventually("it is ready", || anonymous.get("/readyz").status == 200);
}

#[test]
fn a_socket_needs_no_port() {
    let server = Postgres::start().unwrap();
    let stack = Stack::postgres_on(&server.url());
    let name = stack.database_url().rsplit('/').next().unwrap().to_owned();
    let folder = server.socket_folder().display().to_string();
    let port = server.port();
    let encoded = folder.replace('/', "%2F");
    for url in [
        format!("postgres:///{name}?host={folder}&port={port}&user=postgres"),
        format!("postgres://postgres@{encoded}:{port}/{name}"),
        format!("postgres://postgres@/{name}?host={folder}&port={port}"),
    ] {
        let fresh = Database::fresh(&server.url()).unwrap();
        let url = url.replace(&name, fresh.name());
        let app = Stack::postgres_on(&server.url()).with_setting("DATABASE_URL", &url).start();
        app.anonymous().get("/readyz").expect(200);
        assert_eq!(fresh.sql("SELECT count(*) FROM users").unwrap(), "1", "{url}");
    }
}
