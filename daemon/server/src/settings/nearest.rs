//! What was probably meant by a name nobody knows.
//!
//! Optimal string alignment: insertions, deletions, replacements and swapped neighbours count one
//! each, since a swap is what fingers do.

/// Names further apart than this many edits are not near misses.
const EDITS_MAX: usize = 4;

/// The nearest of `names`, if it is near: few edits, and most of the name is right.
pub(crate) fn nearest<'a>(
    meant: &str,
    names: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let normal = |name: &str| name.to_ascii_lowercase().replace(['_', '-', '.'], ".");
    let meant = normal(meant);
    let allowed = EDITS_MAX.min(meant.len() / 3);
    names
        .into_iter()
        .map(|name| (edits(meant.as_bytes(), normal(name).as_bytes()), name))
        .min()
        .filter(|(edits, _)| *edits <= allowed)
        .map(|(_, name)| name)
}

fn edits(a: &[u8], b: &[u8]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let replaced = last[j] + usize::from(x != y);
            let mut best = replaced.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *x == b[j - 1] && a[i - 1] == *y {
                best = best.min(before[j - 1] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_found_and_far_ones_are_not() {
        let names = ["wal.size", "wal.backend", "memory.tail_cache", "log.level"];
        for (meant, name) in [
            ("wal.szie", "wal.size"),
            ("walsize", "wal.size"),
            ("memory.tail-cache", "memory.tail_cache"),
            ("memory.tailcache", "memory.tail_cache"),
            ("WAL.BACKEN", "wal.backend"),
            ("log.levle", "log.level"),
        ] {
            assert_eq!(nearest(meant, names), Some(name), "{meant}");
        }
        for far in ["x", "retention", "ssl.keystore"] {
            assert_eq!(nearest(far, names), None, "{far}");
        }
    }
}
