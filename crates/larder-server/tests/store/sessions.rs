//! Sessions and refresh tokens: each token is valid once, and reuse of a token ends its session.

use std::time::Duration;

use larder_server::domain::timestamp::Timestamp;
use larder_server::domain::user::User;
use larder_server::store::sessions::{NewSession, Opened, Rotated};
use uuid::Uuid;

use crate::bed::{Bed, contract, tx};

contract!(
    tokens_rotate,
    reuse_ends_the_family,
    an_expired_session_stays_expired,
    logout_ends_one_session,
    at_most_20_live,
);

const HOUR: Duration = Duration::from_secs(3600);

async fn open(bed: &Bed, user: &User, token: &str, now: Timestamp) -> (Uuid, Vec<Uuid>) {
    let id = Uuid::now_v7();
    let new =
        NewSession { id, user_id: user.id, epoch: 1, token_hash: token, now, expires_at: now.after(HOUR) };
    match tx(&bed.store).await.open_session(new).await.unwrap() {
        Opened::Done { ended } => (id, ended),
        Opened::Outdated => panic!("outdated"),
    }
}

async fn live(bed: &Bed, user: &User, now: Timestamp) -> Vec<Uuid> {
    let mut sessions = bed.store.auth_state(user.id, now).await.unwrap().unwrap().sessions;
    sessions.sort();
    sessions
}

async fn tokens_rotate(bed: &Bed) {
    let user = bed.user("ann").await;
    let now = Timestamp::now();
    let (session, _) = open(bed, &user, "t0", now).await;
    let done = Rotated::Done { session, user_id: user.id, epoch: 1, expires_at: now.after(HOUR) };
    assert_eq!(tx(&bed.store).await.rotate_refresh("t0", "t1", now).await.unwrap(), done);
    assert_eq!(tx(&bed.store).await.rotate_refresh("t1", "t2", now).await.unwrap(), done);
    assert_eq!(tx(&bed.store).await.rotate_refresh("never", "t3", now).await.unwrap(), Rotated::Unknown);
    assert_eq!(live(bed, &user, now).await, [session]);
}

async fn reuse_ends_the_family(bed: &Bed) {
    let user = bed.user("ann").await;
    let now = Timestamp::now();
    let (session, _) = open(bed, &user, "t0", now).await;
    let (other, _) = open(bed, &user, "u0", now).await;
    tx(&bed.store).await.rotate_refresh("t0", "t1", now).await.unwrap();
    let reused = Rotated::Reused { session, user_id: user.id };
    assert_eq!(tx(&bed.store).await.rotate_refresh("t0", "t2", now).await.unwrap(), reused);
    assert_eq!(live(bed, &user, now).await, [other], "only that family");
    assert_eq!(tx(&bed.store).await.rotate_refresh("t1", "t3", now).await.unwrap(), Rotated::Expired);
    assert_eq!(
        tx(&bed.store).await.rotate_refresh("t2", "t4", now).await.unwrap(),
        Rotated::Unknown,
        "never issued"
    );
    let again = tx(&bed.store).await.rotate_refresh("t0", "t5", now).await.unwrap();
    assert_eq!(again, Rotated::Expired, "no session is left to end, so there is nothing to publish");
}

async fn an_expired_session_stays_expired(bed: &Bed) {
    let user = bed.user("ann").await;
    let now = Timestamp::now();
    open(bed, &user, "t0", now).await;
    let later = now.after(HOUR);
    assert_eq!(live(bed, &user, now).await.len(), 1);
    assert!(live(bed, &user, later).await.is_empty());
    assert_eq!(tx(&bed.store).await.rotate_refresh("t0", "t1", later).await.unwrap(), Rotated::Expired);
    open(bed, &user, "u0", later).await;
    assert_eq!(bed.sql("SELECT COUNT(*) FROM sessions").unwrap(), "1", "the expired one is forgotten");
    assert_eq!(bed.sql("SELECT COUNT(*) FROM refresh_tokens").unwrap(), "1", "with its tokens");
}

async fn logout_ends_one_session(bed: &Bed) {
    let user = bed.user("ann").await;
    let now = Timestamp::now();
    let (session, _) = open(bed, &user, "t0", now).await;
    let (other, _) = open(bed, &user, "u0", now).await;
    assert_eq!(tx(&bed.store).await.end_session(session, now).await.unwrap(), Some(user.id));
    assert_eq!(tx(&bed.store).await.end_session(session, now).await.unwrap(), None, "not again");
    assert_eq!(tx(&bed.store).await.end_session(Uuid::now_v7(), now).await.unwrap(), None);
    assert_eq!(live(bed, &user, now).await, [other]);
    assert_eq!(tx(&bed.store).await.rotate_refresh("t0", "t1", now).await.unwrap(), Rotated::Expired);
}

async fn at_most_20_live(bed: &Bed) {
    let user = bed.user("ann").await;
    let start = Timestamp::now();
    let mut opened = Vec::new();
    for number in 0..23_u64 {
        let now = start.after(Duration::from_millis(number));
        let (id, ended) = open(bed, &user, &format!("t{number}"), now).await;
        let oldest = number.checked_sub(20).map(|index| opened[index as usize]);
        assert_eq!(ended, Vec::from_iter(oldest), "{number}");
        opened.push(id);
    }
    assert_eq!(live(bed, &user, start).await, opened[3..]);
}
