//! One message on its way out: the whole dialogue, from greeting to QUIT.

mod dialogue;
mod outcome;

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use bytes::BytesMut;

use self::dialogue::Phase;
pub use self::outcome::{Outcome, Report, Said, SaidBy, Stage, Trouble};
use crate::{ClientConfig, ClientSession, Close, Deadline, Link, Mail, Misuse, Rcpt, Reply, ShutDown, Step, Switched};

/// The delivery of one message to one server: a procedure without I/O.
///
/// It greets, goes under TLS as the policy says, offers sender and recipients (in one group, where the server speaks PIPELINING),
/// asks for the message by [`DeliveryEvent::Body`], and says by [`DeliveryEvent::Done`] what became of each recipient. It speaks
/// SMTP and LMTP, as [`ClientConfig::protocol`] says, and owns the [`ClientSession`]; a driver runs it as it runs any engine.
///
/// # Examples
/// ```
/// use std::{sync::Arc, time::Duration};
/// use bytes::BytesMut;
/// use smtp_proto::{
///     ClientConfig, Delivery, DeliveryEvent, Domain, Envelope, ForwardPath, Link, Mail, Outcome, Policy, Rcpt, ReversePath, Step,
/// };
///
/// let envelope = Envelope {
///     mail: Mail { from: ReversePath::parse("<a@client.example>")?.into_owned(), parameters: Default::default() },
///     recipients: vec![Rcpt {
///         to: ForwardPath::parse("<b@mx.example>")?.into_owned(),
///         parameters: Default::default(),
///     }],
/// };
/// let config = Arc::new(ClientConfig::new(Domain::parse("client.example")?.into_owned()));
/// let now = Duration::ZERO;
/// let mut delivery = Delivery::new(config, envelope, Policy::default(), Link::default(), now);
///
/// // What a server says, and where it waits for us.
/// let mut reads = ["220 mx.example\r\n", "250-mx.example\r\n250 PIPELINING\r\n",
///     "250 ok\r\n250 ok\r\n354 go\r\n", "250 2.0.0 queued\r\n", "221 bye\r\n"].into_iter();
/// let (mut input, mut out) = (BytesMut::new(), BytesMut::new());
/// let mut report = None;
/// loop {
///     match delivery.next_event(now, &mut input, &mut out) {
///         Step::Event(DeliveryEvent::Body) => {
///             delivery.body(b"Subject: hi\r\n\r\n.\r\n", &mut out)?; // in as many pieces as you like
///             delivery.end_body(now, &mut out)?;
///         }
///         Step::Event(DeliveryEvent::Done(done)) => report = Some(done),
///         Step::NeedInput => input.extend_from_slice(reads.next().unwrap().as_bytes()),
///         Step::YourTurn => unreachable!("the message was sent"),
///         Step::Switch(_) => unreachable!("STARTTLS is not offered"),
///         Step::Close(_) => break,
///     }
/// }
/// assert!(matches!(report.unwrap().outcomes[..], [Outcome::Accepted(_)]));
/// assert!(out.ends_with(b"DATA\r\nSubject: hi\r\n\r\n..\r\n.\r\nQUIT\r\n"));
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Delivery {
    session: ClientSession,
    config: Arc<ClientConfig>,
    envelope: Envelope,
    policy: Policy,
    phase: Phase,
    /// One for each recipient; `None` where nothing is decided.
    outcomes: Vec<Option<Outcome>>,
    /// How many are not decided.
    open: usize,
    /// What the server said as it left.
    farewell: Option<Reply>,
    trouble: Option<Trouble>,
}

/// Who sends, and who is to get it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// The sender and what MAIL has to tell. `size` and `auth` are left out where the server does not offer them; a message
    /// that needs `SMTPUTF8` or `8BITMIME` is not sent to a server that does not offer that.
    pub mail: Mail,
    /// The recipients, in the order in which the report names them.
    pub recipients: Vec<Rcpt>,
}

/// What must hold for the message to be sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Whether TLS is used.
    pub tls: TlsPolicy,
}

/// Whether STARTTLS is used. A connection that was born under TLS is content with any of these.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TlsPolicy {
    /// Not even where it is offered.
    Never,
    /// Where it is offered. A handshake that fails ends the session with [`Trouble::Tls`]; whoever wants to may then try again with
    /// [`Never`](Self::Never).
    #[default]
    Opportunistic,
    /// Or nothing is sent.
    Required,
}

/// Something that happened in a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeliveryEvent {
    /// Question: the server wants the message. [`body`](Delivery::body) and [`end_body`](Delivery::end_body) send it; where it
    /// cannot be had, [`abort`](Delivery::abort).
    Body,
    /// News, and the last: what became of the message.
    Done(Box<Report>),
}

impl DeliveryEvent {
    /// Whether the engine waits for an answer.
    #[must_use]
    pub const fn is_question(&self) -> bool {
        match self {
            Self::Body => true,
            Self::Done(_) => false,
        }
    }

    /// The bulk data that the event carries: none.
    #[must_use]
    pub const fn chunk(&self) -> Option<&bytes::Bytes> {
        None
    }
}

impl Delivery {
    /// Begins a delivery: the server is to greet.
    #[must_use]
    pub fn new(config: Arc<ClientConfig>, envelope: Envelope, policy: Policy, link: Link, now: Duration) -> Self {
        let outcomes: Vec<_> = envelope.recipients.iter().map(|_| None).collect();
        Self {
            session: ClientSession::new(Arc::clone(&config), link, now),
            config,
            envelope,
            policy,
            phase: Phase::Greeting,
            open: outcomes.len(),
            outcomes,
            farewell: None,
            trouble: None,
        }
    }

    /// Takes what stands in `input` as far as the next event. See [`ClientSession::next_event`].
    pub fn next_event(&mut self, now: Duration, input: &mut BytesMut, out: &mut BytesMut) -> Step<DeliveryEvent> {
        loop {
            self.say(now, out);
            if let Phase::Finished = self.phase {
                return Step::Event(self.conclude(now, out));
            }
            match self.session.next_event(now, input, out) {
                Step::Event(event) => {
                    if let Some(event) = self.hear(event, now, out) {
                        return Step::Event(event);
                    }
                }
                Step::NeedInput => return Step::NeedInput,
                Step::YourTurn => return Step::YourTurn,
                Step::Switch(layer) => return Step::Switch(layer),
                Step::Close(why) if matches!(self.phase, Phase::Told) => return Step::Close(why),
                Step::Close(why) => self.lost(why),
            }
        }
    }

    /// How many unread octets the caller may hold; there it stops reading.
    #[must_use]
    pub fn max_input(&self) -> usize {
        self.session.max_input()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout). `None` while the server owes nothing.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Deadline> {
        self.session.poll_timeout()
    }

    /// Ends the session if its deadline has passed; otherwise does nothing.
    pub fn handle_timeout(&mut self, now: Duration, out: &mut BytesMut) {
        self.session.handle_timeout(now, out);
    }

    /// Tells that the server will send no more. What it sent before still counts.
    pub const fn handle_eof(&mut self) {
        self.session.handle_eof();
    }

    /// Tells that the transport was changed, after [`Step::Switch`]. Where the handshake failed, tell
    /// [`handle_eof`](Self::handle_eof).
    pub fn switched(&mut self, to: Switched, now: Duration) {
        self.session.switched(to, now);
        if matches!(self.phase, Phase::StartTls) && self.session.is_under_tls() {
            self.phase = Phase::Present;
        }
    }

    /// Ends the delivery on the application's wish. A message that is being sent goes on to its verdict; one that has not begun
    /// is deferred.
    pub fn shut_down(&mut self, why: ShutDown, now: Duration, out: &mut BytesMut) {
        self.session.shut_down(why, now, out);
    }

    /// Ends the session because the message cannot be had. Nothing more is written, so the server has no message;
    /// [`DeliveryEvent::Done`] says the same.
    pub fn abort(&mut self) {
        self.session.abort();
    }

    /// Octets of heap held for the peer's sake.
    #[must_use]
    pub fn memory(&self) -> usize {
        let said = |outcome: &Option<Outcome>| outcome.as_ref().map_or(0, |outcome| outcome.said().reply.memory());
        let outcomes: usize = self.outcomes.iter().map(said).sum();
        let farewell = self.farewell.as_ref().map_or(0, Reply::memory);
        self.session.memory().saturating_add(outcomes).saturating_add(farewell)
    }

    /// The session below, to see what the server offers and whether TLS is on.
    #[must_use]
    pub const fn session(&self) -> &ClientSession {
        &self.session
    }

    /// Sends some of the message. See [`ClientSession::body`].
    ///
    /// # Errors
    /// [`Misuse::NotNow`] where the message was not asked for; [`Misuse::BareLineEnd`] where it cannot be sent as it is.
    pub fn body(&mut self, octets: &[u8], out: &mut BytesMut) -> Result<(), Misuse> {
        self.session.body(octets, out)
    }

    /// Ends the message. See [`ClientSession::end_body`].
    ///
    /// # Errors
    /// [`Misuse::NotNow`] where the message was not asked for; [`Misuse::BareLineEnd`] where it ends with a CR.
    pub fn end_body(&mut self, now: Duration, out: &mut BytesMut) -> Result<(), Misuse> {
        self.session.end_body(now, out)?;
        self.phase = Phase::Verdict;
        Ok(())
    }

    /// The session ended before everything was decided.
    fn lost(&mut self, why: Close) {
        let in_tls = matches!(self.phase, Phase::StartTls);
        self.trouble.get_or_insert(if in_tls { Trouble::Tls } else { Trouble::Lost(why) });
        let said = match self.farewell.take() {
            Some(reply) => Said { by: SaidBy::Server, stage: self.stage(), reply },
            None => Said { by: SaidBy::Us, stage: self.stage(), reply: outcome::lost(why) },
        };
        self.finish(&Outcome::Deferred(said));
    }
}
