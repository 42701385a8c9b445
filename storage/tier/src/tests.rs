//! Claims about the whole room.

mod building;
mod cache;
mod checking;
mod commands;
mod damage;
mod faults;
mod merging;
mod reading;
mod support;
mod way;
