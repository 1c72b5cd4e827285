//! Hashes and compares passwords, those of other systems too: argon2id on a bounded number of threads; an unknown user takes as long as a known
//! one.

use std::sync::{Arc, LazyLock};

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use tokio::sync::Semaphore;

use crate::failure::Failure;
use crate::foreign;
use crate::password::Password;

/// Memory in KiB, passes and lanes: the minimum that OWASP's Password Storage Cheat Sheet recommends for argon2id.
const COST: (u32, u32, u32) = (19_456, 2, 1);

/// How many hashes run at once. Each takes 19 MiB and one core for some 20 ms, so more than one per core would make all
/// slower.
static HASHERS: LazyLock<usize> =
    LazyLock::new(|| std::thread::available_parallelism().map_or(2, |cores| cores.get()));

/// The hash that replaces a missing one: a comparison with it takes as long as a real one, and [`Passwords::matches`]
/// returns `false` in any case.
static DUMMY_HASH: LazyLock<Option<String>> = LazyLock::new(|| hash(b"no user has this password").ok());

/// Hashes and compares; cheap to clone.
///
/// ```
/// # use larder_identity::{hashing::Passwords, password::Password};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let passwords = Passwords::default();
/// let hash = passwords.hash(&Password::parse("correct horse")?).await?;
/// let sent = Password::attempt("correct horse")?;
/// assert!(passwords.matches(&sent, Some(&hash)).await?);
/// assert!(!passwords.matches(&sent, None).await?, "no such user: the same time, and never a match");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Passwords {
    hashers: Arc<Semaphore>,
}

impl Default for Passwords {
    /// One hasher per core.
    fn default() -> Self {
        Self { hashers: Arc::new(Semaphore::new(*HASHERS)) }
    }
}

impl Passwords {
    /// The hash of a password, with a salt of its own, in PHC form.
    ///
    /// # Errors
    /// There is no randomness or memory.
    pub async fn hash(&self, password: &Password) -> Result<String, Failure> {
        let password = password.clone();
        self.run(move || hash(password.expose().as_bytes())).await?.map_err(Failure::new)
    }

    /// Whether `password` is the one that was hashed. Without a hash the answer is `false`, after the same time.
    ///
    /// # Errors
    /// A comparison cannot be made.
    pub async fn matches(&self, password: &Password, stored: Option<&str>) -> Result<bool, Failure> {
        let (password, stored) = (password.clone(), stored.map(str::to_owned));
        self.run(move || {
            let hash = stored.as_deref().or(DUMMY_HASH.as_deref());
            let matches = |text: &str| hash.is_some_and(|hash| verify(text.as_bytes(), hash));
            // A hash of an earlier release is of the form that the client sent.
            let is_match = matches(password.expose()) || password.expose_sent().is_some_and(matches);
            is_match && stored.is_some()
        })
        .await
    }

    /// Whether a stored hash was made at another cost than today's, or with another algorithm.
    pub fn is_outdated(stored: &str) -> bool {
        let (memory, passes, lanes) = COST;
        !stored.starts_with(&format!("$argon2id$v=19$m={memory},t={passes},p={lanes}$"))
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Failure> {
        let permit = self.hashers.clone().acquire_owned().await.map_err(Failure::new)?;
        // The work owns the permit: a cancelled caller does not stop the work, so it must not free its permit either.
        let work = move || {
            let _permit = permit;
            work()
        };
        tokio::task::spawn_blocking(work).await.map_err(Failure::new)
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
    if !stored.starts_with("$argon2") {
        return foreign::verify(password, stored);
    }
    let Ok(hash) = PasswordHash::new(stored) else { return false };
    argon2().is_ok_and(|argon2| argon2.verify_password(password, &hash).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_hashed_password_matches_and_no_password_matches_the_dummy_hash() {
        let passwords = Passwords::default();
        let right = Password::parse("correct horse").unwrap();
        let hash = passwords.hash(&right).await.unwrap();
        assert!(passwords.matches(&right, Some(&hash)).await.unwrap());
        assert!(!passwords.matches(&Password::parse("correct house").unwrap(), Some(&hash)).await.unwrap());
        let dummy = Password::parse("no user has this password").unwrap();
        assert!(!passwords.matches(&dummy, None).await.unwrap());
        assert!(!passwords.matches(&right, Some("not a hash")).await.unwrap());
        assert_ne!(hash, passwords.hash(&right).await.unwrap(), "each hash has a salt of its own");
    }

    #[tokio::test]
    async fn a_hash_of_what_was_sent_in_another_form_still_matches() {
        let passwords = Passwords::default();
        let sent = "glu\u{308}ck und salz";
        let old = hash(sent.as_bytes()).unwrap();
        assert!(passwords.matches(&Password::parse(sent).unwrap(), Some(&old)).await.unwrap());
        let new = passwords.hash(&Password::parse(sent).unwrap()).await.unwrap();
        let other_keyboard = Password::parse("gl\u{fc}ck und salz").unwrap();
        assert!(passwords.matches(&other_keyboard, Some(&new)).await.unwrap());
    }

    #[test]
    fn hashes_of_another_cost_or_algorithm_are_outdated() {
        assert!(!Passwords::is_outdated(DUMMY_HASH.as_deref().unwrap()));
        assert!(Passwords::is_outdated("$argon2id$v=19$m=4096,t=3,p=1$c2FsdHNhbHQ$aGFzaA"));
        assert!(Passwords::is_outdated("$2b$12$abcdefghijklmnopqrstuv"));
    }
}
