//! The macro that generates the classes from their rows.

/// Declares the classes of the service, one row for each class. An example of a row:
///
/// ```text
/// /// A user's badges.
/// badges: UserId => Vec<Badge> {
///     load: |store, id| store.badges(*id),
///     touched_by: [Entry("badges", &["user_id"])],
///     ttl_seconds: 300,
///     variables: ["BADGES_TTL"],
///     keys_for: Admins,
/// }
/// ```
///
/// This row generates the constant `row::badges`, which is an element of `CLASSES`; the field
/// `badges: Class<UserId, Vec<Badge>>` of `Cached`, which `Cached::open` opens; and this method of `Cached`:
///
/// ```text
/// pub async fn badges(&self, id: &UserId, consistency: Consistency) -> Result<Answer<Vec<Badge>>, Error> {
///     let load = || {
///         let (store, id) = (self.store.clone(), id.clone());
///         async move {
///             let (store, id) = (&store, &id);
///             store.badges(*id).await
///         }
///     };
///     self.badges.read(id).consistency(consistency).or_load(load).await
/// }
/// ```
///
/// Without the line `keys_for`, no caller may see the keys of the class. A last line such as `with: memory_only(),`
/// adds a call of this method, or of several as in `memory_only().unaudited()`, of [`ClassBuilder`](larder::class::ClassBuilder) before the class is opened.
///
/// The file that calls the macro has to import every type that the macro names.
macro_rules! classes {
    (@keys_for) => { KeysFor::NoCaller };
    (@keys_for $keys_for:ident) => { KeysFor::$keys_for };
    ($(
        $(#[doc = $doc:literal])+
        $class:ident: $key_type:ty => $value:ty {
            load: |$store:ident, $key:ident| $load:expr,
            touched_by: [$($touched_by:expr),*],
            ttl_seconds: $ttl_seconds:literal,
            variables: [$($variable:literal),*],
            $(keys_for: $keys_for:ident,)?
            $(with: $option:ident($($argument:literal)?)$(.$other:ident())*,)?
        }
    )+) => {
        /// The row of each class, under the name of the class.
        #[allow(non_upper_case_globals, reason = "a class has one spelling")]
        pub mod row {
            use super::*;

            $(
                $(#[doc = $doc])+
                pub const $class: ClassRow = ClassRow {
                    name: stringify!($class),
                    ttl: Duration::from_secs($ttl_seconds),
                    variables: &[$($variable),*],
                    touched_by: &[$($touched_by),*],
                    keys_for: classes!(@keys_for $($keys_for)?),
                };
            )+
        }

        /// The rows of all classes. The journal's triggers list their touches in this order.
        pub const CLASSES: &[ClassRow] = &[$(row::$class),+];

        /// Which callers may see the keys of a class. If there is no such class, no caller may.
        pub fn keys_for(class: &str) -> KeysFor {
            CLASSES.iter().find(|row| row.name == class).map(|row| row.keys_for).unwrap_or_default()
        }

        /// All classes, opened. Each class has a read method of the same name.
        pub struct Cached {
            store: Store,
            $($class: Class<$key_type, $value>,)+
        }

        impl Cached {
            /// Opens every class.
            ///
            /// # Errors
            /// The name of a class in a row is invalid.
            pub fn open(cache: &Cache, store: &Store, policies: &Policies) -> Result<Self, Error> {
                Ok(Self {
                    store: store.clone(),
                    $($class: policies.open(&row::$class, |name| cache.class(name)$(.$option($($argument)?)$(.$other())*)?)?,)+
                })
            }

            $(
                $(#[doc = $doc])+
                ///
                /// # Errors
                /// Errors of the database.
                pub async fn $class(
                    &self,
                    $key: &$key_type,
                    consistency: Consistency,
                ) -> Result<Answer<$value>, Error> {
                    // The cache runs a load in a task of its own, so the load owns what it needs. The closure runs only
                    // on a miss or for the auditor, so other hits clone nothing.
                    let load = || {
                        let ($store, $key) = (self.store.clone(), $key.clone());
                        async move {
                            let ($store, $key) = (&$store, &$key);
                            $load.await
                        }
                    };
                    self.$class.read($key).consistency(consistency).or_load(load).await
                }
            )+
        }
    };
}
pub(super) use classes;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use larder::cache::Cache;
    use larder::class::{Answer, Class};
    use larder::error::Error;
    use larder::policy::Consistency;
    use larder::source::Source;
    use larder_testbed::Sqlite;

    use crate::cached::class_row::TouchedBy::Entry;
    use crate::cached::class_row::{ClassRow, KeysFor};
    use crate::cached::policies::Policies;
    use crate::domain::identity::UserId;
    use crate::domain::role::Role;
    use crate::domain::user::User;
    use crate::store::Store;

    classes! {
        /// A class whose row does not say who may see its keys.
        silent: UserId => User {
            load: |store, id| store.user(*id),
            touched_by: [Entry("users", &["id"])],
            ttl_seconds: 60,
            variables: [],
        }
    }

    #[test]
    fn a_class_that_names_no_readers_shows_its_keys_to_no_caller() {
        assert_eq!(CLASSES.iter().map(|row| row.keys_for).collect::<Vec<_>>(), [KeysFor::NoCaller]);
        assert!(!keys_for("silent").admits(Role::Superadmin, &[]));
        assert!(!keys_for("no_class").admits(Role::Superadmin, &[]), "a class without a row");
    }

    #[tokio::test]
    async fn a_row_is_all_that_a_read_needs() {
        let sqlite = Sqlite::fresh().unwrap();
        let store = Store::open(&sqlite.url()).await.unwrap();
        let cache = Cache::builder("test").build().await.unwrap();
        let cached = Cached::open(&cache, &store, &Policies::default()).unwrap();
        let id = UserId::generate();
        let [first, second] = [(); 2].map(|()| cached.silent(&id, Consistency::Bounded));
        assert!(matches!(first.await.unwrap().source, Source::Load { .. }));
        assert_eq!(second.await.unwrap().source, Source::Memory);
    }
}
