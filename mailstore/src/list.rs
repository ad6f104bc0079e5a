//! What an account says about its mailboxes.

/// A mailbox's use that clients know by more than its name (RFC 6154 §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SpecialUse {
    /// `\All`
    All,
    /// `\Archive`
    Archive,
    /// `\Drafts`
    Drafts,
    /// `\Flagged`
    Flagged,
    /// `\Important` (RFC 8457)
    Important,
    /// `\Junk`
    Junk,
    /// `\Sent`
    Sent,
    /// `\Trash`
    Trash,
}

impl SpecialUse {
    /// All of them, in the order of their names.
    pub const ALL: [Self; 8] =
        [Self::All, Self::Archive, Self::Drafts, Self::Flagged, Self::Important, Self::Junk, Self::Sent, Self::Trash];

    /// The attribute's name, with its backslash.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::All => "\\All",
            Self::Archive => "\\Archive",
            Self::Drafts => "\\Drafts",
            Self::Flagged => "\\Flagged",
            Self::Important => "\\Important",
            Self::Junk => "\\Junk",
            Self::Sent => "\\Sent",
            Self::Trash => "\\Trash",
        }
    }

    /// The use of this attribute's name, without regard to case.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|special_use| special_use.as_str().eq_ignore_ascii_case(name))
    }
}

/// One name in an account's list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailboxInfo {
    /// The name, UTF-8, with `/` between the levels.
    pub name: String,
    /// What is there.
    pub presence: Presence,
    /// Whether the name is subscribed.
    pub subscribed: bool,
    /// Its special use.
    pub special_use: Option<SpecialUse>,
}

/// What stands behind a name in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// A mailbox.
    Mailbox,
    /// No mailbox, but mailboxes below it (RFC 3501 §7.2.2, `\Noselect`).
    Parent,
    /// Nothing: the name is only subscribed.
    Absent,
}
