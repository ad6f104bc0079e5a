//! Unique-id listings, spelt as the server before us spelt them.

use std::str::FromStr;

use mailstore::Message;
use thiserror::Error;

/// How a message's unique-id (RFC 1939 §7) is made of its UID and its mailbox's UIDVALIDITY. All of them stay the same as long
/// as those do: over restarts, and when the mail is moved to another machine. Clients that leave mail on the server know
/// messages by it, and fetch all of them again where it changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UidlFormat {
    /// Eight hexadecimal digits of each, the UID first: what Dovecot does unless it was told otherwise (`%08Xu%08Xv`).
    #[default]
    Dovecot,
    /// `UID7-1700000000`, as Courier writes it since it has kept UIDs for POP3.
    Courier,
    /// `1700000000.7`, as Cyrus writes it by default.
    Cyrus,
}

/// The text names no format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not a form of unique-ids; write dovecot, courier or cyrus")]
pub struct NoUidlFormat;

impl UidlFormat {
    /// The message's unique-id: the one that it has had elsewhere, if the store knows one that clients can be told, else
    /// one of this form.
    #[must_use]
    pub fn of(self, message: &Message, uidvalidity: u32) -> String {
        if let Some(inherited) = message.inherited_uidl.as_deref().filter(|uidl| can_be_told(uidl)) {
            return inherited.to_owned();
        }
        let uid = message.uid;
        match self {
            Self::Dovecot => format!("{uid:08x}{uidvalidity:08x}"),
            Self::Courier => format!("UID{uid}-{uidvalidity}"),
            Self::Cyrus => format!("{uidvalidity}.{uid}"),
        }
    }
}

/// RFC 1939 §7. Not every server has kept to it, and one message's name is no reason to withhold all of them.
fn can_be_told(uidl: &str) -> bool {
    (1..=70).contains(&uidl.len()) && uidl.bytes().all(|octet| octet.is_ascii_graphic())
}

impl FromStr for UidlFormat {
    type Err = NoUidlFormat;

    fn from_str(text: &str) -> Result<Self, NoUidlFormat> {
        match text {
            "dovecot" => Ok(Self::Dovecot),
            "courier" => Ok(Self::Courier),
            "cyrus" => Ok(Self::Cyrus),
            _ => Err(NoUidlFormat),
        }
    }
}

#[cfg(test)]
mod tests {
    use mailstore::Flags;

    use super::*;

    fn message(uid: u32, inherited: Option<&str>) -> Message {
        Message {
            uid,
            flags: Flags::NONE,
            size: 1,
            internal_date: 0,
            modseq: 1,
            guid: "guid".into(),
            inherited_uidl: inherited.map(Into::into),
        }
    }

    #[test]
    fn each_format_is_spelt_as_its_server_spells_it() {
        for (name, uidl) in
            [("dovecot", "0000000b6553f100"), ("courier", "UID11-1700000000"), ("cyrus", "1700000000.11")]
        {
            let format: UidlFormat = name.parse().unwrap();
            assert_eq!(format.of(&message(11, None), 1_700_000_000), uidl);
        }
        assert_eq!("Dovecot".parse::<UidlFormat>(), Err(NoUidlFormat));
    }

    #[test]
    fn an_inherited_one_wins_over_every_format() {
        for format in [UidlFormat::Dovecot, UidlFormat::Courier, UidlFormat::Cyrus] {
            assert_eq!(format.of(&message(11, Some("UID3-9")), 1_700_000_000), "UID3-9");
            for bad in ["", "\u{e4}", "a b", &"x".repeat(71)] {
                assert_eq!(format.of(&message(11, Some(bad)), 1), format.of(&message(11, None), 1), "{bad:?}");
            }
        }
    }

    #[test]
    fn the_longest_fits_into_a_listing() {
        for format in [UidlFormat::Dovecot, UidlFormat::Courier, UidlFormat::Cyrus] {
            assert!(format.of(&message(u32::MAX, None), u32::MAX).len() <= 70);
        }
    }
}
