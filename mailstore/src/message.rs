//! What a mailbox says about its messages, and what it is told.

use std::{ops::RangeInclusive, sync::Arc};

use crate::Flags;

/// The longest delivery id, in octets: it must fit into a file name beside the rest of it.
pub const DELIVERY_ID_MAX: usize = 80;

/// One message, without its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its unique identifier in the mailbox (RFC 3501 §2.3.1.1).
    pub uid: u32,
    /// Its flags.
    pub flags: Flags,
    /// The exact number of octets that reading it returns.
    pub size: u64,
    /// When it arrived, in seconds since 1970 (RFC 3501 §2.3.3).
    pub internal_date: i64,
    /// When it changed last (RFC 7162 §3.1).
    pub modseq: u64,
    /// A name that no other message of the account has ever had.
    pub guid: Arc<str>,
    /// The unique-id listing that this message has had elsewhere and must keep (RFC 1939 §7); see [`Message::uidl`].
    pub inherited_uidl: Option<Arc<str>>,
}

impl Message {
    /// The message's unique-id listing for POP3: the inherited one, else UID and UIDVALIDITY in the form that Dovecot
    /// gives by default, so that clients which leave mail on the server do not fetch all of it again.
    pub fn uidl(&self, uidvalidity: u32) -> String {
        match &self.inherited_uidl {
            Some(uidl) => uidl.to_string(),
            None => format!("{:08x}{uidvalidity:08x}", self.uid),
        }
    }
}

/// Whether the caller takes the mark \Recent from the messages, or only looks (RFC 3501 §2.3.2: exactly one session is
/// told).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recent {
    /// SELECT: what is told as recent here is so nowhere else.
    Claim,
    /// EXAMINE, STATUS, POP3: nothing changes.
    Peek,
}

/// A place in a mailbox's history, meaningful to the store that made it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Since(Box<[u8]>);

impl Since {
    /// Makes a token from what a store wants to find in it again.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }

    /// What the store put into it.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// A mailbox at one moment.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// RFC 3501 §2.3.1.1; never 0, and never less than it was.
    pub uidvalidity: u32,
    /// A number greater than every UID given so far; never less than it was.
    pub uidnext: u32,
    /// RFC 7162 §3.1.2.1; never 0, and never less than it was.
    pub highestmodseq: u64,
    /// The place from which [`Mailbox::changes`](crate::Mailbox::changes) goes on.
    pub since: Since,
    /// All messages, by ascending UID.
    pub messages: Vec<Message>,
    /// UIDs of the messages that are \Recent to the caller, ascending.
    pub recent: Vec<u32>,
    /// All keywords that the mailbox knows.
    pub keywords: Arc<[Arc<str>]>,
    /// Whether it will take new ones (RFC 3501 §7.1, PERMANENTFLAGS `\*`).
    pub takes_new_keywords: bool,
}

/// What happened since a place in history.
#[derive(Clone, Debug)]
pub enum Changes {
    /// This.
    Delta(Delta),
    /// The store cannot say any more: take a new snapshot and compare.
    Resync,
}

/// What happened between two places in a mailbox's history. A message that came and went in between is in none of the
/// lists.
#[derive(Clone, Debug)]
pub struct Delta {
    /// Messages that are new, by ascending UID.
    pub new: Vec<Message>,
    /// UIDs of the messages that are gone, ascending.
    pub gone: Vec<u32>,
    /// Older messages whose flags changed, by ascending UID.
    pub touched: Vec<Touched>,
    /// UIDs of the new messages that are \Recent to the caller, ascending.
    pub recent: Vec<u32>,
    /// As in [`Snapshot`].
    pub uidnext: u32,
    /// As in [`Snapshot`].
    pub highestmodseq: u64,
    /// As in [`Snapshot`].
    pub keywords: Arc<[Arc<str>]>,
    /// The place from which to ask the next time.
    pub since: Since,
}

impl Delta {
    /// Whether there is nothing to tell.
    pub fn is_empty(&self) -> bool {
        self.new.is_empty() && self.gone.is_empty() && self.touched.is_empty()
    }
}

/// A message's flags at this moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Touched {
    /// Which message.
    pub uid: u32,
    /// All its flags.
    pub flags: Flags,
    /// When it changed last.
    pub modseq: u64,
}

/// A change of flags (RFC 3501 §6.4.6).
#[derive(Clone, Debug)]
pub struct FlagChange {
    /// What to do with the flags.
    pub how: FlagHow,
    /// The flags.
    pub flags: Flags,
    /// Leaves alone what changed after this MODSEQ (RFC 7162 §3.1.3, UNCHANGEDSINCE).
    pub unchanged_since: Option<u64>,
}

/// What a change does with its flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlagHow {
    /// `+FLAGS`
    Add,
    /// `-FLAGS`
    Remove,
    /// `FLAGS`
    Replace,
}

impl FlagChange {
    /// Adds flags, whenever the message changed last.
    pub fn add(flags: impl Into<Flags>) -> Self {
        Self { how: FlagHow::Add, flags: flags.into(), unchanged_since: None }
    }

    /// Removes flags, whenever the message changed last.
    pub fn remove(flags: impl Into<Flags>) -> Self {
        Self { how: FlagHow::Remove, flags: flags.into(), unchanged_since: None }
    }

    /// Replaces all flags, whenever the message changed last.
    pub fn replace(flags: impl Into<Flags>) -> Self {
        Self { how: FlagHow::Replace, flags: flags.into(), unchanged_since: None }
    }

    /// The flags of a message after the change.
    pub fn applied_to(&self, before: &Flags) -> Flags {
        let mut after = before.clone();
        match self.how {
            FlagHow::Add => after.merge(&self.flags),
            FlagHow::Remove => after.subtract(&self.flags),
            FlagHow::Replace => after = self.flags.clone(),
        }
        after
    }
}

/// What a change of flags came to.
#[derive(Clone, Debug, Default)]
pub struct Stored {
    /// Messages whose flags are different now, by ascending UID. What was so already is not among them and keeps its
    /// MODSEQ.
    pub changed: Vec<Touched>,
    /// UIDs that were left alone because of `unchanged_since`, ascending.
    pub modified: Vec<u32>,
}

/// A message to be stored.
#[derive(Clone, Debug, Default)]
pub struct NewMessage {
    /// Flags to begin with.
    pub flags: Flags,
    /// When it arrived, in seconds since 1970; `None` is now.
    pub internal_date: Option<i64>,
    /// Names the delivery, so that a second attempt finds the first one's message instead of making another: 1 to
    /// [`DELIVERY_ID_MAX`] letters, digits, `-`, `_` and `.`. The store remembers it for 30 days at least, longer than
    /// any queue tries, and also when the message is expunged.
    pub delivery_id: Option<String>,
    /// How many octets will be written, if known.
    pub size_hint: Option<u64>,
}

/// What became of a new message.
#[derive(Debug)]
pub struct Appended {
    /// The mailbox's UIDVALIDITY (RFC 4315 §3, APPENDUID).
    pub uidvalidity: u32,
    /// The message's UID; that of the earlier message if the delivery id was known.
    pub uid: u32,
    /// The proof that it is durable.
    pub custody: Custody,
}

/// Says that a message will outlive a crash: its content, its place in the mailbox and its name are synced. Who holds
/// one may tell the sender that the message is taken (RFC 5321 §6.1).
#[derive(Debug)]
#[must_use = "custody is what the answer to the sender rests on"]
pub struct Custody {
    guid: Arc<str>,
}

impl Custody {
    /// Attests that the message of this name is durable. Stores call it, after the sync that makes it true.
    pub fn attest_durable(guid: Arc<str>) -> Self {
        Self { guid }
    }

    /// The message's [`guid`](Message::guid).
    pub fn guid(&self) -> &str {
        &self.guid
    }
}

/// What a copy or move came to (RFC 4315 §3, COPYUID).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copied {
    /// UIDVALIDITY of the mailbox the messages are in now.
    pub uidvalidity: u32,
    /// Old UID and new UID of each message, both ascending. UIDs that named no message are not among them.
    pub uids: Vec<(u32, u32)>,
}

/// Which messages to expunge.
#[derive(Clone, Copy, Debug)]
pub enum Expunge<'a> {
    /// All with \Deleted (RFC 3501 §6.4.3).
    Deleted,
    /// Those of these UIDs with \Deleted (RFC 4315 §2.1).
    DeletedAmong(&'a [RangeInclusive<u32>]),
    /// Those of these UIDs, whatever their flags (RFC 1939 §6, the UPDATE state).
    These(&'a [RangeInclusive<u32>]),
}

/// Counts of a mailbox (RFC 3501 §6.3.10).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// How many messages there are.
    pub messages: u32,
    /// How many of them are \Recent.
    pub recent: u32,
    /// How many of them are not \Seen.
    pub unseen: u32,
    /// How many of them are \Deleted (RFC 9051 §6.3.11).
    pub deleted: u32,
    /// The sum of their sizes in octets (RFC 8438).
    pub size: u64,
    /// As in [`Snapshot`].
    pub uidnext: u32,
    /// As in [`Snapshot`].
    pub uidvalidity: u32,
    /// As in [`Snapshot`].
    pub highestmodseq: u64,
}

/// Whether a text can be a delivery id.
pub(crate) fn is_delivery_id(id: &str) -> bool {
    (1..=DELIVERY_ID_MAX).contains(&id.len())
        && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}
