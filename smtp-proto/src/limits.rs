//! Every bound of a session, in one place.

use core::time::Duration;

/// How much a client may make the server hold or do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest command line in octets, with CRLF. RFC 5321 §4.5.3.1.4 demands 512, and its extensions add to that.
    pub command_line: usize,
    /// Longest line of a SASL exchange in octets, with CRLF, AUTH itself included. RFC 4954 §4 names 12288, the longest that
    /// GSSAPI needs.
    pub sasl_line: usize,
    /// Accepted recipients of one transaction. RFC 5321 §4.5.3.1.8 demands 100.
    pub recipients: u32,
    /// Largest message in octets, told by SIZE. RFC 5321 §4.5.3.1.7 demands 65536.
    pub message: u64,
    /// A message that is too big is read to its end, so that the client hears why, but for no more than this many times
    /// [`message`](Self::message); then the connection ends.
    pub oversize_factor: u32,
    /// Longest line of a message in octets, with CRLF. RFC 5321 §4.5.3.1.6 demands 1000; by default there is no limit, since
    /// a message is handed on in chunks of any form and too much honest mail holds longer lines.
    pub body_line: u64,
    /// Octets of refused BDATs that are skipped from one accepted message to the next; more end the connection.
    pub refused_chunks: u64,
    /// Octets that a message's client has to send in each [`Timeouts::progress`], whatever of them is the message's.
    pub progress: u64,
    /// MAIL commands of one session, told by LIMITS; the next one closes. Clients that have more come again.
    pub transactions: u32,
    /// Protocol violations that are answered; the next one closes.
    pub violations: u32,
    /// Refused logins that are answered; the next one closes. Few, since each is a guess.
    pub failed_logins: u32,
    /// Commands that bring no message nearer (NOOP, RSET, VRFY, EHLO; BDAT with less than a kilobyte) from one accepted message to
    /// the next; the next one closes.
    pub chatter: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            command_line: 2048,
            sasl_line: 12_288,
            recipients: 1000,
            message: 50 * 1024 * 1024,
            oversize_factor: 4,
            body_line: u64::MAX,
            refused_chunks: 100 * 1024 * 1024,
            progress: 30_000,
            transactions: 1000,
            violations: 20,
            failed_logins: 3,
            chatter: 200,
        }
    }
}

/// How long a client may take, in total for each phase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// From the greeting or a reply to the next command. RFC 5321 §4.5.3.2.7: at least 5 minutes.
    pub command: Duration,
    /// From a SASL challenge to its response.
    pub sasl: Duration,
    /// From 354 to the end of the message, or of a BDAT to its last octet. Total.
    pub body: Duration,
    /// How often a message's client is held to have sent [`Limits::progress`] octets. By default that is 500 octets a second, which
    /// the slowest honest lines do, and who holds connections open by an octet a minute does not.
    pub progress: Duration,
    /// The TLS handshake.
    pub tls: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            command: Duration::from_secs(5 * 60),
            sasl: Duration::from_secs(2 * 60),
            body: Duration::from_secs(60 * 60),
            progress: Duration::from_secs(60),
            tls: Duration::from_secs(30),
        }
    }
}

/// How much a server may make the client hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientLimits {
    /// Longest line of a reply in octets, with CRLF. RFC 5321 §4.5.3.1.5 says 512; some say more, and a SASL challenge may have
    /// 12288 behind its code (RFC 4954 §4).
    pub reply_line: usize,
    /// Lines of one reply.
    pub reply_lines: usize,
    /// Octets of one reply.
    pub reply: usize,
    /// Octets of text kept of a reply that decides over a recipient. There may be as many of them as recipients.
    pub kept_reply: usize,
    /// Commands under way at once where the server speaks PIPELINING. More of them gain nothing, and their replies must fit
    /// into what the network holds while we write (RFC 2920 §3.1).
    pub window: usize,
    /// Challenges of one SASL exchange; one more ends the session. The mechanisms in use need one to three.
    pub challenges: u32,
    /// Transactions of one message, where the server takes few recipients at a time. The message goes out in each of them; who is
    /// left then is deferred.
    pub transactions: u32,
}

impl Default for ClientLimits {
    fn default() -> Self {
        Self {
            reply_line: 12_294,
            reply_lines: 100,
            reply: 64 * 1024,
            kept_reply: 1024,
            window: 100,
            challenges: 20,
            transactions: 100,
        }
    }
}

/// How long a server may take. The defaults are those of RFC 5321 §4.5.3.2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientTimeouts {
    /// The greeting.
    pub greeting: Duration,
    /// The reply to a command that has no limit of its own.
    pub reply: Duration,
    /// The reply to DATA.
    pub data: Duration,
    /// The reply to the end of the message. Too short makes duplicates: the server may have taken the message.
    pub verdict: Duration,
    /// The TLS handshake.
    pub tls: Duration,
    /// The reply to QUIT, on which nothing depends.
    pub quit: Duration,
}

impl Default for ClientTimeouts {
    fn default() -> Self {
        Self {
            greeting: Duration::from_secs(5 * 60),
            reply: Duration::from_secs(5 * 60),
            data: Duration::from_secs(2 * 60),
            verdict: Duration::from_secs(10 * 60),
            tls: Duration::from_secs(60),
            quit: Duration::from_secs(5),
        }
    }
}
