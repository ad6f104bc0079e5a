//! What the tests share: resolvers that ask a server on loopback, and targets in short.

use std::fs::File;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use rustls::RootCertStore;
use services::outbound::{
    ClientTls, Demands, DnsOptions, Dnssec, NoWay, Resolver, ResolverOptions, Security, Target, Targets,
};

/// Options that ask one server, patiently enough for a busy machine.
pub(crate) fn options(server: SocketAddr, dnssec: Dnssec) -> ResolverOptions {
    ResolverOptions {
        dns: DnsOptions {
            name_servers: vec![server],
            dnssec,
            timeout: Duration::from_secs(5),
            attempts: 1,
            patience: Duration::from_secs(60),
            cache_entries: 1000,
        },
        sts: None,
        tls: ClientTls::new(RootCertStore::empty()),
        own_names: vec!["our-name.example".to_owned()],
        own_addresses: vec![Ipv4Addr::new(192, 0, 2, 99).into()],
        ..ResolverOptions::new("our-name.example")
    }
}

/// Hosts with their security in a word, sorted among equals as the site has them.
pub(crate) async fn ways(resolver: &Resolver, domain: &str) -> Result<Vec<String>, NoWay> {
    demanding(resolver, domain, Demands::Any).await
}

pub(crate) async fn demanding(resolver: &Resolver, domain: &str, demands: Demands) -> Result<Vec<String>, NoWay> {
    Ok(resolver.targets(domain, demands).await?.hosts.iter().map(short).collect())
}

/// `host` or `host security`.
pub(crate) fn short(target: &Target) -> String {
    let security = match &target.security {
        Security::Clear => " clear".to_owned(),
        Security::Opportunistic => String::new(),
        Security::Encrypted => " encrypted".to_owned(),
        Security::Verified { names } => format!(" verified {}", names.join(",")),
        Security::Dane { records, names } => format!(" dane {} {}", records.len(), names.join(",")),
    };
    format!("{}{security}", target.host)
}

pub(crate) fn addresses(targets: &Targets) -> Vec<String> {
    targets.hosts.iter().flat_map(|host| &host.addresses).map(ToString::to_string).collect()
}

/// A port that is free for UDP and TCP, below those that the system gives out.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = u16::try_from(std::process::id() % 10_000).unwrap();
    for _ in 0..10_000 {
        let port = 20_000 + (start + NEXT.fetch_add(1, Ordering::Relaxed)) % 12_000;
        let address = (Ipv4Addr::LOCALHOST, port);
        if UdpSocket::bind(address).is_ok() && TcpListener::bind(address).is_ok() {
            return port;
        }
    }
    panic!("no port is free");
}

pub(crate) fn skip(what: &str, why: &str) {
    let told = format!("{what}: {why}\n");
    // Not by a macro, whose output nobody sees when the test passes.
    std::io::stderr().write_all(format!("skipped: {told}").as_bytes()).unwrap();
    if let Some(file) = std::env::var_os("POSTHASTE_SKIPPED") {
        File::options().create(true).append(true).open(file).unwrap().write_all(told.as_bytes()).unwrap();
    }
}
