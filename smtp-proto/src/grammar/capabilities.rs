//! What a server can do: the reply to EHLO (RFC 5321 §4.1.1.1).

use alloc::vec::Vec;

use super::reply::Reply;
use super::text::Mechanism;

/// What the reply to the latest EHLO or LHLO offers; the default offers nothing, as HELO does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// `PIPELINING` (RFC 2920).
    pub pipelining: bool,
    /// `8BITMIME` (RFC 6152).
    pub eight_bit_mime: bool,
    /// `SMTPUTF8` (RFC 6531).
    pub smtp_utf8: bool,
    /// `ENHANCEDSTATUSCODES` (RFC 2034).
    pub enhanced_status_codes: bool,
    /// `STARTTLS` (RFC 3207).
    pub start_tls: bool,
    /// `SIZE` (RFC 1870).
    pub size: Option<SizeLimit>,
    /// `AUTH` (RFC 4954): mechanisms, the first sixteen of them.
    pub auth: Vec<Mechanism>,
}

/// What `SIZE` says of the largest message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SizeLimit {
    /// RFC 1870 §4: no number, or zero.
    Unknown,
    /// Octets.
    Octets(u64),
}

/// More than these no server means, and nobody picks from.
const MECHANISMS_MAX: usize = 16;

impl Capabilities {
    /// Reads the reply to EHLO. Lines that are not understood are passed over, as RFC 5321 §4.1.1.1 wants.
    #[must_use]
    pub fn parse(reply: &Reply) -> Self {
        let mut offered = Self::default();
        // The first line is the server's name and its compliments.
        for line in reply.lines().skip(1) {
            offered.add(line);
        }
        offered
    }

    fn add(&mut self, line: &str) {
        let (keyword, argument) = line.split_once(' ').unwrap_or((line, ""));
        let is = |name: &str| keyword.eq_ignore_ascii_case(name);
        if is("PIPELINING") {
            self.pipelining = true;
        } else if is("8BITMIME") {
            self.eight_bit_mime = true;
        } else if is("SMTPUTF8") {
            self.smtp_utf8 = true;
        } else if is("ENHANCEDSTATUSCODES") {
            self.enhanced_status_codes = true;
        } else if is("STARTTLS") {
            self.start_tls = true;
        } else if is("SIZE") {
            self.size = Some(match argument.trim().parse() {
                Ok(octets @ 1..) => SizeLimit::Octets(octets),
                Ok(0) | Err(_) => SizeLimit::Unknown,
            });
        } else if is("AUTH") {
            self.add_mechanisms(argument);
        } else if let Some(first) = keyword.get(..5).filter(|start| start.eq_ignore_ascii_case("AUTH=")) {
            // An old spelling, which some servers still say beside the right one.
            self.add_mechanisms(keyword.get(first.len()..).unwrap_or_default());
            self.add_mechanisms(argument);
        }
    }

    fn add_mechanisms(&mut self, names: &str) {
        for name in names.split(' ').filter_map(|name| Mechanism::parse(name).ok()) {
            if self.auth.len() < MECHANISMS_MAX && !self.auth.iter().any(|known| *known == name) {
                self.auth.push(name.into_owned());
            }
        }
    }

    /// Octets of heap it holds.
    pub(crate) fn memory(&self) -> usize {
        let names: usize = self.auth.iter().map(|name| name.as_str().len()).sum();
        names.saturating_add(self.auth.capacity().saturating_mul(size_of::<Mechanism>()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_to_ehlo_is_read_in_any_case_and_order() {
        let reply = Reply::parse(
            b"250-STARTTLS greets you\r\n250-pipelining\r\n250-Size 1000\r\n250-AUTH PLAIN scram-sha-256\r\n\
              250-AUTH=LOGIN PLAIN\r\n250-X-FOO bar\r\n250-8bitmime\r\n250 SMTPUTF8\r\n",
        )
        .unwrap();
        let offered = Capabilities::parse(&reply);
        assert!(!offered.start_tls, "the first line is a name");
        assert!(offered.pipelining && offered.eight_bit_mime && offered.smtp_utf8 && !offered.enhanced_status_codes);
        assert_eq!(offered.size, Some(SizeLimit::Octets(1000)));
        let names: Vec<&str> = offered.auth.iter().map(Mechanism::as_str).collect();
        assert_eq!(names, ["PLAIN", "scram-sha-256", "LOGIN"]);
    }

    #[test]
    fn a_size_without_a_number_says_nothing() {
        for text in [&b"250-a\r\n250 SIZE\r\n"[..], b"250-a\r\n250 SIZE 0\r\n", b"250-a\r\n250 SIZE x\r\n"] {
            let offered = Capabilities::parse(&Reply::parse(text).unwrap());
            assert_eq!(offered.size, Some(SizeLimit::Unknown));
        }
    }
}
