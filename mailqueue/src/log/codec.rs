//! Payloads of records: what is inside the frames that `format` makes.

use crate::envelope::{DeliverBy, Late, Repeat};
use crate::{
    Destination, Envelope, Failure, Handed, Held, MessageId, Note, Parameter, Priority, Progress, Recipient, Standing,
    Stored, UnixMicros, Wake, Warned, Word,
};

use super::wire::{Input, put_count, put_detail, put_numbers, put_option, put_text, put_u32, put_u64, put_wake};

/// Octets of a chunk's payload before those of the message: whose they are.
pub(super) const CHUNK_HEAD: usize = 16;

/// Where a record lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Place {
    /// The number of the segment.
    pub(super) segment: u64,
    /// Where the record's header begins.
    pub(super) offset: u32,
}

/// Where octets of a message lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Location {
    /// The chunk's record.
    pub(super) place: Place,
    /// How many octets of the message are in it.
    pub(super) length: u32,
}

/// What the log itself needs of a message record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) id: MessageId,
    pub(super) wake: Wake,
    /// Segments with earlier records of the message. They must not come back to life without this one.
    pub(super) over: Vec<u64>,
    pub(super) chunks: Vec<Location>,
    /// Facts about another message that hold if this one does.
    pub(super) beside: Option<Link>,
}

/// What the log itself needs of facts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) id: MessageId,
    /// The facts before these, or the message record: a chain that ends there.
    pub(super) previous: Place,
    /// How many facts are before these in the chain.
    pub(super) depth: u32,
    pub(super) wake: Wake,
    pub(super) fate: Fate,
}

/// Whether a message is still needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Open,
    /// It is finished with. The facts are kept for as long as one of these segments is on disk, which have records of the
    /// message.
    Done {
        over: Vec<u64>,
    },
}

/// How far a message has come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Course<'a> {
    pub(super) standing: Standing,
    pub(super) warned: Warned,
    /// One for each recipient; those that are missing are fresh.
    pub(super) progress: &'a [Progress],
}

impl Course<'_> {
    /// Of a message that nobody tried to deliver yet.
    pub(super) const FRESH: Self = Self { standing: Standing::Going, warned: Warned::No, progress: &[] };
}

/// The payload of a message record but for its last part, which [`message_rest`] makes. `beside` is what [`facts`] made,
/// or empty.
pub(super) fn message_head(id: MessageId, wake: Wake, over: &[u64], chunks: &[Location], beside: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(64 + chunks.len() * 16 + beside.len());
    out.extend_from_slice(&id.to_bytes());
    put_wake(&mut out, wake);
    put_numbers(&mut out, over);
    put_count(&mut out, chunks.len());
    for chunk in chunks {
        put_place(&mut out, chunk.place);
        put_u32(&mut out, chunk.length);
    }
    put_count(&mut out, beside.len());
    out.extend_from_slice(beside);
    out
}

/// The rest of a message record.
pub(super) fn message_rest(envelope: &Envelope, size: u64, course: Course<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    put_u64(&mut out, size);
    put_u64(&mut out, envelope.arrived.0);
    out.push(envelope.priority.value().to_le_bytes()[0]);
    put_standing(&mut out, course.standing);
    out.push(match course.warned {
        Warned::No => 0,
        Warned::Yes => 1,
    });
    put_option(&mut out, envelope.release, |out, release| put_u64(out, release.0));
    put_option(&mut out, envelope.deliver_by, |out, DeliverBy { until, then }| {
        put_u64(out, until.0);
        out.push(match then {
            Late::Return => 0,
            Late::Notify => 1,
        });
    });
    put_text(&mut out, &envelope.source);
    put_text(&mut out, &envelope.sender);
    put_parameters(&mut out, &envelope.parameters);
    put_count(&mut out, envelope.recipients.len());
    for (index, recipient) in envelope.recipients.iter().enumerate() {
        put_text(&mut out, &recipient.address);
        put_text(&mut out, recipient.destination.key());
        out.push(match recipient.destination.repeat() {
            Repeat::Idempotent => 0,
            Repeat::Duplicates => 1,
        });
        put_parameters(&mut out, &recipient.parameters);
        put_progress(&mut out, course.progress.get(index).unwrap_or(&Progress::Fresh));
    }
    out
}

/// Takes the front of a message record apart. `None`: this version cannot read it.
pub(super) fn read_head(payload: &[u8]) -> Option<Head> {
    head(&mut Input(payload)).map(|(head, _)| head)
}

/// Takes a message record apart. `None`: this version cannot read it. What a newer one wrote behind it is ignored.
pub(super) fn read_message(payload: &[u8]) -> Option<(Head, Stored)> {
    let mut input = Input(payload);
    let (head, _) = head(&mut input)?;
    let size = input.u64()?;
    let arrived = input.time()?;
    let priority = Priority::new(input.i8()?);
    let standing = standing(&mut input)?;
    let warned = match input.u8()? {
        0 => Warned::No,
        1 => Warned::Yes,
        _ => return None,
    };
    let release = input.option(Input::time)?;
    let deliver_by = input.option(|input| {
        let until = input.time()?;
        let then = match input.u8()? {
            0 => Late::Return,
            1 => Late::Notify,
            _ => return None,
        };
        Some(DeliverBy { until, then })
    })?;
    let source = input.text()?;
    let sender = input.text()?;
    let mail = parameters(&mut input)?;
    let people = input.list(14, |input| {
        let address = input.text()?;
        let key = input.text()?;
        let destination = match input.u8()? {
            0 => Destination::idempotent(key),
            1 => Destination::remote(key),
            _ => return None,
        };
        let parameters = parameters(input)?;
        Some((Recipient { address, destination, parameters }, progress(input)?))
    })?;
    let (recipients, progress) = people.into_iter().unzip();
    let envelope = Envelope { sender, recipients, parameters: mail, arrived, priority, source, release, deliver_by };
    let id = head.id;
    Some((head, Stored { id, envelope, size, standing, warned, progress }))
}

/// The payload of facts. `notes` is what [`notes_octets`] made.
pub(super) fn facts(link: &Link, notes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(64 + notes.len());
    out.extend_from_slice(&link.id.to_bytes());
    put_place(&mut out, link.previous);
    put_u32(&mut out, link.depth);
    put_wake(&mut out, link.wake);
    match &link.fate {
        Fate::Open => {
            out.push(0);
            out.extend_from_slice(notes);
        }
        Fate::Done { over } => {
            out.push(1);
            put_numbers(&mut out, over);
        }
    }
    out
}

/// The list of notes in a facts record.
pub(super) fn notes_octets(notes: &[Note]) -> Vec<u8> {
    let mut out = Vec::with_capacity(64);
    put_count(&mut out, notes.len());
    for note in notes {
        match note {
            Note::Progress(steps) => {
                out.push(0);
                put_count(&mut out, steps.len());
                for (index, progress) in steps {
                    put_u32(&mut out, *index);
                    put_progress(&mut out, progress);
                }
            }
            Note::Hold(why) => {
                out.push(1);
                put_held(&mut out, *why);
            }
            Note::Release => out.push(2),
            Note::Warned => out.push(3),
            Note::Done => out.push(4),
        }
    }
    out
}

/// Takes the front of facts apart. `None`: this version cannot read it.
pub(super) fn read_link(payload: &[u8]) -> Option<Link> {
    link(&mut Input(payload))
}

/// Takes facts apart. `None`: this version cannot read it.
pub(super) fn read_facts(payload: &[u8]) -> Option<(Link, Vec<Note>)> {
    let mut input = Input(payload);
    let link = link(&mut input)?;
    let notes = match link.fate {
        Fate::Open => input.list(1, note)?,
        Fate::Done { .. } => Vec::new(),
    };
    Some((link, notes))
}

/// Finds the facts that a message record has beside it.
pub(super) fn read_beside(payload: &[u8]) -> Option<(Link, Vec<Note>)> {
    let (_, beside) = head(&mut Input(payload))?;
    read_facts(beside)
}

fn head<'a>(input: &mut Input<'a>) -> Option<(Head, &'a [u8])> {
    let id = input.id()?;
    let wake = input.wake()?;
    let over = input.numbers()?;
    let chunks = input.list(16, |input| Some(Location { place: place(input)?, length: input.u32()? }))?;
    let length = input.u32()? as usize;
    let octets = input.octets(length)?;
    let beside = if octets.is_empty() { None } else { Some(read_link(octets)?) };
    Some((Head { id, wake, over, chunks, beside }, octets))
}

fn link(input: &mut Input<'_>) -> Option<Link> {
    let id = input.id()?;
    let previous = place(input)?;
    let depth = input.u32()?;
    let wake = input.wake()?;
    let fate = match input.u8()? {
        0 => Fate::Open,
        1 => Fate::Done { over: input.numbers()? },
        _ => return None,
    };
    Some(Link { id, previous, depth, wake, fate })
}

fn note(input: &mut Input<'_>) -> Option<Note> {
    match input.u8()? {
        0 => Some(Note::Progress(input.list(5, |input| Some((input.u32()?, progress(input)?)))?)),
        1 => Some(Note::Hold(held(input)?)),
        2 => Some(Note::Release),
        3 => Some(Note::Warned),
        4 => Some(Note::Done),
        _ => None,
    }
}

pub(super) fn put_place(out: &mut Vec<u8>, place: Place) {
    put_u64(out, place.segment);
    put_u32(out, place.offset);
}

pub(super) fn place(input: &mut Input<'_>) -> Option<Place> {
    Some(Place { segment: input.u64()?, offset: input.u32()? })
}

fn put_parameters(out: &mut Vec<u8>, parameters: &[Parameter]) {
    put_count(out, parameters.len());
    for parameter in parameters {
        put_text(out, &parameter.keyword);
        put_option(out, parameter.value.as_deref(), put_text);
    }
}

fn parameters(input: &mut Input<'_>) -> Option<Vec<Parameter>> {
    input.list(5, |input| Some(Parameter { keyword: input.text()?, value: input.option(Input::text)? }))
}

fn put_held(out: &mut Vec<u8>, why: Held) {
    out.push(match why {
        Held::Asked => 0,
        Held::Poison => 1,
        Held::Damaged => 2,
    });
}

fn held(input: &mut Input<'_>) -> Option<Held> {
    match input.u8()? {
        0 => Some(Held::Asked),
        1 => Some(Held::Poison),
        2 => Some(Held::Damaged),
        _ => None,
    }
}

fn put_standing(out: &mut Vec<u8>, standing: Standing) {
    let why = match standing {
        Standing::Going => None,
        Standing::Held(why) => Some(why),
    };
    put_option(out, why, put_held);
}

fn standing(input: &mut Input<'_>) -> Option<Standing> {
    Some(input.option(held)?.map_or(Standing::Going, Standing::Held))
}

fn put_word(out: &mut Vec<u8>, word: Word) {
    out.push(match word {
        Word::Due => 0,
        Word::Said => 1,
    });
}

fn word(input: &mut Input<'_>) -> Option<Word> {
    match input.u8()? {
        0 => Some(Word::Due),
        1 => Some(Word::Said),
        _ => None,
    }
}

fn put_progress(out: &mut Vec<u8>, progress: &Progress) {
    match progress {
        Progress::Fresh => out.push(0),
        Progress::Trying { attempt, since, interrupted } => {
            out.push(1);
            put_u32(out, *attempt);
            put_u64(out, since.0);
            put_u32(out, *interrupted);
        }
        Progress::Deferred { attempts, at, until, detail } => {
            out.push(2);
            put_u32(out, *attempts);
            put_u64(out, at.0);
            put_u64(out, until.0);
            put_detail(out, detail);
        }
        Progress::Delivered { at, handed, detail, word } => {
            out.push(3);
            put_u64(out, at.0);
            out.push(match handed {
                Handed::Mailbox => 0,
                Handed::WithDuty => 1,
                Handed::Relayed => 2,
            });
            put_detail(out, detail);
            put_word(out, *word);
        }
        Progress::Failed { attempts, at, why, detail, word } => {
            out.push(4);
            put_u32(out, *attempts);
            put_u64(out, at.0);
            out.push(match why {
                Failure::Refused => 0,
                Failure::Expired => 1,
                Failure::Late => 2,
                Failure::Bounced => 3,
            });
            put_detail(out, detail);
            put_word(out, *word);
        }
    }
}

fn progress(input: &mut Input<'_>) -> Option<Progress> {
    let progress = match input.u8()? {
        0 => Progress::Fresh,
        1 => Progress::Trying { attempt: input.u32()?, since: input.time()?, interrupted: input.u32()? },
        2 => {
            let (attempts, at, until) = (input.u32()?, input.time()?, input.time()?);
            Progress::Deferred { attempts, at, until, detail: input.detail()? }
        }
        3 => {
            let at = input.time()?;
            let handed = match input.u8()? {
                0 => Handed::Mailbox,
                1 => Handed::WithDuty,
                2 => Handed::Relayed,
                _ => return None,
            };
            Progress::Delivered { at, handed, detail: input.detail()?, word: word(input)? }
        }
        4 => {
            let (attempts, at): (u32, UnixMicros) = (input.u32()?, input.time()?);
            let why = match input.u8()? {
                0 => Failure::Refused,
                1 => Failure::Expired,
                2 => Failure::Late,
                3 => Failure::Bounced,
                _ => return None,
            };
            Progress::Failed { attempts, at, why, detail: input.detail()?, word: word(input)? }
        }
        _ => return None,
    };
    Some(progress)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::Detail;

    fn time() -> impl Strategy<Value = UnixMicros> {
        any::<u64>().prop_map(|time| UnixMicros(time >> 8))
    }

    fn detail() -> impl Strategy<Value = Detail> {
        (".*", ".*", ".*").prop_map(|(text, status, remote)| Detail { text, status, remote })
    }

    fn wake() -> impl Strategy<Value = Wake> {
        prop_oneof![
            Just(Wake::Now),
            Just(Wake::Asked),
            (time(), any::<u64>()).prop_map(|(since, wait)| Wake::After { since, wait: Duration::from_micros(wait) }),
        ]
    }

    fn held() -> impl Strategy<Value = Held> {
        prop_oneof![Just(Held::Asked), Just(Held::Poison), Just(Held::Damaged)]
    }

    fn progress() -> impl Strategy<Value = Progress> {
        let handed = prop_oneof![Just(Handed::Mailbox), Just(Handed::WithDuty), Just(Handed::Relayed)];
        let why =
            prop_oneof![Just(Failure::Refused), Just(Failure::Expired), Just(Failure::Late), Just(Failure::Bounced)];
        let word = || prop_oneof![Just(Word::Due), Just(Word::Said)];
        prop_oneof![
            Just(Progress::Fresh),
            (any::<u32>(), time(), any::<u32>()).prop_map(|(attempt, since, interrupted)| Progress::Trying {
                attempt,
                since,
                interrupted
            }),
            (any::<u32>(), time(), time(), detail()).prop_map(|(attempts, at, until, detail)| Progress::Deferred {
                attempts,
                at,
                until,
                detail
            }),
            (time(), handed, detail(), word()).prop_map(|(at, handed, detail, word)| Progress::Delivered {
                at,
                handed,
                detail,
                word
            }),
            (any::<u32>(), time(), why, detail(), word())
                .prop_map(|(attempts, at, why, detail, word)| Progress::Failed { attempts, at, why, detail, word }),
        ]
    }

    fn note() -> impl Strategy<Value = Note> {
        prop_oneof![
            prop::collection::vec((any::<u32>(), progress()), 0..4).prop_map(Note::Progress),
            held().prop_map(Note::Hold),
            Just(Note::Release),
            Just(Note::Warned),
        ]
    }

    fn parameters() -> impl Strategy<Value = Vec<Parameter>> {
        let parameter = (".*", any::<Option<String>>()).prop_map(|(keyword, value)| Parameter { keyword, value });
        prop::collection::vec(parameter, 0..3)
    }

    fn recipient() -> impl Strategy<Value = Recipient> {
        (".*", ".*", any::<bool>(), parameters()).prop_map(|(address, key, repeats, parameters)| {
            let destination = if repeats { Destination::idempotent(key) } else { Destination::remote(key) };
            Recipient { address, destination, parameters }
        })
    }

    fn envelope() -> impl Strategy<Value = Envelope> {
        let late = prop_oneof![Just(Late::Return), Just(Late::Notify)];
        let deliver_by = prop::option::of((time(), late).prop_map(|(until, then)| DeliverBy { until, then }));
        let times = (time(), prop::option::of(time()), deliver_by);
        (".*", prop::collection::vec(recipient(), 0..5), parameters(), times, -9_i8..=9, ".*").prop_map(
            |(sender, recipients, parameters, (arrived, release, deliver_by), priority, source)| {
                let priority = Priority::new(priority);
                Envelope { sender, recipients, parameters, arrived, priority, source, release, deliver_by }
            },
        )
    }

    fn id() -> impl Strategy<Value = MessageId> {
        (time(), any::<u64>()).prop_map(|(time, tag)| MessageId::new(time, tag))
    }

    fn place() -> impl Strategy<Value = Place> {
        any::<(u64, u32)>().prop_map(|(segment, offset)| Place { segment, offset })
    }

    fn link() -> impl Strategy<Value = Link> {
        let fate = prop_oneof![
            Just(Fate::Open),
            prop::collection::vec(any::<u64>(), 0..3).prop_map(|over| Fate::Done { over })
        ];
        (id(), place(), any::<u32>(), wake(), fate).prop_map(|(id, previous, depth, wake, fate)| Link {
            id,
            previous,
            depth,
            wake,
            fate,
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_message_reads_as_it_was_written(
            (id, wake, over) in (id(), wake(), prop::collection::vec(any::<u64>(), 0..3)),
            chunks in prop::collection::vec((place(), any::<u32>()), 0..4),
            beside in prop::option::of((link(), prop::collection::vec(note(), 0..3))),
            (envelope, size) in (envelope(), any::<u64>()),
            progress in prop::collection::vec(progress(), 5),
            standing in prop::option::of(held()),
            later: Vec<u8>,
        ) {
            let chunks: Vec<_> = chunks.into_iter().map(|(place, length)| Location { place, length }).collect();
            let octets = beside.as_ref().map(|(link, notes)| facts(link, &notes_octets(notes))).unwrap_or_default();
            let mut payload = message_head(id, wake, &over, &chunks, &octets);
            let progress = progress[..envelope.recipients.len()].to_vec();
            let standing = standing.map_or(Standing::Going, Standing::Held);
            let course = Course { standing, warned: Warned::Yes, progress: &progress };
            payload.extend(message_rest(&envelope, size, course));
            let whole = payload.len();
            payload.extend(later);
            let stored = Stored { id, envelope, size, standing, warned: Warned::Yes, progress };
            let link = beside.as_ref().map(|(link, _)| link.clone());
            let head = Head { id, wake, over, chunks, beside: link };
            prop_assert_eq!(read_head(&payload), Some(head.clone()));
            prop_assert_eq!(read_message(&payload), Some((head, stored)));
            for cut in 0..whole {
                prop_assert_eq!(read_message(&payload[..cut]), None);
            }
        }

        #[test]
        fn facts_read_as_they_were_written(link in link(), notes in prop::collection::vec(note(), 0..4)) {
            let payload = facts(&link, &notes_octets(&notes));
            let kept = if link.fate == Fate::Open { notes } else { Vec::new() };
            prop_assert_eq!(read_link(&payload), Some(link.clone()));
            prop_assert_eq!(read_facts(&payload), Some((link.clone(), kept.clone())));
            let head = message_head(link.id, Wake::Now, &[], &[], &payload);
            prop_assert_eq!(read_beside(&head), Some((link, kept)));
        }

        #[test]
        fn any_octets_are_read_without_a_panic(octets: Vec<u8>) {
            read_message(&octets);
            read_facts(&octets);
            read_beside(&octets);
        }
    }
}
