//! Points: what is booked, under which key, and the ledger that keeps it.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::domain::fields::Fields;
use crate::domain::identity::UserId;
use crate::domain::invalid::{Invalid, ValidationErrors};
use crate::domain::paging::Limit;
use crate::domain::text::{Line, text_type};
use crate::domain::timestamp::Timestamp;

/// The most points that one user can have, 2^40 - 1: as many as the counts behind ranks can hold.
pub const MOST_POINTS: i64 = (1 << 40) - 1;

const MOST_POINTS_EACH_WAY: u64 = MOST_POINTS.unsigned_abs();

/// Why points were booked, at most 200 characters.
pub type Reason = Line<200>;

/// Points to book: not 0; negative ones are taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Amount(i64);

impl Amount {
    /// Checks.
    ///
    /// # Errors
    /// 0, or farther from it than [`MOST_POINTS`].
    pub fn new(points: i64) -> Result<Self, Invalid> {
        match points.unsigned_abs() {
            0 => Err(Invalid::new("must not be 0")),
            1..=MOST_POINTS_EACH_WAY => Ok(Self(points)),
            _ => Err(Invalid::new("is too much; allowed are -1099511627775 to 1099511627775")),
        }
    }

    /// The number.
    pub fn get(self) -> i64 {
        self.0
    }
}

text_type! {
    /// Names one booking for good, so that it can be sent again: 1 to 100 of `A-Z a-z 0-9 . _ : -`.
    IdempotencyKey
}

impl IdempotencyKey {
    /// Checks; upper and lower case differ.
    ///
    /// # Errors
    /// Other characters, a length out of bounds, or the beginning that the service's own keys have.
    pub fn parse(raw: &str) -> Result<Self, Invalid> {
        let shaped = (1..=100).contains(&raw.len())
            && raw.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._:-".contains(&byte));
        if !shaped {
            return Err(Invalid::new(
                "must be 1 to 100 letters, digits, dots, underscores, colons or dashes",
            ));
        }
        match raw.starts_with("achievement:") {
            true => {
                Err(Invalid::new("must not begin with achievement:, which is for points of achievements"))
            }
            false => Ok(Self(raw.to_owned())),
        }
    }
}

/// A booking to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Booking {
    /// How many points.
    pub amount: Amount,
    /// What for.
    pub reason: Reason,
    /// Under which name: the same booking under the same key is made once.
    pub key: IdempotencyKey,
}

/// The body of `POST users/{id}/points`; the key may stand in the header instead.
#[derive(Debug)]
pub struct BookBody(pub Booking);

impl BookBody {
    /// Parses a body, and the header `Idempotency-Key` if there was one.
    ///
    /// # Errors
    /// Every field that is wrong, missing or unknown; two different keys.
    pub fn parse(body: Value, header: Option<&str>) -> Result<Self, ValidationErrors> {
        let mut fields = Fields::of(body)?;
        let amount = fields.number("amount", Amount::new);
        let reason = fields.required("reason", Reason::parse);
        let key = match header {
            None => fields.required("idempotency_key", IdempotencyKey::parse),
            Some(header) => {
                let key = fields.optional("idempotency_key", IdempotencyKey::parse);
                match IdempotencyKey::parse(header) {
                    Ok(header) if key.as_ref().is_none_or(|key| *key == header) => Some(header),
                    Ok(_) => fields.refuse("idempotency_key", "differs from the header Idempotency-Key"),
                    Err(invalid) => fields.refuse_as("idempotency_key", invalid),
                }
            }
        };
        let booking = amount.zip(reason).zip(key);
        fields.finish(booking.map(|((amount, reason), key)| Self(Booking { amount, reason, key })))
    }
}

/// A row of the ledger. It never changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct LedgerEntry {
    /// Its id, a UUID of version 7.
    pub id: Uuid,
    /// Whose points.
    pub user_id: UserId,
    /// How many; negative ones were taken away.
    pub amount: i64,
    /// What for.
    pub reason: String,
    /// The key it was booked under.
    pub idempotency_key: IdempotencyKey,
    /// Who booked it; `null` when other software did.
    pub actor_id: Option<String>,
    /// When.
    pub created_at: Timestamp,
}

/// Which part of a ledger.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LedgerQuery {
    /// How many entries at most.
    pub limit: Limit,
    /// Only entries older than this one.
    pub before: Option<Uuid>,
}

/// The parameters of a ledger as they stand in the URL.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct LedgerParams {
    /// How many entries at most: 1 to 100, by default 25.
    #[param(pattern = "^([1-9]|[1-9][0-9]|100)$")]
    pub limit: Option<String>,
    /// The `next_cursor` of the part before.
    #[param(pattern = "^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$")]
    pub cursor: Option<String>,
}

impl LedgerQuery {
    /// Parses the parameters.
    ///
    /// # Errors
    /// Every parameter that is wrong.
    pub fn parse(params: &LedgerParams) -> Result<Self, ValidationErrors> {
        let mut errors = ValidationErrors::default();
        let limit = params.limit.as_deref().and_then(|raw| errors.keep("limit", Limit::parse(raw)));
        let before = params.cursor.as_deref().and_then(|raw| errors.keep("cursor", cursor(raw)));
        match errors.is_empty() {
            true => Ok(Self { limit: limit.unwrap_or_default(), before }),
            false => Err(errors),
        }
    }
}

/// An entry's id has the form of a user's.
fn cursor(raw: &str) -> Result<Uuid, Invalid> {
    let id = UserId::parse(raw).map(UserId::as_uuid);
    id.map_err(|_| {
        Invalid::new("is not a cursor of this service; take next_cursor as it came, or start over")
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fields(body: Value, header: Option<&str>) -> Vec<String> {
        let errors = BookBody::parse(body, header).unwrap_err();
        errors.iter().map(|(field, _)| field.to_owned()).collect()
    }

    #[test]
    fn a_booking_has_a_key_in_its_body_or_beside_it() {
        let body = json!({ "amount": -7, "reason": "coffee", "idempotency_key": "a:1" });
        let BookBody(booking) = BookBody::parse(body.clone(), None).unwrap();
        assert_eq!((booking.amount.get(), booking.key.as_str()), (-7, "a:1"));
        assert!(BookBody::parse(body.clone(), Some("a:1")).is_ok());
        assert_eq!(fields(body, Some("a:2")), ["idempotency_key"]);
        let without = json!({ "amount": 1, "reason": "x" });
        assert!(BookBody::parse(without.clone(), Some("k")).is_ok());
        assert_eq!(fields(without.clone(), None), ["idempotency_key"]);
        assert_eq!(fields(without, Some("a b")), ["idempotency_key"]);
    }

    #[test]
    fn hostile_bookings_are_refused_field_by_field() {
        for amount in [
            json!(0),
            json!(1.5),
            json!("1"),
            json!(null),
            json!(1_i64 << 40),
            json!(u64::MAX),
            json!(i64::MIN),
        ] {
            let body = json!({ "amount": amount, "reason": "x", "idempotency_key": "k" });
            assert_eq!(fields(body, None), ["amount"], "{amount}");
        }
        for key in ["", "a b", "a\n", "ä", "achievement:1", &"x".repeat(101)] {
            assert!(IdempotencyKey::parse(key).is_err(), "{key:?}");
        }
        assert_eq!(fields(json!({ "more": 1 }), None), ["amount", "idempotency_key", "more", "reason"]);
    }
}
