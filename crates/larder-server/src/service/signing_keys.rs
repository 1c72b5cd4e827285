//! The keys that sign access tokens: kept in the service's database, published, rotated.

use std::time::SystemTime;

use larder::receipt::Receipt;
use larder_identity::keys::{KeyStore, RETIRED, SigningKey};

use crate::domain::audit::Actor;
use crate::domain::identity::UserId;
use crate::domain::role::Role;
use crate::domain::timestamp::Timestamp;
use crate::service::Service;
use crate::service::access::Caller;
use crate::service::error::ServiceError;
use crate::store::Store;
use crate::store::writing::ByJournal;

/// Access tokens of this service's users.
pub(crate) type Tokens = larder_identity::tokens::Tokens<Store, UserId>;
/// The claims of an access token of this service.
pub type Claims = larder_identity::tokens::Claims<UserId>;

impl KeyStore for Store {
    type Error = ServiceError;

    async fn signing_keys(&self) -> Result<Vec<SigningKey>, ServiceError> {
        Ok(Store::signing_keys(self).await?)
    }

    async fn insert_signing_key_if_none(&self, key: SigningKey) -> Result<Vec<SigningKey>, ServiceError> {
        let insert = self.write(Actor::Nobody, ByJournal, |tx| async move {
            Ok::<_, ServiceError>(tx.insert_signing_key_if_none(&key).await?)
        });
        Ok(insert.await?.0)
    }
}

impl Service {
    /// The keys that verify access tokens, oldest first: the name and the point of each.
    pub async fn public_keys(&self) -> Vec<(String, String)> {
        let keys = self.tokens.keys().recent().await;
        keys.public().into_iter().map(|key| (key.kid.clone(), key.x.clone())).collect()
    }

    /// Makes a new key sign; the previous key verifies until the last token that it signed has expired. For superadmins
    /// with a session. Returns the new key's name.
    ///
    /// # Errors
    /// [`ServiceError::Refused`], and those of the database.
    pub async fn rotate_keys(&self, caller: Caller) -> Result<(String, Receipt), ServiceError> {
        caller.session()?;
        let caller = self.present(caller).await?;
        caller.check_manage(Role::Superadmin)?;
        let service = self.clone();
        self.write(caller.actor(), move |tx| async move {
            let now = SystemTime::now();
            let forgotten = Timestamp::from(now - RETIRED);
            tx.rotate_signing_key(&SigningKey::generate()?, now.into(), forgotten).await?;
            // This instance signs with the new key at once, the others within a minute.
            let kid = service.tokens.keys().read_again().await.signing_kid().to_owned();
            tracing::info!(%kid, by = %caller.id, "signing key rotated");
            Ok(kid)
        })
        .await
    }
}
