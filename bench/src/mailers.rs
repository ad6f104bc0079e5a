//! Servers that take mail by SMTP and keep it in a queue.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::places::{free_address, mailctl, program};
use crate::servers::VERIFIER;
use crate::{PASSWORD, Processes, postfix};

/// How long a server may take to start.
const PATIENCE: Duration = Duration::from_secs(120);

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Make {
    /// Our `single-node`.
    Ours,
    /// Debian's Postfix.
    Postfix,
}

/// What becomes of the mail that a server takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Onward {
    /// It stays. Postfix puts it on hold. For ours all mail to the domain is suspended.
    Nowhere,
    /// To the server at this address, whether somebody listens there or not.
    To(SocketAddr),
}

/// A server that runs.
#[derive(Debug)]
pub struct Mailer {
    make: Make,
    folder: PathBuf,
    address: SocketAddr,
    http: SocketAddr,
    processes: Processes,
    recipient: &'static str,
    login: Option<Login>,
    greeted_after: Duration,
}

/// A user who may send anywhere.
#[derive(Clone, Copy, Debug)]
pub struct Login {
    /// The address.
    pub user: &'static str,
    /// In the clear.
    pub password: &'static str,
}

/// Who sends everything.
pub const SENDER: &str = "alice@example.org";

impl Mailer {
    /// Starts one with the queue that is in a folder, or makes one there. It is up when it greets.
    #[must_use]
    pub fn start(make: Make, folder: &Path, onward: Onward) -> Self {
        fs::create_dir_all(folder).unwrap();
        let (address, http) = (free_address(), free_address());
        let mut command = match make {
            Make::Ours => ours(folder, address, http, onward),
            Make::Postfix => {
                postfix::configure(folder, address, onward);
                postfix::command(folder)
            }
        };
        let (recipient, login) = match (make, onward) {
            (Make::Ours, Onward::Nowhere) => (SENDER, None),
            (Make::Ours, Onward::To(_)) => ("somebody@dest.invalid", Some(Login { user: SENDER, password: PASSWORD })),
            (Make::Postfix, Onward::Nowhere | Onward::To(_)) => ("somebody@dest.invalid", None),
        };
        let begin = Instant::now();
        let mut processes = Processes::new(command.spawn().unwrap());
        while !greets(address) {
            let ended = processes.ended().is_some();
            assert!(!ended && begin.elapsed() < PATIENCE, "{} does not start: {command:?}", make.name());
            sleep(Duration::from_millis(1));
        }
        let greeted_after = begin.elapsed();
        if (make, onward) == (Make::Ours, Onward::Nowhere) {
            tool(folder, &["suspend", "domain=example.org"]);
        }
        Self { make, folder: folder.to_owned(), address, http, processes, recipient, login, greeted_after }
    }

    /// What its rows are called.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.make.name()
    }

    /// Where it takes mail.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whom mail is for.
    #[must_use]
    pub const fn recipient(&self) -> &'static str {
        self.recipient
    }

    /// As whom to log in, if nobody else may send.
    #[must_use]
    pub const fn login(&self) -> Option<Login> {
        self.login
    }

    /// Its processes.
    #[must_use]
    pub const fn processes(&self) -> &Processes {
        &self.processes
    }

    /// From its start to its greeting.
    #[must_use]
    pub const fn greeted_after(&self) -> Duration {
        self.greeted_after
    }

    /// The folder of its queue.
    #[must_use]
    pub fn queue(&self) -> PathBuf {
        self.folder.join("queue")
    }

    /// Messages that it has.
    #[must_use]
    pub fn queued(&self) -> u64 {
        match self.make {
            Make::Ours => self.numbers("posthaste_queue_messages"),
            Make::Postfix => {
                let queues = ["maildrop", "incoming", "active", "deferred", "hold"];
                queues.iter().map(|queue| postfix::count(&self.folder, queue)).sum()
            }
        }
    }

    /// Messages that it is at work on.
    #[must_use]
    pub fn busy(&self) -> u64 {
        match self.make {
            Make::Ours => {
                self.numbers("posthaste_queue_deliveries") + self.numbers("posthaste_queue_messages{state=\"active\"}")
            }
            Make::Postfix => postfix::count(&self.folder, "incoming") + postfix::count(&self.folder, "active"),
        }
    }

    /// Lists the queue as an operator would, and says how long that took.
    #[must_use]
    pub fn list(&self) -> Duration {
        let begin = Instant::now();
        match self.make {
            Make::Ours => tool(&self.folder, &["list"]),
            Make::Postfix => drop(postfix::tool(&self.folder, "postqueue", &["-p"])),
        }
        begin.elapsed()
    }

    /// Tries all that waits at once.
    pub fn flush(&self) {
        match self.make {
            Make::Ours => tool(&self.folder, &["retry", "--all", "--yes"]),
            Make::Postfix => drop(postfix::tool(&self.folder, "postqueue", &["-f"])),
        }
    }

    /// The sum of a metric over its labels, or over those that its name is given with.
    fn numbers(&self, metric: &str) -> u64 {
        let page = fetch(self.http).unwrap_or_default();
        let values = page.lines().filter_map(|line| {
            let rest = line.strip_prefix(metric)?;
            let value = rest.strip_prefix('{').map_or(Some(rest), |labels| Some(labels.split_once('}')?.1))?;
            value.strip_prefix(' ')?.parse::<f64>().ok()
        });
        values.sum::<f64>() as u64
    }
}

/// Has `mailctl` do something to our queue.
fn tool(folder: &Path, words: &[&str]) {
    let mut command = Command::new(mailctl());
    command.args(["queue", "--data"]).arg(folder).args(words);
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

impl Make {
    /// What its rows are called.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ours => "posthaste single-node",
            Self::Postfix => "Postfix",
        }
    }
}

fn ours(folder: &Path, address: SocketAddr, http: SocketAddr, onward: Onward) -> Command {
    fs::set_permissions(folder, PermissionsExt::from_mode(0o700)).unwrap();
    fs::write(folder.join("users"), format!("{SENDER}:{VERIFIER}\n")).unwrap();
    // A session of its own, as Postfix makes itself one: where many want the CPU, the system deals it out by sessions.
    let mut command = Command::new("setsid");
    command.arg(program()).arg("--data").arg(folder).arg(format!("--http={http}"));
    command.args(["--plaintext-auth", "--connections-per-address=2000"]).env_remove("RUST_LOG");
    let mut closed = vec!["submissions", "lmtp", "imap", "imaps", "pop3", "pop3s"];
    match onward {
        Onward::Nowhere => {
            closed.push("submission");
            command.arg(format!("--smtp={address}"));
        }
        Onward::To(next) => {
            closed.push("smtp");
            command.arg(format!("--submission={address}")).arg(format!("--relay={next}"));
        }
    }
    command.args(closed.iter().map(|service| format!("--{service}=off")));
    let log = File::options().create(true).append(true).open(folder.join("log")).unwrap();
    command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
    command
}

fn greets(address: SocketAddr) -> bool {
    let Ok(mut stream) = TcpStream::connect(address) else { return false };
    let mut code = [0; 4];
    stream.read_exact(&mut code).is_ok() && code == *b"220 "
}

fn fetch(http: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(http)?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut page = String::new();
    stream.read_to_string(&mut page)?;
    Ok(page)
}
