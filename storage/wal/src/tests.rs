//! Claims about the log as a whole, on the simulated disk.

mod crash;
mod support;
mod way;
