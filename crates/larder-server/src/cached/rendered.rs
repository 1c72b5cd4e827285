//! Answers that were rendered from cached values, kept so that a hit is not rendered again.
//!
//! Invariant: an answer is found only for the value that it was rendered from. Its key is the value's address, and it
//! holds a weak reference to the value. As long as it does, the allocation exists, so no other value has this address.
//! A read that returns a newer value therefore never finds the answer of an older one.
//!
//! An answer outlives its value, without being found, until newer answers need its room.

use std::any::Any;
use std::sync::{Arc, Weak};

use axum::body::Bytes;
use quick_cache::Weighter;
use quick_cache::sync::Cache;

/// The most memory that the answers take, in bytes. An answer whose value has left the cache stays until newer ones need
/// its room.
const ANSWERS_BYTES: u64 = 16 << 20;
/// What an answer takes beside its body and the allocation of its value: its row in the map, and the counts.
const ROW_BYTES: u64 = 128;
/// The usual size of an answer, from which the map takes the number of its rows.
const USUAL_BYTES: u64 = 1024;

/// The form in which a value is shown. The value and its representation alone decide the answer; neither the caller nor
/// the time does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Representation {
    /// The value with everything in it.
    Whole,
    /// A user without the fields that strangers do not see.
    Public,
    /// What users who are not among the users of the value see.
    ForUsers,
    /// What admins see.
    ForAdmins,
    /// What superadmins see.
    ForSuperadmins,
}

/// An answer's body, and the entity tag that was computed with it.
#[derive(Clone)]
pub(crate) struct Rendered {
    pub(crate) body: Bytes,
    pub(crate) tag: Option<Arc<str>>,
}

type Key = (usize, Representation);

#[derive(Clone)]
struct Kept {
    value: Weak<dyn Any + Send + Sync>,
    value_bytes: usize,
    rendered: Rendered,
}

#[derive(Clone)]
struct Bytewise;

impl Weighter<Key, Kept> for Bytewise {
    fn weight(&self, _: &Key, kept: &Kept) -> u64 {
        let tag_bytes = kept.rendered.tag.as_deref().map_or(0, str::len);
        (kept.rendered.body.len() + kept.value_bytes + tag_bytes) as u64 + ROW_BYTES
    }
}

/// The answers that one process keeps.
pub(crate) struct RenderedAnswers(Cache<Key, Kept, Bytewise>);

impl Default for RenderedAnswers {
    fn default() -> Self {
        Self(Cache::with_weighter((ANSWERS_BYTES / USUAL_BYTES) as usize, ANSWERS_BYTES, Bytewise))
    }
}

impl RenderedAnswers {
    /// The answer of this value in this representation: the kept one, or else the one that `render` makes, which is kept.
    ///
    /// # Errors
    /// Those of `render`.
    pub(crate) fn get_or_render<T: Send + Sync + 'static, E>(
        &self,
        value: &Arc<T>,
        representation: Representation,
        render: impl FnOnce(&T) -> Result<Rendered, E>,
    ) -> Result<Rendered, E> {
        let key = (Arc::as_ptr(value).addr(), representation);
        if let Some(kept) = self.0.get(&key) {
            debug_assert!(
                std::ptr::addr_eq(kept.value.as_ptr(), Arc::as_ptr(value)),
                "an answer has its value's address"
            );
            return Ok(kept.rendered);
        }
        let mut rendered = render(value)?;
        // Only what it holds is kept: a body that was written into a larger buffer would hold all of it.
        rendered.body = Bytes::copy_from_slice(&rendered.body);
        let kept = Kept {
            value: Arc::downgrade(value) as Weak<dyn Any + Send + Sync>,
            value_bytes: size_of::<T>(),
            rendered: rendered.clone(),
        };
        self.0.insert(key, kept);
        Ok(rendered)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    fn rendered(text: &str) -> Result<Rendered, Infallible> {
        Ok(Rendered { body: text.to_owned().into(), tag: None })
    }

    #[test]
    fn a_value_is_rendered_once_in_each_shape() {
        let (answers, value) = (RenderedAnswers::default(), Arc::new(7));
        for representation in [Representation::Whole, Representation::Public] {
            let Ok(first) = answers.get_or_render(&value, representation, |value| {
                rendered(&format!("{value} {representation:?}"))
            });
            let Ok(second) = answers.get_or_render(&value, representation, |_| rendered("again"));
            assert_eq!(
                (first.body.clone(), first.body),
                (second.body, format!("7 {representation:?}").into())
            );
        }
    }

    #[test]
    fn no_value_gets_the_answer_of_an_earlier_one() {
        let answers = RenderedAnswers::default();
        // Without the weak references the allocator would give most of these values the address of the first one.
        for number in 0..10_000 {
            let value = Arc::new(number);
            let Ok(own) =
                answers.get_or_render(&value, Representation::Whole, |value| rendered(&value.to_string()));
            assert_eq!(own.body, number.to_string());
        }
    }

    #[test]
    fn the_answers_take_bounded_memory() {
        let answers = RenderedAnswers::default();
        let body = "x".repeat(64 * 1024);
        let values: Vec<_> = (0..1_000).map(Arc::new).collect();
        for value in &values {
            let Ok(_) = answers.get_or_render(value, Representation::Whole, |_| rendered(&body));
        }
        assert!(answers.0.weight() <= ANSWERS_BYTES && answers.0.len() > 100, "{} bytes", answers.0.weight());
    }
}
