//! A user's present authentication state, against which the token of every request is checked.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::domain::identity::UserId;
use crate::domain::permission::Permission;
use crate::domain::role::Role;

/// The state that decides whether a token of this user is valid. It contains no secret, so it may be cached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthState {
    /// The user.
    pub user_id: UserId,
    /// The present role; a token carries none.
    pub role: Role,
    /// Tokens of an inactive user are not valid.
    pub is_active: bool,
    /// Increases with every password change and deactivation; 0 for a user without a password.
    pub epoch: i64,
    /// The sessions that were live when this state was read, in no order.
    pub sessions: Vec<Uuid>,
    /// The permissions, which add to the role, in no order.
    pub permissions: Vec<Permission>,
}

impl AuthState {
    /// Whether a token of session `sid` and of `epoch` is valid.
    ///
    /// The epochs are compared for equality, and no times are compared. So a token that was issued in the same second
    /// as a change of the password, but before the change, is invalid too.
    pub fn admits(&self, sid: Uuid, epoch: i64) -> bool {
        self.is_active && self.epoch == epoch && self.sessions.contains(&sid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_needs_its_session_its_epoch_and_an_active_user() {
        let sid = Uuid::now_v7();
        let state = AuthState {
            user_id: UserId::generate(),
            role: Role::User,
            is_active: true,
            epoch: 3,
            sessions: vec![sid],
            permissions: vec![],
        };
        assert!(state.admits(sid, 3));
        assert!(!state.admits(sid, 2) && !state.admits(sid, 4));
        assert!(!state.admits(Uuid::now_v7(), 3));
        assert!(!AuthState { is_active: false, ..state }.admits(sid, 3));
    }
}
