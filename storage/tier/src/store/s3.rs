//! A bucket of an S3-compatible store: `s3://bucket/prefix`.
//!
//! ```text
//! URL ─▶ Bucket (name, prefix) ┐
//! Options: endpoint, region,   ├─▶ AmazonS3 of `object_store` ─▶ PrefixStore ─▶ ObjectStoreAdapter
//!   CA, credentials file, ...  ┘     │ signs, splits, lists          our contract
//!                                    └─▶ Answers (answers.rs): every answer of the store, told apart
//! ```
//!
//! Idea: that crate does what every client of S3 does; what a site needs beside it is here. Requests
//! are few in kind (PUT, ranged GET, single DELETE, LIST of version 2, multipart upload), because that is
//! what all stores have; deletion of many and conditions are never asked for.
//!
//! Invariants: credentials come from a file, never from arguments, environment or instance metadata, and
//! stand in no error. Bytes go in the clear only where the endpoint says `http://`. A request ends within
//! [`Patience`], tries included: whoever asked tries again with pauses of its own.
//!
//! Caveats: a URL in the style of virtual hosts needs an endpoint whose name the bucket is put before.
//! Objects that name their own key for encryption (SSE-C) are not for us: who loses the key loses them.

mod address;
mod answers;
mod credentials;

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey};
use object_store::prefix::PrefixStore;
use object_store::{BackoffConfig, Certificate, ClientOptions, RetryConfig};

use super::{ObjectStoreAdapter, StoreError, StoreErrorKind};

pub use address::{Bucket, Endpoint};
pub(super) use answers::{Answered, Answers};
pub(super) use credentials::CredentialsFile;

/// Connected within this, or the store is away.
const CONNECT_LIMIT: Duration = Duration::from_secs(3);
/// Tries of one request beside the first, within [`RETRY_LIMIT`]: a store that is busy for a moment
/// costs one part of an object, not all of it.
const RETRIES_MAX: usize = 2;
/// No further try begins after this.
const RETRY_LIMIT: Duration = Duration::from_secs(3);
/// The region that is signed for where none is named; most stores do not look at it.
pub const REGION_DEFAULT: &str = "us-east-1";

/// How objects are encrypted by the store.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Encryption {
    /// As the bucket says.
    #[default]
    BucketDefault,
    /// With keys of the store's own.
    SseS3,
    /// With this key of the site's key manager.
    SseKms {
        /// Its id.
        key: String,
    },
}

/// Which checksum is sent along, beside the SHA-256 that every request is signed with.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Checksum {
    /// None: stores that do not know the header work.
    #[default]
    None,
    /// `x-amz-checksum-sha256`, kept with the object by stores that know it.
    Sha256,
    /// `x-amz-checksum-crc64nvme`.
    Crc64Nvme,
}

/// What a site says about its store.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct S3Options {
    /// Where it listens; `None` is Amazon's for the region.
    pub endpoint: Option<Endpoint>,
    /// Signed for; empty is [`REGION_DEFAULT`].
    pub region: String,
    /// The bucket stands in the host's name, not in the path.
    pub virtual_hosted: bool,
    /// PEM certificates that are trusted instead of the system's.
    pub ca: Option<PathBuf>,
    /// The file with the access key.
    pub credentials: Option<PathBuf>,
    /// Of objects at rest.
    pub encryption: Encryption,
    /// Sent along.
    pub checksum: Checksum,
}

/// How long a request may take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Patience {
    /// A request with its answer, each try.
    pub request: Duration,
    /// Without a byte of the answer, from when it was asked; `None` leaves it to `request`.
    pub silence: Option<Duration>,
}

impl Patience {
    /// For parts of objects: 8 MiB at half a megabyte a second, and time for the store to make an
    /// object of its parts.
    pub const WRITING: Patience = Patience { request: Duration::from_secs(30), silence: None };
    /// For those who wait for records: a stalled connection is given up while there is time for
    /// another.
    pub const READING: Patience =
        Patience { request: Duration::from_secs(10), silence: Some(Duration::from_secs(3)) };
}

/// Opens a bucket; nothing is asked of it yet.
///
/// # Errors
/// When the URL or an option is wrong, or a file that an option names cannot be used.
pub(super) fn open(
    url: &str,
    options: &S3Options,
    patience: Patience,
) -> Result<ObjectStoreAdapter, StoreError> {
    let bucket = Bucket::parse(url).map_err(|why| refused(url, why))?;
    let store = client(url, &bucket, options, patience, &Answers::default())?;
    Ok(match bucket.prefix {
        prefix if prefix.is_empty() => ObjectStoreAdapter::ordered(Arc::new(store)),
        prefix => ObjectStoreAdapter::ordered(Arc::new(PrefixStore::new(store, prefix))),
    })
}

/// The client of a bucket.
pub(super) fn client(
    url: &str,
    bucket: &Bucket,
    options: &S3Options,
    patience: Patience,
    answers: &Answers,
) -> Result<AmazonS3, StoreError> {
    let Some(file) = &options.credentials else {
        return Err(refused(
            url,
            "no file with the store's access key is named (store.credentials)".to_owned(),
        ));
    };
    // Read once here, so that a wrong file is told at the start; then again whenever it changes.
    let credentials = CredentialsFile::open(file).map_err(|why| refused(url, why))?;
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(&bucket.name)
        .with_region(if options.region.is_empty() { REGION_DEFAULT } else { &options.region })
        .with_credentials(Arc::new(credentials))
        .with_virtual_hosted_style_request(options.virtual_hosted)
        .with_disable_bulk_delete(true)
        .with_disable_tagging(true)
        .with_client_options(client_options(url, options, patience)?)
        .with_retry(retry())
        .with_http_connector(answers.clone());
    if let Some(endpoint) = &options.endpoint {
        builder = builder.with_endpoint(match options.virtual_hosted {
            true => endpoint.of_bucket(&bucket.name),
            false => endpoint.to_string(),
        });
    }
    builder = match &options.encryption {
        Encryption::BucketDefault => builder,
        Encryption::SseS3 => {
            let key = AmazonS3ConfigKey::from_str("aws_server_side_encryption");
            builder.with_config(key.map_err(|error| refused(url, error.to_string()))?, "AES256")
        }
        Encryption::SseKms { key } => builder.with_sse_kms_encryption(key),
    };
    builder = match options.checksum {
        Checksum::None => builder,
        Checksum::Sha256 => builder.with_checksum_algorithm(object_store::aws::Checksum::SHA256),
        Checksum::Crc64Nvme => {
            builder.with_checksum_algorithm(object_store::aws::Checksum::CRC64NVME)
        }
    };
    builder.build().map_err(|error| refused(url, error.to_string()))
}

/// How its connections are made.
pub(super) fn client_options(
    url: &str,
    options: &S3Options,
    patience: Patience,
) -> Result<ClientOptions, StoreError> {
    let in_the_clear = options.endpoint.as_ref().is_some_and(Endpoint::is_in_the_clear);
    let mut client = ClientOptions::new()
        .with_allow_http(in_the_clear)
        // One request at a time on a connection: a stalled one holds up no other.
        .with_http1_only()
        .with_connect_timeout(CONNECT_LIMIT)
        .with_timeout(patience.request);
    if let Some(silence) = patience.silence {
        client = client.with_read_timeout(silence);
    }
    if let Some(path) = &options.ca {
        let said = |why: String| refused(url, format!("{}: {why}", path.display()));
        let pem = std::fs::read(path).map_err(|error| said(error.to_string()))?;
        let certificates = Certificate::from_pem_bundle(&pem);
        let certificates = certificates.map_err(|error| said(error.to_string()))?;
        if certificates.is_empty() {
            return Err(said("there is no certificate in PEM form in it".to_owned()));
        }
        client = client.with_no_system_certificates(true);
        client = certificates.into_iter().fold(client, ClientOptions::with_root_certificate);
    }
    Ok(client)
}

fn retry() -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(1),
            base: 2.0,
        },
        max_retries: RETRIES_MAX,
        retry_timeout: RETRY_LIMIT,
    }
}

fn refused(url: &str, why: String) -> StoreError {
    StoreError::new(StoreErrorKind::Unsupported, format!("opening the store {url:?}"), why)
}

#[cfg(test)]
mod tests;
