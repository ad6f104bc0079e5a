//! One connection: socket, buffers and engine, in one pair of hands.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::task::yield_now;
use tokio::time::{Instant, timeout, timeout_at};

use super::tls::Upgrade;
use super::{BoxedStream, Pacing};
use crate::engine::{Close, Engine, Layer, Link, Step, Switched};

/// Octets read at once, on the stack: an idle connection holds no buffer.
const SCRATCH: usize = 16 * 1024;

/// A connection as its handler sees it: say something with [`speak`](Self::speak), wait for the peer with
/// [`drain`](Self::drain).
pub struct Connection<E> {
    engine: E,
    stream: BoxedStream,
    input: BytesMut,
    out: BytesMut,
    origin: Instant,
    pacing: Arc<Pacing>,
    upgrade: Upgrade,
    link: Link,
    eof: bool,
    /// Octets were written that the stream may still hold back.
    unflushed: bool,
    /// When the peer last took something of what is still due.
    taken_at: Instant,
    gone: Option<Gone>,
}

/// Why nothing more can be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Gone {
    /// The connection failed.
    #[error("the connection was lost")]
    Lost,
    /// The peer did not take what it was sent.
    #[error("the peer takes no output")]
    Stalled,
}

impl From<Gone> for Close {
    fn from(gone: Gone) -> Self {
        match gone {
            Gone::Lost => Self::Lost,
            Gone::Stalled => Self::Stalled,
        }
    }
}

/// A failure of the application, from any error by `?`. The peer is told that something failed, the log what.
pub struct Fault(Box<dyn std::error::Error + Send + Sync>);

impl<E: std::error::Error + Send + Sync + 'static> From<E> for Fault {
    fn from(error: E) -> Self {
        Self(Box::new(error))
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(cause) = source {
            write!(f, ": {cause}")?;
            source = cause.source();
        }
        Ok(())
    }
}

impl<E: Engine> Connection<E> {
    /// Puts an engine on a stream. `origin` is the instant that the engine's clock counts from.
    #[must_use]
    pub fn new(
        engine: E,
        stream: BoxedStream,
        link: Link,
        upgrade: Upgrade,
        pacing: Arc<Pacing>,
        origin: Instant,
    ) -> Self {
        Self {
            engine,
            stream,
            input: BytesMut::new(),
            out: BytesMut::new(),
            origin,
            pacing,
            upgrade,
            link,
            eof: false,
            unflushed: false,
            taken_at: origin,
            gone: None,
        }
    }

    /// Calls the engine: `f` gets it, the time, and the output. What it appends is sent when the handler waits.
    pub fn speak<R>(&mut self, f: impl FnOnce(&mut E, Duration, &mut BytesMut) -> R) -> R {
        let (now, idle) = (self.now(), !self.owes());
        let result = f(&mut self.engine, now, &mut self.out);
        if idle {
            self.taken_at = Instant::now();
        }
        result
    }

    /// Waits while more output is due than the high-water mark: the one back-pressure towards the application.
    ///
    /// # Errors
    /// The connection is lost, or the peer takes nothing.
    pub async fn drain(&mut self) -> Result<(), Gone> {
        if self.out.len() > self.pacing.high_water { self.flush().await } else { self.still_here() }
    }

    /// Waits until the peer has taken all output.
    ///
    /// # Errors
    /// The connection is lost, or the peer takes nothing.
    pub async fn flush(&mut self) -> Result<(), Gone> {
        while self.owes() {
            let stalled_at = self.stalled_at();
            match timeout_at(stalled_at, self.transfer()).await {
                Ok(moved) => moved?,
                Err(_) if self.stalled_at() <= Instant::now() => return Err(self.lose(Gone::Stalled)),
                Err(_) => {}
            }
        }
        self.still_here()
    }

    /// Takes what the peer says before anything is said to it, and waits no longer for that than `at_most`.
    ///
    /// # Errors
    /// The connection is lost.
    pub async fn listen(&mut self, at_most: Duration) -> Result<(), Gone> {
        // On a connection just made the runtime first has to notice that something came.
        yield_now().await;
        match timeout(at_most, poll_fn(|cx| self.poll_read(cx))).await {
            Ok(Err(_)) => Err(self.lose(Gone::Lost)),
            Ok(Ok(())) | Err(_) => self.still_here(),
        }
    }

    /// The two ends, and TLS as it stands now.
    #[must_use]
    pub const fn link(&self) -> &Link {
        &self.link
    }

    /// The peer's address; `None` on a Unix socket.
    #[must_use]
    pub const fn peer(&self) -> Option<SocketAddr> {
        self.link.peer
    }

    /// The engine's time.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.origin.elapsed()
    }

    /// Why nothing more can be said, if so.
    pub(crate) const fn gone(&self) -> Option<Gone> {
        self.gone
    }

    /// The peer is gone, and with it whatever it had begun to say.
    pub(super) fn hang_up(&mut self) {
        self.input.clear();
        self.eof = true;
        self.engine.handle_eof();
    }

    pub(super) fn step(&mut self) -> Step<E::Event> {
        let (now, idle) = (self.now(), !self.owes());
        let step = self.engine.next_event(now, &mut self.input, &mut self.out);
        if idle {
            self.taken_at = Instant::now();
        }
        step
    }

    /// Moves octets in either direction, whichever can move first. Cancel-safe.
    pub(super) async fn transfer(&mut self) -> Result<(), Gone> {
        self.still_here()?;
        self.shrink();
        match poll_fn(|cx| self.poll_transfer(cx)).await {
            Ok(()) => Ok(()),
            Err(_) => Err(self.lose(Gone::Lost)),
        }
    }

    /// When the driver must look again, if nothing moves before.
    pub(super) fn wake_at(&self) -> Option<Instant> {
        let peer = self.engine.poll_timeout().map(|deadline| self.origin + deadline.at);
        let stall = self.owes().then(|| self.stalled_at());
        peer.into_iter().chain(stall).min()
    }

    /// Does what is due at `wake_at`.
    pub(super) fn tick(&mut self) {
        if self.owes() && self.stalled_at() <= Instant::now() {
            self.lose(Gone::Stalled);
        }
        self.speak(|engine, now, out| engine.handle_timeout(now, out));
    }

    /// Puts a layer in place and tells the engine.
    pub(super) async fn switch(&mut self, layer: Layer) -> Result<(), Gone> {
        // Nobody is left to shake hands with; an engine that was told so does not ask.
        if self.eof {
            return Err(self.lose(Gone::Lost));
        }
        let until = self.wake_at().unwrap_or_else(|| Instant::now() + self.pacing.stall);
        // Whatever comes from here on is for the layer, not for the engine: it is not read before the layer reads it.
        if self.owes() && !matches!(timeout_at(until, poll_fn(|cx| self.poll_write(cx))).await, Ok(Ok(()))) {
            return Err(self.lose(Gone::Lost));
        }
        let Layer::Tls = layer else {
            // No engine asks for DEFLATE before it is offered, and no service offers it.
            self.engine.abort();
            return Ok(());
        };
        let stream = std::mem::replace(&mut self.stream, Box::new(tokio::io::empty()));
        match timeout_at(until, self.upgrade.handshake(stream)).await {
            Ok(Ok((stream, info))) => {
                self.stream = stream;
                self.link.tls = Some(info.clone());
                let now = self.now();
                self.engine.switched(Switched::Tls(info), now);
                Ok(())
            }
            Ok(Err(_)) | Err(_) => {
                // Nothing comes any more and nothing can be said; the engine alone knows what that means where it stands.
                self.eof = true;
                self.engine.handle_eof();
                Ok(())
            }
        }
    }

    /// Says the last words and closes, without a reset that could overtake them.
    pub(super) async fn finish(&mut self, why: Close) {
        let linger = self.pacing.linger;
        if timeout(linger, self.flush()).await.is_err() || self.gone.is_some() || why == Close::Aborted {
            return;
        }
        if timeout(linger, self.stream.shutdown()).await.is_err() || self.eof {
            return;
        }
        let _ = timeout(linger, async {
            while !self.eof && self.transfer().await.is_ok() {
                self.input.clear();
            }
        })
        .await;
    }

    pub(super) fn into_parts(self) -> (BoxedStream, BytesMut) {
        (self.stream, self.input)
    }

    fn poll_transfer(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let wrote = self.poll_write(cx)?;
        let read = self.poll_read(cx)?;
        if wrote.is_ready() || read.is_ready() { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.owes() {
            return Poll::Pending;
        }
        while !self.out.is_empty() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.out))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.out.advance(written);
            self.unflushed = true;
            self.taken_at = Instant::now();
        }
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        self.unflushed = false;
        Poll::Ready(Ok(()))
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let room = self.engine.max_input().saturating_sub(self.input.len()).min(SCRATCH);
        if self.eof || room == 0 {
            return Poll::Pending;
        }
        let mut scratch = [const { MaybeUninit::uninit() }; SCRATCH];
        let (room, _) = scratch.split_at_mut(room);
        let mut buffer = ReadBuf::uninit(room);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer))?;
        if buffer.filled().is_empty() {
            self.eof = true;
            self.engine.handle_eof();
        }
        self.input.extend_from_slice(buffer.filled());
        Poll::Ready(Ok(()))
    }

    fn owes(&self) -> bool {
        !self.out.is_empty() || self.unflushed
    }

    fn stalled_at(&self) -> Instant {
        self.taken_at + self.pacing.stall
    }

    fn still_here(&self) -> Result<(), Gone> {
        self.gone.map_or(Ok(()), Err)
    }

    fn lose(&mut self, gone: Gone) -> Gone {
        *self.gone.get_or_insert(gone)
    }

    /// Gives empty buffers back before a wait that may be long.
    fn shrink(&mut self) {
        if self.input.is_empty() {
            self.input = BytesMut::new();
        }
        if self.out.is_empty() {
            self.out = BytesMut::new();
        }
    }
}

impl<E> fmt::Debug for Connection<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("link", &self.link)
            .field("input", &self.input.len())
            .field("out", &self.out.len())
            .field("gone", &self.gone)
            .finish_non_exhaustive()
    }
}
