//! What the example servers share: how they start, stop and say what went wrong.

mod doors;
mod folder;
pub mod settings;
mod startup;
mod stop;
mod welcome;

pub use doors::{Doors, Tls};
pub use folder::DataFolder;
pub use startup::{Failure, arguments, descriptors, log_to_stderr};
pub use stop::Signals;
pub use welcome::Welcome;
