//! Onto the wire.

use bytes::BytesMut;
use memchr::memchr2;

use super::plain::{Marks, plain};
use crate::Misuse;

/// Puts a message on the wire: protects its lines, and lets no lone CR or LF through.
#[derive(Debug)]
pub(crate) struct Stuff {
    at: At,
}

/// Where the next octet stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    LineStart,
    Inside,
    /// Behind a CR, which is held back until its LF comes.
    Cr,
}

impl Stuff {
    pub(crate) const fn new() -> Self {
        Self { at: At::LineStart }
    }

    /// Appends `octets` to `out`; or nothing, and `Err`, if they hold a lone CR or LF.
    pub(crate) fn write(&mut self, octets: &[u8], out: &mut BytesMut) -> Result<(), Misuse> {
        let (at, written) = (self.at, out.len());
        out.reserve(octets.len().saturating_add(2));
        self.append(octets, out).inspect_err(|_| {
            out.truncate(written);
            self.at = at;
        })
    }

    /// Appends the lone dot, behind a CRLF if the message has not ended with one: DATA cannot carry a last line without.
    pub(crate) fn finish(&self, out: &mut BytesMut) -> Result<(), Misuse> {
        match self.at {
            At::LineStart => out.extend_from_slice(b".\r\n"),
            At::Inside => out.extend_from_slice(b"\r\n.\r\n"),
            At::Cr => return Err(Misuse::BareLineEnd),
        }
        Ok(())
    }

    fn append(&mut self, mut rest: &[u8], out: &mut BytesMut) -> Result<(), Misuse> {
        while let [octet, behind @ ..] = rest {
            let run = match self.at {
                At::LineStart => plain(b'\n', rest, Marks::STRAY.or(Marks::DOT)).len,
                At::Inside => memchr2(b'\r', b'\n', rest).unwrap_or(rest.len()),
                At::Cr => 0,
            };
            match rest.split_at_checked(run) {
                Some((run @ [.., last], behind)) => {
                    out.extend_from_slice(run);
                    self.at = if *last == b'\n' { At::LineStart } else { At::Inside };
                    rest = behind;
                }
                Some(([], _)) | None => {
                    self.octet(*octet, out)?;
                    rest = behind;
                }
            }
        }
        Ok(())
    }

    fn octet(&mut self, octet: u8, out: &mut BytesMut) -> Result<(), Misuse> {
        self.at = match (self.at, octet) {
            (At::Cr, b'\n') => {
                out.extend_from_slice(b"\r\n");
                At::LineStart
            }
            (At::Cr, _) | (At::LineStart | At::Inside, b'\n') => return Err(Misuse::BareLineEnd),
            (At::LineStart | At::Inside, b'\r') => At::Cr,
            (At::LineStart, b'.') => {
                out.extend_from_slice(b"..");
                At::Inside
            }
            (At::LineStart | At::Inside, _) => {
                out.extend_from_slice(&[octet]);
                At::Inside
            }
        };
        Ok(())
    }
}
