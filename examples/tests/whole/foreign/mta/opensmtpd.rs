//! Debian's OpenSMTPD, whose users and folders are written in the program: it gets its own in a mount namespace.

use std::fs::{self, File, Permissions};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, getuid, kill_process};
use tempfile::TempDir;

use super::super::file_in;
use super::unshared;
use crate::node::{PATIENCE, free_port};
use crate::program::skip;

/// Where `./test` unpacks it: it cannot be installed beside Postfix.
const SMTPD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/foreign/opensmtpd/usr/sbin/smtpd");

/// An OpenSMTPD that takes mail on a port of its own, and sends it on.
pub(in crate::foreign) struct OpenSmtpd {
    place: TempDir,
    port: u16,
    smtpd: Child,
}

impl OpenSmtpd {
    /// Starts one with these actions and matches; `None`, and word of it, where that cannot be.
    pub(in crate::foreign) fn start(rules: &str) -> Option<Self> {
        if !Path::new(SMTPD).exists() {
            skip("OpenSMTPD", "it is not there; ./test unpacks it");
            return None;
        }
        if !getuid().is_root() {
            skip("OpenSMTPD", "only root can start it");
            return None;
        }
        unshared("OpenSMTPD")?;
        let place = TempDir::with_prefix("posthaste-opensmtpd-").unwrap();
        fs::set_permissions(place.path(), Permissions::from_mode(0o755)).unwrap();
        let port = free_port();
        let conf = format!("listen on 127.0.0.1 port {port} hostname relay.example.net\n{rules}");
        file_in(place.path(), "conf", conf.as_bytes());
        let script = file_in(place.path(), "start", START);
        let log = File::create(place.path().join("log")).unwrap();
        let mut unshare = Command::new("unshare");
        unshare.args(["--mount", "--propagation", "private", "sh"]).arg(script).arg(place.path()).arg(SMTPD);
        let smtpd = unshare.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        let mut opensmtpd = Self { place, port, smtpd };
        opensmtpd.wait_until_up();
        Some(opensmtpd)
    }

    /// Where it takes mail.
    pub(in crate::foreign) fn address(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.port).into()
    }

    fn log(&self) -> String {
        fs::read_to_string(self.place.path().join("log")).unwrap_or_default()
    }

    fn wait_until_up(&mut self) {
        let end = Instant::now() + PATIENCE;
        while TcpStream::connect(self.address()).is_err() {
            let status = self.smtpd.try_wait().unwrap();
            assert!(status.is_none() && Instant::now() < end, "OpenSMTPD does not come up");
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for OpenSmtpd {
    fn drop(&mut self) {
        if thread::panicking() {
            println!("OpenSMTPD's last words:\n{}", self.log());
        }
        // It tells its children. Both fail where it has ended, which is as well.
        let _ = kill_process(Pid::from_child(&self.smtpd), Signal::TERM);
        let _ = self.smtpd.wait();
    }
}

const START: &[u8] = br#"
set -e
place=$1 smtpd=$2
cp /etc/passwd "$place/passwd"
cp /etc/group "$place/group"
for user in opensmtpd:65531 opensmtpq:65530; do
    name=${user%:*} number=${user#*:}
    grep -q "^$name:" /etc/passwd || echo "$name:x:$number:$number::/nonexistent:/usr/sbin/nologin" >>"$place/passwd"
    grep -q "^$name:" /etc/group || echo "$name:x:$number:" >>"$place/group"
done
mount --bind "$place/passwd" /etc/passwd
mount --bind "$place/group" /etc/group
for folder in /run /var/spool /var/lib; do
    mount -t tmpfs tmpfs "$folder"
done
mkdir -p -m 711 /var/spool/smtpd
mkdir -p /var/lib/opensmtpd/empty
exec "$smtpd" -d -v -f "$place/conf"
"#;
