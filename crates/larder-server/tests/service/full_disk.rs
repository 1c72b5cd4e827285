//! The disk is full once, and then has room again: writes fail in between, and the service needs no restart.

use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_json::json;

use crate::support::app::{PASSWORD, Stack, TestApp};

/// Sets the size that a file of the service may have. Beyond it a write fails, as on a full disk.
fn limit_files(app: &TestApp, bytes: Option<u64>) {
    let id = Pid::from_raw(i32::try_from(app.larder.id()).unwrap());
    prlimit(id, Resource::Fsize, Rlimit { current: bytes, maximum: None }).unwrap();
}

#[test]
fn writes_succeed_again_when_the_disk_has_room_again() {
    // By default the signal of this limit would end the process; ignored, the write fails instead.
    let app = Stack::sqlite_memory().after("trap '' XFSZ").start();
    let ann = app.user("ann");
    let write = |bio: &str| ann.patch("/api/v1/users/me", &json!({ "bio": bio })).status;
    let login = || {
        let body = json!({ "username": "ann", "password": PASSWORD });
        app.anonymous().post("/api/v1/auth/login", &body).status
    };
    let url = app.stack.database_url();
    let log = format!("{}-wal", url.strip_prefix("sqlite://").unwrap());
    for pages in 0..6 {
        let free = std::fs::metadata(&log).unwrap().len() + pages * 4096;
        limit_files(&app, Some(free));
        let failed: Vec<_> = (0..3).map(|_| write(&"x".repeat(1000))).chain([login()]).collect();
        assert!(failed.contains(&503), "{failed:?}");
        assert!(failed.iter().all(|status| [200, 503].contains(status)), "{failed:?}");
        ann.get("/api/v1/users/me").expect(200);
        limit_files(&app, None);
        assert_eq!([write("room"), write("again"), login()], [200; 3], "after {pages} pages");
        app.anonymous().get("/readyz").expect(200);
    }
    assert_eq!(ann.get("/api/v1/users/me").expect(200).json()["bio"], "again");
}
