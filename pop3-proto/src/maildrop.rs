//! A maildrop as one session sees it: fixed at login, with marks for deletion.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use crate::Expire;

/// The messages of a mailbox at the moment of login, numbered from 1 (RFC 1939 §4). Made once, shared by reference.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Maildrop {
    messages: Vec<Message>,
    octets: u64,
    policy: UserPolicy,
}

/// One message of a maildrop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Octets of its text, as they will be given to [`body`](crate::ServerSession::body).
    pub size: u64,
    /// How the text ends.
    pub ending: Ending,
    /// Unique-id: 1 to 70 octets from `!` to `~` (RFC 1939 §7).
    pub uidl: Box<str>,
}

/// How a message's text ends. The one that ends a multi-line reply needs a CRLF before it (RFC 1939 §3), so that a text without one
/// is longer on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// By CRLF; or there is no text at all.
    Crlf,
    /// Without: RETR adds one, and the sizes told count it.
    Open,
}

impl Message {
    /// Octets that RETR sends, doubled dots and terminator not counted (RFC 1939 §11).
    #[must_use]
    pub const fn octets(&self) -> u64 {
        match self.ending {
            Ending::Crlf => self.size,
            Ending::Open => self.size.saturating_add(2),
        }
    }
}

/// What holds for this user, where CAPA has said before the login that users differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UserPolicy {
    /// How long messages are kept; `None`: as the server's configuration says.
    pub expire: Option<Expire>,
    /// Seconds from one login to the next; `None`: as the server's configuration says.
    pub login_delay: Option<u32>,
}

/// Why a list of messages is no maildrop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MaildropError {
    /// A unique-id of message number `.0` is empty, too long or not printable.
    #[error("message {0} has no valid unique-id")]
    Uidl(usize),
    /// More messages, or more octets, than numbers can name.
    #[error("too many messages")]
    TooMany,
}

impl Maildrop {
    /// Checks the unique-ids and adds up the sizes.
    ///
    /// # Errors
    /// Refuses unique-ids that RFC 1939 §7 forbids, and more than 2^32 - 1 messages.
    pub fn new(messages: Vec<Message>) -> Result<Self, MaildropError> {
        u32::try_from(messages.len()).map_err(|_| MaildropError::TooMany)?;
        let mut octets = 0u64;
        for (index, message) in messages.iter().enumerate() {
            let uidl = message.uidl.as_bytes();
            if uidl.is_empty() || uidl.len() > 70 || !uidl.iter().all(u8::is_ascii_graphic) {
                return Err(MaildropError::Uidl(index.saturating_add(1)));
            }
            octets = octets.checked_add(message.octets()).ok_or(MaildropError::TooMany)?;
        }
        Ok(Self { messages, octets, policy: UserPolicy::default() })
    }

    /// The same maildrop, for a user for whom this holds.
    #[must_use]
    pub const fn with_policy(mut self, policy: UserPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// The messages in order; number 1 comes first.
    #[must_use]
    pub fn messages(&self) -> &[Message] {
        &self.messages
    }
}

/// A maildrop and what a session has marked in it.
#[derive(Debug)]
pub(crate) struct Marked {
    maildrop: Arc<Maildrop>,
    /// One bit a message, grown when the first one is marked.
    deleted: Vec<u64>,
    count: usize,
    octets: u64,
}

impl Marked {
    pub(crate) fn new(maildrop: Arc<Maildrop>) -> Self {
        Self { deleted: Vec::new(), count: maildrop.messages.len(), octets: maildrop.octets, maildrop }
    }

    pub(crate) fn policy(&self) -> UserPolicy {
        self.maildrop.policy
    }

    /// How many messages are not marked.
    pub(crate) const fn count(&self) -> usize {
        self.count
    }

    /// The octets of the messages that are not marked.
    pub(crate) const fn octets(&self) -> u64 {
        self.octets
    }

    /// The message of that number, unless it is marked.
    pub(crate) fn message(&self, number: u32) -> Option<&Message> {
        let index = usize::try_from(number).ok()?.checked_sub(1)?;
        self.maildrop.messages.get(index).filter(|_| !self.is_deleted(index))
    }

    /// The first message from `index` on that is not marked, with its number.
    pub(crate) fn next_from(&self, index: usize) -> Option<(usize, &Message)> {
        let rest = self.maildrop.messages.get(index..)?;
        rest.iter()
            .zip(index..)
            .find(|(_, at)| !self.is_deleted(*at))
            .map(|(message, at)| (at.saturating_add(1), message))
    }

    /// Marks a message; `None` where there is none.
    pub(crate) fn delete(&mut self, number: u32) -> Option<()> {
        let octets = self.message(number)?.octets();
        if self.deleted.is_empty() {
            self.deleted = vec![0; self.maildrop.messages.len().div_ceil(64)];
        }
        let (word, bit) = place(number.saturating_sub(1) as usize);
        *self.deleted.get_mut(word)? |= bit;
        self.count = self.count.saturating_sub(1);
        self.octets = self.octets.saturating_sub(octets);
        Some(())
    }

    /// Takes all marks back.
    pub(crate) fn reset(&mut self) {
        *self = Self::new(Arc::clone(&self.maildrop));
    }

    /// The numbers of the marked messages.
    pub(crate) fn deleted(&self) -> Vec<u32> {
        (1u32..)
            .zip(&self.maildrop.messages)
            .map(|(number, _)| number)
            .filter(|n| self.is_deleted(*n as usize - 1))
            .collect()
    }

    pub(crate) fn memory(&self) -> usize {
        self.deleted.capacity().saturating_mul(8)
    }

    fn is_deleted(&self, index: usize) -> bool {
        let (word, bit) = place(index);
        self.deleted.get(word).is_some_and(|word| word & bit != 0)
    }
}

const fn place(index: usize) -> (usize, u64) {
    (index / 64, 1 << (index % 64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(size: u64, uidl: &str) -> Message {
        Message { size, ending: Ending::Crlf, uidl: uidl.into() }
    }

    #[test]
    fn marks_hide_at_once_and_come_back_whole() {
        let messages = (1..=130).map(|size| message(size, "x")).collect();
        let mut marked = Marked::new(Arc::new(Maildrop::new(messages).unwrap()));
        assert_eq!([1, 64, 130].map(|number| marked.delete(number)), [Some(()); 3]);
        assert_eq!([64, 0, 131].map(|number| marked.delete(number)), [None; 3]);
        assert!(marked.memory() >= 130 / 8);
        assert_eq!((marked.count(), marked.octets()), (127, 130 * 131 / 2 - 1 - 64 - 130));
        assert_eq!(marked.deleted(), [1, 64, 130]);
        assert_eq!(marked.next_from(0).map(|(number, _)| number), Some(2));
        assert_eq!(marked.next_from(63).map(|(number, _)| number), Some(65));
        assert_eq!(marked.next_from(129), None);
        marked.reset();
        assert_eq!((marked.count(), marked.deleted()), (130, vec![]));
    }

    #[test]
    fn an_open_end_is_counted() {
        let open = Message { ending: Ending::Open, ..message(3, "a") };
        let maildrop = Maildrop::new(vec![open.clone(), message(4, "b")]).unwrap();
        assert_eq!((open.octets(), Marked::new(Arc::new(maildrop)).octets()), (5, 9));
    }

    #[test]
    fn more_octets_than_can_be_counted_are_refused() {
        assert_eq!(Maildrop::new(vec![message(u64::MAX, "a"), message(1, "b")]), Err(MaildropError::TooMany));
        assert_eq!(Maildrop::new(vec![message(7, "a")]).map(|drop| drop.messages().len()), Ok(1));
    }

    #[test]
    fn unique_ids_are_checked() {
        assert_eq!(Maildrop::new(vec![message(1, "ok"), message(1, "")]), Err(MaildropError::Uidl(2)));
        assert_eq!(Maildrop::new(vec![message(1, "a b")]), Err(MaildropError::Uidl(1)));
        assert_eq!(Maildrop::new(vec![message(1, &"x".repeat(71))]), Err(MaildropError::Uidl(1)));
    }
}
