//! Password hashes that other systems made: bcrypt and PBKDF2, as Django and passlib write them. Passwords can be
//! compared with them. They count as outdated, so that the service replaces them at the next login.

use std::num::NonZeroU32;

use aws_lc_rs::pbkdf2::{self, Algorithm, PBKDF2_HMAC_SHA1, PBKDF2_HMAC_SHA256, PBKDF2_HMAC_SHA512};
use base64::Engine as _;
use base64::alphabet::Alphabet;
use base64::engine::general_purpose::{GeneralPurpose, NO_PAD, STANDARD};
use sha2::{Digest as _, Sha256};

/// The most iterations of PBKDF2 and the greatest cost of bcrypt that this module computes: a hash in the database must
/// not occupy a thread for minutes. Django 5.2 uses 1,000,000 iterations, and bcrypt's usual cost is 12.
const ITERATIONS: u32 = 10_000_000;
const COST: u32 = 16;

/// Whether `password` has this hash; `false` if the format of the hash is unknown.
pub(crate) fn verify(password: &[u8], stored: &str) -> bool {
    let verified = match stored.split_once('$') {
        Some(("pbkdf2_sha256", rest)) => django(PBKDF2_HMAC_SHA256, password, rest),
        Some(("pbkdf2_sha1", rest)) => django(PBKDF2_HMAC_SHA1, password, rest),
        Some(("bcrypt", hash)) => bcrypt(password, hash),
        // Django hashes the password with SHA-256 first, because bcrypt reads only the first 72 bytes.
        Some(("bcrypt_sha256", hash)) => bcrypt(hex(password).as_bytes(), hash),
        Some(("", rest)) => match rest.split_once('$') {
            Some(("pbkdf2-sha512", rest)) => passlib(PBKDF2_HMAC_SHA512, password, rest),
            Some(("pbkdf2-sha256", rest)) => passlib(PBKDF2_HMAC_SHA256, password, rest),
            Some(("pbkdf2", rest)) => passlib(PBKDF2_HMAC_SHA1, password, rest),
            Some(("2a" | "2b" | "2y", _)) => bcrypt(password, stored),
            _ => None,
        },
        _ => None,
    };
    verified.unwrap_or(false)
}

/// Whether this module can compare a password with the hash: its form is known, and its cost is bounded.
pub(crate) fn is_known(stored: &str) -> bool {
    // This check parses the hash and compares no password with it, because each comparison would compute an expensive
    // hash.
    let parts: Vec<_> = stored.split('$').collect();
    let is_bounded =
        |number: &str| number.parse::<u32>().is_ok_and(|number| (1..=ITERATIONS).contains(&number));
    let is_bcrypt = |parts: &[&str]| match parts {
        ["2a" | "2b" | "2y", cost, hash] => {
            let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"./".contains(&byte);
            cost.parse::<u32>().is_ok_and(|cost| (4..=COST).contains(&cost))
                && hash.len() == 53
                && hash.bytes().all(is_letter)
        }
        _ => false,
    };
    match parts.as_slice() {
        ["pbkdf2_sha256" | "pbkdf2_sha1", iterations, _, hash] => {
            is_bounded(iterations) && STANDARD.decode(hash).is_ok_and(|hash| hash.len() >= 20)
        }
        ["", "pbkdf2" | "pbkdf2-sha256" | "pbkdf2-sha512", rounds, _, hash] => {
            is_bounded(rounds) && hash.len() >= 27
        }
        ["bcrypt" | "bcrypt_sha256", "", rest @ ..] => is_bcrypt(rest),
        ["", rest @ ..] => is_bcrypt(rest),
        _ => false,
    }
}

/// `iterations$salt$hash`: the salt is text, the hash base64.
fn django(algorithm: Algorithm, password: &[u8], rest: &str) -> Option<bool> {
    let mut parts = rest.split('$');
    let (iterations, salt, hash) = (parts.next()?, parts.next()?, parts.next()?);
    compare(algorithm, iterations, salt.as_bytes(), password, &STANDARD.decode(hash).ok()?)
}

/// `rounds$salt$hash`: both are base64 with `.` in place of `+`, without padding.
fn passlib(algorithm: Algorithm, password: &[u8], rest: &str) -> Option<bool> {
    const LETTERS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789./";
    let engine = GeneralPurpose::new(&Alphabet::new(LETTERS).ok()?, NO_PAD);
    let mut parts = rest.split('$');
    let (rounds, salt, hash) = (parts.next()?, parts.next()?, parts.next()?);
    compare(algorithm, rounds, &engine.decode(salt).ok()?, password, &engine.decode(hash).ok()?)
}

fn compare(
    algorithm: Algorithm,
    iterations: &str,
    salt: &[u8],
    password: &[u8],
    hash: &[u8],
) -> Option<bool> {
    let iterations = iterations.parse::<NonZeroU32>().ok().filter(|number| number.get() <= ITERATIONS)?;
    // A shorter hash could match another password by chance.
    let is_long_enough = hash.len() >= 20;
    Some(is_long_enough && pbkdf2::verify(algorithm, iterations, salt, password, hash).is_ok())
}

fn bcrypt(password: &[u8], hash: &str) -> Option<bool> {
    // `$2b$12$…`
    let cost: u32 = hash.split('$').nth(2)?.parse().ok()?;
    if cost > COST {
        return None;
    }
    bcrypt::verify(password, hash).ok()
}

fn hex(password: &[u8]) -> String {
    Sha256::digest(password).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWORD: &str = "correct horse battery";
    const HASHES: [&str; 9] = [
        "pbkdf2_sha256$1000$seasalt2$/AgPzJG5e6Yv25JIyxyWfNnB6QXmfp0Y+BEGfC3zoJE=",
        "pbkdf2_sha1$1000$seasalt2$ZXKgkKtGgMyeFjSN97n9NWVUzUU=",
        "$pbkdf2-sha256$1000$MDEyMzQ1Njc4OWFiY2RlZg$BVALGMmC/K/8ELErc5VgJxyPFApArIZRCQsqjEgZWJ4",
        "$pbkdf2-sha512$1000$MDEyMzQ1Njc4OWFiY2RlZg$7F/Y1rnWXXurLCfFvAmyjyXtbABhgzBTBNcm//wlnvGBOz7OExlgRFs5qwaY5PzB3/WjR7P4yv/ACDQZpDXIfQ",
        "$pbkdf2$1000$MDEyMzQ1Njc4OWFiY2RlZg$rDjxw4qmzpl4HTyqLNYNsdE5Zi4",
        "$2b$04$c6OiGSwDENz7AGiTPczhZeN4JXUsZLsUqFRtPgWLbGU2qTlHZ1Ly6",
        "$2a$04$c6OiGSwDENz7AGiTPczhZeN4JXUsZLsUqFRtPgWLbGU2qTlHZ1Ly6",
        "bcrypt$$2b$04$c6OiGSwDENz7AGiTPczhZeN4JXUsZLsUqFRtPgWLbGU2qTlHZ1Ly6",
        "bcrypt_sha256$$2b$04$wMCZAb1g.scjv3tG6BXf1OuBpTM3V3eSu0gymB6BF6Gr/4qcOKs86",
    ];

    #[test]
    fn hashes_of_django_and_passlib_verify_and_nothing_else_does() {
        for hash in HASHES {
            assert!(is_known(hash) && verify(PASSWORD.as_bytes(), hash), "{hash}");
            assert!(!verify(b"correct house battery", hash), "{hash}");
        }
        for hash in [
            "",
            "x",
            "$",
            "md5$a$0123456789abcdef0123456789abcdef",
            "pbkdf2_sha256$0$salt$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
            "pbkdf2_sha256$4000000000$salt$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
            "pbkdf2_sha256$1$salt$",
            "$pbkdf2-sha256$1$AAAA$",
            "$2b$31$abcdefghijklmnopqrstuuabcdefghijklmnopqrstuabcdefghijklmn",
            "$2b$04$short",
        ] {
            assert!(!is_known(hash) && !verify(PASSWORD.as_bytes(), hash), "{hash}");
        }
    }
}
