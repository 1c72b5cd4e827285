//! The keys that sign access tokens. They are stored in the service's database, sealed (encrypted) if
//! `LARDER_SECRET_KEY` is set. The service publishes their public parts and rotates them.

use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use larder::receipt::Receipt;
use larder_identity::failure::Failure;
use larder_identity::keys::{KeyStore, PUBLISHED_AHEAD, RETIRED_KEY_LIFE, SigningKey};
use larder_identity::sealing::{SealedSecret, Sealing, Subject};

use crate::domain::audit::Actor;
use crate::domain::identity::UserId;
use crate::domain::role::Role;
use crate::domain::timestamp::Timestamp;
use crate::service::Service;
use crate::service::access::Caller;
use crate::service::error::ServiceError;
use crate::store::Store;
use crate::store::writing::{ByJournal, Writer};

/// Access tokens of this service's users.
pub(crate) type Tokens = larder_identity::tokens::Tokens<SealedKeys, UserId>;
/// The claims of an access token of this service.
pub type Claims = larder_identity::tokens::Claims<UserId>;

/// The prefix that [`Sealing`] gives to a secret that it does not seal, because there is no secret key. In the
/// database, a private key that is not sealed has no prefix.
const PLAIN: &str = "plain.";
/// The prefix of a sealed private key, in the database too.
const SEALED: &str = "sealed.";

/// The note for operators, if there is no secret key.
pub(crate) const UNSEALED: &str = "LARDER_SECRET_KEY is not set: signing keys and second factors are not encrypted in the \
     database, so a program that reads the database can sign tokens";

/// The keys in the database, which are sealed there if there is a secret key.
pub(crate) struct SealedKeys {
    pub(crate) store: Store,
    pub(crate) sealing: Sealing,
}

impl KeyStore for SealedKeys {
    type Error = ServiceError;

    async fn signing_keys(&self) -> Result<Vec<SigningKey>, ServiceError> {
        let keys = self.store.signing_keys().await?;
        Ok(keys.into_iter().map(|key| opened(&self.sealing, key)).collect())
    }

    async fn insert_signing_key_if_none(&self, key: SigningKey) -> Result<Vec<SigningKey>, ServiceError> {
        let key = sealed(&self.sealing, key)?;
        let insert = self.store.write(Actor::Nobody, ByJournal, |tx| async move {
            Ok::<_, ServiceError>(tx.insert_signing_key_if_none(&key).await?)
        });
        Ok(insert.await?.0.into_iter().map(|key| opened(&self.sealing, key)).collect())
    }
}

/// The key in the form that is stored in the database: sealed if there is a secret key.
pub(crate) fn sealed(sealing: &Sealing, key: SigningKey) -> Result<SigningKey, Failure> {
    let secret = sealing.seal(Subject::SigningKey(&key.kid), key.private_key.as_bytes())?;
    Ok(SigningKey { private_key: stored(&secret, &key.private_key), ..key })
}

/// The key in the form that signs: not sealed. If a key cannot be opened, its private key becomes empty. Such a key
/// signs no token, and the code that reads the keys writes this into the log.
fn opened(sealing: &Sealing, key: SigningKey) -> SigningKey {
    if !key.private_key.starts_with(SEALED) {
        return key;
    }
    let secret = SealedSecret(key.private_key.clone());
    let opened = sealing.open(Subject::SigningKey(&key.kid), &secret);
    let text = opened.ok().and_then(|bytes| String::from_utf8(bytes).ok());
    SigningKey { private_key: text.unwrap_or_default(), ..key }
}

fn stored(secret: &SealedSecret, plain: &str) -> String {
    if secret.0.starts_with(SEALED) { secret.0.clone() } else { plain.to_owned() }
}

/// Checks that the sealed keys in the database can be opened. Keys that the current secret key did not seal are sealed
/// with it now.
///
/// # Errors
/// [`ServiceError::Internal`] with the name of the setting, and errors of the database.
pub(crate) async fn reseal_keys(store: &Store, sealing: &Sealing) -> Result<(), ServiceError> {
    for SigningKey { kid, private_key, .. } in store.signing_keys().await? {
        let secret = match private_key.starts_with(SEALED) {
            true => SealedSecret(private_key.clone()),
            // The plain form of `Sealing` is base64 of the secret, and the secret is the text in the database.
            false => SealedSecret(format!("{PLAIN}{}", STANDARD.encode(&private_key))),
        };
        let Some(again) = sealing.reseal(Subject::SigningKey(&kid), &secret)? else { continue };
        tracing::info!(%kid, "a signing key in the database is sealed now");
        store
            .write(Actor::Nobody, ByJournal, move |tx| async move {
                tx.replace_signing_key(&kid, &private_key, &again.0).await
            })
            .await?;
    }
    Ok(())
}

/// A rotation: the new key's name, and when it begins to sign.
pub struct Rotation {
    /// The new key's name.
    pub kid: String,
    /// When the new key begins to sign.
    pub signs_from: Timestamp,
}

/// Publishes a new key. It begins to sign after [`PUBLISHED_AHEAD`], when every reader of the published keys has it.
/// The previous key signs until then, and verifies until the last token that it signed has expired.
///
/// # Errors
/// The system gives no random bytes; and errors of the database.
pub(crate) async fn rotate(tx: &Writer, sealing: &Sealing) -> Result<Rotation, ServiceError> {
    let now = SystemTime::now();
    let key = sealed(sealing, SigningKey::generate()?)?;
    let signs_from = Timestamp::from(now + PUBLISHED_AHEAD);
    tx.rotate_signing_key(&key, signs_from, Timestamp::from(now - RETIRED_KEY_LIFE)).await?;
    Ok(Rotation { kid: key.kid, signs_from })
}

/// Deletes every signing key, ends every session, and stores a new key, which signs at once. This is for a theft of the
/// signing keys. Returns the new key's name and the number of sessions that ended.
///
/// # Errors
/// The system gives no random bytes; and errors of the database.
pub(crate) async fn replace_all(tx: &Writer, sealing: &Sealing) -> Result<(String, u64), ServiceError> {
    let key = sealed(sealing, SigningKey::generate()?)?;
    let ended = tx.replace_signing_keys(&key, Timestamp::now()).await?;
    Ok((key.kid, ended))
}

impl Service {
    /// The keys that verify access tokens, oldest first: the name and the public key (`x`) of each.
    pub async fn public_keys(&self) -> Vec<(String, String)> {
        let keys = self.tokens.keys().recent().await;
        keys.public().into_iter().map(|key| (key.kid.clone(), key.x.clone())).collect()
    }

    /// Publishes a new key; see `rotate`. For superadmins with a session.
    ///
    /// # Errors
    /// [`ServiceError::Refused`], and errors of the database.
    pub async fn rotate_keys(&self, caller: Caller) -> Result<(Rotation, Receipt), ServiceError> {
        caller.session()?;
        let caller = self.present(caller).await?;
        caller.check_manage(Role::Superadmin)?;
        let service = self.clone();
        self.write(caller.actor(), move |tx| async move {
            let rotation = rotate(&tx, &service.sealing).await?;
            // This instance publishes the new key at once. The other instances publish it within a minute.
            service.tokens.keys().read_again().await;
            tracing::info!(kid = rotation.kid, by = %caller.id, "signing key rotated");
            Ok(rotation)
        })
        .await
    }
}
