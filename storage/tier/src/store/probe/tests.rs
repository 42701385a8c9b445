//! A store that lacks something is found out; one that does not is called usable.

use super::*;
use crate::store::{FileStore, MemoryStore};

fn now<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

#[test]
fn a_sound_store_is_usable_and_is_left_as_it_was() {
    let store = MemoryStore::new();
    let mut report = Report::default();
    assert!(now(of_all(&store, "holdfast-probe-1", &mut report, Depth::Full)));
    now(clean_up(&store, "holdfast-probe-1", &mut report));
    assert_eq!(report.verdict(), "usable", "{report:?}");
    assert!(report.is_usable());
    assert_eq!(now(store.list("", None, 10)), Ok(Vec::new()));
}

#[test]
fn a_directory_is_probed_by_its_url() {
    let path = std::env::temp_dir().join(format!("holdfast-probed-{}", std::process::id()));
    std::fs::create_dir_all(&path).unwrap();
    let url = format!("file://{}", path.display());
    let report = now(probe(&url, &S3Options::default(), 7, || 0, Depth::Full)).unwrap();
    assert_eq!(report.verdict(), "usable", "{report:?}");
    assert_eq!(now(FileStore::open(&path).unwrap().list("", None, 10)), Ok(Vec::new()));
    std::fs::remove_dir_all(&path).unwrap();
}

#[test]
fn what_is_needed_and_missing_outweighs_notes() {
    let mut report = Report::default();
    report.add("put", Standing::Good, "");
    assert_eq!(report.verdict(), "usable");
    report.add("versioning", Standing::Note, "");
    assert_eq!(report.verdict(), "usable with notes: versioning");
    assert!(report.is_usable());
    report.add("multipart", Standing::Missing, "");
    assert_eq!(report.verdict(), "not usable: multipart");
    assert!(!report.is_usable());
}
