//! Where the address and the key of the commands come from, and that no list of processes shows a key of a file.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::process::{Command, Stdio};

use larder_testbed::free_port;

use crate::command_line::{Operator, Ran};
use crate::support::app::Stack;

#[test]
fn a_key_comes_from_the_arguments_a_file_or_the_environment() {
    let app = Stack::sqlite_memory().start();
    let Operator { url, key } = Operator::of(&app);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    std::fs::write(&file, format!("{key}\n")).unwrap();
    let (path, at) = (file.to_str().unwrap(), ("LARDER_URL", url.as_str()));
    let listen = app.address.to_string();
    for (arguments, environment) in [
        (vec!["--url", &url, "--key", &key], vec![]),
        (vec!["--url", &url, "--key-file", path], vec![("LARDER_API_KEY", "wrong")]),
        (vec![], vec![at, ("LARDER_API_KEY", key.as_str())]),
        (vec![], vec![at, ("LARDER_API_KEY_FILE", path)]),
        // As `larder health`, on the machine of the instance.
        (vec!["--key-file", path], vec![("LARDER_LISTEN", listen.as_str())]),
    ] {
        Ran::of(&[&["warm"], &arguments[..]].concat(), &environment).expect(0);
    }
    let token = app.admin();
    let token = token.token.as_deref().unwrap();
    Ran::of(&["warm", "--url", &url, "--key", token], &[]).expect(0);

    let usage = [
        (vec!["--key", &key, "--key-file", path], vec![at]),
        (vec!["--key-file", "/nowhere/key"], vec![at]),
        (vec![], vec![at, ("LARDER_API_KEY", key.as_str()), ("LARDER_API_KEY_FILE", path)]),
        (vec!["--url", "ftp://x"], vec![]),
        (vec!["--url", "http://ann:secret@x"], vec![]),
        (vec![], vec![("LARDER_URL", "localhost:8080")]),
    ];
    for (arguments, environment) in usage {
        let refused = Ran::of(&[&["warm"], &arguments[..]].concat(), &environment).expect(2);
        assert!(!refused.stderr.contains(&key), "{refused:?}");
    }
}

#[test]
fn a_refusal_is_one_line_with_its_code_and_what_to_do() {
    let app = Stack::sqlite_memory().start();
    let url = format!("http://{}", app.address);
    let missing = Ran::of(&["stats", "--url", &url], &[]).expect(1);
    assert!(
        missing.stderr.contains("answers 401") && missing.stderr.contains("LARDER_API_KEY"),
        "{missing:?}"
    );
    let ann = app.user("ann");
    let key = ann.make_key(&serde_json::json!({ "name": "x", "scopes": ["read"] })).expect(201).field("key");
    let forbidden = Ran::of(&["stats", "--url", &url, "--key", &key], &[]).expect(1);
    assert!(forbidden.stderr.contains("answers 403"), "{forbidden:?}");
    for refused in [missing, forbidden] {
        assert_eq!((refused.stderr.lines().count(), refused.stdout.as_str()), (1, ""), "{refused:?}");
    }
    let nothing = format!("http://127.0.0.1:{}", free_port().unwrap());
    let away = Ran::of(&["stats", "--url", &nothing], &[]).expect(1);
    assert!(away.stderr.contains(&nothing) && away.stderr.contains("refused"), "{away:?}");
}

/// Another program's answer cannot write to the terminal, and is no success.
#[test]
fn an_answer_of_another_program_is_refused_and_its_control_characters_are_not_printed() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let bodies = [("200 OK", "{}"), ("500 Oops", r#"{"title":"a\u001b[2Jb","detail":""}"#)];
    for (status, body) in bodies {
        let other = listener.try_clone().unwrap();
        let serving = std::thread::spawn(move || {
            let (mut stream, _) = other.accept().unwrap();
            let mut asked = [0; 4096];
            let _ = stream.read(&mut asked).unwrap();
            let length = body.len();
            write!(
                stream,
                "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
            )
            .unwrap();
        });
        let ran = Ran::of(&["stats", "--url", &url, "--key", "x"], &[]).expect(1);
        assert!(!ran.stderr.contains('\u{1b}') && !ran.stderr.is_empty(), "{ran:?}");
        serving.join().unwrap();
    }
}

#[test]
fn a_key_of_a_file_or_of_the_environment_is_in_no_list_of_processes() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    std::fs::write(&file, "of-the-file").unwrap();
    for (arguments, environment, key) in [
        (vec!["--key-file", file.to_str().unwrap()], vec![], "of-the-file"),
        (vec![], vec![("LARDER_API_KEY", "of-the-environment")], "of-the-environment"),
    ] {
        let mut asking = Command::new(env!("CARGO_BIN_EXE_larder"))
            .args(["stats", "--url", &url])
            .args(arguments)
            .env_clear()
            .envs(environment)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // The command has read its key: it is in the request.
        let (mut stream, _) = listener.accept().unwrap();
        let mut asked = vec![0; 4096];
        let length = stream.read(&mut asked).unwrap();
        let asked = String::from_utf8_lossy(&asked[..length]).into_owned();
        assert!(asked.contains(&format!("authorization: Bearer {key}")), "{asked}");
        let shown = std::fs::read(format!("/proc/{}/cmdline", asking.id())).unwrap();
        let shown = String::from_utf8_lossy(&shown).into_owned();
        assert!(shown.contains("stats") && !shown.contains(key), "{shown}");
        drop(stream);
        assert!(!asking.wait().unwrap().success());
    }
}
