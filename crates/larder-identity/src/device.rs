//! Known devices. After a login the device gets a proof that it belongs to the account, and sends this proof with its
//! next login.
//!
//! A proof does not log its sender in: it selects the budget. A login with a valid proof is limited by the failures of that
//! device, not by those of the account or the address ([`limits`](crate::limits)). So a client that uses up these two
//! budgets does not lock out the owner of the account.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

use crate::secret_key::SecretKey;

const PREFIX: &str = "ld_";
const ID_BYTES: usize = 16;

/// Issues and verifies proofs. Processes with the same secret accept the proofs of each other.
pub struct Devices(hmac::Key);

/// A device that is known to belong to a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownDevice {
    /// The user.
    pub user: Uuid,
    /// The device's own id, random.
    pub id: Uuid,
}

impl Devices {
    /// Derives the key of the proofs from `secret`, which has at least 256 random bits.
    pub fn new(secret: &[u8]) -> Self {
        let key = SecretKey::derived("larder devices", secret);
        Self(hmac::Key::new(hmac::HMAC_SHA256, key.expose()))
    }

    /// Makes the proof for a device that has just logged in and was not known: a new random id, authenticated together
    /// with the user's id.
    pub fn issue(&self, user: Uuid) -> String {
        let mut bytes = [user.into_bytes(), Uuid::new_v4().into_bytes()].concat();
        let tag = hmac::sign(&self.0, &bytes);
        bytes.extend_from_slice(tag.as_ref());
        format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))
    }

    /// The device that a proof names; `None` if no process with this secret issued the proof.
    pub fn verify(&self, proof: &str) -> Option<KnownDevice> {
        let bytes = URL_SAFE_NO_PAD.decode(proof.strip_prefix(PREFIX)?).ok()?;
        let (named, tag) = bytes.split_at_checked(2 * ID_BYTES)?;
        hmac::verify(&self.0, named, tag).ok()?;
        let (user, id) = named.split_at(ID_BYTES);
        Some(KnownDevice { user: Uuid::from_slice(user).ok()?, id: Uuid::from_slice(id).ok()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_is_for_its_user_and_cannot_be_changed() {
        let (devices, ann) = (Devices::new(&[1; 32]), Uuid::now_v7());
        let proof = devices.issue(ann);
        let known = devices.verify(&proof).unwrap();
        assert_eq!(known.user, ann);
        assert_eq!(Devices::new(&[1; 32]).verify(&proof), Some(known), "another process");
        assert_eq!(Devices::new(&[2; 32]).verify(&proof), None, "another installation");
        assert_ne!(devices.verify(&devices.issue(ann)).unwrap().id, known.id);
        for at in [3, 30, proof.len() - 1] {
            let mut forged = proof.clone().into_bytes();
            forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
            assert_eq!(devices.verify(std::str::from_utf8(&forged).unwrap()), None, "{at}");
        }
        for junk in ["", "ld_", "ld_AAAA", &proof[3..], &proof[..60]] {
            assert_eq!(devices.verify(junk), None, "{junk}");
        }
    }
}
