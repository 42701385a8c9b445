//! What lies between nodes: each direction of each pair delays, loses, repeats or cuts.
//!
//! | link | a message |
//! | --- | --- |
//! | up | arrives after its delay; may overtake, be lost, come twice |
//! | cut | is lost; the other direction may be up |
//!
//! Peers speak TCP, which neither loses nor reorders within a connection; but connections break
//! and are made anew, and control and bulk are two. Consensus must live with all of it.

use holdfast_base::{Rng, SplitMix64};

/// How bad links are, for all of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Weather {
    /// Shortest way.
    pub(crate) delay_min_ns: u64,
    /// Longest ordinary way.
    pub(crate) delay_max_ns: u64,
    /// How many in a thousand are lost.
    pub(crate) loss_per_mille: u64,
    /// How many in a thousand come twice.
    pub(crate) repeat_per_mille: u64,
    /// How many in a thousand take `late_ns` longer.
    pub(crate) late_per_mille: u64,
    /// How much longer at most.
    pub(crate) late_ns: u64,
}

impl Weather {
    /// A healthy rack.
    pub(crate) const FINE: Weather = Weather {
        delay_min_ns: 30_000,
        delay_max_ns: 300_000,
        loss_per_mille: 0,
        repeat_per_mille: 0,
        late_per_mille: 0,
        late_ns: 1,
    };
}

/// Counts of what happened to messages.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct NetworkCounters {
    pub(crate) sent: u64,
    pub(crate) lost: u64,
    pub(crate) cut: u64,
    pub(crate) repeated: u64,
    pub(crate) late: u64,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Network {
    rng: SplitMix64,
    pub(crate) weather: Weather,
    /// `cut[from][to]`.
    cut: Vec<Vec<bool>>,
    pub(crate) counters: NetworkCounters,
}

impl Network {
    pub(crate) fn new(rng: SplitMix64, nodes: usize) -> Self {
        Network {
            rng,
            weather: Weather::FINE,
            cut: vec![vec![false; nodes]; nodes],
            counters: NetworkCounters::default(),
        }
    }

    pub(crate) fn set_cut(&mut self, from: usize, to: usize, cut: bool) {
        self.cut[from][to] = cut;
    }

    pub(crate) fn mend_all(&mut self) {
        for row in &mut self.cut {
            row.fill(false);
        }
    }

    /// When the copies of a message arrive: none, one or two delays.
    pub(crate) fn delays(&mut self, from: usize, to: usize) -> [Option<u64>; 2] {
        self.counters.sent += 1;
        if self.cut[from][to] {
            self.counters.cut += 1;
            return [None, None];
        }
        let weather = self.weather;
        if self.rng.chance(weather.loss_per_mille, 1000) {
            self.counters.lost += 1;
            return [None, None];
        }
        let first = self.delay(weather);
        let again = self.rng.chance(weather.repeat_per_mille, 1000).then(|| self.delay(weather));
        self.counters.repeated += u64::from(again.is_some());
        [Some(first), again]
    }

    fn delay(&mut self, weather: Weather) -> u64 {
        let spread = weather.delay_max_ns - weather.delay_min_ns + 1;
        let mut delay = weather.delay_min_ns + self.rng.below(spread);
        if self.rng.chance(weather.late_per_mille, 1000) {
            self.counters.late += 1;
            delay += self.rng.below(weather.late_ns);
        }
        delay
    }
}
