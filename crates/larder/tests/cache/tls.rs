//! TLS to Redis, with the TLS of redis-server itself.

use std::fs;
use std::path::{Path, PathBuf};

use larder::health::Trouble;
use larder::redis_options::RedisOptions;
use larder_testbed::{Authority, Issued, Redis};

use crate::connecting::{is_named, is_working, share_entries};
use crate::support::{Instance, Table, builder, classes, eventually};

async fn instance(options: &RedisOptions) -> Instance {
    classes(builder().redis(options.clone()).installation("test").build().await.unwrap())
}

fn at(host: &str, port: u16, authority: &Authority) -> RedisOptions {
    RedisOptions::new(format!("rediss://{host}:{port}")).ca_file(authority.certificate())
}

/// The trouble is named with this detail, and reads go on without Redis.
async fn is_untrusted(options: &RedisOptions, detail: &str) {
    let instance = instance(options).await;
    is_named(&instance, Trouble::Untrusted).await;
    let reason = instance.cache.health_report().reasons.remove(0);
    assert!(reason.detail.as_deref().unwrap_or_default().contains(detail), "{detail}: {reason:?}");
    let table = Table::new();
    table.write(7, 1);
    assert_eq!(instance.read(&table, 7).await, Some(1));
    assert_eq!(instance.values.stats().redis_hits, 0);
}

#[tokio::test]
async fn entries_are_shared_over_tls() {
    let authority = Authority::create().unwrap();
    let (_redis, port) = Redis::start_tls(&authority, &[]).unwrap();
    let options = at("localhost", port, &authority);
    share_entries(&instance(&options).await, &instance(&options).await).await;
    let named = at("127.0.0.1", port, &authority).server_name("localhost");
    is_working(&instance(&named).await).await;
}

#[tokio::test]
async fn a_server_whose_certificate_cannot_be_verified_is_not_used() {
    let (authority, other) = (Authority::create().unwrap(), Authority::create().unwrap());
    let (redis, port) = Redis::start_tls(&authority, &[]).unwrap();
    is_untrusted(&at("localhost", port, &other), "invalid peer certificate").await;
    is_untrusted(&RedisOptions::new(format!("rediss://localhost:{port}")), "UnknownIssuer").await;
    is_untrusted(&at("127.0.0.1", port, &authority), "not valid for name").await;
    let without_tls = instance(&at("localhost", redis.port(), &authority)).await;
    eventually("the missing answer is named", async || {
        let reasons = without_tls.cache.health_report().reasons;
        reasons.iter().any(|reason| {
            let detail = reason.detail.as_deref().unwrap_or_default();
            reason.trouble == Trouble::Silent && detail.contains("the port speaks TLS")
        })
    })
    .await;
}

#[tokio::test]
async fn a_server_that_asks_for_a_certificate_gets_one() {
    let (authority, other) = (Authority::create().unwrap(), Authority::create().unwrap());
    let (_redis, port) = Redis::start_tls(&authority, &[("tls-auth-clients", "yes")]).unwrap();
    let options = at("localhost", port, &authority);
    is_untrusted(&options, "CertificateRequired").await;
    let with = |Issued { certificate, key }: Issued| options.clone().client_certificate(certificate, key);
    is_working(&instance(&with(authority.issue("client").unwrap())).await).await;
    is_untrusted(&with(other.issue("client").unwrap()), "alert").await;
}

/// A certificate is replaced without a restart: an authority, and the client's certificate.
#[tokio::test]
async fn new_certificates_in_their_files_are_used_without_a_restart() {
    let (authority, other) = (Authority::create().unwrap(), Authority::create().unwrap());
    let (redis, port) = Redis::start_tls(&authority, &[("tls-auth-clients", "yes")]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let [ca, certificate, key] = ["ca.pem", "client.pem", "client.key"].map(|name| folder.path().join(name));
    let copy = |from: PathBuf, to: &Path| assert!(fs::copy(from, to).unwrap() > 0);
    let give = |issued: &Issued| {
        copy(issued.certificate.clone(), &certificate);
        copy(issued.key.clone(), &key);
    };
    copy(other.certificate(), &ca);
    give(&other.issue("client").unwrap());
    let url = format!("rediss://localhost:{port}");
    let options = RedisOptions::new(url).ca_file(&ca).client_certificate(&certificate, &key);
    let instance = instance(&options).await;
    is_named(&instance, Trouble::Untrusted).await;
    copy(authority.certificate(), &ca);
    let alert = async || {
        let reasons = instance.cache.health_report().reasons;
        reasons.iter().any(|reason| reason.detail.as_deref().is_some_and(|detail| detail.contains("alert")))
    };
    eventually("only the client's certificate is wrong", alert).await;
    give(&authority.issue("client").unwrap());
    is_working(&instance).await;
    redis.command(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]).unwrap();
    fs::remove_file(&key).unwrap();
    eventually("the missing file is named", async || {
        let reasons = instance.cache.health_report().reasons;
        reasons
            .iter()
            .any(|reason| reason.detail.as_deref().is_some_and(|detail| detail.contains("client.key")))
    })
    .await;
}

#[tokio::test]
async fn files_that_are_no_certificates_are_refused_with_their_names() {
    let authority = Authority::create().unwrap();
    let Issued { certificate, key } = authority.issue("client").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("text.pem");
    fs::write(&text, "no certificate").unwrap();
    let options = || at("localhost", 1, &authority);
    for (options, says) in [
        (options().ca_file("/nowhere/ca.pem"), "ca_file /nowhere/ca.pem cannot be read"),
        (options().ca_file(&text), "contains no certificate in PEM"),
        (options().client_certificate(&text, &key), "contains no certificate in PEM"),
        (options().client_certificate(&certificate, &text), "client_certificate's key"),
        (
            options().client_certificate(&certificate, Authority::create().unwrap().issue("x").unwrap().key),
            "KeyMismatch",
        ),
    ] {
        let refused = options.check().unwrap_err().to_string();
        assert!(refused.contains(says), "{says}: {refused}");
    }
}

/// Over REST, too, the cause of a connection that cannot be opened is the detail of its trouble.
#[cfg(feature = "upstash")]
#[tokio::test]
async fn why_there_is_no_connection_over_rest_is_named() {
    use crate::support::journal::Ledger;
    let authority = Authority::create().unwrap();
    let (_redis, tls) = Redis::start_tls(&authority, &[]).unwrap();
    for (url, trouble, says) in [
        (format!("https://localhost:{tls}"), Trouble::Untrusted, "UnknownIssuer"),
        (format!("http://127.0.0.1:{}", larder_testbed::free_port().unwrap()), Trouble::Away, "refused"),
    ] {
        let builder = builder().upstash(url, "token").journal(Ledger::new().seen_by_another());
        let cache = builder.build().await.unwrap();
        eventually(&format!("{says} is named"), async || {
            cache.health_report().reasons.iter().any(|reason| {
                reason.trouble == trouble
                    && reason.detail.as_deref().is_some_and(|detail| detail.contains(says))
            })
        })
        .await;
    }
}
