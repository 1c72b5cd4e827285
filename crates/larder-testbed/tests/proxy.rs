//! The proxy in front of a real redis-server.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has to fail")]

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::{Duration, Instant};

use larder_testbed::{Proxy, Redis};

fn connect(proxy: &Proxy) -> TcpStream {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, proxy.port())).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream
}

fn read(stream: &mut TcpStream, count: usize) -> std::io::Result<String> {
    let mut reply = vec![0; count];
    stream.read_exact(&mut reply)?;
    Ok(String::from_utf8(reply).unwrap())
}

fn ping(stream: &mut TcpStream) -> std::io::Result<String> {
    stream.write_all(b"PING\r\n")?;
    read(stream, 7)
}

fn hears_nothing(stream: &mut TcpStream) -> bool {
    stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let heard = stream.read(&mut [0; 16]);
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    heard.is_err_and(|error| matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut))
}

#[test]
fn bytes_sent_through_a_stalled_link_arrive_after_it_heals() {
    let redis = Redis::start().unwrap();
    let proxy = Proxy::start(redis.port()).unwrap();
    let mut link = connect(&proxy);
    assert_eq!(ping(&mut link).unwrap(), "+PONG\r\n");

    proxy.stall();
    link.write_all(b"SET k v\r\n").unwrap();
    assert!(hears_nothing(&mut link));
    assert_eq!(redis.command(&["GET", "k"]).unwrap(), "(nil)");
    let mut new = connect(&proxy);
    new.write_all(b"PING\r\n").unwrap();
    assert!(hears_nothing(&mut new));

    proxy.heal();
    assert_eq!(read(&mut link, 5).unwrap(), "+OK\r\n");
    assert_eq!(read(&mut new, 7).unwrap(), "+PONG\r\n");
    assert_eq!(redis.command(&["GET", "k"]).unwrap(), "v");
}

#[test]
fn with_stalled_replies_the_server_executes_and_no_reply_arrives() {
    let redis = Redis::start().unwrap();
    let proxy = Proxy::start(redis.port()).unwrap();
    let mut link = connect(&proxy);
    proxy.stall_replies();
    link.write_all(b"SET k v\r\n").unwrap();
    assert!(hears_nothing(&mut link));
    assert_eq!(redis.command(&["GET", "k"]).unwrap(), "v");
    proxy.heal();
    assert_eq!(read(&mut link, 5).unwrap(), "+OK\r\n");
}

#[test]
fn a_slow_link_is_slow_until_it_heals() {
    let redis = Redis::start().unwrap();
    let proxy = Proxy::start(redis.port()).unwrap();
    let mut link = connect(&proxy);
    proxy.delay(Duration::from_millis(100));
    let start = Instant::now();
    assert_eq!(ping(&mut link).unwrap(), "+PONG\r\n");
    assert!(start.elapsed() >= Duration::from_millis(200));
    proxy.heal();
    let start = Instant::now();
    assert_eq!(ping(&mut link).unwrap(), "+PONG\r\n");
    assert!(start.elapsed() < Duration::from_millis(200));
}

#[test]
fn delays_of_consecutive_bytes_do_not_add_up() {
    let redis = Redis::start().unwrap();
    // Several times the size of one read: if each part had its own delay, the sum would be seconds.
    let long = "x".repeat(4 << 20);
    redis.command(&["SET", "long", &long]).unwrap();
    let proxy = Proxy::start(redis.port()).unwrap();
    let mut link = connect(&proxy);
    assert_eq!(ping(&mut link).unwrap(), "+PONG\r\n");
    proxy.delay(Duration::from_millis(100));
    let start = Instant::now();
    link.write_all(b"GET long\r\n").unwrap();
    assert_eq!(read(&mut link, 10).unwrap(), "$4194304\r\n");
    assert_eq!(read(&mut link, long.len()).unwrap(), long);
    let took = start.elapsed();
    assert!((200..2_000).contains(&took.as_millis()), "{took:?}");
}

#[test]
fn a_cut_ends_links_and_refuses_new_ones_until_it_heals() {
    let redis = Redis::start().unwrap();
    let proxy = Proxy::start(redis.port()).unwrap();
    let mut link = connect(&proxy);
    assert_eq!(ping(&mut link).unwrap(), "+PONG\r\n");
    proxy.cut();
    assert!(ping(&mut link).is_err());
    assert!(ping(&mut connect(&proxy)).is_err());
    proxy.heal();
    assert_eq!(ping(&mut connect(&proxy)).unwrap(), "+PONG\r\n");
}

#[test]
fn a_stalled_link_can_be_cut_and_redirected() {
    let (one, two) = (Redis::start().unwrap(), Redis::start().unwrap());
    two.command(&["SET", "k", "v"]).unwrap();
    let proxy = Proxy::start(one.port()).unwrap();
    let mut link = connect(&proxy);
    assert_eq!(ping(&mut link).unwrap(), "+PONG\r\n");
    proxy.stall();
    proxy.redirect(two.port());
    proxy.heal();
    assert!(ping(&mut link).is_err());
    let mut link = connect(&proxy);
    link.write_all(b"GET k\r\n").unwrap();
    assert_eq!(read(&mut link, 7).unwrap(), "$1\r\nv\r\n");
}

#[test]
fn a_dropped_proxy_stops_listening() {
    let redis = Redis::start().unwrap();
    let proxy = Proxy::start(redis.port()).unwrap();
    let (port, mut link) = (proxy.port(), connect(&proxy));
    assert_eq!(ping(&mut link).unwrap(), "+PONG\r\n");
    drop(proxy);
    assert!(ping(&mut link).is_err());
    let gone = || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err();
    assert!((0..100).any(|_| gone() || {
        std::thread::sleep(Duration::from_millis(20));
        false
    }));
}
