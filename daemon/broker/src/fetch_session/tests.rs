//! Fetch sessions: ids and epochs as a table, what is said again, who gives way, whose turn it is.

use super::*;
use holdfast_base::SplitMix64;

const BY_NAME: bool = false;
const NOTHING: [i32; 0] = [];

fn key(partition: i32) -> AskedKey {
    AskedKey { topic: AskedTopic::Name(Arc::from("orders")), partition }
}

fn asked(partition: i32) -> Asked {
    Asked {
        key: key(partition),
        known_as: None,
        fetch_offset: 0,
        max_bytes: 1_000,
        current_leader_epoch: -1,
        last_fetched_epoch: -1,
    }
}

fn all(partitions: impl IntoIterator<Item = i32>) -> Vec<Asked> {
    partitions.into_iter().map(asked).collect()
}

const QUIET: Outcome = Outcome {
    has_records: false,
    high_watermark: 10,
    log_start: 0,
    must_say: false,
    failed: false,
};
const RECORDS: Outcome = Outcome { has_records: true, ..QUIET };
/// With the same offsets as before: the error alone must make what follows it news.
const ERROR: Outcome = Outcome { must_say: true, failed: true, ..QUIET };

/// Sessions, with a clock and a generator beside them.
struct Table {
    sessions: FetchSessions,
    rng: SplitMix64,
    now_ms: i64,
}

impl Table {
    fn new(slots: usize) -> Table {
        Table { sessions: FetchSessions::new(slots), rng: SplitMix64::new(7), now_ms: 0 }
    }

    fn begin(
        &mut self,
        (id, epoch): (i32, i32),
        asked: Vec<Asked>,
    ) -> Result<Fetching, FetchSessionError> {
        let request = SessionRequest { id, epoch, by_id: BY_NAME };
        self.sessions.begin(self.now_ms, request, asked, &[])
    }

    fn end(&mut self, fetching: &Fetching, outcome: Outcome) -> Result<Ending, FetchSessionError> {
        let outcomes = vec![outcome; fetching.partitions.len()];
        self.sessions.end(self.now_ms, &mut self.rng, fetching, &outcomes)
    }

    /// A new session with these partitions, all answered quietly.
    fn found(&mut self, partitions: impl IntoIterator<Item = i32>) -> i32 {
        let fetching = self.begin((0, 0), all(partitions)).expect("full fetches are taken");
        self.end(&fetching, QUIET).expect("and answered").session_id
    }

    /// A round in a session: which partitions were read, in order, and which were said.
    fn round(&mut self, at: (i32, i32), news: &[(i32, Outcome)]) -> (Vec<i32>, Vec<i32>) {
        let fetching = self.begin(at, Vec::new()).expect("in its session");
        let read: Vec<i32> = fetching.partitions.iter().map(|asked| asked.key.partition).collect();
        let outcome_of = |partition: &i32| {
            news.iter().find(|(at, _)| at == partition).map_or(QUIET, |(_, outcome)| *outcome)
        };
        let outcomes: Vec<Outcome> = read.iter().map(outcome_of).collect();
        let ending = self
            .sessions
            .end(self.now_ms, &mut self.rng, &fetching, &outcomes)
            .expect("in its session");
        assert_eq!(ending.session_id, at.0);
        let said = read.iter().zip(&ending.said).filter(|(_, said)| **said).map(|(at, _)| *at);
        (read.clone(), said.collect())
    }
}

#[test]
fn ids_and_epochs_are_taken_and_refused_as_in_kafka() {
    use FetchSessionError::{FetchSessionIdNotFound as NoId, InvalidFetchSessionEpoch as BadEpoch};
    // The session asked about exists and expects epoch 1.
    let session = 0;
    let cases = [
        ("sessionless", None, FINAL_EPOCH, Ok(false)),
        ("a new one", None, INITIAL_EPOCH, Ok(true)),
        ("ends its session, wants none", Some(session), FINAL_EPOCH, Ok(false)),
        ("ends its session, wants another", Some(session), INITIAL_EPOCH, Ok(true)),
        ("goes on", Some(session), 1, Ok(true)),
        ("is ahead", Some(session), 2, Err(BadEpoch)),
        ("is far behind", Some(session), i32::MAX, Err(BadEpoch)),
        ("has a negative epoch", Some(session), -2, Err(BadEpoch)),
        ("has no id but an epoch", None, 1, Err(NoId)),
        ("has another's id", Some(1), 1, Err(NoId)),
    ];
    for (what, id, epoch, expected) in cases {
        let mut table = Table::new(10);
        let ours = table.found(0..3);
        let id = id.map_or(NO_SESSION, |by| ours ^ by);
        let outcome = table.begin((id, epoch), all(0..3)).and_then(|fetching| {
            assert_eq!(fetching.partitions.len(), 3, "{what}");
            table.end(&fetching, QUIET)
        });
        assert_eq!(outcome.map(|ending| ending.session_id != NO_SESSION), expected, "{what}");
        let survives = id != ours || !matches!(epoch, INITIAL_EPOCH | FINAL_EPOCH);
        assert_eq!(table.sessions.sessions.contains_key(&ours), survives, "{what}");
    }
}

#[test]
fn epochs_go_around_without_zero() {
    let mut table = Table::new(1);
    let id = table.found(0..1);
    table.sessions.sessions.get_mut(&id).expect("there").epoch = i32::MAX;
    assert!(table.begin((id, i32::MAX), Vec::new()).is_ok());
    assert_eq!(table.begin((id, 0x7fff_fffe), Vec::new()).err(), {
        Some(FetchSessionError::InvalidFetchSessionEpoch)
    });
    assert!(table.begin((id, 1), Vec::new()).is_ok());
}

#[test]
fn a_session_with_names_is_not_gone_on_with_by_id_nor_the_other_way() {
    for by_id in [false, true] {
        let mut table = Table::new(1);
        let request = |id, epoch, by_id| SessionRequest { id, epoch, by_id };
        let full = table.sessions.begin(0, request(0, 0, by_id), all(0..1), &[]).expect("full");
        let id = table.end(&full, QUIET).expect("answered").session_id;
        let other = table.sessions.begin(0, request(id, 1, !by_id), Vec::new(), &[]);
        assert_eq!(other.err(), Some(FetchSessionError::FetchSessionTopicIdError));
        assert!(table.sessions.begin(0, request(id, 1, by_id), Vec::new(), &[]).is_ok());
    }
}

#[test]
fn only_what_changed_is_said() {
    let mut table = Table::new(1);
    let id = table.found(0..4);
    assert_eq!(table.round((id, 1), &[]).1, NOTHING, "nothing changed");
    let higher = Outcome { high_watermark: 11, ..QUIET };
    let trimmed = Outcome { log_start: 4, ..QUIET };
    let diverging = Outcome { must_say: true, ..QUIET };
    let news = [(0, RECORDS), (1, higher), (2, trimmed), (3, diverging)];
    let (_, mut said) = table.round((id, 2), &news);
    said.sort_unstable();
    assert_eq!(said, [0, 1, 2, 3]);
    assert_eq!(table.round((id, 3), &[(1, higher), (2, trimmed)]).1, NOTHING, "said already");
}

#[test]
fn an_error_is_said_every_time_and_its_end_is_news() {
    let mut table = Table::new(1);
    let id = table.found(0..2);
    assert_eq!(table.round((id, 1), &[(1, ERROR)]).1, [1]);
    assert_eq!(table.round((id, 2), &[(1, ERROR)]).1, [1]);
    assert_eq!(table.round((id, 3), &[]).1, [1], "well again");
    assert_eq!(table.round((id, 4), &[]).1, NOTHING);
}

#[test]
fn who_gave_records_is_read_after_the_others() {
    let mut table = Table::new(1);
    let id = table.found(0..4);
    assert_eq!(table.round((id, 1), &[(0, RECORDS), (2, RECORDS)]).0, [0, 1, 2, 3]);
    assert_eq!(table.round((id, 2), &[(1, RECORDS)]).0, [1, 3, 0, 2]);
    assert_eq!(table.round((id, 3), &[]).0, [3, 0, 2, 1]);
}

#[test]
fn partitions_are_added_changed_and_forgotten_on_the_way() {
    let mut table = Table::new(1);
    let id = table.found(0..3);
    let request = SessionRequest { id, epoch: 1, by_id: BY_NAME };
    let further = Asked { fetch_offset: 7, ..asked(1) };
    let fetching = table
        .sessions
        .begin(0, request, vec![further, asked(9)], &[key(0), key(5)])
        .expect("in its session");
    let read: Vec<_> =
        fetching.partitions.iter().map(|asked| (asked.key.partition, asked.fetch_offset)).collect();
    assert_eq!(read, [(1, 7), (2, 0), (9, 0)]);
    let ending = table.end(&fetching, QUIET).expect("in its session");
    assert_eq!(ending.said, [false, false, true], "a new partition is always said");
    assert_eq!(table.sessions.partitions, 3);
}

#[test]
fn a_session_that_forgets_everything_is_over() {
    let mut table = Table::new(1);
    let id = table.found(0..2);
    let request = SessionRequest { id, epoch: 1, by_id: BY_NAME };
    let fetching = table.sessions.begin(0, request, Vec::new(), &[key(0), key(1)]).expect("taken");
    assert_eq!(table.end(&fetching, QUIET).expect("answered").session_id, NO_SESSION);
    assert_eq!(table.sessions.partitions, 0);
    assert!(table.begin((id, 2), Vec::new()).is_err());
}

#[test]
fn who_comes_second_with_the_same_epoch_is_refused() {
    let mut table = Table::new(1);
    let id = table.found(0..1);
    let first = table.begin((id, 1), Vec::new()).expect("the expected epoch");
    assert!(table.begin((id, 1), Vec::new()).is_err(), "said twice");
    let second = table.begin((id, 2), Vec::new()).expect("the next epoch");
    assert_eq!(table.end(&first, QUIET), Err(FetchSessionError::InvalidFetchSessionEpoch));
    assert!(table.end(&second, QUIET).is_ok());
}

#[test]
fn a_full_cache_gives_way_only_where_two_minutes_have_passed() {
    const MINUTES_2: i64 = 120_000;
    let mut table = Table::new(2);
    let (small, large) = (table.found(0..1), table.found(0..9));
    assert_eq!(table.found(0..5), NO_SESSION, "nobody gives way yet");
    let use_both = |table: &mut Table, epoch| {
        assert!(table.begin((small, epoch), Vec::new()).is_ok());
        assert!(table.begin((large, epoch), Vec::new()).is_ok());
    };
    table.now_ms = MINUTES_2;
    use_both(&mut table, 1);
    assert_eq!(table.found(0..5), NO_SESSION, "exactly two minutes");
    table.now_ms = MINUTES_2 + 1;
    let third = table.found(0..5);
    assert_ne!(third, NO_SESSION, "the smallest old one gives way");
    assert!(table.begin((small, 2), Vec::new()).is_err());
    assert_eq!(table.found(0..5), NO_SESSION, "the other old one is larger");
    assert!(table.begin((large, 2), Vec::new()).is_ok());
    table.now_ms = 3 * MINUTES_2;
    assert_ne!(table.found(0..1), NO_SESSION, "one nobody uses gives way whatever its size");
    assert_eq!(table.sessions.sessions.len(), 2);
}

#[test]
fn partitions_over_all_sessions_are_bounded() {
    let limit = i32::try_from(PARTITIONS_MAX).expect("fits");
    let mut table = Table::new(10);
    assert_eq!(table.found(0..=limit), NO_SESSION, "more than all");
    let id = table.found(0..limit - 1);
    assert_ne!(id, NO_SESSION);
    assert_eq!(table.found(0..2), NO_SESSION, "no room");
    assert!(table.begin((id, 1), all([limit])).is_ok());
    assert_eq!(table.begin((id, 2), all([limit + 1])).err(), {
        Some(FetchSessionError::FetchSessionIdNotFound)
    });
    assert_eq!(table.sessions.partitions, 0);
}
