//! Users by any of their identifiers.

use larder::class::Answer;
use larder::error::Error;
use larder::policy::Consistency;
use larder::source::Source;
use larder::uncached::uncached;

use crate::cached::classes::Cached;
use crate::domain::identity::Identifier;
use crate::domain::user::User;

impl Cached {
    /// The user with this identifier.
    ///
    /// Unless the identifier is an id, two entries make the answer: one has the id for the identifier, the other has
    /// the user. A write may occur between the two reads, so the read checks that the user still has the identifier. If
    /// not, both entries are read again, first fresh, then from the database.
    ///
    /// # Errors
    /// Errors of the database.
    pub async fn find(&self, by: &Identifier, consistency: Consistency) -> Result<Answer<User>, Error> {
        for consistency in [consistency, Consistency::Fresh] {
            if let Some(answer) = self.find_once(by, consistency).await? {
                return Ok(answer);
            }
        }
        let answer = uncached(self.find_once(by, Consistency::Fresh)).await?;
        // Between the two statements, the user that the first one found lost the identifier. The answer is that no user
        // has it.
        Ok(answer.unwrap_or(Answer { value: None, source: Source::Bypass, is_shared: false, stale_by: None }))
    }

    /// Reads each of the two entries once. `None`: the user that the first entry names does not exist or does not have
    /// the identifier.
    async fn find_once(
        &self,
        by: &Identifier,
        consistency: Consistency,
    ) -> Result<Option<Answer<User>>, Error> {
        let id = match by {
            Identifier::Id(id) => return self.user_details(id, consistency).await.map(Some),
            Identifier::External(external) => self.user_external(external, consistency).await?,
            Identifier::Email(email) => self.user_email(email, consistency).await?,
            Identifier::Username(username) => self.user_username(username, consistency).await?,
            Identifier::Phone(phone) => self.user_phone(phone, consistency).await?,
        };
        let Some(user_id) = id.value.as_deref() else {
            return Ok(Some(Answer {
                value: None,
                source: id.source,
                is_shared: id.is_shared,
                stale_by: id.stale_by,
            }));
        };
        let user = self.user_details(user_id, consistency).await?;
        let agrees = user.value.as_deref().is_some_and(|user| user.has(by));
        let (source, is_shared) = (farther(id.source, user.source), id.is_shared || user.is_shared);
        Ok(agrees.then_some(Answer { source, is_shared, stale_by: id.stale_by.max(user.stale_by), ..user }))
    }
}

/// Of the sources of two entries, the one that is farther from memory.
fn farther(a: Source, b: Source) -> Source {
    let distance = |source| match source {
        Source::Memory => 0,
        Source::Redis => 1,
        load @ Source::Load { .. } if load.is_stored() => 2,
        Source::Load { .. } => 3,
        _ => 4,
    };
    if distance(a) > distance(b) { a } else { b }
}
