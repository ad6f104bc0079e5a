//! Lists of tags (RFC 6376 §3.2): the field of a signature, as it is written and as it is read.

use base64::prelude::{BASE64_STANDARD, Engine as _};

/// Where a line is folded, if it can be (RFC 5322 §2.1.1).
const WIDTH: usize = 78;

/// A tab, with which a folded line begins, as most programs show it.
const TAB: usize = 8;

/// A field in the making.
pub(super) struct FieldText {
    text: String,
    column: usize,
}

impl FieldText {
    pub(super) fn new(name: &str) -> Self {
        let text = format!("{name}:");
        Self { column: text.len(), text }
    }

    /// Appends a word, on a line of its own if this one has no room.
    pub(super) fn word(&mut self, word: &str) {
        if self.fold_for(word.len().saturating_add(1)) {
            self.append(word);
        } else {
            self.append(" ");
            self.append(word);
        }
    }

    /// Appends `name=value;`.
    pub(super) fn tag(&mut self, name: &str, value: &str) {
        self.word(&format!("{name}={value};"));
    }

    /// Appends `h=` with the names of fields; folded between them if need be (RFC 6376 §3.5).
    pub(super) fn names(&mut self, names: &[&str]) {
        let last = names.len().saturating_sub(1);
        for (at, name) in names.iter().enumerate() {
            let end = if at == last { ";" } else { ":" };
            if at == 0 {
                self.word(&format!("h={name}{end}"));
            } else {
                self.fold_for(name.len().saturating_add(1));
                self.append(name);
                self.append(end);
            }
        }
    }

    /// Appends `bh=`.
    pub(super) fn body_hash(&mut self, hash: &[u8]) {
        self.tag("bh", &BASE64_STANDARD.encode(hash));
    }

    /// Appends the tag that the signature fills in: the last one, so that nothing needs to be taken out again to sign.
    pub(super) fn unsigned(mut self) -> Self {
        self.word("b=");
        self
    }

    /// What stands there so far, without a line end.
    pub(super) fn as_bytes(&self) -> &[u8] {
        self.text.as_bytes()
    }

    /// Appends what belongs behind `b=`, folded, and ends the field.
    pub(super) fn signed(mut self, signature: &[u8]) -> Vec<u8> {
        let encoded = BASE64_STANDARD.encode(signature);
        let mut rest = encoded.as_str();
        while !rest.is_empty() {
            let room = match WIDTH.saturating_sub(self.column) {
                0 => {
                    self.fold();
                    WIDTH.saturating_sub(self.column)
                }
                room => room,
            };
            let (now, later) = rest.split_at_checked(room).unwrap_or((rest, ""));
            self.append(now);
            rest = later;
        }
        self.ended()
    }

    pub(super) fn ended(mut self) -> Vec<u8> {
        self.text.push_str("\r\n");
        self.text.into_bytes()
    }

    /// Folds, if the line has no room for that many octets.
    fn fold_for(&mut self, octets: usize) -> bool {
        let full = self.column.saturating_add(octets) > WIDTH;
        if full {
            self.fold();
        }
        full
    }

    fn fold(&mut self) {
        self.text.push_str("\r\n\t");
        self.column = TAB;
    }

    fn append(&mut self, text: &str) {
        self.text.push_str(text);
        self.column = self.column.saturating_add(text.len());
    }
}

/// The tags of a field's value, with white space around names and values taken off.
pub(super) fn tags(value: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    value.split(|octet| *octet == b';').filter_map(|tag| {
        let equals = memchr::memchr(b'=', tag)?;
        let (name, value) = tag.split_at_checked(equals)?;
        Some((name.trim_ascii(), value.get(1..)?.trim_ascii()))
    })
}
