//! Hashes passwords with argon2id, and compares passwords with hashes, those of other systems too. A bounded number of
//! threads does this work, in memory that is reused. A comparison takes as long for an unknown user as for a known one.
//!
//! Invariants: the passwords of one client never take all places of a queue; hashes that cost more than ours never delay
//! the others, because they have a queue of their own.

mod queue;

use std::net::IpAddr;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{Algorithm, Argon2, Block, Params, Version};

use crate::failure::Failure;
use crate::foreign_hash;
use crate::hashing::queue::Queue;
use crate::password::Password;

/// Memory in KiB, passes and lanes: the minimum that OWASP's Password Storage Cheat Sheet recommends for argon2id.
const COST: (u32, u32, u32) = (19_456, 2, 1);

/// The most memory in KiB, passes and lanes of a hash that is compared: a comparison must not take all memory of the
/// machine, or a thread for minutes. It is more than other systems use by default.
const MAX_COST: (u32, u32, u32) = (262_144, 20, 16);

/// The most hashers by default. Each keeps its 19 MiB, so that all keep less than 64 MiB.
const HASHERS: usize = 3;

/// How many passwords wait by default: on two cores they take less than a second.
const QUEUE: usize = 64;

/// How many hashes that cost more than ours are compared at once. One may take seconds, and 256 MiB.
const COSTLY: usize = 1;
/// How many more of them wait by default.
const COSTLY_QUEUE: usize = 16;

/// How long a password waits by default.
const WAIT: Duration = Duration::from_secs(10);

/// The hash that replaces a missing one: a comparison with it takes as long as a real one, and [`Passwords::matches`]
/// returns `false` in any case.
static DUMMY_HASH: LazyLock<Option<String>> =
    LazyLock::new(|| hash(b"no user has this password", &mut Vec::new()).ok());

/// How much work and memory hashing may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HashingLimits {
    /// How many passwords are hashed at once. Each takes one core for about 20 ms, so more of them than cores would
    /// make all slower. Each hasher keeps 19 MiB. Default: one for each core, and at most 3.
    pub hashers: usize,
    /// How many more passwords may wait; beyond that a caller gets [`HashingError::Busy`]. Default 64.
    pub queue: usize,
    /// How many passwords of one client may be hashed or wait. Default `None`: half of all.
    pub per_client: Option<usize>,
    /// How many more passwords may wait whose stored hash costs more than ours, one of which is compared at a time; each
    /// may take seconds. Default 16.
    pub costly_queue: usize,
    /// How long a password waits for a hasher. Then its caller gets [`HashingError::Busy`]: without this bound, a few
    /// costly hashes would make their clients wait for minutes. Default 10 s.
    pub wait: Duration,
}

impl Default for HashingLimits {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(2, |cores| cores.get());
        Self {
            hashers: cores.min(HASHERS),
            queue: QUEUE,
            per_client: None,
            costly_queue: COSTLY_QUEUE,
            wait: WAIT,
        }
    }
}

/// Why a password was not hashed or compared.
#[derive(Debug, thiserror::Error)]
pub enum HashingError {
    /// The queue, or the client's share of it, is full, or no hasher was free in time. Nothing was computed, and a retry
    /// may succeed.
    #[error("too many passwords are being hashed")]
    Busy,
    /// There is no randomness or memory.
    #[error(transparent)]
    Failed(#[from] Failure),
}

/// Hashes and compares passwords; cheap to clone.
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
    own: Queue,
    /// For stored hashes that cost more than ours.
    costly: Queue,
    client: Option<IpAddr>,
    memory: Arc<Memory>,
}

/// The memory of the hashers that are idle, at most one list of blocks for each hasher. They keep it, because the
/// allocator would not return it to the system: each thread that has hashed once would keep 19 MiB. The lock is held to
/// push or pop; no other lock is taken meanwhile.
#[derive(Default)]
struct Memory(Mutex<Vec<Vec<Block>>>);

impl Memory {
    fn with<T>(&self, work: impl FnOnce(&mut Vec<Block>) -> T) -> T {
        let mut blocks = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default();
        let done = work(&mut blocks);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(blocks);
        done
    }
}

impl Default for Passwords {
    fn default() -> Self {
        Self::new(HashingLimits::default())
    }
}

impl Passwords {
    /// Passwords with these limits. There is at least one hasher, even if `hashers` is 0.
    pub fn new(limits: HashingLimits) -> Self {
        Self {
            own: Queue::new(limits.hashers, limits.queue, limits.per_client, limits.wait),
            costly: Queue::new(COSTLY, limits.costly_queue, None, limits.wait),
            client: None,
            memory: Arc::default(),
        }
    }

    /// The same hashers, for a password that this client sent: it takes from the client's share of the queue. A program
    /// that does not say whose password it is has no share, only the bound of all.
    #[must_use]
    pub fn of_client(&self, address: IpAddr) -> Self {
        Self { client: Some(address), ..self.clone() }
    }

    /// The hash of a password, with a salt of its own, in PHC form.
    ///
    /// # Errors
    /// The queue is full, or there is no randomness or memory.
    pub async fn hash(&self, password: &Password) -> Result<String, HashingError> {
        let password = password.clone();
        let memory = self.memory.clone();
        let work = move || memory.with(|blocks| hash(password.expose().as_bytes(), blocks));
        Ok(self.own.run(self.client, work).await?.map_err(Failure::new)?)
    }

    /// Whether `stored` is the hash of `password`. If `stored` is `None`, or a hash that [`is_known`](Self::is_known)
    /// refuses, the answer is `false` after the time that a hash of ours takes: such a hash is never computed.
    ///
    /// # Errors
    /// The queue is full, or a comparison cannot be made.
    pub async fn matches(&self, password: &Password, stored: Option<&str>) -> Result<bool, HashingError> {
        // The database may have a hash of any cost, because other software may write it there.
        let stored = stored.filter(|stored| Self::is_known(stored)).map(str::to_owned);
        let password = password.clone();
        let is_costly = stored.as_deref().is_some_and(costs_more);
        let queue = if is_costly { &self.costly } else { &self.own };
        let memory = self.memory.clone();
        let compare = move |blocks: &mut Vec<Block>| {
            let hash = stored.as_deref().or(DUMMY_HASH.as_deref());
            let mut matches =
                |text: &str| hash.is_some_and(|hash| verify(text.as_bytes(), hash, blocks).unwrap_or(false));
            // An earlier release hashed the text as the client sent it, without normalisation, so that text is compared
            // too.
            let is_match = matches(password.expose()) || password.expose_sent().is_some_and(&mut matches);
            is_match && stored.is_some()
        };
        // A costly hash takes no reused memory: while it works, a hasher of the other queue would have to make its own.
        let work = move || if is_costly { compare(&mut Vec::new()) } else { memory.with(compare) };
        queue.run(self.client, work).await
    }

    /// Whether a stored hash was made at another cost than today's, or with another algorithm.
    pub fn is_outdated(stored: &str) -> bool {
        let (memory, passes, lanes) = COST;
        !stored.starts_with(&format!("$argon2id$v=19$m={memory},t={passes},p={lanes}$"))
    }

    /// Whether this is a hash with which a password can be compared at a bounded cost, made by this service or by
    /// another system. A service asks this before it stores a hash from elsewhere; [`matches`](Self::matches) compares
    /// no other hash.
    ///
    /// The bounds: 256 MiB, 20 passes and 16 lanes of Argon2, 10,000,000 iterations of PBKDF2, cost 16 of bcrypt, and of
    /// scrypt 256 MiB and 16 times the work that OWASP recommends (N, r and p: 2^17, 8, 1).
    pub fn is_known(stored: &str) -> bool {
        let Some(stored) = of_argon2(stored) else { return foreign_hash::is_known(stored) };
        let Ok(hash) = PasswordHash::new(stored) else { return false };
        let (memory, passes, lanes) = MAX_COST;
        let is_bounded = |params: Params| {
            params.m_cost() <= memory && params.t_cost() <= passes && params.p_cost() <= lanes
        };
        hash.salt.is_some()
            && hash.hash.is_some()
            && Algorithm::try_from(hash.algorithm.as_str()).is_ok()
            && hash.version.is_none_or(|version| Version::try_from(version).is_ok())
            && Params::try_from(&hash).is_ok_and(is_bounded)
    }
}

/// Whether a comparison with this hash, which [`Passwords::is_known`] accepts, costs more than one with ours. Every
/// hash of another algorithm does.
fn costs_more(stored: &str) -> bool {
    let (memory, passes, _) = COST;
    let Some(stored) = of_argon2(stored) else { return true };
    let params = PasswordHash::new(stored).ok().and_then(|hash| Params::try_from(&hash).ok());
    let cost = |memory: u32, passes: u32| u64::from(memory) * u64::from(passes);
    params.is_some_and(|params| cost(params.m_cost(), params.t_cost()) > cost(memory, passes))
}

/// The PHC form of a hash of Argon2. Django writes the name of its own class before it: `argon2$argon2id$v=19$…`.
fn of_argon2(stored: &str) -> Option<&str> {
    let django = stored.strip_prefix("argon2").filter(|rest| rest.starts_with("$argon2"));
    django.or(Some(stored).filter(|stored| stored.starts_with("$argon2")))
}

type HashError = argon2::password_hash::Error;

fn hash(password: &[u8], blocks: &mut Vec<Block>) -> Result<String, HashError> {
    let (memory, passes, lanes) = COST;
    let params = Params::new(memory, passes, lanes, None)?;
    let salt = Salt::generate();
    let (algorithm, version) = (Algorithm::Argon2id, Version::V0x13);
    let output = computed(algorithm, version, &params, password, &salt, blocks)?;
    let hash = PasswordHash {
        algorithm: algorithm.ident(),
        version: Some(version.into()),
        params: ParamsString::try_from(&params)?,
        salt: Some(salt),
        hash: Some(output),
    };
    Ok(hash.to_string())
}

/// Whether the password is the one that was hashed; the outputs are compared in constant time.
fn verify(password: &[u8], stored: &str, blocks: &mut Vec<Block>) -> Result<bool, HashError> {
    let Some(stored) = of_argon2(stored) else { return Ok(foreign_hash::verify(password, stored)) };
    let stored = PasswordHash::new(stored)?;
    let (Some(salt), Some(expected)) = (&stored.salt, &stored.hash) else { return Ok(false) };
    let algorithm = Algorithm::try_from(stored.algorithm.as_str())?;
    let version = stored.version.map(Version::try_from).transpose()?.unwrap_or_default();
    let params = Params::try_from(&stored)?;
    Ok(computed(algorithm, version, &params, password, salt, blocks)? == *expected)
}

/// Computes a hash in `blocks`. A hash that other software made at a higher cost may need more memory, which is freed
/// afterwards.
fn computed(
    algorithm: Algorithm,
    version: Version,
    params: &Params,
    password: &[u8],
    salt: &[u8],
    blocks: &mut Vec<Block>,
) -> Result<Output, HashError> {
    let mut larger = Vec::new();
    let needed = params.block_count();
    let blocks = if needed > COST.0 as usize { &mut larger } else { blocks };
    if blocks.len() < needed {
        blocks.resize(needed, Block::default());
    }
    let mut buffer = [0; Output::MAX_LENGTH];
    let length = params.output_len().unwrap_or(Params::DEFAULT_OUTPUT_LEN);
    let output = buffer.get_mut(..length).ok_or(HashError::OutputSize)?;
    let argon2 = Argon2::new(algorithm, version, params.clone());
    argon2.hash_password_into_with_memory(password, salt, output, blocks)?;
    Ok(Output::new(output)?)
}

#[cfg(test)]
#[path = "hashing_tests.rs"]
mod tests;
