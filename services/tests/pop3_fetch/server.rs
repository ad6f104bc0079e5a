//! A server of others', with one user.

use std::fs::{self, File, Permissions};
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use pop3_proto::Code;
use tempfile::TempDir;

use crate::messages::{Letter, nasty};

/// The one user, and the password.
pub(crate) const USER: &str = "bob@example.org";
pub(crate) const PASSWORD: &str = "sec ret";

/// Who the mail belongs to: no server reads root's.
const NOBODY: u32 = 65_534;

/// How long a server may take to start.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server that runs.
pub(crate) struct Server {
    place: Place,
    child: Child,
    pub(crate) clear: SocketAddr,
    pub(crate) tls: SocketAddr,
    kind: Kind,
}

/// Whose server it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Dovecot,
    Courier,
}

/// Where a server has its configuration, its sockets and its mail.
pub(crate) struct Place {
    folder: TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        let folder = TempDir::with_prefix("posthaste-").unwrap();
        // The server's other users must come through.
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        let place = Self { folder };
        for part in ["", "cur", "new", "tmp"] {
            let folder = place.maildir().join(part);
            fs::create_dir_all(&folder).unwrap();
            chown(folder, Some(NOBODY), Some(NOBODY)).unwrap();
        }
        chown(place.home(), Some(NOBODY), Some(NOBODY)).unwrap();
        services::net::tls::ensure_self_signed(&place.certificate(), &place.key(), &["localhost".to_owned()]).unwrap();
        place
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.path().join("home")
    }

    pub(crate) fn maildir(&self) -> PathBuf {
        self.home().join("Maildir")
    }

    pub(crate) fn certificate(&self) -> PathBuf {
        self.path().join("cert.pem")
    }

    pub(crate) fn key(&self) -> PathBuf {
        self.path().join("key.pem")
    }

    /// Writes a file that only root may read.
    pub(crate) fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        path
    }
}

impl Server {
    /// Starts it, and waits until it listens.
    pub(crate) fn start(place: Place, command: &mut Command, ports: [u16; 2], kind: Kind) -> Self {
        let log = File::create(place.path().join("log")).unwrap();
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let mut child = command.spawn().unwrap();
        let [clear, tls] = ports.map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        let end = Instant::now() + PATIENCE;
        while TcpStream::connect(clear).is_err() || TcpStream::connect(tls).is_err() {
            let log = || fs::read_to_string(place.path().join("log")).unwrap();
            assert!(child.try_wait().unwrap().is_none() && Instant::now() < end, "no start: {command:?}\n{}", log());
            sleep(Duration::from_millis(20));
        }
        Self { place, child, clear, tls, kind }
    }

    /// Whom a client has to trust.
    pub(crate) fn certificate(&self) -> PathBuf {
        self.place.certificate()
    }

    /// What stands in brackets where a password is wrong.
    pub(crate) fn refuses_with(&self) -> Option<Code> {
        match self.kind {
            Kind::Dovecot => Some(Code::Auth),
            Kind::Courier => None,
        }
    }

    /// What the server has told of itself.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.place.path().join("log")).unwrap()
    }

    /// Puts messages into the maildrop, as local programs do: with LF.
    pub(crate) fn deliver(&self, letters: &[Letter]) {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        for Letter { name, text } in letters {
            let unique = format!("{}.{name}.example.net", NUMBER.fetch_add(1, Ordering::Relaxed));
            let (tmp, new) =
                (self.place.maildir().join("tmp").join(&unique), self.place.maildir().join("new").join(&unique));
            let mut text = text.clone();
            text.retain(|octet| *octet != b'\r');
            fs::write(&tmp, text).unwrap();
            chown(&tmp, Some(NOBODY), Some(NOBODY)).unwrap();
            fs::rename(tmp, new).unwrap();
        }
    }

    /// Messages that it can send: both servers end the answer at a dot that is a message's whole first line.
    pub(crate) fn letters(&self) -> Vec<Letter> {
        let mut letters = nasty();
        letters.retain(|letter| !letter.text.starts_with(b".\r\n"));
        letters
    }

    /// What is left of a message when it has come: on the wire there is no line without an end, and neither server doubles a dot
    /// that is a message's first octet, so that whoever gets it takes it away.
    pub(crate) fn sends(&self, Letter { text, .. }: &Letter) -> Vec<u8> {
        let text = text.strip_prefix(b".").unwrap_or(text);
        let end: &[u8] = if text.ends_with(b"\r\n") { b"" } else { b"\r\n" };
        [text, end].concat()
    }

    /// Messages in the maildrop.
    pub(crate) fn left(&self) -> usize {
        ["new", "cur"].map(|part| fs::read_dir(self.place.maildir().join(part)).unwrap().count()).into_iter().sum()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail where it has ended, which is as well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Says that something is not tested here, and why.
pub(crate) fn skip<T>(what: &str, why: &str) -> Option<T> {
    let told = format!("{what}: {why}\n");
    // Not by a macro, whose output nobody sees when the test passes.
    std::io::stderr().write_all(format!("skipped: {told}").as_bytes()).unwrap();
    if let Some(file) = std::env::var_os("POSTHASTE_SKIPPED") {
        let file = File::options().create(true).append(true).open(file);
        file.unwrap().write_all(told.as_bytes()).unwrap();
    }
    None
}

pub(crate) fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

/// Two ports that nobody listens on, below those that the system gives to clients.
pub(crate) fn free_ports() -> [u16; 2] {
    const RANGE: std::ops::Range<u16> = 20_000..32_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Tests of other processes begin elsewhere.
    let begin = (std::process::id() % 997) as u16 * 12;
    let next = || {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        RANGE.start + begin.wrapping_add(step) % (RANGE.end - RANGE.start)
    };
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    [(); 2].map(|()| std::iter::repeat_with(next).take(RANGE.len()).find(is_free).unwrap())
}
