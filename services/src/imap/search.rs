//! SEARCH (RFC 3501 §6.4.4): by what the store knows, and where that is not enough, by reading.

use std::collections::{BTreeMap, BTreeSet};

use imap_proto::{Date, DateTime, Flag, SearchKey, TextPlace, UidSet, When, WhichDate};
use mailstore::error::{MailboxError, ReadError};
use mailstore::{Account, Mailbox, Reader as _};

use super::budget::Budget;
use super::facts::Fact;
use super::header::{self, Field, Media, field, fields};
use super::mail::Mail;
use super::mime::{Holds, Part, Tree};
use super::select::Open;
use super::text::{Folded, Hunt, Needle, Reading, decoded};
use super::{Conn, User, accept};
use crate::convert::imap as convert;
use crate::net::Fault;

/// Messages whose flags are asked of the store together.
const CANDIDATES: usize = 500;

/// Octets of a Date field that are looked at.
const DATE_MAX: usize = 200;

/// A condition, with its texts ready to be looked for.
#[derive(Debug)]
enum Condition {
    All,
    Uids(UidSet),
    Flag(Flag),
    /// The needle of that number is found.
    Text(usize),
    Arrived(When, Date),
    Sent(When, Date),
    Larger(u64),
    Smaller(u64),
    Not(Box<Self>),
    And(Vec<Self>),
    Or(Vec<Self>),
}

/// Something to look for, and where.
#[derive(Debug)]
struct Quest {
    place: Place,
    needle: Needle,
    /// Whether a field need only be there.
    any: bool,
}

#[derive(Debug)]
enum Place {
    Field(String),
    Body,
    Text,
}

/// What is known of a message.
struct Evidence<'e> {
    fact: Fact,
    flags: &'e imap_proto::Flags,
    /// The day in its Date field; `None` inside where there is none.
    sent: Option<Option<Date>>,
    /// For each needle, whether it was found.
    found: Vec<Option<bool>>,
}

/// A search that was understood.
#[derive(Debug)]
struct Search {
    condition: Condition,
    quests: Vec<Quest>,
}

impl<A: Account> User<A> {
    pub(super) async fn search(&mut self, conn: &mut Conn, key: &SearchKey) -> Result<(), Fault> {
        let Some(open) = &mut self.selected else { return accept(conn) };
        let found = match open.search(&self.budget, key).await {
            Ok(found) => found,
            Err(error) => return self.end(conn, Some(convert::mailbox_refusal(&error))).await,
        };
        conn.speak(|engine, _, out| engine.search_results(&found, out))?;
        self.end(conn, None).await
    }
}

impl<M: Mailbox> Open<M> {
    async fn search(&mut self, budget: &Budget, key: &SearchKey) -> Result<UidSet, MailboxError> {
        let narrowed = self.mailbox.search(&convert::query(key)).await?;
        let mut found: UidSet = narrowed.sure.iter().copied().collect();
        if narrowed.maybe.is_empty() {
            return Ok(found);
        }
        let search = Search::new(key);
        self.facts.load(&self.mailbox, &narrowed.maybe).await?;
        for uids in narrowed.maybe.chunks(CANDIDATES) {
            let present = self.mailbox.flags(&convert::ranges_of(uids)).await?;
            for touched in present {
                let Some(fact) = self.facts.get(touched.uid) else { continue };
                let mail = Mail { mailbox: &self.mailbox, budget, uid: fact.uid, size: fact.size };
                match search.matches(&mail, fact, &convert::told_flags(&touched.flags)).await {
                    Ok(true) => found.insert(fact.uid),
                    Ok(false) | Err(ReadError::Gone) => {}
                    Err(ReadError::Trouble(error)) => {
                        tracing::error!(service = convert::NAME, %error, "a message cannot be searched");
                    }
                }
                tokio::task::consume_budget().await;
            }
        }
        Ok(found)
    }
}

impl Search {
    fn new(key: &SearchKey) -> Self {
        let mut quests = Vec::new();
        let condition = Condition::of(key, &mut quests);
        Self { condition, quests }
    }

    /// Reads no more of the message than it needs for a verdict.
    async fn matches<M: Mailbox>(
        &self,
        mail: &Mail<'_, M>,
        fact: Fact,
        flags: &imap_proto::Flags,
    ) -> Result<bool, ReadError> {
        let mut evidence = Evidence { fact, flags, sent: None, found: vec![None; self.quests.len()] };
        if let Some(verdict) = self.condition.holds(&evidence) {
            return Ok(verdict);
        }
        let header = mail.header(0..mail.size).await?.octets;
        self.look_at_header(&header, &mut evidence);
        drop(header);
        if let Some(verdict) = self.condition.holds(&evidence) {
            return Ok(verdict);
        }
        self.look_at_body(mail, &mut evidence).await?;
        Ok(self.condition.holds(&evidence).unwrap_or(false))
    }

    fn look_at_header(&self, header: &[u8], evidence: &mut Evidence<'_>) {
        evidence.sent = Some(field(header, "Date").and_then(written_day));
        if self.quests.is_empty() {
            return;
        }
        let mut values: BTreeMap<Vec<u8>, Vec<Folded>> = BTreeMap::new();
        let mut lines = Vec::new();
        for field in fields(header) {
            let value = decoded(field.value);
            lines.push(Folded::new(&line(&field, &value)));
            values.entry(field.name.to_ascii_lowercase()).or_default().push(Folded::new(&value));
        }
        for (quest, found) in self.quests.iter().zip(&mut evidence.found) {
            match &quest.place {
                Place::Field(name) => {
                    let values = values.get(name.to_ascii_lowercase().as_bytes());
                    *found = Some(values.is_some_and(|values| quest.any || quest.is_in_any(values)));
                }
                Place::Text if quest.is_in_any(&lines) => *found = Some(true),
                Place::Text | Place::Body => {}
            }
        }
    }

    async fn look_at_body<M: Mailbox>(&self, mail: &Mail<'_, M>, evidence: &mut Evidence<'_>) -> Result<(), ReadError> {
        let open = self.quests.iter().enumerate().zip(&evidence.found).filter(|(_, found)| found.is_none());
        let mut hunt = Hunt::new(open.map(|((number, quest), _)| (number, &quest.needle)));
        let (tree, _held) = mail.tree().await?;
        let messages = messages_in(&tree);
        for (index, part) in tree.parts().enumerate() {
            if hunt.is_over() {
                break;
            }
            // The headers of messages within the message are a part of its body.
            if messages.contains(&index) {
                for field in fields(&part.fields) {
                    hunt.look(&line(&field, &decoded(field.value)));
                    hunt.next_text();
                }
            }
            hunt_in(mail, part, &mut hunt).await?;
        }
        for found in &mut evidence.found {
            found.get_or_insert(false);
        }
        for number in hunt.found() {
            if let Some(found) = evidence.found.get_mut(number) {
                *found = Some(true);
            }
        }
        Ok(())
    }
}

/// A field as people see it.
fn line(field: &Field<'_>, value: &str) -> String {
    format!("{}: {value}", String::from_utf8_lossy(field.name))
}

/// The places of the messages within a message.
fn messages_in(tree: &Tree) -> BTreeSet<usize> {
    let inner = |part: &Part| match part.holds {
        Holds::Message(inner) => Some(inner),
        Holds::Leaf | Holds::Parts(_) => None,
    };
    tree.parts().filter_map(inner).collect()
}

/// Looks through the part, if it is text.
async fn hunt_in<M: Mailbox>(mail: &Mail<'_, M>, part: &Part, hunt: &mut Hunt<'_>) -> Result<(), ReadError> {
    let media = Media::of(&part.fields, part.unstated);
    let Holds::Leaf = part.holds else { return Ok(()) };
    if !media.is("text", None) || part.body.is_empty() {
        return Ok(());
    }
    let encoding = field(&part.fields, "Content-Transfer-Encoding").map(header::word).unwrap_or_default();
    let mut reading = Reading::new(&encoding, media.parameter("charset"));
    let mut reader = mail.mailbox.read(mail.uid, part.body.clone()).await?;
    while let Some(chunk) = reader.next().await? {
        hunt.look(&reading.read(&chunk));
        if hunt.is_over() {
            return Ok(());
        }
        tokio::task::consume_budget().await;
    }
    hunt.look(&reading.end());
    hunt.next_text();
    Ok(())
}

impl Quest {
    fn is_in_any(&self, values: &[Folded]) -> bool {
        values.iter().any(|value| self.needle.is_in(value))
    }
}

impl Condition {
    /// Goes as deep as the key, which the engine bounds ([`imap_proto::SEARCH_DEPTH_MAX`]).
    fn of(key: &SearchKey, quests: &mut Vec<Quest>) -> Self {
        match key {
            SearchKey::All => Self::All,
            SearchKey::Messages(uids) => Self::Uids(uids.clone()),
            SearchKey::Flag(flag) => Self::Flag(flag.clone()),
            SearchKey::Text { place, text } => {
                let found_in = match (convert::field(place), place) {
                    (Some(name), _) => Place::Field(name.to_owned()),
                    (None, TextPlace::Body) => Place::Body,
                    (None, _) => Place::Text,
                };
                quests.push(Quest { place: found_in, needle: Needle::new(text), any: text.is_empty() });
                Self::Text(quests.len().saturating_sub(1))
            }
            SearchKey::Date { which: WhichDate::Internal, when, date } => Self::Arrived(*when, *date),
            SearchKey::Date { which: WhichDate::Sent, when, date } => Self::Sent(*when, *date),
            SearchKey::Larger(octets) => Self::Larger(*octets),
            SearchKey::Smaller(octets) => Self::Smaller(*octets),
            SearchKey::Not(inner) => Self::Not(Box::new(Self::of(inner, quests))),
            SearchKey::And(all) => Self::And(all.iter().map(|key| Self::of(key, quests)).collect()),
            SearchKey::Or(any) => Self::Or(any.iter().map(|key| Self::of(key, quests)).collect()),
        }
    }

    /// Whether the message meets it; `None` where that is not known yet.
    fn holds(&self, evidence: &Evidence<'_>) -> Option<bool> {
        match self {
            Self::All => Some(true),
            Self::Uids(uids) => Some(uids.contains(evidence.fact.uid)),
            Self::Flag(flag) => Some(evidence.flags.contains(flag)),
            Self::Text(number) => evidence.found.get(*number).copied().flatten(),
            Self::Arrived(when, date) => Some(
                convert::internal_date(evidence.fact.internal_date).is_some_and(|day| lies(*when, day.date(), *date)),
            ),
            Self::Sent(when, date) => evidence.sent.map(|sent| sent.is_some_and(|day| lies(*when, day, *date))),
            Self::Larger(octets) => Some(evidence.fact.size > *octets),
            Self::Smaller(octets) => Some(evidence.fact.size < *octets),
            Self::Not(inner) => inner.holds(evidence).map(|holds| !holds),
            Self::And(all) => decide(all, evidence, false),
            Self::Or(any) => decide(any, evidence, true),
        }
    }
}

/// One condition may decide for all: a "no" for "and", a "yes" for "or". If none does, all must be known.
fn decide(conditions: &[Condition], evidence: &Evidence<'_>, decisive: bool) -> Option<bool> {
    let mut verdict = Some(!decisive);
    for condition in conditions {
        match condition.holds(evidence) {
            Some(holds) if holds == decisive => return Some(decisive),
            Some(_) => {}
            None => verdict = None,
        }
    }
    verdict
}

fn lies(when: When, day: Date, wanted: Date) -> bool {
    match when {
        When::Before => day < wanted,
        When::On => day == wanted,
        When::Since => day >= wanted,
    }
}

/// The day in a Date field as it is written there, without regard to its zone (RFC 5322 §3.3, §4.3).
fn written_day(value: &[u8]) -> Option<Date> {
    let value = header::unfolded(value.get(..DATE_MAX).unwrap_or(value));
    let text = String::from_utf8_lossy(&value);
    let behind_weekday = text.split_once(',').map_or(&*text, |(_, rest)| rest);
    let mut words = behind_weekday.split([' ', '\t', '-']).filter(|word| !word.is_empty());
    let (day, month, year) = (words.next()?, words.next()?, words.next()?);
    let year: u16 = match (year.len(), year.parse().ok()?) {
        (2, year @ 0..50) => 2000 + year,
        (2 | 3, year) => 1900 + year,
        (_, year) => year,
    };
    // IMAP's own form of it has the month's name too.
    let date = format!("{:>2}-{}-{year:04} 00:00:00 +0000", day.parse::<u8>().ok()?, month.get(..3)?);
    DateTime::parse(date.as_bytes()).ok().map(DateTime::date)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_read_as_they_are_written() {
        let date = |year, month, day| Date::new(year, month, day);
        for (value, expected) in [
            ("Fri, 21 Nov 1997 23:55:06 -0600", date(1997, 11, 21)),
            ("1 Jan 2024 00:00 +0000", date(2024, 1, 1)),
            ("Thu,\r\n 13 Feb 69 23:32 EST", date(1969, 2, 13)),
            ("Mon, 01 february 2021 10:00:00 GMT", date(2021, 2, 1)),
            ("5-May-07 1:2", date(2007, 5, 5)),
            ("Fri, 31 Feb 2020 00:00", None),
            ("yesterday", None),
            ("1 J\u{fc}n 2020", None),
            ("", None),
        ] {
            assert_eq!(written_day(value.as_bytes()), expected, "{value}");
        }
    }

    #[test]
    fn what_is_not_known_is_not_decided() {
        let flags = imap_proto::Flags::new();
        let evidence = Evidence {
            fact: Fact { uid: 7, size: 100, internal_date: 0 },
            flags: &flags,
            sent: None,
            found: vec![None],
        };
        let text = || Condition::Text(0);
        let (yes, no) = (|| Condition::Larger(99), || Condition::Smaller(100));
        for (condition, expected) in [
            (text(), None),
            (Condition::Not(Box::new(text())), None),
            (Condition::And(vec![text(), no()]), Some(false)),
            (Condition::And(vec![text(), yes()]), None),
            (Condition::Or(vec![text(), yes()]), Some(true)),
            (Condition::Or(vec![text(), no()]), None),
            (Condition::And(vec![]), Some(true)),
            (Condition::Or(vec![]), Some(false)),
        ] {
            assert_eq!(condition.holds(&evidence), expected, "{condition:?}");
        }
    }
}
