//! POP3 servers on loopback, each with a configuration and directories of its own.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::places::{free_address, program};
use crate::{Maildrop, Processes};

/// Everybody's password.
pub const PASSWORD: &str = "secret";

/// The same in the cheapest form that our users' file takes. Dovecot has it in the clear, which costs it nothing at all.
pub(crate) const VERIFIER: &str =
    "$6$rounds=1000$benchbench$VyPlxx.vZ6QbbR0ZViPu9CAFYmCooy1/zkrq5/uARClOqmdfLAaaFATlxLcxLRZo3tpoSpo6aKPmLCoWLNoW6/";

/// Who Dovecot's mail belongs to: it refuses to serve root's.
const NOBODY: u32 = 65534;

/// How long a server may take to start.
const PATIENCE: Duration = Duration::from_secs(20);

/// A server that runs.
pub trait Pop3Server {
    /// What its rows are called.
    fn name(&self) -> &'static str;
    /// Where it listens.
    fn address(&self) -> SocketAddr;
    /// Its processes.
    fn processes(&self) -> &Processes;
}

/// How Dovecot is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setup {
    /// As Debian ships it: a process for each connection, and another for each session; sessions share a maildrop.
    Shipped,
    /// Processes are there before they are needed and serve one after another (its documentation's "high-performance
    /// mode"); sessions share a maildrop.
    Kept,
    /// The same, and a session has its maildrop for itself, as RFC 1939 §4 asks and ours does.
    KeptAndLocked,
}

/// A folder with each user's Maildir below `mail/example.org`.
#[derive(Debug)]
pub struct Place {
    root: PathBuf,
    owner: Option<u32>,
}

impl Place {
    /// For our server.
    #[must_use]
    pub fn ours(root: PathBuf) -> Self {
        fs::create_dir_all(root.join("mail/example.org")).unwrap();
        fs::set_permissions(&root, PermissionsExt::from_mode(0o700)).unwrap();
        Self { root, owner: None }
    }

    /// For Dovecot.
    #[must_use]
    pub fn dovecots(root: PathBuf) -> Self {
        fs::create_dir_all(root.join("mail/example.org")).unwrap();
        chown(root.join("mail/example.org"), Some(NOBODY), Some(NOBODY)).unwrap();
        Self { root, owner: Some(NOBODY) }
    }

    /// Gives a user a maildrop.
    pub fn add(&self, user: &str, maildrop: Maildrop) {
        maildrop.write(&self.root.join("mail/example.org").join(user), self.owner);
    }

    fn users(&self) -> Vec<String> {
        let names = fs::read_dir(self.root.join("mail/example.org")).unwrap();
        names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    fn write_users(&self, line: impl Fn(&str) -> String) -> PathBuf {
        let path = self.root.join("users");
        let lines: String = self.users().iter().map(|user| line(&format!("{user}@example.org")) + "\n").collect();
        fs::write(&path, lines).unwrap();
        path
    }

    fn log(&self, name: &str) -> File {
        File::create(self.root.join(name)).unwrap()
    }
}

/// Starts our `single-node`, with POP3 alone.
#[must_use]
pub fn single_node(place: &Place) -> impl Pop3Server + use<> {
    place.write_users(|address| format!("{address}:{VERIFIER}"));
    let address = free_address();
    let mut command = Command::new(program());
    command.arg("--data").arg(&place.root).arg(format!("--pop3={address}"));
    for service in ["smtp", "submission", "submissions", "lmtp", "imap", "imaps", "pop3s", "http"] {
        command.arg(format!("--{service}=off"));
    }
    command.args(["--plaintext-auth", "--connections-per-address=2000"]).env_remove("RUST_LOG");
    let log = place.log("log");
    command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
    Server::start("posthaste single-node", address, command)
}

/// Why Dovecot cannot be measured here, if so.
#[must_use]
pub fn dovecot_missing() -> Option<&'static str> {
    if Command::new(DOVECOT).arg("--version").output().is_err() || !Path::new(DOVECOTS_POP3).exists() {
        return Some("Dovecot is not installed (Debian: apt-get install dovecot-pop3d)");
    }
    (!rustix::process::geteuid().is_root()).then_some("Dovecot has to be started by root")
}

const DOVECOT: &str = "/usr/sbin/dovecot";
const DOVECOTS_POP3: &str = "/usr/lib/dovecot/pop3";

/// Starts Debian's Dovecot.
#[derive(Debug)]
pub struct Dovecot;

impl Dovecot {
    /// Starts one. Several may serve one place.
    #[must_use]
    pub fn start(place: &Place, setup: Setup) -> impl Pop3Server + use<> {
        let users = place.write_users(|address| format!("{address}:{{PLAIN}}{PASSWORD}::::::"));
        fs::set_permissions(&users, PermissionsExt::from_mode(0o644)).unwrap();
        let address = free_address();
        let root = place.root.display();
        let (name, more, lock) = match setup {
            Setup::Shipped => ("Dovecot as Debian ships it, sessions share", "", "no"),
            Setup::Kept => ("Dovecot, processes kept, sessions share", KEPT, "no"),
            Setup::KeptAndLocked => ("Dovecot, processes kept, maildrop locked", KEPT, "yes"),
        };
        let port = address.port();
        let config = format!(
            "protocols = pop3\nlisten = 127.0.0.1\nssl = no\ndisable_plaintext_auth = no\n\
             instance_name = bench-{port}\nbase_dir = {root}/run-{port}\nstate_dir = {root}/state-{port}\n\
             log_path = {root}/log-{port}\nmail_location = maildir:{root}/mail/%d/%n\nfirst_valid_uid = 100\n\
             auth_mechanisms = plain\nauth_cache_size = 16M\n\
             passdb {{\n  driver = passwd-file\n  args = {users}\n}}\n\
             userdb {{\n  driver = static\n  args = uid=nobody gid=nogroup home={root}/mail/%d/%n\n}}\n\
             pop3_lock_session = {lock}\npop3_no_flag_updates = yes\n\
             service pop3-login {{\n  inet_listener pop3 {{\n    port = {port}\n  }}\n  inet_listener pop3s {{\n    \
             port = 0\n  }}\n}}\n\
             service stats {{\n  inet_listener http {{\n    port = 0\n  }}\n}}\n\
             service pop3 {{\n  process_limit = 1024\n}}\n{more}",
            users = users.display(),
        );
        let path = place.root.join(format!("dovecot-{port}.conf"));
        fs::write(&path, config).unwrap();
        let mut command = Command::new(DOVECOT);
        command.arg("-F").arg("-c").arg(path).stdin(Stdio::null());
        let log = place.log("out");
        command.stdout(log.try_clone().unwrap()).stderr(log);
        Server::start(name, address, command)
    }
}

/// More settings, for processes that are there before they are needed.
const KEPT: &str = "service pop3-login {\n  service_count = 0\n  process_min_avail = 2\n}\n\
                    service pop3 {\n  service_count = 0\n  process_min_avail = 8\n}\n";

#[derive(Debug)]
struct Server {
    name: &'static str,
    address: SocketAddr,
    processes: Processes,
}

impl Server {
    fn start(name: &'static str, address: SocketAddr, mut command: Command) -> Self {
        let mut processes = Processes::new(command.spawn().unwrap());
        let end = Instant::now() + PATIENCE;
        while TcpStream::connect(address).is_err() {
            assert!(processes.ended().is_none() && Instant::now() < end, "{name} does not start: {command:?}");
            sleep(Duration::from_millis(20));
        }
        Self { name, address, processes }
    }
}

impl Pop3Server for Server {
    fn name(&self) -> &'static str {
        self.name
    }

    fn address(&self) -> SocketAddr {
        self.address
    }

    fn processes(&self) -> &Processes {
        &self.processes
    }
}
