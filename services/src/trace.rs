//! Trace headers: where a message came from and how (RFC 5321 §4.4).

use std::fmt;
use std::net::IpAddr;

use jiff::Timestamp;
use jiff::fmt::rfc2822;

use crate::engine::TlsInfo;

/// One hop, as a `Received` header tells it.
#[derive(Clone, Debug)]
pub(crate) struct Received<'a> {
    /// What the client calls itself: a domain or an address literal, already parsed.
    pub(crate) hello: Option<&'a str>,
    /// Where the client is.
    pub(crate) whence: Whence,
    /// Its name in DNS, if somebody has looked: a domain, already parsed.
    pub(crate) name: Option<&'a str>,
    /// Where the message was before the client had it, if that was told; a text that can stand in a comment.
    pub(crate) origin: Option<&'a str>,
    /// TLS of the connection.
    pub(crate) tls: Option<&'a TlsInfo>,
    /// Our own name.
    pub(crate) host: &'a str,
    /// The registered name of the protocol, from [`with`].
    pub(crate) with: &'static str,
    /// The name under which our log knows the message.
    pub(crate) id: &'a str,
    /// The recipient, where there is only one: with more, each would learn of the others.
    pub(crate) for_one: Option<&'a str>,
    /// When the message arrived.
    pub(crate) at: Timestamp,
}

impl fmt::Display for Received<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Received: from {} ({})", self.hello.unwrap_or("unknown"), self.whence.named(self.name))?;
        if let Some(origin) = self.origin {
            write!(f, "\r\n\t(before that: {origin})")?;
        }
        write!(f, "\r\n\tby {} with {} id {}", self.host, self.with, self.id)?;
        if let Some(TlsInfo { version, cipher, .. }) = self.tls {
            write!(f, "\r\n\t({version} {cipher})")?;
        }
        if let Some(recipient) = self.for_one {
            write!(f, "\r\n\tfor <{recipient}>")?;
        }
        write!(f, ";\r\n\t{}\r\n", date(self.at))
    }
}

/// Where a client is, as seen from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whence {
    /// On this machine, at a Unix socket.
    Local,
    /// Nobody knows: a proxy, which should, does not.
    Unknown,
    /// At this address.
    Address(IpAddr),
}

impl Whence {
    /// `TCP-info` of RFC 5321 §4.4, or a word in its place.
    pub(crate) const fn named(self, name: Option<&str>) -> impl fmt::Display {
        Named { whence: self, name }
    }
}

struct Named<'a> {
    whence: Whence,
    name: Option<&'a str>,
}

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = self.name {
            write!(f, "{name} ")?;
        }
        match self.whence {
            Whence::Local => f.write_str("local"),
            Whence::Unknown => f.write_str("unknown"),
            Whence::Address(address) => write!(f, "{}", Literal(address)),
        }
    }
}

/// An address literal (RFC 5321 §4.1.3).
struct Literal(IpAddr);

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.to_canonical() {
            IpAddr::V4(address) => write!(f, "[{address}]"),
            IpAddr::V6(address) => write!(f, "[IPv6:{address}]"),
        }
    }
}

/// How a message was sent, for the choice of the protocol's registered name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spoken {
    /// HELO.
    Smtp,
    /// EHLO.
    Esmtp,
    /// LHLO.
    Lmtp,
}

/// The registered name: RFC 3848, and RFC 6531 §4.3 for the `UTF8` ones.
pub(crate) const fn with(spoken: Spoken, utf8: bool, tls: bool, logged_in: bool) -> &'static str {
    match (spoken, utf8, tls, logged_in) {
        (Spoken::Smtp, ..) => "SMTP",
        (Spoken::Esmtp, false, false, false) => "ESMTP",
        (Spoken::Esmtp, false, false, true) => "ESMTPA",
        (Spoken::Esmtp, false, true, false) => "ESMTPS",
        (Spoken::Esmtp, false, true, true) => "ESMTPSA",
        (Spoken::Esmtp, true, false, false) => "UTF8SMTP",
        (Spoken::Esmtp, true, false, true) => "UTF8SMTPA",
        (Spoken::Esmtp, true, true, false) => "UTF8SMTPS",
        (Spoken::Esmtp, true, true, true) => "UTF8SMTPSA",
        (Spoken::Lmtp, false, false, false) => "LMTP",
        (Spoken::Lmtp, false, false, true) => "LMTPA",
        (Spoken::Lmtp, false, true, false) => "LMTPS",
        (Spoken::Lmtp, false, true, true) => "LMTPSA",
        (Spoken::Lmtp, true, false, false) => "UTF8LMTP",
        (Spoken::Lmtp, true, false, true) => "UTF8LMTPA",
        (Spoken::Lmtp, true, true, false) => "UTF8LMTPS",
        (Spoken::Lmtp, true, true, true) => "UTF8LMTPSA",
    }
}

/// `Date` for a message that has none (RFC 6409 §8.1).
pub(crate) fn date_field(at: Timestamp) -> String {
    format!("Date: {}\r\n", date(at))
}

/// `Message-ID` for a message that has none (RFC 6409 §8.2), of a name that no other message here gets.
pub(crate) fn message_id_field(id: &str, host: &str) -> String {
    format!("Message-ID: <{id}@{host}>\r\n")
}

fn date(at: Timestamp) -> String {
    // Only years beyond 9999 cannot be written.
    rfc2822::to_string(&at.to_zoned(jiff::tz::TimeZone::UTC)).unwrap_or_default()
}

/// `Return-Path`, which the last hop puts on top (RFC 5321 §4.4).
pub(crate) fn return_path(sender: &str) -> String {
    format!("Return-Path: <{sender}>\r\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hop_is_told_in_the_rfcs_words() {
        let tls = TlsInfo { version: "TLSv1.3".into(), cipher: "TLS_AES_256_GCM_SHA384".into(), server_name: None };
        let received = Received {
            hello: Some("client.example.net"),
            whence: Whence::Address("192.0.2.7".parse().unwrap()),
            name: None,
            origin: None,
            tls: Some(&tls),
            host: "mail.example.org",
            with: with(Spoken::Esmtp, false, true, true),
            id: "abc",
            for_one: Some("bob@example.org"),
            at: Timestamp::from_second(0).unwrap(),
        };
        let expected = "Received: from client.example.net ([192.0.2.7])\r\n\tby mail.example.org with ESMTPSA id abc\r\n\t\
             (TLSv1.3 TLS_AES_256_GCM_SHA384)\r\n\tfor <bob@example.org>;\r\n\tThu, 1 Jan 1970 00:00:00 +0000\r\n";
        assert_eq!(received.to_string(), expected);
    }

    #[test]
    fn a_proxy_s_client_and_its_message_s_origin_are_told_in_comments() {
        let received = Received {
            hello: None,
            whence: Whence::Unknown,
            name: Some("dns.example.net"),
            origin: Some("first.example ([192.0.2.9])"),
            tls: None,
            host: "mail.example.org",
            with: "ESMTP",
            id: "abc",
            for_one: None,
            at: Timestamp::from_second(0).unwrap(),
        };
        let expected = "Received: from unknown (dns.example.net unknown)\r\n\t(before that: first.example ([192.0.2.9]))\r\n\t\
             by mail.example.org with ESMTP id abc;\r\n\tThu, 1 Jan 1970 00:00:00 +0000\r\n";
        assert_eq!(received.to_string(), expected);
    }
}
