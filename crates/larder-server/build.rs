//! The migrations are compiled into the binary, so a changed migration has to rebuild it.

fn main() {
    println!("cargo::rerun-if-changed=migrations");
}
