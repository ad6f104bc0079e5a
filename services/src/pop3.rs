//! POP3 over any mail store.
//!
//! ```no_run
//! # use std::sync::Arc;
//! # use mailstore::memory::MemoryStore;
//! # use services::directory::Accounts;
//! # fn serve(accounts: Accounts) {
//! use pop3_proto::Stls;
//! use services::pop3::{Pop3, Pop3Options};
//!
//! let options = Pop3Options { stls: Stls::Offered, ..Pop3Options::new("mail.example.org") };
//! let pop3 = Pop3::new(Arc::new(MemoryStore::new()), accounts, options);
//! // `services::net::serve` takes it, with as many listeners as you like.
//! # }
//! ```
//!
//! A session takes its user's maildrop for itself, so that numbers mean the same to the end; IMAP sessions and deliveries
//! go on beside it. Messages stream from the store to the client. What is marked is removed at QUIT and at no other end.

mod delay;
mod maildrop;
mod options;
mod uidl;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use mailstore::error::ReadError;
use mailstore::{Reader as _, Store};
use pop3_proto::{Code, Event, Maildrop, Progress, Reply, Secret, ServerConfig, ServerSession, Timestamp};
use tokio::time::Instant;

use self::delay::LoginDelay;
use self::maildrop::{Open, Refusal, unavailable};
pub use self::options::{ApopLogin, Pop3Options};
pub use self::uidl::{NoUidlFormat, UidlFormat};
use crate::directory::{Account, Accounts, Why};
use crate::engine::{Close, Link};
use crate::login;
use crate::net::{Connection, Fault, Handler, Network, Next, Service};
use crate::sasl::{self, Channel, SaslServer};

/// The operator's word for this service.
const NAME: &str = "pop3";

/// Serves maildrops from a store to those whom the directory lets in.
#[derive(Debug)]
pub struct Pop3<S> {
    shared: Arc<Shared<S>>,
}

#[derive(Debug)]
struct Shared<S> {
    store: Arc<S>,
    accounts: Accounts,
    config: Arc<ServerConfig>,
    config_for_proxies: Arc<ServerConfig>,
    trusted_proxies: Vec<Network>,
    uidl: UidlFormat,
    delay: Option<LoginDelay>,
    apop: ApopLogin,
    host: String,
}

impl<S: Store> Pop3<S> {
    /// Makes the service. One serves any number of listeners.
    #[must_use]
    pub fn new(store: Arc<S>, accounts: Accounts, options: Pop3Options) -> Self {
        let (config, config_for_proxies) = (Arc::new(options.engine()), Arc::new(options.engine_for_proxies()));
        let Pop3Options { host, apop, uidl, login_delay, trusted_proxies, .. } = options;
        let delay = login_delay.map(LoginDelay::new);
        let shared = Shared { store, accounts, config, config_for_proxies, trusted_proxies, uidl, delay, apop, host };
        Self { shared: Arc::new(shared) }
    }
}

impl<S: Store> Service for Pop3<S> {
    type Engine = ServerSession;
    type Handler = Session<S>;

    fn name(&self) -> &'static str {
        NAME
    }

    fn connect(&self, link: Link) -> (ServerSession, Session<S>) {
        let shared = Arc::clone(&self.shared);
        let peer = link.peer.map(|peer| peer.ip());
        let trusted = peer.is_some_and(|peer| shared.trusted_proxies.iter().any(|network| network.contains(peer)));
        let config = if trusted { &shared.config_for_proxies } else { &shared.config };
        let engine = ServerSession::new(Arc::clone(config), link.into(), Duration::ZERO);
        let sasl = SaslServer::new(shared.accounts.clone(), peer);
        (engine, Session { shared, peer, sasl, open: None })
    }
}

/// One client's session.
pub struct Session<S: Store> {
    shared: Arc<Shared<S>>,
    /// The client's address, also where a proxy brought it.
    peer: Option<IpAddr>,
    sasl: SaslServer,
    open: Option<Open<MailboxOf<S>>>,
}

type MailboxOf<S> = <<S as Store>::Account as mailstore::Account>::Mailbox;
type Conn = Connection<ServerSession>;

impl<S: Store> Handler<ServerSession> for Session<S> {
    async fn event(&mut self, conn: &mut Conn, event: Event) -> Result<Next, Fault> {
        match event {
            Event::Connected => match self.timestamp() {
                Some(timestamp) => conn.speak(|engine, now, out| engine.greet(timestamp, now, out))?,
                None => conn.speak(|engine, now, out| engine.accept(now, out))?,
            },
            Event::Proxied(client) => {
                self.peer = Some(client.address);
                self.sasl = SaslServer::new(self.shared.accounts.clone(), self.peer);
            }
            Event::Login { user, password } => {
                let outcome = self.shared.accounts.login(self.peer, user.as_bytes(), password.expose()).await;
                self.login(conn, outcome).await?;
            }
            Event::Apop { user, proof } => {
                let fits = |password: &[u8]| proof.matches(password);
                let outcome = self.shared.accounts.prove(self.peer, user.as_bytes(), fits).await;
                self.login(conn, outcome).await?;
            }
            Event::Auth { mechanism, initial } => {
                // The engine offers no mechanism that the channel does not allow.
                let initial = initial.as_ref().map(Secret::expose);
                let progress = self.sasl.start(Channel::Private, &mechanism, initial).await;
                self.sasl_progress(conn, progress).await?;
            }
            Event::SaslResponse(response) => {
                let progress = self.sasl.respond(response.expose()).await;
                self.sasl_progress(conn, progress).await?;
            }
            Event::SaslCancelled => self.sasl.cancel(),
            Event::List => {
                while conn.speak(|engine, now, out| engine.list_more(now, out))? == Progress::More {
                    conn.drain().await?;
                }
            }
            Event::Retrieve { number } | Event::Top { number } => self.send(conn, number).await?,
            Event::Update { deleted } => self.update(conn, &deleted).await?,
            Event::Violation(violation) => {
                metrics::counter!("posthaste_violations_total", "service" => NAME, "violation" => violation.as_str())
                    .increment(1);
            }
        }
        Ok(Next::Go)
    }

    async fn closed(mut self, _why: Close) {
        self.release().await;
    }
}

impl<S: Store> Session<S> {
    /// What APOP's digest is made of, if it is offered (RFC 1939 §7).
    fn timestamp(&self) -> Option<Timestamp> {
        match self.shared.apop {
            ApopLogin::Offered => timestamp(&self.shared.host),
            ApopLogin::Off => None,
        }
    }

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

    /// Answers a login: opens the maildrop, or says why not.
    async fn login(&mut self, conn: &mut Conn, outcome: Result<Account, Why>) -> Result<(), Fault> {
        login::told(NAME, self.peer, outcome.as_ref().map_err(|why| *why));
        let opened = match outcome {
            Ok(account) => self.open(&account).await.map_err(|refusal| {
                metrics::counter!("posthaste_maildrops_refused_total", "why" => refusal.as_str()).increment(1);
                refusal.reply()
            }),
            Err(why) => Err(refused(why)),
        };
        match opened {
            Ok(maildrop) => conn.speak(|engine, now, out| engine.open(maildrop, now, out))?,
            Err(reply) => conn.speak(|engine, now, out| engine.reply(&reply, now, out))?,
        }
        Ok(())
    }

    async fn open(&mut self, user: &Account) -> Result<Arc<Maildrop>, Refusal> {
        let account = self.shared.store.open(user.address()).await.map_err(|error| unavailable(&error))?;
        // From here on a user's logins come one after another.
        let lease = maildrop::lease(&account).await?;
        let now = Instant::now().into_std();
        if self.shared.delay.as_ref().is_some_and(|delay| delay.is_too_soon(user, now)) {
            lease.release().await;
            return Err(Refusal::TooSoon);
        }
        let open = Open::new(&account, lease, self.shared.uidl).await?;
        if let Some(delay) = &self.shared.delay {
            delay.note(user, now);
        }
        Ok(self.open.insert(open).maildrop())
    }

    /// Sends a message, or as much of it as the engine wants.
    async fn send(&mut self, conn: &mut Conn, number: u32) -> Result<(), Fault> {
        let read = match &self.open {
            Some(open) => open.read(number).await,
            None => Err(ReadError::Gone),
        };
        let mut reader = match read {
            Ok(reader) => reader,
            Err(error) => {
                let reply = match error {
                    ReadError::Gone => Reply::err("the message is gone"),
                    ReadError::Trouble(error) => unavailable(&error).reply(),
                };
                conn.speak(|engine, now, out| engine.reply(&reply, now, out))?;
                return Ok(());
            }
        };
        conn.speak(|engine, now, out| engine.accept(now, out))?;
        while conn.speak(|engine, _, _| engine.wants_body()) {
            let Some(chunk) = reader.next().await? else { break };
            conn.speak(|engine, _, out| engine.body(&chunk, out))?;
            conn.drain().await?;
        }
        conn.speak(|engine, now, out| engine.end_body(now, out))?;
        Ok(())
    }

    /// RFC 1939 §6: removes what was marked, and lets the maildrop go before the client hears of it.
    async fn update(&mut self, conn: &mut Conn, deleted: &[u32]) -> Result<(), Fault> {
        let removed = match &self.open {
            Some(open) => open.remove(deleted).await,
            None => Ok(()),
        };
        self.release().await;
        match removed {
            Ok(()) => conn.speak(|engine, now, out| engine.accept(now, out))?,
            Err(error) => {
                tracing::error!(service = NAME, %error, "deleted messages were not removed");
                let reply = Reply::err("some deleted messages were not removed").with_code(Code::SysTemp);
                conn.speak(|engine, now, out| engine.reply(&reply, now, out))?;
            }
        }
        Ok(())
    }

    async fn release(&mut self) {
        if let Some(open) = self.open.take() {
            open.close().await;
        }
    }
}

/// A timestamp that never was before and that nobody can guess. `None`, so that APOP is not offered, where the system gives
/// no randomness.
fn timestamp(host: &str) -> Option<Timestamp> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).ok()?;
    let unique: String = random.iter().map(|octet| format!("{octet:02x}")).collect();
    // Not every host's name can stand in a message-id.
    let named = |host: &str| Timestamp::parse(&format!("<{unique}@{host}>")).ok();
    named(host).or_else(|| named("localhost"))
}

/// RFC 3206 §4: [AUTH] only where other credentials could help.
fn refused(why: Why) -> Reply {
    match why {
        Why::Denied => Reply::err("invalid user name or password").with_code(Code::Auth),
        Why::NotAuthorized => Reply::err("not authorized to act for that user").with_code(Code::Auth),
        Why::Malformed => Reply::err("malformed credentials").with_code(Code::Auth),
        Why::Unsupported => Reply::err("mechanism not supported"),
        Why::NeedsTls => Reply::err("use STLS first"),
        Why::Throttled { .. } => Reply::err("too many failed attempts, try again later").with_code(Code::SysTemp),
        Why::Unavailable => Reply::err("logins are not possible now, try again later").with_code(Code::SysTemp),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_are_never_the_same_and_fit_any_host() {
        let [one, other] = [timestamp("mail.example.org").unwrap(), timestamp("mail.example.org").unwrap()];
        assert_ne!(one, other);
        assert!(one.as_str().ends_with("@mail.example.org>") && one.as_str().len() > 40);
        for host in ["m\u{fc}nchen.example", "", &"a.".repeat(126)] {
            assert!(timestamp(host).unwrap().as_str().ends_with("@localhost>"), "{host}");
        }
    }
}
