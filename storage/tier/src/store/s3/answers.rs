//! Every answer of a store, told apart before `object_store` makes one kind of error of them.
//!
//! | answer | becomes | tried again at once |
//! | --- | --- | --- |
//! | 2xx | itself | |
//! | 2xx with `<Error>` as its body, 200 to a ranged GET | [`Answered`] | yes |
//! | 304, 412, 404 for a key | itself: that crate has a word for them | |
//! | 408, 429, 5xx | [`Answered`] | yes |
//! | any other, 404 for the bucket | [`Answered`] | no |
//!
//! Also the place where the store's clock is seen: every answer has a `Date`.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
    ReqwestConnector,
};

use super::super::StoreErrorKind;

/// Answers without records in them are short: the longest is a page of 1,000 keys. A longer one is none
/// of S3's.
const SHORT_BYTES_MAX: u64 = 8 << 20;
/// Of a store's own words, in an error.
const MESSAGE_CHARS_MAX: usize = 200;

/// What a store said that is not success.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Answered {
    /// The status of HTTP.
    pub(crate) status: u16,
    /// S3's own code; empty when the store named none.
    pub(crate) code: String,
    /// Its words.
    message: String,
}

impl Answered {
    /// By what to do about it.
    pub(crate) fn kind(&self) -> StoreErrorKind {
        match (self.status, self.code.as_str()) {
            (_, "NoSuchBucket") | (301 | 302 | 307 | 308, _) => StoreErrorKind::NoSuchStore,
            (_, "SlowDown" | "ServiceUnavailable") => StoreErrorKind::Busy,
            (404, _) => StoreErrorKind::NotFound,
            (416, _) => StoreErrorKind::OutOfRange,
            // Bytes that came damaged, or late: the next time they may not.
            (
                400,
                "BadDigest"
                | "IncompleteBody"
                | "RequestTimeout"
                | "XAmzContentSHA256Mismatch"
                | "XAmzContentChecksumMismatch",
            ) => StoreErrorKind::Interrupted,
            (400, "NotImplemented" | "InvalidArgument" | "InvalidRequest") | (405 | 501, _) => {
                StoreErrorKind::Unsupported
            }
            // Amazon's 400 for keys of another region, a wrong signature, an expired token.
            (400..=403, _) => StoreErrorKind::Denied,
            (408 | 409 | 429 | 503 | 507, _) => StoreErrorKind::Busy,
            (200..=299 | 500..=599, _) => StoreErrorKind::Interrupted,
            _ => StoreErrorKind::Failed,
        }
    }

    fn of(status: u16, body: &[u8]) -> Answered {
        let text = String::from_utf8_lossy(body);
        let element = |name: &str| {
            let (_, rest) = text.split_once(&format!("<{name}>"))?;
            Some(rest.split_once(&format!("</{name}>"))?.0.to_owned())
        };
        let plain = |text: String| {
            let shown = text.chars().map(|c| if c.is_control() { ' ' } else { c });
            shown.take(MESSAGE_CHARS_MAX).collect::<String>()
        };
        Answered {
            status,
            code: plain(element("Code").unwrap_or_default()),
            message: plain(element("Message").unwrap_or_default()),
        }
    }

    fn into_error(self, retry: bool) -> HttpError {
        // `Request` is the kind that is tried again whatever the method; all of ours may be.
        let kind = if retry { HttpErrorKind::Request } else { HttpErrorKind::Unknown };
        HttpError::new(kind, self)
    }
}

impl fmt::Display for Answered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the store answered {}", self.status)?;
        for said in [&self.code, &self.message].into_iter().filter(|said| !said.is_empty()) {
            write!(f, " {said}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Answered {}

/// Makes connections whose answers are told apart.
#[derive(Clone, Default, Debug)]
pub(crate) struct Answers {
    seen: Arc<Mutex<Seen>>,
}

/// What answers say of the store itself.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(crate) struct Seen {
    /// `Date` of the newest answer.
    pub(crate) date: Option<String>,
    /// `Server` of the newest answer that has one.
    pub(crate) server: Option<String>,
}

impl Answers {
    /// Of the newest answer.
    pub(crate) fn seen(&self) -> Seen {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl HttpConnector for Answers {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let inner = ReqwestConnector::default().connect(options)?;
        Ok(HttpClient::new(Telling { inner, answers: self.clone() }))
    }
}

#[derive(Debug)]
struct Telling {
    inner: HttpClient,
    answers: Answers,
}

#[async_trait]
impl HttpService for Telling {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let is_head = request.method().as_str() == "HEAD";
        let is_ranged = request.headers().contains_key("range");
        let answer = self.inner.execute(request).await?;
        self.note(&answer);
        let status = answer.status().as_u16();
        match status {
            // Records: not looked into here, and not gathered.
            206 | 204 | 304 | 412 => return Ok(answer),
            200 if is_ranged => {
                let answered = Answered {
                    status,
                    code: "the whole object or an error".to_owned(),
                    message: "to a GET of a range".to_owned(),
                };
                return Err(answered.into_error(true));
            }
            200..=299 if is_head => return Ok(answer),
            404 if is_head => return Ok(answer),
            _ => {}
        }
        if is_longer(&answer) {
            let code = "an answer longer than any of S3's".to_owned();
            return Err(Answered { status, code, message: String::new() }.into_error(true));
        }
        let (parts, body) = answer.into_parts();
        let body = if is_head { Bytes::new() } else { body.bytes().await? };
        let answered = Answered::of(status, &body);
        match status {
            200..=299 if is_error(&body) => Err(answered.into_error(true)),
            200..=299 => Ok(HttpResponse::from_parts(parts, body.into())),
            404 if answered.code != "NoSuchBucket" => {
                Ok(HttpResponse::from_parts(parts, body.into()))
            }
            408 | 429 | 500..=599 => Err(answered.into_error(true)),
            _ => Err(answered.into_error(false)),
        }
    }
}

impl Telling {
    fn note(&self, answer: &HttpResponse) {
        let header = |name: &str| Some(answer.headers().get(name)?.to_str().ok()?.to_owned());
        let mut seen = self.answers.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.date = header("date");
        seen.server = header("server").or(seen.server.take());
    }
}

fn is_longer(answer: &HttpResponse) -> bool {
    let length = answer.headers().get("content-length");
    let length = length.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    length.is_some_and(|length| length > SHORT_BYTES_MAX)
}

/// A document whose root is `<Error>`.
fn is_error(body: &[u8]) -> bool {
    let text = String::from_utf8_lossy(&body[..body.len().min(512)]);
    let root = text.split('<').map(str::trim_start).find(|part| {
        !part.is_empty() && !part.starts_with(['?', '!']) && !part.starts_with('\u{feff}')
    });
    root.is_some_and(|root| root.split([' ', '>', '/']).next() == Some("Error"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_is_found_behind_a_prologue_and_only_there() {
        let prologue = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";
        assert!(is_error(
            format!("{prologue}<Error><Code>InternalError</Code></Error>").as_bytes()
        ));
        assert!(is_error(b"<Error xmlns=\"x\"/>"));
        assert!(!is_error(format!("{prologue}<ListBucketResult><Error>").as_bytes()));
        assert!(!is_error(b""));
        assert!(!is_error(b"<ErrorDocument/>"));
    }

    #[test]
    fn every_status_has_a_kind_that_says_what_to_do() {
        use StoreErrorKind::{
            Busy, Denied, Failed, Interrupted, NoSuchStore, NotFound, OutOfRange, Unsupported,
        };
        let kind = |status, code: &str| {
            let body = format!("<Error><Code>{code}</Code><Message>m\u{1b}</Message></Error>");
            let answered = Answered::of(status, body.as_bytes());
            assert!(!answered.to_string().contains('\u{1b}'), "{answered}");
            answered.kind()
        };
        for (status, code, expected) in [
            (200, "InternalError", Interrupted),
            (200, "SlowDown", Busy),
            (301, "PermanentRedirect", NoSuchStore),
            (400, "BadDigest", Interrupted),
            (400, "InvalidArgument", Unsupported),
            (400, "ExpiredToken", Denied),
            (401, "", Denied),
            (403, "RequestTimeTooSkewed", Denied),
            (404, "NoSuchBucket", NoSuchStore),
            (404, "NoSuchUpload", NotFound),
            (409, "OperationAborted", Busy),
            (416, "InvalidRange", OutOfRange),
            (418, "", Failed),
            (429, "TooManyRequests", Busy),
            (500, "InternalError", Interrupted),
            (501, "NotImplemented", Unsupported),
            (503, "SlowDown", Busy),
            (507, "", Busy),
        ] {
            assert_eq!(kind(status, code), expected, "{status} {code}");
        }
    }

    proptest::proptest! {
        #[test]
        fn whatever_a_store_says_has_a_kind_and_is_shown_short_and_in_one_line(
            status in 100_u16..600,
            body in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..600),
            around in proptest::prelude::any::<bool>(),
        ) {
            let wrapped = [&b"<Error><Code>"[..], &body, b"</Code><Message>", &body, b"</Message>"];
            let body = if around { wrapped.concat() } else { body };
            is_error(&body);
            let answered = Answered::of(status, &body);
            answered.kind();
            let shown = answered.to_string();
            proptest::prop_assert!(!shown.chars().any(char::is_control), "{shown:?}");
            proptest::prop_assert!(shown.chars().count() <= 2 * MESSAGE_CHARS_MAX + 40);
        }
    }
}
