//! What an operator may choose, and what the engine is told of it.

use std::num::NonZeroU32;

use pop3_proto::{Announced, Expire, PlaintextLogin, ServerConfig, Stls, Utf8, Xclient};

use super::UidlFormat;
use crate::net::Network;
use crate::sasl::{self, Channel};

/// What the service needs to know. [`Pop3Options::new`] has the defaults.
#[derive(Clone, Debug)]
pub struct Pop3Options {
    /// The host's name, for the greeting.
    pub host: String,
    /// What CAPA calls the software; `None` does not tell.
    pub software: Option<String>,
    /// Whether STLS is offered. Default: it is not.
    pub stls: Stls,
    /// Whether passwords may cross the network as they are. Default: under TLS only.
    pub plaintext_login: PlaintextLogin,
    /// Whether APOP is offered. Default: it is not.
    pub apop: ApopLogin,
    /// How unique-ids are spelt. Default: as Dovecot does.
    pub uidl: UidlFormat,
    /// Seconds that a user must let pass from one login to the next: announced, and enforced in this process. Default:
    /// none, for a client that checks too often costs us little.
    pub login_delay: Option<NonZeroU32>,
    /// How long messages are kept: announced and no more, since somebody else has to delete them. Default: for ever.
    pub expire: Expire,
    /// Peers that say by XCLIENT or XOIP whom they speak for: what they say is believed, and passwords may come from them
    /// without TLS. Default: nobody.
    pub trusted_proxies: Vec<Network>,
}

/// Whether APOP is offered (RFC 1939 §7), to users whose password the directory holds in the clear.
///
/// It needs no TLS, which is its only use: who listens cannot read the password, but can guess it at leisure from what was
/// sent, and can read the mail.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ApopLogin {
    /// It is.
    Offered,
    /// It is not.
    #[default]
    Off,
}

impl Pop3Options {
    /// The defaults, for a host of this name.
    #[must_use]
    pub fn new(host: impl Into<String>) -> Self {
        Self {
            host: host.into(),
            software: Some("Posthaste".to_owned()),
            stls: Stls::Off,
            plaintext_login: PlaintextLogin::UnderTls,
            apop: ApopLogin::Off,
            uidl: UidlFormat::Dovecot,
            login_delay: None,
            expire: Expire::Never,
            trusted_proxies: Vec::new(),
        }
    }

    /// What the engine offers to everybody.
    pub(super) fn engine(&self) -> ServerConfig {
        let names = |channel| sasl::mechanisms(channel).iter().map(ToString::to_string).collect();
        ServerConfig {
            greeting: format!("{} POP3 server ready", self.host),
            implementation: self.software.clone(),
            stls: self.stls,
            plaintext_login: self.plaintext_login,
            mechanisms: names(Channel::Private),
            mechanisms_before_tls: names(Channel::Open),
            expire: Some(Announced::Fixed(self.expire)),
            login_delay: self.login_delay.map(|seconds| Announced::Fixed(seconds.get())),
            utf8: Utf8::Offered,
            ..ServerConfig::default()
        }
    }

    /// What the engine offers to a trusted proxy.
    pub(super) fn engine_for_proxies(&self) -> ServerConfig {
        ServerConfig { xclient: Xclient::Trusted, plaintext_login: PlaintextLogin::Always, ..self.engine() }
    }
}
