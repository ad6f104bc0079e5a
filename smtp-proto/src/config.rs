//! What a server offers, and how a client presents itself.

use alloc::string::String;
use alloc::vec::Vec;

use crate::{ClientLimits, ClientTimeouts, Domain, Extensions, Limits, Timeouts};

/// Which of the two protocols is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// SMTP, RFC 5321.
    #[default]
    Smtp,
    /// LMTP, RFC 2033: LHLO, and a verdict for each recipient.
    Lmtp,
}

/// What a server offers and allows. One value serves all its sessions.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// What the server calls itself in the greeting and in the reply to EHLO.
    pub host: Domain,
    /// Text of the greeting, behind the host. RFC 5321 §4.2: clients look for `ESMTP` there.
    pub greeting: String,
    /// SMTP or LMTP.
    pub protocol: Protocol,
    /// Whether STARTTLS is offered.
    pub start_tls: StartTls,
    /// Whether mechanisms that show the password may be used without TLS.
    pub plaintext_login: PlaintextLogin,
    /// SASL mechanisms under TLS, or where plaintext logins are allowed.
    pub mechanisms: Vec<String>,
    /// SASL mechanisms without TLS: those that do not show the password.
    pub mechanisms_before_tls: Vec<String>,
    /// Who may send.
    pub senders: Senders,
    /// What extensions are offered. What each of them promises, the application keeps; see [`Extensions`]. What LIMITS tells is
    /// taken from [`limits`](Self::limits), whatever stands here.
    pub extensions: Extensions,
    /// What becomes of octets in a message by DATA that have no place in it.
    pub data: Strays,
    /// The same in a message by BDAT. Where the client has said BODY=BINARYMIME, all octets have their place.
    pub bdat: Strays,
    /// What becomes of clients that speak before the greeting.
    pub before_greeting: EarlyTalk,
    /// What becomes of clients that go on before they have the reply to EHLO, HELO, LHLO, AUTH, DATA or XCLIENT, or to any command where
    /// PIPELINING was not offered to them (RFC 2920 §3.1).
    pub before_reply: EarlyTalk,
    /// Who answers VRFY. EXPN and ETRN are answered by the application, where [`Extensions`] offers them.
    pub vrfy: Vrfy,
    /// Bounds on what a client may send.
    pub limits: Limits,
    /// How long a client may take.
    pub timeouts: Timeouts,
}

impl ServerConfig {
    /// The defaults of a server of that name: SMTP from anyone, no TLS, no AUTH.
    #[must_use]
    pub fn new(host: Domain) -> Self {
        Self {
            host,
            greeting: String::from("ESMTP"),
            protocol: Protocol::default(),
            start_tls: StartTls::default(),
            plaintext_login: PlaintextLogin::default(),
            mechanisms: Vec::new(),
            mechanisms_before_tls: Vec::new(),
            senders: Senders::default(),
            extensions: Extensions {
                pipelining: true,
                eight_bit_mime: true,
                enhanced_status_codes: true,
                smtp_utf8: true,
                chunking: true,
                ..Extensions::NONE
            },
            data: Strays::default(),
            bdat: Strays::default(),
            before_greeting: EarlyTalk::default(),
            before_reply: EarlyTalk::default(),
            vrfy: Vrfy::default(),
            limits: Limits::default(),
            timeouts: Timeouts::default(),
        }
    }
}

/// Whether STARTTLS is offered (RFC 3207).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StartTls {
    /// Not offered: no certificate, or a port for tests.
    #[default]
    Off,
    /// Offered until the connection is under TLS.
    Offered,
    /// Offered, and no mail is taken before. Not for a host that the world sends mail to (RFC 3207 §4).
    Required,
}

/// Whether a password may cross the network as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PlaintextLogin {
    /// Only under TLS.
    #[default]
    UnderTls,
    /// Always: for tests and for networks that are trusted.
    Always,
}

/// Who may send.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Senders {
    /// Anyone may try; the application decides at MAIL and RCPT.
    #[default]
    Anyone,
    /// Who has logged in (RFC 6409 §4.3).
    LoggedIn,
}

/// What becomes of octets that have no place in a message. None of them ever ends a line here, or a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Strays {
    /// A CR without its LF.
    pub cr: Stray,
    /// An LF without its CR. Some hosts take it for the end of a line, and so for a way to hide one message in another.
    pub lf: Stray,
    /// A NUL: RFC 5322 §4 has had none since 2001.
    pub nul: Stray,
}

/// What becomes of an octet that has no place in a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stray {
    /// The message is refused, behind its true end.
    #[default]
    Reject,
    /// It is made harmless: a lone LF becomes CRLF, a lone CR a space, a NUL is taken out. Signatures may break.
    Normalize,
    /// It is taken as it is. Who sends such a message on by DATA may do harm; this crate's client refuses to.
    Keep,
}

impl Strays {
    /// All octets are taken as they are: a message of BODY=BINARYMIME (RFC 3030 §3).
    pub const KEEP: Self = Self { cr: Stray::Keep, lf: Stray::Keep, nul: Stray::Keep };
}

/// What becomes of clients that speak before it is their turn, as programs do that do not listen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EarlyTalk {
    /// Nothing.
    Ignore,
    /// The application is told by [`Violation::EarlyTalk`](crate::Violation::EarlyTalk), the client goes on.
    #[default]
    Report,
    /// The connection ends.
    Refuse,
}

/// Who answers VRFY.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Vrfy {
    /// The engine, by 252: it says nothing of who exists (RFC 5321 §7.3).
    #[default]
    SayNothing,
    /// The application.
    Ask,
}

/// How a client presents itself, and how long it waits. One value serves all its sessions.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// What the client calls itself in EHLO.
    pub host: Domain,
    /// SMTP or LMTP.
    pub protocol: Protocol,
    /// Bounds on what a server may send.
    pub limits: ClientLimits,
    /// How long a server may take.
    pub timeouts: ClientTimeouts,
}

impl ClientConfig {
    /// The defaults of an SMTP client of that name.
    #[must_use]
    pub fn new(host: Domain) -> Self {
        Self {
            host,
            protocol: Protocol::default(),
            limits: ClientLimits::default(),
            timeouts: ClientTimeouts::default(),
        }
    }
}
