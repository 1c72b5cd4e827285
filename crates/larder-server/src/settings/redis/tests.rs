//! What the variables of Redis mean, and which are refused.

use super::*;
use crate::settings::sources::of;

const SECRET: &str = "zqx:/@?#%";

/// The variables that are set, and what is expected: the URL and the variable that errors about it name.
type Row<'a> = (&'a [(&'a str, &'a str)], Option<(&'a str, &'a str)>);

fn url(pairs: &[(&str, &str)]) -> Option<(String, &'static str)> {
    let sources = of(pairs, "").unwrap();
    super::url(&sources, URLS.iter().find_map(|name| sources.find(name))).unwrap()
}

#[test]
fn the_first_url_wins_then_the_parts_and_any_of_them_means_redis() {
    let (a, b, c) = (("REDIS_URL", "redis://a"), ("REDIS_PRIVATE_URL", "redis://b"), (UPSTASH, "redis://c"));
    let table: &[Row<'_>] = &[
        (&[], None),
        (&[("REDIS_URL", ""), ("REDIS_HOST", " ")], None),
        (&[a, b, c, ("REDIS_HOST", "d")], Some(("redis://a", "REDIS_URL"))),
        (&[("REDIS_URL", " "), b, c], Some(("redis://b", "REDIS_PRIVATE_URL"))),
        (&[c, ("REDIS_PORT", "1")], Some(("redis://c", UPSTASH))),
        (&[("REDIS_HOST", "d")], Some(("redis://d:6379/0", "REDIS_HOST"))),
        (&[("REDIS_PORT", "7")], Some(("redis://localhost:7/0", "REDIS_HOST"))),
        (&[("REDIS_PORT", "tcp://10.0.0.5:6379")], None),
        (&[("REDIS_DB", "2")], Some(("redis://localhost:6379/2", "REDIS_HOST"))),
        (&[("REDIS_POOL_SIZE", "3"), ("REDIS_POOL_TIMEOUT", "1")], None),
        (
            &[("REDIS_PASSWORD", SECRET)],
            Some(("redis://:zqx%3A%2F%40%3F%23%25@localhost:6379/0", "REDIS_HOST")),
        ),
        (&[("REDIS_HOST", "::1")], Some(("redis://[::1]:6379/0", "REDIS_HOST"))),
        (&[a, ("REDIS_DB", "3")], Some(("redis://a/3", "REDIS_URL"))),
        (&[("REDIS_URL", "redis://a/"), ("REDIS_DB", "3")], Some(("redis://a/3", "REDIS_URL"))),
        (&[("REDIS_URL", "redis://a/1"), ("REDIS_DB", "3")], Some(("redis://a/1", "REDIS_URL"))),
        (
            &[("REDIS_URL", "redis://a?protocol=3"), ("REDIS_DB", "3")],
            Some(("redis://a/3?protocol=3", "REDIS_URL")),
        ),
        (
            &[("REDIS_URL", "redis+unix:///run/r"), ("REDIS_DB", "3")],
            Some(("redis+unix:///run/r?db=3", "REDIS_URL")),
        ),
        (
            &[("REDIS_URL", "unix:///r?db=1&pass=p"), ("REDIS_DB", "3")],
            Some(("unix:///r?db=1&pass=p", "REDIS_URL")),
        ),
        (
            &[("REDIS_URL", "unix:///db=/r?pass=db=1"), ("REDIS_DB", "3")],
            Some(("unix:///db=/r?pass=db=1&db=3", "REDIS_URL")),
        ),
        (&[("REDIS_USERNAME", "u@")], Some(("redis://u%40@localhost:6379/0", "REDIS_HOST"))),
        (
            &[("REDIS_TLS", "true"), ("REDIS_USERNAME", "u"), ("REDIS_PASSWORD", "p")],
            Some(("rediss://u:p@localhost:6379/0", "REDIS_HOST")),
        ),
        (
            &[("REDIS_SENTINELS", "a, [::1]:7"), ("REDIS_PASSWORD", "p"), ("REDIS_DB", "2")],
            Some(("redis-sentinel://:p@a,[::1]:7/2?sentinelMasterId=mymaster", "REDIS_SENTINELS")),
        ),
        (
            &[("REDIS_SENTINELS", "a"), ("REDIS_SENTINEL_MASTER", "m&x"), ("REDIS_TLS", "true")],
            Some(("rediss-sentinel://a/0?sentinelMasterId=m%26x", "REDIS_SENTINELS")),
        ),
        (
            &[("REDIS_URL", "redis-sentinel://a,b?sentinelMasterId=m"), ("REDIS_DB", "3")],
            Some(("redis-sentinel://a,b/3?sentinelMasterId=m", "REDIS_URL")),
        ),
    ];
    for (pairs, expected) in table {
        let found = url(pairs);
        let found = found.as_ref().map(|(url, name)| (url.as_str(), *name));
        assert_eq!(found, *expected, "{pairs:?}");
    }
}

#[test]
fn a_bad_part_is_named_and_a_secret_never_shown() {
    for (name, value) in [
        ("REDIS_HOST", "a b"),
        ("REDIS_HOST", "a:1"),
        ("REDIS_PORT", "0"),
        ("REDIS_PORT", "65536"),
        ("REDIS_DB", "-1"),
        ("REDIS_DB", "one"),
        ("REDIS_POOL_SIZE", "0"),
        ("LARDER_REDIS_BUDGET", "0"),
        ("LARDER_REDIS_BUDGET", "11"),
        ("REDIS_POOL_TIMEOUT", "0"),
        ("REDIS_POOL_TIMEOUT", "NaN"),
        ("REDIS_POOL_TIMEOUT", "61"),
        ("REDIS_TLS", "yes"),
        ("REDIS_SENTINELS", "a,"),
        ("REDIS_SENTINELS", "a b"),
        ("REDIS_PASSWORD_FILE", "/nowhere/password"),
    ] {
        let error = read(&of(&[(name, value)], "").unwrap()).unwrap_err().to_string();
        assert!(error.starts_with(&format!("{name}=\"{value}\": must be")), "{error}");
    }
    for (name, value) in [
        ("REDIS_HOST", "redis://:zqx@cache:6379"),
        ("REDIS_HOST", "redis://:zqx"),
        ("REDIS_HOST", "u:zqx@cache"),
        ("REDIS_SENTINELS", "u:zqx@a,b"),
    ] {
        let error = read(&of(&[(name, value)], "").unwrap()).unwrap_err().to_string();
        assert!(error.starts_with(&format!("{name}=…: must be")) && !error.contains("zqx"), "{error}");
    }
    let good = "https://eu1-fit-1.upstash.io";
    for (url, token, named) in [
        (good, "", UPSTASH_TOKEN),
        (good, "zqx zqx", UPSTASH_TOKEN),
        ("https://:zqx@eu1-fit-1.upstash.io/zqx?_token=zqx", "zqx", UPSTASH),
        ("http://eu1-fit-1.upstash.io", "zqx", UPSTASH),
    ] {
        let error = read(&of(&[(UPSTASH, url), (UPSTASH_TOKEN, token)], "").unwrap()).unwrap_err();
        let error = error.to_string();
        assert!(error.starts_with(&format!("{named}=")) && !error.contains("zqx"), "{error}");
    }
}

#[test]
fn a_rest_interface_has_its_token_and_more_time() {
    let pairs = [(UPSTASH, " https://eu1-fit-1.upstash.io/ "), (UPSTASH_TOKEN, "zqx=\n")];
    let sources = of(&pairs, "").unwrap();
    let redis = read(&sources).unwrap().unwrap();
    let rest = RestAddress { url: "https://eu1-fit-1.upstash.io/".into(), token: "zqx=".into() };
    assert_eq!(redis.address, RedisAddress::Rest(rest));
    assert_eq!((redis.name, redis.budget), (UPSTASH, Duration::from_millis(500)));
    let shown = format!("{redis:?} {:?}", sources.effective());
    assert!(shown.contains("eu1-fit-1.upstash.io") && !shown.contains("zqx"), "{shown}");
    let own = [pairs[0], pairs[1], ("LARDER_REDIS_BUDGET", "0.2")];
    assert_eq!(read(&of(&own, "").unwrap()).unwrap().unwrap().budget, Duration::from_millis(200));
    let first = [pairs[0], pairs[1], ("REDIS_URL", "redis://a")];
    let redis = read(&of(&first, "").unwrap()).unwrap().unwrap();
    assert_eq!(redis.address, RedisAddress::Resp("redis://a".into()), "the first URL wins");
}

#[test]
fn settings_that_contradict_each_other_are_refused_by_name() {
    let tls = ("REDIS_URL", "rediss://a");
    for (pairs, name, says) in [
        (
            &[("REDIS_PASSWORD", "zqx"), ("REDIS_PASSWORD_FILE", "/dev/null")][..],
            "REDIS_PASSWORD",
            "goes without",
        ),
        (&[("REDIS_SENTINELS", "a"), ("REDIS_HOST", "b")], "REDIS_HOST", "goes without REDIS_SENTINELS"),
        (
            &[("REDIS_HOST", "a"), ("REDIS_CA_FILE", "/dev/null")],
            "REDIS_CA_FILE",
            "needs a URL that begins with rediss",
        ),
        (&[("REDIS_URL", "redis://a"), ("REDIS_SERVER_NAME", "b")], "REDIS_SERVER_NAME", "needs a URL"),
        (
            &[tls, ("REDIS_CLIENT_CERT_FILE", "/dev/null")],
            "REDIS_CLIENT_CERT_FILE",
            "needs REDIS_CLIENT_KEY_FILE",
        ),
        (
            &[tls, ("REDIS_CLIENT_KEY_FILE", "/dev/null")],
            "REDIS_CLIENT_KEY_FILE",
            "needs REDIS_CLIENT_CERT_FILE",
        ),
        (&[("REDIS_URL", "redis://a"), ("REDIS_TLS", "true")], "REDIS_TLS", "needs a URL"),
        (&[("REDIS_URL", "redis://a"), ("REDIS_TLS", "True")], "REDIS_TLS", "must be true or false"),
        (&[tls, ("REDIS_TLS", "1")], "REDIS_TLS", "must be true or false"),
        (
            &[("REDIS_URL", "redis-cluster://a"), ("REDIS_DB", "1")],
            "REDIS_DB",
            "larder uses the database 0 of a cluster",
        ),
        (&[("REDIS_URL", "redis-cluster://a/1")], "REDIS_URL", "uses the database 0 of a cluster"),
        (&[("REDIS_URL", "unix:///r?database=2")], "REDIS_URL", "has the parameters db, user"),
        (
            &[(UPSTASH, "https://a"), (UPSTASH_TOKEN, "zqx"), ("REDIS_TLS", "yes")],
            "REDIS_TLS",
            "must be true or false",
        ),
        (
            &[(UPSTASH, "https://a"), (UPSTASH_TOKEN, "zqx"), ("REDIS_TLS", "true")],
            "REDIS_TLS",
            "goes without UPSTASH",
        ),
        (
            &[("REDIS_URL", "redis://a"), ("REDIS_PASSWORD", "zqx")],
            "REDIS_PASSWORD",
            "no effect beside REDIS_URL",
        ),
        (&[("REDIS_URL", "redis://u@a"), ("REDIS_PASSWORD", "zqx")], "REDIS_PASSWORD", "no effect"),
        (&[("REDIS_URL", "unix:///r?db=1"), ("REDIS_PASSWORD", "zqx")], "REDIS_PASSWORD", "no effect"),
        (&[("REDIS_URL", "redis://a"), ("REDIS_USERNAME", "u")], "REDIS_USERNAME", "no effect"),
        (&[("REDIS_CA_FILE", "/dev/null")], "REDIS_CA_FILE", "needs a URL"),
        (
            &[(UPSTASH, "https://a"), (UPSTASH_TOKEN, "zqx"), ("REDIS_CA_FILE", "/dev/null")],
            "REDIS_CA_FILE",
            "goes without UPSTASH",
        ),
        (&[tls, ("REDIS_CA_FILE", "/dev/null")], "REDIS_URL", "contains no certificate"),
        (&[tls, ("REDIS_PASSWORD_FILE", "/dev/null")], "REDIS_URL", "is empty"),
    ] {
        let error = read(&of(pairs, "").unwrap()).unwrap_err().to_string();
        assert!(error.starts_with(&format!("{name}=")) && error.contains(says), "{error}");
        assert!(!error.contains("zqx"), "{error}");
    }
}

#[test]
fn a_login_beside_a_url_with_its_own_and_tls_that_is_off_are_no_mistakes() {
    for pairs in [
        &[("REDIS_URL", "redis://:p@a"), ("REDIS_PASSWORD", "p"), ("REDIS_USERNAME", "u")][..],
        &[("REDIS_URL", "unix:///r?user=u&pass=p"), ("REDIS_PASSWORD", "p"), ("REDIS_USERNAME", "u")],
        &[("REDIS_URL", "redis://a"), ("REDIS_TLS", "false")],
        &[("REDIS_URL", "rediss://a"), ("REDIS_TLS", "true")],
        &[("REDIS_URL", "rediss://a"), ("REDIS_TLS", "false")],
        &[(UPSTASH, "https://a"), (UPSTASH_TOKEN, "t"), ("REDIS_TLS", "false"), ("REDIS_PASSWORD", "p")],
    ] {
        assert!(read(&of(pairs, "").unwrap()).unwrap().is_some(), "{pairs:?}");
    }
}

#[test]
fn what_is_shown_hides_the_password() {
    let sources = of(&[("REDIS_PASSWORD", SECRET), ("REDIS_POOL_TIMEOUT", "0.5")], "").unwrap();
    let redis = read(&sources).unwrap().unwrap();
    assert_eq!((redis.pool_size, redis.pool_timeout), (10, Duration::from_millis(500)));
    let shown = format!("{redis:?} {:?}", sources.effective());
    assert!(!shown.contains("zqx"), "{shown}");
}
