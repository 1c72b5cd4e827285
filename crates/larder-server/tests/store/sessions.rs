//! Sessions and refresh tokens: each token is valid once, and reuse of a token ends its session.

use std::time::Duration;

use larder_server::domain::timestamp::Timestamp;
use larder_server::domain::user::User;
use larder_server::store::refreshing::{Refresh, Rotated};
use larder_server::store::sessions::{NewSession, Opened};
use uuid::Uuid;

use crate::bed::{Bed, contract, refresh, tx};

contract!(
    tokens_rotate,
    reuse_ends_the_family,
    an_expired_session_stays_expired,
    logout_ends_one_session,
    at_most_so_many_live,
    an_idle_session_ends,
    within_the_grace_a_token_leads_to_its_successor_again,
);

const HOUR: Duration = Duration::from_secs(3600);

async fn open(bed: &Bed, user: &User, token: &str, now: Timestamp) -> (Uuid, Vec<Uuid>) {
    let id = Uuid::now_v7();
    let new = NewSession {
        id,
        user_id: user.id,
        epoch: 1,
        token_hash: token,
        now,
        expires_at: now.after(HOUR),
        most: 20,
    };
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
    assert_eq!(tx(&bed.store).await.rotate_refresh(refresh("t0", "t1", now)).await.unwrap(), done);
    assert_eq!(tx(&bed.store).await.rotate_refresh(refresh("t1", "t2", now)).await.unwrap(), done);
    assert_eq!(
        tx(&bed.store).await.rotate_refresh(refresh("never", "t3", now)).await.unwrap(),
        Rotated::Unknown
    );
    assert_eq!(live(bed, &user, now).await, [session]);
}

async fn reuse_ends_the_family(bed: &Bed) {
    let user = bed.user("ann").await;
    let now = Timestamp::now();
    let (session, _) = open(bed, &user, "t0", now).await;
    let (other, _) = open(bed, &user, "u0", now).await;
    tx(&bed.store).await.rotate_refresh(refresh("t0", "t1", now)).await.unwrap();
    let reused = Rotated::Reused { session, user_id: user.id };
    assert_eq!(tx(&bed.store).await.rotate_refresh(refresh("t0", "t2", now)).await.unwrap(), reused);
    assert_eq!(live(bed, &user, now).await, [other], "only that family");
    assert_eq!(
        tx(&bed.store).await.rotate_refresh(refresh("t1", "t3", now)).await.unwrap(),
        Rotated::Expired
    );
    assert_eq!(
        tx(&bed.store).await.rotate_refresh(refresh("t2", "t4", now)).await.unwrap(),
        Rotated::Unknown,
        "never issued"
    );
    let again = tx(&bed.store).await.rotate_refresh(refresh("t0", "t5", now)).await.unwrap();
    assert_eq!(again, Rotated::Expired, "no session is left to end, so there is nothing to publish");
}

async fn an_expired_session_stays_expired(bed: &Bed) {
    let user = bed.user("ann").await;
    let now = Timestamp::now();
    open(bed, &user, "t0", now).await;
    let later = now.after(HOUR);
    assert_eq!(live(bed, &user, now).await.len(), 1);
    assert!(live(bed, &user, later).await.is_empty());
    assert_eq!(
        tx(&bed.store).await.rotate_refresh(refresh("t0", "t1", later)).await.unwrap(),
        Rotated::Expired
    );
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
    assert_eq!(
        tx(&bed.store).await.rotate_refresh(refresh("t0", "t1", now)).await.unwrap(),
        Rotated::Expired
    );
}

async fn an_idle_session_ends(bed: &Bed) {
    let user = bed.user("ann").await;
    let (start, idle) = (Timestamp::now(), Duration::from_secs(60));
    open(bed, &user, "t0", start).await;
    let at = |seconds| start.after(Duration::from_secs(seconds));
    let rotate = |hash, next, now| async move {
        tx(&bed.store).await.rotate_refresh(Refresh { idle, ..refresh(hash, next, now) }).await.unwrap()
    };
    assert!(matches!(rotate("t0", "t1", at(59)).await, Rotated::Done { .. }));
    assert_eq!(bed.store.sessions_of(user.id, at(118), at(58)).await.unwrap().len(), 1);
    assert_eq!(bed.store.sessions_of(user.id, at(120), at(60)).await.unwrap(), [], "idle");
    assert_eq!(rotate("t1", "t2", at(119)).await, Rotated::Expired);
    assert!(live(bed, &user, at(119)).await.is_empty());
    assert_eq!(bed.sql("SELECT COUNT(*) FROM audit_log WHERE action = 'session.idle'").unwrap(), "1");
}

async fn within_the_grace_a_token_leads_to_its_successor_again(bed: &Bed) {
    let user = bed.user("ann").await;
    let (start, grace) = (Timestamp::now(), Duration::from_secs(10));
    let (session, _) = open(bed, &user, "t0", start).await;
    let at = |seconds| start.after(Duration::from_secs(seconds));
    let rotate = |hash, next, successor, now| async move {
        let refresh = Refresh { grace, successor, ..refresh(hash, next, now) };
        tx(&bed.store).await.rotate_refresh(refresh).await.unwrap()
    };
    rotate("t0", "t1", "sealed t1", at(100)).await;
    let repeated = Rotated::Repeated {
        session,
        user_id: user.id,
        epoch: 1,
        used_at: at(100),
        expires_at: start.after(HOUR),
        successor: "sealed t1".to_owned(),
    };
    assert_eq!(rotate("t0", "never", "never", at(109)).await, repeated);
    assert!(matches!(rotate("t1", "t2", "sealed t2", at(109)).await, Rotated::Done { .. }), "unaffected");
    let reused = Rotated::Reused { session, user_id: user.id };
    assert_eq!(rotate("t0", "never", "never", at(109)).await, reused, "its successor is used: it is older");

    let (session, _) = open(bed, &user, "u0", start).await;
    rotate("u0", "u1", "sealed u1", at(200)).await;
    let reused = Rotated::Reused { session, user_id: user.id };
    assert_eq!(rotate("u0", "never", "never", at(210)).await, reused, "the grace is over");
}

async fn at_most_so_many_live(bed: &Bed) {
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
    assert_eq!(bed.sql("SELECT COUNT(*) FROM audit_log WHERE action = 'session.evict'").unwrap(), "3");
    // A refresh makes the oldest session the most recently used one, so the next login ends the second oldest.
    let later = start.after(Duration::from_millis(100));
    tx(&bed.store).await.rotate_refresh(refresh("t3", "t3 next", later)).await.unwrap();
    assert_eq!(open(bed, &user, "last", later).await.1, [opened[4]]);
}
