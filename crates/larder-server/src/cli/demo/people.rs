//! The demo's users, generated from a fixed seed: every run has the same ones.

use anyhow::{Context, bail};
use fake::Fake;
use fake::faker::address::en::{CityName, CountryName};
use fake::faker::company::en::{Buzzword, CompanyName, Profession};
use fake::faker::lorem::en::Sentence;
use fake::faker::name::en::{FirstName, LastName};
use indicatif::{ProgressBar, ProgressStyle};
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::domain::audit::Actor;
use crate::domain::contact::{Email, Phone};
use crate::domain::cursor::Cursor;
use crate::domain::identity::{Identifier, Username};

use crate::domain::paging::{ListParams, ListQuery};
use crate::domain::password::Password;
use crate::domain::profile::{AvatarUrl, Skills};
use crate::domain::role::Role;
use crate::domain::text::{Bio, Experience, FullName, Location, Occupation};
use crate::domain::user::{NewUser, User};
use crate::service::Service;
use crate::store::writing::ByJournal;

pub(crate) const ADMIN_EMAIL: &str = "admin@larder.example";
/// The password of every user, the admin included. It can be public, because the demo listens on the loopback address
/// alone.
pub(crate) const PASSWORD: &str = "larder-demo-2026";

const BATCH: usize = 1_000;
/// The most users that are read back from a larger database; the load needs no more.
const GATHERED_MAX: usize = 20_000;

/// The users that the load reads and changes.
pub(crate) struct Crowd {
    pub(crate) users: Vec<User>,
}

impl Crowd {
    /// Fills the database if it is empty, and reads back the users that the load reads and changes.
    pub(crate) async fn gather(service: &Service, wanted: u32) -> anyhow::Result<Self> {
        let store = service.store();
        let login = store.credentials_for_login(&Identifier::Email(Email::parse(ADMIN_EMAIL)?)).await?;
        if login.is_none() {
            bail!("this database has users, and not the demo's: give it an empty one");
        }
        // One user is the admin, which the start created.
        if store.total(&Default::default()).await? <= 1 {
            Self::fill(service, wanted).await?;
        }
        let mut users = Vec::new();
        let mut next: Option<Cursor> = None;
        loop {
            let cursor = next.map(|cursor| cursor.encode());
            let params = ListParams { limit: Some("100".into()), cursor, ..Default::default() };
            let query = ListQuery::parse(&params, Role::Superadmin)?;
            let listed = store.list(&query).await?;
            users.extend(listed.users);
            next = listed.next;
            if next.is_none() || users.len() >= GATHERED_MAX {
                break;
            }
        }
        users.retain(|user| user.email.as_str() != ADMIN_EMAIL);
        Ok(Self { users })
    }

    async fn fill(service: &Service, wanted: u32) -> anyhow::Result<()> {
        let bar = ProgressBar::new(u64::from(wanted));
        bar.set_style(ProgressStyle::with_template("making users  {bar:40} {pos}/{len} {per_sec}")?);
        // One hash for all users: ten thousand hashes would take four minutes.
        let hash = service.passwords().hash(&Password::parse(PASSWORD)?).await?;
        let mut luck = StdRng::seed_from_u64(2026);
        let mut batch = Vec::with_capacity(BATCH);
        for number in 0..wanted {
            batch.push(person(number, &mut luck).context("a person that the domain refuses")?);
            if batch.len() == BATCH || number + 1 == wanted {
                let (people, hash) = (std::mem::take(&mut batch), hash.clone());
                let insert = service.store().write(Actor::Nobody, ByJournal, move |tx| async move {
                    tx.insert_many(&people, &hash).await
                });
                bar.inc(insert.await?.0.len() as u64);
            }
        }
        bar.finish();
        Ok(())
    }
}

fn person(number: u32, luck: &mut StdRng) -> anyhow::Result<NewUser> {
    let first: String = FirstName().fake_with_rng(luck);
    let last: String = LastName().fake_with_rng(luck);
    let handle: String =
        format!("{first}.{last}").to_lowercase().chars().filter(char::is_ascii_graphic).collect();
    let handle: String = handle.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '.').take(24).collect();
    let handle = format!("{handle}{number}");
    let profession: String = Profession().fake_with_rng(luck);
    let company: String = CompanyName().fake_with_rng(luck);
    let (city, country): (String, String) =
        (CityName().fake_with_rng(luck), CountryName().fake_with_rng(luck));
    let skills: Vec<String> = (0..4).map(|_| Buzzword().fake_with_rng(luck)).collect();
    let bio: String = Sentence(8..20).fake_with_rng(luck);
    Ok(NewUser {
        phone: Some(Phone::parse(&format!("+1242{:07}", 2_000_000 + number))?),
        full_name: Some(FullName::parse(&format!("{first} {last}"))?),
        bio: Some(Bio::parse(&bio)?),
        occupation: Some(Occupation::parse(&profession)?),
        location: Some(Location::parse(&format!("{city}, {country}"))?),
        avatar_url: Some(AvatarUrl::parse(&format!("https://avatars.example/{handle}.png"))?),
        skills: Skills::parse(skills.iter().map(String::as_str))?,
        experience: Some(Experience::parse(&format!("{profession} at {company}"))?),
        ..NewUser::new(Email::parse(&format!("{handle}@mail.example"))?, Username::parse(&handle)?)
    })
}
