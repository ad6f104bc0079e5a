//! Where two vocabularies are translated, and nowhere else. A file for each protocol.

#[cfg(feature = "smtp")]
mod envelope;
#[cfg(feature = "imap")]
pub(crate) mod imap;
#[cfg(feature = "smtp")]
mod smtp;

#[cfg(feature = "smtp")]
pub(crate) use envelope::*;
#[cfg(feature = "smtp")]
pub(crate) use smtp::*;
