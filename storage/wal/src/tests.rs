//! Claims about the log as a whole, on the simulated disk.

mod crash;
mod damage;
mod erase;
mod scrub;
mod space;
pub(crate) mod support;
mod trim;
mod way;
