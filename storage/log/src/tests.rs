//! Claims about the core, told with one leader and its log in memory.

mod epochs;
mod group_expiry;
mod group_limits;
mod group_model;
mod groups;
mod hostile;
mod leadership;
mod merge_plan;
mod merges;
mod model;
mod object_model;
mod objects;
mod planted;
mod positions;
mod refusals;
mod repair;
mod replay;
mod retention;
mod rows;
mod support;
