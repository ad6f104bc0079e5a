//! Reading a stored message back, a piece at a time.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;

use crate::ReadError;

/// A boxed answer of [`Chunks::chunk`].
pub type ChunkFuture<'a> = Pin<Box<dyn Future<Output = Result<Option<Bytes>, ReadError>> + Send + 'a>>;

/// A message's octets as a spool stores them: pieces that are read by number, as often as needed.
pub trait Chunks: Send + Sync + 'static {
    /// The whole size in octets.
    fn size(&self) -> u64;

    /// The piece with this number, counted from zero; `None` behind the last.
    fn chunk(&self, number: usize) -> ChunkFuture<'_>;
}

/// The octets of one message. It holds no octets itself: each [`BodyReader`] reads from the start.
#[derive(Clone)]
pub struct Body {
    source: Arc<dyn Chunks>,
}

impl Body {
    /// Wraps what a spool has.
    pub fn new(source: impl Chunks) -> Self {
        Self { source: Arc::new(source) }
    }

    /// The size in octets.
    pub fn size(&self) -> u64 {
        self.source.size()
    }

    /// The piece with this number, as [`Chunks::chunk`] says.
    pub(crate) fn chunk(&self, number: usize) -> ChunkFuture<'_> {
        self.source.chunk(number)
    }

    /// Starts at the first octet.
    pub fn reader(&self) -> BodyReader {
        BodyReader { source: Arc::clone(&self.source), next: 0 }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body").field("size", &self.size()).finish_non_exhaustive()
    }
}

/// Reads a [`Body`] from start to end; at most one piece is in memory.
pub struct BodyReader {
    source: Arc<dyn Chunks>,
    next: usize,
}

impl BodyReader {
    /// The next piece; `None` at the end. A call that failed or was dropped may be repeated.
    ///
    /// # Errors
    /// As the spool's [`ReadError`] says; what was read so far is not the whole message.
    pub async fn next(&mut self) -> Result<Option<Bytes>, ReadError> {
        let piece = self.source.chunk(self.next).await?;
        if piece.is_some() {
            self.next += 1;
        }
        Ok(piece)
    }

    /// All that is left, in one piece. For tests and for small messages.
    ///
    /// # Errors
    /// As [`BodyReader::next`].
    pub async fn read_to_end(&mut self) -> Result<Vec<u8>, ReadError> {
        let mut all = Vec::new();
        while let Some(piece) = self.next().await? {
            all.extend_from_slice(&piece);
        }
        Ok(all)
    }
}

impl fmt::Debug for BodyReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BodyReader").field("next", &self.next).finish_non_exhaustive()
    }
}
