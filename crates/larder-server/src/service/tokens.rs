//! Access tokens: short-lived, signed with a key that all instances on one database share.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, decode_header, encode};
use quick_cache::sync::Cache;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::domain::identity::UserId;
use crate::domain::timestamp::Timestamp;
use crate::service::error::ServiceError;
use crate::store::Store;
use crate::store::keys::SigningKey;

/// How long an access token is good, unless its session ends before.
const ACCESS_TTL: Duration = Duration::from_secs(15 * 60);

/// Who the tokens are for, and who makes them.
const AUDIENCE: &str = "larder";
/// RFC 9068: says that this is an access token, so that no other JWT of ours passes for one.
const TYPE: &str = "at+jwt";
const ALGORITHM: &str = "EdDSA";
/// Longer inputs are refused before they are decoded.
const TOKEN_BYTES: usize = 2048;

/// What an access token says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// Whose it is.
    pub sub: UserId,
    /// The session it belongs to.
    pub sid: Uuid,
    /// The user's epoch when it was made; another one by now means that it has ended.
    pub epoch: i64,
    /// For whom it is.
    pub aud: String,
    /// When it was made, in seconds since 1970.
    pub iat: u64,
    /// When it ends, in seconds since 1970.
    pub exp: u64,
}

/// How many tokens' signatures are remembered, at some 200 bytes each.
const VERIFIED: usize = 10_000;

/// Makes and checks access tokens; cheap to clone.
#[derive(Clone)]
pub struct Tokens {
    keys: Arc<Keys>,
    /// What a token says by its SHA-256, once its signature has been verified: doing so again took a quarter
    /// of the time of a request that memory answers. It stays in this process, and saves nothing but the
    /// signature: the expiry and the session are asked about each time.
    verified: Arc<Cache<[u8; 32], Claims>>,
}

struct Keys {
    signing: (String, EncodingKey),
    verifying: HashMap<String, DecodingKey>,
    validation: Validation,
}

impl Tokens {
    /// Reads the keys, making the first when there is none.
    ///
    /// # Errors
    /// Those of the database, and a key in it that is none.
    pub(crate) async fn open(store: &Store) -> Result<Self, ServiceError> {
        let keys = store.insert_signing_key_if_none(&new_key()?).await?;
        let mut verifying = HashMap::new();
        let mut signing = None;
        for key in keys.iter().filter(|key| key.algorithm == ALGORITHM) {
            let document = STANDARD.decode(&key.private_key).map_err(|_| bad_key())?;
            let pair = Ed25519KeyPair::from_pkcs8(&document).map_err(|_| bad_key())?;
            verifying.insert(key.kid.clone(), DecodingKey::from_ed_der(pair.public_key().as_ref()));
            if key.retired_at.is_none() && signing.is_none() {
                signing = Some((key.kid.clone(), EncodingKey::from_ed_der(&document)));
            }
        }
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["exp", "aud", "sub"]);
        validation.leeway = 0;
        let keys = Keys { signing: signing.ok_or_else(bad_key)?, verifying, validation };
        Ok(Self { keys: Arc::new(keys), verified: Arc::new(Cache::new(VERIFIED)) })
    }

    /// A token for a session, and how long it is good: no longer than the session.
    ///
    /// # Errors
    /// [`ServiceError::Internal`] when it cannot be signed.
    pub(crate) fn issue(
        &self,
        sub: UserId,
        sid: Uuid,
        epoch: i64,
        now: Timestamp,
        session_end: Timestamp,
    ) -> Result<(String, Duration), ServiceError> {
        let (kid, key) = &self.keys.signing;
        let header =
            Header { typ: Some(TYPE.to_owned()), kid: Some(kid.clone()), ..Header::new(Algorithm::EdDSA) };
        let iat = seconds(now);
        let exp = (iat + ACCESS_TTL.as_secs()).min(seconds(session_end));
        let claims = Claims { sub, sid, epoch, aud: AUDIENCE.to_owned(), iat, exp };
        let token = encode(&header, &claims, key).map_err(|error| ServiceError::Internal(error.into()))?;
        Ok((token, Duration::from_secs(exp.saturating_sub(iat))))
    }

    /// What a token says, if one of our keys signed it, for us, and it has not expired. Whether its session
    /// still stands is the caller's to ask.
    ///
    /// # Errors
    /// [`ServiceError::Unauthenticated`].
    pub(crate) fn verify(&self, token: &str) -> Result<Claims, ServiceError> {
        let refused = ServiceError::Unauthenticated("the access token is malformed, forged or expired");
        if token.len() > TOKEN_BYTES {
            return Err(refused);
        }
        let digest: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        let claims = match self.verified.get(&digest) {
            Some(claims) => claims,
            None => {
                let Some(claims) = self.verify_signature(token) else { return Err(refused) };
                self.verified.insert(digest, claims.clone());
                claims
            }
        };
        if claims.exp > seconds(Timestamp::now()) { Ok(claims) } else { Err(refused) }
    }

    fn verify_signature(&self, token: &str) -> Option<Claims> {
        let header = decode_header(token).ok()?;
        let key = self.keys.verifying.get(&header.kid?)?;
        let is_access_token = header.typ.as_deref() == Some(TYPE);
        let decoded = decode::<Claims>(token, key, &self.keys.validation).ok()?;
        is_access_token.then_some(decoded.claims)
    }
}

fn seconds(time: Timestamp) -> u64 {
    time.as_micros().unsigned_abs() / 1_000_000
}

/// A refresh token, and the hash under which the database knows it.
pub(crate) struct RefreshToken {
    pub(crate) text: String,
    pub(crate) hash: String,
}

impl RefreshToken {
    /// 256 random bits.
    pub(crate) fn random() -> Self {
        let text = URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>());
        Self { hash: refresh_hash(&text), text }
    }
}

/// SHA-256 in hex. The token is random itself, so that no salt and no slowness is needed.
pub(crate) fn refresh_hash(token: &str) -> String {
    Sha256::digest(token.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn new_key() -> Result<SigningKey, ServiceError> {
    let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new())
        .map_err(|_| ServiceError::Internal("no randomness for a signing key".into()))?;
    Ok(SigningKey {
        kid: Uuid::now_v7().to_string(),
        algorithm: ALGORITHM.to_owned(),
        private_key: STANDARD.encode(document.as_ref()),
        created_at: Timestamp::now(),
        retired_at: None,
    })
}

fn bad_key() -> ServiceError {
    ServiceError::Internal("a signing key in the database is not an Ed25519 key in PKCS#8".into())
}
