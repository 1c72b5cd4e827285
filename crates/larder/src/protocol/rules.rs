//! The rules whose breach has been seen to serve stale data. Production keeps them all; a proof may break one, to show
//! that it would be caught.

/// One rule. Each names the mutant that breaks it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rule {
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
    SkipsOnlyTold,
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
pub struct Rules {
    #[cfg(feature = "proof")]
    broken: Broken,
}

/// Which rules are broken.
#[cfg(feature = "proof")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
enum Broken {
    #[default]
    None,
    One(Rule),
    All,
}

impl Rules {
    /// Whether `rule` is kept. Always, outside a proof.
    #[inline]
    pub fn keep(self, rule: Rule) -> bool {
        #[cfg(feature = "proof")]
        return match self.broken {
            Broken::None => true,
            Broken::One(broken) => broken != rule,
            Broken::All => false,
        };
        #[cfg(not(feature = "proof"))]
        {
            let _ = rule;
            true
        }
    }
}

#[cfg(feature = "proof")]
impl Rules {
    /// The protocol without `rule`.
    pub fn without(rule: Rule) -> Self {
        Rules { broken: Broken::One(rule) }
    }

    /// What most caches do: none of the rules.
    pub fn naive() -> Self {
        Rules { broken: Broken::All }
    }
}

#[cfg(feature = "proof")]
impl Rule {
    /// All of them, in the order of the list of mutants.
    pub const ALL: [Rule; 14] = [
        Rule::FillComparesLease,
        Rule::JoinsNoPast,
        Rule::LoadsThePresent,
        Rule::FillerInsertsNothing,
        Rule::InsertsOnlyTracked,
        Rule::InsertsNothingLate,
        Rule::UsesOnlyCertified,
        Rule::CertifiesAfterReplay,
        Rule::SkipsOnlyTold,
        Rule::PutsUnderPermit,
        Rule::KeepsUnderAnchor,
        Rule::ComparesDigests,
        Rule::NamesItsDatabase,
        Rule::AttestsSilence,
    ];

    /// The name of the mutant that breaks it.
    pub fn mutant(self) -> &'static str {
        match self {
            Rule::FillComparesLease => "plain-set",
            Rule::JoinsNoPast => "blind-join",
            Rule::LoadsThePresent => "old-snapshot",
            Rule::FillerInsertsNothing => "insert-on-fill",
            Rule::InsertsOnlyTracked => "untracked-insert",
            Rule::InsertsNothingLate => "late-insert",
            Rule::UsesOnlyCertified => "no-certificate",
            Rule::CertifiesAfterReplay => "no-replay",
            Rule::SkipsOnlyTold => "blind-skip",
            Rule::PutsUnderPermit => "blind-put",
            Rule::KeepsUnderAnchor => "unwatched-copy",
            Rule::ComparesDigests => "any-shape",
            Rule::NamesItsDatabase => "shared-keys",
            Rule::AttestsSilence => "trust-silence",
        }
    }
}
