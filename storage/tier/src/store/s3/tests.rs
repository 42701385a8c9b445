//! What a bucket that is not there, or not well, costs and says.

use super::*;
use crate::key::StoreKey;
use crate::store::{Action, Outcome, Store};
use bytes::Bytes;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::OpenOptionsExt;

struct KeyFile(PathBuf);

impl KeyFile {
    fn new(name: &str) -> KeyFile {
        let path = std::env::temp_dir().join(format!("holdfast-s3-{name}-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .unwrap();
        file.write_all(b"access_key_id = A\nsecret_access_key = hidden-secret\n").unwrap();
        KeyFile(path)
    }

    fn options(&self, endpoint: &str) -> S3Options {
        S3Options {
            endpoint: Some(Endpoint::parse(endpoint).unwrap()),
            credentials: Some(self.0.clone()),
            ..S3Options::default()
        }
    }
}

impl Drop for KeyFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// Answers every connection with `answer`; the requests' heads come back.
fn served(answer: &'static str) -> (String, std::sync::mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let (heads_in, heads) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = Vec::new();
            let mut buffer = [0; 4096];
            // A client that begins with TLS never sends that.
            while !request.windows(4).any(|four| four == b"\r\n\r\n") && !request.starts_with(&[22])
            {
                match stream.read(&mut buffer) {
                    Ok(0) | Err(_) => break,
                    Ok(read) => request.extend_from_slice(&buffer[..read]),
                }
            }
            // Before the answer, so that who has it finds the head; not every test looks.
            let _ = heads_in.send(String::from_utf8_lossy(&request).into_owned());
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    (endpoint, heads)
}

fn put(endpoint: &str, key: &KeyFile) -> StoreError {
    let store = open("s3://bucket/site", &key.options(endpoint), Patience::WRITING).unwrap();
    let name = StoreKey::new("a/b").unwrap();
    wait(store.put(&name, vec![Bytes::from_static(b"bytes")])).unwrap_err()
}

#[test]
fn nothing_listens_is_told_as_that_and_is_over_soon() {
    let key = KeyFile::new("refused");
    let error = put("http://127.0.0.1:1", &key);
    assert_eq!(error.kind(), StoreErrorKind::Unreachable, "{error}");
    assert_eq!((error.action(), error.outcome()), (Action::Retry, Outcome::DidNot));
    assert!(error.to_string().contains("Connection refused"), "{error}");
    assert!(error.to_string().contains("a/b") && !error.to_string().contains("hidden"), "{error}");
}

#[test]
fn a_name_that_resolves_to_nothing_is_no_connection() {
    let key = KeyFile::new("dns");
    let error = put("https://store.invalid", &key);
    assert_eq!(error.kind(), StoreErrorKind::Unreachable, "{error}");
}

#[test]
fn a_refusal_keeps_the_words_of_the_store() {
    let key = KeyFile::new("denied");
    let (endpoint, _) = served(
        "HTTP/1.1 403 Forbidden\r\nContent-Length: 72\r\nConnection: close\r\n\r\n\
         <Error><Code>AccessDenied</Code><Message>not your bucket</Message></Error>",
    );
    let error = put(&endpoint, &key);
    assert_eq!(error.kind(), StoreErrorKind::Denied, "{error}");
    assert_eq!(error.action(), Action::Stop);
    assert!(error.to_string().contains("403 AccessDenied"), "{error}");
}

#[test]
fn a_busy_store_is_asked_three_times_and_not_more() {
    let key = KeyFile::new("busy");
    let (endpoint, heads) = served(
        "HTTP/1.1 503 Slow\r\nContent-Length: 39\r\nConnection: close\r\n\r\n\
         <Error><Code>SlowDown</Code></Error>   ",
    );
    let error = put(&endpoint, &key);
    assert_eq!(error.kind(), StoreErrorKind::Busy, "{error}");
    assert_eq!(heads.try_iter().count(), 1 + RETRIES_MAX);
}

#[test]
fn a_success_that_holds_an_error_is_none() {
    let key = KeyFile::new("lie");
    let (endpoint, _) = served(
        "HTTP/1.1 200 OK\r\nETag: \"x\"\r\nContent-Length: 44\r\nConnection: close\r\n\r\n\
         <Error><Code>InternalError</Code>   </Error>",
    );
    let error = put(&endpoint, &key);
    assert_eq!(error.kind(), StoreErrorKind::Interrupted, "{error}");
    assert!(error.to_string().ends_with("(the store answered 200 InternalError)"), "{error}");
}

#[test]
fn a_request_carries_prefix_signature_and_encryption_and_not_the_secret() {
    let key = KeyFile::new("head");
    let (endpoint, heads) =
        served("HTTP/1.1 200 OK\r\nETag: \"x\"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    let encryption = Encryption::SseKms { key: "site-key".to_owned() };
    let options = S3Options { encryption, ..key.options(&endpoint) };
    let store = open("s3://bucket/site", &options, Patience::WRITING).unwrap();
    let name = StoreKey::new("a/b").unwrap();
    wait(store.put(&name, vec![Bytes::from_static(b"bytes")])).unwrap();
    let head = heads.recv().unwrap().to_lowercase();
    assert!(head.starts_with("put /bucket/site/a/b http/1.1\r\n"), "{head}");
    assert!(head.contains("authorization: aws4-hmac-sha256 credential=a/"), "{head}");
    assert!(head.contains("x-amz-server-side-encryption: aws:kms\r\n"), "{head}");
    assert!(head.contains("x-amz-server-side-encryption-aws-kms-key-id: site-key\r\n"), "{head}");
    assert!(!head.contains("hidden-secret") && !head.contains("x-amz-checksum"), "{head}");
    assert!(!format!("{store:?}").contains("hidden-secret"));
}

#[test]
fn plain_http_behind_an_https_endpoint_is_not_spoken() {
    let key = KeyFile::new("tls");
    let (endpoint, _) = served("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let error = put(&endpoint.replace("http://", "https://"), &key);
    assert_eq!(error.kind(), StoreErrorKind::Untrusted, "{error}");
}

#[test]
fn what_cannot_be_opened_says_which_option_is_wrong() {
    let key = KeyFile::new("options");
    let options = key.options("http://127.0.0.1:1");
    let why = |options: &S3Options| {
        open("s3://bucket", options, Patience::READING).unwrap_err().to_string()
    };
    let without = S3Options { credentials: None, ..options.clone() };
    assert!(why(&without).contains("store.credentials"));
    let missing = S3Options { ca: Some("/nowhere/ca.pem".into()), ..options.clone() };
    assert!(why(&missing).contains("/nowhere/ca.pem"));
    let no_pem = S3Options { ca: Some(key.0.clone()), ..options };
    assert!(why(&no_pem).contains("certificate"), "{}", why(&no_pem));
}
