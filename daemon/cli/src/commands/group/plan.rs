//! Which offsets a reset would commit: a pure function over what is known of each partition.
//!
//! | asked for | new offset | kept within start and end |
//! | --- | --- | --- |
//! | earliest, latest | start, end | – |
//! | an offset N | N | yes |
//! | a time | first record at or after it, else the end | yes |
//! | a shift ±N | committed ± N | yes; without a committed offset the partition is left alone |
//!
//! Invariant: a planned offset lies within start and end of its partition, or the group would
//! jump by its own reset policy instead.

use super::lag::Place;
use crate::offsets::Target;

/// What is known of a partition.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Known {
    pub(crate) place: Place,
    pub(crate) committed: Option<i64>,
    pub(crate) start: i64,
    pub(crate) end: i64,
    /// First offset at the time asked for; −1 or `None`: no record is so young.
    pub(crate) at_time: Option<i64>,
}

/// What would become of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Planned {
    pub(crate) place: Place,
    pub(crate) before: Option<i64>,
    /// `None`: left alone.
    pub(crate) after: Option<i64>,
    pub(crate) lag_after: Option<i64>,
    pub(crate) note: &'static str,
}

/// See the table above.
pub(crate) fn plan(target: Target, partitions: &[Known]) -> Vec<Planned> {
    partitions.iter().map(|known| plan_one(target, known)).collect()
}

fn plan_one(target: Target, known: &Known) -> Planned {
    let (wanted, mut note) = match target {
        Target::Start => (Some(known.start), ""),
        Target::End => (Some(known.end), ""),
        Target::Offset(offset) => (Some(offset), ""),
        Target::Time(_) => match known.at_time.filter(|offset| *offset >= 0) {
            Some(offset) => (Some(offset), ""),
            None => (Some(known.end), "no record since then: the end"),
        },
        Target::Shift(by) => match known.committed {
            Some(committed) => (Some(committed.saturating_add(by)), ""),
            None => (None, "nothing committed: left alone"),
        },
    };
    let end = known.end.max(known.start);
    let after = wanted.map(|wanted| wanted.clamp(known.start, end));
    if let (Some(wanted), Some(after)) = (wanted, after) {
        if wanted < after {
            note = "raised to the start";
        } else if wanted > after {
            note = "lowered to the end";
        } else if known.committed == Some(after) {
            note = "unchanged";
        }
    }
    Planned {
        place: known.place.clone(),
        before: known.committed,
        after,
        lag_after: after.or(known.committed).map(|offset| (end - offset).max(0)),
        note,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_is_planned_within_start_and_end() {
        let lag = |after: i64| Some(20 - after);
        // target, committed, at_time -> after, note; the partition holds 10 to 20
        for (target, committed, at_time, after, note) in [
            (Target::Start, Some(15), None, 10, ""),
            (Target::Start, None, None, 10, ""),
            (Target::Start, Some(10), None, 10, "unchanged"),
            (Target::End, Some(15), None, 20, ""),
            (Target::Offset(12), Some(15), None, 12, ""),
            (Target::Offset(3), Some(15), None, 10, "raised to the start"),
            (Target::Offset(33), Some(15), None, 20, "lowered to the end"),
            (Target::Time(5), Some(15), Some(13), 13, ""),
            (Target::Time(5), Some(15), Some(-1), 20, "no record since then: the end"),
            (Target::Time(5), None, None, 20, "no record since then: the end"),
            (Target::Shift(-2), Some(15), None, 13, ""),
            (Target::Shift(2), Some(15), None, 17, ""),
            (Target::Shift(-99), Some(15), None, 10, "raised to the start"),
            (Target::Shift(i64::MAX), Some(15), None, 20, "lowered to the end"),
        ] {
            let place = ("t".to_owned(), 3);
            let known = Known { place: place.clone(), committed, start: 10, end: 20, at_time };
            let expected = Planned {
                place,
                before: committed,
                after: Some(after),
                lag_after: lag(after),
                note,
            };
            assert_eq!(plan(target, &[known]), [expected], "{target:?} from {committed:?}");
        }
    }

    #[test]
    fn a_shift_needs_something_to_shift_from() {
        let place = ("t".to_owned(), 0);
        let known = Known { place, committed: None, start: 0, end: 9, at_time: None };
        let planned = plan(Target::Shift(1), &[known]);
        assert_eq!((planned[0].after, planned[0].lag_after), (None, None));
        assert_eq!(planned[0].note, "nothing committed: left alone");
    }
}
