//! A proxy before a real Redis that rewrites what the server says about itself.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// Forwards everything, and replaces one text by another in the server's replies.
pub(crate) struct Disguise {
    port: u16,
    rewrite: Arc<Mutex<Option<(String, String)>>>,
}

impl Disguise {
    /// Both texts need the same length, because a reply begins with its length.
    pub(crate) fn start(target: u16, from: &str, to: &str) -> Self {
        assert_eq!(from.len(), to.len());
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let rewrite = Arc::new(Mutex::new(Some((from.to_owned(), to.to_owned()))));
        let shared = rewrite.clone();
        // The thread ends with the test's process.
        thread::spawn(move || {
            for client in listener.incoming() {
                let (client, server) = (client.unwrap(), TcpStream::connect((Ipv4Addr::LOCALHOST, target)));
                let Ok(server) = server else { continue };
                let (requests, replies) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                thread::spawn(move || forward(requests, server, std::mem::take));
                let rewrite = shared.clone();
                thread::spawn(move || {
                    forward(replies, client, |bytes| match &*rewrite.lock().unwrap() {
                        Some((from, to)) => rewritten(bytes, from.as_bytes(), to.as_bytes()),
                        None => std::mem::take(bytes),
                    });
                });
            }
        });
        Disguise { port, rewrite }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }

    /// From here on replies are forwarded unchanged.
    pub(crate) fn take_off(&self) {
        *self.rewrite.lock().unwrap() = None;
    }
}

fn forward(mut from: TcpStream, mut to: TcpStream, rewrite: impl Fn(&mut Vec<u8>) -> Vec<u8>) {
    let (mut buffer, mut pending) = ([0; 1 << 16], Vec::new());
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        pending.extend_from_slice(&buffer[..count]);
        if to.write_all(&rewrite(&mut pending)).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}

/// Takes from `bytes` the part that can be forwarded, rewritten; leaves a possible beginning of `from`.
fn rewritten(bytes: &mut Vec<u8>, from: &[u8], to: &[u8]) -> Vec<u8> {
    while let Some(at) = bytes.windows(from.len()).position(|window| window == from) {
        bytes[at..at + to.len()].copy_from_slice(to);
    }
    let held = (1..from.len()).rev().find(|len| bytes.ends_with(&from[..*len])).unwrap_or(0);
    let rest = bytes.split_off(bytes.len() - held);
    std::mem::replace(bytes, rest)
}
