//! The program `larder-torture`, which `cargo xtask torture` runs.

use std::process::ExitCode;

fn main() -> ExitCode {
    larder_proof::torture::main()
}
