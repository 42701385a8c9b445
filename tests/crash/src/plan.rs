//! What a round does: drawn from the seed, so that a failed round can be set up again.
//!
//! Nine rounds see every pair of modes of the two producers, and both libraries in each.
//!
//! | mode | acks | idempotent | requests in flight |
//! | --- | --- | --- | --- |
//! | 0 | 1 | no | 1 |
//! | 1 | all | no | 1 |
//! | 2 | all | yes | 5 |
//!
//! Beside the producers each library has a group that consumes the topic, with one member at a
//! time: one dynamic member, which lives through the kill of the daemon, and one static member,
//! which is killed with it and has a successor. The libraries take turns.
//!
//! Kafka's clients refuse idempotence with acks=1. One request in flight where a producer is not
//! idempotent: then order holds for it as well, and is judged.

use std::str::FromStr;
use std::time::Duration;

use holdfast_base::Rng;

/// Back ends of the log, by data directory.
#[derive(Clone, Debug)]
pub enum Backends {
    /// What the daemon chooses, and `pwritev2`, in turn.
    Both,
    /// This one.
    One(String),
}

impl FromStr for Backends {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(if text == "both" { Backends::Both } else { Backends::One(text.to_owned()) })
    }
}

impl Backends {
    /// That of data directory `number`, from 0.
    pub fn of(&self, number: u32) -> &str {
        match self {
            Backends::One(backend) => backend,
            Backends::Both if number.is_multiple_of(2) => "auto",
            Backends::Both => "pwritev2",
        }
    }
}

/// A library.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Library {
    /// librdkafka through Python.
    Librdkafka,
    /// Kafka's own.
    Java,
}

impl Library {
    /// As shown.
    pub fn name(self) -> &'static str {
        match self {
            Library::Librdkafka => "librdkafka",
            Library::Java => "java",
        }
    }
}

/// One producer of a round.
#[derive(Clone, Debug)]
pub struct Producing {
    /// With which library.
    pub library: Library,
    /// As the client's setting.
    pub acks: &'static str,
    /// Whether idempotent.
    pub idempotent: bool,
    /// How long a batch waits for more.
    pub linger_ms: u64,
    /// Most records without an answer.
    pub window: u64,
    /// Most records it sends in a second.
    pub rate: u64,
    /// Bytes of a record.
    pub record_bytes: u64,
    /// Its first value; values are unique over all rounds.
    pub first_value: u64,
    /// Records it must get acknowledged.
    pub records: u32,
}

/// One group.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Consuming {
    /// Library of its members.
    pub library: Library,
    /// Whether members have an instance id, so that a successor takes over at once.
    pub is_static: bool,
    /// Most records taken at once: what a commit covers.
    pub batch: u32,
}

impl Consuming {
    /// Its group's name: a topic has one group per library and kind of member.
    pub fn group(&self, topic: &str) -> String {
        let kind = if self.is_static { "static" } else { "dynamic" };
        format!("{topic}-{}-{kind}", self.library.name())
    }
}

/// What a kill aims at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WaitFor {
    /// Whatever the moment brings.
    Nothing,
    /// The log goes over into another segment (or a producer ends before that).
    SegmentRoll,
    /// An object is being written while the log waits for a trim (or both producers end before that).
    UploadAndTrim,
    /// Both producers are stopped, with records on their way, until long after the log has
    /// published what is durable; they go on when the daemon is gone.
    Quiet,
}

/// When the daemon is killed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KillMoment {
    /// Not before one of the producers has so many acknowledgements, and each of them
    /// [`ACKED_EACH_MIN`].
    pub acked_min: u64,
    /// Then not before this.
    pub wait_for: WaitFor,
    /// And this much later.
    pub delay: Duration,
    /// Then the daemon that is started again is killed, too, this long after its start: into
    /// recovery, if the log is long enough.
    pub again: Option<Duration>,
    /// Which group's member is killed while the daemon is down, so that nothing of it is on its way.
    pub member: Option<usize>,
}

/// A round.
#[derive(Clone, Debug)]
pub struct Plan {
    /// From 1.
    pub round: u32,
    /// Partitions of its topic.
    pub partitions: u32,
    /// Its producers.
    pub producers: [Producing; 2],
    /// Its groups.
    pub consumers: [Consuming; 2],
    /// When it kills.
    pub kill: KillMoment,
}

/// Before it has so many acknowledgements a producer has hardly begun.
pub const ACKED_EACH_MIN: u64 = 100;
/// Before it has so many acknowledged commits a group has hardly begun.
pub const COMMITS_EACH_MIN: u64 = 3;
/// Values of different producers are this far apart.
pub const VALUES_PER_PRODUCER: u64 = 10_000_000;
/// One round of three waits for the end of a segment, and one of six for quiet.
const AIMS: [WaitFor; 6] = [
    WaitFor::Nothing,
    WaitFor::SegmentRoll,
    WaitFor::Nothing,
    WaitFor::Quiet,
    WaitFor::SegmentRoll,
    WaitFor::Nothing,
];
/// With an object store five rounds of six wait for an upload and a trim.
const AIMS_WITH_STORE: [WaitFor; 6] = [
    WaitFor::UploadAndTrim,
    WaitFor::UploadAndTrim,
    WaitFor::SegmentRoll,
    WaitFor::UploadAndTrim,
    WaitFor::UploadAndTrim,
    WaitFor::UploadAndTrim,
];
/// Records of a round with an object store are at least so large: half of a log has to be filled.
const RECORD_BYTES_WITH_STORE: u64 = 700;
/// Records a second.
const RATES: [u64; 3] = [4_000, 8_000, 16_000];
/// With an object store a round has to last for as long as an object takes to become due.
const RATES_WITH_STORE: [u64; 3] = [2_000, 3_000, 5_000];
/// One round of so many kills twice.
const ROUNDS_PER_SECOND_KILL: u32 = 5;
/// The log publishes what is durable within 100 ms of the last frame.
const QUIET: Duration = Duration::from_millis(300);

impl Plan {
    /// The plan of `round`: `records` acknowledged records at least, shared by both producers.
    pub fn draw(round: u32, records: u32, with_store: bool, rng: &mut impl Rng) -> Plan {
        let turn = round - 1;
        let modes = [turn % 3, (turn + turn / 3) % 3];
        let rates = if with_store { RATES_WITH_STORE } else { RATES };
        let mut place = 0;
        let producers = [Library::Librdkafka, Library::Java].map(|library| {
            let mode = modes[place];
            place += 1;
            Producing {
                library,
                acks: if mode == 0 { "1" } else { "all" },
                idempotent: mode == 2,
                linger_ms: [0, 1, 5][rng.below(3) as usize],
                window: [50, 500, 4_000][rng.below(3) as usize],
                rate: rates[rng.below(3) as usize],
                record_bytes: if with_store { RECORD_BYTES_WITH_STORE } else { 200 }
                    + rng.below(1_000),
                first_value: (2 * u64::from(round) + place as u64) * VALUES_PER_PRODUCER,
                records: records.div_ceil(2),
            }
        });
        let aims = if with_store { AIMS_WITH_STORE } else { AIMS };
        let wait_for = aims[turn as usize % aims.len()];
        let each = u64::from(records.div_ceil(2));
        // A roll is waited for from early on, and over within a millisecond.
        let (earliest, spread, delay) = match wait_for {
            WaitFor::Nothing => (each / 10, each / 2, Duration::from_micros(rng.below(20_000))),
            WaitFor::SegmentRoll => (each / 20, 1, Duration::from_micros(rng.below(400))),
            // At once: the file of an object is there for some milliseconds.
            WaitFor::UploadAndTrim => (each / 20, each / 4, Duration::ZERO),
            WaitFor::Quiet => (each / 10, each / 2, QUIET),
        };
        let acked_min = earliest + rng.below(spread.max(1));
        let again = (round % ROUNDS_PER_SECOND_KILL == 3)
            .then(|| Duration::from_micros(2_000 + rng.below(150_000)));
        let partitions = 3 + rng.below(4) as u32;
        let member = turn as usize % 2;
        let consumers = [0, 1].map(|place| Consuming {
            library: [Library::Librdkafka, Library::Java][place],
            is_static: place == member,
            batch: [50, 500, 2_000][rng.below(3) as usize],
        });
        let kill = KillMoment { acked_min, wait_for, delay, again, member: Some(member) };
        Plan { round, partitions, producers, consumers, kill }
    }

    /// Name of its topic.
    pub fn topic(&self) -> String {
        format!("crash-{}", self.round)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdfast_base::SplitMix64;
    use std::collections::BTreeSet;

    #[test]
    fn nine_rounds_see_every_pair_of_modes() {
        let mut pairs = BTreeSet::new();
        for round in 1..=9 {
            let plan = Plan::draw(round, 50_000, false, &mut SplitMix64::new(1));
            pairs.insert(plan.producers.map(|one| (one.acks, one.idempotent)));
        }
        assert_eq!(pairs.len(), 9);
    }

    #[test]
    fn no_mode_is_one_that_clients_refuse_and_there_is_work_behind_every_kill() {
        for round in 1..=200 {
            let plan = Plan::draw(round, 50_000, false, &mut SplitMix64::new(u64::from(round)));
            assert!(plan.partitions >= 3);
            assert!(plan.producers.iter().all(|one| !one.idempotent || one.acks == "all"));
            let records: u64 = plan.producers.iter().map(|one| u64::from(one.records)).sum();
            assert!(records >= 50_000 && plan.kill.acked_min <= records * 3 / 10);
        }
    }

    #[test]
    fn a_member_that_is_killed_is_static_and_both_libraries_take_turns() {
        let mut killed = Vec::new();
        for round in 1..=4 {
            let plan = Plan::draw(round, 50_000, false, &mut SplitMix64::new(9));
            let place = plan.kill.member.expect("every round kills one");
            assert!(plan.consumers[place].is_static && !plan.consumers[1 - place].is_static);
            killed.push(plan.consumers[place].library.name());
        }
        assert_eq!(killed, ["librdkafka", "java", "librdkafka", "java"]);
    }

    #[test]
    fn values_of_two_producers_never_meet() {
        let mut firsts = BTreeSet::new();
        for round in 1..=100 {
            let plan = Plan::draw(round, 50_000, false, &mut SplitMix64::new(0));
            firsts.extend(plan.producers.iter().map(|one| one.first_value));
        }
        assert_eq!(firsts.len(), 200);
        let firsts: Vec<u64> = firsts.into_iter().collect();
        assert!(firsts.windows(2).all(|two| two[1] - two[0] >= VALUES_PER_PRODUCER));
    }
}
