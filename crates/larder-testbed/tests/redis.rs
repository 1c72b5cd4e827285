//! The temporary Redis, with a real redis-server.

use std::net::{Ipv4Addr, TcpStream};
use std::time::{Duration, Instant};

use larder_testbed::Redis;

fn listening(port: u16) -> bool {
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
}

#[test]
fn a_server_answers_commands() {
    let redis = Redis::start().unwrap();
    assert_eq!(redis.url(), format!("redis://127.0.0.1:{}/0", redis.port()));
    assert_eq!(redis.command(&["SET", "k", "v"]).unwrap(), "OK");
    assert_eq!(redis.command(&["MGET", "k", "absent"]).unwrap(), "v\n(nil)");
    assert_eq!(redis.command(&["INCR", "n"]).unwrap(), "1");
    assert!(redis.command(&["LPUSH", "k", "x"]).unwrap_err().to_string().starts_with("WRONGTYPE"));
    assert_eq!(redis.command(&["CONFIG", "GET", "save"]).unwrap(), "save\n");
}

#[test]
fn bytes_come_back_as_they_went() {
    let redis = Redis::start().unwrap();
    let value = [0, 255, b'\r', b'\n'];
    redis.command_bytes(&[b"SET", b"k", &value]).unwrap();
    assert_eq!(redis.command_bytes(&[b"GET", b"k"]).unwrap(), value);
}

#[test]
fn directives_reach_it() {
    let redis = Redis::start_with(&[("maxmemory", "4mb"), ("requirepass", "secret")]).unwrap();
    assert_eq!(redis.command(&["CONFIG", "GET", "maxmemory"]).unwrap(), "maxmemory\n4194304");
    assert_eq!(redis.url(), format!("redis://:secret@127.0.0.1:{}/0", redis.port()));
}

#[test]
fn a_directive_it_refuses_is_quoted() {
    let Err(error) = Redis::start_with(&[("no-such-directive", "1")]) else { panic!("it booted") };
    assert!(format!("{error:#}").contains("no-such-directive"), "{error:#}");
}

#[test]
fn a_paused_server_does_not_answer_until_it_is_resumed() {
    let redis = Redis::start().unwrap();
    redis.pause().unwrap();
    redis.pause().unwrap();
    let status = std::fs::read_to_string(format!("/proc/{}/status", redis.pid())).unwrap();
    assert!(status.contains("State:\tT (stopped)"), "{status}");
    redis.resume().unwrap();
    assert_eq!(redis.command(&["SET", "k", "v"]).unwrap(), "OK");
}

#[test]
fn killed_it_refuses_and_restarted_it_is_empty_on_the_same_port() {
    let mut redis = Redis::start().unwrap();
    redis.command(&["SET", "k", "v"]).unwrap();
    let (port, pid) = (redis.port(), redis.pid());
    redis.kill().unwrap();
    assert!(!listening(port));
    assert!(redis.command(&["PING"]).is_err());
    assert!(redis.pause().is_err());
    redis.restart().unwrap();
    assert_eq!((redis.port(), redis.command(&["GET", "k"]).unwrap().as_str()), (port, "(nil)"));
    assert_ne!(redis.pid(), pid);
}

#[test]
fn restarting_a_paused_one_works() {
    let mut redis = Redis::start().unwrap();
    redis.pause().unwrap();
    redis.restart().unwrap();
    assert_eq!(redis.command(&["PING"]).unwrap(), "PONG");
}

#[test]
fn dropped_it_leaves_no_process_and_no_folder() {
    let redis = Redis::start().unwrap();
    let (port, pid) = (redis.port(), redis.pid());
    let folder = redis.command(&["CONFIG", "GET", "dir"]).unwrap().replace("dir\n", "");
    assert!(std::fs::exists(&folder).unwrap());
    drop(redis);
    assert!(!listening(port));
    assert!(!std::fs::exists(folder).unwrap());
    assert!(!std::fs::exists(format!("/proc/{pid}")).unwrap());
}

/// Starts this test again as a child process that has a server, kills the child, and checks that the server ends.
#[test]
fn no_server_outlives_a_killed_parent() {
    const CHILD: &str = "LARDER_TESTBED_CHILD";
    if std::env::var_os(CHILD).is_some() {
        // A thread that ends starts the server: the end of the thread must not end the server.
        let redis = std::thread::spawn(|| Redis::start().unwrap()).join().unwrap();
        let folder = redis.command(&["CONFIG", "GET", "dir"]).unwrap().replace("dir\n", "");
        println!("\nserver {} {folder}", redis.port());
        loop {
            std::thread::park();
        }
    }
    let mut child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "no_server_outlives_a_killed_parent", "--nocapture"])
        .env(CHILD, "1")
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().unwrap()));
    let line = lines.map_while(Result::ok).find(|line| line.starts_with("server ")).unwrap();
    let [_, port, folder] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
    let port = port.parse().unwrap();
    assert!(listening(port));

    child.kill().unwrap();
    child.wait().unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while listening(port) || std::fs::exists(folder).unwrap() {
        assert!(Instant::now() < deadline, "the server outlived its parent");
        std::thread::sleep(Duration::from_millis(20));
    }
}
