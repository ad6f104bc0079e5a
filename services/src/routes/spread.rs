//! Aliases laid over our domains and users: what stands in the table, and what its operator should hear.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::Path;

use smtp_proto::Mailbox;
use thiserror::Error;

use super::aliases::{AliasFault, Aliases, AliasesError, Entry, Name, Target, simplest};
use super::{Outward, Way};
use crate::directory::{Account, LoginName};

/// What the aliases are in each domain.
#[derive(Debug, Default)]
pub(super) struct Spread {
    /// By full address.
    pub(super) aliases: BTreeMap<String, Line>,
    /// Who takes all the rest, by domain.
    pub(super) others: BTreeMap<String, String>,
    /// What does no harm and cannot be meant.
    pub(super) remarks: BTreeSet<Remark>,
}

/// One alias in one domain.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) number: usize,
    pub(super) targets: Vec<String>,
}

/// Something to be told of a line.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Remark {
    pub(super) line: usize,
    pub(super) what: Oddity,
}

/// What is odd. It is about users, domains or ways, which change when the file does not, so that it is no fault.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Error)]
pub(super) enum Oddity {
    #[error("it is never used, since a user has the name, whose mailbox goes before; remove the one or the other")]
    Hidden,
    #[error("it is never used, since its domain is not one of ours; take mail for it with --domain")]
    NotOurs,
    #[error("its target {0} gets nothing, since nobody here has this name; correct it")]
    Nobody(String),
    #[error("its target {0} gets nothing, since there is no way to its domain; give one with --relay or --transport")]
    NoWay(String),
}

impl Spread {
    /// Lays the aliases over our domains, the first of them first, and the users.
    ///
    /// # Errors
    /// A line leads in a circle, or to too many.
    pub(super) fn new(
        aliases: &Aliases,
        domains: &[&str],
        accounts: &[Account],
        outward: &Outward,
    ) -> Result<Self, AliasesError> {
        let mut spread = Self::default();
        if aliases.is_empty() {
            return Ok(spread);
        }
        let ours: HashMap<&str, usize> = domains.iter().copied().zip(0..).collect();
        let names = spread.names(aliases, domains, &ours)?;
        let town = Town::new(domains, &ours, accounts, &names);
        for (name, entry) in &names {
            let domain = name.rsplit_once('@').map(|(_, domain)| domain).unwrap_or_default();
            let targets: Vec<_> = entry.targets.iter().map(|target| town.address(target, domain)).collect();
            for target in &targets {
                let what = match town.find(target) {
                    Found::Alias(_) | Found::User => continue,
                    Found::Nobody => Oddity::Nobody(target.clone()),
                    Found::Away(domain) => match outward.way(domain) {
                        Way::Closed => Oddity::NoWay(target.clone()),
                        Way::Exchangers | Way::Relay(_) => continue,
                    },
                };
                spread.remarks.insert(Remark { line: entry.line, what });
            }
            match (&entry.name, <[String; 1]>::try_from(targets)) {
                // Mail for nobody would come back to nobody.
                (Name::Others(_), Ok([target])) if matches!(town.find(&target), Found::Nobody) => {}
                (Name::Others(_), Ok([target])) => drop(spread.others.insert(domain.to_owned(), target)),
                (Name::Others(_), Err(_)) => {}
                (Name::Everywhere(_) | Name::At(_), targets) => {
                    let targets = targets.map_or_else(|targets| targets, Vec::from);
                    spread.aliases.insert(name.clone(), Line { number: entry.line, targets });
                }
            }
        }
        spread.remark_hidden(&town);
        Walk { aliases, spread: &spread, town: &town, done: HashMap::new(), open: Vec::new() }.all()?;
        Ok(spread)
    }

    /// Logs what is odd.
    pub(super) fn tell(&self, path: &Path) {
        for Remark { line, what } in self.remarks.iter().take(TOLD) {
            tracing::warn!("the aliases' file {}, line {line}: {what}", path.display());
        }
        if let Some(more) = self.remarks.len().checked_sub(TOLD).filter(|more| *more > 0) {
            tracing::warn!("the aliases' file {}: {more} more lines or targets like these", path.display());
        }
    }

    /// The names with their domains. One that is written with its domain goes before one without.
    fn names<'a>(
        &mut self,
        aliases: &'a Aliases,
        domains: &[&str],
        ours: &HashMap<&str, usize>,
    ) -> Result<BTreeMap<String, &'a Entry>, AliasesError> {
        let most = aliases.limits().all;
        let (mut names, mut count) = (BTreeMap::new(), 0_usize);
        let mut add = |name: String, entry: &'a Entry| {
            count = count.saturating_add(1).saturating_add(entry.targets.len());
            if count > most {
                return Err(aliases.fault(entry.line, AliasFault::TooManyInAll { most }));
            }
            names.entry(name).or_insert(entry);
            Ok(())
        };
        for entry in aliases.entries() {
            let (name, domain) = match &entry.name {
                Name::Everywhere(_) => continue,
                Name::At(address) => (address.clone(), address.rsplit_once('@').map(|(_, domain)| domain)),
                Name::Others(domain) => (format!("@{domain}"), Some(domain.as_str())),
            };
            if domain.is_some_and(|domain| ours.contains_key(domain)) {
                add(name, entry)?;
            } else {
                self.remarks.insert(Remark { line: entry.line, what: Oddity::NotOurs });
            }
        }
        for entry in aliases.entries() {
            let Name::Everywhere(local) = &entry.name else { continue };
            for domain in domains {
                add(format!("{local}@{domain}"), entry)?;
            }
        }
        Ok(names)
    }

    /// Remarks on lines that a user stands before, wherever they hold.
    fn remark_hidden(&mut self, town: &Town<'_>) {
        let mut lines: BTreeMap<usize, bool> = BTreeMap::new();
        for (name, entry) in town.names {
            *lines.entry(entry.line).or_insert(true) &= town.users.contains(name.as_str());
        }
        let hidden = lines.into_iter().filter(|(_, hidden)| *hidden);
        self.remarks.extend(hidden.map(|(line, _)| Remark { line, what: Oddity::Hidden }));
    }
}

/// Who is here.
struct Town<'a> {
    domains: &'a [&'a str],
    /// The place of each among them.
    ours: &'a HashMap<&'a str, usize>,
    users: HashSet<&'a str>,
    /// The aliases, and `@domain` for who takes all the rest.
    names: &'a BTreeMap<String, &'a Entry>,
    /// The first domain in which somebody has this local part.
    homes: HashMap<&'a str, usize>,
}

/// What an address is before others are asked.
enum Found<'a> {
    Alias(&'a str),
    User,
    /// In one of our domains, and neither of these.
    Nobody,
    /// In another domain.
    Away(&'a str),
}

impl<'a> Town<'a> {
    fn new(
        domains: &'a [&'a str],
        ours: &'a HashMap<&'a str, usize>,
        accounts: &'a [Account],
        names: &'a BTreeMap<String, &'a Entry>,
    ) -> Self {
        let users: HashSet<&str> = accounts.iter().map(Account::address).collect();
        let mut homes = HashMap::new();
        for address in users.iter().copied().chain(names.keys().map(String::as_str)) {
            let Some((local, domain)) = address.rsplit_once('@') else { continue };
            let Some(&place) = ours.get(domain) else { continue };
            homes.entry(local).and_modify(|first: &mut usize| *first = place.min(*first)).or_insert(place);
        }
        Self { domains, ours, users, names, homes }
    }

    /// A target's address, for a name in this domain; one of ours is folded as users are.
    fn address(&self, target: &Target, domain: &str) -> String {
        match target {
            Target::Here(local) => {
                let near = format!("{local}@{domain}");
                if !matches!(self.find(&near), Found::Nobody) {
                    return near;
                }
                let home = self.homes.get(local.as_str()).or_else(|| self.homes.get(user(local)?));
                match home.and_then(|place| self.domains.get(*place)) {
                    Some(domain) => format!("{local}@{domain}"),
                    None => near,
                }
            }
            Target::Address(written) => {
                let simple = Mailbox::parse(written).map_or_else(|_| written.clone(), simplest);
                match LoginName::parse(simple.as_bytes()) {
                    Ok(folded) if self.is_ours(folded.as_str()) => folded.as_str().to_owned(),
                    Ok(_) | Err(_) => written.clone(),
                }
            }
        }
    }

    fn is_ours(&self, address: &str) -> bool {
        address.rsplit_once('@').is_some_and(|(_, domain)| self.ours.contains_key(domain))
    }

    /// The router's order, but that an alias is seen behind a user too: a circle is one also while a user hides it.
    fn find<'b>(&'b self, address: &'b str) -> Found<'b> {
        let Some((local, domain)) = address.rsplit_once('@') else { return Found::Nobody };
        if !self.ours.contains_key(domain) {
            return Found::Away(domain);
        }
        let entry = |address: &str| match self.names.get_key_value(address) {
            Some((name, _)) => Some(Found::Alias(name)),
            None => self.users.contains(address).then_some(Found::User),
        };
        entry(address).or_else(|| entry(&format!("{}@{domain}", user(local)?))).unwrap_or(Found::Nobody)
    }
}

/// A local part without its detail, if it has one; see [`router::Resolution::detail`].
fn user(local: &str) -> Option<&str> {
    let (user, _) = local.split_once(DETAIL)?;
    (!user.is_empty() && !user.starts_with('"')).then_some(user)
}

/// What the table's builder takes for the beginning of a detail, unless it is told another.
const DETAIL: char = '+';

/// The way from each alias to its last targets.
struct Walk<'a> {
    aliases: &'a Aliases,
    spread: &'a Spread,
    town: &'a Town<'a>,
    /// How many addresses an alias stands for, each as often as it is met.
    done: HashMap<&'a str, usize>,
    /// The aliases on the way.
    open: Vec<&'a str>,
}

impl<'a> Walk<'a> {
    fn all(mut self) -> Result<(), AliasesError> {
        let spread = self.spread;
        spread.aliases.keys().try_for_each(|name| self.count(name).map(drop))
    }

    /// It goes as deep as an alias may have targets: each step is one of them.
    fn count(&mut self, name: &'a str) -> Result<usize, AliasesError> {
        if let Some(count) = self.done.get(name) {
            return Ok(*count);
        }
        let Some(Line { number, targets }) = self.spread.aliases.get(name) else { return Ok(0) };
        if let Some(begin) = self.open.iter().position(|open| *open == name) {
            let round: Vec<_> = self.open.iter().skip(begin).chain([&name]).copied().collect();
            let circle = match round.as_slice() {
                [first, second, .., last] if round.len() > SHOWN => format!("{first} → {second} → … → {last}"),
                all => all.join(" → "),
            };
            return Err(self.aliases.fault(*number, AliasFault::Circle { circle }));
        }
        let most = self.aliases.limits().targets;
        self.open.push(name);
        let mut count = targets.len();
        for target in targets {
            if self.open.len() > most {
                count = usize::MAX;
            } else if let Found::Alias(next) = self.town.find(target) {
                count = count.saturating_add(self.count(next)?);
            }
            if count > most {
                return Err(self.aliases.fault(*number, AliasFault::TooMany { most }));
            }
        }
        self.open.pop();
        self.done.insert(name, count);
        Ok(count)
    }
}

/// As many remarks as somebody reads.
const TOLD: usize = 50;

/// As much of a circle as fits on a line.
const SHOWN: usize = 6;

#[cfg(test)]
mod tests;
