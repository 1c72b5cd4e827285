//! Password hashes that other systems made: bcrypt, PBKDF2 and scrypt, as Django, passlib and Werkzeug (Flask) write them.
//! Passwords can be compared with them. They count as outdated, so that the service replaces them at the next login.

use std::num::NonZeroU32;
use std::ops::RangeInclusive;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;
use aws_lc_rs::pbkdf2::{self, Algorithm, PBKDF2_HMAC_SHA1, PBKDF2_HMAC_SHA256, PBKDF2_HMAC_SHA512};
use base64::Engine as _;
use base64::alphabet::Alphabet;
use base64::engine::general_purpose::{GeneralPurpose, NO_PAD, STANDARD, STANDARD_NO_PAD};
use sha2::{Digest as _, Sha256};

/// The most iterations of PBKDF2 and the greatest cost of bcrypt that this module computes: a hash in the database must
/// not occupy a thread for minutes. Django 5.2 uses 1,000,000 iterations, and bcrypt's usual cost is 12.
const ITERATIONS: u32 = 10_000_000;
const COST: u32 = 16;

/// The most memory of scrypt in bytes: 128 times N times r. OWASP recommends 128 MiB, Werkzeug uses 32 MiB, Django 16 MiB.
const SCRYPT_BYTES: u64 = 256 << 20;
/// The most work of scrypt: N times r times p. OWASP recommends 2^20, Werkzeug uses 2^18, Django 5 times 2^17.
const SCRYPT_WORK: u64 = 1 << 24;
/// The most of r times p: scrypt holds 128 bytes for each, and hashes them twice. Django's is 40.
const SCRYPT_LANES: u64 = 1 << 13;

/// A shorter hash could match another password by chance. PBKDF2 does all iterations again for each further block of a
/// longer one, and no form has more than 64 bytes.
const HASH_BYTES: RangeInclusive<usize> = 20..=64;

/// A stored hash in a known form, of a bounded cost.
enum Stored {
    Bcrypt {
        first: First,
        /// `$2b$12$…`
        hash: String,
    },
    Pbkdf2 {
        algorithm: Algorithm,
        iterations: NonZeroU32,
        salt: Vec<u8>,
        hash: Vec<u8>,
    },
    Scrypt {
        params: scrypt::Params,
        salt: Vec<u8>,
        hash: Vec<u8>,
    },
}

/// What is done to a password before bcrypt, which reads only the first 72 bytes.
enum First {
    Nothing,
    /// Django: SHA-256 in hexadecimal digits.
    Hex,
    /// passlib's first version: SHA-256 in base64.
    Base64,
    /// passlib's second version: HMAC-SHA-256, whose key is the text of the salt, in base64.
    Keyed(String),
}

/// Whether `password` has this hash; `false` if the format of the hash is unknown.
pub(crate) fn verify(password: &[u8], stored: &str) -> bool {
    match parsed(stored) {
        None => false,
        Some(Stored::Bcrypt { first, hash }) => {
            let digest = || Sha256::digest(password);
            let text = match first {
                First::Nothing => return bcrypt::verify(password, &hash).unwrap_or(false),
                First::Hex => digest().iter().map(|byte| format!("{byte:02x}")).collect(),
                First::Base64 => STANDARD.encode(digest()),
                First::Keyed(salt) => {
                    let key = hmac::Key::new(hmac::HMAC_SHA256, salt.as_bytes());
                    STANDARD.encode(hmac::sign(&key, password))
                }
            };
            bcrypt::verify(text, &hash).unwrap_or(false)
        }
        Some(Stored::Pbkdf2 { algorithm, iterations, salt, hash }) => {
            pbkdf2::verify(algorithm, iterations, &salt, password, &hash).is_ok()
        }
        Some(Stored::Scrypt { params, salt, hash }) => {
            let mut computed = vec![0; hash.len()];
            scrypt::scrypt(password, &salt, &params, &mut computed).is_ok()
                && verify_slices_are_equal(&computed, &hash).is_ok()
        }
    }
}

/// Whether this module can compare a password with the hash: its form is known, and its cost is bounded.
pub(crate) fn is_known(stored: &str) -> bool {
    parsed(stored).is_some()
}

/// Parses a hash and computes nothing.
fn parsed(stored: &str) -> Option<Stored> {
    let (sha1, sha256, sha512) = (PBKDF2_HMAC_SHA1, PBKDF2_HMAC_SHA256, PBKDF2_HMAC_SHA512);
    let standard = |text: &str| STANDARD.decode(text).ok();
    let parts: Vec<_> = stored.split('$').collect();
    match parts.as_slice() {
        // Django: the salt is text, the hash base64.
        ["pbkdf2_sha256", iterations, salt, hash] => {
            of_pbkdf2(sha256, iterations, salt.as_bytes().to_vec(), standard(hash)?)
        }
        ["pbkdf2_sha1", iterations, salt, hash] => {
            of_pbkdf2(sha1, iterations, salt.as_bytes().to_vec(), standard(hash)?)
        }
        ["scrypt", n, salt, r, p, hash] => {
            of_scrypt(log2(n)?, r, p, salt.as_bytes().to_vec(), standard(hash)?)
        }
        ["bcrypt", "", kind, cost, hash] => of_bcrypt(First::Nothing, kind, cost, hash),
        ["bcrypt_sha256", "", kind, cost, hash] => of_bcrypt(First::Hex, kind, cost, hash),
        // passlib.
        ["", "pbkdf2-sha512", rounds, salt, hash] => {
            of_pbkdf2(sha512, rounds, of_passlib(salt)?, of_passlib(hash)?)
        }
        ["", "pbkdf2-sha256", rounds, salt, hash] => {
            of_pbkdf2(sha256, rounds, of_passlib(salt)?, of_passlib(hash)?)
        }
        ["", "pbkdf2", rounds, salt, hash] => of_pbkdf2(sha1, rounds, of_passlib(salt)?, of_passlib(hash)?),
        ["", "bcrypt-sha256", params, salt, hash] => of_bcrypt_sha256(params, salt, hash),
        ["", "scrypt", params, salt, hash] => {
            let [n, r, p] = numbers(params, ["ln", "r", "p"])?;
            let plain = |text: &str| STANDARD_NO_PAD.decode(text).ok();
            of_scrypt(n.parse().ok()?, r, p, plain(salt)?, plain(hash)?)
        }
        ["", kind, cost, hash] => of_bcrypt(First::Nothing, kind, cost, hash),
        // Werkzeug: the salt is text, the hash hexadecimal.
        [method, salt, hash] => {
            let (salt, hash) = (salt.as_bytes().to_vec(), of_hex(hash)?);
            match method.split(':').collect::<Vec<_>>().as_slice() {
                ["pbkdf2", "sha1", iterations] => of_pbkdf2(sha1, iterations, salt, hash),
                ["pbkdf2", "sha256", iterations] => of_pbkdf2(sha256, iterations, salt, hash),
                ["pbkdf2", "sha512", iterations] => of_pbkdf2(sha512, iterations, salt, hash),
                ["scrypt", n, r, p] => of_scrypt(log2(n)?, r, p, salt, hash),
                _ => None,
            }
        }
        _ => None,
    }
}

fn of_bcrypt(first: First, kind: &str, cost: &str, hash: &str) -> Option<Stored> {
    let cost = cost.parse::<u32>().ok().filter(|cost| (4..=COST).contains(cost))?;
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"./".contains(&byte);
    let is_hash = hash.len() == 53 && hash.bytes().all(is_letter);
    (["2a", "2b", "2y"].contains(&kind) && is_hash)
        .then(|| Stored::Bcrypt { first, hash: format!("${kind}${cost:02}${hash}") })
}

/// `v=2,t=2b,r=12` in the second version, `2b,12` in the first.
fn of_bcrypt_sha256(params: &str, salt: &str, hash: &str) -> Option<Stored> {
    let (first, kind, cost) = match numbers(params, ["v", "t", "r"]) {
        Some(["2", kind, cost]) => (First::Keyed(salt.to_owned()), kind, cost),
        Some(_) => return None,
        None => {
            let (kind, cost) = params.split_once(',')?;
            (First::Base64, kind, cost)
        }
    };
    of_bcrypt(first, kind, cost, &format!("{salt}{hash}"))
}

fn of_pbkdf2(algorithm: Algorithm, iterations: &str, salt: Vec<u8>, hash: Vec<u8>) -> Option<Stored> {
    let iterations = iterations.parse::<NonZeroU32>().ok().filter(|number| number.get() <= ITERATIONS)?;
    HASH_BYTES.contains(&hash.len()).then_some(Stored::Pbkdf2 { algorithm, iterations, salt, hash })
}

fn of_scrypt(log_n: u8, r: &str, p: &str, salt: Vec<u8>, hash: Vec<u8>) -> Option<Stored> {
    let (r, p) = (r.parse::<u32>().ok()?, p.parse::<u32>().ok()?);
    let blocks = 1_u64.checked_shl(log_n.into())?.checked_mul(r.into())?;
    let is_bounded = blocks.checked_mul(128)? <= SCRYPT_BYTES
        && blocks.checked_mul(p.into())? <= SCRYPT_WORK
        && u64::from(r).checked_mul(p.into())? <= SCRYPT_LANES;
    if !is_bounded || !HASH_BYTES.contains(&hash.len()) {
        return None;
    }
    // Only now: `new` multiplies r by p in 32 bits.
    let params = scrypt::Params::new(log_n, r, p).ok()?;
    Some(Stored::Scrypt { params, salt, hash })
}

/// The values of `a=1,b=2,c=3`, if these are the names.
fn numbers<'a>(params: &'a str, names: [&str; 3]) -> Option<[&'a str; 3]> {
    let mut parts = params.split(',');
    let mut of = |name: &str| parts.next()?.strip_prefix(name)?.strip_prefix('=');
    let values = [of(names[0])?, of(names[1])?, of(names[2])?];
    parts.next().is_none().then_some(values)
}

/// The exponent of a power of two.
fn log2(number: &str) -> Option<u8> {
    let number = number.parse::<u64>().ok().filter(|number| number.is_power_of_two())?;
    number.trailing_zeros().try_into().ok()
}

/// Base64 with `.` in place of `+`, without padding.
fn of_passlib(text: &str) -> Option<Vec<u8>> {
    const LETTERS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789./";
    GeneralPurpose::new(&Alphabet::new(LETTERS).ok()?, NO_PAD).decode(text).ok()
}

fn of_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> =
        text.chars().map(|c| c.to_digit(16).and_then(|digit| digit.try_into().ok())).collect();
    let digits = digits.filter(|digits| digits.len().is_multiple_of(2))?;
    Some(digits.chunks(2).map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit)).collect())
}

#[cfg(test)]
#[path = "foreign_hash_tests.rs"]
mod tests;
