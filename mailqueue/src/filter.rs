//! Which messages an operator means: a few words that all must hold.

mod glob;
mod words;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use thiserror::Error;

use crate::{Entry, EntryState, InvalidMessageId, MessageId, RecipientEntry, RecipientState, Waiting};

pub use glob::Glob;

/// Picks messages. Every field that is given must hold; the default picks all.
///
/// What is asked of recipients must hold for one and the same of them.
///
/// The text form has words like `domain=example.com older=4h text="greylisted"`, or `all`. Names and patterns are compared
/// without case, and `*` stands for anything.
///
/// ```
/// use mailqueue::Filter;
///
/// let filter: Filter = "domain=*.example.com older=90m state=deferred".parse()?;
/// assert_eq!(filter.to_string(), "domain=*.example.com older=90m state=deferred");
/// assert!("domain".parse::<Filter>().is_err());
/// # Ok::<(), mailqueue::FilterError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// It is one of these, where any are named. `id=…`, more than once if need be.
    pub ids: Vec<MessageId>,
    /// The reverse-path. `sender=` alone, or `sender=<>`, is the null sender.
    pub sender: Option<Glob>,
    /// Who handed it in.
    pub source: Option<Glob>,
    /// A recipient's forward-path.
    pub recipient: Option<Glob>,
    /// A recipient's domain.
    pub domain: Option<Glob>,
    /// The site where a recipient's mail goes, or, while it is not known, the destination's key.
    pub site: Option<Glob>,
    /// Words that stand in what was said last about a recipient, or in what holds up its site.
    pub text: Option<String>,
    /// It is at least this old. Written as `older=90m`, with `s`, `m`, `h` or `d`.
    pub older: Option<Duration>,
    /// It is younger than this.
    pub younger: Option<Duration>,
    /// What it waits for.
    pub state: Option<StateName>,
}

/// What a message waits for, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StateName {
    /// [`EntryState::Active`].
    Active,
    /// [`EntryState::Deferred`].
    Deferred,
    /// [`EntryState::Held`].
    Held,
    /// [`EntryState::Suspended`].
    Suspended,
    /// [`EntryState::Unreachable`].
    Unreachable,
}

/// Why a text is no filter.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum FilterError {
    /// There is no word. Someone who means all messages says so.
    #[error("say which messages, or all")]
    Empty,
    /// A word is not `key=value`.
    #[error("{0:?} is not of the form key=value")]
    NoValue(String),
    /// Nobody knows the key.
    #[error("{0:?} is not one of {known}", known = KEYS.join(", "))]
    UnknownKey(String),
    /// A key other than `id` stands there twice.
    #[error("{0} is given twice")]
    Twice(&'static str),
    /// `all` does not go with other words.
    #[error("all does not go with other words")]
    AllAndMore,
    /// A quote is not closed.
    #[error("a quote is not closed")]
    OpenQuote,
    /// It does not name a message.
    #[error("{0:?} is no message id: {1}")]
    Id(String, InvalidMessageId),
    /// It is not a duration.
    #[error("{0:?} is no duration such as 90s, 15m, 4h or 5d")]
    Duration(String),
    /// Messages have no such state.
    #[error("{0:?} is not one of active, deferred, held, suspended, unreachable")]
    State(String),
}

/// All keys, in the order in which they are written.
const KEYS: [&str; 10] = ["id", "sender", "source", "recipient", "domain", "site", "text", "older", "younger", "state"];
/// What means every message.
const ALL: &str = "all";

impl Filter {
    /// Picks one message.
    pub fn id(id: MessageId) -> Self {
        Self { ids: vec![id], ..Self::default() }
    }

    /// Reads words as a shell has split them: `key=value` each, without quotes.
    ///
    /// # Errors
    /// As [`FilterError`] says.
    pub fn from_words<W: AsRef<str>>(words: impl IntoIterator<Item = W>) -> Result<Self, FilterError> {
        let mut filter = Self::default();
        let mut count = 0;
        let mut is_all = false;
        for word in words {
            let word = word.as_ref();
            count += 1;
            if word == ALL {
                is_all = true;
                continue;
            }
            let (key, value) = word.split_once('=').ok_or_else(|| FilterError::NoValue(word.to_owned()))?;
            filter.add(key, value)?;
        }
        match (is_all, count) {
            (_, 0) => Err(FilterError::Empty),
            (true, 2..) => Err(FilterError::AllAndMore),
            (true | false, _) => Ok(filter),
        }
    }

    /// Whether an entry is meant.
    pub fn matches(&self, entry: &Entry) -> bool {
        let given = |glob: &Option<Glob>, text: &str| glob.as_ref().is_none_or(|glob| glob.matches(text));
        (self.ids.is_empty() || self.ids.contains(&entry.id))
            && given(&self.sender, &entry.sender)
            && given(&self.source, &entry.source)
            && self.older.is_none_or(|least| entry.age >= least)
            && self.younger.is_none_or(|most| entry.age < most)
            && self.state.is_none_or(|name| name == entry.state.name())
            && (!self.asks_of_recipients() || entry.recipients.iter().any(|one| self.matches_recipient(one)))
    }

    /// Whether what is asked of recipients holds for this one.
    pub fn matches_recipient(&self, recipient: &RecipientEntry) -> bool {
        let given = |glob: &Option<Glob>, text: &str| glob.as_ref().is_none_or(|glob| glob.matches(text));
        given(&self.recipient, &recipient.address)
            && given(&self.domain, domain(&recipient.address))
            && given(&self.site, recipient.site.as_deref().unwrap_or(recipient.destination.key()))
            && self.text.as_ref().is_none_or(|text| says(recipient, text))
    }

    fn asks_of_recipients(&self) -> bool {
        self.recipient.is_some() || self.domain.is_some() || self.site.is_some() || self.text.is_some()
    }

    fn add(&mut self, key: &str, value: &str) -> Result<(), FilterError> {
        match key {
            "id" => {
                let id = value.parse().map_err(|error| FilterError::Id(value.to_owned(), error))?;
                if !self.ids.contains(&id) {
                    self.ids.push(id);
                }
                Ok(())
            }
            "sender" => once("sender", &mut self.sender, Glob::new(if value == "<>" { "" } else { value })),
            "source" => once("source", &mut self.source, Glob::new(value)),
            "recipient" => once("recipient", &mut self.recipient, Glob::new(value)),
            "domain" => once("domain", &mut self.domain, Glob::new(value)),
            "site" => once("site", &mut self.site, Glob::new(value)),
            "text" => once("text", &mut self.text, value.to_owned()),
            "older" => once("older", &mut self.older, words::duration(value)?),
            "younger" => once("younger", &mut self.younger, words::duration(value)?),
            "state" => once("state", &mut self.state, value.parse()?),
            _ => Err(FilterError::UnknownKey(key.to_owned())),
        }
    }
}

impl FromStr for Filter {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Self, FilterError> {
        let words = words::split(text)?;
        Self::from_words(words)
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let glob = |glob: &Option<Glob>| glob.as_ref().map(ToString::to_string);
        let mut values: Vec<(&str, String)> = self.ids.iter().map(|id| ("id", id.to_string())).collect();
        let given = [
            ("sender", glob(&self.sender)),
            ("source", glob(&self.source)),
            ("recipient", glob(&self.recipient)),
            ("domain", glob(&self.domain)),
            ("site", glob(&self.site)),
            ("text", self.text.clone()),
            ("older", self.older.map(words::write_duration)),
            ("younger", self.younger.map(words::write_duration)),
            ("state", self.state.map(|state| state.as_str().to_owned())),
        ];
        values.extend(given.into_iter().filter_map(|(key, value)| value.map(|value| (key, value))));
        if values.is_empty() {
            return f.write_str(ALL);
        }
        for (place, (key, value)) in values.iter().enumerate() {
            let gap = if place == 0 { "" } else { " " };
            write!(f, "{gap}{key}={}", words::quote(value))?;
        }
        Ok(())
    }
}

impl StateName {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Deferred => "deferred",
            Self::Held => "held",
            Self::Suspended => "suspended",
            Self::Unreachable => "unreachable",
        }
    }
}

impl FromStr for StateName {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Self, FilterError> {
        [Self::Active, Self::Deferred, Self::Held, Self::Suspended, Self::Unreachable]
            .into_iter()
            .find(|name| text.eq_ignore_ascii_case(name.as_str()))
            .ok_or_else(|| FilterError::State(text.to_owned()))
    }
}

impl EntryState {
    /// The state in a word.
    pub fn name(&self) -> StateName {
        match self {
            Self::Active => StateName::Active,
            Self::Deferred { .. } => StateName::Deferred,
            Self::Held { .. } => StateName::Held,
            Self::Suspended { .. } => StateName::Suspended,
            Self::Unreachable { .. } => StateName::Unreachable,
        }
    }
}

/// The domain of an address (RFC 5321 §2.3.11); empty where it has none.
pub(crate) fn domain(address: &str) -> &str {
    address.rsplit_once('@').map_or("", |(_, domain)| domain)
}

fn once<T>(key: &'static str, place: &mut Option<T>, value: T) -> Result<(), FilterError> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(FilterError::Twice(key)),
    }
}

fn says(recipient: &RecipientEntry, text: &str) -> bool {
    let within = |detail: &crate::Detail| {
        [&detail.text, &detail.status, &detail.remote]
            .iter()
            .any(|part| part.to_lowercase().contains(&text.to_lowercase()))
    };
    match &recipient.state {
        RecipientState::Waiting { why: Waiting::Unreachable { detail: site, .. }, detail, .. } => {
            within(site) || detail.as_ref().is_some_and(within)
        }
        RecipientState::Waiting { detail, .. } => detail.as_ref().is_some_and(within),
        RecipientState::Failed { detail, .. } => within(detail),
        RecipientState::Trying { .. } | RecipientState::Delivered { .. } => false,
    }
}

#[cfg(test)]
mod tests;
