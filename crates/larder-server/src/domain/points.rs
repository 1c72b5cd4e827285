//! Points: bookings, their idempotency keys, and the ledger that stores them.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::openapi::schema::ObjectBuilder;
use uuid::Uuid;

use crate::domain::fields::{Field, Fields, body};
use crate::domain::identity::UserId;
use crate::domain::invalid::{Invalid, ValidationErrors};
use crate::domain::json::{from_json, integer, integer_of, string, text_of};
use crate::domain::paging::Limit;
use crate::domain::text::{Line, text_type};
use crate::domain::timestamp::Timestamp;

/// The most points that one user can have, 2^40 - 1: the greatest number that the counts behind ranks can hold.
pub const MOST_POINTS: i64 = (1 << 40) - 1;

const MOST_POINTS_EACH_WAY: u64 = MOST_POINTS.unsigned_abs();

/// The reason of a booking, at most 200 characters.
pub type Reason = Line<200>;

/// The points of a booking: not 0; a negative number takes points away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Amount(i64);

impl Amount {
    /// Checks the number.
    ///
    /// # Errors
    /// `points` is 0, or its absolute value is greater than [`MOST_POINTS`].
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
    /// The key that identifies one booking for ever, so that a client can repeat the request: 1 to 100 of `A-Z a-z 0-9
    /// . _ : -`.
    IdempotencyKey
}

impl IdempotencyKey {
    /// Checks the text; upper and lower case differ.
    ///
    /// # Errors
    /// The text has other characters or a length out of bounds, or it begins with `achievement:`, as the service's own
    /// keys do.
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

from_json!(Amount, integer_of, Self::new, integer(-MOST_POINTS, MOST_POINTS));

body! {
    /// A booking to make.
    #[schema(BookRequest, {"amount": 50, "reason": "a finished course", "idempotency_key": "course-17"})]
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Booking {
        /// Not 0; a negative amount takes points away. The balance stays between 0 and 1099511627775.
        pub amount: Amount,
        /// Why the points are booked.
        pub reason: Reason,
        /// Names this booking. If the booking is sent again under this key, it is answered but not made again. The key
        /// may be sent in the header `Idempotency-Key` instead.
        pub idempotency_key: IdempotencyKey as KeyOrHeader,
    }
}

impl Booking {
    /// Parses a body and the header `Idempotency-Key`, if there is one.
    ///
    /// # Errors
    /// Every field that is wrong, missing or unknown; also a key in the body that differs from the key in the header.
    pub fn parse_with_header(body: Value, header: Option<&str>) -> Result<Self, ValidationErrors> {
        let mut fields = Fields::of(body)?;
        if let Some(header) = header {
            fields.fill("idempotency_key", header, "differs from the header Idempotency-Key");
        }
        let booking = Self::take(&mut fields);
        fields.finish(booking)
    }
}

/// An idempotency key in a request. Its bounds differ from the bounds of the component `IdempotencyKey`, because the
/// service's own keys are longer.
enum SentKey {}

from_json!(
    SentKey => IdempotencyKey,
    text_of,
    IdempotencyKey::parse,
    string().min_length(Some(1)).max_length(Some(100)).pattern(Some("^[A-Za-z0-9._:-]+$"))
);

/// A [`SentKey`] that a header may hold instead.
enum KeyOrHeader {}

impl Field for KeyOrHeader {
    type Value = IdempotencyKey;

    fn take(fields: &mut Fields, name: &'static str) -> Option<IdempotencyKey> {
        fields.required::<SentKey>(name)
    }

    fn describe(body: ObjectBuilder, name: &str, about: &str) -> ObjectBuilder {
        <Option<SentKey> as Field>::describe(body, name, about)
    }
}

/// An entry of the ledger. It never changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct LedgerEntry {
    /// The id, a UUID of version 7.
    pub id: Uuid,
    /// The user whose balance the entry changed.
    pub user_id: UserId,
    /// The number of points; a negative number took points away.
    pub amount: i64,
    /// The reason.
    pub reason: String,
    /// The idempotency key of the booking.
    pub idempotency_key: IdempotencyKey,
    /// The id of the user who made the booking; `null` if another program did.
    pub actor_id: Option<String>,
    /// When the booking was made.
    pub created_at: Timestamp,
}

/// One page of a ledger.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LedgerQuery {
    /// How many entries at most.
    pub limit: Limit,
    /// Only entries older than this one.
    pub before: Option<Uuid>,
}

/// The parameters of a ledger, as in the URL.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct LedgerParams {
    /// How many entries at most: 1 to 100, by default 25.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100)]
    pub limit: Option<String>,
    /// The `next_cursor` of the previous page.
    #[param(pattern = "^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$")]
    pub cursor: Option<String>,
}

impl LedgerQuery {
    /// Parses the parameters.
    ///
    /// # Errors
    /// Every invalid parameter.
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

/// Parses the id of a ledger entry. It is a UUID of version 7, so the function that parses a user's id also parses it.
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
        let errors = Booking::parse_with_header(body, header).unwrap_err();
        errors.iter().map(|(field, _)| field.to_owned()).collect()
    }

    #[test]
    fn a_booking_has_its_key_in_the_body_or_in_the_header() {
        let body = json!({ "amount": -7, "reason": "coffee", "idempotency_key": "a:1" });
        let booking = Booking::parse_with_header(body.clone(), None).unwrap();
        assert_eq!((booking.amount.get(), booking.idempotency_key.as_str()), (-7, "a:1"));
        assert!(Booking::parse_with_header(body.clone(), Some("a:1")).is_ok());
        assert_eq!(fields(body, Some("a:2")), ["idempotency_key"]);
        let without = json!({ "amount": 1, "reason": "x" });
        assert!(Booking::parse_with_header(without.clone(), Some("k")).is_ok());
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
