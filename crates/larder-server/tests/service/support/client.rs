//! A small HTTP client that sends requests byte for byte and checks the rules that every answer follows.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

use crate::support::contract;

/// Longer than the service's own time-outs, so that these end a request first.
const TIMEOUT: Duration = Duration::from_secs(25);

/// Paths on which a POST changes no data: it is a POST so that its arguments stay out of URLs.
/// The POSTs that ask for a mail answer before anything is written.
const READING_POSTS: [&str; 8] = [
    "/lookup",
    "/introspect",
    "/explain",
    "/warm",
    "/classes/",
    "/password/forgot",
    "/confirm/request",
    "/users/export",
];

/// A request that the client sends on a connection of its own.
#[derive(Clone)]
pub(crate) struct Request {
    method: &'static str,
    path: String,
    headers: Vec<(String, String)>,
    body: Option<Vec<u8>>,
}

impl Request {
    pub(crate) fn new(method: &'static str, path: &str) -> Self {
        Self { method, path: path.to_owned(), headers: Vec::new(), body: None }
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        self.header("content-type", "application/json").bytes(body.to_string())
    }

    pub(crate) fn bytes(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self
    }

    fn to_wire(&self, host: SocketAddr) -> Vec<u8> {
        let Self { method, path, headers, body } = self;
        let mut wire = format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n");
        for (name, value) in headers {
            wire += &format!("{name}: {value}\r\n");
        }
        if !headers.iter().any(|(name, _)| name == "x-request-id") {
            // One id for all, so that tests can compare complete answers.
            wire += "x-request-id: of-a-test\r\n";
        }
        if let Some(body) = body {
            wire += &format!("content-length: {}\r\n", body.len());
        }
        wire += "\r\n";
        [wire.as_bytes(), body.as_deref().unwrap_or_default()].concat()
    }

    /// Whether the request changes data.
    fn is_write(&self) -> bool {
        self.method != "GET"
            && self.method != "HEAD"
            && !READING_POSTS.iter().any(|path| self.path.contains(path))
    }
}

/// The answer to a request.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Every value of a header that may occur several times.
    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.headers
            .iter()
            .filter(move |(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> &str {
        assert_eq!(self.header("transfer-encoding"), None, "this client reads plain bodies only");
        std::str::from_utf8(&self.body).unwrap()
    }

    /// The body of an answer that was sent in chunks.
    pub(crate) fn unchunked(&self) -> Vec<u8> {
        assert_eq!(self.header("transfer-encoding"), Some("chunked"));
        let (mut rest, mut body) = (self.body.as_slice(), Vec::new());
        loop {
            let line = rest.windows(2).position(|two| two == b"\r\n").unwrap();
            let length = usize::from_str_radix(std::str::from_utf8(&rest[..line]).unwrap(), 16).unwrap();
            if length == 0 {
                return body;
            }
            let begin = line + 2;
            body.extend_from_slice(&rest[begin..begin + length]);
            rest = &rest[begin + length + 2..];
        }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.text()))
    }

    /// Returns a field of the body that is text.
    pub(crate) fn field(&self, name: &str) -> String {
        self.json()[name].as_str().unwrap_or_else(|| panic!("no {name}: {}", self.text())).to_owned()
    }

    /// Fails the test unless the answer is a problem of this status and code.
    #[track_caller]
    pub(crate) fn refuses(&self, status: u16, code: &str) {
        assert_eq!((self.status, self.field("code").as_str()), (status, code), "{}", self.text());
    }

    /// Fails the test if the status is another one.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text());
        self
    }

    /// Fails the test unless the answer is a problem with errors for exactly these fields.
    #[track_caller]
    pub(crate) fn complains_about(self, status: u16, fields: &[&str]) {
        let body = self.expect(status).json();
        let named: Vec<_> = body["errors"].as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(named, fields, "{body}");
    }

    fn parse(wire: &[u8]) -> Option<Self> {
        let end = wire.windows(4).position(|four| four == b"\r\n\r\n")?;
        let head = std::str::from_utf8(&wire[..end]).unwrap();
        let (first, rest) = head.split_once("\r\n").unwrap_or((head, ""));
        let status = first.split(' ').nth(1)?.parse().ok()?;
        let headers: Vec<(String, String)> = rest
            .split("\r\n")
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
            .collect();
        let answer = Self { status, headers, body: wire[end + 4..].to_vec() };
        Some(answer)
    }

    /// Checks the rules that the contract sets for every answer.
    #[track_caller]
    fn check(&self, request: &Request) {
        let about = format!("{} {} → {self:?}", request.method, request.path);
        // A browser may keep an answer that it can check.
        let kept = if self.header("etag").is_some() { "private, no-cache" } else { "private, no-store" };
        assert_eq!(self.header("cache-control"), Some(kept), "{about}");
        assert!(self.header("x-request-id").is_some(), "{about}");
        if self.status == 503 && self.header("content-type") == Some("application/json") {
            // The hotel API has its own body for a Redis that is away.
            assert_eq!(self.json()["cache_available"], false, "{about}");
        } else if self.status >= 400 {
            assert_eq!(self.header("content-type"), Some("application/problem+json"), "{about}");
            let problem = self.json();
            assert_eq!(problem["status"], self.status, "{about}");
            assert!(problem["title"].is_string() && problem["detail"].is_string(), "{about}");
            // The OpenAPI document lists the codes; `contract` holds each answer against it.
            let urn = format!("urn:problem-type:larder:{}", self.field("code").replace('_', "-"));
            assert_eq!(problem["type"], urn, "{about}");
        } else if request.is_write() {
            assert!(matches!(self.header("cache-invalidation"), Some("sent" | "queued")), "{about}");
        }
        let is_scope = self.status == 403 && self.field("code") == "scope_missing";
        assert_eq!(self.header("www-authenticate").is_some(), self.status == 401 || is_scope, "{about}");
    }
}

/// A client of one instance.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) address: SocketAddr,
    pub(crate) token: Option<String>,
    pub(crate) refresh_token: String,
    /// The user's id; empty for a client without a token.
    pub(crate) id: String,
    /// The password with which it logged in; empty for a client without a token.
    pub(crate) password: String,
}

impl Client {
    /// Returns a client without a token.
    pub(crate) fn anonymous(address: SocketAddr) -> Self {
        Self {
            address,
            token: None,
            refresh_token: String::new(),
            id: String::new(),
            password: String::new(),
        }
    }

    pub(crate) fn with_token(&self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self.clone() }
    }

    /// Sends a request, reads the answer, and checks the rules that every answer follows.
    #[track_caller]
    pub(crate) fn send(&self, request: Request) -> Answer {
        let answer = self.raw(request.clone());
        answer.check(&request);
        contract::check(request.method, &request.path, &answer, || self.document());
        answer
    }

    /// Sends a request and reads the answer, without checking anything.
    #[track_caller]
    pub(crate) fn raw(&self, request: Request) -> Answer {
        let request = match &self.token {
            Some(token) => request.header("authorization", &format!("Bearer {token}")),
            None => request,
        };
        let answer = send_raw(self.address, &request.to_wire(self.address));
        answer.unwrap_or_else(|| panic!("no answer to {} {}", request.method, request.path))
    }

    fn document(&self) -> Value {
        let wire = Request::new("GET", "/openapi.json").to_wire(self.address);
        send_raw(self.address, &wire).unwrap().json()
    }

    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Answer {
        self.send(Request::new("GET", path))
    }

    #[track_caller]
    pub(crate) fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(Request::new("POST", path).json(body))
    }

    /// Sends a token as OAuth does, in a form.
    #[track_caller]
    pub(crate) fn token_form(&self, path: &str, token: &str) -> Answer {
        let form = "application/x-www-form-urlencoded";
        self.send(Request::new("POST", path).header("content-type", form).bytes(format!("token={token}")))
    }

    #[track_caller]
    pub(crate) fn patch(&self, path: &str, body: &Value) -> Answer {
        self.send(Request::new("PATCH", path).json(body))
    }

    #[track_caller]
    pub(crate) fn put(&self, path: &str, body: &Value) -> Answer {
        self.send(Request::new("PUT", path).json(body))
    }

    #[track_caller]
    pub(crate) fn delete(&self, path: &str) -> Answer {
        self.send(Request::new("DELETE", path))
    }

    #[track_caller]
    pub(crate) fn delete_with(&self, path: &str, body: &Value) -> Answer {
        self.send(Request::new("DELETE", path).json(body))
    }

    /// Adds this client's password, as actions that a token alone may not do need it.
    pub(crate) fn confirmed(&self, body: &Value) -> Value {
        let mut body = body.clone();
        body["current_password"] = self.password.clone().into();
        body
    }

    /// Grants a permission to a user.
    #[track_caller]
    pub(crate) fn grant(&self, user: &Self, permission: &str) -> Answer {
        let path = format!("{}/permissions/{permission}", user.path());
        self.put(&path, &self.confirmed(&serde_json::json!({})))
    }

    /// Makes an API key of this user.
    #[track_caller]
    pub(crate) fn make_key(&self, body: &Value) -> Answer {
        self.post("/api/v1/users/me/api-keys", &self.confirmed(body))
    }

    /// Deletes this user itself.
    #[track_caller]
    pub(crate) fn delete_itself(&self) -> Answer {
        self.delete_with("/api/v1/users/me", &self.confirmed(&serde_json::json!({})))
    }

    #[track_caller]
    pub(crate) fn lookup(&self, by: &Value) -> Answer {
        self.post("/api/v1/users/lookup", by)
    }

    /// Returns the status of `GET auth/validate`: 200 while the token is valid.
    #[track_caller]
    pub(crate) fn validate(&self) -> u16 {
        self.get("/api/v1/auth/validate").status
    }

    /// The path of this user.
    pub(crate) fn path(&self) -> String {
        format!("/api/v1/users/{}", self.id)
    }
}

/// Sends bytes on a connection of its own and reads until its end; `None`: no answer came.
pub(crate) fn send_raw(address: SocketAddr, wire: &[u8]) -> Option<Answer> {
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT).unwrap();
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    stream.set_write_timeout(Some(TIMEOUT)).unwrap();
    // A service that refuses early closes early, so the write can fail; the answer can still be read.
    let _ = stream.write_all(wire);
    let mut received = Vec::new();
    match stream.read_to_end(&mut received) {
        Ok(_) => {}
        Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset) => {}
        Err(error) => panic!("reading an answer: {error}"),
    }
    Answer::parse(&received)
}
