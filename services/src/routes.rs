//! The router's table of one server: made of its domains and users, swapped whole when they change.
//!
//! ```
//! use services::directory::Account;
//! use services::routes::{Admission, Hop, Outward, Refusal, Routing, Sender};
//!
//! let users = [Account::new("alice@example.org")?];
//! let routing = Routing::new(vec!["example.org".into()], Outward::default(), &users)?;
//!
//! let mailbox = |name: &str| Hop::Mailbox { mailbox: name.into(), place: "local".into(), epoch: 0 };
//! assert_eq!(routing.admit("Alice+news@EXAMPLE.org", Sender::Stranger), Ok(vec![mailbox("alice@example.org")]));
//! assert_eq!(routing.admit("postmaster", Sender::Stranger), Ok(vec![mailbox("alice@example.org")]));
//! assert_eq!(routing.admit("carol@example.org", Sender::Stranger), Err(Refusal::NoSuchMailbox));
//! assert_eq!(routing.admit("dave@example.net", Sender::Stranger), Err(Refusal::NotForStrangers));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod outward;

use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use router::{
    BuildError, Change, ChangeError, Domain, Home, Others, Resolution, Route, Routes, Snapshot, TableBuilder,
    TableError, resolve,
};
use thiserror::Error;

use crate::directory::{Account, LoginName};

pub use outward::{NoRelay, NoSuchWay, NoTransport, Outward, RelayHost, Transport, Way};

/// The name of the one place where the mailboxes of a single server live.
pub const LOCAL: &str = "local";

/// Says where mail goes, from a table that can be swapped while others ask.
#[derive(Debug)]
pub struct Routing {
    table: ArcSwap<Routes<Vec<u8>>>,
    domains: Vec<String>,
    outward: Outward,
    /// Held from reading the version to swapping the table, so that it never goes back.
    rebuilding: Mutex<()>,
}

/// Whose word it is that a message shall go somewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// Anybody, from wherever the connection comes: only what is ours is taken.
    Stranger,
    /// A user who is logged in.
    User,
}

/// Where the mail for one recipient goes; several where the address stands for several.
pub type Admission = Result<Vec<Hop>, Refusal>;

/// One way onward.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hop {
    /// Into a mailbox.
    Mailbox {
        /// The one spelling of its address.
        mailbox: String,
        /// Where it lives; [`LOCAL`] is here.
        place: String,
        /// What a delivery there says, see [`Home`].
        epoch: u64,
    },
    /// To a server that the table names.
    Relay {
        /// Its name.
        hop: String,
        /// The address to give there.
        address: String,
    },
    /// To a domain that is not ours, by the way that [`Outward`] says when it is delivered.
    Outward {
        /// The domain, folded.
        domain: String,
        /// The address.
        address: String,
    },
}

impl Hop {
    /// Whether mail goes on to another server, which takes it from us as from anybody.
    #[must_use]
    pub const fn leads_away(&self) -> bool {
        match self {
            Self::Mailbox { .. } => false,
            Self::Relay { .. } | Self::Outward { .. } => true,
        }
    }
}

/// Why mail for a recipient is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// The domain is ours, and nobody there has this name: 550 5.1.1 (RFC 3463 §3.2).
    #[error("no such mailbox")]
    NoSuchMailbox,
    /// The domain is not ours, and neither is the sender: 550 5.7.1 (RFC 3463 §3.8).
    #[error("relaying is not allowed")]
    NotForStrangers,
    /// The domain is not ours, and no way out is configured for it: 550 5.4.4 (RFC 3463 §3.5).
    #[error("this server has no way to that domain")]
    NoWay,
    /// It cannot be said now: 451 4.3.0 (RFC 3463 §3.4).
    #[error("the mailbox cannot be found now")]
    NotNow,
}

/// Why there is no table.
#[derive(Debug, Error)]
pub enum RoutingError {
    /// A domain or an address cannot stand in a table.
    #[error("{name:?} cannot be routed: {fault}")]
    Name {
        /// Which.
        name: String,
        /// Why.
        fault: ChangeError,
    },
    /// The table could not be written.
    #[error("the routing table cannot be written: {0}")]
    Build(#[from] BuildError),
    /// The table could not be read back.
    #[error("the routing table cannot be read: {0}")]
    Open(#[from] TableError),
    /// The system gave no randomness.
    #[error("the system gives no random numbers: {0}")]
    Random(#[from] io::Error),
}

impl Routing {
    /// Makes the table. Each user is a mailbox in [`LOCAL`]; the domains given and those of the users are ours; mail for
    /// others goes by the ways given. In each domain `postmaster` is somebody (RFC 5321 §4.5.1): unless a user
    /// has the name, the first user of the domain, or of all.
    ///
    /// # Errors
    /// A name cannot be routed, or the system has no random numbers.
    pub fn new(domains: Vec<String>, outward: Outward, accounts: &[Account]) -> Result<Self, RoutingError> {
        let table = ArcSwap::from_pointee(table(1, &domains, accounts)?);
        Ok(Self { table, domains, outward, rebuilding: Mutex::new(()) })
    }

    /// Takes a table that was made elsewhere, with aliases and places of its own. The first of the domains is the one whose
    /// `postmaster` has no domain. [`rebuild`](Self::rebuild) would put a table of users in its place.
    #[must_use]
    pub fn with_table(table: Routes<Vec<u8>>, domains: Vec<String>, outward: Outward) -> Self {
        Self { table: ArcSwap::from_pointee(table), domains, outward, rebuilding: Mutex::new(()) }
    }

    /// Puts a table of other users in the place of the one in use. Blocks as long as writing it takes.
    ///
    /// # Errors
    /// As for [`new`](Self::new); what was in use stays.
    pub fn rebuild(&self, accounts: &[Account]) -> Result<(), RoutingError> {
        let _rebuilding = self.rebuilding.lock().unwrap_or_else(PoisonError::into_inner);
        let version = self.table.load().delta().version().saturating_add(1);
        self.table.store(Arc::new(table(version, &self.domains, accounts)?));
        Ok(())
    }

    /// Says what becomes of an address, and why.
    #[must_use]
    pub fn resolve(&self, address: &str) -> Resolution {
        let table = self.table.load();
        if let Some(domain) = self.domains.first().filter(|_| address.eq_ignore_ascii_case("postmaster")) {
            return resolve(&table, &format!("{address}@{domain}"));
        }
        let found = resolve(&table, address);
        if found.route != Route::Unknown || address.is_ascii() {
            return found;
        }
        // The table folds ASCII only. Users have the spelling of the directory, which folds the rest too.
        match LoginName::parse(address.as_bytes()) {
            Ok(folded) => resolve(&table, folded.as_str()),
            Err(_) => found,
        }
    }

    /// Decides whether a recipient is taken, and where the mail goes. Nobody is relayed for because of an address:
    /// loopback is a stranger too.
    ///
    /// # Errors
    /// [`Refusal`], each with its reply.
    pub fn admit(&self, address: &str, sender: Sender) -> Admission {
        let route = self.resolve(address).route;
        if let Route::Forward(targets) = &route {
            return self.forward(targets);
        }
        self.hop(route, sender).map(|hop| vec![hop])
    }

    fn hop(&self, route: Route, sender: Sender) -> Result<Hop, Refusal> {
        match route {
            Route::Mailbox { mailbox, place, epoch } => Ok(Hop::Mailbox { mailbox, place, epoch }),
            Route::Relay { hop, address } => Ok(Hop::Relay { hop, address }),
            Route::Foreign { address } => match sender {
                Sender::Stranger => Err(Refusal::NotForStrangers),
                Sender::User => self.leave(address),
            },
            Route::Unknown => Err(Refusal::NoSuchMailbox),
            // A target of an alias is no alias.
            Route::Moving { .. } | Route::Broken | Route::Forward(_) => Err(Refusal::NotNow),
        }
    }

    fn leave(&self, address: String) -> Result<Hop, Refusal> {
        let domain = address.rsplit_once('@').map(|(_, domain)| domain.to_lowercase()).unwrap_or_default();
        match self.outward.way(&domain) {
            Way::Closed => Err(Refusal::NoWay),
            Way::Exchangers | Way::Relay(_) => Ok(Hop::Outward { domain, address }),
        }
    }

    /// The ways out.
    #[must_use]
    pub const fn outward(&self) -> &Outward {
        &self.outward
    }

    /// An alias is our own word that its targets want the mail, so strangers reach them through it.
    fn forward(&self, targets: &[String]) -> Admission {
        let mut hops = Vec::with_capacity(targets.len());
        for target in targets {
            match self.hop(self.resolve(target).route, Sender::User) {
                Ok(hop) => hops.push(hop),
                Err(Refusal::NotNow) => return Err(Refusal::NotNow),
                Err(Refusal::NoSuchMailbox | Refusal::NotForStrangers | Refusal::NoWay) => {}
            }
        }
        if hops.is_empty() { Err(Refusal::NoSuchMailbox) } else { Ok(hops) }
    }
}

fn table(version: u64, domains: &[String], accounts: &[Account]) -> Result<Routes<Vec<u8>>, RoutingError> {
    // A key under which names collide is as rare as it is harmless: another one does.
    let mut tries = 3;
    loop {
        let mut key = [0; 16];
        getrandom::fill(&mut key).map_err(io::Error::from)?;
        match fill(TableBuilder::new(version, key), domains, accounts)?.finish() {
            Ok(bytes) => return Ok(Routes::new(Snapshot::open(bytes)?)),
            Err(BuildError::Key) if tries > 1 => tries -= 1,
            Err(error) => return Err(error.into()),
        }
    }
}

fn fill(mut table: TableBuilder, domains: &[String], accounts: &[Account]) -> Result<TableBuilder, RoutingError> {
    let mut apply =
        |name: &str, change| table.apply(change).map_err(|fault| RoutingError::Name { name: name.to_owned(), fault });
    let ours: BTreeSet<&str> = domains.iter().map(String::as_str).chain(accounts.iter().map(Account::domain)).collect();
    for domain in ours {
        apply(domain, Change::domain(domain, Domain::Local(Others::Nobody)))?;
        let theirs = accounts.iter().find(|account| account.domain() == domain);
        if let Some(first) = theirs.or(accounts.first()) {
            let postmaster = format!("postmaster@{domain}");
            if first.address() != postmaster {
                apply(&postmaster, Change::alias(postmaster.as_str(), [first.address()]))?;
            }
        }
    }
    // A mailbox takes the place of the alias of the same name.
    for account in accounts {
        apply(account.address(), Change::mailbox(account.address(), Home::at(LOCAL)))?;
    }
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accounts(addresses: &[&str]) -> Vec<Account> {
        addresses.iter().map(|address| Account::new(address).unwrap()).collect()
    }

    fn routing(relay: Option<&str>, addresses: &[&str]) -> Routing {
        let outward = relay.map_or_else(Outward::default, |relay| Outward::new(relay.parse().unwrap()));
        Routing::new(vec!["example.org".into()], outward, &accounts(addresses)).unwrap()
    }

    fn mailbox(name: &str) -> Admission {
        Ok(vec![Hop::Mailbox { mailbox: name.into(), place: LOCAL.into(), epoch: 0 }])
    }

    #[test]
    fn domains_of_users_are_ours_though_nobody_named_them() {
        let routing = routing(None, &["alice@example.org", "zoe@other.example"]);
        assert_eq!(routing.admit("ZOE+x@Other.Example.", Sender::Stranger), mailbox("zoe@other.example"));
        assert_eq!(routing.admit("alice@other.example", Sender::Stranger), Err(Refusal::NoSuchMailbox));
    }

    #[test]
    fn postmaster_is_somebody_everywhere() {
        let none = routing(None, &[]);
        assert_eq!(none.admit("postmaster@example.org", Sender::Stranger), Err(Refusal::NoSuchMailbox));
        let routing = routing(None, &["adam@a.example", "postmaster@b.example", "zoe@b.example"]);
        for (address, owner) in [
            ("postmaster", "adam@a.example"),
            ("POSTMASTER@example.org", "adam@a.example"),
            ("postmaster@a.example", "adam@a.example"),
            ("postmaster@b.example", "postmaster@b.example"),
        ] {
            assert_eq!(routing.admit(address, Sender::Stranger), mailbox(owner), "{address}");
        }
    }

    #[test]
    fn only_users_are_relayed_for_and_only_where_there_is_a_relay() {
        let with = routing(Some("smtp.example.net:25"), &["alice@example.org"]);
        let hop = Hop::Outward { domain: "example.net".into(), address: "Bob+X@example.net".into() };
        assert_eq!(with.admit("Bob+X@Example.NET", Sender::User), Ok(vec![hop]));
        assert_eq!(with.admit("bob@example.net", Sender::Stranger), Err(Refusal::NotForStrangers));
        assert_eq!(with.admit("nobody@example.org", Sender::User), Err(Refusal::NoSuchMailbox));
        let without = routing(None, &["alice@example.org"]);
        assert_eq!(without.admit("bob@example.net", Sender::User), Err(Refusal::NoWay));
    }

    #[test]
    fn what_is_no_address_is_nobody() {
        let routing = routing(Some("smtp.example.net:25"), &["alice@example.org"]);
        for address in ["", "alice", "@example.org", "alice@", "a\r\n@example.org"] {
            assert_eq!(routing.admit(address, Sender::User), Err(Refusal::NoSuchMailbox), "{address:?}");
        }
    }

    #[test]
    fn users_outside_ascii_are_found_in_any_spelling() {
        let routing = routing(None, &["renée@example.org"]);
        assert_eq!(routing.admit("RENE\u{301}E@example.org", Sender::Stranger), mailbox("renée@example.org"));
    }

    #[test]
    fn a_rebuilt_table_is_asked_at_once_and_newer() {
        let routing = routing(None, &["alice@example.org"]);
        let before = routing.table.load().delta().version();
        routing.rebuild(&accounts(&["bob@example.org"])).unwrap();
        assert_eq!(routing.admit("alice@example.org", Sender::Stranger), Err(Refusal::NoSuchMailbox));
        assert_eq!(routing.admit("bob@example.org", Sender::Stranger), mailbox("bob@example.org"));
        assert_eq!(routing.table.load().delta().version(), before + 1);
    }
}
