//! The ledger of points, and ranks computed from counts: correct under races and for every writer.

use larder_server::domain::identity::UserId;
use larder_server::domain::leaderboard::{LeaderboardParams, LeaderboardQuery};
use larder_server::domain::points::{Amount, Booking, IdempotencyKey, LedgerQuery, MOST_POINTS, Reason};
use larder_server::domain::role::Role;
use larder_server::store::Store;
use larder_server::store::points::Booked;

use crate::bed::{Bed, at_once, contract, new, tx};

contract!(
    a_booking_is_made_once_and_stays,
    two_instances_never_spend_the_same_points,
    one_key_is_one_booking,
    other_software_books_by_inserting_and_in_no_other_way,
    ranks_equal_what_counting_finds,
    ranks_survive_everything_at_once,
);

fn booking(points: i64, key: &str) -> Booking {
    Booking {
        amount: Amount::new(points).unwrap(),
        reason: Reason::parse("a test").unwrap(),
        idempotency_key: IdempotencyKey::parse(key).unwrap(),
    }
}

async fn book(store: &Store, user: UserId, points: i64, key: &str) -> Booked {
    // The actor is not a user of this database: an actor can be deleted after its booking.
    let actor = UserId::parse("0192f0c1-2345-7abc-8def-0123456789ab").unwrap();
    tx(store).await.book_points(user, Role::User, &booking(points, key), actor).await.unwrap()
}

async fn points(bed: &Bed, user: UserId) -> i64 {
    bed.store.user(user).await.unwrap().unwrap().points
}

/// Checks by counting that each balance is the sum of its ledger, and that the counts behind ranks match the users.
async fn nothing_drifted(bed: &Bed) {
    let off = bed.sql(
        "SELECT COUNT(*) FROM users
         WHERE points <> (SELECT COALESCE(SUM(amount), 0) FROM points_ledger WHERE user_id = users.id)",
    );
    assert_eq!(off.unwrap(), "0", "balances are the sums of the ledger");
    let shard = if bed.is_postgres() {
        "strpos('0123456789abcdef', right(id, 1)) - 1"
    } else {
        "instr('0123456789abcdef', substr(id, -1)) - 1"
    };
    let levels = "(VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9)) AS levels";
    let counted = bed.sql(&format!(
        "SELECT column1, points >> (4 * column1), {shard}, COUNT(*) FROM users, {levels}
         WHERE is_active AND (points >> (4 * column1)) & 15 <> 0 GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
    ));
    let kept = bed.sql("SELECT level, prefix, shard, total FROM points_counts ORDER BY 1, 2, 3");
    assert_eq!(kept.unwrap(), counted.unwrap(), "the counts are those of the users");
    let by_hand = bed.sql(
        "SELECT id, points, 1 + (
             SELECT COUNT(*) FROM users AS others WHERE others.is_active AND others.points > users.points
         ) FROM users WHERE is_active ORDER BY points DESC, id",
    );
    let by_hand = by_hand.unwrap();
    let mut lines = by_hand.lines();
    for offset in ["0", "7", "14", "21", "28", "35"] {
        let params = LeaderboardParams { limit: Some("7".to_owned()), offset: Some(offset.to_owned()) };
        let board = bed.store.leaderboard(LeaderboardQuery::parse(&params).unwrap()).await.unwrap();
        for row in board {
            let line = format!("{}|{}|{}", row.id, row.points, row.rank);
            assert_eq!(Some(line.as_str()), lines.next(), "from {offset}");
            let standing = bed.store.standing(row.id).await.unwrap().unwrap();
            assert_eq!((standing.points, standing.rank), (row.points, Some(row.rank)));
        }
    }
    assert_eq!(lines.next(), None, "the leaderboard shows every active user");
    if !bed.is_postgres() {
        assert_eq!(bed.sql("SELECT COUNT(*) FROM points_booking").unwrap(), "0");
    }
}

async fn a_booking_is_made_once_and_stays(bed: &Bed) {
    let ann = bed.user("ann").await;
    let Booked::Done { entry, balance: 10 } = book(&bed.store, ann.id, 10, "first").await else {
        panic!("not made");
    };
    let repeated = book(&bed.store, ann.id, 10, "first").await;
    assert_eq!(repeated, Booked::Repeated { entry: entry.clone(), balance: 10 });
    assert_eq!(book(&bed.store, ann.id, 11, "first").await, Booked::KeyTaken);
    let bob = bed.user("bob").await;
    assert_eq!(book(&bed.store, bob.id, 10, "first").await, Booked::KeyTaken);
    assert_eq!(book(&bed.store, ann.id, -11, "too-much").await, Booked::OutOfBounds { balance: 10 });
    assert_eq!(book(&bed.store, ann.id, MOST_POINTS, "most").await, Booked::OutOfBounds { balance: 10 });
    assert_eq!(book(&bed.store, UserId::generate(), 1, "nobody").await, Booked::Outdated);
    let judged =
        tx(&bed.store).await.book_points(ann.id, Role::Admin, &booking(1, "other-role"), bob.id).await;
    assert_eq!(judged.unwrap(), Booked::Outdated);
    assert!(matches!(book(&bed.store, bob.id, MOST_POINTS, "most").await, Booked::Done { .. }));
    assert_eq!(book(&bed.store, bob.id, 1, "more").await, Booked::OutOfBounds { balance: MOST_POINTS });
    for number in 0..30 {
        book(&bed.store, ann.id, 1, &format!("n{number}")).await;
    }
    let first = bed.store.ledger(ann.id, LedgerQuery::default()).await.unwrap();
    assert_eq!((first.entries.len(), first.entries[0].idempotency_key.as_str()), (25, "n29"));
    let rest = LedgerQuery { before: first.next, ..LedgerQuery::default() };
    let rest = bed.store.ledger(ann.id, rest).await.unwrap();
    assert_eq!((rest.entries.len(), rest.entries.last(), rest.next), (6, Some(&entry), None));
    let user = bed.store.user(ann.id).await.unwrap().unwrap();
    assert_eq!((user.points, user.version), (40, 32), "a booking changes the user");
    nothing_drifted(bed).await;
}

async fn two_instances_never_spend_the_same_points(bed: &Bed) {
    let ann = bed.user("ann").await.id;
    book(&bed.store, ann, 100, "income").await;
    let outcomes =
        at_once(
            bed,
            12,
            |store, number| async move { book(&store, ann, -30, &format!("spend{number}")).await },
        )
        .await;
    let done = outcomes.iter().filter(|outcome| matches!(outcome, Booked::Done { .. })).count();
    let refused = outcomes.iter().filter(|outcome| matches!(outcome, Booked::OutOfBounds { .. })).count();
    assert_eq!((done, refused, points(bed, ann).await), (3, 9, 10));
    nothing_drifted(bed).await;
}

async fn one_key_is_one_booking(bed: &Bed) {
    let ann = bed.user("ann").await.id;
    let outcomes = at_once(bed, 10, |store, _| async move { book(&store, ann, 5, "same").await }).await;
    let done = outcomes.iter().filter(|outcome| matches!(outcome, Booked::Done { .. })).count();
    let repeated = outcomes.iter().filter(|outcome| matches!(outcome, Booked::Repeated { .. })).count();
    assert_eq!((done, repeated, points(bed, ann).await), (1, 9, 5));

    let mut users = Vec::new();
    for name in ["bob", "cat", "dan", "eve"] {
        users.push(bed.user(name).await.id);
    }
    let of = users.clone();
    let outcomes = at_once(bed, 8, move |store, number| {
        let user = of[number % 4];
        async move { book(&store, user, 5, "shared").await }
    })
    .await;
    let done = outcomes.iter().filter(|outcome| matches!(outcome, Booked::Done { .. })).count();
    assert_eq!(done, 1, "{outcomes:?}");
    assert_eq!(bed.sql("SELECT SUM(points) FROM users").unwrap(), "10");
    nothing_drifted(bed).await;
}

async fn other_software_books_by_inserting_and_in_no_other_way(bed: &Bed) {
    let (ann, bob) = (bed.user("ann").await.id, bed.user("bob").await.id);
    bed.sql(&format!(
        "INSERT INTO points_ledger (user_id, amount, reason)
         VALUES ('{ann}', 300, 'x'), ('{bob}', 17, 'x'), ('{ann}', -1, 'x')"
    ))
    .unwrap();
    assert_eq!((points(bed, ann).await, points(bed, bob).await), (299, 17));
    assert!(bed.store.ledger(ann, LedgerQuery::default()).await.unwrap().entries[0].actor_id.is_none());
    bed.sql(&format!("INSERT INTO achievements (user_id, badge_type, points) VALUES ('{bob}', 'a', 3)"))
        .unwrap();
    assert_eq!(points(bed, bob).await, 20);
    let insert = "INTO points_ledger (user_id, amount, reason, idempotency_key)";
    let mut refused = vec![
        format!("INSERT {insert} VALUES ('{ann}', -999, 'x', 'k')"),
        format!("INSERT {insert} VALUES ('{ann}', 0, 'x', 'k')"),
        format!("INSERT {insert} VALUES ('{ann}', 1099511627775, 'x', 'k')"),
        format!("INSERT {insert} VALUES ('{ann}', 'many', 'x', 'k')"),
        format!("INSERT {insert} VALUES ('{}', 1, 'x', 'k')", UserId::generate()),
        "UPDATE points_ledger SET amount = 1".to_owned(),
        "UPDATE points_ledger SET reason = 'y'".to_owned(),
        "DELETE FROM points_ledger".to_owned(),
        "UPDATE users SET points = 5".to_owned(),
        "UPDATE users SET points = points + 1 WHERE username = 'ann'".to_owned(),
        "INSERT INTO users (id, email, username, points)
         VALUES ('0192f0c1-2345-7abc-8def-0123456789ab', 'rich@x', 'rich', 5)"
            .to_owned(),
        "INSERT INTO achievements (user_id, badge_type) SELECT id, 'A b' FROM users".to_owned(),
        "INSERT INTO achievements (user_id, badge_type, data) SELECT id, 'b', '[]' FROM users".to_owned(),
        "INSERT INTO permissions (user_id, permission) SELECT id, 'A*' FROM users".to_owned(),
    ];
    if bed.is_postgres() {
        let elsewhere =
            format!("INSERT {insert} VALUES ('{ann}', 1, 'x', 'once')").replace("INTO ", "INTO public.");
        bed.sql(&format!("SET search_path = pg_catalog; {elsewhere}")).unwrap();
        refused.push("TRUNCATE points_ledger".to_owned());
    } else {
        bed.sql(&format!("INSERT {insert} VALUES ('{ann}', 1, 'x', 'once')")).unwrap();
        refused.push(format!("INSERT OR REPLACE {insert} VALUES ('{ann}', 9, 'x', 'once')"));
        refused.push(format!("INSERT OR IGNORE {insert} VALUES ('{ann}', -999, 'x', 'k')"));
        refused.push("UPDATE OR REPLACE points_ledger SET idempotency_key = 'once'".to_owned());
    }
    for statement in refused {
        assert!(bed.sql(&statement).is_err(), "{statement}");
    }
    nothing_drifted(bed).await;
    bed.sql("DELETE FROM users WHERE username = 'ann'").unwrap();
    assert_eq!(bed.sql("SELECT COUNT(*) FROM points_ledger").unwrap(), "2", "rows go with their user");
    nothing_drifted(bed).await;
    bed.sql(if bed.is_postgres() { "TRUNCATE users CASCADE" } else { "DELETE FROM users" }).unwrap();
    let left = "SELECT (SELECT COUNT(*) FROM points_ledger) + (SELECT COUNT(*) FROM points_counts)
                     + (SELECT COUNT(*) FROM achievements)";
    assert_eq!(bed.sql(left).unwrap(), "0");
}

/// A pseudo-random generator with a fixed seed, so that each run is the same.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }

    /// Returns points of every size, so that every level of the counts is used; often small, so that many users are
    /// equal.
    fn points(&mut self) -> i64 {
        let bits = [2, 3, 5, 9, 17, 39][self.below(6) as usize];
        self.below(1 << bits) as i64
    }
}

async fn change(bed: &Bed, users: &[UserId], numbers: &mut Numbers, round: usize) {
    let user = users[numbers.below(users.len() as u64) as usize];
    let (gain, by_hand) = (numbers.points() + 1, numbers.below(3) == 0);
    match (numbers.below(8), by_hand) {
        (0, false) => drop(tx(&bed.store).await.set_active(user, numbers.below(2) == 0).await.unwrap()),
        (0, true) => {
            drop(bed.sql(&format!("UPDATE users SET is_active = NOT is_active WHERE id < '{user}'")).unwrap())
        }
        (1, false) => drop(tx(&bed.store).await.delete_user(user, None).await.unwrap()),
        (1, true) => drop(bed.sql(&format!("DELETE FROM users WHERE id = '{user}'")).unwrap()),
        (2 | 3, false) => {
            let spent = bed.store.user(user).await.unwrap().map_or(0, |user| user.points);
            if spent > 0 {
                book(
                    &bed.store,
                    user,
                    -numbers.below(spent as u64).max(1).cast_signed(),
                    &format!("r{round}"),
                )
                .await;
            }
        }
        (2 | 3, true) => drop(
            bed.sql(
                "INSERT INTO points_ledger (user_id, amount, reason)
                 SELECT id, -points / 2 - 1, 'half' FROM users WHERE points > 1",
            )
            .unwrap(),
        ),
        (4, true) => drop(
            bed.sql(&format!(
                "INSERT INTO points_ledger (user_id, amount, reason) SELECT id, {gain}, 'all' FROM users"
            ))
            .unwrap(),
        ),
        _ => drop(book(&bed.store, user, gain, &format!("r{round}")).await),
    }
}

async fn ranks_equal_what_counting_finds(bed: &Bed) {
    let many: Vec<_> = (0..38).map(|number| new(&format!("user{number}"))).collect();
    let users = tx(&bed.store).await.insert_many(&many, "hash").await.unwrap();
    let mut numbers = Numbers(0x2545_f491_4f6c_dd1d);
    for round in 0..120 {
        change(bed, &users, &mut numbers, round).await;
        if round % 10 == 9 {
            nothing_drifted(bed).await;
        }
    }
    tx(&bed.store).await.set_active(users[0], false).await.unwrap();
    if let Some(standing) = bed.store.standing(users[0]).await.unwrap() {
        assert_eq!(standing.rank, None, "an inactive user has no rank");
    }
    assert_eq!(bed.store.standing(UserId::generate()).await.unwrap(), None);
}

async fn ranks_survive_everything_at_once(bed: &Bed) {
    let many: Vec<_> = (0..20).map(|number| new(&format!("user{number}"))).collect();
    let users = tx(&bed.store).await.insert_many(&many, "hash").await.unwrap();
    let of = users.clone();
    at_once(bed, 8, move |store, number| {
        let users = of.clone();
        async move {
            let mut numbers = Numbers(0x9e37_79b9 + number as u64);
            for round in 0..25 {
                let user = users[numbers.below(20) as usize];
                match numbers.below(12) {
                    0 => drop(tx(&store).await.set_active(user, false).await.unwrap()),
                    1 => drop(tx(&store).await.set_active(user, true).await.unwrap()),
                    2 if round > 20 => drop(tx(&store).await.delete_user(user, None).await.unwrap()),
                    3 => drop(
                        tx(&store)
                            .await
                            .insert_user(new(&format!("new{number}-{round}")), None)
                            .await
                            .unwrap(),
                    ),
                    4 | 5 => {
                        drop(book(&store, user, -numbers.points() - 1, &format!("{number}.{round}")).await)
                    }
                    _ => drop(book(&store, user, numbers.points() + 1, &format!("{number}.{round}")).await),
                }
            }
        }
    })
    .await;
    let surplus = bed.sql("SELECT COUNT(*) FROM users").unwrap().parse::<usize>().unwrap();
    assert!(surplus > 20);
    // `nothing_drifted` reads the first 42 users of the leaderboard, so users that no assertion needs any more go.
    bed.sql("DELETE FROM users WHERE points = 0").unwrap();
    bed.sql("DELETE FROM users WHERE username LIKE 'new%'").unwrap();
    nothing_drifted(bed).await;
}
