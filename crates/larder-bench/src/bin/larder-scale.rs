//! The program `larder-scale`, which `cargo xtask scale` runs.

use std::process::ExitCode;

fn main() -> ExitCode {
    larder_bench::scale::main()
}
