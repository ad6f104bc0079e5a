//! Reading messages back out of the log.

use std::collections::HashMap;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use crate::body::ChunkFuture;
use crate::files::{File, Files};
use crate::{Body, Chunks, MessageId, Note, ReadError, Stored, Wake};

use super::codec::{CHUNK_HEAD, Fate, Head, Link, Location, Place, read_beside, read_facts, read_message};
use super::format::{Kind, RECORD_HEADER, read_record};
use super::index::{SegmentFile, Shared, Stand};
use super::pool::Pool;
use super::window::Window;

/// How many messages a read thread looks up at a time: its memory is bounded by them.
const TOGETHER: usize = 1024;

/// The files of some segments, by number.
pub(super) type SegmentFiles<T> = HashMap<u64, Arc<SegmentFile<T>>>;

/// All that a message's records say.
#[derive(Clone, Debug)]
pub(super) struct Whole {
    pub(super) head: Head,
    pub(super) stored: Stored,
    pub(super) wake: Wake,
}

/// Reads how messages stand, on the pool's threads.
pub(super) async fn read<F: Files>(
    shared: &Arc<Shared<F>>,
    pool: &Pool,
    ids: &[MessageId],
) -> Vec<Result<Stored, ReadError>> {
    let job = |ids: &[MessageId]| {
        let (shared, ids) = (Arc::clone(shared), ids.to_vec());
        let count = ids.len();
        let answer = pool.run(move || read_messages(&shared, &ids).1);
        async move { answer.await.unwrap_or_else(|| (0..count).map(|_| Err(ReadError::Closed)).collect()) }
    };
    let answers = futures_util::future::join_all(ids.chunks(TOGETHER).map(job)).await;
    answers.into_iter().flatten().map(|found| found.map(|whole| whole.stored)).collect()
}

/// Opens a message's octets, on the pool's threads.
pub(super) async fn body<F: Files>(shared: &Arc<Shared<F>>, pool: &Pool, id: MessageId) -> Result<Body, ReadError> {
    let job = {
        let shared = Arc::clone(shared);
        move || body_of(&shared, id)
    };
    let (size, pieces) = pool.run(job).await.ok_or(ReadError::Closed)??;
    Ok(Body::new(LogBody { size, pieces, pool: pool.clone() }))
}

type Piece<T> = (Arc<SegmentFile<T>>, Location);
type Pieces<T> = (u64, Vec<Piece<T>>);

fn body_of<F: Files>(shared: &Shared<F>, id: MessageId) -> Result<Pieces<F::File>, ReadError> {
    let (files, stand) = {
        let index = shared.index();
        let stand = index.stand(id).ok_or(ReadError::Unknown)?;
        let mut files = HashMap::new();
        index.files_of(id, &mut files);
        (files, stand)
    };
    let file = files.get(&stand.message.segment).ok_or(ReadError::Damaged)?;
    let mut window = Window::default();
    let (kind, payload) = window.record(file, stand.message.offset, 0)?;
    let (head, stored) =
        Some(payload).filter(|_| kind == Kind::Message).and_then(read_message).ok_or(ReadError::Damaged)?;
    let piece = |location: Location| files.get(&location.place.segment).map(|file| (Arc::clone(file), location));
    let pieces: Vec<_> = head.chunks.into_iter().filter_map(piece).collect();
    let there: u64 = pieces.iter().map(|(_, location)| u64::from(location.length)).sum();
    if there != stored.size || stored.id != id {
        return Err(ReadError::Damaged);
    }
    Ok((stored.size, pieces))
}

/// A message on its way out of the log.
struct Item {
    id: MessageId,
    stand: Option<Stand>,
    /// The facts to be read next, or the message record when all were.
    next: Place,
    notes: Vec<Vec<Note>>,
    wake: Option<Wake>,
    found: Result<Option<(Head, Stored)>, ReadError>,
}

/// Reads how messages stand: their records in the order they lie on disk, then the last facts about each, then those
/// before.
pub(super) fn read_messages<F: Files>(
    shared: &Shared<F>,
    ids: &[MessageId],
) -> (SegmentFiles<F::File>, Vec<Result<Whole, ReadError>>) {
    let mut files = HashMap::new();
    let mut items: Vec<Item> = {
        let index = shared.index();
        ids.iter()
            .map(|id| {
                index.files_of(*id, &mut files);
                let stand = index.stand(*id);
                let next = stand.map_or(Place { segment: 0, offset: 0 }, |stand| stand.last);
                let found = if stand.is_some() { Ok(None) } else { Err(ReadError::Unknown) };
                Item { id: *id, stand, next, notes: Vec::new(), wake: None, found }
            })
            .collect()
    };
    let mut window = Window::default();
    let mut wanted: Vec<(Place, usize)> =
        items.iter().enumerate().filter_map(|(number, item)| Some((item.stand?.message, number))).collect();
    let mut round = Item::take_message as fn(&mut Item, Kind, &[u8]) -> Result<(), ReadError>;
    while !wanted.is_empty() {
        wanted.sort_unstable();
        let places: Vec<Place> = wanted.iter().map(|(place, _)| *place).collect();
        for (at, (place, number)) in wanted.drain(..).enumerate() {
            let Some(item) = items.get_mut(number) else { continue };
            let read = match files.get(&place.segment) {
                Some(file) => window
                    .record(file, place.offset, ahead(places.get(at..).unwrap_or_default()))
                    .and_then(|(kind, payload)| round(item, kind, payload)),
                None => Err(ReadError::Damaged),
            };
            if let Err(error) = read {
                item.found = Err(error);
            }
        }
        round = Item::take_facts;
        let more = |(number, item): (usize, &Item)| {
            let unread = item.found.is_ok() && item.stand.is_some_and(|stand| stand.message != item.next);
            unread.then_some((item.next, number))
        };
        wanted.extend(items.iter().enumerate().filter_map(more));
    }
    (files, items.into_iter().map(Item::finish).collect())
}

impl Item {
    fn take_message(&mut self, kind: Kind, payload: &[u8]) -> Result<(), ReadError> {
        let message = Some(payload).filter(|_| kind == Kind::Message).and_then(read_message);
        let (head, stored) = message.filter(|(head, _)| head.id == self.id).ok_or(ReadError::Damaged)?;
        self.found = Ok(Some((head, stored)));
        Ok(())
    }

    fn take_facts(&mut self, kind: Kind, payload: &[u8]) -> Result<(), ReadError> {
        let facts = match kind {
            Kind::Facts => read_facts(payload),
            Kind::Message => read_beside(payload),
            Kind::Chunk | Kind::Rules | Kind::Footer | Kind::Filler | Kind::Unknown(_) => None,
        };
        let (Link { id, previous, wake, fate, .. }, notes) = facts.ok_or(ReadError::Damaged)?;
        // A chain leads backwards, so that it ends.
        if id != self.id || previous >= self.next || fate != Fate::Open {
            return Err(ReadError::Damaged);
        }
        self.wake.get_or_insert(wake);
        self.notes.push(notes);
        self.next = previous;
        Ok(())
    }

    fn finish(self) -> Result<Whole, ReadError> {
        let (head, mut stored) = self.found?.ok_or(ReadError::Damaged)?;
        for note in self.notes.iter().rev().flatten() {
            stored.note(note);
        }
        let wake = self.wake.unwrap_or(head.wake);
        Ok(Whole { head, stored, wake })
    }
}

/// How far from the first of these places the next ones are that are read together with it.
fn ahead(places: &[Place]) -> usize {
    /// The widest gap that is read along.
    const GAP: u32 = 16 << 10;
    /// The most that is read at a time.
    const MOST: u32 = 256 << 10;
    let Some(first) = places.first() else { return 0 };
    let mut last = *first;
    for place in places {
        if place.segment != first.segment || place.offset - last.offset > GAP || place.offset - first.offset > MOST {
            break;
        }
        last = *place;
    }
    (last.offset - first.offset) as usize
}

struct LogBody<T> {
    size: u64,
    pieces: Vec<Piece<T>>,
    pool: Pool,
}

impl<T: File> Chunks for LogBody<T> {
    fn size(&self) -> u64 {
        self.size
    }

    fn chunk(&self, number: usize) -> ChunkFuture<'_> {
        let Some((file, location)) = self.pieces.get(number) else { return Box::pin(std::future::ready(Ok(None))) };
        let (file, location) = (Arc::clone(file), *location);
        Box::pin(async move {
            let payload = self.pool.run(move || read_chunk(&file, location)).await;
            payload.ok_or(ReadError::Closed)?.map(|payload| Some(payload.slice(CHUNK_HEAD..)))
        })
    }
}

/// Reads a chunk with its head, and looks at its checksum, as at every read.
pub(super) fn read_chunk<T: File>(segment: &SegmentFile<T>, location: Location) -> Result<Bytes, ReadError> {
    let length = RECORD_HEADER + CHUNK_HEAD + location.length as usize;
    if length > segment.size as usize {
        return Err(ReadError::Damaged);
    }
    let mut octets = vec![0; length];
    read_at(&segment.file, &mut octets, location.place.offset)?;
    match read_record(&octets, 0, segment.epoch) {
        Some(found) if found.kind == Kind::Chunk && found.payload.end == octets.len() => {
            Ok(Bytes::from(octets).slice(found.payload))
        }
        Some(_) | None => Err(ReadError::Damaged),
    }
}

pub(super) fn read_at(file: &impl File, octets: &mut [u8], offset: u32) -> Result<(), ReadError> {
    match file.read_exact_at(octets, u64::from(offset)) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(ReadError::Damaged),
        Err(error) => Err(ReadError::Failed(error.kind())),
    }
}

/// Reads a segment. Where the disk cannot read a part of it, that part is zeros, and is named.
pub(super) fn read_segment(file: &impl File, size: u32) -> io::Result<(Vec<u8>, Vec<Range<usize>>)> {
    /// What a disk loses at once.
    const PART: usize = 4096;
    let size = file.size()?.min(u64::from(size)) as usize;
    let mut octets = vec![0; size];
    let mut unreadable = Vec::new();
    if file.read_exact_at(&mut octets, 0).is_err() {
        for (number, part) in octets.chunks_mut(PART).enumerate() {
            let at = number * PART;
            if file.read_exact_at(part, at as u64).is_err() {
                part.fill(0);
                unreadable.push(at..at + part.len());
            }
        }
    }
    Ok((octets, unreadable))
}
