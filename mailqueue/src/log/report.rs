//! What opening a log found.

use std::io;

use thiserror::Error;

use crate::MessageId;

use super::yard::Fault;

/// What a log held when it was opened. Everything but the first two is zero or empty after a clean stop, and the last
/// four are always so while disks keep what they are given. Full segments are taken by the lists in them: what is damaged
/// in one shows when it is read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Segments in use.
    pub segments: usize,
    /// Messages that are queued.
    pub messages: usize,
    /// Pieces of messages that were arriving when the log was last closed or cut off, in the part that is read at a start.
    pub orphan_chunks: usize,
    /// Segments with a write that a crash cut off. Nothing in it had been acknowledged.
    pub torn_tails: usize,
    /// Stretches that had been synced and cannot be read. The file they are in is in [`Report::set_aside`].
    pub damage: Vec<Damage>,
    /// Messages whose octets are in a damaged stretch. Their envelopes can be read.
    pub damaged_messages: Vec<MessageId>,
    /// The types of records that a newer version wrote. They stay where they are.
    pub unknown: Vec<u16>,
    /// Files that were renamed, so that nobody writes over what may be left in them.
    pub set_aside: Vec<String>,
}

/// A stretch of a file that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The file, as it was named.
    pub file: String,
    /// Where the stretch begins, in octets.
    pub at: usize,
    /// How long it is.
    pub length: usize,
}

/// Why a log was not opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// Another process works on it.
    #[error("another process has the spool open")]
    Locked,
    /// A file is of a later format.
    #[error("{file} has format version {version}, which is newer than this program")]
    Newer {
        /// The file.
        file: String,
        /// The version it says.
        version: u16,
    },
    /// The configuration makes no sense.
    #[error("{0}")]
    Config(&'static str),
    /// There is no room to secure what a crash left.
    #[error("the disk is full")]
    Full,
    /// The file system failed.
    #[error("the spool cannot be read or written: {0}")]
    Io(#[from] io::Error),
}

impl From<Fault> for OpenError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Full => Self::Full,
            Fault::TooLarge => Self::Io(io::ErrorKind::FileTooLarge.into()),
            Fault::Io(kind) => Self::Io(kind.into()),
        }
    }
}
