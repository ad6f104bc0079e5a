//! Debian's Postfix, with a configuration and a queue of its own.

use std::fs::{self, File, Permissions};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, getuid, kill_process};
use tempfile::TempDir;

use super::super::file_in;
use crate::node::{PATIENCE, free_port};
use crate::program::{find, run, skip};

const MASTER: &str = "/usr/lib/postfix/sbin/master";

/// A Postfix that takes mail on a port of its own, and sends it on.
pub(in crate::foreign) struct Postfix {
    place: TempDir,
    port: u16,
    master: Child,
}

impl Postfix {
    /// Starts one that also has these settings; `None`, and word of it, where that cannot be.
    pub(in crate::foreign) fn start(settings: &str) -> Option<Self> {
        let postfix = find("postfix")?;
        if !getuid().is_root() || !Path::new(MASTER).exists() {
            skip("Postfix", "only root can start it");
            return None;
        }
        let place = TempDir::with_prefix("posthaste-postfix-").unwrap();
        let root = place.path();
        fs::set_permissions(root, Permissions::from_mode(0o755)).unwrap();
        for folder in ["etc", "queue", "data"] {
            fs::create_dir(root.join(folder)).unwrap();
        }
        // Whoever runs it is called so in `/etc/passwd`, and owns this.
        let owner = fs::metadata("/var/lib/postfix").unwrap();
        std::os::unix::fs::chown(root.join("data"), Some(owner.uid()), Some(owner.gid())).unwrap();
        let port = free_port();
        let main = format!(
            "compatibility_level = 3.6\nqueue_directory = {root}/queue\ndata_directory = {root}/data\n\
             maillog_file = {root}/log\nmaillog_file_prefixes = {root}\nmyhostname = client.example.net\nmydestination =\n\
             inet_interfaces = loopback-only\ninet_protocols = ipv4\nalias_maps =\n{settings}",
            root = root.display(),
        );
        file_in(root, "etc/main.cf", main.as_bytes());
        file_in(root, "etc/master.cf", format!("127.0.0.1:{port} inet n - n - - smtpd\n{SERVICES}").as_bytes());
        run(Command::new(postfix).arg("-c").arg(root.join("etc")).arg("check")).unwrap();
        let words = File::create(root.join("words")).unwrap();
        let mut master = Command::new(MASTER);
        master.arg("-c").arg(root.join("etc")).arg("-s");
        let master = master.stdin(Stdio::null()).stdout(words.try_clone().unwrap()).stderr(words).spawn().unwrap();
        let mut postfix = Self { place, port, master };
        postfix.wait_until_up();
        Some(postfix)
    }

    /// Where it takes mail.
    pub(in crate::foreign) fn address(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.port).into()
    }

    /// Waits until it says this of its work.
    pub(in crate::foreign) fn wait_until_it_tells(&self, words: &str) {
        let end = Instant::now() + PATIENCE;
        while !self.log().contains(words) {
            assert!(Instant::now() < end, "Postfix does not tell of {words:?}");
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.place.path().join("log")).unwrap_or_default()
    }

    fn wait_until_up(&mut self) {
        let end = Instant::now() + PATIENCE;
        while TcpStream::connect(self.address()).is_err() {
            let status = self.master.try_wait().unwrap();
            assert!(status.is_none() && Instant::now() < end, "Postfix does not come up");
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Postfix {
    fn drop(&mut self) {
        if thread::panicking() {
            println!("Postfix's last words:\n{}", self.log());
        }
        // It tells its children. Both fail where it has ended, which is as well.
        let _ = kill_process(Pid::from_child(&self.master), Signal::TERM);
        let _ = self.master.wait();
    }
}

const SERVICES: &str = "\
pickup unix n - n 1 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
lmtp unix - - n - - lmtp
error unix - - n - - error
retry unix - - n - - error
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
";
