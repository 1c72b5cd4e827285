//! The server grants a role four connections, and the service gets ninety requests at once.

use std::thread;

use larder_testbed::Postgres;
use serde_json::json;

use crate::support::app::Stack;

const USERS: usize = 10;
const REQUESTS: usize = 90;

fn ninety_requests_with_four_connections(pool_size: Option<&str>) {
    let server = Postgres::shared().unwrap();
    let stack = Stack::postgres_on(&server);
    let owner = stack.database_url();
    let role = format!("few_{}", owner.rsplit('_').next().unwrap());
    stack.sql(&format!(
        "CREATE ROLE {role} LOGIN CONNECTION LIMIT 4; GRANT CREATE ON SCHEMA public TO {role}"
    ));
    let url = owner.replace("postgres://postgres@", &format!("postgres://{role}@"));
    let mut stack = stack.with_setting("DATABASE_URL", &url);
    if let Some(size) = pool_size {
        stack = stack.with_setting("DATABASE_POOL_SIZE", size);
    }
    let app = stack.start();
    let admin = app.admin();
    let users: Vec<_> = (0..USERS)
        .map(|n| app.plain_user(&admin, &format!("user{n}"))["id"].as_str().unwrap().to_owned())
        .collect();
    let statuses: Vec<_> = thread::scope(|scope| {
        let asking: Vec<_> = (0..REQUESTS)
            .map(|n| {
                let (admin, path) = (&admin, format!("/api/v1/users/{}", users[n % USERS]));
                scope.spawn(move || match n % 3 {
                    0 => admin.patch(&path, &json!({ "bio": format!("round {n}") })).status,
                    _ => admin.get(&format!("{path}?consistency=fresh")).status,
                })
            })
            .collect();
        asking.into_iter().map(|asking| asking.join().unwrap()).collect()
    });
    let failed = statuses.iter().filter(|status| **status != 200).count();
    assert_eq!(failed, 0, "{statuses:?}");
    let open = app.stack.sql(&format!("SELECT count(*) FROM pg_stat_activity WHERE usename = '{role}'"));
    assert!((2..=4).contains(&open.parse::<u32>().unwrap()), "{open}");
}

#[test]
fn a_request_without_a_connection_waits_for_one_of_the_pool() {
    ninety_requests_with_four_connections(None);
}

#[test]
fn a_pool_of_four_opens_no_more() {
    ninety_requests_with_four_connections(Some("4"));
}
