//! Access tokens: short-lived, signed with a key that all instances on one database share.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, Header, Validation, decode, decode_header, encode};
use quick_cache::sync::Cache;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::failure::Failure;
use crate::keys::{ACCESS_TTL, KeyRing, KeyStore};

/// The audience of the tokens, unless the service names another.
pub const AUDIENCE: &str = "larder";
/// The claim `client_id` of the tokens. RFC 9068 requires it; it is constant, because the service issues tokens to
/// users and not to registered clients.
const CLIENT: &str = "larder";
/// The type in the header, from RFC 9068: it marks an access token, so that no other JWT of this service is accepted as
/// one.
const TYPE: &str = "at+jwt";
/// How far the clock of the instance that issued a token may be ahead of this instance's clock.
const SKEW: Duration = Duration::from_secs(60);
/// The longest token; a longer text is refused before it is decoded.
const TOKEN_BYTES: usize = 2048;

/// The claims of an access token; `U` is the service's id of a user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims<U> {
    /// The id of the user that the token authenticates.
    pub sub: U,
    /// The session to which the token belongs.
    pub sid: Uuid,
    /// The user's epoch when the token was issued. The service changes a user's epoch to end all tokens of the user: a
    /// token is valid only while the epoch in the database is equal.
    pub epoch: i64,
    /// The issuer that the service gave to [`Tokens::open`].
    pub iss: String,
    /// The audience.
    pub aud: String,
    /// The client that the token was issued to: always `larder`. A token of an earlier release has none.
    #[serde(default)]
    pub client_id: String,
    /// The unique id of this token.
    pub jti: Uuid,
    /// When it was issued, in seconds since 1970.
    pub iat: u64,
    /// When it expires, in seconds since 1970.
    pub exp: u64,
}

/// How many verified tokens one process remembers, at some 800 bytes each.
const VERIFIED: usize = 10_000;

/// Issues and verifies access tokens, with the keys of `S` and for users with ids of type `U`.
///
/// ```
/// # use std::time::{Duration, SystemTime};
/// # use larder_identity::{failure::Failure, keys::{KeyStore, SigningKey}, tokens::Tokens};
/// # use uuid::Uuid;
/// /// A store for one process; a service has a table that its instances share.
/// struct OneKey(SigningKey);
///
/// impl KeyStore for OneKey {
///     type Error = Failure;
///
///     async fn signing_keys(&self) -> Result<Vec<SigningKey>, Failure> {
///         Ok(vec![self.0.clone()])
///     }
///
///     async fn insert_signing_key_if_none(&self, _: SigningKey) -> Result<Vec<SigningKey>, Failure> {
///         self.signing_keys().await
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Failure> {
/// let tokens: Tokens<_, Uuid> = Tokens::open(OneKey(SigningKey::generate()?), "urn:example:1", "example").await?;
/// let (ann, session, now) = (Uuid::now_v7(), Uuid::now_v7(), SystemTime::now());
/// let (token, valid_for) = tokens.issue(ann, session, 0, Uuid::new_v4(), now, now + Duration::from_secs(3600)).await?;
/// assert_eq!(valid_for, Duration::from_secs(15 * 60));
/// assert_eq!(tokens.verify(&token).await.map(|claims| claims.sub), Some(ann));
/// assert_eq!(tokens.verify("forged").await, None);
/// # Ok(())
/// # }
/// ```
pub struct Tokens<S, U> {
    keys: Arc<KeyRing<S>>,
    issuer: String,
    audience: String,
    validation: Validation,
    /// The claims of tokens whose signature was verified, by the complete token. Without this map, the check of the
    /// signature would be a quarter of the time of a request that memory answers. The map replaces only that check:
    /// every request still checks the key, the expiry and the session. Only tokens that a key of this
    /// service signed enter the map, so a client cannot fill it with texts of its choice.
    verified: Cache<Box<str>, Verified<U>>,
}

/// A token whose signature was verified; cheap to clone.
struct Verified<U> {
    /// The name of the key that signed it.
    kid: Arc<str>,
    claims: Arc<Claims<U>>,
}

impl<U> Clone for Verified<U> {
    fn clone(&self) -> Self {
        Self { kid: self.kid.clone(), claims: self.claims.clone() }
    }
}

impl<S, U> Tokens<S, U>
where
    S: KeyStore,
    U: Serialize + DeserializeOwned,
{
    /// Reads the keys; creates the first one if there is none. Only tokens of this issuer for this audience are
    /// accepted.
    ///
    /// # Errors
    /// Those of the store, and a [`Failure`] if no key in it signs.
    pub async fn open(store: S, issuer: &str, audience: &str) -> Result<Self, S::Error> {
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_audience(&[audience]);
        validation.set_issuer(&[issuer]);
        validation.set_required_spec_claims(&["exp", "aud", "sub", "iss"]);
        validation.leeway = 0;
        validation.validate_nbf = true;
        Ok(Self {
            keys: Arc::new(KeyRing::open(store).await?),
            issuer: issuer.to_owned(),
            audience: audience.to_owned(),
            validation,
            verified: Cache::new(VERIFIED),
        })
    }

    /// The keys that sign and verify.
    pub fn keys(&self) -> &KeyRing<S> {
        &self.keys
    }

    /// A token for a session, and how long it is valid: no longer than the session. The same arguments give the same
    /// token, as long as the same key signs.
    ///
    /// # Errors
    /// The token cannot be signed.
    pub async fn issue(
        &self,
        sub: U,
        sid: Uuid,
        epoch: i64,
        jti: Uuid,
        now: SystemTime,
        session_end: SystemTime,
    ) -> Result<(String, Duration), Failure> {
        let keys = self.keys.for_signing().await;
        let signer = keys.signer().ok_or_else(|| Failure::new("no key signs"))?;
        let kid = Some(signer.kid.clone());
        let header = Header { typ: Some(TYPE.to_owned()), kid, ..Header::new(Algorithm::EdDSA) };
        let iat = seconds(now);
        let exp = (iat + ACCESS_TTL.as_secs()).min(seconds(session_end));
        let (iss, aud, client_id) = (self.issuer.clone(), self.audience.clone(), CLIENT.to_owned());
        let claims = Claims { sub, sid, epoch, iss, aud, client_id, jti, iat, exp };
        let token = encode(&header, &claims, &signer.key).map_err(Failure::new)?;
        Ok((token, Duration::from_secs(exp.saturating_sub(iat))))
    }

    /// The claims of a token, if it is valid: one of this service's keys signed it, its audience and issuer are right,
    /// it has not expired, and its life is no longer than the service gives. The caller checks whether the session of
    /// the token still exists.
    pub async fn verify(&self, token: &str) -> Option<Arc<Claims<U>>> {
        if token.len() > TOKEN_BYTES {
            return None;
        }
        let claims = match self.verified.get(token) {
            Some(verified) if self.keys.knows(&verified.kid) => verified.claims,
            _ => {
                let verified = self.verify_signature(token).await?;
                self.verified.insert(token.into(), verified.clone());
                verified.claims
            }
        };
        (claims.exp > seconds(SystemTime::now())).then_some(claims)
    }

    async fn verify_signature(&self, token: &str) -> Option<Verified<U>> {
        let header = decode_header(token).ok()?;
        if header.typ.as_deref() != Some(TYPE) || header.alg != Algorithm::EdDSA || is_critical(token) {
            return None;
        }
        let kid = header.kid?;
        let keys = self.keys.with(&kid).await;
        let decoded = decode::<Claims<U>>(token, &keys.verifying(&kid)?.decoding, &self.validation).ok()?;
        let claims = Arc::new(decoded.claims);
        lives_as_issued(&claims).then_some(Verified { kid: kid.into(), claims })
    }
}

/// Whether a token's life is one that [`Tokens::issue`] gives: it is at most [`ACCESS_TTL`] long, and begins at most
/// [`SKEW`] in the future. So a thief of a key cannot sign a token that lives longer or begins later.
fn lives_as_issued<U>(claims: &Claims<U>) -> bool {
    let is_issued = claims.iat <= seconds(SystemTime::now() + SKEW);
    is_issued && claims.exp.checked_sub(claims.iat).is_some_and(|life| life <= ACCESS_TTL.as_secs())
}

/// Whether the header names extensions that a reader must understand (RFC 7515, 4.1.11). This service understands none.
fn is_critical(token: &str) -> bool {
    #[derive(Deserialize)]
    struct Head {
        crit: Option<serde::de::IgnoredAny>,
    }
    let head = token.split('.').next().and_then(|head| URL_SAFE_NO_PAD.decode(head).ok());
    let head = head.and_then(|head| serde_json::from_slice::<Head>(&head).ok());
    head.is_none_or(|head| head.crit.is_some())
}

/// Seconds since 1970.
fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
