//! Between IMAP and the mail store.

use std::ops::RangeInclusive;

use imap_proto::{
    Access, Attribute, Changes, Code, DateTime, FlagChange, Flags, Keyword, Keywords, MailboxStatus, Reply, SearchKey,
    Selected, TextPlace, UidSet, When, WhichDate,
};
use mailstore::error::{
    AppendError, CopyError, CreateError, DeleteError, FlagsError, ListError, MailboxError, OpenError, RenameError,
    StoreError, Trouble,
};
use mailstore::{Appended, BadKeyword, Copied, Delta, FlagHow, Query, Snapshot, SpecialUse, Status, SystemFlag};

use crate::directory::Why;

/// The operator's word for the service.
pub(crate) const NAME: &str = "imap";

/// Ranges of UIDs in a question to the store. A set that has more is left to who asks: the store looks at each range for
/// each message.
const QUERY_RANGES_MAX: usize = 64;

const SECONDS_PER_DAY: i64 = 86_400;

/// The years 0 to 9999, which a date has room for (RFC 3501 §9, `date-year`).
const FIRST_SECOND: i64 = -62_167_219_200;
const LAST_SECOND: i64 = 253_402_300_799;

/// A client's flags, for the store.
pub(crate) fn stored_flags(flags: &Flags) -> Result<mailstore::Flags, BadKeyword> {
    let mut stored = mailstore::Flags::NONE;
    for flag in flags {
        match flag {
            imap_proto::Flag::Keyword(keyword) => stored.add_keyword(keyword.as_str())?,
            imap_proto::Flag::Answered => stored.add(SystemFlag::Answered),
            imap_proto::Flag::Deleted => stored.add(SystemFlag::Deleted),
            imap_proto::Flag::Draft => stored.add(SystemFlag::Draft),
            imap_proto::Flag::Flagged => stored.add(SystemFlag::Flagged),
            imap_proto::Flag::Seen => stored.add(SystemFlag::Seen),
        }
    }
    Ok(stored)
}

/// The store's flags, for a client.
pub(crate) fn told_flags(flags: &mailstore::Flags) -> Flags {
    flags.system().map(system_flag).chain(keywords(flags.keywords())).collect()
}

const fn system_flag(flag: SystemFlag) -> imap_proto::Flag {
    match flag {
        SystemFlag::Answered => imap_proto::Flag::Answered,
        SystemFlag::Deleted => imap_proto::Flag::Deleted,
        SystemFlag::Draft => imap_proto::Flag::Draft,
        SystemFlag::Flagged => imap_proto::Flag::Flagged,
        SystemFlag::Seen => imap_proto::Flag::Seen,
    }
}

fn keywords<'a>(names: impl Iterator<Item = &'a str> + 'a) -> impl Iterator<Item = imap_proto::Flag> + 'a {
    names.filter_map(Keyword::new).map(imap_proto::Flag::Keyword)
}

/// All flags that are used in a mailbox.
pub(crate) fn used_flags(known: &[impl AsRef<str>]) -> Flags {
    Flags::system().iter().cloned().chain(keywords(known.iter().map(AsRef::as_ref))).collect()
}

/// What STORE does.
pub(crate) fn flag_change(change: &FlagChange) -> Result<mailstore::FlagChange, BadKeyword> {
    let (how, flags) = match change {
        FlagChange::Add(flags) => (FlagHow::Add, flags),
        FlagChange::Remove(flags) => (FlagHow::Remove, flags),
        FlagChange::Replace(flags) => (FlagHow::Replace, flags),
    };
    Ok(mailstore::FlagChange { how, flags: stored_flags(flags)?, unchanged_since: None })
}

/// A set of UIDs, for the store.
pub(crate) fn ranges(uids: &UidSet) -> Vec<RangeInclusive<u32>> {
    uids.ranges().collect()
}

/// Ascending UIDs, for the store.
pub(crate) fn ranges_of(uids: &[u32]) -> Vec<RangeInclusive<u32>> {
    let mut ranges: Vec<RangeInclusive<u32>> = Vec::new();
    for uid in uids {
        match ranges.last_mut() {
            Some(last) if last.end().checked_add(1) == Some(*uid) => *last = *last.start()..=*uid,
            Some(_) | None => ranges.push(*uid..=*uid),
        }
    }
    ranges
}

/// A mailbox as SELECT tells it.
pub(crate) fn selected(snapshot: &Snapshot, access: Access) -> Selected {
    let used = used_flags(&snapshot.keywords);
    let unseen = snapshot.messages.iter().find(|message| !message.flags.has(SystemFlag::Seen));
    Selected {
        uids: snapshot.messages.iter().map(|message| message.uid).collect(),
        recent: snapshot.recent.iter().copied().collect(),
        first_unseen: unseen.map(|message| message.uid),
        uidvalidity: snapshot.uidvalidity,
        uidnext: snapshot.uidnext,
        flags: used.clone(),
        permanent_flags: used,
        keywords: if snapshot.takes_new_keywords { Keywords::Open } else { Keywords::Fixed },
        access,
    }
}

/// What happened in a mailbox. Flags in use are the caller's to compare.
pub(crate) fn changes(delta: &Delta) -> Changes {
    Changes {
        exists: delta.new.iter().map(|message| message.uid).collect(),
        recent: delta.recent.iter().copied().collect(),
        gone: delta.gone.iter().copied().collect(),
        touched: delta.touched.iter().map(|touched| touched.uid).collect(),
        ..Changes::default()
    }
}

/// INTERNALDATE. The store knows no zones, so that all of it is told in Greenwich's; what IMAP cannot write is told as the
/// nearest that it can.
pub(crate) fn internal_date(seconds: i64) -> Option<DateTime> {
    DateTime::from_unix(seconds.clamp(FIRST_SECOND, LAST_SECOND), 0)
}

/// A special use that clients know of (RFC 6154 §2).
pub(crate) const fn attribute(special_use: SpecialUse) -> Option<Attribute> {
    match special_use {
        SpecialUse::All => Some(Attribute::All),
        SpecialUse::Archive => Some(Attribute::Archive),
        SpecialUse::Drafts => Some(Attribute::Drafts),
        SpecialUse::Flagged => Some(Attribute::Flagged),
        // RFC 8457 is not offered.
        SpecialUse::Important => None,
        SpecialUse::Junk => Some(Attribute::Junk),
        SpecialUse::Sent => Some(Attribute::Sent),
        SpecialUse::Trash => Some(Attribute::Trash),
    }
}

/// The answer to STATUS.
pub(crate) const fn status(status: &Status) -> MailboxStatus {
    MailboxStatus {
        messages: Some(status.messages),
        recent: Some(status.recent),
        uidnext: Some(status.uidnext),
        uidvalidity: Some(status.uidvalidity),
        unseen: Some(status.unseen),
    }
}

/// What of a search the store may decide.
pub(crate) fn query(key: &SearchKey) -> Query {
    match key {
        SearchKey::All => Query::All,
        SearchKey::Messages(uids) => match uids.ranges().take(QUERY_RANGES_MAX + 1).count() {
            0..=QUERY_RANGES_MAX => Query::Uids(ranges(uids)),
            _ => Query::Other,
        },
        SearchKey::Flag(imap_proto::Flag::Keyword(keyword)) => Query::Keyword(keyword.as_str().to_owned()),
        SearchKey::Flag(imap_proto::Flag::Answered) => Query::Flag(SystemFlag::Answered),
        SearchKey::Flag(imap_proto::Flag::Deleted) => Query::Flag(SystemFlag::Deleted),
        SearchKey::Flag(imap_proto::Flag::Draft) => Query::Flag(SystemFlag::Draft),
        SearchKey::Flag(imap_proto::Flag::Flagged) => Query::Flag(SystemFlag::Flagged),
        SearchKey::Flag(imap_proto::Flag::Seen) => Query::Flag(SystemFlag::Seen),
        SearchKey::Text { place, text } => match place {
            TextPlace::Body => Query::Body(text.clone()),
            TextPlace::Text => Query::Text(text.clone()),
            TextPlace::Bcc
            | TextPlace::Cc
            | TextPlace::From
            | TextPlace::Header(_)
            | TextPlace::Subject
            | TextPlace::To => Query::Header { name: field(place).unwrap_or_default().to_owned(), text: text.clone() },
        },
        SearchKey::Date { which: WhichDate::Internal, when, date } => {
            let first = date.days() * SECONDS_PER_DAY;
            let next = first + SECONDS_PER_DAY;
            Query::Arrived(match when {
                When::Before => i64::MIN..first,
                When::On => first..next,
                When::Since => first..i64::MAX,
            })
        }
        // RFC 3501 §6.4.4: the day counts as it is written, whatever its zone. A store has moments.
        SearchKey::Date { which: WhichDate::Sent, .. } => Query::Other,
        SearchKey::Larger(octets) => Query::Larger(*octets),
        SearchKey::Smaller(octets) => Query::Smaller(*octets),
        SearchKey::Not(inner) => Query::Not(Box::new(query(inner))),
        SearchKey::And(all) => Query::And(all.iter().map(query).collect()),
        SearchKey::Or(any) => Query::Or(any.iter().map(query).collect()),
    }
}

/// The header field that a search looks into; `None` for more than one.
pub(crate) fn field(place: &TextPlace<String>) -> Option<&str> {
    match place {
        TextPlace::Bcc => Some("Bcc"),
        TextPlace::Cc => Some("Cc"),
        TextPlace::From => Some("From"),
        TextPlace::Header(name) => Some(name),
        TextPlace::Subject => Some("Subject"),
        TextPlace::To => Some("To"),
        TextPlace::Body | TextPlace::Text => None,
    }
}

/// APPEND is done (RFC 4315 §3).
pub(crate) fn appended(appended: &Appended) -> Reply {
    let Appended { uidvalidity, uid, custody: _ } = appended;
    Reply::ok("APPEND completed").with_code(Code::AppendUid { uidvalidity: *uidvalidity, uid: *uid })
}

/// COPY is done (RFC 4315 §3).
pub(crate) fn copied(copied: Copied) -> Reply {
    let Copied { uidvalidity, uids } = copied;
    Reply::ok("COPY completed").with_code(Code::CopyUid { uidvalidity, pairs: uids })
}

/// Why a login failed (RFC 5530 §3).
pub(crate) fn login_refusal(why: Why) -> Reply {
    match why {
        Why::Denied => Reply::no("invalid user name or password").with_code(Code::AuthenticationFailed),
        Why::NotAuthorized => Reply::no("not authorized to act for that user").with_code(Code::AuthorizationFailed),
        Why::Malformed => Reply::bad("malformed credentials").with_code(Code::AuthenticationFailed),
        Why::Unsupported => Reply::no("mechanism not supported").with_code(Code::Cannot),
        Why::NeedsTls => Reply::no("use STARTTLS first").with_code(Code::PrivacyRequired),
        Why::Throttled { .. } => Reply::no("too many failed attempts, try again later").with_code(Code::Unavailable),
        Why::Unavailable => Reply::no("logins are not possible now, try again later").with_code(Code::Unavailable),
    }
}

/// A part of the server is out of order. Operators are told which.
pub(crate) fn unavailable(error: &dyn std::error::Error) -> Reply {
    tracing::error!(service = NAME, %error, "mail store unavailable");
    Reply::no("not possible now, try again later").with_code(Code::Unavailable)
}

fn trouble(error: &Trouble) -> Reply {
    let reply = unavailable(error);
    match error {
        Trouble::Busy { .. } => reply.with_code(Code::InUse),
        Trouble::Corrupt { .. } => reply.with_code(Code::Corruption),
        Trouble::Full | Trouble::Unavailable | Trouble::Io { .. } => reply,
    }
}

fn missing() -> Reply {
    Reply::no("there is no such mailbox").with_code(Code::NonExistent)
}

fn bad_name() -> Reply {
    Reply::no("no mailbox can have this name").with_code(Code::Cannot)
}

fn over_quota() -> Reply {
    Reply::no("the account is over its quota").with_code(Code::OverQuota)
}

fn too_many_keywords() -> Reply {
    Reply::no("the mailbox has too many keywords").with_code(Code::Limit)
}

/// A keyword that the store cannot keep.
pub(crate) fn bad_keyword(_: BadKeyword) -> Reply {
    Reply::no("a keyword is too long").with_code(Code::Limit)
}

/// The selected mailbox was deleted or renamed.
pub(crate) fn gone() -> Reply {
    Reply::no("the mailbox is gone").with_code(Code::NonExistent)
}

/// Why an account is not there.
pub(crate) fn store_refusal(error: &StoreError) -> Reply {
    match error {
        StoreError::BadAddress => Reply::no("there is no mailbox for this user").with_code(Code::ContactAdmin),
        StoreError::Trouble(error) => trouble(error),
    }
}

/// Why a mailbox is not opened.
pub(crate) fn open_refusal(error: &OpenError) -> Reply {
    match error {
        OpenError::NotFound => missing(),
        OpenError::Trouble(error) => trouble(error),
    }
}

/// Why nothing is put into a mailbox. RFC 3501 §6.3.11: whoever may create it is told so.
pub(crate) fn target_refusal(error: &OpenError) -> Reply {
    match error {
        OpenError::NotFound => missing().with_code(Code::TryCreate),
        OpenError::Trouble(error) => trouble(error),
    }
}

/// Why an open mailbox does not answer.
pub(crate) fn mailbox_refusal(error: &MailboxError) -> Reply {
    match error {
        MailboxError::Gone => gone(),
        MailboxError::Trouble(error) => trouble(error),
    }
}

/// Why names are not listed, or not subscribed.
pub(crate) fn list_refusal(error: &ListError) -> Reply {
    match error {
        ListError::BadName => bad_name(),
        ListError::Trouble(error) => trouble(error),
    }
}

/// Why a mailbox is not created.
pub(crate) fn create_refusal(error: &CreateError) -> Reply {
    match error {
        CreateError::Exists => Reply::no("the mailbox exists already").with_code(Code::AlreadyExists),
        CreateError::BadName => bad_name(),
        CreateError::SpecialUseTaken => Reply::no("another mailbox has this use").with_code(Code::Cannot),
        CreateError::Trouble(error) => trouble(error),
    }
}

/// Why a mailbox is not deleted.
pub(crate) fn delete_refusal(error: &DeleteError) -> Reply {
    match error {
        DeleteError::NotFound => missing(),
        DeleteError::Inbox => Reply::no("INBOX cannot be deleted").with_code(Code::Cannot),
        DeleteError::Trouble(error) => trouble(error),
    }
}

/// Why a mailbox is not renamed.
pub(crate) fn rename_refusal(error: &RenameError) -> Reply {
    match error {
        RenameError::NotFound => missing(),
        RenameError::Exists => Reply::no("the new name is taken").with_code(Code::AlreadyExists),
        RenameError::BadName => bad_name(),
        RenameError::Trouble(error) => trouble(error),
    }
}

/// Why flags are not stored.
pub(crate) fn flags_refusal(error: &FlagsError) -> Reply {
    match error {
        FlagsError::Gone => gone(),
        FlagsError::TooManyKeywords => too_many_keywords(),
        FlagsError::Trouble(error) => trouble(error),
    }
}

/// Why a message is not appended.
pub(crate) fn append_refusal(error: &AppendError) -> Reply {
    match error {
        AppendError::Gone => missing().with_code(Code::TryCreate),
        AppendError::OverQuota => over_quota(),
        AppendError::TooLong => Reply::no("the message is too large").with_code(Code::TooBig),
        AppendError::TooManyKeywords => too_many_keywords(),
        AppendError::BadDeliveryId => unavailable(error),
        AppendError::Trouble(error) => trouble(error),
    }
}

/// Why messages are not copied or moved.
pub(crate) fn copy_refusal(error: &CopyError) -> Reply {
    match error {
        CopyError::Gone => Reply::no("some of the messages are gone").with_code(Code::ExpungeIssued),
        CopyError::TargetGone => missing().with_code(Code::TryCreate),
        CopyError::OtherStore => Reply::no("the mailbox lies in another store").with_code(Code::Cannot),
        CopyError::OverQuota => over_quota(),
        CopyError::TooManyKeywords => too_many_keywords(),
        CopyError::Trouble(error) => trouble(error),
    }
}
