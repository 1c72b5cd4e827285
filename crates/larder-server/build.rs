//! The migrations are built into the binary: a new one has to build it anew.

fn main() {
    println!("cargo::rerun-if-changed=migrations");
}
