//! `larder health`: asks the instance that listens at `LARDER_LISTEN`, for supervisors in whose image there is no other client
//! of HTTP.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::settings::Settings;

/// Supervisors ask every few seconds; a longer wait would overlap with the next question.
const PATIENCE: Duration = Duration::from_secs(3);

#[derive(Args)]
pub(crate) struct Arguments {
    /// Ask /readyz, which asks the database too, instead of /livez
    #[arg(long)]
    ready: bool,
}

pub(crate) async fn run(arguments: Arguments, settings: Settings) -> anyhow::Result<()> {
    let address = reachable(settings.listen);
    let path = if arguments.ready { "/readyz" } else { "/livez" };
    let url = format!("http://{address}{}{path}", settings.http.base_path);
    let asked = timeout(PATIENCE, ask(address, &settings.http.base_path, path)).await;
    let answer = asked.with_context(|| format!("{url} did not answer within {PATIENCE:?}"))?;
    let answer = answer.with_context(|| format!("{url} cannot be asked"))?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    match head.split(' ').nth(1) {
        Some("200") => say!("{url}: {body}"),
        status => bail!("{url} answers {}: {body}", status.unwrap_or("no status")),
    }
}

async fn ask(address: SocketAddr, base: &str, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let question = format!("GET {base}{path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(question.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// An instance that listens at every address of the machine is asked at the loopback address.
pub(super) fn reachable(listen: SocketAddr) -> SocketAddr {
    match listen {
        SocketAddr::V4(any) if any.ip().is_unspecified() => (Ipv4Addr::LOCALHOST, any.port()).into(),
        SocketAddr::V6(any) if any.ip().is_unspecified() => (Ipv6Addr::LOCALHOST, any.port()).into(),
        one => one,
    }
}
