//! One visit to a maildrop: the whole dialogue, from greeting to QUIT.

mod dialogue;
mod login;
mod report;

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::String;
use alloc::sync::Arc;
use core::time::Duration;

use bytes::{Bytes, BytesMut};

use self::dialogue::{Errand, Phase};
pub use self::report::{Report, Trouble};
use crate::{
    ClientConfig, ClientSession, Close, Deadline, Link, Mechanism, Misuse, Reply, Secret, ShutDown, Step, Switched,
    Timestamp,
};

/// One visit to a maildrop: a procedure without I/O.
///
/// It hears what the server offers, goes under TLS as the policy says, logs in, and reads the list. Then it asks by
/// [`FetchEvent::Maildrop`] what to get, hands over each message in chunks, asks by [`FetchEvent::Received`] whether the server
/// may delete it, says QUIT, and reports. Where the server speaks PIPELINING, messages are asked for ahead. It owns the
/// [`ClientSession`]; a driver runs it as it runs any engine.
///
/// # What may come again
/// The server deletes at QUIT (RFC 1939 §6), and only what was marked because the application has answered
/// [`delete`](Self::delete), or [`Choice::Delete`]. So no loss of the connection, at whatever point, loses a message; but a
/// message that was got may be offered again: any that was to stay, and any that was to be deleted, unless [`Report::goodbye`]
/// is positive. An application that wants each message once makes the message and its unique-id durable together before it
/// answers [`FetchEvent::Received`], and leaves or deletes what it knows when it is offered.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use bytes::BytesMut;
/// use pop3_proto::{Choice, Fetch, FetchEvent, Link, Login, Policy, Secret, Step, TlsPolicy};
///
/// let login = Login::Password { user: "mrose".into(), password: Secret::new(b"secret".to_vec()) };
/// let policy = Policy { tls: TlsPolicy::Never, ..Policy::default() };
/// let now = Duration::ZERO;
/// let mut fetch = Fetch::new(Default::default(), login, policy, Link::default(), now);
///
/// // What a server says, and where it waits for us.
/// let mut reads = ["+OK ready\r\n", "+OK\r\nUSER\r\nUIDL\r\nPIPELINING\r\n.\r\n", "+OK\r\n+OK\r\n",
///     "+OK\r\n1 known\r\n2 new\r\n.\r\n+OK\r\n1 120\r\n2 20\r\n.\r\n",
///     "+OK\r\nSubject: hi\r\n\r\n..\r\n.\r\n", "+OK marked\r\n", "+OK bye\r\n"].into_iter();
/// let (mut input, mut out, mut message) = (BytesMut::new(), BytesMut::new(), Vec::new());
/// let mut report = None;
/// loop {
///     match fetch.next_event(now, &mut input, &mut out) {
///         Step::Event(FetchEvent::Maildrop) => {
///             let is_known = |uidl: Option<&str>| uidl == Some("known");
///             fetch.choose(|offer| if is_known(offer.uidl.as_deref()) { Choice::Leave } else { Choice::Get }, now, &mut out)?;
///         }
///         Step::Event(FetchEvent::Chunk(chunk)) => message.extend_from_slice(&chunk),
///         Step::Event(FetchEvent::Received { .. }) => fetch.delete(now, &mut out)?, // it is durable by now
///         Step::Event(FetchEvent::Done(done)) => report = Some(done),
///         Step::Event(_) => fetch.decline(now, &mut out), // right for every question, without effect on news
///         Step::NeedInput => input.extend_from_slice(reads.next().unwrap().as_bytes()),
///         Step::YourTurn | Step::Switch(_) => unreachable!("every question is answered at once, and TLS not wanted"),
///         Step::Close(_) => break,
///     }
/// }
/// assert_eq!(message, b"Subject: hi\r\n\r\n.\r\n");
/// assert_eq!(out, "CAPA\r\nUSER mrose\r\nPASS secret\r\nUIDL\r\nLIST\r\nRETR 2\r\nDELE 2\r\nQUIT\r\n");
/// assert!(report.is_some_and(|report| report.trouble.is_none() && report.deleted == 1));
/// # Ok::<(), pop3_proto::Misuse>(())
/// ```
#[derive(Debug)]
pub struct Fetch {
    session: ClientSession,
    config: Arc<ClientConfig>,
    login: Login,
    policy: Policy,
    phase: Phase,
    /// From the greeting, for APOP.
    timestamp: Option<Timestamp>,
    /// What answers the server's first challenge.
    unsaid: Option<Secret>,
    /// The list, until the application has chosen from it.
    offers: BTreeMap<u32, Offer>,
    /// What is to be said about messages.
    todo: VecDeque<Errand>,
    /// What was said, and is not answered to its end.
    said: VecDeque<Errand>,
    /// Octets of the message that comes in.
    octets: u64,
    /// No more messages are begun, and then we leave.
    leaving: Option<ShutDown>,
    report: Report,
}

/// Who logs in, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Login {
    /// USER and PASS; AUTH PLAIN where the server offers that instead, or where USER and PASS cannot say it.
    Password {
        /// The name.
        user: String,
        /// The password.
        password: Secret,
    },
    /// APOP. It hides the password from who listens, but not from who guesses.
    Apop {
        /// The name.
        user: String,
        /// The password.
        password: Secret,
    },
    /// AUTH. What the server asks, [`FetchEvent::Challenge`] asks the application.
    Sasl {
        /// The mechanism.
        mechanism: Mechanism,
        /// The initial response; one too long for the command is given to the server's first challenge instead (RFC 5034 §4).
        initial: Option<Secret>,
    },
}

/// What must hold for the visit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Whether TLS is used.
    pub tls: TlsPolicy,
    /// Whether the maildrop is read in UTF-8 mode.
    pub utf8: Utf8Policy,
}

/// Whether STLS is used. A connection that was born under TLS is content with any of these.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TlsPolicy {
    /// Not even where it is offered: the password goes in clear.
    Never,
    /// Where it is offered; the password goes in clear where it is not. Who offers it and then refuses gets no password.
    Opportunistic,
    /// Or nobody logs in.
    #[default]
    Required,
}

/// Whether UTF8 is said (RFC 6856 §2.1), without which a server holds messages with internationalized headers back, or changes
/// them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Utf8Policy {
    /// Not even where it is offered.
    Never,
    /// Where it is offered.
    #[default]
    WhereOffered,
}

/// A message in the server's list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// The message's number, in this session only.
    pub number: u32,
    /// Octets of the message, as far as the server knows; `None` where LIST does not name it.
    pub size: Option<u64>,
    /// What the server calls it in every session; `None` where UIDL does not name it, or the server has no UIDL. Two messages may
    /// bear the same: some servers make it of the text (RFC 1939 §7).
    pub uidl: Option<Box<str>>,
}

/// What becomes of a message that is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// It is got whole.
    Get,
    /// Its header is got, and so many lines of its body.
    Top(u32),
    /// It is deleted unread.
    Delete,
    /// It stays where it is.
    Leave,
}

/// Something that happened on a visit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FetchEvent {
    /// Question, with [`Login::Sasl`] only: the server goes on with the exchange. [`respond`](Fetch::respond) or
    /// [`cancel`](Fetch::cancel).
    Challenge(Secret),
    /// Question: the list is read. [`choose`](Fetch::choose) answers it.
    Maildrop,
    /// News: a message begins.
    Message(Offer),
    /// News: octets of the message, never none; cut anywhere.
    Chunk(Bytes),
    /// Question: the message came to its end. Make it durable, and then [`delete`](Fetch::delete) it on the server or
    /// [`accept`](Fetch::accept) it and let it stay; [`decline`](Fetch::decline) lets it stay too, as one that was not taken.
    Received {
        /// The message.
        offer: Offer,
        /// Octets that came. Many servers say another [`size`](Offer::size).
        octets: u64,
    },
    /// News: the server does not give the message out. It stays.
    Refused {
        /// The message.
        offer: Offer,
        /// What was said.
        reply: Reply,
    },
    /// News: the server does not delete the message.
    NotDeleted {
        /// The message's number.
        number: u32,
        /// What was said.
        reply: Reply,
    },
    /// News, and the last: what became of the visit.
    Done(Box<Report>),
}

impl FetchEvent {
    /// Whether the engine waits for an answer.
    #[must_use]
    pub const fn is_question(&self) -> bool {
        match self {
            Self::Challenge(_) | Self::Maildrop | Self::Received { .. } => true,
            Self::Message(_) | Self::Chunk(_) | Self::Refused { .. } | Self::NotDeleted { .. } | Self::Done(_) => false,
        }
    }

    /// The bulk data that the event carries.
    #[must_use]
    pub const fn chunk(&self) -> Option<&Bytes> {
        match self {
            Self::Chunk(chunk) => Some(chunk),
            Self::Challenge(_)
            | Self::Maildrop
            | Self::Message(_)
            | Self::Received { .. }
            | Self::Refused { .. }
            | Self::NotDeleted { .. }
            | Self::Done(_) => None,
        }
    }
}

impl Fetch {
    /// Begins a visit: the server is to greet.
    #[must_use]
    pub fn new(config: Arc<ClientConfig>, login: Login, policy: Policy, link: Link, now: Duration) -> Self {
        Self {
            session: ClientSession::new(Arc::clone(&config), link, now),
            config,
            login,
            policy,
            phase: Phase::Greeting,
            timestamp: None,
            unsaid: None,
            offers: BTreeMap::new(),
            todo: VecDeque::new(),
            said: VecDeque::new(),
            octets: 0,
            leaving: None,
            report: Report::default(),
        }
    }

    /// Takes what stands in `input` as far as the next event. See [`ClientSession::next_event`].
    pub fn next_event(&mut self, now: Duration, input: &mut BytesMut, out: &mut BytesMut) -> Step<FetchEvent> {
        loop {
            if self.is_asking() {
                return Step::YourTurn;
            }
            if let Some(event) = self.say(now, out) {
                return Step::Event(event);
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

    /// When to call [`handle_timeout`](Self::handle_timeout). `None` while a question is open, and while the server owes nothing.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Deadline> {
        if self.is_asking() { None } else { self.session.poll_timeout() }
    }

    /// Ends the session if its deadline has passed; otherwise does nothing.
    pub fn handle_timeout(&mut self, now: Duration, out: &mut BytesMut) {
        if !self.is_asking() {
            self.session.handle_timeout(now, out);
        }
    }

    /// Tells that the server will send no more. What it sent before still counts.
    pub const fn handle_eof(&mut self) {
        self.session.handle_eof();
    }

    /// Tells that the transport was changed, after [`Step::Switch`]. Where the handshake failed, tell
    /// [`handle_eof`](Self::handle_eof).
    pub fn switched(&mut self, to: Switched, now: Duration) {
        self.session.switched(to, now);
        if matches!(self.phase, Phase::Stls) && self.session.is_under_tls() {
            self.phase = Phase::Ask;
        }
    }

    /// Ends the visit on the application's wish. Messages that were asked for still come, with their questions, and what is
    /// answered to those is done; then follows QUIT, and nobody waits for what it says. An application that has failed
    /// ([`ShutDown::Fault`]) leaves at once and without QUIT, so that nothing is deleted.
    pub fn shut_down(&mut self, why: ShutDown, now: Duration, out: &mut BytesMut) {
        match (&self.phase, why) {
            (Phase::Choosing | Phase::Messages | Phase::Received(_), ShutDown::Stopping | ShutDown::Overloaded) => {
                self.todo.clear();
                self.leaving = Some(why);
            }
            (_, ShutDown::Stopping | ShutDown::Overloaded | ShutDown::Fault) => self.session.shut_down(why, now, out),
        }
    }

    /// Ends the session at once, where a message cannot be stored or nobody wants to wait. Nothing more is written, and so
    /// nothing deleted.
    pub fn abort(&mut self) {
        self.session.abort();
    }

    /// Octets of heap held for the peer's sake.
    #[must_use]
    pub fn memory(&self) -> usize {
        let offer = |offer: &Offer| offer.uidl.as_ref().map_or(0, |uidl| uidl.len());
        let offers: usize =
            self.offers.values().map(|each| offer(each).saturating_add(size_of::<(u32, Offer)>())).sum();
        let errands = self.todo.iter().chain(&self.said).filter_map(Errand::offer).map(offer).sum();
        let queues = self.todo.capacity().saturating_add(self.said.capacity()).saturating_mul(size_of::<Errand>());
        [offers, errands, queues, self.report.memory()].into_iter().fold(self.session.memory(), usize::saturating_add)
    }

    /// The session below, to see what the server offers and whether TLS is on.
    #[must_use]
    pub const fn session(&self) -> &ClientSession {
        &self.session
    }

    /// What the maildrop holds, while [`FetchEvent::Maildrop`] is open.
    pub fn offers(&self) -> impl Iterator<Item = &Offer> {
        self.offers.values()
    }

    /// Answers [`FetchEvent::Maildrop`]: says what becomes of each message, in the order of their numbers.
    ///
    /// # Errors
    /// [`Misuse::NotNow`] where it is not asked.
    pub fn choose(
        &mut self,
        mut choice: impl FnMut(&Offer) -> Choice,
        now: Duration,
        out: &mut BytesMut,
    ) -> Result<(), Misuse> {
        let (Phase::Choosing, false) = (&self.phase, self.session.is_over()) else { return Err(Misuse::NotNow) };
        let errand = |offer: Offer| match choice(&offer) {
            Choice::Get => Some(Errand::Get { offer, lines: None }),
            Choice::Top(lines) => Some(Errand::Get { offer, lines: Some(lines) }),
            Choice::Delete => Some(Errand::Delete(offer.number)),
            Choice::Leave => None,
        };
        self.todo = core::mem::take(&mut self.offers).into_values().filter_map(errand).collect();
        if self.leaving.is_some() {
            self.todo.clear();
        }
        self.answered(now, out);
        Ok(())
    }

    /// Answers [`FetchEvent::Received`]: the application has the message, and it stays on the server.
    ///
    /// # Errors
    /// [`Misuse::NotNow`] where it is not asked.
    pub fn accept(&mut self, now: Duration, out: &mut BytesMut) -> Result<(), Misuse> {
        self.received()?;
        self.report.received = self.report.received.saturating_add(1);
        self.answered(now, out);
        Ok(())
    }

    /// Answers [`FetchEvent::Received`]: the application has the message, durably, and the server is to delete it.
    ///
    /// # Errors
    /// [`Misuse::NotNow`] where it is not asked.
    pub fn delete(&mut self, now: Duration, out: &mut BytesMut) -> Result<(), Misuse> {
        let number = self.received()?;
        self.report.received = self.report.received.saturating_add(1);
        self.todo.push_front(Errand::Delete(number));
        self.answered(now, out);
        Ok(())
    }

    /// Answers any question so that nothing changes on the server: no message is got, this one stays, the exchange ends.
    pub fn decline(&mut self, now: Duration, out: &mut BytesMut) {
        // One of them is what is asked, or nothing is.
        let _ = self.choose(|_| Choice::Leave, now, out);
        if self.received().is_ok() {
            self.answered(now, out);
        }
        let _ = self.session.cancel(now, out);
    }

    /// Answers [`FetchEvent::Challenge`]. See [`ClientSession::respond`].
    ///
    /// # Errors
    /// [`Misuse::NotNow`] where it is not asked.
    pub fn respond(&mut self, response: &[u8], now: Duration, out: &mut BytesMut) -> Result<(), Misuse> {
        self.session.respond(response, now, out)
    }

    /// Answers [`FetchEvent::Challenge`]: breaks the exchange off. The visit ends with it, by [`Trouble::Login`].
    ///
    /// # Errors
    /// [`Misuse::NotNow`] where it is not asked.
    pub fn cancel(&mut self, now: Duration, out: &mut BytesMut) -> Result<(), Misuse> {
        self.session.cancel(now, out)
    }

    /// Whether a question of ours is open; the session below has its own.
    const fn is_asking(&self) -> bool {
        matches!(self.phase, Phase::Choosing | Phase::Received(_)) && !self.session.is_over()
    }

    /// The message that is asked about.
    const fn received(&self) -> Result<u32, Misuse> {
        let Phase::Received(number) = self.phase else { return Err(Misuse::NotNow) };
        if self.session.is_over() { Err(Misuse::NotNow) } else { Ok(number) }
    }

    /// A question is answered. The server did not wait for itself meanwhile.
    fn answered(&mut self, now: Duration, out: &mut BytesMut) {
        self.phase = Phase::Messages;
        self.session.restart_deadline(now);
        self.run_errands(now, out);
    }

    /// The session ended before all was done.
    fn lost(&mut self, why: Close) {
        let trouble = match (&self.phase, why) {
            (Phase::Stls, _) => Some(Trouble::Tls),
            // Some servers say goodbye by closing. Nothing hung on it.
            (Phase::Quit, Close::Quit) if self.report.deleted == 0 => None,
            (_, _) => Some(Trouble::Lost(why)),
        };
        self.report.trouble = self.report.trouble.take().or(trouble);
        self.phase = Phase::Finished;
    }
}
