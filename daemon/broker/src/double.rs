//! Doubles for tests: a lane that answers from a script, a device that answers from a map, a
//! clock that stands still, and a cluster of one node.
