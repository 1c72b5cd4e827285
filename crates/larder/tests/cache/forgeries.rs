//! An entry in Redis that no instance of this cache stored under the same key is never served.

use larder::cache::Cache;
use larder::class::Class;
use larder::protection::{EntrySecrets, Protection};
use larder_testbed::Redis;
use serde::{Deserialize, Serialize};

use crate::support::entries::{Raw, alone, load, shared};
use crate::support::within;

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
