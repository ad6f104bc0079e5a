//! A piece of a segment in memory, so that records that lie near one another are read at once.

use crate::ReadError;
use crate::files::File;

use super::format::{Kind, RECORD_HEADER, read_record, record_length};
use super::index::SegmentFile;
use super::read::read_at;

/// What is read with a record's header: most records of messages and facts are shorter.
const FIRST: usize = 1 << 10;

/// Octets of a segment.
#[derive(Debug, Default)]
pub(super) struct Window {
    segment: u64,
    epoch: u64,
    start: u32,
    octets: Vec<u8>,
}

impl Window {
    /// The record at `offset`. Where it has to be read, so are as many octets as `ahead` behind its start.
    ///
    /// # Errors
    /// [`ReadError::Damaged`] where no whole record is there.
    pub(super) fn record<T: File>(
        &mut self,
        file: &SegmentFile<T>,
        offset: u32,
        ahead: usize,
    ) -> Result<(Kind, &[u8]), ReadError> {
        let most = file.size.saturating_sub(offset) as usize;
        if self.part(file, offset, RECORD_HEADER).is_none()
            && self.fill(file, offset, ahead.saturating_add(FIRST).min(most)).is_err()
        {
            // What cannot be read may be one of those that come later.
            self.fill(file, offset, RECORD_HEADER.min(most))?;
        }
        let length = self.part(file, offset, RECORD_HEADER).and_then(record_length).ok_or(ReadError::Damaged)?;
        let whole = RECORD_HEADER.saturating_add(length);
        if whole > most {
            return Err(ReadError::Damaged);
        }
        if self.part(file, offset, whole).is_none() {
            self.fill(file, offset, whole)?;
        }
        let octets = self.part(file, offset, whole).ok_or(ReadError::Damaged)?;
        let found = read_record(octets, 0, file.epoch).ok_or(ReadError::Damaged)?;
        Ok((found.kind, octets.get(found.payload).unwrap_or_default()))
    }

    fn part<T>(&self, file: &SegmentFile<T>, offset: u32, length: usize) -> Option<&[u8]> {
        if self.segment != file.number || self.epoch != file.epoch {
            return None;
        }
        let start = offset.checked_sub(self.start)? as usize;
        self.octets.get(start..start.checked_add(length)?)
    }

    fn fill<T: File>(&mut self, file: &SegmentFile<T>, offset: u32, length: usize) -> Result<(), ReadError> {
        self.octets.resize(length, 0);
        (self.segment, self.epoch, self.start) = (file.number, file.epoch, offset);
        let read = read_at(&file.file, &mut self.octets, offset);
        if read.is_err() {
            self.octets.clear();
        }
        read
    }
}
