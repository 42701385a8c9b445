//! An archive the kernel unpacks into memory as the guest's root: cpio, "newc".
//!
//! ```text
//! 070701, 13 numbers of 8 hexadecimal digits │ name, NUL │ to 4 │ bytes │ to 4 │ ... │ TRAILER!!!
//! ```
//!
//! `Documentation/driver-api/early-userspace/buffer-format.rst` of the kernel. Not compressed: the
//! guest's processor is slow, memory is not.

/// Type and permissions of an entry.
const DIRECTORY: u32 = 0o040_755;
const EXECUTABLE: u32 = 0o100_755;
const ALIGN: usize = 4;

/// The archive as it grows.
#[derive(Debug, Default)]
pub(crate) struct Archive {
    bytes: Vec<u8>,
    entries: u32,
}

impl Archive {
    /// Adds a directory, its parents before it.
    pub(crate) fn directory(&mut self, name: &str) {
        self.entry(name, DIRECTORY, &[]);
    }

    /// Adds a file that may be run.
    pub(crate) fn file(&mut self, name: &str, bytes: &[u8]) {
        self.entry(name, EXECUTABLE, bytes);
    }

    /// The whole archive.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.entry("TRAILER!!!", 0, &[]);
        self.bytes
    }

    fn entry(&mut self, name: &str, mode: u32, bytes: &[u8]) {
        self.entries += 1;
        let inode = self.entries;
        let (len, name_len) = (bytes.len(), name.len() + 1);
        // inode, mode, uid, gid, links, time, length, device and rdevice (major, minor), name, sum
        let head = format!(
            "070701{inode:08x}{mode:08x}{0:08x}{0:08x}{1:08x}{0:08x}{len:08x}{0:08x}{0:08x}{0:08x}\
             {0:08x}{name_len:08x}{0:08x}",
            0, 1
        );
        self.bytes.extend_from_slice(head.as_bytes());
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(0);
        self.align();
        self.bytes.extend_from_slice(bytes);
        self.align();
    }

    fn align(&mut self) {
        let whole = self.bytes.len().next_multiple_of(ALIGN);
        self.bytes.resize(whole, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_a_head_of_110_digits_its_name_and_its_bytes() {
        let mut archive = Archive::default();
        archive.directory("etc");
        archive.file("etc/x", b"hello");
        let bytes = archive.finish();
        assert_eq!(bytes.len() % ALIGN, 0);
        // "etc" and its NUL end at 114; the next head begins at 116.
        assert_eq!(&bytes[110..114], b"etc\0");
        assert_eq!(&bytes[116..122], b"070701");
        assert_eq!(&bytes[116 + 54..116 + 62], b"00000005");
        assert_eq!(&bytes[116 + 110..116 + 116], b"etc/x\0");
        assert_eq!(&bytes[116 + 116..116 + 121], b"hello");
        assert!(bytes.windows(11).any(|window| window == b"TRAILER!!!\0"));
    }
}
