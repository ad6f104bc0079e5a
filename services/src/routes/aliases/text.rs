//! The aliases' file as text, in the manner of aliases(5) of Sendmail and Postfix.

use std::collections::HashMap;
use std::fmt;

use smtp_proto::Mailbox;
use thiserror::Error;

use crate::directory::LoginName;

/// One alias.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Where it begins, counted from 1.
    pub(crate) line: usize,
    pub(crate) name: Name,
    pub(crate) targets: Vec<Target>,
}

/// Whose mail it is about. Names are folded and in their simplest form.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Name {
    /// `sales`: this local part in each of our domains.
    Everywhere(String),
    /// `sales@example.org`.
    At(String),
    /// `@example.org`: all who have nothing else in this domain.
    Others(String),
}

/// To whom it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// This local part, folded, in the same domain.
    Here(String),
    /// This address, as it was written.
    Address(String),
}

/// What is wrong with one line of an aliases' file.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AliasFault {
    /// Not UTF-8.
    #[error("it is not UTF-8; write it anew, or remove it")]
    NotUtf8,
    /// A quotation mark without another one.
    #[error("a quotation mark is not closed; add the other one in the same line")]
    OpenQuote,
    /// No `:`.
    #[error(
        "there is no ':' behind a name; write name: target, or begin the line with white space if it continues another"
    )]
    NoColon,
    /// White space at its front, and no line before it.
    #[error("it begins with white space, as if it continued another line; begin it with the name")]
    NothingToContinue,
    /// What stands before the `:` is no name.
    #[error(
        "what stands before the ':' is no name; write sales, sales@example.org, or @example.org for everybody else"
    )]
    Name,
    /// The name has a line already.
    #[error("its name has a line already, line {first}; write all targets in one of them")]
    Twice {
        /// The other line, counted from 1.
        first: usize,
    },
    /// Nothing stands behind the `:`.
    #[error("it has no target; write name: target, or remove it")]
    NoTarget,
    /// It stands for more addresses than are allowed.
    #[error("it stands for more than {most} addresses, all aliases followed; split it, or use a mailing list")]
    TooMany {
        /// The bound.
        most: usize,
    },
    /// Several targets for everybody else.
    #[error("everybody else goes to one target; name an alias there that stands for several")]
    Several,
    /// A target with white space in it.
    #[error("a target has white space in it; put commas between targets, and a line's name at its very front")]
    Space,
    /// A target that is nothing that mail could go to.
    #[error("a target is no address; write alice@example.org, or alice for somebody in the same domain")]
    Target,
    /// `|command`.
    #[error("a target is a command, and this server runs none; give an address")]
    Command,
    /// `/file`.
    #[error("a target is a file, and this server writes into mailboxes only; give an address")]
    File,
    /// `:include:/file`.
    #[error("a target is a list in another file, which this server does not read; write its addresses here")]
    Include,
    /// `\name`.
    #[error(
        "a '\\' means a mailbox beside an alias of the same name, which cannot be here; give the alias another name"
    )]
    Backslash,
    /// Aliases lead back to this one.
    #[error("aliases lead in a circle, {circle}; take one of them out")]
    Circle {
        /// The way round.
        circle: String,
    },
    /// More names and targets than are held.
    #[error(
        "up to here there are more than {most} names and targets, those without a domain counted in each; add domains to them"
    )]
    TooManyInAll {
        /// The bound.
        most: usize,
    },
}

/// Reads a whole file, or names the first line (counted from 1) that is wrong.
pub(super) fn parse(text: &[u8], most: usize) -> Result<Vec<Entry>, (usize, AliasFault)> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut seen: HashMap<Name, usize> = HashMap::new();
    for (number, line) in (1..).zip(text.split(|&octet| octet == b'\n')) {
        let at = |fault| (number, fault);
        let line = str::from_utf8(line).map_err(|_| at(AliasFault::NotUtf8))?;
        // aliases(5): a comment or an empty line ends nothing.
        if matches!(line.trim_start().chars().next(), None | Some('#')) {
            continue;
        }
        let (named, words) = split(line).map_err(at)?;
        if let Some(named) = named {
            done(entries.last())?;
            let name = name(named).ok_or_else(|| at(AliasFault::Name))?;
            if let Some(first) = seen.insert(name.clone(), number) {
                return Err(at(AliasFault::Twice { first }));
            }
            entries.push(Entry { line: number, name, targets: Vec::new() });
        }
        let Some(entry) = entries.last_mut() else { return Err(at(AliasFault::NothingToContinue)) };
        for word in words {
            entry.targets.push(target(word).map_err(at)?);
            if matches!(entry.name, Name::Others(_)) && entry.targets.len() > 1 {
                return Err(at(AliasFault::Several));
            }
            if entry.targets.len() > most {
                return Err(at(AliasFault::TooMany { most }));
            }
        }
    }
    done(entries.last())?;
    Ok(entries)
}

/// Looks at an entry that nothing is added to any more.
fn done(entry: Option<&Entry>) -> Result<(), (usize, AliasFault)> {
    match entry {
        Some(entry) if entry.targets.is_empty() => Err((entry.line, AliasFault::NoTarget)),
        Some(_) | None => Ok(()),
    }
}

/// A line's name, if it has one, and the words behind it; without its comment.
fn split(line: &str) -> Result<(Option<&str>, Vec<&str>), AliasFault> {
    let continues = line.starts_with(char::is_whitespace);
    let (mut name, mut words, mut begin) = (None, Vec::new(), 0);
    let (mut quoting, mut before, mut end) = (Quoting::Outside, ' ', line.len());
    for (at, c) in line.char_indices() {
        quoting = match (quoting, c) {
            (Quoting::Outside, ':') if name.is_none() && !continues => {
                name = line.get(begin..at);
                begin = at + 1;
                Quoting::Outside
            }
            (Quoting::Outside, ',') => {
                words.extend(line.get(begin..at));
                begin = at + 1;
                Quoting::Outside
            }
            (Quoting::Outside, '#') if before.is_whitespace() || matches!(before, ',' | ':') => {
                end = at;
                break;
            }
            (Quoting::Outside, '"') => Quoting::Inside,
            (Quoting::Inside, '"') => Quoting::Outside,
            (Quoting::Inside, '\\') => Quoting::Escaped,
            (Quoting::Escaped, _) => Quoting::Inside,
            (quoting @ (Quoting::Outside | Quoting::Inside), _) => quoting,
        };
        before = c;
    }
    match quoting {
        Quoting::Outside => {}
        Quoting::Inside | Quoting::Escaped => return Err(AliasFault::OpenQuote),
    }
    if name.is_none() && !continues {
        return Err(AliasFault::NoColon);
    }
    words.extend(line.get(begin..end));
    let words = words.into_iter().map(str::trim).filter(|word| !word.is_empty()).collect();
    Ok((name.map(str::trim), words))
}

#[derive(Clone, Copy)]
enum Quoting {
    Outside,
    Inside,
    /// Inside, behind a backslash.
    Escaped,
}

fn name(text: &str) -> Option<Name> {
    if let Some(domain) = text.strip_prefix('@') {
        let somebody = format!("x@{domain}");
        return Mailbox::parse(&somebody).is_ok().then(|| Name::Others(domain.to_lowercase()));
    }
    match Mailbox::parse(text) {
        Ok(mailbox) => folded(&simplest(mailbox)).map(Name::At),
        Err(_) => local_part(text).map(Name::Everywhere),
    }
}

fn target(word: &str) -> Result<Target, AliasFault> {
    let meant = word.strip_prefix('"').unwrap_or(word);
    let include = meant.get(..INCLUDE.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(INCLUDE));
    match meant.chars().next() {
        Some('|') => return Err(AliasFault::Command),
        Some('/') => return Err(AliasFault::File),
        Some('\\') => return Err(AliasFault::Backslash),
        Some(_) if include => return Err(AliasFault::Include),
        Some(_) | None => {}
    }
    if Mailbox::parse(word).is_ok() {
        return Ok(Target::Address(word.to_owned()));
    }
    match local_part(word) {
        Some(local) => Ok(Target::Here(local)),
        None if !word.contains('"') && word.contains(char::is_whitespace) => Err(AliasFault::Space),
        None => Err(AliasFault::Target),
    }
}

const INCLUDE: &str = ":include:";

/// A local part alone, folded and in its simplest form.
fn local_part(text: &str) -> Option<String> {
    let address = format!("{text}@{SOMEWHERE}");
    let mailbox = Mailbox::parse(&address).ok().filter(|mailbox| mailbox.local_part() == text)?;
    let address = folded(&simplest(mailbox))?;
    address.strip_suffix(SOMEWHERE)?.strip_suffix('@').map(str::to_owned)
}

/// RFC 2606 §2: nobody's.
const SOMEWHERE: &str = "x.invalid";

/// The spelling that users have too.
fn folded(address: &str) -> Option<String> {
    LoginName::parse(address.as_bytes()).ok().map(|name| name.as_str().to_owned())
}

/// An address without quotes that its local part does not need, and in quotes without backslashes that it does not need
/// (RFC 5321 §4.1.2).
pub(crate) fn simplest(mailbox: Mailbox<&str>) -> String {
    let (meaning, domain) = (mailbox.unquoted_local_part(), mailbox.domain());
    let plain = format!("{meaning}@{}", domain.as_str());
    if Mailbox::parse(&plain).is_ok_and(|plain| plain.local_part() == meaning) && !meaning.starts_with('"') {
        return plain;
    }
    format!("{}@{}", quoted(&meaning), domain.as_str())
}

fn quoted(meaning: &str) -> String {
    format!("\"{}\"", meaning.replace('\\', "\\\\").replace('"', "\\\""))
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Name::Everywhere(name) | Name::At(name) => f.write_str(&word(name))?,
            Name::Others(domain) => write!(f, "@{domain}")?,
        }
        for (at, target) in self.targets.iter().enumerate() {
            let (Target::Here(text) | Target::Address(text)) = target;
            write!(f, "{} {}", if at == 0 { ":" } else { "," }, word(text))?;
        }
        Ok(())
    }
}

/// A word that is no comment, whatever it begins with.
fn word(text: &str) -> String {
    if !text.starts_with('#') {
        return text.to_owned();
    }
    match text.rsplit_once('@') {
        Some((local, domain)) => format!("{}@{domain}", quoted(local)),
        None => quoted(text),
    }
}

#[cfg(test)]
mod tests;
