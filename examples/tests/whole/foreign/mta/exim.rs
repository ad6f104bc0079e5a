//! Debian's Exim (exim4-daemon-light), which sends messages in chunks where it may.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use super::super::file_in;
use super::unshared;
use crate::message::unix_lines;
use crate::program::{run, skip};

/// Where `./test` unpacks it: it cannot be installed beside Postfix.
const EXIM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/foreign/exim/usr/sbin/exim4");

/// Where Exim keeps its things. Each message is sent by a process of its own.
pub(super) struct Exim {
    place: TempDir,
}

/// How it speaks to the one server that it knows.
#[derive(Clone, Copy)]
pub(super) struct Manner<'a> {
    pub(super) port: u16,
    /// Lines of its transport.
    pub(super) transport: &'a str,
    pub(super) login: Option<(&'a str, &'a str)>,
}

impl Exim {
    /// `None`, and word of it, where it cannot be run.
    pub(super) fn find() -> Option<Self> {
        if !Path::new(EXIM).exists() {
            skip("Exim", "it is not there; ./test unpacks it");
            return None;
        }
        // It runs as a user that its package makes. It gets one, in a mount namespace of its own.
        unshared("Exim")?;
        let place = TempDir::with_prefix("posthaste-exim-").unwrap();
        fs::set_permissions(place.path(), Permissions::from_mode(0o755)).unwrap();
        for folder in ["spool", "log"] {
            let folder = place.path().join(folder);
            fs::create_dir(&folder).unwrap();
            fs::set_permissions(folder, Permissions::from_mode(0o777)).unwrap();
        }
        Some(Self { place })
    }

    /// Sends a message, and waits for what becomes of it.
    pub(super) fn send(&self, from: &str, to: &str, message: &[u8], manner: Manner<'_>) -> Result<(), String> {
        let place = self.place.path();
        let authenticators = manner.login.map_or(String::new(), |(user, password)| {
            format!("plain:\n  driver = plaintext\n  public_name = PLAIN\n  client_send = ^{user}^{password}\n")
        });
        let config = format!(
            "exim_path = {EXIM}\nkeep_environment =\nspool_directory = {place}/spool\nlog_file_path = {place}/log/%slog\n\
             primary_hostname = client.example.net\n\
             begin routers\nthere:\n  driver = manualroute\n  route_list = * 127.0.0.1\n  self = send\n  transport = there\n\
             begin transports\nthere:\n  driver = smtp\n  port = {port}\n  message_linelength_limit = 100000\n{transport}\
             begin authenticators\n{authenticators}",
            place = place.display(),
            port = manner.port,
            transport = manner.transport,
        );
        file_in(place, "conf", config.as_bytes());
        // It ends lines itself.
        file_in(place, "message", &unix_lines(message));
        let script = file_in(place, "start", START);
        let mut unshare = Command::new("unshare");
        unshare.args(["--mount", "--propagation", "private", "sh"]).arg(script).arg(place).arg(EXIM);
        run(unshare.args(["-i", "-odf", "-f", from, to]))?;
        let log = fs::read_to_string(place.join("log/mainlog")).map_err(|error| error.to_string())?;
        let last =
            log.lines().rev().find(|line| line.contains(" ** ") || line.contains(" == ") || line.contains(" => "));
        match last {
            Some(line) if line.contains(" => ") => Ok(()),
            Some(_) | None => Err(log),
        }
    }
}

const START: &[u8] = br#"
set -e
place=$1 exim=$2
shift 2
cp /etc/passwd "$place/passwd"
cp /etc/group "$place/group"
grep -q ^Debian-exim: /etc/passwd || echo Debian-exim:x:65533:65533::/nonexistent:/usr/sbin/nologin >>"$place/passwd"
grep -q ^Debian-exim: /etc/group || echo Debian-exim:x:65533: >>"$place/group"
mount --bind "$place/passwd" /etc/passwd
mount --bind "$place/group" /etc/group
exec "$exim" -C "$place/conf" "$@" <"$place/message"
"#;
