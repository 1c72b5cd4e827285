//! Hashing and comparing passwords: argon2id on few threads, the same time for unknown users.

use std::sync::{Arc, LazyLock};

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use tokio::sync::Semaphore;

use crate::domain::password::Password;
use crate::service::error::ServiceError;

/// Memory in KiB, passes and lanes: what OWASP's Password Storage Cheat Sheet asks of argon2id at least.
const COST: (u32, u32, u32) = (19_456, 2, 1);

/// Each hash takes 19 MiB and a core for some 20 ms: more at once than cores would only make all slower.
static HASHERS: LazyLock<usize> =
    LazyLock::new(|| std::thread::available_parallelism().map_or(2, |cores| cores.get()));

/// The hash of a password nobody has: comparing with it takes the time of a real comparison.
static NOBODY: LazyLock<Option<String>> = LazyLock::new(|| hash(b"nobody has this password").ok());

/// Hashes and compares; cheap to clone.
#[derive(Clone)]
pub struct Passwords {
    hashers: Arc<Semaphore>,
}

impl Passwords {
    pub(crate) fn new() -> Self {
        Self { hashers: Arc::new(Semaphore::new(*HASHERS)) }
    }

    /// The hash of a password, with a salt of its own, in PHC form.
    ///
    /// # Errors
    /// [`ServiceError::Internal`] when there is no randomness or memory.
    pub async fn hash(&self, password: &Password) -> Result<String, ServiceError> {
        let password = password.clone();
        self.run(move || hash(password.expose().as_bytes())).await?.map_err(internal)
    }

    /// Whether `password` is the one that was hashed. Without a hash the answer is no, after the same time.
    ///
    /// # Errors
    /// [`ServiceError::Internal`] when a comparison cannot be made.
    pub async fn matches(&self, password: &Password, stored: Option<&str>) -> Result<bool, ServiceError> {
        let (password, stored) = (password.clone(), stored.map(str::to_owned));
        self.run(move || {
            let hash = stored.as_deref().or(NOBODY.as_deref());
            let is_match = hash.is_some_and(|hash| verify(password.expose().as_bytes(), hash));
            is_match && stored.is_some()
        })
        .await
    }

    /// Whether a stored hash was made at a lower cost than today's, or is of another kind.
    pub fn is_outdated(stored: &str) -> bool {
        let (memory, passes, lanes) = COST;
        !stored.starts_with(&format!("$argon2id$v=19$m={memory},t={passes},p={lanes}$"))
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ServiceError> {
        let permit = self.hashers.clone().acquire_owned().await.map_err(internal)?;
        // The permit goes with the work, which goes on when its caller is cancelled.
        let work = move || {
            let _permit = permit;
            work()
        };
        tokio::task::spawn_blocking(work).await.map_err(internal)
    }
}

fn argon2() -> Result<Argon2<'static>, argon2::Error> {
    let (memory, passes, lanes) = COST;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(memory, passes, lanes, None)?))
}

fn hash(password: &[u8]) -> Result<String, argon2::password_hash::Error> {
    let hash: PasswordHash = argon2()?.hash_password(password)?;
    Ok(hash.to_string())
}

fn verify(password: &[u8], stored: &str) -> bool {
    let Ok(hash) = PasswordHash::new(stored) else { return false };
    argon2().is_ok_and(|argon2| argon2.verify_password(password, &hash).is_ok())
}

fn internal(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> ServiceError {
    ServiceError::Internal(error.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_hashed_password_matches_and_nobody_matches_nobodys() {
        let passwords = Passwords::new();
        let right = Password::parse("correct horse").unwrap();
        let hash = passwords.hash(&right).await.unwrap();
        assert!(passwords.matches(&right, Some(&hash)).await.unwrap());
        assert!(!passwords.matches(&Password::parse("correct house").unwrap(), Some(&hash)).await.unwrap());
        let nobodys = Password::parse("nobody has this password").unwrap();
        assert!(!passwords.matches(&nobodys, None).await.unwrap());
        assert!(!passwords.matches(&right, Some("not a hash")).await.unwrap());
        assert_ne!(hash, passwords.hash(&right).await.unwrap(), "each hash has a salt of its own");
    }

    #[test]
    fn cheaper_and_foreign_hashes_are_outdated() {
        assert!(!Passwords::is_outdated(NOBODY.as_deref().unwrap()));
        assert!(Passwords::is_outdated("$argon2id$v=19$m=4096,t=3,p=1$c2FsdHNhbHQ$aGFzaA"));
        assert!(Passwords::is_outdated("$2b$12$abcdefghijklmnopqrstuv"));
    }
}
