//! Debian's Postfix, with a configuration and a queue of its own: no TLS, no DNS, loopback only.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::mailers::Onward;

const MASTER: &str = "/usr/lib/postfix/sbin/master";

/// Why Postfix or its tools cannot be used here, if so.
#[must_use]
pub fn postfix_missing() -> Option<&'static str> {
    if !Path::new(MASTER).exists() || Command::new("smtp-source").stderr(Stdio::null()).status().is_err() {
        return Some("Postfix, with smtp-source and smtp-sink, is not installed (Debian: apt-get install postfix)");
    }
    (!rustix::process::geteuid().is_root()).then_some("Postfix has to be started by root")
}

/// Writes its configuration below a folder, which may hold a queue already.
pub(crate) fn configure(folder: &Path, address: SocketAddr, onward: Onward) {
    fs::set_permissions(folder, PermissionsExt::from_mode(0o755)).unwrap();
    for name in ["etc", "queue", "data"] {
        fs::create_dir_all(folder.join(name)).unwrap();
    }
    // Whoever runs it is called so in `/etc/passwd`, and owns this.
    let owner = fs::metadata("/var/lib/postfix").unwrap();
    chown(folder.join("data"), Some(owner.uid()), Some(owner.gid())).unwrap();
    let way = match onward {
        Onward::Nowhere => "smtpd_data_restrictions = check_client_access static:HOLD\n".to_owned(),
        Onward::To(next) => format!("relayhost = [{}]:{}\n", next.ip(), next.port()),
    };
    fs::write(folder.join("etc/main.cf"), MAIN.replace("{folder}", &folder.display().to_string()) + &way).unwrap();
    fs::write(folder.join("etc/master.cf"), format!("{address} inet n - n - - smtpd\n{SERVICES}")).unwrap();
    let check = Command::new("postfix").arg("-c").arg(folder.join("etc")).arg("check").status();
    assert!(check.unwrap().success(), "Postfix does not like its configuration");
}

/// What starts it.
pub(crate) fn command(folder: &Path) -> Command {
    let words = File::create(folder.join("words")).unwrap();
    let mut master = Command::new(MASTER);
    master.arg("-c").arg(folder.join("etc")).arg("-s").stdin(Stdio::null());
    master.stdout(words.try_clone().unwrap()).stderr(words);
    master
}

/// Runs one of its tools on the queue below a folder.
pub(crate) fn tool(folder: &Path, name: &str, arguments: &[&str]) -> Vec<u8> {
    let output = Command::new(name).arg("-c").arg(folder.join("etc")).args(arguments).output().unwrap();
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// Messages in one of its queues, which may have folders within.
pub(crate) fn count(folder: &Path, queue: &str) -> u64 {
    files(&folder.join("queue").join(queue))
}

fn files(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    let one = |entry: fs::DirEntry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => files(&entry.path()),
        Ok(_) => 1,
        Err(_) => 0,
    };
    entries.flatten().map(one).sum()
}

/// Debian's settings but for the limits that would turn 200 sessions from one address away, and the pause by which it slows
/// down who sends faster than it delivers.
const MAIN: &str = "\
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
maillog_file = {folder}/log
maillog_file_prefixes = {folder}
myhostname = mx.example.net
mydestination =
mynetworks = 127.0.0.0/8
smtpd_relay_restrictions = permit_mynetworks, reject
inet_interfaces = loopback-only
inet_protocols = ipv4
alias_maps =
disable_dns_lookups = yes
smtpd_peername_lookup = no
default_process_limit = 300
smtpd_client_connection_count_limit = 0
in_flow_delay = 0
smtp_tls_security_level = none
";

const SERVICES: &str = "\
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
flush unix n - n 1000? 0 flush
showq unix n - n - - showq
smtp unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
";
