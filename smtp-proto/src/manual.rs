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
//! use smtp_proto::{Domain, Event, Link, ServerConfig, ServerSession, Step};
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
//!             Step::YourTurn | Step::Switch(_) => session.abort(), // not answered; STARTTLS, which was not offered
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
//! # let mut peer = Peer(io::Cursor::new(b"EHLO a.example\r\nMAIL FROM:<a@a.example>\r\nQUIT\r\n"), Vec::new());
//! # let config = Arc::new(ServerConfig::new(Domain::parse("mx.example").unwrap().into_owned()));
//! # serve(&mut peer, config, |session, event, out| {
//! #     if event.is_question() { session.accept(Default::default(), out).unwrap() }
//! # }).unwrap();
//! # assert!(peer.1.starts_with(b"220 mx.example ESMTP\r\n") && peer.1.ends_with(b"250 2.1.0 sender ok\r\n221 2.0.0 goodbye\r\n"));
//! ```
//!
//! Between calls octets may be added at the end of `input`, and nothing else may happen to it: the engine remembers how far it
//! has looked, so that no octet is scanned twice however small the pieces are. Answers stand in `out` until the engine needs
//! more input, so that the replies to a group of pipelined commands leave in one write.
//!
//! # 2. Questions and news
//!
//! An [`Event`](crate::Event) is a *question*, and then nothing more is parsed until a verb has answered it, or *news*, and
//! then it needs no answer; [`is_question`](crate::Event::is_question) tells which. That is all there is to flow control: a
//! client may send a hundred commands at once, and each is looked at when the one before is answered.
//!
//! [`accept`](crate::ServerSession::accept) says the ordinary yes, [`reply`](crate::ServerSession::reply) whatever you like of
//! the classes that fit, and [`decline`](crate::ServerSession::decline) is a right answer to every question and nothing to
//! news, so that a match over events may end in a wildcard that declines. A verb that does not fit is
//! [`Misuse`](crate::Misuse): an error for the caller, nothing written, nothing changed. What the *peer* does wrong is answered
//! by the engine and told as [`Event::Violation`](crate::Event::Violation); it never is an `Err`. 421 from the application ends
//! the session, whatever was asked.
//!
//! # 3. A transaction
//!
//! MAIL, RCPT and the coming of the message are asked one by one. At [`Event::End`](crate::Event::End) the message is whole,
//! and whoever accepts it owes its delivery (RFC 5321 §6.1): make it durable first. Between `Data` and `End` come its octets as
//! [`Event::Chunk`](crate::Event::Chunk), views into the read buffer, so that a message of any size costs one buffer. An
//! application that cannot keep them says [`discard_body`](crate::ServerSession::discard_body) and refuses at the end.
//!
//! A transaction is one value, and each way out of it drops that value: the end of the message, accepted or refused; a refused
//! DATA or BDAT; RSET, EHLO, HELO, STARTTLS, XCLIENT; the end of the session. [`Event::Aborted`](crate::Event::Aborted) tells
//! where that was not the application's own word, and then whatever was kept of the message is to be thrown away. A refused
//! EHLO drops nothing.
//!
//! BDAT is DATA to the application: one `Data` before the first chunk, and one `End` behind the last. The engine answers the
//! chunks between by itself, since they hand over nothing. Octets of a chunk never reach the command parser. Those of a refused
//! one are skipped, up to [`Limits::refused_chunks`](crate::Limits::refused_chunks); where it cannot be told how many there are
//! (a size that is no number, a line too long or with control characters in it), the connection ends.
//!
//! In LMTP each accepted RCPT has a verdict of its own, duplicates included: [`reply_next`](crate::ServerSession::reply_next)
//! gives them in their order, `accept` and `reply` give the same to all that are left.
//!
//! # 4. Smuggling
//!
//! Two hosts that disagree where a message ends can be made to see two messages, the second of them with a sender of the
//! attacker's choice. So there is one rule, in both directions and for everybody, trusted networks included: a line ends with
//! CRLF and with nothing else, and a message by DATA ends with CRLF, dot, CRLF and with nothing else, where the reply 354
//! stands for the first CRLF.
//!
//! What else may look like a line's end to somebody is a *stray*: a CR without LF, an LF without CR; and for other reasons a
//! NUL.
//!
//! | [`Stray`](crate::Stray) | the message | the sender hears |
//! |---|---|---|
//! | `Reject`, the default | is read to its true end and refused | 554, once |
//! | `Normalize` | has CRLF for a lone LF, a space for a lone CR, nothing for a NUL; DKIM may break | what the application says |
//! | `Keep` | is as it came | what the application says |
//!
//! [`ServerConfig::data`](crate::ServerConfig::data) and [`ServerConfig::bdat`](crate::ServerConfig::bdat) say so for DATA and
//! for BDAT, for each of the three octets. In BODY=BINARYMIME everything has its place. A dot behind a stray is not taken away
//! and ends nothing, whatever the policy. In commands there is no choice: a stray there is answered 500, since all that lets it
//! pass is a second reading of a line.
//!
//! On the way out [`body`](crate::ClientSession::body) refuses strays in a message by DATA, before one octet of the piece is
//! written. A message kept with strays can be sent on by BDAT only.
//!
//! # 5. TLS
//!
//! `Switch` is returned when the reply to STARTTLS stands in `out` and nothing behind the command stands in `input`. Octets
//! that were sent behind STARTTLS in the clear would pass for protected ones (CVE-2011-0411 and its family), on either side;
//! they end the session. Behind `switched` nothing is left of what the peer said before: its name, its login, its offers, its
//! transaction (RFC 3207 §4.2). If the handshake fails, call [`handle_eof`](crate::ServerSession::handle_eof); there is no way
//! back to the clear. A connection that is born under TLS says so in its [`Link`](crate::Link).
//!
//! # 6. Logins
//!
//! SASL is opaque octets here: [`Event::Auth`](crate::Event::Auth) and [`Event::SaslResponse`](crate::Event::SaslResponse)
//! bring the client's, [`challenge`](crate::ServerSession::challenge) sends the server's,
//! [`authenticated`](crate::ServerSession::authenticated) lets the user in and a 5yz does not. Mechanisms that are not in
//! `mechanisms_before_tls` are neither offered nor taken without TLS. Passwords are [`Secret`](crate::Secret)s, which no
//! `Debug` prints, and the line that brought one is wiped.
//!
//! # 7. Extensions are promises
//!
//! The engine offers by itself what it can keep by itself: PIPELINING, 8BITMIME, SIZE, ENHANCEDSTATUSCODES, CHUNKING, LIMITS;
//! and SMTPUTF8, which asks of the application that it does not lose the flag on the way. What more
//! [`Extensions`](crate::Extensions) has is off until you set it, since only you can keep it: DSN reports, a priority, a
//! deadline. Parameters of MAIL and RCPT come typed and checked, and only where their extension is offered. One that is known
//! but not offered is answered 504, one that nobody knows 555, one said twice 501.
//!
//! Three are for peers that you trust, so give only those a configuration with them: `xclient`, by which a proxy says whom it
//! speaks for (the session begins anew); `xforward`, by which a content filter says where it has the next message from; and
//! `handover`, our own, by which a queue names its delivery and the age of its route to a store, so that a delivery that is
//! tried again is known.
//!
//! # 8. Time
//!
//! Time is a `Duration` since any origin that the caller chose. [`poll_timeout`](crate::ServerSession::poll_timeout) says when
//! to call [`handle_timeout`](crate::ServerSession::handle_timeout); early or repeated calls do no harm. There is no deadline
//! while a question is open, since the peer waits for us then; how long the application may take is the driver's affair, and so
//! is a peer that does not take what it is sent. Clients wait minutes at most for the verdict on a message, whatever RFC 5321
//! §4.5.3.2.6 asks of them.
//!
//! A deadline is a total for its phase: no octet of the peer moves it, only a whole command or an answer does. A message has
//! two: its total, and at every [`Timeouts::progress`](crate::Timeouts::progress) it must have brought
//! [`Limits::progress`](crate::Limits::progress) octets more. So a slow line has the time it needs, and nobody holds a
//! connection by an octet a minute.
//!
//! # 9. Limits, memory and back-pressure
//!
//! [`Limits`](crate::Limits) names every bound. A session holds nothing on the heap for its peer: messages go on in chunks,
//! recipients are the application's. Hold at most [`max_input`](crate::ServerSession::max_input) unread octets, and do not read
//! while a question is open. What an honest client meets (too many recipients, a message too big) is refused and not held
//! against it; what a broken or a hostile one does is counted, and ends in 421: errors, wrong passwords, commands that bring no
//! message nearer, transactions, refused octets.
//!
//! A message is known to be too big at `SIZE=` or by its chunk's size, or while it comes in; then it is read to its end, for as
//! long as [`Limits::oversize_factor`](crate::Limits::oversize_factor) allows, and refused once. Sizes count what the
//! application gets.
//!
//! # 10. Clients that do not listen
//!
//! Programs that send mail without reading replies speak before the greeting, or send the message in one piece with its
//! commands. [`before_greeting`](crate::ServerConfig::before_greeting) and [`before_reply`](crate::ServerConfig::before_reply)
//! say what becomes of them; by default they are told to the application and go on. Lines that are HTTP's or a header's end the
//! connection: a browser was tricked into speaking to us.
//!
//! # 11. Stopping
//!
//! [`shut_down`](crate::ServerSession::shut_down) says 421 at once, or behind the answer to the open question; with a message
//! under way it closes without a word, and with a verdict open it waits for that. [`abort`](crate::ServerSession::abort) closes
//! at once; on the client's side it is for a message whose rest cannot be read. A message that is not ended is no message (RFC
//! 5321 §4.1.1.4). Never pad one.
//!
//! # 12. The client's side
//!
//! A [`ClientSession`](crate::ClientSession) turns the tables: the application says commands by
//! [`send`](crate::ClientSession::send), and the server's replies are events, each with the [`Ticket`](crate::Ticket) of the
//! command that it answers. What the server did not offer cannot be sent, nor what must wait for an earlier reply; what it
//! offered before TLS or XCLIENT is forgotten. The run loop, time and stopping are as above. Reader and writer go on together,
//! with no more than [`ClientLimits::window`](crate::ClientLimits::window) commands under way, so that two sides that both wait
//! for the other to read cannot come about.
//!
//! [`Delivery`](crate::Delivery) does a whole delivery with it, and is what most programs want: TLS as the policy says, a
//! login, the envelope in as few exchanges as the server allows, the message by DATA or BDAT, an [`Outcome`](crate::Outcome)
//! for each recipient, and, if you like, the next message in the same session. It promises:
//!
//! - Each recipient has one outcome. `Accepted` is said only on a positive verdict for the transaction that had the recipient
//!   in it.
//! - A server that lacks what the message needs is told nothing of it. What may be left out for want of an extension, and what
//!   may not, stands at [`Envelope`](crate::Envelope). Nothing is downgraded in silence:
//!   [`Report::extensions`](crate::Report::extensions) shows what a relay has to tell the sender.
//! - A password is not said without TLS, unless the policy is [`TlsPolicy::Never`](crate::TlsPolicy::Never).
//! - HELO is tried only where nothing depends on EHLO.
//! - A connection that is lost behind the message and before the verdict defers its recipients: they may get the message twice,
//!   and not never.
//!
//! Whether the connection leads to the right host, and whether its certificate says so, is the driver's affair.
//!
//! # 13. Details for protocol nerds
//!
//! - DATA or BDAT without an accepted recipient is 554 in SMTP, as pipelining clients expect, and 503 in LMTP. RCPT and DATA behind a
//!   refused MAIL are 503. None of this counts as an error against the client, which may have sent all of it before it heard
//!   the first refusal; nor does what else an honest client may meet.
//! - 550 to RCPT is one recipient's matter. 452 there, and 552, which is an old way to say it (RFC 5321 §4.5.3.1.10), send the
//!   recipient into another transaction at once, if this one had accepted any. Elsewhere 552 is what it says.
//! - If DATA is answered 354 though all recipients were refused, a delivery sends a lone dot (RFC 2920 §3.1). RSET is said
//!   between transactions, never before the first: some servers count it against a client.
//! - 421 ends the session, whatever it answers. A session that had ended before another message was begun in it is
//!   [`Trouble::Stale`](crate::Trouble::Stale): a new connection may be tried at once, since nothing was said of the message.
//! - A client takes replies from 200 to 599 by their first digit. All lines of a reply bear one code. Control octets in its
//!   text are `?`, so that a reply that is passed on can do no harm, and an LF in it makes no second line.
//! - 354 and 334 are believed only where they belong. 220 to STARTTLS is the only yes.
//! - Domains may hold underscores, local parts may be longer than 64 octets, spaces may stand behind `FROM:` and `TO:`, and a
//!   name in EHLO may end with a dot: real mail has them. Source routes are read and dropped, and nothing is routed by them.
//! - Addresses are equal by what they mean: quotes that only protect, the case of a domain and the spelling of an IPv6 address
//!   do not count. The local part's case does. What an address may mean to its own host (`+`, `%`, case) is kept as it came.
//! - Full stops of other scripts are no part of a domain, and what is invisible is no part of an address: IDNA and the eye
//!   would see another one.
//! - xtext that decodes to control characters is refused, so that `+0D+0A` gets into nobody's header.
//! - `SIZE=` may have twenty digits; more than 64 bits hold are the largest number. The size of a BDAT must fit, or the
//!   connection ends.
//! - `BDAT 0` is a chunk, `BDAT 0 LAST` an empty message, and a message by BDAT need not end with CRLF. One by DATA always
//!   does, and gets one from the client where it is missing.
//! - BDAT behind a refused BDAT is 503, with its octets skipped, until the client begins anew. In LMTP that is one reply also
//!   for LAST, since there are no recipients any more.
//! - A `RET=` or `NOTIFY=` where DSN is not offered is 504, not 555: the server knows what it refuses.
//! - Behind HELO there are no extensions, so every parameter is 555.
//! - `SMTPUTF8` in VRFY and EXPN is taken off the end of the line.
//! - `HELP` answers the same to every topic.
//! - An ORCPT beyond ASCII is rewritten in ASCII on the way out (RFC 6533 §3), so that it passes a hop without SMTPUTF8.
//!
//! # 14. Beside the crate `smtp-proto`
//!
//! There is another crate of that name, a tokenizer that a well-known server stands on. The two are held against each other
//! over commands, messages, chunks, replies and offers that were drawn at random; where both take something they must mean the
//! same, and where they do not, one of these must be why.
//!
//! It takes, and this one refuses:
//!
//! - lines that end with a bare LF, and a CR anywhere in a line, which it leaves out: `MA<CR>IL` is MAIL then; other control
//!   characters; octets that are not UTF-8, for which it puts U+FFFD; spaces before the verb;
//! - arguments behind DATA, RSET, QUIT and STARTTLS; any word for a client's name; `RCPT TO:<>`; `<Postmaster>` as a sender; domains
//!   of any characters; local parts that end with a dot or are quoted in part; spaces within a path or around the `=` of a parameter;
//!   anything between FROM and its path; parameters glued to a path or said twice, `=` inside a value;
//! - numbers that are too big for anybody: a `SIZE=` of 23 digits, and a chunk's size whose last digits alone it keeps, so that what
//!   follows runs as commands; priorities beyond 9; `BY=` of ten digits, or of none with `R`; dates without all their digits;
//! - xtext with small or missing hexadecimal digits; `NOTIFY=NEVER,SUCCESS`; an initial response that is not base64; names of mechanisms
//!   that cannot be; CRLF, dot, CRs, CRLF as the end of a message; replies that begin with 1 or 9, whose lines bear different codes, or
//!   whose lines end with LF; enhanced codes of another class, with needless zeros, or without digits.
//!
//! It refuses or mistakes, and this one takes:
//!
//! - address literals, empty quoted local parts, `<Postmaster>` (an empty address there, as `<>` is), several spaces between words, a
//!   domain's last dot, `ORCPT=` of other types than rfc822, `SIZE=` of twenty digits whatever they come to, `HOLDUNTIL=` in the past, chunks up
//!   to 64 bits, mechanisms that nobody knows, `SMTPUTF8` behind VRFY, more than one word behind it;
//! - a lone dot as the whole of a message, and a first line that begins with a dot; a reply's line with a code and nothing else;
//!   XCLIENT and XFORWARD; an xtext of UTF-8, which it reads as Latin-1.
//!
//! It knows of message tracking, content conversion, checkpoints, BURL and ATRN, which are not done here.
//!
//! # 15. What is left out, and what to use instead
//!
//! SEND, SOML, SAML, TURN and ATRN are refused; nobody needs them. BURL (RFC 4468) and CHECKPOINT (RFC 1845) are not done. SASL
//! mechanisms are a crate's own business (`rsasl` for one), and so are DKIM, ARC, SPF and DMARC (`mail-auth`). Message text is
//! octets here; MIME is for `mail-parser`. Nothing converts a message: one that needs 8BITMIME or SMTPUTF8 is not made to do
//! without. DNS, sockets, TLS, PROXY and whole servers are in `posthaste-services`; a durable queue with retries and reports is
//! `posthaste-mailqueue`.
