//! A front that takes commands over HTTP, as Upstash's REST interface does, and sends them to a Redis.
//!
//! It follows <https://upstash.com/docs/redis/features/restapi>: `/` takes one command as a JSON array, `/pipeline` an array
//! of them; a bearer token; texts of replies in base64 if the client asks for it; an error as `{"error": "…"}`. As there,
//! commands that only read may go to a replica, and INFO names neither the process nor the history of the data.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value as Json, json};

use crate::ports::{boot_on, free_port};
use crate::resp::{Reply, read_value, write_command};

/// The token that the front requires.
const TOKEN: &str = "AX_a-rest-token=";

/// The time-out of a connection to Redis and of each reply.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The commands that Upstash may let a replica answer, as far as larder knows them.
const READS: [&str; 8] = ["GET", "MGET", "EXISTS", "PTTL", "SCAN", "STRLEN", "TIME", "EVAL_RO"];

/// A REST front on 127.0.0.1. A drop ends its connections.
pub struct RestFront {
    port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    leader: u16,
    replica: Option<u16>,
    mode: Mode,
    requests: u64,
    links: Vec<TcpStream>,
    is_ended: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Open,
    Hangs,
    Fails,
    Cut,
}

impl RestFront {
    /// Listens on a free port, and sends commands to the Redis on the port `leader` of 127.0.0.1.
    ///
    /// # Errors
    ///
    /// If no port is free.
    pub fn start(leader: u16) -> Result<Self> {
        let listen = |port| Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, port))?);
        let listener = boot_on(free_port, listen).context("opening the port of a REST front")?;
        let port = listener.local_addr()?.port();
        let (mode, links) = (Mode::Open, Vec::new());
        let state = State { leader, replica: None, mode, requests: 0, links, is_ended: false };
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() });
        let accepting = shared.clone();
        thread::spawn(move || accept(&listener, &accepting));
        Ok(RestFront { port, shared })
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The URL.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The token that it requires.
    pub fn token(&self) -> &'static str {
        TOKEN
    }

    /// How many requests it has received.
    pub fn requests(&self) -> u64 {
        self.shared.lock().requests
    }

    /// Sends commands that only read to another Redis, a replica on this port.
    pub fn read_from(&self, replica: u16) {
        self.shared.lock().replica = Some(replica);
    }

    /// Sends all commands to the Redis on this port from now on, as after a failover. Connections of clients stay open.
    pub fn fail_over(&self, leader: u16) {
        let mut state = self.shared.lock();
        (state.leader, state.replica) = (leader, None);
    }

    /// Accepts requests and does not answer them until [`heal`](Self::heal).
    pub fn hang(&self) {
        self.set(Mode::Hangs);
    }

    /// Answers every request with HTTP 500 until [`heal`](Self::heal).
    pub fn fail(&self) {
        self.set(Mode::Fails);
    }

    /// Ends every connection, and every new one, until [`heal`](Self::heal).
    pub fn cut(&self) {
        self.set(Mode::Cut);
        self.end_links();
    }

    /// Ends all faults.
    pub fn heal(&self) {
        self.set(Mode::Open);
    }

    fn set(&self, mode: Mode) {
        self.shared.lock().mode = mode;
        self.shared.changed.notify_all();
    }

    fn end_links(&self) {
        for link in self.shared.lock().links.drain(..) {
            // An error means that the connection has already ended.
            let _ = link.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for RestFront {
    fn drop(&mut self) {
        self.shared.lock().is_ended = true;
        self.shared.changed.notify_all();
        self.end_links();
        // Connect once, so that the accepting thread wakes, sees `is_ended` and returns.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a request, and waits while the front hangs. Returns whether the request is to be answered with an error.
    fn admit(&self) -> bool {
        let mut state = self.lock();
        state.requests += 1;
        while state.mode == Mode::Hangs && !state.is_ended {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.mode == Mode::Fails
    }

    /// The port of the Redis that runs `command`.
    fn port_for(&self, command: &[Vec<u8>]) -> u16 {
        let state = self.lock();
        let name =
            command.first().map(|name| String::from_utf8_lossy(name).to_uppercase()).unwrap_or_default();
        state.replica.filter(|_| READS.contains(&&*name)).unwrap_or(state.leader)
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for client in listener.incoming().flatten() {
        let mut state = shared.lock();
        if state.is_ended {
            return;
        }
        let Ok(link) = client.try_clone() else { continue };
        if state.mode == Mode::Cut {
            continue;
        }
        state.links.push(link);
        drop(state);
        let shared = shared.clone();
        // An error means that the client has left.
        thread::spawn(move || serve(client, &shared).ok());
    }
}

/// Serves the requests of one connection until it ends.
fn serve(client: TcpStream, shared: &Shared) -> Result<()> {
    client.set_nodelay(true)?;
    let (mut replies, mut requests) = (client.try_clone()?, BufReader::new(client));
    let mut redis = HashMap::new();
    loop {
        let request = Request::read(&mut requests)?;
        let (status, body) = match shared.admit() {
            true => ("500 Internal Server Error", json!({"error": "ERR internal error"})),
            false => answer(&request, shared, &mut redis),
        };
        let body = body.to_string();
        let length = body.len();
        let reply = format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        replies.write_all(reply.as_bytes())?;
    }
}

struct Request {
    method: String,
    path: String,
    headers: HashMap<String, String>,
    body: Vec<u8>,
}

impl Request {
    fn read(from: &mut impl BufRead) -> Result<Self> {
        let mut line = || -> Result<String> {
            let mut line = String::new();
            ensure!(from.read_line(&mut line)? > 0, "the client has left");
            Ok(line.trim_end().to_owned())
        };
        let first = line()?;
        let mut words = first.split(' ').map(str::to_owned);
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let mut headers = HashMap::new();
        loop {
            let header = line()?;
            let Some((name, value)) = header.split_once(':') else { break };
            headers.insert(name.to_lowercase(), value.trim().to_owned());
        }
        let length = headers.get("content-length").map_or(Ok(0), |length| length.parse())?;
        let mut body = vec![0; length];
        from.read_exact(&mut body)?;
        Ok(Request { method, path, headers, body })
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

/// The connections of one client's connection to each Redis, by port.
type Links = HashMap<u16, BufReader<TcpStream>>;

fn answer(request: &Request, shared: &Shared, redis: &mut Links) -> (&'static str, Json) {
    let error = |words: &str| json!({ "error": words });
    if request.method != "POST" {
        return ("405 Method Not Allowed", error("ERR method not allowed"));
    }
    if request.header("authorization") != Some(&format!("Bearer {TOKEN}")) {
        return ("401 Unauthorized", error("WRONGPASS invalid or missing auth token"));
    }
    let is_base64 = request.header("upstash-encoding") == Some("base64");
    let parsed = serde_json::from_slice::<Json>(&request.body).ok();
    let mut run = |command: &Json| -> Result<Json> {
        let Some(command) = arguments(command) else { return Ok(error("ERR failed to parse command")) };
        Ok(match run(&command, shared.port_for(&command), redis)? {
            Reply::Error(words) => error(&words),
            reply => json!({ "result": to_json(reply, is_base64) }),
        })
    };
    let answered = match (request.path.as_str(), parsed) {
        ("/", Some(command)) => run(&command),
        ("/pipeline", Some(Json::Array(commands))) => commands.iter().map(run).collect(),
        _ => Ok(error("ERR failed to parse the request")),
    };
    match answered {
        Ok(body) if body.get("error").is_some() => ("400 Bad Request", body),
        Ok(body) => ("200 OK", body),
        // Redis is away.
        Err(_) => ("500 Internal Server Error", error("ERR internal error")),
    }
}

/// The arguments of a command: texts as UTF-8, and numbers.
fn arguments(command: &Json) -> Option<Vec<Vec<u8>>> {
    let arguments = command.as_array()?.iter().map(|argument| match argument {
        Json::String(text) => Some(text.clone().into_bytes()),
        Json::Number(number) => Some(number.to_string().into_bytes()),
        _ => None,
    });
    arguments.collect::<Option<Vec<_>>>().filter(|arguments| !arguments.is_empty())
}

fn run(command: &[Vec<u8>], port: u16, redis: &mut Links) -> Result<Reply> {
    let args: Vec<&[u8]> = command.iter().map(|argument| &argument[..]).collect();
    if args[0].eq_ignore_ascii_case(b"CLIENT") {
        return Ok(Reply::Error("ERR Command is not available: 'CLIENT'".to_owned()));
    }
    let reply = match exchange(&args, port, redis) {
        // The connection broke since its last use, so it is opened once more. A command may then run twice, as if the
        // client had repeated it.
        Err(_) => {
            redis.remove(&port);
            exchange(&args, port, redis)?
        }
        Ok(reply) => reply,
    };
    Ok(if args[0].eq_ignore_ascii_case(b"INFO") { without_identity(reply) } else { reply })
}

fn exchange(args: &[&[u8]], port: u16, redis: &mut Links) -> Result<Reply> {
    let link = match redis.entry(port) {
        std::collections::hash_map::Entry::Occupied(link) => link.into_mut(),
        std::collections::hash_map::Entry::Vacant(place) => {
            let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(TIMEOUT))?;
            place.insert(BufReader::new(stream))
        }
    };
    write_command(link.get_mut(), args)?;
    read_value(link)
}

/// INFO as Upstash answers it.
fn without_identity(reply: Reply) -> Reply {
    let Reply::Text(text) = reply else { return reply };
    let (mut kept, mut is_replication) = (String::new(), false);
    for line in String::from_utf8_lossy(&text).lines() {
        if line.starts_with('#') {
            is_replication = line == "# Replication";
        } else if is_replication || line.starts_with("run_id:") {
            continue;
        }
        kept += line;
        kept += "\r\n";
    }
    Reply::Text(kept.into_bytes())
}

fn to_json(reply: Reply, is_base64: bool) -> Json {
    match reply {
        Reply::Nil => Json::Null,
        Reply::Status(text) if text == "OK" => json!(text),
        Reply::Status(text) => to_json(Reply::Text(text.into_bytes()), is_base64),
        Reply::Int(number) => json!(number),
        Reply::Text(bytes) if is_base64 => json!(STANDARD.encode(bytes)),
        Reply::Text(bytes) => json!(String::from_utf8_lossy(&bytes)),
        Reply::Array(replies) => replies.into_iter().map(|reply| to_json(reply, is_base64)).collect(),
        Reply::Error(words) => json!(words),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redis::Redis;

    /// Sends a request over a new connection; returns the status and the body.
    fn post(front: &RestFront, path: &str, token: &str, body: &str) -> Result<(String, String)> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, front.port))?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        let length = body.len();
        let head = format!(
            "POST {path} HTTP/1.1\r\nauthorization: Bearer {token}\r\nupstash-encoding: base64\r\n\
             content-length: {length}\r\n\r\n"
        );
        stream.write_all(head.as_bytes())?;
        stream.write_all(body.as_bytes())?;
        let reply = Request::read(&mut BufReader::new(stream))?;
        Ok((reply.path, String::from_utf8(reply.body)?))
    }

    #[test]
    fn it_answers_as_upstash_does() {
        let redis = Redis::start().unwrap();
        let front = RestFront::start(redis.port()).unwrap();
        let ask = |path: &str, body: &str| post(&front, path, TOKEN, body).unwrap();
        let ok = |body: &str| ("200".to_owned(), body.to_owned());
        assert_eq!(ask("/", r#"["SET","k","bar","PX",60000]"#), ok(r#"{"result":"OK"}"#));
        assert_eq!(ask("/", r#"["GET","k"]"#), ok(r#"{"result":"YmFy"}"#));
        assert_eq!(
            ask("/pipeline", r#"[["GET","none"],["INCR","k"],["MGET","k"],["STRLEN","k"]]"#),
            ok(
                r#"[{"result":null},{"error":"ERR value is not an integer or out of range"},{"result":["YmFy"]},{"result":3}]"#
            )
        );
        let (status, body) = ask("/", r#"["NONSENSE"]"#);
        assert!(status == "400" && body.contains("unknown command"), "{body}");
        assert_eq!(ask("/", "{").0, "400");
        let (status, body) = post(&front, "/", "another", r#"["PING"]"#).unwrap();
        assert!(status == "401" && body.contains("WRONGPASS"), "{body}");
        let (_, info) = ask("/", r#"["INFO","replication"]"#);
        let heading = STANDARD.encode("# Replication\r\n");
        assert_eq!(info, format!(r#"{{"result":"{heading}"}}"#));
        front.fail();
        assert_eq!(ask("/", r#"["PING"]"#).0, "500");
        front.cut();
        assert!(post(&front, "/", TOKEN, r#"["PING"]"#).is_err());
        front.heal();
        assert_eq!(ask("/", r#"["PING"]"#), ok(r#"{"result":"UE9ORw=="}"#));
    }
}
