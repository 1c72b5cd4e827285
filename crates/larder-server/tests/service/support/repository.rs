//! Files of the repository, as a test uses them: pages whose blocks of code it runs, and the files of `deploy/`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use larder_testbed::{Program, find};
use regex::Regex;

/// A file of the repository.
pub(crate) fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path).canonicalize().unwrap()
}

pub(crate) fn text(path: &str) -> String {
    fs::read_to_string(file(path)).unwrap()
}

pub(crate) fn succeeds(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let printed =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {printed}");
    printed
}

/// The blocks of code of a section, in their order; `heading` is its line.
pub(crate) fn blocks(page: &str, heading: &str) -> Vec<String> {
    let text = text(page);
    let section =
        text.split_once(&format!("\n{heading}\n")).unwrap_or_else(|| panic!("{page} has no {heading}")).1;
    let end = Regex::new(r"(?m)^##").unwrap().find(section).map_or(section.len(), |next| next.start());
    let block = Regex::new(r"(?ms)^( *)```\w+\n(.*?)^ *```$").unwrap();
    let unindented = |found: regex::Captures<'_>| {
        let lines = found[2].lines().map(|line| line.strip_prefix(&found[1]).unwrap_or(line));
        lines.collect::<Vec<_>>().join("\n")
    };
    block.captures_iter(&section[..end]).map(unindented).collect()
}

/// A command of a shell that ends at the first error, with PostgreSQL's programs, and without a terminal: psql then reads a
/// new password from standard input.
pub(crate) fn shell(script: &str, folder: &Path) -> Command {
    let programs = find(Program::Psql).unwrap();
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = Command::new("setsid");
    command.args(["--wait", "sh", "-euc", script]).current_dir(folder);
    command.env("PATH", format!("{}:{path}", programs.parent().unwrap().display()));
    command
}
