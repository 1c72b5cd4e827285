//! `pg_dump` and `pg_restore`, as an operator runs them.

use std::path::Path;
use std::process::Command;

use larder_testbed::{Program, find};

/// Dumps a database into a file.
pub(crate) fn dump(url: &str, file: &Path) {
    run(tool("pg_dump").args(["--format=custom", "--dbname", url, "--file"]).arg(file));
}

/// Restores a dump over the database that it came from.
pub(crate) fn restore(url: &str, file: &Path) {
    run(tool("pg_restore").args(["--clean", "--if-exists", "--exit-on-error", "--dbname", url]).arg(file));
}

/// The tools are in the folder of psql.
fn tool(name: &str) -> Command {
    Command::new(find(Program::Psql).unwrap().with_file_name(name))
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
