//! Which object store a command means: a URL and, for a bucket, options named as the node's settings.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use holdfast_tier::store::{Checksum, Encryption, Endpoint, REGION_DEFAULT, S3Options};

/// See the module.
#[derive(Args, Debug)]
pub(crate) struct BucketArgs {
    /// s3://bucket/prefix or file:///absolute/directory, as in store.url.
    #[arg(value_name = "URL")]
    pub(crate) url: String,
    /// Where it listens, e.g. https://s3.example.net:9000 [store.endpoint].
    #[arg(long, value_name = "URL", value_parser = Endpoint::parse, help_heading = "Bucket")]
    endpoint: Option<Endpoint>,
    /// Signed for [store.region].
    #[arg(long, default_value = REGION_DEFAULT, help_heading = "Bucket")]
    region: String,
    /// Where the bucket stands in a request [store.addressing].
    #[arg(long, value_enum, default_value_t = Addressing::Path, help_heading = "Bucket")]
    addressing: Addressing,
    /// Certificates that are trusted instead of the system's, in PEM [store.ca].
    #[arg(long, value_name = "FILE", help_heading = "Bucket")]
    ca: Option<PathBuf>,
    /// File with aws_access_key_id and aws_secret_access_key, not readable by others
    /// [store.credentials].
    #[arg(long, value_name = "FILE", help_heading = "Bucket")]
    credentials: Option<PathBuf>,
    /// How objects are encrypted [store.encryption].
    #[arg(long, value_enum, default_value_t = Encrypted::Bucket, help_heading = "Bucket")]
    encryption: Encrypted,
    /// The key's id, with sse-kms [store.kms_key].
    #[arg(
        long,
        value_name = "ID",
        required_if_eq("encryption", "sse-kms"),
        help_heading = "Bucket"
    )]
    kms_key: Option<String>,
    /// Sent along with objects [store.checksum].
    #[arg(long, value_enum, default_value_t = Checked::None, help_heading = "Bucket")]
    checksum: Checked,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Addressing {
    Path,
    Virtual,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Encrypted {
    Bucket,
    SseS3,
    SseKms,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Checked {
    None,
    Sha256,
    Crc64nvme,
}

impl BucketArgs {
    /// What the room that asks the store takes.
    pub(crate) fn options(&self) -> S3Options {
        S3Options {
            endpoint: self.endpoint.clone(),
            region: self.region.clone(),
            virtual_hosted: self.addressing == Addressing::Virtual,
            ca: self.ca.clone(),
            credentials: self.credentials.clone(),
            encryption: match self.encryption {
                Encrypted::Bucket => Encryption::BucketDefault,
                Encrypted::SseS3 => Encryption::SseS3,
                Encrypted::SseKms => {
                    Encryption::SseKms { key: self.kms_key.clone().unwrap_or_default() }
                }
            },
            checksum: match self.checksum {
                Checked::None => Checksum::None,
                Checked::Sha256 => Checksum::Sha256,
                Checked::Crc64nvme => Checksum::Crc64Nvme,
            },
        }
    }
}
