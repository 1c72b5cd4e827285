//! Hashes passwords with argon2id, and compares passwords with hashes, those of other systems too. A bounded number of
//! threads does this work, in memory that is reused. A comparison takes as long for an unknown user as for a known one.
//!
//! Invariants: the passwords of one client never take all places of a queue; hashes that cost more than ours never delay
//! the others, because they have a queue of their own.

mod queue;

use std::net::IpAddr;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{Algorithm, Argon2, Block, Params, Version};

use crate::failure::Failure;
use crate::foreign_hash;
use crate::hashing::queue::{Client, Queue};
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

/// How many hashes that cost more than ours are compared at once, and how many more wait. One may take seconds.
const COSTLY: (usize, usize) = (1, 16);

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
}

impl Default for HashingLimits {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(2, |cores| cores.get());
        Self { hashers: cores.min(HASHERS), queue: QUEUE, per_client: None }
    }
}

/// Why a password was not hashed or compared.
#[derive(Debug, thiserror::Error)]
pub enum HashingError {
    /// The queue, or the client's share of it, is full. Nothing was computed, and a retry may succeed.
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
    client: Option<Client>,
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
            own: Queue::new(limits.hashers, limits.queue, limits.per_client),
            costly: Queue::new(COSTLY.0, COSTLY.1, None),
            client: None,
            memory: Arc::default(),
        }
    }

    /// The same hashers, for a password that this client sent: it takes from the client's share of the queue. A program
    /// that does not say whose password it is has no share, only the bound of all.
    #[must_use]
    pub fn of_client(&self, address: IpAddr) -> Self {
        Self { client: Some(Client::of(address)), ..self.clone() }
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
    /// The bounds: 256 MiB, 20 passes and 16 lanes of Argon2, 10,000,000 iterations of PBKDF2, and cost 16 of bcrypt.
    pub fn is_known(stored: &str) -> bool {
        if !stored.starts_with("$argon2") {
            return foreign_hash::is_known(stored);
        }
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
    if !stored.starts_with("$argon2") {
        return true;
    }
    let params = PasswordHash::new(stored).ok().and_then(|hash| Params::try_from(&hash).ok());
    let cost = |memory: u32, passes: u32| u64::from(memory) * u64::from(passes);
    params.is_some_and(|params| cost(params.m_cost(), params.t_cost()) > cost(memory, passes))
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
    if !stored.starts_with("$argon2") {
        return Ok(foreign_hash::verify(password, stored));
    }
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
mod tests {
    use argon2::{PasswordHasher as _, PasswordVerifier as _};

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

    /// Hashes that the crate `argon2` makes at other costs verify here, and the hashes made here verify there.
    #[tokio::test]
    async fn hashes_of_other_software_and_costs_are_compared() {
        let passwords = Passwords::default();
        let password = Password::parse("correct horse").unwrap();
        for (algorithm, memory, passes, lanes) in [
            (Algorithm::Argon2id, 19_456, 2, 1),
            (Algorithm::Argon2id, 32_768, 1, 1),
            (Algorithm::Argon2i, 64, 3, 2),
        ] {
            let params = Params::new(memory, passes, lanes, Some(24)).unwrap();
            let theirs = Argon2::new(algorithm, Version::V0x13, params);
            let hash = theirs.hash_password(password.expose().as_bytes()).unwrap().to_string();
            assert!(passwords.matches(&password, Some(&hash)).await.unwrap(), "{hash}");
            let wrong = Password::attempt("correct house").unwrap();
            assert!(!passwords.matches(&wrong, Some(&hash)).await.unwrap());
        }
        let ours = passwords.hash(&password).await.unwrap();
        let theirs = Argon2::default();
        assert!(theirs.verify_password(password.expose().as_bytes(), ours.as_str()).is_ok());
        let kept: Vec<_> = passwords.memory.0.lock().unwrap().iter().map(Vec::len).collect();
        assert_eq!(kept, [COST.0 as usize], "one hasher's memory, and never more than ours needs");
    }

    /// Each of these hashes is one of the password at a low cost, with one parameter over its bound. The last one would
    /// take 4 GiB.
    #[tokio::test]
    async fn a_hash_over_the_bound_is_never_computed() {
        let password = Password::parse("correct horse").unwrap();
        let (most_memory, most_passes, most_lanes) = MAX_COST;
        let mut over = Vec::new();
        for (memory, passes, lanes) in [(64, most_passes + 1, 1), (256, 1, most_lanes + 1)] {
            let theirs = Argon2::new(
                Algorithm::Argon2id,
                Version::V0x13,
                Params::new(memory, passes, lanes, None).unwrap(),
            );
            over.push(theirs.hash_password(password.expose().as_bytes()).unwrap().to_string());
        }
        let ours = Passwords::default().hash(&password).await.unwrap();
        for memory in [most_memory + 1, 4_194_304] {
            over.push(ours.replacen(&format!("m={}", COST.0), &format!("m={memory}"), 1));
        }
        for hash in over {
            let passwords = Passwords::default();
            assert!(!Passwords::is_known(&hash), "{hash}");
            assert!(!passwords.matches(&password, Some(&hash)).await.unwrap(), "{hash}");
            let kept: Vec<_> = passwords.memory.0.lock().unwrap().iter().map(Vec::len).collect();
            assert_eq!(kept, [COST.0 as usize], "the dummy hash was compared in place of {hash}");
        }
    }

    #[tokio::test]
    async fn beyond_the_queue_a_caller_is_refused_at_once() {
        let passwords = Passwords::new(HashingLimits { hashers: 1, queue: 1, per_client: None });
        let password = Password::parse("correct horse").unwrap();
        let all = (0..3).map(|_| passwords.hash(&password)).map(Box::pin);
        let [mut first, mut second, mut third] = all.collect::<Vec<_>>().try_into().ok().unwrap();
        // The first poll of each future takes its permit.
        let polled = std::future::poll_fn(|context| {
            assert!(first.as_mut().poll(context).is_pending());
            assert!(second.as_mut().poll(context).is_pending());
            third.as_mut().poll(context)
        });
        assert!(matches!(polled.await, Err(HashingError::Busy)));
        assert!(first.await.is_ok() && second.await.is_ok());
        assert!(passwords.hash(&password).await.is_ok(), "there is room again");
    }

    #[tokio::test]
    async fn one_client_does_not_fill_the_queue() {
        let passwords = Passwords::new(HashingLimits { hashers: 1, queue: 3, per_client: None });
        let password = Password::parse("correct horse").unwrap();
        let of = |address: &str| passwords.of_client(address.parse().unwrap());
        // Two addresses of one network of 64 bits are one client.
        let senders = ["2001:db8::1", "2001:db8::2", "2001:db8::3", "192.0.2.1"].map(of);
        let [mut first, mut second, mut third, mut other] =
            senders.each_ref().map(|sender| Box::pin(sender.hash(&password)));
        let polled = std::future::poll_fn(|context| {
            assert!(first.as_mut().poll(context).is_pending());
            assert!(second.as_mut().poll(context).is_pending());
            let refused = third.as_mut().poll(context);
            assert!(other.as_mut().poll(context).is_pending(), "another client has room");
            refused
        });
        assert!(matches!(polled.await, Err(HashingError::Busy)));
        assert!(first.await.is_ok() && second.await.is_ok() && other.await.is_ok());
        assert!(senders[0].hash(&password).await.is_ok(), "the client has its share again");
    }

    /// Hashes of other systems fill their own queue, and a hash of ours is compared meanwhile.
    #[tokio::test]
    async fn costly_hashes_do_not_delay_ours() {
        let passwords = Passwords::new(HashingLimits { hashers: 1, queue: 0, per_client: Some(1) });
        let password = Password::parse("correct horse").unwrap();
        let ours = passwords.hash(&password).await.unwrap();
        let django = "pbkdf2_sha256$2000000$seasalt2$/AgPzJG5e6Yv25JIyxyWfNnB6QXmfp0Y+BEGfC3zoJE=";
        let mut slow: Vec<_> = (0..COSTLY.0 + COSTLY.1 + 1)
            .map(|_| Box::pin(passwords.matches(&password, Some(django))))
            .collect();
        let refused = std::future::poll_fn(|context| {
            let polled = slow.iter_mut().map(|slow| slow.as_mut().poll(context));
            std::task::Poll::Ready(polled.filter(std::task::Poll::is_ready).count())
        });
        assert_eq!(refused.await, 1, "their queue is bounded too");
        assert!(passwords.matches(&password, Some(&ours)).await.unwrap());
        let is_waiting = std::future::poll_fn(|context| {
            std::task::Poll::Ready(slow[COSTLY.1].as_mut().poll(context).is_pending())
        });
        assert!(is_waiting.await, "ours was compared first");
    }

    #[test]
    fn only_what_costs_more_than_ours_is_costly() {
        for (stored, is_costly) in [
            ("$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA", false),
            ("$argon2id$v=19$m=4096,t=3,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA", false),
            ("$argon2id$v=19$m=65536,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA", true),
            ("$2b$12$abcdefghijklmnopqrstuv", true),
        ] {
            assert_eq!(costs_more(stored), is_costly, "{stored}");
        }
    }

    #[tokio::test]
    async fn a_hash_of_what_was_sent_in_another_form_still_matches() {
        let passwords = Passwords::default();
        let sent = "glu\u{308}ck und salz";
        let old = hash(sent.as_bytes(), &mut Vec::new()).unwrap();
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
        assert!(Passwords::is_known("$argon2id$v=19$m=4096,t=3,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNo"));
        for bad in
            ["$argon2id$v=19$m=4096,t=3,p=1", "$argon2id$v=19$m=4194304,t=3,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNo"]
        {
            assert!(!Passwords::is_known(bad), "{bad}");
        }
    }
}
