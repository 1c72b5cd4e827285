//! The program `larder-bench`, which `cargo xtask bench` runs.

use std::process::ExitCode;

fn main() -> ExitCode {
    larder_bench::bench::main()
}
