//! Access tokens: short-lived, signed with a key that all instances on one database share.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, Header, Validation, decode, decode_header, encode};
use quick_cache::sync::Cache;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::domain::identity::UserId;
use crate::domain::timestamp::Timestamp;
use crate::service::error::ServiceError;
use crate::service::keys::{ACCESS_TTL, KeyRing};
use crate::service::refusal::Refusal;
use crate::store::Store;

/// The audience and the issuer of the tokens.
const AUDIENCE: &str = "larder";
/// RFC 9068: marks an access token, so that no other JWT of this service is accepted as one.
const TYPE: &str = "at+jwt";
/// Longer inputs are refused before they are decoded.
const TOKEN_BYTES: usize = 2048;

/// The claims of an access token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// The id of the user that the token authenticates.
    pub sub: UserId,
    /// The session it belongs to.
    pub sid: Uuid,
    /// The user's epoch when the token was issued. If the user's epoch differs now, the token is no longer valid.
    pub epoch: i64,
    /// The issuer: the installation, because the service's address depends on the network of the client.
    pub iss: String,
    /// The audience.
    pub aud: String,
    /// The unique id of this token.
    pub jti: Uuid,
    /// When it was issued, in seconds since 1970.
    pub iat: u64,
    /// When it expires, in seconds since 1970.
    pub exp: u64,
}

/// How many verified tokens one process remembers, at some 300 bytes each.
const VERIFIED: usize = 10_000;

/// Issues and verifies access tokens; cheap to clone.
#[derive(Clone)]
pub struct Tokens {
    keys: Arc<KeyRing>,
    issuer: Arc<str>,
    validation: Arc<Validation>,
    /// The claims of a token by its SHA-256, once its signature has been verified: verifying it again took a quarter of
    /// the time of a request that memory answers. The map stays in this process and replaces only the signature check:
    /// every request checks the key, the expiry and the session.
    verified: Arc<Cache<[u8; 32], Arc<Verified>>>,
}

/// A token whose signature was verified.
struct Verified {
    /// The name of the key that signed it.
    kid: String,
    claims: Claims,
}

impl Tokens {
    /// Reads the keys; creates the first one if there is none.
    ///
    /// # Errors
    /// Those of the database, and an error if a key in it is invalid.
    pub(crate) async fn open(store: &Store) -> Result<Self, ServiceError> {
        let issuer = format!("urn:larder:{}", store.installation().await?);
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_audience(&[AUDIENCE]);
        validation.set_issuer(&[&issuer]);
        validation.set_required_spec_claims(&["exp", "aud", "sub", "iss"]);
        validation.leeway = 0;
        Ok(Self {
            keys: Arc::new(KeyRing::open(store).await?),
            issuer: issuer.into(),
            validation: Arc::new(validation),
            verified: Arc::new(Cache::new(VERIFIED)),
        })
    }

    /// The keys that sign and verify.
    pub(crate) fn keys(&self) -> &KeyRing {
        &self.keys
    }

    /// A token for a session, and how long it is valid: no longer than the session.
    ///
    /// # Errors
    /// [`ServiceError::Internal`] if it cannot be signed.
    pub(crate) async fn issue(
        &self,
        sub: UserId,
        sid: Uuid,
        epoch: i64,
        now: Timestamp,
        session_end: Timestamp,
    ) -> Result<(String, Duration), ServiceError> {
        let keys = self.keys.recent().await;
        let (kid, key) = &keys.signing;
        let header =
            Header { typ: Some(TYPE.to_owned()), kid: Some(kid.clone()), ..Header::new(Algorithm::EdDSA) };
        let iat = seconds(now);
        let exp = (iat + ACCESS_TTL.as_secs()).min(seconds(session_end));
        let (iss, aud) = (self.issuer.to_string(), AUDIENCE.to_owned());
        let claims = Claims { sub, sid, epoch, iss, aud, jti: Uuid::new_v4(), iat, exp };
        let token = encode(&header, &claims, key).map_err(|error| ServiceError::Internal(error.into()))?;
        Ok((token, Duration::from_secs(exp.saturating_sub(iat))))
    }

    /// The claims of a token, if one of this service's keys signed it, its audience and issuer are right, and it has
    /// not expired. The caller checks whether its session still exists.
    ///
    /// # Errors
    /// [`ServiceError::Refused`].
    pub(crate) async fn verify(&self, token: &str) -> Result<Claims, ServiceError> {
        let refused = ServiceError::Refused(Refusal::AccessTokenInvalid);
        if token.len() > TOKEN_BYTES {
            return Err(refused);
        }
        let digest: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        let verified = match self.verified.get(&digest) {
            Some(verified) if self.keys.knows(&verified.kid) => verified,
            _ => {
                let Some(verified) = self.verify_signature(token).await else { return Err(refused) };
                let verified = Arc::new(verified);
                self.verified.insert(digest, verified.clone());
                verified
            }
        };
        let claims = &verified.claims;
        if claims.exp > seconds(Timestamp::now()) { Ok(claims.clone()) } else { Err(refused) }
    }

    async fn verify_signature(&self, token: &str) -> Option<Verified> {
        let header = decode_header(token).ok()?;
        if header.typ.as_deref() != Some(TYPE) || header.alg != Algorithm::EdDSA {
            return None;
        }
        let kid = header.kid?;
        let keys = self.keys.with(&kid).await;
        let decoded = decode::<Claims>(token, &keys.verifying(&kid)?.decoding, &self.validation).ok()?;
        Some(Verified { kid, claims: decoded.claims })
    }
}

pub(crate) fn seconds(time: Timestamp) -> u64 {
    time.as_micros().unsigned_abs() / 1_000_000
}

/// A refresh token, and the hash under which the database stores it.
pub(crate) struct RefreshToken {
    pub(crate) text: String,
    pub(crate) hash: String,
}

impl RefreshToken {
    /// A new token of 256 random bits.
    pub(crate) fn random() -> Self {
        let text = URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>());
        Self { hash: token_hash(&text), text }
    }
}

/// SHA-256 in hex. The token is random, so it needs neither a salt nor a slow hash.
pub(crate) fn token_hash(token: &str) -> String {
    Sha256::digest(token.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}
