//! Implements `Key` for types of the standard library and for UUIDs.

use std::borrow::Cow;
use std::sync::Arc;

use crate::key::{Key, KeyParts, PartKind};

/// Implements `Key` for types that have one part. `$push` writes the text that their `Display` writes.
macro_rules! key_of_one_part {
    ($kind:ident, $sample:expr, |$part:ident, $parts:ident| $push:expr; $($type:ty),*) => {$(
        impl Key for $type {
            #[inline]
            fn parts(&self, $parts: &mut KeyParts<'_>) {
                let $part = self;
                $push;
            }

            fn with_key<R>(&self, f: impl FnOnce(&Self) -> R) -> R {
                f(self)
            }

            fn kinds() -> Option<Vec<PartKind>> {
                Some(vec![PartKind::$kind])
            }

            fn sample() -> Option<Box<Self>> {
                Some($sample)
            }
        }
    )*};
}

/// The sample of a text, for the application's closure in `tagged_by`. A closure that splits a text is more likely to
/// accept digits than an empty text.
const SAMPLE_TEXT: &str = "00000000";

key_of_one_part!(Text, SAMPLE_TEXT.into(), |text, parts| parts.push_text(text); str);
key_of_one_part!(Text, Box::new(SAMPLE_TEXT.to_owned()), |text, parts| parts.push_text(text); String);
key_of_one_part!(Flag, Box::new(false), |flag, parts| parts.push_plain(if *flag { "true" } else { "false" }); bool);
key_of_one_part!(Number, Box::new(0), |number, parts| parts.push_plain(itoa::Buffer::new().format(*number));
    u8, u16, u32, u64, u128, usize, i8, i16, i32, i64, i128, isize);
#[cfg(feature = "uuid")]
key_of_one_part!(
    Uuid,
    Box::new(uuid::Uuid::nil()),
    |uuid, parts| parts.push_plain(uuid.hyphenated().encode_lower(&mut uuid::Uuid::encode_buffer()));
    uuid::Uuid
);

/// The key of a class with one value.
impl Key for () {
    fn parts(&self, _: &mut KeyParts<'_>) {}

    fn with_key<R>(&self, f: impl FnOnce(&Self) -> R) -> R {
        f(self)
    }

    fn kinds() -> Option<Vec<PartKind>> {
        Some(Vec::new())
    }

    fn sample() -> Option<Box<Self>> {
        Some(Box::new(()))
    }
}

impl Key<String> for str {
    fn parts(&self, parts: &mut KeyParts<'_>) {
        parts.push_text(self);
    }

    fn with_key<R>(&self, f: impl FnOnce(&String) -> R) -> R {
        f(&self.to_owned())
    }
}

impl Key<str> for String {
    fn parts(&self, parts: &mut KeyParts<'_>) {
        parts.push_text(self);
    }

    fn with_key<R>(&self, f: impl FnOnce(&str) -> R) -> R {
        f(self)
    }
}

/// Implements `Key` for pointers to a key.
macro_rules! key_by_deref {
    ($($pointer:ty),*) => {$(
        impl<K: ?Sized, Q: Key<K> + ?Sized> Key<K> for $pointer {
            fn parts(&self, parts: &mut KeyParts<'_>) {
                (**self).parts(parts);
            }

            fn with_key<R>(&self, f: impl FnOnce(&K) -> R) -> R {
                (**self).with_key(f)
            }
        }
    )*};
}

key_by_deref!(&Q, Arc<Q>, Box<Q>);

impl<K: ?Sized> Key<K> for Cow<'_, str>
where
    str: Key<K>,
{
    fn parts(&self, parts: &mut KeyParts<'_>) {
        Key::<K>::parts(&**self, parts);
    }

    fn with_key<R>(&self, f: impl FnOnce(&K) -> R) -> R {
        (**self).with_key(f)
    }
}

/// Implements `Key` for tuples, which have the parts of their fields. The type of a field can differ from the class's
/// if both spell the same part: `&str` and `String`.
macro_rules! key_of_tuple {
    ($($form:ident $type:ident $field:tt $key:ident),+) => {
        impl<$($type: Key + Clone, $form: Key<$type>),+> Key<($($type,)+)> for ($($form,)+) {
            fn parts(&self, parts: &mut KeyParts<'_>) {
                $(Key::<$type>::parts(&self.$field, parts);)+
            }

            fn with_key<R>(&self, f: impl FnOnce(&($($type,)+)) -> R) -> R {
                $(let $key = self.$field.with_key(|key: &$type| key.clone());)+
                f(&($($key,)+))
            }

            fn kinds() -> Option<Vec<PartKind>> {
                Some([$(<$type as Key>::kinds()?),+].concat())
            }

            fn sample() -> Option<Box<Self>> {
                Some(Box::new(($(*<$form as Key<$type>>::sample()?,)+)))
            }
        }
    };
}

key_of_tuple!(A KA 0 a, B KB 1 b);
key_of_tuple!(A KA 0 a, B KB 1 b, C KC 2 c);
key_of_tuple!(A KA 0 a, B KB 1 b, C KC 2 c, D KD 3 d);
key_of_tuple!(A KA 0 a, B KB 1 b, C KC 2 c, D KD 3 d, E KE 4 e);
key_of_tuple!(A KA 0 a, B KB 1 b, C KC 2 c, D KD 3 d, E KE 4 e, F KF 5 g);
