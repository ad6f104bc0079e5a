//! A whole mail server in one process: SMTP, IMAP and POP3 over one queue and a Maildir for each user.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use examples::settings::{self, Spooled};
use examples::{DataFolder, Doors, Failure, Signals, Tls, Welcome, arguments, descriptors, log_to_stderr};
use services::admin;
use services::config::{Certificate, Config, Options};
use services::directory::{Accounts, LoginLimits, UsersFile, UsersOptions, random_password};
use services::http::{self, Health, Numbers, Stage};
use services::imap::Imap;
use services::net::{ConnectionLimits, Drain, DrainHandle, Endpoint};
use services::outbound::measure;
use services::pop3::Pop3;
use services::routes::Routing;
use services::smtp::{Lmtp, Mx, SmtpOptions, Submission};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use zeroize::Zeroizing;

/// A whole mail server in one process. Without any option it listens on this machine only, keeps everything in
/// ./posthaste-data, and begins with two users, alice@example.org and bob@example.org.
#[derive(Parser)]
#[command(name = PROGRAM, version, after_help = AFTER_HELP, max_term_width = 120)]
struct Arguments {
    /// TOML file with any of the options below, by the same names; the command line wins
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    #[command(flatten)]
    options: Options,
}

const PROGRAM: &str = "single-node";

const AFTER_HELP: &str = "\
Examples:
  single-node
  single-node --user carol@example.org:SECRET
  single-node --domain example.net --smtp :25 --submissions :465 --imaps :993 --data /srv/mail
  single-node --config mail.toml --log debug

mail.toml:
  domain = [\"example.net\", \"example.com\"]
  imaps = \":993\"
  pop3 = \"off\"
  relay = \"smtp.example.com:25\"

SIGTERM and Ctrl-C let open sessions end first; SIGHUP reads the files of users and aliases again.\n";

fn main() -> ExitCode {
    match start() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{PROGRAM}: {failure}");
            ExitCode::from(2)
        }
    }
}

fn start() -> Result<(), Failure> {
    let Some(Arguments { config, options }) = arguments()? else { return Ok(()) };
    let file = config.map(|path| Options::read(&path)).transpose()?.unwrap_or_default();
    let config = options.over(file).resolve()?;
    log_to_stderr(&config.log)?;
    let folder = DataFolder::take(&config.data)?;
    if descriptors() < config.connections as u64 {
        tracing::warn!(
            "the system allows fewer descriptors than connections; raise them with ulimit -n, or set --connections"
        );
    }
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(run(&config, &folder))
}

async fn run(config: &Config, folder: &DataFolder) -> Result<(), Failure> {
    let numbers = Numbers::install()?;
    let users = Arc::new(UsersFile::open_or_create(&config.users, UsersOptions::default())?);
    let domains = domains(config, &users);
    let host = config.host.clone().or_else(|| domains.first().cloned()).unwrap_or_default();
    let named = |_| Failure::new(format!("{host:?} is no name for a mail server; give it another one with --host"));
    smtp_proto::Domain::parse(&host).map_err(named)?;

    let aliases = settings::aliases(config)?;

    // Every address is taken before anything is made that is told only once.
    let (sessions, drain) = Drain::new();
    let proxies = config.trusted_proxies.clone();
    let limits = ConnectionLimits::except(proxies, config.connections, config.connections_per_address);
    let mut doors = Doors::new(settings::certificate(config, &host, &domains)?, limits, drain);
    let smtp = doors.open("smtp", &config.listeners.smtp, Tls::WhenAsked)?;
    let submission = doors.open("submission", &config.listeners.submission, Tls::WhenAsked)?;
    let submissions = doors.open("submissions", &config.listeners.submissions, Tls::AtOnce)?;
    let lmtp = doors.open("lmtp", &config.listeners.lmtp, Tls::Never)?;
    let imap = doors.open("imap", &config.listeners.imap, Tls::WhenAsked)?;
    let imaps = doors.open("imaps", &config.listeners.imaps, Tls::AtOnce)?;
    let pop3 = doors.open("pop3", &config.listeners.pop3, Tls::WhenAsked)?;
    let pop3s = doors.open("pop3s", &config.listeners.pop3s, Tls::AtOnce)?;
    let http = doors.open_http(config.listeners.http).await?;
    let admin = doors.open_admin(config).await?;
    let mut signals = Signals::take()?;

    let store = Arc::new(settings::open_store(folder)?);
    let queue = settings::open_queue(folder, config, &host).await?;
    let created = add_users(config, &users, &domains)?;
    let outward = config.outbound.outward.clone();
    let routing = Arc::new(Routing::with_aliases(domains, outward, &users.accounts(), aliases)?);
    let accounts = Accounts::new(Arc::clone(&users), LoginLimits::default());

    let (routes, who) = (|| Arc::clone(&routing), || accounts.clone());
    let options = settings::smtp_options(config, &host)?;
    doors.serve([smtp], Mx::new(queue.clone(), routes(), who(), &options).map_err(named)?);
    let service = Submission::new(queue.clone(), routes(), who(), &options).map_err(named)?;
    doors.serve([submission, submissions], service);
    let options = SmtpOptions { start_tls: smtp_proto::StartTls::Off, ..options };
    doors.serve([lmtp], Lmtp::new(Arc::clone(&store), routes(), who(), &options).map_err(named)?);
    doors.serve([imap, imaps], Imap::new(Arc::clone(&store), who(), settings::imap_options(config, &host)));
    doors.serve([pop3, pop3s], Pop3::new(Arc::clone(&store), who(), settings::pop3_options(config, &host)));
    let outbound = settings::outbound(config, folder, &host, store, routes()).await?;
    let deliveries = tokio::spawn({
        let queue = queue.clone();
        async move { queue.run(outbound).await }
    });

    let health = Health::starting();
    let (observers, observed) = Drain::new();
    let sampled = queue.clone();
    let numbers = numbers.sampling(move || measure(&sampled.counters()));
    let operators_door = admin.map(|door| tokio::spawn(admin::serve(door, queue.clone(), observed.clone())));
    let operators = http.map(|http| tokio::spawn(http::serve(http, health.clone(), Arc::new(numbers), observed)));

    let doors = doors.opened();
    welcome(config, host, doors, &users, created);
    health.enter(Stage::Ready);
    signals.stop(|| reload(config, &users, &routing)).await;
    health.enter(Stage::Draining);
    tracing::info!("stopping; open sessions may end first, another signal stops at once");
    tokio::select! {
        () = wind_down(config.drain, sessions, &queue, deliveries) => {}
        () = signals.stop(|| ()) => std::process::exit(1),
    }
    observers.stop();
    for task in [operators, operators_door].into_iter().flatten() {
        // Whoever keeps a connection open and asks nothing does not keep the server.
        let _ = timeout(Duration::from_secs(1), task).await;
    }
    tracing::info!("stopped");
    Ok(())
}

/// Lets sessions end, then deliveries under way, each for so long at most, then the spool's last writes.
async fn wind_down(at_most: Duration, mut sessions: DrainHandle, queue: &Spooled, mut deliveries: JoinHandle<()>) {
    sessions.stop();
    if !sessions.drained(at_most).await {
        tracing::warn!("some sessions did not end in time and are cut off");
    }
    queue.drain();
    if timeout(at_most, &mut deliveries).await.is_err() {
        tracing::warn!("some deliveries did not end in time; they are tried again after the next start");
        deliveries.abort();
    }
    queue.close().await;
}

/// Reads users and aliases again. Where the one file is faulty, the other is still taken.
fn reload(config: &Config, users: &UsersFile, routing: &Routing) {
    if let Err(error) = users.reload() {
        tracing::error!("users stay as they were: {}", Failure::from(error));
    }
    let accounts = users.accounts();
    let read = settings::aliases(config).map_err(Failure::from).and_then(|aliases| {
        let lines = aliases.len();
        routing.rebuild_with(&accounts, aliases).map_err(Failure::from)?;
        Ok(lines)
    });
    match read {
        Ok(aliases) => return tracing::info!(users = accounts.len(), aliases, "the routing table was made anew"),
        Err(failure) => tracing::error!("aliases stay as they were: {failure}"),
    }
    if let Err(error) = routing.rebuild(&accounts) {
        tracing::error!("the routing table stays as it was: {}", Failure::from(error));
    }
}

/// The domains given, or else those of the users, or else one for trying things out.
fn domains(config: &Config, users: &UsersFile) -> Vec<String> {
    if !config.domains.is_empty() {
        return config.domains.clone();
    }
    let accounts = users.accounts();
    let known = accounts.iter().chain(config.new_users.iter().map(|user| &user.account));
    let mut domains: Vec<_> = known.map(|account| account.domain().to_owned()).collect();
    domains.sort();
    domains.dedup();
    if domains.is_empty() { vec!["example.org".to_owned()] } else { domains }
}

/// Adds and updates the users given; where there are none at all, makes two and tells their passwords.
fn add_users(
    config: &Config,
    users: &UsersFile,
    domains: &[String],
) -> Result<Vec<(String, Zeroizing<String>)>, Failure> {
    for user in &config.new_users {
        users.set_password(user.account.address(), user.password.as_bytes())?;
    }
    let mut created = Vec::new();
    if let (true, Some(domain)) = (users.is_empty(), domains.first()) {
        for name in ["alice", "bob"] {
            let (address, password) = (format!("{name}@{domain}"), random_password()?);
            users.set_password(&address, password.as_bytes())?;
            created.push((address, password));
        }
    }
    Ok(created)
}

fn welcome(
    config: &Config,
    host: String,
    doors: Vec<(&'static str, Endpoint)>,
    users: &UsersFile,
    created: Vec<(String, Zeroizing<String>)>,
) {
    let certificate = match &config.certificate {
        Certificate::SelfSigned { certificate, .. } => Some(certificate.clone()),
        Certificate::Given { .. } => None,
    };
    let users = users.accounts().iter().take(2).map(ToString::to_string).collect();
    let program = std::env::args().next().unwrap_or_else(|| PROGRAM.to_owned());
    let welcome = Welcome { program, data: config.data.clone(), certificate, host, doors, users, created };
    // Whoever closed standard output does not want to read it.
    let _ = write!(std::io::stdout(), "{welcome}");
}
