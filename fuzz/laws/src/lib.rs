//! The laws that every engine keeps, generic over [`Engine`](services::engine::Engine).
//!
//! A law is a function from a [`Subject`] and any octets to a verdict. The octets say what the peer sends, how it arrives
//! and how the application feels about each question ([`Script`]): property tests draw them on stable Rust, libFuzzer
//! finds them by coverage, and both find the same faults. [`planted`] holds the faults that show that each law can fail.
//!
//! | law | says |
//! |---|---|
//! | [`split`] | any split of the input gives the same octets out and, with chunks joined, the same events |
//! | [`bounds`] | no panic, and no more memory than the limits say, whatever anybody does |
//! | [`replies`] | every command gets exactly one final reply |
//! | [`silence`] | behind the end there is silence |
//! | [`deadlines`] | no octet from the peer moves a phase's deadline, and a deadline that is due ends something |
//! | [`resets`] | what was said before a reset is forgotten |
//! | [`bodies`] | data is never taken for a command |
//! | [`identity`] | what is written is what is parsed |
//! | [`verbs`] | every verb in every state is in order, or is a misuse that changes nothing |
//!
//! Beside them stand [`pair::visit`] and [`smtp_pair::deliver`], over both halves of POP3 and of SMTP at once, and
//! [`router::forged`], over a table that no engine is.
//!
//! ```
//! let pop3 = laws::pop3::Server::default();
//! // Configuration 0, no moods, no pieces; then what the peer says.
//! laws::split(&pop3, b"\0\0CAPA\r\nQUIT\r\n")?;
//! # Ok::<(), laws::Broken>(())
//! ```

mod bodies;
mod bounds;
mod deadlines;
pub mod delivery;
mod draw;
pub mod fetch;
mod half;
mod identity;
pub mod imap;
pub mod pair;
pub mod planted;
mod player;
pub mod pop3;
pub mod pop3_client;
mod replies;
mod resets;
pub mod router;
mod script;
mod silence;
pub mod smtp;
pub mod smtp_client;
pub mod smtp_pair;
mod split;
mod subject;
mod verbs;
mod wire;

pub use bodies::bodies;
pub use bounds::bounds;
pub use deadlines::deadlines;
pub use draw::Draw;
pub use identity::identity;
pub use player::{Manners, Pace, Player, Reading, Told, Transcript};
pub use replies::replies;
pub use resets::resets;
pub use script::Script;
pub use silence::silence;
pub use split::split;
pub use subject::{Enclosed, Listener, Reset, Said, Subject, Written};
pub use verbs::verbs;
pub use wire::hex;

/// A law was broken: how.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the engine {0}")]
pub struct Broken(String);

impl Broken {
    /// Says what the engine does that it must not do.
    pub fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}

/// One law, which the first octet chooses: what a fuzz target calls.
///
/// # Errors
/// If the law is broken.
pub fn any<S: Subject>(subject: &S, data: &[u8]) -> Result<(), Broken> {
    let Some((first, data)) = data.split_first() else { return Ok(()) };
    match first % 9 {
        0 => split(subject, data),
        1 => bounds(subject, data),
        2 => replies(subject, data),
        3 => silence(subject, data),
        4 => deadlines(subject, data),
        5 => resets(subject, data),
        6 => bodies(subject, data),
        7 => identity(subject, data),
        _ => verbs(subject, data),
    }
}

/// Returns a [`Broken`] law unless the condition holds.
macro_rules! ensure {
    ($holds:expr, $($what:tt)+) => {
        if !$holds {
            return Err($crate::Broken::new(format!($($what)+)));
        }
    };
}
pub(crate) use ensure;
