//! `larder-torture`, run by `cargo xtask torture`.

use std::process::ExitCode;

fn main() -> ExitCode {
    larder_proof::torture::main()
}
