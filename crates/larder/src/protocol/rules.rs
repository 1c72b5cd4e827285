//! The rules whose breach has been seen to serve stale data. Production keeps them all; a proof may break one, to show
//! that it would be caught.

/// One rule. Each names the mutant that breaks it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProtocolRule {
    /// A fill is a compare-and-set against its lease. Mutant `plain-set`.
    FillComparesLease,
    /// Nobody joins a flight that began before a write which it must see. Mutant `blind-join`.
    JoinsNoPast,
    /// A loader reads the present state, not an older snapshot. The loader's to keep. Mutant `old-snapshot`.
    #[cfg(feature = "proof")]
    LoadsThePresent,
    /// The filler leaves memory alone. Mutant `insert-on-fill`.
    FillerInsertsNothing,
    /// Only the reply of a tracked read enters memory. Mutant `untracked-insert`.
    InsertsOnlyTracked,
    /// Nothing enters memory whose shard heard of an invalidation since the read was sent. Mutant `late-insert`.
    InsertsNothingLate,
    /// Only a certified Redis is used, and only while its watermark is young. Mutant `no-certificate`.
    UsesOnlyCertified,
    /// A Redis is certified only after what it missed was replayed. Mutant `no-replay`.
    CertifiesAfterReplay,
    /// A pass leaves out only what has been told, in the same step as its names were left there. Mutant `blind-skip`.
    SkipsOnlyPropagated,
    /// A value that was computed is put only by its permit, which every invalidation voids. Mutant `blind-put`.
    PutsUnderPermit,
    /// What a load of a memory-only class brought enters memory only if the read that saw its anchor is still watched: no
    /// report of the key came since. Mutant `unwatched-copy`.
    KeepsUnderAnchor,
    /// An entry is served only if its digest is that of what this process decodes. Mutant `any-shape`.
    ComparesDigests,
    /// A key in Redis names the database behind it. Mutant `shared-keys`.
    NamesItsDatabase,
    /// A journal's silence is believed only if what its completeness rests on is attested as it was at the position, and is
    /// whole. The journal's to keep. Mutant `trust-silence`.
    #[cfg(feature = "proof")]
    AttestsSilence,
}

/// The protocol's rules; with the feature `proof`, perhaps without one of them.
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
    /// Whether `rule` is kept. Always, outside a proof.
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

    /// What most caches do: none of the rules.
    pub fn naive() -> Self {
        ProtocolRules { broken: BrokenRules::All }
    }
}

#[cfg(feature = "proof")]
impl ProtocolRule {
    /// All of them, in the order of the list of mutants.
    pub const ALL: [ProtocolRule; 14] = [
        ProtocolRule::FillComparesLease,
        ProtocolRule::JoinsNoPast,
        ProtocolRule::LoadsThePresent,
        ProtocolRule::FillerInsertsNothing,
        ProtocolRule::InsertsOnlyTracked,
        ProtocolRule::InsertsNothingLate,
        ProtocolRule::UsesOnlyCertified,
        ProtocolRule::CertifiesAfterReplay,
        ProtocolRule::SkipsOnlyPropagated,
        ProtocolRule::PutsUnderPermit,
        ProtocolRule::KeepsUnderAnchor,
        ProtocolRule::ComparesDigests,
        ProtocolRule::NamesItsDatabase,
        ProtocolRule::AttestsSilence,
    ];

    /// The name of the mutant that breaks it.
    pub fn mutant(self) -> &'static str {
        match self {
            ProtocolRule::FillComparesLease => "plain-set",
            ProtocolRule::JoinsNoPast => "blind-join",
            ProtocolRule::LoadsThePresent => "old-snapshot",
            ProtocolRule::FillerInsertsNothing => "insert-on-fill",
            ProtocolRule::InsertsOnlyTracked => "untracked-insert",
            ProtocolRule::InsertsNothingLate => "late-insert",
            ProtocolRule::UsesOnlyCertified => "no-certificate",
            ProtocolRule::CertifiesAfterReplay => "no-replay",
            ProtocolRule::SkipsOnlyPropagated => "blind-skip",
            ProtocolRule::PutsUnderPermit => "blind-put",
            ProtocolRule::KeepsUnderAnchor => "unwatched-copy",
            ProtocolRule::ComparesDigests => "any-shape",
            ProtocolRule::NamesItsDatabase => "shared-keys",
            ProtocolRule::AttestsSilence => "trust-silence",
        }
    }
}
