//! The example as a process.

use std::process::Command;

#[test]
fn the_quickstart_asks_the_database_once_for_each_room() {
    // Cargo builds the examples of a package with its tests, into the folder beside theirs, which all packages share.
    let tests = std::env::current_exe().unwrap();
    let output =
        Command::new(tests.ancestors().nth(2).unwrap().join("examples/quickstart")).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let printed = String::from_utf8(output.stdout).unwrap();
    let expected = [
        "the database is asked for room 7",
        "room 7: sea view",
        "room 7: sea view",
        "the database is asked for room 8",
        "room 8: none",
        "room 8: none",
        "invalidated: sent",
        "then: Miss",
    ];
    assert_eq!(printed.lines().collect::<Vec<_>>(), expected);
}
