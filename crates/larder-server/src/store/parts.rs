//! The parts of profiles, each in a table of its own, and the full profile in one statement.

use larder_sql::write::WriteTransaction;
use serde::de::DeserializeOwned;
use sqlx::Row;
use sqlx::any::AnyRow;

use crate::domain::audit::Event;
use crate::domain::conditions::Conditions;
use crate::domain::identity::UserId;
use crate::domain::parts::accessibility::{Accessibility, TextScale};
use crate::domain::parts::full::FullProfile;
use crate::domain::parts::interests::Interests;
use crate::domain::parts::languages::{LanguageTag, Languages};
use crate::domain::parts::preferences::{Preferences, TimeZone};
use crate::domain::parts::{Part, digest};
use crate::domain::user::User;
use crate::store::Store;
use crate::store::changes::Expected;
use crate::store::error::StoreError;
use crate::store::row::{self, Query, select_user};
use crate::store::unchanged::UnchangedRow;
use crate::store::writing::Writer;

/// A part of a profile that has a table.
pub trait StoredPart: Part {
    /// Selects `$1`'s id and the columns of the part; the columns are NULL if the user has no row in the part's table.
    const SELECT: &'static str;
    /// Writes the user's id and the columns in the order of [`bind`](Self::bind).
    const UPSERT: &'static str;

    /// Binds the columns.
    ///
    /// # Errors
    /// A list cannot be serialised as JSON.
    fn bind<'q>(&self, query: Query<'q>) -> Result<Query<'q>, sqlx::Error>;

    /// Reads the columns; returns the default if they are NULL.
    ///
    /// # Errors
    /// A column cannot be read.
    fn read(row: &AnyRow) -> Result<Self, sqlx::Error>;
}

/// The result of a change of a part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PartUpdated<P> {
    /// The change was made or changed nothing; this is the part now.
    Done(P),
    /// The user does not exist, or its row differs from the one by which the caller's rights were checked.
    UserChanged,
    /// The part's state is none of the expected ones.
    PartChanged,
}

impl Store {
    /// A part of a user's profile; `None` if there is no such user.
    ///
    /// # Errors
    /// Errors of the database.
    pub async fn part<P: StoredPart>(&self, id: UserId) -> Result<Option<P>, StoreError> {
        let query = sqlx::query(P::SELECT).bind(id.to_string());
        let row = query.fetch_optional(self.database.read()).await?;
        Ok(row.as_ref().map(P::read).transpose()?)
    }

    /// A user with every part of its profile, in one snapshot.
    ///
    /// # Errors
    /// Errors of the database.
    pub async fn full_profile(&self, id: UserId) -> Result<Option<FullProfile>, StoreError> {
        let query = sqlx::query(select_user!(
            and "theme, locale, time_zone, CAST(email_notifications AS INTEGER) AS email_notifications,
                 CAST(push_notifications AS INTEGER) AS push_notifications, languages.languages AS languages,
                 text_scale_percent, CAST(high_contrast AS INTEGER) AS high_contrast,
                 CAST(reduced_motion AS INTEGER) AS reduced_motion,
                 CAST(screen_reader AS INTEGER) AS screen_reader, CAST(captions AS INTEGER) AS captions,
                 interests.interests AS interests";
            "LEFT JOIN preferences ON preferences.user_id = users.id
             LEFT JOIN languages ON languages.user_id = users.id
             LEFT JOIN accessibility ON accessibility.user_id = users.id
             LEFT JOIN interests ON interests.user_id = users.id
             WHERE users.id = $1"
        ));
        let row = query.bind(id.to_string()).fetch_optional(self.database.read()).await?;
        let full = |row: &AnyRow| {
            Ok::<_, sqlx::Error>(FullProfile {
                user: row::user(row)?,
                preferences: Preferences::read(row)?,
                languages: Languages::read(row)?,
                accessibility: Accessibility::read(row)?,
                interests: Interests::read(row)?,
            })
        };
        Ok(row.as_ref().map(full).transpose()?)
    }
}

impl Writer {
    /// Changes a part. `judged` is the user as it was when the caller's rights were checked: nothing changes unless the user's
    /// id, role, status and external id are still the same, and the [`digest`] of the part meets `expected`.
    ///
    /// # Errors
    /// Errors of the database.
    pub async fn update_part<P: StoredPart>(
        &self,
        judged: &User,
        change: &P::Change,
        expected: &Conditions<String>,
    ) -> Result<PartUpdated<P>, StoreError> {
        let id = judged.id;
        let mut write = self.begin_for(id).await?;
        // The lock on the user's row also protects the part, because every write of a part takes this lock first.
        if row::locked(&mut write, id).await?.is_none_or(|user| !Expected::Judged(judged).holds_of(&user)) {
            return Ok(PartUpdated::UserChanged);
        }
        let (before, unreadable) = match present::<P>(&mut write, id).await {
            // If the change replaces the entire part, the stored part need not be readable. A part that cannot be read
            // has none of the expected states.
            Err(StoreError::Unreadable { field }) if P::is_whole(change) => (P::default(), Some(field)),
            before => (before?, None),
        };
        let state = digest(&before).map_err(|error| sqlx::Error::Encode(error.into()))?;
        if !expected.is_empty() && (unreadable.is_some() || !expected.admit(&state)) {
            return Ok(PartUpdated::PartChanged);
        }
        let after = before.changed(change);
        if after == before && unreadable.is_none() {
            self.found_unchanged(|| UnchangedRow::belonging_to(id, P::NAME));
            return Ok(PartUpdated::Done(after));
        }
        let query = after.bind(sqlx::query(P::UPSERT).bind(id.to_string()))?;
        query.execute(write.statement()).await?;
        let event = Event::on(P::UPDATED, id).fields(&before.changed_fields(&after));
        self.commit(write, &[event]).await?;
        Ok(PartUpdated::Done(after))
    }
}

async fn present<P: StoredPart>(write: &mut WriteTransaction, id: UserId) -> Result<P, StoreError> {
    let row = sqlx::query(P::SELECT).bind(id.to_string()).fetch_one(write.statement()).await?;
    Ok(P::read(&row)?)
}

impl StoredPart for Preferences {
    const SELECT: &'static str = "SELECT users.id, theme, locale, time_zone,
            CAST(email_notifications AS INTEGER) AS email_notifications,
            CAST(push_notifications AS INTEGER) AS push_notifications
         FROM users LEFT JOIN preferences ON preferences.user_id = users.id WHERE users.id = $1";
    const UPSERT: &'static str = "INSERT INTO preferences
            (user_id, theme, locale, time_zone, email_notifications, push_notifications)
         VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (user_id) DO UPDATE SET theme = excluded.theme, locale = excluded.locale,
            time_zone = excluded.time_zone, email_notifications = excluded.email_notifications,
            push_notifications = excluded.push_notifications";

    fn bind<'q>(&self, query: Query<'q>) -> Result<Query<'q>, sqlx::Error> {
        Ok(query
            .bind(self.theme.as_str())
            .bind(self.locale.as_str().to_owned())
            .bind(self.time_zone.as_str().to_owned())
            .bind(self.email_notifications)
            .bind(self.push_notifications))
    }

    fn read(row: &AnyRow) -> Result<Self, sqlx::Error> {
        let Some(theme) = row::parsed_option(row, "theme")? else {
            return Ok(Self::default());
        };
        Ok(Self {
            theme,
            locale: LanguageTag::stored(row.try_get("locale")?),
            time_zone: TimeZone::stored(row.try_get("time_zone")?),
            email_notifications: flag(row, "email_notifications")?,
            push_notifications: flag(row, "push_notifications")?,
        })
    }
}

impl StoredPart for Languages {
    const SELECT: &'static str = "SELECT users.id, languages.languages AS languages
         FROM users LEFT JOIN languages ON languages.user_id = users.id WHERE users.id = $1";
    const UPSERT: &'static str = "INSERT INTO languages (user_id, languages) VALUES ($1, $2)
         ON CONFLICT (user_id) DO UPDATE SET languages = excluded.languages";

    fn bind<'q>(&self, query: Query<'q>) -> Result<Query<'q>, sqlx::Error> {
        bind_list(query, &self.languages)
    }

    fn read(row: &AnyRow) -> Result<Self, sqlx::Error> {
        Ok(Self { languages: list(row, "languages")? })
    }
}

impl StoredPart for Accessibility {
    const SELECT: &'static str = "SELECT users.id, text_scale_percent,
            CAST(high_contrast AS INTEGER) AS high_contrast, CAST(reduced_motion AS INTEGER) AS reduced_motion,
            CAST(screen_reader AS INTEGER) AS screen_reader, CAST(captions AS INTEGER) AS captions
         FROM users LEFT JOIN accessibility ON accessibility.user_id = users.id WHERE users.id = $1";
    const UPSERT: &'static str = "INSERT INTO accessibility
            (user_id, text_scale_percent, high_contrast, reduced_motion, screen_reader, captions)
         VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (user_id) DO UPDATE SET text_scale_percent = excluded.text_scale_percent,
            high_contrast = excluded.high_contrast, reduced_motion = excluded.reduced_motion,
            screen_reader = excluded.screen_reader, captions = excluded.captions";

    fn bind<'q>(&self, query: Query<'q>) -> Result<Query<'q>, sqlx::Error> {
        Ok(query
            .bind(self.text_scale_percent.percent())
            .bind(self.high_contrast)
            .bind(self.reduced_motion)
            .bind(self.screen_reader)
            .bind(self.captions))
    }

    fn read(row: &AnyRow) -> Result<Self, sqlx::Error> {
        let Some(percent) = row.try_get::<Option<i64>, _>("text_scale_percent")? else {
            return Ok(Self::default());
        };
        Ok(Self {
            text_scale_percent: TextScale::stored(percent),
            high_contrast: flag(row, "high_contrast")?,
            reduced_motion: flag(row, "reduced_motion")?,
            screen_reader: flag(row, "screen_reader")?,
            captions: flag(row, "captions")?,
        })
    }
}

impl StoredPart for Interests {
    const SELECT: &'static str = "SELECT users.id, interests.interests AS interests
         FROM users LEFT JOIN interests ON interests.user_id = users.id WHERE users.id = $1";
    const UPSERT: &'static str = "INSERT INTO interests (user_id, interests) VALUES ($1, $2)
         ON CONFLICT (user_id) DO UPDATE SET interests = excluded.interests";

    fn bind<'q>(&self, query: Query<'q>) -> Result<Query<'q>, sqlx::Error> {
        bind_list(query, &self.interests)
    }

    fn read(row: &AnyRow) -> Result<Self, sqlx::Error> {
        Ok(Self { interests: list(row, "interests")? })
    }
}

fn flag(row: &AnyRow, column: &'static str) -> Result<bool, sqlx::Error> {
    Ok(row.try_get::<i64, _>(column)? != 0)
}

fn bind_list<'q>(query: Query<'q>, entries: &impl serde::Serialize) -> Result<Query<'q>, sqlx::Error> {
    let json = serde_json::to_string(entries).map_err(|error| sqlx::Error::Encode(error.into()))?;
    Ok(query.bind(json))
}

fn list<T: DeserializeOwned>(row: &AnyRow, column: &'static str) -> Result<Vec<T>, sqlx::Error> {
    match row.try_get::<Option<String>, _>(column)? {
        Some(json) => serde_json::from_str(&json).map_err(|error| row::undecodable(column, error)),
        None => Ok(Vec::new()),
    }
}
