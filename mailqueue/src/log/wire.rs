//! Fields of records: numbers, texts and lists, to and from octets.

use std::time::Duration;

use crate::{Detail, MessageId, UnixMicros, Wake};

pub(super) fn put_u32(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_le_bytes());
}

pub(super) fn put_u64(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&value.to_le_bytes());
}

/// Counts and lengths have 32 bits. Nothing longer fits a record, and the committer refuses what does not.
pub(super) fn put_count(out: &mut Vec<u8>, count: usize) {
    put_u32(out, u32::try_from(count).unwrap_or(u32::MAX));
}

pub(super) fn put_text(out: &mut Vec<u8>, text: &str) {
    put_count(out, text.len());
    out.extend_from_slice(text.as_bytes());
}

/// A field that may be missing: 0, or 1 and the field.
pub(super) fn put_option<T>(out: &mut Vec<u8>, value: Option<T>, put: impl FnOnce(&mut Vec<u8>, T)) {
    match value {
        None => out.push(0),
        Some(value) => {
            out.push(1);
            put(out, value);
        }
    }
}

pub(super) fn put_numbers(out: &mut Vec<u8>, numbers: &[u64]) {
    put_count(out, numbers.len());
    for number in numbers {
        put_u64(out, *number);
    }
}

pub(super) fn put_wake(out: &mut Vec<u8>, wake: Wake) {
    match wake {
        Wake::Now => out.push(0),
        Wake::After { since, wait } => {
            out.push(1);
            put_u64(out, since.0);
            put_u64(out, u64::try_from(wait.as_micros()).unwrap_or(u64::MAX));
        }
        Wake::Asked => out.push(2),
    }
}

pub(super) fn put_detail(out: &mut Vec<u8>, detail: &Detail) {
    put_text(out, &detail.text);
    put_text(out, &detail.status);
    put_text(out, &detail.remote);
}

/// Reads fields from the front. `None` where the payload ends too early or says what it cannot.
pub(super) struct Input<'a>(pub(super) &'a [u8]);

impl<'a> Input<'a> {
    pub(super) fn octets(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.octets(N)?.first_chunk().copied()
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_le_bytes)
    }

    pub(super) fn i8(&mut self) -> Option<i8> {
        self.array().map(i8::from_le_bytes)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub(super) fn time(&mut self) -> Option<UnixMicros> {
        self.u64().map(UnixMicros)
    }

    pub(super) fn id(&mut self) -> Option<MessageId> {
        MessageId::from_bytes(self.array()?).ok()
    }

    pub(super) fn text(&mut self) -> Option<String> {
        let length = self.u32()?;
        let octets = self.octets(length as usize)?;
        std::str::from_utf8(octets).ok().map(str::to_owned)
    }

    /// A counted list. `least` is the fewest octets that an item takes: a count that cannot be true reserves no memory.
    pub(super) fn list<T>(&mut self, least: usize, mut item: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
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

    pub(super) fn numbers(&mut self) -> Option<Vec<u64>> {
        self.list(8, Self::u64)
    }

    pub(super) fn option<T>(&mut self, field: impl FnOnce(&mut Self) -> Option<T>) -> Option<Option<T>> {
        match self.u8()? {
            0 => Some(None),
            1 => Some(Some(field(self)?)),
            _ => None,
        }
    }

    pub(super) fn wake(&mut self) -> Option<Wake> {
        match self.u8()? {
            0 => Some(Wake::Now),
            1 => Some(Wake::After { since: self.time()?, wait: Duration::from_micros(self.u64()?) }),
            2 => Some(Wake::Asked),
            _ => None,
        }
    }

    pub(super) fn detail(&mut self) -> Option<Detail> {
        Some(Detail { text: self.text()?, status: self.text()?, remote: self.text()? })
    }
}
