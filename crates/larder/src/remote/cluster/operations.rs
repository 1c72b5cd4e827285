//! The operations of the tier, each at the masters of its keys.
//!
//! Where plain Redis compares several keys in one step, they are compared here before the step:
//!
//! - A read asks each master for its keys. A value counts as of the instant of its reply, which is after the read began; and
//!   an entry is valid only with the tokens that its tags had when its load began, and no token returns once it is gone. So
//!   it does not matter that the replies are of several instants.
//! - A load's tags get their tokens before its lease is answered.
//! - `put` and `renew` look at the tags first. If one is invalidated after that, the entry is stored with a token that is gone:
//!   no read serves it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::{join_all, try_join_all};

use crate::batch::Sweep;
use crate::journal::ChangeId;
use crate::protocol::frame::fingerprint;
use crate::protocol::slots::{SlotSet, slot_of, slot_range_of};
use crate::protocol::tag::TagToken;
use crate::protocol::token::Token;
use crate::remote::cluster::ClusterTier;
use crate::remote::cluster::map::{Map, Member, Part};
use crate::remote::cluster::queues::Unconfirmed;
use crate::remote::{Fault, FrameReply, Mint, Remote, Unchanged};

/// How long an invalidation waits for the nodes to say which master has its keys, if the one that was asked has not.
const MOVED_TIMEOUT: Duration = Duration::from_millis(500);

impl Member {
    /// Notes that this master gave no answer. The caller gets a refusal: what the engine does about a tier that is away, is
    /// done here for the one master.
    fn noted<T>(&self, answer: Result<T, Fault>) -> Result<T, Fault> {
        if matches!(answer, Err(Fault::Away)) {
            self.tier.revoke_and_check();
        }
        answer.map_err(|_| Fault::Refused)
    }
}

impl ClusterTier {
    /// Reads each part of `keys` at its master, and returns the values in their order.
    async fn read_parts(&self, map: &Map, keys: &[Bytes]) -> Vec<Result<Option<Bytes>, Fault>> {
        let (parts, _) = map.split(keys);
        let answers = join_all(
            parts.iter().map(async |part| part.member.noted(part.member.tier.read(&part.keys).await)),
        );
        let mut values = vec![Err(Fault::Refused); keys.len()];
        for (part, answers) in parts.iter().zip(answers.await) {
            for (nth, place) in part.places.iter().enumerate() {
                values[*place] = answers.as_ref().map(|answers| answers[nth].clone()).map_err(|fault| *fault);
            }
        }
        values
    }

    async fn read_all(&self, map: &Map, keys: &[Bytes]) -> Result<Vec<Option<Bytes>>, Fault> {
        self.read_parts(map, keys).await.into_iter().collect()
    }

    /// Whether each of `tags` still has its token, and `entry` its fingerprint.
    async fn is_unchanged(&self, map: &Map, unchanged: Unchanged<'_>) -> Result<bool, Fault> {
        let entry = unchanged.entry.into_iter().map(|(key, fingerprint)| (key.clone(), fingerprint.clone()));
        let tag = |taken: &TagToken| (taken.tag.to_bytes(), fingerprint(&taken.token.tag_frame()));
        let (keys, expected): (Vec<Bytes>, Vec<Bytes>) = entry.chain(unchanged.tags.iter().map(tag)).unzip();
        if keys.is_empty() {
            return Ok(true);
        }
        let values = self.read_all(map, &keys).await?;
        let is_same = |(value, expected): (&Option<Bytes>, &Bytes)| {
            value.as_ref().map(fingerprint).as_ref() == Some(expected)
        };
        Ok(values.iter().zip(&expected).all(is_same))
    }

    /// Sets the missing tokens of `mint` at the masters of their tags.
    async fn mint(&self, map: &Map, mint: &Mint) -> Result<Vec<Bytes>, Fault> {
        let tags: Vec<Bytes> = mint.tags.iter().map(|(tag, _)| tag.to_bytes()).collect();
        let (parts, ownerless) = map.split(&tags);
        if !ownerless.is_empty() {
            return Err(Fault::Refused);
        }
        let answers = try_join_all(parts.iter().map(async |part| {
            let tags = part.places.iter().map(|place| mint.tags[*place].clone()).collect();
            part.member.noted(part.member.tier.mint(&Mint { tags, ttl: mint.ttl }).await)
        }));
        let mut frames = vec![Bytes::new(); tags.len()];
        for (part, answers) in parts.iter().zip(answers.await?) {
            for (place, frame) in part.places.iter().zip(answers) {
                frames[*place] = frame;
            }
        }
        Ok(frames)
    }

    /// Runs `set` and `mint`; both have ended when this returns.
    async fn set_and_mint(
        &self,
        member: &Member,
        set: impl Future<Output = Result<FrameReply, Fault>>,
        (map, mint): (&Map, &Mint),
    ) -> Result<FrameReply, Fault> {
        let (existing, minted) = tokio::join!(set, self.mint(map, mint));
        Ok(FrameReply { existing: member.noted(existing)?.existing, minted: minted? })
    }

    /// Runs `deletion`, which counts only if its master was in use before and after, without a break: otherwise it may have
    /// reached a Redis that is not certified now, or keys of another identity of the database.
    async fn held<T>(
        &self,
        member: &Member,
        deletion: impl Future<Output = Result<T, Fault>>,
    ) -> Result<T, Fault> {
        let epoch = member.validity.epoch();
        let is_used = || {
            let now = self.supervisor.clock.now();
            member.membership.is_in_use()
                && member.validity.epoch() == epoch
                && member.validity.is_valid_at(now)
        };
        if !is_used() {
            return Err(Fault::Away);
        }
        let answer = deletion.await?;
        if is_used() { Ok(answer) } else { Err(Fault::Away) }
    }

    /// Deletes each part of `keys` at its master.
    async fn unlink_parts(&self, keys: &[Bytes]) -> UnlinkedParts {
        let map = self.supervisor.map();
        let (parts, ownerless) = map.split(keys);
        let mut all =
            UnlinkedParts { failed: ownerless.into_iter().cloned().collect(), ..Default::default() };
        let unlink =
            async |part: &Part<'_>| self.held(part.member, part.member.tier.unlink_each(&part.keys)).await;
        let answers = join_all(parts.iter().map(unlink)).await;
        for (part, answer) in parts.iter().zip(answers) {
            let those = |places: Vec<usize>| places.into_iter().map(|place| part.keys[place].clone());
            match part.member.noted(answer) {
                Ok(unlinked) => {
                    all.count += unlinked.count;
                    all.moved.extend(those(unlinked.moved));
                    all.failed.extend(those(unlinked.asked));
                }
                Err(_) => all.failed.extend_from_slice(&part.keys),
            }
        }
        all
    }
}

/// What several masters deleted.
#[derive(Default)]
struct UnlinkedParts {
    count: u64,
    /// The keys of which a master says that another one has them.
    moved: Vec<Bytes>,
    /// Other keys that may still exist.
    failed: Vec<Bytes>,
}

#[async_trait]
impl Remote for ClusterTier {
    fn redis_key(&self, key: &Bytes) -> Bytes {
        self.supervisor.map().name(key)
    }

    async fn read(&self, keys: &[Bytes]) -> Result<Vec<Option<Bytes>>, Fault> {
        self.read_all(&self.supervisor.map(), keys).await
    }

    async fn read_each(&self, keys: &[Bytes]) -> Vec<Result<Option<Bytes>, Fault>> {
        self.read_parts(&self.supervisor.map(), keys).await
    }

    async fn read_anchor(&self, keys: &[Bytes]) -> Result<(Vec<Option<Bytes>>, Option<Duration>), Fault> {
        let map = self.supervisor.map();
        let (anchor, tags) = keys.split_at(1);
        let member = map.member(&anchor[0])?;
        let (first, others) = tokio::join!(member.tier.read_anchor(anchor), self.read_all(&map, tags));
        let (mut values, left) = member.noted(first)?;
        values.extend(others?);
        Ok((values, left))
    }

    async fn lease(
        &self,
        key: &Bytes,
        token: Token,
        replace: Option<&Bytes>,
        mint: &Mint,
    ) -> Result<FrameReply, Fault> {
        let map = self.supervisor.map();
        let member = map.member(key)?;
        let none = Mint::none();
        self.set_and_mint(member, member.tier.lease(key, token, replace, &none), (&map, mint)).await
    }

    async fn renew(&self, key: &Bytes, token: Token, unchanged: Unchanged<'_>) -> Result<bool, Fault> {
        let map = self.supervisor.map();
        let member = map.member(key)?;
        if !self.is_unchanged(&map, unchanged).await? {
            member.noted(member.tier.release(key, token).await)?;
            return Ok(false);
        }
        let nothing = Unchanged { entry: None, tags: &[] };
        member.noted(member.tier.renew(key, token, nothing).await)
    }

    async fn set_frame(
        &self,
        key: &Bytes,
        frame: Bytes,
        life: Duration,
        replace: Option<&Bytes>,
        mint: &Mint,
    ) -> Result<FrameReply, Fault> {
        let map = self.supervisor.map();
        let member = map.member(key)?;
        let none = Mint::none();
        self.set_and_mint(member, member.tier.set_frame(key, frame, life, replace, &none), (&map, mint)).await
    }

    async fn permit(
        &self,
        key: &Bytes,
        token: Token,
        life: Duration,
        replace: Option<&Bytes>,
        mint: &Mint,
    ) -> Result<FrameReply, Fault> {
        let map = self.supervisor.map();
        let member = map.member(key)?;
        let none = Mint::none();
        self.set_and_mint(member, member.tier.permit(key, token, life, replace, &none), (&map, mint)).await
    }

    async fn put(
        &self,
        key: &Bytes,
        existing: &Bytes,
        tags: &[TagToken],
        frame: Bytes,
        ttl: Duration,
    ) -> Result<bool, Fault> {
        let map = self.supervisor.map();
        let member = map.member(key)?;
        if !self.is_unchanged(&map, Unchanged { entry: None, tags }).await? {
            return Ok(false);
        }
        member.noted(member.tier.put(key, existing, &[], frame, ttl).await)
    }

    async fn fill(&self, key: &Bytes, token: Token, frame: Bytes, ttl: Duration) -> Result<bool, Fault> {
        let map = self.supervisor.map();
        let member = map.member(key)?;
        member.noted(member.tier.fill(key, token, frame, ttl).await)
    }

    async fn release(&self, key: &Bytes, token: Token) -> Result<(), Fault> {
        let map = self.supervisor.map();
        let member = map.member(key)?;
        member.noted(member.tier.release(key, token).await)
    }

    async fn unlink(&self, keys: &[Bytes]) -> Result<u64, Fault> {
        self.deliver(keys, &[]).await.map_err(|_| Fault::Refused)
    }

    async fn unlink_and_record(&self, keys: &[Bytes], _: &[ChangeId]) -> Result<u64, Fault> {
        self.unlink(keys).await
    }

    /// It records nothing: a change may concern several masters, and a record is one step with the deletions that it records.
    async fn deliver(&self, keys: &[Bytes], _: &[ChangeId]) -> Result<u64, Vec<Bytes>> {
        let mut first = self.unlink_parts(keys).await;
        let mut again = UnlinkedParts::default();
        if !first.moved.is_empty() {
            self.supervisor.ask_again(MOVED_TIMEOUT).await;
            again = self.unlink_parts(&first.moved).await;
        }
        first.failed.extend(again.moved.into_iter().chain(again.failed));
        if first.failed.is_empty() { Ok(first.count + again.count) } else { Err(first.failed) }
    }

    async fn sweep(&self, what: Sweep<'_>) -> Result<u64, Fault> {
        let map = self.supervisor.map();
        let swept =
            join_all(map.members.iter().map(|member| self.held(member, member.tier.sweep(what)))).await;
        // A slot may be at a master that this instance does not know yet, or be on its way: so each master says which slots it
        // has, after it has been swept.
        let answers = join_all(map.members.iter().map(|member| member.tier.topology())).await;
        let own = answers.iter().flatten().fold(SlotSet::empty(), |all, own| all.or(&own.own_slots()));
        if own != SlotSet::all() {
            self.supervisor.clear_new_masters();
            return Err(Fault::Refused);
        }
        let noted = map.members.iter().zip(swept).map(|(member, answer)| member.noted(answer));
        noted.collect::<Vec<_>>().into_iter().sum()
    }

    fn allow_value_bytes(&self, bytes: usize) {
        self.supervisor.allow_value_bytes(bytes);
    }

    fn slot_range(&self, key: &Bytes) -> Option<u16> {
        Some(slot_range_of(slot_of(&self.supervisor.map().name(key))))
    }

    fn is_tracking(&self) -> bool {
        let map = self.supervisor.map();
        map.members
            .iter()
            .filter(|member| member.membership.is_in_use())
            .all(|member| member.tier.is_tracking())
    }

    fn queue(&self, keys: &[Bytes], everything: bool) {
        self.supervisor.queue(keys, everything);
    }

    async fn wait_until_sent(&self, limit: Duration) -> bool {
        let began = Instant::now();
        loop {
            let left = limit.saturating_sub(began.elapsed());
            match self.supervisor.unconfirmed() {
                Unconfirmed::Nothing => return true,
                _ if left.is_zero() => return false,
                // Afterwards all is looked at again: a key may have got another master meanwhile.
                Unconfirmed::Member(member) => drop(member.tier.wait_until_sent(left).await),
                Unconfirmed::Elsewhere => self.supervisor.wait_for_topology(left).await,
            }
        }
    }

    fn unsent_count(&self) -> usize {
        let map = self.supervisor.map();
        let unsent = |member: &Arc<Member>| member.tier.unsent_count() + member.membership.stray_count();
        map.members.iter().map(unsent).sum::<usize>() + self.supervisor.ownerless().count()
    }

    /// Each operation has suspected its own master.
    fn revoke_and_check(&self) {}

    fn check(&self) {
        self.supervisor.map().members.iter().for_each(|member| member.tier.check());
    }
}
