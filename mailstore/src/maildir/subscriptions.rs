//! Dovecot's `subscriptions`. Version 2 begins with `V<TAB>2` and an empty line and has one name on each further line,
//! its levels divided by tabs; version 1 has one name on each line, its levels divided by dots.

use std::collections::BTreeSet;

use super::layout;

pub(crate) const NAME: &str = "subscriptions";

/// Lines in the form of the disk: `A<TAB>B` with levels in modified UTF-7.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Subscriptions {
    lines: Vec<String>,
}

impl Subscriptions {
    pub(crate) fn parse(content: &[u8]) -> Self {
        let content = String::from_utf8_lossy(content);
        let (names, separator) = match content.strip_prefix("V\t2\n") {
            Some(rest) => (rest.strip_prefix('\n').unwrap_or(rest), '\t'),
            None => (&*content, '.'),
        };
        let lines = names.lines().filter(|line| !line.is_empty()).map(|line| line.replace(separator, "\t")).collect();
        Self { lines }
    }

    pub(crate) fn write(&self) -> Vec<u8> {
        let mut content = "V\t2\n\n".to_owned();
        for line in &self.lines {
            content.push_str(line);
            content.push('\n');
        }
        content.into_bytes()
    }

    /// The canonical names, as far as they are any.
    pub(crate) fn names(&self) -> BTreeSet<String> {
        self.lines.iter().filter_map(|line| to_name(line)).collect()
    }

    /// Adds a canonical name. `None` if it cannot be a mailbox's, else whether it is new.
    pub(crate) fn add(&mut self, name: &str) -> Option<bool> {
        let line = to_line(name)?;
        let new = !self.lines.contains(&line);
        if new {
            self.lines.push(line);
        }
        Some(new)
    }

    /// Removes a canonical name and says whether it was there.
    pub(crate) fn remove(&mut self, name: &str) -> bool {
        let before = self.lines.len();
        let line = to_line(name);
        self.lines.retain(|known| Some(known) != line.as_ref());
        self.lines.len() < before
    }
}

fn to_line(name: &str) -> Option<String> {
    match layout::directory(name)?.strip_prefix('.') {
        None => Some(name.to_owned()),
        Some(levels) => Some(levels.replace('.', "\t")),
    }
}

fn to_name(line: &str) -> Option<String> {
    if line.eq_ignore_ascii_case(crate::names::INBOX) {
        return Some(crate::names::INBOX.to_owned());
    }
    // A level with a dot, or one escaped, is none that this store could hold.
    (!line.contains('.')).then(|| layout::name(&format!(".{}", line.replace('\t', ".")))).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(content: &[u8]) -> Vec<String> {
        Subscriptions::parse(content).names().into_iter().collect()
    }

    #[test]
    fn both_versions_are_read() {
        assert_eq!(names(b"V\t2\n\nINBOX\nSub\tFolder\nA&-B\n"), ["A&B", "INBOX", "Sub/Folder"]);
        assert_eq!(names(b"INBOX\nSub.Folder\nA&-B\n"), ["A&B", "INBOX", "Sub/Folder"]);
        assert_eq!(names(b""), Vec::<String>::new());
    }

    #[test]
    fn what_is_not_understood_is_kept() {
        let before = b"V\t2\n\nv1.0\n\x011odd\nSub\n";
        let mut subscriptions = Subscriptions::parse(before);
        assert_eq!(subscriptions.add("B\u{fc}ro/x"), Some(true));
        assert_eq!(subscriptions.add("Sub"), Some(false));
        assert_eq!(subscriptions.write(), [&before[..], b"B&APw-ro\tx\n"].concat());
        assert!(subscriptions.remove("B\u{fc}ro/x") && !subscriptions.remove("B\u{fc}ro/x"));
        assert_eq!(subscriptions.write(), before);
        assert_eq!(subscriptions.add("a.b"), None);
    }
}
