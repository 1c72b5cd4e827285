//! The mixed load: the share of each kind of request, and the users it is about.

use std::sync::atomic::{AtomicU64, Ordering};

use larder_server::cached::class_row::ClassRow;
use larder_server::cached::classes::row;
use larder_server::cached::policies::Policies;
use rand::rngs::StdRng;
use rand::{Rng, RngExt};

use crate::figures::call::Call;
use crate::figures::crowd::{Crowd, Person};

/// A kind of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Ask {
    Details,
    List,
    Statistics,
    Dashboard,
    Validate,
    Profile,
    LookUp,
    FullProfile,
    Achievements,
    AchievementSummary,
    AchievementStats,
    Leaderboard,
    EditProfile,
    EditPreferences,
    BookPoints,
    Award,
}

/// Shares of ten thousand requests. The documents say what the three older systems G, B and K cache, but not how often
/// clients request it. So each system gets a third of the reads. Within a third, most requests are about one user and
/// few are about all users. One request in a hundred is a write, as in `larder demo`, and edits of profiles are far
/// more frequent than bookings of points.
pub(super) const SHARES: [(Ask, u32); 16] = [
    (Ask::Details, 2_600),
    (Ask::List, 500),
    (Ask::Statistics, 100),
    (Ask::Dashboard, 100),
    (Ask::Validate, 1_300),
    (Ask::Profile, 1_000),
    (Ask::LookUp, 1_000),
    (Ask::FullProfile, 1_500),
    (Ask::Achievements, 300),
    (Ask::AchievementSummary, 300),
    (Ask::AchievementStats, 300),
    (Ask::Leaderboard, 900),
    (Ask::EditProfile, 50),
    (Ask::EditPreferences, 40),
    (Ask::BookPoints, 6),
    (Ask::Award, 4),
];
const ALL: u32 = 10_000;

/// The pages that are requested; first pages are more frequent.
const LIST_PAGES: [u32; 4] = [1, 1, 2, 3];
const LEADERBOARD_PAGES: [(u32, u32); 4] = [(10, 0), (10, 0), (10, 10), (25, 0)];

/// The next number that names a booking or badge. Each number is used once. Relaxed: only uniqueness matters.
static NAMES: AtomicU64 = AtomicU64::new(0);

impl Ask {
    /// Draws the next request.
    pub(super) fn draw(luck: &mut impl Rng) -> Self {
        let mut left = luck.random_range(0..ALL);
        for (ask, share) in SHARES {
            if left < share {
                return ask;
            }
            left -= share;
        }
        Ask::Details
    }

    /// Whether only an administrator may send this request; ordinary users send the others.
    pub(super) fn is_for_admins(self) -> bool {
        !matches!(
            self,
            Ask::Details
                | Ask::Validate
                | Ask::Profile
                | Ask::Achievements
                | Ask::AchievementSummary
                | Ask::AchievementStats
                | Ask::Leaderboard
                | Ask::List
        )
    }

    /// The request. If it is about one user, that is `person`.
    pub(super) fn call(self, person: &Person, luck: &mut impl Rng) -> Call {
        let mut pick = |count: usize| luck.random_range(0..count);
        let name = || NAMES.fetch_add(1, Ordering::Relaxed);
        let id = &person.id;
        match self {
            Ask::Details => Call::details(id),
            Ask::Validate => Call::validate(),
            Ask::Profile => Call::profile(id),
            Ask::LookUp => Call::lookup("email", &person.email),
            Ask::FullProfile => Call::full_profile(id),
            Ask::Achievements => Call::achievements(id),
            Ask::AchievementSummary => Call::achievement_summary(id),
            Ask::AchievementStats => Call::achievement_stats(id),
            Ask::Leaderboard => {
                let (limit, offset) = LEADERBOARD_PAGES[pick(LEADERBOARD_PAGES.len())];
                Call::leaderboard(limit, offset)
            }
            Ask::List => Call::list(LIST_PAGES[pick(LIST_PAGES.len())]),
            Ask::Statistics => Call::statistics(),
            Ask::Dashboard => Call::dashboard(),
            Ask::EditProfile => Call::edit_profile(id, luck.random()),
            Ask::EditPreferences => Call::edit_preferences(id, luck.random()),
            Ask::BookPoints => Call::book_points(id, name()),
            Ask::Award => Call::award(id, name()),
        }
    }

    /// The class of this request's entries, if each user has an entry of their own.
    fn class(self) -> Option<&'static ClassRow> {
        match self {
            Ask::Details => Some(&row::user_details),
            Ask::Profile => Some(&row::profile),
            Ask::LookUp => Some(&row::user_email),
            Ask::FullProfile => Some(&row::full_profile),
            Ask::Achievements => Some(&row::achievements),
            Ask::AchievementSummary => Some(&row::achievement_summary),
            Ask::AchievementStats => Some(&row::achievement_stats),
            _ => None,
        }
    }
}

impl Ask {
    /// How many of ten thousand requests drop this request's entry, if they are about the same user.
    fn drops(self) -> u32 {
        let drop: &[Ask] = match self {
            Ask::Details | Ask::Profile | Ask::LookUp => &[Ask::EditProfile, Ask::BookPoints, Ask::Award],
            Ask::FullProfile => &[Ask::EditProfile, Ask::EditPreferences, Ask::BookPoints, Ask::Award],
            Ask::Achievements | Ask::AchievementSummary | Ask::AchievementStats => &[Ask::Award],
            _ => &[],
        };
        SHARES.iter().filter(|(write, _)| drop.contains(write)).map(|(_, share)| share).sum()
    }
}

/// Returns the requests that load the entries which a service holds after a long time at `rate` requests per second. An
/// entry with the TTL T that is requested r times and dropped w times per second is cached for rT / (1 + rT + wT) of
/// the time; so each entry is chosen with this probability.
pub(super) fn held(crowd: &Crowd, policies: &Policies, rate: f64, luck: &mut StdRng) -> Vec<(Ask, Call)> {
    let mut held = Vec::new();
    for (ask, share) in SHARES {
        let Some(class) = ask.class() else { continue };
        let within_ttl =
            |share: u32| rate * f64::from(share) / f64::from(ALL) * policies.ttl(class).as_secs_f64();
        let (asked, dropped) = (within_ttl(share), within_ttl(ask.drops()));
        for (person, popularity) in crowd.by_popularity() {
            let (asked, dropped) = (asked * popularity, dropped * popularity);
            if luck.random_bool(asked / (1.0 + asked + dropped)) {
                held.push((ask, ask.call(person, luck)));
            }
        }
    }
    held
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_of_ten_thousand_and_one_in_a_hundred_writes() {
        let sum = |of: fn(Ask) -> bool| -> u32 {
            SHARES.iter().filter(|(ask, _)| of(*ask)).map(|(_, share)| share).sum()
        };
        let writes =
            |ask| matches!(ask, Ask::EditProfile | Ask::EditPreferences | Ask::BookPoints | Ask::Award);
        assert_eq!((sum(|_| true), sum(writes)), (ALL, ALL / 100));
    }
}
