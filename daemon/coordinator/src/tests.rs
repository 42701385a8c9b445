//! Stories of the coordinator, by subject.
