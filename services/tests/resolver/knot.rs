//! Debian's Knot (knot): an authoritative server for a root of our own, signed, with zones below that are signed, not signed,
//! wrongly signed, and missing.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use services::outbound::{Dnssec, Resolver};
use tempfile::TempDir;

use crate::case::{free_port, options, skip};

const SERVER: &str = "/usr/sbin/knotd";
const KEYS: &str = "/usr/sbin/keymgr";

/// Zones that are signed, below the root.
const SIGNED: [&str; 1] = ["signed"];

/// Delegations whose DS record fits no key.
const BOGUS: [&str; 2] = ["bogus", "_25._tcp.forged.signed"];

pub(crate) struct Knot {
    server: Child,
    folder: TempDir,
    pub(crate) address: SocketAddr,
}

impl Drop for Knot {
    fn drop(&mut self) {
        self.server.kill().unwrap();
        self.server.wait().unwrap();
    }
}

impl Knot {
    /// `None`, and word of it, where there is none.
    pub(crate) async fn start(what: &str) -> Option<Self> {
        if !Path::new(SERVER).exists() || !Path::new(KEYS).exists() {
            skip(what, "Knot is not installed (Debian: knot)");
            return None;
        }
        for _ in 0..5 {
            let mut knot = Self::spawn();
            if knot.is_ready().await {
                return Some(knot);
            }
            // Somebody else was faster to take the port.
        }
        panic!("Knot does not start");
    }

    fn spawn() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        fs::create_dir(folder.path().join("run")).unwrap();
        fs::create_dir(folder.path().join("keys")).unwrap();
        fs::write(folder.path().join("knot.conf"), config(folder.path(), address)).unwrap();
        let key = |zone: &str, order: &[&str]| keys(folder.path(), zone, order);
        let generate = ["generate", "algorithm=ecdsap256sha256", "ksk=yes", "zsk=yes"];
        let mut root = fs::read_to_string(zones().join("root.zone")).unwrap();
        key(".", &generate);
        for zone in SIGNED {
            let records = fs::read_to_string(zones().join(format!("{zone}.zone"))).unwrap() + &many();
            fs::write(folder.path().join(format!("{zone}.zone")), records).unwrap();
            key(&format!("{zone}."), &generate);
            root.push_str(key(&format!("{zone}."), &["ds"]).lines().find(|line| line.contains(" 13 2 ")).unwrap());
            root.push('\n');
        }
        let anchors = key(".", &["dnskey"]).replace(". DNSKEY", ". 3600 IN DNSKEY");
        fs::write(folder.path().join("anchors"), anchors).unwrap();
        fs::write(folder.path().join("root.zone"), root).unwrap();
        let log = fs::File::create(folder.path().join("log")).unwrap();
        let mut server = Command::new(SERVER);
        server.arg("-c").arg(folder.path().join("knot.conf")).stdin(Stdio::null()).stderr(log);
        Self { server: server.spawn().unwrap(), folder, address }
    }

    /// Validation by this root's key.
    pub(crate) fn validated(&self) -> Dnssec {
        Dnssec::Validate { anchors: Some(self.folder.path().join("anchors")) }
    }

    pub(crate) fn anchors(&self) -> PathBuf {
        self.folder.path().join("anchors")
    }

    pub(crate) fn resolver(&self) -> Resolver {
        Resolver::new(options(self.address, self.validated())).unwrap()
    }

    async fn is_ready(&mut self) -> bool {
        for _ in 0..200 {
            if self.server.try_wait().unwrap().is_some() {
                return false;
            }
            let mut options = options(self.address, self.validated());
            options.dns.timeout = Duration::from_millis(500);
            let resolver = Resolver::new(options).unwrap();
            if resolver.dns_validates().await && resolver.site("ready.signed").await == "mx1.signed" {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{}", fs::read_to_string(self.folder.path().join("log")).unwrap());
    }
}

fn zones() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/resolver/zones")
}

/// More than is looked at: hosts, far more of them, and TLSA records.
fn many() -> String {
    let mut records = "many-tlsa MX 10 many-tlsa-host\nmany-tlsa-host A 192.0.2.36\n".to_owned();
    for number in 0..60 {
        records += &format!("many MX {number} m{number}\nm{number} A 198.51.100.{number}\n");
    }
    for number in 0..300 {
        records += &format!("too-many MX {number} t{number}\n");
    }
    for number in 0..40 {
        records += &format!("_25._tcp.many-tlsa-host TLSA 3 0 1 {number:064x}\n");
    }
    records
}

fn keys(folder: &Path, zone: &str, order: &[&str]) -> String {
    let output = Command::new(KEYS).arg("-c").arg(folder.join("knot.conf")).arg(zone).args(order).output().unwrap();
    assert!(output.status.success(), "{zone} {order:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn config(folder: &Path, address: SocketAddr) -> String {
    let (folder, zones) = (folder.display(), zones());
    let zones = zones.display();
    let mut config = format!(
        "server:\n  rundir: {folder}/run\n  listen: 127.0.0.1@{port}\n  udp-workers: 1\n  tcp-workers: 1\n  \
         background-workers: 1\n\
         database:\n  storage: {folder}/keys\n\
         log:\n  - target: stderr\n    any: warning\n\
         policy:\n  - id: one\n    algorithm: ecdsap256sha256\n    single-type-signing: on\n    manual: on\n\
         template:\n  - id: default\n    storage: {zones}\n    file: \"%s.zone\"\n    zonefile-load: whole\n    \
         zonefile-sync: -1\n    journal-content: none\n    semantic-checks: off\n\
         zone:\n  - domain: .\n    file: {folder}/root.zone\n    dnssec-signing: on\n    dnssec-policy: one\n",
        port = address.port(),
    );
    for zone in SIGNED {
        config.push_str(&format!(
            "  - domain: {zone}.\n    storage: {folder}\n    dnssec-signing: on\n    dnssec-policy: one\n"
        ));
    }
    for zone in BOGUS {
        config.push_str(&format!("  - domain: {zone}.\n"));
    }
    // Of the last there is no file: SERVFAIL.
    config
        + "  - domain: plain.\n  - domain: _25._tcp.unsure.signed.\n  - domain: missing.\n  - domain: _25._tcp.broken.signed.\n"
}
