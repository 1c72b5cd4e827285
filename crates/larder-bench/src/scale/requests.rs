//! The measured requests. Each is one row of the table; the client sends its paths in turn.

use anyhow::{Context, Result};
use larder_server::domain::cursor::Cursor;
use larder_server::domain::identity::UserId;
use larder_server::domain::paging::{ListParams, ListQuery};
use larder_server::domain::role::Role;
use larder_server::store::Store;

use crate::site::people::Server;

/// The path of the request for the rank of the user that is logged in.
pub(super) const OWN_RANK: &str = "/api/v1/leaderboard/me";

/// A row of the table.
pub(super) struct Request {
    pub(super) name: &'static str,
    pub(super) paths: Vec<String>,
}

fn request(name: &'static str, paths: &[&str]) -> Request {
    Request { name, paths: paths.iter().map(|path| (*path).to_owned()).collect() }
}

/// All requests for a database that has been filled.
pub(super) async fn all(store: &Store, server: &Server, users: u64) -> Result<Vec<Request>> {
    let middle = middle(store, server, users).await?;
    let rare: Vec<_> = (1..9).map(|ninth| format!("/api/v1/users?search=_{}", users / 9 * ninth)).collect();
    Ok(vec![
        request("list, page 1", &["/api/v1/users"]),
        request("list, page 400 (the deepest)", &["/api/v1/users?page=400"]),
        request(
            "list, filtered",
            &[
                "/api/v1/users?role=admin&status=inactive",
                "/api/v1/users?status=active",
                "/api/v1/users?role=superadmin",
                "/api/v1/users?role=user&status=inactive",
            ],
        ),
        request(
            "list, sorted",
            &["/api/v1/users?sort=username", "/api/v1/users?sort=-points", "/api/v1/users?sort=-email"],
        ),
        Request { name: "list, a cursor in the middle", paths: middle },
        request("superadmin list, page 1", &["/api/v1/superadmin/users"]),
        request("search, common", &["/api/v1/users?search=ann", "/api/v1/users?search=example.com"]),
        request(
            "search, in between",
            &[
                "/api/v1/users?search=keith",
                "/api/v1/users?search=walter%20",
                "/api/v1/users?search=arber",
                "/api/v1/users?search=zelwood",
            ],
        ),
        Request { name: "search, rare", paths: rare },
        request(
            "search, no match",
            &["/api/v1/users?search=qqqjx", "/api/v1/users?search=%25_%25", "/api/v1/users?search=qj"],
        ),
        request(
            "search, a beginning",
            &["/api/v1/users?search=ze", "/api/v1/users?search=ar", "/api/v1/users?search=q"],
        ),
        request("statistics", &["/api/v1/users/statistics"]),
        request("dashboard", &["/api/v1/dashboard/statistics"]),
        request("one user's statistics", &["/api/v1/users/me/stats"]),
        request("leaderboard, its beginning", &["/api/v1/leaderboard?limit=10&offset=0"]),
        request("leaderboard, its middle", &["/api/v1/leaderboard?limit=10&offset=5000"]),
        request("leaderboard, deep", &["/api/v1/leaderboard?limit=10&offset=8000"]),
        request("own rank, in the middle", &[OWN_RANK]),
    ])
}

/// Lists that continue in the middle of all users, one for each sort order.
async fn middle(store: &Store, server: &Server, users: u64) -> Result<Vec<String>> {
    let mut paths = Vec::new();
    for sort in ["-created_at", "username", "-points"] {
        let column = sort.trim_start_matches('-');
        let id =
            server.sql(&format!("SELECT id FROM users ORDER BY {column} LIMIT 1 OFFSET {}", users / 2))?;
        let user = store.user(UserId::parse(&id)?).await?.context("the user in the middle is gone")?;
        let params = ListParams { sort: Some(sort.to_owned()), ..ListParams::default() };
        let cursor = Cursor::after(&user, ListQuery::parse(&params, Role::Superadmin)?.scope()).encode();
        paths.push(format!("/api/v1/users?sort={sort}&cursor={cursor}"));
    }
    Ok(paths)
}
