//! The access key of a store, from a file.
//!
//! ```text
//! [default]                                    sections and comments are passed over
//! aws_access_key_id = AKIA...                  or access_key_id
//! aws_secret_access_key = ...                  or secret_access_key
//! aws_session_token = ...                      or session_token; need not be there
//! ```
//!
//! The form is that of Amazon's own tools. The file is read again when its time or length changes, so
//! a key is replaced without a restart; a file that cannot be read then leaves the key before it.
//! Its content stands in no error, log line or debug form.

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use object_store::CredentialProvider;
use object_store::aws::AwsCredential;

/// No file with a key is near this.
const BYTES_MAX: u64 = 64 << 10;
/// Permission bits of others than owner and group.
const OTHERS: u32 = 0o007;

/// A key and the file it comes from.
pub(crate) struct CredentialsFile {
    path: PathBuf,
    read: Mutex<Read>,
}

struct Read {
    /// Of the file that was read: seconds, nanoseconds, bytes, inode.
    stamp: Stamp,
    credential: Arc<AwsCredential>,
}

type Stamp = (i64, i64, u64, u64);

impl CredentialsFile {
    /// Reads the file.
    ///
    /// # Errors
    /// Why it cannot be used, in words, without its content.
    pub(crate) fn open(path: &Path) -> Result<CredentialsFile, String> {
        let (stamp, credential) = read(path)?;
        let read = Read { stamp, credential: Arc::new(credential) };
        Ok(CredentialsFile { path: path.to_owned(), read: Mutex::new(read) })
    }

    fn now(&self) -> Arc<AwsCredential> {
        let mut held = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let is_same = stamp(&self.path).is_ok_and(|stamp| stamp == held.stamp);
        if !is_same && let Ok((stamp, credential)) = read(&self.path) {
            *held = Read { stamp, credential: Arc::new(credential) };
        }
        Arc::clone(&held.credential)
    }
}

impl fmt::Debug for CredentialsFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CredentialsFile").field("path", &self.path).finish_non_exhaustive()
    }
}

#[async_trait]
impl CredentialProvider for CredentialsFile {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        // A small file on a local disk: not worth a thread.
        Ok(self.now())
    }
}

fn stamp(path: &Path) -> io::Result<Stamp> {
    let metadata = fs::metadata(path)?;
    Ok((metadata.mtime(), metadata.mtime_nsec(), metadata.len(), metadata.ino()))
}

fn read(path: &Path) -> Result<(Stamp, AwsCredential), String> {
    let said = |why: &str| format!("{}: {why}", path.display());
    let metadata = fs::metadata(path).map_err(|error| said(&error.to_string()))?;
    if metadata.mode() & OTHERS != 0 {
        return Err(said("everybody on this machine may use it; `chmod o=` the file"));
    }
    if metadata.len() > BYTES_MAX {
        return Err(said("it is too long to be a file with an access key"));
    }
    let text = fs::read_to_string(path).map_err(|error| said(&error.to_string()))?;
    let stamp = (metadata.mtime(), metadata.mtime_nsec(), metadata.len(), metadata.ino());
    Ok((stamp, parse(&text).map_err(|why| said(&why))?))
}

fn parse(text: &str) -> Result<AwsCredential, String> {
    let find = |name: &str| {
        let mut values = text.lines().filter_map(|line| {
            let (key, value) = line.split_once('=')?;
            let key = key.trim();
            let is_it = key.strip_prefix("aws_").unwrap_or(key).eq_ignore_ascii_case(name);
            (is_it && !value.trim().is_empty()).then(|| value.trim().to_owned())
        });
        let first = values.next();
        match values.next() {
            Some(_) => Err(format!("{name} stands in it more than once")),
            None => Ok(first),
        }
    };
    let needed = |name: &str| find(name)?.ok_or_else(|| format!("there is no aws_{name} in it"));
    Ok(AwsCredential {
        key_id: needed("access_key_id")?,
        secret_key: needed("secret_access_key")?,
        token: find("session_token")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    struct File(PathBuf);

    impl File {
        fn new(name: &str, text: &str, mode: u32) -> File {
            let path = std::env::temp_dir().join(format!("holdfast-{name}-{}", std::process::id()));
            let file = File(path);
            file.write(text);
            fs::set_permissions(&file.0, fs::Permissions::from_mode(mode)).unwrap();
            file
        }

        fn write(&self, text: &str) {
            fs::write(&self.0, text).unwrap();
        }
    }

    impl Drop for File {
        fn drop(&mut self) {
            let _ = fs::remove_file(&self.0);
        }
    }

    #[test]
    fn both_spellings_are_read_and_what_lacks_is_named_without_the_rest() {
        let long = "[default]\n# ours\naws_access_key_id = A\naws_secret_access_key=s=/+\n";
        let short = "access_key_id=A\nsecret_access_key=s=/+\nsession_token = t\n";
        let (long, short) = (parse(long).unwrap(), parse(short).unwrap());
        assert_eq!(
            (long.key_id.as_str(), long.secret_key.as_str(), long.token),
            ("A", "s=/+", None)
        );
        assert_eq!((short.secret_key.as_str(), short.token.as_deref()), ("s=/+", Some("t")));
        let lacking = parse("access_key_id = A\nsecret_key = hidden").unwrap_err();
        assert!(lacking.contains("aws_secret_access_key") && !lacking.contains("hidden"));
        assert!(parse("access_key_id = A\naccess_key_id = B\nsecret_access_key = s").is_err());
    }

    #[test]
    fn a_file_that_everybody_may_read_is_refused() {
        let text = "access_key_id = A\nsecret_access_key = hidden";
        let open = File::new("open-key", text, 0o644);
        let why = CredentialsFile::open(&open.0).unwrap_err();
        assert!(why.contains("chmod") && !why.contains("hidden"), "{why}");
        let private = File::new("private-key", text, 0o640);
        let opened = CredentialsFile::open(&private.0).unwrap();
        assert!(!format!("{opened:?}").contains("hidden"));
    }

    #[test]
    fn a_key_that_was_replaced_is_used_and_a_broken_file_keeps_the_one_before() {
        let file = File::new("new-key", "access_key_id = A\nsecret_access_key = s", 0o600);
        let opened = CredentialsFile::open(&file.0).unwrap();
        assert_eq!(opened.now().key_id, "A");
        file.write("access_key_id = Bee\nsecret_access_key = s");
        assert_eq!(opened.now().key_id, "Bee");
        file.write("nothing");
        assert_eq!(opened.now().key_id, "Bee");
    }
}
