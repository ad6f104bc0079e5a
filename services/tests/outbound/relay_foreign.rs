//! Servers that others wrote, taken as the next hop: Postfix, and its program that breaks on purpose.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use services::outbound::{Couriers, Fate, Hop, Route, Security};
use tempfile::TempDir;

use crate::session_sender::{carry, couriers, forgetful, parcel, target, targets, told, trusting};
use crate::session_server::{Certificate, listener};

const MASTER: &str = "/usr/lib/postfix/sbin/master";
const BOB: &str = "bob@far.example";
const ZOE: &str = "zoe@far.example";
const PATIENCE: Duration = Duration::from_secs(30);

/// Where a program is; without it, says that its tests are skipped.
fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Debian keeps the programs of servers where only root looks.
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into()]);
    let found = folders.map(|folder| folder.join(name)).find(|program| program.is_file());
    if found.is_none() {
        skip(name, "the program is not installed");
    }
    found
}

fn skip(what: &str, why: &str) {
    println!("skipped: {what}: {why}");
    let Some(file) = std::env::var_os("POSTHASTE_SKIPPED") else { return };
    let mut file = OpenOptions::new().create(true).append(true).open(file).unwrap();
    writeln!(file, "{what}: {why}").unwrap();
}

/// A program that is a server, until it is dropped.
struct Running {
    child: Child,
    address: SocketAddr,
}

impl Running {
    async fn new(command: &mut Command, address: SocketAddr) -> Self {
        let child = command.stdin(Stdio::null()).spawn().unwrap();
        let mut running = Self { child, address };
        let end = Instant::now() + PATIENCE;
        while TcpStream::connect(address).is_err() {
            let status = running.child.try_wait().unwrap();
            assert!(status.is_none() && Instant::now() < end, "{command:?} does not come up: {status:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        running
    }

    fn way(&self, security: Security) -> Route {
        let mut host = target(self.address, security);
        host.host = "mx.far.example".to_owned();
        Route { first: Hop::to(targets(vec![host])), fallback: None }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Postfix tells its children by this, and the other has none.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}

async fn free() -> SocketAddr {
    listener(Ipv4Addr::LOCALHOST.into()).await.local_addr().unwrap()
}

/// `smtp-sink` that does what these options say.
async fn sink(options: &[&str]) -> Option<Running> {
    let program = find("smtp-sink")?;
    let address = free().await;
    let mut command = Command::new(program);
    // Only root has to say who it should be.
    if fs::metadata("/proc/self").unwrap().uid() == 0 {
        command.args(["-u", "nobody"]);
    }
    command.args(options).arg(format!("inet:{address}")).arg("100").stderr(Stdio::null());
    Some(Running::new(&mut command, address).await)
}

#[tokio::test]
async fn a_sink_breaks_at_each_command_and_the_next_host_takes_over() {
    // How it breaks (soft, hard, by 421, by leaving), at which commands, and what comes of that.
    let table: &[(&str, &str, &str)] = &[
        ("-r", "connect", "delivered"),
        ("-r", "EHLO", "delivered"),
        ("-r", "MAIL", "deferred"),
        ("-r", "RCPT", "deferred"),
        ("-r", "DATA", "deferred"),
        ("-r", ".", "deferred"),
        ("-f", "connect", "delivered"),
        ("-f", "MAIL", "failed"),
        ("-f", "RCPT", "failed"),
        ("-f", "DATA", "failed"),
        ("-f", ".", "failed"),
        ("-Q", "connect", "delivered"),
        ("-Q", "EHLO", "delivered"),
        ("-Q", "MAIL", "delivered"),
        ("-Q", "RCPT", "delivered"),
        ("-Q", "DATA", "delivered"),
        ("-Q", ".", "delivered"),
        ("-q", "connect", "delivered"),
        ("-q", "EHLO", "delivered"),
        ("-q", "MAIL", "delivered"),
        ("-q", "RCPT", "delivered"),
        ("-q", "DATA", "delivered"),
        ("-q", ".", "deferred"),
    ];
    let Some(spare) = sink(&[]).await else { return };
    for (option, command, expected) in table {
        let Some(broken) = sink(&[option, command]).await else { return };
        let hosts = [&broken, &spare].map(|host| target(host.address, Security::Opportunistic));
        let route = Route { first: Hop::to(targets(hosts.to_vec())), fallback: None };
        let couriers = Couriers::new(forgetful());
        let fates = carry(&couriers, &route, &[BOB, ZOE]).await;
        for fate in &fates {
            assert_eq!(fate.as_str(), *expected, "{option} {command}: {fates:?}");
            let by_spare = fate.word().address == Some(spare.address);
            assert_eq!(by_spare, *expected == "delivered", "{option} {command}: {fates:?}");
        }
    }
}

#[tokio::test]
async fn a_sink_that_takes_its_time_is_waited_for() {
    let Some(slow) = sink(&["-w", "1"]).await else { return };
    let fates = carry(&couriers(), &slow.way(Security::Opportunistic), &[BOB]).await;
    assert_eq!(fates[0].as_str(), "delivered", "{fates:?}");
}

#[tokio::test]
async fn a_sink_that_speaks_no_esmtp_takes_mail_and_promises_no_reports() {
    for options in [["-e"].as_slice(), &["-p", "-8", "-N"]] {
        let Some(old) = sink(options).await else { return };
        let couriers = couriers();
        for _ in 0..3 {
            let mut parcel = parcel(&[BOB, ZOE]);
            parcel.envelope.mail.parameters.ret = Some(smtp_proto::Ret::Headers);
            let fates = couriers.deliver(&parcel, &old.way(Security::Opportunistic)).await;
            let mut all = fates.iter();
            assert!(all.all(|fate| matches!(fate, Fate::Delivered { onward, .. } if !onward.dsn)), "{fates:?}");
        }
        assert_eq!(couriers.waiting(), 1, "{options:?}");
    }
}

/// A Postfix that takes mail for its own users, by TLS too.
struct Postfix {
    running: Running,
    place: TempDir,
}

impl Postfix {
    async fn new(certificate: &Certificate, settings: &str) -> Option<Self> {
        let postfix = find("postfix")?;
        if fs::metadata("/proc/self").unwrap().uid() != 0 || !Path::new(MASTER).exists() {
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
        fs::write(root.join("etc/chain.pem"), &certificate.pem).unwrap();
        fs::write(root.join("etc/users"), "bob@far.example bob\nzoe@far.example zoe\n").unwrap();
        let address = free().await;
        let main = format!(
            "compatibility_level = 3.6\nqueue_directory = {root}/queue\ndata_directory = {root}/data\n\
             maillog_file = {root}/log\nmaillog_file_prefixes = {root}\nmyhostname = mx.far.example\nmydestination =\n\
             inet_interfaces = loopback-only\ninet_protocols = ipv4\nalias_maps =\n\
             virtual_mailbox_domains = far.example\nvirtual_mailbox_maps = texthash:{root}/etc/users\n\
             virtual_transport = discard:\nsmtpd_tls_chain_files = {root}/etc/chain.pem\nsmtpd_tls_security_level = may\n\
             smtpd_recipient_limit = 3\nsmtpd_recipient_overshoot_limit = 100\nlocal_recipient_maps =\n\
             smtpd_client_restrictions =\nsmtpd_relay_restrictions = reject_unauth_destination\nmax_use = 1\n{settings}",
            root = root.display(),
        );
        fs::write(root.join("etc/main.cf"), main).unwrap();
        let port = address.port();
        fs::write(root.join("etc/master.cf"), format!("127.0.0.1:{port} inet n - n - - smtpd\n{SERVICES}")).unwrap();
        let check = Command::new(postfix).arg("-c").arg(root.join("etc")).arg("check").status().unwrap();
        assert!(check.success());
        let words = File::create(root.join("words")).unwrap();
        let mut master = Command::new(MASTER);
        master.arg("-c").arg(root.join("etc")).arg("-s").stdout(words.try_clone().unwrap()).stderr(words);
        let running = Running::new(&mut master, address).await;
        Some(Self { running, place })
    }

    fn log(&self) -> String {
        fs::read_to_string(self.place.path().join("log")).unwrap_or_default()
    }

    /// Waits until it says this of its work, so many times.
    async fn wait_until_it_tells(&self, words: &str, times: usize) {
        let end = Instant::now() + PATIENCE;
        while self.log().matches(words).count() < times {
            assert!(Instant::now() < end, "Postfix does not tell of {words:?}: {}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

const SERVICES: &str = "\
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
discard unix - - n - - discard
error unix - - n - - error
retry unix - - n - - error
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
";

#[tokio::test]
async fn postfix_takes_mail_over_verified_tls_and_over_one_connection() {
    let certificate = Certificate::of(&["mx.far.example"]);
    let Some(postfix) = Postfix::new(&certificate, "").await else { return };
    let couriers = Couriers::new(trusting(certificate.roots.clone()));
    let verified = Security::Verified { names: vec!["mx.far.example".to_owned()] };
    let route = postfix.running.way(verified);
    let to = [BOB, "nobody@far.example", ZOE];
    // On a busy machine its first process may come up before the one that it has its TLS from.
    let end = Instant::now() + PATIENCE;
    let mut fates = carry(&couriers, &route, &to).await;
    while fates[0].as_str() == "deferred" && Instant::now() < end {
        fates = carry(&couriers, &route, &to).await;
    }
    for _ in 0..5 {
        let told: Vec<_> = fates.iter().map(told).collect();
        assert!(told[0].starts_with("delivered 250 Ok: queued as "), "{told:?} {}", postfix.log());
        assert!(told[1].starts_with("failed 550 ") && told[1].contains("User unknown"), "{told:?}");
        assert_eq!(told[2].split("queued").next(), told[0].split("queued").next());
        assert_eq!(fates[1].word().status, "5.1.1");
        fates = carry(&couriers, &route, &to).await;
    }
    postfix.wait_until_it_tells("status=sent", 12).await;
    couriers.close();
    postfix.wait_until_it_tells("disconnect from localhost[127.0.0.1] ehlo=2 starttls=1 mail=6 rcpt=12/18", 1).await;
}

#[tokio::test]
async fn postfix_takes_many_recipients_a_few_at_a_time() {
    let certificate = Certificate::of(&["mx.far.example"]);
    let users = "virtual_mailbox_maps = static:all\n";
    let Some(postfix) = Postfix::new(&certificate, users).await else { return };
    let to: Vec<_> = (0..10).map(|number| format!("u{number}@far.example")).collect();
    let to: Vec<_> = to.iter().map(String::as_str).collect();
    let fates = carry(&couriers(), &postfix.running.way(Security::Opportunistic), &to).await;
    assert!(fates.iter().all(|fate| fate.as_str() == "delivered"), "{fates:?}");
    // Three at a time.
    postfix.wait_until_it_tells(": removed", 4).await;
    assert_eq!(postfix.log().matches("status=sent").count(), 10, "{}", postfix.log());
}
