//! Updates: who could move, in which steps, and what a crash left behind.

pub mod policy;
