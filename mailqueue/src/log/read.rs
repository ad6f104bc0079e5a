//! Reading messages back out of the log.

use std::io;
use std::sync::Arc;

use bytes::Bytes;

use crate::body::ChunkFuture;
use crate::files::{File, Files};
use crate::{Body, Chunks, Envelope, MessageId, ReadError};

use super::codec::{Location, Message, read_message};
use super::format::{Kind, RECORD_HEADER, read_record};
use super::index::{SegmentFile, Shared};
use super::pool::Pool;

type Piece<T> = (Arc<SegmentFile<T>>, Location);

/// Reads a message's record, and finds the files of its chunks.
pub(super) async fn read<F: Files>(
    shared: &Arc<Shared<F>>,
    pool: &Pool,
    id: MessageId,
) -> Result<(Envelope, Body), ReadError> {
    let place = {
        let index = shared.index();
        let location = index.messages.get(&id).ok_or(ReadError::Unknown)?.record;
        let segment = index.segments.get(&location.segment).ok_or(ReadError::Damaged)?;
        (Arc::clone(&segment.file), location)
    };
    let payload = pool.run(move || read_payload(&place, Kind::Message)).await.ok_or(ReadError::Closed)??;
    let Message { chunks, envelope, size, .. } = read_message(&payload).ok_or(ReadError::Damaged)?;
    let index = shared.index();
    // The message may have been removed since, and its segments with it.
    if !index.messages.contains_key(&id) {
        return Err(ReadError::Unknown);
    }
    let files = |location: Location| index.segments.get(&location.segment).map(|one| (Arc::clone(&one.file), location));
    let pieces: Vec<_> = chunks.into_iter().filter_map(files).collect();
    let stored: u64 = pieces.iter().map(|(_, location)| u64::from(location.length)).sum();
    drop(index);
    if stored != size {
        return Err(ReadError::Damaged);
    }
    Ok((envelope, Body::new(LogBody { size, pieces, pool: pool.clone() })))
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
        let piece = (Arc::clone(file), *location);
        Box::pin(async move {
            let payload = self.pool.run(move || read_payload(&piece, Kind::Chunk)).await;
            payload.ok_or(ReadError::Closed)?.map(Some)
        })
    }
}

/// Reads a record and looks at its checksum, as at every read.
fn read_payload<T: File>((segment, location): &Piece<T>, kind: Kind) -> Result<Bytes, ReadError> {
    let mut octets = vec![0; RECORD_HEADER + location.length as usize];
    match segment.file.read_exact_at(&mut octets, u64::from(location.offset)) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(ReadError::Damaged),
        Err(error) => return Err(ReadError::Failed(error.kind())),
    }
    match read_record(&octets, 0, segment.epoch) {
        Some(found) if found.kind == kind && found.payload.end == octets.len() => {
            Ok(Bytes::from(octets).slice(found.payload))
        }
        Some(_) | None => Err(ReadError::Damaged),
    }
}
