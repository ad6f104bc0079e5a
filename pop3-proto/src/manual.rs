//! The manual: how the engines are run, what they decide by themselves, and what they leave to you.
//!
//! # 1. The run loop
//!
//! An engine has no socket and no clock. Whoever has both, the *driver*, keeps two buffers for it and calls
//! [`next_event`](crate::ServerSession::next_event) until the engine asks for something:
//!
//! | [`Step`](crate::Step) | what the driver does |
//! |---|---|
//! | `Event(event)` | looks at it, answers it if it is a question, and calls again |
//! | `NeedInput` | sends what stands in `out`, reads more into `input`, and calls again |
//! | `YourTurn` | waits for the application, which has not answered yet |
//! | `Switch(Layer::Tls)` | sends what stands in `out`, does the TLS handshake, calls [`switched`](crate::ServerSession::switched) |
//! | `Close(why)` | sends what stands in `out`, and closes |
//!
//! A server on threads and blocking sockets, plain connections only:
//!
//! ```
//! use std::io::{self, Read, Write};
//! use std::sync::Arc;
//! use std::time::Instant;
//!
//! use bytes::BytesMut;
//! use pop3_proto::{Event, Link, ServerConfig, ServerSession, Step};
//!
//! fn serve(
//!     stream: &mut (impl Read + Write),
//!     config: Arc<ServerConfig>,
//!     mut answer: impl FnMut(&mut ServerSession, Event, &mut BytesMut),
//! ) -> io::Result<()> {
//!     let begun = Instant::now();
//!     let mut session = ServerSession::new(config, Link::default(), begun.elapsed());
//!     let (mut input, mut out) = (BytesMut::new(), BytesMut::new());
//!     let mut scratch = [0; 4096];
//!     loop {
//!         match session.next_event(begun.elapsed(), &mut input, &mut out) {
//!             Step::Event(event) => answer(&mut session, event, &mut out),
//!             Step::NeedInput => {
//!                 stream.write_all(&out.split())?;
//!                 let room = scratch.len().min(session.max_input() - input.len());
//!                 match stream.read(&mut scratch[..room])? {
//!                     0 => session.handle_eof(),
//!                     read => input.extend_from_slice(&scratch[..read]),
//!                 }
//!             }
//!             Step::YourTurn | Step::Switch(_) => session.abort(), // not answered; STLS, which was not offered
//!             Step::Close(_) => return stream.write_all(&out),
//!         }
//!     }
//! }
//!
//! # struct Peer(io::Cursor<&'static [u8]>, Vec<u8>);
//! # impl Read for Peer { fn read(&mut self, to: &mut [u8]) -> io::Result<usize> { self.0.read(to) } }
//! # impl Write for Peer {
//! #     fn write(&mut self, from: &[u8]) -> io::Result<usize> { self.1.write(from) }
//! #     fn flush(&mut self) -> io::Result<()> { Ok(()) }
//! # }
//! # let mut peer = Peer(io::Cursor::new(b"CAPA\r\nQUIT\r\n"), Vec::new());
//! # let config = Arc::new(ServerConfig { greeting: "hello".into(), ..ServerConfig::default() });
//! # serve(&mut peer, config, |session, _, out| session.accept(Default::default(), out).unwrap()).unwrap();
//! # assert!(peer.1.starts_with(b"+OK hello\r\n+OK capabilities") && peer.1.ends_with(b".\r\n+OK goodbye\r\n"));
//! ```
//!
//! Between calls octets may be added at the end of `input`, and nothing else may happen to it: the engine remembers how far it
//! has looked, so that no octet is scanned twice however small the pieces are.
//!
//! # 2. Questions and news
//!
//! An [`Event`](crate::Event) is a *question*, and then nothing more is parsed until a verb has answered it, or *news*, and then
//! it needs no answer; [`is_question`](crate::Event::is_question) tells which. That is all there is to flow control: a client may
//! send a hundred commands at once, and each is looked at when the one before is answered.
//!
//! [`decline`](crate::ServerSession::decline) is a right answer to every question and nothing to news, so that a match over events
//! may end in a wildcard that declines. A verb that does not fit is [`Misuse`](crate::Misuse): an error for the caller, nothing
//! written, nothing changed. What the *peer* does wrong is answered by the engine and told as
//! [`Event::Violation`](crate::Event::Violation); it never is an `Err`.
//!
//! # 3. A maildrop
//!
//! [`open`](crate::ServerSession::open) lets a user in, and fixes for the whole session what the maildrop holds: sizes, unique-ids,
//! and by their order the numbers. STAT, LIST, UIDL, DELE and RSET are then answered by the engine alone; the application is
//! asked for listings (only because a long one wants to be written in parts), for the text of messages, and at QUIT for the
//! deletions. Take the maildrop's lock before `open`, and give it back when [`Event::Update`](crate::Event::Update) comes or the
//! session closes, whichever is first. Nothing is to be deleted but at `Update`: neither a lost connection nor the autologout nor a
//! stopping server deletes (RFC 1939 §6).
//!
//! Sizes have to be true: they are what LIST says, [`body`](crate::ServerSession::body) takes no octet more, and
//! [`end_body`](crate::ServerSession::end_body) refuses to end a message that has one less. A text that does not end with CRLF is
//! marked [`Ending::Open`](crate::Ending::Open); it is two octets longer on the wire, and LIST says so.
//!
//! # 4. TLS
//!
//! `Switch` is returned when the reply to STLS stands in `out` and nothing behind the command stands in `input`. Octets that
//! were sent behind STLS in the clear would pass for protected ones (CVE-2011-0411 and its family), on either side; they end the
//! session. If the handshake fails, call [`handle_eof`](crate::ServerSession::handle_eof). A connection that is born under TLS says
//! so in its [`Link`](crate::Link).
//!
//! # 5. Logins
//!
//! USER and PASS are one question. They are refused without TLS unless the configuration says otherwise, and so are the mechanisms
//! in `mechanisms` that are not in `mechanisms_before_tls`. SASL is opaque octets here: `challenge` sends them, the next event
//! brings the response. APOP is offered by greeting with [`greet`](crate::ServerSession::greet). It asks for a password that the
//! server knows in the clear, and rests on MD5: offer it only where clients need it.
//!
//! A refusal without a response code, or with [`Code::Auth`](crate::Code::Auth), counts as a wrong guess, of which a session has
//! few; one that is our own fault ([`Code::SysTemp`](crate::Code::SysTemp), [`Code::InUse`](crate::Code::InUse)…) does not.
//!
//! Behind a proxy, give the session a configuration with [`Xclient::Trusted`](crate::Xclient::Trusted). Its client may then name
//! any address it likes, so that the application has to know the proxy by its own.
//!
//! # 6. Time
//!
//! Time is a `Duration` since an origin that the caller chose. [`poll_timeout`](crate::ServerSession::poll_timeout) says when to
//! call [`handle_timeout`](crate::ServerSession::handle_timeout); early or repeated calls do no harm. There is no deadline while a
//! question is open, since the peer waits for us then; how long the application may take is the driver's affair, and so is a peer that
//! does not take what it is sent. Before the login there is one deadline for all that is said, so that a client cannot hold a
//! connection by saying NOOP; behind it each whole command begins the ten minutes of RFC 1939 §3 anew, and no part of one does.
//!
//! # 7. Memory and back-pressure
//!
//! [`Limits`](crate::Limits) names every bound. A session holds a name, or one bit for each message once one was marked;
//! [`memory`](crate::ServerSession::memory) tells. Hold at most [`max_input`](crate::ServerSession::max_input) unread octets. Towards
//! the peer the driver decides: write a piece of a message, wait until `out` has drained, write the next. A listing of a large
//! maildrop is written by [`list_more`](crate::ServerSession::list_more), a few kilobytes a call.
//!
//! # 8. Stopping
//!
//! [`shut_down`](crate::ServerSession::shut_down) says goodbye at once, or behind the answer that is under way.
//! [`abort`](crate::ServerSession::abort) is for a message whose rest cannot be read: the connection closes without the terminator,
//! which the client cannot take for a whole message. Never pad one.
//!
//! # 9. The client's side
//!
//! A [`ClientSession`](crate::ClientSession) turns the tables: the application says commands by
//! [`send`](crate::ClientSession::send), and the server's answers are events, each with the [`Ticket`](crate::Ticket) of the command
//! that it answers. What the server did not offer cannot be sent, nor what must wait for an earlier answer. The run loop, time and
//! stopping are as above; questions are few, since a server asks for nothing but the next line of a SASL exchange.
//!
//! [`Fetch`](crate::Fetch) does a whole visit with it, and is what most programs want. It asks what to get, and after each message
//! whether the server may delete it. Its promise is about loss: DELE is said only for what the application has confirmed, and QUIT,
//! which alone deletes, only when all was said. A connection that breaks loses nothing, but may bring a message again; the
//! type's own text says which. An application that must have each message once remembers unique-ids, durably and together with
//! the message.
//!
//! What [`Policy`](crate::Policy) says holds before a password is sent. By default that needs TLS: a server that does not offer it,
//! or that an attacker has made seem so, gets no password.
//!
//! Servers are taken as they are where that is safe: replies in any case, words behind sizes, unique-ids over 70 octets, lines of a
//! list that mean nothing, sizes that are not true, CAPA or UIDL refused, a connection that is closed instead of an answer to
//! QUIT, a goodbye that nobody asked for. What is not safe ends the session: octets behind the reply to STLS, replies to nothing,
//! lines without end, and lone CRs or LFs in replies. For servers that end lines with a bare LF there is
//! [`LineEnds::CrlfOrLf`](crate::LineEnds::CrlfOrLf).
//!
//! # 10. Details for protocol nerds
//!
//! - Only CRLF ends a line. A bare CR, a bare LF, NUL or any other control octet in a command is refused, so that
//!   `USER bob<NUL>x` cannot log in as `bob`. Numbers are digits: no sign, no second space, nothing behind them.
//! - On its way out a dot is doubled behind a bare LF too, not only behind CRLF. Many clients read by LF; a message with
//!   `<LF>.<CRLF>` inside must not be able to end its own reply. Messages that came by SMTP have no bare LF.
//! - A message without a final CRLF gets one on the wire, since the terminator needs it (RFC 1939 §3), and is counted with it.
//! - TOP counts lines of the body behind the first empty line; a header that never ends is sent whole.
//! - CAPA lists the same before and behind the login, STLS, USER and SASL too; only the values of EXPIRE and LOGIN-DELAY may
//!   change, from those of all users to the user's own (RFC 2449 §6.5, §6.7).
//! - NOOP is taken before the login too: clients use it, and it does nothing.
//! - The autologout closes without a word, as RFC 1939 §3 says.
//! - STLS behind UTF8 is refused (RFC 6856 §2.1), and any STLS makes the session forget USER. The timestamp of the greeting stays
//!   good for APOP, since there is no second greeting.
//! - LANG knows `en` and `i-default`; the texts are the same.
//! - XCLIENT passes over attributes that it does not know, XOIP is XCLIENT with an address only. `IPV6:` before an address is taken.
//! - [`Digest::parse`](crate::Digest::parse) takes capitals as well; RFC 1939 §7 wants lower case, which is what is written.
//! - A timestamp that is no message-id in printable ASCII is not digested: a false server could learn passwords from digests of
//!   octets of its choice (CVE-2007-1558).
//! - Reply texts never hold what a peer sent.
//! - A client takes away any dot behind CRLF, and behind a bare LF the first of two only. Some servers double it there, as ours does,
//!   and some do not; this is right for both unless a line behind a bare LF begins with two dots of its own.
//! - Dovecot 2.3 and Courier 1.0 do not double a dot that is a message's first octet. A client cannot know; the dot is lost, and a first
//!   line of a lone dot ends the answer early. What then comes is a reply to nothing, which ends the session: nothing is deleted.
//! - Neither those two nor most others count the CRLF that they add behind an open last line. What LIST says is a hint.
//! - USER and PASS are sent together where the server speaks PIPELINING. Both replies must be positive.
//! - A server that has no CAPA is taken for one of old: USER and PASS are tried.
//! - Where UTF8 is offered [`Fetch`](crate::Fetch) asks for it, so that no message is held back or rewritten.
//! - A deadline of the client's counts from the command to the first line of its answer, and then for each 64 KiB. So neither a server
//!   that says nothing nor one that says an octet a minute stays for ever, and a large message has the time it needs.
//!
//! # 11. What is left out, and what to use instead
//!
//! LAST, RPOP and XTND are gone since RFC 1939. There is no ANONYMOUS and no KERBEROS; SASL mechanisms are a crate's own business
//! (`rsasl` for one). Message text is octets; MIME is for `mail-parser`, downgrading of internationalized messages (RFC 6857) for
//! whoever has the structure at hand. Sockets, TLS and deadlines as a whole server are in `posthaste-services`; storage is
//! `posthaste-mailstore`.
