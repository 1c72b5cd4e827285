//! Presets: default values that belong together, under a name for `LARDER_PRESET`.

/// Values that replace the defaults; a value that is set wins over the preset's.
#[derive(Debug, PartialEq, Eq)]
pub struct Preset {
    /// The preset's name in `LARDER_PRESET`.
    pub name: &'static str,
    /// The preset's namespace; `None` leaves the default.
    pub namespace: Option<&'static str>,
    /// The preset's times to live in seconds, by variable.
    pub ttls: &'static [(&'static str, u64)],
}

/// Every preset.
pub const PRESETS: &[Preset] = &[
    Preset {
        name: "development",
        namespace: None,
        ttls: &[("USER_STATS_TTL", 60), ("USER_LIST_TTL", 30), ("DASHBOARD_STATS_TTL", 120)],
    },
    Preset {
        name: "production",
        namespace: None,
        ttls: &[("USER_STATS_TTL", 600), ("USER_LIST_TTL", 300), ("DASHBOARD_STATS_TTL", 1800)],
    },
    Preset {
        name: "it360acad",
        namespace: Some("it360acad"),
        ttls: &[("USER_LIST_TTL", 3600), ("USER_DETAILS_TTL", 3600)],
    },
    Preset {
        name: "katiba360",
        namespace: Some("katiba360"),
        ttls: &[
            ("CACHE_DEFAULT_TTL", 3600),
            ("CACHE_USER_TTL", 3600),
            ("CACHE_ACHIEVEMENT_TTL", 1800),
            ("CACHE_LEADERBOARD_TTL", 900),
        ],
    },
    Preset {
        name: "hiremebahamas",
        namespace: Some("hiremebahamas"),
        ttls: &[("USER_CACHE_TTL", 300), ("USER_PROFILE_TTL", 180)],
    },
];

/// The preset of this name; `None` for an empty name.
///
/// # Errors
/// There is no such preset; the text names those that exist.
pub(super) fn find(name: &str) -> Result<Option<&'static Preset>, String> {
    if name.is_empty() {
        return Ok(None);
    }
    PRESETS.iter().find(|preset| preset.name == name).map(Some).ok_or_else(|| {
        let names: Vec<_> = PRESETS.iter().map(|preset| preset.name).collect();
        format!("is no preset; allowed are {}", names.join(", "))
    })
}
