//! One message on its way out: the whole dialogue, from greeting to QUIT.

mod dialogue;
mod fates;
mod login;
mod needs;
mod outcome;
mod transaction;

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use bytes::BytesMut;

use self::dialogue::Phase;
use self::fates::Fates;
pub use self::login::Login;
pub use self::outcome::{Outcome, Report, Said, SaidBy, Stage, Trouble};
use self::transaction::Transaction;
use crate::{
    ClientConfig, ClientSession, Close, Deadline, Link, Mail, Misuse, Rcpt, Reply, Secret, ShutDown, Step, Switched,
};

/// The delivery of one message to one server: a procedure without I/O.
///
/// It greets, goes under TLS as the policy says, logs in if it is to, offers sender and recipients (in one group, where the server
/// speaks PIPELINING), asks for the message by [`DeliveryEvent::Body`], and says by [`DeliveryEvent::Done`] what became of each
/// recipient. It speaks SMTP and LMTP, as [`ClientConfig::protocol`] says, and owns the [`ClientSession`]; a driver runs it as it
/// runs any engine.
///
/// # What is sent, and how often
/// What the message needs and the server does not offer is found before a word of it is said ([`Envelope`]). Recipients that are
/// too many for the server, as it has told by LIMITS (RFC 9422) or tells by 452, go in further transactions of the same session at
/// once (RFC 5321 §4.5.3.1.10), each with its own [`DeliveryEvent::Body`]: the message is asked for again from its beginning. A
/// recipient is [`Accepted`](Outcome::Accepted) only by a positive verdict behind the whole message. Where the connection is lost
/// between the two, it is [`Deferred`](Outcome::Deferred): it may get the message twice, and never not at all.
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
///         Step::Event(_) => delivery.decline(now, &mut out), // other policies ask more
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
///
/// A submission, to a port that speaks TLS from its first octet: the user logs in first.
/// ```
/// # use std::{sync::Arc, time::Duration};
/// # use bytes::BytesMut;
/// # use smtp_proto::{ClientConfig, Delivery, Domain, Envelope, ForwardPath, Link, Mail, Rcpt, ReversePath, Step, TlsInfo};
/// use smtp_proto::{Login, Policy, Secret, TlsPolicy};
///
/// # let config = Arc::new(ClientConfig::new(Domain::parse("client.example").unwrap().into_owned()));
/// # let now = Duration::ZERO;
/// # let to = ForwardPath::parse("<b@mx.example>").unwrap().into_owned();
/// # let envelope = Envelope {
/// #     mail: Mail { from: ReversePath::Null, parameters: Default::default() },
/// #     recipients: vec![Rcpt { to, parameters: Default::default() }],
/// # };
/// let login = Login::Password { user: "bob".into(), password: Secret::new(b"secret".to_vec()) };
/// let policy = Policy { tls: TlsPolicy::Required, login: Some(login), ..Policy::default() };
/// let link = Link { tls: Some(TlsInfo::default()), ..Link::default() };
/// let mut delivery = Delivery::new(config, envelope, policy, link, now);
/// // … and the loop as before
/// # let reads = b"220 mx.example\r\n250-mx.example\r\n250 AUTH PLAIN LOGIN\r\n235 welcome\r\n";
/// # let (mut input, mut out) = (BytesMut::from(&reads[..]), BytesMut::new());
/// # assert_eq!(delivery.next_event(now, &mut input, &mut out), Step::NeedInput);
/// assert_eq!(out, "EHLO client.example\r\nAUTH PLAIN AGJvYgBzZWNyZXQ=\r\nMAIL FROM:<>\r\n");
/// ```
///
/// A relay: while the session is good, it takes one message after another.
/// ```
/// # use std::{collections::VecDeque, sync::Arc, time::Duration};
/// # use bytes::BytesMut;
/// # use smtp_proto::{ClientConfig, Delivery, DeliveryEvent, Domain, Envelope, ForwardPath, Link, Mail, Rcpt, ReversePath, Step};
/// use smtp_proto::{Policy, Reuse, Trouble};
///
/// # fn envelope(to: &str) -> Envelope {
/// #     let to = ForwardPath::parse(to).unwrap().into_owned();
/// #     Envelope {
/// #         mail: Mail { from: ReversePath::Null, parameters: Default::default() },
/// #         recipients: vec![Rcpt { to, parameters: Default::default() }],
/// #     }
/// # }
/// # let config = Arc::new(ClientConfig::new(Domain::parse("client.example").unwrap().into_owned()));
/// # let now = Duration::ZERO;
/// # let mut reads = ["220 mx.example\r\n", "250-mx.example\r\n250 PIPELINING\r\n", "250 ok\r\n250 ok\r\n354 go\r\n", "250 queued\r\n",
/// #     "250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n", "250 queued\r\n", "221 bye\r\n"].into_iter();
/// # let (mut input, mut out) = (BytesMut::new(), BytesMut::new());
/// let policy = Policy { reuse: Reuse::Ask, ..Policy::default() };
/// let mut queue = VecDeque::from([envelope("<b@mx.example>"), envelope("<c@mx.example>")]);
/// let mut delivery = Delivery::new(config, queue.pop_front().unwrap(), policy, Link::default(), now);
/// loop {
///     match delivery.next_event(now, &mut input, &mut out) {
///         // The server has left meanwhile: time for a new connection, at once.
///         Step::Event(DeliveryEvent::Done(done)) if done.trouble == Some(Trouble::Stale) => break,
///         Step::Event(DeliveryEvent::Done(_)) => {} // what became of the first, and then of the second
///         Step::Event(DeliveryEvent::Idle) => match queue.pop_front() {
///             Some(envelope) => delivery.again(envelope, now, &mut out)?,
///             None => delivery.decline(now, &mut out),
///         },
/// #       Step::Event(DeliveryEvent::Body) => {
/// #           delivery.body(b"Subject: hi\r\n", &mut out)?;
/// #           delivery.end_body(now, &mut out)?;
/// #       }
/// #       Step::NeedInput => input.extend_from_slice(reads.next().unwrap().as_bytes()),
///         // … and the rest as before
///         Step::Close(_) => break,
/// #       Step::Event(_) | Step::YourTurn | Step::Switch(_) => unreachable!(),
///     }
/// }
/// assert_eq!(queue.len(), 0);
/// # let second = "RSET\r\nMAIL FROM:<>\r\nRCPT TO:<c@mx.example>\r\nDATA\r\nSubject: hi\r\n.\r\nQUIT\r\n";
/// # assert!(out.ends_with(second.as_bytes()));
/// # Ok::<(), smtp_proto::Misuse>(())
/// ```
#[derive(Debug)]
pub struct Delivery {
    session: ClientSession,
    config: Arc<ClientConfig>,
    envelope: Envelope,
    policy: Policy,
    phase: Phase,
    fates: Fates,
    transaction: Transaction,
    /// Transactions of this message.
    transactions: u32,
    /// MAIL commands of the session.
    mails: u32,
    /// Domains that were named in the session, where their number is limited.
    domains: BTreeSet<Box<str>>,
    turn: Turn,
    /// What the server said as it left.
    farewell: Option<Reply>,
    trouble: Option<Trouble>,
}

/// Whether the server has dealt with something before this transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    First,
    Later,
}

/// Who sends, and who is to get it.
///
/// Parameters are told where the server offers their extension. Where it does not, some are left out, and
/// [`Report::extensions`] shows it; others must not be, and then the recipients fail with [`Trouble::Lacking`]:
///
/// | left out | needed |
/// |---|---|
/// | `SIZE=`, `AUTH=`, `BODY=7BIT` | `SMTPUTF8`, also for an address beyond ASCII |
/// | `RET=`, `ENVID=`, `NOTIFY=`, `ORCPT=` | `BODY=8BITMIME`; `BODY=BINARYMIME`, with CHUNKING |
/// | `MT-PRIORITY=`, `SOLICIT=`, `REQUIRETLS` from nobody (a report) | `REQUIRETLS`, under TLS; the certificate is the driver's to verify |
/// | `BY=` with [`ByMode::Notify`](crate::ByMode::Notify) | `BY=` with [`ByMode::Return`](crate::ByMode::Return) |
/// | `RRVS=` with [`RrvsAction::Continue`](crate::RrvsAction::Continue) | `RRVS=` with [`RrvsAction::Reject`](crate::RrvsAction::Reject), for that recipient |
/// | `XDELIVERY=`, `XEPOCH=` | `HOLDFOR=`, `HOLDUNTIL=` |
///
/// A message that is bigger than the server's SIZE fails in the same way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// The sender and what MAIL has to tell. `size` is the message's exact length where it goes by BDAT (see [`Chunking`]): one
    /// that must, with `BODY=BINARYMIME`, fails without it.
    pub mail: Mail,
    /// The recipients, in the order in which the report names them.
    pub recipients: Vec<Rcpt>,
}

/// What must hold for the message to be sent, and how it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Whether TLS is used.
    pub tls: TlsPolicy,
    /// Who logs in first, if anyone. The message is not sent where that fails.
    pub login: Option<Login>,
    /// Whether the message goes by BDAT.
    pub chunking: Chunking,
    /// Whether the session takes more messages than one.
    pub reuse: Reuse,
}

/// Whether STARTTLS is used. A connection that was born under TLS is content with any of these.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TlsPolicy {
    /// Not even where it is offered.
    Never,
    /// Where it is offered. A handshake that fails ends the session with [`Trouble::Tls`]; whoever wants to may then try again with
    /// [`Never`](Self::Never). With a [`Login`] it is [`Required`](Self::Required): who takes the offer out of the server's words
    /// must not be told the password.
    #[default]
    Opportunistic,
    /// Or nothing is sent.
    Required,
}

/// Whether the message goes by BDAT (RFC 3030), as its octets are, and in one chunk. The octets sent must be those announced by
/// `SIZE=`: [`MailParameters::size`](crate::MailParameters::size) is exact then.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Chunking {
    /// Where it cannot go otherwise: with `BODY=BINARYMIME`.
    #[default]
    WhereNeeded,
    /// Wherever CHUNKING is offered and the size is known. Spares both sides the dots.
    WhereOffered,
}

/// Whether the session takes more messages than one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reuse {
    /// It ends by QUIT behind the first.
    #[default]
    No,
    /// Behind each, where the session is still good, [`DeliveryEvent::Idle`] asks for the next.
    Ask,
}

/// Something that happened in a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeliveryEvent {
    /// Question, with [`Login::Sasl`] only: the server goes on with the exchange. [`respond`](Delivery::respond) or
    /// [`cancel`](Delivery::cancel).
    Challenge(Secret),
    /// Question: the server wants the message, from its beginning. [`body`](Delivery::body) and [`end_body`](Delivery::end_body)
    /// send it; where it cannot be had, [`abort`](Delivery::abort). Asked for each transaction, of which there may be more than
    /// one.
    Body,
    /// News: what became of the message. The last, but with [`Reuse::Ask`].
    Done(Box<Report>),
    /// Question, with [`Reuse::Ask`] only: the session is good for another message. [`again`](Delivery::again) has one,
    /// [`decline`](Delivery::decline) has none. Open as long as you like; servers wait some minutes.
    Idle,
}

impl DeliveryEvent {
    /// Whether the engine waits for an answer.
    #[must_use]
    pub const fn is_question(&self) -> bool {
        match self {
            Self::Challenge(_) | Self::Body | Self::Idle => true,
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
        Self {
            session: ClientSession::new(Arc::clone(&config), link, now),
            config,
            policy,
            phase: Phase::Greeting,
            fates: Fates::new(envelope.recipients.len()),
            envelope,
            transaction: Transaction::none(),
            transactions: 0,
            mails: 0,
            domains: BTreeSet::new(),
            turn: Turn::First,
            farewell: None,
            trouble: None,
        }
    }

    /// Takes what stands in `input` as far as the next event. See [`ClientSession::next_event`].
    pub fn next_event(&mut self, now: Duration, input: &mut BytesMut, out: &mut BytesMut) -> Step<DeliveryEvent> {
        loop {
            if self.is_idle() {
                return Step::YourTurn;
            }
            if let Some(event) = self.say(now, out) {
                return Step::Event(event);
            }
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
                Step::Close(why) if matches!(self.phase, Phase::Told | Phase::Idle) => return Step::Close(why),
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

    /// Ends the delivery on the application's wish. A message that is being sent goes on to its verdict; one that has not begun is
    /// deferred, and so are recipients that wait for another transaction.
    pub fn shut_down(&mut self, why: ShutDown, now: Duration, out: &mut BytesMut) {
        self.session.shut_down(why, now, out);
    }

    /// Ends the session because the message cannot be had. Nothing more is written, so the server has no message, unless it goes by
    /// BDAT and all of its octets are out; [`DeliveryEvent::Done`] defers its recipients.
    pub fn abort(&mut self) {
        self.session.abort();
    }

    /// Octets of heap held for the peer's sake.
    #[must_use]
    pub fn memory(&self) -> usize {
        let farewell = self.farewell.as_ref().map_or(0, Reply::memory);
        let held = [self.fates.memory(), self.transaction.memory(), farewell];
        held.into_iter().fold(self.session.memory(), usize::saturating_add)
    }

    /// The session below, to see what the server offers and whether TLS is on.
    #[must_use]
    pub const fn session(&self) -> &ClientSession {
        &self.session
    }

    /// Sends some of the message. See [`ClientSession::body`].
    ///
    /// # Errors
    /// [`Misuse::NotNow`] where the message was not asked for; [`Misuse::BareLineEnd`] where it cannot be sent as it is;
    /// [`Misuse::BodyTooLong`] where it has more octets than its size, and goes by BDAT.
    pub fn body(&mut self, octets: &[u8], out: &mut BytesMut) -> Result<(), Misuse> {
        self.session.body(octets, out)
    }

    /// Ends the message. See [`ClientSession::end_body`].
    ///
    /// # Errors
    /// [`Misuse::NotNow`] where the message was not asked for; [`Misuse::BareLineEnd`] where it ends with a CR;
    /// [`Misuse::BodyTooShort`] where it has fewer octets than its size, and goes by BDAT.
    pub fn end_body(&mut self, now: Duration, out: &mut BytesMut) -> Result<(), Misuse> {
        self.session.end_body(now, out)?;
        self.phase = Phase::Verdict(0);
        Ok(())
    }

    /// Answers [`DeliveryEvent::Challenge`]. See [`ClientSession::respond`].
    ///
    /// # Errors
    /// [`Misuse::NotNow`] where it is not asked.
    pub fn respond(&mut self, response: &[u8], now: Duration, out: &mut BytesMut) -> Result<(), Misuse> {
        self.session.respond(response, now, out)
    }

    /// Answers [`DeliveryEvent::Challenge`]: breaks the exchange off. The delivery ends with it, by [`Trouble::Login`].
    ///
    /// # Errors
    /// [`Misuse::NotNow`] where it is not asked.
    pub fn cancel(&mut self, now: Duration, out: &mut BytesMut) -> Result<(), Misuse> {
        self.session.cancel(now, out)
    }

    /// Answers [`DeliveryEvent::Idle`]: another message, in the same session and by the same policy. TLS, offers and login stay;
    /// another [`DeliveryEvent::Done`] will tell what became of it. Where the server has left meanwhile, that says
    /// [`Trouble::Stale`].
    ///
    /// # Errors
    /// [`Misuse::NotNow`] where it is not asked.
    pub fn again(&mut self, envelope: Envelope, now: Duration, out: &mut BytesMut) -> Result<(), Misuse> {
        if !self.is_idle() {
            return Err(Misuse::NotNow);
        }
        self.fates = Fates::new(envelope.recipients.len());
        self.envelope = envelope;
        self.transactions = 0;
        self.turn = Turn::Later;
        self.trouble = None;
        self.begin_message();
        // What it says first can be said now, and never is the message.
        let _ = self.say(now, out);
        Ok(())
    }

    /// Answers any question so that the least is done: no further message goes, this one is not sent and the session
    /// [aborted](Self::abort), the login is broken off.
    pub fn decline(&mut self, now: Duration, out: &mut BytesMut) {
        match self.phase {
            Phase::Idle if self.is_idle() => self.quit(now, out),
            Phase::Body => self.abort(),
            // One of them is what is asked, or nothing is.
            Phase::Greeting
            | Phase::Present
            | Phase::Hello(_)
            | Phase::StartTls
            | Phase::Login(_)
            | Phase::Envelope
            | Phase::Verdict(_)
            | Phase::LoneDot
            | Phase::Finished
            | Phase::Kept
            | Phase::Idle
            | Phase::Told => {
                let _ = self.session.cancel(now, out);
            }
        }
    }

    /// Whether the application is asked for another message.
    const fn is_idle(&self) -> bool {
        matches!(self.phase, Phase::Idle) && !self.session.is_over()
    }

    /// The session ended before everything was decided.
    fn lost(&mut self, why: Close) {
        let server_left = match why {
            Close::Eof | Close::Timeout(_) => true,
            Close::ShutDown(_) => self.farewell.is_some(),
            Close::Quit | Close::Violation(_) | Close::Aborted => false,
        };
        let is_stale = server_left && self.turn == Turn::Later && self.transaction.is_unheard();
        self.trouble = Some(match self.phase {
            // It had refused to forget. How it leaves after that changes nothing: not a word was about these recipients.
            _ if self.trouble == Some(Trouble::Stale) => Trouble::Stale,
            Phase::StartTls => Trouble::Tls,
            Phase::Envelope if is_stale => Trouble::Stale,
            Phase::Greeting
            | Phase::Present
            | Phase::Hello(_)
            | Phase::Login(_)
            | Phase::Envelope
            | Phase::Body
            | Phase::Verdict(_)
            | Phase::LoneDot
            | Phase::Finished
            | Phase::Kept
            | Phase::Idle
            | Phase::Told => Trouble::Lost(why),
        });
        let stage = self.stage();
        let said = match self.farewell.take() {
            Some(reply) => Said { by: SaidBy::Server, stage, reply },
            None => Said { by: SaidBy::Us, stage, reply: outcome::lost(why) },
        };
        self.finish(&Outcome::Deferred(said));
    }
}
