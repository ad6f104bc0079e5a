//! What tests of a queue need: a disk that fails and crashes on demand, a clock that stands still until it is told, and
//! a way to run futures without a runtime.

mod clock;
mod disk;
mod executor;

pub use clock::VirtualClock;
pub use disk::{Disk, DiskFile, Fault, Survival};
pub use executor::{Settled, block_on, settle};
