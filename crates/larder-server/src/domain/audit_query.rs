//! The query of the audit log: filters by actor, target and action, and the cursor.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use uuid::Uuid;

use crate::domain::audit::Action;
use crate::domain::identity::UserId;
use crate::domain::invalid::{Invalid, ValidationErrors};
use crate::domain::paging::Limit;

const CURSOR_VERSION: u8 = 2;
const CURSOR_BYTES: usize = 1 + 16;
/// Longer inputs are refused before they are decoded.
const CURSOR_TEXT_BYTES: usize = 64;

/// A place in the log: just after this entry, towards older ones. Clients treat its text as opaque.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditCursor(pub Uuid);

impl AuditCursor {
    /// Parses the text that [`AuditCursor::encode`] wrote.
    ///
    /// # Errors
    /// The text is not such a cursor.
    pub fn parse(raw: &str) -> Result<Self, Invalid> {
        Self::decode(raw).ok_or_else(|| {
            Invalid::new("is not a cursor of the audit log; take next_cursor as it came, or start over")
        })
    }

    fn decode(raw: &str) -> Option<Self> {
        if raw.len() > CURSOR_TEXT_BYTES {
            return None;
        }
        let bytes: [u8; CURSOR_BYTES] = URL_SAFE_NO_PAD.decode(raw).ok()?.try_into().ok()?;
        let (version, id) = bytes.split_first()?;
        let id = Uuid::from_slice(id).ok()?;
        (*version == CURSOR_VERSION && id.get_version_num() == 7).then_some(Self(id))
    }

    /// The text that clients send back.
    pub fn encode(&self) -> String {
        let mut bytes = vec![CURSOR_VERSION];
        bytes.extend(self.0.as_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }
}

/// The parameters of the log, as in the URL.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct AuditParams {
    /// Only what this user did: a UUID of version 7.
    pub actor: Option<String>,
    /// Only what was done to this user: a UUID of version 7.
    pub target: Option<String>,
    /// Only this action, such as `user.update`.
    pub action: Option<String>,
    /// The `next_cursor` of the previous answer.
    pub cursor: Option<String>,
    /// How many entries at most: 1 to 100. Default: 25.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100)]
    pub limit: Option<String>,
}

/// One page of the log, newest first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AuditQuery {
    /// Only what this user did.
    pub actor: Option<UserId>,
    /// Only what was done to this user.
    pub target: Option<UserId>,
    /// Only this action.
    pub action: Option<Action>,
    /// Only entries older than this one.
    pub after: Option<AuditCursor>,
    /// How many entries at most.
    pub limit: Limit,
}

impl AuditQuery {
    /// Parses the parameters.
    ///
    /// # Errors
    /// Every invalid parameter.
    pub fn parse(params: &AuditParams) -> Result<Self, ValidationErrors> {
        let mut errors = ValidationErrors::default();
        let query = Self {
            actor: params.actor.as_deref().and_then(|raw| errors.keep("actor", UserId::parse(raw))),
            target: params.target.as_deref().and_then(|raw| errors.keep("target", UserId::parse(raw))),
            action: params.action.as_deref().and_then(|raw| errors.keep("action", raw.parse())),
            after: params.cursor.as_deref().and_then(|raw| errors.keep("cursor", AuditCursor::parse(raw))),
            limit: params
                .limit
                .as_deref()
                .and_then(|raw| errors.keep("limit", Limit::parse(raw)))
                .unwrap_or_default(),
        };
        if errors.is_empty() { Ok(query) } else { Err(errors) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wrong_parameter_is_named() {
        let some = |text: &str| Some(text.to_owned());
        let params = AuditParams {
            actor: some("me"),
            target: some("1"),
            action: some("explode"),
            cursor: some("AAAA"),
            limit: some("0"),
        };
        let errors = AuditQuery::parse(&params).unwrap_err();
        let names: Vec<_> = errors.iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["action", "actor", "cursor", "limit", "target"]);
        assert_eq!(AuditQuery::parse(&AuditParams::default()).unwrap(), AuditQuery::default());
    }

    #[test]
    fn a_cursor_survives_a_round_trip_and_no_other_text_is_one() {
        let cursor = AuditCursor(Uuid::now_v7());
        assert_eq!(AuditCursor::parse(&cursor.encode()).unwrap(), cursor);
        let of_users = URL_SAFE_NO_PAD.encode([1; 25]);
        for bad in ["", "x", &of_users, &cursor.encode()[1..], &"A".repeat(1000)] {
            assert!(AuditCursor::parse(bad).is_err(), "{bad}");
        }
    }
}
