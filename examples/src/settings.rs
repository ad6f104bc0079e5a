//! From the configuration to what each part of a server is told.

use std::sync::Arc;
use std::time::Duration;

use mailqueue::files::RealFiles;
use mailqueue::{LogConfig, LogSpool, Queue, QueueConfig, Reporting, Schedule};
use mailstore::Store;
use mailstore::maildir::{MaildirConfig, MaildirStore};
use services::config::{AliasesAt, Certificate, Config, Pop3Settings, Retention, Validation};
use services::imap::ImapOptions;
use services::net::tls;
use services::outbound::{
    CourierOptions, Couriers, DnsOptions, Dnssec, Journal, Logins, Outbound, Relays, Resolver, ResolverOptions,
    StsOptions, TlsReportOptions, TlsReports, TokioClock,
};
use services::pop3::{ApopLogin, Pop3Options};
use services::routes::{AliasLimits, Aliases, AliasesError, Routing};
use services::sign::{Identity, Key, SignOptions, Signer};
use services::smtp::{Forwarding, ForwardingOptions, SmtpOptions};

use tokio::time::timeout;

use crate::{DataFolder, Failure};

/// The queue of a server, on disk.
pub type Spooled = Queue<LogSpool>;

/// The certificate that is configured, or one that is made here.
///
/// # Errors
/// It cannot be read or made.
pub fn certificate(config: &Config, host: &str, domains: &[String]) -> Result<Arc<rustls::ServerConfig>, Failure> {
    let (certificate, key) = match &config.certificate {
        Certificate::Given { certificate, key } => (certificate, key),
        Certificate::SelfSigned { certificate, key } => {
            let names = ["localhost", "127.0.0.1", "::1", host].into_iter().chain(domains.iter().map(String::as_str));
            // A certificate holds names in ASCII only.
            let names: Vec<_> = names.filter(|name| name.is_ascii()).map(str::to_owned).collect();
            let made = tls::ensure_self_signed(certificate, key, &names);
            made.map_err(|error| {
                Failure::with_remedy(error, "let this user write there, or give --certificate and --key")
            })?;
            (certificate, key)
        }
    };
    let remedy = "give a chain and its key with --certificate and --key, or remove both files to have them made anew";
    tls::server_config(certificate, key).map_err(|error| Failure::with_remedy(error, remedy))
}

/// The aliases, as their file says them now.
///
/// # Errors
/// The file cannot be used.
pub fn aliases(config: &Config) -> Result<Aliases, AliasesError> {
    match &config.aliases {
        AliasesAt::Default(path) => Aliases::read_if_there(path, AliasLimits::default()),
        AliasesAt::Given(path) => Aliases::read(path, AliasLimits::default()),
    }
}

/// The mailboxes.
///
/// # Errors
/// The folder cannot be used.
pub fn open_store(folder: &DataFolder) -> Result<MaildirStore, Failure> {
    let path = folder.join("mail");
    MaildirStore::open(&path, &MaildirConfig::default()).map_err(|error| {
        let remedy = format!("mail is kept in {}, which must be a folder that this user may write", path.display());
        Failure::with_remedy(error, remedy)
    })
}

/// The queue, and what is logged of it.
///
/// # Errors
/// The folder cannot be used.
pub async fn open_queue(folder: &DataFolder, config: &Config, host: &str) -> Result<Spooled, Failure> {
    let path = folder.join("queue");
    let remedy = || format!("the queue is kept in {}, which must be a folder that this user may write", path.display());
    let files = RealFiles::new(&path).map_err(|error| Failure::with_remedy(error, remedy()))?;
    let (spool, report) =
        LogSpool::open(files, LogConfig::default()).map_err(|error| Failure::with_remedy(error, remedy()))?;
    tracing::debug!(?report, "queue opened");
    let reporting = Reporting { host: host.to_owned(), from: format!("postmaster@{host}"), ..Reporting::default() };
    let defaults = QueueConfig::default();
    let lifetime = |schedule: Schedule| Schedule { lifetime: config.outbound.lifetime, ..schedule };
    let queue_config = QueueConfig {
        schedule: lifetime(defaults.schedule.clone()),
        local_schedule: lifetime(defaults.local_schedule.clone()),
        warn_after: config.outbound.delay_warning,
        reporting,
        ..defaults
    };
    let queue = Queue::open(spool, queue_config, Arc::new(TokioClock::new())).await?;
    queue.observe(Arc::new(Journal));
    Ok(queue)
}

/// What delivers: into the store, and to other servers.
///
/// # Errors
/// A file or folder that is configured cannot be used.
pub async fn outbound<S: Store>(
    config: &Config,
    folder: &DataFolder,
    host: &str,
    store: Arc<S>,
    routing: Arc<Routing>,
) -> Result<Outbound<S>, Failure> {
    let settings = &config.outbound;
    let kept = folder.join("outbound");
    let reports =
        TlsReports::open(TlsReportOptions { folder: Some(kept.join("tls-reports")), ..TlsReportOptions::default() })?;
    let interfaces = if_addrs::get_if_addrs()?;
    let own_addresses = interfaces.iter().map(if_addrs::Interface::ip);
    let defaults = ResolverOptions::new(host);
    let tls = defaults.tls.clone();
    let options = ResolverOptions {
        dns: DnsOptions { name_servers: settings.name_servers.clone(), ..DnsOptions::default() },
        sts: Some(StsOptions { folder: Some(kept.join("mta-sts")), ..StsOptions::default() }),
        reports: Some(Arc::clone(&reports)),
        own_addresses: own_addresses.chain(settings.own_addresses.iter().copied()).collect(),
        ..defaults
    };
    let resolver = resolver(config, options).await?;
    let logins = settings.relay_logins.as_deref().map(Logins::read).transpose()?.unwrap_or_default();
    let relays = Relays { security: settings.relay_tls, logins, fallback: settings.fallback.clone() };
    let client = smtp_proto::ClientConfig::new(smtp_proto::Domain::parse(host)?.into_owned());
    let sources = settings.sources.clone();
    let reports = Some(reports);
    let couriers = Couriers::new(CourierOptions { sources, reports, ..CourierOptions::new(client, tls) });
    Ok(Outbound::new(store, routing, Arc::new(resolver), couriers, relays))
}

/// Finds out who validates DNSSEC, where that is left to us.
async fn resolver(config: &Config, options: ResolverOptions) -> Result<Resolver, Failure> {
    let anchors = config.outbound.trust_anchors.clone();
    let with = |dnssec| {
        Resolver::new(ResolverOptions { dns: DnsOptions { dnssec, ..options.dns.clone() }, ..options.clone() })
    };
    match config.outbound.dnssec {
        Validation::Validate => Ok(with(Dnssec::Validate { anchors })?),
        Validation::TrustServer => Ok(with(Dnssec::TrustResolver)?),
        Validation::Off => Ok(with(Dnssec::Off)?),
        Validation::Auto if !config.outbound.outward.needs_names() => Ok(with(Dnssec::Off)?),
        Validation::Auto => {
            let resolver = with(Dnssec::Validate { anchors })?;
            // Whoever starts a server waits for it.
            if timeout(Duration::from_secs(5), resolver.dns_validates()).await == Ok(true) {
                return Ok(resolver);
            }
            tracing::warn!(
                "the name servers do not hand DNSSEC's signatures on, so that there is no DANE until the next start; \
                 name others with --name-server, or say what is wanted with --dnssec"
            );
            Ok(with(Dnssec::Off)?)
        }
    }
}

/// What the services of SMTP are told.
///
/// # Errors
/// A key for DKIM cannot be used, or the system's name servers cannot be read.
pub fn smtp_options(config: &Config, host: &str) -> Result<SmtpOptions, Failure> {
    use smtp_proto::{PlaintextLogin, StartTls};
    let mut signer = Signer::new(SignOptions::default());
    for key in &config.outbound.dkim {
        let remedy = || format!("{} holds the private key of {} in PEM form", key.file.display(), key.domain);
        let read = Key::read(&key.file).map_err(|error| Failure::with_remedy(error, remedy()))?;
        signer.add(Identity::new(&key.domain, &key.selector, read)?)?;
    }
    let signer = Arc::new(signer);
    let options =
        ForwardingOptions { name_servers: config.outbound.name_servers.clone(), ..ForwardingOptions::default() };
    // Without a key there is no seal.
    let forwarding = (!config.outbound.dkim.is_empty()).then(|| Forwarding::new(Arc::clone(&signer), &options));
    let forwarding = forwarding.transpose()?.map(Arc::new);
    Ok(SmtpOptions {
        start_tls: StartTls::Offered,
        plaintext_login: if config.plaintext_auth { PlaintextLogin::Always } else { PlaintextLogin::UnderTls },
        message_size: config.message_size,
        early_talk: config.smtp.early_talk.0,
        bare_line_ends: config.smtp.bare_line_ends.0,
        trusted_proxies: config.trusted_proxies.clone(),
        signer,
        forwarding,
        ..SmtpOptions::new(host)
    })
}

/// What the service of IMAP is told.
#[must_use]
pub fn imap_options(config: &Config, host: &str) -> ImapOptions {
    use imap_proto::{PlaintextLogin, StartTls};
    let plaintext_login = if config.plaintext_auth { PlaintextLogin::Always } else { PlaintextLogin::UnderTls };
    ImapOptions { host: host.to_owned(), software: software(config), start_tls: StartTls::Offered, plaintext_login }
}

/// What the service of POP3 is told.
#[must_use]
pub fn pop3_options(config: &Config, host: &str) -> Pop3Options {
    use pop3_proto::{PlaintextLogin, Stls};
    let plaintext_login = if config.plaintext_auth { PlaintextLogin::Always } else { PlaintextLogin::UnderTls };
    let Pop3Settings { uidl, login_delay, expire: Retention(expire), apop } = config.pop3;
    Pop3Options {
        host: host.to_owned(),
        software: software(config),
        stls: Stls::Offered,
        plaintext_login,
        apop: if apop { ApopLogin::Offered } else { ApopLogin::Off },
        uidl,
        login_delay,
        expire,
        trusted_proxies: config.trusted_proxies.clone(),
    }
}

fn software(config: &Config) -> Option<String> {
    (!config.hide_software).then(|| "Posthaste".to_owned())
}
