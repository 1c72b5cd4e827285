//! A user as a row: the columns, how they are bound and how they are read.

use larder_sql::write::WriteTransaction;
use sqlx::any::{AnyArguments, AnyRow};
use sqlx::{Any, Row};

use crate::domain::contact::{Email, Phone};
use crate::domain::identity::{ExternalId, UserId, Username};
use crate::domain::invalid::Invalid;
use crate::domain::profile::{AvatarUrl, Skills};
use crate::domain::text::{Line, Prose};
use crate::domain::timestamp::Timestamp;
use crate::domain::user::User;
use crate::store::error::StoreError;

/// A statement on either database.
pub(crate) type Query<'q> = sqlx::query::Query<'q, Any, AnyArguments>;

/// The columns of a user in the order of [`bind`], for INSERT.
macro_rules! columns {
    () => {
        "id, external_id, email, username, phone, full_name, bio, occupation, location, avatar_url, skills, \
         experience, role, is_active, created_at, updated_at"
    };
}
pub(crate) use columns;

/// How many columns [`columns`] names.
pub(crate) const COLUMNS: usize = 16;

/// What a SELECT of whole users reads, for [`user`].
macro_rules! user_columns {
    () => {
        "users.id, external_id, email, username, phone, full_name, bio, occupation, location, avatar_url, skills, \
         experience, points, role, CAST(is_active AS INTEGER) AS is_active, users.created_at, users.updated_at, \
         users.version"
    };
}
pub(crate) use user_columns;

/// `SELECT` of whole users: `select_user!("WHERE …")`, or with further columns `select_user!(and "epoch"; "JOIN …")`.
macro_rules! select_user {
    (and $more:literal; $($rest:literal),+) => {
        select_user!(@ concat!(", ", $more), $($rest),+)
    };
    (@ $more:expr, $($rest:literal),+) => {
        concat!(
            "SELECT ",
            $crate::store::row::user_columns!(),
            $more,
            " FROM users ",
            $($rest),+
        )
    };
    ($($rest:literal),+) => {
        select_user!(@ "", $($rest),+)
    };
}
pub(crate) use select_user;

/// Binds the columns of a user.
pub(crate) fn bind<'q>(query: Query<'q>, user: &User) -> Result<Query<'q>, sqlx::Error> {
    Ok(bind_editable(query.bind(user.id.to_string()), user)?
        .bind(user.created_at.as_micros())
        .bind(user.updated_at.as_micros()))
}

/// Binds the columns of a user that a change may write: all but the id, the times and the version.
pub(crate) fn bind_editable<'q>(query: Query<'q>, user: &User) -> Result<Query<'q>, sqlx::Error> {
    let skills = serde_json::to_string(&user.skills).map_err(|error| sqlx::Error::Encode(error.into()))?;
    Ok(query
        .bind(user.external_id.as_ref().map(ExternalId::as_str))
        .bind(user.email.as_str())
        .bind(user.username.as_str())
        .bind(user.phone.as_ref().map(Phone::as_str))
        .bind(user.full_name.as_ref().map(Line::as_str))
        .bind(user.bio.as_ref().map(Prose::as_str))
        .bind(user.occupation.as_ref().map(Line::as_str))
        .bind(user.location.as_ref().map(Line::as_str))
        .bind(user.avatar_url.as_ref().map(AvatarUrl::as_str))
        .bind(skills)
        .bind(user.experience.as_ref().map(Prose::as_str))
        .bind(user.role.as_str())
        .bind(user.is_active))
}

/// A user as far as its row can be read.
pub(crate) struct AsRead {
    /// The user. A field of [`unreadable`](Self::unreadable) is empty.
    pub(crate) user: User,
    /// The columns that cannot be read, each of which a change may set anew.
    pub(crate) unreadable: Vec<&'static str>,
}

/// Reads a row of [`select_user`].
pub(crate) fn user(row: &AnyRow) -> Result<User, sqlx::Error> {
    let AsRead { user, unreadable } = as_read(row)?;
    match unreadable.first() {
        None => Ok(user),
        Some(column) => Err(undecodable(column, Invalid::new("another program wrote it"))),
    }
}

/// Reads a row of [`select_user`] of which only what decides must be readable: the id, the role, whether it is active, and the
/// numbers.
pub(crate) fn as_read(row: &AnyRow) -> Result<AsRead, sqlx::Error> {
    let mut unreadable = Vec::new();
    let mut text = |column: &'static str| {
        row.try_get::<Option<String>, _>(column).unwrap_or_else(|_| {
            unreadable.push(column);
            None
        })
    };
    let external_id = text("external_id").map(ExternalId::stored);
    let email = Email::stored(text("email").unwrap_or_default());
    let username = Username::stored(text("username").unwrap_or_default());
    let phone = text("phone").map(Phone::stored);
    let full_name = text("full_name").map(Line::stored);
    let bio = text("bio").map(Prose::stored);
    let occupation = text("occupation").map(Line::stored);
    let location = text("location").map(Line::stored);
    let avatar_url = text("avatar_url").map(AvatarUrl::stored);
    let experience = text("experience").map(Prose::stored);
    let skills = text("skills").map(|skills| serde_json::from_str(&skills));
    let skills = match skills {
        Some(Ok(skills)) => skills,
        Some(Err(_)) => {
            unreadable.push("skills");
            Skills::default()
        }
        // Never NULL, so it is among them already.
        None => Skills::default(),
    };
    let user = User {
        id: user_id(row, "id")?,
        external_id,
        email,
        username,
        phone,
        full_name,
        bio,
        occupation,
        location,
        avatar_url,
        skills,
        experience,
        points: row.try_get("points")?,
        role: parsed(row, "role")?,
        is_active: row.try_get::<i64, _>("is_active")? != 0,
        created_at: Timestamp::from_micros(row.try_get("created_at")?),
        updated_at: Timestamp::from_micros(row.try_get("updated_at")?),
        version: row.try_get("version")?,
    };
    Ok(AsRead { user, unreadable })
}

/// Reads the id of a user.
pub(crate) fn user_id(row: &AnyRow, column: &'static str) -> Result<UserId, sqlx::Error> {
    parsed(row, column)
}

/// Reads a column whose text has a type of its own.
pub(crate) fn parsed<T>(row: &AnyRow, column: &'static str) -> Result<T, sqlx::Error>
where
    T: std::str::FromStr<Err: std::error::Error + Send + Sync + 'static>,
{
    row.try_get::<String, _>(column)?.parse().map_err(|error| undecodable(column, error))
}

/// Reads a column that may be NULL and whose text has a type of its own.
pub(crate) fn parsed_option<T>(row: &AnyRow, column: &'static str) -> Result<Option<T>, sqlx::Error>
where
    T: std::str::FromStr<Err: std::error::Error + Send + Sync + 'static>,
{
    let text = row.try_get::<Option<String>, _>(column)?;
    text.map(|text| text.parse().map_err(|error| undecodable(column, error))).transpose()
}

/// The user as far as it can be read, with its row locked until the transaction ends: the first thing that a
/// [`Writer::begin_for`](crate::store::writing::Writer::begin_for) does.
pub(crate) async fn locked_as_read(
    write: &mut WriteTransaction,
    id: UserId,
) -> Result<Option<AsRead>, StoreError> {
    let select = write.locking(select_user!("WHERE users.id = $1"));
    let row = sqlx::query(select).bind(id.to_string()).fetch_optional(write.statement()).await?;
    Ok(row.as_ref().map(as_read).transpose()?)
}

/// As [`locked_as_read`], for writes that set none of the user's fields: a bio that cannot be read must not keep
/// points from being booked, nor sessions from being ended.
pub(crate) async fn locked(write: &mut WriteTransaction, id: UserId) -> Result<Option<User>, StoreError> {
    Ok(locked_as_read(write, id).await?.map(|read| read.user))
}

/// What the database holds is not what we wrote.
pub(crate) fn undecodable(
    column: &str,
    error: impl std::error::Error + Send + Sync + 'static,
) -> sqlx::Error {
    sqlx::Error::ColumnDecode { index: column.to_owned(), source: error.into() }
}
