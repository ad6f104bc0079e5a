//! What an operator may choose, and what the engine is told of it.

use std::sync::Arc;
use std::time::Duration;

use smtp_proto::{
    DateTime, DeliverByLimit, Domain, EarlyTalk, Extensions, FutureRelease, Interval, Limits, ParseError,
    PlaintextLogin, Protocol, Senders, ServerConfig, StartTls, Stray, Strays,
};

use super::forwarding::Forwarding;
use crate::engine::Link;
use crate::net::Network;
use crate::sasl::{self, Channel};
use crate::sign::Signer;

/// What the services need to know. [`SmtpOptions::new`] has the defaults.
#[derive(Clone, Debug)]
pub struct SmtpOptions {
    /// The host's name, for greetings and trace headers.
    pub host: String,
    /// Whether STARTTLS is offered. Default: it is not.
    pub start_tls: StartTls,
    /// Whether passwords may cross the network as they are. Default: under TLS only.
    pub plaintext_login: PlaintextLogin,
    /// Largest message in octets. Default: the engine's.
    pub message_size: u64,
    /// What becomes of clients that speak before it is their turn. Only `smtp` heeds it: programs that cannot wait bring
    /// spam, and users do not choose theirs. Where such clients are refused, all others wait for a second for the greeting.
    /// Default: they are counted.
    pub early_talk: EarlyTalk,
    /// What becomes of a CR or an LF alone in a message, whether it comes by DATA or by BDAT. Default: the message is refused.
    pub bare_line_ends: Stray,
    /// Peers that say by XCLIENT for whom they speak, by XFORWARD where a message was before, and to `lmtp` by what name a
    /// queue knows a delivery. What they say is believed, and passwords may come from them without TLS. Default: nobody.
    pub trusted_proxies: Vec<Network>,
    /// The keys by which `submission` signs what users send. Default: none.
    pub signer: Arc<Signer>,
    /// What seals mail that `smtp` takes from strangers and gives to others. Default: nothing.
    pub forwarding: Option<Arc<Forwarding>>,
}

impl SmtpOptions {
    /// The defaults, for a host of this name.
    #[must_use]
    pub fn new(host: impl Into<String>) -> Self {
        Self {
            host: host.into(),
            start_tls: StartTls::default(),
            plaintext_login: PlaintextLogin::default(),
            message_size: Limits::default().message,
            early_talk: EarlyTalk::default(),
            bare_line_ends: Stray::default(),
            trusted_proxies: Vec::new(),
            signer: Arc::default(),
            forwarding: None,
        }
    }

    /// The service `smtp`.
    pub(super) fn mx(&self) -> Result<Configs, ParseError> {
        let early_talk = self.early_talk;
        let engine = self.engine()?;
        let extensions = reporting(engine.extensions);
        let config = ServerConfig { before_greeting: early_talk, before_reply: early_talk, extensions, ..engine };
        let trusted = for_proxies(config.extensions);
        Ok(self.configs(config, trusted))
    }

    /// The service `submission`.
    pub(super) fn submission(&self) -> Result<Configs, ParseError> {
        let names = |channel| sasl::mechanisms(channel).iter().map(ToString::to_string).collect();
        let engine = self.engine()?;
        let config = ServerConfig {
            senders: Senders::LoggedIn,
            mechanisms: names(Channel::Private),
            mechanisms_before_tls: names(Channel::Open),
            extensions: for_users(reporting(engine.extensions)),
            ..engine
        };
        let trusted = for_proxies(config.extensions);
        Ok(self.configs(config, trusted))
    }

    /// The service `lmtp`.
    pub(super) fn lmtp(&self) -> Result<Configs, ParseError> {
        let config = ServerConfig { protocol: Protocol::Lmtp, ..self.engine()? };
        let trusted = Extensions { handover: true, ..for_proxies(config.extensions) };
        Ok(self.configs(config, trusted))
    }

    fn engine(&self) -> Result<ServerConfig, ParseError> {
        let strays = Strays { cr: self.bare_line_ends, lf: self.bare_line_ends, nul: Stray::Reject };
        Ok(ServerConfig {
            start_tls: self.start_tls,
            plaintext_login: self.plaintext_login,
            data: strays,
            bdat: strays,
            limits: Limits { message: self.message_size, ..Limits::default() },
            ..ServerConfig::new(Domain::parse(&self.host)?.into_owned())
        })
    }

    fn configs(&self, everybody: ServerConfig, trusted: Extensions) -> Configs {
        let proxies =
            ServerConfig { extensions: trusted, plaintext_login: PlaintextLogin::Always, ..everybody.clone() };
        Configs {
            pause: match everybody.before_greeting {
                EarlyTalk::Ignore | EarlyTalk::Report => Duration::ZERO,
                EarlyTalk::Refuse => PAUSE,
            },
            everybody: Arc::new(everybody),
            proxies: Arc::new(proxies),
            trusted_proxies: self.trusted_proxies.clone(),
        }
    }
}

/// What the queue knows to do with what anybody sends.
const fn reporting(extensions: Extensions) -> Extensions {
    Extensions { dsn: true, require_tls: true, ..extensions }
}

/// What users may ask for, and not everybody: what goes first, what waits, and what is late.
fn for_users(extensions: Extensions) -> Extensions {
    Extensions {
        mt_priority: true,
        deliver_by: Some(DeliverByLimit { shortest: None }),
        // RFC 4865 §3: as far away as can be said; it is the user's own mail.
        future_release: match (Interval::new(999_999_999), DateTime::new(253_402_300_799)) {
            (Some(max_interval), Some(max_date_time)) => Some(FutureRelease { max_interval, max_date_time }),
            (Some(_) | None, _) => None,
        },
        ..extensions
    }
}

/// What a trusted peer is offered beside what everybody is.
const fn for_proxies(extensions: Extensions) -> Extensions {
    Extensions { xclient: true, xforward: true, ..extensions }
}

/// What the engine offers, and to whom.
#[derive(Debug)]
pub(super) struct Configs {
    pause: Duration,
    everybody: Arc<ServerConfig>,
    proxies: Arc<ServerConfig>,
    trusted_proxies: Vec<Network>,
}

impl Configs {
    /// What is offered to who is at the other end. Nobody knows who is at the other end of a Unix socket.
    pub(super) fn of(&self, link: &Link) -> Arc<ServerConfig> {
        let trusted =
            link.peer.is_some_and(|peer| self.trusted_proxies.iter().any(|network| network.contains(peer.ip())));
        Arc::clone(if trusted { &self.proxies } else { &self.everybody })
    }

    /// How long a client is given to speak before it is greeted.
    pub(super) const fn pause(&self) -> Duration {
        self.pause
    }
}

/// Who does not wait at all speaks within a round trip; who waits is used to more than this.
const PAUSE: Duration = Duration::from_secs(1);
