//! What is learned of a message's header while it flows by. Nothing of it is kept but a name and a word.

/// Looks at a message's header, whatever pieces it comes in.
#[derive(Clone, Debug)]
pub(super) struct Fields {
    received: u32,
    /// `Date` stands there (RFC 5322 §3.6.1).
    pub(super) date: bool,
    /// `Message-ID` stands there (RFC 5322 §3.6.4).
    pub(super) message_id: bool,
    /// `TLS-Required: No` stands there: its sender prefers delivery to secrecy (RFC 8689 §3).
    pub(super) tls_optional: bool,
    place: Place,
}

/// Where in the header the next octet stands.
#[derive(Clone, Copy, Debug)]
enum Place {
    /// In a field's name, of which so much was read.
    Name { read: [u8; LONGEST], length: usize },
    /// In the text of a `TLS-Required` field: how much of its word was read.
    TlsRequired { read: [u8; 3], length: usize },
    /// In the text of any other field, or in a line that is no field.
    Text,
    /// Behind the header.
    Body,
}

/// Names longer than those that are looked for are none of them.
const LONGEST: usize = 12;

impl Fields {
    /// More hops than any honest path has; RFC 5321 §6.3 asks for at least 100.
    const MAX_HOPS: u32 = 100;

    pub(super) const fn new() -> Self {
        Self { received: 0, date: false, message_id: false, tls_optional: false, place: Place::START }
    }

    /// Looks at the next octets.
    pub(super) fn look(&mut self, chunk: &[u8]) {
        for octet in chunk {
            if let Place::Body = self.place {
                return;
            }
            self.octet(*octet);
        }
    }

    /// Whether the message was received so often that it must be going in circles (RFC 5321 §6.3).
    pub(super) const fn is_loop(&self) -> bool {
        self.received > Self::MAX_HOPS
    }

    fn octet(&mut self, octet: u8) {
        self.place = match (self.place, octet) {
            (place, b'\r') => place,
            (Place::Name { length: 0, .. }, b'\n') | (Place::Body, _) => Place::Body,
            // RFC 5322 §2.2.3: the line before goes on. What a word has in the second line is no word.
            (Place::Name { length: 0, .. }, b' ' | b'\t') => Place::Text,
            (place, b'\n') => {
                self.tls_optional |= place.says_no();
                Place::START
            }
            (Place::Name { read, length }, b':') => self.named(read.get(..length).unwrap_or_default()),
            // RFC 5322 §4.5: white space before the colon is obsolete, and read.
            (place @ Place::Name { .. }, b' ' | b'\t') => place,
            (Place::Name { mut read, length }, octet) => match read.get_mut(length) {
                Some(slot) => {
                    *slot = octet.to_ascii_lowercase();
                    Place::Name { read, length: length + 1 }
                }
                None => Place::Text,
            },
            (place @ Place::TlsRequired { .. }, b' ' | b'\t') => place,
            (Place::TlsRequired { mut read, length }, octet) => match read.get_mut(length) {
                Some(slot) => {
                    *slot = octet.to_ascii_lowercase();
                    Place::TlsRequired { read, length: length + 1 }
                }
                None => Place::Text,
            },
            (Place::Text, _) => Place::Text,
        };
    }

    fn named(&mut self, name: &[u8]) -> Place {
        match name {
            b"received" => self.received = self.received.saturating_add(1),
            b"date" => self.date = true,
            b"message-id" => self.message_id = true,
            b"tls-required" => return Place::TlsRequired { read: [0; 3], length: 0 },
            _ => {}
        }
        Place::Text
    }
}

impl Place {
    const START: Self = Self::Name { read: [0; LONGEST], length: 0 };

    const fn says_no(self) -> bool {
        matches!(self, Self::TlsRequired { read: [b'n', b'o', 0], length: 2 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(text: &str) -> Fields {
        let whole = {
            let mut fields = Fields::new();
            fields.look(text.as_bytes());
            format!("{fields:?}")
        };
        let mut last = Fields::new();
        for cut in 0..=text.len() {
            let (head, tail) = text.as_bytes().split_at(cut);
            let mut fields = Fields::new();
            fields.look(head);
            fields.look(tail);
            assert_eq!(format!("{fields:?}"), whole, "cut at {cut}");
            last = fields;
        }
        last
    }

    #[test]
    fn hops_are_counted_in_the_header_only_at_any_split() {
        let text = "Received: a\r\nX-Received: no\r\nreceived : b\r\n\tReceived: folded\r\n\r\nReceived: body\r\n";
        assert_eq!(look(text).received, 2);
        let mut fields = Fields::new();
        (0..=Fields::MAX_HOPS).for_each(|_| fields.look(b"Received: x\r\n"));
        assert!(fields.is_loop());
    }

    #[test]
    fn fields_that_every_message_has_are_missed() {
        let fields = look("Subject: Date: x\r\nX-Message-ID: y\r\nDateline: z\r\n Date: w\r\n\r\nDate: v\r\n");
        assert!(!fields.date && !fields.message_id);
        let fields = look("DATE: x\r\nmessage-id:<y@example.org>\r\n");
        assert!(fields.date && fields.message_id);
        assert!(!look("").date);
    }

    #[test]
    fn a_sender_may_prefer_delivery_to_secrecy() {
        for text in ["TLS-Required: No\r\n\r\n", "tls-required:no\r\n\r\n", "TLS-Required: NO \r\nA: b\r\n\r\n"] {
            assert!(look(text).tls_optional, "{text:?}");
        }
        for text in ["TLS-Required: Yes\r\n\r\n", "TLS-Required: Nope\r\n\r\n", "A: b\r\n\r\nTLS-Required: No\r\n", ""]
        {
            assert!(!look(text).tls_optional, "{text:?}");
        }
    }
}
