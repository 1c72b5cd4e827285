//! Decides which loaded values can be stored, and which entries from Redis can be served.

use bytes::Bytes;

use crate::codec::{AnyValue, Codec, CodecError, DecodedValue};
use crate::compression::{compressed, decompressed};
use crate::engine::ClassCore;
use crate::events::Event;
use crate::local::copy::Footprint;
use crate::protocol::frame::{Entry, Header};
use crate::protocol::lease::Unused;
use crate::protocol::rules::ProtocolRules;
use crate::source::NotStoredReason;
use crate::stats::{count, count_nth};

/// An answer that can be stored. An absent answer has no bytes.
pub(crate) struct StorableValue {
    /// The value that `payload` decodes to. All readers get this value.
    pub(crate) value: Option<AnyValue>,
    pub(crate) payload: Option<Bytes>,
    /// The codec that wrote `payload`.
    pub(crate) codec: Codec,
    pub(crate) digest: u64,
    pub(crate) footprint: Footprint,
}

impl StorableValue {
    pub(crate) fn payload_bytes(&self) -> u32 {
        u32::try_from(self.payload.as_ref().map_or(0, Bytes::len)).unwrap_or(u32::MAX)
    }
}

impl ClassCore {
    /// Encodes a loaded value for storage. On `Err` the read still returns the loaded value; a log line and a counter
    /// report the problem.
    pub(crate) fn storable(&self, value: Option<&AnyValue>) -> Result<StorableValue, NotStoredReason> {
        let Some(value) = value else {
            let footprint = Footprint::of_value(0);
            let codec = self.coder.codec();
            return Ok(StorableValue { value: None, payload: None, codec, digest: 0, footprint });
        };
        let encoded = match self.coder.encode_verified(value, self.max_value_bytes) {
            Ok(encoded) => encoded,
            Err(CodecError::TooLarge { bytes }) => return Err(self.too_large(bytes)),
            Err(error) => return Err(self.not_carried(&error)),
        };
        if encoded.codec != self.coder.codec() {
            self.note_other_codec(encoded.codec);
        }
        let payload = Some(Bytes::from(encoded.payload));
        let (value, footprint) = self.measured(encoded.value);
        let (codec, digest) = (encoded.codec, encoded.digest);
        Ok(StorableValue { value: Some(value), payload, codec, digest, footprint })
    }

    /// The payload as it is written in Redis, and the header's `codec` for it. Each entry says whether it is compressed,
    /// so instances with another threshold read it.
    pub(crate) fn packed(&self, payload: Option<Bytes>, codec: Codec) -> (Option<Bytes>, u8) {
        let id = codec.id();
        let is_long = |payload: &&Bytes| self.compress_above.is_some_and(|above| payload.len() > above);
        match payload.as_ref().filter(is_long).and_then(|payload| compressed(payload)) {
            Some(small) => (Some(Bytes::from(small)), Header::codec_of(id, true)),
            None => (payload, Header::codec_of(id, false)),
        }
    }

    /// The value, and what it takes in memory.
    fn measured(&self, decoded: DecodedValue) -> (AnyValue, Footprint) {
        let DecodedValue { value, memory_bytes } = decoded;
        let said = self.memory_of.as_ref().map(|memory_of| memory_of(&value));
        (value, Footprint::of_value(said.unwrap_or(memory_bytes)))
    }

    pub(super) fn too_large(&self, bytes: usize) -> NotStoredReason {
        if is_logged(count_nth(&self.common.counters.too_large)) {
            let most = self.max_value_bytes;
            tracing::warn!(
                class = self.name,
                bytes,
                most,
                "a value is larger than its class allows, not stored"
            );
        }
        NotStoredReason::TooLarge
    }

    fn note_other_codec(&self, by: Codec) {
        if is_logged(count_nth(&self.common.counters.other_codec)) {
            let codec = self.coder.codec();
            tracing::warn!(
                class = self.name,
                value = self.coder.type_name(),
                ?codec,
                ?by,
                "the class's codec does not carry this value, another one writes it: give the class that codec"
            );
        }
    }

    fn not_carried(&self, error: &CodecError) -> NotStoredReason {
        if is_logged(count_nth(&self.common.counters.not_carried)) {
            let codec = self.coder.codec();
            tracing::error!(
                class = self.name,
                value = self.coder.type_name(),
                ?codec,
                %error,
                "no codec carries this value, not stored: give the class another type"
            );
        }
        NotStoredReason::NotCarried
    }

    /// Returns the answer in `entry`, which was read under `key`. Returns `None`, and counts and logs this, if the
    /// entry cannot be opened as an entry of this class as it is declared now.
    pub(crate) fn open_entry(
        &self,
        key: &[u8],
        entry: &Entry,
        rules: ProtocolRules,
    ) -> Option<(Option<AnyValue>, Footprint)> {
        let payload = self.sealer.open(key, entry).map_err(|error| self.note_broken_frame(&error)).ok()?;
        let Some(payload) = payload else { return Some((None, Footprint::of_value(0))) };
        let payload = match entry.header.is_compressed() {
            true => decompressed(&payload, self.max_value_bytes).map(Bytes::from),
            false => Ok(payload),
        };
        let payload = payload.map_err(|error| self.note_broken_frame(&error)).ok()?;
        let decoded = self.coder.decode(entry.header.codec_id(), &payload, entry.header.digest, rules);
        let (value, footprint) = decoded
            .map(|decoded| self.measured(decoded))
            .map_err(|error| self.note_broken_frame(&error))
            .ok()?;
        Some((Some(value), footprint))
    }

    /// Counts an answer that memory did not take, by its reason.
    pub(crate) fn note_not_inserted(&self, why: NotStoredReason) {
        let counters = &self.common.counters;
        match why {
            NotStoredReason::NoRoom => {
                if is_logged(count_nth(&counters.no_room)) {
                    tracing::warn!(
                        class = self.name,
                        "a value takes more than 1/32 of the memory budget, not kept in memory"
                    );
                }
            }
            NotStoredReason::NotAdmitted => count(&counters.not_admitted),
            _ => count(&counters.inserts_refused),
        }
    }

    /// Counts a frame under `key`, as it is spelled in Redis, that a read found and does not use. An entry that is another
    /// release's is passed over; one that was not written under this key is an alarm, although its header already keeps
    /// it from being served.
    pub(crate) fn note_unused(&self, key: &[u8], unused: &Unused) {
        match unused {
            Unused::Nothing => {}
            Unused::Broken(error) => self.note_broken_frame(error),
            Unused::Entry(entry) => match self.sealer.open(key, entry) {
                Ok(_) => count(&self.common.counters.passed_over),
                Err(error) => self.note_broken_frame(&error),
            },
            Unused::Other => count(&self.common.counters.passed_over),
        }
    }

    pub(crate) fn note_broken_frame(&self, broken: &dyn std::fmt::Display) {
        self.events.send(|_| Event::Alarm { class: self.name.clone(), reason: broken.to_string() });
        if is_logged(count_nth(&self.common.counters.broken_frames)) {
            tracing::warn!(class = self.name, %broken, "a value in Redis is no entry of this class, loading again");
        }
    }
}

/// Whether the `nth` occurrence is logged: 1, 2, 4, 8 and so on. Otherwise an attacker, or a release with another value
/// type, would fill the disk with log lines.
fn is_logged(nth: u64) -> bool {
    nth.is_power_of_two()
}
