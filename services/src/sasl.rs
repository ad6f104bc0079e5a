//! The server's side of SASL (RFC 4422): PLAIN, LOGIN and SCRAM-SHA-256, the same for SMTP, POP3 and IMAP.
//!
//! The engines carry the messages in and out as opaque bytes; [`SaslServer`] turns them into an [`Account`] or a
//! reason. The mechanisms themselves are rsasl's. It is kept on a short rein here: it sees only messages that were
//! found whole, for its parsers slice beyond the end of short ones; each of its sessions is dropped at the first error,
//! for a further step would panic; and only its `validation` counts as a proof, for an exchange with a wrong password
//! also ends as finished.
//!
//! ```
//! # use services::directory::{Accounts, LoginLimits, UsersFile, UsersOptions, random_password};
//! use services::sasl::{Channel, Progress, SaslServer, mechanisms};
//!
//! # let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
//! # runtime.block_on(async {
//! # let dir = tempfile::tempdir()?;
//! # let users = UsersFile::open_or_create(dir.path().join("users"), UsersOptions::default())?;
//! # users.set_password("alice@example.org", b"wonderland")?;
//! # let accounts = Accounts::new(users, LoginLimits::default());
//! assert_eq!(mechanisms(Channel::Private), ["SCRAM-SHA-256", "PLAIN", "LOGIN"]);
//! assert!(mechanisms(Channel::Open).is_empty());
//!
//! let mut sasl = SaslServer::new(accounts, None);                     // one per connection
//! let first = sasl.start(Channel::Private, "PLAIN", None).await;      // AUTH PLAIN, without an initial response
//! assert_eq!(first, Progress::Challenge(Vec::new()));
//! match sasl.respond(b"\0alice\0wonderland").await {
//!     Progress::Done(account) => assert_eq!(account.address(), "alice@example.org"),
//!     Progress::Challenge(_) | Progress::Failed(_) => unreachable!("her password is right"),
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::fmt;
use std::mem;
use std::net::IpAddr;

use rsasl::callback::{Context, Request, SessionCallback, SessionData};
use rsasl::mechanisms::scram::properties::ScramStoredPassword;
use rsasl::mechanisms::{login::LOGIN, plain::PLAIN, scram::SCRAM_SHA256};
use rsasl::prelude::{Mechanism, Registry, SASLConfig, SASLServer, Session, SessionError, Validation};
use rsasl::property::{AuthId, AuthzId, Password};
use rsasl::validate::{Validate, ValidationError};
use zeroize::Zeroizing;

use crate::directory::{Account, Accounts, LoginName, ScramVerifier, Why};

/// Who can read what is sent on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// TLS is on, or it never leaves the machine, or the operator allows passwords in the clear.
    Private,
    /// Everybody on the way. No login is offered: a password would be read, and even after SCRAM the session stolen.
    Open,
}

/// The mechanisms to advertise, the best first.
#[must_use]
pub fn mechanisms(channel: Channel) -> &'static [&'static str] {
    match channel {
        Channel::Private => &["SCRAM-SHA-256", "PLAIN", "LOGIN"],
        Channel::Open => &[],
    }
}

/// Where an exchange stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// To be sent to the client (in base64, may be empty); its answer goes to [`SaslServer::respond`].
    Challenge(Vec<u8>),
    /// The client has proved to be this user.
    Done(Account),
    /// The exchange is over.
    Failed(Why),
}

/// The octets of the longest message from a client that is looked at (RFC 4954 §4 asks for this many at least).
pub const MAX_MESSAGE: usize = 12_288;

/// One connection's logins, one after another. All waiting in it may be dropped at any time.
pub struct SaslServer {
    accounts: Accounts,
    peer: Option<IpAddr>,
    state: State,
}

impl SaslServer {
    /// Serves a connection from an address, `None` for a Unix socket.
    #[must_use]
    pub fn new(accounts: Accounts, peer: Option<IpAddr>) -> Self {
        Self { accounts, peer, state: State::Idle }
    }

    /// Begins an exchange, and forgets the one before. `initial` is the client's initial response, decoded, where it
    /// sent one with its command.
    pub async fn start(&mut self, channel: Channel, mechanism: &str, initial: Option<&[u8]>) -> Progress {
        self.state = State::Idle;
        let Some(named) = Named::find(mechanism) else { return Progress::Failed(Why::Unsupported) };
        if !mechanisms(channel).contains(&named.as_str()) {
            return Progress::Failed(Why::NeedsTls);
        }
        let challenge = match named {
            Named::Plain => {
                self.state = State::Plain;
                Vec::new()
            }
            Named::Scram => {
                self.state = State::ScramFirst;
                Vec::new()
            }
            Named::Login => match Exchange::of(&LOGIN, None).and_then(|exchange| exchange.step(None)) {
                Some((exchange, _)) => {
                    self.state = State::LoginName(exchange);
                    USERNAME.to_vec()
                }
                None => return Progress::Failed(Why::Malformed),
            },
        };
        match initial {
            Some(response) => self.respond(response).await,
            None => Progress::Challenge(challenge),
        }
    }

    /// Takes the client's answer to a challenge, decoded. Where no challenge is open, that is malformed.
    pub async fn respond(&mut self, response: &[u8]) -> Progress {
        // Taken out, so that whatever goes wrong, or is dropped halfway, leaves nothing to go on with.
        let state = mem::replace(&mut self.state, State::Idle);
        if response.len() > MAX_MESSAGE {
            return Progress::Failed(Why::Malformed);
        }
        let next = match state {
            State::Idle => Err(Why::Malformed),
            State::Plain => self.plain(response).await,
            State::LoginName(exchange) => self.login_name(exchange, response),
            State::LoginPassword(exchange) => self.login_password(exchange, response).await,
            State::ScramFirst => self.scram_first(response).await,
            State::ScramFinal(waiting) => self.scram_final(*waiting, response).await,
            // The client saw the server's proof and has nothing to add (RFC 5802 §5).
            State::ScramProved(account) if response.is_empty() => Ok(Progress::Done(account)),
            State::ScramProved(_) => Err(Why::Malformed),
        };
        next.unwrap_or_else(Progress::Failed)
    }

    /// Forgets the exchange: the client cancelled it with `*`, or the connection changed to TLS.
    pub fn cancel(&mut self) {
        self.state = State::Idle;
    }

    /// RFC 4616. rsasl is shown the names only, with one octet in the password's place that is no UTF-8: it would run
    /// SASLprep over a password, which refuses what Unicode 3.2 did not know and alters what crypt hashes were made of.
    async fn plain(&self, message: &[u8]) -> Result<Progress, Why> {
        let nuls = message.iter().enumerate().filter(|(_, octet)| **octet == 0).map(|(at, _)| at);
        let [_, second] = nuls.collect::<Vec<_>>().try_into().map_err(|_| Why::Malformed)?;
        let (names, password) = message.split_at_checked(second + 1).ok_or(Why::Malformed)?;
        let exchange = Exchange::of(&PLAIN, None).ok_or(Why::Malformed)?;
        let (exchange, _) = exchange.step(Some(&[names, b"\xff"].concat())).ok_or(Why::Malformed)?;
        let claim = exchange.proved().ok_or(Why::Malformed)?;
        let account = self.accounts.login(self.peer, claim.name.as_bytes(), password).await?;
        authorized(claim.authzid.as_deref(), &claim.name, account).map(Progress::Done)
    }

    fn login_name(&mut self, exchange: Exchange, name: &[u8]) -> Result<Progress, Why> {
        let (exchange, _) = exchange.step(Some(name)).ok_or(Why::Malformed)?;
        self.state = State::LoginPassword(exchange);
        Ok(Progress::Challenge(PASSWORD.to_vec()))
    }

    async fn login_password(&self, exchange: Exchange, password: &[u8]) -> Result<Progress, Why> {
        let (exchange, _) = exchange.step(Some(password)).ok_or(Why::Malformed)?;
        let claim = exchange.proved().ok_or(Why::Malformed)?;
        let account = self.accounts.login(self.peer, claim.name.as_bytes(), &claim.password).await?;
        Ok(Progress::Done(account))
    }

    async fn scram_first(&mut self, message: &[u8]) -> Result<Progress, Why> {
        let first = ClientFirst::parse(message).ok_or(Why::Malformed)?;
        let name = LoginName::parse(first.name.as_bytes()).map_err(|_| Why::Malformed)?;
        self.accounts.admit(self.peer, &name)?;
        let (account, verifier) = self.accounts.scram(&name).await?;
        let held = Held { sent_name: first.sent_name.to_owned(), verifier };
        let exchange = Exchange::of(&SCRAM_SHA256, Some(held)).ok_or(Why::Malformed)?;
        let (exchange, challenge) = exchange.step(Some(message)).ok_or(Why::Malformed)?;
        self.state = State::ScramFinal(Box::new(ScramFinal {
            exchange,
            name,
            sent: first.name,
            authzid: first.authzid,
            account,
        }));
        Ok(Progress::Challenge(challenge))
    }

    async fn scram_final(&mut self, waiting: ScramFinal, message: &[u8]) -> Result<Progress, Why> {
        let ScramFinal { exchange, name, sent, authzid, account } = waiting;
        if !is_client_final(message) {
            return Err(Why::Malformed);
        }
        let (exchange, server_final) = exchange.step(Some(message)).ok_or(Why::Malformed)?;
        // What rsasl wrote may be `e=invalid-proof`, and the exchange is finished all the same.
        let proved = exchange.proved().and(account);
        let account = self.accounts.judge(self.peer, &name, proved).await?;
        let account = authorized(authzid.as_deref(), &sent, account)?;
        // None of the three protocols can send data along with a success, so that it goes out as one more challenge.
        self.state = State::ScramProved(account);
        Ok(Progress::Challenge(server_final))
    }
}

impl fmt::Debug for SaslServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SaslServer").field("peer", &self.peer).field("state", &self.state.as_str()).finish()
    }
}

enum State {
    Idle,
    Plain,
    LoginName(Exchange),
    LoginPassword(Exchange),
    ScramFirst,
    ScramFinal(Box<ScramFinal>),
    ScramProved(Account),
}

impl State {
    fn as_str(&self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Plain => "plain",
            Self::LoginName(_) => "login name",
            Self::LoginPassword(_) => "login password",
            Self::ScramFirst => "scram first",
            Self::ScramFinal(_) => "scram final",
            Self::ScramProved(_) => "scram proved",
        }
    }
}

struct ScramFinal {
    exchange: Exchange,
    name: LoginName,
    /// The name before folding, for comparison with the authorization identity.
    sent: String,
    authzid: Option<String>,
    /// Whose verifier it is; `None` where it was invented.
    account: Option<Account>,
}

#[derive(Clone, Copy)]
enum Named {
    Scram,
    Plain,
    Login,
}

impl Named {
    fn find(mechanism: &str) -> Option<Self> {
        [Self::Scram, Self::Plain, Self::Login].into_iter().find(|named| named.as_str().eq_ignore_ascii_case(mechanism))
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Scram => "SCRAM-SHA-256",
            Self::Plain => "PLAIN",
            Self::Login => "LOGIN",
        }
    }
}

/// Whether a user may act as whom they named: nobody, or themselves in any spelling.
fn authorized(authzid: Option<&str>, name: &str, account: Account) -> Result<Account, Why> {
    let Some(authzid) = authzid.filter(|authzid| !authzid.is_empty()) else { return Ok(account) };
    let fold = |text: &str| LoginName::parse(text.as_bytes()).map_err(|_| Why::NotAuthorized);
    let wanted = fold(authzid)?;
    if wanted.as_str() == account.address() || wanted == fold(name)? {
        return Ok(account);
    }
    Err(Why::NotAuthorized)
}

/// client-first-message (RFC 5802 §7), without channel binding, which is not offered, and without extensions, which
/// rsasl leaves out of what it signs.
#[derive(Debug)]
struct ClientFirst<'a> {
    name: String,
    /// As it stands in the message, `=2C` and `=3D` still in it.
    sent_name: &'a str,
    authzid: Option<String>,
}

impl<'a> ClientFirst<'a> {
    fn parse(message: &'a [u8]) -> Option<Self> {
        let mut parts = std::str::from_utf8(message).ok()?.split(',');
        let ("n" | "y") = parts.next()? else { return None };
        let authzid = match parts.next()? {
            "" => None,
            named => Some(saslname(named.strip_prefix("a=")?)?),
        };
        let sent_name = parts.next()?.strip_prefix("n=")?;
        let nonce = parts.next()?.strip_prefix("r=")?;
        if nonce.is_empty() || !nonce.bytes().all(|octet| octet.is_ascii_graphic()) || parts.next().is_some() {
            return None;
        }
        Some(Self { name: saslname(sent_name)?, sent_name, authzid })
    }
}

/// client-final-message (RFC 5802 §7), without extensions.
fn is_client_final(message: &[u8]) -> bool {
    let mut parts = message.split(|octet| *octet == b',');
    let begins = |prefix: &[u8], part: Option<&[u8]>| part.is_some_and(|part| part.starts_with(prefix));
    begins(b"c=", parts.next()) && begins(b"r=", parts.next()) && begins(b"p=", parts.next()) && parts.next().is_none()
}

/// Undoes the two escapes of a name: `=2C` is a comma, `=3D` an equals sign, and no other `=` may stand (RFC 5802 §5.1).
fn saslname(sent: &str) -> Option<String> {
    let mut pieces = sent.split('=');
    let mut name = pieces.next()?.to_owned();
    for piece in pieces {
        let (character, rest) = match (piece.strip_prefix("2C"), piece.strip_prefix("3D")) {
            (Some(rest), _) => (',', rest),
            (None, Some(rest)) => ('=', rest),
            (None, None) => return None,
        };
        name.push(character);
        name.push_str(rest);
    }
    (!name.is_empty()).then_some(name)
}

/// One session of rsasl, consumed by each step: a step that fails takes the session with it.
struct Exchange(Session<Proof>);

impl Exchange {
    fn of(mechanism: &'static Mechanism, held: Option<Held>) -> Option<Self> {
        let config = SASLConfig::builder().with_registry(Registry::with_mechanisms(MECHANISMS));
        let config = config.with_callback(Bridge { held }).ok()?;
        SASLServer::new(config).start_suggested(mechanism.mechanism).ok().map(Self)
    }

    fn step(mut self, input: Option<&[u8]>) -> Option<(Self, Vec<u8>)> {
        let mut out = Vec::new();
        self.0.step(input, &mut out).ok()?;
        Some((self, out))
    }

    /// What was proved (SCRAM) or claimed (PLAIN, LOGIN).
    fn proved(mut self) -> Option<Claim> {
        self.0.validation()
    }
}

/// Answers rsasl's questions, and keeps what it found.
struct Bridge {
    held: Option<Held>,
}

/// What a SCRAM proof is held against.
struct Held {
    sent_name: String,
    verifier: ScramVerifier,
}

impl SessionCallback for Bridge {
    fn callback(&self, _: &SessionData, context: &Context<'_>, request: &mut Request<'_>) -> Result<(), SessionError> {
        // Looked up for this name as the message was read here; rsasl must have read the same.
        let Some(held) = &self.held else { return Ok(()) };
        if context.get_ref::<AuthId>() == Some(&held.sent_name) {
            let ScramVerifier { iterations, salt, stored_key, server_key } = &held.verifier;
            let stored = ScramStoredPassword::new(iterations.get(), salt, stored_key, server_key);
            request.satisfy::<ScramStoredPassword<'_>>(&stored)?;
        }
        Ok(())
    }

    fn validate(
        &self,
        _: &SessionData,
        context: &Context<'_>,
        found: &mut Validate<'_>,
    ) -> Result<(), ValidationError> {
        let Some(name) = context.get_ref::<AuthId>() else { return Err(ValidationError::MissingRequiredProperty) };
        let password = Zeroizing::new(context.get_ref::<Password>().unwrap_or_default().to_vec());
        let authzid = context.get_ref::<AuthzId>().map(str::to_owned);
        found.finalize::<Proof>(Claim { name: name.to_owned(), authzid, password });
        Ok(())
    }
}

struct Proof;

impl Validation for Proof {
    type Value = Claim;
}

struct Claim {
    name: String,
    authzid: Option<String>,
    password: Zeroizing<Vec<u8>>,
}

/// All that rsasl knows here. SCRAM-SHA-256-PLUS among them would make it refuse clients that say `y`.
static MECHANISMS: &[Mechanism] = &[SCRAM_SHA256, PLAIN, LOGIN];

/// What all servers ask and some clients compare; rsasl's own words are other ones.
const USERNAME: &[u8] = b"Username:";
const PASSWORD: &[u8] = b"Password:";

#[cfg(test)]
mod tests;
