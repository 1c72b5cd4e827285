//! A read of a memory-only class, in the steps of `engine::anchor`.

use bytes::Bytes;
use larder::protocol::flight::FlightId;
use larder::protocol::frame::{Frame, fingerprint};
use larder::protocol::permit::PermitId;
use larder::protocol::rules::ProtocolRule;
use larder::protocol::shard::Seq;
use larder::protocol::tag::TagToken;
use larder::protocol::token::Token;

use crate::model::coherence::phase::{Phase, Version};
use crate::model::coherence::state::{Slot, State, key, place, tag, tags_of};
use crate::model::coherence::{Branch, Coherence};

/// The id of a reader's permit. It may be reused, because a read has one permit at a time.
fn id_of(reader: usize) -> PermitId {
    PermitId(reader as u64)
}

impl State {
    /// Draws the permit before the tracked read is sent.
    pub(super) fn watch(&mut self, model: &Coherence, nth: usize) {
        self.unwatch(nth);
        let shard = &mut self.instances[self.readers[nth].instance].shards[place(&key())];
        shard.draw(key(), id_of(nth), tags_of(model.tagged));
    }

    pub(super) fn unwatch(&mut self, nth: usize) {
        self.instances[self.readers[nth].instance].shards[place(&key())].give_up(&key(), id_of(nth));
    }

    /// Handles the reply of the tracked read.
    pub(super) fn take_anchor(
        &mut self,
        model: &Coherence,
        nth: usize,
        id: FlightId,
        marks: &[Seq],
        value: Option<&Bytes>,
        token: Option<Token>,
    ) {
        let is_anchored = matches!(value.map(Frame::parse), Some(Ok(Frame::Anchor(_))));
        if !is_anchored || model.tagged && token.is_none() {
            self.unwatch(nth);
            let replace = value.filter(|_| !is_anchored).map(fingerprint);
            self.readers[nth].phase = Phase::SettingAnchor { id, replace };
            return;
        }
        let at = self.readers[nth].instance;
        if let Some(token) = token {
            self.insert_tracked(
                model,
                at,
                marks[1],
                tag().to_bytes(),
                Slot::Token { token, is_tracked: true },
            );
        }
        // The product compares a tag's generation, a random value that changes when the tag leaves memory. The model compares
        // its token: no token returns to an earlier value here, so equal tokens mean that the tag was not invalidated.
        let life = match self.instances[at].memory.get(tag().as_bytes()) {
            Some(Slot::Token { token, is_tracked: true }) => Some(*token),
            _ => None,
        };
        let taken = tags_of(model.tagged)
            .iter()
            .map(|tag| Some(TagToken { tag: tag.clone(), token: life? }))
            .collect();
        self.readers[nth].phase = match taken {
            Some(tags) => Phase::Watched { id, tags },
            None => {
                self.unwatch(nth);
                Phase::Waiting(id)
            }
        };
    }

    pub(super) fn set_anchor(&mut self, model: &Coherence, nth: usize) {
        let Phase::SettingAnchor { id, replace } = self.readers[nth].phase.clone() else { return };
        model.take(Branch::Anchored);
        self.redis.set_frame(&key(), self.fresh_token(nth, 4).anchor_frame(), replace.as_ref());
        if model.tagged {
            self.redis.set_if_missing(&tag().to_bytes(), self.fresh_token(nth, 5).tag_frame());
        }
        self.readers[nth].tokens += 1;
        let read = &self.readers[nth];
        let is_lost = read.is_cut || !self.instances[read.instance].is_usable;
        self.readers[nth].phase = if is_lost { Phase::Direct { id } } else { Phase::Waiting(id) };
    }

    /// Stores the loaded copy if no report has voided the permit.
    pub(super) fn keep_watched(
        &mut self,
        model: &Coherence,
        nth: usize,
        tags: Vec<TagToken>,
        version: Version,
    ) {
        let instance = &mut self.instances[self.readers[nth].instance];
        let shard = &mut instance.shards[place(&key())];
        if shard.redeem(&key(), id_of(nth), ProtocolRule::KeepsUnderAnchor) {
            model.take(Branch::KeptUnderAnchor);
            instance.memory.insert(key(), Slot::Copy { version, tags, is_tracked: true });
        } else {
            model.take(Branch::LostAnchor);
        }
    }
}
