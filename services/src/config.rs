//! What a server is told: on the command line, in a TOML file, or not at all.
//!
//! Every setting is a field of [`Options`], the same by the same name in both places: `--plaintext-auth` is
//! `plaintext-auth = true`. [`Options::over`] lays the command line over the file, and [`Options::resolve`] fills in the
//! defaults and checks what can be checked without touching the system.
//!
//! ```
//! use services::config::{Listen, Options};
//!
//! let file = Options::parse("domain = \"example.net\"\nsmtp = \":25\"\npop3 = \"off\"", "mail.toml".as_ref())?;
//! let line = Options { smtp: Some("127.0.0.1:2600".parse()?), ..Options::default() };
//! let config = line.over(file).resolve()?;
//! assert_eq!(config.listeners.smtp.to_string(), "127.0.0.1:2600");
//! assert_eq!(config.listeners.pop3, Listen::Off);
//! assert_eq!(config.domains, ["example.net"]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod file;
mod listen;
mod outbound;
mod retention;
mod smtp;
mod user;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pop3_proto::Expire;
use serde::Deserialize;
use thiserror::Error;

use crate::directory::NameFault;
use crate::net::{Endpoint, Network};
use crate::outbound::HopSecurity;
use crate::pop3::UidlFormat;
use crate::routes::{Outward, RelayHost, Transport, Way};

pub use listen::{Listen, NoAddress};
pub use outbound::{DkimKey, NoDkimKey, NoValidation, OutboundSettings, Validation};
pub use retention::{NoRetention, Retention};
pub use smtp::{BareLineEnds, EarlyTalkers, NoBareLineEnds, NoEarlyTalkers, SmtpSettings};
pub use user::{GivenUser, NewUser};

/// All settings of a server, with what nobody said filled in.
#[derive(Clone, Debug)]
pub struct Config {
    /// The folder that everything is kept in.
    pub data: PathBuf,
    /// The name that the server goes by in greetings and trace headers; `None` for that of its first domain.
    pub host: Option<String>,
    /// The domains that mail is taken for, folded, besides those of the users.
    pub domains: Vec<String>,
    /// Where the users' file is.
    pub users: PathBuf,
    /// Where the aliases' file is.
    pub aliases: AliasesAt,
    /// Users to add or update at the start.
    pub new_users: Vec<NewUser>,
    /// Where the certificate comes from.
    pub certificate: Certificate,
    /// Where to listen.
    pub listeners: Listeners,
    /// What holds for mail that leaves.
    pub outbound: OutboundSettings,
    /// Where `mailctl` finds the server.
    pub admin: Listen,
    /// The file of the token that operators show who come over TCP.
    pub admin_token: Option<PathBuf>,
    /// Whether passwords are taken without TLS.
    pub plaintext_auth: bool,
    /// Peers that may say whom they speak for.
    pub trusted_proxies: Vec<Network>,
    /// Whether clients are not told what the software is.
    pub hide_software: bool,
    /// What holds for SMTP and LMTP only.
    pub smtp: SmtpSettings,
    /// What holds for POP3 only.
    pub pop3: Pop3Settings,
    /// Octets of the largest message that is taken.
    pub message_size: u64,
    /// Connections at once, in all. Each costs a few kilobytes while it is idle, and a descriptor.
    pub connections: usize,
    /// Connections at once from one address (IPv6: from one /64). A household or an office behind one address needs
    /// dozens; one client must not take all there are.
    pub connections_per_address: usize,
    /// How long open sessions, and after them deliveries, may go on when the server stops.
    pub drain: Duration,
    /// What is logged, as `RUST_LOG` would say it.
    pub log: String,
}

/// Where the aliases' file is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AliasesAt {
    /// Nobody said so: here, if it is there.
    Default(PathBuf),
    /// Here, where it must be.
    Given(PathBuf),
}

/// Where a certificate chain and its key are, both in PEM form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Certificate {
    /// Nobody gave one: these two files, made where they are missing.
    SelfSigned {
        /// The certificate.
        certificate: PathBuf,
        /// Its key.
        key: PathBuf,
    },
    /// Given, and never written.
    Given {
        /// The chain.
        certificate: PathBuf,
        /// The key of its first certificate.
        key: PathBuf,
    },
}

/// What holds for POP3 only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pop3Settings {
    /// How unique-ids are spelt.
    pub uidl: UidlFormat,
    /// Seconds that a user must let pass from one login to the next.
    pub login_delay: Option<NonZeroU32>,
    /// How long messages are kept, to be told to clients.
    pub expire: Retention,
    /// Whether APOP is offered.
    pub apop: bool,
}

/// One setting for each service and the way TLS begins in it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is named as its option, and explained there")]
pub struct Listeners {
    pub smtp: Listen,
    pub submission: Listen,
    pub submissions: Listen,
    pub lmtp: Listen,
    pub imap: Listen,
    pub imaps: Listen,
    pub pop3: Listen,
    pub pop3s: Listen,
    pub http: Option<SocketAddr>,
}

/// What was said about each setting, in one place. What is `None` or empty was not said.
#[derive(Clone, Debug, Default, Deserialize, clap::Args)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Options {
    /// Folder that everything is kept in: mail, queue, users, certificate [default: posthaste-data]
    #[arg(long, value_name = "DIR", help_heading = "Mail")]
    pub data: Option<PathBuf>,

    /// Domain to take mail for; may be repeated. The domains of all users are added to them [default: example.org]
    #[arg(long, value_name = "DOMAIN", help_heading = "Mail")]
    #[serde(default, deserialize_with = "file::one_or_many")]
    pub domain: Vec<String>,

    /// User to add, or to give this password from now on; may be repeated
    #[arg(long, value_name = "ADDRESS:PASSWORD", help_heading = "Mail")]
    #[serde(default, deserialize_with = "file::one_or_many")]
    pub user: Vec<GivenUser>,

    /// File of users, one ADDRESS:VERIFIER a line [default: DATA/users]
    #[arg(long, value_name = "FILE", help_heading = "Mail")]
    pub users: Option<PathBuf>,

    /// File of aliases, one NAME: ADDRESS, ADDRESS a line, as in aliases(5) [default: DATA/aliases, if there is one]
    #[arg(long, value_name = "FILE", help_heading = "Mail")]
    pub aliases: Option<PathBuf>,

    /// Largest message that is taken, in octets [default: 52428800]
    #[arg(long, value_name = "OCTETS", help_heading = "Mail")]
    pub message_size: Option<u64>,

    /// Form of POP3's unique-ids, by which clients know what they have fetched: dovecot, courier or cyrus, as the server
    /// had it that the mail comes from [default: dovecot]
    #[arg(long, value_name = "FORM", help_heading = "Mail")]
    #[serde(default, deserialize_with = "file::parsed")]
    pub pop3_uidl: Option<UidlFormat>,

    /// Days that mail is kept, or never: told to POP3 clients. Nothing is deleted by it [default: never]
    #[arg(long, value_name = "DAYS", help_heading = "Mail")]
    #[serde(default, deserialize_with = "file::parsed")]
    pub pop3_expire: Option<Retention>,

    /// Way that mail of our users takes to other domains: mx, to the hosts that each domain names in DNS; HOST:PORT, to
    /// that host; or off, which refuses such mail [default: off]
    #[arg(long, value_name = "WAY", help_heading = OUTBOUND)]
    #[serde(default, deserialize_with = "file::parsed")]
    pub relay: Option<Way>,

    /// Another way for one domain, or with a dot before it for all below it; may be repeated
    #[arg(long, value_name = "DOMAIN=WAY", help_heading = OUTBOUND)]
    #[serde(default, deserialize_with = "file::parsed_list")]
    pub transport: Vec<Transport>,

    /// Host that takes what no host could be given that should have it
    #[arg(long, value_name = "HOST:PORT", help_heading = OUTBOUND)]
    #[serde(default, deserialize_with = "file::parsed")]
    pub fallback_relay: Option<RelayHost>,

    /// How hosts named here are spoken with: off (in clear), opportunistic, encrypted (any certificate), verified, or
    /// discovered (by their TLSA records, else opportunistic). Port 465 is under TLS from the start [default: verified where
    /// there is a login, else discovered]
    #[arg(long, value_name = "WHAT", help_heading = OUTBOUND)]
    #[serde(default, deserialize_with = "file::parsed")]
    pub relay_tls: Option<HopSecurity>,

    /// File of logins at hosts named here, one HOST:PORT USER PASSWORD a line, which only this user may read
    #[arg(long, value_name = "FILE", help_heading = OUTBOUND)]
    pub relay_logins: Option<PathBuf>,

    /// Address of this machine to send mail from, one for each family or several; may be repeated [default: the system's]
    #[arg(long, value_name = "IP", help_heading = OUTBOUND)]
    #[serde(default, deserialize_with = "file::parsed_list")]
    pub source_address: Vec<IpAddr>,

    /// Address at which others reach this server and which no interface of it has, behind NAT or a proxy; may be repeated.
    /// Mail is not sent there
    #[arg(long, value_name = "IP", help_heading = OUTBOUND)]
    #[serde(default, deserialize_with = "file::parsed_list")]
    pub own_address: Vec<IpAddr>,

    /// Name server to ask; may be repeated [default: those of /etc/resolv.conf]
    #[arg(long, value_name = "IP:PORT", help_heading = OUTBOUND)]
    #[serde(default, deserialize_with = "file::parsed_list")]
    pub name_server: Vec<SocketAddr>,

    /// Who validates DNSSEC, which DANE needs: validate (we do), trust-server (the name servers do, over a way that is safe),
    /// off, or auto, which is validate where the name servers hand signatures on, and else off [default: auto]
    #[arg(long, value_name = "WHO", help_heading = OUTBOUND)]
    #[serde(default, deserialize_with = "file::parsed")]
    pub dnssec: Option<Validation>,

    /// File of DNSSEC keys to believe, in the form of a zone file [default: those of the root]
    #[arg(long, value_name = "FILE", help_heading = OUTBOUND)]
    pub trust_anchors: Option<PathBuf>,

    /// Key to sign mail of our users with (DKIM); may be repeated. mailctl dkim makes one
    #[arg(long, value_name = "DOMAIN:SELECTOR:FILE", help_heading = OUTBOUND)]
    #[serde(default, deserialize_with = "file::parsed_list")]
    pub dkim: Vec<DkimKey>,

    /// Hours that delivery is tried before the sender gets the message back [default: 120]
    #[arg(long, value_name = "HOURS", help_heading = OUTBOUND)]
    pub queue_lifetime: Option<u32>,

    /// Hours after which the sender is told that delivery is still being tried [default: 4]
    #[arg(long, value_name = "HOURS", help_heading = OUTBOUND)]
    pub delay_warning: Option<u32>,

    /// Mail from other servers [default: 127.0.0.1:2525]
    #[arg(long, value_name = "ADDR", help_heading = LISTENERS)]
    pub smtp: Option<Listen>,

    /// Mail from our users, TLS by STARTTLS [default: 127.0.0.1:2587]
    #[arg(long, value_name = "ADDR", help_heading = LISTENERS)]
    pub submission: Option<Listen>,

    /// Mail from our users, TLS from the start [default: 127.0.0.1:2465]
    #[arg(long, value_name = "ADDR", help_heading = LISTENERS)]
    pub submissions: Option<Listen>,

    /// Mail from another mail server on this machine (LMTP) [default: DATA/lmtp.sock]
    #[arg(long, value_name = "ADDR|PATH", help_heading = LISTENERS)]
    pub lmtp: Option<Listen>,

    /// IMAP, TLS by STARTTLS [default: 127.0.0.1:2143]
    #[arg(long, value_name = "ADDR", help_heading = LISTENERS)]
    pub imap: Option<Listen>,

    /// IMAP, TLS from the start [default: 127.0.0.1:2993]
    #[arg(long, value_name = "ADDR", help_heading = LISTENERS)]
    pub imaps: Option<Listen>,

    /// POP3, TLS by STLS [default: 127.0.0.1:2110]
    #[arg(long, value_name = "ADDR", help_heading = LISTENERS)]
    pub pop3: Option<Listen>,

    /// POP3, TLS from the start [default: 127.0.0.1:2995]
    #[arg(long, value_name = "ADDR", help_heading = LISTENERS)]
    pub pop3s: Option<Listen>,

    /// Health and metrics for operators: /healthz and /metrics [default: 127.0.0.1:2080]
    #[arg(long, value_name = "ADDR", help_heading = LISTENERS)]
    pub http: Option<Listen>,

    /// The operator's door, for mailctl: a PATH, or IP:PORT together with --admin-token [default: DATA/admin.sock]
    #[arg(long, value_name = "PATH|ADDR", help_heading = LISTENERS)]
    pub admin: Option<Listen>,

    /// File whose first line operators show who come over TCP; only this user may read it
    #[arg(long, value_name = "FILE", help_heading = "Security")]
    pub admin_token: Option<PathBuf>,

    /// Takes passwords without TLS too: for tests, and for networks that are trusted
    #[arg(long, value_name = "true|false", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(hide_possible_values = true, help_heading = "Security")]
    pub plaintext_auth: Option<bool>,

    /// Offers APOP on POP3, also without TLS, to users whose password the users' file holds as {PLAIN}PASSWORD
    #[arg(long, value_name = "true|false", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(hide_possible_values = true, help_heading = "Security")]
    pub pop3_apop: Option<bool>,

    /// Peer that may say for whom it speaks (XCLIENT; POP3: XOIP too), where a message was before (XFORWARD), and to LMTP what
    /// its queue calls a delivery, that sends passwords without TLS, and is spared the limit of connections from one
    /// address; may be repeated
    #[arg(long, value_name = "IP|NETWORK", help_heading = "Security")]
    #[serde(default, deserialize_with = "file::parsed_list")]
    pub trusted_proxy: Vec<Network>,

    /// What becomes of clients on the smtp listener that do not wait for their turn, as programs do that send spam: ignore, report
    /// (in the metrics), or refuse, for which all wait for the greeting for a second [default: report]
    #[arg(long, value_name = "WHAT", help_heading = "Security")]
    #[serde(default, deserialize_with = "file::parsed")]
    pub early_talk: Option<EarlyTalkers>,

    /// What becomes of messages with a CR or an LF alone, which can hide a second message: reject, or normalize, which
    /// mends them and may break their signatures [default: reject]
    #[arg(long, value_name = "WHAT", help_heading = "Security")]
    #[serde(default, deserialize_with = "file::parsed")]
    pub bare_line_ends: Option<BareLineEnds>,

    /// Does not tell clients which software this is
    #[arg(long, value_name = "true|false", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(hide_possible_values = true, help_heading = "Security")]
    pub hide_software: Option<bool>,

    /// Certificate chain, PEM [default: DATA/cert.pem, self-signed]
    #[arg(long, value_name = "FILE", help_heading = "Security")]
    pub certificate: Option<PathBuf>,

    /// Private key of the certificate, PEM [default: DATA/key.pem]
    #[arg(long, value_name = "FILE", help_heading = "Security")]
    pub key: Option<PathBuf>,

    /// Name that the server goes by in greetings and trace headers [default: its first domain]
    #[arg(long, value_name = "NAME", help_heading = "Running")]
    pub host: Option<String>,

    /// Connections at once, in all [default: 12000]
    #[arg(long, value_name = "NUMBER", help_heading = "Running")]
    pub connections: Option<usize>,

    /// Connections at once from one address [default: 200]
    #[arg(long, value_name = "NUMBER", help_heading = "Running")]
    pub connections_per_address: Option<usize>,

    /// Least time from one POP3 login of a user to the next; 0 is none [default: 0]
    #[arg(long, value_name = "SECONDS", help_heading = "Running")]
    pub pop3_login_delay: Option<u32>,

    /// Longest time that open sessions, then deliveries, may go on when the server stops [default: 30]
    #[arg(long, value_name = "SECONDS", help_heading = "Running")]
    pub drain: Option<u64>,

    /// What is logged to standard error: error, warn, info, debug or trace; RUST_LOG overrules it [default: info]
    #[arg(long, value_name = "LEVEL", help_heading = "Running")]
    pub log: Option<String>,
}

const OUTBOUND: &str = "Mail that leaves";
const LISTENERS: &str = "Listeners: IP:PORT, :PORT for all addresses, a PATH with a '/' in it, or off";

impl Options {
    /// Reads a file.
    ///
    /// # Errors
    /// [`ConfigError`] that names the file, the line and the key.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text =
            std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        Self::parse(&text, path)
    }

    /// Understands a file's text. `path` is for the error only.
    ///
    /// # Errors
    /// As for [`read`](Self::read).
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        toml::from_str(text).map_err(|error| file::fault(&error, text, path))
    }

    /// Lays these over others: what was said here wins. Users of both are added, these last.
    #[must_use]
    pub fn over(self, below: Self) -> Self {
        Self {
            data: self.data.or(below.data),
            domain: if self.domain.is_empty() { below.domain } else { self.domain },
            user: below.user.into_iter().chain(self.user).collect(),
            users: self.users.or(below.users),
            aliases: self.aliases.or(below.aliases),
            relay: self.relay.or(below.relay),
            transport: if self.transport.is_empty() { below.transport } else { self.transport },
            fallback_relay: self.fallback_relay.or(below.fallback_relay),
            relay_tls: self.relay_tls.or(below.relay_tls),
            relay_logins: self.relay_logins.or(below.relay_logins),
            source_address: if self.source_address.is_empty() { below.source_address } else { self.source_address },
            own_address: if self.own_address.is_empty() { below.own_address } else { self.own_address },
            name_server: if self.name_server.is_empty() { below.name_server } else { self.name_server },
            dnssec: self.dnssec.or(below.dnssec),
            trust_anchors: self.trust_anchors.or(below.trust_anchors),
            dkim: if self.dkim.is_empty() { below.dkim } else { self.dkim },
            queue_lifetime: self.queue_lifetime.or(below.queue_lifetime),
            delay_warning: self.delay_warning.or(below.delay_warning),
            pop3_uidl: self.pop3_uidl.or(below.pop3_uidl),
            pop3_expire: self.pop3_expire.or(below.pop3_expire),
            message_size: self.message_size.or(below.message_size),
            smtp: self.smtp.or(below.smtp),
            submission: self.submission.or(below.submission),
            submissions: self.submissions.or(below.submissions),
            lmtp: self.lmtp.or(below.lmtp),
            imap: self.imap.or(below.imap),
            imaps: self.imaps.or(below.imaps),
            pop3: self.pop3.or(below.pop3),
            pop3s: self.pop3s.or(below.pop3s),
            http: self.http.or(below.http),
            admin: self.admin.or(below.admin),
            admin_token: self.admin_token.or(below.admin_token),
            plaintext_auth: self.plaintext_auth.or(below.plaintext_auth),
            pop3_apop: self.pop3_apop.or(below.pop3_apop),
            trusted_proxy: if self.trusted_proxy.is_empty() { below.trusted_proxy } else { self.trusted_proxy },
            early_talk: self.early_talk.or(below.early_talk),
            bare_line_ends: self.bare_line_ends.or(below.bare_line_ends),
            hide_software: self.hide_software.or(below.hide_software),
            certificate: self.certificate.or(below.certificate),
            key: self.key.or(below.key),
            host: self.host.or(below.host),
            connections: self.connections.or(below.connections),
            connections_per_address: self.connections_per_address.or(below.connections_per_address),
            pop3_login_delay: self.pop3_login_delay.or(below.pop3_login_delay),
            drain: self.drain.or(below.drain),
            log: self.log.or(below.log),
        }
    }

    /// Fills in the defaults.
    ///
    /// # Errors
    /// A setting cannot be meant.
    pub fn resolve(self) -> Result<Config, ConfigError> {
        let data = self.data.unwrap_or_else(|| "posthaste-data".into());
        let listeners = Listeners {
            smtp: self.smtp.unwrap_or(Listen::loopback(2525)),
            submission: self.submission.unwrap_or(Listen::loopback(2587)),
            submissions: self.submissions.unwrap_or(Listen::loopback(2465)),
            lmtp: self.lmtp.unwrap_or_else(|| Listen::At(Endpoint::Unix(data.join("lmtp.sock")))),
            imap: self.imap.unwrap_or(Listen::loopback(2143)),
            imaps: self.imaps.unwrap_or(Listen::loopback(2993)),
            pop3: self.pop3.unwrap_or(Listen::loopback(2110)),
            pop3s: self.pop3s.unwrap_or(Listen::loopback(2995)),
            http: match self.http.unwrap_or(Listen::loopback(2080)) {
                Listen::Off => None,
                Listen::At(Endpoint::Tcp(address)) => Some(address),
                Listen::At(Endpoint::Unix(_)) => return Err(ConfigError::HttpPath),
            },
        };
        let certificate = match (self.certificate, self.key) {
            (Some(certificate), Some(key)) => Certificate::Given { certificate, key },
            (None, None) => Certificate::SelfSigned { certificate: data.join("cert.pem"), key: data.join("key.pem") },
            (Some(_), None) | (None, Some(_)) => return Err(ConfigError::HalfCertificate),
        };
        let mut outward = Outward::new(self.relay.unwrap_or_default());
        self.transport.into_iter().for_each(|transport| outward.add(transport));
        Ok(Config {
            host: self.host.map(|host| domain(host, "host")).transpose()?,
            domains: self.domain.into_iter().map(|name| domain(name, "domain")).collect::<Result<_, _>>()?,
            users: self.users.unwrap_or_else(|| data.join("users")),
            aliases: self.aliases.map_or_else(|| AliasesAt::Default(data.join("aliases")), AliasesAt::Given),
            new_users: self.user.iter().map(GivenUser::parse).collect::<Result<_, _>>()?,
            certificate,
            listeners,
            outbound: OutboundSettings {
                outward,
                fallback: self.fallback_relay,
                relay_tls: self.relay_tls,
                relay_logins: self.relay_logins,
                sources: self.source_address,
                own_addresses: self.own_address,
                name_servers: self.name_server,
                dnssec: self.dnssec.unwrap_or_default(),
                trust_anchors: self.trust_anchors,
                dkim: self.dkim,
                lifetime: hours(at_least_one(self.queue_lifetime, "queue-lifetime", 120)?),
                delay_warning: hours(at_least_one(self.delay_warning, "delay-warning", 4)?),
            },
            admin: self.admin.unwrap_or_else(|| Listen::At(Endpoint::Unix(data.join("admin.sock")))),
            admin_token: self.admin_token,
            plaintext_auth: self.plaintext_auth.unwrap_or(false),
            trusted_proxies: self.trusted_proxy,
            hide_software: self.hide_software.unwrap_or(false),
            smtp: SmtpSettings {
                early_talk: self.early_talk.unwrap_or_default(),
                bare_line_ends: self.bare_line_ends.unwrap_or_default(),
            },
            pop3: Pop3Settings {
                uidl: self.pop3_uidl.unwrap_or_default(),
                login_delay: self.pop3_login_delay.and_then(NonZeroU32::new),
                expire: self.pop3_expire.unwrap_or(Retention(Expire::Never)),
                apop: self.pop3_apop.unwrap_or(false),
            },
            message_size: at_least_one(self.message_size, "message-size", 50 << 20)?,
            connections: at_least_one(self.connections, "connections", 12_000)?,
            connections_per_address: at_least_one(self.connections_per_address, "connections-per-address", 200)?,
            drain: Duration::from_secs(self.drain.unwrap_or(30)),
            log: self.log.unwrap_or_else(|| "info".into()),
            data,
        })
    }
}

/// Why there is no configuration. Each says the remedy.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {path}: {source}; check the path and that this user may read it")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file cannot be understood.
    #[error("the configuration {path}, line {line}{key}: {message}")]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// The key in that line, in brackets, if one stands there.
        key: String,
        /// What is wrong, on one line.
        message: String,
    },
    /// A user to add is not an address and a password.
    #[error("user: it is given as ADDRESS:PASSWORD, as in alice@example.org:secret")]
    NoPassword,
    /// A user to add has no address.
    #[error("user: {0}; it is given as ADDRESS:PASSWORD, as in alice@example.org:secret")]
    NoAddress(NameFault),
    /// Not a domain's name.
    #[error("{key}: {given:?} is not a domain's name; write one like example.org")]
    NoDomain {
        /// The option.
        key: &'static str,
        /// What was given.
        given: String,
    },
    /// A certificate without a key, or a key without a certificate.
    #[error("certificate and key belong together; give both, or neither for a self-signed certificate")]
    HalfCertificate,
    /// Operators' HTTP on a Unix socket.
    #[error("http: it listens on TCP only; write IP:PORT, :PORT or off")]
    HttpPath,
    /// A limit that lets nobody in.
    #[error("{key}: it must be at least 1")]
    Zero {
        /// The option.
        key: &'static str,
    },
}

/// The one spelling of a domain's name.
fn domain(given: String, key: &'static str) -> Result<String, ConfigError> {
    let label = |label: &str| {
        !label.is_empty() && label.len() <= 63 && label.chars().all(|c| c == '-' || c == '_' || c.is_alphanumeric())
    };
    let name = given.strip_suffix('.').unwrap_or(&given);
    // RFC 1035 §2.3.4: 255 octets with the lengths of the labels, which leaves 253 for the text.
    if name.len() <= 253 && name.split('.').all(label) {
        Ok(name.to_lowercase())
    } else {
        Err(ConfigError::NoDomain { key, given })
    }
}

fn hours(count: u32) -> Duration {
    Duration::from_secs(u64::from(count) * 3600)
}

fn at_least_one<N: Default + PartialEq>(given: Option<N>, key: &'static str, otherwise: N) -> Result<N, ConfigError> {
    let number = given.unwrap_or(otherwise);
    if number == N::default() { Err(ConfigError::Zero { key }) } else { Ok(number) }
}

#[cfg(test)]
mod tests;
