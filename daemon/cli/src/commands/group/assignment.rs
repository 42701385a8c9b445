//! Which partitions a member was given, out of the bytes the group's leader wrote.
//!
//! ```text
//! version 2 │ topics 4 │ topic: length 2, name, partitions 4, each 4 │ user data │
//! ```
//!
//! The bytes come from a client, not from a node: every count is checked against what is left
//! before it is believed. What cannot be read is shown as no assignment.

/// Topic and partition, in the order written; `None` when the bytes are not an assignment.
pub(crate) fn parse(bytes: &[u8]) -> Option<Vec<(String, i32)>> {
    let mut rest = bytes;
    let _version = i16::from_be_bytes(take(&mut rest)?);
    let mut assigned = Vec::new();
    for _ in 0..count(&mut rest, 6)? {
        let length = usize::try_from(i16::from_be_bytes(take(&mut rest)?)).ok()?;
        let (name, behind) = rest.split_at_checked(length)?;
        rest = behind;
        let name = std::str::from_utf8(name).ok()?;
        for _ in 0..count(&mut rest, 4)? {
            assigned.push((name.to_owned(), i32::from_be_bytes(take(&mut rest)?)));
        }
    }
    Some(assigned)
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (head, behind) = rest.split_first_chunk::<N>()?;
    *rest = behind;
    Some(*head)
}

/// A count of items of at least so many bytes.
fn count(rest: &mut &[u8], item_bytes_min: usize) -> Option<usize> {
    let count = usize::try_from(i32::from_be_bytes(take(rest)?)).ok()?;
    (count <= rest.len() / item_bytes_min).then_some(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_assignment_reads_back_and_lies_about_counts_do_not() {
        let bytes = b"\0\x01\0\0\0\x01\0\x02ab\0\0\0\x02\0\0\0\0\0\0\0\x07\xff\xff\xff\xff";
        assert_eq!(parse(bytes), Some(vec![("ab".to_owned(), 0), ("ab".to_owned(), 7)]));
        assert_eq!(parse(b"\0\0\x7f\xff\xff\xff"), None);
        assert_eq!(parse(b"\0\0\0\0\0\x01\0\x02ab\x7f\xff\xff\xff"), None);
        assert_eq!(parse(b""), None);
        for end in 0..bytes.len() - 4 {
            assert_eq!(parse(&bytes[..end]), None, "{end}");
        }
    }
}
