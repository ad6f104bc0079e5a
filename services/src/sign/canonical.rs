//! Canonicalization: what a message is taken for when it is hashed (RFC 6376 §3.4).
//!
//! Only CRLF ends a line; a lone CR or LF is an octet like any other. Of a body nothing is held but what stands undecided:
//! a count of line ends that may be the last ones, and whether there was white space before them.

use aws_lc_rs::digest::{Context, SHA256};

/// One of the two ways (RFC 6376 §3.4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// White space may be changed on the way: runs of it count as one space, and none at the end of a line.
    #[default]
    Relaxed,
    /// Every octet counts, but the blank lines at the end of a body.
    Simple,
}

impl Form {
    /// The name in the tag `c=`.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Relaxed => "relaxed",
            Self::Simple => "simple",
        }
    }

    /// Appends a field without its last line end, which the field of a signature goes without (RFC 6376 §3.7).
    pub(super) fn field(self, field: &[u8], out: &mut Vec<u8>) {
        let field = field.strip_suffix(b"\r\n").unwrap_or(field);
        match self {
            Self::Simple => out.extend_from_slice(field),
            Self::Relaxed => relaxed_field(field, out),
        }
    }
}

/// RFC 6376 §3.4.2.
fn relaxed_field(field: &[u8], out: &mut Vec<u8>) {
    let colon = memchr::memchr(b':', field).unwrap_or(field.len());
    let (name, value) = field.split_at_checked(colon).unwrap_or((field, &[]));
    out.extend(name.trim_ascii_end().iter().map(u8::to_ascii_lowercase));
    out.push(b':');
    let value = value.get(1..).unwrap_or_default();
    let mut rest = value;
    let mut space = Space::Dropped;
    while let [first, after @ ..] = rest {
        rest = match rest {
            [b'\r', b'\n', after @ ..] => after,
            [b' ' | b'\t', after @ ..] => {
                space = space.and_one();
                after
            }
            _ => {
                if space == Space::Due {
                    out.push(b' ');
                }
                space = Space::None;
                out.push(*first);
                after
            }
        };
    }
}

/// White space that was seen and not yet written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Space {
    /// Nothing is written yet, and what stands before the first octet is dropped.
    Dropped,
    None,
    Due,
}

impl Space {
    const fn and_one(self) -> Self {
        match self {
            Self::Dropped => Self::Dropped,
            Self::None | Self::Due => Self::Due,
        }
    }
}

/// The hash over a body that flows by (RFC 6376 §3.4.3, §3.4.4).
pub(super) struct BodyHash {
    form: Form,
    hash: Context,
    /// What goes into the hash next: gathered, for words are short and each call has its price.
    gathered: Vec<u8>,
    /// Line ends behind the last octet that counts: they do, once another one follows.
    lines: u64,
    /// White space since the line's last octet that counts.
    blank: bool,
    /// The last octet was a CR.
    cr: bool,
    /// An octet has counted.
    filled: bool,
}

impl BodyHash {
    /// The octets gathered before they are hashed.
    const GATHERED: usize = 4096;

    pub(super) fn new(form: Form) -> Self {
        Self {
            form,
            hash: Context::new(&SHA256),
            gathered: Vec::with_capacity(Self::GATHERED),
            lines: 0,
            blank: false,
            cr: false,
            filled: false,
        }
    }

    /// Takes the next octets, split anywhere.
    pub(super) fn write(&mut self, octets: &[u8]) {
        let mut rest = octets;
        while let [first, after @ ..] = rest {
            if self.cr {
                self.cr = false;
                if *first == b'\n' {
                    self.blank = false;
                    self.lines = self.lines.saturating_add(1);
                    rest = after;
                    continue;
                }
                self.counts(b"\r");
            }
            rest = match (*first, self.form) {
                (b'\r', _) => {
                    self.cr = true;
                    after
                }
                (b' ' | b'\t', Form::Relaxed) => {
                    self.blank = true;
                    after
                }
                (_, form) => {
                    let end = match form {
                        Form::Relaxed => memchr::memchr3(b'\r', b' ', b'\t', rest),
                        Form::Simple => memchr::memchr(b'\r', rest),
                    };
                    let (run, after) = rest.split_at_checked(end.unwrap_or(rest.len())).unwrap_or((rest, &[]));
                    self.counts(run);
                    after
                }
            };
        }
    }

    /// The hash, `bh=`.
    pub(super) fn finish(mut self) -> [u8; 32] {
        if self.cr {
            self.counts(b"\r");
        }
        // An empty body is one line end in the simple form, and nothing in the relaxed one.
        if self.filled || self.form == Form::Simple {
            self.hashed(b"\r\n");
        }
        self.hash.update(&self.gathered);
        sha256(self.hash)
    }

    /// Octets that count, and with them all that stood undecided before them.
    fn counts(&mut self, octets: &[u8]) {
        while self.lines > 0 {
            self.lines -= 1;
            self.hashed(b"\r\n");
        }
        if self.blank {
            self.blank = false;
            self.hashed(b" ");
        }
        self.filled = true;
        self.hashed(octets);
    }

    fn hashed(&mut self, octets: &[u8]) {
        if self.gathered.len().saturating_add(octets.len()) > Self::GATHERED {
            self.hash.update(&self.gathered);
            self.gathered.clear();
        }
        if octets.len() > Self::GATHERED / 2 {
            self.hash.update(&self.gathered);
            self.gathered.clear();
            self.hash.update(octets);
        } else {
            self.gathered.extend_from_slice(octets);
        }
    }
}

/// The digest of a SHA-256 that has taken all.
fn sha256(hash: Context) -> [u8; 32] {
    let mut digest = [0; 32];
    digest.copy_from_slice(hash.finish().as_ref());
    digest
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::digest::digest;

    use super::*;

    fn field(form: Form, field: &str) -> String {
        let mut out = Vec::new();
        form.field(field.as_bytes(), &mut out);
        String::from_utf8(out).unwrap()
    }

    fn is_taken_for(form: Form, body: &str, canonical: &str) {
        let mut hash = BodyHash::new(form);
        hash.write(body.as_bytes());
        assert_eq!(hash.finish(), digest(&SHA256, canonical.as_bytes()).as_ref(), "{body:?}");
    }

    #[test]
    fn the_rfcs_example() {
        // RFC 6376 §3.4.5.
        assert_eq!(field(Form::Relaxed, "A: X\r\n"), "a:X");
        assert_eq!(field(Form::Relaxed, "B : Y\t\r\n\tZ  \r\n"), "b:Y Z");
        assert_eq!(field(Form::Simple, "B : Y\t\r\n\tZ  \r\n"), "B : Y\t\r\n\tZ  ");
        is_taken_for(Form::Relaxed, " C \r\nD \t E\r\n\r\n\r\n", " C\r\nD E\r\n");
        is_taken_for(Form::Simple, " C \r\nD \t E\r\n\r\n\r\n", " C \r\nD \t E\r\n");
    }

    #[test]
    fn fields_that_are_folded_blank_or_foreign() {
        assert_eq!(field(Form::Relaxed, "SUBJECT:\r\n \r\n\tAbC\r\n"), "subject:AbC");
        assert_eq!(field(Form::Relaxed, "Subject:\r\n"), "subject:");
        assert_eq!(field(Form::Relaxed, "Subject: \t \r\n \r\n"), "subject:");
        assert_eq!(field(Form::Relaxed, "Subject: a:b : c\r\n"), "subject:a:b : c");
        assert_eq!(field(Form::Relaxed, "Subject: gr\u{fc}n\u{a0} \u{2003}\r\n"), "subject:gr\u{fc}n\u{a0} \u{2003}");
        assert_eq!(field(Form::Relaxed, "Subject: a\rb\nc\r\n"), "subject:a\rb\nc");
    }

    #[test]
    fn empty_bodies() {
        for body in ["", "\r\n", "\r\n\r\n\r\n"] {
            is_taken_for(Form::Relaxed, body, "");
            is_taken_for(Form::Simple, body, "\r\n");
        }
        is_taken_for(Form::Relaxed, " \t", "");
        is_taken_for(Form::Relaxed, " \r\n\t\r\n", "");
        is_taken_for(Form::Simple, " \r\n", " \r\n");
    }

    #[test]
    fn the_end_of_a_body() {
        for end in ["", "\r\n", "\r\n\r\n", " \t\r\n \r\n\t"] {
            is_taken_for(Form::Relaxed, &format!("a{end}"), "a\r\n");
        }
        is_taken_for(Form::Simple, "a", "a\r\n");
        is_taken_for(Form::Simple, "a\r\n\r\n", "a\r\n");
        is_taken_for(Form::Simple, "a\r\n \r\n", "a\r\n \r\n");
        is_taken_for(Form::Relaxed, "\r\n \r\na", "\r\n\r\na\r\n");
    }

    #[test]
    fn a_lone_cr_or_lf_ends_no_line() {
        is_taken_for(Form::Relaxed, "a \n\nb\r", "a \n\nb\r\r\n");
        is_taken_for(Form::Relaxed, "a \rb\r\r\nc", "a \rb\r\r\nc\r\n");
        is_taken_for(Form::Simple, "a\r\r\n\r", "a\r\r\n\r\r\n");
    }
}
