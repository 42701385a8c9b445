//! What is fed, from which corpus, and what must hold.

mod batch;
mod frame;
mod guard;
mod metadata;
mod object;
mod state;
mod wal;

use holdfast_base::SplitMix64;

/// A parser under test. Holds no state that one input could leave to the next.
pub(crate) trait Target {
    /// As on the command line.
    fn name(&self) -> &'static str;
    /// Real encodings.
    fn corpus(&self) -> Vec<Vec<u8>>;
    /// Makes checksums true again, sometimes, so that lies behind them are reached.
    fn repair(&self, _input: &mut [u8], _rng: &mut SplitMix64) {}
    /// Must not panic.
    fn run(&self, input: &[u8]) -> Verdict;
    /// What an input of this size may allocate.
    fn bound(&self, input_bytes: usize) -> Bound;
}

/// What became of an input.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// It is what it claims to be: worth mutating further.
    Accepted,
    /// With a typed error.
    Refused,
    /// An invariant does not hold.
    Wrong(String),
}

/// Most bytes an input may cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bound {
    /// In one allocation.
    pub(crate) largest_bytes: u64,
    /// Held at a time.
    pub(crate) peak_bytes: u64,
}

/// Every target.
pub(crate) fn all() -> Vec<Box<dyn Target>> {
    vec![
        Box::new(guard::Guard),
        Box::new(frame::Frame),
        Box::new(batch::Validation),
        Box::new(batch::Walk),
        Box::new(wal::Recovery::new()),
        Box::new(object::Object::new()),
        Box::new(state::Checkpoints),
        Box::new(state::Rows),
        Box::new(state::Commands::new()),
        Box::new(metadata::Entries::new()),
        Box::new(metadata::Catalogue),
    ]
}
