//! Mailbox names: UTF-8, `/` between the levels, INBOX in any case.

use std::collections::{BTreeMap, BTreeSet};

use crate::{MailboxInfo, Presence, SpecialUse};

/// The one mailbox that every account has.
pub(crate) const INBOX: &str = "INBOX";

/// The longest name, in octets. Names grow by up to 8 for 3 in modified UTF-7 and must be file names.
const NAME_MAX: usize = 1024;

/// A name in the one form in which names are compared: INBOX in capitals, also as the first of many levels (RFC 3501
/// §5.1). `None` if it cannot be a name at all: an empty level, or a control character (RFC 9051 §5.1).
pub(crate) fn canonical(name: &str) -> Option<String> {
    let fits = (1..=NAME_MAX).contains(&name.len());
    if !fits || name.chars().any(char::is_control) || name.split('/').any(str::is_empty) {
        return None;
    }
    match name.split_once('/') {
        None if name.eq_ignore_ascii_case(INBOX) => Some(INBOX.to_owned()),
        Some((first, rest)) if first.eq_ignore_ascii_case(INBOX) => Some(format!("{INBOX}/{rest}")),
        None | Some(_) => Some(name.to_owned()),
    }
}

/// The part of `name` below `parent`, with its leading separator; `None` if it does not lie below.
pub(crate) fn below<'n>(name: &'n str, parent: &str) -> Option<&'n str> {
    name.strip_prefix(parent).filter(|rest| rest.starts_with('/'))
}

/// Puts together an account's list from its mailboxes and subscriptions.
pub(crate) fn assemble(
    mailboxes: &BTreeMap<String, Option<SpecialUse>>,
    subscriptions: &BTreeSet<String>,
) -> Vec<MailboxInfo> {
    let mut all: BTreeMap<&str, Presence> = subscriptions.iter().map(|name| (&**name, Presence::Absent)).collect();
    for name in mailboxes.keys() {
        for (end, _) in name.match_indices('/') {
            all.insert(name.get(..end).unwrap_or_default(), Presence::Parent);
        }
    }
    all.extend(mailboxes.keys().map(|name| (&**name, Presence::Mailbox)));
    all.into_iter()
        .map(|(name, presence)| MailboxInfo {
            name: name.to_owned(),
            presence,
            subscribed: subscriptions.contains(name),
            special_use: mailboxes.get(name).copied().flatten(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inbox_is_folded_as_a_whole_and_as_the_first_level() {
        for (name, canon) in [
            ("iNbOx", Some("INBOX")),
            ("inbox/Sub", Some("INBOX/Sub")),
            ("a/inbox", Some("a/inbox")),
            ("inboxes", Some("inboxes")),
            ("Büro/x", Some("Büro/x")),
            ("", None),
            ("/", None),
            ("a/", None),
            ("/a", None),
            ("a//b", None),
            ("a\nb", None),
        ] {
            assert_eq!(canonical(name).as_deref(), canon, "{name:?}");
        }
        assert_eq!(canonical(&"x".repeat(NAME_MAX + 1)), None);
    }

    #[test]
    fn the_list_has_parents_and_absent_subscriptions() {
        let mailboxes = BTreeMap::from([
            ("INBOX".to_owned(), None),
            ("a/b/c".to_owned(), Some(SpecialUse::Sent)),
            ("a".to_owned(), None),
        ]);
        let subscriptions = BTreeSet::from(["a/b".to_owned(), "gone".to_owned()]);
        let list = assemble(&mailboxes, &subscriptions);
        let short: Vec<_> =
            list.iter().map(|info| (&*info.name, info.presence, info.subscribed, info.special_use)).collect();
        assert_eq!(
            short,
            [
                ("INBOX", Presence::Mailbox, false, None),
                ("a", Presence::Mailbox, false, None),
                ("a/b", Presence::Parent, true, None),
                ("a/b/c", Presence::Mailbox, false, Some(SpecialUse::Sent)),
                ("gone", Presence::Absent, true, None),
            ]
        );
    }

    #[test]
    fn below_means_below() {
        assert_eq!(below("a/b", "a"), Some("/b"));
        assert_eq!(below("ab", "a"), None);
        assert_eq!(below("a", "a"), None);
    }
}
