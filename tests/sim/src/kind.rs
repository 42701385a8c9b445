//! What kind of cluster a seed simulates. By the seed's last digit, so that a seed stays what it is:
//!
//! | last digit | voters | object store | its log |
//! | --- | --- | --- | --- |
//! | 0, 5, 8 | one | yes | small: trimmed many times in a run |
//! | 6 | three | yes | never trimmed: followers have no snapshot to catch up by |
//! | others | three | no | all there is |

use holdfast_base::Rng;
use holdfast_lane::StoreConfig;

use crate::nemesis::PAUSE_NS_MAX;
use crate::store::LATE_NS_MAX;

const MILLIS: u64 = 1_000_000;

/// See the module.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    ThreeVoters,
    ThreeVotersAndStore,
    OneVoterAndStore,
}

impl Kind {
    pub(crate) fn of(seed: u64) -> Kind {
        match seed % 10 {
            0 | 5 | 8 => Kind::OneVoterAndStore,
            6 => Kind::ThreeVotersAndStore,
            _ => Kind::ThreeVoters,
        }
    }

    pub(crate) fn nodes(self) -> usize {
        if self == Kind::OneVoterAndStore { 1 } else { 3 }
    }

    pub(crate) fn has_store(self) -> bool {
        self != Kind::ThreeVoters
    }

    /// Its log is given back to itself piece by piece.
    pub(crate) fn is_trimmed(self) -> bool {
        self == Kind::OneVoterAndStore
    }

    /// Small and often, so that one run sees what takes a cluster days.
    pub(crate) fn draw_store(self, rng: &mut impl Rng) -> Option<StoreConfig> {
        if !self.has_store() {
            return None;
        }
        let object_bytes = [8 << 10, 40 << 10, 150 << 10, 700 << 10][rng.below(4) as usize];
        let object_age_ns = (200 << rng.below(4)) * MILLIS;
        let checkpoint_every_ns = (300 << rng.below(4)) * MILLIS;
        // Longer than a PUT may be late.
        let delete_after_ns = LATE_NS_MAX + (100 + rng.below(2_000)) * MILLIS;
        // As long; where others vote, as long as one of them may stand still and then go on with what
        // it had in hand.
        let delete_again_after_ns =
            if self.nodes() == 1 { 2 * LATE_NS_MAX } else { 2 * LATE_NS_MAX + PAUSE_NS_MAX };
        // Half of it has room for a state to be kept and for readers to leave.
        let deletion_delay_ns = 2 * (delete_after_ns + 2 * checkpoint_every_ns);
        Some(StoreConfig {
            object_bytes,
            object_age_ns,
            checkpoint_every_ns,
            delete_after_ns,
            delete_again_after_ns,
            deletion_delay_ms: (deletion_delay_ns / MILLIS) as i64,
            merge_every_ns: (300 << rng.below(4)) * MILLIS,
            scrub_every_ns: 20_000_000_000,
        })
    }
}
