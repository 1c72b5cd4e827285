//! Achievements and permissions: each badge is awarded once, permissions are granted and revoked, also concurrently.

use larder_server::domain::achievement::{Award, AwardData, BadgeType};
use larder_server::domain::identity::UserId;
use larder_server::domain::paging::Limit;
use larder_server::domain::permission::{Permission, Right, Rights};
use larder_server::domain::points::MOST_POINTS;
use larder_server::domain::role::Role;
use larder_server::domain::timestamp::Timestamp;
use larder_server::store::achievements::Awarded;
use larder_server::store::permissions::{Granted, Revoked};

use crate::bed::{Bed, at_once, contract, tx};

contract!(a_badge_is_awarded_once_with_its_points, permissions_belong_to_the_authentication_state);

fn award(badge: &str, points: i64) -> Award {
    Award { badge_type: BadgeType::parse(badge).unwrap(), data: AwardData::default(), points }
}

async fn a_badge_is_awarded_once_with_its_points(bed: &Bed) {
    let (ann, boss) = (bed.user("ann").await.id, bed.user("boss").await.id);
    let outcomes = at_once(bed, 8, |store, _| async move {
        tx(&store).await.award(ann, Role::User, &award("early", 5), boss).await.unwrap()
    })
    .await;
    let done = outcomes.iter().filter(|outcome| matches!(outcome, Awarded::Done(_))).count();
    let already = outcomes.iter().filter(|outcome| **outcome == Awarded::Already).count();
    assert_eq!((done, already), (1, 7));
    assert_eq!(bed.store.user(ann).await.unwrap().unwrap().points, 5);
    let late = tx(&bed.store).await.award(ann, Role::User, &award("rich", MOST_POINTS), boss).await.unwrap();
    assert_eq!(late, Awarded::OutOfBounds);
    assert_eq!(
        tx(&bed.store).await.award(ann, Role::Admin, &award("x", 0), boss).await.unwrap(),
        Awarded::Outdated
    );
    assert_eq!(
        tx(&bed.store).await.award(UserId::generate(), Role::User, &award("x", 0), boss).await.unwrap(),
        Awarded::Outdated
    );
    bed.sql(&format!(
        "INSERT INTO achievements (user_id, badge_type, awarded_at, points) VALUES ('{ann}', 'old', 1000000, 2)"
    ))
    .unwrap();

    let list = bed.store.achievements(ann).await.unwrap();
    let badges: Vec<_> = list.iter().map(|achievement| achievement.badge_type.as_str()).collect();
    assert_eq!(badges, ["early", "old"]);
    let summary = bed.store.achievement_summary(ann).await.unwrap();
    assert_eq!((summary.total, summary.points, summary.by_badge.len()), (2, 7, 2));
    assert_eq!(summary.latest.unwrap().as_str(), "early");
    let now = Timestamp::now();
    let stats = bed.store.award_times(ann, now).await.unwrap().at(now);
    assert_eq!((stats.total, stats.last_7_days, stats.last_30_days), (2, 1, 1));
    assert_eq!(stats.first_at, Some(Timestamp::from_micros(1_000_000)));
    assert_eq!(bed.store.achievement_summary(boss).await.unwrap().total, 0);

    let recent = bed.store.recent_achievements(Limit::default()).await.unwrap();
    assert_eq!(recent.len(), 2);
    tx(&bed.store).await.set_active(ann, false).await.unwrap();
    assert_eq!(bed.store.recent_achievements(Limit::default()).await.unwrap(), []);
    assert_eq!(
        tx(&bed.store).await.award(ann, Role::User, &award("x", 0), boss).await.unwrap(),
        Awarded::Inactive
    );
    tx(&bed.store).await.delete_user(ann, None).await.unwrap();
    assert_eq!(bed.store.achievements(ann).await.unwrap(), []);
}

async fn permissions_belong_to_the_authentication_state(bed: &Bed) {
    let (ann, boss) = (bed.user("ann").await.id, bed.user("boss").await.id);
    let permission = |text: &str| Permission::parse(text).unwrap();
    let rights = async || {
        let state = bed.store.auth_state(ann, Timestamp::now()).await.unwrap().unwrap();
        (Rights::of(&state.permissions), state.permissions.len())
    };
    assert_eq!(rights().await, (Rights::default(), 0));
    let grants = at_once(bed, 6, |store, _| async move {
        tx(&store)
            .await
            .grant(ann, Role::User, &Permission::parse("points.write").unwrap(), boss)
            .await
            .unwrap()
    })
    .await;
    assert!(grants.iter().all(|grant| *grant == grants[0]), "every caller gets the same grant: {grants:?}");
    bed.sql(&format!("INSERT INTO permissions (user_id, permission) VALUES ('{ann}', 'rooms.clean')"))
        .unwrap();
    let (held, count) = rights().await;
    assert!(held.hold(Right::WritePoints) && !held.hold(Right::ReadAudit) && count == 2);
    let names: Vec<_> = bed.store.permissions(ann).await.unwrap();
    assert_eq!(
        names.iter().map(|grant| grant.permission.as_str()).collect::<Vec<_>>(),
        ["points.write", "rooms.clean"]
    );
    assert_eq!(names[1].granted_by, None);

    for number in 2..100 {
        let granted = tx(&bed.store)
            .await
            .grant(ann, Role::User, &permission(&format!("p{number}")), boss)
            .await
            .unwrap();
        assert!(matches!(granted, Granted::Done(_)));
    }
    assert_eq!(
        tx(&bed.store).await.grant(ann, Role::User, &permission("more"), boss).await.unwrap(),
        Granted::TooMany
    );
    for _ in 0..2 {
        let revoked =
            tx(&bed.store).await.revoke(ann, Role::User, &permission("points.write")).await.unwrap();
        assert_eq!(revoked, Revoked::Done);
        assert_eq!(rights().await, (Rights::default(), 99));
    }
    assert_eq!(
        tx(&bed.store).await.revoke(ann, Role::Admin, &permission("p2")).await.unwrap(),
        Revoked::Outdated
    );
    assert_eq!(
        tx(&bed.store).await.grant(UserId::generate(), Role::User, &permission("p2"), boss).await.unwrap(),
        Granted::Outdated
    );
    tx(&bed.store).await.delete_user(ann, None).await.unwrap();
    assert_eq!(bed.sql("SELECT COUNT(*) FROM permissions").unwrap(), "0");
}
