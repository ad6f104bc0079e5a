//! The client's side of one session.

mod answer;
mod reply;
mod send;

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::time::Duration;

use bytes::{Bytes, BytesMut};

use self::answer::Answer;
use crate::frame::Replies;
use crate::{
    Capabilities, ClientConfig, Close, Command, Deadline, Layer, Link, Reply, ScanListing, Secret, ShutDown, Step,
    Switched, Violation, Waiting, Xclient,
};

/// One connection's client side: a pure state machine.
///
/// It sends what it is told to, as far as the protocol and the server's offers allow, and says which answer belongs to which
/// command. Whether a password may be said without TLS is not its business. [`Fetch`](crate::Fetch) stands above it, and knows
/// what to send and what not.
///
/// Methods come in the kinds that [`ServerSession`](crate::ServerSession) names; those that speak are [`send`](Self::send),
/// [`respond`](Self::respond) and [`cancel`](Self::cancel).
#[derive(Debug)]
pub struct ClientSession {
    config: Arc<ClientConfig>,
    phase: Phase,
    stage: Stage,
    transport: Transport,
    replies: Replies,
    capabilities: Capabilities,
    /// Whether the greeting offered XCLIENT and XOIP.
    xclient: Xclient,
    /// The first of them is the one whose answer comes next, or is coming.
    pending: VecDeque<Pending>,
    tickets: u64,
    last: Last,
    deadline: Duration,
}

/// A command that was sent, by which its answer is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(u64);

/// Something that happened in a client's session.
///
/// An answer begins with its [`Reply`](Self::Reply), and mostly that is all. Some positive ones go on, and come to an
/// [`End`](Self::End): those to RETR, TOP and LANG without a range have [`Chunk`](Self::Chunk)s between, LIST without a number
/// has [`Size`](Self::Size)s, UIDL without a number has [`UniqueId`](Self::UniqueId)s, and CAPA has nothing, for what it says
/// stands in [`capabilities`](ClientSession::capabilities). With a number, LIST and UIDL say all in their reply, whose text
/// [`ScanListing::parse`] and [`UniqueId::parse`](crate::UniqueId::parse) read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientEvent {
    /// News: the server's greeting, the first of all events. If it is not positive, only QUIT is worth sending.
    Greeting(Reply),
    /// News: the reply to a command, or the first line of a longer answer.
    Reply {
        /// The command.
        to: Ticket,
        /// What was said to it.
        reply: Reply,
    },
    /// Question: the server goes on with a SASL exchange. [`respond`](ClientSession::respond) answers it,
    /// [`cancel`](ClientSession::cancel) breaks the exchange off.
    Challenge {
        /// The AUTH command.
        to: Ticket,
        /// What was said, decoded.
        challenge: Secret,
    },
    /// News: a line of LIST.
    Size(ScanListing),
    /// News: a line of UIDL.
    UniqueId {
        /// The message's number.
        number: u32,
        /// What the server calls it in every session.
        uidl: Box<str>,
    },
    /// News: octets of a message, never none; or of the list of languages. Cut anywhere, dots as they were before the server
    /// doubled them.
    Chunk(Bytes),
    /// News: the end of an answer of several lines.
    End {
        /// The command.
        to: Ticket,
    },
    /// News: the server refuses where nothing was asked, which is how some say that they close. The session is over.
    Farewell(Reply),
}

impl ClientEvent {
    /// Whether the engine waits for an answer.
    #[must_use]
    pub const fn is_question(&self) -> bool {
        match self {
            Self::Challenge { .. } => true,
            Self::Greeting(_)
            | Self::Reply { .. }
            | Self::Size(_)
            | Self::UniqueId { .. }
            | Self::Chunk(_)
            | Self::End { .. }
            | Self::Farewell(_) => false,
        }
    }

    /// The bulk data that the event carries.
    #[must_use]
    pub const fn chunk(&self) -> Option<&Bytes> {
        match self {
            Self::Chunk(chunk) => Some(chunk),
            Self::Greeting(_)
            | Self::Reply { .. }
            | Self::Challenge { .. }
            | Self::Size(_)
            | Self::UniqueId { .. }
            | Self::End { .. }
            | Self::Farewell(_) => None,
        }
    }
}

/// Why a command was not sent. Nothing was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The session is greeting, logging in, changing its transport or over; or the command belongs to another state.
    #[error("this command cannot be sent now")]
    NotNow,
    /// Answers must come first: the server does not speak PIPELINING, or a command was sent behind which none can be.
    #[error("answers to earlier commands must come first")]
    Wait,
    /// The command needs something that the server does not offer.
    #[error("the server does not offer this")]
    NotOffered,
}

/// Who acts next, and on what.
#[derive(Debug)]
enum Phase {
    /// The server: its greeting.
    Greeting,
    /// The application commands, the server replies.
    Ready,
    /// The server: the rest of an answer of several lines.
    Answer(Answer),
    /// The application: a SASL response.
    Sasl,
    /// The driver: it puts TLS in place.
    Switching,
    /// Nobody.
    Closed(Close),
}

/// The states of RFC 1939 §3, as far as the server's replies have shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Authorization,
    Transaction,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Transport {
    Plain,
    Tls,
}

/// A command whose answer is not complete.
#[derive(Clone, Copy, Debug)]
struct Pending {
    ticket: Ticket,
    kind: Kind,
}

/// What matters of a command while its answer is awaited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Capa,
    /// LIST of all.
    Sizes,
    /// UIDL of all.
    UniqueIds,
    /// RETR, TOP, and LANG without a range.
    Text,
    Stls,
    Utf8,
    /// PASS and APOP.
    Login,
    Auth,
    Quit,
    /// One line, on which nothing hangs.
    Other,
}

/// Whether anything follows what is under way.
#[derive(Clone, Copy, Debug)]
enum Last {
    No,
    Eof,
    ShutDown(ShutDown),
    /// We leave, and the server has said its last.
    Both(ShutDown),
}

/// What was heard.
#[derive(Debug)]
enum Heard {
    Event(ClientEvent),
    /// Something of which nobody is told.
    Untold,
    /// Nothing: it is not complete.
    Nothing,
}

/// The longest input in which a good piece of a message can be seen whole.
const BODY_INPUT: usize = 64 * 1024;

impl ClientSession {
    /// Begins a session: the server is to greet.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "all engines are made the same way")]
    pub fn new(config: Arc<ClientConfig>, link: Link, now: Duration) -> Self {
        let deadline = now.saturating_add(config.timeouts.greeting);
        Self {
            config,
            phase: Phase::Greeting,
            stage: Stage::Authorization,
            transport: if link.tls.is_some() { Transport::Tls } else { Transport::Plain },
            replies: Replies::default(),
            capabilities: Capabilities::default(),
            xclient: Xclient::Off,
            pending: VecDeque::new(),
            tickets: 0,
            last: Last::No,
            deadline,
        }
    }

    /// Takes what stands in `input` as far as the next event. Between calls, octets may be added at the end of `input`, and
    /// nothing else may happen to it.
    pub fn next_event(&mut self, now: Duration, input: &mut BytesMut, out: &mut BytesMut) -> Step<ClientEvent> {
        loop {
            match (&self.phase, self.last) {
                (Phase::Closed(why), _) => return Step::Close(*why),
                (Phase::Sasl, _) => return Step::YourTurn,
                (Phase::Switching, _) if !input.is_empty() => {
                    // It would pass for something that came under TLS.
                    self.fail(Violation::PipelinedTls);
                    continue;
                }
                (Phase::Switching, Last::Eof | Last::Both(_)) => {
                    self.phase = Phase::Closed(Close::Eof);
                    continue;
                }
                (Phase::Switching, Last::No | Last::ShutDown(_)) => return Step::Switch(Layer::Tls),
                (Phase::Ready, Last::ShutDown(why) | Last::Both(why)) if self.pending.is_empty() => {
                    self.leave(why, out);
                    continue;
                }
                (Phase::Greeting | Phase::Ready | Phase::Answer(_), _) => {}
            }
            match self.hear(now, input) {
                Ok(Heard::Event(event)) => return Step::Event(event),
                Ok(Heard::Untold) => {}
                Ok(Heard::Nothing) => match self.last {
                    Last::No | Last::ShutDown(_) => return Step::NeedInput,
                    Last::Eof => self.starve(),
                    Last::Both(why) => self.phase = Phase::Closed(Close::ShutDown(why)),
                },
                Err(violation) => self.fail(violation),
            }
        }
    }

    /// How many unread octets the caller may hold; there it stops reading.
    #[must_use]
    pub fn max_input(&self) -> usize {
        match self.phase {
            Phase::Answer(_) => BODY_INPUT.max(self.config.limits.line),
            Phase::Greeting | Phase::Ready | Phase::Sasl | Phase::Switching | Phase::Closed(_) => {
                self.config.limits.line.max(self.config.limits.challenge)
            }
        }
    }

    /// When to call [`handle_timeout`](Self::handle_timeout). `None` while the server owes nothing.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Deadline> {
        let waiting_for = match self.phase {
            Phase::Greeting => Waiting::Greeting,
            Phase::Switching => Waiting::Tls,
            Phase::Answer(_) => Waiting::Body,
            Phase::Ready if !self.pending.is_empty() => Waiting::Reply,
            Phase::Ready | Phase::Sasl | Phase::Closed(_) => return None,
        };
        Some(Deadline { at: self.deadline, waiting_for })
    }

    /// Ends the session if its deadline has passed; otherwise does nothing. A server that is silent is told nothing.
    pub fn handle_timeout(&mut self, now: Duration, _out: &mut BytesMut) {
        if let Some(Deadline { waiting_for, .. }) = self.poll_timeout().filter(|deadline| deadline.at <= now) {
            self.phase = Phase::Closed(Close::Timeout(waiting_for));
        }
    }

    /// Tells that the server will send no more. What it sent before is still told.
    pub const fn handle_eof(&mut self) {
        self.last = match self.last {
            Last::No | Last::Eof => Last::Eof,
            Last::ShutDown(why) | Last::Both(why) => Last::Both(why),
        };
    }

    /// Tells that the transport was changed, after [`Step::Switch`].
    ///
    /// RFC 2595 §4: what the server said before is forgotten, its offers above all. Begin again with CAPA.
    pub fn switched(&mut self, to: Switched, _now: Duration) {
        let (Phase::Switching, Switched::Tls(_)) = (&self.phase, to) else { return };
        self.transport = Transport::Tls;
        self.capabilities = Capabilities::default();
        self.phase = Phase::Ready;
    }

    /// Ends the session on the application's wish.
    ///
    /// By QUIT, which deletes what was marked by DELE: the application has said so. It follows the answers that are awaited, and
    /// those are still told. An application that has failed ([`ShutDown::Fault`]) may have said what it did not mean, so that the
    /// session closes at once and without QUIT, and nothing is deleted (RFC 1939 §6); and so does one that has not been greeted,
    /// or is changing its transport.
    pub fn shut_down(&mut self, why: ShutDown, _now: Duration, out: &mut BytesMut) {
        match (&self.phase, why) {
            (Phase::Closed(_), _) => {}
            (Phase::Greeting | Phase::Switching, _) | (_, ShutDown::Fault) => {
                self.phase = Phase::Closed(Close::ShutDown(why));
            }
            (Phase::Ready, ShutDown::Stopping | ShutDown::Overloaded) if self.pending.is_empty() => {
                self.leave(why, out);
            }
            (Phase::Ready | Phase::Answer(_) | Phase::Sasl, ShutDown::Stopping | ShutDown::Overloaded) => {
                self.last = match self.last {
                    Last::No | Last::ShutDown(_) => Last::ShutDown(why),
                    Last::Eof | Last::Both(_) => Last::Both(why),
                };
            }
        }
    }

    /// Ends the session at once. Nothing more is written, so the server deletes nothing (RFC 1939 §6).
    pub fn abort(&mut self) {
        if !matches!(self.phase, Phase::Closed(_)) {
            self.phase = Phase::Closed(Close::Aborted);
        }
    }

    /// Octets of heap held for the peer's sake.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.capabilities.memory().saturating_add(self.pending.capacity().saturating_mul(size_of::<Pending>()))
    }

    /// What the latest CAPA offers; nothing before it, nor where it was refused, nor behind STLS.
    #[must_use]
    pub const fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    /// Whether the session is under TLS.
    #[must_use]
    pub fn is_under_tls(&self) -> bool {
        self.transport == Transport::Tls
    }

    /// Whether the server has something to say to what was sent.
    pub(crate) fn owes_reply(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Whether nothing more is said.
    pub(crate) const fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Closed(_))
    }

    /// Says goodbye, and does not wait for the answer.
    fn leave(&mut self, why: ShutDown, out: &mut BytesMut) {
        Command::Quit.write(out);
        self.phase = Phase::Closed(Close::ShutDown(why));
    }

    /// Ends the session for the server's fault.
    pub(crate) fn fail(&mut self, violation: Violation) {
        self.phase = Phase::Closed(Close::Violation(violation));
    }

    /// The server will say no more, and something is missing.
    fn starve(&mut self) {
        let quitting = matches!(self.pending.front(), Some(Pending { kind: Kind::Quit, .. }));
        self.phase = Phase::Closed(if quitting { Close::Quit } else { Close::Eof });
    }
}
