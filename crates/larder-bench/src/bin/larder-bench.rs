//! `larder-bench`, run by `cargo xtask bench`.

use std::process::ExitCode;

fn main() -> ExitCode {
    larder_bench::bench::main()
}
