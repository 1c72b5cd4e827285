//! The columns of `users` that people set, declared once: from a row here follow the types, the bodies of requests and their
//! description, and the statements.

/// Who sets a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SetBy {
    /// The user; the column is not part of the profile.
    Own,
    /// The user, also by the routes of the profile.
    Profile,
    /// An admin.
    Manager,
}

/// Hands the columns to another macro: `with_user_columns!(statement)` is `statement! { external_id: …; email: …; … }`.
///
/// The order of the rows is the order of the fields in JSON and in cached entries. Entries of a release with another order are
/// misses, so an existing row stays where it is.
///
/// A type is named from its module, so that a macro which needs the types imports modules only. After it comes who sets the
/// column, and then, if it applies, in this order:
/// - `needed name`: a new user must have it;
/// - `shown name`: everybody sees it; other columns are for the user and for admins;
/// - `behind points`: `User` has `points` before it;
/// - `initially value`: what a new user has, unless that is the type's default.
macro_rules! with_user_columns {
    ($($then:tt)+) => {
        $($then)+! {
            external_id: Option<identity::ExternalId>, Manager;
            email: contact::Email, Own, needed email;
            username: identity::Username, Own, needed username, shown username;
            phone: Option<contact::Phone>, Own;
            full_name: Option<text::FullName>, Profile, shown full_name;
            bio: Option<text::Bio>, Profile, shown bio;
            occupation: Option<text::Occupation>, Profile, shown occupation;
            location: Option<text::Location>, Profile, shown location;
            avatar_url: Option<profile::AvatarUrl>, Profile, shown avatar_url;
            skills: profile::Skills, Profile, shown skills;
            experience: Option<text::Experience>, Profile, shown experience;
            role: role::Role, Manager, shown role, behind points;
            is_active: bool, Manager, shown is_active, initially true;
        }
    };
}
pub(crate) use with_user_columns;
