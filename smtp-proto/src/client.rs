//! The client's side of one session.

mod reply;
mod send;

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::time::Duration;

use bytes::BytesMut;

use crate::body::Stuff;
use crate::frame::Replies;
use crate::{
    Capabilities, Class, ClientConfig, Close, Command, Deadline, Layer, Link, Reply, ShutDown, Step, Switched,
    Violation, Waiting,
};

/// One connection's client side: a pure state machine.
///
/// It sends what it is told to, as far as the protocol and the server's offers allow, and says which reply belongs to which
/// command. [`Delivery`](crate::Delivery) stands above it and knows what to send.
///
/// Methods come in the kinds that [`ServerSession`](crate::ServerSession) names; those that speak are [`send`](Self::send),
/// [`respond`](Self::respond), [`cancel`](Self::cancel), [`body`](Self::body) and [`end_body`](Self::end_body).
///
/// # Two ways to send a message
/// DATA asks for leave: the message follows when the reply is 354, protected by dots and ended by a dot. BDAT does not ask: its
/// octets follow at once, as they are and as many as were announced, and there may be several BDATs to a message (RFC 3030 §2).
/// Either way [`body`](Self::body) writes octets and [`end_body`](Self::end_body) ends them.
#[derive(Debug)]
pub struct ClientSession {
    config: Arc<ClientConfig>,
    phase: Phase,
    transport: Transport,
    replies: Replies,
    capabilities: Capabilities,
    pending: VecDeque<Pending>,
    /// Recipients that were accepted in this transaction.
    recipients: u32,
    course: Course,
    tickets: u64,
    last: Last,
    deadline: Duration,
}

/// A command that was sent, by which its replies are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(u64);

/// Something that happened in a client's session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientEvent {
    /// News: the server's greeting, the first of all events. If it is not positive, only QUIT is worth sending.
    Greeting(Reply),
    /// A reply. News, but for 3yz: 354 is a question that [`body`](ClientSession::body) and
    /// [`end_body`](ClientSession::end_body) answer, 334 one that [`respond`](ClientSession::respond) and
    /// [`cancel`](ClientSession::cancel) answer. In LMTP the end of a message has as many replies as it has recipients. A
    /// success to XCLIENT is a new greeting, and EHLO must follow it.
    Reply {
        /// The command.
        to: Ticket,
        /// What was said to it.
        reply: Reply,
    },
    /// News: the server ends the session by 421, unasked.
    Farewell(Reply),
}

impl ClientEvent {
    /// Whether the engine waits for an answer.
    #[must_use]
    pub fn is_question(&self) -> bool {
        match self {
            Self::Greeting(_) | Self::Farewell(_) => false,
            Self::Reply { reply, .. } => reply.class() == Class::Intermediate,
        }
    }

    /// The bulk data that the event carries. An SMTP server sends none.
    #[must_use]
    pub const fn chunk(&self) -> Option<&bytes::Bytes> {
        None
    }
}

/// Why a command was not sent. Nothing was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The session is greeting, sending a message, changing its transport or over; or the protocol has no such command; or the
    /// message can go by BDAT only, or is doing so.
    #[error("this command cannot be sent now")]
    NotNow,
    /// Replies must come first: the server does not speak PIPELINING, or a command that ends a group was sent.
    #[error("replies to earlier commands must come first")]
    Wait,
    /// The command needs an extension that the server does not offer.
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
    /// The application: a SASL response.
    Sasl(Pending),
    /// The application: the message.
    Body(Stuff),
    /// The application: the octets of a chunk.
    Chunk(Outgoing),
    /// The driver: it puts TLS in place.
    Switching,
    /// Nobody.
    Closed(Close),
}

/// A chunk under way.
#[derive(Clone, Copy, Debug)]
struct Outgoing {
    ticket: Ticket,
    kind: Kind,
    /// Octets that were announced, and not yet written.
    left: u64,
}

/// How the message of this transaction goes out, by what we have said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Course {
    /// In either way.
    Free,
    /// By BDAT, since its octets are no lines (RFC 3030 §3).
    Binary,
    /// By BDAT: it has begun to, and has not ended.
    Chunks,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Transport {
    Plain,
    Tls,
}

/// A command whose replies have not all come.
#[derive(Clone, Copy, Debug)]
struct Pending {
    ticket: Ticket,
    kind: Kind,
    /// How many replies have come.
    replies: u32,
}

/// What matters of a command while its reply is awaited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Ehlo,
    Helo,
    StartTls,
    Auth,
    Mail,
    Rcpt,
    Data,
    /// BDAT, but for the last.
    Chunk,
    /// The end of a message.
    Verdict,
    Rset,
    Xclient,
    Quit,
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

impl ClientSession {
    /// Begins a session: the server is to greet.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "all engines are made the same way")]
    pub fn new(config: Arc<ClientConfig>, link: Link, now: Duration) -> Self {
        let deadline = now.saturating_add(config.timeouts.greeting);
        Self {
            config,
            phase: Phase::Greeting,
            transport: if link.tls.is_some() { Transport::Tls } else { Transport::Plain },
            replies: Replies::default(),
            capabilities: Capabilities::default(),
            pending: VecDeque::new(),
            recipients: 0,
            course: Course::Free,
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
                (Phase::Sasl(_) | Phase::Body(_) | Phase::Chunk(_), _) => return Step::YourTurn,
                (Phase::Switching, _) if !input.is_empty() => {
                    // RFC 3207 §6: it would pass for something that came under TLS.
                    self.fail(Violation::PipelinedTls);
                    continue;
                }
                (Phase::Switching, Last::Eof | Last::Both(_)) => {
                    self.phase = Phase::Closed(Close::Eof);
                    continue;
                }
                (Phase::Switching, Last::No | Last::ShutDown(_)) => return Step::Switch(Layer::Tls),
                (Phase::Ready, Last::ShutDown(why) | Last::Both(why)) if self.pending.is_empty() => {
                    Command::Quit.write(out);
                    self.phase = Phase::Closed(Close::ShutDown(why));
                    continue;
                }
                (Phase::Greeting | Phase::Ready, _) => {}
            }
            let framed = match self.replies.next(input, &self.config.limits) {
                Ok(Some(framed)) => framed,
                Ok(None) => match self.starve() {
                    Some(step) => return step,
                    None => continue,
                },
                Err(violation) => {
                    self.fail(violation);
                    continue;
                }
            };
            let event =
                Reply::parse(&framed).map_err(|_| Violation::BadReply).and_then(|reply| self.replied(reply, now));
            match event {
                // We leave: what it asks is nobody's to answer.
                Ok(event) if event.is_question() && self.is_over() => {}
                Ok(event) => return Step::Event(event),
                Err(violation) => self.fail(violation),
            }
        }
    }

    /// How many unread octets the caller may hold; there it stops reading.
    #[must_use]
    pub fn max_input(&self) -> usize {
        self.config.limits.reply
    }

    /// When to call [`handle_timeout`](Self::handle_timeout). `None` while the server owes nothing, or the application does.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Deadline> {
        let waiting_for = match (&self.phase, self.pending.front()) {
            (Phase::Greeting, _) => Waiting::Greeting,
            (Phase::Switching, _) => Waiting::Tls,
            (Phase::Ready, Some(Pending { kind: Kind::Data, .. })) => Waiting::DataReply,
            (Phase::Ready, Some(Pending { kind: Kind::Verdict, .. })) => Waiting::Verdict,
            (Phase::Ready, Some(_)) => Waiting::Reply,
            (Phase::Ready, None) | (Phase::Sasl(_) | Phase::Body(_) | Phase::Chunk(_) | Phase::Closed(_), _) => {
                return None;
            }
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
    /// RFC 3207 §4.2: what the server said before is forgotten, its offers above all. Begin again with EHLO.
    pub fn switched(&mut self, to: Switched, _now: Duration) {
        let (Phase::Switching, Switched::Tls(_)) = (&self.phase, to) else { return };
        self.transport = Transport::Tls;
        self.forget();
        self.phase = Phase::Ready;
    }

    /// Ends the session on the application's wish: behind the replies that are awaited and the message that is being sent, and
    /// then by QUIT; but at once where that cannot be.
    pub fn shut_down(&mut self, why: ShutDown, _now: Duration, out: &mut BytesMut) {
        match (&self.phase, why) {
            (Phase::Closed(_), _) => return,
            (Phase::Ready, _) if self.pending.is_empty() => Command::Quit.write(out),
            (
                Phase::Ready | Phase::Body(_) | Phase::Chunk(_) | Phase::Sasl(_),
                ShutDown::Stopping | ShutDown::Overloaded,
            ) => {
                self.last = match self.last {
                    Last::No | Last::ShutDown(_) => Last::ShutDown(why),
                    Last::Eof | Last::Both(_) => Last::Both(why),
                };
                return;
            }
            (Phase::Ready | Phase::Body(_) | Phase::Chunk(_) | Phase::Sasl(_), ShutDown::Fault)
            | (Phase::Greeting | Phase::Switching, _) => {}
        }
        self.phase = Phase::Closed(Close::ShutDown(why));
    }

    /// Ends the session because a promised message cannot be delivered. Nothing more is written: a message that is not ended, or a
    /// chunk that is not complete, is no message (RFC 5321 §4.1.1.4).
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

    /// What the reply to the latest EHLO or LHLO offers; nothing before it, and nothing behind HELO, STARTTLS and XCLIENT.
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

    /// Whether the server holds recipients, by its own word, that would get what we send.
    pub(crate) const fn has_recipients(&self) -> bool {
        self.recipients > 0
    }

    /// Ends the session for the server's fault.
    pub(crate) fn fail(&mut self, violation: Violation) {
        self.phase = Phase::Closed(Close::Violation(violation));
    }

    /// Whether nothing is under way, and something may follow.
    pub(crate) fn is_free(&self) -> bool {
        matches!((&self.phase, self.last), (Phase::Ready, Last::No)) && self.pending.is_empty()
    }

    /// Forgets all that the server has said: it speaks to somebody new.
    fn forget(&mut self) {
        self.capabilities = Capabilities::default();
        self.recipients = 0;
        self.course = Course::Free;
    }

    /// More input is needed; where there will be none, the session is over. `None`: look again.
    fn starve(&mut self) -> Option<Step<ClientEvent>> {
        match self.last {
            Last::No | Last::ShutDown(_) => Some(Step::NeedInput),
            Last::Both(why) => {
                self.phase = Phase::Closed(Close::ShutDown(why));
                None
            }
            Last::Eof => {
                let quitting = matches!(self.pending.front(), Some(Pending { kind: Kind::Quit, .. }));
                self.phase = Phase::Closed(if quitting { Close::Quit } else { Close::Eof });
                None
            }
        }
    }
}
