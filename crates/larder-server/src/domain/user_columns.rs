//! The editable columns of `users`, declared once. The types, the bodies of requests and their description, and the
//! statements are generated from the rows here.

/// The group that sets a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SetBy {
    /// The user itself; the column is not part of the profile.
    Own,
    /// The user itself, also by the routes of the profile.
    Profile,
    /// An admin.
    Manager,
}

/// Passes the columns to another macro: `with_user_columns!(statement)` is `statement! { external_id: …; email: …; …
/// }`.
///
/// The order of the rows is the order of the fields in JSON and in cached entries. A new row may be anywhere. Wherever
/// it is, a release without the row cannot read the cached entries of this release, and treats them as misses. Do not
/// move an existing row, because that has the same cost and no use.
///
/// A type is written with its module, so that a macro which needs the types imports modules only. The group that sets
/// the column follows, and then, if they apply, these marks in this order:
/// - `needed name`: a new user must have it;
/// - `shown name`: every user sees it; other columns are for the user itself and for admins;
/// - `behind points`: in `User`, the field `points` is just before it;
/// - `initially value`: the value in a new user, if it is not the type's default.
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
