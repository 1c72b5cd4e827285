//! Opens a page of an allowed origin and a page of another origin in Chromium, and checks what the service's headers
//! let each page do.

use std::fs::{self, File};
use std::path::Path;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use larder_testbed::free_port;

use crate::contract::larder::{ADMIN, Larder};
use crate::contract::server::Running;
use crate::setup;
use crate::steps::{command, succeeds};

const PAGE: &str = include_str!("browser/page.html");

/// The line that a page ends with.
const PASSED: &str = "everything passed";

/// Chromium works alone: it asks no server for updates, and uses no sandbox, which root cannot have.
const FLAGS: [&str; 11] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--virtual-time-budget=60000",
    "--dump-dom",
];

/// The longest time of one page.
const TIMEOUT: Duration = Duration::from_secs(120);

/// Installs Chromium if the machine has none.
pub(super) fn fetch(root: &Path) -> Result<()> {
    let is_there = || succeeds(&mut command(root, "chromium", &["--version", "--no-sandbox"]));
    if !is_there() {
        setup::install(root, &["chromium"])?;
        ensure!(is_there(), "chromium was installed, and does not start");
    }
    Ok(())
}

/// A page of an allowed origin reads, writes, sees the exposed headers, and revalidates what it has; one of another origin
/// cannot.
pub(super) fn check(root: &Path, folder: &Path) -> Result<()> {
    let folder = folder.join("browser");
    let (allowed, other) = (free_port()?, free_port()?);
    let origin = format!("http://127.0.0.1:{allowed}");
    let larder = Larder::start_with(root, &folder, &[("LARDER_CORS_ORIGINS", &origin)])?;
    let pages = folder.join("pages");
    fs::create_dir_all(&pages)?;
    fs::write(pages.join("page.html"), PAGE)?;
    let _servers = [serve(&pages, allowed)?, serve(&pages, other)?];
    for (port, may) in [(allowed, true), (other, false)] {
        let shown = open(&folder, port, &larder, may)?;
        ensure!(shown.contains(PASSED), "the page at port {port} (allowed: {may}) shows:\n{shown}");
        println!("  allowed: {may}: {PASSED}");
    }
    // A script cannot see a 304, because the browser gives it the stored answer. So look for them in the service's log.
    let log = fs::read_to_string(larder.log())?;
    let revalidated = log.lines().filter(|line| line.contains("status=304")).count();
    ensure!(revalidated > 0, "Chromium revalidated no answer; see {}", larder.log().display());
    println!("  {revalidated} lines of the log report a 304");
    larder.end()
}

/// The text of the page after its script has ended.
fn open(folder: &Path, port: u16, larder: &Larder, may: bool) -> Result<String> {
    let profile = folder.join(format!("profile-{port}"));
    let [email, password] = ADMIN.map(|(_, value)| value.replace(' ', "%20"));
    let page = format!(
        "http://127.0.0.1:{port}/page.html#url={}&may={may}&email={email}&password={password}",
        larder.url()
    );
    let shown = folder.join(format!("page-{port}.html"));
    let errors = folder.join(format!("page-{port}.log"));
    let mut chromium = command(folder, "chromium", &FLAGS);
    chromium.arg(format!("--user-data-dir={}", profile.display())).arg(page);
    chromium.stdout(File::create(&shown)?).stderr(File::create(errors)?);
    let mut chromium = Running(chromium.spawn().context("starting chromium")?);
    let started = Instant::now();
    while chromium.0.try_wait()?.is_none() {
        if started.elapsed() > TIMEOUT {
            bail!("chromium does not end within {TIMEOUT:?}; see {}", shown.display());
        }
        thread::sleep(Duration::from_millis(50));
    }
    Ok(fs::read_to_string(shown)?)
}

/// A server of the page, so that the page has an origin.
fn serve(pages: &Path, port: u16) -> Result<Running> {
    let text = port.to_string();
    let arguments = ["-m", "http.server", "--bind", "127.0.0.1", "--directory", ".", &text];
    let mut server = command(pages, "python3", &arguments);
    Running::listening(server.stdout(Stdio::null()).stderr(Stdio::null()), port)
}
