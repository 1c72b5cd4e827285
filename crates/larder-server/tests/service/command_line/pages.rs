//! Completions, manual pages, help and schemas.

use std::path::Path;
use std::process::Command;

use crate::command_line::Ran;

/// Every command, with those of `users`.
const COMMANDS: [&str; 29] = [
    "serve",
    "migrate",
    "doctor",
    "health",
    "keys",
    "keys rotate",
    "users",
    "users list",
    "users show",
    "users create",
    "users activate",
    "users deactivate",
    "users delete",
    "users import",
    "users export",
    "config",
    "demo",
    "stats",
    "top",
    "explain",
    "clear",
    "warm",
    "switch",
    "schema",
    "completions",
    "man",
    "help",
    "users help",
    "keys help",
];

/// The output of `bash` for this script, after it has loaded the completions.
fn bash(completions: &Path, script: &str) -> String {
    let script = format!("set -eu; source {}; {script}", completions.display());
    let ran = Command::new("bash").args(["--norc", "-c", &script]).output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8(ran.stdout).unwrap()
}

#[test]
fn bash_loads_the_completions_and_completes_commands_options_and_values() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("larder.bash");
    std::fs::write(&file, Ran::of(&["completions", "bash"], &[]).expect(0).stdout).unwrap();
    let complete = |words: &[&str]| {
        let last = words.len() - 1;
        let before = words.get(last.wrapping_sub(1)).copied().unwrap_or_default();
        let list: Vec<_> = words.iter().map(|word| format!("'{word}'")).collect();
        let script = format!(
            "COMP_WORDS=({}); COMP_CWORD={last}; COMPREPLY=(); _larder larder '{}' '{before}' || true; \
             printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            list.join(" "),
            words[last]
        );
        bash(&file, &script)
    };
    let commands = complete(&["larder", "s"]);
    for command in ["serve", "stats", "switch", "schema"] {
        assert!(commands.lines().any(|line| line == command), "{command}: {commands}");
    }
    assert!(complete(&["larder", "clear", "--"]).lines().any(|line| line == "--pattern"));
    assert!(complete(&["larder", "users", "de"]).lines().any(|line| line == "deactivate"));
    assert!(complete(&["larder", "top", "--sort", "inv"]).contains("invalidations"));
    assert!(bash(&file, "complete -p larder").contains("_larder"));
}

#[test]
fn each_shell_has_completions() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = Ran::of(&["completions", shell], &[]).expect(0).stdout;
        assert!(script.contains("explain") && script.contains("key-file"), "{shell}");
    }
    Ran::of(&["completions", "command.com"], &[]).expect(2);
}

#[test]
fn man_renders_a_page_of_each_command() {
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("man1");
    Ran::of(&["man", pages.to_str().unwrap()], &[]).expect(0);
    for command in COMMANDS.iter().filter(|command| !command.ends_with("help")) {
        let page = pages.join(format!("larder-{}.1", command.replace(' ', "-")));
        let text =
            std::fs::read_to_string(&page).unwrap_or_else(|error| panic!("{}: {error}", page.display()));
        assert!(text.contains(".SH NAME") && text.contains(".SH SYNOPSIS"), "{command}");
    }
    let main = pages.join("larder.1");
    // Not every machine has a formatter of manual pages; if one is there, it has to accept them without a warning.
    let formatters: [(&str, &[&str]); 2] =
        [("man", &["--warnings=all", "-l"]), ("mandoc", &["-T", "utf8", "-W", "warning"])];
    for (formatter, arguments) in formatters {
        let render = Command::new(formatter)
            .args(arguments)
            .arg(&main)
            .env("MANPAGER", "cat")
            .env("LC_ALL", "C.UTF-8")
            .output();
        let Ok(ran) = render else { continue };
        let text = String::from_utf8_lossy(&ran.stdout).into_owned();
        let errors = String::from_utf8_lossy(&ran.stderr).into_owned();
        assert!(ran.status.success() && text.contains("SYNOPSIS"), "{formatter}: {text}{errors}");
    }
}

#[test]
fn each_command_has_help_and_those_that_ask_an_instance_have_exit_codes_and_examples() {
    for command in COMMANDS.iter().filter(|command| !command.ends_with("help")) {
        let words: Vec<_> = command.split(' ').chain(["--help"]).collect();
        let help = Ran::of(&words, &[]).expect(0).stdout;
        assert!(help.contains("Usage: larder"), "{command}: {help}");
        if help.contains("--key-file") {
            for part in ["Exit codes: 0", "Example", "--url", "--json"] {
                assert!(help.contains(part), "{command} lacks {part}: {help}");
            }
        }
    }
    Ran::of(&["no-such-command"], &[]).expect(2);
    Ran::of(&["stats", "--no-such-option"], &[]).expect(2);
}

#[test]
fn each_schema_is_a_schema() {
    let help = Ran::of(&["schema", "--help"], &[]).expect(0).stdout;
    for name in [
        "stats",
        "explain",
        "clear",
        "warm",
        "switch",
        "doctor",
        "top",
        "users-list",
        "users-show",
        "users-delete",
    ] {
        assert!(help.contains(name), "{name}: {help}");
        let schema = Ran::of(&["schema", name], &[]).expect(0).json();
        assert!(jsonschema::draft202012::meta::is_valid(&schema), "{name}");
        jsonschema::draft202012::new(&schema).unwrap();
        assert!(!schema.to_string().contains("#/components/"), "{name}");
    }
}
