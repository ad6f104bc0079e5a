//! Debian's Unbound (unbound) between us and Knot: aliases come whole, absences with other names' proofs, and forgeries as
//! failures.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use services::outbound::{Dnssec, NoWay, Resolver};
use tempfile::TempDir;

use crate::case::{free_port, options, skip, ways};
use crate::knot::Knot;

const SERVER: &str = "/usr/sbin/unbound";

struct Unbound {
    server: Child,
    folder: TempDir,
    address: SocketAddr,
}

impl Drop for Unbound {
    fn drop(&mut self) {
        self.server.kill().unwrap();
        self.server.wait().unwrap();
    }
}

impl Unbound {
    async fn start(knot: &Knot, what: &str) -> Option<Self> {
        if !Path::new(SERVER).exists() {
            skip(what, "Unbound is not installed (Debian: unbound)");
            return None;
        }
        for _ in 0..5 {
            let mut unbound = Self::spawn(knot);
            if unbound.is_ready().await {
                return Some(unbound);
            }
        }
        panic!("Unbound does not start");
    }

    fn spawn(knot: &Knot) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let config = format!(
            "server:\n  interface: 127.0.0.1@{port}\n  do-not-query-localhost: no\n  num-threads: 1\n  chroot: \"\"\n  \
             username: \"\"\n  directory: \"{folder}\"\n  pidfile: \"\"\n  use-syslog: no\n  logfile: \"\"\n  \
             do-ip6: no\n  trust-anchor-file: \"{anchors}\"\n  module-config: \"validator iterator\"\n\
             remote-control:\n  control-enable: no\n\
             forward-zone:\n  name: \".\"\n  forward-addr: 127.0.0.1@{knot}\n",
            port = address.port(),
            folder = folder.path().display(),
            anchors = knot.anchors().display(),
            knot = knot.address.port(),
        );
        fs::write(folder.path().join("unbound.conf"), config).unwrap();
        let log = fs::File::create(folder.path().join("log")).unwrap();
        let mut server = Command::new(SERVER);
        server.arg("-d").arg("-c").arg(folder.path().join("unbound.conf")).stdin(Stdio::null()).stderr(log);
        Self { server: server.spawn().unwrap(), folder, address }
    }

    fn resolver(&self, dnssec: Dnssec) -> Resolver {
        Resolver::new(options(self.address, dnssec)).unwrap()
    }

    async fn is_ready(&mut self) -> bool {
        for _ in 0..200 {
            if self.server.try_wait().unwrap().is_some() {
                return false;
            }
            let mut options = options(self.address, Dnssec::Off);
            options.dns.timeout = Duration::from_millis(500);
            if Resolver::new(options).unwrap().site("ready.signed").await == "mx1.signed" {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{}", fs::read_to_string(self.folder.path().join("log")).unwrap());
    }
}

/// What holds whoever validates.
async fn checked(resolver: &Resolver, told: &str) {
    let one = |way: &str| Ok(vec![way.to_owned()]);
    let table = [
        ("ready.signed", one("mx1.signed")),
        ("null.signed", Err(NoWay::NullMx)),
        ("implicit.signed", one("implicit.signed")),
        ("implicit.plain", one("implicit.plain")),
        ("nothing.signed", Err(NoWay::NoAddress)),
        ("nobody.signed", Err(NoWay::NoDomain)),
        ("nobody.plain", Err(NoWay::NoDomain)),
        ("dangling.signed", Err(NoWay::NoDomain)),
        ("alias-implicit.signed", one("alias-implicit.signed")),
        ("far-alias.signed", one("mx.plain")),
        ("loop.signed", Err(NoWay::DnsFails)),
        ("dane.signed", one("dane-host.signed dane 2 dane-host.signed,dane.signed")),
        ("dane-alias.signed", one("dane-host.signed dane 2 dane-host.signed,dane-alias.signed,dane.signed")),
        ("implicit-dane.signed", one("implicit-dane.signed dane 1 implicit-dane.signed")),
        ("unusable.signed", one("unusable-host.signed encrypted")),
        ("aliased.signed", one("aliased-host.signed dane 2 dane-host.signed,aliased.signed")),
        ("to-plain.signed", one("mx.plain")),
        ("dane.plain", one("dane-host.signed")),
        ("forged-tlsa.signed", Err(NoWay::TlsaFails)),
        ("broken-tlsa.signed", Err(NoWay::TlsaFails)),
        ("forged-and-fine.signed", one("mx2.signed")),
        ("a.missing", Err(NoWay::DnsFails)),
    ];
    for (domain, expected) in table {
        assert_eq!(ways(resolver, domain).await, expected, "{domain} {told}");
    }
    let forged = ways(resolver, "a.bogus").await.unwrap_err();
    assert!(forged == NoWay::Bogus || forged == NoWay::DnsFails, "{forged:?} {told}");
}

#[tokio::test]
async fn a_resolver_between_us_and_the_zones() {
    let what = "DANE behind Unbound";
    let Some(knot) = Knot::start(what).await else { return };
    let Some(unbound) = Unbound::start(&knot, what).await else { return };
    checked(&unbound.resolver(knot.validated()), "validated here").await;
    checked(&unbound.resolver(Dnssec::TrustResolver), "validated there").await;
}
