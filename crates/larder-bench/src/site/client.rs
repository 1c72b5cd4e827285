//! A client with one connection, which measures response times.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// A keep-alive connection of a user that is logged in.
pub(crate) struct Client {
    stream: BufReader<TcpStream>,
    host: SocketAddr,
    token: String,
}

/// The response.
pub(crate) struct Answer {
    status: u16,
    pub(crate) took: Duration,
    /// Whether `Cache-Status` says that the answer was a hit, or that the request shared another request's load.
    pub(crate) is_hit: bool,
    pub(crate) body: Vec<u8>,
}

impl Client {
    /// Connects and logs in.
    pub(crate) async fn login(host: SocketAddr, email: &str, password: &str) -> Result<Self> {
        let mut client = Self { stream: connect(host).await?, host, token: String::new() };
        let body = format!(r#"{{"email":"{email}","password":"{password}"}}"#);
        let answer = client.send("POST", "/api/v1/auth/login", &body).await?;
        ensure!(answer.status == 200, "logging in was answered with {}", answer.status);
        let body = String::from_utf8(answer.body)?;
        let (_, rest) = body.split_once(r#""access_token":""#).context("a login without a token")?;
        client.token = rest.split('"').next().unwrap_or_default().to_owned();
        Ok(client)
    }

    /// The user's access token.
    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    /// Another connection of the same user.
    pub(crate) async fn another(&self) -> Result<Self> {
        Ok(Self { stream: connect(self.host).await?, host: self.host, token: self.token.clone() })
    }

    /// Sends a GET and reads the complete answer.
    pub(crate) async fn get(&mut self, path: &str) -> Result<Answer> {
        self.send("GET", path, "").await
    }

    /// Sends a request. Fails unless the answer has this status and a body.
    pub(crate) async fn expect(
        &mut self,
        status: u16,
        method: &str,
        path: &str,
        body: &str,
    ) -> Result<Answer> {
        let answer = self.send(method, path, body).await?;
        let is_right = answer.status == status && !answer.body.is_empty();
        ensure!(is_right, "{method} {path} was answered with {}", answer.status);
        Ok(answer)
    }

    async fn send(&mut self, method: &str, path: &str, body: &str) -> Result<Answer> {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n{body}",
            self.host,
            self.token,
            body.len()
        );
        let began = Instant::now();
        self.stream.get_mut().write_all(request.as_bytes()).await?;
        let status = self.line().await?;
        let status = status.split(' ').nth(1).and_then(|code| code.parse().ok()).context("no HTTP answer")?;
        let (mut bytes, mut is_hit) = (0, false);
        loop {
            let line = self.line().await?;
            let Some((name, value)) = line.split_once(':') else { break };
            if name.eq_ignore_ascii_case("content-length") {
                bytes = value.trim().parse()?;
            } else if name.eq_ignore_ascii_case("cache-status") {
                is_hit = value.split(';').any(|word| ["hit", "collapsed"].contains(&word.trim()));
            }
        }
        let mut body = vec![0; bytes];
        self.stream.read_exact(&mut body).await?;
        Ok(Answer { status, took: began.elapsed(), is_hit, body })
    }

    async fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        ensure!(self.stream.read_line(&mut line).await? > 0, "the service closed the connection");
        Ok(line.trim_end().to_owned())
    }
}

async fn connect(host: SocketAddr) -> Result<BufReader<TcpStream>> {
    let stream = TcpStream::connect(host).await?;
    stream.set_nodelay(true)?;
    Ok(BufReader::new(stream))
}
