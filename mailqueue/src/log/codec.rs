//! Payloads of records: what is inside the frames that `format` makes.

use crate::envelope::Repeat;
use crate::{
    Destination, Detail, Envelope, Held, MessageId, Note, Parameter, Priority, Progress, Recipient, Standing, Stored,
    UnixMicros,
};

use super::format::Kind;

/// Where a payload lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Location {
    /// The number of the segment.
    pub(super) segment: u64,
    /// Where the record's header begins.
    pub(super) offset: u32,
    /// The payload's length.
    pub(super) length: u32,
}

/// A message record taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) id: MessageId,
    pub(super) chunks: Vec<Location>,
    pub(super) envelope: Envelope,
    pub(super) size: u64,
    pub(super) standing: Standing,
    /// One for each recipient of the envelope.
    pub(super) progress: Vec<Progress>,
}

impl Message {
    pub(super) fn stored(&self) -> Stored {
        let mut stored = Stored::fresh(self.id, &self.envelope, self.size);
        stored.standing = self.standing;
        for ((_, slot), progress) in stored.recipients.iter_mut().zip(&self.progress) {
            slot.clone_from(progress);
        }
        stored
    }
}

/// The head of a message record: the name and the list of chunks, which only the committer knows.
pub(super) fn message_head(id: MessageId, chunks: &[Location]) -> Vec<u8> {
    let mut out = Vec::with_capacity(20 + chunks.len() * 16);
    out.extend_from_slice(&id.to_bytes());
    put_count(&mut out, chunks.len());
    for chunk in chunks {
        put_u64(&mut out, chunk.segment);
        put_u32(&mut out, chunk.offset);
        put_u32(&mut out, chunk.length);
    }
    out
}

/// The rest of a message record, for a message that nobody tried to deliver yet.
pub(super) fn message_rest(envelope: &Envelope, size: u64) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    put_u64(&mut out, size);
    put_u64(&mut out, envelope.arrived.0);
    out.push(envelope.priority.value().to_le_bytes()[0]);
    put_standing(&mut out, Standing::Going);
    put_text(&mut out, &envelope.sender);
    put_parameters(&mut out, &envelope.parameters);
    put_count(&mut out, envelope.recipients.len());
    for recipient in &envelope.recipients {
        put_text(&mut out, &recipient.address);
        put_text(&mut out, recipient.destination.key());
        out.push(match recipient.destination.repeat() {
            Repeat::Idempotent => 0,
            Repeat::Duplicates => 1,
        });
        put_parameters(&mut out, &recipient.parameters);
        put_progress(&mut out, &Progress::Fresh);
    }
    out
}

/// Takes a message record apart. `None`: this version cannot read it. What a newer one wrote behind it is ignored.
pub(super) fn read_message(payload: &[u8]) -> Option<Message> {
    let mut input = Input(payload);
    let id = input.id()?;
    let chunks =
        input.list(16, |input| Some(Location { segment: input.u64()?, offset: input.u32()?, length: input.u32()? }))?;
    let size = input.u64()?;
    let arrived = UnixMicros(input.u64()?);
    let priority = Priority::new(i8::from_le_bytes([input.u8()?]));
    let standing = input.standing()?;
    let sender = input.text()?;
    let parameters = input.parameters()?;
    let people = input.list(14, |input| {
        let address = input.text()?;
        let key = input.text()?;
        let destination = match input.u8()? {
            0 => Destination::idempotent(key),
            1 => Destination::remote(key),
            _ => return None,
        };
        let parameters = input.parameters()?;
        Some((Recipient { address, destination, parameters }, input.progress()?))
    })?;
    let (recipients, progress) = people.into_iter().unzip();
    let envelope = Envelope { sender, recipients, parameters, arrived, priority };
    Some(Message { id, chunks, envelope, size, standing, progress })
}

/// The record that says a fact.
pub(super) fn note_record(id: MessageId, note: &Note) -> (Kind, Vec<u8>) {
    let mut out = Vec::with_capacity(64);
    out.extend_from_slice(&id.to_bytes());
    match note {
        Note::Progress(steps) => {
            put_count(&mut out, steps.len());
            for (index, progress) in steps {
                put_u32(&mut out, *index);
                put_progress(&mut out, progress);
            }
            (Kind::Progress, out)
        }
        Note::Hold => {
            put_standing(&mut out, Standing::Held);
            (Kind::Standing, out)
        }
        Note::Release => {
            put_standing(&mut out, Standing::Going);
            (Kind::Standing, out)
        }
        Note::Done => (Kind::Done, out),
    }
}

/// Reads what [`note_record`] wrote. `None`: this version cannot read it.
pub(super) fn read_note(kind: Kind, payload: &[u8]) -> Option<(MessageId, Note)> {
    let mut input = Input(payload);
    let id = input.id()?;
    let note = match kind {
        Kind::Progress => Note::Progress(input.list(5, |input| Some((input.u32()?, input.progress()?)))?),
        Kind::Standing => match input.standing()? {
            Standing::Held => Note::Hold,
            Standing::Going => Note::Release,
        },
        Kind::Done => Note::Done,
        Kind::Chunk | Kind::Message | Kind::Footer | Kind::Filler | Kind::Unknown(_) => return None,
    };
    Some((id, note))
}

fn put_u32(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_le_bytes());
}

fn put_u64(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&value.to_le_bytes());
}

/// Counts and lengths have 32 bits. Nothing longer fits a record, and the committer refuses what does not.
fn put_count(out: &mut Vec<u8>, count: usize) {
    put_u32(out, u32::try_from(count).unwrap_or(u32::MAX));
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    put_count(out, text.len());
    out.extend_from_slice(text.as_bytes());
}

fn put_parameters(out: &mut Vec<u8>, parameters: &[Parameter]) {
    put_count(out, parameters.len());
    for parameter in parameters {
        put_text(out, &parameter.keyword);
        match &parameter.value {
            None => out.push(0),
            Some(value) => {
                out.push(1);
                put_text(out, value);
            }
        }
    }
}

fn put_standing(out: &mut Vec<u8>, standing: Standing) {
    out.push(match standing {
        Standing::Going => 0,
        Standing::Held => 1,
    });
}

fn put_detail(out: &mut Vec<u8>, detail: &Detail) {
    put_text(out, &detail.text);
    put_text(out, &detail.status);
    put_text(out, &detail.remote);
}

fn put_progress(out: &mut Vec<u8>, progress: &Progress) {
    match progress {
        Progress::Fresh => out.push(0),
        Progress::Trying { attempt, since } => {
            out.push(1);
            put_u32(out, *attempt);
            put_u64(out, since.0);
        }
        Progress::Deferred { attempts, at, until, detail } => {
            out.push(2);
            put_u32(out, *attempts);
            put_u64(out, at.0);
            put_u64(out, until.0);
            put_detail(out, detail);
        }
        Progress::Delivered { at } => {
            out.push(3);
            put_u64(out, at.0);
        }
        Progress::Held { attempts, at, why, detail } => {
            out.push(4);
            put_u32(out, *attempts);
            put_u64(out, at.0);
            out.push(match why {
                Held::Failed => 0,
                Held::Expired => 1,
                Held::Damaged => 2,
            });
            put_detail(out, detail);
        }
    }
}

/// Reads fields from the front. `None` where the payload ends too early or says what it cannot.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn octets(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.octets(N)?.first_chunk().copied()
    }

    fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_le_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    fn time(&mut self) -> Option<UnixMicros> {
        self.u64().map(UnixMicros)
    }

    fn id(&mut self) -> Option<MessageId> {
        MessageId::from_bytes(self.array()?).ok()
    }

    fn text(&mut self) -> Option<String> {
        let length = self.u32()?;
        let octets = self.octets(length as usize)?;
        std::str::from_utf8(octets).ok().map(str::to_owned)
    }

    /// A counted list. `least` is the fewest octets that an item takes: a count that cannot be true reserves no memory.
    fn list<T>(&mut self, least: usize, mut item: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let count = self.u32()? as usize;
        if count > self.0.len() / least {
            return None;
        }
        let mut items = Vec::with_capacity(count);
        for _ in 0..count {
            items.push(item(self)?);
        }
        Some(items)
    }

    fn parameters(&mut self) -> Option<Vec<Parameter>> {
        self.list(5, |input| {
            let keyword = input.text()?;
            let value = match input.u8()? {
                0 => None,
                1 => Some(input.text()?),
                _ => return None,
            };
            Some(Parameter { keyword, value })
        })
    }

    fn standing(&mut self) -> Option<Standing> {
        match self.u8()? {
            0 => Some(Standing::Going),
            1 => Some(Standing::Held),
            _ => None,
        }
    }

    fn detail(&mut self) -> Option<Detail> {
        Some(Detail { text: self.text()?, status: self.text()?, remote: self.text()? })
    }

    fn progress(&mut self) -> Option<Progress> {
        let progress = match self.u8()? {
            0 => Progress::Fresh,
            1 => Progress::Trying { attempt: self.u32()?, since: self.time()? },
            2 => Progress::Deferred {
                attempts: self.u32()?,
                at: self.time()?,
                until: self.time()?,
                detail: self.detail()?,
            },
            3 => Progress::Delivered { at: self.time()? },
            4 => Progress::Held {
                attempts: self.u32()?,
                at: self.time()?,
                why: match self.u8()? {
                    0 => Held::Failed,
                    1 => Held::Expired,
                    2 => Held::Damaged,
                    _ => return None,
                },
                detail: self.detail()?,
            },
            _ => return None,
        };
        Some(progress)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn detail() -> impl Strategy<Value = Detail> {
        (".*", ".*", ".*").prop_map(|(text, status, remote)| Detail { text, status, remote })
    }

    fn time() -> impl Strategy<Value = UnixMicros> {
        any::<u64>().prop_map(UnixMicros)
    }

    fn progress() -> impl Strategy<Value = Progress> {
        let why = prop_oneof![Just(Held::Failed), Just(Held::Expired), Just(Held::Damaged)];
        prop_oneof![
            Just(Progress::Fresh),
            (any::<u32>(), time()).prop_map(|(attempt, since)| Progress::Trying { attempt, since }),
            (any::<u32>(), time(), time(), detail()).prop_map(|(attempts, at, until, detail)| Progress::Deferred {
                attempts,
                at,
                until,
                detail
            }),
            time().prop_map(|at| Progress::Delivered { at }),
            (any::<u32>(), time(), why, detail()).prop_map(|(attempts, at, why, detail)| Progress::Held {
                attempts,
                at,
                why,
                detail
            }),
        ]
    }

    fn note() -> impl Strategy<Value = Note> {
        prop_oneof![
            prop::collection::vec((any::<u32>(), progress()), 0..5).prop_map(Note::Progress),
            Just(Note::Hold),
            Just(Note::Release),
            Just(Note::Done),
        ]
    }

    fn parameters() -> impl Strategy<Value = Vec<Parameter>> {
        let one = (".*", prop::option::of(".*")).prop_map(|(keyword, value)| Parameter { keyword, value });
        prop::collection::vec(one, 0..4)
    }

    fn recipient() -> impl Strategy<Value = Recipient> {
        let destination = (".*", any::<bool>()).prop_map(|(key, twice)| match twice {
            true => Destination::remote(key),
            false => Destination::idempotent(key),
        });
        (".*", destination, parameters()).prop_map(|(address, destination, parameters)| Recipient {
            address,
            destination,
            parameters,
        })
    }

    fn envelope() -> impl Strategy<Value = Envelope> {
        (".*", prop::collection::vec(recipient(), 0..5), parameters(), time(), -9_i8..=9).prop_map(
            |(sender, recipients, parameters, arrived, priority)| {
                let priority = Priority::new(priority);
                Envelope { sender, recipients, parameters, arrived, priority }
            },
        )
    }

    fn id() -> impl Strategy<Value = MessageId> {
        (time(), any::<u64>()).prop_map(|(time, tag)| MessageId::new(time, tag))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_message_reads_as_it_was_written(
            id in id(),
            chunks: Vec<(u64, u32, u32)>,
            envelope in envelope(),
            size: u64,
            later: Vec<u8>,
        ) {
            let chunks: Vec<_> =
                chunks.into_iter().map(|(segment, offset, length)| Location { segment, offset, length }).collect();
            let mut payload = message_head(id, &chunks);
            payload.extend(message_rest(&envelope, size));
            let whole = payload.len();
            payload.extend(later);
            let progress = vec![Progress::Fresh; envelope.recipients.len()];
            let message = Message { id, chunks, envelope, size, standing: Standing::Going, progress };
            prop_assert_eq!(read_message(&payload), Some(message));
            for cut in 0..whole {
                prop_assert_eq!(read_message(&payload[..cut]), None);
            }
        }

        #[test]
        fn a_fact_reads_as_it_was_written(id in id(), note in note()) {
            let (kind, payload) = note_record(id, &note);
            prop_assert_eq!(read_note(kind, &payload), Some((id, note)));
        }

        #[test]
        fn any_octets_are_read_without_a_panic(octets: Vec<u8>) {
            read_message(&octets);
            for kind in [Kind::Progress, Kind::Standing, Kind::Done] {
                read_note(kind, &octets);
            }
        }
    }
}
