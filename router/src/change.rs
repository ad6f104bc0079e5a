//! What a table knows, one change at a time: the builder starts from nothing with them, a delta goes on with them.

use alloc::string::String;
use alloc::vec::Vec;

use crate::address::{Address, domain_name};
use crate::home::Home;
use crate::{MAX_NAME, MAX_TARGETS};

/// One change to a table. A name has one entry, so each replaces what the name stood for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The address is a mailbox.
    Mailbox {
        /// The address; it may carry a detail, and is then matched with it.
        address: String,
        /// Where the mailbox lives.
        home: Home,
    },
    /// The address stands for others.
    Alias {
        /// The address; it may carry a detail, and is then matched with it.
        address: String,
        /// Whom it stands for: 1 to [`MAX_TARGETS`], kept as they are written.
        targets: Vec<String>,
    },
    /// The domain is one of ours.
    Domain {
        /// The domain.
        name: String,
        /// What it is.
        domain: Domain,
    },
    /// The slot has another home.
    Slot {
        /// Which slot, below the number of slots that the table was built with.
        index: u32,
        /// Where its mailboxes live.
        home: Home,
    },
    /// The address or domain has no entry any more. Whoever gives the name an entry again starts from a higher
    /// epoch than it had.
    Forget {
        /// The address or domain.
        name: String,
    },
}

/// What one of our domains is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Domain {
    /// Its mailboxes live with us.
    Local(Others),
    /// All its mail goes to this next hop, which only the caller knows how to read.
    Relay(String),
    /// It is another spelling of this domain. Entries under its own name are never met.
    Alias(String),
}

/// What becomes of an address in a local domain that has no entry of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Others {
    /// There is nobody else.
    Nobody,
    /// This address takes their mail.
    CatchAll(String),
    /// They live here, all in one place.
    Home(Home),
    /// They live where the slot of the mailbox lives.
    Slots,
    /// They may live with a peer that shares the domain: this next hop knows.
    Relay(String),
}

/// Why a change was not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// Not an address, or longer than [`MAX_NAME`].
    #[error("not an address")]
    NotAnAddress,
    /// Not a domain, or longer than [`MAX_NAME`].
    #[error("not a domain")]
    NotADomain,
    /// A place or next hop without a name, or longer than [`MAX_NAME`].
    #[error("not the name of a place or next hop")]
    NotAPlace,
    /// An alias without targets, or with more than [`MAX_TARGETS`].
    #[error("an alias has too few or too many targets")]
    Targets,
    /// A name that stands for itself; whoever wants a copy kept and sent on files it at the mailbox.
    #[error("a name stands for itself")]
    Itself,
    /// The table has no such slot, or none at all.
    #[error("the table has no such slot")]
    NoSlot,
}

impl Change {
    /// The address is a mailbox with this home.
    pub fn mailbox(address: impl Into<String>, home: Home) -> Self {
        Self::Mailbox { address: address.into(), home }
    }

    /// The address stands for these.
    pub fn alias<T: Into<String>>(address: impl Into<String>, targets: impl IntoIterator<Item = T>) -> Self {
        Self::Alias { address: address.into(), targets: targets.into_iter().map(Into::into).collect() }
    }

    /// The domain is one of ours.
    pub fn domain(name: impl Into<String>, domain: Domain) -> Self {
        Self::Domain { name: name.into(), domain }
    }

    /// The address or domain has no entry any more.
    pub fn forget(name: impl Into<String>) -> Self {
        Self::Forget { name: name.into() }
    }

    /// The change as a table keeps it: names in their one spelling, everything within its limits.
    pub(crate) fn checked(self) -> Result<Checked, ChangeError> {
        Ok(match self {
            Self::Mailbox { address, home } => {
                Checked::Name(address_name(&address)?, Some(Entry::Mailbox(home.checked()?)))
            }
            Self::Alias { address, targets } => {
                let name = address_name(&address)?;
                if targets.is_empty() || targets.len() > MAX_TARGETS {
                    return Err(ChangeError::Targets);
                }
                for target in &targets {
                    if address_name(target)? == name {
                        return Err(ChangeError::Itself);
                    }
                }
                Checked::Name(name, Some(Entry::Alias(targets)))
            }
            Self::Domain { name, domain } => {
                let name = domain_name(&name).ok_or(ChangeError::NotADomain)?;
                let domain = checked_domain(&name, domain)?;
                Checked::Name(name, Some(Entry::Domain(domain)))
            }
            Self::Slot { index, home } => Checked::Slot(index, home.checked()?),
            Self::Forget { name } if name.contains('@') => Checked::Name(address_name(&name)?, None),
            Self::Forget { name } => Checked::Name(domain_name(&name).ok_or(ChangeError::NotADomain)?, None),
        })
    }
}

/// A change whose parts were looked at.
#[derive(Debug)]
pub(crate) enum Checked {
    Name(String, Option<Entry>),
    Slot(u32, Home),
}

/// What a name stands for. Names with an `@` are addresses, the others are domains: one index serves both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    Mailbox(Home),
    Alias(Vec<String>),
    Domain(Domain),
}

impl Entry {
    /// The home that an epoch fences, where the entry has one.
    pub(crate) const fn home(&self) -> Option<&Home> {
        match self {
            Self::Mailbox(home) | Self::Domain(Domain::Local(Others::Home(home))) => Some(home),
            Self::Alias(_) | Self::Domain(_) => None,
        }
    }
}

fn checked_domain(name: &str, domain: Domain) -> Result<Domain, ChangeError> {
    Ok(match domain {
        Domain::Alias(of) => match domain_name(&of) {
            None => return Err(ChangeError::NotADomain),
            Some(of) if of == name => return Err(ChangeError::Itself),
            Some(of) => Domain::Alias(of),
        },
        Domain::Relay(hop) => Domain::Relay(named(hop)?),
        Domain::Local(Others::CatchAll(target)) => {
            address_name(&target)?;
            Domain::Local(Others::CatchAll(target))
        }
        Domain::Local(Others::Home(home)) => Domain::Local(Others::Home(home.checked()?)),
        Domain::Local(Others::Relay(hop)) => Domain::Local(Others::Relay(named(hop)?)),
        Domain::Local(others @ (Others::Nobody | Others::Slots)) => Domain::Local(others),
    })
}

fn address_name(text: &str) -> Result<String, ChangeError> {
    Address::parse(text).map(|address| address.name()).ok_or(ChangeError::NotAnAddress)
}

impl Home {
    pub(crate) fn checked(self) -> Result<Self, ChangeError> {
        match self {
            Self::At { place, epoch } => Ok(Self::At { place: named(place)?, epoch }),
            Self::Moving { from, to, .. } if from == to => Err(ChangeError::Itself),
            Self::Moving { from, to, epoch } => Ok(Self::Moving { from: named(from)?, to: named(to)?, epoch }),
        }
    }
}

fn named(name: String) -> Result<String, ChangeError> {
    if name.is_empty() || name.len() > MAX_NAME { Err(ChangeError::NotAPlace) } else { Ok(name) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(change: Change) -> ChangeError {
        change.checked().unwrap_err()
    }

    #[test]
    fn names_are_kept_in_one_spelling() {
        let Ok(Checked::Name(name, Some(_))) = Change::mailbox("Al+X@Example.ORG.", Home::at("a")).checked() else {
            panic!()
        };
        assert_eq!(name, "al+x@example.org");
        let Ok(Checked::Name(name, None)) = Change::forget("Example.ORG.").checked() else { panic!() };
        assert_eq!(name, "example.org");
    }

    #[test]
    fn targets_are_kept_as_written() {
        let Ok(Checked::Name(_, Some(Entry::Alias(targets)))) = Change::alias("a@x", ["Bob@Y."]).checked() else {
            panic!()
        };
        assert_eq!(targets, ["Bob@Y."]);
    }

    #[test]
    fn what_cannot_be_kept_is_refused() {
        let long = "x".repeat(MAX_NAME + 1);
        assert_eq!(refusal(Change::mailbox("alice", Home::at("a"))), ChangeError::NotAnAddress);
        assert_eq!(refusal(Change::mailbox("a@x", Home::at(""))), ChangeError::NotAPlace);
        assert_eq!(refusal(Change::mailbox("a@x", Home::at(long.clone()))), ChangeError::NotAPlace);
        let still = Home::Moving { from: "a".into(), to: "a".into(), epoch: 1 };
        assert_eq!(refusal(Change::mailbox("a@x", still)), ChangeError::Itself);
        assert_eq!(refusal(Change::alias("a@x", [""; 0])), ChangeError::Targets);
        assert_eq!(refusal(Change::alias("a@x", ["b@x"; MAX_TARGETS + 1])), ChangeError::Targets);
        assert_eq!(refusal(Change::alias("a@x", ["b@x", "A@X."])), ChangeError::Itself);
        assert_eq!(refusal(Change::alias("a@x", ["b"])), ChangeError::NotAnAddress);
        assert_eq!(refusal(Change::domain("a@x", Domain::Local(Others::Nobody))), ChangeError::NotADomain);
        assert_eq!(refusal(Change::domain("x", Domain::Alias("X.".into()))), ChangeError::Itself);
        assert_eq!(refusal(Change::domain("x", Domain::Alias(String::new()))), ChangeError::NotADomain);
        assert_eq!(refusal(Change::domain("x", Domain::Relay(long))), ChangeError::NotAPlace);
        let nobody = Domain::Local(Others::CatchAll("nobody".into()));
        assert_eq!(refusal(Change::domain("x", nobody)), ChangeError::NotAnAddress);
    }
}
