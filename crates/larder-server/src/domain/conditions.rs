//! The conditions of a request about the present state (RFC 9110, section 13): `If-Match` and `If-None-Match`.

/// The states that a write requires and the states that it refuses. The default allows every state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conditions<T> {
    /// The present state must be one of these; `None`: every state is allowed.
    pub one_of: Option<Vec<T>>,
    /// The present state must be none of these.
    pub none_of: Vec<T>,
    /// There must be no present state (`If-None-Match: *`).
    pub nothing: bool,
}

impl<T> Default for Conditions<T> {
    fn default() -> Self {
        Self { one_of: None, none_of: Vec::new(), nothing: false }
    }
}

impl<T: PartialEq> Conditions<T> {
    /// Whether there is no condition, so that every state is allowed.
    pub fn is_empty(&self) -> bool {
        self.one_of.is_none() && self.none_of.is_empty() && !self.nothing
    }

    /// Whether the state `present` fulfils the conditions.
    pub fn admit(&self, present: &T) -> bool {
        self.one_of.as_ref().is_none_or(|one_of| one_of.contains(present))
            && !self.none_of.contains(present)
            && !self.nothing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_has_to_fulfil_every_condition() {
        let any = Conditions::default();
        assert!(any.is_empty() && any.admit(&3));
        for (one_of, none_of, nothing, admits) in [
            (Some(vec![2, 3]), vec![], false, true),
            (Some(vec![2]), vec![], false, false),
            (Some(vec![]), vec![], false, false),
            (None, vec![2], false, true),
            (None, vec![2, 3], false, false),
            (Some(vec![3]), vec![3], false, false),
            (None, vec![], true, false),
        ] {
            let conditions = Conditions { one_of, none_of, nothing };
            assert!(!conditions.is_empty());
            assert_eq!(conditions.admit(&3), admits, "{conditions:?}");
        }
    }
}
