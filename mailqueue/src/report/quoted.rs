//! Quoted-printable (RFC 2045 §6.7), a piece at a time: for octets beyond ASCII that must cross servers without 8BITMIME,
//! and for lines that are too long for any.

/// Longest encoded line, the soft line break's `=` included (RFC 2045 §6.7 rule 5).
const LINE: usize = 76;

/// An encoder of lines that end with CRLF. Any other CR or LF is encoded like an octet that is not a letter, so that what
/// comes out decodes to just what went in.
#[derive(Clone, Debug, Default)]
pub(super) struct Quoted {
    column: usize,
    held: Held,
}

/// What waits for the next octet, since that decides how it is written.
#[derive(Clone, Copy, Debug, Default)]
enum Held {
    #[default]
    Nothing,
    /// A space or a tab, which must not end a line.
    Blank(u8),
    /// A CR, with the blank before it.
    Cr { blank: Option<u8> },
}

impl Quoted {
    /// Encodes a piece.
    pub(super) fn push(&mut self, octets: &[u8], out: &mut Vec<u8>) {
        for octet in octets {
            self.octet(*octet, out);
        }
    }

    /// Writes what waits, behind the last piece.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) {
        match std::mem::take(&mut self.held) {
            Held::Nothing => {}
            Held::Blank(blank) => self.escape(blank, out),
            Held::Cr { blank } => {
                self.literal_blank(blank, out);
                self.escape(b'\r', out);
            }
        }
    }

    fn octet(&mut self, octet: u8, out: &mut Vec<u8>) {
        match (std::mem::take(&mut self.held), octet) {
            (Held::Cr { blank }, b'\n') => {
                if let Some(blank) = blank {
                    self.escape(blank, out);
                }
                out.extend_from_slice(b"\r\n");
                self.column = 0;
                return;
            }
            (Held::Cr { blank }, _) => {
                self.literal_blank(blank, out);
                self.escape(b'\r', out);
            }
            (Held::Blank(blank), b'\r') => {
                self.held = Held::Cr { blank: Some(blank) };
                return;
            }
            (Held::Blank(blank), _) => self.literal_blank(Some(blank), out),
            (Held::Nothing, _) => {}
        }
        match octet {
            b'\r' => self.held = Held::Cr { blank: None },
            b' ' | b'\t' => self.held = Held::Blank(octet),
            b'!'..=b'~' if octet != b'=' => self.literal(octet, out),
            _ => self.escape(octet, out),
        }
    }

    fn literal_blank(&mut self, blank: Option<u8>, out: &mut Vec<u8>) {
        if let Some(blank) = blank {
            self.literal(blank, out);
        }
    }

    fn literal(&mut self, octet: u8, out: &mut Vec<u8>) {
        self.make_room(1, out);
        out.push(octet);
    }

    fn escape(&mut self, octet: u8, out: &mut Vec<u8>) {
        self.make_room(3, out);
        let digit = |value: u8| if value < 10 { b'0' + value } else { b'A' + (value - 10) };
        out.extend_from_slice(&[b'=', digit(octet >> 4), digit(octet & 15)]);
    }

    fn make_room(&mut self, wanted: usize, out: &mut Vec<u8>) {
        if self.column + wanted >= LINE {
            out.extend_from_slice(b"=\r\n");
            self.column = 0;
        }
        self.column += wanted;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_kept_and_everything_else_is_quoted() {
        let table: [(&[u8], &str); 9] = [
            (b"a b\tc\r\nd\r\n", "a b\tc\r\nd\r\n"),
            (b"a=b\xc3\xa9\0", "a=3Db=C3=A9=00"),
            (b"end \r\nend\t\r\nend \t\r\n", "end=20\r\nend=09\r\nend =09\r\n"),
            (b"end ", "end=20"),
            (b"end \r", "end =0D"),
            (b"a\nb\rc\r\r\n", "a=0Ab=0Dc=0D\r\n"),
            (b"a \rb", "a =0Db"),
            (&[b'x'; 80], &format!("{}=\r\n{}", "x".repeat(75), "x".repeat(5))),
            (&[0xff; 26], &format!("{}=\r\n=FF", "=FF".repeat(25))),
        ];
        for (octets, expected) in table {
            for piece in [1, usize::MAX] {
                let mut quoted = Quoted::default();
                let mut out = Vec::new();
                octets.chunks(piece).for_each(|piece| quoted.push(piece, &mut out));
                quoted.finish(&mut out);
                assert_eq!(String::from_utf8(out).unwrap(), expected, "{}", octets.escape_ascii());
            }
        }
    }
}
