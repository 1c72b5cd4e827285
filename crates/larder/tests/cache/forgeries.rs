//! An entry in Redis that no instance of this cache stored under the same key is never served.

use larder::cache::Cache;
use larder::class::Class;
use larder::events::{Event, Events};
use larder::protection::{EntrySecrets, Protection};
use larder_testbed::Redis;
use serde::{Deserialize, Serialize};

use crate::support::entries::{Raw, alone, load, shared};
use crate::support::{eventually, within};

const OLD_SECRET: &str = "the old secret, of 32 bytes or so";
const NEW_SECRET: &str = "the new secret, of 32 bytes or so";

async fn keyed(redis: &Redis, keys: EntrySecrets) -> Cache {
    crate::support::builder()
        .redis(redis.url())
        .installation("test")
        .entry_secrets(keys)
        .build()
        .await
        .unwrap()
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Rights {
    user: u32,
    role: String,
}

impl Rights {
    fn of(user: u32) -> Self {
        Rights { user, role: if user == 1 { "superadmin" } else { "user" }.to_owned() }
    }
}

#[tokio::test]
async fn an_entry_that_was_forged_or_copied_grants_nothing() {
    let redis = Redis::start().unwrap();
    let keys = || EntrySecrets::new(OLD_SECRET).unwrap();
    for protection in [Protection::Standard, Protection::Authenticated, Protection::Sealed] {
        let name = format!("rights-{protection:?}");
        let open = |cache: Cache| -> Class<u32, Rights> {
            cache.class(&name).protection(protection).open().unwrap()
        };
        let ours = open(keyed(&redis, keys()).await);
        for user in 1..=2 {
            assert!(load(&ours, user, Rights::of(user)).await.1.is_stored());
        }
        let mut raw = Raw::of(&redis);
        let [admin, user] = [1, 2].map(|user| raw.key(&format!("{name}:{user}")));
        let (admins, users) = (raw.get(&admin), raw.get(&user));
        let key_text = users.windows(4).any(|bytes| bytes == b"role");
        assert_eq!(key_text, protection != Protection::Sealed);
        let mut forgeries = vec![admins];
        // An entry by an instance without the secret.
        let thief: Class<u32, Rights> = shared(&redis).await.class(&name).open().unwrap();
        assert!(within(thief.get(&2)).await.is_miss(), "it cannot read ours either");
        load(&thief, 2, Rights { user: 2, role: "superadmin".to_owned() }).await;
        forgeries.push(raw.get(&user));
        forgeries.extend((0..users.len()).map(|at| {
            let mut forged = users.clone();
            forged[at] ^= 1;
            forged
        }));
        for forged in forgeries {
            raw.set(&[(&user, forged.clone())]);
            let reader = keyed(&redis, keys()).await;
            let reader = open(reader);
            // A lease delays this read and is no alarm; every other frame is an alarm.
            if forged[0] != b'L' {
                assert!(within(reader.get(&2)).await.is_miss(), "{forged:?}");
            }
        }
        raw.set(&[(&user, users)]);
        assert_eq!(
            within(open(keyed(&redis, keys()).await).get(&2)).await.value().as_deref(),
            Some(&Rights::of(2))
        );
    }
}

#[tokio::test]
async fn a_class_that_needs_a_secret_is_not_opened_without_one() {
    let redis = Redis::start().unwrap();
    for protection in [Protection::Authenticated, Protection::Sealed] {
        let (with, without) = (shared(&redis).await, alone().await);
        let error = with.class::<u32, u64>("rights").protection(protection).open().expect_err("opened");
        assert!(error.to_string().contains("entry_secrets"), "{error}");
        assert!(
            without.class::<u32, u64>("rights").protection(protection).open().is_ok(),
            "nothing leaves the process"
        );
    }
}

#[tokio::test]
async fn a_secret_is_replaced_without_a_miss() {
    let redis = Redis::start().unwrap();
    let keys = |first: &str, second: &str| EntrySecrets::new(first).unwrap().and(second).unwrap();
    let steps = [
        EntrySecrets::new(OLD_SECRET).unwrap(),
        keys(OLD_SECRET, NEW_SECRET),
        keys(NEW_SECRET, OLD_SECRET),
        EntrySecrets::new(NEW_SECRET).unwrap(),
    ];
    let mut classes: Vec<Class<u32, u32>> = Vec::new();
    for step in steps {
        classes.push(keyed(&redis, step).await.class("rooms").open().unwrap());
    }
    // Each step of the rotation runs at the same time as the next.
    for (key, pair) in (0..).zip(classes.windows(2)) {
        for (offset, [writer, reader]) in [[&pair[0], &pair[1]], [&pair[1], &pair[0]]].into_iter().enumerate()
        {
            let key = key * 2 + offset as u32;
            load(writer, key, key).await;
            assert_eq!(within(reader.get(&key)).await.value().as_deref(), Some(&key));
        }
    }
}

/// The class of the next alarm.
async fn alarm(events: &mut Events) -> String {
    loop {
        if let Event::Alarm { class, .. } = within(events.next()).await.expect("the cache is there") {
            return class;
        }
    }
}

/// A frame that was not written under this key is refused by its header already: it has the tags of another class or
/// key. It is an alarm all the same.
#[tokio::test]
async fn a_frame_of_another_class_or_key_and_a_damaged_one_are_misses_and_alarms() {
    let redis = Redis::start().unwrap();
    let [ours, readers] = [shared(&redis).await, shared(&redis).await];
    let open = |cache: &Cache| -> [Class<u32, u32>; 3] {
        let teams = cache.class("teams").tagged_by(|key| vec![format!("team:{key}")]);
        [cache.class("rooms").open().unwrap(), cache.class("halls").open().unwrap(), teams.open().unwrap()]
    };
    let [rooms, halls, teams] = open(&ours);
    for class in [&rooms, &halls, &teams] {
        for key in 1..=2 {
            assert!(load(class, key, 100 + key).await.1.is_stored());
        }
    }
    let mut raw = Raw::of(&redis);
    let [room, hall, team, other_team] =
        ["rooms:1", "halls:2", "teams:1", "teams:2"].map(|text| raw.key(text));
    let (own, foreign, team_frame) = (raw.get(&room), raw.get(&hall), raw.get(&other_team));
    let mut newer = own.clone();
    newer[17] += 1;
    let hostile = [
        (0, &room, foreign),
        (0, &room, own[..own.len() / 2].to_vec()),
        (0, &room, newer),
        (0, &room, vec![0; 100]),
        (2, &team, team_frame),
    ];
    let (classes, mut events) = (open(&readers), readers.events());
    for (nth, key, frame) in hostile {
        let class = &classes[nth];
        let before = class.stats();
        raw.set(&[(key, frame.clone())]);
        eventually("the report of the change arrives", async || class.get(&1).await.is_miss()).await;
        assert_eq!(alarm(&mut events).await, class.name());
        assert_eq!(load(class, 1, 7).await.0, 7, "{frame:?}");
        assert_eq!(alarm(&mut events).await, class.name());
        let stats = class.stats().since(&before);
        assert_eq!((stats.broken_frames, stats.passed_over, stats.redis_hits), (2, 0, 0), "{frame:?}");
        assert_eq!(within(class.get(&1)).await.value().as_deref(), Some(&7), "it was replaced");
    }
    // An entry of its own key that an invalidation of its tag has ended is no alarm.
    let _ = within(readers.invalidation().tag("team:2").send()).await;
    let before = classes[2].stats();
    assert_eq!(load(&classes[2], 2, 8).await.0, 8);
    let stats = classes[2].stats().since(&before);
    assert_eq!((stats.broken_frames, stats.passed_over), (0, 1));
}

/// Redis holds anchors of a memory-only class, and no values.
#[tokio::test]
async fn an_entry_in_the_place_of_an_anchor_is_an_alarm() {
    let redis = Redis::start().unwrap();
    let cache = shared(&redis).await;
    let rooms: Class<u32, u32> = cache.class("rooms").open().unwrap();
    let rights: Class<u32, u32> = cache.class("rights").memory_only().open().unwrap();
    assert!(load(&rooms, 1, 1).await.1.is_stored());
    assert!(load(&rights, 1, 1).await.1.is_stored());
    let mut raw = Raw::of(&redis);
    let [room, right] = ["rooms:1", "rights:1"].map(|text| raw.key(text));
    let (entry, mut events) = (raw.get(&room), cache.events());
    raw.set(&[(&right, entry)]);
    eventually("the report of the change arrives", async || load(&rights, 1, 2).await.0 == 2).await;
    assert_eq!(alarm(&mut events).await, "rights");
    assert_eq!(rights.stats().broken_frames, 1);
}
