//! Answers of administrative APIs: an error for each topic, partition, resource, group or rule.
//!
//! Where such an answer has an error as a whole as well, `errors` counts it, except behind a field
//! it does not know.

use super::Field::{Each, Error, Skip, Text};
use super::{ON, Row};

/// CreateTopics.
pub(super) const CREATE_TOPICS: &[Row] = &[
    (2, ON, Skip(4)),
    (
        0,
        ON,
        Each(&[
            (0, ON, Text),
            (7, ON, Skip(16)),
            (0, ON, Error),
            (1, ON, Text),
            (5, ON, Skip(6)),
            (5, ON, Each(&[(5, ON, Text), (5, ON, Text), (5, ON, Skip(3))])),
        ]),
    ),
];

pub(super) const DELETE_TOPICS: &[Row] = &[
    (1, ON, Skip(4)),
    (0, ON, Each(&[(0, ON, Text), (6, ON, Skip(16)), (0, ON, Error), (5, ON, Text)])),
];

pub(super) const CREATE_PARTITIONS: &[Row] =
    &[(0, ON, Skip(4)), (0, ON, Each(&[(0, ON, Text), (0, ON, Error), (0, ON, Text)]))];

const SYNONYM: &[Row] = &[(1, ON, Text), (1, ON, Text), (1, ON, Skip(1))];

pub(super) const DESCRIBE_CONFIGS: &[Row] = &[
    (0, ON, Skip(4)),
    (
        0,
        ON,
        Each(&[
            (0, ON, Error),
            (0, ON, Text),
            (0, ON, Skip(1)),
            (0, ON, Text),
            (
                0,
                ON,
                Each(&[
                    (0, ON, Text),
                    (0, ON, Text),
                    // Read-only, source, sensitive.
                    (0, ON, Skip(3)),
                    (1, ON, Each(SYNONYM)),
                    (3, ON, Skip(1)),
                    (3, ON, Text),
                ]),
            ),
        ]),
    ),
];

/// AlterConfigs and IncrementalAlterConfigs.
pub(super) const ALTER_CONFIGS: &[Row] = &[
    (0, ON, Skip(4)),
    (0, ON, Each(&[(0, ON, Error), (0, ON, Text), (0, ON, Skip(1)), (0, ON, Text)])),
];

pub(super) const DELETE_GROUPS: &[Row] =
    &[(0, ON, Skip(4)), (0, ON, Each(&[(0, ON, Text), (0, ON, Error)]))];

pub(super) const OFFSET_DELETE: &[Row] = &[
    (0, ON, Skip(6)),
    (0, ON, Each(&[(0, ON, Text), (0, ON, Each(&[(0, ON, Skip(4)), (0, ON, Error)]))])),
];

pub(super) const CREATE_ACLS: &[Row] =
    &[(0, ON, Skip(4)), (0, ON, Each(&[(0, ON, Error), (0, ON, Text)]))];

/// The rules that a filter found cannot fail without it.
pub(super) const DELETE_ACLS: &[Row] = &[
    (0, ON, Skip(4)),
    (
        0,
        ON,
        Each(&[
            (0, ON, Error),
            (0, ON, Text),
            (
                0,
                ON,
                Each(&[
                    (0, ON, Skip(2)),
                    (0, ON, Text),
                    (0, ON, Skip(1)),
                    (0, ON, Text),
                    (1, ON, Skip(1)),
                    (0, ON, Text),
                    (0, ON, Text),
                    (0, ON, Skip(2)),
                ]),
            ),
        ]),
    ),
];

pub(super) const ALTER_REPLICA_LOG_DIRS: &[Row] = &[
    (0, ON, Skip(4)),
    (0, ON, Each(&[(0, ON, Text), (0, ON, Each(&[(0, ON, Skip(4)), (0, ON, Error)]))])),
];

const WITH_WORDS: &[Row] = &[(0, ON, Skip(4)), (0, ON, Error), (0, ON, Text)];

pub(super) const ELECT_LEADERS: &[Row] = &[
    (0, ON, Skip(4)),
    (1, ON, Skip(2)),
    (0, ON, Each(&[(0, ON, Text), (0, ON, Each(WITH_WORDS))])),
];

pub(super) const ALTER_PARTITION_REASSIGNMENTS: &[Row] = &[
    (0, ON, Skip(4)),
    (0, 0, Skip(2)),
    (1, ON, Skip(1)),
    (1, ON, Error),
    (0, ON, Text),
    (0, ON, Each(&[(0, ON, Text), (0, ON, Each(WITH_WORDS))])),
];

#[cfg(test)]
pub(super) mod samples;
