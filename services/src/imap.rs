//! IMAP over any mail store.
//!
//! ```no_run
//! # use std::sync::Arc;
//! # use mailstore::memory::MemoryStore;
//! # use services::directory::Accounts;
//! # fn serve(accounts: Accounts) {
//! use imap_proto::{PlaintextLogin, StartTls};
//! use services::imap::{Imap, ImapOptions};
//!
//! let options = ImapOptions {
//!     host: "mail.example.org".to_owned(),
//!     software: Some("Posthaste".to_owned()),
//!     start_tls: StartTls::Offered,
//!     plaintext_login: PlaintextLogin::UnderTls,
//! };
//! let imap = Imap::new(Arc::new(MemoryStore::new()), accounts, options);
//! // `services::net::serve` takes it, with as many listeners as you like.
//! # }
//! ```
//!
//! The engine keeps the protocol and each client's numbers; the store keeps the messages. What is between them is here: a
//! session asks the store what changed, when there is a hint, when a command ends, and from time to time while its client
//! idles, and tells the engine. Messages stream from the store to the client; of none is more held than a piece and its
//! headers.

mod address;
mod append;
mod budget;
mod facts;
mod fetch;
mod header;
mod mail;
mod mailboxes;
mod messages;
mod mime;
mod search;
mod section;
mod select;
mod structure;
mod text;

use std::future::pending;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use imap_proto::{Event, PlaintextLogin, Reply, Secret, ServerConfig, ServerSession, StartTls};
use mailstore::Store;

use self::append::Incoming;
use self::budget::Budget;
use self::messages::Expunging;
use self::select::Open;
use crate::convert::imap::{self as convert, NAME};
use crate::directory::{Account, Accounts, Why};
use crate::engine::{Close, Link};
use crate::login;
use crate::net::{Connection, Fault, Handler, Next, Service};
use crate::sasl::{self, Channel, SaslServer};

/// Fields of a client's ID that are logged, and characters of each: enough to know which program it is.
const ID_FIELDS_LOGGED: usize = 4;
const ID_CHARACTERS_LOGGED: usize = 64;

/// What the service needs to know.
#[derive(Clone, Debug)]
pub struct ImapOptions {
    /// The host's name, for the greeting.
    pub host: String,
    /// What ID calls the software (RFC 2971); `None` does not tell.
    pub software: Option<String>,
    /// Whether STARTTLS is offered.
    pub start_tls: StartTls,
    /// Whether passwords may cross the network as they are.
    pub plaintext_login: PlaintextLogin,
}

/// Serves mailboxes from a store to those whom the directory lets in.
#[derive(Debug)]
pub struct Imap<S> {
    shared: Arc<Shared<S>>,
}

#[derive(Debug)]
struct Shared<S> {
    store: Arc<S>,
    accounts: Accounts,
    config: Arc<ServerConfig>,
    budget: Arc<Budget>,
}

impl<S: Store> Imap<S> {
    /// Makes the service. One serves any number of listeners.
    #[must_use]
    pub fn new(store: Arc<S>, accounts: Accounts, options: ImapOptions) -> Self {
        let ImapOptions { host, software, start_tls, plaintext_login } = options;
        let names = |channel| sasl::mechanisms(channel).iter().map(ToString::to_string).collect();
        let config = ServerConfig {
            greeting: format!("{host} IMAP server ready"),
            id: software.map(|name| ("name".to_owned(), name)).into_iter().collect(),
            start_tls,
            plaintext_login,
            mechanisms: names(Channel::Private),
            mechanisms_before_tls: names(Channel::Open),
            ..ServerConfig::default()
        };
        let (config, budget) = (Arc::new(config), Arc::new(Budget::new()));
        Self { shared: Arc::new(Shared { store, accounts, config, budget }) }
    }
}

impl<S: Store> Service for Imap<S> {
    type Engine = ServerSession;
    type Handler = Session<S>;

    fn name(&self) -> &'static str {
        NAME
    }

    fn connect(&self, link: Link) -> (ServerSession, Session<S>) {
        let peer = link.peer.map(|peer| peer.ip());
        let sasl = SaslServer::new(self.shared.accounts.clone(), peer);
        let engine = ServerSession::new(Arc::clone(&self.shared.config), link.into(), Duration::ZERO);
        (engine, Session { shared: Arc::clone(&self.shared), peer, stage: Stage::Stranger(Box::new(sasl)) })
    }
}

/// One client's session.
pub struct Session<S: Store> {
    shared: Arc<Shared<S>>,
    peer: Option<IpAddr>,
    stage: Stage<S::Account>,
}

/// Who the client is.
enum Stage<A: mailstore::Account> {
    /// Nobody yet.
    Stranger(Box<SaslServer>),
    /// A user.
    User(Box<User<A>>),
}

/// A user who is in.
struct User<A: mailstore::Account> {
    account: A,
    budget: Arc<Budget>,
    /// The mailbox that is selected. None too while the engine has one that was taken away.
    selected: Option<Open<A::Mailbox>>,
    incoming: Incoming<<A::Mailbox as mailstore::Mailbox>::Writer>,
}

type Conn = Connection<ServerSession>;

impl<S: Store> Handler<ServerSession> for Session<S> {
    async fn event(&mut self, conn: &mut Conn, event: Event) -> Result<Next, Fault> {
        match event {
            Event::Connected => accept(conn)?,
            Event::Login { user, password } => {
                let outcome = self.shared.accounts.login(self.peer, user.as_bytes(), password.expose()).await;
                self.login(conn, outcome).await?;
            }
            Event::Authenticate { mechanism, initial } => {
                let Stage::Stranger(sasl) = &mut self.stage else { return declined(conn) };
                // The engine offers no mechanism that the channel does not allow.
                let initial = initial.as_ref().map(Secret::expose);
                let progress = sasl.start(Channel::Private, &mechanism, initial).await;
                self.sasl_progress(conn, progress).await?;
            }
            Event::SaslResponse(response) => {
                let Stage::Stranger(sasl) = &mut self.stage else { return declined(conn) };
                let progress = sasl.respond(response.expose()).await;
                self.sasl_progress(conn, progress).await?;
            }
            Event::SaslCancelled => {
                if let Stage::Stranger(sasl) = &mut self.stage {
                    sasl.cancel();
                }
            }
            Event::Id(fields) => self.identified(&fields),
            Event::Logout => {}
            Event::Violation(violation) => {
                metrics::counter!("posthaste_violations_total", "service" => NAME, "violation" => violation.as_str())
                    .increment(1);
            }
            event @ (Event::Select { .. }
            | Event::Create(_)
            | Event::Delete(_)
            | Event::Rename { .. }
            | Event::Subscribe(_)
            | Event::Unsubscribe(_)
            | Event::List(_)
            | Event::Lsub(_)
            | Event::Status { .. }
            | Event::Append(_)
            | Event::Chunk(_)
            | Event::End
            | Event::Aborted
            | Event::Poll
            | Event::Fetch(_)
            | Event::Store(_)
            | Event::Copy(_)
            | Event::Move(_)
            | Event::Expunge { .. }
            | Event::Search { .. }
            | Event::Close { .. }
            | Event::Idle
            | Event::Done
            | Event::Tell { .. }) => match &mut self.stage {
                Stage::Stranger(_) => decline(conn)?,
                Stage::User(user) => user.event(conn, event).await?,
            },
        }
        Ok(Next::Go)
    }

    async fn wake(&mut self) {
        match &mut self.stage {
            Stage::Stranger(_) => pending().await,
            Stage::User(user) => user.wake().await,
        }
    }

    async fn woken(&mut self, conn: &mut Conn) -> Result<Next, Fault> {
        if let Stage::User(user) = &mut self.stage {
            user.woken(conn).await;
        }
        Ok(Next::Go)
    }

    async fn closed(self, _why: Close) {}
}

impl<S: Store> Session<S> {
    async fn sasl_progress(&mut self, conn: &mut Conn, progress: sasl::Progress) -> Result<(), Fault> {
        match progress {
            sasl::Progress::Challenge(challenge) => {
                conn.speak(|engine, now, out| engine.challenge(&challenge, now, out))?;
                Ok(())
            }
            sasl::Progress::Done(account) => self.login(conn, Ok(account)).await,
            sasl::Progress::Failed(why) => self.login(conn, Err(why)).await,
        }
    }

    /// Answers a login: opens the account, or says why not.
    async fn login(&mut self, conn: &mut Conn, outcome: Result<Account, Why>) -> Result<(), Fault> {
        login::told(NAME, self.peer, outcome.as_ref().map_err(|why| *why));
        let account = match outcome {
            Ok(account) => self.shared.store.open(account.address()).await,
            Err(why) => return say(conn, &convert::login_refusal(why)),
        };
        let account = match account {
            Ok(account) => account,
            Err(error) => return say(conn, &convert::store_refusal(&error)),
        };
        let budget = Arc::clone(&self.shared.budget);
        mailboxes::settle(&account).await;
        let user = User { account, budget, selected: None, incoming: Incoming::None };
        self.stage = Stage::User(Box::new(user));
        Ok(conn.speak(|engine, now, out| engine.authenticated(now, out))?)
    }

    /// Operators want to know which programs their users have.
    fn identified(&self, fields: &[(String, Option<String>)]) {
        let value = |value: &str| value.chars().filter(|c| !c.is_control()).take(ID_CHARACTERS_LOGGED).collect();
        let told = fields.iter().filter(|(name, _)| {
            ["name", "version", "os", "vendor"].iter().any(|known| name.eq_ignore_ascii_case(known))
        });
        let told: Vec<String> =
            told.filter_map(|(_, told)| told.as_deref().map(value)).take(ID_FIELDS_LOGGED).collect();
        tracing::info!(service = NAME, peer = self.peer.map(tracing::field::display), client = ?told, "identified");
    }
}

impl<A: mailstore::Account> User<A> {
    async fn event(&mut self, conn: &mut Conn, event: Event) -> Result<(), Fault> {
        match event {
            Event::Select { mailbox, access } => self.select(conn, mailbox, access).await,
            Event::Create(name) => self.create(conn, &name).await,
            Event::Delete(name) => self.delete(conn, &name).await,
            Event::Rename { from, to } => self.rename(conn, &from, &to).await,
            Event::Subscribe(name) => self.subscribe(conn, &name).await,
            Event::Unsubscribe(name) => self.unsubscribe(conn, &name).await,
            Event::List(list) => self.list(conn, &list).await,
            Event::Lsub(list) => self.lsub(conn, &list).await,
            Event::Status { mailbox, items: _ } => self.status(conn, &mailbox).await,
            Event::Append(append) => self.append(conn, append).await,
            Event::Chunk(chunk) => self.chunk(conn, chunk).await,
            Event::End => self.appended(conn).await,
            Event::Aborted => {
                self.not_appended();
                Ok(())
            }
            Event::Poll => self.poll(conn).await,
            Event::Fetch(fetch) => self.fetch(conn, &fetch).await,
            Event::Store(store) => self.store(conn, &store).await,
            Event::Copy(copy) => self.copy(conn, &copy).await,
            Event::Move(copy) => self.move_away(conn, &copy).await,
            Event::Expunge { uids } => self.expunge(conn, uids.as_ref()).await,
            Event::Search { key } => self.search(conn, &key).await,
            Event::Close { expunge: true } => self.close(conn, Expunging::Deleted).await,
            Event::Close { expunge: false } => self.close(conn, Expunging::Nothing).await,
            Event::Idle => {
                self.idle(conn).await;
                Ok(())
            }
            Event::Done => {
                self.idled();
                Ok(())
            }
            Event::Tell { uids } => self.tell(conn, &uids).await,
            Event::Connected
            | Event::Login { .. }
            | Event::Authenticate { .. }
            | Event::SaslResponse(_)
            | Event::SaslCancelled
            | Event::Id(_)
            | Event::Logout
            | Event::Violation(_) => decline(conn),
        }
    }
}

fn say(conn: &mut Conn, reply: &Reply) -> Result<(), Fault> {
    Ok(conn.speak(|engine, now, out| engine.reply(reply, now, out))?)
}

fn accept(conn: &mut Conn) -> Result<(), Fault> {
    Ok(conn.speak(|engine, now, out| engine.accept(now, out))?)
}

fn decline(conn: &mut Conn) -> Result<(), Fault> {
    conn.speak(|engine, now, out| engine.decline(now, out));
    Ok(())
}

fn declined(conn: &mut Conn) -> Result<Next, Fault> {
    decline(conn)?;
    Ok(Next::Go)
}
