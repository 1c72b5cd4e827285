//! The parts of a profile beside the user's own row. Each part has defaults; a change replaces the entire part or some
//! of its fields.

pub mod accessibility;
pub mod full;
pub mod interests;
pub mod languages;
pub mod preferences;

use std::fmt::Write as _;

use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use crate::domain::audit::Action;

/// How many bytes of the digest identify a state of a part.
const DIGEST_BYTES: usize = 12;

/// A part of a profile. A user that never set the part has its default.
pub trait Part: Clone + Default + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// A parsed change.
    type Change: Clone + Send + Sync + 'static;

    /// The name of the part's table, of its class in the cache, and of its segment in the URL.
    const NAME: &'static str;
    /// The audit log's action for a change of the part.
    const UPDATED: Action;

    /// Whether a change sets every field, so that no earlier value of a field remains.
    fn is_whole(change: &Self::Change) -> bool;

    /// The part after a change.
    #[must_use]
    fn changed(&self, change: &Self::Change) -> Self;

    /// The names of the fields in which `after` differs from this part.
    fn changed_fields(&self, after: &Self) -> Vec<&'static str>;
}

/// Declares a part whose fields are set one by one: the part with its defaults, and the change of the part that a body
/// holds.
macro_rules! settings {
    (
        $(#[doc = $doc:literal])+
        $part:ident, $name:literal, $updated:ident;
        $(#[doc = $change_doc:literal])+
        $change:ident as $component:ident;
        $($(#[doc = $about:literal])+ $field:ident: $type:ty = $default:expr;)+
    ) => {
        $(#[doc = $doc])+
        #[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
        pub struct $part { $($(#[doc = $about])+ pub $field: $type,)+ }

        impl Default for $part {
            fn default() -> Self {
                Self { $($field: $default,)+ }
            }
        }

        $crate::domain::fields::body! {
            $(#[doc = $change_doc])+
            #[schema($component)]
            #[derive(Debug, Clone, Default, PartialEq, Eq)]
            pub struct $change {
                $($(#[doc = $about])+ pub $field: Option<$type> as $crate::domain::fields::NotNull<$type>,)+
            }
        }

        impl $change {
            /// Parses the body of a `PUT`: missing fields get their defaults.
            ///
            /// # Errors
            /// Every field that is wrong or unknown.
            pub fn parse_put(body: serde_json::Value) -> Result<Self, $crate::domain::invalid::ValidationErrors> {
                let (change, default) = (Self::parse(body)?, $part::default());
                Ok(Self { $($field: change.$field.or(Some(default.$field)),)+ })
            }
        }

        impl $crate::domain::parts::Part for $part {
            type Change = $change;

            const NAME: &'static str = $name;
            const UPDATED: $crate::domain::audit::Action = $crate::domain::audit::Action::$updated;

            fn is_whole(change: &$change) -> bool {
                [$(change.$field.is_some()),+].into_iter().all(|is_set| is_set)
            }

            fn changed(&self, change: &$change) -> Self {
                Self { $($field: change.$field.as_ref().unwrap_or(&self.$field).clone(),)+ }
            }

            fn changed_fields(&self, after: &Self) -> Vec<&'static str> {
                let fields = [$((stringify!($field), self.$field != after.$field)),+];
                fields.into_iter().filter_map(|(name, differs)| differs.then_some(name)).collect()
            }
        }
    };
}
pub(crate) use settings;

/// A digest that identifies the state of a value: equal values have equal digests, whichever program wrote them and
/// however often. The database keeps no version of a part, because another program could forget to increase it.
///
/// # Errors
/// The value cannot be serialised as JSON.
pub fn digest(value: &impl Serialize) -> Result<String, serde_json::Error> {
    let bytes = Sha256::digest(serde_json::to_vec(value)?);
    let mut text = String::with_capacity(2 * DIGEST_BYTES);
    for byte in bytes.iter().take(DIGEST_BYTES) {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    Ok(text)
}
