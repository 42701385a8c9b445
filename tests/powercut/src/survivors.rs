//! Which unflushed sectors are on the medium after a cut: what a disk may do, drawn from the seed.
//!
//! | loss | of the unflushed sectors survive | as |
//! | --- | --- | --- |
//! | all | none | a cache of DRAM |
//! | none | every one, newest version | a cache that was just written out |
//! | torn | each by itself, one to nine of ten | sectors of one write apart |
//! | pages | 4 KiB together, half of them | flash pages |
//! | early | those of writes up to one of them | a queue served in order |
//! | late | those of writes from one of them on | a queue served from its end: reordered |
//!
//! Where a sector was written more than once, *torn* and *pages* may leave an older version.
//! Early and late leave the newest version among the writes that landed.

use holdfast_base::Rng;

/// Number of the write that brought a version: later writes have higher ones.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Version(pub(crate) u64);

/// See the module.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Loss {
    /// Nothing survives.
    All,
    /// Everything survives.
    None,
    /// Each sector by itself survives, so many times of ten.
    Torn(u64),
    /// Each 4 KiB by itself.
    Pages,
    /// Writes up to some moment.
    Early,
    /// Writes from some moment on.
    Late,
}

/// Sectors of a page.
const PAGE_SECTORS: u64 = 8;

impl Loss {
    /// Torn mixtures mostly; of six in a row each kind is there.
    pub(crate) fn draw(turn: u32, rng: &mut impl Rng) -> Loss {
        let tenths = 1 + rng.below(9);
        match turn % 6 {
            0 => Loss::Torn(tenths),
            1 => Loss::Late,
            2 => Loss::Pages,
            3 => Loss::All,
            4 => Loss::Early,
            _ if rng.chance(1, 2) => Loss::None,
            _ => Loss::Torn(tenths),
        }
    }

    /// As shown.
    pub(crate) fn name(self) -> String {
        match self {
            Loss::All => "all lost".to_owned(),
            Loss::None => "none lost".to_owned(),
            Loss::Torn(tenths) => format!("torn, {tenths}/10 kept"),
            Loss::Pages => "4 KiB pages".to_owned(),
            Loss::Early => "early kept".to_owned(),
            Loss::Late => "late kept".to_owned(),
        }
    }
}

/// For each sector, with its versions from the oldest, the index of the one that survives.
pub(crate) fn survivors(
    sectors: &[(u64, Vec<Version>)],
    loss: Loss,
    rng: &mut impl Rng,
) -> Vec<Option<usize>> {
    let newest = |versions: &[Version]| versions.len().checked_sub(1);
    let writes = |pick: fn(u64, u64) -> u64| {
        sectors.iter().flat_map(|(_, all)| all).map(|version| version.0).reduce(pick).unwrap_or(0)
    };
    let (first, last) = (writes(u64::min), writes(u64::max));
    let moment = Version(first + rng.below(last - first + 1));
    let mut page = (u64::MAX, false);
    let mut survivors = Vec::with_capacity(sectors.len());
    for (place, versions) in sectors {
        survivors.push(match loss {
            Loss::All => None,
            Loss::None => newest(versions),
            Loss::Torn(tenths) => rng.chance(tenths, 10).then(|| any(versions, rng)),
            Loss::Pages => {
                let of = place / PAGE_SECTORS;
                if of != page.0 {
                    page = (of, rng.chance(1, 2));
                }
                page.1.then(|| any(versions, rng))
            }
            Loss::Early => versions.iter().rposition(|version| *version <= moment),
            Loss::Late => newest(versions).filter(|last| versions[*last] >= moment),
        });
    }
    survivors
}

/// A version of a sector; none is without one.
fn any(versions: &[Version], rng: &mut impl Rng) -> usize {
    rng.below(versions.len().max(1) as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdfast_base::SplitMix64;

    /// 100 sectors; sector 3 and the pages behind it were written twice.
    fn sectors() -> Vec<(u64, Vec<Version>)> {
        let versions = |place: u64| match place {
            3 | 80.. => vec![Version(place + 1), Version(place + 201)],
            _ => vec![Version(place + 1)],
        };
        (0..100).map(|place| (place, versions(place))).collect()
    }

    fn kept(loss: Loss, seed: u64) -> Vec<Option<usize>> {
        survivors(&sectors(), loss, &mut SplitMix64::new(seed))
    }

    #[test]
    fn the_same_seed_leaves_the_same() {
        for loss in [Loss::Torn(5), Loss::Pages, Loss::Early, Loss::Late] {
            assert_eq!(kept(loss, 1), kept(loss, 1));
        }
        assert_ne!(kept(Loss::Torn(5), 1), kept(Loss::Torn(5), 2));
    }

    #[test]
    fn all_and_none_mean_it() {
        assert!(kept(Loss::All, 1).iter().all(Option::is_none));
        assert!(
            kept(Loss::None, 1)
                .iter()
                .zip(sectors())
                .all(|(which, (_, versions))| { *which == Some(versions.len() - 1) })
        );
    }

    #[test]
    fn torn_keeps_some_and_sometimes_an_older_version() {
        let kept: Vec<_> = (0..20).flat_map(|seed| kept(Loss::Torn(5), seed)).collect();
        assert!(kept.contains(&None) && kept.contains(&Some(1)));
        // Sector 3 has two versions.
        assert!((0..20).any(|seed| self::kept(Loss::Torn(9), seed)[3] == Some(0)));
    }

    #[test]
    fn pages_stay_or_go_together() {
        for seed in 0..20 {
            for page in kept(Loss::Pages, seed).chunks(PAGE_SECTORS as usize) {
                assert!(page.iter().all(|one| one.is_some() == page[0].is_some()));
            }
        }
    }

    #[test]
    fn early_keeps_a_beginning_and_late_an_end() {
        for seed in 0..20 {
            let once = |kept: Vec<Option<usize>>| {
                let of: Vec<bool> = kept[4..80].iter().map(Option::is_some).collect();
                of
            };
            assert!(once(kept(Loss::Early, seed)).is_sorted_by(|a, b| a >= b));
            assert!(once(kept(Loss::Late, seed)).is_sorted());
        }
    }

    #[test]
    fn an_empty_cache_loses_nothing() {
        for loss in [Loss::All, Loss::None, Loss::Torn(5), Loss::Pages, Loss::Early, Loss::Late] {
            assert!(survivors(&[], loss, &mut SplitMix64::new(1)).is_empty());
        }
    }

    #[test]
    fn six_cuts_in_a_row_see_every_kind_but_that_which_loses_nothing() {
        let mut rng = SplitMix64::new(3);
        let drawn: Vec<Loss> = (0..6).map(|turn| Loss::draw(turn, &mut rng)).collect();
        for kind in [Loss::Late, Loss::Pages, Loss::All, Loss::Early] {
            assert!(drawn.contains(&kind), "{kind:?} is not in {drawn:?}");
        }
        assert!(drawn.iter().any(|loss| matches!(loss, Loss::Torn(_))));
    }
}
