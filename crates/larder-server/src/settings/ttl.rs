//! How long each class keeps its entries and whether it starts switched on. Several variables can set one time, because
//! five older systems named it differently.

use std::collections::BTreeSet;
use std::time::Duration;

use larder::policy::Policy;

use crate::cached::class_row::ClassRow;
use crate::cached::classes::CLASSES;
use crate::cached::policies::Policies;
use crate::settings::bad::BadSetting;
use crate::settings::sources::{SettingSource, Sources};

const GENERAL: &str = "CACHE_DEFAULT_TTL";
const OFF: &str = "LARDER_CLASSES_OFF";

/// Every variable that holds a time to live.
fn variables() -> BTreeSet<&'static str> {
    CLASSES.iter().flat_map(|row| row.variables.iter().copied()).chain([GENERAL]).collect()
}

/// Whether [`read`] reads the variable.
pub(super) fn is_read(name: &str) -> bool {
    name == OFF || variables().contains(name)
}

/// Reads the policy of every class. The time to live of a class comes from its most specific variable that is set. If
/// none is set, it comes from the most specific variable in the preset, and without one from the class's row.
pub(super) fn read(sources: &Sources) -> Result<Policies, BadSetting> {
    // A bad value is refused even if a more specific variable wins over it.
    for name in variables() {
        set(sources, name)?;
    }
    let off = off(sources)?;
    let mut policies = Policies::default();
    for row in CLASSES {
        let (ttl, origin) = effective(sources, row)?;
        policies.set_ttl(row, ttl);
        let mut shown = format!("{} s", ttl.as_secs());
        if off.contains(&row.name) {
            policies.switch_off(row);
            shown += ", off";
        }
        sources.note(&format!("class {}", row.name), shown, origin);
    }
    Ok(policies)
}

fn effective(sources: &Sources, row: &ClassRow) -> Result<(Duration, SettingSource), BadSetting> {
    let chain = || row.variables.iter().copied().chain([GENERAL]);
    for name in chain() {
        if let Some(set) = set(sources, name)? {
            return Ok(set);
        }
    }
    let preset = sources.preset.and_then(|preset| {
        let of = |name| preset.ttls.iter().find(|(variable, _)| *variable == name);
        chain().find_map(of).map(|(_, seconds)| (*seconds, SettingSource::Preset(preset.name)))
    });
    Ok(preset.map_or((row.ttl, SettingSource::Default), |(seconds, origin)| {
        (Duration::from_secs(seconds), origin)
    }))
}

fn set(sources: &Sources, name: &'static str) -> Result<Option<(Duration, SettingSource)>, BadSetting> {
    let Some(found) = sources.find(name) else { return Ok(None) };
    let longest = Policy::TTL_MAX.as_secs();
    match found.value.trim().parse() {
        Ok(seconds) if (1..=longest).contains(&seconds) => {
            Ok(Some((Duration::from_secs(seconds), found.origin)))
        }
        _ => Err(BadSetting::new(
            name,
            &found.value,
            format!(
                "must be an integer from 1 to {longest}, in seconds; LARDER_CLASSES_OFF switches a class off"
            ),
        )),
    }
}

/// The classes that start switched off.
fn off(sources: &Sources) -> Result<Vec<&'static str>, BadSetting> {
    sources.take(OFF, "", |list| {
        let names = list.split(',').map(str::trim).filter(|name| !name.is_empty());
        let known = |name: &str| {
            CLASSES.iter().map(|row| row.name).find(|known| *known == name).ok_or_else(|| {
                let all: Vec<_> = CLASSES.iter().map(|row| row.name).collect();
                format!("must be classes with commas between them; there are {}", all.join(", "))
            })
        };
        names.map(known).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cached::classes::row;
    use crate::settings::presets;
    use crate::settings::sources::{self, of};

    type Pairs<'a> = &'a [(&'a str, &'a str)];

    fn ttl(pairs: Pairs<'_>, toml: &str, row: &ClassRow) -> (u64, String) {
        let mut sources = of(pairs, toml).unwrap();
        sources.preset = sources.take("LARDER_PRESET", "", presets::find).unwrap();
        read(&sources).unwrap();
        let (ttl, origin) = effective(&sources, row).unwrap();
        (ttl.as_secs(), origin.to_string())
    }

    /// Environment variables, a TOML file, a class, and what is expected: the time to live and its origin.
    type Row = (Pairs<'static>, &'static str, &'static ClassRow, u64, &'static str);

    const TABLE: &[Row] = &[
        (&[], "", &row::user_details, 180, "default"),
        (&[("CACHE_DEFAULT_TTL", "7")], "", &row::auth_state, 7, "environment, CACHE_DEFAULT_TTL"),
        (
            &[("CACHE_DEFAULT_TTL", "7"), ("USER_CACHE_TTL", "8")],
            "",
            &row::user_details,
            8,
            "environment, USER_CACHE_TTL",
        ),
        (
            &[("USER_DETAILS_TTL", "9"), ("USER_CACHE_TTL", "8")],
            "",
            &row::user_details,
            9,
            "environment, USER_DETAILS_TTL",
        ),
        (
            &[("USER_DETAILS_TTL", "9"), ("USER_CACHE_TTL", "8")],
            "",
            &row::user_email,
            8,
            "environment, USER_CACHE_TTL",
        ),
        (
            &[("USER_DETAILS_TTL", "")],
            "user_details_ttl = 10",
            &row::user_details,
            10,
            "file, user_details_ttl",
        ),
        (
            &[("USER_DETAILS_TTL", "9")],
            "user_details_ttl = 10",
            &row::user_details,
            9,
            "environment, USER_DETAILS_TTL",
        ),
        (
            &[("CACHE_DEFAULT_TTL", "7")],
            "user_details_ttl = 10",
            &row::user_details,
            10,
            "file, user_details_ttl",
        ),
        (
            &[("USER_PROFILE_TTL", "5"), ("CACHE_USER_TTL", "6")],
            "",
            &row::profile,
            5,
            "environment, USER_PROFILE_TTL",
        ),
        (
            &[("USER_PROFILE_TTL", "5"), ("CACHE_USER_TTL", "6")],
            "",
            &row::interests,
            6,
            "environment, CACHE_USER_TTL",
        ),
        (&[("LARDER_PRESET", "production")], "", &row::user_list, 300, "preset production"),
        (&[("LARDER_PRESET", "production")], "", &row::user_details, 180, "default"),
        (&[], "larder_preset = 'development'", &row::user_list, 30, "preset development"),
        (
            &[("LARDER_PRESET", "production"), ("CACHE_DEFAULT_TTL", "7")],
            "",
            &row::user_list,
            7,
            "environment, CACHE_DEFAULT_TTL",
        ),
        (&[("LARDER_PRESET", "it360acad")], "", &row::user_details, 3600, "preset it360acad"),
        (&[("LARDER_PRESET", "katiba360")], "", &row::preferences, 3600, "preset katiba360"),
        (&[("LARDER_PRESET", "hiremebahamas")], "", &row::user_details, 300, "preset hiremebahamas"),
    ];

    #[test]
    fn specific_wins_over_general_set_over_preset_and_environment_over_file() {
        for (pairs, toml, row, seconds, origin) in TABLE {
            let expected = (*seconds, (*origin).to_owned());
            assert_eq!(ttl(pairs, toml, row), expected, "{} {pairs:?} {toml}", row.name);
        }
    }

    #[test]
    fn a_bad_time_is_refused_also_where_no_class_asks_for_it() {
        for name in variables() {
            for bad in ["0", "-1", "1.5", "2592001", "soon", "99999999999999999999"] {
                let error = read(&of(&[(name, bad)], "").unwrap()).unwrap_err().to_string();
                assert!(error.starts_with(&format!("{name}=\"{bad}\": must be an integer")), "{error}");
            }
        }
    }

    #[test]
    fn classes_are_switched_off_by_name() {
        let policies = read(&of(&[("LARDER_CLASSES_OFF", "user_list, profile,")], "").unwrap()).unwrap();
        let off: Vec<_> = CLASSES.iter().filter(|row| !policies.is_on(row)).map(|row| row.name).collect();
        assert_eq!(off, ["user_list", "profile"]);
        let error = read(&of(&[("LARDER_CLASSES_OFF", "users")], "").unwrap()).unwrap_err().to_string();
        assert!(error.contains("LARDER_CLASSES_OFF=\"users\"") && error.contains("user_list"), "{error}");
    }

    #[test]
    fn every_variable_that_a_class_or_a_preset_names_is_a_setting() {
        let preset = presets::PRESETS.iter().flat_map(|preset| preset.ttls.iter().map(|(name, _)| *name));
        assert!(preset.clone().all(|name| variables().contains(name)));
        assert!(variables().into_iter().chain(preset).all(|name| sources::VARIABLES.contains(&name)));
    }

    #[test]
    fn the_page_of_settings_has_each_class() {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/settings.md");
        let page = std::fs::read_to_string(page).unwrap();
        for row in CLASSES {
            let variables = row.variables.iter().chain([&GENERAL]).map(|name| format!("`{name}`"));
            let variables = variables.collect::<Vec<_>>().join(", ");
            let (name, cells) =
                (format!("`{}`", row.name), format!(" | {} | {variables} |", row.ttl.as_secs()));
            let line = |line: &str| line.contains(&name) && line.ends_with(&cells);
            assert!(page.lines().any(line), "{name}{cells}");
        }
    }
}
