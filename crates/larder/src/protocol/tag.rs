//! Token tags: an entry is valid only while every tag still has the token that was taken before its load.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::protocol::token::Token;

/// The key a tag's token stands under, in Redis and in memory alike.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct TagKey(Box<[u8]>);

impl From<Bytes> for TagKey {
    fn from(key: Bytes) -> Self {
        TagKey(key.to_vec().into_boxed_slice())
    }
}

impl TagKey {
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub fn to_bytes(&self) -> Bytes {
        Bytes::copy_from_slice(&self.0)
    }
}

/// A tag and the token it had when it was taken.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct TagToken {
    pub tag: TagKey,
    pub token: Token,
}

/// Whether an entry that took these tokens still stands. A missing token means invalid: whoever evicted,
/// flushed or unlinked it may have done so because of a write.
pub fn are_current(taken: &[TagToken], present: impl Fn(&TagKey) -> Option<Token>) -> bool {
    taken.iter().all(|taken| present(&taken.tag) == Some(taken.token))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_stands_only_while_every_token_is_the_one_it_took() {
        let (users, teams) = (TagKey::from(Bytes::from("users")), TagKey::from(Bytes::from("teams")));
        let (a, b, later) = (Token::random(), Token::random(), Token::random());
        let taken = [TagToken { tag: users.clone(), token: a }, TagToken { tag: teams.clone(), token: b }];
        let world = |of_users, of_teams| move |tag: &TagKey| if *tag == users { of_users } else { of_teams };

        assert!(are_current(&taken, world.clone()(Some(a), Some(b))));
        assert!(!are_current(&taken, world.clone()(Some(a), Some(later))), "one tag was invalidated");
        assert!(!are_current(&taken, world.clone()(None, Some(b))), "a missing token means invalid");
        assert!(are_current(&[], world(None, None)), "without tags there is nothing to lose");
    }
}
