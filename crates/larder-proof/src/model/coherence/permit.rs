//! Permits, in the steps of `engine::permit`, and background refreshes, in the steps of `engine::refresh`. The model
//! treats a refresh as a permit that is drawn only on an aged entry.

use bytes::Bytes;
use larder::protocol::frame::{Frame, fingerprint};
use larder::protocol::lease::{AfterRead, after_read};
use larder::protocol::permit::PermitId;
use larder::protocol::rules::ProtocolRule;
use larder::protocol::tag::{TagKey, TagToken, are_current};
use larder::protocol::token::Token;

use crate::model::coherence::phase::{Permit, PermitPhase, PermitRight};
use crate::model::coherence::state::{
    Slot, State, entry_of, expected, key, keys, place, refresh_key, tag, tags_of, token_of,
};
use crate::model::coherence::{Action, Branch, Coherence};

/// Permit ids that differ from those of reads.
fn id_of(permit: usize) -> PermitId {
    PermitId(100 + permit as u64)
}

/// Tokens that differ from those of reads.
fn token(permit: usize, kind: u8) -> Token {
    let mut bytes = [0; 16];
    bytes[..3].copy_from_slice(&[100, u8::try_from(permit).unwrap_or(u8::MAX), kind]);
    Token::from_bytes(bytes)
}

impl State {
    pub(super) fn permits(&self, model: &Coherence, actions: &mut Vec<Action>) {
        for (nth, permit) in self.permits.iter().enumerate() {
            match &permit.phase {
                // A refresh begins only if Redis has an entry.
                PermitPhase::Before if permit.is_refresh => {
                    if self.instances[permit.instance].is_usable && self.has_entry() {
                        actions.push(Action::Draw(nth));
                    }
                }
                // A draw waits while another load holds the lease.
                PermitPhase::Before if self.instances[permit.instance].is_usable && self.is_leased() => {}
                PermitPhase::Before => actions.push(Action::Draw(nth)),
                PermitPhase::Drawn(_) => actions.push(Action::Compute(nth)),
                PermitPhase::Computed(..) => {
                    actions.push(Action::Put(nth));
                    if model.permits.len() > 1 {
                        actions.push(Action::GiveBack(nth));
                    }
                }
                PermitPhase::Done => {}
            }
            let is_running = matches!(permit.phase, PermitPhase::Drawn(_) | PermitPhase::Computed(..));
            if permit.is_refresh && is_running && self.left.crashes > 0 {
                actions.push(Action::StopRefresh(nth));
            }
        }
    }

    fn is_leased(&self) -> bool {
        matches!(self.redis.peek(&key()).map(Frame::parse), Some(Ok(Frame::Lease(_))))
    }

    fn has_entry(&self) -> bool {
        matches!(self.redis.peek(&key()).map(Frame::parse), Some(Ok(Frame::Entry(_))))
    }

    /// Draws a permit. The tracked read, and the script PERMIT if it is needed, are one step. As two steps they could
    /// only make the tags' tokens older than the permit, and an old token only makes Redis refuse the put.
    ///
    /// In the product, the entry that a refresh reads here also enters memory. This model leaves that out, because the
    /// scenario's reads have the same step.
    pub(super) fn draw(&mut self, model: &Coherence, nth: usize) {
        let at = self.permits[nth].instance;
        let right = if self.instances[at].is_usable {
            let values = self.redis.read(at, &keys(model.tagged));
            let mut present = values.get(1).and_then(|value| token_of(value.as_ref()));
            let replace = match after_read(values[0].as_ref(), expected(model.tagged), |_| present) {
                AfterRead::Serve(_) if self.permits[nth].is_refresh => {
                    return self.refresh(model, nth, &values);
                }
                _ if self.permits[nth].is_refresh => return self.give_back(nth),
                AfterRead::Serve(_) => None,
                AfterRead::Acquire { replace, .. } => Some(replace),
                AfterRead::Wait => return,
            };
            if model.tagged && present.is_none() {
                let minted = token(nth, 0);
                self.redis.set_if_missing(&tag().to_bytes(), minted.tag_frame());
                present = Some(minted);
            }
            let existing = match replace {
                None => {
                    model.take(Branch::DrewOnEntry);
                    values[0].as_ref().map(fingerprint).unwrap_or_default()
                }
                Some(replace) => {
                    model.take(Branch::DrewOnNothing);
                    self.redis.permit(&key(), token(nth, 1), replace.as_ref())
                }
            };
            let taken = |tag: &TagKey| Some(TagToken { tag: tag.clone(), token: present? });
            PermitRight::Redis { existing, tags: tags_of(model.tagged).iter().filter_map(taken).collect() }
        } else {
            model.take(Branch::DrewInMemory);
            self.instances[at].shards[place(&key())].draw(key(), id_of(nth), tags_of(model.tagged));
            PermitRight::Memory { tags: self.take_tokens(model, at, token(nth, 2)) }
        };
        self.permits[nth].phase = PermitPhase::Drawn(right);
    }

    /// The application computes the value from what the database has at this instant.
    pub(super) fn compute(&mut self, nth: usize) {
        if let PermitPhase::Drawn(right) = &self.permits[nth].phase {
            self.permits[nth].phase = PermitPhase::Computed(right.clone(), self.database);
        }
    }

    pub(super) fn put(&mut self, model: &Coherence, nth: usize) {
        let PermitPhase::Computed(right, version) = self.permits[nth].phase.clone() else { return };
        let Permit { instance: at, is_refresh, .. } = self.permits[nth];
        match right {
            PermitRight::Redis { existing, tags } if is_refresh || self.instances[at].is_usable => {
                let frame = entry_of(version, tags.clone(), token(nth, 3)).encode();
                let is_put = self.put_entry(model, at, (&existing, &tags), frame);
                model.take(match (is_refresh, is_put) {
                    (false, true) => Branch::Put,
                    (false, false) => Branch::PutRefused,
                    (true, true) => Branch::Refreshed,
                    (true, false) => Branch::RefreshRefused,
                });
            }
            PermitRight::Redis { .. } | PermitRight::Void => model.take(Branch::PutRefused),
            PermitRight::Memory { tags } => {
                let instance = &mut self.instances[at];
                let may = are_current(&tags, |tag| instance.token(tag));
                if may
                    && instance.shards[place(&key())].redeem(
                        &key(),
                        id_of(nth),
                        ProtocolRule::PutsUnderPermit,
                    )
                {
                    model.take(Branch::PutInMemory);
                    instance.memory.insert(key(), Slot::Copy { version, tags, is_tracked: false });
                } else {
                    model.take(Branch::PutInMemoryRefused);
                }
            }
        }
        self.give_back(nth);
    }

    pub(super) fn give_back(&mut self, nth: usize) {
        let at = self.permits[nth].instance;
        self.instances[at].shards[place(&key())].give_up(&key(), id_of(nth));
        self.permits[nth].phase = PermitPhase::Done;
        if self.permits[nth].is_refresh {
            self.redis.release(&refresh_key(), token(nth, 4));
        }
    }

    /// Models `Engine::acquire_replacement` of a refresh. If another load holds the lease under the refresh key, the
    /// refresh ends.
    fn refresh(&mut self, model: &Coherence, nth: usize, values: &[Option<Bytes>]) {
        let lease = token(nth, 4);
        if self.redis.lease(&refresh_key(), lease, None) != lease.lease_frame() {
            model.take(Branch::RefreshedByAnother);
            self.permits[nth].phase = PermitPhase::Done;
            return;
        }
        model.take(Branch::Refreshing);
        let existing = values[0].as_ref().map(fingerprint).unwrap_or_default();
        let present = values.get(1).and_then(|value| token_of(value.as_ref()));
        let taken = |tag: &TagKey| Some(TagToken { tag: tag.clone(), token: present? });
        let tags = tags_of(model.tagged).iter().filter_map(taken).collect();
        self.permits[nth].phase = PermitPhase::Drawn(PermitRight::Redis { existing, tags });
    }

    /// The process of a refresh stops, and its lease stays.
    pub(super) fn stop_refresh(&mut self, nth: usize) {
        self.left.crashes -= 1;
        self.permits[nth].phase = PermitPhase::Done;
    }

    /// An epoch ends: permits that were drawn in Redis are void. Refreshes keep their right, because they do not check
    /// the epoch.
    pub(super) fn cut_permits(&mut self, instance: usize) {
        for permit in
            self.permits.iter_mut().filter(|permit| permit.instance == instance && !permit.is_refresh)
        {
            if let PermitPhase::Drawn(right @ PermitRight::Redis { .. })
            | PermitPhase::Computed(right @ PermitRight::Redis { .. }, _) = &mut permit.phase
            {
                *right = PermitRight::Void;
            }
        }
    }
}
