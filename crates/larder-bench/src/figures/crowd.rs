//! The users that the requests are about, and the users that send them.

use anyhow::{Context, Result};
use larder_server::domain::audit::Actor;
use larder_server::domain::contact::Email;
use larder_server::domain::identity::Username;
use larder_server::domain::password::Password;
use larder_server::domain::user::NewUser;
use larder_server::service::Service;
use larder_server::store::writing::ByJournal;
use rand::Rng;
use rand_distr::{Distribution, Zipf};

use crate::site::PASSWORD;
use crate::site::people::Server;

/// The exponent of Zipf's law; web traffic has about 1 (Breslau et al., INFOCOM 1999).
const SKEW: f64 = 1.0;

/// The rows that fill the answers: every user gets all parts of a profile, and five badges. They are not journalled,
/// because the cache is still empty.
const PARTS: [(&str, &str); 5] = [
    ("preferences", "(user_id, theme, time_zone) SELECT id, 'dark', 'Africa/Nairobi' FROM users"),
    (
        "languages",
        r#"SELECT id, '[{"code":"en","level":"fluent"},{"code":"sw","level":"native"}]' FROM users"#,
    ),
    ("accessibility", "(user_id, text_scale_percent) SELECT id, 120 FROM users"),
    ("interests", r#"SELECT id, '["sailing","chess","gardening"]' FROM users"#),
    (
        "achievements",
        r#"(user_id, badge_type, data) SELECT id, 'badge_' || n, '{"course":"civics"}' FROM users, generate_series(1, 5) AS n"#,
    ),
];

/// A user that requests are about.
pub(super) struct Person {
    pub(super) id: String,
    pub(super) email: String,
    pub(super) username: String,
}

/// All users that requests are about, the most popular first.
pub(super) struct Crowd {
    pub(super) people: Vec<Person>,
    popularity: Zipf<f64>,
    /// The share of the requests that are about the most popular user.
    first: f64,
}

impl Crowd {
    /// Creates the missing rows of the active users, and orders the users by a random popularity.
    pub(super) fn gather(server: &Server) -> Result<Self> {
        for (table, rows) in PARTS {
            server.sql(&format!(
                "ALTER TABLE {table} DISABLE TRIGGER larder_journal; INSERT INTO {table} {rows};
                 ALTER TABLE {table} ENABLE ALWAYS TRIGGER larder_journal"
            ))?;
        }
        server.sql("VACUUM (ANALYZE)")?;
        let rows = server.sql(
            "SELECT id, email, username FROM users WHERE is_active AND username <> 'admin' ORDER BY md5(username)",
        )?;
        let mut people = Vec::new();
        for row in rows.lines() {
            let mut cells = row.split('|').map(str::to_owned);
            let mut cell = || cells.next().context("a user without a name");
            people.push(Person { id: cell()?, email: cell()?, username: cell()? });
        }
        let count = people.len();
        let first = 1.0 / (1..=count).map(|rank| (rank as f64).powf(-SKEW)).sum::<f64>();
        Ok(Self { people, popularity: Zipf::new(count as f64, SKEW)?, first })
    }

    /// A random user; popular users are more frequent.
    pub(super) fn someone(&self, luck: &mut impl Rng) -> &Person {
        let rank = self.popularity.sample(luck) as usize;
        &self.people[rank.clamp(1, self.people.len()) - 1]
    }

    /// All users with their shares of the requests.
    pub(super) fn by_popularity(&self) -> impl Iterator<Item = (&Person, f64)> {
        self.people.iter().zip(1..).map(|(person, rank)| (person, self.first * f64::from(rank).powf(-SKEW)))
    }
}

/// Creates `count` ordinary users that can log in. Returns their e-mail addresses.
pub(super) async fn callers(service: &Service, count: usize) -> Result<Vec<String>> {
    let mut new = Vec::with_capacity(count);
    for number in 0..count {
        let email = Email::parse(&format!("caller{number}@site.example"))?;
        new.push(NewUser::new(email, Username::parse(&format!("caller{number}"))?));
    }
    let hash = service.passwords().hash(&Password::parse(PASSWORD)?).await?;
    let emails = new.iter().map(|user| user.email.as_str().to_owned()).collect();
    service
        .store()
        .write(Actor::Nobody, ByJournal, move |tx| async move { tx.insert_many(&new, &hash).await })
        .await?;
    Ok(emails)
}
