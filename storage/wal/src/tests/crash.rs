//! Power cuts and kills at every point.
