//! Promises about single messages.

use bytes::Bytes;

use super::{Broken, Keeps, append, fresh_account, fresh_inbox, read, same};
use crate::{
    Account, Expunge, FlagChange, Flags, Mailbox, NewMessage, Query, Recent, Store, SystemFlag, Writer,
    error::{AppendError, ReadError},
};

/// Contents that a store might change on the way.
fn awkward_bodies() -> Vec<Vec<u8>> {
    let mut bodies: Vec<Vec<u8>> = [
        &b""[..],
        b"\r\n",
        b"\n",
        b"\r",
        b"Subject: x\r\n\r\nbody\r\n",
        b"Subject: x\r\n\r\nno end of line",
        b"Subject: x\n\nunix lines\n",
        b"Subject: x\r\n\r\nmixed\nlines\r\n",
        b"Subject: x\r\n\r\nlone\rreturn\r\n",
        b"Subject: x\r\n\r\n\r\r\n\r",
        b"Subject: x\r\n\r\nlate\r\nsurprise\n",
        b"\n\r",
        b"Subject: x\r\n\r\n..dots\r\n.\r\n",
        b"NUL \0 and \xff\xfe\x80 octets\r\n\0\r\n",
    ]
    .map(<[u8]>::to_vec)
    .into();
    bodies.push(b"0123456789 line\r\n".repeat(20_000));
    bodies.push([b"line\r\n".repeat(30_000), b"then\none".to_vec()].concat());
    bodies.push([vec![b'x'; 200_000], b"\r".to_vec()].concat());
    bodies
}

/// What is read is what was written, octet for octet, in any range, and as long as its size says.
///
/// # Errors
/// When it is not.
pub async fn messages_read_back_exactly<S: Store>(store: &S) -> Result<(), Broken> {
    const PROMISE: &str = "messages_read_back_exactly";
    let inbox = fresh_inbox(store, PROMISE).await?;
    for (n, body) in awkward_bodies().into_iter().enumerate() {
        let date = 1_000_000_000 + n as i64;
        let new = NewMessage { internal_date: Some(date), ..NewMessage::default() };
        let uid = append(&inbox, new, &body).await.keeps(PROMISE)?.uid;
        same(PROMISE, "the UID", uid as usize, n + 1)?;
        let snapshot = inbox.snapshot(Recent::Peek).await.keeps(PROMISE)?;
        let Some(message) = snapshot.messages.last() else {
            return Err(Broken { promise: PROMISE, detail: "the message is not there".to_owned() });
        };
        let length = body.len() as u64;
        same(PROMISE, "the newest message", (message.uid, message.size, message.internal_date), (uid, length, date))?;
        let middle = length / 2;
        for range in
            [0..u64::MAX, 0..length, 0..middle, middle..length, 1..3, middle..middle + 70_000, length..u64::MAX]
        {
            let part = |at: u64| usize::try_from(at.min(length)).unwrap_or(usize::MAX);
            let should = body.get(part(range.start)..part(range.end)).unwrap_or_default();
            let is = read(&inbox, uid, range.clone()).await.keeps(PROMISE)?;
            if is != should {
                let detail = format!("body {n} reads otherwise in range {range:?} ({} octets)", is.len());
                return Err(Broken { promise: PROMISE, detail });
            }
        }
    }
    match inbox.read(9999, 0..1).await {
        Err(ReadError::Gone) => Ok(()),
        Ok(_) | Err(ReadError::Trouble(_)) => {
            Err(Broken { promise: PROMISE, detail: "a message that never was is not gone".to_owned() })
        }
    }
}

/// It is known of which messages the last line has no end, also after a copy or a move.
///
/// # Errors
/// When it is not.
pub async fn open_ends_are_known<S: Store>(store: &S) -> Result<(), Broken> {
    const PROMISE: &str = "open_ends_are_known";
    let account = fresh_account(store, PROMISE).await?;
    account.create("Other", None).await.keeps(PROMISE)?;
    let inbox = account.open("INBOX").await.keeps(PROMISE)?;
    let other = account.open("Other").await.keeps(PROMISE)?;
    let mut open = Vec::new();
    for (uid, body) in (1..).zip(awkward_bodies()) {
        append(&inbox, NewMessage::default(), &body).await.keeps(PROMISE)?;
        if !body.is_empty() && !body.ends_with(b"\r\n") {
            open.push(uid);
        }
    }
    let later: Vec<_> = open.iter().copied().filter(|uid| *uid > 3).collect();
    same(PROMISE, "what ends open", inbox.open_ended(&[1..=u32::MAX]).await.keeps(PROMISE)?, open.clone())?;
    same(PROMISE, "of the later ones", inbox.open_ended(&[9..=999, 4..=10]).await.keeps(PROMISE)?, later)?;
    same(PROMISE, "of none", inbox.open_ended(&[]).await.keeps(PROMISE)?, vec![])?;
    let expected = open.clone();
    inbox.copy(&[1..=u32::MAX], &other).await.keeps(PROMISE)?;
    same(PROMISE, "of the copies", other.open_ended(&[1..=u32::MAX]).await.keeps(PROMISE)?, expected)?;
    let moved = inbox.move_to(&[2..=9], &other).await.keeps(PROMISE)?;
    let expected: Vec<_> = moved.uids.iter().filter(|(old, _)| open.contains(old)).map(|(_, new)| *new).collect();
    let new: Vec<_> = moved.uids.iter().map(|(_, new)| *new..=*new).collect();
    same(PROMISE, "of what was moved", other.open_ended(&new).await.keeps(PROMISE)?, expected)
}

/// Flags become what was asked; what was so already does not change; UNCHANGEDSINCE holds back.
///
/// # Errors
/// When it is not so.
pub async fn flags_are_stored<S: Store>(store: &S) -> Result<(), Broken> {
    const PROMISE: &str = "flags_are_stored";
    let inbox = fresh_inbox(store, PROMISE).await?;
    for _ in 0..3 {
        append(&inbox, NewMessage::default(), b"x\r\n").await.keeps(PROMISE)?;
    }
    let mut work = Flags::from(SystemFlag::Flagged);
    work.add_keyword("Work").keeps(PROMISE)?;
    let stored = inbox.store_flags(&[2..=9], &FlagChange::add(work.clone())).await.keeps(PROMISE)?;
    same(PROMISE, "what changed", stored.changed.iter().map(|t| t.uid).collect::<Vec<_>>(), vec![2, 3])?;
    let modseq = stored.changed.first().map_or(0, |touched| touched.modseq);
    let again = inbox.store_flags(&[2..=2], &FlagChange::add(work.clone())).await.keeps(PROMISE)?;
    same(PROMISE, "what changed the second time", again.changed.len(), 0)?;
    same(PROMISE, "MODSEQ after no change", inbox.snapshot(Recent::Peek).await.keeps(PROMISE)?.highestmodseq, modseq)?;

    let mut held_back = FlagChange::replace(Flags::from(SystemFlag::Seen));
    held_back.unchanged_since = Some(modseq - 1);
    let stored = inbox.store_flags(&[1..=2], &held_back).await.keeps(PROMISE)?;
    same(PROMISE, "what was held back", stored.modified, vec![2])?;
    same(PROMISE, "what was not", stored.changed.iter().map(|t| t.uid).collect::<Vec<_>>(), vec![1])?;

    let mut upper = Flags::NONE;
    upper.add_keyword("WORK").keeps(PROMISE)?;
    inbox.store_flags(&[3..=3], &FlagChange::remove(upper)).await.keeps(PROMISE)?;
    let flags: Vec<_> = inbox.flags(&[1..=3]).await.keeps(PROMISE)?.into_iter().map(|t| t.flags).collect();
    same(PROMISE, "the flags", flags, vec![SystemFlag::Seen.into(), work, SystemFlag::Flagged.into()])?;
    let snapshot = inbox.snapshot(Recent::Peek).await.keeps(PROMISE)?;
    same(PROMISE, "the mailbox's keywords", snapshot.keywords.iter().map(|k| &**k).collect(), vec!["Work"])?;

    let many = {
        let mut flags: Flags = SystemFlag::ALL.into_iter().collect();
        for n in 0..40 {
            flags.add_keyword(&format!("keyword-{n}")).keeps(PROMISE)?;
        }
        flags
    };
    inbox.store_flags(&[1..=1], &FlagChange::replace(many.clone())).await.keeps(PROMISE)?;
    let flags = inbox.flags(&[1..=1]).await.keeps(PROMISE)?.pop().map(|touched| touched.flags);
    same(PROMISE, "forty keywords", flags, Some(many))
}

/// Expunges take what they say and nothing else, and a reader at work reads on.
///
/// # Errors
/// When they do not.
pub async fn expunge_variants<S: Store>(store: &S) -> Result<(), Broken> {
    const PROMISE: &str = "expunge_variants";
    let inbox = fresh_inbox(store, PROMISE).await?;
    for _ in 0..6 {
        append(&inbox, NewMessage::default(), b"x\r\n").await.keeps(PROMISE)?;
    }
    let mut reader = inbox.read(2, 0..u64::MAX).await.keeps(PROMISE)?;
    inbox.store_flags(&[1..=3], &FlagChange::add(SystemFlag::Deleted)).await.keeps(PROMISE)?;
    let gone = inbox.expunge(Expunge::DeletedAmong(&[2..=6])).await.keeps(PROMISE)?;
    same(PROMISE, "UID EXPUNGE", gone, vec![2, 3])?;
    let chunk = crate::Reader::next(&mut reader).await.keeps(PROMISE)?;
    same(PROMISE, "what an open reader reads", chunk.as_deref(), Some(&b"x\r\n"[..]))?;
    let gone = inbox.expunge(Expunge::These(&[5..=5, 99..=99])).await.keeps(PROMISE)?;
    same(PROMISE, "an expunge by UIDs alone", gone, vec![5])?;
    same(PROMISE, "EXPUNGE", inbox.expunge(Expunge::Deleted).await.keeps(PROMISE)?, vec![1])?;
    same(PROMISE, "EXPUNGE again", inbox.expunge(Expunge::Deleted).await.keeps(PROMISE)?, vec![])?;
    let snapshot = inbox.snapshot(Recent::Peek).await.keeps(PROMISE)?;
    same(PROMISE, "what is left", snapshot.messages.iter().map(|m| m.uid).collect::<Vec<_>>(), vec![4, 6])?;
    inbox.expunge(Expunge::These(&[1..=u32::MAX])).await.keeps(PROMISE)?;
    let uid = append(&inbox, NewMessage::default(), b"y").await.keeps(PROMISE)?.uid;
    same(PROMISE, "the UID after all are gone", uid, 7)
}

/// Copies and moves keep content, flags and dates, pair old and new UIDs, and pass over UIDs that name nothing.
///
/// # Errors
/// When they do not.
pub async fn copies_and_moves<S: Store>(store: &S) -> Result<(), Broken> {
    const PROMISE: &str = "copies_and_moves";
    let account = fresh_account(store, PROMISE).await?;
    account.create("Other/Deep", None).await.keeps(PROMISE)?;
    let inbox = account.open("INBOX").await.keeps(PROMISE)?;
    let other = account.open("Other/Deep").await.keeps(PROMISE)?;
    append(&other, NewMessage::default(), b"first\r\n").await.keeps(PROMISE)?;
    let mut flags = Flags::from(SystemFlag::Seen);
    flags.add_keyword("$Work").keeps(PROMISE)?;
    for n in 1..=4 {
        let new = NewMessage { flags: flags.clone(), internal_date: Some(n * 86_400), ..NewMessage::default() };
        append(&inbox, new, format!("message {n}\r\n").as_bytes()).await.keeps(PROMISE)?;
    }
    let copied = inbox.copy(&[2..=2, 4..=77], &other).await.keeps(PROMISE)?;
    same(PROMISE, "COPYUID", copied.uids, vec![(2, 2), (4, 3)])?;
    let moved = inbox.move_to(&[1..=2], &other).await.keeps(PROMISE)?;
    same(PROMISE, "MOVE's COPYUID", moved.uids, vec![(1, 4), (2, 5)])?;
    let twice = other.copy(&[3..=3], &other).await.keeps(PROMISE)?;
    same(PROMISE, "a copy within a mailbox", twice.uids, vec![(3, 6)])?;
    let nothing = inbox.copy(&[1..=2], &other).await.keeps(PROMISE)?;
    same(PROMISE, "a copy of what is not there", nothing.uids, vec![])?;

    let target = other.snapshot(Recent::Peek).await.keeps(PROMISE)?;
    same(PROMISE, "COPYUID's UIDVALIDITY", copied.uidvalidity, target.uidvalidity)?;
    let days: Vec<_> = target.messages.iter().skip(1).map(|m| (m.uid, m.internal_date / 86_400)).collect();
    same(PROMISE, "dates in the target", days, vec![(2, 2), (3, 4), (4, 1), (5, 2), (6, 4)])?;
    let unlike = target.messages.iter().skip(1).filter(|message| message.flags != flags).count();
    same(PROMISE, "how many lost flags", unlike, 0)?;
    let mut guids: Vec<_> = target.messages.iter().map(|message| &message.guid).collect();
    guids.sort_unstable();
    guids.dedup();
    same(PROMISE, "different names", guids.len(), target.messages.len())?;
    same(PROMISE, "a moved body", read(&other, 4, 0..99).await.keeps(PROMISE)?, b"message 1\r\n".to_vec())?;
    same(PROMISE, "a copied body", read(&other, 6, 0..99).await.keeps(PROMISE)?, b"message 4\r\n".to_vec())?;
    let left = inbox.snapshot(Recent::Peek).await.keeps(PROMISE)?;
    same(PROMISE, "what is left", left.messages.iter().map(|m| m.uid).collect::<Vec<_>>(), vec![3, 4])
}

/// A second delivery of the same id is the first one, also when its message is expunged by then.
///
/// # Errors
/// When there are two.
pub async fn deliveries_are_idempotent<S: Store>(store: &S) -> Result<(), Broken> {
    const PROMISE: &str = "deliveries_are_idempotent";
    let inbox = fresh_inbox(store, PROMISE).await?;
    let named = |id: &str| NewMessage { delivery_id: Some(id.to_owned()), ..NewMessage::default() };
    let first = append(&inbox, named("A-1_x.0"), b"one\r\n").await.keeps(PROMISE)?;
    let second = append(&inbox, named("A-1_x.0"), b"one\r\n").await.keeps(PROMISE)?;
    same(PROMISE, "the second delivery", (second.uid, second.custody.guid()), (first.uid, first.custody.guid()))?;
    let other = append(&inbox, named("A-1_x.1"), b"two\r\n").await.keeps(PROMISE)?;
    same(PROMISE, "another delivery's UID", other.uid, 2)?;
    same(PROMISE, "messages", inbox.snapshot(Recent::Peek).await.keeps(PROMISE)?.messages.len(), 2)?;

    let mut writer = inbox.append(named("B-1")).await.keeps(PROMISE)?;
    writer.write(Bytes::from_static(b"three\r\n")).await.keeps(PROMISE)?;
    let custody = writer.deliver().await.keeps(PROMISE)?;
    let again = append(&inbox, named("B-1"), b"three\r\n").await.keeps(PROMISE)?;
    same(PROMISE, "a delivery told its UID later", (again.uid, again.custody.guid()), (3, custody.guid()))?;

    inbox.expunge(Expunge::These(&[1..=3])).await.keeps(PROMISE)?;
    for (id, uid) in [("A-1_x.0", 1), ("B-1", 3)] {
        let late = append(&inbox, named(id), b"again\r\n").await.keeps(PROMISE)?;
        same(PROMISE, "a delivery after the expunge", late.uid, uid)?;
    }
    same(PROMISE, "messages", inbox.snapshot(Recent::Peek).await.keeps(PROMISE)?.messages.len(), 0)?;
    for bad in ["", "a b", "a/b", "ä", &"x".repeat(crate::DELIVERY_ID_MAX + 1)] {
        match inbox.append(named(bad)).await {
            Err(AppendError::BadDeliveryId) => {}
            Ok(_) | Err(_) => {
                return Err(Broken { promise: PROMISE, detail: format!("the delivery id {bad:?} was not refused") });
            }
        }
    }
    Ok(())
}

/// A message that is dropped before its end was never there.
///
/// # Errors
/// When something is.
pub async fn abandoned_messages_leave_nothing<S: Store>(store: &S) -> Result<(), Broken> {
    const PROMISE: &str = "abandoned_messages_leave_nothing";
    let inbox = fresh_inbox(store, PROMISE).await?;
    let named = || NewMessage { delivery_id: Some("id".to_owned()), ..NewMessage::default() };
    let mut writer = inbox.append(named()).await.keeps(PROMISE)?;
    writer.write(Bytes::from(vec![b'x'; 300_000])).await.keeps(PROMISE)?;
    drop(writer);
    same(PROMISE, "messages", inbox.snapshot(Recent::Peek).await.keeps(PROMISE)?.messages.len(), 0)?;
    append(&inbox, named(), b"whole\r\n").await.keeps(PROMISE)?;
    let snapshot = inbox.snapshot(Recent::Peek).await.keeps(PROMISE)?;
    same(PROMISE, "sizes", snapshot.messages.iter().map(|message| message.size).collect::<Vec<_>>(), vec![7])
}

/// A search is sure only of what matches, and leaves out only what does not.
///
/// # Errors
/// When it does not.
pub async fn searches_narrow<S: Store>(store: &S) -> Result<(), Broken> {
    const PROMISE: &str = "searches_narrow";
    let inbox = fresh_inbox(store, PROMISE).await?;
    for n in 1..=4_u32 {
        let flags = if n % 2 == 0 { SystemFlag::Seen.into() } else { Flags::NONE };
        let new = NewMessage { flags, internal_date: Some(i64::from(n) * 100), ..NewMessage::default() };
        let body = format!("Subject: {n}\r\n\r\n{}", "needle\r\n".repeat(n as usize));
        append(&inbox, new, body.as_bytes()).await.keeps(PROMISE)?;
    }
    let queries = [
        (Query::All, vec![1, 2, 3, 4]),
        (Query::Flag(SystemFlag::Seen), vec![2, 4]),
        (Query::Arrived(200..400), vec![2, 3]),
        (Query::Smaller(30), vec![1]),
        (Query::Uids(vec![4..=9]), vec![4]),
        (Query::And(vec![Query::Flag(SystemFlag::Seen), Query::Body("NEEDLE\r\nneedle\r\nneedle".into())]), vec![4]),
        (Query::Not(Box::new(Query::Header { name: "subject".into(), text: "3".into() })), vec![1, 2, 4]),
    ];
    for (query, truth) in queries {
        let found = inbox.search(&query).await.keeps(PROMISE)?;
        let sure = found.sure.iter().all(|uid| truth.contains(uid));
        let covered = truth.iter().all(|uid| found.sure.contains(uid) || found.maybe.contains(uid));
        if !sure || !covered {
            return Err(Broken { promise: PROMISE, detail: format!("{query:?} found {found:?}, right is {truth:?}") });
        }
    }
    Ok(())
}

/// What was derived from messages may be forgotten, and is never another message's or another kind's.
///
/// # Errors
/// When it is.
pub async fn derived_items<S: Store>(store: &S) -> Result<(), Broken> {
    const PROMISE: &str = "derived_items";
    let inbox = fresh_inbox(store, PROMISE).await?;
    append(&inbox, NewMessage::default(), b"x").await.keeps(PROMISE)?;
    append(&inbox, NewMessage::default(), b"y").await.keeps(PROMISE)?;
    let item = Bytes::from_static(b"(NIL)");
    inbox.put_derived("envelope", vec![(1, item.clone())]).await;
    let mut found = inbox.derived("envelope", &[1..=2]).await;
    found.retain(|known| *known != (1, item.clone()));
    same(PROMISE, "what was never put", found, vec![])?;
    same(PROMISE, "another kind", inbox.derived("body", &[1..=2]).await, vec![])
}
