//! `larder health`: asks the instance that listens at `LARDER_LISTEN`, for supervisors in whose image there is no other
//! client of HTTP.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::cli::instance::address;
use crate::cli::{Usage, settings};

/// Supervisors ask every few seconds; a longer wait would overlap with the next question.
const TIMEOUT: Duration = Duration::from_secs(3);

#[derive(Args)]
pub(crate) struct Arguments {
    /// Ask /readyz, which asks the database too, instead of /livez
    #[arg(long)]
    ready: bool,
    /// The address of the instance, with its base path: http://… [default: LARDER_LISTEN on this machine]
    #[arg(long, value_name = "URL")]
    url: Option<String>,
}

pub(crate) async fn run(arguments: Arguments, config: Option<&Path>) -> anyhow::Result<()> {
    let base = match &arguments.url {
        Some(raw) => raw.clone(),
        None => settings::of_this_machine(config)?,
    };
    let wrong = |error| Usage(format!("--url {error}"));
    let base = address(&base).map_err(wrong)?;
    if base.scheme() != "http" {
        return Err(wrong("must begin with http://".to_owned()).into());
    }
    // An address with a host is no `cannot-be-a-base` URL, so it has both.
    let host = base.host_str().unwrap_or_default();
    let authority = format!("{host}:{}", base.port_or_known_default().unwrap_or(80));
    let path = format!(
        "{}{}",
        base.path().trim_end_matches('/'),
        if arguments.ready { "/readyz" } else { "/livez" }
    );
    let url = format!("http://{authority}{path}");
    let asked = timeout(TIMEOUT, ask(&authority, &path)).await;
    let answer = asked.with_context(|| format!("{url} did not answer within {TIMEOUT:?}"))?;
    let answer = answer.with_context(|| format!("{url} cannot be asked"))?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    match head.split(' ').nth(1) {
        Some("200") => say!("{url}: {body}"),
        status => bail!("{url} answers {}: {body}", status.unwrap_or("no status")),
    }
}

async fn ask(authority: &str, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(authority).await?;
    let question = format!("GET {path} HTTP/1.1\r\nhost: {authority}\r\nconnection: close\r\n\r\n");
    stream.write_all(question.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
