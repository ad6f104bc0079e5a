//! A maildrop that is open: the messages of INBOX at the moment of the login (RFC 1939 §4).

use std::collections::HashSet;
use std::ops::RangeInclusive;
use std::sync::Arc;

use mailstore::error::{LeaseError, MailboxError, ReadError};
use mailstore::{Account, Expunge, Lease, LeaseKind, Mailbox, Recent};
use pop3_proto::{Code, Ending, Maildrop, Message, Reply};

use super::UidlFormat;

/// A maildrop, and the lease that keeps other sessions out of it.
pub(super) struct Open<M> {
    mailbox: M,
    lease: Lease,
    maildrop: Arc<Maildrop>,
    /// The UID of each message, in the order of their numbers.
    uids: Box<[u32]>,
}

/// Why a user who has logged in does not get the maildrop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Another session has it.
    InUse,
    /// The user was here a moment ago.
    TooSoon,
    /// The store does not give it now.
    Unavailable,
}

impl Refusal {
    /// A stable word for metrics.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::InUse => "in_use",
            Self::TooSoon => "login_delay",
            Self::Unavailable => "unavailable",
        }
    }

    /// What the client is told (RFC 2449 §8.1, RFC 3206 §4).
    pub(super) fn reply(self) -> Reply {
        match self {
            Self::InUse => Reply::err("another session has the maildrop").with_code(Code::InUse),
            Self::TooSoon => Reply::err("the last login was too short a time ago").with_code(Code::LoginDelay),
            Self::Unavailable => {
                Reply::err("the maildrop is not available now, try again later").with_code(Code::SysTemp)
            }
        }
    }
}

/// Takes an account's maildrop, unless another session has it.
pub(super) async fn lease(account: &impl Account) -> Result<Lease, Refusal> {
    account.lease(LeaseKind::Maildrop).await.map_err(|error| match error {
        LeaseError::Taken => Refusal::InUse,
        LeaseError::Trouble(error) => unavailable(&error),
    })
}

impl<M: Mailbox> Open<M> {
    /// Opens the maildrop that the lease is for. Where that fails, the lease is released.
    pub(super) async fn new(
        account: &impl Account<Mailbox = M>,
        lease: Lease,
        format: UidlFormat,
    ) -> Result<Self, Refusal> {
        match contents(account, format).await {
            Ok((mailbox, maildrop, uids)) => Ok(Self { mailbox, lease, maildrop: Arc::new(maildrop), uids }),
            Err(refusal) => {
                lease.release().await;
                Err(refusal)
            }
        }
    }

    /// What the engine is to know of it.
    pub(super) fn maildrop(&self) -> Arc<Maildrop> {
        Arc::clone(&self.maildrop)
    }

    /// Begins to read a message. Without the UTF8 mode a message with an internationalized header is read too, as it is,
    /// although RFC 6856 §2.1 would have it refused or rewritten: a client that cannot show a header is of more use than
    /// one that can never fetch the message, and has not known otherwise from other servers.
    pub(super) async fn read(&self, number: u32) -> Result<M::Reader, ReadError> {
        let (uid, message) = usize::try_from(number)
            .ok()
            .and_then(|number| number.checked_sub(1))
            .and_then(|index| Some((self.uids.get(index)?, self.maildrop.messages().get(index)?)))
            .ok_or(ReadError::Gone)?;
        self.mailbox.read(*uid, 0..message.size).await
    }

    /// Removes messages for good. Those that are gone already are no error.
    pub(super) async fn remove(&self, numbers: &[u32]) -> Result<(), MailboxError> {
        let index = |number: &u32| usize::try_from(*number).ok()?.checked_sub(1);
        let uids = numbers.iter().filter_map(|number| self.uids.get(index(number)?).copied());
        let doomed = ranges(uids);
        if doomed.is_empty() {
            return Ok(());
        }
        self.mailbox.expunge(Expunge::These(&doomed)).await.map(|_| ())
    }

    /// Lets other sessions have it.
    pub(super) async fn close(self) {
        self.lease.release().await;
    }
}

/// What INBOX holds now, and the UIDs of its messages.
async fn contents<A: Account>(account: &A, format: UidlFormat) -> Result<(A::Mailbox, Maildrop, Box<[u32]>), Refusal> {
    let mailbox = account.open("INBOX").await.map_err(|error| unavailable(&error))?;
    let snapshot = mailbox.snapshot(Recent::Peek).await.map_err(|error| unavailable(&error))?;
    let uids: Box<[u32]> = snapshot.messages.iter().map(|message| message.uid).collect();
    let open = mailbox.open_ended(&ranges(uids.iter().copied())).await.map_err(|error| unavailable(&error))?;
    let open: HashSet<u32> = open.into_iter().collect();
    let listed = snapshot.messages.iter().map(|message| Message {
        size: message.size,
        ending: if open.contains(&message.uid) { Ending::Open } else { Ending::Crlf },
        uidl: format.of(message, snapshot.uidvalidity).into(),
    });
    let maildrop = Maildrop::new(listed.collect()).map_err(|error| unavailable(&error))?;
    Ok((mailbox, maildrop, uids))
}

/// Joins ascending UIDs into ranges.
fn ranges(uids: impl Iterator<Item = u32>) -> Vec<RangeInclusive<u32>> {
    let mut ranges: Vec<RangeInclusive<u32>> = Vec::new();
    for uid in uids {
        match ranges.last_mut() {
            Some(last) if last.end().checked_add(1) == Some(uid) => *last = *last.start()..=uid,
            Some(_) | None => ranges.push(uid..=uid),
        }
    }
    ranges
}

pub(super) fn unavailable(error: &dyn std::error::Error) -> Refusal {
    tracing::error!(service = super::NAME, %error, "maildrop unavailable");
    Refusal::Unavailable
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_joined() {
        assert_eq!(ranges([1, 2, 3, 7, u32::MAX].into_iter()), [1..=3, 7..=7, u32::MAX..=u32::MAX]);
    }
}
