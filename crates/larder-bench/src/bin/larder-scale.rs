//! `larder-scale`, run by `cargo xtask scale`.

use std::process::ExitCode;

fn main() -> ExitCode {
    larder_bench::scale::main()
}
