//! Hashes of ours and of other software are compared, within bounds of cost and of queues.

use argon2::{PasswordHasher as _, PasswordVerifier as _};

use super::*;

#[tokio::test]
async fn only_the_hashed_password_matches_and_no_password_matches_the_dummy_hash() {
    let passwords = Passwords::default();
    let right = Password::parse("correct horse").unwrap();
    let hash = passwords.hash(&right).await.unwrap();
    assert!(passwords.matches(&right, Some(&hash)).await.unwrap());
    assert!(!passwords.matches(&Password::parse("correct house").unwrap(), Some(&hash)).await.unwrap());
    let dummy = Password::parse("no user has this password").unwrap();
    assert!(!passwords.matches(&dummy, None).await.unwrap());
    assert!(!passwords.matches(&right, Some("not a hash")).await.unwrap());
    assert_ne!(hash, passwords.hash(&right).await.unwrap(), "each hash has a salt of its own");
}

/// Hashes that the crate `argon2` makes at other costs verify here, and the hashes made here verify there.
#[tokio::test]
async fn hashes_of_other_software_and_costs_are_compared() {
    let passwords = Passwords::default();
    let password = Password::parse("correct horse").unwrap();
    for (algorithm, memory, passes, lanes) in [
        (Algorithm::Argon2id, 19_456, 2, 1),
        (Algorithm::Argon2id, 32_768, 1, 1),
        (Algorithm::Argon2i, 64, 3, 2),
    ] {
        let params = Params::new(memory, passes, lanes, Some(24)).unwrap();
        let theirs = Argon2::new(algorithm, Version::V0x13, params);
        let hash = theirs.hash_password(password.expose().as_bytes()).unwrap().to_string();
        assert!(passwords.matches(&password, Some(&hash)).await.unwrap(), "{hash}");
        let wrong = Password::attempt("correct house").unwrap();
        assert!(!passwords.matches(&wrong, Some(&hash)).await.unwrap());
    }
    let ours = passwords.hash(&password).await.unwrap();
    let theirs = Argon2::default();
    assert!(theirs.verify_password(password.expose().as_bytes(), ours.as_str()).is_ok());
    let kept: Vec<_> = passwords.memory.0.lock().unwrap().iter().map(Vec::len).collect();
    assert_eq!(kept, [COST.0 as usize], "one hasher's memory, and never more than ours needs");
}

/// In each of these hashes one parameter is over its bound. The first two are hashes of the password at a low cost, so
/// they would match if they were computed. The computation of the last one would take 4 GiB.
#[tokio::test]
async fn a_hash_over_the_bound_is_never_computed() {
    let password = Password::parse("correct horse").unwrap();
    let (most_memory, most_passes, most_lanes) = MAX_COST;
    let mut over = Vec::new();
    for (memory, passes, lanes) in [(64, most_passes + 1, 1), (256, 1, most_lanes + 1)] {
        let theirs = Argon2::new(
            Algorithm::Argon2id,
            Version::V0x13,
            Params::new(memory, passes, lanes, None).unwrap(),
        );
        over.push(theirs.hash_password(password.expose().as_bytes()).unwrap().to_string());
    }
    let ours = Passwords::default().hash(&password).await.unwrap();
    for memory in [most_memory + 1, 4_194_304] {
        over.push(ours.replacen(&format!("m={}", COST.0), &format!("m={memory}"), 1));
    }
    for hash in over {
        let passwords = Passwords::default();
        assert!(!Passwords::is_known(&hash), "{hash}");
        assert!(!passwords.matches(&password, Some(&hash)).await.unwrap(), "{hash}");
        let kept: Vec<_> = passwords.memory.0.lock().unwrap().iter().map(Vec::len).collect();
        assert_eq!(kept, [COST.0 as usize], "the dummy hash was compared in place of {hash}");
    }
}

#[tokio::test]
async fn beyond_the_queue_a_caller_is_refused_at_once() {
    let passwords = Passwords::new(HashingLimits { hashers: 1, queue: 1, per_client: None });
    let password = Password::parse("correct horse").unwrap();
    let all = (0..3).map(|_| passwords.hash(&password)).map(Box::pin);
    let [mut first, mut second, mut third] = all.collect::<Vec<_>>().try_into().ok().unwrap();
    // The first poll of each future takes its permit.
    let polled = std::future::poll_fn(|context| {
        assert!(first.as_mut().poll(context).is_pending());
        assert!(second.as_mut().poll(context).is_pending());
        third.as_mut().poll(context)
    });
    assert!(matches!(polled.await, Err(HashingError::Busy)));
    assert!(first.await.is_ok() && second.await.is_ok());
    assert!(passwords.hash(&password).await.is_ok(), "there is room again");
}

#[tokio::test]
async fn one_client_does_not_fill_the_queue() {
    let passwords = Passwords::new(HashingLimits { hashers: 1, queue: 3, per_client: None });
    let password = Password::parse("correct horse").unwrap();
    let of = |address: &str| passwords.of_client(address.parse().unwrap());
    // Two addresses of one network of 64 bits are one client.
    let senders = ["2001:db8::1", "2001:db8::2", "2001:db8::3", "192.0.2.1"].map(of);
    let [mut first, mut second, mut third, mut other] =
        senders.each_ref().map(|sender| Box::pin(sender.hash(&password)));
    let polled = std::future::poll_fn(|context| {
        assert!(first.as_mut().poll(context).is_pending());
        assert!(second.as_mut().poll(context).is_pending());
        let refused = third.as_mut().poll(context);
        assert!(other.as_mut().poll(context).is_pending(), "another client has room");
        refused
    });
    assert!(matches!(polled.await, Err(HashingError::Busy)));
    assert!(first.await.is_ok() && second.await.is_ok() && other.await.is_ok());
    assert!(senders[0].hash(&password).await.is_ok(), "the client has its share again");
}

/// Hashes of other systems fill their own queue, and a hash of ours is compared meanwhile.
#[tokio::test]
async fn costly_hashes_do_not_delay_ours() {
    let passwords = Passwords::new(HashingLimits { hashers: 1, queue: 0, per_client: Some(1) });
    let password = Password::parse("correct horse").unwrap();
    let ours = passwords.hash(&password).await.unwrap();
    let django = "pbkdf2_sha256$2000000$seasalt2$/AgPzJG5e6Yv25JIyxyWfNnB6QXmfp0Y+BEGfC3zoJE=";
    let mut slow: Vec<_> =
        (0..COSTLY.0 + COSTLY.1 + 1).map(|_| Box::pin(passwords.matches(&password, Some(django)))).collect();
    let refused = std::future::poll_fn(|context| {
        let polled = slow.iter_mut().map(|slow| slow.as_mut().poll(context));
        std::task::Poll::Ready(polled.filter(std::task::Poll::is_ready).count())
    });
    assert_eq!(refused.await, 1, "their queue is bounded too");
    assert!(passwords.matches(&password, Some(&ours)).await.unwrap());
    let is_waiting = std::future::poll_fn(|context| {
        std::task::Poll::Ready(slow[COSTLY.1].as_mut().poll(context).is_pending())
    });
    assert!(is_waiting.await, "ours was compared first");
}

#[test]
fn only_what_costs_more_than_ours_is_costly() {
    for (stored, is_costly) in [
        ("$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA", false),
        ("$argon2id$v=19$m=4096,t=3,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA", false),
        ("$argon2id$v=19$m=65536,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA", true),
        ("$2b$12$abcdefghijklmnopqrstuv", true),
    ] {
        assert_eq!(costs_more(stored), is_costly, "{stored}");
    }
}

#[tokio::test]
async fn a_hash_of_what_was_sent_in_another_form_still_matches() {
    let passwords = Passwords::default();
    let sent = "glu\u{308}ck und salz";
    let old = hash(sent.as_bytes(), &mut Vec::new()).unwrap();
    assert!(passwords.matches(&Password::parse(sent).unwrap(), Some(&old)).await.unwrap());
    let new = passwords.hash(&Password::parse(sent).unwrap()).await.unwrap();
    let other_keyboard = Password::parse("gl\u{fc}ck und salz").unwrap();
    assert!(passwords.matches(&other_keyboard, Some(&new)).await.unwrap());
}

#[test]
fn hashes_of_another_cost_or_algorithm_are_outdated() {
    assert!(!Passwords::is_outdated(DUMMY_HASH.as_deref().unwrap()));
    assert!(Passwords::is_outdated("$argon2id$v=19$m=4096,t=3,p=1$c2FsdHNhbHQ$aGFzaA"));
    assert!(Passwords::is_outdated("$2b$12$abcdefghijklmnopqrstuv"));
    assert!(Passwords::is_known("$argon2id$v=19$m=4096,t=3,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNo"));
    for bad in
        ["$argon2id$v=19$m=4096,t=3,p=1", "$argon2id$v=19$m=4194304,t=3,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNo"]
    {
        assert!(!Passwords::is_known(bad), "{bad}");
    }
}
