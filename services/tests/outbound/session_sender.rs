//! Couriers, and what they are given to carry.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use mailqueue::{Body, ChunkFuture, Chunks, MessageId, UnixMicros};
use rustls::RootCertStore;
use services::outbound::{
    ClientTls, CourierOptions, Couriers, Demands, Fate, Hop, HostMemory, Parcel, Policy, Route, Security, Target,
    Targets,
};
use smtp_proto::{ClientConfig, Domain, Envelope, ForwardPath, Mail, MailParameters, Rcpt, ReversePath, SaidBy};

use crate::session_server::Server;

pub(crate) const TEXT: &str = "Subject: hi\r\n\r\n.dot\r\nend\r\n";

/// Couriers that do not wait long.
pub(crate) fn options() -> CourierOptions {
    trusting(RootCertStore::empty())
}

/// The same, who believe these.
pub(crate) fn trusting(roots: RootCertStore) -> CourierOptions {
    let client = ClientConfig::new(Domain::parse("near.example").unwrap().into_owned());
    CourierOptions {
        stagger: Duration::from_secs(2),
        idle: Duration::from_secs(60),
        ..CourierOptions::new(client, ClientTls::new(roots))
    }
}

pub(crate) fn couriers() -> Couriers {
    Couriers::new(options())
}

/// Couriers for whom no failure has a consequence: for tests with many of them.
pub(crate) fn forgetful() -> CourierOptions {
    CourierOptions { memory: HostMemory { addresses: 0, ..HostMemory::default() }, idle_connections: 0, ..options() }
}

struct Text(Vec<Bytes>);

impl Chunks for Text {
    fn size(&self) -> u64 {
        self.0.iter().map(|piece| piece.len() as u64).sum()
    }

    fn chunk(&self, number: usize) -> ChunkFuture<'_> {
        Box::pin(std::future::ready(Ok(self.0.get(number).cloned())))
    }
}

pub(crate) fn body(text: &str) -> Body {
    Body::new(Text(text.as_bytes().chunks(1000).map(Bytes::copy_from_slice).collect()))
}

pub(crate) fn to(addresses: &[&str]) -> Vec<Rcpt> {
    let rcpt = |address: &&str| Rcpt {
        to: ForwardPath::parse(&format!("<{address}>")).unwrap().into_owned(),
        parameters: smtp_proto::RcptParameters::default(),
    };
    addresses.iter().map(rcpt).collect()
}

pub(crate) fn parcel(addresses: &[&str]) -> Parcel {
    let from = ReversePath::parse("<alice@near.example>").unwrap().into_owned();
    Parcel {
        id: MessageId::new(UnixMicros(0), 1),
        envelope: Envelope { mail: Mail { from, parameters: MailParameters::default() }, recipients: to(addresses) },
        body: body(TEXT),
    }
}

pub(crate) fn target(address: SocketAddr, security: Security) -> Target {
    Target {
        host: format!("mx{}.far.example", address.port()),
        port: address.port(),
        addresses: vec![address.ip()],
        security,
    }
}

pub(crate) fn targets(hosts: Vec<Target>) -> Targets {
    Targets { site: "far.example".to_owned(), hosts, demands: Demands::Any, policy: Arc::new(Policy::default()) }
}

/// A way by these servers, in this order, without TLS.
pub(crate) fn by(servers: &[&Server]) -> Route {
    let hosts = servers.iter().map(|server| target(server.address, Security::Opportunistic)).collect();
    Route { first: Hop::to(targets(hosts)), fallback: None }
}

/// One host at these addresses.
pub(crate) fn by_addresses(addresses: &[IpAddr], port: u16) -> Route {
    let host = Target {
        host: "mx.far.example".to_owned(),
        port,
        addresses: addresses.to_vec(),
        security: Security::Opportunistic,
    };
    Route { first: Hop::to(targets(vec![host])), fallback: None }
}

pub(crate) async fn carry(couriers: &Couriers, route: &Route, addresses: &[&str]) -> Vec<Fate> {
    couriers.deliver(&parcel(addresses), route).await
}

/// What became of one recipient, in short: `delivered 250 taken`.
pub(crate) fn told(fate: &Fate) -> String {
    // The status stands behind a server's code, as it was said there; tests look at it in its own place.
    let word = fate.word();
    let text = match word.by {
        SaidBy::Server if !word.status.is_empty() => {
            let (code, rest) = word.text.split_once(' ').unwrap();
            format!("{code} {}", rest.strip_prefix(&word.status).unwrap().trim_start())
        }
        SaidBy::Server | SaidBy::Us => word.text.clone(),
    };
    format!("{} {text}", fate.as_str())
}
