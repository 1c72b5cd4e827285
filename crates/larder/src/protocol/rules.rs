//! The rules of the protocol whose breach has produced stale reads. Production keeps all of them. A proof breaks one,
//! to show that its checks find the breach.

/// One rule, stated as an invariant, with the name of the mutant that breaks it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProtocolRule {
    /// A fill stores its entry only if its lease is still under the key. Mutant `plain-set`.
    FillComparesLease,
    /// A renewal extends a lease only if that lease is still under the key, and never sets one. Mutant `blind-renewal`.
    RenewsOnlyItsLease,
    /// No read joins a flight that began before a write which the read must see. Mutant `blind-join`.
    JoinsNoPast,
    /// A loader reads the database's state at a moment after its load began, not an older snapshot. The loader has to
    /// keep this rule. Mutant `old-snapshot`.
    #[cfg(feature = "proof")]
    LoadsThePresent,
    /// The read that fills Redis inserts nothing into memory. Mutant `insert-on-fill`.
    FillerInsertsNothing,
    /// Every copy that memory takes from Redis comes from the reply to a tracked read. Mutant `untracked-insert`.
    InsertsOnlyTracked,
    /// A reply enters memory only if no invalidation reached its shard since the read was sent. Mutant `late-insert`.
    InsertsNothingLate,
    /// A Redis is used only if it carries the expected certificate and its watermark is younger than the bound. Mutant
    /// `no-certificate`.
    UsesOnlyCertified,
    /// A Redis is certified only after the changes that it missed have been propagated to it. Mutant `no-replay`.
    CertifiesAfterReplay,
    /// A poll leaves out a change only if one step in this Redis unlinked what the change touched and recorded its id.
    /// Mutant `blind-skip`.
    SkipsOnlyPropagated,
    /// A computed value, and the value of a refresh, is put only under a valid permit, and every invalidation of its key
    /// or tags voids the permit. Mutant `blind-put`.
    PutsUnderPermit,
    /// A read whose load failed gets the last known entry only if no invalidation has reached it. Mutant `stale-grace`.
    ServesStaleOnlyValid,
    /// A loaded value of a memory-only class enters memory only if no push named its key since the tracked read that
    /// saw its anchor. Mutant `unwatched-copy`.
    KeepsUnderAnchor,
    /// An entry is served only if its digest equals the digest of the value that this process decodes. Mutant
    /// `any-shape`.
    ComparesDigests,
    /// Each key in Redis except the claim contains the identity of the database behind it. Mutant `shared-keys`.
    NamesItsDatabase,
    /// An empty answer of the journal counts as "nothing changed" only if the journal is complete and its attestation
    /// (a digest of what the completeness depends on) equals the attestation in the position. The journal has to keep
    /// this rule. Mutant `trust-silence`.
    #[cfg(feature = "proof")]
    AttestsSilence,
}

/// The rules that are kept: all of them, or, with the feature `proof`, all but one, or none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ProtocolRules {
    #[cfg(feature = "proof")]
    broken: BrokenRules,
}

/// Which rules are broken.
#[cfg(feature = "proof")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
enum BrokenRules {
    #[default]
    None,
    One(ProtocolRule),
    All,
}

impl ProtocolRules {
    /// Whether `rule` is kept. Without the feature `proof` this is always true.
    #[inline]
    pub fn keeps(self, rule: ProtocolRule) -> bool {
        #[cfg(feature = "proof")]
        return match self.broken {
            BrokenRules::None => true,
            BrokenRules::One(broken) => broken != rule,
            BrokenRules::All => false,
        };
        #[cfg(not(feature = "proof"))]
        {
            let _ = rule;
            true
        }
    }
}

#[cfg(feature = "proof")]
impl ProtocolRules {
    /// The protocol without `rule`.
    pub fn without(rule: ProtocolRule) -> Self {
        ProtocolRules { broken: BrokenRules::One(rule) }
    }

    /// All rules are broken: a cache without larder's protocol.
    pub fn naive() -> Self {
        ProtocolRules { broken: BrokenRules::All }
    }
}

#[cfg(feature = "proof")]
impl ProtocolRule {
    /// All rules, in the order of the list of mutants.
    pub const ALL: [ProtocolRule; 16] = [
        ProtocolRule::FillComparesLease,
        ProtocolRule::RenewsOnlyItsLease,
        ProtocolRule::JoinsNoPast,
        ProtocolRule::LoadsThePresent,
        ProtocolRule::FillerInsertsNothing,
        ProtocolRule::InsertsOnlyTracked,
        ProtocolRule::InsertsNothingLate,
        ProtocolRule::UsesOnlyCertified,
        ProtocolRule::CertifiesAfterReplay,
        ProtocolRule::SkipsOnlyPropagated,
        ProtocolRule::PutsUnderPermit,
        ProtocolRule::ServesStaleOnlyValid,
        ProtocolRule::KeepsUnderAnchor,
        ProtocolRule::ComparesDigests,
        ProtocolRule::NamesItsDatabase,
        ProtocolRule::AttestsSilence,
    ];

    /// The name of the mutant that breaks this rule.
    pub fn mutant(self) -> &'static str {
        match self {
            ProtocolRule::FillComparesLease => "plain-set",
            ProtocolRule::RenewsOnlyItsLease => "blind-renewal",
            ProtocolRule::JoinsNoPast => "blind-join",
            ProtocolRule::LoadsThePresent => "old-snapshot",
            ProtocolRule::FillerInsertsNothing => "insert-on-fill",
            ProtocolRule::InsertsOnlyTracked => "untracked-insert",
            ProtocolRule::InsertsNothingLate => "late-insert",
            ProtocolRule::UsesOnlyCertified => "no-certificate",
            ProtocolRule::CertifiesAfterReplay => "no-replay",
            ProtocolRule::SkipsOnlyPropagated => "blind-skip",
            ProtocolRule::PutsUnderPermit => "blind-put",
            ProtocolRule::ServesStaleOnlyValid => "stale-grace",
            ProtocolRule::KeepsUnderAnchor => "unwatched-copy",
            ProtocolRule::ComparesDigests => "any-shape",
            ProtocolRule::NamesItsDatabase => "shared-keys",
            ProtocolRule::AttestsSilence => "trust-silence",
        }
    }
}
